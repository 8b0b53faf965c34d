//! One open file, and how far it was read.

use std::io;

use super::lines::{Lines, Sink};
use crate::sys::{FileInfo, OpenFile};

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
/// What a deleted file may hold of the disk for our sake, in bytes, when nobody writes to it any more.
const HOARD_BYTES: u64 = 64 << 20;
/// How long a line may lack its end, in milliseconds, before it is told as far as it goes: the last words of a process that
/// was killed have none, and whoever looks for them must not wait for a writer that is gone. What comes later of it is told as
/// a line of its own, so that every byte is told once.
pub(super) const UNFINISHED_MS: u64 = 5_000;

/// An open file and how far it was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The file.
    pub(super) file: OpenFile,
    /// Device and inode.
    pub(super) id: (u64, u64),
    offset: u64,
    /// The last bytes before `offset`.
    context: Vec<u8>,
    /// Size and modification when its end was last reached.
    quiet: Option<(u64, i64, u32)>,
    /// Lines that end up to here were there when we began.
    lookback_end: u64,
    lines: Lines,
    /// When bytes came last, on the clock of this run; how it was when it was opened before that.
    pub(super) grew_ms: u64,
    /// How old the last write was when it was opened, in milliseconds.
    age_ms: u64,
    /// It has no name any more.
    deleted: bool,
    /// It is a copy that nobody writes to.
    pub(super) copy: bool,
}

/// What reading a piece came to.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Something was read, or told.
    pub(super) progress: bool,
    /// There is more to be read at once.
    pub(super) more: bool,
    /// It was cut down to nothing, or written anew, and up to `from` it had been read: what stood behind is in a copy, or lost.
    pub(super) cut: Option<Cut>,
}

/// Where a file had been read to when it was cut down.
#[derive(Debug)]
pub(super) struct Cut {
    /// The place.
    pub(super) offset: u64,
    /// The bytes before it.
    pub(super) context: Vec<u8>,
    /// The line that lacks its end.
    pub(super) lines: Lines,
}

impl Reading {
    /// Of a file just opened. `from_start`: its lines are new; else the end of it is read as what was there before. `now`: the
    /// time of this run and the wall's, in milliseconds.
    pub(super) fn new(file: OpenFile, info: &FileInfo, from_start: bool, run_ms: u64, wall_ms: i64) -> Self {
        let back = if from_start { 0 } else { info.size };
        // One byte more: when it is a line end, the line behind it is whole.
        let offset = if back > LOOKBACK_BYTES { back - LOOKBACK_BYTES - 1 } else { 0 };
        let lines = if offset > 0 { Lines::skipping() } else { Lines::default() };
        let modified = info.modified.saturating_mul(1000).saturating_add(i64::from(info.modified_ns / 1_000_000));
        let age_ms = u64::try_from(wall_ms.saturating_sub(modified)).unwrap_or(0);
        Self {
            file,
            id: info.id,
            offset,
            context: Vec::new(),
            quiet: None,
            lookback_end: back,
            lines,
            grew_ms: run_ms,
            age_ms,
            deleted: info.deleted,
            copy: false,
        }
    }

    /// Whether it is as it was when its end was read last.
    pub(super) fn knows(&self, now: &FileInfo) -> bool {
        self.quiet == Some((now.size, now.modified, now.modified_ns))
    }

    /// A file that goes on where another was read to: the rest of a copy.
    pub(super) fn rest(file: OpenFile, info: &FileInfo, cut: Cut, run_ms: u64) -> Self {
        Self {
            file,
            id: info.id,
            offset: cut.offset,
            context: cut.context,
            quiet: None,
            lookback_end: 0,
            lines: cut.lines,
            grew_ms: run_ms,
            age_ms: 0,
            deleted: info.deleted,
            copy: true,
        }
    }

    /// When it is to be looked at although nothing changed, on the clock of this run: a line lacks its end.
    pub(super) fn due(&self) -> Option<u64> {
        self.lines.unfinished().then(|| self.grew_ms.saturating_add(UNFINISHED_MS.saturating_sub(self.age_ms)))
    }

    /// Reads one piece.
    pub(super) async fn read(&mut self, now_ms: u64, sink: &mut impl Sink) -> io::Result<Piece> {
        let info = self.file.info().await?;
        self.read_as(&info, None, now_ms, sink).await
    }

