//! What is found of a line without decoding it: its skeleton and its second.

use super::{Format, Normaliser, bound, nginx_key};
use crate::{
    model::{AccessCutter, logline::TimeShape},
    watch::logs::skeleton::{NginxCutter, Skeleton, common},
};

/// How a format is cut in raw bytes, and the time stamp of the line before.
#[derive(Debug)]
pub(super) struct Raw {
    cutter: Cutter,
    time: Vec<u8>,
    second: Option<i64>,
}

#[derive(Debug)]
enum Cutter {
    /// Lines of nginx's error log, and others.
    Any(NginxCutter),
    Nginx(NginxCutter),
    Access(AccessCutter),
    /// Each line is read whole.
    None,
}

impl Raw {
    pub(super) fn new(format: &Format) -> Self {
        let cutter = match format {
            Format::NginxError => Cutter::Nginx(NginxCutter::new()),
            // What is cut is a line of its own wherever it stands: no carrier begins like it.
            Format::Any => Cutter::Any(NginxCutter::new()),
            Format::Access(format) => format.cutter().map_or(Cutter::None, Cutter::Access),
            Format::Kernel => Cutter::None,
        };
        Self { cutter, time: Vec::new(), second: None }
    }
}

impl Normaliser {
    /// What decides the key of a line. `None`: only [`Self::line`] can tell.
    pub(in crate::watch::logs) fn skeleton<'a>(&self, line: &'a [u8]) -> Option<Skeleton<'a>> {
        match &self.raw.cutter {
            Cutter::Nginx(cutter) => cutter.cut(line),
            Cutter::Any(cutter) => cutter.cut(line).or_else(|| common::cut(line).map(|(_, skeleton)| skeleton)),
            Cutter::Access(cutter) => cutter.cut(line).map(Skeleton::from),
            Cutter::None => None,
        }
    }

    /// Appends the key of a skeleton. `false`: only [`Self::line`] can tell.
    pub(in crate::watch::logs) fn key(&self, skeleton: &Skeleton<'_>, key: &mut String) -> bool {
        match &self.raw.cutter {
            Cutter::Nginx(_) | Cutter::Any(_) => {
                let Some(line) = skeleton.nginx() else { return false };
                nginx_key(&line, key);
                bound(key, 0);
                true
            }
            Cutter::Access(_) | Cutter::None => false,
        }
    }

    /// The second of a skeleton's time stamp, where it has one. `None`: only [`Self::line`] can tell.
    #[expect(clippy::option_option, reason = "no stamp, and not known without reading the line, are two things")]
    pub(in crate::watch::logs) fn second(&mut self, time: &[u8]) -> Option<Option<i64>> {
        if self.raw.time != time {
            let second = if let (Some(ahead), Some(known)) = (same_minute(&self.raw.time, time), self.raw.second) {
                Some(known + ahead)
            } else {
                let text = str::from_utf8(time).ok()?;
                match &self.raw.cutter {
                    Cutter::Nginx(_) | Cutter::Any(_) => {
                        let shape = if text.as_bytes().get(4) == Some(&b'/') { TimeShape::Slashed } else { TimeShape::Clf };
                        let (time, _) = shape.leading(text)?;
                        time.second(&self.stamps.zone, self.stamps.now)
                    }
                    Cutter::Access(cutter) => cutter.time(text).and_then(|time| self.stamps.cached(time.text(), |_| time.second())),
                    Cutter::None => return None,
                }
            };
            self.raw.time.clear();
            self.raw.time.extend_from_slice(time);
            self.raw.second = second;
        }
        Some(self.raw.second)
    }
}

/// How many seconds a stamp is ahead of another of the same minute: `2026/11/20 02:17:` and `20/Nov/2026:02:17:` are followed by
/// the seconds, and a zone is the same.
fn same_minute(known: &[u8], time: &[u8]) -> Option<i64> {
    /// Bytes before the seconds, and in all.
    const SHAPES: [(usize, usize); 2] = [(17, 19), (18, 26)];
    let (at, _) = SHAPES.into_iter().find(|(_, length)| *length == time.len() && *length == known.len())?;
    let same = known[..at] == time[..at] && known[at + 2..] == time[at + 2..];
    let seconds = |text: &[u8]| match text.get(at..at + 2) {
        Some([tens @ b'0'..=b'5', ones @ b'0'..=b'9']) => Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0')),
        _ => None,
    };
    if same { Some(seconds(time)? - seconds(known)?) } else { None }
}
