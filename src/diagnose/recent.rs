//! The latest lines of every log, verbatim: what a person reads, where groups tell what it adds up to.
//!
//! Bounded in lines and bytes over all logs. What has to go is the oldest line of the log that takes most room, so that a busy
//! access log does not push out the few lines that explain it.

use std::collections::{BTreeMap, BinaryHeap, btree_map};

/// Lines that are kept, at most: some forty screens.
const LINES: usize = 2_000;
/// Text that is kept, at most, in bytes: the whole console is to stay below 30 MB.
const BYTES: usize = 512 << 10;
/// What a line costs besides its text, in bytes, roughly.
const LINE_COST: usize = 64;

/// A line as it stands in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentLine {
    /// Its number in the order in which lines came here, from 1.
    pub number: u64,
    /// When, in seconds since the Unix epoch: by its own stamp, else when it came.
    pub second: i64,
    /// [`super::LogGroup::number`].
    pub group: u64,
    /// Its text.
    pub text: Box<str>,
    /// Lines of its group in the same second that are counted and not kept.
    pub more: u32,
}

/// The latest lines of every log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    /// By source.
    sources: BTreeMap<String, Kept>,
    lines: usize,
    bytes: usize,
    taken: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    /// By time, and within a second by the order in which they came.
    lines: BTreeMap<(i64, u64), RecentLine>,
    bytes: usize,
}

impl Recent {
    /// Takes a line in.
    pub fn take(&mut self, source: &str, group: u64, second: i64, text: &str, more: u32) {
        self.taken += 1;
        let line = RecentLine { number: self.taken, second, group, text: text.into(), more };
        let cost = text.len() + LINE_COST;
        let kept = match self.sources.get_mut(source) {
            Some(kept) => kept,
            None => self.sources.entry(source.to_owned()).or_default(),
        };
        kept.lines.insert((second, line.number), line);
        kept.bytes += cost;
        self.lines += 1;
        self.bytes += cost;
        while self.lines > LINES || self.bytes > BYTES {
            let Some(largest) = self.sources.values_mut().max_by_key(|kept| kept.bytes) else { break };
            let Some(gone) = largest.lines.pop_first().map(|(_, line)| line) else { break };
            let cost = gone.text.len() + LINE_COST;
            largest.bytes -= cost;
            self.lines -= 1;
            self.bytes -= cost;
        }
    }

    /// Those up to this second.
    pub fn until(&self, second: i64) -> Self {
        let mut kept = self.clone();
        for source in kept.sources.values_mut() {
            source.lines.retain(|(at, _), _| *at <= second);
            source.bytes = source.lines.values().map(|line| line.text.len() + LINE_COST).sum();
        }
        kept.lines = kept.sources.values().map(|source| source.lines.len()).sum();
        kept.bytes = kept.sources.values().map(|source| source.bytes).sum();
        kept
    }

    /// The lines of this source are by so many seconds later than was thought.
    pub fn shift(&mut self, source: &str, seconds: i64) {
        let Some(kept) = self.sources.get_mut(source) else { return };
        for (_, mut line) in std::mem::take(&mut kept.lines) {
            line.second = line.second.saturating_add(seconds);
            kept.lines.insert((line.second, line.number), line);
        }
    }

    /// All of them with their source, over all logs by time, the latest first.
    pub fn latest(&self) -> Latest<'_> {
        let ends = self.sources.iter().filter_map(|(source, kept)| Head::of(source, kept.lines.values()));
        Latest { heads: ends.collect() }
    }

    /// The line with this number, and its source.
    pub fn line(&self, number: u64) -> Option<(&str, &RecentLine)> {
        self.latest().find(|(_, line)| line.number == number)
    }

    /// Lines that were taken in since the run began.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

/// The lines of all logs, the latest first. Nothing is sorted for it: the latest of each log wait for their turn.
#[derive(Debug)]
pub struct Latest<'a> {
    heads: BinaryHeap<Head<'a>>,
}

/// The latest line of one log that was not given yet, and those before it.
#[derive(Debug)]
struct Head<'a> {
    line: &'a RecentLine,
    source: &'a str,
    before: btree_map::Values<'a, (i64, u64), RecentLine>,
}

impl<'a> Head<'a> {
    fn of(source: &'a str, mut lines: btree_map::Values<'a, (i64, u64), RecentLine>) -> Option<Self> {
        Some(Self { line: lines.next_back()?, source, before: lines })
    }

    fn place(&self) -> (i64, u64) {
        (self.line.second, self.line.number)
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl<'a> Iterator for Latest<'a> {
    type Item = (&'a str, &'a RecentLine);

    fn next(&mut self) -> Option<Self::Item> {
        let Head { line, source, before } = self.heads.pop()?;
        self.heads.extend(Head::of(source, before));
        Some((source, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(recent: &Recent) -> Vec<&str> {
        let mut texts: Vec<&str> = recent.latest().map(|(_, line)| &*line.text).collect();
        texts.reverse();
        texts
    }

    #[test]
    fn lines_of_all_logs_stand_in_the_order_of_time() {
        let mut recent = Recent::default();
        for (source, second, text) in
            [("error.log", 10, "b"), ("error.log", 30, "d"), ("kernel", 5, "a"), ("error.log", 20, "late"), ("app.log", 10, "c")]
        {
            recent.take(source, 1, second, text, 0);
        }
        assert_eq!(texts(&recent), ["a", "b", "c", "late", "d"]);
        recent.shift("error.log", -20);
        assert_eq!(texts(&recent), ["b", "late", "a", "d", "c"]);
        assert_eq!(recent.line(3).map(|(source, line)| (source, &*line.text)), Some(("kernel", "a")));
    }

    #[test]
    fn a_busy_log_pushes_out_its_own_lines_only() {
        let mut recent = Recent::default();
        recent.take("kernel", 1, 1, "Out of memory", 0);
        for number in 0..100_000 {
            recent.take("access.log", 2, 2 + number, "GET / 200", 0);
        }
        assert_eq!((recent.latest().count(), texts(&recent)[0]), (LINES, "Out of memory"));
        assert_eq!(recent.taken(), 100_001);
        recent.take("huge.log", 3, 3, &"x".repeat(BYTES / 2), 0);
        recent.take("huge.log", 3, 4, &"y".repeat(BYTES), 0);
        assert!(recent.bytes <= BYTES, "{}", recent.bytes);
        let counted: usize = recent.latest().map(|(_, line)| line.text.len() + LINE_COST).sum();
        assert_eq!((counted, recent.latest().count()), (recent.bytes, recent.lines));
    }
}
