//! Lines to entries: what a program wrote over several lines is one entry, counted once.
//!
//! Pure and incremental: a line either stands alone, opens an entry, or belongs to the one that is open ([`follows`] decides). An entry
//! is released when a line comes that does not belong to it, or when its source has fallen quiet; what is released is [`condense()`]d to
//! what can be kept verbatim, its first line and what tells the exception before its frames. Lines that belong to an entry are counted in
//! its length and told in its text (`... 12 lines`), not as entries. Nothing is held back that looks complete and came through the
//! readers of nginx's own lines: those cost a look at their last byte.
//!
//! To add a program: its beginning and what follows it in `follows.rs`.

mod condense;
mod follows;

pub(in crate::watch) use condense::condense;
use follows::Follows;
pub(in crate::watch) use follows::nginx_unfinished;

use super::skeleton;
use crate::model::{
    LogFormat,
    logline::{self, Carried},
};

/// Lines of one entry that are kept until it is released. Python cuts its own traces of endless recursions, Java at 1,024 frames.
const ENTRY_LINES: usize = 1200;
/// Bytes of them.
const ENTRY_BYTES: usize = 64 << 10;
/// Looks at the source without a new line until an entry is released that wants more: about 100 ms.
const QUIET_LOOKS: u8 = 2;

/// What a line that came is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::watch) enum Step {
    /// It belongs to the entry that is open.
    Joined,
    /// It has opened an entry.
    Opened,
    /// It is an entry by itself.
    Alone,
}

/// An entry that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::watch) struct Joined {
    /// Its lines, or what is left of them.
    pub(in crate::watch) text: Vec<u8>,
    /// Bytes of all of its lines.
    pub(in crate::watch) length: u64,
    /// It was there when we began.
    pub(in crate::watch) lookback: bool,
    /// When its first line was written, where that is known from elsewhere.
    pub(in crate::watch) second: Option<i64>,
}

/// Which lines may begin an entry of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    /// None: each line is complete.
    #[default]
    Single,
    /// Of nginx's error log: those that hand on what an application said.
    Nginx,
    /// Any.
    Any,
}

/// Puts the lines of an entry together.
#[derive(Debug, Default)]
pub(in crate::watch) struct Joiner {
    mode: Mode,
    /// The lines of the open entry, with line ends between them. Empty: none is open.
    text: Vec<u8>,
    /// Where its first line ends.
    head: usize,
    lines: usize,
    /// Lines that did not fit.
    left: u64,
    length: u64,
    lookback: bool,
    second: Option<i64>,
    /// What may follow; found when it is asked for.
    follows: Option<Follows>,
    quiet: u8,
}

impl Joiner {
    /// For lines of this format.
    pub(in crate::watch) fn new(format: &LogFormat) -> Self {
        let mode = match format {
            LogFormat::NginxError => Mode::Nginx,
            LogFormat::NginxAccess(_) | LogFormat::Kernel => Mode::Single,
            LogFormat::Plain => Mode::Any,
        };
        Self { mode, ..Self::default() }
    }

    /// For lines of any program.
    pub(in crate::watch) fn any() -> Self {
        Self { mode: Mode::Any, ..Self::default() }
    }

    /// Takes a line, and gives what it is, and the entry before it if that is complete by it.
    pub(in crate::watch) fn step(
        &mut self,
        line: &[u8],
        length: u64,
        lookback: bool,
        second: Option<i64>,
    ) -> (Option<Joined>, Step) {
        if self.passes(line) {
            return (None, Step::Alone);
        }
        if self.is_open() && lookback == self.lookback && self.joins(line, length) {
            return (None, Step::Joined);
        }
        let before = self.release();
        if self.stands_alone(line) {
            return (before, Step::Alone);
        }
        self.open(line, length, lookback, second);
        (before, Step::Opened)
    }

    /// Whether a line is an entry by itself, and none is open: nothing has to be done for it.
    #[inline]
    pub(in crate::watch) fn passes(&self, line: &[u8]) -> bool {
        self.text.is_empty() && self.stands_alone(line)
    }

    /// Opens an entry with this line; none is open.
    pub(in crate::watch) fn open(&mut self, line: &[u8], length: u64, lookback: bool, second: Option<i64>) {
        self.text.clear();
        self.text.extend_from_slice(line);
        (self.head, self.lines, self.left, self.quiet) = (line.len(), 1, 0, 0);
        (self.length, self.lookback, self.second, self.follows) = (length, lookback, second, None);
    }

