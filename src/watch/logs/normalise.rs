//! The key of a line: what it says, without what differs from request to request, so that equal troubles count together.
//!
//! - nginx error log: a line of the same form, `[error] connect() failed (111: Connection refused) while connecting to
//!   upstream, server: shop.test, upstream: "http://127.0.0.1:8000"`. Left out are time, process, connection, client, request,
//!   host and referrer, and the path behind the upstream. In the message, error numbers with their text, addresses of sockets,
//!   signals and exit codes stay; other numbers become `#`, and texts of the client's choosing `<text>` or `<path>`.
//! - access log: `<status> <method>[ up=<address>{,<address>}][ ups=<status>{,<status>}]`, `-` for what is not known:
//!   `502 GET up=127.0.0.1:8000 ups=502`. A line that is not of the format: `? not of the log format`.
//! - anything else: the line with numbers as `#`.
//!
//! A key is bounded, and so is the number of different keys that a client can make.

use std::fmt::Write as _;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::model::{AccessFormat, AccessLine, LogFormat, NginxErrorLine};

mod collapse;
mod fast;

use collapse::nginx_message;
pub use collapse::numbers;

/// Bytes of a key at most.
pub const KEY_BYTES: usize = 512;
/// The key of lines that are not of the access log's format.
pub const UNFORMATTED: &str = "? not of the log format";
/// How far ahead of our clock a log may be, in seconds, before a time that occurs twice is taken for the first one.
const AHEAD: i64 = 5;

/// Finds key and second of lines of one format.
#[derive(Debug)]
pub struct Normaliser {
    format: Format,
    zone: TimeZone,
    now: i64,
    /// The last time stamp, as text and as seconds: most lines share it with the line before.
    last: (String, Option<i64>),
    raw: fast::Raw,
}

#[derive(Debug)]
enum Format {
    NginxError,
    Access(AccessFormat),
    Plain,
}

impl Normaliser {
    /// For a format, with local times in `zone`.
    pub fn new(format: &LogFormat, zone: TimeZone) -> Self {
        let format = match format {
            LogFormat::NginxError => Format::NginxError,
            LogFormat::NginxAccess(text) => Format::Access(AccessFormat::compile(text)),
            LogFormat::Kernel | LogFormat::Plain => Format::Plain,
        };
        let raw = fast::Raw::new(&format);
        Self { format, zone, now: i64::MAX - AHEAD, last: (String::new(), None), raw }
    }

    /// What time it is, in seconds since the Unix epoch.
    pub fn at(&mut self, now: i64) {
        self.now = now;
    }

    /// Appends the key of a line, and gives its second where it has one.
    pub fn line(&mut self, line: &str, key: &mut String) -> Option<i64> {
        let start = key.len();
        let second = match &self.format {
            Format::NginxError => {
                if let Some(parsed) = NginxErrorLine::parse(line) {
                    nginx_error(&parsed, key);
                    self.local(parsed.time)
                } else {
                    numbers(line, key);
                    None
                }
            }
            Format::Access(format) => {
                if let Some(parsed) = format.parse(line) {
                    access(&parsed, key);
                    parsed.time.and_then(|time| self.cached(time.text(), |_| time.second()))
                } else {
                    key.push_str(UNFORMATTED);
                    None
                }
            }
            Format::Plain => {
                numbers(line, key);
                None
            }
        };
        if key.len() - start > KEY_BYTES {
            key.truncate(key.floor_char_boundary(start + KEY_BYTES));
        }
        second
    }

    fn cached(&mut self, text: &str, find: impl FnOnce(&mut Self) -> Option<i64>) -> Option<i64> {
        if self.last.0 != text {
            let second = find(self);
            self.last.0.clear();
            self.last.0.push_str(text);
            self.last.1 = second;
        }
        self.last.1
    }

    /// `2026/11/20 02:17:41` in the zone. In the hour that occurs twice when clocks are set back, the later one is meant unless
    /// it is in the future.
    fn local(&mut self, text: &str) -> Option<i64> {
        self.cached(text, |this| {
            let at = civil::DateTime::strptime("%Y/%m/%d %H:%M:%S", text).ok()?;
            let possible = this.zone.to_ambiguous_timestamp(at);
            let later = possible.later().ok().map(Timestamp::as_second);
            if later.is_some_and(|later| later <= this.now.saturating_add(AHEAD)) {
                return later;
            }
            possible.earlier().ok().map(Timestamp::as_second)
        })
    }
}

fn nginx_error(line: &NginxErrorLine<'_>, key: &mut String) {
    // Writing to a String cannot fail, here and below.
    let _ = write!(key, "[{}] ", line.level);
    nginx_message(line.message, line.request.is_some(), key);
    if let Some(server) = line.server {
        let _ = write!(key, ", server: {server}");
    }
    if let Some(upstream) = line.upstream_base() {
        let _ = write!(key, ", upstream: \"{upstream}\"");
    }
}

fn access(line: &AccessLine<'_>, key: &mut String) {
    match line.status {
        Some(status) => {
            let _ = write!(key, "{status:03}");
        }
        None => key.push('-'),
    }
    let _ = write!(key, " {}", line.method.filter(|method| known(method)).unwrap_or("-"));
    for (at, address) in line.upstream_addrs.iter().enumerate() {
        let _ = write!(key, "{}{address}", if at == 0 { " up=" } else { "," });
    }
    for (at, status) in line.upstream_statuses.iter().enumerate() {
        key.push_str(if at == 0 { " ups=" } else { "," });
        match status {
            Some(status) => {
                let _ = write!(key, "{status:03}");
            }
            None => key.push('-'),
        }
    }
}

/// The methods of RFC 9110, PATCH and WebDAV: an invented one must not make a group of its own.
fn known(method: &str) -> bool {
    const METHODS: [&str; 16] = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "CONNECT",
        "TRACE",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
    ];
    METHODS.contains(&method)
}

#[cfg(test)]
mod tests;
