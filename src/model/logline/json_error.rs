//! Proxies in Go that log records as JSON with Go's error in a member of its own, `error` or `err`: the router of Cloud Foundry
//! (gorouter, proxy/round_tripper/proxy_round_tripper.go: `backend-endpoint-failed`, `route-service-connection-failed`; before
//! that `endpoint-failed`), and others that say of themselves that they proxy. The error is told in the form of [`super::go_error`].
//!
//! An application logs its errors so, too; a record that does not tell that it is a proxy's is left alone.

use super::{
    Carried, Dialect, Entry, Level, go_error,
    go_error::Failed,
    go_proxy::{is_dependency, is_gos, is_proxying},
    json::{Object, Value},
    trace::first_line,
};

/// Members that hold the error.
const ERRORS: [&str; 2] = ["error", "err"];
/// Objects in which it may be: lager's, and loggers' that nest fields.
const WITHIN: [&str; 2] = ["data", "fields"];
/// Members that say who logs, or what was being done.
const SAYS: [&str; 6] = ["source", "logger", "component", "message", "msg", "caller"];
/// Members that only a proxy has.
const OF_PROXIES: [&str; 4] = ["route-endpoint", "upstream", "backend", "upstream_addr"];

/// Reads a record.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let line = first_line(carried.text);
    if !line.starts_with('{') || !line.contains("\"err") {
        return None;
    }
    let object = Object::of(line)?;
    let inner = WITHIN.iter().filter_map(|name| object.object(name));
    let (holder, error) = std::iter::once(object)
        .chain(inner)
        .find_map(|holder| Some((holder, ERRORS.iter().find_map(|name| holder.text(name)).filter(|error| is_gos(error))?)))?;
    let says = || SAYS.iter().any(|name| object.text(name).is_some_and(|said| is_proxying(&said)));
    if !OF_PROXIES.iter().any(|name| holder.get(name).is_some()) && !says() {
        return None;
    }
    let (message, upstream) = go_error::message(Failed::Request, &error, None);
    let upstream = upstream.map(std::borrow::Cow::into_owned);
    let named = || holder.object("route-endpoint")?.text("Addr").map(std::borrow::Cow::into_owned);
    let upstream = upstream.or_else(named).filter(|address| !address.is_empty());
    if upstream.as_deref().is_some_and(is_dependency) {
        return None;
    }
    let time = ["timestamp", "time", "ts"].iter().find_map(|name| object.get(name).and_then(Value::time));
    Some(Entry {
        dialect: Dialect::Go,
        time,
        level: Some(Level::Error),
        message: message.into(),
        upstream: upstream.map(Into::into),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{self, Dialect};

    #[test]
    fn a_proxys_record_tells_why_its_request_failed() {
        for (line, message, upstream) in [
            (
                r#"{"timestamp":"1795217794.4","source":"vcap.gorouter","message":"vcap.gorouter.proxy.request-handler.backend-endpoint-failed","log_level":2,"data":{"Host":"shop.test","error":"dial tcp 10.0.16.7:61001: i/o timeout","route-endpoint":{"ApplicationId":"a1","Addr":"10.0.16.7:61001","Tags":{}}}}"#,
                "request failed: dial tcp 10.0.16.7:61001: i/o timeout",
                Some("10.0.16.7:61001"),
            ),
            (
                r#"{"log_level":3,"timestamp":"2026-11-20T23:36:34.4Z","message":"backend-endpoint-failed","source":"vcap.gorouter.proxy","data":{"error":"EOF","attempt":1,"route-endpoint":{"Addr":"10.0.16.7:61001"}}}"#,
                "request failed: EOF",
                Some("10.0.16.7:61001"),
            ),
            (
                r#"{"log_level":3,"timestamp":1795217794.4,"message":"endpoint-failed","source":"vcap.gorouter.proxy","data":{"error":"dial tcp 10.0.16.7:80: getsockopt: connection refused"}}"#,
                "request failed: dial tcp 10.0.16.7:80: connect: connection refused",
                Some("10.0.16.7:80"),
            ),
            (
                r#"{"level":"error","ts":1795217794.4,"msg":"reverse proxy failed","err":"dial tcp 10.0.16.7:80: connect: no route to host"}"#,
                "request failed: dial tcp 10.0.16.7:80: connect: no route to host",
                Some("10.0.16.7:80"),
            ),
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Go, message, upstream), "{line}");
        }
    }

    #[test]
    fn an_applications_record_is_no_proxys() {
        for other in [
            r#"{"level":"error","msg":"could not save the order","error":"dial tcp 10.0.0.7:8080: connect: connection refused"}"#,
            r#"{"level":"error","msg":"backend: no database","error":"dial tcp 10.0.0.7:5432: connect: connection refused"}"#,
            r#"{"level":"error","source":"proxy","error":"invalid token"}"#,
            r#"{"error":"#,
        ] {
            assert!(!logline::read(other).message.starts_with("request failed"), "{other}");
        }
    }
}
