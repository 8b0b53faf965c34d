//! Layer 6: the only place that does things: run modes, runtime, terminal, signals, effects, recording.
//!
//! A run is: collectors send observations into one bounded channel; each is recorded as it came and given to
//! `app::update`; the effects that come back are carried out here and nowhere else. `check` and the console differ only
//! in what they do with the state.
//!
//! To add a run mode: its command in `cli.rs`, a file here, and its arm in [`run`].

mod check;
mod clipboard;
mod collect;
mod confined;
mod console;
mod demo;
mod effects;
mod explain;
#[doc(hidden)]
pub mod foreign;
mod generate;
mod hand_over;
mod handbook;
mod keys;
mod knowledge;
mod known_tests;
mod linear;
mod live;
mod pace;
mod papers;
mod past;
mod record;
mod replay;
mod run_loop;
mod screen;
mod settings;
mod signals;
mod term;
mod vantage;
mod writer;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;

pub use hand_over::fold;
pub use linear::run_linear;
pub use record::{RecordError, Recorder, Recording};
pub use run_loop::{Feed, Input, Ports, run_loop};

use crate::{
    cli::{Cli, Command},
    probe,
    sys::{BROKER_MODE, CONFIG_TEST_MODE, Clock, PROBE_AS_MODE, end_broker, serve_broker, serve_config_test},
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
    if std::env::args_os().nth(1).is_some_and(|arg| arg == BROKER_MODE) {
        return serve_broker();
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
    confined::begin(&cli);
    // A panic is UNKNOWN too: 101 would be CRITICAL to no monitor and OK to none.
    let result = std::panic::catch_unwind(|| match cli.command {
        Some(Command::Check(check)) => check::run(&check),
        Some(Command::Explain(explain)) => explain::run(&explain),
        Some(Command::Demo(demo)) => demo::run(&demo),
        Some(Command::Report(asked)) => hand_over::run(&asked),
        Some(Command::Replay(replay)) => replay::run(&replay),
        Some(Command::Causes(asked)) => handbook::run(&asked),
        Some(Command::Generate(asked)) => generate::run(&asked),
        None => console::run(&cli),
    });
    end_broker();
    match result {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            complain(&error);
            ExitCode::from(UNKNOWN)
        }
        Err(_) => ExitCode::from(UNKNOWN),
    }
}

/// Says why it ends.
fn complain(error: &anyhow::Error) {
    remark(&error.to_string());
}

/// One line on standard error.
#[expect(clippy::print_stderr, reason = "the one place that writes there")]
fn remark(text: &str) {
    eprintln!("why502: {}", crate::model::text::printable(text));
}

/// Threads that collectors run on for one answer: one that parses for long does not hold up the others, and the host needs its
/// processors itself.
const ONE_ANSWER: usize = 2;
/// The same for a console, which has a thread of its own for the screen: two would hand the work to each other, and wake each other up
/// for it, for as long as it is open.
const CONSOLE: usize = 1;
/// Threads that a run needs at least: those, the terminal's writer, and some for calls that may block.
const THREADS: usize = 6;

/// How long a thread for calls that may block is kept without one: more than two rounds of what is looked at every 10 s. To start it anew for
/// each costs more than to keep it.
const IDLE: Duration = Duration::from_secs(25);

/// The runtime that collectors run on, and the clock of the run, which is best started with it.
fn runtime(workers: usize) -> anyhow::Result<(Clock, tokio::runtime::Runtime)> {
    threads_can_be_had()?;
    let clock = Clock::system();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok((clock, builder.worker_threads(workers).thread_keep_alive(IDLE).enable_all().build()?))
}

/// The runtime of the thread that draws: it waits for the clock and the keys by itself. Where collectors run, the thread that they run on
/// would be woken for each of its seconds, to wake this one.
fn of_screen() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Whether as many threads can be started as are needed. The runtime panics where they can't, or waits for one for ever; a host
/// or user that is out of processes is one of the hosts that this program is for.
fn threads_can_be_had() -> anyhow::Result<()> {
    let (hold, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let started: std::io::Result<Vec<_>> = (0..THREADS)
        .map(|_| {
            let wait = std::sync::Arc::clone(&wait);
            // All at once: each waits until the channel closes.
            std::thread::Builder::new().spawn(move || drop(wait.lock().map(|wait| wait.recv())))
        })
        .collect();
    drop(hold);
    let threads = started.map_err(|error| {
        anyhow::anyhow!("no more threads can be started here ({error}): free some processes, raise `ulimit -u`, or run it as root")
    })?;
    for thread in threads {
        // It does nothing that could fail.
        let _ = thread.join();
    }
    Ok(())
}
