//! Caddy: one JSON object a line, or its console encoding `2026/11/20 23:36:34.402<tab>ERROR<tab>logger<tab>message<tab>{...}`
//! (zapcore; caddy/logging.go).
//!
//! - `http.log.access*`: requests, in the form of [`super::access_key`]: `502 GET caddy by=upstream`. The upstream itself gave
//!   the answer where its `Server` stands beside Caddy's own or a `Via` tells of it (reverseproxy.go copies the upstream's
//!   headers; an error of its own has `Server: Caddy` alone and no body).
//! - `http.log.error*`, health checks, answers that broke off: the errors of Go, in the form of [`super::go_error`].
//! - errors of version 1, `2026/11/20 23:36:34 [ERROR 502 /path] <error>` (caddyhttp/errors/errors.go): the same.
//! - what its command line says when a configuration does not load: `cli: <error>`.
//! - all else: `<logger>: <message>[: <error>]`.

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape,
    access_key::{by, request_form},
    go_error::{self, Failed},
    json::{Object, Value},
};

/// The loggers of Caddy's own modules, or their first words.
const LOGGERS: &[&str] = &["http", "admin", "tls", "pki", "events", "caddy", "watcher", "layer4", "dynamic_dns", "docker-proxy"];
/// What it says without a logger.
const WITHOUT_LOGGER: &[&str] = &[
    "autosaved config",
    "serving initial configuration",
    "using provided configuration",
    "using config from file",
    "using adjacent Caddyfile",
    "adapted config to JSON",
    "config is unchanged",
    "Caddyfile input is not formatted",
    "shutting down",
    "shutdown complete",
    "exiting; byeee",
    "redirected default logger",
    "GOMEMLIMIT is updated",
    "maxprocs: ",
    "loading new config",
    "failed to load",
];

/// Reads a line of Caddy's.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    console(carried.text)
        .or_else(|| command_line(carried.text))
        .or_else(|| version_1(carried.text))
        .or_else(|| from_json(Object::of(carried.text)?))
}

/// `[ERROR 502 /path] dial tcp 10.0.0.5:8123: i/o timeout` behind the stamp of Go's log package or that of an access log, or none.
/// Answers that no upstream failed at (404, a request that was too large) are told as they stand there.
fn version_1(text: &str) -> Option<Entry<'_>> {
    let stamped = TimeShape::Slashed.leading(text).or_else(|| TimeShape::Clf.leading(text));
    let (time, rest) = match stamped {
        Some((time, rest)) => (Some(time), rest.strip_prefix(' ')?),
        None => (None, text),
    };
    let (status, rest) = rest.strip_prefix("[ERROR ")?.split_at_checked(3)?;
    let status: u16 = status.parse().ok().filter(|status| (400..600).contains(status))?;
    let (path, error) = rest.strip_prefix(' ').filter(|rest| rest.starts_with('/'))?.split_once("] ")?;
    // In a page that wraps it a line may be padded.
    let error = error.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let entry = Entry { dialect: Dialect::Caddy, time, level: Some(Level::Error), request: Some(path.into()), ..Entry::default() };
    if status < 500 {
        return Some(Entry { message: format!("errors: {error}").into(), ..entry });
    }
    let (message, upstream) = go_error::message(Failed::Request, &error, Some(status));
    let upstream = upstream.map(|named| named.into_owned().into());
    Some(Entry { message: message.into(), upstream, ..entry })
}

/// `Error: adapting config using caddyfile: Caddyfile:4: unrecognized directive: x` (cmd/commandfuncs.go).
fn command_line(text: &str) -> Option<Entry<'_>> {
    const BEGINNINGS: &[&str] = &[
        "adapting config using ",
        "loading initial config: ",
        "loading config: ",
        "sending configuration to instance: ",
        "decoding config: ",
        "reading config file: ",
    ];
    let error = text.strip_prefix("Error: ")?;
    let known = BEGINNINGS.iter().any(|beginning| error.starts_with(beginning));
    let message = format!("cli: {error}").into();
    known.then_some(Entry { dialect: Dialect::Caddy, level: Some(Level::Error), message, ..Entry::default() })
}

