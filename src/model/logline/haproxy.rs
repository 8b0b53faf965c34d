//! HAProxy: requests of its HTTP and TCP logs (doc/configuration.txt section 8.2), failed connections of clients (8.2.6), and its
//! notices, by syslog or on stderr (`[ALERT]    (157) : ...`).
//!
//! The message of a request is `<status> <method> <termination state> <backend>/<server> <stage>`, `503 GET SC-- shop/app1
//! unconnected`; `tcp` stands for status and method in TCP mode. The stage is how far it came: `unrouted` (no rule named a backend),
//! `unassigned` (no server was chosen), `unconnected`, `unconnected at once` (the tries failed without a pause between them), `unanswered`, `answered` (the
//! server sent a response header), `own` (HAProxy answered as a service of its own: statistics, a cache).
//!
//! Of a notice that counts what is left of a backend, the message ends with `no server left` or `others left`. One about the
//! configuration has its level behind `config`, `config alert: parsing [...]`: warnings read like errors.

use std::{borrow::Cow, net::SocketAddr};

use super::{Carried, Dialect, Entry, Level, TimeShape, request_line};

/// Milliseconds within which tries that were repeated have failed without the pause that HAProxy makes before it tries the same
/// server again (up to 1,000 ms, `back_handle_st_cer` in src/backend.c).
const AT_ONCE_MS: i64 = 100;

/// Brackets of a line within which its time is looked for.
const REDACTED_BRACKETS: usize = 3;

/// Reads a line of HAProxy.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text.trim_end();
    connection(text).or_else(|| redacted(text)).or_else(|| on_stderr(text)).or_else(|| headless(text)).or_else(|| {
        // By syslog, a notice has no shape of its own.
        carried.program.is_some_and(is_haproxy).then(|| notice(text))
    })
}

/// `haproxy`, or a container of that name with its number.
fn is_haproxy(program: &str) -> bool {
    program.strip_prefix("haproxy").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'_')))
}

/// `10.0.0.1:34332 [20/Nov/2026:23:36:34.395] frontend ...`.
fn connection(text: &str) -> Option<Entry<'_>> {
    let (client, rest) = text.split_once(" [")?;
    let (_, port) = client.rsplit_once(':')?;
    if client.contains(' ') || port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (time, rest) = TimeShape::Clf.leading(rest)?;
    let (frontend, rest) = rest.strip_prefix("] ")?.split_once(' ')?;
    let entry = request(frontend, rest).or_else(|| {
        // `frontend/1: SSL handshake failure`: the connection of a client broke before there was a request.
        let listener = frontend.strip_suffix(':')?;
        listener.contains('/').then(|| Entry { message: format!("{frontend} {rest}").into(), ..Entry::default() })
    })?;
    Some(Entry { dialect: Dialect::Haproxy, time: Some(time), client: Some(client.into()), ..entry })
}

/// A request's line without process and client, as who removes them pastes it: `haproxy [20/Nov/2026:23:36:34.395] web~ shop 0/0/...`.
fn redacted(text: &str) -> Option<Entry<'_>> {
    let stamp = text.match_indices('[').take(REDACTED_BRACKETS).find_map(|(at, _)| TimeShape::Clf.leading(&text[at + 1..]));
    let (time, rest) = stamp?;
    let (frontend, rest) = rest.strip_prefix("] ")?.split_once(' ')?;
    let entry = request(frontend, rest).or_else(|| {
        // The server's name is gone, too.
        let (backend, figures) = rest.split_once(' ')?;
        let entry = (!backend.contains('/')).then(|| figures_of(frontend, backend, "", figures)).flatten()?;
        Some(entry).filter(|entry| entry.status.is_some())
    });
    // One that was cut, too, has its time and its program.
    let of_haproxy = || text.split('[').next().is_some_and(|before| before.split(' ').any(is_haproxy));
    let entry = entry.or_else(|| of_haproxy().then(|| Entry { message: rest.into(), ..Entry::default() }))?;
    Some(Entry { dialect: Dialect::Haproxy, time: Some(time), ..entry })
}

/// The client of a line of a request or connection, whatever carried it. HAProxy writes IPv6 addresses without brackets.
pub fn client_of(line: &[u8]) -> Option<SocketAddr> {
    let before = line.get(..memchr::memmem::find(line, b" [")?)?;
    let word = str::from_utf8(before.rsplit(|byte| *byte == b' ').next()?).ok()?;
    let (ip, port) = word.rsplit_once(':')?;
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

/// A notice that nothing names: `backend shop has no server available!`.
fn headless(text: &str) -> Option<Entry<'_>> {
    let (word, rest) = text.split_once(' ')?;
    let known = match word {
        "backend" | "proxy" => rest.ends_with(" has no server available!"),
        "Server" | "Backup" => text.contains(" is DOWN, reason: ") || text.contains(" is UP, reason: "),
        _ => false,
    };
    known.then(|| notice(text))
}

