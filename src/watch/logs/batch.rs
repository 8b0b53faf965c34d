//! Lines to counts: equal lines of one second become one entry, in batches of bounded size.

use std::{borrow::Cow, collections::HashMap, hash::BuildHasher as _, sync::Arc};

use foldhash::fast::RandomState;
use jiff::tz::TimeZone;

use super::{
    join::{Joined, Joiner, Step},
    lines::Sink,
    memo::Memo,
    normalise::Normaliser,
    skeleton::Skeleton,
};
use crate::{
    model::{LogBatch, LogCount, LogFormat, LogSource, SourceKind, logline},
    sys::{connected_from, has_connected},
};

/// Different lines in one batch, at most.
pub const COUNTS: usize = 256;
/// Text in one batch, at most, in bytes: what the outbox counts on.
pub const BATCH_BYTES: usize = 64 << 10;
/// Different lines that are counted at one time, at most, and their text in bytes. A gateway in trouble writes lines of hundreds of groups: all of them
/// are to be met again before they are told, or else each line costs what a group does. They are told in several batches.
const HELD_COUNTS: usize = 1024;
const HELD_BYTES: usize = 512 << 10;
/// Figures of when lines came, at most, where lines of all seconds are counted together: 256 kB, which is to hold a minute of those groups.
const SPAN_SECONDS: usize = 32 << 10;
/// Bytes of a line that are kept verbatim. nginx cuts its own lines there (`NGX_MAX_ERROR_STR`).
pub const VERBATIM_BYTES: usize = 2048;
/// Raw bytes that hold as many of text: bytes that are no text become longer, and a character may lie across the end.
const RAW_BYTES: usize = VERBATIM_BYTES + 4;

/// Equal lines, while they are counted.
#[derive(Debug)]
struct Count {
    second: Option<i64>,
    key: Arc<str>,
    lines: u32,
    /// By how many seconds later than the first line so many lines came.
    later: Vec<(i32, u32)>,
    first: String,
    /// The last line, raw and up to [`RAW_BYTES`], and how long it was. It is made text when the batch is full, not for each line.
    last: Vec<u8>,
    length: u64,
}

impl From<Count> for LogCount {
    fn from(count: Count) -> Self {
        let Count { second, key, lines, later, first, last, length } = count;
        let came = |(ahead, lines): (i32, u32)| Some((second? + i64::from(ahead), lines));
        Self {
            second,
            key: key.as_ref().to_owned(),
            count: lines,
            later: later.into_iter().filter_map(came).collect(),
            first,
            last: (lines > 1).then(|| verbatim(&last, length)),
        }
    }
}

/// Counts lines into batches.
#[derive(Debug)]
pub struct Batcher {
    source: LogSource,
    id: String,
    normaliser: Normaliser,
    joiner: Joiner,
    memo: Memo,
    /// The batch that is being filled, and its number.
    counts: Vec<Count>,
    number: u64,
    /// Place in `counts` by hash of second and key.
    index: HashMap<u64, usize, RandomState>,
    hasher: RandomState,
    key: String,
    bytes: usize,
    /// Lines of all seconds are counted together.
    span: bool,
    /// Figures of other seconds in the batch.
    seconds: usize,
    lookback: bool,
    dropped: u64,
    ready: Vec<LogBatch>,
}

impl Batcher {
    /// For one source, whose times without zone are in `zone`.
    pub fn new(source: LogSource, zone: TimeZone) -> Self {
        Self::named(source.id(), source, zone)
    }

    /// For a source that is no file.
    pub fn named(id: String, source: LogSource, zone: TimeZone) -> Self {
        Self {
            id,
            normaliser: Normaliser::new(&source.format, zone),
            joiner: Joiner::new(&source.format),
            source,
            memo: Memo::default(),
            counts: Vec::new(),
            number: 0,
            index: HashMap::default(),
            hasher: RandomState::default(),
            key: String::new(),
            bytes: 0,
            span: false,
            seconds: 0,
            lookback: false,
            dropped: 0,
            ready: Vec::new(),
        }
    }

    /// Counts equal lines of different seconds together, with the figures of each second: for a log that is read from end to end.
    pub fn spanning(self) -> Self {
        Self { span: true, ..self }
    }

    /// What time it is, in seconds since the Unix epoch: a local time that occurs twice is not in the future.
    pub fn at(&mut self, now: i64) {
        self.normaliser.at(now);
    }

