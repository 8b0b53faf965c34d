//! `why502 generate`: what is derived from the command line and the table of keys.

use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;
use roff::{Roff, bold, italic, roman};

use super::{check::print, settings};
use crate::{
    cli::{Cli, Generate, Generated},
    ui::keymap,
};

/// What `check` ends with, as a monitoring plugin does.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "OK: requests are served"),
    (
        "1",
        "WARNING: a share fails, a server of a pool is down, the configuration on disk is broken, a limit is nearly reached, or the error is made elsewhere",
    ),
    ("2", "CRITICAL: requests fail steadily, or the gateway is down"),
    ("3", "UNKNOWN: nothing could be told; bad usage; every error of the other commands"),
];
/// What it never does.
const NEVER: &str = "It changes nothing on the host: commands that would are shown and never run. It sends GET and HEAD requests and \
greetings to addresses that the gateway's configuration or the operator names, and asks no public service. It runs no shell. It writes \
its own private recording, and what is exported or recorded on request.";

/// Runs it. The value is the exit status.
pub fn run(asked: &Generate) -> anyhow::Result<u8> {
    let mut made = Vec::new();
    match asked.what {
        Generated::Man => man(&mut made)?,
        Generated::Config => made.extend(settings::template().into_bytes()),
        Generated::Completions { shell } => clap_complete::generate(shell, &mut Cli::command(), "why502", &mut made),
    }
    print(&String::from_utf8_lossy(&made))?;
    Ok(0)
}

/// why502(1): clap's own page, and behind it the commands with their options, the keys, the exit status.
fn man(out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = Man::new(command.clone()).manual("System Administration");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    let mut more = Roff::new();
    more.control("SH", ["COMMANDS"]);
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(&mut more, below, &command);
    }
    more.control("SH", ["EXIT STATUS"]).text([roman("Of "), bold("check"), roman(", that of a monitoring plugin:")]);
    for (status, meaning) in EXIT_STATUS {
        more.control("TP", []).text([bold(*status)]).text([roman(*meaning)]);
    }
    more.control("SH", ["KEYS"]);
    for binding in keymap::keys() {
        more.control("TP", []).text([bold(binding.label)]).text([roman(binding.what)]);
    }
    more.control("SH", ["SETTINGS"]).text([
        roman("In /etc/why502/config.toml for all, and in ~/.config/why502/config.toml for yourself. "),
        bold("why502 generate config"),
        roman(" prints one with every option, colour and key. What is wrong in it is told, and left out."),
    ]);
    for (name, value, what) in settings::SETTINGS {
        more.control("TP", []).text([bold(format!("{name} = {value}"))]).text([roman(*what)]);
    }
    more.control("SH", ["WHAT IT NEVER DOES"]).text([roman(NEVER)]);
    more.to_writer(out)
}

/// A command, and those below it. Options that the console has too stand above.
fn describe(page: &mut Roff, command: &Command, console: &Command) {
    let above = |arg: &&Arg| console.get_arguments().any(|known| known.get_id() == arg.get_id());
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let operands = command.get_positionals().map(|arg| format!(" {}", value(arg)));
    page.control("SS", [format!("{name}{}", operands.collect::<String>()).as_str()]);
    page.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && !above(arg)) {
        let mut head = match arg.get_long() {
            Some(long) => vec![bold(format!("--{long}"))],
            None => vec![italic(value(arg))],
        };
        if arg.get_long().is_some() && arg.get_action().takes_values() {
            head.extend([roman(" "), italic(value(arg))]);
        }
        page.control("TP", []).text(head).text([roman(arg.get_help().map(ToString::to_string).unwrap_or_default())]);
    }
    if command.get_arguments().any(|arg| arg.get_id() == "gateway") {
        page.control("PP", []).text([roman("And the options above.")]);
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(page, below, console);
    }
}

/// What stands for a value: `URL`.
fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}
