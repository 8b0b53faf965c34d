//! `Retry-After` of a server that has enough to do (RFC 9110 section 10.2.3): how long it asks to be left alone.

use jiff::fmt::rfc2822::DateTimeParser;

/// Seconds that are believed, at most: a day.
const MOST_S: u64 = 86_400;

/// Seconds, of an answer that says that there are too many requests or that it is out of service. A date is taken from the answer's own
/// `Date`, so that no two clocks are compared. `None`: it does not ask, or nothing that can be read.
pub(super) fn seconds<'a>(status: u16, header: impl Fn(&str) -> Option<&'a str>) -> Option<u64> {
    let wanted = header("retry-after").filter(|_| matches!(status, 429 | 503))?.trim();
    let seconds = if let Ok(seconds) = wanted.parse::<u64>() {
        seconds
    } else {
        let at = |text: &str| DateTimeParser::new().parse_timestamp(text.trim()).ok();
        let left = at(wanted)?.as_second().checked_sub(at(header("date")?)?.as_second())?;
        u64::try_from(left).unwrap_or(0)
    };
    Some(seconds.min(MOST_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let of = |status, wanted: &'static str| {
            seconds(status, |name| match name {
                "retry-after" => Some(wanted),
                "date" => Some("Fri, 31 Dec 1999 23:58:59 GMT"),
                _ => None,
            })
        };
        assert_eq!(of(503, "120"), Some(120));
        assert_eq!(of(429, " 7 "), Some(7));
        assert_eq!(of(503, "Fri, 31 Dec 1999 23:59:59 GMT"), Some(60));
        assert_eq!(of(503, "Thu, 31 Dec 1998 23:59:59 GMT"), Some(0), "over");
        assert_eq!(of(503, "99999999999"), Some(86_400));
        assert_eq!(of(200, "120"), None);
        for odd in ["", "-1", "soon", "1.5", "\u{1b}[2J"] {
            assert_eq!(of(503, odd), None, "{odd}");
        }
        assert_eq!(seconds(503, |name| (name == "retry-after").then_some("Fri, 31 Dec 1999 23:59:59 GMT")), None, "no Date");
    }
}
