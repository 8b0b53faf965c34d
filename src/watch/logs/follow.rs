//! One log file, followed by device, inode and offset through what rotation and people do to it.
//!
//! - Renamed, and a new file under the name: the old one is read to its end, and watched a little longer, because a gateway
//!   writes to it until it is told to reopen its logs; the new one is read from its beginning.
//! - Truncated in place (copytruncate), also where it has grown beyond the old place before we look: the bytes before our
//!   place are no longer those that were read. What had not been read is looked for in the copy.
//! - Deleted: it is read as long as it is open, and its successor from the beginning. One that is large is let go when nobody
//!   writes to it any more: whoever deleted it wants its space.
//! - Not there yet, or not readable: tried again with each look.
//!
//! Nothing here waits: a look reads at most one piece, and says whether there is more.

use std::path::PathBuf;

use super::{
    lines::Sink,
    reading::{Cut, Reading},
    remedy,
    rotated::rotated_files,
};
use crate::sys::{FileInfo, Look, OpenFile, Refusal, Sys, stat_aside};

/// How long a file that was renamed away is read on after its last line, in milliseconds, when its successor is written to. A
/// gateway that was not told to reopen its logs writes to the old file for ever: only that the new one grows shows that it was.
const LINGER_MS: u64 = 30_000;
/// How long in any case.
const LINGER_MOST_MS: u64 = 3_600_000;
/// Files renamed away that are watched at once, at most.
const OLD_FILES: usize = 4;
/// Copies that are looked into for what a truncated log had, at most.
const COPIES: usize = 4;

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
    /// Files that had the name before, oldest first.
    old: Vec<Reading>,
    /// Whoever gets the name next is new, and read from its beginning.
    expect_new: bool,
    /// Device and inode of what the path led to at the last look.
    named: Option<(u64, u64)>,
}

impl Follower {
    pub(super) fn new(sys: Sys, path: PathBuf) -> Self {
        Self { sys, path, current: None, old: Vec::new(), expect_new: false, named: None }
    }

    /// The files that are open, by device and inode.
    pub(super) fn files(&self) -> Vec<((u64, u64), OpenFile)> {
        self.old.iter().chain(&self.current).map(|reading| (reading.id, reading.file.clone())).collect()
    }

    /// Whether the path leads to what is read, and not to nothing.
    pub(super) fn placed(&self) -> bool {
        self.current.as_ref().is_some_and(|current| Some(current.id) == self.named)
    }

    /// Whether the open file is as it was when its end was read, and still has its name: asked in one call, where a look takes several.
    pub(super) async fn as_it_was(&self) -> bool {
        let Some(current) = self.current.as_ref().filter(|_| self.old.is_empty()) else { return false };
        let (open, named) = current.file.info_with(&self.sys.root, &self.path).await;
        open.ok().zip(named.ok()).is_some_and(|(open, named)| current.knows(&open) && open.id == named.id)
    }

