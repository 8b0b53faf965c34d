//! What one line says of the outage: when, and whether it tells of a failure.

use jiff::{Timestamp, tz::TimeZone};

use super::super::stamps::Stamps;
use crate::model::{
    AccessFormat, LogFormat, NginxErrorLine,
    logline::{self, Level, LineTime, TimeShape},
};

/// Bytes of a line that are read: what decides stands at its beginning, and nginx cuts its own at 2,048.
const LINE_BYTES: usize = 4096;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A request, or another piece of work, failed.
    Sick,
    /// A request was served.
    Well,
    /// Neither: a notice, a client's mistake, a line that goes on.
    Neither,
}

/// A line, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When, in seconds since the Unix epoch. `None`: it has no stamp.
    pub second: Option<i64>,
    /// What it says.
    pub class: Class,
}

#[derive(Debug)]
enum Form {
    NginxError,
    Access(AccessFormat),
    Any,
}

/// Judges the lines of one log.
#[derive(Debug)]
pub struct Judge {
    form: Form,
    stamps: Stamps,
}

impl Judge {
    /// For lines of this format, whose times without zone are in `zone` and not after `now`. `None`: its lines do not tell
    /// of requests.
    pub fn new(format: &LogFormat, zone: TimeZone, now: i64) -> Option<Self> {
        let form = match format {
            LogFormat::NginxError => Form::NginxError,
            LogFormat::NginxAccess(text) => Form::Access(AccessFormat::compile(text)),
            LogFormat::Plain => Form::Any,
            LogFormat::Kernel => return None,
        };
        Some(Self { form, stamps: Stamps::new(zone, now) })
    }

    /// Judges a line.
    pub fn mark(&mut self, line: &[u8]) -> Mark {
        let text = String::from_utf8_lossy(line.get(..LINE_BYTES.min(line.len())).unwrap_or_default());
        let nothing = Mark { second: None, class: Class::Neither };
        match &self.form {
            Form::NginxError => {
                let Some(parsed) = NginxErrorLine::parse(&text) else { return nothing };
                let class = if upstream_failed(&parsed) { Class::Sick } else { Class::Neither };
                Mark { second: self.stamps.placed(LineTime { text: parsed.time, shape: TimeShape::Slashed }), class }
            }
            Form::Access(format) => {
                let Some(parsed) = format.parse(&text) else { return nothing };
                let time = parsed.time;
                let class = parsed.status.map_or(Class::Neither, of_status);
                Mark { second: time.and_then(|time| self.stamps.cached(time.text(), |_| time.second())), class }
            }
            Form::Any => {
                let entry = logline::read(&text);
                let class = match (entry.status, entry.level) {
                    (Some(status), _) => of_status(status),
                    (None, Some(level)) if level >= Level::Error => Class::Sick,
                    (None, _) => Class::Neither,
                };
                Mark { second: entry.time.and_then(|time| self.stamps.placed(time)), class }
            }
        }
    }

    /// Where the local time of this second occurs a second time because clocks are set back: the first time. `None`: it occurs
    /// once, or the stamps of this log tell their zone.
    pub fn twice(&self, second: i64) -> Option<i64> {
        match self.form {
            Form::NginxError | Form::Any => {}
            Form::Access(_) => return None,
        }
        let local = self.stamps.zone.to_datetime(Timestamp::from_second(second).ok()?);
        let first = self.stamps.zone.to_ambiguous_timestamp(local).earlier().ok()?.as_second();
        (first < second).then_some(first)
    }
}

/// A client's mistake (4xx) is a request that the gateway served.
fn of_status(status: u16) -> Class {
    if status >= 500 { Class::Sick } else { Class::Well }
}

/// Missing files, refused clients and broken requests are errors too, and there are some of them in every healthy log; so is
/// what an application writes through FastCGI.
fn upstream_failed(line: &NginxErrorLine<'_>) -> bool {
    let bad = matches!(line.level, "error" | "crit" | "alert" | "emerg");
    let tells = |word: &str| memchr::memmem::find(line.message.as_bytes(), word.as_bytes()).is_some();
    bad && tells("upstream") && !tells("FastCGI sent in stderr")
}
