//! Lines to counts: equal lines of one second become one entry, in batches of bounded size.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use jiff::tz::TimeZone;

use super::{lines::Sink, memo::Memo, normalise::Normaliser};
use crate::model::{LogBatch, LogCount, LogSource};

/// Different lines in one batch, at most.
pub const COUNTS: usize = 256;
/// Text in one batch, at most, in bytes: what the outbox counts on.
pub const BATCH_BYTES: usize = 64 << 10;
/// Bytes of a line that are kept verbatim. nginx cuts its own lines there (`NGX_MAX_ERROR_STR`).
pub const VERBATIM_BYTES: usize = 2048;
/// Raw bytes that hold as many of text: bytes that are no text become longer, and a character may lie across the end.
const RAW_BYTES: usize = VERBATIM_BYTES + 4;

/// Equal lines of one second, while they are counted.
#[derive(Debug)]
struct Count {
    second: Option<i64>,
    key: Arc<str>,
    count: u32,
    first: String,
    /// The last line, raw and up to [`RAW_BYTES`], and how long it was. It is made text when the batch is full, not for each line.
    last: Vec<u8>,
    length: u64,
}

impl From<Count> for LogCount {
    fn from(count: Count) -> Self {
        let Count { second, key, count, first, last, length } = count;
        Self { second, key: key.as_ref().to_owned(), count, first, last: (count > 1).then(|| verbatim(&last, length)) }
    }
}

/// Counts lines into batches.
#[derive(Debug)]
pub struct Batcher {
    source: LogSource,
    id: String,
    normaliser: Normaliser,
    memo: Memo,
    /// The batch that is being filled, and its number.
    counts: Vec<Count>,
    number: u64,
    /// Place in `counts` by hash of second and key.
    index: HashMap<u64, usize>,
    hasher: RandomState,
    key: String,
    bytes: usize,
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
            source,
            memo: Memo::default(),
            counts: Vec::new(),
            number: 0,
            index: HashMap::new(),
            hasher: RandomState::new(),
            key: String::new(),
            bytes: 0,
            lookback: false,
            dropped: 0,
            ready: Vec::new(),
        }
    }

    /// What time it is, in seconds since the Unix epoch: a local time that occurs twice is not in the future.
    pub fn at(&mut self, now: i64) {
        self.normaliser.at(now);
    }

    /// Counts a line; `second` where its time is known from elsewhere.
    pub fn add(&mut self, line: &[u8], length: u64, lookback: bool, second: Option<i64>) {
        if lookback != self.lookback {
            self.seal();
            self.lookback = lookback;
        }
        if !self.known(line, length, second) {
            let text = String::from_utf8_lossy(line);
            self.key.clear();
            let second = self.normaliser.line(&text, &mut self.key).or(second);
            let key = Arc::from(self.key.as_str());
            let at = self.count(second, &key, line, length);
            if let Some(skeleton) = self.normaliser.skeleton(line) {
                let hash = self.memo.hash(&skeleton);
                self.memo.put(hash, &skeleton, &key, (self.number, second, at));
            }
        }
        if self.counts.len() >= COUNTS || self.bytes >= BATCH_BYTES {
            self.seal();
        }
    }

    /// Counts a line whose like was seen before. `false`: there was none.
    fn known(&mut self, line: &[u8], length: u64, second: Option<i64>) -> bool {
        let Some(skeleton) = self.normaliser.skeleton(line) else { return false };
        let Some(own) = self.normaliser.second(skeleton.time) else { return false };
        let second = own.or(second);
        let hash = self.memo.hash(&skeleton);
        let Some(known) = self.memo.get(hash, &skeleton) else { return false };
        let (number, at_second, at) = known.place;
        if (number, at_second) == (self.number, second)
            && let Some(count) = self.counts.get_mut(at)
        {
            self.bytes += count.again(line, length);
            return true;
        }
        let key = Arc::clone(&known.key);
        let place = (self.number, second, self.count(second, &key, line, length));
        if let Some(known) = self.memo.get(hash, &skeleton) {
            known.place = place;
        }
        true
    }

    /// Counts a line of this key; its place in the batch.
    fn count(&mut self, second: Option<i64>, key: &Arc<str>, line: &[u8], length: u64) -> usize {
        let hash = self.hasher.hash_one((second, key));
        if let Some(at) = self.index.get(&hash).copied()
            && let Some(count) = self.counts.get_mut(at)
            // Two groups of one hash would at worst be counted in two entries.
            && count.second == second
            && count.key == *key
        {
            self.bytes += count.again(line, length);
            return at;
        }
        let first = verbatim(line, length);
        self.bytes += first.len() + key.len();
        let at = self.counts.len();
        self.index.insert(hash, at);
        self.counts.push(Count { second, key: Arc::clone(key), count: 1, first, last: Vec::new(), length: 0 });
        at
    }

    /// Counts lines that were passed over.
    pub fn missed(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
    }

    /// Whether there is anything that was not taken yet.
    pub fn pending(&self) -> bool {
        !self.counts.is_empty() || self.dropped > 0 || !self.ready.is_empty()
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
        self.bytes = 0;
        self.number += 1;
        self.ready.push(LogBatch {
            source: self.id.clone(),
            kind: self.source.kind,
            format: self.source.format.clone(),
            counts: self.counts.drain(..).map(LogCount::from).collect(),
            lookback: self.lookback,
            dropped: std::mem::take(&mut self.dropped),
        });
    }
}

impl Sink for Batcher {
    fn line(&mut self, line: &[u8], length: u64, lookback: bool) {
        self.add(line, length, lookback, None);
    }

    fn dropped(&mut self, lines: u64) {
        self.missed(lines);
    }
}

impl Count {
    /// Counts another line; by how many bytes it has grown.
    fn again(&mut self, line: &[u8], length: u64) -> usize {
        let before = self.last.len();
        self.count = self.count.saturating_add(1);
        self.last.clear();
        self.last.extend_from_slice(line.get(..RAW_BYTES).unwrap_or(line));
        self.length = length;
        self.last.len().saturating_sub(before)
    }
}

/// The line, or its beginning and its length.
fn verbatim(line: &[u8], length: u64) -> String {
    let text = String::from_utf8_lossy(line.get(..RAW_BYTES).unwrap_or(line));
    if text.len() <= VERBATIM_BYTES {
        text.into_owned()
    } else {
        format!("{} ... ({length} bytes)", &text[..text.floor_char_boundary(VERBATIM_BYTES)])
    }
}

#[cfg(test)]
mod tests;
