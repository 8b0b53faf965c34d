//! `name=value` pairs as programs in Go write them behind a message: logrus (`time="..." level=error msg="..."`) and zerolog's
//! console (`2026-11-20T23:36:34Z ERR message error="..."`).

use std::borrow::Cow;

/// Pairs of one line that are looked at, at most.
const PAIRS: usize = 64;

/// The pairs of a text that begins with one.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        if !is_name(name) {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(inner) => {
                let end = closing(inner)?;
                (&inner[..end], &inner[end + 1..])
            }
            None => after.split_at(after.find(' ').unwrap_or(after.len())),
        };
        rest = after.trim_start();
        Some((name, value))
    })
    .take(PAIRS)
}

/// The value of a name, without the escapes of `%q`.
pub(super) fn value<'a>(text: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let raw = pairs(text).find(|(known, _)| *known == name).map(|(_, value)| value)?;
    if !raw.contains('\\') {
        return Some(raw.into());
    }
    // Go's escapes that JSON does not know (`\x16`) stay as they are.
    Some(serde_json::from_str::<String>(&format!("\"{raw}\"")).map_or_else(|_| raw.replace("\\\"", "\"").into(), Cow::Owned))
}

/// Where the pairs behind a message begin: at the first word that has a `=` and is followed by nothing but pairs.
pub(super) fn begin(text: &str) -> usize {
    let starts = text.char_indices().filter(|(at, _)| *at == 0 || text.as_bytes()[at - 1] == b' ');
    let named = starts.filter(|(at, _)| {
        let word = &text[*at..];
        word.find('=').is_some_and(|end| is_name(&word[..end]))
    });
    named.map(|(at, _)| at).next().unwrap_or(text.len())
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn closing(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.as_bytes().get(from..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_with_and_without_quotes() {
        let text = r#"time="2026-11-20T23:36:34Z" level=debug msg="'502 Bad Gateway' caused by: Get \"http://x\": EOF" routerName=shop@docker"#;
        assert_eq!(value(text, "level").as_deref(), Some("debug"));
        assert_eq!(value(text, "msg").as_deref(), Some("'502 Bad Gateway' caused by: Get \"http://x\": EOF"));
        assert_eq!((value(text, "routerName").as_deref(), value(text, "x")), (Some("shop@docker"), None));
        let text = "502 Bad Gateway error=\"a=b\" x=1";
        assert_eq!(&text[begin(text)..], "error=\"a=b\" x=1");
        assert_eq!(begin("no pairs here"), 13);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z=\"\\\\ é]{0,60}") {
            let _ = (pairs(&text).count(), value(&text, "a"), &text[begin(&text)..]);
        }
    }
}
