//! Which zone the stamps are in that have none: a gateway writes the time of its host, journals and containers UTC, and of a paste
//! nobody knows the host.
//!
//! Lines that belong together end together. Where those without zone end whole hours before or after those that carry one, to the minute,
//! that is their zone; else they are taken as they stand. It must not be guessed from less: an outage of hours ago is told by the
//! same lines.

use jiff::tz::{Offset, TimeZone};

use crate::model::logline::{self, TimeShape};

/// Lines of the beginning that are looked at.
const LINES: usize = 4000;
/// Lines among which one with a year is looked for.
const DATED_LINES: usize = 400;
/// Seconds that the ends may lie apart.
const APART_S: i64 = 60;
/// The zones that are no whole hours from UTC, and in which many live: India, and the middle of Australia.
const HALF_HOURS_S: [i64; 3] = [19_800, 34_200, 37_800];
/// The zones of the earth: UTC-12 to UTC+14.
const ZONES_S: std::ops::RangeInclusive<i64> = -43_200..=50_400;

/// First and last second.
type Span = (i64, i64);

/// The latest second at which the stamps without a year can be: they are of the year of those that have one. `now`: where none tells.
pub(super) fn latest(head: &str, now: i64) -> i64 {
    let yearless = |shape: TimeShape| matches!(shape, TimeShape::Syslog | TimeShape::Klog);
    let (mut newest, mut needed) = (None, false);
    for time in head.lines().take(DATED_LINES).filter_map(|line| logline::read(line).time) {
        if yearless(time.shape) {
            needed = true;
        } else {
            newest = newest.max(time.second(&TimeZone::UTC, now));
        }
    }
    newest.filter(|newest| needed && *newest < now).unwrap_or(now)
}

/// The zone of the stamps without one. `None`: nothing tells.
pub(super) fn zone_of(head: &str, now: i64) -> Option<TimeZone> {
    let mut placed: Option<Span> = None;
    let mut local: Option<Span> = None;
    for line in head.lines().take(LINES) {
        let Some(at) = logline::begins(line) else { continue };
        let Some(time) = logline::read(&line[at..]).time else { continue };
        let Some(second) = time.second(&TimeZone::UTC, now) else { continue };
        let range = if time.is_placed() { &mut placed } else { &mut local };
        *range = Some(range.map_or((second, second), |(first, last)| (first.min(second), last.max(second))));
    }
    let (placed, local) = (placed?, local?);
    let overlap = placed.0 <= local.1 + APART_S && local.0 <= placed.1 + APART_S;
    let ahead = local.1 - placed.1;
    let hours = (ahead + ahead.signum() * 1800) / 3600 * 3600;
    let offset = std::iter::once(hours).chain(HALF_HOURS_S).find(|offset| (ahead - offset).abs() <= APART_S)?;
    if overlap || offset == 0 || !ZONES_S.contains(&offset) {
        return None;
    }
    Some(TimeZone::fixed(Offset::from_seconds(i32::try_from(offset).ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn offset(local: &str, placed: &str) -> Option<i32> {
        let text = format!(
            "{local} [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream\n\
             {placed} app1 kernel: Out of memory: Killed process 2291 (uvicorn)\n"
        );
        let zone = zone_of(&text, NOW)?;
        Some(zone.to_offset(jiff::Timestamp::from_second(NOW).expect("a time")).seconds())
    }

    #[test]
    fn hours_apart_to_the_minute_are_a_zone() {
        assert_eq!(offset("2026/03/12 10:14:02", "2026-03-12T09:14:01.812345+00:00"), Some(3600));
        assert_eq!(offset("2026/03/12 04:14:02", "2026-03-12T09:14:01.812345+00:00"), Some(-18_000));
        assert_eq!(offset("2026/03/12 14:44:02", "2026-03-12T09:14:01.812345+00:00"), Some(19_800));
    }

    #[test]
    fn anything_else_is_taken_as_it_stands() {
        assert_eq!(offset("2026/03/12 09:14:02", "2026-03-12T09:14:01.812345+00:00"), None);
        assert_eq!(offset("2026/03/12 10:24:02", "2026-03-12T09:14:01.812345+00:00"), None);
        assert_eq!(offset("2026/03/14 09:14:02", "2026-03-12T09:14:01.812345+00:00"), None);
        assert!(zone_of("2026/03/12 09:14:02 [error] 811#811: x", NOW).is_none());
    }
}
