//! The files that a process has open for writing, of /proc/PID/fd and /proc/PID/fdinfo (proc(5)).

use std::path::PathBuf;

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
    pids.iter().filter_map(|pid| one(root, *pid)).collect()
}

fn one(root: &Root, pid: u32) -> Option<WrittenFiles> {
    let mut out = WrittenFiles { pid, ..WrittenFiles::default() };
    let mut list = match descriptors(root, pid) {
        Ok(list) => list,
        Err(error) if error.not_found() => return None,
        Err(_) => {
            out.denied = true;
            return Some(out);
        }
    };
    list.order_by_key(|(fd, _)| *fd);
    for (fd, target) in list.into_iter().take(DESCRIPTORS) {
        let Ok(fd) = u32::try_from(fd) else { continue };
        let shown = target.to_string_lossy();
        if !shown.starts_with('/') {
            if fd == 1 || fd == 2 {
                out.streams.push((fd, shown.into_owned()));
            }
            continue;
        }
        let Some(flags) = flags(root, pid, fd).filter(|flags| flags & ACCESS_MODE != 0) else { continue };
        let info = root.stat(&PathBuf::from(format!("/proc/{pid}/fd/{fd}"))).ok();
        // Memory files and sockets by name are no place for a log.
        if info.is_some_and(|info| !matches!(info.kind, FileKind::RegularFile | FileKind::CharacterDevice | FileKind::Fifo)) {
            continue;
        }
        let deleted = shown.ends_with(DELETED);
        let path = shown.strip_suffix(DELETED).map_or_else(|| target.clone(), PathBuf::from);
        out.files.push(WrittenFile { fd, path, deleted, append: flags & APPEND != 0, info });
    }
    Some(out)
}

/// The flags with which it was opened, and what was set since.
fn flags(root: &Root, pid: u32, fd: u32) -> Option<u32> {
    let text = root.text(PathBuf::from(format!("/proc/{pid}/fdinfo/{fd}"))).ok()?;
    let octal = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(octal.trim(), 8).ok()
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
