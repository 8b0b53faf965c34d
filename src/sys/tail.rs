//! Reading an open file piece by piece, off the async threads: a disk or a network file system may hang, and then only the
//! one who asked waits.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use rustix::fs;

use super::{FileError, FileInfo, Root, aside::aside};

/// What is said of a call that broke.
const BROKE: &str = "the call itself broke";

/// A file that is open for reading, at any place of it.
#[derive(Debug, Clone)]
pub struct OpenFile(Arc<File>);

/// What a look at an open file gave.
#[derive(Debug)]
pub struct Look {
    /// What fstat tells of it.
    pub open: io::Result<FileInfo>,
    /// What stat tells of the path under which it was opened.
    pub named: Result<FileInfo, FileError>,
    /// What was read of it, and where that begins.
    pub bytes: Option<(u64, Vec<u8>)>,
}

impl OpenFile {
    /// Of an opened file.
    pub fn new(file: File) -> Self {
        Self(Arc::new(file))
    }

    /// The descriptor, for who watches it.
    pub(super) fn descriptor(&self) -> &File {
        &self.0
    }

    /// What fstat tells.
    pub async fn info(&self) -> io::Result<FileInfo> {
        let file = Arc::clone(&self.0);
        of_disk(move || fs::fstat(&*file).map(FileInfo::from).map_err(io::Error::from)).await
    }

    /// What fstat tells, and what stat tells of the path under which it was opened: one call for both.
    pub async fn info_with(&self, root: &Root, path: &Path) -> (io::Result<FileInfo>, Result<FileInfo, FileError>) {
        let (file, root, owned) = (Arc::clone(&self.0), root.clone(), path.to_owned());
        let both = move || (fs::fstat(&*file).map(FileInfo::from).map_err(io::Error::from), root.stat(&owned));
        aside(both).await.unwrap_or_else(|| (Err(io::Error::other(BROKE)), Err(broke(path))))
    }

    /// The same, and what `want` asks to be read then: where it begins, and how many bytes at most. Still one call, since each by itself
    /// wakes two threads. What could not be read so is `None`, like what was not wanted: whoever needs it reads it, and is told why.
    pub async fn look(
        &self,
        root: &Root,
        path: &Path,
        want: impl FnOnce(&FileInfo) -> Option<(u64, usize)> + Send + 'static,
    ) -> Look {
        let (file, root, owned) = (self.clone(), root.clone(), path.to_owned());
        let all = move || {
            let open = fs::fstat(&*file.0).map(FileInfo::from).map_err(io::Error::from);
            let named = root.stat(&owned);
            let wanted = open.as_ref().ok().and_then(want);
            let bytes = wanted.and_then(|(offset, limit)| file.read_whole(offset, limit).ok().map(|bytes| (offset, bytes)));
            Look { open, named, bytes }
        };
        aside(all).await.unwrap_or_else(|| Look { open: Err(io::Error::other(BROKE)), named: Err(broke(path)), bytes: None })
    }

    /// Up to `limit` bytes from `offset`; fewer only at the end of the file.
    pub async fn read_at(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.clone();
        of_disk(move || file.read_whole(offset, limit)).await
    }

    fn read_whole(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; limit];
        let filled = self.read_blocking(offset, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Fills `bytes` from `offset` on, as far as there are any: for whoever is aside already, because it may hang.
    pub fn read_blocking(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read before the fault is told; the fault comes again with the next read.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// How many line ends stand in these bytes. They are read once and kept nowhere.
    pub async fn count_lines(&self, from: u64, to: u64) -> io::Result<u64> {
        const PIECE: u64 = 1 << 20;
        let mut count = 0;
        let mut at = from;
        while at < to {
            let bytes = self.read_at(at, usize::try_from(PIECE.min(to - at)).unwrap_or(0)).await?;
            if bytes.is_empty() {
                break;
            }
            count += memchr::memchr_iter(b'\n', &bytes).count() as u64;
            at += bytes.len() as u64;
        }
        Ok(count)
    }
}

/// [`Root::stat`], off the async threads.
pub async fn stat_aside(root: &Root, path: &Path) -> Result<FileInfo, FileError> {
    let (root, owned) = (root.clone(), path.to_owned());
    aside(move || root.stat(&owned)).await.unwrap_or_else(|| Err(broke(path)))
}

fn broke(path: &Path) -> FileError {
    FileError { operation: "stat", path: path.display().to_string(), source: io::Error::other(BROKE) }
}

async fn of_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    aside(work).await.unwrap_or_else(|| Err(io::Error::other(BROKE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_piece_can_be_read_and_the_end_is_short() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("f"), "a\nbc\nd").expect("file");
        let file = OpenFile::new(File::open(dir.path().join("f")).expect("open"));
        assert_eq!(file.read_at(2, 2).await.expect("read"), b"bc");
        assert_eq!(file.read_at(5, 100).await.expect("read"), b"d");
        assert_eq!(file.read_at(100, 100).await.expect("read"), b"");
        assert_eq!(file.count_lines(0, 100).await.expect("count"), 2);
        assert_eq!(file.info().await.expect("info").size, 6);
    }

    #[tokio::test]
    async fn a_look_reads_what_is_wanted_of_what_it_sees() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("f");
        std::fs::write(&path, "a\nbc\nd").expect("file");
        let file = OpenFile::new(File::open(&path).expect("open"));
        let root = Root::host();
        let look = file.look(&root, &path, |info| Some((info.size - 1, 10))).await;
        assert_eq!(look.bytes, Some((5, b"d".to_vec())));
        assert_eq!(look.open.expect("info").id, look.named.expect("info").id);
        std::fs::remove_file(&path).expect("removed");
        let look = file.look(&root, &path, |_| None).await;
        assert!(look.bytes.is_none() && look.open.expect("info").deleted && look.named.is_err_and(|error| error.not_found()));
    }
}
