//! Node.js and pm2.
//!
//! - an exception that nothing caught (src/node_errors.cc: the line of code, a caret, the exception, its frames, `Node.js v20`):
//!   `Uncaught TypeError: x is not a function`;
//! - one that the program logged with its frames: `TypeError: x is not a function`, what stood before it in parentheses;
//! - the end for want of memory: `FATAL ERROR: ... JavaScript heap out of memory`;
//! - what http-proxy-middleware says of a request that failed: `[HPM] ECONNREFUSED`;
//!   and of Vite and others on http-proxy, `[vite] http proxy error: /api` with `Error: connect ETIMEDOUT 10.0.0.5:8080` behind or below it;
//! - pm2's own log, `2026-11-21T05:20:57: PM2 log: App [web:0] exited with code [0] via signal [SIGINT]`.

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape,
    go_error::authority,
    trace::{self, Language, first_line},
};

/// Errors of the system as Node names them (lib/internal/errors.js), of which a lone line is known.
const OWN: &[&str] = &[
    "Error: listen ",
    "Error: connect ",
    "Error: getaddrinfo ",
    "Error: read ",
    "Error: write ",
    "Error: socket hang up",
    "Error: Cannot find module ",
    "Error [ERR_",
    "UnhandledPromiseRejection",
    "[UnhandledPromiseRejection",
    "Uncaught ",
];

/// How messages of errors of the system begin (lib/internal/errors.js, `ExceptionWithHostPort` and `DNSException`).
const MESSAGES: &[&str] = &[
    "connect ECONNREFUSED ",
    "connect ETIMEDOUT ",
    "connect EHOSTUNREACH ",
    "getaddrinfo ENOTFOUND ",
    "getaddrinfo EAI_AGAIN ",
    "listen EADDRINUSE: ",
    "listen EACCES: ",
];

/// Reads a line or a trace of Node.js, or a line of pm2.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let line = first_line(carried.text);
    let entry = Entry { dialect: Dialect::Node, ..Entry::default() };
    if let Some((time, said)) = pm2(line) {
        return Some(Entry { time, message: said.into(), ..entry });
    }
    if let Some((failed, upstream)) = proxied(line).or_else(|| of_http_proxy(carried.text)) {
        return Some(Entry { level: Some(Level::Error), message: failed.into(), upstream, ..entry });
    }
    // What `error.message` holds: the same without the name of its class.
    if MESSAGES.iter().any(|own| line.starts_with(own)) {
        return Some(Entry { level: Some(Level::Error), message: format!("Error: {line}").into(), ..entry });
    }
    // V8 tells of its collections before it gives up, and they come as one entry.
    if let Some(fatal) = carried.text.lines().find(|line| is_fatal(line)).filter(|fatal| *fatal == line || is_collector(line)) {
        return Some(Entry { level: Some(Level::Critical), message: fatal.into(), ..entry });
    }
    let Some(trace) = trace::of(carried.text).filter(|trace| trace.language == Language::Node) else {
        let own = line.starts_with("throw er; // Unhandled 'error' event") || line.starts_with("Node.js v") && line.len() < 24;
        let level = Some(Level::Error);
        return (own || OWN.iter().any(|own| line.starts_with(own))).then(|| Entry { level, message: line.into(), ..entry });
    };
    let (time, rest) = LineTime::leading(line.trim_start_matches('[')).map_or((None, line), |(time, rest)| (Some(time), rest));
    let level = Some(Level::Error);
    if trace.uncaught {
        return Some(Entry { time, level, message: format!("Uncaught {}", trace.exception).into(), ..entry });
    }
    // What was logged before it on the same line: `[time] error: payment failed: Error: connect ...`.
    let doing = rest.split(&*trace.exception).next().unwrap_or_default().trim_matches([' ', ':', '-', ']', '[']);
    let message: Cow<'a, str> = match (doing.is_empty(), rest.contains(&*trace.exception)) {
        (true, _) | (_, false) => trace.exception,
        (false, true) => format!("{} ({doing})", trace.exception).into(),
    };
    Some(Entry { time, level, message, ..entry })
}

/// `FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory` (src/node_errors.cc, `OOMErrorHandler`).
fn is_fatal(line: &str) -> bool {
    line.starts_with("FATAL ERROR: ") && line.contains("Allocation failed") || line == "FATAL ERROR: JavaScript heap out of memory"
}

/// What V8 writes before it.
fn is_collector(line: &str) -> bool {
    line.starts_with("<--- Last few GCs --->")
}

