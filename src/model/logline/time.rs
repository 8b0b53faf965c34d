//! Time stamps as programs write them.
//!
//! Most have no zone, some no year: they are placed in the zone of the host that wrote them, and never in its future.
//!
//! To add a shape: a variant of [`TimeShape`], its pattern in [`TimeShape::pattern`], and its arm in [`LineTime::second`].

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};

/// How far ahead of our clock a log may be, in seconds, before a time that occurs twice is taken for the first one.
const AHEAD_S: i64 = 5;
/// How far ahead a stamp without a year may be, in seconds, before it is taken for one of last year: clocks are wrong by
/// hours (a zone), seldom by more than a day.
const YEAR_AHEAD_S: i64 = 26 * 3600;

/// How a time stamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeShape {
    /// nginx, Squid's cache.log, Go's log package: `2026/11/20 02:17:41`.
    Slashed,
    /// ctime(3), Apache, uwsgi: `Fri Nov 20 23:36:34.123456 2026`, `Fri Nov  6 23:36:34 2026`.
    Ctime,
    /// Common log format, HAProxy: `20/Nov/2026:23:36:34.395 +0000`, also without fraction or zone.
    Clf,
    /// php: `20-Nov-2026 23:36:34`, with a fraction or the zone's name behind it. Tomcat: `20-Nov-2026 23:36:34.123`.
    Php,
    /// Python, lighttpd, Java: `2026-11-20 23:36:34,123`, also with `+0000` or `Z` behind it.
    Dashed,
    /// RFC 3339 and its relatives: `2026-11-20T23:36:34.123Z`, `...+00:00`, `...+0000`; without zone it is local.
    Rfc3339,
    /// syslog (RFC 3164): `Nov 20 23:36:34`.
    Syslog,
    /// klog (Kubernetes): `1120 23:36:34.402313`.
    Klog,
    /// Extended log format of the W3C as CloudFront writes it, in UTC: `2026-11-20`, a tab (or blanks in a paste), `23:36:34`.
    W3c,
    /// Seconds since the Unix epoch, with or without a fraction.
    Epoch,
}

/// All shapes, in the order in which an unknown text is tried.
pub const SHAPES: &[TimeShape] = &[
    TimeShape::Slashed,
    TimeShape::Dashed,
    TimeShape::Rfc3339,
    TimeShape::Ctime,
    TimeShape::Syslog,
    TimeShape::Clf,
    TimeShape::Php,
];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl TimeShape {
    /// The part that all stamps of this shape have: `d` is a digit, `D` a digit or a blank, `a` a letter, all else itself.
    fn pattern(self) -> &'static str {
        match self {
            Self::Slashed => "dddd/dd/dd dd:dd:dd",
            Self::Ctime => "aaa aaa Dd dd:dd:dd",
            Self::Clf => "dd/aaa/dddd:dd:dd:dd",
            Self::Php => "dd-aaa-dddd dd:dd:dd",
            Self::Dashed => "dddd-dd-dd dd:dd:dd",
            Self::Rfc3339 => "dddd-dd-ddTdd:dd:dd",
            Self::Syslog => "aaa Dd dd:dd:dd",
            Self::Klog => "dddd dd:dd:dd",
            Self::W3c => "dddd-dd-dd\tdd:dd:dd",
            Self::Epoch => "dddddddddd",
        }
    }

    /// The stamp that a text begins with, and what stands behind it.
    pub fn leading(self, text: &str) -> Option<(LineTime<'_>, &str)> {
        if self == Self::W3c {
            return w3c(text);
        }
        let fixed = shaped(text, self.pattern())?;
        let mut end = fixed + fraction(&text[fixed..]);
        match self {
            Self::Ctime => end += shaped(&text[end..], " dddd")?,
            Self::Clf => end += shaped(&text[end..], " +dddd").or_else(|| shaped(&text[end..], " -dddd")).unwrap_or(0),
            Self::Php => end += zone_name(&text[end..]),
            Self::Dashed | Self::Rfc3339 => {
                let zones = ["+dd:dd", "-dd:dd", "+dddd", "-dddd", " +dd:dd", " -dd:dd", " +dddd", " -dddd", "Z", " UTC", " Z"];
                end += zones.iter().find_map(|zone| shaped(&text[end..], zone)).unwrap_or(0);
            }
            Self::Epoch if text[end..].starts_with(|c: char| c.is_ascii_digit()) => return None,
            Self::Epoch | Self::Slashed | Self::Syslog | Self::Klog | Self::W3c => {}
        }
        if self == Self::Syslog && !MONTHS.contains(&&text[..3]) || self == Self::Ctime && !MONTHS.contains(&&text[4..7]) {
            return None;
        }
        Some((LineTime { text: &text[..end], shape: self }, &text[end..]))
    }
}

