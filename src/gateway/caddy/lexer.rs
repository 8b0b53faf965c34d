//! The Caddyfile's grammar, by caddyconfig/caddyfile/lexer.go: bytes to words with lines.
//!
//! It never fails: a quote or heredoc without an end ends with the file, and is noted as a problem by whoever reads the words.

use std::{path::PathBuf, sync::Arc};

use compact_str::CompactString;

use crate::model::Place;

/// Bytes of one word that are kept: heredocs hold whole pages, and nothing of them is asked for.
const WORD_BYTES: usize = 16 << 10;
/// Words of one file, at most: a Caddyfile of 20,000 sites with a proxy each has some 200,000.
const WORDS: usize = 1_000_000;

/// A word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text, without quotes. Bytes that are no UTF-8 became U+FFFD.
    pub text: CompactString,
    /// The file that it stands in.
    pub file: Arc<PathBuf>,
    /// The line on which it begins, from 1.
    pub line: u32,
    /// Whether it is the first on its line.
    pub leads: bool,
    /// Whether it stands in quotes: then a brace is none.
    pub quoted: bool,
}

impl Word {
    /// Where it begins.
    pub fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), line: self.line }
    }

    /// Whether it opens a block.
    pub fn opens(&self) -> bool {
        !self.quoted && self.text == "{"
    }

    /// Whether it closes a block.
    pub fn closes(&self) -> bool {
        !self.quoted && self.text == "}"
    }
}

/// The words of a file, and the line of a quote or heredoc that has no end.
pub fn words(file: &Arc<PathBuf>, text: &str) -> (Vec<Word>, Option<u32>) {
    let mut lexer = Lexer { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let mut out: Vec<Word> = Vec::new();
    // The line on which the word before ended; a continued line counts as the one before it.
    let mut leads = true;
    while out.len() < WORDS {
        leads |= lexer.blanks();
        let line = lexer.line;
        let Some((text, quoted, ended)) = lexer.word() else { break };
        out.push(Word { text, file: Arc::clone(file), line, leads, quoted });
        leads = false;
        if !ended {
            return (out, Some(line));
        }
    }
    (out, None)
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (head, tail) = self.rest.split_at(length);
        self.line =
            self.line.saturating_add(u32::try_from(memchr::memchr_iter(b'\n', head.as_bytes()).count()).unwrap_or(u32::MAX));
        self.rest = tail;
        head
    }

    /// Passes over what stands between words. Whether a line ended there.
    fn blanks(&mut self) -> bool {
        let mut ended = false;
        loop {
            let length = match self.rest.chars().next() {
                Some('#') => memchr::memchr(b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len()),
                Some('\\') if self.rest[1..].starts_with('\n') => 2,
                Some('\\') if self.rest[1..].starts_with("\r\n") => 3,
                Some(c) if c.is_whitespace() => {
                    let length = self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len());
                    ended |= memchr::memchr(b'\n', &self.rest.as_bytes()[..length]).is_some();
                    length
                }
                Some(_) | None => return ended,
            };
            self.take(length);
        }
    }

    /// The next word: its text, whether it was quoted, and whether it has an end.
    fn word(&mut self) -> Option<(CompactString, bool, bool)> {
        let first = self.rest.chars().next()?;
        if first == '"' || first == '`' {
            return Some(self.quoted(first));
        }
        if first == '<'
            && let Some(heredoc) = self.heredoc()
        {
            return Some(heredoc);
        }
        let mut out = CompactString::default();
        loop {
            let length = self.rest.find(|c: char| c.is_whitespace() || c == '\\').unwrap_or(self.rest.len());
            keep(&mut out, self.take(length));
            // A backslash keeps only the character behind it from its meaning, and that of a line's end is to be gone on from.
            let Some(after) = self.rest.strip_prefix('\\') else { break };
            if after.starts_with('\n') || after.starts_with("\r\n") {
                break;
            }
            let length = 1 + after.chars().next().filter(|c| !c.is_whitespace()).map_or(0, char::len_utf8);
            keep(&mut out, self.take(length));
        }
        Some((out, false, true))
    }

    fn quoted(&mut self, quote: char) -> (CompactString, bool, bool) {
        self.take(1);
        let mut out = CompactString::default();
        loop {
            let Some(length) = self.rest.find([quote, '\\']) else {
                keep(&mut out, self.take(self.rest.len()));
                return (out, true, false);
            };
            keep(&mut out, self.take(length));
            if self.rest.starts_with(quote) {
                self.take(1);
                return (out, true, true);
            }
            // Only the quote itself can be escaped, and nothing between backticks.
            let escaped = quote == '"' && self.rest[1..].starts_with('"');
            if escaped {
                self.take(1);
            }
            keep(&mut out, self.take(1));
        }
    }

    /// `<<MARKER`, lines, and a line of blanks and the marker.
    fn heredoc(&mut self) -> Option<(CompactString, bool, bool)> {
        let after = self.rest.strip_prefix("<<")?;
        let (marker, body) = after.split_once('\n')?;
        let marker = marker.trim_end_matches('\r');
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if marker.is_empty() || !marker.chars().all(named) {
            return None;
        }
        let begin = self.rest.len() - body.len();
        let mut at = 0;
        for line in body.split_inclusive('\n') {
            let lead = line.trim_start();
            if lead.strip_prefix(marker).is_some_and(|behind| !behind.starts_with(named)) {
                let mut out = CompactString::default();
                keep(&mut out, &body[..at]);
                let end = begin + at + (line.len() - lead.len()) + marker.len();
                self.take(end);
                return Some((out, true, true));
            }
            at += line.len();
        }
        self.take(self.rest.len());
        Some((CompactString::default(), true, false))
    }
}

fn keep(out: &mut CompactString, text: &str) {
    let room = WORD_BYTES.saturating_sub(out.len());
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.push_str(&text[..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let (words, open) = words(&Arc::new(PathBuf::from("/c")), text);
        let one = |word: &Word| {
            let lead = if word.leads { "|" } else { "" };
            let quote = if word.quoted { "'" } else { "" };
            format!("{lead}{quote}{}{quote}@{}", word.text, word.line)
        };
        let mut all: Vec<String> = words.iter().map(one).collect();
        all.extend(open.map(|line| format!("!{line}")));
        all.join(" ")
    }

    #[test]
    fn words_are_cut_as_caddy_cuts_them() {
        for (text, expected) in [
            ("a b\nc {\r\n d\r\n}", "|a@1 b@1 |c@2 {@2 |d@3 |}@4"),
            ("\u{feff}a # b\n#c\nd#e", "|a@1 |d#e@3"),
            ("a \"b c\\\" d\\n\" `x \"y\" \\z`", "|a@1 'b c\" d\\n'@1 'x \"y\" \\z'@1"),
            ("a \\\n  b\nc", "|a@1 b@2 |c@3"),
            ("\"two\nlines\" b\nc", "|'two\nlines'@1 b@2 |c@3"),
            ("respond <<END\n  <p>\n  END 200\nx", "|respond@1 '  <p>\n'@1 200@3 |x@4"),
            ("a \"open\nb", "|a@1 'open\nb'@1 !1"),
            ("a <<END\nb", "|a@1 ''@1 !1"),
            ("path_regexp \\.php$ a\\ b", "|path_regexp@1 \\.php$@1 a\\@1 b@1"),
            ("x <<", "|x@1 <<@1"),
            ("", ""),
        ] {
            assert_eq!(show(text), expected, "{text:?}");
        }
    }
}