    /// Takes a line, which may belong to the entry before it; `second` where its time is known from elsewhere.
    pub fn take(&mut self, line: &[u8], length: u64, lookback: bool, second: Option<i64>) {
        if self.joiner.passes(line) {
            return self.add(line, length, lookback, second);
        }
        let (before, step) = self.joiner.step(line, length, lookback, second);
        self.entry(before);
        if step == Step::Alone {
            self.add(line, length, lookback, second);
        }
    }

    /// The source was looked at: an entry that nothing was added to for a while is complete. Gives whether one was.
    pub fn looked(&mut self) -> bool {
        let entry = self.joiner.looked();
        let complete = entry.is_some();
        self.entry(entry);
        complete
    }

    /// Whether an entry is open, to which more may come.
    pub fn is_open(&self) -> bool {
        self.joiner.is_open()
    }

    /// No line comes any more, or none may be waited for.
    pub fn release(&mut self) {
        let entry = self.joiner.release();
        self.entry(entry);
    }

    fn entry(&mut self, entry: Option<Joined>) {
        if let Some(Joined { text, length, lookback, second }) = entry {
            self.add(&text, length, lookback, second);
        }
    }

    /// Counts an entry; `second` where its time is known from elsewhere.
    pub fn add(&mut self, line: &[u8], length: u64, lookback: bool, second: Option<i64>) {
        self.begin(lookback);
        if !self.raw(line, length, second) {
            let text = String::from_utf8_lossy(line);
            self.key.clear();
            let second = self.normaliser.line(&text, &mut self.key).or(second);
            let request = self.source.kind == SourceKind::Access || logline::request_of_key(&self.key).is_some();
            if request && self.ours(line) {
                logline::mark_ours(&mut self.key);
            }
            self.count(second, line, length);
        }
        self.end();
    }

    /// Counts a line if its raw bytes tell that it is one of this format, and its group. `false`: they don't, and nothing is counted.
    pub(in crate::watch) fn add_raw(&mut self, line: &[u8], length: u64, lookback: bool) -> bool {
        self.normaliser.skeleton(line).is_some_and(|skeleton| self.add_cut(line, &skeleton, length, lookback))
    }

    /// The same of a line that was cut already.
    pub(in crate::watch) fn add_cut(&mut self, line: &[u8], skeleton: &Skeleton<'_>, length: u64, lookback: bool) -> bool {
        if self.ours(line) {
            return false;
        }
        self.begin(lookback);
        let counted = self.cut(line, skeleton, length, None);
        self.end();
        counted
    }

    /// Whether it is a request of our own: those count apart, for they are no users'.
    fn ours(&self, line: &[u8]) -> bool {
        match (self.source.kind, &self.source.format) {
            // HAProxy and Caddy may have requests in one log with their notices; HAProxy's tell the client's port, and no User-Agent.
            (SourceKind::Access, _) | (SourceKind::Error, LogFormat::Plain) => {
                logline::is_ours(line) || has_connected() && logline::haproxy_client(line).is_some_and(connected_from)
            }
            (SourceKind::Error | SourceKind::App | SourceKind::Kernel, _) => false,
        }
    }

    fn begin(&mut self, lookback: bool) {
        if lookback != self.lookback {
            self.seal();
            self.lookback = lookback;
        }
    }

    fn end(&mut self) {
        if self.counts.len() >= HELD_COUNTS || self.bytes >= HELD_BYTES || self.seconds >= SPAN_SECONDS {
            self.seal();
        }
    }

    /// Counts a line whose group its raw bytes tell. `false`: they don't.
    fn raw(&mut self, line: &[u8], length: u64, second: Option<i64>) -> bool {
        !self.ours(line) && self.normaliser.skeleton(line).is_some_and(|skeleton| self.cut(line, &skeleton, length, second))
    }

    fn cut(&mut self, line: &[u8], skeleton: &Skeleton<'_>, length: u64, second: Option<i64>) -> bool {
        let Some(own) = self.normaliser.second(skeleton.time) else { return false };
        let second = own.or(second);
        let hash = self.memo.hash(skeleton);
        if let Some((number, at)) = self.memo.get(hash, skeleton).map(|known| known.place) {
            if number == self.number && self.again(at, second, line, length) {
                return true;
            }
            if let Some(known) = self.memo.get(hash, skeleton) {
                self.key.clear();
                self.key.push_str(&known.key);
            }
            let place = (self.number, self.count(second, line, length));
            if let Some(known) = self.memo.get(hash, skeleton) {
                known.place = place;
            }
            return true;
        }
        self.key.clear();
        if !self.normaliser.key(skeleton, &mut self.key) {
            let Ok(text) = str::from_utf8(line) else { return false };
            self.key.clear();
            self.normaliser.line(text, &mut self.key);
        }
        let at = self.count(second, line, length);
        if let Some(count) = self.counts.get(at) {
            self.memo.put(hash, skeleton, &count.key, (self.number, at));
        }
        true
    }

