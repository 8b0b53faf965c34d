//! The search in one file, without reading it: windows at doubling distance from the end, until one is well or the time
//! between two of them could hide a pause; then bisection between well and sick; then the lines between, one by one.

use std::io;

use super::{
    judge::{Judge, Mark},
    split::{self, Measure, Split, Tick, seconds, split, ticks},
};

/// The end of the file by which it is judged how it is now, in bytes.
const END_BYTES: usize = 64 << 10;
/// A window, in bytes, where most of its lines tell of failures: some 50 lines.
const WINDOW_BYTES: usize = 16 << 10;
/// A window where few of them do, at most.
const WINDOW_MOST_BYTES: usize = 256 << 10;
/// How far a stamp or a line end is looked for, in bytes.
const STRAY_BYTES: usize = 1 << 20;
/// Windows that are read in one file, at most: what bounds the time.
const WINDOWS: u32 = 600;
/// Health for this long, in seconds, parts two outages (as in `diagnose/symptom.rs`).
const PAUSE_S: i64 = 300;
/// Failures that may be missing before a pause is one, where they are rare.
const PAUSE_FAILURES: f64 = 10.0;
/// The longest pause within an outage, in seconds.
const PAUSE_MOST_S: i64 = 6 * 3600;
/// Zones are apart by a multiple of this, in seconds,
const ZONE_STEP_S: i64 = 900;
/// and by this at most.
const ZONES_S: i64 = 26 * 3600;
/// How late a line may be written, in seconds.
const ZONE_SLACK_S: i64 = 5;
/// Windows behind one in which it begins, by which a rate is told too: where that window is just sick, they make a twentieth of the
/// rate a fifth.
const RATE_WINDOWS: usize = 4;
/// Places that are looked at behind a second that occurs twice.
const FOLD_WINDOWS: u64 = 64;
/// How much of what there is now is still sick: outages rarely begin with all they have.
const SICK_SHARE: f64 = 0.25;
/// The same for rates, which follow the hour of the day.
const SICK_RATE: f64 = 0.05;
/// By how many requests it is judged how it is now,
const RECENT_REQUESTS: u32 = 100;
/// or by how many failures,
const RECENT_FAILURES: u32 = 20;
/// over how many seconds.
const RECENT_S: i64 = 60;
/// The share of failing requests below which a log is not sick.
const LEAST_SHARE: f64 = 0.02;
/// The rate of failures below which a log of errors is not sick: some are in every healthy log, and what is so rare was read
/// from the end of the log already, over many hours.
const LEAST_RATE: f64 = 0.05;
/// Failing lines without which a log is not sick.
const LEAST_LINES: u32 = 3;

/// Bytes of a log, at any place. Tests have logs that are in no file.
pub trait Probe {
    /// How many there are.
    fn size(&self) -> u64;
    /// Reads from `offset` on as much as fits and is there.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
}

/// What a log is like while it is sick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sickness {
    /// By what it is told.
    pub measure: Measure,
    /// How it is at the end.
    pub now: f64,
    /// Seconds of health that part two outages.
    pub patience: i64,
    /// Bytes of a window that has enough failures to tell.
    window: usize,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    /// It begins here.
    Found(Split),
    /// All of it is sick. Its beginning, for whoever looks at the file before this one.
    All(Vec<Tick>),
}

/// Lines of a place of the file.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: u64,
    end: u64,
    first: i64,
    last: i64,
    sick: bool,
}

/// Searches one file.
#[derive(Debug)]
pub struct Search<'a, P> {
    probe: &'a mut P,
    judge: &'a mut Judge,
    windows: u32,
    /// Where the lines begin among which the begin was found.
    found: u64,
    /// Bytes read so far.
    pub read_bytes: u64,
}

impl<'a, P: Probe> Search<'a, P> {
    /// Of these bytes, judged so.
    pub fn new(probe: &'a mut P, judge: &'a mut Judge) -> Self {
        Self { probe, judge, windows: 0, found: 0, read_bytes: 0 }
    }

