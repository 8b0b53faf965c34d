//! LiteSpeed and OpenLiteSpeed: what their error log says of the applications that they start or connect to (src/extensions/extconn.cpp,
//! src/extensions/localworker.cpp, src/extensions/cgi/lscgid.cpp), and what LSAPI itself says in a PHP or Python application
//! (lsapilib.c). The message is `[litespeed] <what>`, with the socket as upstream where it is named.
//!
//! - since 1.6 `2026-11-20 02:17:41.012477 [NOTICE] [811] [203.0.113.9:4773#shop] text`; the text may begin with the socket;
//! - before that with tabs, `2026-11-20 02:17:41.012 INFO [uds://tmp/lshttpd/lsphp.sock] text`.

use std::borrow::Cow;

use super::{Carried, Dialect, Entry, Level, LineTime, TimeShape, trace::first_line};

/// What LSAPI says in the application, at the end of its line (`lsapi_prefork_server_accept`).
const OF_LSAPI: &str = ", please increase LSAPI_CHILDREN.";
/// What is said of a request that the application took no notice of (src/extensions/lsapi/lsapiconn.cpp).
const NOT_TAKEN: &str = "No request delivery notification has been received from LSAPI application";
/// Bytes of a line in which its words are searched.
const SEARCHED_BYTES: usize = 300;

/// What is said, and the word for it. Nobody else has these words.
const SAID: [(&str, &str); 5] = [
    ("ExtConn timed out while connecting", "no connection in time"),
    ("ExtConn timed out while processing", "no answer in time"),
    ("Suspicious request timeout, associated process", "no answer in time"),
    ("Connection refused, restart!", "refused"),
    (NOT_TAKEN, "request not taken"),
];

/// Errors of the system behind `connection to [...] on request ... error: `, and behind `lscgid: execve():<program>: `.
const ERRORS: [(&str, &str); 7] = [
    ("Connection timed out", "no answer in time"),
    ("Connection refused", "refused"),
    ("Connection reset by peer", "closed"),
    ("Broken pipe", "closed"),
    ("No such file or directory", "missing"),
    ("Permission denied", "denied"),
    ("Resource temporarily unavailable", "no process left"),
];

/// Reads a line of LiteSpeed's error log, or of LSAPI.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let line = first_line(carried.text);
    let (time, rest) = TimeShape::Dashed.leading(line).map_or((None, line), |(time, rest)| (Some(time), rest));
    let what = execve(rest).or_else(|| said(rest, time.is_some()))?;
    let (level, rest) = leveled(rest);
    Some(Entry { level, ..entry(what, socket(rest), time) })
}

fn entry<'a>(what: &str, upstream: Option<Cow<'a, str>>, time: Option<LineTime<'a>>) -> Entry<'a> {
    Entry { dialect: Dialect::Litespeed, time, message: format!("[litespeed] {what}").into(), upstream, ..Entry::default() }
}

/// `lscgid: execve():/usr/local/lsws/lsphp83/bin/lsphp: Resource temporarily unavailable`.
fn execve(text: &str) -> Option<&'static str> {
    let at = text[..text.floor_char_boundary(SEARCHED_BYTES)].find("lscgid: execve():")?;
    let rest = &text[at..];
    let error = rest.trim_end().rsplit_once(": ")?.1;
    Some(match error_of(error)? {
        "missing" | "denied" => "program missing",
        other => other,
    })
}

fn said(text: &str, stamped: bool) -> Option<&'static str> {
    if text.trim_end().ends_with(OF_LSAPI) {
        return Some("no child left");
    }
    // Pasted alone, only these words are known; of other lines each would have to be searched for all of them.
    if !stamped {
        return text.starts_with(NOT_TAKEN).then_some("request not taken");
    }
    let head = &text[..text.floor_char_boundary(SEARCHED_BYTES)];
    if let Some((_, what)) = SAID.iter().find(|(words, _)| head.contains(words)) {
        return Some(what);
    }
    let (_, rest) = text[head.find("onnection to [")?..].split_once("] on request #")?;
    let (_, error) = rest.split_once(" error: ")?;
    error_of(error)
}

fn error_of(error: &str) -> Option<&'static str> {
    ERRORS.iter().find(|(words, _)| error.starts_with(words)).map(|(_, what)| *what)
}

/// The level, with brackets or before a tab.
fn leveled(text: &str) -> (Option<Level>, &str) {
    let word = text.trim_start_matches('[');
    let length = word.bytes().take_while(u8::is_ascii_uppercase).count();
    (Level::parse(&word[..length]), &word[length..])
}

/// `[uds://tmp/lshttpd/lsphp.sock]`, `connection to [/tmp/lshttpd/lsphp.sock]`, `[127.0.0.1:8000]`.
fn socket(text: &str) -> Option<Cow<'_, str>> {
    let named = |begin: &str| text.split_once(begin)?.1.split([']', ' ', '#']).next().filter(|name| !name.is_empty());
    if let Some(path) = named("[uds://") {
        return Some(format!("unix:/{path}").into());
    }
    let name = named("onnection to [")?;
    Some(if name.starts_with('/') { format!("unix:{name}").into() } else { name.trim_start_matches("http://").to_owned().into() })
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{self, Dialect};

    #[test]
    fn what_failed_and_at_which_application() {
        for (line, message, upstream) in [
            (
                "2026-11-20 02:17:41.460\tINFO\t[uds://tmp/lshttpd/lsphp.sock] Connection refused, restart!",
                "refused",
                Some("unix:/tmp/lshttpd/lsphp.sock"),
            ),
            (
                "2026-11-20 02:17:41.012477 [INFO] [811] [:4773:HTTP2-3] ExtConn timed out while processing, timeout=10.",
                "no answer in time",
                None,
            ),
            (
                "2026-11-20 02:17:41.012525 [INFO] [811] [:4773:HTTP2-3] connection to [/tmp/lshttpd/shop.sock] on request #0, confirmed, 0, associated process: 856, running: 0, error: Connection reset by peer!",
                "closed",
                Some("unix:/tmp/lshttpd/shop.sock"),
            ),
            ("lscgid: execve():/usr/local/lsws/lsphp83/bin/lsphp: Resource temporarily unavailable", "no process left", None),
            ("lscgid: execve():/usr/local/lsws/lsphp83/bin/lsphp: No such file or directory", "program missing", None),
            (
                "No request delivery notification has been received from LSAPI application, possible dead lock.",
                "request not taken",
                None,
            ),
            (
                "2026-11-20 02:17:41.318 [STDERR] [89] Reached max children process limit: 10, extra: 0, current: 10, busy: 10, please increase LSAPI_CHILDREN.",
                "no child left",
                None,
            ),
        ] {
            let entry = logline::read(line);
            let expected = (Dialect::Litespeed, format!("[litespeed] {message}"), upstream);
            assert_eq!((entry.dialect, entry.message.into_owned(), entry.upstream.as_deref()), expected, "{line}");
        }
        for other in
            ["Connection refused", "2026-11-20 02:17:41.012 [NOTICE] [811] [AutoUpdate] Checking for new releases", "lscgid: x", ""]
        {
            assert_ne!(logline::read(other).dialect, Dialect::Litespeed, "{other}");
        }
    }
}
