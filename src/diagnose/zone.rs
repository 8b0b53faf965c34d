//! Logs whose time stamps are of another zone than the host's: a container's in UTC beside a host in local time, a program started
//! with its own TZ.
//!
//! A stamp without zone cannot tell. But a line that arrives while we look was written just now, so what lies between its stamp and
//! our clock is the difference of the zones: a multiple of a quarter of an hour (all zones in use since 1972 are), where a line
//! that is merely late is off by any number of seconds.

use std::collections::BTreeMap;

/// Zones differ by multiples of this, in seconds.
const STEP_S: i64 = 900;
/// How far from such a multiple a fresh line may be, in seconds: logs are written through buffers, and read in batches.
const SLACK_S: i64 = 20;
/// Farthest difference of two zones (UTC-12 to UTC+14), in seconds.
const FARTHEST_S: i64 = 26 * 3600;
/// Times that a log must be seen behind by the same before it is believed: a buffer may be flushed late, once.
const WITNESSES: u32 = 3;

/// What is known of the zones of logs, by source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zones {
    sources: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    /// What is added to its stamps, in seconds.
    shift: i64,
    candidate: i64,
    witnesses: u32,
}

impl Zones {
    /// What has to be added to the stamps of this source, in seconds.
    pub fn shift(&self, source: &str) -> i64 {
        self.sources.get(source).map_or(0, |seen| seen.shift)
    }

    /// Takes in that the newest line of a source, stamped `newest` as it would be shown, came at `now` (both in seconds since the
    /// Unix epoch). Gives by how much what is known of it must be moved, where that is news.
    pub fn witness(&mut self, source: &str, newest: i64, now: i64) -> Option<i64> {
        let behind = now - newest;
        let steps = (behind + STEP_S.div_euclid(2)).div_euclid(STEP_S) * STEP_S;
        let seen = self.sources.entry(source.to_owned()).or_default();
        if steps == 0 || (behind - steps).abs() > SLACK_S || steps.abs() > FARTHEST_S {
            // In place, or merely late.
            (seen.candidate, seen.witnesses) = (0, 0);
            return None;
        }
        if seen.candidate != steps {
            (seen.candidate, seen.witnesses) = (steps, 0);
        }
        seen.witnesses += 1;
        // The future is never a late line.
        if steps > 0 && seen.witnesses < WITNESSES {
            return None;
        }
        seen.shift += steps;
        (seen.candidate, seen.witnesses) = (0, 0);
        Some(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_another_zone_is_moved_and_a_late_one_is_not() {
        let mut zones = Zones::default();
        let now = 1_795_217_794;
        // Two hours ahead: at once. One that is in place stays.
        assert_eq!(zones.witness("ahead", now + 7200, now + 1), Some(-7200));
        assert_eq!(zones.shift("ahead"), -7200);
        assert_eq!(zones.witness("ahead", now + 5, now + 5), None);
        // Five and a half hours behind: when it is so again and again.
        let behind = |zones: &mut Zones, at: i64| zones.witness("behind", at - 19_800, at + 1);
        assert_eq!([1, 2, 3].map(|s| behind(&mut zones, now + s)), [None, None, Some(19_800)]);
        // A buffer that is flushed late is behind by anything, and not by the same each time.
        for late in [1, 37, 300, 901, 1_203, 905, 1_790, 1_805, 43] {
            assert_eq!(zones.witness("late", now - late, now), None, "{late} s late");
        }
        assert_eq!(zones.shift("late"), 0);
    }
}
