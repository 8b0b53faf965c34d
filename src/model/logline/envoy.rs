//! Envoy, also as a sidecar or gateway of Istio: access log in the default format, in Istio's and as JSON, and its own log.
//!
//! A request becomes the form of [`super::access_key`]: `503 GET envoy flags=UF up=10.0.0.5:80 details=<response code details>
//! reason=<upstream transport failure reason>`. Flags are put into the order of their names, since a retry may tell them in any;
//! long names (`UpstreamConnectionFailure`) become short ones. `up` is the last host that was tried.
//!
//! Default format: `[START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS RECEIVED SENT DURATION SERVICE_TIME "X-FORWARDED-FOR"
//! "USER-AGENT" "X-REQUEST-ID" "AUTHORITY" "UPSTREAM_HOST"`; Istio has details, termination details and `"reason"` behind the
//! flags, and six words behind the upstream (pilot/pkg/networking/core/accesslog.go).

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape,
    access_key::{by, request_form},
    json::{Object, Value},
};

/// Words of Istio's format behind the upstream: cluster, local address, the client's two addresses, SNI, route.
const ISTIO_TAIL: usize = 6;
/// Bytes of details and of the reason that are told, at most: certificates may stand in there.
const WORDS_BYTES: usize = 200;
/// Flags whose long names newer versions can log (stream_info/utility.h).
const LONG: &[(&str, &str)] = &[
    ("FailedLocalHealthCheck", "LH"),
    ("NoHealthyUpstream", "UH"),
    ("UpstreamRequestTimeout", "UT"),
    ("LocalReset", "LR"),
    ("UpstreamRemoteReset", "UR"),
    ("UpstreamConnectionFailure", "UF"),
    ("UpstreamConnectionTermination", "UC"),
    ("UpstreamOverflow", "UO"),
    ("NoRouteFound", "NR"),
    ("UpstreamRetryLimitExceeded", "URX"),
    ("NoClusterFound", "NC"),
    ("DurationTimeout", "DT"),
    ("UpstreamProtocolError", "UPE"),
    ("UpstreamMaxStreamDurationReached", "UMSDR"),
    ("DownstreamConnectionTermination", "DC"),
    ("DnsResolutionFailed", "DF"),
    ("OverloadManagerTerminated", "OM"),
    ("DropOverLoad", "DO"),
    ("StreamIdleTimeout", "SI"),
    ("RateLimited", "RL"),
    ("UnauthorizedExternalService", "UAEX"),
    ("FaultInjected", "FI"),
    ("DelayInjected", "DI"),
    ("DownstreamProtocolError", "DPE"),
    ("InvalidEnvoyRequestHeaders", "IH"),
];

/// Reads a line of Envoy's.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    access(carried.text)
        .or_else(|| cut(carried.text))
        .or_else(|| own(carried.text))
        .or_else(|| istio_own(carried))
        .or_else(|| answer(carried.text))
        .or_else(|| from_json(Object::of(carried.text)?))
}

/// What is known of a request.
#[derive(Debug, Default)]
struct Request<'a> {
    status: Option<u16>,
    method: Option<&'a str>,
    flags: &'a str,
    upstream: Option<&'a str>,
    details: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    fn entry(self, time: Option<LineTime<'a>>) -> Option<Entry<'a>> {
        let mut flags: Vec<&str> = self.flags.split(',').collect();
        for flag in &mut flags {
            if let Some((_, short)) = LONG.iter().find(|(long, _)| long == flag) {
                *flag = short;
            }
        }
        flags.sort_unstable();
        flags.dedup();
        let is_flag =
            |flag: &&str| *flag == "-" || (2..=6).contains(&flag.len()) && flag.bytes().all(|byte| byte.is_ascii_uppercase());
        if !flags.iter().all(is_flag) {
            return None;
        }
        let mut form = request_form(self.status, self.method);
        form.push_str(" envoy flags=");
        form.push_str(&flags.join(","));
        let present = |text: &&Cow<'_, str>| !matches!(&***text, "-" | "");
        let upstream = self.upstream.filter(|host| !matches!(*host, "-" | ""));
        for (name, value) in [
            (" up=", upstream.map(Cow::Borrowed).as_ref()),
            (" details=", self.details.as_ref().filter(present)),
            (" reason=", self.reason.as_ref().filter(present)),
        ] {
            if let Some(value) = value {
                form.push_str(name);
                form.push_str(&value[..value.floor_char_boundary(WORDS_BYTES)]);
            }
        }
        // Without details the absence of flags says it: Envoy's own answers have one.
        let passed = match self.details.as_deref() {
            Some(details) => details == "via_upstream",
            None => flags == ["-"] && upstream.is_some(),
        };
        let by = by(self.status, Some(passed));
        // Before what may hold blanks.
        let at = form.find(" details=").or_else(|| form.find(" reason=")).unwrap_or(form.len());
        form.insert_str(at, by);
        Some(Entry {
            dialect: Dialect::Envoy,
            time,
            status: self.status,
            message: form.into(),
            upstream: upstream.map(Into::into),
            ..Entry::default()
        })
    }
}

