//! Traefik: its own log (version 2: logrus as text or JSON; version 3: zerolog on the console or as JSON) and the JSON form of
//! its access log; the common form is read by [`super::common_access`].
//!
//! Why a request failed stands there at level DEBUG alone (pkg/proxy/httputil/proxy.go): `'502 Bad Gateway' caused by: <error>`,
//! since version 3 `502 Bad Gateway` with the error beside it. Both become the form of [`super::go_error`], as do failed health
//! checks; requests become that of [`super::access_key`]. All else is `<message>[: <error>]`.
//!
//! cloudflared logs by zerolog too, and so it is read here; its dialect is [`Dialect::Cloud`].

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape,
    common_access::traefik_request,
    go_error::{self, Failed},
    json::{Object, Value},
    logfmt,
};

/// Members that only Traefik gives its records.
const NAMES: &[&str] = &["entryPointName", "routerName", "middlewareName", "middlewareType", "providerName", "serversTransport"];
/// What it says by itself.
const SAYS: &[&str] = &["Traefik version", "Health check failed", "Health check is still failing", "Error while dialing backend"];

/// Reads a line of Traefik's.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let named = carried.program.is_some_and(|program| program.contains("traefik"));
    if let Some(object) = Object::of(carried.text) {
        return access(object).or_else(|| from_json(object, named));
    }
    // The message alone, whose beginning nothing else has.
    let alone = || {
        let record = Record { message: carried.text.trim_end().into(), ..Record::default() };
        carried.text.starts_with("'50").then(|| entry(record, false, false)).flatten()
    };
    logrus(carried.text, named).or_else(|| zerolog(carried, named)).or_else(alone)
}

/// What one record says, whatever its encoding.
#[derive(Debug, Default)]
struct Record<'a> {
    level: Option<Level>,
    time: Option<LineTime<'a>>,
    message: Cow<'a, str>,
    error: Option<Cow<'a, str>>,
    /// The upstream, where a member names it.
    url: Option<Cow<'a, str>>,
}

fn from_json(object: Object<'_>, named: bool) -> Option<Entry<'_>> {
    let level = Level::parse(&object.text("level")?)?;
    let error = object.text("error");
    let cloudflared = ["originService", "cfRay"].iter().any(|name| object.get(name).is_some()) || of_tunnel(error.as_deref());
    let message = object.text("message").or_else(|| object.text("msg"));
    // cloudflared writes errors of requests without a message (proxy/logger.go).
    let message = message.or_else(|| cloudflared.then(Cow::default))?;
    let known = named || object.members().any(|(name, _)| NAMES.contains(&name));
    let url = ["targetURL", "url", "originService"].iter().find_map(|name| object.text(name));
    let time = object.get("time").and_then(Value::time);
    entry(Record { level: Some(level), time, message, error, url }, known, cloudflared)
}

/// `time="2026-11-20T23:36:34Z" level=debug msg="..." error="..."`.
fn logrus(text: &str, named: bool) -> Option<Entry<'_>> {
    let inner = text.strip_prefix("time=\"")?;
    let time = LineTime::leading(inner).map(|(time, _)| time);
    let level = Level::parse(&logfmt::value(text, "level")?)?;
    let message = logfmt::value(text, "msg")?;
    let known = named || logfmt::pairs(text).any(|(name, _)| NAMES.contains(&name));
    let record = Record { level: Some(level), time, message, error: logfmt::value(text, "error"), url: logfmt::value(text, "url") };
    entry(record, known, false)
}

/// `2026-11-20T23:36:34Z DBG github.com/traefik/traefik/v3/pkg/x.go:100 > message error="..."`.
fn zerolog<'a>(carried: &Carried<'a>, named: bool) -> Option<Entry<'a>> {
    const LEVELS: &[(&str, Level)] = &[
        ("TRC ", Level::Debug),
        ("DBG ", Level::Debug),
        ("INF ", Level::Info),
        ("WRN ", Level::Warning),
        ("ERR ", Level::Error),
        ("FTL ", Level::Critical),
        ("PNC ", Level::Emergency),
    ];
    let (time, rest) = match TimeShape::Rfc3339.leading(carried.text) {
        Some((time, rest)) => (Some(time), rest.strip_prefix(' ')?),
        // A carrier took it for its own.
        None => (carried.time, carried.text),
    };
    // Without its stamp only what names a tunnel is known.
    let stamped = time.is_some();
    let (level, rest) = LEVELS.iter().find_map(|(word, level)| Some((*level, rest.strip_prefix(word)?)))?;
    let (of_traefik, rest) = match rest.split_once(" > ") {
        Some((caller, rest)) if !caller.contains(' ') => (caller.contains("traefik"), rest),
        Some(_) | None => (false, rest),
    };
    let (message, pairs) = rest.split_at(logfmt::begin(rest));
    let known = named || of_traefik || logfmt::pairs(pairs).any(|(name, _)| NAMES.contains(&name));
    let url = ["targetURL", "originService"].iter().find_map(|name| logfmt::value(pairs, name));
    // `> 502 Bad Gateway | error=...`: zerolog's console writer with a format of its own, which quotes nothing.
    let parted = message.trim_end().strip_suffix(" |");
    let unquoted = parted.and_then(|_| pairs.trim_start().strip_prefix("error=")?.split(" | ").next()).map(Cow::Borrowed);
    let error = unquoted.or_else(|| logfmt::value(pairs, "error"));
    let message = parted.unwrap_or(message);
    let tunnel = logfmt::pairs(pairs).any(|(name, _)| name == "originService" || name == "cfRay" || name == "connIndex");
    let tunnel = tunnel || of_tunnel(error.as_deref());
    if !(stamped || tunnel) {
        return None;
    }
    let record = Record { level: Some(level), time, message: message.trim_end().into(), error, url };
    entry(record, known, tunnel)
}

