//! Reading a recording: a damaged line costs that line only, and how much is damaged is told.

use std::{
    io::{self, BufRead, BufReader, Read as _, Seek as _},
    path::Path,
};

use super::{FORMAT, Header, Line, RecordError};
use crate::{
    model::{BlindSpot, Observation, Stamp},
    sys::Stamped,
};

/// Bytes of one line of a recording that is read: the largest message, a gateway with thousands of sites, is far below.
const LINE_BYTES: u64 = 64 << 20;
/// Bytes at the end of a recording in which its last whole line is looked for.
const TAIL_BYTES: u64 = 4 << 20;

/// A recording, read.
#[derive(Debug)]
pub struct Recording {
    /// What was observed, in order.
    pub seen: Vec<Stamped>,
    /// Lines that could not be understood, with their numbers from 1 and why: damaged, cut off, or of a newer version.
    pub damaged: Vec<(usize, String)>,
}

impl Recording {
    /// Reads a recording. A damaged line costs that line only.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let mut seen = Vec::new();
        let damaged = Self::each(path, |stamped| {
            seen.push(stamped);
            true
        })?;
        Ok(Self { seen, damaged })
    }

    /// Reads a recording piece by piece, as long as `take` wants more. Gives what is damaged.
    pub fn each(path: &Path, take: impl FnMut(Stamped) -> bool) -> Result<Vec<(usize, String)>, RecordError> {
        let wrong = |source| RecordError::Read { path: path.to_owned(), source };
        let file = crate::sys::Root::host().open(path).map_err(|e| wrong(e.source))?;
        let damaged = Self::each_of(&mut BufReader::new(file), take).map_err(wrong)?;
        damaged.ok_or_else(|| RecordError::Foreign { path: path.to_owned() })
    }

    /// [`Recording::read`] of what is in memory. `None`: it is no recording.
    pub fn of_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut seen = Vec::new();
        let all = |stamped| {
            seen.push(stamped);
            true
        };
        let damaged = Self::each_of(&mut bytes, all).ok()??;
        Some(Self { seen, damaged })
    }

    /// What is damaged. `None`: it is no recording.
    fn each_of(reader: &mut impl BufRead, mut take: impl FnMut(Stamped) -> bool) -> io::Result<Option<Vec<(usize, String)>>> {
        let mut line = Vec::new();
        next_line(reader, &mut line)?;
        if serde_json::from_slice::<Header>(&line).map_or(true, |header| header.format != FORMAT) {
            return Ok(None);
        }
        let mut damaged = Vec::new();
        let mut number = 1;
        while next_line(reader, &mut line)? {
            number += 1;
            match serde_json::from_slice::<Line<Observation>>(&line) {
                Ok(line) => {
                    if !take(Stamped { at: line.at, observation: line.seen }) {
                        break;
                    }
                }
                // Where a run went on with a recording, an empty line may part it from one that was cut off.
                Err(_) if line.is_empty() => {}
                Err(error) => damaged.push((number, error.to_string())),
            }
        }
        Ok(Some(damaged))
    }

    /// The stamp of its first observation.
    pub fn begin(&self) -> Stamp {
        self.seen.first().map(|stamped| stamped.at).unwrap_or_default()
    }

    /// What of it was lost, as a blind spot.
    pub fn damage(&self) -> Option<Stamped> {
        let (number, why) = self.damaged.first()?;
        let reason = format!("{} lines are damaged, the first is line {number}: {why}", self.damaged.len());
        let remedy = "the others are shown; a recording that was cut off ends early".to_owned();
        let spot = BlindSpot { source: "recording".to_owned(), reason, remedy };
        Some(Stamped { at: self.begin(), observation: Observation::Blind(spot) })
    }
}

/// The stamp of the last whole line of a recording.
pub fn end_of(path: &Path) -> Result<Stamp, RecordError> {
    let wrong = |source| RecordError::Read { path: path.to_owned(), source };
    let mut file = crate::sys::Root::host().open(path).map_err(|e| wrong(e.source))?;
    let mut first = Vec::new();
    next_line(&mut BufReader::new(file.try_clone().map_err(wrong)?), &mut first).map_err(wrong)?;
    let header = serde_json::from_slice::<Header>(&first);
    if header.map_or(true, |header| header.format != FORMAT) {
        return Err(RecordError::Foreign { path: path.to_owned() });
    }
    let length = file.metadata().map_err(wrong)?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).map_err(wrong)?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).map_err(wrong)?;
    let stamps =
        tail.split(|byte| *byte == b'\n').rev().filter_map(|line| serde_json::from_slice::<Line<serde::de::IgnoredAny>>(line).ok());
    Ok(stamps.map(|line| line.at).next().unwrap_or_default())
}

/// Reads the next line, without its end; `false`: there is none. A line that is too long is cut, and so damaged.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = io::Read::take(&mut *reader, LINE_BYTES).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == LINE_BYTES {
        reader.skip_until(b'\n')?;
    }
    Ok(read > 0)
}
