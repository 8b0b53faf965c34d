//! GitLab Workhorse, which stands before GitLab's Puma: what it says when a request to it failed (workhorse/internal/badgateway,
//! roundtripper.go). The error is Go's, in the form of [`super::go_error`]. It stood in three places:
//!
//! - since version 11 in the member `error` of a record as JSON or logfmt (labkit/log): `badgateway: failed to receive response: <error>`;
//! - before that behind `error: GET "/path": badgateway: failed after 60s: `;
//! - up to version 8.6 in `error: proxyRoundTripper: GET "/path" failed with: "<error>"`.

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape,
    go_error::{self, Failed},
    json::{Object, Value},
    logfmt,
    trace::first_line,
};

/// How the error begins.
const BEGINS: &str = "badgateway: failed ";

/// Reads what Workhorse says of a request that failed.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = first_line(carried.text);
    if let Some(object) = Object::of(text) {
        let error = object.text("error")?;
        let of_request = line_of(object.text("method").as_deref(), object.text("uri").as_deref());
        return Some(entry(object.get("time").and_then(Value::time), cause(&error)?, of_request));
    }
    if text.starts_with("time=\"") || text.starts_with("level=") {
        let value = |name| logfmt::value(text, name);
        let error = value("error")?;
        let time = text.strip_prefix("time=\"").and_then(LineTime::leading).map(|(time, _)| time);
        return Some(entry(time, cause(&error)?, line_of(value("method").as_deref(), value("uri").as_deref())));
    }
    let (time, rest) = match TimeShape::Slashed.leading(text) {
        Some((time, rest)) => (Some(time), rest.strip_prefix(' ')?),
        None => (None, text),
    };
    let said = rest.strip_prefix("error: ")?;
    if let Some(of_trip) = said.strip_prefix("proxyRoundTripper: ") {
        let (request, error) = of_trip.split_once(" failed with: ")?;
        return Some(entry(time, error.trim_matches('"'), Some(request.to_owned())));
    }
    let (request, error) = said.split_once("\": ")?;
    Some(entry(time, cause(error)?, Some(request.to_owned())))
}

/// `<error>` of `badgateway: failed to receive response: <error>`, `badgateway: failed after 60s: <error>`.
fn cause(error: &str) -> Option<&str> {
    let rest = error.strip_prefix(BEGINS)?;
    let after = rest.strip_prefix("to receive response: ");
    after.or_else(|| rest.strip_prefix("after ")?.split_once("s: ").map(|(_, error)| error))
}

fn line_of(method: Option<&str>, uri: Option<&str>) -> Option<String> {
    Some(format!("{} {}", method?, uri.filter(|uri| !uri.is_empty())?))
}

fn entry<'a>(time: Option<LineTime<'a>>, error: &str, request: Option<String>) -> Entry<'a> {
    let (message, upstream) = go_error::message(Failed::Request, error, None);
    Entry {
        dialect: Dialect::Go,
        time,
        level: Some(Level::Error),
        upstream: upstream.map(|named| Cow::Owned(named.into_owned())),
        message: message.into(),
        request: request.map(Cow::Owned),
        ..Entry::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{self, Dialect};

    #[test]
    fn a_request_that_failed_in_each_of_its_forms() {
        const MISSING: &str = "request failed: dial unix /srv/gitlab.socket: connect: no such file or directory";
        for (line, message, upstream) in [
            (
                r#"time="2026-11-20T23:36:34+01:00" level=error correlation_id= duration_ms=0 error="badgateway: failed to receive response: dial unix /srv/gitlab.socket: connect: no such file or directory" method=GET uri="#,
                MISSING,
                Some("unix:/srv/gitlab.socket"),
            ),
            (
                r#"{"correlation_id":"01HX","duration_ms":0,"error":"badgateway: failed to receive response: dial unix /srv/gitlab.socket: connect: no such file or directory","level":"error","method":"GET","msg":"","time":"2026-11-20T23:36:34Z","uri":"/"}"#,
                MISSING,
                Some("unix:/srv/gitlab.socket"),
            ),
            (
                "2026/11/20 23:36:34 error: GET \"/shop\": badgateway: failed after 0s: dial unix /srv/gitlab.socket: connect: no such file or directory",
                MISSING,
                Some("unix:/srv/gitlab.socket"),
            ),
            (
                "2026/11/20 23:36:34 error: proxyRoundTripper: GET \"/shop/issues/1\" failed with: \"net/http: timeout awaiting response headers\"",
                "request failed: net/http: timeout awaiting response headers",
                None,
            ),
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Go, message, upstream), "{line}");
            assert!(entry.time.is_some());
        }
        for other in [
            r#"time="2026-11-20T23:36:34+01:00" level=error error="keywatcher: dial tcp 127.0.0.1:6379: connect: connection refused""#,
            "2026/11/20 23:36:34 error: GET \"/shop\": context canceled",
            "error: proxyRoundTripper",
        ] {
            assert!(!logline::read(other).message.starts_with("request failed"), "{other}");
        }
    }
}