/// Whether the error is one of cloudflared's, about the service behind its tunnel.
fn of_tunnel(error: Option<&str>) -> bool {
    error.is_some_and(|error| error.starts_with(go_error::OF_TUNNEL))
}

/// `known`: something tells that it is Traefik's. `tunnel`: it is cloudflared's.
fn entry(record: Record<'_>, known: bool, tunnel: bool) -> Option<Entry<'_>> {
    let Record { level, time, message, error, url } = record;
    let dialect = if tunnel { Dialect::Cloud } else { Dialect::Traefik };
    let entry = Entry { dialect, time, level, ..Entry::default() };
    let failed = |failed: Failed, error: &str, status: Option<u16>| {
        let (text, named) = go_error::message(failed, error, status);
        let named = named.map(|named| Cow::Owned(named.into_owned()));
        let url = url.as_deref().and_then(go_error::authority).map(|url| Cow::Owned(url.into_owned()));
        Entry { message: text.into(), upstream: named.or(url), ..entry.clone() }
    };
    let says = SAYS.iter().any(|known| message.starts_with(known));
    if let Some((status, error)) = caused(&message, error.as_deref()) {
        return Some(failed(Failed::Request, error, Some(status)));
    }
    if !(known || says || tunnel) {
        return None;
    }
    Some(if message.starts_with("Health check ") {
        let error = error.as_deref().or_else(|| message.split_once("Reason: ").map(|(_, reason)| reason));
        failed(Failed::HealthCheck, error.unwrap_or(&message), None)
    } else if message.starts_with("Error while dialing backend") || tunnel && error.is_some() {
        failed(Failed::Request, error.as_deref().unwrap_or(&message), None)
    } else {
        let text = match error {
            Some(error) => format!("{message}: {error}").into(),
            None => message,
        };
        Entry { message: text, ..entry }
    })
}

/// Status and error of a request that failed.
fn caused<'b>(message: &'b str, error: Option<&'b str>) -> Option<(u16, &'b str)> {
    const TEXTS: &[&str] = &[
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "499 Client Closed Request",
    ];
    let (status, error) = match message.strip_prefix('\'').and_then(|rest| rest.split_once("' caused by: ")) {
        Some(found) => found,
        None => (message, error?),
    };
    TEXTS.contains(&status).then(|| Some((status.get(..3)?.parse().ok()?, error)))?
}

