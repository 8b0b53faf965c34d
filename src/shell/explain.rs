//! `why502 explain`: causes from a pasted log excerpt alone. Nothing of the host is looked at.

use std::{
    io::{self, Read as _},
    path::Path,
};

use jiff::tz::TimeZone;

use super::check::print;
use crate::{
    app::{Event, Msg, Options, State, update},
    catalog::Catalog,
    cli::Explain,
    model::{Observation, RunInfo, Stamp},
    report,
    sys::{Clock, Root},
    watch::paste,
};

/// Bytes that are read at most: far more than anybody pastes, and little enough for any host.
const PASTE_BYTES: u64 = 64 << 20;

/// Runs it. The value is the exit status: 0 when the input could be read.
pub fn run(explain: &Explain) -> anyhow::Result<u8> {
    let began = Clock::system();
    let bytes = input(&explain.file)?;
    let state = assess(&String::from_utf8_lossy(&bytes), began.now().wall_s())?;
    // The same bytes for the same input: how long it took is not part of the answer.
    print(&if explain.json { report::json(&state, 0) } else { report::text(&state, 0) })?;
    Ok(0)
}

fn input(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().take(PASTE_BYTES).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    Ok(Root::host().read_at_most(file, PASTE_BYTES)?.0)
}

/// What a paste says. `now`, in seconds since the Unix epoch, only keeps local times out of the future.
fn assess(text: &str, now: i64) -> anyhow::Result<State> {
    let batches = paste::read(text, &TimeZone::UTC, now);
    // Now is when the excerpt ends.
    let newest = batches.iter().flat_map(|batch| &batch.counts).filter_map(|count| count.second).max().unwrap_or(0);
    let at = Stamp { run_ms: 0, wall_ms: newest * 1000 };
    let mut state = State::new(Options::default(), "");
    let run = RunInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: "-".to_owned(),
        url: None,
        probing: false,
        user: "-".to_owned(),
        excerpt: true,
    };
    let seen = std::iter::once(Observation::Run(run)).chain(batches.into_iter().map(Observation::Log));
    for observation in seen {
        update(&mut state, Event { at, msg: Msg::Observed(observation) });
    }
    update(&mut state, Event { at, msg: Msg::Catalog(Catalog::embedded()?.into()) });
    Ok(state)
}