/// `[HPM] Error occurred while proxying request localhost:3000/api to http://localhost:8080/ [ECONNREFUSED] (https://...)`, up to
/// version 2 `... while trying to proxy request /api from localhost:3000 to http://localhost:8080 (ECONNREFUSED) (...)`
/// (http-proxy-middleware, src/plugins/default/logger-plugin.ts): `[HPM] ECONNREFUSED`, and the upstream.
fn proxied(line: &str) -> Option<(String, Option<Cow<'_, str>>)> {
    let said = line.strip_prefix("[HPM] Error occurred while ")?;
    // The request is of the client's choosing, and stands before the upstream.
    let (_, rest) = said.rsplit_once(" to ")?;
    let (upstream, rest) = rest.split_once([' ', '\t'])?;
    let code = rest.trim_start_matches(['[', '(']).split([']', ')']).next().filter(|code| code.starts_with('E'))?;
    let fits = code.len() <= 24 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    fits.then(|| (format!("[HPM] {code}"), authority(upstream)))
}

/// What a program on http-proxy logs of its `error` event, which hands on the error of the system: `http proxy error: /api` of Vite
/// (packages/vite/src/node/server/middlewares/proxy.ts), `Proxy error: Error: connect ECONNREFUSED 127.0.0.1:8080` of many.
fn of_http_proxy(text: &str) -> Option<(String, Option<Cow<'_, str>>)> {
    const ANNOUNCED: [&str; 6] = [
        "[vite] http proxy error",
        "[vite] ws proxy error",
        "roxy error: Error: ",
        "roxy Error: Error: ",
        // Up to version 1 of configurable-http-proxy: `Proxy error:  { [Error: connect ECONNREFUSED] code: ...`.
        "roxy error:  Error: ",
        "roxy error:  { [Error: ",
    ];
    let line = first_line(text);
    // Each line is asked: all that is announced has this in it.
    memchr::memmem::find(line.as_bytes(), b"roxy")?;
    if let Some(said) = of_config_proxy(line) {
        return said_by_node(said);
    }
    ANNOUNCED.iter().find(|said| line.contains(**said))?;
    let error = text.lines().find_map(|line| Some(&line[line.find("Error: ").or_else(|| line.find("Error ["))?..]))?;
    // Node tries all addresses of a name at once: `AggregateError [ECONNREFUSED]: `.
    if let Some(code) = error.strip_prefix("Error [").and_then(|rest| rest.split(']').next()) {
        return code.starts_with("ECONN").then(|| (format!("[HPM] {code}"), None));
    }
    said_by_node(error.split_once(": ").map_or(error, |(_, said)| said))
}

/// What JupyterHub's proxy says of a request that failed: `[ConfigProxy] error: 503 GET /user/bob/api connect ECONNREFUSED 127.0.0.1:52742`
/// (configurable-http-proxy, lib/configproxy.js, `handleProxyError`), and before that `[ConfigProxy] Proxy error:  code=ECONNRESET`.
fn of_config_proxy(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("[ConfigProxy] ")?;
    let rest =
        rest.trim_start_matches("\u{1b}[31m").trim_start_matches("error").trim_start_matches("\u{1b}[39m").trim_start_matches(": ");
    if let Some(code) = rest.strip_prefix("Proxy error:  code=") {
        return Some(code);
    }
    // Method and path are the client's; neither has a blank.
    let mut words = rest.splitn(4, ' ');
    words.next().filter(|status| *status == "503")?;
    words.nth(2)
}

/// `connect ECONNREFUSED 127.0.0.1:8080`, `socket hang up`, `ECONNRESET`.
fn said_by_node(said: &str) -> Option<(String, Option<Cow<'_, str>>)> {
    let said = said.trim().trim_start_matches("Error: ");
    if matches!(said, "ECONNRESET" | "ECONNREFUSED" | "EHOSTUNREACH" | "ETIMEDOUT" | "ENOTFOUND") {
        return Some((format!("[HPM] {said}"), None));
    }
    let mut words = said.split_ascii_whitespace();
    match (words.next()?, words.next()?) {
        ("socket", "hang") | ("read" | "write", "ECONNRESET" | "EPIPE") => Some(("[HPM] ECONNRESET".to_owned(), None)),
        ("connect" | "getaddrinfo", code) => {
            let code = code.trim_end_matches(']');
            let fits = code.starts_with('E') && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            fits.then(|| (format!("[HPM] {code}"), words.next().map(Cow::Borrowed)))
        }
        _ => None,
    }
}