fn from_json(object: Object<'_>) -> Option<Entry<'_>> {
    let level = Level::parse(&object.text("level")?)?;
    let message = object.text("msg")?;
    let logger = object.get("logger").and_then(Value::plain).unwrap_or_default();
    let time = object.get("ts")?.time();
    record(Record { level, time, logger, message: &message, object: Some(object) })
}

/// The console encoding. Tabs may have become blanks in a paste.
fn console(text: &str) -> Option<Entry<'_>> {
    let (time, rest) = match TimeShape::Slashed.leading(text) {
        Some((time, rest)) => (Some(time), rest.strip_prefix(['\t', ' '])?.trim_start()),
        None => (None, text),
    };
    // Version 2.0 wrote seconds since the epoch as Go prints a float, and the level small: `1.576867456328023e+09<tab>error<tab>`.
    let float = rest.split_once(['\t', ' ']).filter(|(stamp, _)| stamp.ends_with("e+09") && stamp.parse::<f64>().is_ok());
    let rest = float.map_or(rest, |(_, rest)| rest.trim_start());
    let (level, rest) = rest.split_once(['\t', ' '])?;
    // In a terminal the level has a colour.
    let level = level.trim_start_matches(|c: char| c == '\u{1b}' || c == '[' || c.is_ascii_digit());
    let level = level.strip_prefix('m').unwrap_or(level).split('\u{1b}').next().unwrap_or_default();
    let level = Level::parse(level).filter(|_| float.is_some() || level.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let rest = rest.trim_start();
    let (word, after) = rest.split_once(['\t', ' ']).unwrap_or((rest, ""));
    // Without a time only the whole name of a logger is Caddy's alone.
    if time.is_none() && !word.starts_with("http.") {
        return None;
    }
    let (logger, rest) = if of_caddy(word) { (word, after.trim_start()) } else { ("", rest) };
    let (message, object) = match rest.find("\t{").or_else(|| rest.find(" {\"")) {
        Some(at) => (&rest[..at], Object::of(&rest[at + 1..])),
        None => (rest, None),
    };
    record(Record { level, time, logger, message: message.trim_end(), object })
}

fn of_caddy(logger: &str) -> bool {
    let first = logger.split('.').next().unwrap_or_default();
    LOGGERS.contains(&first)
}

/// One record, whatever its encoding.
#[derive(Debug, Clone, Copy)]
struct Record<'a, 'b> {
    level: Level,
    time: Option<LineTime<'a>>,
    logger: &'a str,
    message: &'b str,
    object: Option<Object<'a>>,
}

fn record<'a>(record: Record<'a, '_>) -> Option<Entry<'a>> {
    let Record { level, time, logger, message, object } = record;
    if !(of_caddy(logger) || logger.is_empty() && WITHOUT_LOGGER.iter().any(|known| message.starts_with(known))) {
        return None;
    }
    let member = |name: &str| object.and_then(|object| object.text(name));
    let entry = Entry { dialect: Dialect::Caddy, time, level: Some(level), ..Entry::default() };
    let status = object.and_then(|object| object.get("status")?.number()).and_then(|status| u16::try_from(status).ok());
    if logger.starts_with("http.log.access") {
        return Some(Entry { level: None, ..access(entry, object?, status) });
    }
    // An error that was printed as Go's own structure (`%#v`): what is in it is an address of memory.
    let printed = message.split_once("HandlerError{Err:").filter(|(_, of)| of.starts_with("reverseproxy.DialError{"));
    if let Some((_, of)) = printed {
        let status = of.split_once("StatusCode:").and_then(|(_, rest)| rest.get(..3)?.parse::<u16>().ok());
        let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
        return Some(Entry { message: format!("request failed: dial error{status}").into(), ..with_request(entry, object) });
    }
    let error = member("error");
    let failed = |failed: Failed, error: &str, upstream: Option<std::borrow::Cow<'a, str>>| {
        let (text, named) = go_error::message(failed, error, status);
        let named = named.map(|named| named.into_owned().into());
        Entry { message: text.into(), upstream: upstream.or(named), ..with_request(entry.clone(), object) }
    };
    Some(if logger.starts_with("http.log.error") {
        failed(Failed::Request, message, None)
    } else if logger.contains("health_checker") {
        let host = member("host").or_else(|| member("address"));
        match message {
            "HTTP request failed" | "failed to read response body" => {
                failed(Failed::HealthCheck, error.as_deref().unwrap_or(message), host)
            }
            "status code out of tolerances" | "unexpected status code" => {
                let code = object.and_then(|object| object.get("status_code")?.number()).unwrap_or_default();
                failed(Failed::HealthCheck, &format!("unexpected status code {code}"), host)
            }
            "response body failed expectations" => failed(Failed::HealthCheck, message, host),
            _ => Entry { message: other(logger, message, error.as_deref()).into(), upstream: host, ..entry },
        }
    } else if matches!(message, "aborting with incomplete response" | "reading from backend")
        // What was written goes to the client (reverseproxy/streaming.go, copyBuffer).
        && !error.as_deref().is_some_and(|error| error.starts_with("writing: "))
    {
        failed(Failed::Response, error.as_deref().unwrap_or(message), None)
    } else if let ("upstream roundtrip", Some(error)) = (message, &error) {
        failed(Failed::Request, error, member("upstream"))
    } else {
        Entry { message: other(logger, message, error.as_deref()).into(), ..entry }
    })
}

