//! `why502 check`: one pass, no terminal.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};

use super::{
    collect::{self, Collectors},
    effects,
    record::Recorder,
};
use crate::{
    app::{self, Event, Msg, State},
    cli::Check,
    model::Observation,
    report,
    sys::Stamped,
};

/// How often conclusions are drawn when nothing urgent came.
const TICK: Duration = Duration::from_millis(50);
/// What is kept of the time for drawing the last conclusions and printing them.
const RESERVE: Duration = Duration::from_millis(300);

/// Milliseconds between the rounds of its few probes; the caps on requests hold all the same.
const ROUND_MS: u64 = 100;

/// Runs it. The value is the exit status.
pub fn run(check: &Check) -> anyhow::Result<u8> {
    let sys = collect::sys(&check.target)?;
    let recorder = check.record.as_deref().map(Recorder::create).transpose()?;
    let runtime = super::runtime()?;
    let (state, took) = runtime.block_on(pass(check, &sys, recorder));
    // What still hangs in a system call must not hold the exit up.
    runtime.shutdown_background();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let text = if check.json {
        report::json(&state, took_ms)
    } else if check.markdown {
        report::markdown(&state, took_ms)
    } else {
        report::text(&state, took_ms)
    };
    print(&text)?;
    Ok(report::exit_code(state.assessment.verdict))
}

/// Collects until everything was looked at once, or the time is up.
async fn pass(check: &Check, sys: &crate::sys::Sys, mut recorder: Option<Recorder>) -> (State, Duration) {
    let began = Instant::now();
    let deadline = began + check.within.saturating_sub(RESERVE).max(RESERVE);
    let mut options = collect::options(&check.target);
    // What is still pending shortly before the deadline must come back as an outcome, not as silence.
    let patience = check.within.saturating_sub(3 * RESERVE).max(RESERVE);
    options.limits.total_ms = options.limits.total_ms.min(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
    options.limits.period_ms = Some(ROUND_MS);
    let mut state = State::new(options, "");
    let mut collectors = Collectors::start(sys, &check.target);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut waiting_for_catalog = true;
    while !app::first_pass_complete(&state) {
        let msg = tokio::select! {
            biased;
            () = tokio::time::sleep_until(deadline) => break,
            known = &mut collectors.catalog, if waiting_for_catalog => {
                waiting_for_catalog = false;
                match known {
                    Ok(catalog) => Event { at: sys.clock.now(), msg: Msg::Catalog(catalog) },
                    Err(_) => break,
                }
            }
            seen = collectors.seen.recv() => match seen {
                Some(stamped) => {
                    if let Some(recorder) = &mut recorder {
                        recorder.keep(&stamped);
                    }
                    Event { at: stamped.at, msg: Msg::Observed(stamped.observation) }
                }
                None => break,
            },
            _ = ticks.tick() => Event { at: sys.clock.now(), msg: Msg::Tick },
        };
        for effect in app::update(&mut state, msg) {
            effects::collecting(&effect, &collectors);
        }
    }
    let end = Stamped { at: sys.clock.now(), observation: Observation::End };
    if let Some(recorder) = &mut recorder {
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
