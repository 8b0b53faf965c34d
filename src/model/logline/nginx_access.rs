//! nginx's access log by its `log_format`: the format's text is compiled once into literals and variables, a line is cut at
//! the literals.
//!
//! By nginx's default escape a `"` inside a value is `\x22` and a backslash `\x5C`, by `escape=json` they are `\"` and
//! `\\` (ngx_http_log_module); so the first quote that no backslash precedes ends a quoted value in both.

use std::iter;

use jiff::{Timestamp, civil, tz::Offset};

use super::request_line;

mod cut;

pub use cut::{AccessCut, AccessCutter};

/// The predefined format `combined` (nginx documentation, ngx_http_log_module).
pub const COMBINED: &str =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";
/// Upstream attempts of one request that are told, at most: `proxy_next_upstream_tries` is rarely above 3.
pub const ATTEMPTS: usize = 8;
/// Parts of a format that are kept, at most: real ones have some 30.
const PARTS: usize = 256;

/// The variables that are of use here; all others are cut out and passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    TimeLocal,
    TimeIso,
    Msec,
    Status,
    Request,
    Method,
    Uri,
    Host,
    RemoteAddr,
    RequestTime,
    UpstreamAddr,
    UpstreamStatus,
    UpstreamConnectTime,
    UpstreamHeaderTime,
    UpstreamResponseTime,
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "time_local" => Self::TimeLocal,
            "time_iso8601" => Self::TimeIso,
            "msec" => Self::Msec,
            "status" => Self::Status,
            "request" => Self::Request,
            "request_method" => Self::Method,
            "request_uri" | "uri" | "document_uri" => Self::Uri,
            "host" | "http_host" | "server_name" => Self::Host,
            "remote_addr" => Self::RemoteAddr,
            "request_time" => Self::RequestTime,
            "upstream_addr" => Self::UpstreamAddr,
            "upstream_status" => Self::UpstreamStatus,
            "upstream_connect_time" => Self::UpstreamConnectTime,
            "upstream_header_time" => Self::UpstreamHeaderTime,
            "upstream_response_time" => Self::UpstreamResponseTime,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

/// A compiled `log_format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessFormat {
    parts: Vec<Part>,
}

/// A time stamp as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessTime<'a> {
    /// `$time_local`: `20/Nov/2026:02:17:41 +0000`.
    Local(&'a str),
    /// `$time_iso8601`: `2026-11-20T02:17:41+00:00`.
    Iso(&'a str),
    /// `$msec`: `1795140000.123`.
    Msec(&'a str),
}

impl<'a> AccessTime<'a> {
    /// The text, without fractions of a second: equal for lines of the same second.
    pub fn text(self) -> &'a str {
        match self {
            Self::Local(text) | Self::Iso(text) => text,
            Self::Msec(text) => text.split('.').next().unwrap_or(text),
        }
    }

    /// Seconds since the Unix epoch. `None`: it is no time.
    pub fn second(self) -> Option<i64> {
        match self {
            Self::Local(text) => local(text),
            Self::Iso(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_second),
            Self::Msec(_) => self.text().parse().ok().filter(|second| Timestamp::from_second(*second).is_ok()),
        }
    }
}

/// `20/Nov/2026:02:17:41 +0000`; the month is English in every locale (`ngx_time.c`).
fn local(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |range: std::ops::Range<usize>| -> Option<i8> {
        text.get(range).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    if text.len() != 26 {
        return None;
    }
    let year = text.get(7..11)?.parse::<i16>().ok()?;
    let month = MONTHS.iter().position(|month| text.get(3..6) == Some(*month)).and_then(|at| i8::try_from(at + 1).ok())?;
    let at = civil::DateTime::new(year, month, number(0..2)?, number(12..14)?, number(15..17)?, number(18..20)?, 0).ok()?;
    let sign = match text.get(21..22)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let offset = Offset::from_seconds(sign * (i32::from(number(22..24)?) * 3600 + i32::from(number(24..26)?) * 60)).ok()?;
    offset.to_timestamp(at).ok().map(Timestamp::as_second)
}

/// A line of an access log. What the format does not have, or a line has as `-`, is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccessLine<'a> {
    /// When the request was finished.
    pub time: Option<AccessTime<'a>>,
    /// Status that the client got: nginx pads to three digits; 499 where the client hung up.
    pub status: Option<u16>,
    /// Method.
    pub method: Option<&'a str>,
    /// Target with query, as the client sent it.
    pub target: Option<&'a str>,
    /// Host name.
    pub host: Option<&'a str>,
    /// Address of the client.
    pub client: Option<&'a str>,
    /// Seconds from the first byte of the request to the last of the answer.
    pub request_time: Option<f64>,
    /// Address of each attempt, in order, at most [`ATTEMPTS`]; the name of the pool where none was alive.
    pub upstream_addrs: Vec<&'a str>,
    /// Status of each attempt; `None` where it gave none. nginx writes its own 502 or 504 here for an attempt that failed.
    pub upstream_statuses: Vec<Option<u16>>,
    /// Seconds of each attempt until the connection stood; `None`: it never did.
    pub upstream_connect_times: Vec<Option<f64>>,
    /// Seconds of each attempt until the response header was there; `None`: it never was. Empty: the format does not tell.
    pub upstream_header_times: Vec<Option<f64>>,
    /// Seconds of each attempt in all.
    pub upstream_response_times: Vec<Option<f64>>,
}

impl<'a> AccessLine<'a> {
    /// The path without the query.
    pub fn path(&self) -> Option<&'a str> {
        self.target.map(|target| target.split(['?', '#']).next().unwrap_or(target))
    }
}