    /// How the log is at its end. `None`: it is not sick at `now`. `written`: when it was written last, by its file system.
    pub fn sickness(&mut self, now: i64, written: Option<i64>) -> Option<Sickness> {
        let (start, _, marks) = self.end()?;
        let row = whole(start, ticks(&marks));
        // What was written last says by how much the log's zone is off.
        let last = row.last()?.second;
        let ahead = written.and_then(|written| zones_apart(written, last)).unwrap_or(0);
        sickness(&row, marks.len(), now - ahead)
    }

    /// Finds the begin of what goes on at the end. `after`: the beginning of the file that follows this one.
    pub fn begin(&mut self, sickness: &Sickness, after: &[Tick]) -> Option<Reach> {
        let reach = self.search(sickness, after)?;
        Some(match reach {
            Reach::Found(split) => Reach::Found(Split { second: self.settled(split.second), ..split }),
            Reach::All(row) => Reach::All(row),
        })
    }

    /// A second that could be of either of two hours, because clocks were set back between them: the first one, where the
    /// stamps behind it go through the same hour again.
    fn settled(&mut self, second: i64) -> i64 {
        let Some(earlier) = self.judge.twice(second) else { return second };
        let hour = second - earlier;
        let (from, size) = (self.found, self.probe.size());
        let mut latest = second;
        for part in 0..=FOLD_WINDOWS {
            let at = from + (size - from) / FOLD_WINDOWS * part;
            let Some((_, marks)) = self.marks(at, WINDOW_BYTES) else { continue };
            for stamp in marks.iter().filter_map(|mark| mark.second).filter(|stamp| *stamp >= second - hour) {
                if stamp <= latest - hour / 2 {
                    return earlier;
                }
                latest = latest.max(stamp.min(second + hour));
            }
        }
        second
    }

    fn search(&mut self, sickness: &Sickness, after: &[Tick]) -> Option<Reach> {
        let (start, end, marks) = self.end()?;
        let mut row = whole(start, ticks(&marks));
        let first = row.first()?.second;
        let last = row.last()?.second;
        row.extend_from_slice(after);
        let within = split(&row, sickness.measure, sickness.now, sickness.patience)?;
        if within.proven {
            self.found = start;
            return Some(Reach::Found(within));
        }
        let mut later = Window { start, end, first, last, sick: true };
        let mut distance = (later.end - later.start).max(1);
        while later.start > 0 {
            distance = distance.saturating_mul(2);
            let at = self.probe.size().saturating_sub(distance).min(later.start.saturating_sub(1));
            let Some(earlier) = self.window(at, later.start, sickness) else {
                if at == 0 {
                    break;
                }
                continue;
            };
            let found =
                if earlier.sick { self.pause(&earlier, &later, sickness) } else { Some(self.between(earlier, later, sickness)) };
            if let Some(found) = found {
                return Some(Reach::Found(found));
            }
            later = earlier;
        }
        let (_, marks) = self.marks(0, sickness.window)?;
        Some(Reach::All(ticks(&marks)))
    }

    /// The last pause of health between two sick windows, and the begin of what came after it.
    fn pause(&mut self, earlier: &Window, later: &Window, sickness: &Sickness) -> Option<Split> {
        if later.first.saturating_sub(earlier.last) < sickness.patience || self.windows >= WINDOWS {
            return None;
        }
        if later.start.saturating_sub(earlier.end) < sickness.window as u64 {
            return self.line_by_line(earlier, later, sickness).filter(|split| split.proven);
        }
        let middle = self.window(middle(earlier, later), later.start, sickness)?;
        if middle.start <= earlier.start {
            return None;
        }
        if middle.sick {
            self.pause(&middle, later, sickness).or_else(|| self.pause(earlier, &middle, sickness))
        } else {
            Some(self.between(middle, *later, sickness))
        }
    }