/// A record of the access log.
fn access(object: Object<'_>) -> Option<Entry<'_>> {
    let status = object.get("DownstreamStatus")?.number().and_then(|status| u16::try_from(status).ok())?;
    let method = object.get("RequestMethod").and_then(Value::plain);
    let upstream = object.text("ServiceAddr").filter(|address| !address.is_empty());
    let path = object.text("RequestPath").unwrap_or_default();
    let protocol = object.text("RequestProtocol").unwrap_or_default();
    let entry = Entry {
        dialect: Dialect::Traefik,
        time: object.get("StartUTC").or_else(|| object.get("time")).and_then(Value::time),
        client: object.text("ClientHost"),
        server: object.text("RequestHost"),
        request: method.map(|method| format!("{method} {path} {protocol}").into()),
        ..Entry::default()
    };
    // What the upstream, or Traefik for it, answered before any middleware changed it.
    let origin = object.get("OriginStatus").and_then(Value::number);
    let sent = object.get("OriginContentSize").and_then(Value::number).filter(|_| origin == Some(u64::from(status)));
    Some(traefik_request(entry, status, method, upstream, sent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::logline;

    const LINES: &[&str] = &[
        r#"time="2026-11-20T23:36:34Z" level=debug msg="'502 Bad Gateway' caused by: dial tcp 10.0.0.5:80: connect: connection refused""#,
        r#"2026-11-20T23:36:34Z DBG github.com/traefik/traefik/v3/pkg/proxy/httputil/proxy.go:122 > 502 Bad Gateway error="dial tcp 10.0.0.5:80: connect: connection refused""#,
        r#"{"level":"debug","error":"dial tcp 10.0.0.5:80: connect: connection refused","time":"2026-11-20T23:36:34Z","caller":"github.com/traefik/traefik/v3/pkg/proxy/httputil/proxy.go:122","message":"502 Bad Gateway"}"#,
        r#"{"level":"debug","msg":"'502 Bad Gateway' caused by: dial tcp 10.0.0.5:80: connect: connection refused","time":"2026-11-20T23:36:34Z"}"#,
    ];
    const ACCESS: &str = r#"{"ClientAddr":"10.0.0.9:55722","ClientHost":"10.0.0.9","DownstreamContentSize":11,"DownstreamStatus":502,"Duration":3012345,"OriginContentSize":11,"OriginDuration":2912345,"OriginStatus":502,"RequestHost":"shop.test","RequestMethod":"GET","RequestPath":"/cart","RequestProtocol":"HTTP/1.1","RouterName":"shop@docker","ServiceAddr":"10.0.0.5:80","ServiceName":"shop@docker","ServiceURL":"http://10.0.0.5:80","StartUTC":"2026-11-20T23:36:34.395Z","level":"info","msg":"","time":"2026-11-20T23:36:34Z"}"#;

    #[test]
    fn every_encoding_says_the_same() {
        for line in LINES {
            for line in [(*line).to_owned(), format!("Nov 20 23:36:34 gw1 traefik[7]: {line}"), format!("traefik-1  | {line}")] {
                let entry = logline::read(&line);
                assert_eq!((entry.dialect, entry.level), (Dialect::Traefik, Some(Level::Debug)), "{line}");
                assert_eq!(entry.message, "request failed: dial tcp 10.0.0.5:80: connect: connection refused (status 502)");
                assert_eq!(entry.upstream.as_deref(), Some("10.0.0.5:80"));
                assert!(entry.time.is_some(), "{line}");
            }
        }
    }

    #[test]
    fn requests() {
        let entry = logline::read(ACCESS);
        assert_eq!((entry.dialect, entry.status), (Dialect::Traefik, Some(502)));
        assert_eq!((&*entry.message, entry.upstream.as_deref()), ("502 GET traefik up=10.0.0.5:80", Some("10.0.0.5:80")));
        assert_eq!(entry.request.as_deref(), Some("GET /cart HTTP/1.1"));
        let passed = ACCESS.replace("\"OriginContentSize\":11", "\"OriginContentSize\":157");
        assert_eq!(logline::read(&passed).message, "502 GET traefik up=10.0.0.5:80 by=upstream");
    }

    #[test]
    fn health_checks_and_the_tunnel() {
        for (line, dialect, message, upstream) in [
            (
                r#"2026-11-20T23:36:34Z WRN github.com/traefik/traefik/v3/pkg/healthcheck/healthcheck.go:136 > Health check failed. error="HTTP request failed: Get \"http://10.0.0.5:80/health\": dial tcp 10.0.0.5:80: connect: connection refused" targetURL=http://10.0.0.5:80"#,
                Dialect::Traefik,
                "health check failed: dial tcp 10.0.0.5:80: connect: connection refused",
                "10.0.0.5:80",
            ),
            (
                r#"{"level":"warn","targetURL":"http://10.0.0.5:80","error":"received error status code: 502","time":"2026-11-20T23:36:34Z","message":"Health check failed."}"#,
                Dialect::Traefik,
                "health check failed: received error status code: 502",
                "10.0.0.5:80",
            ),
            (
                r#"2026-11-20T23:36:34Z ERR  error="Unable to reach the origin service. The service may be down or it may not be responding to traffic from cloudflared: dial tcp 127.0.0.1:8080: connect: connection refused" cfRay=8a1b-FRA event=1 ingressRule=0 originService=http://localhost:8080"#,
                Dialect::Cloud,
                "request failed: dial tcp 127.0.0.1:8080: connect: connection refused",
                "127.0.0.1:8080",
            ),
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (dialect, message, Some(upstream)), "{line}");
        }
    }

    #[test]
    fn the_same_loggers_of_others_are_not_taken() {
        for line in [
            r#"time="2026-11-20T23:36:34Z" level=error msg="Handler for POST /containers/create returned error: x""#,
            "2026-11-20T23:36:34Z ERR something broke error=\"x\"",
            r#"{"level":"error","time":"2026-11-20T23:36:34Z","message":"x"}"#,
        ] {
            assert_ne!(logline::read(line).dialect, Dialect::Traefik, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(cut in 0usize..600, noise in "\\PC{0,30}") {
            for line in LINES.iter().chain(&[ACCESS]) {
                let text: String = line.chars().take(cut).chain(noise.chars()).collect();
                let _ = logline::read(&text);
            }
        }
    }
}
