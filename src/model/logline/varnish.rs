//! Varnish: records of its shared-memory log as varnishlog(1) shows them, grouped (`--  FetchError     backend app: fail errno 111
//! (Connection refused)`) or raw (`     32771 FetchError     b backend app: ...`), and what varnishd says itself (syslog).
//!
//! The message of a record is `<tag>: <value>` for tags that tell of trouble, and the tag alone for all others: their values are
//! requests and headers. `BerespStatus` and `RespStatus` keep the status.

use super::{Carried, Dialect, Entry, json::Object};

/// Tags whose value tells what happened (vsl(7)).
const TELLING: &[&str] =
    &["FetchError", "BogoHeader", "Error", "Backend_health", "VCL_Error", "BackendClose", "LostHeader", "ExpBan", "Notice", "VSL"];
/// Tags whose value is a status.
const STATUSES: &[&str] = &["BerespStatus", "RespStatus", "ObjStatus"];
/// All others that a transaction is made of.
const OTHERS: &[&str] = &[
    "Begin",
    "End",
    "Timestamp",
    "Link",
    "VCL_use",
    "VCL_call",
    "VCL_return",
    "VCL_acl",
    "VCL_Log",
    "VCL_trace",
    "ReqStart",
    "ReqMethod",
    "ReqURL",
    "ReqProtocol",
    "ReqHeader",
    "ReqUnset",
    "ReqAcct",
    "RespProtocol",
    "RespReason",
    "RespHeader",
    "RespUnset",
    "BereqMethod",
    "BereqURL",
    "BereqProtocol",
    "BereqHeader",
    "BereqUnset",
    "BereqAcct",
    "BerespProtocol",
    "BerespReason",
    "BerespHeader",
    "BerespUnset",
    "ObjProtocol",
    "ObjReason",
    "ObjHeader",
    "ObjUnset",
    "BackendOpen",
    "BackendReuse",
    "BackendStart",
    "Backend",
    "Storage",
    "Length",
    "TTL",
    "Filters",
    "Fetch_Body",
    "Gzip",
    "Hit",
    "HitMiss",
    "HitPass",
    "HttpGarbage",
    "Hash",
    "Debug",
    "SessOpen",
    "SessClose",
    "SessError",
    "PipeAcct",
    "Proxy",
    "ProxyGarbage",
    "ESI_xmlerror",
    "ESI_BodyBytes",
    "WorkThread",
    "CLI",
    "Witness",
    "H2RxHdr",
    "H2RxBody",
    "H2TxHdr",
    "H2TxBody",
];

/// Reads a line of varnishlog or varnishd.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text.trim_end();
    record(text).or_else(|| of_ncsa(text)).or_else(|| listed(text)).or_else(|| {
        let message = ["Error: ", "Info: ", "Debug: "].iter().find_map(|level| text.strip_prefix(level)).unwrap_or(text);
        (matches!(carried.program, Some("varnishd" | "varnish")) || of_child(message)).then(|| Entry {
            dialect: Dialect::Varnish,
            message: message.into(),
            ..Entry::default()
        })
    })
}

/// A line that varnishncsa wrote as JSON with `%{VSL:FetchError}x` in it (varnishncsa(1)): what failed, whatever its other members are.
fn of_ncsa(text: &str) -> Option<Entry<'_>> {
    let object = Object::of(text)?;
    let of_varnish = ["Varnish-Side", "Varnish:side", "Handling", "Varnish:handling"].iter().any(|name| object.get(name).is_some());
    let error = ["Fetch-Error", "FetchError", "fetch_error"].iter().find_map(|name| object.text(name)).filter(|_| of_varnish)?;
    let said = error.starts_with("backend ").then_some(error)?;
    let upstream = backend("FetchError", &said).map(|name| name.to_owned().into());
    Some(Entry { dialect: Dialect::Varnish, message: format!("FetchError: {said}").into(), upstream, ..Entry::default() })
}

/// `boot.app   probe   3/5   sick   Thu, 26 Nov ...` of `varnishadm backend.list` (bin/varnishd/cache/cache_backend_probe.c,
/// cache_director.c), up to 6.0 `boot.app   1   probe   Sick 3/5`. One that an administrator set sick is none of the probe's.
fn listed(text: &str) -> Option<Entry<'_>> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().filter(|name| name.len() <= 120)?;
    let counted =
        |word: &str| word.split_once('/').is_some_and(|(good, of)| good.parse::<u8>().is_ok() && of.parse::<u8>().is_ok());
    let word = words.next()?;
    let sick = match word {
        "probe" => counted(words.next()?) && words.next()? == "sick",
        refs if refs.parse::<u32>().is_ok() => words.next()? == "probe" && words.next()? == "Sick" && counted(words.next()?),
        _ => false,
    };
    let short = name.rsplit('.').next().unwrap_or(name);
    sick.then(|| Entry {
        dialect: Dialect::Varnish,
        message: format!("Backend_health: {short} Still sick").into(),
        upstream: Some(short.into()),
        ..Entry::default()
    })
}

/// `Child (4711) died signal=6`: what varnishd says of its worker process, on a terminal too (bin/varnishd/mgt/mgt_child.c).
fn of_child(message: &str) -> bool {
    let rest = message.strip_prefix("Child (").and_then(|rest| rest.split_once(") "));
    rest.is_some_and(|(pid, said)| {
        let verbs = ["died", "ended", "said", "Started", "Panic", "not responding"];
        !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) && verbs.iter().any(|verb| said.starts_with(verb))
    })
}

