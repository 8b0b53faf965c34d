//! Lines to counts: equal lines of one second become one entry, in batches of bounded size.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use jiff::tz::TimeZone;

use super::{lines::Sink, normalise::Normaliser};
use crate::model::{LogBatch, LogCount, LogSource};

/// Different lines in one batch, at most.
pub const COUNTS: usize = 256;
/// Text in one batch, at most, in bytes: what the outbox counts on.
pub const BATCH_BYTES: usize = 64 << 10;
/// Bytes of a line that are kept verbatim. nginx cuts its own lines there (`NGX_MAX_ERROR_STR`).
pub const VERBATIM_BYTES: usize = 2048;

/// Counts lines into batches.
#[derive(Debug)]
pub struct Batcher {
    source: LogSource,
    id: String,
    normaliser: Normaliser,
    /// The batch that is being filled.
    counts: Vec<LogCount>,
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
            counts: Vec::new(),
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
        let text = String::from_utf8_lossy(line);
        self.key.clear();
        let second = self.normaliser.line(&text, &mut self.key).or(second);
        let hash = self.hasher.hash_one((second, &self.key));
        let known = self.index.get(&hash).and_then(|at| self.counts.get_mut(*at));
        // Two groups of one hash would at worst be counted in two entries.
        if let Some(count) = known.filter(|count| count.second == second && count.key == self.key) {
            count.count = count.count.saturating_add(1);
            let last = count.last.get_or_insert_default();
            self.bytes = self.bytes.saturating_sub(last.len());
            last.clear();
            verbatim(&text, length, last);
            self.bytes += last.len();
        } else {
            let mut first = String::new();
            verbatim(&text, length, &mut first);
            self.bytes += first.len() + self.key.len();
            self.index.insert(hash, self.counts.len());
            self.counts.push(LogCount { second, key: self.key.clone(), count: 1, first, last: None });
        }
        if self.counts.len() >= COUNTS || self.bytes >= BATCH_BYTES {
            self.seal();
        }
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
        self.ready.push(LogBatch {
            source: self.id.clone(),
            kind: self.source.kind,
            format: self.source.format.clone(),
            counts: std::mem::take(&mut self.counts),
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

/// The line, or its beginning and its length.
fn verbatim(text: &str, length: u64, out: &mut String) {
    if text.len() <= VERBATIM_BYTES {
        out.push_str(text);
    } else {
        out.push_str(&text[..text.floor_char_boundary(VERBATIM_BYTES)]);
        out.push_str(&format!(" ... ({length} bytes)"));
    }
}
