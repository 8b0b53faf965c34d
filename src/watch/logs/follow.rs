//! One log file, followed by device, inode and offset through what rotation and people do to it.
//!
//! - Renamed, and a new file under the name: the old one is read to its end, and watched a little longer, because a gateway
//!   writes to it until it is told to reopen its logs; the new one is read from its beginning.
//! - Truncated in place (copytruncate), also where it has grown beyond the old place before we look: the bytes before our
//!   place are no longer those that were read.
//! - Deleted: it is read as long as it is open, and its successor from the beginning.
//! - Not there yet, or not readable: tried again with each look.
//!
//! Nothing here waits: a look reads at most one piece, and says whether there is more.

use std::{io, path::PathBuf};

use super::{
    lines::{Lines, Sink},
    remedy,
};
use crate::sys::{FileInfo, OpenFile, Refusal, Sys, stat_aside};

/// How much of the end of a file is read at first. A line of nginx's is some 300 bytes: about 3,500 lines.
pub(super) const LOOKBACK_BYTES: u64 = 1 << 20;
/// What is read at once.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// How far behind we may fall before the middle is left out: what was written a minute ago matters less than what is written now.
pub(super) const BEHIND_BYTES: u64 = 8 << 20;
/// How much of the middle is read to count its lines; of what is more, the number is estimated.
const COUNTED_BYTES: u64 = 64 << 20;
/// Bytes before our place that must still be there.
const CONTEXT_BYTES: usize = 64;
/// How long a file that was renamed away is watched after its last line, in milliseconds: logrotate's postrotate and a
/// gateway's reopening are done within seconds. It also bounds how long a deleted file's space is held.
const LINGER_MS: u64 = 10_000;
/// Files renamed away that are watched at once, at most.
const OLD_FILES: usize = 4;
/// Mean length of a line until there is a better figure.
const LINE_GUESS: u64 = 200;

/// What stands in the way of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing: it is open.
    Open,
    /// It does not exist.
    Missing,
    /// It may not be read.
    Denied,
    /// It is a name of whatever standard output or error the gateway has: not ours to open.
    Stream,
    /// It can't be read for another reason: it is a directory, the disk fails.
    Other(String),
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looked {
    /// How the file is.
    pub(super) sight: Sight,
    /// Something was read.
    pub(super) progress: bool,
    /// There is more to be read at once.
    pub(super) more: bool,
}

/// Follows one path.
#[derive(Debug)]
pub(super) struct Follower {
    sys: Sys,
    path: PathBuf,
    current: Option<Reading>,
    /// Files that had the name before, oldest first, with the time of their last line on the clock of this run.
    old: Vec<(Reading, u64)>,
    /// Whoever gets the name next is new, and read from its beginning.
    expect_new: bool,
}

impl Follower {
    pub(super) fn new(sys: Sys, path: PathBuf) -> Self {
        Self { sys, path, current: None, old: Vec::new(), expect_new: false }
    }

    /// Reads what is new, at most one piece of each file.
    pub(super) async fn look(&mut self, sink: &mut impl Sink) -> Looked {
        let now = self.sys.clock.now().run_ms;
        let mut progress = false;
        let mut more = false;
        let mut at = 0;
        while let Some((reading, last)) = self.old.get_mut(at) {
            // A fault of a file that is on its way out is no news: its lines up to here were told.
            let (read, unfinished) = reading.read(sink).await.unwrap_or((false, false));
            progress |= read;
            more |= unfinished;
            if read {
                *last = now;
            }
            if !unfinished && now.saturating_sub(*last) >= LINGER_MS {
                let (mut reading, _) = self.old.remove(at);
                reading.lines.finish(false, sink);
            } else {
                at += 1;
            }
        }
        let named = stat_aside(&self.sys.root, &self.path).await;
        if let Some(current) = &mut self.current {
            match current.read(sink).await {
                Err(error) => {
                    self.current = None;
                    return Looked { sight: Sight::Other(format!("reading it failed: {error}")), progress, more };
                }
                Ok((read, unfinished)) => {
                    progress |= read;
                    let replaced = named.as_ref().is_ok_and(|info| info.id != current.id);
                    if !replaced || unfinished {
                        return Looked { sight: Sight::Open, progress, more: more || unfinished };
                    }
                }
            }
            // Read to its end, and another file has its name.
            if let Some(reading) = self.current.take() {
                self.old.push((reading, now));
                if self.old.len() > OLD_FILES {
                    let (mut reading, _) = self.old.remove(0);
                    reading.lines.finish(false, sink);
                }
            }
            self.expect_new = true;
        }
        let sight = match named {
            Err(error) if error.not_found() => {
                self.expect_new = true;
                Sight::Missing
            }
            Err(error) if error.denied() => Sight::Denied,
            Err(error) => Sight::Other(error.source.to_string()),
            Ok(_) => match self.open().await {
                Ok(reading) => match self.current.insert(reading).read(sink).await {
                    Ok((read, unfinished)) => {
                        self.expect_new = false;
                        return Looked { sight: Sight::Open, progress: progress || read, more: more || unfinished };
                    }
                    Err(error) => {
                        self.current = None;
                        Sight::Other(format!("reading it failed: {error}"))
                    }
                },
                Err(sight) => sight,
            },
        };
        Looked { sight, progress, more }
    }

