//! lighttpd's error log: `2026-11-20 23:38:43: (gw_backend.c.274) message` (`log_error` in src/log.c), in syslog and in pastes without
//! the time.
//!
//! The message is what stands behind the place in the source. Paths of requests, which lighttpd quotes nowhere, are `<path>`.

use std::borrow::Cow;

use super::{Carried, Dialect, Entry, LineTime, TimeShape, php};

/// Reads a line of lighttpd's error log.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text.trim();
    let (time, rest) = match TimeShape::Dashed.leading(text) {
        Some((time, rest)) => (Some(time), rest.strip_prefix(": ")?),
        // The place in the source is told so by nobody else.
        None => tabled(text).unwrap_or((None, text)),
    };
    // Behind the time the bracket may be lost: nobody else has a place there.
    let (place, message) = rest.strip_prefix('(').or(time.map(|_| rest))?.split_once(") ")?;
    let (file, line) = place.rsplit_once(".c.")?;
    let sound = !file.is_empty() && !file.contains([' ', '(']) && !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit());
    if !sound {
        return None;
    }
    // What a FastCGI process wrote on its stderr (mod_fastcgi.c, `FastCGI-stderr:`).
    if let Some((level, words)) = message.strip_prefix("FastCGI-stderr:").and_then(|words| php::message(words.trim_start())) {
        return Some(Entry { dialect: Dialect::Php, time, level: Some(level), message: words.into(), ..Entry::default() });
    }
    let message = as_today(message);
    Some(Entry {
        dialect: Dialect::Lighttpd,
        time,
        message: without_path(&without_count(&message)).into_owned().into(),
        upstream: upstream(&message).map(|upstream| upstream.to_owned().into()),
        ..Entry::default()
    })
}

/// `2026-11-20T23:38:43 | Error | lighttpd | (gw_backend.c.533) text |`: the table in which OPNsense shows it, as it is copied.
fn tabled(text: &str) -> Option<(Option<LineTime<'_>>, &str)> {
    let (before, rest) = text.split_once("| lighttpd | ").or_else(|| text.split_once("\tlighttpd\t"))?;
    Some((Some(LineTime::leading(before)?.0), rest.trim_end_matches([' ', '|'])))
}

/// Since 1.4.72 the call is named, `connect() <address>: Connection refused` (gw_establish_connection in src/gw_backend.c).
fn called(message: &str) -> Option<String> {
    let (socket, error) = message.strip_prefix("connect() ")?.rsplit_once(": ")?;
    let kind = if socket.starts_with('/') { "unix:" } else { "" };
    Some(format!("establishing connection failed: socket: {kind}{socket}: {error}"))
}

/// Up to 1.4.45 the socket stood behind the error: `establishing connection failed: Connection refused socket: tcp:...`, and before
/// that `connect failed: Connection refused on unix:...` (fcgi_establish_connection in src/mod_fastcgi.c).
fn as_today(message: &str) -> Cow<'_, str> {
    let begins = ["establishing connection failed: ", "connect failed: "];
    let old = begins.iter().find_map(|begin| message.strip_prefix(begin)).and_then(|rest| {
        let (error, socket) = rest.split_once(" socket: ").or_else(|| rest.split_once(" on "))?;
        let known = ["tcp:", "unix:"].iter().any(|kind| socket.starts_with(kind));
        (known && !error.is_empty() && !error.contains(':')).then_some((error, socket))
    });
    match old {
        Some((error, socket)) => format!("establishing connection failed: socket: {socket}: {error}").into(),
        None => called(message).map_or(message.into(), Into::into),
    }
}

/// Whether anything was sent decides what it means, not how much.
fn without_count(message: &str) -> Cow<'_, str> {
    match message.strip_prefix("response not received, request sent: 0 on ") {
        Some(rest) => format!("response not received, request not sent on {rest}").into(),
        None => message.into(),
    }
}

/// `all handlers for /a?b on  are down.`, `... socket: tcp:127.0.0.1:9014 for /a?b, closing connection` (gw_backend.c),
/// `response headers too large for /a` (http-header-glue.c): the path is what the client asked for.
fn without_path(message: &str) -> Cow<'_, str> {
    const ENDS: [&str; 5] = [" on ", ", closing connection", ", reconnecting", ", terminating connection", ", trying"];
    let Some((before, rest)) = message.split_once(" for /") else { return message.into() };
    // From the right: the path may hold any of these words.
    let end = ENDS.iter().filter_map(|end| rest.rfind(end)).max();
    let tail = match end.map(|end| &rest[end..]) {
        Some(tail) if tail.starts_with(" on ") => " are down.",
        Some(tail) => tail,
        None => "",
    };
    format!("{before} for <path>{tail}").into()
}

