//! What a `log_format` of nginx puts behind a line with the names of its variables before the values, which is how nginx's own
//! guides log times: `rt=0.004 uct="0.000" uht="0.004" urt="0.004"`, `upstream_addr=10.0.3.80:80 upstream_status=502`.
//!
//! Only names that tell one thing are known; `ua` may be the upstream's address or the client's program, which is seen by its value. To add
//! one: its line in [`field`].

use std::net::SocketAddr;

use super::{
    AccessLine, Carried, Dialect, Entry, LineTime,
    access_key::{attempts, request_form},
    json::{Object, Value},
    logfmt,
    nginx_access::ATTEMPTS,
    request_line,
};

/// Fields of one line that are looked at.
const FIELDS: usize = 48;

/// What is known of an upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Address,
    Status,
    HeaderTime,
    ResponseTime,
}

/// The variable that a name stands for: its own name, or the abbreviation that is usual.
fn field(name: &str, value: &str) -> Option<Field> {
    match name {
        "upstream_addr" | "upstream" | "uaddr" => Some(Field::Address),
        "ua" if value.starts_with("unix:") || value.split(',').all(|item| item.trim().parse::<SocketAddr>().is_ok()) => {
            Some(Field::Address)
        }
        "upstream_status" | "ustatus" | "ups" | "us" => Some(Field::Status),
        "upstream_header_time" | "uht" => Some(Field::HeaderTime),
        "upstream_response_time" | "urt" => Some(Field::ResponseTime),
        _ => None,
    }
}

/// Reads what stands behind the request of a line: `None` where no attempt at an upstream is told.
pub(super) fn read<'a>(tail: &'a str, status: u16, method: Option<&str>, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let mut line = AccessLine { status: Some(status), ..AccessLine::default() };
    let mut rest = tail;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        let (value, behind) = value(after);
        rest = behind;
        take(name, value, &mut line);
    }
    if line.upstream_addrs.is_empty() && line.upstream_statuses.is_empty() {
        return None;
    }
    let mut form = request_form(Some(status), method);
    attempts(&line, &mut form);
    let upstream = line.upstream_addrs.last().map(|address| (*address).into());
    Some(Entry { dialect: Dialect::NginxAccess, message: form.into(), upstream, ..entry.clone() })
}

/// Reads a line of which every value has its name: `time=... req="GET / HTTP/1.1" status=504 uaddr="10.0.3.80:80"`, and the same as
/// labelled tab-separated values (ltsv.org), `time:...<tab>req:GET / HTTP/1.1<tab>status:504`.
pub(super) fn whole<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    if let Some(object) = Object::of(text) {
        return json(object);
    }
    let tabbed = text.split('\t').map(|field| field.split_once(':')).collect::<Option<Vec<_>>>().filter(|fields| fields.len() > 2);
    let fields = tabbed.unwrap_or_else(|| logfmt::pairs(text).take(FIELDS).collect());
    of_fields(&fields)
}

/// The same as an object (`escape=json`): `{"time":"...","request":"GET / HTTP/1.1","status":"504","upstream_addr":"10.0.3.80:80"}`.
fn json(object: Object<'_>) -> Option<Entry<'_>> {
    let fields: Vec<(&str, &str)> = object
        .members()
        .filter_map(|(name, value)| match value {
            Value::Text(text) | Value::Word(text) => Some((name, text)),
            Value::Nested(_) => None,
        })
        .take(FIELDS)
        .collect();
    of_fields(&fields)
}

fn of_fields<'a>(fields: &[(&'a str, &'a str)]) -> Option<Entry<'a>> {
    let find = |names: &[&str]| fields.iter().find(|(name, _)| names.contains(name)).map(|(_, value)| *value);
    let status: u16 = find(&["status", "st"])?.parse().ok().filter(|status| (100..=599).contains(status))?;
    // Applications write status and method too: the whole line of the request is a server's, and so is what it tells of an upstream.
    let request = find(&["request", "req"]);
    let proxied = || fields.iter().any(|(name, value)| field(name, value) == Some(Field::Status));
    let method = match request.and_then(request_line) {
        Some((method, _)) => method,
        None => find(&["request_method", "method"]).filter(|_| proxied())?,
    };
    let time = find(&["time", "time_local", "time_iso8601", "timestamp", "@timestamp", "ts", "msec"]);
    let entry = Entry {
        dialect: Dialect::NginxAccess,
        time: time.and_then(|time| LineTime::leading(time.trim_start_matches('['))).map(|(time, _)| time),
        status: Some(status),
        client: find(&["remote_addr", "remote", "client", "host"])
            .filter(|client| client.parse::<std::net::IpAddr>().is_ok())
            .map(Into::into),
        request: request.map(Into::into),
        ..Entry::default()
    };
    let mut line = AccessLine { status: Some(status), ..AccessLine::default() };
    for (name, value) in fields.iter().take(FIELDS) {
        take(name, value, &mut line);
    }
    let mut form = request_form(Some(status), Some(method));
    attempts(&line, &mut form);
    let upstream = line.upstream_addrs.last().map(|address| (*address).into());
    Some(Entry { message: form.into(), upstream, ..entry })
}

/// Takes what a field tells of an attempt at an upstream.
fn take<'a>(name: &str, value: &'a str, line: &mut AccessLine<'a>) {
    // `-`: the request reached none. `a, b : c`: several attempts, and those after an internal redirect.
    let items = value.split([',', ' ']).filter(|item| !matches!(*item, "" | ":")).take(ATTEMPTS);
    match field(name, value) {
        Some(Field::Address) => line.upstream_addrs = items.filter(|item| *item != "-").collect(),
        Some(Field::Status) => {
            line.upstream_statuses = items.filter(|item| *item != "-").map(|item| item.parse().ok()).collect();
        }
        Some(Field::HeaderTime) => line.upstream_header_times = items.map(|item| item.parse().ok()).collect(),
        Some(Field::ResponseTime) => line.upstream_response_times = items.map(|item| item.parse().ok()).collect(),
        None => {}
    }
}

