//! Files below a root.
//!
//! A container's or a copied host's tree is looked at through its own root: an absolute symlink or a `..` inside it must
//! lead back into it, never out. The walk is made by hand with one directory descriptor per component, because openat2's
//! RESOLVE_IN_ROOT needs Linux 5.6, and because a walk over descriptors cannot be raced by whoever owns the tree.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use thiserror::Error;

pub use rustix::fs::FileType as FileKind;

/// Symlinks followed in one path at most: Linux's own limit (path_resolution(7)).
const SYMLINKS: u32 = 40;
/// Bytes of a file that is read whole at most: a configuration is far below, and a 10 MB line must not cost more.
pub const FILE_BYTES: u64 = 32 << 20;
/// Names in one directory that are looked at, at most.
const DIRECTORY_NAMES: usize = 20_000;

/// Why a file could not be read.
#[derive(Debug, Error)]
#[error("{operation} {path}: {source}")]
pub struct FileError {
    /// `open`, `read`, `list`, `stat`.
    pub operation: &'static str,
    /// What.
    pub path: String,
    /// Why.
    pub source: io::Error,
}

impl FileError {
    fn new(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { operation, path: path.display().to_string(), source: source.into() }
    }

    /// Whether it is not there at all.
    pub fn not_found(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    /// Whether rights are missing.
    pub fn denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// What stat tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// What it is.
    pub kind: FileType,
    /// Size in bytes.
    pub size: u64,
    /// Modification, in seconds since the Unix epoch.
    pub modified: i64,
    /// Nanoseconds of the modification: tells two writes of one second apart.
    pub modified_ns: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// It has no name any more: it was deleted while it is open.
    pub deleted: bool,
    /// Device and inode: the file's identity across renames.
    pub id: (u64, u64),
}

impl From<fs::Stat> for FileInfo {
    fn from(stat: fs::Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
            modified_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            deleted: stat.st_nlink == 0,
            id: (stat.st_dev, stat.st_ino),
        }
    }
}

/// The root of the tree that is looked at.
#[derive(Debug, Clone)]
pub struct Root {
    path: Arc<PathBuf>,
}

impl Root {
    /// The host's own `/`.
    pub fn host() -> Self {
        Self { path: Arc::new(PathBuf::from("/")) }
    }

    /// The tree below `path`.
    pub fn below(path: impl Into<PathBuf>) -> Self {
        Self { path: Arc::new(path.into()) }
    }

    /// Where it is on the host: only for programs that have a root of their own to be told.
    pub(super) fn place(&self) -> &Path {
        &self.path
    }

    /// Whether it is the host's own.
    pub fn is_host(&self) -> bool {
        self.path.as_os_str() == "/"
    }

