//! The files that a process has open for writing, of /proc/PID/fd and /proc/PID/fdinfo (proc(5)).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FileInfo, FileKind, Root, processes::descriptors};
use crate::model::Order as _;

/// Descriptors of one process that are looked at, the lowest first: logs are opened before connections come.
const DESCRIPTORS: usize = 512;
/// The bits of `flags` in fdinfo that tell reading from writing, and the one for appending (`fcntl.h`, all our architectures).
const ACCESS_MODE: u32 = 0o3;
const APPEND: u32 = 0o2000;
/// What proc(5) puts behind the name of a file that no longer has one.
const DELETED: &str = " (deleted)";

/// A file that a process may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// The descriptor.
    pub fd: u32,
    /// Its name, in the process's own mount namespace; the name that it had, where it is deleted.
    pub path: PathBuf,
    /// Whether the name is gone.
    pub deleted: bool,
    /// Whether it is written at its end only.
    pub append: bool,
    /// What is open there. `None`: may not be told.
    pub info: Option<FileInfo>,
}

/// What a process may write to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenFiles {
    /// The process.
    pub pid: u32,
    /// The files: regular ones, character devices and FIFOs.
    pub files: Vec<WrittenFile>,
    /// Descriptors 1 and 2 that lead to no file: `pipe:[12]`, `socket:[34]`.
    pub streams: Vec<(u32, String)>,
    /// Whether its descriptors may not be seen.
    pub denied: bool,
}

/// Of these processes, in this order.
pub(super) fn of(root: &Root, pids: &[u32]) -> Vec<WrittenFiles> {
    let (mut found, mut wanted) = (Vec::new(), Vec::new());
    for (pid, list) in pids.iter().zip(descriptors(root, pids, usize::MAX)) {
        let mut list = match list {
            Ok(list) => list,
            Err(error) if error.not_found() => continue,
            Err(_) => {
                found.push((WrittenFiles { pid: *pid, denied: true, ..WrittenFiles::default() }, Vec::new()));
                continue;
            }
        };
        list.order_by_key(|(fd, _)| *fd);
        list.truncate(DESCRIPTORS);
        let (mut files, mut other): (Vec<_>, Vec<_>) = list.into_iter().partition(|(_, target)| target.is_absolute());
        files.retain(|(fd, _)| !only_read(root, *pid, *fd));
        other.retain(|(fd, _)| *fd == 1 || *fd == 2);
        let streams = other.into_iter().map(|(fd, target)| (fd, target.to_string_lossy().into_owned())).collect();
        wanted.push((*pid, files.iter().map(|(fd, _)| *fd).collect()));
        found.push((WrittenFiles { pid: *pid, streams, ..WrittenFiles::default() }, files));
    }
    let mut opened = root.opened(&wanted).into_iter();
    for (process, files) in &mut found {
        let files = std::mem::take(files).into_iter().zip(opened.by_ref());
        process.files = files.filter_map(|((fd, target), opened)| written(fd, target, opened?)).collect();
    }
    found.into_iter().map(|(process, _)| process).collect()
}

/// Whether a descriptor is only read from, by the mode of its link, which tells how it was opened (proc(5), /proc/PID/fd). That is told to
/// anybody who may list them, and most descriptors of most programs need no further question then.
fn only_read(root: &Root, pid: u32, fd: u32) -> bool {
    const READ_ONLY: u32 = 0o500;
    root.lstat(Path::new(&format!("/proc/{pid}/fd/{fd}"))).is_ok_and(|info| info.mode & 0o777 == READ_ONLY)
}

/// A descriptor that leads to a file, where that may be written to.
fn written(fd: u32, target: PathBuf, opened: Opened) -> Option<WrittenFile> {
    let Opened { flags, info } = opened;
    // Memory files and sockets by name are no place for a log.
    let place = info.is_none_or(|info| matches!(info.kind, FileKind::RegularFile | FileKind::CharacterDevice | FileKind::Fifo));
    if flags & ACCESS_MODE == 0 || !place {
        return None;
    }
    let gone = target.to_str().and_then(|shown| shown.strip_suffix(DELETED)).map(PathBuf::from);
    Some(WrittenFile { fd, deleted: gone.is_some(), path: gone.unwrap_or(target), append: flags & APPEND != 0, info })
}

/// How a descriptor was opened, and what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opened {
    /// The flags with which it was opened, and what was set since (open(2)).
    flags: u32,
    /// `None`: it is only read from, or may not be told.
    info: Option<FileInfo>,
}

impl Opened {
    /// Of this descriptor of a process.
    pub(super) fn of(root: &Root, pid: u32, fd: u32) -> Option<Self> {
        let text = root.text(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
        let octal = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(octal.trim(), 8).ok()?;
        let info = || root.stat(Path::new(&format!("/proc/{pid}/fd/{fd}"))).ok();
        Some(Self { flags, info: if flags & ACCESS_MODE == 0 { None } else { info() } })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_is_written_is_told_from_what_is_read() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("read"), "").expect("file");
        let read = OpenOptions::new().read(true).open(at("read")).expect("open");
        let appended = OpenOptions::new().append(true).create(true).open(at("app.log")).expect("open");
        let gone = OpenOptions::new().write(true).create_new(true).open(at("gone")).expect("open");
        std::fs::remove_file(at("gone")).expect("remove");
        let mine = of(&Root::host(), &[std::process::id()]);
        let files: Vec<_> = mine[0].files.iter().filter(|file| file.path.starts_with(dir.path())).collect();
        // In the order of their numbers, which other tests beside this one give back.
        let mut shown: Vec<_> = files.iter().map(|file| (file.path.clone(), file.deleted, file.append)).collect();
        shown.sort();
        assert_eq!(shown, [(at("app.log"), false, true), (at("gone"), true, false)]);
        assert!(files.iter().all(|file| file.info.is_some_and(|info| info.size == 0)));
        assert_eq!(of(&Root::host(), &[u32::MAX]), [], "no such process");
        drop((read, appended, gone));
    }
}