fn access(text: &str) -> Option<Entry<'_>> {
    // Who pastes a line may leave its time out.
    let stamped = text.strip_prefix('[').and_then(|inner| TimeShape::Rfc3339.leading(inner));
    let (time, line) = match stamped {
        Some((time, rest)) => (Some(time), rest.strip_prefix("] \"")?),
        None => (None, text.strip_prefix('"')?),
    };
    // Envoy does not escape; method and path have no blanks.
    let (method, after) = line.split_once(' ')?;
    let (path, after) = after.split_once(' ')?;
    let (protocol, rest) = after.split_once("\" ")?;
    if !(protocol == "-" || protocol.starts_with("HTTP/")) {
        return None;
    }
    let (status, rest) = rest.split_once(' ')?;
    let status = status.parse::<u16>().ok()?;
    let (flags, mut rest) = rest.split_once(' ')?;
    let mut request = Request { status: Some(status), method: Some(method), flags, ..Request::default() };
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        let (details, after) = word(rest)?;
        request.details = Some(details.into());
        rest = after;
        // The oldest format of Istio has the reason alone, the newer ones two words more.
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            request.reason = request.details.take();
        } else {
            let (termination, after) = word(rest)?;
            // Up to Istio 1.4 the word of its policy service and the reason stand there, and no more.
            let (reason, after) = if after.starts_with(|c: char| c.is_ascii_digit()) {
                request.details = None;
                (termination, after)
            } else {
                word(after)?
            };
            request.reason = Some(reason.into());
            rest = after;
        }
    }
    // Bytes and times: without a stamp they tell it from a line of another server that was cut.
    if time.is_none() && !rest.splitn(4, ' ').take(3).all(|word| word.parse::<u64>().is_ok()) {
        return None;
    }
    // From the right: what stands before the upstream is of the client's choosing.
    let mut tail = rest.trim_end();
    if !tail.ends_with('"') {
        for _ in 0..ISTIO_TAIL {
            tail = tail.rsplit_once(' ')?.0;
        }
    }
    let tail = tail.strip_suffix('"')?;
    request.upstream = tail.rsplit_once('"').map(|(_, host)| host);
    let line_length = method.len() + path.len() + protocol.len() + 2;
    let entry = request.entry(time)?;
    Some(Entry { request: line.get(..line_length).map(Into::into), ..entry })
}

/// The middle of such a line, which begins at the status and ends behind the reason: `503 UF,URX "-" "TLS error: 268435703:..."`.
fn cut(text: &str) -> Option<Entry<'_>> {
    let (status, rest) = text.trim_start().split_once(' ')?;
    let status = status.parse::<u16>().ok().filter(|status| (500..=599).contains(status))?;
    let (flags, rest) = rest.split_once(' ')?;
    let (_, reason) = rest.trim_end().strip_suffix('"')?.rsplit_once(" \"")?;
    let failed = flags.split(',').any(|flag| matches!(flag, "UF" | "UC" | "UR")) && reason.starts_with("TLS error");
    let request = Request { status: Some(status), flags, reason: Some(reason.into()), ..Request::default() };
    failed.then(|| request.entry(None)).flatten()
}

/// What it answers a client instead of the upstream, and people paste from their browser: `upstream connect error or disconnect/reset
/// before headers. reset reason: connection failure` (source/common/router/router.cc, `onUpstreamReset`; stream_info's
/// `resetReasonToResponseFlag`), `no healthy upstream`, `upstream request timeout`.
fn answer(text: &str) -> Option<Entry<'_>> {
    let text = text.trim_end();
    let made = |status, flags, reason: Option<&str>| {
        let details = Some("local_reply".into());
        let reason = reason.map(|reason| reason.to_owned().into());
        Request { status: Some(status), flags, details, reason, ..Request::default() }.entry(None)
    };
    match text {
        "no healthy upstream" => return made(503, "UH", None),
        "upstream request timeout" => return made(504, "UT", None),
        _ => {}
    }
    let rest = text.strip_prefix("upstream connect error or disconnect/reset before headers.")?;
    let (_, why) = rest.split_once("reset reason: ")?;
    let (why, reason) = why.split_once(", transport failure reason: ").unwrap_or((why, ""));
    made(503, flags_of(why)?, if reason.is_empty() { Some(why) } else { Some(reason) })
}

/// The flags of why a stream to an upstream was reset (source/common/http/utility.cc, `resetReasonToString`).
fn flags_of(why: &str) -> Option<&'static str> {
    Some(match why.trim_end_matches(['.', ',']) {
        "connection failure" | "remote connection failure" | "local connection failure" | "connection timeout" => "UF",
        "connection termination" => "UC",
        "remote reset" | "remote refused stream reset" => "UR",
        "overflow" => "UO",
        "protocol error" | "http/1 protocol error" | "http/2 protocol error" => "UPE",
        _ => return None,
    })
}

