//! The time stamps of one log, placed: most lines share theirs with the line before, so the last one is remembered.

use jiff::tz::TimeZone;

use crate::model::logline::LineTime;

/// Places the stamps of one log.
#[derive(Debug)]
pub(super) struct Stamps {
    /// The zone of times that tell none.
    pub(super) zone: TimeZone,
    /// What time it is, in seconds since the Unix epoch: a time that could be several is none after it.
    pub(super) now: i64,
    /// The last one, as text and as seconds.
    last: (String, Option<i64>),
}

impl Stamps {
    pub(super) fn new(zone: TimeZone, now: i64) -> Self {
        Self { zone, now, last: (String::new(), None) }
    }

    /// The second of this stamp, found anew where it is another than the last.
    pub(super) fn cached(&mut self, text: &str, find: impl FnOnce(&Self) -> Option<i64>) -> Option<i64> {
        if self.last.0 != text {
            let second = find(self);
            self.last.0.clear();
            self.last.0.push_str(text);
            self.last.1 = second;
        }
        self.last.1
    }

    /// The second of a line's stamp.
    pub(super) fn placed(&mut self, time: LineTime<'_>) -> Option<i64> {
        self.cached(time.coarse(), |this| time.second(&this.zone, this.now))
    }
}