/// A time stamp of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTime<'a> {
    /// As written.
    pub text: &'a str,
    /// How it is written.
    pub shape: TimeShape,
}

impl<'a> LineTime<'a> {
    /// The stamp that a text begins with, of whatever shape, and what stands behind it.
    pub fn leading(text: &'a str) -> Option<(Self, &'a str)> {
        SHAPES.iter().find_map(|shape| shape.leading(text))
    }

    /// The text without fractions of a second and what follows them: equal for most lines of one second.
    pub fn coarse(&self) -> &'a str {
        match self.shape {
            // The year, or the zone, stands behind the fraction.
            TimeShape::Ctime | TimeShape::Clf | TimeShape::Rfc3339 | TimeShape::Dashed | TimeShape::Php | TimeShape::W3c => {
                self.text
            }
            TimeShape::Slashed | TimeShape::Syslog | TimeShape::Klog | TimeShape::Epoch => &self.text[..self.shape.pattern().len()],
        }
    }

    /// Seconds since the Unix epoch; a time without zone is one of `zone`, one that could be several is the last that is not
    /// after `now`. `None`: it is no time.
    pub fn second(&self, zone: &TimeZone, now: i64) -> Option<i64> {
        let text = self.text;
        let digits = |from: usize, to: usize| text.get(from..to).and_then(|part| part.trim_start().parse::<i16>().ok());
        let month = |from: usize| {
            MONTHS.iter().position(|month| text.get(from..from + 3) == Some(*month)).and_then(|at| i16::try_from(at + 1).ok())
        };
        // Year, month, day, and where the clock stands.
        let (year, month, day, clock) = match self.shape {
            TimeShape::Epoch => return text.get(..10)?.parse().ok(),
            TimeShape::Slashed | TimeShape::Dashed | TimeShape::Rfc3339 => (digits(0, 4), digits(5, 7), digits(8, 10), 11),
            TimeShape::W3c => (digits(0, 4), digits(5, 7), digits(8, 10), text.len() - 8),
            TimeShape::Ctime => (digits(text.len() - 4, text.len()), month(4), digits(8, 10), 11),
            TimeShape::Clf | TimeShape::Php => (digits(7, 11), month(3), digits(0, 2), 12),
            TimeShape::Syslog => (None, month(0), digits(4, 6), 7),
            TimeShape::Klog => (None, digits(0, 2), digits(2, 4), 5),
        };
        let (month, day) = (i8::try_from(month?).ok()?, i8::try_from(day?).ok()?);
        let part = |at: usize| i8::try_from(digits(at, at + 2)?).ok();
        let (hour, minute, second) = (part(clock)?, part(clock + 3)?, part(clock + 6)?);
        // A leap second is written as 60 (strftime(3)).
        let at = |year: i16| DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok();
        if let Some(year) = year {
            return match self.offset() {
                Some(offset) => offset.to_timestamp(at(year)?).ok().map(Timestamp::as_second),
                None => local(at(year)?, zone, now),
            };
        }
        let this = Timestamp::from_second(now.min(LAST_S)).ok()?.to_zoned(zone.clone()).date();
        let in_year = |year: i16| at(year).and_then(|at| local(at, zone, now));
        let newest = |date: Date| date.year().saturating_add(1);
        (this.year() - 8..=newest(this)).rev().filter_map(in_year).find(|second| *second <= now.saturating_add(YEAR_AHEAD_S))
    }

    /// Whether the stamp itself tells when it was, whatever the zone of who wrote it.
    pub fn is_placed(&self) -> bool {
        self.shape == TimeShape::Epoch || self.offset().is_some()
    }

    /// The offset that the stamp itself carries.
    fn offset(&self) -> Option<Offset> {
        let fixed = self.shape.pattern().len();
        let behind = self.text.get(fixed..)?;
        let behind = behind.trim_start_matches(|c: char| c == '.' || c == ',' || c.is_ascii_digit()).trim_start();
        match self.shape {
            TimeShape::Clf | TimeShape::Dashed | TimeShape::Rfc3339 => {}
            TimeShape::W3c => return Some(Offset::UTC),
            TimeShape::Php => return matches!(behind, "UTC" | "GMT").then_some(Offset::UTC),
            TimeShape::Slashed | TimeShape::Ctime | TimeShape::Syslog | TimeShape::Klog | TimeShape::Epoch => return None,
        }
        if matches!(behind, "Z" | "UTC") {
            return Some(Offset::UTC);
        }
        let sign = match behind.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let digits: String = behind[1..].chars().filter(char::is_ascii_digit).collect();
        let (hours, minutes): (i32, i32) = (digits.get(..2)?.parse().ok()?, digits.get(2..4)?.parse().ok()?);
        Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
    }
}

/// The last second that jiff can place: the year 9999.
const LAST_S: i64 = 253_370_764_800;

