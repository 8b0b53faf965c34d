//! A line of HAProxy's configuration to its words (`parse_line` in src/tools.c; configuration.txt section 2.2): quotes, escapes,
//! comments, and environment variables where they stand in double quotes.

use std::collections::BTreeMap;

use compact_str::CompactString;

/// Words of one line at most (MAX_LINE_ARGS in defaults.h).
const WORDS: usize = 64;
/// Bytes that one word may become by variables: an environment is foreign, too.
const WORD_BYTES: usize = 16 << 10;

/// Variables of the environment, as the process has it and `setenv` changes it.
pub type Environment = BTreeMap<String, String>;

/// What is wrong with a line, in HAProxy's own words.
pub type LineError = &'static str;

/// The words of a line as nearly all are, as they stand there: a dollar means nothing outside of quotes. `None`: it has a quote, a
/// comment, an escape, or more words than are read.
pub fn plain(line: &str) -> Option<impl Iterator<Item = &str>> {
    if memchr::memchr3(b'#', b'"', b'\'', line.as_bytes()).is_some() || memchr::memchr(b'\\', line.as_bytes()).is_some() {
        return None;
    }
    let words = || line.split([' ', '\t', '\r', '\u{b}', '\u{c}']).filter(|word| !word.is_empty());
    // So many words have as many ends.
    (line.len() < WORDS * 2 || words().nth(WORDS).is_none()).then(words)
}

/// The words of a line without its end. What follows an error is lost, what was before it stays.
pub fn words(line: &str, environment: &Environment) -> (Vec<CompactString>, Option<LineError>) {
    let mut out: Vec<CompactString> = Vec::new();
    let mut word: Option<CompactString> = None;
    let mut chars = line.chars().peekable();
    let mut quote: Option<char> = None;
    let error = loop {
        let Some(c) = chars.next() else { break quote.map(|_| "unmatched quote") };
        match (c, quote) {
            ('#', None) => break None,
            (' ' | '\t' | '\r' | '\u{b}' | '\u{c}', None) => {
                if out.len() == WORDS {
                    break Some("too many words, truncating");
                }
                out.extend(word.take());
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('"', Some('"')) | ('\'', Some('\'')) => quote = None,
            ('\\', None | Some('"')) => {
                let Some(next) = chars.next() else {
                    break Some("unmatched quote").filter(|_| quote.is_some());
                };
                let word = word.get_or_insert_default();
                match (next, quote) {
                    (' ' | '#' | '\\' | '"' | '\'' | '$', _) => word.push(next),
                    ('r', _) => word.push('\r'),
                    ('n', _) => word.push('\n'),
                    ('t', _) => word.push('\t'),
                    ('x', _) => {
                        let digits: String = chars.clone().take(2).collect();
                        match u8::from_str_radix(&digits, 16) {
                            Ok(byte) if digits.len() == 2 => {
                                word.push(char::from(byte));
                                chars.nth(1);
                            }
                            Ok(_) | Err(_) => break Some("truncated or invalid hexadecimal sequence"),
                        }
                    }
                    // Not an escape: both stay, as regular expressions need them.
                    (other, _) => word.extend(['\\', other]),
                }
            }
            ('$', Some('"')) => {
                let (name, default, list) = variable(&mut chars);
                let value = environment.get(&name).cloned().or(default).unwrap_or_default();
                let word = word.get_or_insert_default();
                // `"${LIST[*]}"` is as many words as it has.
                if list && value.contains(' ') {
                    let mut parts = value.split_ascii_whitespace();
                    word.push_str(parts.next().unwrap_or_default());
                    for part in parts {
                        if out.len() < WORDS {
                            out.push(std::mem::replace(word, part.into()));
                        }
                    }
                } else if word.len() + value.len() <= WORD_BYTES {
                    word.push_str(&value);
                }
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    };
    if out.len() < WORDS {
        out.extend(word);
    }
    (out, error)
}

/// `NAME`, `{NAME}`, `{NAME-default}`, `{NAME[*]}` behind a dollar: its name, its default, and whether it is a list.
fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> (String, Option<String>, bool) {
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if !braced {
        return (name, None, false);
    }
    let (mut default, mut list) = (None, false);
    while let Some(c) = chars.next_if(|c| *c != '}' && *c != '"') {
        match (c, &mut default) {
            ('-', None) => default = Some(String::new()),
            ('[', None) => list = true,
            (c, Some(text)) => text.push(c),
            (_, None) => {}
        }
    }
    chars.next_if_eq(&'}');
    (name, default, list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_what_haproxy_makes_of_them() {
        let environment = Environment::from([("PORT".to_owned(), "8000".to_owned()), ("L".to_owned(), "a b  c".to_owned())]);
        let of = |line: &str| words(line, &environment).0.join("|");
        for (line, expected) in [
            ("\tserver a 127.0.0.1:80 check # no", "server|a|127.0.0.1:80|check"),
            ("server a \"127.0.0.1:${PORT}\"", "server|a|127.0.0.1:8000"),
            ("server a \"127.0.0.1:$PORT\"x", "server|a|127.0.0.1:8000x"),
            ("server a 127.0.0.1:${PORT}", "server|a|127.0.0.1:${PORT}"),
            ("server a '127.0.0.1:$PORT'", "server|a|127.0.0.1:$PORT"),
            ("x \"${NONE-80}\" \"${NONE}\"", "x|80|"),
            ("x \"${L[*]}\"", "x|a|b|c"),
            (r"errorloc 503 /a\ b\#c", "errorloc|503|/a b#c"),
            (r"acl a path_reg ^/a\.b\x41", r"acl|a|path_reg|^/a\.bA"),
            ("log-format \"%ci \\\"x\\\" # in\"", "log-format|%ci \"x\" # in"),
            ("", ""),
            ("# all", ""),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
        assert_eq!(words("a \"b", &environment), (vec!["a".into(), "b".into()], Some("unmatched quote")));
    }

    proptest! {
        #[test]
        fn a_plain_line_is_read_as_any_other(line in "[a \\t\\x0b$*{}0-9é-]{0,180}") {
            let environment = Environment::from([("a".to_owned(), "a a a".to_owned())]);
            let (words, error) = words(&line, &environment);
            let plain = plain(&line).map(|words| words.map(CompactString::from).collect::<Vec<_>>());
            prop_assert_eq!(plain, error.is_none().then_some(words));
        }

        #[test]
        fn no_line_makes_it_panic_or_grow(line in "[a \\\\\"'#${}\\[\\]*x0-9é-]{0,80}") {
            let environment = Environment::from([("a".to_owned(), "a a a".to_owned())]);
            prop_assert!(words(&line, &environment).0.len() <= WORDS);
        }
    }
}