    /// Opens a regular file for reading. Directories, FIFOs, sockets and devices are refused, and never waited for.
    pub fn open(&self, path: &Path) -> Result<File, FileError> {
        let file = self.open_any(path)?;
        let kind =
            fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode)).map_err(|e| FileError::new("stat", path, e))?;
        let refuse = |what: &str| Err(FileError::new("open", path, io::Error::new(io::ErrorKind::InvalidInput, what.to_owned())));
        match kind {
            FileType::RegularFile => Ok(file),
            FileType::Directory => refuse("is a directory, not a file"),
            FileType::Fifo => refuse("is a FIFO, not a file"),
            FileType::Socket => refuse("is a socket, not a file"),
            FileType::CharacterDevice | FileType::BlockDevice => refuse("is a device, not a file"),
            FileType::Symlink | FileType::Unknown => refuse("is no regular file"),
        }
    }

    /// Opens whatever is there, without blocking: for kernel files that are no regular files, such as `/dev/kmsg`.
    pub fn open_any(&self, path: &Path) -> Result<File, FileError> {
        // NONBLOCK: a FIFO without writer must not hold us up. NOCTTY: a terminal must not become ours.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        if self.is_host() {
            return fs::open(path, flags, Mode::empty()).map(File::from).map_err(|e| FileError::new("open", path, e));
        }
        let (parent, name) = self.walk(path, true).map_err(|e| FileError::new("open", path, e))?;
        let fd = match name {
            Some(name) => fs::openat(&parent, &*name, flags | OFlags::NOFOLLOW, Mode::empty()),
            None => fs::openat(&parent, ".", flags, Mode::empty()),
        };
        fd.map(File::from).map_err(|e| FileError::new("open", path, e))
    }

    /// Reads a file whole, up to [`FILE_BYTES`]; `true`: there was more.
    pub fn read(&self, path: &Path) -> Result<(Vec<u8>, bool), FileError> {
        self.read_at_most(path, FILE_BYTES)
    }

    /// Reads at most `limit` bytes of a file; `true`: there was more.
    pub fn read_at_most(&self, path: &Path, limit: u64) -> Result<(Vec<u8>, bool), FileError> {
        let mut bytes = Vec::new();
        let file = self.open(path)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| FileError::new("read", path, e))?;
        let more = bytes.len() as u64 > limit;
        bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok((bytes, more))
    }

    /// Reads a small text file, as below /proc and /sys; bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self, path: impl AsRef<Path>) -> Result<String, FileError> {
        self.read_at_most(path.as_ref(), FILE_BYTES).map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &Path) -> Result<Vec<std::ffi::OsString>, FileError> {
        let dir = self.open_any(path)?;
        let entries = fs::Dir::read_from(&dir).map_err(|e| FileError::new("list", path, e))?;
        let mut names = Vec::new();
        for entry in entries.take(DIRECTORY_NAMES) {
            let entry = entry.map_err(|e| FileError::new("list", path, e))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// What is there, after following symlinks.
    pub fn stat(&self, path: &Path) -> Result<FileInfo, FileError> {
        self.stat_with(path, true)
    }

    /// What is there, the last component itself where it is a symlink.
    pub fn lstat(&self, path: &Path) -> Result<FileInfo, FileError> {
        self.stat_with(path, false)
    }

    /// The text of a symlink.
    pub fn readlink(&self, path: &Path) -> Result<PathBuf, FileError> {
        let target = if self.is_host() {
            fs::readlink(path, Vec::new())
        } else {
            self.walk(path, false).and_then(|(parent, name)| fs::readlinkat(&parent, name.ok_or(Errno::INVAL)?, Vec::new()))
        };
        target.map(|target| PathBuf::from(OsStr::from_bytes(target.as_bytes()))).map_err(|e| FileError::new("readlink", path, e))
    }

    /// Whether mode bits are not all that decides about access: a POSIX ACL is there (acl(5)). Unknown counts as no.
    pub fn has_acl(&self, path: &Path) -> bool {
        const ACL: &str = "system.posix_acl_access";
        let mut none = [0_u8; 0];
        if self.is_host() {
            return fs::getxattr(path, ACL, &mut none).is_ok_and(|size| size > 0);
        }
        // Extended attributes need a path or a readable descriptor; below a root only what may be opened can be asked.
        self.open_any(path).is_ok_and(|file| fs::fgetxattr(&file, ACL, &mut none).is_ok_and(|size| size > 0))
    }

    fn stat_with(&self, path: &Path, follow: bool) -> Result<FileInfo, FileError> {
        let stat = if self.is_host() {
            if follow { fs::stat(path) } else { fs::lstat(path) }
        } else {
            self.walk(path, follow).and_then(|(parent, name)| match name {
                Some(name) => fs::statat(&parent, &*name, AtFlags::SYMLINK_NOFOLLOW),
                None => fs::fstat(&parent),
            })
        };
        stat.map(FileInfo::from).map_err(|e| FileError::new("stat", path, e))
    }

    /// The directory that holds the last component, and its name; no name: the path is the directory itself.
    fn walk(&self, path: &Path, follow_last: bool) -> Result<(OwnedFd, Option<std::ffi::OsString>), Errno> {
        let dir_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut dirs = vec![fs::open(self.path.as_path(), dir_flags, Mode::empty())?];
        let mut rest: Vec<std::ffi::OsString> = components(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let here = dirs.last().ok_or(Errno::NOENT)?;
            if part == ".." {
                if dirs.len() > 1 {
                    dirs.pop();
                }
                continue;
            }
            let last = rest.is_empty();
            if !last || follow_last {
                match fs::readlinkat(here, &*part, Vec::new()) {
                    Ok(target) => {
                        links += 1;
                        if links > SYMLINKS {
                            return Err(Errno::LOOP);
                        }
                        let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
                        if target.is_absolute() {
                            dirs.truncate(1);
                        }
                        rest.extend(components(&target));
                        continue;
                    }
                    Err(Errno::INVAL) => {} // no symlink
                    Err(Errno::NOENT) if last => return Ok((dirs.pop().ok_or(Errno::NOENT)?, Some(part))),
                    Err(error) => return Err(error),
                }
            }
            if last {
                return Ok((dirs.pop().ok_or(Errno::NOENT)?, Some(part)));
            }
            let next = fs::openat(here, &*part, dir_flags | OFlags::NOFOLLOW, Mode::empty())?;
            dirs.push(next);
        }
        Ok((dirs.pop().ok_or(Errno::NOENT)?, None))
    }
}

/// The names of a path, last first, without `.` and the root.
fn components(path: &Path) -> Vec<std::ffi::OsString> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(dir.path().join("etc/app")).expect("directory");
        std::fs::write(dir.path().join("etc/app/conf"), "inside").expect("file");
        std::fs::write(dir.path().join("etc/passwd"), "tree's own").expect("file");
        let root = Root::below(dir.path());
        (dir, root)
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let (dir, root) = tree();
        symlink("/etc/passwd", dir.path().join("absolute")).expect("symlink");
        symlink("../../../../../../etc/passwd", dir.path().join("etc/app/dots")).expect("symlink");
        symlink("/etc/app", dir.path().join("dir")).expect("symlink");
        assert_eq!(root.text("/absolute").expect("absolute link"), "tree's own");
        assert_eq!(root.text("/etc/app/dots").expect("dotted link"), "tree's own");
        assert_eq!(root.text("/dir/../../../etc/passwd").expect("dots after a link"), "tree's own");
        assert_eq!(root.text("/dir/conf").expect("through a linked directory"), "inside");
        assert_eq!(root.readlink(Path::new("/absolute")).expect("link text"), Path::new("/etc/passwd"));
        assert_eq!(root.lstat(Path::new("/absolute")).expect("link").kind, FileType::Symlink);
        assert_eq!(root.stat(Path::new("/dir")).expect("linked directory").kind, FileType::Directory);
        assert_eq!(root.list(Path::new("/dir")).expect("names"), ["conf", "dots"]);
    }

    #[test]
    fn loops_fifos_and_directories_are_errors_at_once() {
        let (dir, root) = tree();
        symlink("/b", dir.path().join("a")).expect("symlink");
        symlink("/a", dir.path().join("b")).expect("symlink");
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("fifo");
        assert_eq!(root.open(Path::new("/a")).expect_err("loop").source.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        assert!(root.open(Path::new("/fifo")).expect_err("fifo").to_string().contains("is a FIFO"));
        assert!(Root::host().open(&dir.path().join("fifo")).expect_err("fifo").to_string().contains("is a FIFO"));
        assert!(root.open(Path::new("/etc")).expect_err("directory").to_string().contains("is a directory"));
        assert!(root.open(Path::new("/none")).expect_err("nothing").not_found());
        assert!(root.stat(Path::new("/none/x")).expect_err("nothing").not_found());
    }

    #[test]
    fn a_large_file_is_cut_and_says_so() {
        let (dir, root) = tree();
        std::fs::write(dir.path().join("big"), vec![b'x'; 100]).expect("file");
        assert_eq!(root.read_at_most(Path::new("/big"), 10).expect("read"), (vec![b'x'; 10], true));
        assert_eq!(root.read_at_most(Path::new("/big"), 100).expect("read"), (vec![b'x'; 100], false));
    }
}
