//! Since when: where in a log of any size the outage begins that goes on at its end, without reading the log.
//!
//! [`search`] looks at windows at doubling distance from the end and bisects between what is well and what is sick;
//! [`split`] finds the second among the lines in between; [`judge`] says of one line when it was written and whether
//! something failed; [`history`] goes on in the files that the log was rotated to, where all of it is sick; [`seek`] finds a
//! time in a log.
//!
//! It is told as a fact of one log, with its uncertainty; whether the outage is the one that is looked at is for
//! `diagnose/`. Nothing here waits for a file: all reading is done aside, within a bound of bytes and time. The core knows
//! no file, only a [`Probe`], so that tests can search a log of 10 GB that is in no file.
//!
//! To add a format: an arm in [`judge::Judge`].

mod history;
pub mod judge;
pub mod search;
pub mod seek;
pub mod split;

use std::{io, time::Duration};

use jiff::tz::TimeZone;

pub use history::{Older, older};
use judge::Judge;
use search::{Probe, Reach, Search, Sickness};
use split::{Measure, Split, Tick};

use crate::{
    model::{LogOnset, LogSource, OnsetMeasure, SourceKind},
    sys::{OpenFile, Sys, blocking},
};

/// How long the search in one file may take: it reads 10 MB at most, and a disk that needs longer has other troubles.
const DEADLINE: Duration = Duration::from_secs(5);

/// Searches at once: each reads some MB, and a host in trouble has better things to do.
static SEARCHES: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// A file that is read where it may block.
#[derive(Debug)]
struct FileProbe {
    file: OpenFile,
    size: u64,
}

impl Probe for FileProbe {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read_blocking(offset, bytes)
    }
}

/// What the search in the log itself came to.
#[derive(Debug, Clone)]
pub struct Begin {
    /// The onset as far as the log itself tells.
    pub onset: LogOnset,
    /// What is needed to go on in older files; `None` where the log itself has the begin.
    reach: Option<(Sickness, Vec<Tick>)>,
}

/// Finds since when what fails at the end of this log fails. `now`: seconds since the Unix epoch. `None`: nothing fails
/// there now, its lines tell nothing of it, or it can't be read. Where all of the log is sick, [`LogOnset::earlier`] is set.
pub async fn find(sys: &Sys, source: &LogSource, zone: &TimeZone, now: i64) -> Option<LogOnset> {
    begin(sys, source, zone, now).await.map(|begin| begin.onset)
}

/// [`find`], with what [`older`] needs to go on.
pub async fn begin(sys: &Sys, source: &LogSource, zone: &TimeZone, now: i64) -> Option<Begin> {
    match source.kind {
        SourceKind::Error | SourceKind::Access => {}
        // What an application logs as an error may be its daily bread; the kernel's log has no healthy share.
        SourceKind::App | SourceKind::Kernel => return None,
    }
    let mut judge = Judge::new(&source.format, zone.clone(), now)?;
    let _turn = SEARCHES.acquire().await.ok()?;
    let file = OpenFile::new(sys.rights.open(&source.path).await.ok()?);
    let info = file.info().await.ok()?;
    let source = source.clone();
    blocking(DEADLINE, move || {
        let mut probe = FileProbe { file, size: info.size };
        in_probe(&mut probe, &mut judge, &source, now, Some(info.modified))
    })
    .await
    .flatten()
}

/// The search in one log that is given as a probe. `written`: when it was written last, where that is known.
pub fn in_probe<P: Probe>(probe: &mut P, judge: &mut Judge, source: &LogSource, now: i64, written: Option<i64>) -> Option<Begin> {
    let mut search = Search::new(probe, judge);
    let sickness = search.sickness(now, written)?;
    let reach = search.begin(&sickness, &[])?;
    let read_bytes = search.read_bytes;
    Some(match reach {
        Reach::Found(split) => Begin { onset: told(source, &sickness, &split, read_bytes, None), reach: None },
        Reach::All(head) => {
            let first = head.first()?.second;
            let onset = LogOnset { second: first, earlier: true, ..nothing(source, &sickness, read_bytes) };
            Begin { onset, reach: Some((sickness, head)) }
        }
    })
}

fn nothing(source: &LogSource, sickness: &Sickness, read_bytes: u64) -> LogOnset {
    let measure = match sickness.measure {
        Measure::Share => OnsetMeasure::Share,
        Measure::Rate => OnsetMeasure::PerSecond,
    };
    let (source, kind) = (source.id(), source.kind);
    let second = 0;
    LogOnset {
        source,
        kind,
        second,
        uncertainty_s: 1,
        earlier: false,
        measure,
        before: None,
        now: sickness.now,
        read_bytes,
        found_in: None,
    }
}

fn told(source: &LogSource, sickness: &Sickness, split: &Split, read_bytes: u64, found_in: Option<String>) -> LogOnset {
    LogOnset {
        second: split.second,
        uncertainty_s: u32::try_from(split.spread).unwrap_or(u32::MAX),
        before: split.before,
        found_in,
        ..nothing(source, sickness, read_bytes)
    }
}

#[cfg(test)]
mod tests;
