//! The command line: one definition, from which help comes, and everything else that is derived from it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::model::Address;

/// Finds out why a gateway answers 502: the broken hop, the cause, what to do.
#[derive(Debug, Parser)]
#[command(name = "why502", version, about, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// What to do; nothing named: the console.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// What to look at.
    #[command(flatten)]
    pub target: Target,

    /// Keep the recording in this file; it must not exist yet [default: a private file of at most 64 MB in ~/.local/state/why502].
    #[arg(long, value_name = "PATH")]
    pub record: Option<PathBuf>,

    /// Keep no recording.
    #[arg(long, conflicts_with_all = ["record", "resume"])]
    pub no_record: bool,

    /// Go on with the latest recording, or with this one: notes, ticks, edits and the line of time go on, too.
    #[arg(long, value_name = "RECORD", num_args = 0..=1, require_equals = true, conflicts_with = "record")]
    pub resume: Option<Option<PathBuf>>,

    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

/// How it is shown. Each of these can be settled for good in a file of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Look {
    /// Draw with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,

    /// Plain lines with a prompt instead of a screen: for screen readers, serial and slow lines.
    #[arg(long)]
    pub linear: bool,

    /// Take the mouse: a click selects, a second one explains, the wheel scrolls [default: it is the terminal's, M takes it].
    #[arg(long)]
    pub mouse: bool,

    /// Colours: terminal, dark, light, mono [default: terminal, its own sixteen].
    #[arg(long, value_name = "NAME", value_parser = parse_theme)]
    pub theme: Option<String>,

    /// Replace addresses and host names by stable placeholders in the recording and in all that is exported or copied.
    #[arg(long)]
    pub hide_addresses: bool,
}

impl Look {
    /// What is asked for on the command line stands in for what was settled before.
    pub fn stand_in(&mut self, asked: &Self) {
        self.ascii |= asked.ascii;
        self.linear |= asked.linear;
        self.mouse |= asked.mouse;
        self.hide_addresses |= asked.hide_addresses;
        self.theme = asked.theme.clone().or(self.theme.take());
    }
}

/// What to look at.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// The URL that fails; none: the gateway's own sites, the failing ones first.
    #[arg(value_parser = parse_url)]
    pub url: Option<Url>,

    /// Look only at gateways of this kind.
    #[arg(long, value_name = "KIND")]
    pub gateway: Option<String>,

    /// Read this configuration of the gateway instead of the one that it was started with.
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Follow this error log too.
    #[arg(long, value_name = "PATH")]
    pub log: Vec<PathBuf>,

    /// Follow this access log too.
    #[arg(long, value_name = "PATH")]
    pub access_log: Vec<PathBuf>,

    /// Try this upstream instead of those of the configuration: 127.0.0.1:8000, unix:/run/app.sock.
    #[arg(long, value_name = "ADDR")]
    pub upstream: Vec<Address>,

    /// Send nothing: only read logs, configuration and sockets.
    #[arg(long)]
    pub no_probe: bool,

    /// Read /proc, /etc and /var below this directory; implies --no-probe.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Try the URL by way of this proxy too: http://host:port, socks5://host:port. What fails there and not here is told.
    #[arg(long, value_name = "PROXY", value_parser = parse_proxy, requires = "url")]
    pub via: Option<Url>,

    /// Requests a second that are sent at most, over everything [default: 5, and 1 to each upstream].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: Option<u32>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One pass without a terminal, for scripts, monitors and tests. Exit status: 0 ok, 1 warning, 2 critical, 3 unknown.
    Check(Box<Check>),
    /// Causes from a pasted log excerpt alone, on any host.
    Explain(Explain),
    /// The console on a real small gateway of its own on loopback, broken on purpose.
    Demo(Demo),
    /// The console over a recorded incident.
    Replay(Replay),
    /// What a recorded incident says at its end, as a document.
    Report(Report),
    /// The catalogue of causes as a handbook: what each is, how to tell, how to fix, how to prevent.
    Causes(Causes),
    /// What is derived from this command line and from the keys: the man page, completions for a shell, a file of settings.
    Generate(Generate),
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// What to look at.
    #[command(flatten)]
    pub target: Target,

    /// The result as JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,

    /// The result as Markdown.
    #[arg(long)]
    pub markdown: bool,

    /// Give a verdict within this time: 10s, 1m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub within: Duration,

    /// Look again until all is well twice in a row, or this time is up: 5m. What changes meanwhile is told on standard error.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub until_healthy: Option<Duration>,

    /// Write the result as metrics to this file too, for node_exporter's textfile collector: /var/lib/.../why502.prom.
    #[arg(long, value_name = "PATH")]
    pub textfile: Option<PathBuf>,

    /// Compare with what another host saw, the output of: ssh HOST why502 check URL --json; -: standard input.
    #[arg(long, value_name = "FILE")]
    pub vantage: Vec<PathBuf>,

    /// Keep every observation in this file, one JSON object a line; it must not exist yet.
    #[arg(long, value_name = "PATH", conflicts_with = "until_healthy")]
    pub record: Option<PathBuf>,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The file with the excerpt; -: standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,

    /// The result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// What is to be broken; see --list.
    #[arg(value_name = "FAULT", value_parser = parse_fault)]
    pub fault: Option<&'static crate::demo::Fault>,

    /// List what can be broken.
    #[arg(long, conflicts_with_all = ["fault", "serve"])]
    pub list: bool,

    /// No console: print where it runs, heal on a line "heal", end with standard input. For tests and for a second terminal.
    #[arg(long)]
    pub serve: bool,

    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The file that `--record` made.
    pub record: PathBuf,

    /// How many times faster than it happened.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub speed: u32,

    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