impl AccessFormat {
    /// Compiles a `log_format`: its text as nginx joins it, without name; `escape=...` before it is passed over. An empty text
    /// is `combined`.
    pub fn compile(text: &str) -> Self {
        let mut rest = text.trim_start();
        if let Some(after) = rest.strip_prefix("escape=") {
            rest = after.split_once(char::is_whitespace).map_or("", |(_, after)| after);
        }
        if rest.is_empty() || rest == "combined" {
            rest = COMBINED;
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        while let Some(at) = rest.find('$') {
            literal.push_str(rest.get(..at).unwrap_or_default());
            rest = rest.get(at + 1..).unwrap_or_default();
            let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some((name, after)) => (name, after),
                None => rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
            };
            if name.is_empty() {
                literal.push('$');
                continue;
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Field(Field::of(name)));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        parts.truncate(PARTS);
        Self { parts }
    }

    /// Reads a line. `None`: it is not of this format.
    pub fn parse<'a>(&self, line: &'a str) -> Option<AccessLine<'a>> {
        let mut found = AccessLine::default();
        let mut rest = line;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Part::Field(field) => {
                    let end = match parts.peek() {
                        None => rest.len(),
                        Some(Part::Literal(literal)) => find_end(rest, literal)?,
                        // Two variables in a row (`$host$request_uri`) part where a path begins; else the first has it all.
                        Some(Part::Field(next)) => {
                            let all = match parts.clone().nth(1) {
                                Some(Part::Literal(literal)) => find_end(rest, literal)?,
                                Some(Part::Field(_)) | None => rest.len(),
                            };
                            let value = rest.get(..all)?;
                            if *next == Field::Uri { value.find('/').unwrap_or(all) } else { all }
                        }
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    found.set(*field, value);
                    rest = after;
                }
            }
        }
        Some(found)
    }
}

/// Where a value ends that this literal follows. A literal that begins with a quote is not found behind a backslash.
pub(super) fn find_end(text: &str, literal: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(literal)?;
        let slashes = text.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if !literal.starts_with('"') || slashes % 2 == 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

/// A time in seconds.
fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
}

/// The attempts in a multi-valued variable: `, ` parts servers, ` : ` parts the groups of an internal redirect
/// (documentation of `$upstream_addr`). Only a list of addresses can hold a `:` of its own, and never with blanks around.
fn attempts(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    iter::from_fn(move || {
        let text = rest?;
        let comma = text.find(", ").map(|at| (at, 2));
        let colon = text.find(" : ").map(|at| (at, 3));
        let first = match (comma, colon) {
            (Some(a), Some(b)) => Some(if a.0 < b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
        let (part, after) = match first {
            Some((at, width)) => (text.get(..at)?, text.get(at + width..)),
            None => (text, None),
        };
        rest = after;
        Some(part.trim())
    })
    .take(ATTEMPTS)
}

impl<'a> AccessLine<'a> {
    fn set(&mut self, field: Field, value: &'a str) {
        let status = |part: &str| part.parse::<u16>().ok().filter(|status| part.len() == 3 && *status < 1000);
        let present = || Some(value).filter(|value| !value.is_empty() && *value != "-");
        match field {
            // The stamp with a zone and without fractions wins over none; the first of several is kept.
            Field::TimeLocal => self.time = self.time.or(Some(AccessTime::Local(value))),
            Field::TimeIso => self.time = self.time.or(Some(AccessTime::Iso(value))),
            Field::Msec => self.time = self.time.or(Some(AccessTime::Msec(value))),
            Field::Status => self.status = status(value),
            Field::Request => {
                if let Some((method, target)) = request_line(value) {
                    self.method = Some(method);
                    self.target = Some(target);
                }
            }
            Field::Method => self.method = self.method.or_else(present),
            Field::Uri => self.target = self.target.or_else(present),
            Field::Host => self.host = self.host.or_else(|| present().filter(|host| *host != "_")),
            Field::RemoteAddr => self.client = present(),
            Field::RequestTime => self.request_time = seconds(value),
            Field::UpstreamAddr => self.upstream_addrs = present().into_iter().flat_map(attempts).collect(),
            Field::UpstreamStatus => self.upstream_statuses = present().into_iter().flat_map(attempts).map(status).collect(),
            Field::UpstreamConnectTime => {
                self.upstream_connect_times = present().into_iter().flat_map(attempts).map(seconds).collect();
            }
            Field::UpstreamHeaderTime => {
                // Alone, `-` stands for one attempt without an answer, which is what tells who made a 502.
                self.upstream_header_times = attempts(value).map(seconds).collect();
            }
            Field::UpstreamResponseTime => {
                self.upstream_response_times = present().into_iter().flat_map(attempts).map(seconds).collect();
            }
            Field::Other => {}
        }
    }
}

#[cfg(test)]
mod tests;
