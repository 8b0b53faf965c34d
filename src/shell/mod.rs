//! Layer 6: the only place that does things: run modes, runtime, terminal, signals, effects, recording.
//!
//! A run is: collectors send observations into one bounded channel; each is recorded as it came and given to
//! `app::update`; the effects that come back are carried out here and nowhere else. `check` and the console differ only
//! in what they do with the state.
//!
//! To add a run mode: its command in `cli.rs`, a file here, and its arm in [`run`].

mod check;
mod collect;
mod console;
mod demo;
mod effects;
mod explain;
mod hand_over;
mod record;
mod replay;
mod run_loop;
mod screen;
mod signals;
mod term;
mod writer;

use std::process::ExitCode;

use clap::Parser as _;

pub use hand_over::fold;
pub use record::{RecordError, Recorder, Recording};
pub use run_loop::{Feed, Input, Ports, run_loop};

use crate::{
    cli::{Cli, Command},
    probe,
    sys::{CONFIG_TEST_MODE, PROBE_AS_MODE, serve_config_test},
};

/// Exit status of everything that could not be told or done (the monitoring plugins' UNKNOWN).
const UNKNOWN: u8 = 3;

/// Runs the program.
pub fn run() -> ExitCode {
    // The hidden mode drops its rights before anything else happens, so it comes before the command line is even parsed.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == PROBE_AS_MODE) {
        return probe::child::serve();
    }
    if std::env::args_os().nth(1).is_some_and(|arg| arg == CONFIG_TEST_MODE) {
        return serve_config_test();
    }
    if let Some(mode) = crate::demo::mode(std::env::args_os(), std::env::current_exe().ok().as_deref()) {
        return crate::demo::serve(mode, demo::load);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to fail: `why502 --help | head -1`.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(UNKNOWN) } else { ExitCode::SUCCESS };
        }
    };
    // A panic is UNKNOWN too: 101 would be CRITICAL to no monitor and OK to none.
    let result = std::panic::catch_unwind(|| match cli.command {
        Some(Command::Check(check)) => check::run(&check),
        Some(Command::Explain(explain)) => explain::run(&explain),
        Some(Command::Demo(demo)) => demo::run(&demo),
        Some(Command::Report(asked)) => hand_over::run(&asked),
        Some(Command::Replay(replay)) => replay::run(&replay),
        None => console::run(&cli),
    });
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            complain(&error);
            ExitCode::from(UNKNOWN)
        }
        Err(_) => ExitCode::from(UNKNOWN),
    }
}

/// One line on standard error.
#[expect(clippy::print_stderr, reason = "the one place at which the program says why it ends")]
fn complain(error: &anyhow::Error) {
    eprintln!("why502: {}", crate::model::text::printable(&error.to_string()));
}

/// The runtime that collectors run on. Two threads: one stuck in a long parse must not hold up the other collectors, and the
/// host needs its processors itself.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