/// A value and what stands behind it: in quotes, or up to a blank that does not follow the comma of a list.
fn value(text: &str) -> (&str, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"').unwrap_or((quoted, ""));
    }
    let end = text.match_indices(' ').map(|(at, _)| at).find(|at| !text[..*at].ends_with(',')).unwrap_or(text.len());
    (&text[..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn form(tail: &str) -> String {
        let line =
            format!("203.0.113.9 - - [21/Nov/2026:05:12:33 +0000] \"GET /cart HTTP/1.1\" 502 157 \"-\" \"curl/7.88.1\" {tail}");
        read(&line).message.into_owned()
    }

    #[test]
    fn attempts_are_read_by_their_names() {
        let own = "upstream_addr=10.0.3.80:80 upstream_status=502 upstream_connect_time=- upstream_header_time=- upstream_response_time=0.001";
        assert_eq!(form(own), "502 GET up=10.0.3.80:80 ups=502 by=gateway");
        let passed = "rt=0.004 uct=\"0.000\" uht=\"0.004\" urt=\"0.004\" uaddr=\"10.0.3.80:80\" us=\"502\"";
        assert_eq!(form(passed), "502 GET up=10.0.3.80:80 ups=502 by=upstream");
        let several = "upstream_addr=10.0.3.80:80, 10.0.3.81:80 upstream_status=502, 502 x=1";
        assert_eq!(form(several), "502 GET up=10.0.3.80:80,10.0.3.81:80 ups=502,502");
        let short = "rt=60.003 uct=0.001 urt=60.002 ua=\"10.0.3.80:80\" us=\"502\"";
        assert_eq!(form(short), "502 GET up=10.0.3.80:80 ups=502");
    }

    #[test]
    fn names_of_other_things_are_none() {
        for tail in ["rt=0.004 ua=\"curl/8\"", "a=b", "=", "upstream_addr=- upstream_status=-", "uht=\""] {
            assert_eq!(form(tail), "502 GET", "{tail}");
        }
    }

    #[test]
    fn a_format_of_ones_own_without_bytes_and_referrer_is_read_too() {
        let line = "203.0.113.9 [21/Nov/2026:05:12:33 +0000] \"POST /a HTTP/1.1\" 504 rt=4.004 uht=\"-\" uaddr=\"127.0.0.1:8000\" us=\"504\"";
        assert_eq!(read(line).message, "504 POST up=127.0.0.1:8000 ups=504 by=gateway");
        assert_eq!(read(line).status, Some(504));
    }

    #[test]
    fn a_line_of_names_alone_is_read() {
        let named = "time=2026-11-21T05:12:33+00:00 remote=203.0.113.9 req=\"GET /a HTTP/2.0\" status=504 uaddr=\"10.0.3.80:80\" ustatus=\"504\" uht=\"-\"";
        let tabbed = "time:2026-11-21T05:12:33+00:00\thost:203.0.113.9\treq:GET /a HTTP/1.1\tstatus:504\tupstream_addr:10.0.3.80:80\tupstream_status:504\tupstream_header_time:-";
        let object = r#"{"time":"2026-11-21T05:12:33+00:00","request":"GET /a HTTP/2.0","status":504,"upstream_addr":"10.0.3.80:80","upstream_status":"504","upstream_header_time":"-"}"#;
        for line in [named, tabbed, object] {
            let entry = read(line);
            assert_eq!((&*entry.message, entry.status), ("504 GET up=10.0.3.80:80 ups=504 by=gateway", Some(504)), "{line}");
            assert!(entry.time.is_some() && entry.upstream.as_deref() == Some("10.0.3.80:80"));
        }
        // An application's.
        assert_eq!(read(r#"{"time":"2026-11-21T05:12:33+00:00","method":"GET","status":500,"msg":"x"}"#).status, None);
        assert_eq!(read("method=GET path=/a format=html status=500 duration=5007.12").status, None);
    }
}