/// Options of `report`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, and one of them holds")]
pub struct Report {
    /// The file that `--record` made.
    pub record: PathBuf,

    /// As JSON.
    #[arg(long, group = "form")]
    pub json: bool,

    /// As Markdown.
    #[arg(long, group = "form")]
    pub markdown: bool,

    /// As one HTML file that needs nothing else.
    #[arg(long, group = "form")]
    pub html: bool,

    /// The ticket for the hosting provider, as Markdown: times in UTC, addresses and ports, the way there, how to repeat it.
    #[arg(long, group = "form")]
    pub ticket: bool,

    /// One line for the chat.
    #[arg(long, group = "form")]
    pub status: bool,

    /// Replace addresses and host names by stable placeholders.
    #[arg(long)]
    pub hide_addresses: bool,
}

/// Options of `causes`.
#[derive(Debug, Args)]
pub struct Causes {
    /// The cause to read about; none: the list of all.
    pub id: Option<String>,
}

/// Options of `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// What to make.
    #[command(subcommand)]
    pub what: Generated,
}

/// What can be made.
#[derive(Debug, Subcommand)]
pub enum Generated {
    /// The man page, why502(1).
    Man,
    /// A file of settings with every colour, key and option: for ~/.config/why502/config.toml, or /etc/why502/config.toml for all.
    Config,
    /// Completions, to be put where the shell looks for them.
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
}

/// A URL as people type it: `shop.example.com/cart` means http.
fn parse_url(text: &str) -> Result<Url, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|e| format!("{e}; write it like https://shop.example.com/cart"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is not a scheme that a gateway serves; use http or https", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host; write it like https://shop.example.com/cart".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password; leave them out, they would be shown and recorded".to_owned());
    }
    Ok(url)
}

/// A proxy: `http://10.0.0.1:3128`, `socks5://127.0.0.1:1080`.
fn parse_proxy(text: &str) -> Result<Url, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|e| format!("{e}; write it like http://10.0.0.1:3128"))?;
    if !matches!(url.scheme(), "http" | "socks5" | "socks5h") {
        return Err(format!("{} is no proxy that is spoken here; use http or socks5", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host; write it like http://10.0.0.1:3128".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password; leave them out, they would be shown and recorded".to_owned());
    }
    Ok(url)
}

/// A theme by its name.
fn parse_theme(text: &str) -> Result<String, String> {
    let known = || crate::ui::THEMES.iter().map(|theme| theme.name);
    if known().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("there is no such theme; there are {}", known().collect::<Vec<_>>().join(", ")))
}

/// A fault of the demo by its id.
fn parse_fault(text: &str) -> Result<&'static crate::demo::Fault, String> {
    crate::demo::by_id(text).ok_or_else(|| "the demo knows no such fault; see: why502 demo --list".to_owned())
}

/// `10s`, `500ms`, `5m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e| format!("{e}; write it like 10s or 5m"))?;
    let duration = Duration::try_from(signed).map_err(|_| "it must not be negative".to_owned())?;
    if duration < Duration::from_millis(100) {
        Err("less than 100 ms is too short to look at anything".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn urls_as_people_type_them() {
        assert_eq!(parse_url("shop.example.com/cart").expect("no scheme").as_str(), "http://shop.example.com/cart");
        assert_eq!(parse_url("https://a:8443").expect("port").port(), Some(8443));
        for bad in ["ftp://a/", "file:///etc/passwd", "http://", "http://u:p@a/", "https://[::1", "javascript://a"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_as_people_type_them() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_mins(5)));
        for bad in ["", "x", "-1s", "0s", "1ms"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
