//! What a line of a log says: pure readers of one line that borrow from it.
//!
//! [`read`] takes off what carried a line ([`carried`]), asks each reader whether it is one of its own, and gives an [`Entry`] in
//! words that are common to all programs. Lines are hostile: a reader never panics, never allocates by what a line claims, and
//! gives `None` rather than a guess. Nothing here opens a file, and nothing decides what a line means for the outage: that is for
//! signatures.
//!
//! To add a format: a file here with its reader, its line in [`READERS`], a [`Dialect`], and a file of signatures.

mod access_key;
mod apache_error;
mod around;
mod caddy;
mod carrier;
mod cloud;
mod common_access;
mod dotnet;
mod entry;
mod envelope;
mod envoy;
mod go;
mod go_error;
mod go_proxy;
mod gunicorn;
mod haproxy;
mod haproxy_stat;
mod heroku;
mod host;
mod iis;
mod java;
mod journal;
mod json;
mod json_error;
mod kernel;
mod key;
mod klog;
mod kubectl;
mod labelled;
mod lighttpd;
mod linkerd;
mod listening;
mod litespeed;
mod logfmt;
mod netty;
mod nginx_access;
mod nginx_error;
mod node;
mod php;
mod php_fpm;
mod python;
mod ruby;
mod rust;
mod shown;
mod socket_exception;
mod squid;
mod terse;
mod time;
mod tools;
mod trace;
mod traefik;
mod uvicorn;
mod uwsgi;
mod varnish;
mod workhorse;

use std::ops::Range;

pub use access_key::{PROBE_MARK, access_form, is_ours, mark_ours, ours_of_key, read_access_key, request_of_key};
pub use carrier::{Carried, carried, docker_json};
pub use entry::{Dialect, Entry, Level, Writer};
pub use envelope::{enveloped, is_record};
pub use haproxy::client_of as haproxy_client;
pub use journal::{JournalEntry, JournalExport, journal_json};
pub use key::{LineKey, read_key};
pub use listening::{Listening, listening};
pub use nginx_access::{ATTEMPTS, AccessCut, AccessCutter, AccessFormat, AccessLine, AccessTime, COMBINED};
pub use nginx_error::NginxErrorLine;
pub use shown::shown_answer;
pub use time::{LineTime, TimeShape, local};

/// Reads a line of one program; `None`: it is not one of its lines.
type Reader = for<'a> fn(&Carried<'a>) -> Option<Entry<'a>>;

/// The readers, those of the strictest shape first: the first that knows a line has it.
const READERS: &[Reader] = &[
    nginx_error::read,
    apache_error::read,
    haproxy::read,
    haproxy_stat::read,
    lighttpd::read,
    squid::read,
    varnish::read,
    common_access::read,
    labelled::whole,
    host::audit,
    kernel::read,
    host::systemd,
    host::container,
    kubectl::read,
    klog::read,
    caddy::read,
    traefik::read,
    envoy::read,
    cloud::read,
    heroku::read,
    iis::read,
    linkerd::read,
    litespeed::read,
    workhorse::read,
    json_error::read,
    go_proxy::read,
    gunicorn::read,
    php_fpm::read,
    php::read,
    uvicorn::read,
    uwsgi::read,
    dotnet::read,
    socket_exception::read,
    java::read,
    node::read,
    ruby::read,
    python::read,
    rust::read,
    go::read,
    tools::read,
    terse::read,
];

/// How far into a line its beginning is looked for behind words that are no carrier's: a prompt, the time of a chat.
const BEHIND_BYTES: usize = 160;

/// Reads any line. One that no reader knows is [`Dialect::Plain`], with what its carrier told.
pub fn read(line: &str) -> Entry<'_> {
    let carried = carried(line);
    let cut = || haproxy::cut_request(carried.text).or_else(|| nginx_error::cut_message(carried.text));
    let mut entry = known(&carried).or_else(cut).unwrap_or_else(|| plain(&carried));
    entry.time = entry.time.or(carried.time);
    entry.level = entry.level.or(carried.level);
    entry.program = entry.program.or(carried.program);
    entry.pid = entry.pid.or(carried.pid);
    entry
}

/// Reads a message of the kernel's own log, which nothing carried.
pub fn read_kernel(message: &str) -> Entry<'_> {
    let carried = Carried { text: message, program: Some("kernel"), ..Carried::default() };
    known(&carried).unwrap_or_else(|| plain(&carried))
}

/// Where the line of a known program begins in a line of a paste, which may have something before it that is no carrier's; what
/// carried it is part of the line. `None`: no reader knows it.
pub fn begins(line: &str) -> Option<usize> {
    within(line).map(|place| place.start)
}

/// As [`begins`], with where it ends: somebody may have put it into quotes.
pub fn within(line: &str) -> Option<Range<usize>> {
    if known(&carried(line)).is_some() {
        return Some(0..line.len());
    }
    if let Some(place) = around::within(line, |text| known(&carried(text)).is_some()) {
        return Some(place);
    }
    let mut starts = line.char_indices().take_while(|(at, _)| *at <= BEHIND_BYTES).filter(|(at, c)| {
        let before = line[..*at].chars().next_back();
        *at > 0 && (c.is_ascii_digit() || "[{<".contains(*c)) && !before.is_some_and(|before| before.is_ascii_alphanumeric())
    });
    starts.find_map(|(at, _)| known(&carried(&line[at..])).map(|_| at..line.len()))
}

