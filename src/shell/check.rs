//! `why502 check`: one pass, no terminal.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, MissedTickBehavior},
};

use super::{
    collect::{self, Collectors},
    effects, known_tests,
    record::Recorder,
    vantage,
};
use crate::{
    app::{self, Effect, Event, Msg, State},
    cli::Check,
    model::{KnownTest, Observation, Verdict},
    report,
    sys::{Stamped, Sys},
};

/// How often conclusions are drawn when nothing urgent came.
const TICK: Duration = Duration::from_millis(50);
/// What is kept of the time for drawing the last conclusions and printing them.
const RESERVE: Duration = Duration::from_millis(300);

/// Milliseconds that an exchange may take, so that a verdict comes within eight seconds: an application that has not begun to answer
/// by then hangs for whoever asks.
const PATIENCE_MS: u64 = 7_000;
/// How long a first exchange is under way, at least, to be told as pending at the end of the time: less is no wait to speak of.
const PENDING: Duration = Duration::from_secs(5);
/// How long before the end of the time what is pending is told as that.
const LAST_CALL: Duration = RESERVE.saturating_mul(2);
/// Upstream servers that one pass looks at: at 50 connections a second, as many as three seconds have room for.
const UPSTREAMS: usize = 128;
/// Milliseconds between the rounds of its few probes; the caps on requests hold all the same.
const ROUND_MS: u64 = 100;

/// Between two passes that wait for all to be well: a round of probes while something fails.
const AGAIN: Duration = Duration::from_secs(2);
/// Passes in a row that find all well before it is believed: one may have met the good moment of an intermittent fault.
const WELL: u32 = 2;

/// Runs it. The value is the exit status.
pub fn run(check: &Check) -> anyhow::Result<u8> {
    let sys = collect::sys(&check.target)?;
    let given = vantage::read(&check.vantage)?;
    let known = known_tests::read();
    let mut recorder = check.record.as_deref().map(Recorder::create).transpose()?;
    let (clock, runtime) = super::runtime(super::ONE_ANSWER)?;
    let sys = Sys { clock: collect::clock(clock, &sys, &check.target), ..sys };
    let (state, took) = runtime.block_on(async {
        match check.until_healthy {
            None => pass(check, &sys, recorder.take(), given, &known).await,
            Some(patience) => until_healthy(check, &sys, patience, &given, &known).await,
        }
    });
    // What still hangs in a system call must not hold the exit up.
    runtime.shutdown_background();
    known_tests::keep(known, &state.scene.gateways, state.now.wall_s());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let text = if check.json {
        report::json(&state, took_ms)
    } else if check.markdown {
        report::markdown(&state, took_ms)
    } else {
        report::text(&state, took_ms)
    };
    print(&text)?;
    if let Some(path) = &check.textfile {
        replace(path, &report::metrics(&state, took_ms)).map_err(|error| {
            anyhow::anyhow!("cannot write {}: {error}; name a file in a directory that you may write to", path.display())
        })?;
    }
    let code = report::exit_code(state.assessment.verdict);
    // The process ends: nobody needs what would be given back text by text.
    std::mem::forget(state);
    Ok(code)
}

/// Pass after pass until all is well, or the time is up. The last one is the result.
async fn until_healthy(
    check: &Check,
    sys: &crate::sys::Sys,
    patience: Duration,
    given: &[Observation],
    known: &[KnownTest],
) -> (State, Duration) {
    let deadline = Instant::now() + patience;
    let (mut well, mut told) = (0, String::new());
    loop {
        let (state, took) = pass(check, sys, None, given.to_vec(), known).await;
        well = if state.assessment.verdict == Verdict::Ok { well + 1 } else { 0 };
        if well >= WELL || Instant::now() + AGAIN >= deadline {
            return (state, took);
        }
        // What follows the bar are figures, which differ each time.
        let line = report::text(&state, 0).lines().next().and_then(|line| line.split(" | ").next()).unwrap_or_default().to_owned();
        if line != told {
            super::remark(&format!("{} {line}", state.now.utc()));
            told = line;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Puts a whole file in the place of another, so that nobody reads half of one (node_exporter: "Textfile Collector").
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    // Hidden, and without `.prom` at its end: the collector leaves it alone.
    let draft = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
    let done = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&draft, path));
    if done.is_err() {
        // What is left of it is of no use; that it cannot be removed either adds nothing to the error.
        let _ = fs::remove_file(&draft);
    }
    done
}