/// The end of a request's line, `web~ shop/app1 0/0/-1/-1/1 502 209 ...`. A terminal that wrapped the line makes the same, so that no
/// line is told to begin so.
pub(super) fn cut_request(text: &str) -> Option<Entry<'_>> {
    let (word, rest) = text.split_once(' ')?;
    let backend = rest.split(' ').next()?;
    let entry = backend.contains('/').then(|| request(word, rest)).flatten()?;
    Some(Entry { dialect: Dialect::Haproxy, ..entry })
}

/// `backend/server 0/0/-1/-1/1001 503 217 - - SC-- 1/1/0/0/1 0/0 "GET / HTTP/1.1"`, or in TCP mode `backend/server 1/0/5007 212 SC
/// 0/0/0/0/3 0/0`.
fn request<'a>(frontend: &'a str, text: &'a str) -> Option<Entry<'a>> {
    let (name, figures) = text.split_once(' ')?;
    let (backend, server) = name.split_once('/')?;
    figures_of(frontend, backend, server, figures)
}

/// What stands behind the names of backend and server.
fn figures_of<'a>(frontend: &'a str, backend: &'a str, server: &'a str, text: &'a str) -> Option<Entry<'a>> {
    let mut words = text.splitn(9, ' ');
    let timers: Vec<i64> =
        words.next()?.splitn(6, '/').map(|word| word.trim_start_matches('+').parse().ok()).collect::<Option<_>>()?;
    let http = timers.len() == 5;
    let status: i16 = if http { words.next()?.parse().ok()? } else { -1 };
    let bytes = words.next()?.trim_start_matches('+');
    if !matches!(timers.len(), 3 | 5) || !bytes.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if http {
        // Captured cookies.
        let _ = (words.next()?, words.next()?);
    }
    let state = words.next()?;
    if state.len() != if http { 4 } else { 2 } || !state.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
        return None;
    }
    let tries: u32 = words.next()?.rsplit('/').next()?.trim_start_matches('+').parse().ok()?;
    // TCP: Tw/Tc/Tt. HTTP: TR/Tw/Tc/Tr/Ta.
    let (connected, answered) = if http { (timers[2], timers[3]) } else { (timers[1], 0) };
    let total = timers[timers.len() - 1];
    // A frontend stands for itself where no rule named a backend. A `listen` section bears one name for both, and was entered: the
    // time that the request took is known there.
    let unrouted = http && backend == frontend.trim_end_matches('~') && timers[0] < 0;
    let stage = match server {
        "<NOSRV>" if unrouted => "unrouted",
        "<NOSRV>" => "unassigned",
        server if server.starts_with('<') => "own",
        _ if connected < 0 && tries > 0 && total < AT_ONCE_MS => "unconnected at once",
        _ if connected < 0 => "unconnected",
        _ if answered < 0 => "unanswered",
        _ => "answered",
    };
    let upstream: Cow<'a, str> =
        if server.is_empty() || server.starts_with('<') { backend.into() } else { format!("{backend}/{server}").into() };
    // Captured headers stand between the queues and the request; both are of the client's choosing.
    let tail = words.last().unwrap_or_default();
    let line = tail.find('"').map(|at| tail[at + 1..].split('"').next().unwrap_or_default()).filter(|_| http);
    let method = line.and_then(request_line).map(|(method, _)| method).filter(|method| METHODS.contains(method)).unwrap_or("-");
    let told = match status {
        status if !http || status < 0 => None,
        status => u16::try_from(status).ok(),
    };
    let message = match told {
        Some(status) => format!("{status:03} {method} {state} {upstream} {stage}"),
        None if http => format!("- {method} {state} {upstream} {stage}"),
        None => format!("tcp {state} {upstream} {stage}"),
    };
    Some(Entry {
        message: message.into(),
        upstream: Some(upstream),
        server: Some(frontend.trim_end_matches('~').into()),
        request: line.map(Into::into),
        status: told,
        ..Entry::default()
    })
}

