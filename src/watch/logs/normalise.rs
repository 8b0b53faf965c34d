//! The key of a line: what it says, without what differs from request to request, so that equal troubles count together.
//!
//! - nginx error log: a line of the same form, `[error] connect() failed (111: Connection refused) while connecting to
//!   upstream, server: shop.test, upstream: "http://127.0.0.1:8000"`. Left out are time, process, connection, client, request,
//!   host and referrer, and the path behind the upstream. In the message, error numbers with their text, addresses of sockets,
//!   signals and exit codes stay; other numbers become `#`, and texts of the client's choosing `<text>` or `<path>`.
//! - access log: `502 GET up=127.0.0.1:8000 ups=502 by=gateway`, the form of `model/logline/access_key.rs`. A line that is not
//!   of the format: `? not of the log format`.
//! - anything else: level and message as its reader gives them, with numbers as `#` but for those of the upstream, and the
//!   upstream behind them; a request is the form that its reader makes.
//!
//! A key is bounded, and so is the number of different keys that a client can make.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::stamps::Stamps;
use crate::model::{
    AccessFormat, LogFormat, NginxErrorLine,
    logline::{self, Dialect, Entry, LineTime, TimeShape},
};

mod collapse;
mod fast;

use collapse::nginx_message;
pub use collapse::numbers;

/// Bytes of a key at most.
pub const KEY_BYTES: usize = 512;
/// The key of lines that are not of the access log's format.
pub const UNFORMATTED: &str = "? not of the log format";
/// The time of a batch that was told none: any stamp is before it.
const NO_NOW: i64 = i64::MAX / 2;

/// Finds key and second of lines of one format.
#[derive(Debug)]
pub struct Normaliser {
    format: Format,
    stamps: Stamps,
    raw: fast::Raw,
}

#[derive(Debug)]
enum Format {
    NginxError,
    Access(AccessFormat),
    Kernel,
    Any,
}

impl Normaliser {
    /// For a format, with local times in `zone`.
    pub fn new(format: &LogFormat, zone: TimeZone) -> Self {
        let format = match format {
            LogFormat::NginxError => Format::NginxError,
            LogFormat::NginxAccess(text) => Format::Access(AccessFormat::compile(text)),
            LogFormat::Kernel => Format::Kernel,
            LogFormat::Plain => Format::Any,
        };
        let raw = fast::Raw::new(&format);
        Self { format, stamps: Stamps::new(zone, NO_NOW), raw }
    }

    /// What time it is, in seconds since the Unix epoch.
    pub fn at(&mut self, now: i64) {
        self.stamps.now = now;
    }

    /// Appends the key of a line, and gives its second where it has one.
    pub fn line(&mut self, line: &str, key: &mut String) -> Option<i64> {
        let start = key.len();
        let second = match &self.format {
            Format::NginxError => {
                if let Some(parsed) = NginxErrorLine::parse(line) {
                    nginx_error(&parsed, key);
                    self.stamps.placed(LineTime { text: parsed.time, shape: TimeShape::Slashed })
                } else {
                    numbers(line, key);
                    None
                }
            }
            Format::Access(format) => {
                if let Some(parsed) = format.parse(line) {
                    logline::access_form(&parsed, key);
                    parsed.time.and_then(|time| self.stamps.cached(time.text(), |_| time.second()))
                } else {
                    key.push_str(UNFORMATTED);
                    None
                }
            }
            Format::Kernel => {
                numbers(line, key);
                None
            }
            Format::Any => {
                let entry = logline::read(line);
                // Only of a line that is known as nginx's the parts are cut once more.
                let nginx = (entry.dialect == Dialect::NginxError).then(|| {
                    let text = logline::carried(line).text;
                    NginxErrorLine::parse(text).or_else(|| NginxErrorLine::unstamped(text))
                });
                match nginx.flatten() {
                    Some(parsed) => nginx_error(&parsed, key),
                    None => any(&entry, key),
                }
                entry.time.and_then(|time| self.stamps.placed(time))
            }
        };
        bound(key, start);
        second
    }
}

fn any(entry: &Entry<'_>, key: &mut String) {
    if entry.status.is_some() {
        key.push_str(&entry.message);
        return;
    }
    // nginx's message has its level already.
    if let Some(level) = entry.level.filter(|_| !entry.message.starts_with('[')) {
        let _ = write!(key, "[{}] ", level.word());
    }
    let upstream = entry.upstream.as_deref().unwrap_or_default();
    // Of an entry of several lines the first says what it is about; a trace below it differs from request to request.
    let mut rest = entry.message.split('\n').next().unwrap_or_default();
    // The upstream's address is what makes the group; other numbers differ from line to line.
    while let Some(at) = (!upstream.is_empty()).then(|| rest.find(upstream)).flatten() {
        numbers(&rest[..at], key);
        key.push_str(upstream);
        rest = &rest[at + upstream.len()..];
        if key.len() > KEY_BYTES {
            return;
        }
    }
    numbers(rest, key);
    if !upstream.is_empty() && !entry.message.contains(upstream) {
        let _ = write!(key, ", upstream: \"{upstream}\"");
    }
}

/// Cuts a key that begins at `start`.
fn bound(key: &mut String, start: usize) {
    if key.len() - start > KEY_BYTES {
        key.truncate(key.floor_char_boundary(start + KEY_BYTES));
    }
}

/// What decides the key of a line of nginx's error log.
pub(super) struct NginxParts<'a> {
    pub(super) level: &'a str,
    pub(super) message: &'a str,
    pub(super) of_request: bool,
    pub(super) server: Option<&'a str>,
    /// With scheme, without path.
    pub(super) upstream: Option<&'a str>,
}

fn nginx_error(line: &NginxErrorLine<'_>, key: &mut String) {
    let of_request = line.request.is_some();
    let (level, message, server, upstream) = (line.level, line.message, line.server, line.upstream_base());
    nginx_key(&NginxParts { level, message, of_request, server, upstream }, key);
}

fn nginx_key(line: &NginxParts<'_>, key: &mut String) {
    key.push('[');
    key.push_str(line.level);
    key.push_str("] ");
    nginx_message(line.message, line.of_request, key);
    if let Some(server) = line.server {
        key.push_str(", server: ");
        key.push_str(server);
    }
    if let Some(upstream) = line.upstream {
        key.push_str(", upstream: \"");
        key.push_str(upstream);
        key.push('"');
    }
}

#[cfg(test)]
mod tests;