    /// The open entry while it has one line, to be changed and opened again.
    pub(in crate::watch) fn single(&self) -> Option<&[u8]> {
        (self.lines == 1 && self.is_open()).then_some(&self.text)
    }

    /// Whether an entry is open.
    pub(in crate::watch) fn is_open(&self) -> bool {
        !self.text.is_empty()
    }

    /// Whether the open entry has more than one line, or cannot be all.
    pub(in crate::watch) fn goes_on(&mut self) -> bool {
        self.is_open() && (self.lines > 1 || self.wants())
    }

    /// Ends the open entry.
    pub(in crate::watch) fn release(&mut self) -> Option<Joined> {
        if self.text.is_empty() {
            return None;
        }
        let whole = std::mem::take(&mut self.text);
        let text = if self.lines > 1 { condense(&whole, self.left) } else { whole };
        Some(Joined { text, length: self.length, lookback: self.lookback, second: self.second })
    }

    /// The source was looked at. Gives the open entry when nothing has come for long enough.
    pub(in crate::watch) fn looked(&mut self) -> Option<Joined> {
        if self.text.is_empty() {
            return None;
        }
        self.quiet = self.quiet.saturating_add(1);
        // The look that brought its last line is the first.
        let wanted = if self.wants() { QUIET_LOOKS } else { 1 };
        if self.quiet > wanted { self.release() } else { None }
    }

    #[inline]
    fn stands_alone(&self, line: &[u8]) -> bool {
        match self.mode {
            Mode::Single => true,
            Mode::Nginx => !follows::nginx_unfinished(line),
            Mode::Any => skeleton::begins(line) && !follows::nginx_unfinished(line),
        }
    }

    fn wants(&mut self) -> bool {
        if self.text.is_empty() {
            return false;
        }
        let head = String::from_utf8_lossy(&self.text[..self.head]);
        let carried = logline::carried(&head);
        let first = if carrier(&carried).is_some() { carried.text } else { &head };
        self.follows.get_or_insert_with(|| Follows::of(first)).wants()
    }

    /// Whether a line belongs to the open entry, which then has it.
    pub(in crate::watch) fn joins(&mut self, line: &[u8], length: u64) -> bool {
        let head = &self.text[..self.head];
        // A line with a stamp of its own is a new one, where nobody stamps each line of an entry: what carries them does, and most
        // write RFC 3339.
        let stamped = |line: &[u8]| {
            matches!(line, [b'0'..=b'9', b'0'..=b'9', ..] | [b'[', b'0'..=b'9', b'0'..=b'9', ..]) && line.get(10) != Some(&b'T')
        };
        if stamped(line) && stamped(head) && !follows::each_line_stamped(head) {
            return false;
        }
        let (head, line) = (String::from_utf8_lossy(head), String::from_utf8_lossy(line));
        let (carried, own) = (logline::carried(&head), logline::carried(&line));
        let text = match (carrier(&carried), carrier(&own)) {
            (Some(one), Some(other)) if one == other => own.text,
            // What looks like the carrier of a line that goes on is part of it: the path of a frame.
            (None, _) => &line,
            (Some(_), _) => return false,
        };
        let first = if carrier(&carried).is_some() { carried.text } else { &head };
        let follows = self.follows.get_or_insert_with(|| Follows::of(first));
        let Some(kept) = follows.takes(first, text) else { return false };
        self.quiet = 0;
        self.length = self.length.saturating_add(length);
        if self.lines < ENTRY_LINES && self.text.len() + kept.len() < ENTRY_BYTES {
            self.lines += 1;
            let kept = kept.as_bytes().to_owned();
            self.text.push(b'\n');
            self.text.extend_from_slice(&kept);
        } else {
            self.left += 1;
        }
        true
    }
}

/// Who carried a line. `None`: nobody did, or somebody who writes no name and no time.
fn carrier<'a>(carried: &Carried<'a>) -> Option<(Option<&'a str>, Option<u32>)> {
    (carried.program.is_some() || carried.time.is_some()).then_some((carried.program, carried.pid))
}

#[cfg(test)]
mod tests;