/// The methods of RFC 9110 and PATCH; another one is a client's invention.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// `[ALERT]    (157) : message`, up to 2.2 `[ALERT] 323/233630 (157) : message` (`print_message` in src/errors.c).
fn on_stderr(text: &str) -> Option<Entry<'_>> {
    let (word, rest) = text.strip_prefix('[')?.split_once(']')?;
    if !matches!(word, "ALERT" | "WARNING" | "NOTICE" | "DIAG") {
        return None;
    }
    let (before, rest) = rest.split_once('(')?;
    let (pid, message) = rest.split_once(") : ")?;
    let day = before.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'/'));
    let pid = pid.parse().ok().filter(|_| day)?;
    let level = Level::parse(word)?;
    let entry = match message.strip_prefix("config : ") {
        Some(message) => {
            let message = format!("config {}: {message}", level.word()).into();
            Entry { dialect: Dialect::Haproxy, message, ..Entry::default() }
        }
        None => notice(message),
    };
    Some(Entry { level: Some(level), pid: Some(pid), ..entry })
}

fn notice(message: &str) -> Entry<'_> {
    // `Server shop/app1 is DOWN`, `backend shop has no server available!`, `Connect() failed for backend shop: ...`.
    let words = || message.split(' ');
    let named = match words().next() {
        Some("Server" | "Backup" | "Health") => words().find(|word| word.contains('/')),
        Some("backend" | "proxy" | "Backend" | "Proxy") => words().nth(1),
        Some("Connect()") => words().nth(4),
        Some(_) | None => None,
    };
    let upstream = named.map(|name| name.trim_end_matches([':', ',', '.']).trim_matches('\'')).filter(|name| !name.is_empty());
    Entry { dialect: Dialect::Haproxy, message: without_counts(message), upstream: upstream.map(Into::into), ..Entry::default() }
}