/// `socket: tcp:127.0.0.1:9099: Connection refused`, `gw-server re-enabled: unix:/run/app.sock  0 ...`.
fn upstream(message: &str) -> Option<&str> {
    let names = ["socket: ", "gw-server re-enabled: ", "gw-server disabled: "];
    let rest = names.iter().find_map(|name| message.split_once(name))?.1;
    let socket = rest.split([' ', ',']).next()?.trim_end_matches(':');
    if socket.starts_with("unix:/") { Some(socket) } else { socket.strip_prefix("tcp:").filter(|address| !address.is_empty()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, read};

    #[test]
    fn message_and_upstream_without_the_path() {
        for (line, message, upstream) in [
            (
                "2026-11-20 23:38:43: (gw_backend.c.274) establishing connection failed: socket: tcp:127.0.0.1:9099: Connection refused",
                "establishing connection failed: socket: tcp:127.0.0.1:9099: Connection refused",
                Some("127.0.0.1:9099"),
            ),
            (
                "2026-11-20 23:38:57: (gw_backend.c.274) establishing connection failed: socket: unix:/tmp/lab502/none.sock: No such file or directory",
                "establishing connection failed: socket: unix:/tmp/lab502/none.sock: No such file or directory",
                Some("unix:/tmp/lab502/none.sock"),
            ),
            (
                "2026-11-20 23:38:43: (gw_backend.c.960) all handlers for /refused? on /x on  are down.",
                "all handlers for <path> are down.",
                None,
            ),
            (
                "2026-11-20 23:38:43: (gw_backend.c.2389) response not received, request sent: 216 on socket: tcp:127.0.0.1:9014 for /closeacc?, closing connection",
                "response not received, request sent: 216 on socket: tcp:127.0.0.1:9014 for <path>, closing connection",
                Some("127.0.0.1:9014"),
            ),
            (
                "2026-11-20 23:38:46: (gw_backend.c.2708) read timeout on socket: tcp:[::1]:9003 (fd: 11)",
                "read timeout on socket: tcp:[::1]:9003 (fd: 11)",
                Some("[::1]:9003"),
            ),
            // Composed from the format strings of 1.4.35 and 1.4.19.
            (
                "2012-01-15 12:42:29: (mod_fastcgi.c.1754) establishing connection failed: Connection refused socket: tcp:127.0.0.1:9099",
                "establishing connection failed: socket: tcp:127.0.0.1:9099: Connection refused",
                Some("127.0.0.1:9099"),
            ),
            (
                "2012-01-15 12:42:29: (mod_fastcgi.c.1743) connect failed: No such file or directory on unix:/tmp/php.socket-0",
                "establishing connection failed: socket: unix:/tmp/php.socket-0: No such file or directory",
                Some("unix:/tmp/php.socket-0"),
            ),
            (
                "2026-11-20T23:38:43 | Error | lighttpd | (/usr/obj/lighttpd-1.4.79/src/gw_backend.c.533) connect() /run/php.socket-3: Connection refused |  ",
                "establishing connection failed: socket: unix:/run/php.socket-3: Connection refused",
                Some("unix:/run/php.socket-3"),
            ),
            (
                "Nov 20 23:38:47 gw1 lighttpd[7]: (http-header-glue.c.1128) response headers too large for /bighdr",
                "response headers too large for <path>",
                None,
            ),
        ] {
            let entry = read(line);
            assert_eq!(
                (entry.dialect, &*entry.message, entry.upstream.as_deref()),
                (Dialect::Lighttpd, message, upstream),
                "{line}"
            );
            assert!(entry.time.is_some());
        }
        for other in ["2026-11-20 23:38:43: (x) y", "2026-11-20 23:38:43 (gw_backend.c.1) y", "(gw_backend.c) y"] {
            assert_ne!(read(other).dialect, Dialect::Lighttpd, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "(2026-11-20 23:38:43: |\\(gw_backend\\.c\\.1\\) | for /| on |, closing connection|socket: |tcp:|unix:/|é|[a-z: ]){0,12}") {
            let _ = read(&text);
        }
    }
}
