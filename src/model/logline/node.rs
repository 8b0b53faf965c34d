//! Node.js and pm2.
//!
//! - an exception that nothing caught (src/node_errors.cc: the line of code, a caret, the exception, its frames, `Node.js v20`):
//!   `Uncaught TypeError: x is not a function`;
//! - one that the program logged with its frames: `TypeError: x is not a function`, what stood before it in parentheses;
//! - the end for want of memory: `FATAL ERROR: ... JavaScript heap out of memory`;
//! - what http-proxy-middleware says of a request that failed: `[HPM] ECONNREFUSED`;
//!   and of Vite and others on http-proxy, `[vite] http proxy error: /api` with `Error: connect ETIMEDOUT 10.0.0.5:8080` behind or below it,
//!   with or without the address, or the code alone (`code=ECONNRESET`);
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
    let code = rest.trim_start_matches(['[', '(']).split([']', ')']).next().filter(|code| !code.is_empty())?;
    let known = code.starts_with('E') && is_code(code) || UNTRUSTED.contains(&code);
    known.then(|| (format!("[HPM] {code}"), authority(upstream)))
}

/// What a program on http-proxy logs of its `error` event, which hands on the error of the system: `http proxy error: /api` of Vite
/// (packages/vite/src/node/server/middlewares/proxy.ts), `Failed to proxy http://localhost:8000/api Error: ...` of Next.js
/// (packages/next/src/server/lib/router-utils/proxy-request.ts), `503 GET /user/bob/api socket hang up` of JupyterHub
/// (configurable-http-proxy, lib/configproxy.js), `Proxy error: Error: connect ECONNREFUSED 127.0.0.1:8080` of many, up to Node 12
/// without the address where it was a name's.
fn of_http_proxy(text: &str) -> Option<(String, Option<Cow<'_, str>>)> {
    // The line below `Proxy error: Could not proxy request /api from localhost:3000 to http://localhost:8080/.` of Create React App
    // (react-dev-utils, WebpackDevServerUtils.js), which alone has the code.
    const MANUAL: &str = "See https://nodejs.org/api/errors.html#errors_common_system_errors for more information (";
    const ANNOUNCED: [&str; 6] =
        ["http proxy error", "ws proxy error", "roxy error: ", "roxy Error: ", "Failed to proxy http", "[ConfigProxy] "];
    let line = first_line(text);
    if let Some(code) = line.strip_prefix(MANUAL).and_then(|rest| rest.split(')').next()).filter(|code| is_code(code)) {
        return Some((format!("[HPM] {code}"), None));
    }
    // Each line is asked: all that is announced has this in it.
    memchr::memmem::find(line.as_bytes(), b"roxy")?;
    let announced = ANNOUNCED.iter().find_map(|said| Some(&text[line.find(*said)?..]))?;
    let said = match announced.strip_prefix("[ConfigProxy] ") {
        Some(said) => of_jupyter(said)?,
        None => announced,
    };
    if let Some((message, upstream)) = said.lines().find_map(of_error) {
        return Some((message, upstream));
    }
    // `Proxy error:  code=ECONNRESET`: the members of the error, as a logger shows them.
    let code = said.split_once("code=").or_else(|| said.split_once("code: '")).map(|(_, rest)| rest)?;
    let code = code.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).next().filter(|code| is_code(code))?;
    Some((format!("[HPM] {code}"), None))
}

/// What configurable-http-proxy says of a request behind its name: `503 GET /user/bob/api socket hang up`, with its level before it, or
/// `Proxy error: ...`. Its other lines are of requests that it passes on.
fn of_jupyter(said: &str) -> Option<&str> {
    let said = said.strip_prefix("error: ").unwrap_or(said);
    if let Some(rest) = said.strip_prefix("Proxy error: ") {
        return Some(rest);
    }
    let rest = ["503 ", "502 ", "504 ", "500 "].iter().find_map(|status| said.strip_prefix(status))?;
    let (_method, rest) = rest.split_once(' ')?;
    // Behind the request, which has no blanks, stands the error.
    rest.split_once(' ').map(|(_, error)| error)
}

