//! What tools say to somebody who asks the upstream himself, and pastes it beside logs: curl (`curl: (7) Failed to connect to 127.0.0.1
//! port 8080: Connection refused`, lib/strerror.c and lib/connect.c), wget of GNU and of busybox.
//!
//! The message is `tool: <what failed>`, in words that are common to these tools. Nothing that a carrier brought is read: a script's
//! curl in a journal asks for anything.

use super::{Carried, Entry, Level, trace::first_line};

/// Reads the last word of a tool.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    if carried.program.is_some() || carried.time.is_some() {
        return None;
    }
    let text = first_line(carried.text).trim_end();
    let (failed, host) = match text.strip_prefix("curl: (") {
        Some(rest) => curl(rest)?,
        None => wget(text)?,
    };
    let message = format!("tool: {failed}").into();
    Some(Entry { level: Some(Level::Error), message, upstream: host.map(Into::into), ..Entry::default() })
}

/// By the number of the error, which no version has changed (libcurl-errors(3)).
fn curl(text: &str) -> Option<(&'static str, Option<String>)> {
    let (number, said) = text.split_once(") ")?;
    let refused = said.ends_with("Connection refused") || said.ends_with("Couldn't connect to server");
    let failed = match number {
        "6" => "name does not resolve",
        "7" if said.ends_with("No route to host") || said.ends_with("Network is unreachable") => "no route",
        "7" if said.ends_with("Permission denied") => "denied",
        "7" if said.to_ascii_lowercase().contains("timed out") => "connecting timed out",
        "7" if refused => "refused",
        "28" if said.starts_with("Failed to connect") || said.starts_with("Connection timed out") => "connecting timed out",
        "28" => "no answer in time",
        "35" if said.contains("wrong version number") || said.contains("packet length too long") => "no TLS spoken there",
        "35" => "TLS handshake failed",
        "52" => "closed without an answer",
        "56" if said.contains("reset by peer") => "reset",
        "51" | "60" if said.contains("expired") => "certificate expired",
        "51" | "60" => "certificate not trusted",
        "1" if said.contains("HTTP/0.9") => "no HTTP spoken there",
        _ => return None,
    };
    let connect = said.strip_prefix("Failed to connect to ").or_else(|| said.strip_prefix("connect to "));
    let address = connect.and_then(|rest| rest.split_once(" port ")).and_then(|(host, rest)| {
        let port: u16 = rest.split([' ', ':']).next()?.parse().ok()?;
        Some(authority(host, port))
    });
    let name = said.strip_prefix("Could not resolve host: ").map(|name| name.trim_end_matches(['.', ';']).to_owned());
    Some((failed, address.or(name)))
}

/// busybox, networking/wget.c: `wget: can't connect to remote host (127.0.0.1): Connection refused`; GNU, src/connect.c: `Connecting to
/// localhost (localhost)|127.0.0.1|:8080... failed: Connection refused.`.
fn wget(text: &str) -> Option<(&'static str, Option<String>)> {
    let by_why = |why: &str| match why.trim_end_matches('.') {
        "Connection refused" => Some("refused"),
        "No route to host" | "Host is unreachable" | "Network is unreachable" | "Network unreachable" => Some("no route"),
        "Connection timed out" | "Operation timed out" => Some("connecting timed out"),
        _ => None,
    };
    if let Some((host, why)) = text.strip_prefix("wget: can't connect to remote host (").and_then(|rest| rest.split_once("): ")) {
        return Some((by_why(why)?, Some(host.to_owned())));
    }
    let (to, why) = text.strip_prefix("Connecting to ")?.split_once("... failed: ")?;
    let (hosts, port) = to.rsplit_once(':')?;
    let host = hosts.trim_end_matches('|').rsplit(['|', ' ']).next().filter(|host| !host.is_empty())?;
    Some((by_why(why)?, Some(authority(host, port.parse().ok()?))))
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use crate::model::logline::read as any;

    #[test]
    fn what_failed_and_where() {
        for (line, message, upstream) in [
            ("curl: (7) Failed to connect to 127.0.0.1 port 8080: Connection refused", "tool: refused", Some("127.0.0.1:8080")),
            ("curl: (7) Failed to connect to app port 80 after 0 ms: Couldn't connect to server", "tool: refused", Some("app:80")),
            ("curl: (28) Operation timed out after 60001 milliseconds with 0 bytes received", "tool: no answer in time", None),
            ("curl: (6) Could not resolve host: backend", "tool: name does not resolve", Some("backend")),
            ("wget: can't connect to remote host (127.0.0.1): Connection refused", "tool: refused", Some("127.0.0.1")),
            (
                "Connecting to localhost (localhost)|127.0.0.1|:8080... failed: Connection refused.",
                "tool: refused",
                Some("127.0.0.1:8080"),
            ),
        ] {
            let entry = any(line);
            assert_eq!((&*entry.message, entry.upstream.as_deref()), (message, upstream), "{line}");
        }
        for other in [
            "curl: (22) The requested URL returned error: 502",
            "curl: try 'curl --help' for more information",
            "Nov 20 02:17:41 gw1 backup[7]: curl: (6) Could not resolve host: backend",
        ] {
            assert!(!any(other).message.starts_with("tool: "), "{other}");
        }
    }
}
