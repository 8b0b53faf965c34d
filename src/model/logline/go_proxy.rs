//! What net/http and net/http/httputil say by Go's log package, in whatever program: `2026/11/20 23:36:34 http: proxy error:
//! dial tcp 127.0.0.1:9099: connect: connection refused` (ReverseProxy.defaultErrorHandler), `http: Accept error: ...`
//! (Server.Serve). The first becomes the form of [`super::go_error`].

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape,
    go_error::{self, Failed},
    terse::unheaded,
    trace::first_line,
};

/// Ports of databases, caches and queues: who cannot connect there is an application (IANA's registry).
const OF_DEPENDENCIES: [u16; 12] = [1433, 1521, 2379, 3306, 5432, 5672, 6379, 9042, 9092, 9200, 11211, 27017];

/// Whether at this address an application has a database, a cache or a queue, by its port.
pub(super) fn is_dependency(address: &str) -> bool {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).is_some_and(|port: u16| OF_DEPENDENCIES.contains(&port))
}

/// How the errors begin that net, crypto/tls and crypto/x509 word (net.OpError, x509.CertificateInvalidError).
const ERRORS: [&str; 8] = [
    "dial tcp",
    "dial unix ",
    "read tcp ",
    "write tcp ",
    "tls: failed to verify certificate: x509: ",
    "x509: certificate ",
    "tls: first record does not look like a TLS handshake",
    "http: server gave HTTP response to HTTPS client",
];

/// Errors that are known as a whole (io.EOF, context.DeadlineExceeded, context.Canceled; the last is that of Cloud Foundry's router), or by their beginning.
const WHOLE: [&str; 5] = ["EOF", "unexpected EOF", "context deadline exceeded", "context canceled", "No endpoints available"];

/// Whether this is how Go's standard library words an error of a connection or of a request.
pub(super) fn is_gos(error: &str) -> bool {
    WHOLE.contains(&error) || error.starts_with("net/http: ") || ERRORS.iter().any(|begin| error.starts_with(begin))
}

/// Whether somebody who says this passes requests on to others.
pub(super) fn is_proxying(said: &str) -> bool {
    ["proxy", "Proxy", "gorouter", "backend", "upstream", "Bad Gateway"].iter().any(|word| said.contains(word))
}

/// `proxy error: dial tcp ...`, `backend request failed for 203.0.113.9:37620: dial tcp ...`: what an own `ErrorHandler` of ReverseProxy
/// logs. The words before the error say that it is a proxy's.
fn of_handler<'a>(text: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let at = ERRORS.iter().filter_map(|begin| text.find(begin)).min()?;
    let words = text[..at].strip_suffix(": ").filter(|words| words.len() <= 120 && is_proxying(words))?;
    let (message, upstream) = go_error::message(Failed::Request, &text[at..], None);
    // An address may stand in the words, and is the client's.
    (!words.contains('"') && !upstream.as_deref().is_some_and(is_dependency)).then(|| Entry {
        message: message.into(),
        upstream,
        ..entry.clone()
    })
}

/// `[2026/11/20 23:36:34] [http.go:112] Error proxying to upstream server: dial tcp ...` (oauth2-proxy, pkg/upstream/http.go).
fn of_oauth2_proxy<'a>(text: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let (before, error) = text.split_once("Error proxying to upstream server: ")?;
    let own = before.is_empty() || before.starts_with('[') && before.trim_end().ends_with(']') && before.len() <= 120;
    let (message, upstream) = own.then(|| go_error::message(Failed::Request, error, None))?;
    let time = LineTime::leading(before.strip_prefix('[').unwrap_or(before)).map(|(time, _)| time);
    Some(Entry { message: message.into(), upstream, time, level: Some(Level::Error), ..entry.clone() })
}

/// `rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.5:50051: connect:
/// connection refused"`, also as the value of a member of a record (grpc-go, internal/transport/http2_client.go): who is called could not
/// be reached. Cut out of a log it is a gateway's error as in [`bare`], else one of an application about what it depends on.
fn of_grpc<'a>(carried: &Carried<'a>, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let (before, rest) = first_line(carried.text).split_once("rpc error: code = Unavailable desc = ")?;
    let at = rest.find("Error while dialing").and_then(|from| Some(from + rest.get(from..)?.find("dial ")?))?;
    let error = rest.get(at..)?.split(['"', '\\']).next().filter(|error| is_gos(error))?;
    let (message, upstream) = go_error::message(Failed::Request, error, None);
    let cut_out = before.is_empty() && carried.program.is_none() && carried.time.is_none();
    let level = Some(Level::Error);
    if cut_out && !upstream.as_deref().is_some_and(is_dependency) {
        return Some(Entry { message: message.into(), upstream, level, ..entry.clone() });
    }
    Some(Entry { message: error.into(), level, ..entry.clone() })
}

