//! Squid: cache.log (`2026/11/20 23:38:43 kid1| message`, `debug_log` in src/debug/debug.cc), the native access log (`logformat
//! squid` in cf.data.pre), and the header `X-Squid-Error` of its answers, as somebody pastes it.
//!
//! The message of a request is `<status> <method> <tag> <hierarchy>/<peer>`, `502 GET TCP_MISS FIRSTUP_PARENT/127.0.0.1`; a tag's
//! additions that tell of the client (`_ABORTED`) are part of it. `HIER_NONE/-`: no peer was asked. Squid does not say in it
//! whether it or the peer made the error.

use super::{Carried, Dialect, Entry, Level, LineTime, TimeShape};

/// Reads a line of Squid.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text.trim_end();
    cache_log(text)
        .or_else(|| request(text))
        .or_else(|| header(text))
        .or_else(|| detail(text))
        .or_else(|| headless(text))
        .or_else(|| carried.program.is_some_and(|name| matches!(name, "squid" | "squid3" | "(squid-1)")).then(|| said(text)))
        .or_else(|| of_peer(text).then(|| said(text)))
}

/// `TCP connection to 10.0.0.5/8080 failed`, `Detected DEAD Parent: app1` (src/neighbors.cc): the words alone, as people paste them.
fn of_peer(text: &str) -> bool {
    let text = text.strip_prefix("WARNING: ").or_else(|| text.strip_prefix("ERROR: ")).unwrap_or(text);
    let to = text.strip_prefix("TCP connection to ").and_then(|rest| rest.strip_suffix(" failed"));
    to.is_some_and(|to| !to.contains(' ') && to.contains('/')) || text.starts_with("Detected DEAD Parent: ")
}

fn cache_log(text: &str) -> Option<Entry<'_>> {
    let (time, rest) = TimeShape::Slashed.leading(text)?;
    let (kid, message) = rest.split_once("| ")?;
    let number = kid.strip_prefix(" kid");
    let by_kid = kid.is_empty() || number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    by_kid.then(|| Entry { time: Some(time), ..said(message) })
}

fn said(text: &str) -> Entry<'_> {
    // What stands behind is for developers: `current master transaction: master55`.
    let message = text.split_once('\n').map_or(text, |(message, _)| message);
    let words = [
        ("ERROR:", Level::Error),
        ("SECURITY ", Level::Alert),
        ("WARNING", Level::Warning),
        ("FATAL:", Level::Critical),
        ("Bungled", Level::Critical),
    ];
    let level = words.iter().find(|(word, _)| message.starts_with(word)).map(|(_, level)| *level);
    // `Detected DEAD Parent: app1`, `TCP connection to 10.0.0.5/8080 failed` (src/neighbors.cc).
    let peers = ["Detected DEAD Parent: ", "Detected REVIVED Parent: ", "TCP connection to ", "connection to "];
    let peer = peers.iter().find_map(|before| message.split_once(before)?.1.split(' ').next());
    let upstream = peer.map(|peer| match peer.split_once('/') {
        // An address and its port, in Squid's own manner.
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => format!("{host}:{port}").into(),
        Some(_) | None => peer.into(),
    });
    // The URL is the client's choice.
    let message = match message.find(" http") {
        Some(at) if message[at..].starts_with(" http://") || message[at..].starts_with(" https://") => &message[..at],
        Some(_) | None => message,
    };
    Entry { dialect: Dialect::Squid, level, message: message.into(), upstream, ..Entry::default() }
}

/// `1795217923.670      9 127.0.0.1 TCP_MISS/502 3439 GET http://shop/ - HIER_NONE/- text/html`.
fn request(text: &str) -> Option<Entry<'_>> {
    let (seconds, _) = text.split_once('.')?;
    if seconds.len() != 10 || !seconds.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (time, rest) = TimeShape::Epoch.leading(text)?;
    let mut words = rest.split_ascii_whitespace();
    let number = |word: Option<&str>| word?.parse::<i64>().ok();
    number(words.next())?;
    let client = words.next()?;
    let tag = words.next()?;
    let at = tag.as_ptr().addr() - text.as_ptr().addr();
    of_tag(tag, text.get(at..)?, Some(time), Some(client))
}