    /// The begin between a window that is well and a later one that is sick.
    fn between(&mut self, mut well: Window, mut sick: Window, sickness: &Sickness) -> Split {
        while sick.start.saturating_sub(well.end) >= sickness.window as u64 {
            let Some(window) = self.window(middle(&well, &sick), sick.start, sickness).filter(|window| window.start > well.start)
            else {
                break;
            };
            if window.sick {
                if let Some(split) = self.pause(&window, &sick, sickness) {
                    return split;
                }
                sick = window;
            } else {
                well = window;
            }
        }
        self.line_by_line(&well, &sick, sickness).unwrap_or(Split {
            at: 0,
            second: sick.first,
            spread: (sick.first - well.last).max(1),
            proven: true,
            before: None,
            after: sickness.now,
        })
    }

    /// The begin, by all lines from one window to the other.
    fn line_by_line(&mut self, from: &Window, to: &Window, sickness: &Sickness) -> Option<Split> {
        let behind = match sickness.measure {
            Measure::Share => 0,
            // A short window in which it begins is mostly of the time before: alone it would tell too low a rate.
            Measure::Rate => RATE_WINDOWS * sickness.window,
        };
        let between = usize::try_from(to.end - from.start).unwrap_or(usize::MAX);
        let length = between.saturating_add(behind).min(4 * WINDOW_MOST_BYTES);
        let (start, marks) = self.marks(from.start, length)?;
        self.found = start;
        let row = whole(start, ticks(&marks));
        let now = match sickness.measure {
            Measure::Share => sickness.now,
            // How much failed then, not now: that follows the hour of the day.
            Measure::Rate => {
                let since = row.iter().position(|tick| tick.second >= to.first).unwrap_or(0);
                split::level(row.get(since..).unwrap_or_default(), Measure::Rate).filter(|rate| *rate > 0.0)?
            }
        };
        split(&row, sickness.measure, now, sickness.patience)
    }

    /// The lines of the end of the file: where they begin and end, and what they say.
    fn end(&mut self) -> Option<(u64, u64, Vec<Mark>)> {
        let size = self.probe.size();
        let mut length = END_BYTES;
        loop {
            let from = size.saturating_sub(length as u64);
            if let Some((start, marks)) = self.marks(from, length)
                && marks.iter().any(|mark| mark.second.is_some())
            {
                return Some((start, size, marks));
            }
            if from == 0 || length >= STRAY_BYTES {
                return None;
            }
            length *= 4;
        }
    }

    /// The window that begins at the first line behind `at`; it ends before `limit`, or where that line does. `None`: there
    /// is no stamp.
    fn window(&mut self, at: u64, limit: u64, sickness: &Sickness) -> Option<Window> {
        let mut length = sickness.window;
        self.windows += 1;
        loop {
            let room = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX);
            let take = length.min(room.max(1));
            if let Some((start, marks)) = self.marks(at, take) {
                let row = ticks(&marks);
                if let (Some(first), Some(last)) = (row.first(), row.last()) {
                    let end = at + take as u64;
                    let (first, last) = (first.second, last.second.max(first.second));
                    return Some(Window { start, end, first, last, sick: is_sick(&row, sickness) });
                }
            }
            if length >= STRAY_BYTES || take >= room {
                return None;
            }
            length *= 4;
        }
    }

    /// Judges the whole lines in these bytes; also tells where the first one begins.
    fn marks(&mut self, at: u64, length: usize) -> Option<(u64, Vec<Mark>)> {
        // One byte more: when it is a line end, the line behind it is whole.
        let from = at.saturating_sub(1);
        let mut bytes = vec![0; length + usize::from(at > 0)];
        let count = self.probe.read_at(from, &mut bytes).ok()?;
        bytes.truncate(count);
        self.read_bytes += count as u64;
        let begin = if at == 0 { 0 } else { memchr::memchr(b'\n', &bytes)? + 1 };
        let end = memchr::memrchr(b'\n', &bytes)?;
        let lines = bytes.get(begin..end)?;
        let marks = lines.split(|byte| *byte == b'\n').map(|line| self.judge.mark(line)).collect();
        Some((from + begin as u64, marks))
    }
}

