//! Logs by open descriptors: what a process writes to is where its words are, whatever a configuration says.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use super::{Candidate, service::Service};
use crate::{
    model::{LogFormat, OwnerRole, ProcessInfo, SourceKind},
    sys::{FileInfo, FileKind, Root, WrittenFile, WrittenFiles},
};

/// How a file ends that is no log although a process writes to it.
const NO_LOGS: &[&str] = &[
    "pid", "lock", "sock", "db", "sqlite", "sqlite3", "db-wal", "db-shm", "wal", "shm", "rdb", "aof", "ibd", "mdb", "ldb", "bin",
    "so", "cache", "tmp", "swp", "dat", "idx", "gz", "zst", "xz", "bz2", "journal", "history",
];
/// Bytes of a file's end by which text is told from other data.
const TASTE_BYTES: u64 = 512;

/// Standard output and error.
fn standard(fd: u32) -> bool {
    fd == 1 || fd == 2
}

/// Whether a path looks like a log's: by its name, or by the directory that it is in.
fn named_like_a_log(path: &Path) -> bool {
    let lower = |text: &std::ffi::OsStr| text.to_string_lossy().to_ascii_lowercase();
    let name = path.file_name().map(lower).unwrap_or_default();
    let ending = path.extension().map(lower).unwrap_or_default();
    let folder = |part: std::path::Component<'_>| matches!(lower(part.as_os_str()).as_str(), "log" | "logs");
    name.contains("log")
        || matches!(ending.as_str(), "out" | "err")
        || path.parent().is_some_and(|dir| dir.components().any(folder))
}

/// Whether what is open there can be a log.
fn can_be_log(file: &WrittenFile) -> bool {
    let regular = file.info.is_some_and(|info| info.kind == FileKind::RegularFile);
    // Memory files and mappings of /dev/zero have names that only look like paths (memfd_create(2), proc(5)).
    let real = !["/memfd:", "/dev/", "/proc/", "/sys/", "/SYSV", "/[", "/anon_hugepage"]
        .iter()
        .any(|p| file.path.to_string_lossy().starts_with(p));
    let ending = file.path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let no_log = NO_LOGS.contains(&ending.as_str());
    let looks = named_like_a_log(&file.path) || (file.append && !file.deleted && !no_log);
    regular && real && (standard(file.fd) || (looks && !no_log))
}

/// Where the file can be read: by its name, where that leads to what is open; else in the process's own file system; else, where
/// it has no name any more, through the process.
fn readable(root: &Root, pid: u32, file: &WrittenFile, info: &FileInfo) -> (PathBuf, &'static str) {
    let leads = |path: &Path| root.stat(path).is_ok_and(|found| found.id == info.id);
    if !file.deleted && leads(&file.path) {
        return (file.path.clone(), "");
    }
    let inside = PathBuf::from(format!("/proc/{pid}/root")).join(file.path.strip_prefix("/").unwrap_or(&file.path));
    if !file.deleted && leads(&inside) {
        return (inside, ", in its own file system");
    }
    (PathBuf::from(format!("/proc/{pid}/fd/{}", file.fd)), ", deleted meanwhile")
}

/// Whether the end of a file is text. What can't be read is taken for text: whoever follows it says why it can't be.
fn is_text(root: &Root, path: &Path, info: &FileInfo) -> bool {
    let Ok(mut file) = root.open(path) else { return true };
    let mut text = Vec::new();
    let end = file.seek(SeekFrom::Start(info.size.saturating_sub(TASTE_BYTES)));
    if end.and_then(|_| file.take(TASTE_BYTES).read_to_end(&mut text)).is_err() {
        return true;
    }
    let odd = text.iter().filter(|byte| **byte < 0x20 && !b"\n\r\t\x1b".contains(byte)).count();
    odd * 10 <= text.len()
}

/// The logs that this service has open. `known`: files that are followed already.
pub(super) fn logs(root: &Root, service: &Service, written: &[WrittenFiles], known: &mut Vec<(u64, u64)>) -> Vec<Candidate> {
    let mut out = Vec::new();
    for member in &service.members {
        let Some(files) = written.iter().find(|files| files.pid == member.pid) else { continue };
        for file in files.files.iter().filter(|file| can_be_log(file)) {
            let Some(info) = file.info.filter(|info| !known.contains(&info.id)) else { continue };
            let (path, how) = readable(root, member.pid, file, &info);
            if !is_text(root, &path, &info) {
                continue;
            }
            known.push(info.id);
            let stream = match file.fd {
                1 => " (standard output)",
                2 => " (standard error)",
                _ => "",
            };
            let why = format!("open by {} ({}) fd {}{stream}{how}", member.name, member.pid, file.fd);
            let (kind, format) = meaning(service.role, member, &file.path);
            out.push(Candidate { path, kind, format, why, serves: service.serves.clone() });
        }
    }
    out
}