fn record(text: &str) -> Option<Entry<'_>> {
    let (tag, value) = grouped(text).or_else(|| raw(text)).or_else(|| alone(text))?;
    let entry = |message: String| Entry { dialect: Dialect::Varnish, message: message.into(), ..Entry::default() };
    if TELLING.contains(&tag) {
        let value = if tag == "BackendClose" { without_number(value) } else { value };
        return Some(Entry { upstream: backend(tag, value).map(Into::into), ..entry(format!("{tag}: {value}")) });
    }
    if STATUSES.contains(&tag) {
        let status = value.trim().parse().ok().filter(|status| (100..1000).contains(status))?;
        // What the client got; what a backend answered may be tried again.
        return Some(Entry { status: Some(status).filter(|_| tag == "RespStatus"), ..entry(format!("{tag} {status}")) });
    }
    OTHERS.contains(&tag).then(|| entry(tag.to_owned()))
}

/// `--  FetchError     value`: a transaction's records, with a mark for each level of depth.
fn grouped(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start_matches('-');
    let depth = text.len() - rest.len();
    if depth == 0 {
        // `**  << BeReq    >> 32771`: the head of a transaction; in a terminal, `***` and more.
        let kind = text.trim_start_matches('*').trim_start().strip_prefix("<< ")?.split_once(" >>")?.0.trim();
        return matches!(kind, "Request" | "BeReq" | "Session").then_some(("Begin", ""));
    }
    (rest.starts_with(' ') && depth <= 9).then(|| split_tag(rest.trim_start()))
}

/// `FetchError     b value`, `FetchError     value`: the words alone, as people paste them. The name of the tag may stand in a
/// sentence: the blanks that fill its column do not, nor do these beginnings (bin/varnishd/cache: cache_backend.c, cache_fetch.c).
fn alone(text: &str) -> Option<(&str, &str)> {
    const BEGINS: [&str; 6] =
        ["backend ", "HTC ", "first byte timeout", "between bytes timeout", "no backend connection", "http format"];
    let rest = text.trim_start().strip_prefix("FetchError ")?;
    let value = rest.trim_start();
    let filled = rest.len() - value.len() >= 2;
    let value = value.strip_prefix("b ").unwrap_or(value);
    (!value.is_empty() && (filled || BEGINS.iter().any(|begin| value.starts_with(begin)))).then_some(("FetchError", value))
}

/// `     32771 FetchError     b value`: `c` for clients, `b` for backends, `-` for others.
fn raw(text: &str) -> Option<(&str, &str)> {
    let (xid, rest) = text.trim_start().split_once(' ')?;
    if xid.is_empty() || !xid.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (tag, rest) = split_tag(rest);
    ["c", "b", "-"].iter().find_map(|mark| Some((tag, rest.strip_prefix(mark)?.strip_prefix(' ')?)))
}

fn split_tag(text: &str) -> (&str, &str) {
    text.split_once(' ').map_or((text, ""), |(tag, value)| (tag, value.trim_start()))
}

/// The descriptor before the backend's name differs from connection to connection.
fn without_number(value: &str) -> &str {
    value.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
}

/// `backend app: fail errno 111`, `app Went sick ...`, `app close Received junk data`.
fn backend<'a>(tag: &str, value: &'a str) -> Option<&'a str> {
    let name = match tag {
        // `backend write error: 32 (Broken pipe)` names none.
        "FetchError" => value.strip_prefix("backend ")?.split(':').next().filter(|name| !name.contains(' '))?,
        // Up to 6.0 the name is behind the VCL's: `boot.app Went sick`.
        "Backend_health" | "BackendClose" => value.split(' ').next()?,
        _ => return None,
    };
    let name = name.rsplit('.').next().unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, read};

    #[test]
    fn records_are_read_in_groups_and_raw() {
        for (line, message, upstream, status) in [
            (
                "--  FetchError     backend refused: fail errno 111 (Connection refused)",
                "FetchError: backend refused: fail errno 111 (Connection refused)",
                Some("refused"),
                None,
            ),
            ("     32771 FetchError     b backend max: busy", "FetchError: backend max: busy", Some("max"), None),
            ("--  FetchError     first byte timeout", "FetchError: first byte timeout", None, None),
            (
                "--  BackendClose   23 garbage close Received junk data",
                "BackendClose: garbage close Received junk data",
                Some("garbage"),
                None,
            ),
            (
                "         0 Backend_health - boot.sick Went sick -------- 0 2 8 0.000000 0.000000 \"Open failed\"",
                "Backend_health: boot.sick Went sick -------- 0 2 8 0.000000 0.000000 \"Open failed\"",
                Some("sick"),
                None,
            ),
            ("-   ReqHeader      X: FetchError", "ReqHeader", None, None),
            ("-   RespStatus     503", "RespStatus 503", None, Some(503)),
            ("--  BerespStatus   502", "BerespStatus 502", None, None),
            ("**  << BeReq    >> 32771     ", "Begin", None, None),
            ("Error: Child (8) Panic at: Fri", "Child (8) Panic at: Fri", None, None),
            ("Nov 20 23:40:25 gw1 varnishd[7]: Child (8) died signal=6", "Child (8) died signal=6", None, None),
        ] {
            let entry = read(line);
            assert_eq!(entry.dialect, Dialect::Varnish, "{line}");
            assert_eq!((&*entry.message, entry.upstream.as_deref(), entry.status), (message, upstream, status), "{line}");
        }
        for other in ["- an item of a list", "--- a/file", "12 Error x", "-- ", "* << x >>", "--  RespStatus x"] {
            assert_ne!(read(other).dialect, Dialect::Varnish, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "(-|\\*| |<< |BeReq| >>|32771 |FetchError |RespStatus |BackendClose |b |503|backend |: |é|[a-z.]){0,14}") {
            let _ = read(&text);
        }
    }
}
