//! The gateway's logs, in nginx's formats.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    model::{Gateway, LogFormat, SourceKind},
    sys::{self, Clock, Root},
};

/// nginx's log levels, as far as they are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// `emerg`
    Emerg,
    /// `alert`
    Alert,
    /// `crit`
    Crit,
    /// `error`
    Error,
    /// `notice`
    Notice,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Error => "error",
            Self::Notice => "notice",
        }
    }
}

/// Where the gateway logs to. Files are opened for each line: there are a few a second, and a rotated log is followed.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    errors: Vec<PathBuf>,
    access: Vec<(PathBuf, String)>,
    clock: Clock,
    zone: TimeZone,
    pid: u32,
}

impl Logs {
    /// Those that a configuration names.
    pub(super) fn of(gateway: &Gateway) -> Self {
        let of = |kind| gateway.logs.iter().filter(move |log| log.kind == kind);
        let format = |format: &LogFormat| match format {
            LogFormat::NginxAccess(format) => Some(format.clone()),
            LogFormat::NginxError | LogFormat::Kernel | LogFormat::Plain => None,
        };
        Self {
            errors: of(SourceKind::Error).map(|log| log.path.clone()).collect(),
            access: of(SourceKind::Access).filter_map(|log| Some((log.path.clone(), format(&log.format)?))).collect(),
            clock: Clock::system(),
            zone: sys::zone(&Root::host()),
            pid: std::process::id(),
        }
    }

    /// One line of the error log. `connection`: its number.
    pub(super) fn error(&self, level: Level, connection: Option<u64>, text: &str) {
        let (pid, level) = (self.pid, level.word());
        let connection = connection.map_or_else(String::new, |number| format!("*{number} "));
        let line = format!("{} [{level}] {pid}#{pid}: {connection}{text}\n", self.now("%Y/%m/%d %H:%M:%S"));
        self.errors.iter().for_each(|path| append(path, &line));
    }

    /// One line of the access log; `value` gives the variables of its format.
    pub(super) fn access(&self, value: impl Fn(&str) -> Option<String>) {
        let known = |name: &str| match name {
            "time_local" => Some(self.now("%d/%b/%Y:%H:%M:%S %z")),
            "time_iso8601" => Some(self.now("%Y-%m-%dT%H:%M:%S%:z")),
            "pid" => Some(self.pid.to_string()),
            other => value(other),
        };
        for (path, format) in &self.access {
            append(path, &(expand(format, known) + "\n"));
        }
    }

    fn now(&self, format: &str) -> String {
        let at = Timestamp::from_millisecond(self.clock.now().wall_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

fn append(path: &PathBuf, line: &str) {
    // A full disk must not end the gateway: nginx goes on without the line too.
    let _ = OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| file.write_all(line.as_bytes()));
}

/// Puts values in the place of `$variables`; what has none is `-`, and bytes that would break the line are escaped, as
/// ngx_http_log_module does it.
fn expand(format: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (braced, after) = after.strip_prefix('{').map_or((false, after), |inner| (true, inner));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let found = value(&after[..end]).filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
        out.push_str(&escaped(&found));
        rest = &after[end..];
        if braced {
            rest = rest.strip_prefix('}').unwrap_or(rest);
        }
    }
    out.push_str(rest);
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\' {
            out.push_str(&format!("\\x{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_request_stays_on_its_line() {
        let value = |name: &str| match name {
            "request" => Some("GET /\"\n\u{1b}[2J HTTP/1.1".to_owned()),
            "status" => Some("200".to_owned()),
            _ => None,
        };
        let line = expand("$remote_user \"$request\" ${status}x $", value);
        assert_eq!(line, "- \"GET /\\x22\\x0A\\x1B[2J HTTP/1.1\" 200x -");
    }
}
