//! What Go's standard library says when a request to an upstream fails: the words that Caddy, Traefik, cloudflared and other
//! proxies in Go log (packages net, net/http, crypto/tls, crypto/x509).
//!
//! They become one message for all of these programs, so that one signature knows them all: `request failed: <error>`,
//! `health check failed: <error>`, `response cut: <error>`, with ` (status 502)` behind it where the line tells the status. Of
//! the error, the address of the connection's own end and what only wraps it is left out, and bytes of the upstream's choosing
//! are told by their kind.

use std::{borrow::Cow, fmt::Write as _};

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// A client's request.
    Request,
    /// A request of the proxy's own, to know who is alive.
    HealthCheck,
    /// The transfer of an answer that had begun.
    Response,
}

/// The message, and the upstream that the error names.
pub(super) fn message(failed: Failed, error: &str, status: Option<u16>) -> (String, Option<Cow<'_, str>>) {
    let mut text = String::with_capacity(error.len() + 40);
    text.push_str(match failed {
        Failed::Request => "request failed: ",
        Failed::HealthCheck => "health check failed: ",
        Failed::Response => "response cut: ",
    });
    let mut upstream = None;
    let mut error = error.trim();
    // `Get "http://127.0.0.1:9099/": dial tcp ...` (net/url.Error), and what wraps without saying more.
    loop {
        if let Some((url, rest)) = of_url(error) {
            upstream = authority(url);
            error = rest;
        } else if let Some(rest) = WRAPPERS.iter().find_map(|wrapper| error.strip_prefix(wrapper)) {
            error = rest;
        } else {
            break;
        }
    }
    let looked_up = looked_up(error);
    let error = &*looked_up;
    let upstream = self::upstream(error).map(|named| Cow::Owned(named.into_owned())).or(upstream);
    // Up to Go 1.10 the call that told the outcome of connect(2) was named (net/fd_unix.go).
    let as_unix =
        of_windows(error).or_else(|| error.contains(": getsockopt: ").then(|| error.replace(": getsockopt: ", ": connect: ")));
    let error = as_unix.as_deref().unwrap_or(error);
    match error.strip_prefix("malformed HTTP response ") {
        Some(bytes) => {
            let _ = write!(text, "malformed HTTP response ({})", kind_of_bytes(bytes));
        }
        None => text.push_str(without_own_end(error).as_ref()),
    }
    if let Some(status) = status {
        let _ = write!(text, " (status {status})");
    }
    (text, upstream)
}

/// How cloudflared begins what it says of the service behind its tunnel (proxy/proxy.go).
pub(super) const OF_TUNNEL: &str =
    "Unable to reach the origin service. The service may be down or it may not be responding to traffic from cloudflared: ";

/// What stands before an error and says no more than that it is one.
const WRAPPERS: &[&str] = &[
    "net/http: HTTP/1.x transport connection broken: ",
    "tls: failed to verify certificate: ",
    "HTTP request failed: ",
    OF_TUNNEL,
];

/// What Windows says (golang.org/x/sys/windows: `FormatMessage`), and what a Unix does: WSAECONNREFUSED, WSAETIMEDOUT, WSAEHOSTUNREACH,
/// WSAENETUNREACH, WSAEACCES, WSAEADDRINUSE, WSAECONNRESET, WSAECONNABORTED.
const OF_WINDOWS: [(&str, &str); 9] = [
    ("connectex: No connection could be made because the target machine actively refused it", "connect: connection refused"),
    ("connectex: A connection attempt failed because the connected party did not properly respond", "i/o timeout"),
    ("connectex: A socket operation was attempted to an unreachable host", "connect: no route to host"),
    ("connectex: A socket operation was attempted to an unreachable network", "connect: network is unreachable"),
    (
        "connectex: An attempt was made to access a socket in a way forbidden by its access permissions",
        "connect: permission denied",
    ),
    ("connectex: Only one usage of each socket address", "connect: cannot assign requested address"),
    ("wsarecv: An existing connection was forcibly closed by the remote host", "read: connection reset by peer"),
    ("wsasend: An existing connection was forcibly closed by the remote host", "write: connection reset by peer"),
    ("wsasend: An established connection was aborted by the software in your host machine", "write: broken pipe"),
];

/// The same error in the words of a Unix. `None`: it is in them.
fn of_windows(error: &str) -> Option<String> {
    let at = error.find(": connectex: ").or_else(|| error.find(": wsa"))?;
    let (before, said) = (&error[..at], &error[at + 2..]);
    let (_, unix) = OF_WINDOWS.iter().find(|(windows, _)| said.starts_with(windows))?;
    Some(format!("{before}: {unix}"))
}

/// `dial app failed: Lookup of app failed: lookup app: no such host`, as the plugin forwardproxy of Caddy words it, in Go's own words.
fn looked_up(error: &str) -> Cow<'_, str> {
    let lookup = error.strip_prefix("dial ").and_then(|rest| rest.split_once("failed: Lookup of ")).and_then(|(_, rest)| {
        let (_, error) = rest.split_once("failed: lookup ")?;
        Some(format!("dial tcp: lookup {error}"))
    });
    lookup.map_or(error.into(), Into::into)
}

/// The address and the error of `Get "http://127.0.0.1:9099/": dial tcp ...`.
fn of_url(error: &str) -> Option<(&str, &str)> {
    let (method, rest) = error.split_once(" \"")?;
    let is_method = (3..=8).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    rest.split_once("\": ").filter(|_| is_method)
}

/// `127.0.0.1:9099` of `http://127.0.0.1:9099/x`, `unix:/run/app.sock` of `unix:/run/app.sock`.
pub(super) fn authority(url: &str) -> Option<Cow<'_, str>> {
    if url.starts_with("unix:") {
        return Some(url.into());
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(match scheme {
        "http" | "h2c" if !has_port => format!("{host}:80").into(),
        "https" if !has_port => format!("{host}:443").into(),
        _ => host.into(),
    })
}

