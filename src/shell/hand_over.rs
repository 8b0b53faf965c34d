//! `why502 report`: what a recorded incident says at its end, as a document.

use super::{check::print, record::Recording};
use crate::{
    app::{Event, Msg, Options, State, update},
    catalog::Catalog,
    cli::Report,
    report,
};

/// Runs it. The value is the exit status: 0 when the recording could be read.
pub fn run(asked: &Report) -> anyhow::Result<u8> {
    let recording = Recording::read(&asked.record)?;
    let took_ms = recording.seen.last().map_or(0, |stamped| stamped.at.run_ms);
    let state = fold(recording)?;
    let text = match (asked.json, asked.markdown) {
        (true, _) => report::json(&state, took_ms),
        (false, true) => report::markdown(&state, took_ms),
        (false, false) => report::text(&state, took_ms),
    };
    print(&text)?;
    Ok(0)
}

/// The state at the end of a recording: the same as that of the run that made it.
pub fn fold(recording: Recording) -> anyhow::Result<State> {
    let mut state = State::new(Options::default(), "");
    let damage = recording.damage();
    update(&mut state, Event { at: recording.begin(), msg: Msg::Catalog(Catalog::embedded()?.into()) });
    let mut end = recording.begin();
    for stamped in damage.into_iter().chain(recording.seen) {
        end = end.max(stamped.at);
        // Conclusions are drawn once, at the end: in between they only decide what to probe, and nothing is probed here.
        state.scene.observe(stamped.at, stamped.observation);
    }
    state.stale = true;
    update(&mut state, Event { at: end, msg: Msg::Tick });
    Ok(state)
}