fn other(logger: &str, message: &str, error: Option<&str>) -> String {
    let logger = if logger.is_empty() { "caddy" } else { logger };
    match error {
        Some(error) => format!("{logger}: {message}: {error}"),
        None => format!("{logger}: {message}"),
    }
}

/// Client, site and request line.
fn with_request<'a>(entry: Entry<'a>, object: Option<Object<'a>>) -> Entry<'a> {
    let Some(request) = object.and_then(|object| object.object("request")) else { return entry };
    let line = match (request.text("method"), request.text("uri")) {
        (Some(method), Some(uri)) => Some(format!("{method} {uri} {}", request.text("proto").unwrap_or_default()).into()),
        (Some(_) | None, _) => None,
    };
    let client = request.text("remote_ip").or_else(|| request.text("remote_addr"));
    Entry { client, server: request.text("host"), request: line, ..entry }
}

fn access<'a>(entry: Entry<'a>, object: Object<'a>, status: Option<u16>) -> Entry<'a> {
    let request = object.object("request");
    let method = request.and_then(|request| request.get("method")?.plain());
    let mut form = request_form(status, method);
    form.push_str(" caddy");
    let from_upstream = object.object("resp_headers").map(|headers| {
        let servers = headers.list("Server").count();
        servers > 1 || servers == 1 && headers.list("Server").any(|name| name != "Caddy") || headers.list("Via").count() > 0
    });
    form.push_str(by(status, from_upstream));
    Entry { message: form.into(), status, ..with_request(entry, Some(object)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::logline;

    const REFUSED: &str = r#"{"level":"error","ts":1795217794.400655,"logger":"http.log.error.log0","msg":"dial tcp 127.0.0.1:9099: connect: connection refused","request":{"remote_ip":"127.0.0.1","remote_port":"55722","proto":"HTTP/1.1","method":"GET","host":"127.0.0.1:8087","uri":"/refused","headers":{"User-Agent":["curl/7.88.1"],"Accept":["*/*"]}},"duration":0.001509079,"status":502,"err_id":"5k9z3v1x2","err_trace":"reverseproxy.statusError (reverseproxy.go:1299)"}"#;
    const NESTED: &str = r#"{"level":"error","ts":1795217794.4,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"127.0.0.1","proto":"HTTP/1.1","method":"GET","host":"h","uri":"/nested","headers":{"User-Agent":["x\",\"status\":200"]}},"duration":0.0016,"size":3,"status":502,"resp_headers":{"Server":["Caddy","nested"],"Content-Length":["3"]}}"#;

    #[test]
    fn an_error_of_the_proxy() {
        let entry = logline::read(REFUSED);
        assert_eq!((entry.dialect, entry.level, entry.status), (Dialect::Caddy, Some(Level::Error), None));
        assert_eq!(entry.message, "request failed: dial tcp 127.0.0.1:9099: connect: connection refused (status 502)");
        assert_eq!(entry.upstream.as_deref(), Some("127.0.0.1:9099"));
        assert_eq!((entry.client.as_deref(), entry.request.as_deref()), (Some("127.0.0.1"), Some("GET /refused HTTP/1.1")));
        assert_eq!(entry.time.map(|time| time.text), Some("1795217794.400655"));
        // A line is kept up to some length only.
        let cut = logline::read(&REFUSED[..REFUSED.find("User-Agent").expect("headers")]);
        assert_eq!(cut.message, "request failed: dial tcp 127.0.0.1:9099: connect: connection refused");
    }

    #[test]
    fn the_console_encoding_says_the_same() {
        let tail = r#"{"request": {"remote_ip": "127.0.0.1", "method": "GET", "host": "h", "uri": "/"}, "duration": 0.1, "status": 502, "err_id": "x"}"#;
        for level in ["ERROR", "\u{1b}[31mERROR\u{1b}[0m"] {
            let line = format!(
                "2026/11/20 23:36:34.402\t{level}\thttp.log.error.log0\tdial tcp 127.0.0.1:9099: connect: connection refused\t{tail}"
            );
            for line in [line.clone(), line.replace('\t', "    ")] {
                let entry = logline::read(&line);
                assert_eq!((entry.dialect, entry.level), (Dialect::Caddy, Some(Level::Error)), "{line}");
                assert_eq!(entry.message, "request failed: dial tcp 127.0.0.1:9099: connect: connection refused (status 502)");
            }
        }
        let entry = logline::read("2026/11/20 23:36:34.402\tINFO\tserving initial configuration");
        assert_eq!((entry.dialect, &*entry.message), (Dialect::Caddy, "caddy: serving initial configuration"));
    }

    #[test]
    fn requests_tell_who_answered() {
        let entry = logline::read(NESTED);
        assert_eq!((entry.status, &*entry.message), (Some(502), "502 GET caddy by=upstream"));
        let own = NESTED.replace(",\"nested\"", "");
        assert_eq!(logline::read(&own).message, "502 GET caddy by=gateway");
        let fine = own.replace("\"status\":502,\"resp", "\"status\":200,\"resp");
        assert_eq!(logline::read(&fine).message, "200 GET caddy");
    }

    #[test]
    fn health_checks_and_broken_answers() {
        for (line, message, upstream) in [
            (
                r#"{"level":"info","ts":1795217790.4,"logger":"http.handlers.reverse_proxy.health_checker.active","msg":"HTTP request failed","host":"127.0.0.1:9099","error":"Get \"http://127.0.0.1:9099/\": dial tcp 127.0.0.1:9099: connect: connection refused"}"#,
                "health check failed: dial tcp 127.0.0.1:9099: connect: connection refused",
                Some("127.0.0.1:9099"),
            ),
            (
                r#"{"level":"info","ts":1795217790.4,"logger":"http.handlers.reverse_proxy.health_checker.active","msg":"status code out of tolerances","status_code":502,"host":"127.0.0.1:9012"}"#,
                "health check failed: unexpected status code 502",
                Some("127.0.0.1:9012"),
            ),
            (
                r#"{"level":"error","ts":1795217790.4,"logger":"http.handlers.reverse_proxy","msg":"aborting with incomplete response","error":"unexpected EOF"}"#,
                "response cut: unexpected EOF",
                None,
            ),
            (
                r#"{"level":"info","ts":1795217790.4,"logger":"admin.api","msg":"received request","method":"POST","uri":"/load"}"#,
                "admin.api: received request",
                None,
            ),
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Caddy, message, upstream));
        }
    }

    #[test]
    fn errors_of_version_1_and_printed_structures() {
        for (line, message, upstream) in [
            (
                "2026/11/20 23:36:34 [ERROR 502 /cart] dial tcp 10.0.0.5:8123: i/o timeout",
                "request failed: dial tcp 10.0.0.5:8123: i/o timeout (status 502)",
                Some("10.0.0.5:8123"),
            ),
            (
                "20/Nov/2026:23:36:34 -0500 [ERROR 502 /index.php] dial unix /run/php.sock: connect: no such file or directory",
                "request failed: dial unix /run/php.sock: connect: no such file or directory (status 502)",
                Some("unix:/run/php.sock"),
            ),
            (
                "[ERROR 502 /] dial  failed: Lookup of  failed: lookup       : no such host",
                "request failed: dial tcp: lookup : no such host (status 502)",
                None,
            ),
            (
                "2026/11/20 23:36:34 [ERROR 404 /x] open /srv/x: no such file or directory",
                "errors: open /srv/x: no such file or directory",
                None,
            ),
            (
                r#"{"level":"warn","ts":1795217794.4,"logger":"http.handlers.cache","msg":"caddyhttp.HandlerError{Err:reverseproxy.DialError{error:(*net.OpError)(0xc000846870)}, StatusCode:502, ID:\"vaix\", Trace:\"reverseproxy.statusError (reverseproxy.go:1269)\"}"}"#,
                "request failed: dial error (status 502)",
                None,
            ),
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Caddy, message, upstream), "{line}");
        }
        for other in ["[ERROR 502] x", "[ERROR x /] y", "2026/11/20 23:36:34 [ERROR] x", "[ERROR 502 /x"] {
            assert_ne!(logline::read(other).dialect, Dialect::Caddy, "{other}");
        }
    }

    #[test]
    fn other_programs_of_the_same_logger_are_not_taken() {
        for line in [
            r#"{"level":"error","ts":1795217790.4,"logger":"controller","msg":"Reconciler error","error":"x"}"#,
            r#"{"level":"error","ts":1795217790.4,"msg":"dial tcp 127.0.0.1:5432: connect: connection refused"}"#,
            "2026/11/20 23:36:34 ERROR something",
            "2026/11/20 23:36:34 http: Accept error: x",
        ] {
            assert_ne!(logline::read(line).dialect, Dialect::Caddy, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(cut in 0usize..600, noise in "\\PC{0,30}") {
            for line in [REFUSED, NESTED, "2026/11/20 23:36:34.402\tERROR\thttp.log.error\tx\t{\"status\": 1}"] {
                let text: String = line.chars().take(cut).chain(noise.chars()).collect();
                let _ = logline::read(&text);
            }
        }
    }
}