/// Without the first second, where what is read begins in the middle of it: it would look as if less had happened then.
fn whole(start: u64, mut row: Vec<Tick>) -> Vec<Tick> {
    if start > 0 && row.len() > 1 {
        row.remove(0);
    }
    row
}

/// By how many seconds the stamps of a log are behind the clock because they are of another zone: those of the last line and
/// of the file differ by a multiple of a quarter of an hour.
fn zones_apart(written: i64, last: i64) -> Option<i64> {
    let apart = written.checked_sub(last).filter(|apart| apart.abs() <= ZONES_S)?;
    let steps = (apart + ZONE_STEP_S / 2).div_euclid(ZONE_STEP_S);
    (steps != 0 && (apart - steps * ZONE_STEP_S).abs() <= ZONE_SLACK_S).then_some(steps * ZONE_STEP_S)
}

fn middle(earlier: &Window, later: &Window) -> u64 {
    earlier.end + (later.start - earlier.end) / 2
}

/// How a log is by its last lines, of which there are `lines`. `None`: it is not sick.
fn sickness(row: &[Tick], lines: usize, now: i64) -> Option<Sickness> {
    let requests = row.iter().any(|tick| tick.well > 0);
    let measure = if requests { Measure::Share } else { Measure::Rate };
    let last = row.iter().rev().find(|tick| tick.sick > 0)?;
    // What counts is how it is after it began, and that may be near the end: the last failures, and what stands among them.
    let mut recent: Vec<Tick> = Vec::new();
    let (mut sick, mut all) = (0_u32, 0_u32);
    for tick in row.iter().rev() {
        recent.push(*tick);
        sick = sick.saturating_add(tick.sick);
        all = all.saturating_add(tick.sick).saturating_add(tick.well);
        let span = last.second.saturating_sub(tick.second);
        let enough = match measure {
            Measure::Share => all >= RECENT_REQUESTS && sick >= LEAST_LINES,
            // Failures come in bursts, as health checks do.
            Measure::Rate => sick >= RECENT_FAILURES && span >= RECENT_S,
        };
        if enough || span >= PAUSE_S && sick >= LEAST_LINES {
            break;
        }
    }
    recent.reverse();
    let level = split::level(&recent, measure)?;
    let rate = split::level(&recent, Measure::Rate)?;
    let patience = seconds(PAUSE_FAILURES / rate.max(f64::MIN_POSITIVE)).clamp(PAUSE_S, PAUSE_MOST_S);
    let over = now.saturating_sub(last.second) > patience;
    let least = match measure {
        Measure::Share => LEAST_SHARE,
        Measure::Rate => LEAST_RATE,
    };
    if over || sick < LEAST_LINES || level < least {
        return None;
    }
    // So many bytes that a dozen failures are expected in them.
    let share = f64::from(sick) / f64::from(all.max(sick).max(1)) * part_judged(row, lines);
    let factor = (0.2 / share.max(1e-6)).clamp(1.0, (WINDOW_MOST_BYTES / WINDOW_BYTES) as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 16")]
    let window = WINDOW_BYTES * factor.ceil() as usize;
    Some(Sickness { measure, now: level, patience, window })
}

/// The part of the lines that tell anything.
fn part_judged(row: &[Tick], lines: usize) -> f64 {
    let told: f64 = row.iter().map(|tick| f64::from(tick.sick) + f64::from(tick.well)).sum();
    (told / (lines.max(1) as f64)).min(1.0)
}

fn is_sick(row: &[Tick], sickness: &Sickness) -> bool {
    let Some(level) = split::level(row, sickness.measure) else { return false };
    match sickness.measure {
        Measure::Share => level >= (sickness.now * SICK_SHARE).max(LEAST_SHARE / 2.0),
        Measure::Rate => level >= sickness.now * SICK_RATE,
    }
}
