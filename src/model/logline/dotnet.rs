//! .NET in front of other servers: YARP (Yarp.ReverseProxy.Forwarder.HttpForwarder), what its HTTP client throws, and the ASP.NET Core
//! module of IIS, which starts the application.
//!
//! - `RequestTimedOut: The request timed out before receiving a response.`, behind whatever head a logger gives it, with or without the
//!   exceptions below it: `[YARP] no answer in time`;
//! - `System.Net.Http.HttpRequestException: Connection refused (shop:5001)`: `[YARP] refused`, and the upstream;
//! - `Process was created with commandline '...' but either crashed or did not reponse within given time ...`: the line.

use std::borrow::Cow;

use super::{Carried, Dialect, Entry, Level, LineTime, go_proxy::is_dependency, terse::unheaded, trace::first_line};

/// What exceptions of the client say (System.Net.Http, System.Net.Security, and the system's own words in SocketException), the most
/// telling first, and the word for it.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("Cannot determine the frame size or a corrupted frame was received", "not TLS"),
    ("The handshake failed due to an unexpected packet format", "not TLS"),
    ("The remote certificate is invalid", "untrusted"),
    ("The remote certificate was rejected by the provided RemoteCertificateValidationCallback", "untrusted"),
    ("Connection refused", "refused"),
    ("No connection could be made because the target machine actively refused it", "refused"),
    ("No such host is known", "unresolved"),
    ("Name or service not known", "unresolved"),
    ("nodename nor servname provided", "unresolved"),
    ("Temporary failure in name resolution", "unresolved"),
    // EAI_AGAIN, as .NET shows it on Linux.
    ("Resource temporarily unavailable (", "unresolved"),
    ("No route to host", "unreachable"),
    ("Network is unreachable", "unreachable"),
    ("A socket operation was attempted to an unreachable", "unreachable"),
    ("Connection timed out", "no connection in time"),
    ("because the connected party did not properly respond after a period of time", "no connection in time"),
    ("A connection could not be established within the configured ConnectTimeout", "no connection in time"),
    ("The HTTP response headers length exceeded the set limit of", "header too big"),
    ("The response ended prematurely", "closed"),
    ("Connection reset by peer", "closed"),
    ("An existing connection was forcibly closed by the remote host", "closed"),
    ("Received an invalid status line", "no HTTP"),
    ("Received an invalid header", "no HTTP"),
    ("the server did not complete the HTTP/2 handshake", "other HTTP"),
    ("The SSL connection could not be established", "no handshake"),
    ("was canceled due to the configured HttpClient.Timeout of", "no answer in time"),
];

/// Errors of YARP's forwarder and what it says of them (HttpForwarder.cs, GetMessage), where they are the upstream's.
const FORWARDER: &[(&str, &str)] = &[
    ("RequestTimedOut: The request timed out before receiving a response", "no answer in time"),
    ("RequestBodyDestination: The destination reported an error when copying the request body", "closed"),
    ("ResponseBodyDestination: The destination reported an error when copying the response body", "answer cut"),
    ("ResponseHeaders: The destination returned a response that cannot be proxied back", "no HTTP"),
    ("UpgradeResponseDestination: The destination reported an error when copying the upgraded response body", "answer cut"),
    ("Request: An error was encountered before receiving a response", "failed"),
    // LoadBalancingMiddleware.
    ("No available destinations after load balancing", "no destination"),
    ("RequestCanceled: The request was canceled before receiving a response", "left"),
    ("RequestBodyCanceled: Copying the request body was canceled", "left"),
    ("RequestBodyClient: The client reported an error when copying the request body", "left"),
    ("ResponseBodyCanceled: Copying the response body was canceled", "left"),
    ("ResponseBodyClient: The client reported an error when copying the response body", "left"),
];

/// What the ASP.NET Core module says of an application that does not start (IIS/AspNetCoreModuleV2, resources.h and its error pages);
/// `reponse` is its own.
const MODULE: &[&str] = &[
    "but either crashed or did not reponse within",
    "but either crashed or did not respond within",
    "failed to start process with commandline",
    "HTTP Error 502.5 - ",
    "HTTP Error 500.30 - ",
    "HTTP Error 500.31 - ",
    "HTTP Error 500.37 - ",
];

/// Classes whose words these are, at the beginning of a line or behind ` ---> `.
const CLASSES: [&str; 4] = [
    "System.Net.Http.HttpRequestException",
    "System.Net.Http.HttpIOException",
    "System.IO.IOException: The response ended prematurely",
    "System.IO.IOException: Cannot determine the frame size",
];

