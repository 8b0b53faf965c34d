//! The one time type above `sys/`.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// When something was seen: on the clock of this run, which never jumps, and on the wall clock, which log lines use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since this run began.
    pub run_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
}

impl Stamp {
    /// Seconds since the Unix epoch, rounded down: the resolution of most log formats.
    pub fn wall_s(self) -> i64 {
        self.wall_ms.div_euclid(1000)
    }

    /// `2026-11-20T02:31:07Z`.
    pub fn utc(self) -> String {
        rfc3339(self.wall_s())
    }

    /// `02:31:07`, in UTC.
    pub fn clock(self) -> String {
        clock(self.wall_s())
    }
}

/// `2026-11-20T02:31:07Z` of a number of seconds since the Unix epoch.
pub fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |at| at.to_string())
}

/// `02:31:07`, in UTC, of a number of seconds since the Unix epoch.
pub fn clock(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "?".to_owned(), |at| at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string())
}