/// An error alone: `dial tcp 127.0.0.1:3000: connect: connection refused`, `Get "http://127.0.0.1:3000/": EOF`. One that nothing carried
/// and nothing stamped is what somebody cut out of a gateway's line; in a log it is an application's, about what it depends on.
fn bare<'a>(carried: &Carried<'a>, text: &'a str) -> Option<Entry<'a>> {
    let head = unheaded(first_line(text));
    let said = head.said;
    let of_request = || {
        let (method, rest) = said.split_once(" \"")?;
        let known = matches!(method, "Get" | "Head" | "Post" | "Put" | "Patch" | "Delete") && rest.starts_with("http");
        rest.split_once("\": ").filter(|_| known).map(|(_, error)| error)
    };
    let wrapped = of_request();
    if wrapped.is_none() && !ERRORS.iter().any(|begin| said.starts_with(begin)) {
        return None;
    }
    let entry = Entry { dialect: Dialect::Go, time: head.time, level: head.level, ..Entry::default() };
    let (message, upstream) = go_error::message(Failed::Request, said, None);
    let cut_out = carried.program.is_none() && carried.time.is_none() && head.time.is_none() && text.len() == carried.text.len();
    if cut_out && !upstream.as_deref().is_some_and(is_dependency) {
        return Some(Entry { message: message.into(), upstream, ..entry });
    }
    Some(Entry { message: wrapped.unwrap_or(said).trim_end().into(), ..entry })
}

/// Reads a line of Go's standard library.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (time, text) = match TimeShape::Slashed.leading(carried.text) {
        Some((time, rest)) => (Some(time), rest.strip_prefix(' ')?),
        None => (None, carried.text),
    };
    let entry = Entry { dialect: Dialect::Go, time, ..Entry::default() };
    if let Some(error) = text.strip_prefix("http: proxy error: ") {
        let (message, upstream) = go_error::message(Failed::Request, error, None);
        return Some(Entry { message: message.into(), upstream, ..entry });
    }
    if let Some(entry) = time.and_then(|_| of_handler(text, &entry)) {
        return Some(entry);
    }
    if let Some(entry) = of_oauth2_proxy(carried.text, &entry).or_else(|| of_grpc(carried, &entry)) {
        return Some(Entry { time: entry.time.or(time), ..entry });
    }
    if let Some(entry) = bare(carried, text) {
        return Some(Entry { time: entry.time.or(time), ..entry });
    }
    let known = ["http: Accept error: ", "http: response.WriteHeader on hijacked", "http: panic serving "];
    known.iter().any(|known| text.starts_with(known)).then(|| Entry { message: first_line(text).into(), ..entry })
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{self, Dialect};

    #[test]
    fn an_error_of_a_reverse_proxy() {
        for line in [
            "2026/11/20 23:36:34 http: proxy error: dial tcp 127.0.0.1:9099: connect: connection refused",
            "Nov 20 23:36:34 gw1 edge[7]: http: proxy error: dial tcp 127.0.0.1:9099: connect: connection refused",
            "2026/11/20 23:36:34 Error: backend request failed for [::1]:37620: dial tcp 127.0.0.1:9099: connect: connection refused",
            "2026/11/20 23:36:34 proxy error: dial tcp 127.0.0.1:9099: connect: connection refused",
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, entry.upstream.as_deref()), (Dialect::Go, Some("127.0.0.1:9099")), "{line}");
            assert_eq!(entry.message, "request failed: dial tcp 127.0.0.1:9099: connect: connection refused");
        }
    }

    #[test]
    fn oauth2_proxy_and_a_call_by_grpc() {
        const REFUSED: &str = "dial tcp 10.0.0.5:50051: connect: connection refused";
        let failed = format!("request failed: {REFUSED}");
        for (line, message, upstream) in [
            (format!("[2026/11/20 23:36:34] [http.go:112] Error proxying to upstream server: {REFUSED}"), &*failed, true),
            (
                format!(
                    "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing {REFUSED}\""
                ),
                &*failed,
                true,
            ),
            (
                format!(
                    "2026/11/20 23:36:34 no greeting: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: {REFUSED}\""
                ),
                REFUSED,
                false,
            ),
        ] {
            let entry = logline::read(&line);
            let named = upstream.then_some("10.0.0.5:50051");
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Go, message, named), "{line}");
        }
        for other in ["rpc error: code = Unavailable desc = transport is closing", "I read: Error proxying to upstream server: EOF"]
        {
            assert_ne!(logline::read(other).dialect, Dialect::Go, "{other}");
        }
    }

    #[test]
    fn an_error_alone_is_a_gateways_unless_something_carried_or_stamped_it() {
        for (line, message, upstream) in [
            (
                "dial tcp 127.0.0.1:3000: connect: connection refused",
                "request failed: dial tcp 127.0.0.1:3000: connect: connection refused",
                Some("127.0.0.1:3000"),
            ),
            ("Get \"http://127.0.0.1:3000/\": EOF", "request failed: EOF", Some("127.0.0.1:3000")),
            ("dial tcp 10.0.0.7:5432: connect: connection refused", "dial tcp 10.0.0.7:5432: connect: connection refused", None),
            ("2024-05-02 08:00:01 ERROR dial tcp 10.0.0.7:80: i/o timeout", "dial tcp 10.0.0.7:80: i/o timeout", None),
            ("Nov 20 02:17:41 gw1 app[7]: dial tcp 10.0.0.7:80: i/o timeout", "dial tcp 10.0.0.7:80: i/o timeout", None),
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Go, message, upstream), "{line}");
        }
    }
}
