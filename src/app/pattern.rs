//! What a person searches or filters by: plain text, or with `~` before it a regular expression.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

/// Characters of a pattern, at most: more than anybody types, and than a line of the screen shows.
pub const PATTERN_CHARS: usize = 200;
/// Memory that a compiled pattern may take, in bytes: `\w{1000}` would take megabytes.
const COMPILED_BYTES: usize = 1 << 20;
/// The sign before a regular expression: nginx's own, in `location ~`.
const REGEX_SIGN: char = '~';

/// A text to look for. Capitals count when it has any.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiles it. `None`: it is empty, no regular expression, or one that is too large.
    pub fn new(text: &str) -> Option<Self> {
        let source = match text.strip_prefix(REGEX_SIGN) {
            Some(expression) => expression.to_owned(),
            None => regex::escape(text),
        };
        if source.is_empty() {
            return None;
        }
        let any_case = !text.chars().any(char::is_uppercase);
        let regex = RegexBuilder::new(&source)
            .case_insensitive(any_case)
            .size_limit(COMPILED_BYTES)
            .dfa_size_limit(COMPILED_BYTES)
            .build()
            .ok()?;
        Some(Self { text: text.to_owned(), regex })
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it occurs.
    pub fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Where it occurs, in bytes; an empty match is none.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        self.regex.find_iter(text).map(|found| found.range()).filter(|range| !range.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).expect("a pattern").is_in(text)
    }

    #[test]
    fn plain_text_is_plain_and_capitals_count_when_there_are_any() {
        assert!(is_in("connect() failed (111", "connect() failed (111: Connection refused)"));
        assert!(is_in("connection REFUSED".to_lowercase().as_str(), "Connection refused"));
        assert!(!is_in("Refused", "Connection refused"));
        assert!(is_in("straße", "STRASSE straße") && is_in("日本", "日本語"));
        assert!(!is_in("a.c", "abc"));
    }

    #[test]
    fn a_tilde_makes_a_regular_expression_and_a_bad_one_none() {
        assert!(is_in("~ 50[24] ", "GET / 502 157"));
        assert_eq!(Pattern::new("~a|b").expect("a pattern").places("xaxb"), [1..2, 3..4]);
        assert!(Pattern::new("~x*").expect("a pattern").places("ab").is_empty());
        for bad in ["", "~", "~(", "~\\w{1000}{1000}"] {
            assert!(Pattern::new(bad).is_none(), "{bad:?}");
        }
    }
}
