//! The files that a log was rotated to: `error.log.1`, `error.log.2.gz`, `error.log-20261120.gz`, `error-20261120.log`.
//!
//! They are taken from the newest on, as long as all of a file is sick. A file that is compressed by gzip is read as a stream,
//! once, into counts per second; others can't be read here, which is told.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;

use super::{
    Begin, FileProbe,
    judge::Judge,
    search::{Probe as _, Reach, Search, Sickness},
    split::{self, Split, Tick},
    told,
};
use crate::{
    model::{BlindSpot, Command, LogOnset, LogSource},
    sys::{OpenFile, Stopwatch, Sys, blocking},
    watch::logs::rotated::{Packed, rotated},
};

/// Older files that are looked into, at most: logrotate keeps 14 days by default on Debian, 52 on others.
const FILES: usize = 60;
/// Bytes that are unpacked, at most, in all of them.
const UNPACKED_BYTES: u64 = 1 << 30;
/// How long all of it may take. It is done in the background, on one thread.
const BUDGET: Duration = Duration::from_secs(10);
/// Seconds that are kept apart of one file; with more, two become one.
const TICKS: usize = 1 << 16;
/// Bytes of a line that are kept of a compressed file.
const LINE_BYTES: u64 = 16 << 10;
/// How far the stamps of two files may overlap, in seconds: a gateway writes to the renamed one until it reopens its logs.
const OVERLAP_S: i64 = 300;

/// Why a file was given up.
const TOO_MUCH: &str = "it has more than may be read while the host is in trouble";

/// Histories that are read at once: it costs a processor.
static HISTORIES: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// What the older files tell.
#[derive(Debug, Clone, Default)]
pub struct Older {
    /// The onset. `None`: they tell nothing that the log itself did not.
    pub onset: Option<LogOnset>,
    /// What could not be looked at, of what would have been.
    pub blind: Vec<BlindSpot>,
}

/// Goes on in the older files of a log that is sick from its first line on.
pub async fn older(sys: &Sys, source: &LogSource, zone: &TimeZone, now: i64, begin: &Begin) -> Older {
    let mut out = Older::default();
    let Some((sickness, mut head)) = begin.reach.clone() else { return out };
    let Ok(_turn) = HISTORIES.acquire().await else { return out };
    let files = rotated(&sys.root, &source.path).await;
    let watch = Stopwatch::start();
    let (mut read, mut unpacked) = (begin.onset.read_bytes, 0);
    for (path, packed) in files.into_iter().take(FILES) {
        let left = watch.left(BUDGET);
        let Ok(file) = sys.rights.open(&path).await else {
            let remedy = "look at its rights: ls -l; what is older could tell since when it fails".to_owned();
            out.blind.push(BlindSpot { source: path.display().to_string(), reason: "it can't be opened".to_owned(), remedy });
            break;
        };
        let Some(mut judge) = Judge::new(&source.format, zone.clone(), now) else { break };
        let file = OpenFile::new(file);
        let Ok(info) = file.info().await else { break };
        let (row, sick) = (head.clone(), sickness);
        let mut probe = FileProbe { file, size: info.size };
        let room = UNPACKED_BYTES.saturating_sub(unpacked);
        let looked = match packed {
            Packed::Plain => {
                blocking(left, move || {
                    let mut search = Search::new(&mut probe, &mut judge);
                    let reach = search.begin(&sick, &row);
                    Ok((reach, search.read_bytes, 0))
                })
                .await
            }
            Packed::Gzip => blocking(left, move || unpack(probe, &mut judge, &sick, &row, room, watch)).await,
            Packed::Other(program) => {
                out.blind.push(packed_otherwise(&path, program));
                break;
            }
        };
        let (reach, bytes, inflated) = match looked.unwrap_or(Err(TOO_MUCH)) {
            Ok(looked) => looked,
            Err(reason) => {
                let reason = format!("{reason}; what is in it could tell since when it fails");
                out.blind.push(BlindSpot { source: path.display().to_string(), reason, remedy: by_hand("zcat", &path) });
                break;
            }
        };
        read += bytes;
        unpacked += inflated;
        match reach {
            Some(Reach::Found(split)) => {
                let place = (split.second < first(&head)).then(|| path.display().to_string());
                out.onset = Some(told(source, &sickness, &split, read, place));
                break;
            }
            Some(Reach::All(older)) if first(&older) <= first(&head).saturating_add(OVERLAP_S) => {
                let (second, found_in) = (first(&older), Some(path.display().to_string()));
                out.onset = Some(LogOnset { second, found_in, read_bytes: read, ..begin.onset.clone() });
                head = older;
            }
            // Nothing in it has a stamp, or it is no older file after all.
            Some(Reach::All(_)) | None => {}
        }
    }
    out
}