/// The upstream that an error names (net.OpError): `dial tcp 127.0.0.1:9099: ...`, `dial unix /run/app.sock: ...`,
/// `dial tcp: lookup app.internal on 10.0.0.53:53: ...`, `read tcp 10.0.0.1:55724->10.0.0.5:80: ...`.
pub(super) fn upstream(error: &str) -> Option<Cow<'_, str>> {
    let (doing, rest) = error.split_once(' ')?;
    if !matches!(doing, "dial" | "read" | "write" | "readfrom" | "writev" | "splice") {
        return None;
    }
    if let Some(rest) = rest.strip_prefix("tcp: lookup ") {
        return rest.split([' ', ':']).next().filter(|name| !name.is_empty()).map(Into::into);
    }
    let (network, rest) = rest.split_once(' ')?;
    let address = rest.split_once(": ").map_or(rest, |(address, _)| address);
    let address = address.rsplit_once("->").map_or(address, |(_, peer)| peer);
    match network {
        "tcp" | "tcp4" | "tcp6" if !address.contains(' ') => Some(address.into()),
        "unix" => Some(format!("unix:{address}").into()),
        _ => None,
    }
}

/// `read tcp 10.0.0.1:55724->10.0.0.5:80: x` without the first address: its port is another each time.
fn without_own_end(error: &str) -> Cow<'_, str> {
    let Some((before, after)) = error.split_once("->") else { return error.into() };
    let Some((doing, own)) = before.rsplit_once(' ') else { return error.into() };
    let is_own = own.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if is_own { format!("{doing} {after}").into() } else { error.into() }
}

/// What the bytes of a malformed response are, as `%q` quotes them.
fn kind_of_bytes(quoted: &str) -> &'static str {
    let bytes = quoted.trim_start_matches('"');
    // A record of TLS begins with its kind and the version 3.x (RFC 8446 section 5.1), a frame of HTTP/2 with its length, and
    // the first is one of SETTINGS: kind 4 (RFC 9113 sections 3.4 and 4.1).
    if bytes.starts_with("\\x15\\x03") {
        "a TLS alert"
    } else if bytes.starts_with("\\x16\\x03") {
        "a TLS handshake"
    } else if bytes.starts_with("\\x00\\x00") {
        "an HTTP/2 frame"
    } else {
        "other bytes"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: &str) -> (String, Option<String>) {
        let (text, upstream) = message(Failed::Request, error, None);
        (text.strip_prefix("request failed: ").expect("the prefix").to_owned(), upstream.map(Cow::into_owned))
    }

    #[test]
    fn the_upstream_is_found_in_each_kind_of_error() {
        for (error, text, upstream) in [
            ("dial tcp 127.0.0.1:9099: connect: connection refused", None, Some("127.0.0.1:9099")),
            ("dial tcp [::1]:80: i/o timeout", None, Some("[::1]:80")),
            ("dial unix /run/a b.sock: connect: no such file or directory", None, Some("unix:/run/a b.sock")),
            ("dial tcp: lookup app1.internal on 10.0.0.53:53: no such host", None, Some("app1.internal")),
            ("dial tcp: lookup app1.internal: no such host", None, Some("app1.internal")),
            (
                "read tcp 10.0.0.1:55722->10.0.0.5:80: read: connection reset by peer",
                Some("read tcp 10.0.0.5:80: read: connection reset by peer"),
                Some("10.0.0.5:80"),
            ),
            (
                "Get \"http://10.0.0.5/health\": dial tcp 10.0.0.5:80: connect: no route to host",
                Some("dial tcp 10.0.0.5:80: connect: no route to host"),
                Some("10.0.0.5:80"),
            ),
            ("Get \"https://app/health\": EOF", Some("EOF"), Some("app:443")),
            (
                "dial tcp [::1]:8081: connectex: No connection could be made because the target machine actively refused it.",
                Some("dial tcp [::1]:8081: connect: connection refused"),
                Some("[::1]:8081"),
            ),
            (
                "read tcp 10.0.0.1:55722->10.0.0.5:80: wsarecv: An existing connection was forcibly closed by the remote host.",
                Some("read tcp 10.0.0.5:80: read: connection reset by peer"),
                Some("10.0.0.5:80"),
            ),
            (
                "dial app1.internal failed: Lookup of app1.internal failed: lookup app1.internal: no such host",
                Some("dial tcp: lookup app1.internal: no such host"),
                Some("app1.internal"),
            ),
            ("dial http:: unknown network http", None, None),
            (
                "dial tcp 10.0.0.5:80: getsockopt: connection refused",
                Some("dial tcp 10.0.0.5:80: connect: connection refused"),
                Some("10.0.0.5:80"),
            ),
            ("EOF", None, None),
            ("net/http: HTTP/1.x transport connection broken: http: x", Some("http: x"), None),
            ("malformed HTTP response \"\\x15\\x03\\x01\\x00\"", Some("malformed HTTP response (a TLS alert)"), None),
            ("malformed HTTP response \"\\x00\\x00\\x12\\x04\"", Some("malformed HTTP response (an HTTP/2 frame)"), None),
            ("malformed HTTP response \"SSH-2.0\"", Some("malformed HTTP response (other bytes)"), None),
        ] {
            assert_eq!(failed(error), (text.unwrap_or(error).to_owned(), upstream.map(str::to_owned)), "{error}");
        }
        assert_eq!(message(Failed::HealthCheck, "EOF", Some(502)).0, "health check failed: EOF (status 502)");
    }
}
