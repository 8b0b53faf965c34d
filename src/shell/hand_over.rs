//! `why502 report`: what a recorded incident says at its end, as a document.

use std::sync::Arc;

use super::{check::print, knowledge, record::Recording, settings};
use crate::{
    app::{Event, Msg, Options, State, papers, update},
    catalog::Catalog,
    cli::Report,
    model::secrets::Mask,
    report,
};

/// Runs it. The value is the exit status: 0 when the recording could be read.
pub fn run(asked: &Report) -> anyhow::Result<u8> {
    let recording = Recording::read(&asked.record)?;
    let took_ms = recording.seen.last().map_or(0, |stamped| stamped.at.run_ms);
    let mask = asked.hide_addresses.then(settings::mask);
    let state = fold_by(recording, knowledge::told()?.into(), mask.as_ref());
    let text = match () {
        () if asked.json => state.handed_over(report::json(&state, took_ms)),
        () if asked.markdown => report::markdown(&state, took_ms),
        () if asked.html => report::html(&state, took_ms),
        () if asked.ticket => report::ticket(&state),
        () if asked.status => papers::status(&state) + "\n",
        () => state.handed_over(report::text(&state, took_ms)),
    };
    print(&text)?;
    Ok(0)
}

/// The state at the end of a recording: the same as that of the run that made it.
pub fn fold(recording: Recording) -> anyhow::Result<State> {
    Ok(fold_by(recording, knowledge::told()?.into(), None))
}

/// [`fold`] by a catalogue that is read already.
pub(super) fn fold_by(recording: Recording, catalog: Arc<Catalog>, mask: Option<&Arc<Mask>>) -> State {
    let mut state = State::new(Options { mask: mask.cloned(), ..Options::default() }, "");
    let damage = recording.damage();
    update(&mut state, Event { at: recording.begin(), msg: Msg::Catalog(catalog) });
    let mut end = recording.begin();
    for stamped in damage.into_iter().chain(recording.seen) {
        end = end.max(stamped.at);
        // Conclusions are drawn once, at the end: in between they only decide what to probe, and nothing is probed here.
        if let Some(mask) = mask {
            mask.learn_from(&stamped.observation);
        }
        state.scene.observe(stamped.at, stamped.observation);
    }
    state.stale = true;
    update(&mut state, Event { at: end, msg: Msg::Tick });
    state
}