    /// Counts a line of the present key; its place in the batch.
    fn count(&mut self, second: Option<i64>, line: &[u8], length: u64) -> usize {
        let own = if self.span { second.map(|_| 0) } else { second };
        let hash = self.hasher.hash_one((own, &self.key));
        if let Some(at) = self.index.get(&hash).copied()
            // Two groups of one hash would at worst be counted in two entries.
            && self.counts.get(at).is_some_and(|count| *count.key == self.key)
            && self.again(at, second, line, length)
        {
            return at;
        }
        let first = verbatim(line, length);
        self.bytes += first.len() + self.key.len();
        let at = self.counts.len();
        self.index.insert(hash, at);
        let key = Arc::from(self.key.as_str());
        self.counts.push(Count { second, key, lines: 1, later: Vec::new(), first, last: Vec::new(), length: 0 });
        at
    }

    /// Counts another line at this place, if the second allows it.
    fn again(&mut self, at: usize, second: Option<i64>, line: &[u8], length: u64) -> bool {
        let Some(count) = self.counts.get_mut(at) else { return false };
        if count.second != second {
            let (true, Some(first), Some(second)) = (self.span, count.second, second) else { return false };
            // What is decades away is counted by itself.
            let Some(ahead) = second.checked_sub(first).and_then(|ahead| i32::try_from(ahead).ok()) else { return false };
            match count.later.last_mut() {
                Some((known, lines)) if *known == ahead => *lines = lines.saturating_add(1),
                _ => {
                    count.later.push((ahead, 1));
                    self.seconds += 1;
                }
            }
        }
        let before = count.last.len();
        count.lines = count.lines.saturating_add(1);
        count.last.clear();
        count.last.extend_from_slice(line.get(..RAW_BYTES).unwrap_or(line));
        count.length = length;
        self.bytes = (self.bytes + count.last.len()).saturating_sub(before);
        true
    }

    /// Counts lines that were passed over.
    pub fn missed(&mut self, lines: u64) {
        self.release();
        self.dropped = self.dropped.saturating_add(lines);
    }

    /// Whether there is anything that was not taken yet.
    pub fn pending(&self) -> bool {
        !self.counts.is_empty() || self.dropped > 0 || !self.ready.is_empty()
    }

    /// How many different lines are counted in what is being filled.
    pub fn groups(&self) -> usize {
        self.counts.len()
    }

    /// The batches that are full.
    pub fn full(&mut self) -> Vec<LogBatch> {
        std::mem::take(&mut self.ready)
    }

    /// All batches, the one that is being filled as well.
    pub fn all(&mut self) -> Vec<LogBatch> {
        self.seal();
        self.full()
    }

    fn seal(&mut self) {
        if self.counts.is_empty() && self.dropped == 0 {
            return;
        }
        self.index.clear();
        (self.bytes, self.seconds) = (0, 0);
        self.number += 1;
        let mut counts = self.counts.drain(..).map(LogCount::from).peekable();
        let mut dropped = std::mem::take(&mut self.dropped);
        loop {
            let mut batch = LogBatch {
                source: self.id.clone(),
                kind: self.source.kind,
                format: self.source.format.clone(),
                counts: Vec::new(),
                lookback: self.lookback,
                dropped: std::mem::take(&mut dropped),
            };
            let mut bytes = 0;
            // What is read from end to end goes nowhere but into the scene.
            while self.span || batch.counts.len() < COUNTS && bytes < BATCH_BYTES {
                let Some(count) = counts.next() else { break };
                bytes += count.bytes();
                batch.counts.push(count);
            }
            self.ready.push(batch);
            if counts.peek().is_none() {
                return;
            }
        }
    }
}

impl Sink for Batcher {
    fn line(&mut self, line: &[u8], length: u64, lookback: bool) {
        self.take(line, length, lookback, None);
    }

    fn dropped(&mut self, lines: u64) {
        self.missed(lines);
    }
}

/// The line, or its beginning and its length.
fn verbatim(line: &[u8], length: u64) -> String {
    let line = line.get(..RAW_BYTES).unwrap_or(line);
    // What is text is known as such many bytes at a time, what is none byte by byte.
    let text = str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    if text.len() <= VERBATIM_BYTES {
        text.into_owned()
    } else {
        format!("{} ... ({length} bytes)", &text[..text.floor_char_boundary(VERBATIM_BYTES)])
    }
}

#[cfg(test)]
mod tests;
