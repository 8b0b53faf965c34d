//! Apache's configuration grammar, by `ap_cfg_getline` (server/util.c) and `ap_getword_conf`: bytes to logical lines, lines to
//! words. It never fails: what Apache would refuse is found by who reads the words.

use std::borrow::Cow;

/// Bytes of one logical line that are kept: Apache's own limit is 16 MB, and no real line has more than this.
const LINE_BYTES: usize = 64 << 10;

/// A logical line: physical ones that end with a backslash are joined, blanks around it are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its text. Bytes that are no UTF-8 became U+FFFD.
    pub text: Cow<'a, str>,
    /// Where it begins, from 1. Apache itself names the last of joined lines.
    pub number: u32,
}

/// The logical lines of a file that say something: no comments, no empty ones.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = Some(bytes);
    let mut number = 0_u32;
    std::iter::from_fn(move || {
        loop {
            let (line, begins) = logical(&mut rest, &mut number)?;
            // A comment goes on after a backslash like any line.
            if !line.is_empty() && !line.starts_with('#') {
                return Some(Line { text: line, number: begins });
            }
        }
    })
}

/// The next logical line and where it begins. `None`: there is no more.
fn logical<'a>(rest: &mut Option<&'a [u8]>, number: &mut u32) -> Option<(Cow<'a, str>, u32)> {
    let (first, more) = physical(rest, number)?;
    let begins = *number;
    if !more {
        return Some((trimmed(first), begins));
    }
    let mut joined = first.to_vec();
    while let Some((part, more)) = physical(rest, number) {
        let room = LINE_BYTES.saturating_sub(joined.len());
        joined.extend_from_slice(&part[..part.len().min(room)]);
        if !more {
            break;
        }
    }
    Some((Cow::Owned(trimmed(&joined).into_owned()), begins))
}

/// The next physical line without its end, and whether a backslash says that it goes on.
fn physical<'a>(rest: &mut Option<&'a [u8]>, number: &mut u32) -> Option<(&'a [u8], bool)> {
    let bytes = rest.take()?;
    if bytes.is_empty() {
        return None;
    }
    *number = number.saturating_add(1);
    let line = match memchr::memchr(b'\n', bytes) {
        Some(end) => {
            *rest = Some(&bytes[end + 1..]);
            &bytes[..end]
        }
        None => bytes,
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (line, more) = line.strip_suffix(b"\\").map_or((line, false), |line| (line, true));
    Some((&line[..line.len().min(LINE_BYTES)], more))
}

fn trimmed(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.trim_ascii())
}

/// The first word of a text, without its quotes, and what follows it.
pub fn word(text: &str) -> (Cow<'_, str>, &str) {
    let text = text.trim_ascii_start();
    let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
        return (Cow::Borrowed(&text[..end]), text[end..].trim_ascii_start());
    };
    let body = &text[1..];
    let (mut out, mut chars) = (String::new(), body.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return (Cow::Owned(out), body[at + 1..].trim_ascii_start());
        }
        // Only the quote and the backslash itself lose theirs (substring_conf): patterns keep all others.
        if c == '\\'
            && let Some((_, next)) = chars.next_if(|(_, next)| *next == quote || *next == '\\')
        {
            out.push(next);
            continue;
        }
        out.push(c);
    }
    (Cow::Owned(out), "")
}

/// All words of a text.
pub fn words(text: &str) -> Vec<String> {
    let (mut rest, mut all) = (text.trim_ascii(), Vec::new());
    while !rest.is_empty() {
        let (word, after) = word(rest);
        all.push(word.into_owned());
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_trimmed_and_numbered_by_their_begin() {
        let text = b"\n  ServerName a\\\r\nb\r\n# a comment \\\nthat goes on\n\tListen 80 \\";
        let found: Vec<(String, u32)> = lines(text).map(|line| (line.text.into_owned(), line.number)).collect();
        assert_eq!(found, [("ServerName ab".to_owned(), 2), ("Listen 80".to_owned(), 6)]);
    }

    #[test]
    fn words_lose_their_quotes_and_nothing_else() {
        for (text, expected) in [
            ("/ http://x/ timeout=5", vec!["/", "http://x/", "timeout=5"]),
            (r#""%h \"%r\"" combined"#, vec![r#"%h "%r""#, "combined"]),
            (r#""a\d b" 'c "d"'"#, vec![r"a\d b", r#"c "d""#]),
            ("\"no end", vec!["no end"]),
            ("\"\" x", vec!["", "x"]),
            ("  ", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