fn first(ticks: &[Tick]) -> i64 {
    ticks.first().map_or(i64::MAX, |tick| tick.second)
}

type Unpacked = (Option<Reach>, u64, u64);

/// Reads a gzipped file from its beginning to its end, or says why not: from a part of it nothing is concluded, because what
/// is missing would look like a pause.
fn unpack(
    probe: FileProbe,
    judge: &mut Judge,
    sickness: &Sickness,
    after: &[Tick],
    room: u64,
    watch: Stopwatch,
) -> Result<Unpacked, &'static str> {
    let packed = probe.size();
    let mut lines = BufReader::with_capacity(64 << 10, MultiGzDecoder::new(Stream { probe, at: 0 }).take(room));
    let mut row = Row::default();
    let mut line = Vec::new();
    let mut inflated = 0;
    loop {
        line.clear();
        let Ok(count) = lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) else {
            return Err("it is damaged or was cut off");
        };
        if count == 0 {
            break;
        }
        inflated += count as u64;
        row.add(judge, &line);
        if row.lines % 4096 == 0 && watch.left(BUDGET).is_zero() {
            return Err(TOO_MUCH);
        }
    }
    if inflated >= room {
        return Err(TOO_MUCH);
    }
    let head: Vec<Tick> = row.ticks.iter().take(TICKS / 64).copied().collect();
    row.ticks.extend_from_slice(after);
    let found = split::split(&row.ticks, sickness.measure, sickness.now, sickness.patience);
    let reach = match found {
        Some(split) if split.proven => Some(Reach::Found(Split { spread: split.spread.max(row.width), ..split })),
        Some(_) if !head.is_empty() => Some(Reach::All(head)),
        Some(_) | None => None,
    };
    Ok((reach, packed, inflated))
}

/// Counts per second, or per two, four, ... where there are too many.
struct Row {
    ticks: Vec<Tick>,
    width: i64,
    lines: u64,
}

impl Default for Row {
    fn default() -> Self {
        Self { ticks: Vec::new(), width: 1, lines: 0 }
    }
}

impl Row {
    fn add(&mut self, judge: &mut Judge, line: &[u8]) {
        self.lines += 1;
        let mut mark = judge.mark(line.trim_ascii_end());
        mark.second = mark.second.map(|second| second - second.rem_euclid(self.width));
        split::add(&mut self.ticks, mark);
        if self.ticks.len() >= TICKS {
            self.width *= 2;
            let mut merged: Vec<Tick> = Vec::with_capacity(TICKS / 2 + 1);
            for tick in self.ticks.drain(..) {
                let second = tick.second - tick.second.rem_euclid(self.width);
                match merged.last_mut().filter(|last| last.second == second) {
                    Some(last) => {
                        last.sick = last.sick.saturating_add(tick.sick);
                        last.well = last.well.saturating_add(tick.well);
                    }
                    None => merged.push(Tick { second, ..tick }),
                }
            }
            self.ticks = merged;
        }
    }
}

/// A probe, read from its beginning to its end.
struct Stream {
    probe: FileProbe,
    at: u64,
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = super::Probe::read_at(&mut self.probe, self.at, bytes)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn packed_otherwise(path: &Path, program: &'static str) -> BlindSpot {
    BlindSpot {
        source: path.display().to_string(),
        reason: format!("only gzip is unpacked here; what is in it could tell since when it fails (needs {program})"),
        remedy: by_hand(program, path),
    }
}

/// How a person looks into it.
fn by_hand(program: &str, path: &Path) -> String {
    let shown = Command::new([program, &path.display().to_string()]);
    shown.map_or_else(|| format!("unpack it with {program}"), |command| format!("{command} | why502 explain -"))
}