/// The code of an error of the system, and where it says so the address: `Error: connect ECONNREFUSED 127.0.0.1:8080`,
/// `[Error: socket hang up]`, `connect ECONNREFUSED ::1:8080`.
fn of_error(line: &str) -> Option<(String, Option<Cow<'_, str>>)> {
    let error = line.find("Error: ").or_else(|| line.find("Error [")).map_or(line, |at| &line[at..]);
    // Node tries all addresses of a name at once: `AggregateError [ECONNREFUSED]: `.
    if let Some(code) = error.strip_prefix("Error [").and_then(|rest| rest.split(']').next()) {
        return code.starts_with("ECONN").then(|| (format!("[HPM] {code}"), None));
    }
    let said = error.strip_prefix("Error: ").unwrap_or(error);
    let mut words = said.split([' ', '\t', ']', '}', ',']).filter(|word| !word.is_empty());
    match (words.next()?, words.next()?) {
        ("socket", "hang") | ("read" | "write", "ECONNRESET" | "EPIPE") => Some(("[HPM] ECONNRESET".to_owned(), None)),
        ("connect" | "getaddrinfo", code) if is_code(code) => {
            let upstream = words.next().filter(|upstream| !matches!(*upstream, "{" | "-"));
            Some((format!("[HPM] {code}"), upstream.map(Cow::Borrowed)))
        }
        _ => None,
    }
}

/// Codes of a certificate that did not verify, as Node.js names OpenSSL's (doc/api/tls.md, "X509 certificate error codes").
const UNTRUSTED: [&str; 7] = [
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "CERT_HAS_EXPIRED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
];

/// `ECONNREFUSED` (errno(3)).
fn is_code(word: &str) -> bool {
    (3..=24).contains(&word.len()) && word.starts_with('E') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
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
            ("13:03:59.080 - \u{1b}[31merror\u{1b}[39m: [ConfigProxy] Proxy error:  Error: socket hang up", "ECONNRESET", None),
            ("15:31:38.811 - error: [ConfigProxy] Proxy error:  code=ECONNRESET", "ECONNRESET", None),
            ("01:56:02.668 [ConfigProxy] error: 503 GET /user/bob/api/kernels socket hang up", "ECONNRESET", None),
            (
                "01:56:02.668 [ConfigProxy] error: 503 GET /user/bob/ connect ECONNREFUSED 127.0.0.1:41555",
                "ECONNREFUSED",
                Some("127.0.0.1:41555"),
            ),
            (
                "Proxy error:  { [Error: connect ECONNREFUSED]\n  code: 'ECONNREFUSED',\n  errno: 'ECONNREFUSED',\n  syscall: 'connect' }",
                "ECONNREFUSED",
                None,
            ),
            (
                "Failed to proxy http://127.0.0.1:8000/api/cart Error: connect ECONNREFUSED 127.0.0.1:8000\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)",
                "ECONNREFUSED",
                Some("127.0.0.1:8000"),
            ),
            ("Failed to proxy http://127.0.0.1:8000/api [Error: socket hang up] { code: 'ECONNRESET' }", "ECONNRESET", None),
            (
                "See https://nodejs.org/api/errors.html#errors_common_system_errors for more information (ECONNREFUSED).",
                "ECONNREFUSED",
                None,
            ),
        ] {
            let entry = any(line);
            assert_eq!((&*entry.message, entry.upstream.as_deref()), (&*format!("[HPM] {message}"), upstream), "{line}");
        }
        for other in [
            "Error: connect ETIMEDOUT 10.0.0.5:81",
            "[ConfigProxy] info: 200 GET /api/routes",
            "15:31:38.811 - error: [ConfigProxy] 503 POST /user/bob/api/kernels",
            "[ConfigProxy] error: 404 GET /user/bob/ socket hang up",
            "Failed to proxy the vote",
        ] {
            assert!(!any(other).message.starts_with("[HPM]"), "{other}");
        }
    }
}
