//! The proxy of Linkerd, in the pod of each application: what it says when a request or a connection failed (linkerd2-proxy,
//! linkerd/app/core/src/errors, linkerd/reconnect, linkerd/proxy/balance/queue). The words of the error are those of hyper and of
//! the system, within what names the route: `[linkerd] refused`, and the endpoint where it is named.
//!
//! - `[   299.092239s]  INFO ThreadId(01) outbound:proxy{addr=10.0.9.18:80}:endpoint{addr=10.0.0.145:80}: linkerd_reconnect: Failed to
//!   connect error=connect timed out after 1s`;
//! - up to 2.8 `linkerd2_app_core::errors: Failed to proxy request: connection closed before message completed`,
//!   `linkerd2_proxy::app::errors unexpected error: error trying to connect: request timed out`;
//! - as JSON, `{"timestamp":"[ 1.2s]","level":"INFO","fields":{"message":"Request failed","error":"..."},"target":"linkerd_..."}`.

use std::borrow::Cow;

use super::{Carried, Dialect, Entry, json::Object, trace::first_line};

/// How the targets of its messages begin.
const TARGET: &str = "linkerd";
/// What stands before the error.
const BEFORE: [&str; 4] = [" error=", "Failed to proxy request: ", "unexpected error: ", "proxy error: "];
/// What errors say, the most telling first, and the word for it.
const ERRORS: [(&str, &str); 15] = [
    ("connection closed before message completed", "closed"),
    ("Connection reset by peer", "closed"),
    ("Broken pipe", "closed"),
    ("Connection refused", "refused"),
    ("No route to host", "unreachable"),
    ("Network is unreachable", "unreachable"),
    ("error trying to connect: request timed out", "no connection in time"),
    ("connect timed out after", "no connection in time"),
    ("Connection timed out", "no connection in time"),
    ("fail-fast", "no endpoint"),
    ("failfast", "no endpoint"),
    ("response timeout", "no answer in time"),
    ("request timed out", "no answer in time"),
    ("response headers timeout", "no answer in time"),
    ("invalid HTTP", "no HTTP"),
];

/// Reads a line of the proxy. Lines that tell of no failure are of nobody else either.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let line = first_line(carried.text);
    memchr::memmem::find(line.as_bytes(), TARGET.as_bytes())?;
    let entry = Entry { dialect: Dialect::Linkerd, ..Entry::default() };
    if let Some(object) = line.starts_with('{').then(|| Object::of(line)).flatten() {
        object.text("target").filter(|target| target.starts_with(TARGET))?;
        let fields = object.object("fields")?;
        let error = fields.text("error").or_else(|| fields.text("message"))?;
        return Some(Entry { message: format!("[linkerd] {}", word(&error)?).into(), ..entry });
    }
    let at = target(line)?;
    let (spans, said) = line.split_at(at);
    // Words that only announce it: a balancer that has no endpoint that takes connections.
    let announced = said.contains("Unavailable; entering failfast");
    let error = BEFORE.iter().find_map(|before| Some(&said[said.find(before)? + before.len()..]));
    let error = error.or_else(|| announced.then_some(said))?;
    // The chain of its sources repeats it.
    let error = error.split(" error.sources=").next().unwrap_or(error);
    Some(Entry { message: format!("[linkerd] {}", word(error)?).into(), upstream: endpoint(spans), ..entry })
}

/// Where the target of the message begins: `linkerd_reconnect: `, `linkerd2_proxy::app::errors `.
fn target(line: &str) -> Option<usize> {
    let starts = line.match_indices(TARGET).map(|(at, _)| at).filter(|at| *at == 0 || line[..*at].ends_with([' ', ']']));
    let mut named = starts.filter(|at| {
        let module = line[*at..].split(' ').next().unwrap_or_default().trim_end_matches(':');
        let rest = module[TARGET.len()..].trim_start_matches('2');
        rest.starts_with('_')
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:".contains(&byte))
    });
    named.next()
}

fn word(error: &str) -> Option<&'static str> {
    ERRORS.iter().find(|(said, _)| error.contains(said)).map(|(_, word)| *word)
}

/// The endpoint of a connection, else the service: `endpoint{addr=10.0.0.145:80}`, `proxy{addr=10.0.9.18:80}`.
fn endpoint(spans: &str) -> Option<Cow<'_, str>> {
    let named = ["endpoint{addr=", "proxy{addr="].iter().find_map(|span| spans.rsplit_once(span))?.1;
    let address = named.split([' ', '}']).next()?;
    (!address.is_empty()).then_some(address.into())
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{self, Dialect};

    #[test]
    fn what_failed_and_where() {
        for (line, message, upstream) in [
            (
                "[  1619.579566s]  WARN ThreadId(01) outbound:proxy{addr=10.43.67.169:8080}:service{ns=shop name=api port=8080}:endpoint{addr=10.0.0.145:8080}: linkerd_reconnect: Failed to connect error=connect timed out after 1s",
                "no connection in time",
                Some("10.0.0.145:8080"),
            ),
            (
                "[    49.103125s]  INFO ThreadId(01) outbound:proxy{addr=10.43.38.167:8080}:service{ns=shop name=api port=8080}: linkerd_proxy_balance_queue::worker: Unavailable; entering failfast timeout=3.0",
                "no endpoint",
                Some("10.43.38.167:8080"),
            ),
            (
                "[   299.092239s]  INFO ThreadId(01) inbound:server{port=80}:rescue{client.addr=10.0.9.7:53320}: linkerd_app_core::errors::respond: Request failed error=connection closed before message completed",
                "closed",
                None,
            ),
            (
                "linkerd2_app_core::errors: Failed to proxy request: connection error: Connection reset by peer (os error 104)",
                "closed",
                None,
            ),
            (
                "linkerd-proxy ERR! [  4300.896499s] linkerd2_proxy::app::errors unexpected error: error trying to connect: request timed out",
                "no connection in time",
                None,
            ),
            (
                r#"{"timestamp":"[    12.5s]","level":"WARN","fields":{"message":"Failed to connect","error":"Connection refused (os error 111)"},"target":"linkerd_reconnect","threadId":"ThreadId(1)"}"#,
                "refused",
                None,
            ),
        ] {
            let entry = logline::read(line);
            let expected = (Dialect::Linkerd, format!("[linkerd] {message}"), upstream);
            assert_eq!((entry.dialect, entry.message.into_owned(), entry.upstream.as_deref()), expected, "{line}");
        }
        for other in
            ["linkerd is not installed", "[ 0.001s]  INFO ThreadId(01) linkerd2_proxy: release 2.210.4", "linkerd check error=x"]
        {
            assert_ne!(logline::read(other).dialect, Dialect::Linkerd, "{other}");
        }
    }
}