/// `text` from the tag on.
fn of_tag<'a>(tag: &'a str, text: &'a str, time: Option<LineTime<'a>>, client: Option<&'a str>) -> Option<Entry<'a>> {
    let (tag, status) = tag.split_once('/')?;
    let mut words = text.split_ascii_whitespace();
    words.next()?;
    words.next()?.parse::<i64>().ok()?;
    let capitals = |word: &str| word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let status: u16 = status.parse().ok().filter(|_| tag.len() <= 40 && capitals(tag))?;
    let method = words.next()?;
    let url = words.next()?;
    // A URL with a blank in it, and names of users, are the client's; the last two words are Squid's.
    let last: Vec<&str> = words.rev().take(2).collect();
    let (hierarchy, peer) = last.get(1)?.split_once('/')?;
    if hierarchy.len() > 40 || !capitals(hierarchy) {
        return None;
    }
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PURGE"];
    let shown = if known.contains(&method) { method } else { "-" };
    // The origin that a forward proxy went to is the client's choice; a parent is configuration.
    let shown_peer = if hierarchy.ends_with("DIRECT") { "*" } else { peer };
    Some(Entry {
        dialect: Dialect::Squid,
        time,
        message: format!("{status:03} {shown} {tag} {hierarchy}/{shown_peer}").into(),
        upstream: Some(peer).filter(|peer| *peer != "-").map(Into::into),
        client: client.map(Into::into),
        request: text.find(method).and_then(|at| text.get(at..at + method.len() + 1 + url.len())).map(Into::into),
        // 000: the client left before an answer.
        status: Some(status).filter(|status| *status >= 100),
        ..Entry::default()
    })
}

/// Squid's words for how it came to an answer that no other server's log has (`LogTags` in src/LogTags.cc), as they begin.
const TAGS: [&str; 5] = ["TCP_", "TAG_NONE", "NONE_NONE", "NONE", "UDP_"];

/// Whether a word is a tag with a status: `TCP_MISS/502`.
fn tagged(word: &str) -> bool {
    let sound = |(tag, status): (&str, &str)| {
        let known = TAGS.iter().any(|known| {
            tag.strip_prefix(known).is_some_and(|rest| rest.is_empty() || known.ends_with('_') || rest.starts_with('_'))
        });
        known && status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit())
    };
    word.split_once('/').is_some_and(sound)
}

/// A line of a `logformat` of somebody's own with `%err_code/%err_detail` (since version 5 `errno=111`) and the tag: the error in the form
/// of the header.
fn detail(text: &str) -> Option<Entry<'_>> {
    let words = || text.split_ascii_whitespace().take(DETAIL_WORDS);
    let (code, told) = words().find_map(|word| word.split_once('/').filter(|(code, _)| code.starts_with("ERR_")))?;
    words().find(|word| tagged(word))?;
    let number =
        told.strip_prefix("errno=").unwrap_or(told).split('+').next().filter(|told| told.bytes().all(|byte| byte.is_ascii_digit()));
    let known = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let message = format!("X-Squid-Error: {code} {}", number.unwrap_or("0")).into();
    known.then(|| Entry { dialect: Dialect::Squid, message, ..Entry::default() })
}

/// Words of a line among which the error and the tag are looked for.
const DETAIL_WORDS: usize = 24;

/// The native form from its tag on: `TAG_NONE/503 0 CONNECT example.com:443 - HIER_NONE/- -`.
fn headless(text: &str) -> Option<Entry<'_>> {
    let begin = text.split(' ').next().filter(|word| tagged(word))?;
    of_tag(begin, text, None, None)
}

