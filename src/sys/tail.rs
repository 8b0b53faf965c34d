//! Reading an open file piece by piece, off the async threads: a disk or a network file system may hang, and then only the
//! one who asked waits.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use rustix::fs;

use super::{FileError, FileInfo, Root};

/// A file that is open for reading, at any place of it.
#[derive(Debug, Clone)]
pub struct OpenFile(Arc<File>);

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
        aside(move || fs::fstat(&*file).map(FileInfo::from).map_err(io::Error::from)).await
    }

    /// Up to `limit` bytes from `offset`; fewer only at the end of the file.
    pub async fn read_at(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.clone();
        aside(move || {
            let mut bytes = vec![0; limit];
            let filled = file.read_blocking(offset, &mut bytes)?;
            bytes.truncate(filled);
            Ok(bytes)
        })
        .await
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
    tokio::task::spawn_blocking(move || root.stat(&owned)).await.unwrap_or_else(|join| {
        Err(FileError { operation: "stat", path: path.display().to_string(), source: io::Error::other(join) })
    })
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|join| Err(io::Error::other(join)))
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
}