    async fn open(&self) -> Result<Reading, Sight> {
        if remedy::is_stream(&self.sys.root, &self.path) {
            return Err(Sight::Stream);
        }
        let file = self.sys.rights.open(&self.path).await.map_err(|refusal| match refusal {
            // It was there a moment ago: the next look will tell.
            Refusal::File(error) if error.not_found() => Sight::Missing,
            Refusal::File(error) if error.denied() => Sight::Denied,
            Refusal::File(error) => Sight::Other(error.source.to_string()),
            Refusal::Os { .. } | Refusal::Slow(_) | Refusal::Confused(_) => Sight::Other(refusal.to_string()),
        })?;
        let file = OpenFile::new(file);
        let info = file.info().await.map_err(|error| Sight::Other(error.to_string()))?;
        Ok(Reading::new(file, &info, self.expect_new))
    }

    /// The last lines of what is being read may lack an end; nobody will write it any more.
    #[cfg(test)]
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        for (reading, _) in &mut self.old {
            reading.lines.finish(false, sink);
        }
        if let Some(current) = &mut self.current {
            current.lines.finish(false, sink);
        }
    }
}

/// An open file and how far it was read.
#[derive(Debug)]
struct Reading {
    file: OpenFile,
    id: (u64, u64),
    offset: u64,
    /// The last bytes before `offset`.
    context: Vec<u8>,
    /// Size and modification when its end was last reached.
    quiet: Option<(u64, i64, u32)>,
    /// Lines that end up to here were there when we began.
    lookback_end: u64,
    lines: Lines,
    lines_seen: u64,
    bytes_seen: u64,
}

/// Counts what it hands on.
struct Counting<'a, S> {
    sink: &'a mut S,
    lines: u64,
}

impl<S: Sink> Sink for Counting<'_, S> {
    fn line(&mut self, line: &[u8], length: u64, lookback: bool) {
        self.lines += 1;
        self.sink.line(line, length, lookback);
    }
    fn dropped(&mut self, lines: u64) {
        self.sink.dropped(lines);
    }
}

impl Reading {
    fn new(file: OpenFile, info: &FileInfo, from_start: bool) -> Self {
        let back = if from_start { 0 } else { info.size };
        // One byte more: when it is a line end, the line behind it is whole.
        let offset = if back > LOOKBACK_BYTES { back - LOOKBACK_BYTES - 1 } else { 0 };
        let lines = if offset > 0 { Lines::skipping() } else { Lines::default() };
        Self {
            file,
            id: info.id,
            offset,
            context: Vec::new(),
            quiet: None,
            lookback_end: back,
            lines,
            lines_seen: 0,
            bytes_seen: 0,
        }
    }

    /// Reads one piece: whether anything was read, and whether there is more.
    async fn read(&mut self, sink: &mut impl Sink) -> io::Result<(bool, bool)> {
        let info = self.file.info().await?;
        let state = (info.size, info.modified, info.modified_ns);
        if self.quiet == Some(state) {
            return Ok((false, false));
        }
        if info.size < self.offset {
            self.restart(sink);
        }
        // Never in the middle of the first look: that is bounded by itself.
        if info.size.saturating_sub(self.offset) > BEHIND_BYTES {
            self.skip_ahead(info.size, sink).await?;
        }
        let mut context = self.context.len();
        let mut bytes = self.file.read_at(self.offset - context as u64, context + PIECE_BYTES).await?;
        if !bytes.starts_with(&self.context) {
            // Truncated, and grown beyond our place since.
            self.restart(sink);
            context = 0;
            bytes = self.file.read_at(0, PIECE_BYTES).await?;
        }
        let new = bytes.get(context..).unwrap_or_default();
        let (offset, lookback_end) = (self.offset, self.lookback_end);
        let mut counting = Counting { sink, lines: 0 };
        self.lines.push(new, |end| offset + end as u64 <= lookback_end, &mut counting);
        self.lines_seen += counting.lines;
        self.bytes_seen += new.len() as u64;
        self.offset += new.len() as u64;
        let unfinished = new.len() >= PIECE_BYTES;
        // The state was taken before reading: what came in between has changed it, and the next look sees that.
        self.quiet = (!unfinished).then_some(state);
        let progress = !new.is_empty();
        if bytes.len() > CONTEXT_BYTES {
            bytes.drain(..bytes.len() - CONTEXT_BYTES);
        }
        self.context = bytes;
        Ok((progress, unfinished))
    }

    /// The file begins anew under the same inode.
    fn restart(&mut self, sink: &mut impl Sink) {
        self.lines.finish(self.offset <= self.lookback_end, sink);
        self.offset = 0;
        self.lookback_end = 0;
        self.context.clear();
    }

    /// Leaves out the middle, up to where a look back would begin, and tells how many lines that were.
    async fn skip_ahead(&mut self, size: u64, sink: &mut impl Sink) -> io::Result<()> {
        let to = size - LOOKBACK_BYTES - 1;
        let counted = self.offset.saturating_add(COUNTED_BYTES).min(to);
        let mut lost = self.file.count_lines(self.offset, counted).await?;
        let mean = self.bytes_seen.checked_div(self.lines_seen).unwrap_or(LINE_GUESS).max(1);
        lost += (to - counted) / mean;
        // The line that `to` lies in is passed over as well.
        sink.dropped(lost + 1);
        self.offset = to;
        self.context.clear();
        self.lines = Lines::skipping();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