/// Collects until everything was looked at once, or the time is up.
async fn pass(
    check: &Check,
    sys: &crate::sys::Sys,
    recorder: Option<Recorder>,
    given: Vec<Observation>,
    known: &[KnownTest],
) -> (State, Duration) {
    let began = Instant::now();
    let deadline = began + check.within.saturating_sub(RESERVE).max(RESERVE);
    let mut options = collect::options(&check.target);
    // What is still pending shortly before the deadline must come back as an outcome, not as silence.
    // And longer than this hardly a person waits for it.
    let patience = check.within.saturating_sub(3 * RESERVE).max(RESERVE);
    options.limits.total_ms = PATIENCE_MS.min(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
    options.limits.period_ms = Some(ROUND_MS);
    options.limits.one_pass = true;
    options.limits.upstreams = UPSTREAMS;
    let mut state = State::new(options, "");
    let mut collectors = Collectors::start(&Handle::current(), sys, &check.target, false, Some(known.to_vec()));
    collectors.begin.send_replace(true);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut waiting_for_catalog = true;
    // Of a host that is slow to tell what listens there, the first exchanges begin late.
    let (mut planned, mut called) = (None, false);
    for observation in given {
        let stamped = Stamped { at: sys.clock.now(), observation };
        if let Some(recorder) = &recorder {
            recorder.keep(&stamped);
        }
        app::update(&mut state, Event { at: stamped.at, msg: Msg::Observed(stamped.observation) });
    }
    loop {
        let complete = app::first_pass_complete(&state);
        if complete && !state.stale {
            break;
        }
        let msg = if complete {
            // By conclusions that are behind what was seen since.
            Event { at: sys.clock.now(), msg: Msg::Tick }
        } else {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => break,
                () = tokio::time::sleep_until(deadline - LAST_CALL), if !called => {
                    called = true;
                    if planned.is_some_and(|at: Instant| at.elapsed() >= PENDING) {
                        collectors.end_unheard(&state.scene);
                    }
                    continue;
                }
                known = &mut collectors.catalog, if waiting_for_catalog => {
                    waiting_for_catalog = false;
                    match known {
                        Ok(catalog) => Event { at: sys.clock.now(), msg: Msg::Catalog(catalog) },
                        Err(_) => break,
                    }
                }
                seen = collectors.seen.recv() => match seen {
                    Some(stamped) => {
                        if let Some(recorder) = &recorder {
                            recorder.keep(&stamped);
                        }
                        Event { at: stamped.at, msg: Msg::Observed(stamped.observation) }
                    }
                    None => break,
                },
                _ = ticks.tick() => Event { at: sys.clock.now(), msg: Msg::Tick },
            }
        };
        for effect in app::update(&mut state, msg) {
            if matches!(&effect, Effect::Probe(plan) if !plan.jobs.is_empty()) {
                planned.get_or_insert_with(Instant::now);
            }
            effects::collecting(&effect, &collectors);
        }
    }
    let end = Stamped { at: sys.clock.now(), observation: Observation::End };
    if let Some(recorder) = &recorder {
        recorder.keep(&end);
    }
    app::update(&mut state, Event { at: end.at, msg: Msg::Observed(end.observation) });
    app::update(&mut state, Event { at: end.at, msg: Msg::Tick });
    (state, began.elapsed())
}

/// Prints a report. A reader that closed the pipe has read enough.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
