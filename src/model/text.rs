//! Foreign text made safe to show. Whatever came from a log, a header, a file name or a config passes through here before
//! it reaches a terminal or a report.

use std::borrow::Cow;

/// What a line on the screen or in a report holds at most, in characters: more is cut and marked.
pub const LINE_CHARS: usize = 4096;

/// Whether a character shows nothing, or reorders its neighbours: zero-width, bidirectional controls, tags, byte order mark
/// (Unicode TR 36 section 3: visual spoofing).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// One line of text in which every character is visible: control characters become `\x1b`, invisible ones `\u{202e}`, tabs
/// and line ends a blank. What exceeds [`LINE_CHARS`] is cut and its length told.
pub fn printable(text: &str) -> String {
    shown(text).into_owned()
}

/// The same; nearly every text is shown as it is.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE_CHARS && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(LINE_CHARS));
    for (index, c) in text.chars().enumerate() {
        if index == LINE_CHARS {
            use std::fmt::Write as _;
            // Writing to a String cannot fail.
            let _ = write!(out, " ... ({} bytes)", text.len());
            break;
        }
        match c {
            '\t' | '\n' | '\r' => out.push(' '),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || is_invisible(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// [`printable`] of bytes that may not be UTF-8: bad ones become U+FFFD.
pub fn printable_bytes(bytes: &[u8]) -> String {
    let shown = bytes.len().min(LINE_CHARS * 4);
    let mut text = printable(&String::from_utf8_lossy(&bytes[..shown]));
    if shown < bytes.len() {
        text.push_str(&format!(" ... ({} bytes)", bytes.len()));
    }
    text
}

/// Whether a path is one of a pattern in which `*` and `?` stand for anything but a slash (glob(7), without its classes).
pub fn wildcard(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| part_matches(pattern.as_bytes(), part.as_bytes()))
}

/// Greedy: of several stars only the last one ever has to take more.
fn part_matches(pattern: &[u8], part: &[u8]) -> bool {
    let (mut at, mut next, mut star) = (0, 0, None);
    while next < part.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == part[next] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((of, taken)) = star else { return false };
                star = Some((of, taken + 1));
                at = of + 1;
                next = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// `13m26s`, `2h05m`, `3d4h`, `8s`: a duration for a narrow column.
pub fn duration(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `1,204`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `512 B`, `1.5 MB`, `3.2 GB`: powers of 1024, as htop and free count.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_gets_through(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let shown = printable_bytes(&bytes);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)), "{shown:?}");
        }

        #[test]
        fn nor_any_character(text in "\\PC{0,50}[\u{0}-\u{9f}\u{200b}-\u{206f}]{0,20}") {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)), "{shown:?}");
        }
    }

    #[test]
    fn an_escape_sequence_is_seen_not_obeyed() {
        assert_eq!(printable("a\u{1b}[2Jb\tc\u{9b}31m\u{202e}d"), "a\\x1b[2Jb c\\u{9b}31m\\u{202e}d");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let shown = printable(&"x".repeat(1_000_000));
        assert!(shown.len() < LINE_CHARS + 40 && shown.ends_with("(1000000 bytes)"));
    }

    #[test]
    fn figures() {
        assert_eq!(
            (thousands(0), thousands(999), thousands(1204), thousands(1_000_000)),
            ("0".into(), "999".into(), "1,204".into(), "1,000,000".into())
        );
        assert_eq!(
            (duration(8), duration(806), duration(7500), duration(273_600)),
            ("8s".into(), "13m26s".into(), "2h05m".into(), "3d4h".into())
        );
        assert_eq!((bytes(512), bytes(1536), bytes(150 << 20)), ("512 B".into(), "1.5 kB".into(), "150 MB".into()));
    }

    #[test]
    fn a_star_stands_for_anything_but_a_slash() {
        for (pattern, path, is) in [
            ("/var/log/nginx/*.log", "/var/log/nginx/access.log", true),
            ("/var/log/nginx/*.log", "/var/log/nginx/shop/access.log", false),
            ("/var/log/*/*log*", "/var/log/nginx/access.log.1", true),
            ("/var/log/ngin?/a*s*.log", "/var/log/nginx/access.log", true),
            ("/var/log/nginx/access.log", "/var/log/nginx/access.logs", false),
            ("*", "", true),
        ] {
            assert_eq!(wildcard(pattern, path), is, "{pattern} {path}");
        }
    }
}