/// `... 0 active and 0 backup servers left. 3 sessions active, ...`: whether any is left decides, the rest differs each time.
fn without_counts(message: &str) -> Cow<'_, str> {
    let Some(end) = message.rfind(" active and ") else { return message.into() };
    let (before, rest) = message.split_at(end);
    let Some((told, active)) = before.rsplit_once(' ') else { return message.into() };
    let rest = rest.trim_start_matches(" active and ");
    // `left` when one went, `online` when one came or was drained.
    let counted = [" backup servers left", " backup servers online"].iter().find_map(|words| rest.split_once(words));
    match counted {
        Some((backup, _)) => {
            format!("{told} {}", if active == "0" && backup == "0" { "no server left" } else { "others left" }).into()
        }
        None => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, Level, read};

    #[test]
    fn requests_are_told_by_how_far_they_came() {
        for (line, message, upstream, status) in [
            (
                "<134>Nov 20 23:36:35 haproxy[157]: 127.0.0.1:34332 [20/Nov/2026:23:36:34.395] fe b_refused/s1 0/0/-1/-1/1001 503 217 - - SC-- 1/1/0/0/1 0/0 \"GET /refused HTTP/1.1\"",
                "503 GET SC-- b_refused/s1 unconnected",
                "b_refused/s1",
                Some(503),
            ),
            (
                "127.0.0.1:57338 [20/Nov/2026:23:36:50.713] fe~ b_unreachnet/s1 0/0/-1/-1/0 503 217 - - SC-- 1/1/0/0/1 0/0 {shop.test|curl} {} \"GET /unreachnet HTTP/1.1\"",
                "503 GET SC-- b_unreachnet/s1 unconnected at once",
                "b_unreachnet/s1",
                Some(503),
            ),
            (
                "Nov 20 23:36:58 gw1 haproxy[157]: 127.0.0.1:58146 [20/Nov/2026:23:36:58.897] fe b_checkdown/<NOSRV> 0/-1/-1/-1/0 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET /checkdown HTTP/1.1\"",
                "503 GET SC-- b_checkdown unassigned",
                "b_checkdown",
                Some(503),
            ),
            (
                "127.0.0.1:34426 [20/Nov/2026:23:36:37.608] fe b_nested/s1 0/0/0/2/+2 502 +73 - - ---- 1/1/0/0/+1 0/0 \"XGET /nested HTTP/1.1\"",
                "502 - ---- b_nested/s1 answered",
                "b_nested/s1",
                Some(502),
            ),
            (
                "10.0.0.1:33317 [20/Nov/2026:23:36:37.608] fe b_slow/s1 0/0/0/-1/4001 -1 0 - - CH-- 1/1/0/0/0 0/0 \"POST / HTTP/1.1\"",
                "- POST CH-- b_slow/s1 unanswered",
                "b_slow/s1",
                None,
            ),
            (
                "::1:33317 [20/Nov/2026:23:36:37.608] fnt bck/srv1 0/-1/5007 0 SC 0/0/0/0/3 0/0",
                "tcp SC bck/srv1 unconnected",
                "bck/srv1",
                None,
            ),
        ] {
            let entry = read(line);
            assert_eq!(entry.dialect, Dialect::Haproxy, "{line}");
            assert_eq!((&*entry.message, entry.upstream.as_deref(), entry.status), (message, Some(upstream), status), "{line}");
            assert!(entry.time.is_some() && entry.client.is_some());
        }
    }

    #[test]
    fn a_request_is_known_without_process_client_and_server() {
        for (head, name, upstream) in [
            ("Nov 20 23:36:34 gw1 haproxy ", "shop", "shop"),
            ("", "shop/app1", "shop/app1"),
            ("haproxy[<pid>]: <client> ", "shop/app1", "shop/app1"),
        ] {
            let line = format!(
                "{head}[20/Nov/2026:23:36:34.889] web~ {name} 0/0/53/-1/69 502 1029 - - SH-- 7/6/1/1/0 0/0 \"GET  HTTP/2.0\" fc_err=- bc_err=ERESET"
            );
            let entry = read(&line);
            let message = format!("502 - SH-- {upstream} unanswered");
            assert_eq!((entry.dialect, &*entry.message, entry.status), (Dialect::Haproxy, &*message, Some(502)), "{line}");
            assert!(entry.time.is_some() && entry.upstream.as_deref() == Some(upstream));
        }
        for other in
            ["x [20/Nov/2026:23:36:34.889] a b c", "1.2.3.4 - - [20/Nov/2026:23:36:34 +0000] \"GET / HTTP/1.1\" 502 1 \"-\" \"-\""]
        {
            assert_ne!(read(other).dialect, Dialect::Haproxy, "{other}");
        }
    }

    #[test]
    fn notices_come_by_syslog_and_on_stderr() {
        for (line, level, message, upstream) in [
            (
                "<128>Nov 20 23:36:30 haproxy[157]: backend b_checkdown has no server available!",
                Some(Level::Emergency),
                "backend b_checkdown has no server available!",
                Some("b_checkdown"),
            ),
            (
                "[WARNING]  (157) : Server b/s1 is DOWN, reason: Layer4 timeout, check duration: 2001ms.",
                Some(Level::Warning),
                "Server b/s1 is DOWN, reason: Layer4 timeout, check duration: 2001ms.",
                Some("b/s1"),
            ),
            (
                "[ALERT] 323/233630 (7) : Starting frontend fe: cannot bind socket",
                Some(Level::Alert),
                "Starting frontend fe: cannot bind socket",
                None,
            ),
            (
                "<131>Nov 20 23:45:10 haproxy[163]: Connect() failed for backend b: no free ports.",
                Some(Level::Error),
                "Connect() failed for backend b: no free ports.",
                Some("b"),
            ),
            ("10.0.0.1:33317 [20/Nov/2026:23:36:37.608] fe/1: SSL handshake failure", None, "fe/1: SSL handshake failure", None),
        ] {
            let entry = read(line);
            assert_eq!((entry.dialect, entry.level), (Dialect::Haproxy, level), "{line}");
            assert_eq!((&*entry.message, entry.upstream.as_deref()), (message, upstream), "{line}");
        }
        for other in ["[ALERT] disk is full", "10.0.0.1:1 [20/Nov/2026:23:36:37.608] a b", "Server b/s1 is DOWN", "haproxy: x"] {
            assert_ne!(read(other).dialect, Dialect::Haproxy, "{other}");
        }
    }

    #[test]
    fn the_client_is_known_with_its_port() {
        for (line, client) in [
            ("<134>Nov 20 23:36:35 haproxy[157]: 10.0.0.1:34332 [20/Nov/2026:23:36:34.395] fe b/s1", Some("10.0.0.1:34332")),
            ("::1:34332 [20/Nov/2026:23:36:34.395] fe b/s1", Some("[::1]:34332")),
            ("unix:1 [20/Nov/2026:23:36:34.395] fe b/s1", None),
            ("[NOTICE]   (61) : New worker (70) forked", None),
        ] {
            assert_eq!(super::client_of(line.as_bytes()), client.map(|at| at.parse().expect("an address")), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "(1\\.2\\.3\\.4:5 |\\[20/Nov/2026:23:36:34\\.395\\] |fe |b/s1 |b/<NOSRV> |0/0/-1/-1/0 |1/2/3 |503 |217 |- |SC-- |SD |1/1/0/0/1 |0/0 |\\{é\\} |\"GET / HTTP/1.1\"|\\[ALERT\\] \\(|\\) : |haproxy\\[1\\]: |[a-zé]){0,16}") {
            let _ = (read(&text), read(&format!("Nov 20 23:36:30 haproxy[157]: {text}")));
        }
    }
}
