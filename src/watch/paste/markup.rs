//! Lines as a forum shows them that takes their asterisks for markup: what was marked bold, and the asterisk of nginx's connection
//! numbers that went with it.
//!
//! It must not tell what a line means. To add a mark: a function here, and its use in [`unmarked`].

use std::borrow::Cow;

/// What CommonMark takes for strong emphasis (section 6.2).
const STRONG: &str = "**";

/// A line without such marks.
pub(super) fn unmarked(line: &[u8]) -> Cow<'_, [u8]> {
    let plain = weak(bare(line));
    match eaten(&plain) {
        Some(at) => Cow::Owned([&plain[..at], b"*", &plain[at..]].concat()),
        None => plain,
    }
}

/// Without the marks of code or of emphasis around the whole line, of which a break may have left the first alone. Three backticks are a fence.
fn bare(line: &[u8]) -> &[u8] {
    let inner = |mark: u8| {
        let rest = line.strip_prefix(&[mark])?;
        let rest = rest.first().is_some_and(u8::is_ascii_alphanumeric).then_some(rest)?;
        Some(rest.strip_suffix(&[mark]).unwrap_or(rest))
    };
    match line.first() {
        Some(b'`') => inner(b'`').unwrap_or(line),
        Some(b'_') if line.ends_with(b"_") || line.starts_with(b"_connect() failed") => inner(b'_').unwrap_or(line),
        Some(_) | None => line,
    }
}

/// Without the marks of strong emphasis, of which two belong together. Three asterisks or more are what somebody put for a name.
fn weak(line: &[u8]) -> Cow<'_, [u8]> {
    let mut marks = Vec::new();
    // Nearly each line of nginx has one asterisk, and none of them has two.
    for at in memchr::memchr_iter(b'*', line) {
        let alone = line.get(at + STRONG.len()) != Some(&b'*') && (at == 0 || line.get(at - 1) != Some(&b'*'));
        if line.get(at + 1) == Some(&b'*') && alone {
            marks.push(at);
        }
    }
    if marks.is_empty() || marks.len() % 2 != 0 {
        return Cow::Borrowed(line);
    }
    let (mut kept, mut from) = (Vec::with_capacity(line.len()), 0);
    for at in marks {
        kept.extend_from_slice(line.get(from..at).unwrap_or_default());
        from = at + STRONG.len();
    }
    kept.extend_from_slice(line.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

/// Where nginx's asterisk is missing before the number of a connection: `[error] 1240#1240: 778896 upstream sent ...`, but not
/// `[alert] 7#7: 1024 worker_connections are not enough`.
fn eaten(line: &[u8]) -> Option<usize> {
    let process = memchr::memchr(b'#', line)?;
    let before = line.get(..process)?;
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let thread = line.get(process + 1..)?;
    let behind = thread.get(digits(thread)..)?.strip_prefix(b": ")?;
    let number = digits(behind);
    let message = behind.get(number..)?.strip_prefix(b" ")?;
    let numbered =
        number > 0 && before.last().is_some_and(u8::is_ascii_digit) && message.first().is_some_and(u8::is_ascii_lowercase);
    (numbered && !message.starts_with(b"worker_connections")).then_some(line.len() - behind.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bold_words_and_lost_asterisks_are_put_right() {
        for (line, plain) in [
            (
                "[error] 8#8: *8 **upstream prematurely closed connection while reading response header from upstream**, client: a",
                "[error] 8#8: *8 upstream prematurely closed connection while reading response header from upstream, client: a",
            ),
            ("[error] 8#8: 8 upstream sent too big header", "[error] 8#8: *8 upstream sent too big header"),
            ("`connect() failed (113: Host is unreachable)`", "connect() failed (113: Host is unreachable)"),
            ("`Out of memory: Killed process 7 (node)", "Out of memory: Killed process 7 (node)"),
            ("_connect() failed (113: No route to host)_", "connect() failed (113: No route to host)"),
            ("**[error]** 8#8: 8 connect() failed", "[error] 8#8: *8 connect() failed"),
        ] {
            assert_eq!(String::from_utf8_lossy(&unmarked(line.as_bytes())), plain);
        }
        for line in [
            "[alert] 7#7: 1024 worker_connections are not enough",
            "[error] 8#8: *8 upstream sent too big header",
            "[notice] 8#8: signal 1 (SIGHUP) received",
            "uWSGI: *** Operational MODE: single process ***",
            "client: **, host: a",
            "server: s***, host: ***",
            "2**3",
            "```",
            "```shell",
            "_start: no such symbol",
            "#1: 2 a",
        ] {
            assert_eq!(String::from_utf8_lossy(&unmarked(line.as_bytes())), line);
        }
    }
}
