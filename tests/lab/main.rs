//! The lab: real servers in throw-away hosts, broken on purpose, and `why502 check` asked what is wrong.
//!
//! Every `[[scenario]]` in `tests/lab/scenarios/*.toml` is one trial of its name:
//!
//! ```text
//! cargo test --test lab                             all
//! cargo test --test lab nginx-app-dead -- --exact   one
//! LAB_ONLY_FAULTS=1 cargo test --test lab           only whether the faults are real, by curl
//! LAB_PROGRAM=/path/why502 cargo test --test lab    another build, such as the released one
//! ```
//!
//! To add a scenario: a block in one of those files, in the words of `lib.sh`; nothing else. To add a kind of application
//! or of gateway: its functions in `lib.sh` or a file of `words/`, its file in `apps/`, its package in `tests/run`.
//!
//! It needs root, for namespaces of its own, and the servers that `tests/run` installs. Where they are missing it says so
//! and runs nothing; with `CI=true` that is a failure. What was seen stays in `target/lab`.

mod host;
mod scenario;
mod verdict;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Instant,
};

use libtest_mimic::{Arguments, Trial};

use crate::{scenario::Scenario, verdict::Row};

/// Hosts at a time, at most: each mostly waits, for its servers to start and for faults to show; but `check` is measured beside them, and
/// with five on two processors an application of one can be starved by the others for a second, which is told, and true.
const HOSTS_AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(HOSTS_AT_ONCE).min(HOSTS_AT_ONCE));
    let listing = arguments.list;

    let scenarios = match scenario::load() {
        Ok(scenarios) => scenarios,
        Err(error) => return fail(&error),
    };
    let only_faults = std::env::var_os("LAB_ONLY_FAULTS").is_some();
    let missing = host::missing();
    if !missing.is_empty() && !listing {
        let text = format!("the lab did NOT run: {}", missing.join("; "));
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return fail(&text);
        }
        notice(&format!("\n*** {text}\n*** {} scenarios are reported as ignored.\n", scenarios.len()));
    }

    let began = Instant::now();
    let table: Arc<Mutex<Vec<Row>>> = Arc::default();
    let trials = scenarios
        .into_iter()
        .map(|scenario| {
            let table = Arc::clone(&table);
            let name = scenario.name.clone();
            let run = move || run(&scenario, only_faults, &table).map_err(libtest_mimic::Failed::from);
            Trial::test(name, run).with_ignored_flag(!missing.is_empty())
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);

    let rows = table.lock().unwrap_or_else(PoisonError::into_inner);
    if !rows.is_empty() {
        notice(&format!("{}{} calls of check in {:.1} s", verdict::table(&rows), rows.len(), began.elapsed().as_secs_f64()));
    }
    conclusion.exit_code()
}

/// Scenarios share the machine's processors; one that uses them up has them for itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs one scenario in its own host, and judges what `check` said.
fn run(scenario: &Scenario, only_faults: bool, table: &Mutex<Vec<Row>>) -> Result<(), String> {
    let _alone = scenario.alone.then(|| MACHINE.write().unwrap_or_else(PoisonError::into_inner));
    let _shared = (!scenario.alone).then(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
    let seen = host::run(scenario, only_faults)?;
    if only_faults {
        return Ok(());
    }
    let mut wrong = Vec::new();
    for way in &scenario.ways {
        let (row, complaints) = verdict::judge(scenario, *way, &seen);
        table.lock().unwrap_or_else(PoisonError::into_inner).push(row);
        wrong.extend(complaints);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}: {}\n  {}\n  what was seen: {}",
        scenario.name,
        scenario.why,
        wrong.join("\n").replace('\n', "\n  "),
        seen.directory.display()
    ))
}

fn fail(text: &str) -> ExitCode {
    notice(&format!("lab: {text}"));
    ExitCode::from(101)
}

fn notice(text: &str) {
    // A closed pipe is no failure of a test.
    let _ = writeln!(io::stdout(), "{text}");
}