/// Whether a line is one of a listing, which no other goes on with.
pub fn is_listed(line: &str) -> bool {
    kubectl::is_listed(line) || haproxy_stat::is_listed(line)
}

/// What each reader makes of a line, also those that come behind the one that knows it: so that a test reaches all of them with any.
#[doc(hidden)]
pub fn by_each_reader(line: &str) -> Vec<Entry<'_>> {
    let carried = carried(line);
    READERS.iter().filter_map(|reader| reader(&carried)).collect()
}

fn known<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    READERS.iter().find_map(|reader| reader(carried))
}

fn plain<'a>(carried: &Carried<'a>) -> Entry<'a> {
    let text = carried.text.trim_end();
    let (time, rest) = match LineTime::leading(text.trim_start_matches('[')) {
        Some((time, rest)) => (Some(time), rest.trim_start_matches([']', ' ', ':', '-', '|'])),
        None => (None, text),
    };
    // A level is the first word, with or without brackets or colon, and then it is no part of the message.
    let word = rest.trim_start_matches(['[', '<']);
    let length = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let level = Level::parse(&word[..length]).filter(|_| word[length..].starts_with([']', ':', '>', ' ', '\t']));
    Entry { time, level, message: rest.into(), ..Entry::default() }
}

/// Method and target of a request line: `GET /path?query HTTP/1.1`. The target is as the client sent it; `None` for bytes
/// that are no request line (a TLS hello on a plain port, a scanner's noise).
pub fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    // RFC 9110 section 9.1: a method is a token; those in use are capitals, `-` and `_` (WebDAV, `M-SEARCH`).
    let known = (1..=16).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
    // HTTP/0.9 has no version; a target with a blank in it is taken as it is, up to the version.
    let target = rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target);
    (known && !target.is_empty()).then_some((method, target))
}

/// The path of a request line that can be repeated without harm: GET or HEAD, no query, nothing that looks like an action.
pub fn safe_path(request: &str) -> Option<String> {
    /// Words in paths of requests that do something, although by GET.
    const ACTIONS: &[&str] = &[
        "logout",
        "signout",
        "delete",
        "remove",
        "unsubscribe",
        "confirm",
        "activate",
        "pay",
        "purge",
        "reset",
        "cancel",
        "checkout",
        "send",
        "token",
        "cron",
        "admin",
        "upload",
        "install",
        "restart",
        "shutdown",
    ];
    let mut words = request.split(' ');
    if !matches!(words.next()?, "GET" | "HEAD") {
        return None;
    }
    let path = words.next()?.split(['?', '#']).next()?;
    let lower = path.to_ascii_lowercase();
    let harmless = path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic());
    (harmless && !ACTIONS.iter().any(|action| lower.contains(action))).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_requests_are_repeated() {
        assert_eq!(safe_path("GET /cart?id=5 HTTP/1.1").as_deref(), Some("/cart"));
        for request in
            ["POST /cart HTTP/1.1", "GET /user/Logout HTTP/1.1", "GET cart HTTP/1.1", "GET /a\u{1b}b HTTP/1.1", "", "GET"]
        {
            assert_eq!(safe_path(request), None, "{request}");
        }
    }

    #[test]
    fn a_request_line_gives_method_and_target() {
        assert_eq!(request_line("GET /a?b=c HTTP/1.1"), Some(("GET", "/a?b=c")));
        assert_eq!(request_line("M-SEARCH * HTTP/1.1"), Some(("M-SEARCH", "*")));
        assert_eq!(request_line("GET /a b HTTP/1.0"), Some(("GET", "/a b")));
        for noise in ["", "GET", "GET ", "\\x16\\x03\\x01 x", "get / HTTP/1.1", " / HTTP/1.1"] {
            assert_eq!(request_line(noise), None, "{noise:?}");
        }
    }

    #[test]
    fn a_line_is_known_whatever_carried_it() {
        const LINE: &str = "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 203.0.113.9, server: shop, request: \"GET /cart HTTP/1.1\", upstream: \"http://127.0.0.1:8000/cart\", host: \"shop\"";
        for before in
            ["", "Nov 20 02:17:41 gw1 nginx: ", "web-1  | ", "root@gw1:~# ", "> ", "2026-11-20T02:17:41.123Z ", "[02:18] bob: "]
        {
            let line = format!("{before}{LINE}");
            let entry = read(&line[begins(&line).expect("it is known")..]);
            assert_eq!((entry.dialect, entry.upstream.as_deref()), (Dialect::NginxError, Some("127.0.0.1:8000")), "{line}");
            assert_eq!(entry.message, "[error] connect() failed (111: Connection refused) while connecting to upstream");
        }
        let other = read("2026-11-20 23:36:34,123 ERROR something broke");
        assert_eq!((other.dialect, other.level, &*other.message), (Dialect::Plain, Some(Level::Error), "ERROR something broke"));
    }
}