    /// When to look although nothing changes, on the clock of this run, after a look at `now`.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        let ends = self.old.iter().map(|old| old.grew_ms + LINGER_MS).filter(|end| *end > now);
        self.old.iter().chain(&self.current).filter_map(Reading::due).chain(ends).min()
    }

    /// Reads what is new, at most one piece of each file.
    pub(super) async fn look(&mut self, sink: &mut impl Sink) -> Looked {
        let now = self.sys.clock.now().run_ms;
        let (mut progress, mut more) = self.look_at_old(now, sink).await;
        let Look { open: info, named, bytes } = if let Some(current) = &self.current {
            current.file.look(&self.sys.root, &self.path, current.next()).await
        } else {
            let named = stat_aside(&self.sys.root, &self.path).await;
            Look { open: Err(std::io::ErrorKind::NotFound.into()), named, bytes: None }
        };
        self.named = named.as_ref().ok().map(|info| info.id);
        if let Some(current) = &mut self.current {
            let read = match info {
                Ok(info) => current.read_as(&info, bytes, now, sink).await,
                Err(error) => Err(error),
            };
            let piece = match read {
                Ok(piece) => piece,
                Err(error) => {
                    current.finish(sink);
                    self.current = None;
                    return Looked { sight: Sight::Other(format!("reading it failed: {error}")), progress, more };
                }
            };
            progress |= piece.progress;
            let replaced = named.as_ref().is_ok_and(|info| info.id != current.id);
            let idle = now.saturating_sub(current.grew_ms);
            let given_up = named.is_err() && current.hoards() && idle >= LINGER_MS;
            if let Some(cut) = piece.cut {
                more |= self.rescue(cut, now, sink).await;
            }
            if piece.more || !replaced && !given_up {
                return Looked { sight: Sight::Open, progress, more: more || piece.more };
            }
            // Read to its end, and another file has its name, or none ever will.
            if let Some(mut reading) = self.current.take() {
                if given_up {
                    reading.finish(sink);
                } else {
                    self.retire(reading, sink);
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
                Ok(reading) => match self.current.insert(reading).read(now, sink).await {
                    Ok(piece) => {
                        self.expect_new = false;
                        return Looked { sight: Sight::Open, progress: progress || piece.progress, more: more || piece.more };
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

    /// Reads on in the files that were renamed away: whether anything came, and whether there is more.
    async fn look_at_old(&mut self, now: u64, sink: &mut impl Sink) -> (bool, bool) {
        let (mut progress, mut more) = (false, false);
        let successor = self.current.as_ref().map(|current| current.grew_ms);
        let mut at = 0;
        while let Some(old) = self.old.get_mut(at) {
            // A fault of a file that is on its way out is no news: its lines up to here were told.
            let piece = old.read(now, sink).await.unwrap_or_default();
            if let Some(mut cut) = piece.cut {
                cut.lines.finish(false, sink);
            }
            progress |= piece.progress;
            more |= piece.more;
            let idle = now.saturating_sub(old.grew_ms);
            let succeeded = successor.is_some_and(|grew| grew > old.grew_ms) || old.hoards();
            if !piece.more && (old.copy || idle >= LINGER_MS && succeeded || idle >= LINGER_MOST_MS) {
                self.old.remove(at).finish(sink);
            } else {
                at += 1;
            }
        }
        (progress, more)
    }

    fn retire(&mut self, reading: Reading, sink: &mut impl Sink) {
        self.old.push(reading);
        if self.old.len() > OLD_FILES {
            self.old.remove(0).finish(sink);
        }
    }

    /// A log that was cut down while lines had not been read yet: logrotate's copytruncate has left them in its copy, which is
    /// known by the bytes before our place. `true`: it was found, and is to be read.
    async fn rescue(&mut self, mut cut: Cut, now: u64, sink: &mut impl Sink) -> bool {
        if let Some((file, info)) = self.copy_of(&cut).await {
            // In front: what it has is older than all that is written now.
            self.old.insert(0, Reading::rest(file, &info, cut, now));
            return true;
        }
        cut.lines.finish(false, sink);
        false
    }

    async fn copy_of(&self, cut: &Cut) -> Option<(OpenFile, FileInfo)> {
        let from = cut.offset.checked_sub(cut.context.len() as u64).filter(|_| !cut.context.is_empty())?;
        for path in rotated_files(&self.sys.root, &self.path, COPIES).await {
            let Ok(file) = self.sys.rights.open(&path).await else { continue };
            let file = OpenFile::new(file);
            let Ok(info) = file.info().await else { continue };
            let known = self.old.iter().chain(&self.current).any(|reading| reading.id == info.id);
            if known || info.size <= cut.offset {
                continue;
            }
            if file.read_at(from, cut.context.len()).await.is_ok_and(|bytes| bytes == cut.context) {
                return Some((file, info));
            }
        }
        None
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
        let now = self.sys.clock.now();
        Ok(Reading::new(file, &info, self.expect_new, now.run_ms, now.wall_ms))
    }

    /// The last lines of what is being read may lack an end; nobody will write it any more.
    #[cfg(test)]
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        for reading in self.old.iter_mut().chain(&mut self.current) {
            reading.finish(sink);
        }
    }
}

#[cfg(test)]
mod tests;