/// `X-Squid-Error: ERR_CONNECT_FAIL 111`, with the mark of `curl -v` before it.
fn header(text: &str) -> Option<Entry<'_>> {
    let text = text.strip_prefix("< ").unwrap_or(text);
    let message = text.get(..15).filter(|name| name.eq_ignore_ascii_case("X-Squid-Error: ")).map(|_| text)?;
    text[15..].starts_with("ERR_").then(|| Entry { dialect: Dialect::Squid, message: message.into(), ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, Level, read};

    #[test]
    fn the_cache_log_tells_what_happened() {
        for (line, level, message, upstream) in [
            (
                "2026/11/20 23:38:43| WARNING: HTTP: Invalid Response: No object data received for http://127.0.0.1:8092/close AKA http://127.0.0.1:8092/close\n    current master transaction: master55",
                Some(Level::Warning),
                "WARNING: HTTP: Invalid Response: No object data received for",
                None,
            ),
            (
                "2026/11/20 23:38:43 kid1| TCP connection to 10.0.0.5/8080 failed",
                None,
                "TCP connection to 10.0.0.5/8080 failed",
                Some("10.0.0.5:8080"),
            ),
            ("2026/11/20 23:38:43 kid1| Detected DEAD Parent: app1", None, "Detected DEAD Parent: app1", Some("app1")),
            ("X-Squid-Error: ERR_CONNECT_FAIL 111", None, "X-Squid-Error: ERR_CONNECT_FAIL 111", None),
        ] {
            let entry = read(line);
            assert_eq!((entry.dialect, entry.level), (Dialect::Squid, level), "{line}");
            assert_eq!((&*entry.message, entry.upstream.as_deref()), (message, upstream), "{line}");
        }
    }

    #[test]
    fn a_request_is_told_without_what_the_client_chose() {
        for (line, message, upstream, status) in [
            (
                "1795217923.670      9 127.0.0.1 TCP_MISS/502 3439 GET http://127.0.0.1:8092/refused - HIER_NONE/- text/html",
                "502 GET TCP_MISS HIER_NONE/-",
                None,
                Some(502),
            ),
            (
                "1795217923.711      8 127.0.0.1 TCP_MISS/502 3357 BREW http://127.0.0.1:8092/a b - FIRSTUP_PARENT/127.0.0.1 text/html",
                "502 - TCP_MISS FIRSTUP_PARENT/127.0.0.1",
                Some("127.0.0.1"),
                Some(502),
            ),
            (
                "1795217923.711      8 10.0.0.9 TCP_MISS_ABORTED/000 0 GET http://example.com/ - HIER_DIRECT/192.0.2.1 -",
                "000 GET TCP_MISS_ABORTED HIER_DIRECT/*",
                Some("192.0.2.1"),
                None,
            ),
        ] {
            let entry = read(line);
            assert_eq!(entry.dialect, Dialect::Squid, "{line}");
            assert_eq!((&*entry.message, entry.upstream.as_deref(), entry.status), (message, upstream, status), "{line}");
        }
        for (line, message, status) in [
            ("TAG_NONE/503 0 CONNECT shop.test:443 - HIER_NONE/- -", "503 CONNECT TAG_NONE HIER_NONE/-", Some(503)),
            ("    ERR_CONNECT_FAIL/errno=111 NONE_NONE/503 CONNECT", "X-Squid-Error: ERR_CONNECT_FAIL 111", None),
            ("10.0.0.9 TCP_TUNNEL/503 0 CONNECT shop.test:443 ERR_DNS_FAIL/-", "X-Squid-Error: ERR_DNS_FAIL 0", None),
        ] {
            let entry = read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.status), (Dialect::Squid, message, status), "{line}");
        }
        for other in ["TCP/502 is a port", "NONE/503", "NONESUCH/503 0 GET / - HIER_NONE/- -", "ERR_CONNECT_FAIL/111 503"] {
            assert_ne!(read(other).dialect, Dialect::Squid, "{other}");
        }
        for other in ["1795217923.670 x", "1795217923 1 2", "2026/11/20 23:38:43 x| y", "2026/11/20 23:38:43 [error] 1#1: x| y"] {
            assert_ne!(read(other).dialect, Dialect::Squid, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "(1795217923\\.670 |2026/11/20 23:38:43|\\| |9 |127\\.0\\.0\\.1 |TCP_MISS/502 |GET |http://é |- |HIER_NONE/- |text/html|X-Squid-Error: |connection to |[a-zé/ ]){0,14}") {
            let _ = read(&text);
        }
    }
}