/// The stamp and the words of a line of pm2's log, or of `pm2 logs`.
fn pm2(line: &str) -> Option<(Option<LineTime<'_>>, &str)> {
    if let Some((time, rest)) = TimeShape::Rfc3339.leading(line)
        && let Some(said) = rest.strip_prefix(": PM2 ")
    {
        let said = ["log: ", "error: "].iter().find_map(|kind| said.strip_prefix(kind))?;
        return Some((Some(time), said));
    }
    let said = line.strip_prefix("PM2 ")?.trim_start().strip_prefix("| ")?;
    Some(pm2(said).unwrap_or((None, said)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    const UNCAUGHT: &str = "/srv/app.js:4\n null.x\n     ^\n\nTypeError: Cannot read properties of null (reading 'x')\n    at Immediate.<anonymous> (/srv/app.js:4:45)\n    at process.processImmediate (node:internal/timers:483:21)\n\nNode.js v20.20.2";

    #[test]
    fn what_nothing_caught_and_what_was_logged() {
        let entry = any(UNCAUGHT);
        assert_eq!(
            (entry.dialect, &*entry.message),
            (Dialect::Node, "Uncaught TypeError: Cannot read properties of null (reading 'x')")
        );
        let entry = any(
            "[2026-11-20T23:36:34.123Z] payment failed: Error: connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)",
        );
        assert_eq!(entry.message, "Error: connect ECONNREFUSED 127.0.0.1:5432 (payment failed)");
        assert!(entry.time.is_some());
        let entry = any(
            "Error: connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)",
        );
        assert_eq!(entry.message, "Error: connect ECONNREFUSED 127.0.0.1:5432");
    }

    #[test]
    fn pm2_and_the_end_of_memory() {
        let entry = any("2026-11-21T05:20:57: PM2 log: App [web:0] exited with code [0] via signal [SIGINT]");
        assert_eq!((entry.dialect, &*entry.message), (Dialect::Node, "App [web:0] exited with code [0] via signal [SIGINT]"));
        assert!(entry.time.is_some());
        let heap = "<--- Last few GCs --->\n[115:0x44]  670 ms: Mark-Compact\n<--- JS stacktrace --->\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n 1: 0xb78db3 node::OOMErrorHandler [node]";
        assert_eq!(any(heap).message, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory");
    }

    #[test]
    fn what_the_proxy_of_a_development_server_says() {
        for line in [
            "[HPM] Error occurred while proxying request localhost:3000/api to http://localhost:8080/ [ECONNREFUSED] (https://x)",
            "[HPM] Error occurred while trying to proxy request /a to b from localhost:3000 to http://localhost:8080 (ECONNREFUSED) (x)",
        ] {
            let entry = any(line);
            assert_eq!((&*entry.message, entry.upstream.as_deref()), ("[HPM] ECONNREFUSED", Some("localhost:8080")), "{line}");
        }
        for (line, message, upstream) in [
            (
                "[vite] http proxy error:\nError: connect ETIMEDOUT 10.0.0.5:81\n    at TCPConnectWrap.x (net.js:1:1)",
                "ETIMEDOUT",
                Some("10.0.0.5:81"),
            ),
            ("10:42:01 AM [vite] http proxy error: /api\nError: getaddrinfo ENOTFOUND shop-api", "ENOTFOUND", Some("shop-api")),
            (
                "[vite] http proxy error: /api\nAggregateError [ECONNREFUSED]: \n    at internalConnectMultiple (node:net:1122:18)",
                "ECONNREFUSED",
                None,
            ),
            ("Proxy error: Error: socket hang up", "ECONNRESET", None),
            ("13:03:59.080 - error: [ConfigProxy] Proxy error:  Error: socket hang up", "ECONNRESET", None),
            ("13:03:59.080 - error: [ConfigProxy] Proxy error:  code=ECONNREFUSED", "ECONNREFUSED", None),
            ("13:03:59.080 [ConfigProxy] error: 503 GET /user/bob/api/kernels socket hang up", "ECONNRESET", None),
            (
                "13:03:59.080 [ConfigProxy] error: 503 GET /user/bob/api connect ECONNREFUSED 10.0.0.5:52742",
                "ECONNREFUSED",
                Some("10.0.0.5:52742"),
            ),
            (
                "Proxy error:  { [Error: connect ECONNREFUSED]\n  code: 'ECONNREFUSED',\n  syscall: 'connect' }",
                "ECONNREFUSED",
                None,
            ),
        ] {
            let entry = any(line);
            assert_eq!((&*entry.message, entry.upstream.as_deref()), (&*format!("[HPM] {message}"), upstream), "{line}");
        }
        assert!(!any("Error: connect ETIMEDOUT 10.0.0.5:81").message.starts_with("[HPM]"));
    }
}
