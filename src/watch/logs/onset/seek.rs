//! Finding a time in a log by bisection: stamps of lines at a few places instead of all lines.

use super::{judge::Judge, search::Probe};

/// What is read at one place, in bytes: some lines.
const PIECE_BYTES: usize = 4 << 10;
/// How far a stamp is looked for, in bytes, behind lines that have none.
const STRAY_BYTES: usize = 1 << 20;

/// The offset of the first line that is not before `second`, by the stamps of a log that was written in their order; where
/// a few go backwards, one of the places where they cross it. The size of the log: all of it is before. `None`: there is no
/// stamp in it, or it can't be read.
pub fn place_of<P: Probe>(probe: &mut P, judge: &mut Judge, second: i64) -> Option<u64> {
    // Lines that begin before `low` are earlier; the stamp behind `high` is not.
    let (mut low, mut high) = (0, probe.size());
    let mut known = false;
    // The line that ends at `low` may have begun before `high` and end behind it.
    while high.saturating_sub(low) > PIECE_BYTES as u64 {
        let middle = low + (high - low) / 2;
        match stamped(probe, judge, middle, high)? {
            Some((_, _, stamp)) if stamp >= second => {
                known = true;
                high = middle;
            }
            Some((_, end, _)) => {
                known = true;
                low = end;
            }
            None => high = middle,
        }
    }
    let mut at = low;
    let size = probe.size();
    while at < size {
        match stamped(probe, judge, at, size)? {
            Some((begin, _, stamp)) if stamp >= second => return Some(begin),
            Some((_, end, _)) => {
                known = true;
                at = end;
            }
            None => break,
        }
    }
    known.then_some(size)
}

/// The first line with a stamp that begins at or behind `at` and before `limit`: its begin, its end, its second. The outer
/// `None`: it can't be read.
#[expect(clippy::option_option, reason = "a fault, and a place without stamps, are two things")]
fn stamped<P: Probe>(probe: &mut P, judge: &mut Judge, at: u64, limit: u64) -> Option<Option<(u64, u64, i64)>> {
    let mut length = PIECE_BYTES;
    loop {
        let from = at.saturating_sub(1);
        let mut bytes = vec![0; length];
        let count = probe.read_at(from, &mut bytes).ok()?;
        bytes.truncate(count);
        let mut begin = if at == 0 { Some(0) } else { memchr::memchr(b'\n', &bytes).map(|end| end + 1) };
        while let Some(start) = begin {
            if from + start as u64 >= limit {
                return Some(None);
            }
            let rest = bytes.get(start..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else { break };
            if let Some(second) = judge.mark(rest.get(..end).unwrap_or_default()).second {
                let start = from + start as u64;
                return Some(Some((start, start + end as u64 + 1, second)));
            }
            begin = Some(start + end + 1);
        }
        if count < length || length >= STRAY_BYTES {
            return Some(None);
        }
        length *= 4;
    }
}