    /// What the next piece will be, as fstat tells of the file then: where it begins, and its bytes at most. `None`: nothing new, or it
    /// is not the next bytes that count.
    pub(super) fn next(&self) -> impl FnOnce(&FileInfo) -> Option<(u64, usize)> + Send + 'static {
        let (quiet, offset, context) = (self.quiet, self.offset, self.context.len());
        move |info| {
            let new = quiet != Some((info.size, info.modified, info.modified_ns));
            let next = info.size.checked_sub(offset).is_some_and(|behind| behind <= BEHIND_BYTES);
            (new && next).then(|| (offset - context as u64, context + PIECE_BYTES))
        }
    }

    /// The same, where it is known what fstat tells of it now, and the next piece may have been read with that: where it begins, and its
    /// bytes.
    pub(super) async fn read_as(
        &mut self,
        info: &FileInfo,
        next: Option<(u64, Vec<u8>)>,
        now_ms: u64,
        sink: &mut impl Sink,
    ) -> io::Result<Piece> {
        let state = (info.size, info.modified, info.modified_ns);
        self.deleted = info.deleted;
        if self.quiet == Some(state) {
            let late = self.due().is_some_and(|due| now_ms >= due);
            if late {
                self.lines.tear(self.offset <= self.lookback_end, sink);
            }
            return Ok(Piece { progress: late, ..Piece::default() });
        }
        let mut cut = None;
        if info.size < self.offset {
            cut = Some(self.restart());
        }
        // Never in the middle of the first look: that is bounded by itself.
        if info.size.saturating_sub(self.offset) > BEHIND_BYTES {
            self.skip_ahead(info.size, sink).await?;
        }
        let mut context = self.context.len();
        let from = self.offset - context as u64;
        let mut bytes = match next.filter(|(begin, _)| *begin == from) {
            Some((_, bytes)) => bytes,
            None => self.file.read_at(from, context + PIECE_BYTES).await?,
        };
        if !bytes.starts_with(&self.context) {
            // Truncated, and grown beyond our place since.
            cut = Some(self.restart());
            context = 0;
            bytes = self.file.read_at(0, PIECE_BYTES).await?;
        }
        let new = bytes.get(context..).unwrap_or_default();
        let (offset, lookback_end) = (self.offset, self.lookback_end);
        self.lines.push(new, |end| offset + end as u64 <= lookback_end, sink);
        self.offset += new.len() as u64;
        let more = new.len() >= PIECE_BYTES;
        // The state was taken before reading: what came in between has changed it, and the next look sees that.
        self.quiet = (!more).then_some(state);
        let progress = !new.is_empty();
        if progress && self.offset > self.lookback_end {
            self.age_ms = 0;
        }
        if progress {
            self.grew_ms = now_ms;
        }
        if bytes.len() > CONTEXT_BYTES {
            bytes.drain(..bytes.len() - CONTEXT_BYTES);
        }
        self.context = bytes;
        Ok(Piece { progress, more, cut })
    }

    /// The file begins anew under the same inode.
    fn restart(&mut self) -> Cut {
        self.lookback_end = 0;
        Cut {
            offset: std::mem::take(&mut self.offset),
            context: std::mem::take(&mut self.context),
            lines: std::mem::take(&mut self.lines),
        }
    }

    /// Whether it has no name any more, and so much in it that holding it open keeps space from a host that may need it.
    pub(super) fn hoards(&self) -> bool {
        self.deleted && self.offset >= HOARD_BYTES
    }

    /// The file ends here for good.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        self.lines.finish(self.offset <= self.lookback_end, sink);
    }

    /// Leaves out the middle, up to where a look back would begin, and tells how many lines that were.
    async fn skip_ahead(&mut self, size: u64, sink: &mut impl Sink) -> io::Result<()> {
        let to = size - LOOKBACK_BYTES - 1;
        let counted = self.offset.saturating_add(COUNTED_BYTES).min(to);
        let lines = self.file.count_lines(self.offset, counted).await?;
        // Of what is not read the lines are as long as of what is.
        let left = u128::from(lines) * u128::from(to - counted) / u128::from((counted - self.offset).max(1));
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        // A line whose beginning is known is told, with as much of its length; it is none of those that are passed over.
        let known = u64::from(self.lines.unfinished());
        self.lines.finish(false, sink);
        // The line that `to` lies in is passed over as well.
        sink.dropped(lines.saturating_add(left).saturating_add(1).saturating_sub(known));
        self.offset = to;
        self.context.clear();
        self.lines = Lines::passing();
        Ok(())
    }
}