/// A local time. In the hour that occurs twice when clocks are set back, the later one is meant unless it is in the future.
pub fn local(at: DateTime, zone: &TimeZone, now: i64) -> Option<i64> {
    let possible = zone.to_ambiguous_timestamp(at);
    let later = possible.later().ok().map(Timestamp::as_second);
    if later.is_some_and(|later| later <= now.saturating_add(AHEAD_S)) {
        return later;
    }
    possible.earlier().ok().map(Timestamp::as_second)
}

/// A date and a time as two fields.
fn w3c(text: &str) -> Option<(LineTime<'_>, &str)> {
    let date = shaped(text, "dddd-dd-dd")?;
    let blanks = text[date..].bytes().take_while(|byte| matches!(byte, b'\t' | b' ')).count();
    let end = date + blanks + shaped(&text[date + blanks..], "dd:dd:dd").filter(|_| blanks > 0)?;
    Some((LineTime { text: &text[..end], shape: TimeShape::W3c }, &text[end..]))
}

/// The length of the pattern, if the text begins like it.
fn shaped(text: &str, pattern: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(..pattern.len())?;
    let fits = |(byte, wanted): (&u8, u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'D' => byte.is_ascii_digit() || *byte == b' ',
        b'a' => byte.is_ascii_alphabetic(),
        _ => *byte == wanted,
    };
    bytes.iter().zip(pattern.bytes()).all(fits).then_some(pattern.len())
}

/// The length of `.123` or `,123`.
fn fraction(text: &str) -> usize {
    if !text.starts_with(['.', ',']) {
        return 0;
    }
    match text.bytes().skip(1).take_while(u8::is_ascii_digit).count() {
        0 => 0,
        digits => digits + 1,
    }
}

/// The length of ` UTC` or ` Europe/Berlin`, as php writes it behind the time.
fn zone_name(text: &str) -> usize {
    let Some(name) = text.strip_prefix(' ') else { return 0 };
    let length = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+')).count();
    // Behind php's zone stands the bracket; a word that something else follows is a message.
    if length > 0 && name[length..].starts_with(']') { length + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-20T23:36:34Z.
    const THEN: i64 = 1_795_217_794;

    fn second(text: &str) -> Option<i64> {
        let (time, rest) =
            LineTime::leading(text).or_else(|| TimeShape::Klog.leading(text)).or_else(|| TimeShape::Epoch.leading(text))?;
        assert_eq!(rest, " x", "{text}");
        time.second(&TimeZone::UTC, THEN + 60)
    }

    #[test]
    fn every_shape_is_placed() {
        for text in [
            "2026/11/20 23:36:34 x",
            "2026-11-20 23:36:34,123 x",
            "2026-11-20 23:36:34 +0000 x",
            "2026-11-21 01:36:34 +0200 x",
            "2026-11-20T23:36:34.402Z x",
            "2026-11-21T01:36:34+02:00 x",
            "2026-11-20T23:36:34+0000 x",
            "Fri Nov 20 23:36:34.123456 2026 x",
            "Fri Nov 20 23:36:34 2026 x",
            "Nov 20 23:36:34 x",
            "20/Nov/2026:23:36:34.395 x",
            "20/Nov/2026:23:36:34 +0000 x",
            "20-Nov-2026 23:36:34.5 x",
            "1120 23:36:34.402313 x",
            "1795217794.402 x",
        ] {
            assert_eq!(second(text), Some(THEN), "{text}");
        }
        assert_eq!(
            LineTime::leading("20-Nov-2026 23:36:34 UTC] x").map(|(time, rest)| (time.text, rest)),
            Some(("20-Nov-2026 23:36:34 UTC", "] x"))
        );
    }

    #[test]
    fn without_a_year_it_is_the_last_one_that_is_not_in_the_future() {
        // At new year the lines of before are of last year.
        let (time, _) = LineTime::leading("Dec 31 23:59:59 x").expect("a stamp");
        let new_year = 1_798_761_601; // 2027-01-01T00:00:01Z
        assert_eq!(time.second(&TimeZone::UTC, new_year), Some(new_year - 2));
        let (leap, _) = LineTime::leading("Feb 29 00:00:00 x").expect("a stamp");
        assert_eq!(leap.second(&TimeZone::UTC, new_year), Some(1_709_164_800), "2024 was the last leap year");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", junk in "[0-9/: TZ+.,aNov-]{0,40}", now in any::<i64>()) {
            for text in [text, junk] {
                for shape in SHAPES.iter().chain(&[TimeShape::Klog, TimeShape::W3c, TimeShape::Epoch]) {
                    if let Some((time, _)) = shape.leading(&text) {
                        let _ = (time.second(&TimeZone::UTC, now), time.coarse());
                    }
                }
            }
        }
    }
}