/// Reads an entry.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    // Most lines are of others: each of these has a word of its own.
    if !["destination", "receiving", "opying", "System.", "HTTP Error ", "commandline"].iter().any(|word| text.contains(word)) {
        return None;
    }
    let line = first_line(text);
    let head = unheaded(line);
    let time = head.time.or_else(|| LineTime::leading(line.trim_start_matches('[')).map(|(time, _)| time));
    let entry = Entry { dialect: Dialect::Dotnet, time, level: Some(Level::Error), ..Entry::default() };
    if MODULE.iter().any(|said| line.contains(said)) {
        let at = ["Application '", "Process was created", "HTTP Error "].iter().filter_map(|begin| line.find(begin)).min();
        return Some(Entry { message: line[at.unwrap_or(0)..].into(), ..entry });
    }
    let forwarder = FORWARDER.iter().find(|(said, _)| text.lines().take(4).any(|line| line.contains(said))).map(|(_, word)| *word);
    let exception = || CLASSES.iter().any(|class| text.lines().any(|line| unwrapped(line).starts_with(class)));
    // What a client that left makes of the upstream's connection says nothing of it.
    let found = match forwarder {
        Some("failed") => told(text).or(Some(("failed", ""))),
        Some(word) => Some((word, "")),
        None => told(text).filter(|_| exception()),
    };
    let (word, line) = found?;
    let upstream = target(line);
    if forwarder.is_none() && upstream.is_some_and(is_dependency) {
        return None;
    }
    let level = if word == "left" { Level::Info } else { Level::Error };
    Some(Entry { message: format!("[YARP] {word}").into(), level: Some(level), upstream: upstream.map(Cow::Borrowed), ..entry })
}

/// The word for the exception, and the line that tells it.
fn told(text: &str) -> Option<(&'static str, &str)> {
    EXCEPTIONS.iter().find_map(|(said, word)| Some((*word, text.lines().find(|line| line.contains(said))?)))
}

/// A line of a chain of exceptions without what stands before it.
fn unwrapped(line: &str) -> &str {
    let line = line.trim_start();
    line.strip_prefix("---> ").unwrap_or(line)
}

/// The address in `Connection refused (shop:5001)`, at the end of the message (System.Net.Http.ConnectHelper).
fn target(line: &str) -> Option<&str> {
    let (_, rest) = line.rsplit_once(" (")?;
    let (address, _) = rest.split_once(')')?;
    let (host, port) = address.rsplit_once(':')?;
    let fits = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte));
    (fits && port.parse::<u16>().is_ok()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, read};

    #[test]
    fn failures_of_the_forwarder_and_its_client() {
        for (text, message, upstream) in [
            ("RequestTimedOut: The request timed out before receiving a response.", "no answer in time", None),
            (
                "[2026-11-20 10:07:42 INF] (27) Request: An error was encountered before receiving a response.\n System.Net.Http.HttpRequestException: The SSL connection could not be established, see inner exception.\n ---> System.IO.IOException: Cannot determine the frame size or a corrupted frame was received.",
                "not TLS",
                None,
            ),
            (
                "fail: Yarp.ReverseProxy.Forwarder.HttpForwarder[48]\n      Request: An error was encountered before receiving a response.\n      System.Net.Http.HttpRequestException: Connection refused (localhost:5001)\n       ---> System.Net.Sockets.SocketException (111): Connection refused",
                "refused",
                Some("localhost:5001"),
            ),
            ("System.Net.Http.HttpRequestException: No such host is known. (shop-api:80)", "unresolved", Some("shop-api:80")),
            (
                "System.Net.Http.HttpRequestException: An error occurred while sending the request.\n ---> System.IO.IOException: The response ended prematurely.\n\tat System.Net.Http.HttpConnection.SendAsyncCore()",
                "closed",
                None,
            ),
            ("ResponseBodyClient: The client reported an error when copying the response body.", "left", None),
        ] {
            let entry = read(text);
            let message = format!("[YARP] {message}");
            assert_eq!(
                (entry.dialect, &*entry.message, entry.upstream.as_deref()),
                (Dialect::Dotnet, &*message, upstream),
                "{text}"
            );
        }
    }

    #[test]
    fn other_exceptions_are_none_of_it() {
        for other in [
            "System.Net.Http.HttpRequestException: Connection refused (localhost:9200)",
            "System.Net.Sockets.SocketException (111): Connection refused",
            "System.NullReferenceException: Object reference not set to an instance of an object.",
            "no destination was found",
        ] {
            assert_ne!(read(other).dialect, Dialect::Dotnet, "{other}");
        }
    }
}