/// A message of its own log. That a stream to an upstream was reset becomes `- - envoy flags=UR reason=remote reset`: it is no request,
/// since it may be tried again (source/common/router/router.cc, `onUpstreamReset`).
fn message_of(component: &str, text: &str) -> String {
    const RESET: &str = "upstream reset: reset reason: ";
    // `[C243618][S8878698873862241484] `, `[Tags: "ConnectionId":"2","StreamId":"8"] `.
    let reset = text.split_once(RESET).filter(|(before, _)| before.is_empty() || before.starts_with('[') && before.ends_with("] "));
    // A connection of a pool that was never made (source/common/http/conn_pool_base.cc): without a reason it was merely closed.
    let unmade =
        text.split_once("client disconnected, failure reason: ").filter(|_| component == "pool").map(|(_, why)| why.trim());
    if let Some(why) = unmade.filter(|why| !why.is_empty()) {
        return format!("{} envoy flags=UF reason={}", request_form(None, None), &why[..why.floor_char_boundary(WORDS_BYTES)]);
    }
    let reset = reset.and_then(|(_, why)| {
        let (why, transport) = why.split_once(", transport failure reason: ").unwrap_or((why, ""));
        Some((flags_of(why)?, if transport.trim().is_empty() { why } else { transport.trim() }))
    });
    match reset {
        Some((flags, reason)) => {
            format!(
                "{} envoy flags={flags} reason={}",
                request_form(None, None),
                &reason[..reason.floor_char_boundary(WORDS_BYTES)]
            )
        }
        None => format!("{component}: {text}"),
    }
}

/// A word, or a text in quotes.
fn word(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('"') {
        Some(inner) => inner.split_once("\" "),
        None => text.split_once(' '),
    }
}

/// A record of an access log as JSON, with the names that Istio and the examples of Envoy's documentation give its members.
fn from_json(object: Object<'_>) -> Option<Entry<'_>> {
    let flags = object.get("response_flags")?.plain()?;
    let request = Request {
        status: object.get("response_code")?.number().and_then(|status| u16::try_from(status).ok()),
        method: object.get("method").and_then(Value::plain),
        flags,
        upstream: object.get("upstream_host").and_then(Value::plain),
        details: object.text("response_code_details"),
        reason: object.text("upstream_transport_failure_reason").filter(|reason| reason != "-").or_else(|| policy(object)),
    };
    let path = object.text("path").unwrap_or_default();
    let line = request.method.map(|method| format!("{method} {path}").into());
    let entry = request.entry(object.get("start_time").and_then(Value::time))?;
    Some(Entry { request: line, server: object.text("authority"), ..entry })
}

/// What the policy service of Istio up to 1.4 answered, which its format told beside the flags: `"UNAVAILABLE:no healthy upstream"`.
fn policy(object: Object<'_>) -> Option<Cow<'_, str>> {
    let status = object.text("istio_policy_status").filter(|status| status != "-")?;
    Some(status.trim_matches('"').to_owned().into())
}

/// Its own log: `[2026-11-20 23:36:34.402][1][warning][config] [source/common/config/grpc_stream.h:193] text`
/// (spdlog, `--log-format`); the message is `config: text`.
fn own(text: &str) -> Option<Entry<'_>> {
    // Istio's agent up to 1.6 put a word of its own before it: `[Envoy (Epoch 0)] `.
    let text = text.strip_prefix("[Envoy (Epoch ").and_then(|rest| Some(rest.split_once(")] ")?.1)).unwrap_or(text);
    let (time, rest) = TimeShape::Dashed.leading(text.strip_prefix('[')?)?;
    let (thread, rest) = rest.strip_prefix("][")?.split_once("][")?;
    if !thread.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (level, rest) = rest.split_once("][")?;
    let (component, rest) = rest.split_once("] ")?;
    let text = match rest.strip_prefix('[') {
        Some(place) => place.split_once("] ").map_or(rest, |(_, text)| text),
        None => rest,
    };
    Some(Entry {
        dialect: Dialect::Envoy,
        time: Some(time),
        level: Some(Level::parse(level)?),
        message: message_of(component, text).into(),
        ..Entry::default()
    })
}

/// The same of Istio's sidecar: `2026-11-20T23:36:34.402123Z<tab>warning<tab>envoy config<tab>text`.
fn istio_own<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (time, rest) = TimeShape::Rfc3339.leading(carried.text)?;
    let mut parts = rest.strip_prefix('\t')?.split('\t');
    let level = Level::parse(parts.next()?)?;
    let component = parts.next()?.strip_prefix("envoy ")?.split(' ').next()?;
    let text = parts.next()?;
    Some(Entry {
        dialect: Dialect::Envoy,
        time: Some(time),
        level: Some(level),
        message: message_of(component, text).into(),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests;