/// Whose words stand in a file of this name.
pub(super) fn meaning(role: OwnerRole, process: &ProcessInfo, path: &Path) -> (SourceKind, LogFormat) {
    let access = path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().contains("access"));
    match (role, access) {
        (OwnerRole::Gateway, true) => (SourceKind::Access, LogFormat::Plain),
        (OwnerRole::Gateway, false) if process.name == "nginx" => (SourceKind::Error, LogFormat::NginxError),
        (OwnerRole::Gateway, false) => (SourceKind::Error, LogFormat::Plain),
        (OwnerRole::Upstream, _) => (SourceKind::App, LogFormat::Plain),
    }
}

/// Where the errors of a service go that no log was found of: for a person who wants to know why.
pub(super) fn lost(service: &Service, written: &[WrittenFiles]) -> Option<String> {
    let files = written.iter().find(|files| files.pid == service.lead.pid)?;
    if let Some(file) = files.files.iter().find(|file| file.fd == 2) {
        let path = file.path.display();
        return Some(match file.path.to_string_lossy() {
            path if path == "/dev/null" => "its standard error is thrown away: /dev/null".to_owned(),
            path if path.starts_with("/dev/pts/") || path.starts_with("/dev/tty") => {
                format!("its standard error is a terminal: {path}")
            }
            _ => format!("its standard error is {path}"),
        });
    }
    let (_, stream) = files.streams.iter().find(|(fd, _)| *fd == 2)?;
    Some(match stream.split(':').next() {
        Some("pipe") => "its standard error is a pipe to another process".to_owned(),
        Some("socket") => "its standard error is a socket, as of the journal or of a supervisor".to_owned(),
        _ => "it has no standard error".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::{super::service::tests::process, *};

    /// A service that is this very process, and what it has open below the directory.
    fn ourselves(dir: &Path) -> (Service, Vec<WrittenFiles>) {
        let lead = process(std::process::id(), 1, &["test"]);
        let service = Service { role: OwnerRole::Upstream, members: vec![lead.clone()], lead, serves: Vec::new(), runs: true };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let sys = crate::sys::Sys::new(Root::host(), false);
        let mut written = runtime.block_on(sys.rights.written(vec![std::process::id()])).expect("written");
        // Other tests of this process write too.
        written[0].files.retain(|file| file.path.starts_with(dir));
        (service, written)
    }

    #[test]
    fn what_is_open_is_found_by_how_it_is_written_and_called() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |name: &str| dir.path().join(name);
        let mut held = Vec::new();
        for (name, text) in [
            ("appended", "a line\n"),
            ("app.err", "a line\n"),
            ("data", "x"),
            ("store.db", "x"),
            ("log.bin", "x"),
            ("binary.log", "\0\u{1}\u{2}\u{3}"),
            ("gone.log", "last words\n"),
        ] {
            std::fs::write(at(name), text).expect("file");
            let append = matches!(name, "appended" | "store.db" | "log.bin");
            held.push(OpenOptions::new().write(true).append(append).open(at(name)).expect("open"));
        }
        std::fs::remove_file(at("gone.log")).expect("remove");
        let (service, written) = ourselves(dir.path());
        let mut known = Vec::new();
        let found = logs(&Root::host(), &service, &written, &mut known);
        let shown: Vec<_> = found.iter().map(|log| (log.path.clone(), log.why.clone())).collect();
        assert_eq!(shown.len(), 3, "{shown:?}");
        assert_eq!((&shown[0].0, &shown[1].0), (&at("appended"), &at("app.err")));
        assert!(shown[0].1.starts_with(&format!("open by test ({}) fd ", std::process::id())), "{}", shown[0].1);
        // What has no name is read through the process.
        assert_eq!(std::fs::read_to_string(&shown[2].0).expect("read"), "last words\n");
        assert!(shown[2].1.ends_with(", deleted meanwhile"));
        assert!(logs(&Root::host(), &service, &written, &mut known).is_empty(), "each file once");
    }
}
