//! `why502 explain`: causes from a pasted log excerpt alone. Nothing of the host is looked at.

use std::io::{self, Read};

use anyhow::Context as _;
use jiff::tz::TimeZone;

use super::{check::print, knowledge};
use crate::{
    app::{Event, Msg, Options, State, update},
    cli::Explain,
    model::{Observation, RunInfo, Stamp},
    report,
    sys::{Clock, Root},
    watch::paste::Paste,
};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 128 << 10;

/// Runs it. The value is the exit status: 0 when the input could be read.
pub fn run(explain: &Explain) -> anyhow::Result<u8> {
    let now = Clock::system().now().wall_s();
    let state = if explain.file.as_os_str() == "-" {
        assess(io::stdin().lock(), now)?
    } else {
        assess(Root::host().open(&explain.file)?, now).with_context(|| format!("reading {}", explain.file.display()))?
    };
    // The same bytes for the same input: how long it took is not part of the answer.
    print(&if explain.json { report::json(&state, 0) } else { report::text(&state, 0) })?;
    // The process ends: to give back each of its texts by itself would take longer than to write the answer.
    std::mem::forget(state);
    Ok(0)
}

/// What a paste or a whole file says. `now`, in seconds since the Unix epoch, only keeps local times out of the future.
fn assess(mut input: impl Read, now: i64) -> anyhow::Result<State> {
    let mut state = State::new(Options::default(), "");
    let run = RunInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: "-".to_owned(),
        url: None,
        probing: false,
        user: "-".to_owned(),
        excerpt: true,
        copied: false,
    };
    let mut newest = 0;
    // Now is when the excerpt ends.
    let mut observe = |observations: Vec<Observation>| {
        let batches = observations.iter().filter_map(|observation| match observation {
            Observation::Log(batch) => Some(batch),
            _ => None,
        });
        newest = batches
            .flat_map(|batch| &batch.counts)
            .flat_map(|count| count.second.into_iter().chain(count.later.iter().map(|(second, _)| *second)))
            .fold(newest, i64::max);
        let at = Stamp { run_ms: 0, wall_ms: newest * 1000 };
        for observation in observations {
            update(&mut state, Event { at, msg: Msg::Observed(observation) });
        }
        at
    };
    observe(vec![Observation::Run(run)]);
    let mut paste = Paste::new(TimeZone::UTC, now);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        paste.push(piece.get(..read).unwrap_or_default());
        observe(paste.full().into_iter().map(Observation::Log).collect());
    }
    let at = observe(paste.finish().into_iter().map(Observation::Log).collect());
    let (catalog, unused) = knowledge::catalog()?;
    for spot in unused {
        update(&mut state, Event { at, msg: Msg::Observed(Observation::Blind(spot)) });
    }
    update(&mut state, Event { at, msg: Msg::Catalog(catalog.into()) });
    Ok(state)
}
