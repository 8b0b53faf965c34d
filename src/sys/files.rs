//! Files below a root.
//!
//! A container's or a copied host's tree is looked at through its own root: an absolute symlink or a `..` inside it must
//! lead back into it, never out. The walk is made by hand with one directory descriptor per component, because openat2's
//! RESOLVE_IN_ROOT needs Linux 5.6, and because a walk over descriptors cannot be raced by whoever owns the tree.

mod info;
mod walk;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Seek as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use thiserror::Error;

use super::{
    acl::{ACL_BYTES, Acl},
    peek::{self, Entry},
    written::Opened,
};

pub use info::FileInfo;
pub use rustix::fs::FileType as FileKind;

/// Bytes of a file that is read whole at most: a configuration is far below, and a 10 MB line must not cost more.
pub const FILE_BYTES: u64 = 32 << 20;
/// Room for a file that tells no size, in bytes.
const SIZELESS_BYTES: usize = 4 << 10;
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

    /// Links there are not shown.
    pub(super) fn denied_to(path: &str) -> Self {
        Self::new("readlink", Path::new(path), io::ErrorKind::PermissionDenied)
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

/// What of /proc/PID is shown below the root of a process: plain files, and links that are only read or lead to its binary.
const OF_PROCESS: &[&str] =
    &["status", "stat", "cmdline", "environ", "exe", "cgroup", "comm", "fd/0", "fd/1", "fd/2", "ns/net", "ns/mnt"];

/// The root of the tree that is looked at.
#[derive(Debug, Clone)]
pub struct Root {
    path: Arc<PathBuf>,
    /// Whose root it is, where it is a process's.
    process: Option<Arc<OfProcess>>,
}

/// A process whose root is looked at.
#[derive(Debug)]
struct OfProcess {
    /// Its directory of /proc: it leads nowhere once the process has ended, whoever has its number then (proc(5)).
    dir: OwnedFd,
    /// The processes that may be asked for below its /proc by their numbers here.
    pids: BTreeSet<u32>,
}

impl Root {
    /// The host's own `/`.
    pub fn host() -> Self {
        Self { path: Arc::new(PathBuf::from("/")), process: None }
    }

    /// The tree below `path`.
    pub fn below(path: impl Into<PathBuf>) -> Self {
        Self { path: Arc::new(path.into()), process: None }
    }

    /// The tree that a process of this host sees, by its directory of /proc. Below it, what that tells of these processes is found
    /// under the numbers that they have here.
    pub(super) fn of_process(pid: u32, dir: OwnedFd, pids: BTreeSet<u32>) -> Self {
        Self { path: Arc::new(PathBuf::from(format!("/proc/{pid}/root"))), process: Some(Arc::new(OfProcess { dir, pids })) }
    }

    /// Where a path is to be looked for instead, and under which name: `/proc/PID/root/etc` is in the tree of that process, whose
    /// links lead nowhere else, and what /proc tells of a process is the host's.
    fn elsewhere(&self, path: &Path) -> Option<(Self, PathBuf)> {
        let rest = path.strip_prefix("/proc").ok()?;
        let mut parts = rest.components();
        let pid: u32 = parts.next()?.as_os_str().to_str()?.parse().ok()?;
        let rest = parts.as_path();
        match &self.process {
            Some(process) => {
                let shown = process.pids.contains(&pid) && OF_PROCESS.iter().any(|name| rest.as_os_str() == *name);
                shown.then(|| (Self::host(), path.to_owned()))
            }
            None if self.is_host() => {
                let inside = rest.strip_prefix("root").ok().filter(|inside| inside.components().next().is_some())?;
                let dir = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let dir = fs::open(format!("/proc/{pid}"), dir, Mode::empty()).ok()?;
                Some((Self::of_process(pid, dir, BTreeSet::new()), inside.to_owned()))
            }
            None => None,
        }
    }

    /// The process and its entry that a path leads to, where that is not shown to everybody.
    fn foreign(&self, path: &Path) -> Option<(u32, Entry)> {
        if self.is_host() { peek::at(path) } else { None }
    }

    /// Where links of processes lead, in their order. `None`: it may not be told, or there is none.
    pub(super) fn links(&self, wanted: &[(u32, Vec<Entry>)]) -> Vec<Option<PathBuf>> {
        if self.is_host() {
            return peek::links(wanted).into_iter().map(Result::ok).collect();
        }
        let all = wanted.iter().flat_map(|(pid, entries)| entries.iter().map(|entry| entry.path(*pid)));
        all.map(|path| self.readlink(Path::new(&path)).ok()).collect()
    }

    /// How descriptors of processes were opened, in their order. `None`: it may not be told, or there is none.
    pub(super) fn opened(&self, wanted: &[(u32, Vec<u32>)]) -> Vec<Option<Opened>> {
        if self.is_host() {
            return peek::opened(wanted);
        }
        let all = wanted.iter().flat_map(|(pid, numbers)| numbers.iter().map(|number| (*pid, *number)));
        all.map(|(pid, number)| Opened::of(self, pid, number)).collect()
    }

    /// What is there, links followed, opened for no more than to be told of it.
    pub(super) fn handle(&self, path: &Path) -> Result<OwnedFd, FileError> {
        self.open_with(path, OFlags::PATH | OFlags::CLOEXEC, peek::place)
    }

    /// Opens whatever is there, links followed. `of_process`: does it where that is not shown to everybody.
    fn open_with(
        &self,
        path: &Path,
        flags: OFlags,
        of_process: fn(u32, Entry) -> io::Result<OwnedFd>,
    ) -> Result<OwnedFd, FileError> {
        if let Some((root, path)) = self.elsewhere(path) {
            return root.open_with(&path, flags, of_process);
        }
        let opened = if let Some((pid, entry)) = self.foreign(path) {
            of_process(pid, entry)
        } else if self.is_host() {
            fs::open(path, flags, Mode::empty()).map_err(io::Error::from)
        } else {
            let found = self.walk(path, true).and_then(|(parent, name)| match name {
                Some(name) => fs::openat(&parent, &*name, flags | OFlags::NOFOLLOW, Mode::empty()),
                None => fs::openat(&parent, ".", flags, Mode::empty()),
            });
            found.map_err(io::Error::from)
        };
        opened.map_err(|error| FileError::new("open", path, error))
    }

    /// Where it is on the host: only for programs that have a root of their own to be told.
    pub(super) fn place(&self) -> &Path {
        &self.path
    }

    /// Whether it is the host's own.
    pub fn is_host(&self) -> bool {
        self.path.as_os_str() == "/"
    }

    /// The tree that a process sees, with its path on this host. `None`: it sees the same as we do, or it may not be told.
    pub fn seen_by(&self, pid: u32) -> Option<(PathBuf, Self)> {
        let at = PathBuf::from(format!("/proc/{pid}/root"));
        let theirs = self.is_host().then(|| self.stat(&at).ok()).flatten()?.id;
        if self.stat(Path::new("/")).ok()?.id == theirs {
            return None;
        }
        let dir = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = fs::open(format!("/proc/{pid}"), dir, Mode::empty()).ok()?;
        Some((at, Self::of_process(pid, dir, BTreeSet::from([pid]))))
    }

    /// Whether it is that of a system that runs: the host's own, or one of its processes'.
    pub fn is_running(&self) -> bool {
        self.is_host() || self.process.is_some()
    }

    /// Whether it is a tree of files of a host that does not run here, a copy or an image: its /proc, if it has one, is not the kernel's.
    pub fn is_copy(&self) -> bool {
        // magic.h: PROC_SUPER_MAGIC.
        const PROC: i64 = 0x9fa0;
        let kind = |path: PathBuf| rustix::fs::statfs(&path).ok().map(|info| info.f_type);
        !self.is_running() && kind(self.path.join("proc")).is_none_or(|kind| kind != PROC)
    }

    /// The directory of a path with the last name in it, links followed: for calls that take a path, by `/proc/self/fd/N/NAME`.
    pub(super) fn entry(&self, path: &Path) -> Result<(OwnedFd, std::ffi::OsString), FileError> {
        if let Some((root, path)) = self.elsewhere(path) {
            return root.entry(&path);
        }
        let found = self.walk(path, true).and_then(|(dir, name)| name.map(|name| (dir, name)).ok_or(Errno::ISDIR));
        found.map_err(|error| FileError::new("open", path, error))
    }

    /// Opens a regular file for reading. Directories, FIFOs, sockets and devices are refused, and never waited for.
    pub fn open(&self, path: &Path) -> Result<File, FileError> {
        self.open_sized(path).map(|(file, _)| file)
    }

    /// The same with its size in bytes, which files of /proc do not tell.
    fn open_sized(&self, path: &Path) -> Result<(File, u64), FileError> {
        let file = self.open_any(path)?;
        let info = fs::fstat(&file).map(FileInfo::from).map_err(|e| FileError::new("stat", path, e))?;
        let refuse = |what: &str| Err(FileError::new("open", path, io::Error::new(io::ErrorKind::InvalidInput, what.to_owned())));
        match info.kind {
            FileType::RegularFile => Ok((file, info.size)),
            FileType::Directory => refuse("is a directory, not a file"),
            FileType::Fifo => refuse("is a FIFO, not a file"),
            FileType::Socket => refuse("is a socket, not a file"),
            FileType::CharacterDevice | FileType::BlockDevice => refuse("is a device, not a file"),
            FileType::Symlink | FileType::Unknown => refuse("is no regular file"),
        }
    }

    /// Opens whatever is there, without blocking: for kernel files that are no regular files, such as `/dev/kmsg`.
    pub fn open_any(&self, path: &Path) -> Result<File, FileError> {
        self.open_with(path, peek::READING, peek::open).map(File::from)
    }

    /// Reads a file whole, up to [`FILE_BYTES`]; `true`: there was more.
    pub fn read(&self, path: &Path) -> Result<(Vec<u8>, bool), FileError> {
        self.read_at_most(path, FILE_BYTES)
    }

    /// Reads at most `limit` bytes of a file; `true`: there was more.
    pub fn read_at_most(&self, path: &Path, limit: u64) -> Result<(Vec<u8>, bool), FileError> {
        if let Some(text) = self.foreign(path).and_then(|(pid, entry)| peek::text(pid, entry)) {
            return text.map(|text| (text, false)).map_err(|e| FileError::new("read", path, e));
        }
        let (file, size) = self.open_sized(path)?;
        let size = size.min(limit);
        // Files of /proc tell no size, and are made anew for each read that goes on: a page is enough for most of them.
        let room = if size == 0 { SIZELESS_BYTES } else { usize::try_from(size).unwrap_or(0).saturating_add(1) };
        let mut bytes = Vec::with_capacity(room);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| FileError::new("read", path, e))?;
        let more = bytes.len() as u64 > limit;
        bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok((bytes, more))
    }

    /// The last bytes of a file, at most so many; `true`: there was more before them. They may begin within a line.
    pub fn tail(&self, path: &Path, limit: u64) -> Result<(Vec<u8>, bool), FileError> {
        let (mut file, size) = self.open_sized(path)?;
        let wrong = |e: io::Error| FileError::new("read", path, e);
        file.seek(io::SeekFrom::Start(size.saturating_sub(limit))).map_err(wrong)?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
        Ok((bytes, size > limit))
    }

    /// Reads a small text file, as below /proc and /sys; bytes that are no UTF-8 become U+FFFD.
    pub fn text(&self, path: impl AsRef<Path>) -> Result<String, FileError> {
        let (bytes, _) = self.read_at_most(path.as_ref(), FILE_BYTES)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &Path) -> Result<Vec<std::ffi::OsString>, FileError> {
        self.list_at_most(path, DIRECTORY_NAMES)
    }

    /// The names in a directory, sorted: of the first so many that the file system gives.
    pub fn list_at_most(&self, path: &Path, limit: usize) -> Result<Vec<std::ffi::OsString>, FileError> {
        let dir = self.open_any(path)?;
        let entries = fs::Dir::read_from(&dir).map_err(|e| FileError::new("list", path, e))?;
        let mut names = Vec::new();
        for entry in entries.take(limit.saturating_add(2)) {
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
        if let Some((root, path)) = self.elsewhere(path) {
            return root.readlink(&path);
        }
        if let Some((pid, entry)) = self.foreign(path) {
            return peek::link(pid, entry).map_err(|e| FileError::new("readlink", path, e));
        }
        let target = if self.is_host() {
            fs::readlink(path, Vec::new())
        } else {
            self.walk(path, false).and_then(|(parent, name)| fs::readlinkat(&parent, name.ok_or(Errno::INVAL)?, Vec::new()))
        };
        target.map(|target| PathBuf::from(OsStr::from_bytes(target.as_bytes()))).map_err(|e| FileError::new("readlink", path, e))
    }

    /// The access control list of a file or directory, where it has one that can be read.
    pub fn acl(&self, path: &Path) -> Option<Acl> {
        const ACL: &str = "system.posix_acl_access";
        let mut bytes = vec![0_u8; ACL_BYTES];
        if let Some((root, path)) = self.elsewhere(path) {
            return root.acl(&path);
        }
        let size = if self.is_host() {
            fs::getxattr(path, ACL, &mut bytes).ok()?
        } else {
            // Extended attributes need a path or a readable descriptor; below a root only what may be opened can be asked.
            fs::fgetxattr(&self.open_any(path).ok()?, ACL, &mut bytes).ok()?
        };
        Acl::parse(bytes.get(..size)?)
    }

    /// Its label for SELinux, where it has one that can be read.
    pub fn label(&self, path: &Path) -> Option<String> {
        const BYTES: usize = 256;
        if !self.is_host() || self.elsewhere(path).is_some() {
            return None;
        }
        let mut bytes = [0_u8; BYTES];
        let size = fs::getxattr(path, "security.selinux", &mut bytes).ok()?;
        let text = String::from_utf8_lossy(bytes.get(..size)?).trim_end_matches('\0').to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn stat_with(&self, path: &Path, follow: bool) -> Result<FileInfo, FileError> {
        if let Some((root, path)) = self.elsewhere(path) {
            return root.stat_with(&path, follow);
        }
        if let Some((pid, entry)) = self.foreign(path).filter(|_| follow) {
            let seen = peek::place(pid, entry).and_then(|place| Ok(fs::fstat(&place)?));
            return seen.map(FileInfo::from).map_err(|e| FileError::new("stat", path, e));
        }
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
}

#[cfg(test)]
mod tests;
