//! By what it is known that a gateway's own test would say the same again: the binary, how it was started, and the files that it reads.
//!
//! What must not be here: the test itself, and for how long its result holds.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use crate::{
    model::{Gateway, RunState},
    sys::{FileInfo, FileKind, Root},
};

/// Bytes of all configuration files together that are looked through for the names of other files. The test of a larger one is made each
/// time.
const TEXT_BYTES: u64 = 4 << 20;
/// Other files, at most: as above.
const FILES: usize = 2_000;
/// Characters of a name (PATH_MAX, limits.h).
const NAME: usize = 4_095;
/// Files that decide about names, users and modules whatever a configuration says (nsswitch.conf(5), resolv.conf(5), hosts(5)).
const OF_HOST: &[&str] = &["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group"];
/// Where files are written while nobody changes a setting.
const BUSY: &[&str] = &["/var/log", "/run", "/var/run", "/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/var/cache"];
/// Seconds within which a second write may leave no trace in the times of a file.
const RACY_S: i64 = 2;

/// The fingerprint. `None`: it cannot be told whether something changes.
pub fn of(root: &Root, gateway: &Gateway, now_s: i64) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let own = (env!("CARGO_PKG_VERSION"), &gateway.kind, &gateway.version, &gateway.config, gateway.commands.get("self-test"));
    own.hash(&mut hasher);
    let image = match gateway.state {
        RunState::Running { pid, .. } => {
            // Its environment and its view of the files are those of this process.
            let stat = root.text(format!("/proc/{pid}/stat")).ok()?;
            let started = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?;
            (pid, started).hash(&mut hasher);
            PathBuf::from(format!("/proc/{pid}/exe"))
        }
        RunState::Stopped { .. } => gateway.binary.clone()?,
    };
    // A process that was started a moment ago is no file that was written a moment ago.
    keep(&mut hasher, &root.stat(&image).ok()?);
    let own: BTreeSet<&PathBuf> = gateway.files.iter().map(|(path, _)| path).chain(&gateway.per_request).collect();
    let mut left = TEXT_BYTES;
    let mut named = BTreeSet::new();
    let dir = gateway.config.parent()?;
    let read = gateway.files.iter().map(|(path, _)| path).chain(&gateway.per_request);
    for path in read {
        match root.stat(path) {
            Ok(info) => {
                left = left.checked_sub(info.size)?;
                let (text, _) = root.read_at_most(path, TEXT_BYTES).ok()?;
                names(&String::from_utf8_lossy(&text), dir, &mut named);
            }
            Err(error) if error.not_found() => {}
            Err(_) => return None,
        }
        named.insert(path.clone());
        // What an include pattern names may come and go.
        named.extend(path.parent().map(Path::to_owned));
    }
    named.extend(OF_HOST.iter().map(PathBuf::from));
    if named.len() > FILES {
        return None;
    }
    for path in &named {
        path.hash(&mut hasher);
        match root.stat(path) {
            Ok(info) => {
                let elsewhere = BUSY.iter().any(|dir| path.starts_with(dir)) || gateway.logs.iter().any(|log| log.path == *path);
                // A configuration is one wherever it lies.
                let busy = elsewhere && !own.contains(&path);
                if busy {
                    (info.id, info.mode, info.uid, info.gid).hash(&mut hasher);
                    continue;
                }
                if now_s.saturating_sub(info.modified.max(info.changed)) < RACY_S {
                    return None;
                }
                keep(&mut hasher, &info);
            }
            Err(error) if error.not_found() => 0_u8.hash(&mut hasher),
            Err(_) => return None,
        }
    }
    Some(hasher.finish())
}

fn keep(hasher: &mut DefaultHasher, info: &FileInfo) {
    (info.id, info.mode, info.uid, info.gid).hash(hasher);
    // What lies in a directory changes its times; how many bytes it has is the file system's business.
    let size = if info.kind == FileKind::Directory { 0 } else { info.size };
    (size, info.modified, info.modified_ns, info.changed).hash(hasher);
}

/// The words of a configuration that may be names of files: absolute ones, and those that lie beside it.
fn names(text: &str, dir: &Path, found: &mut BTreeSet<PathBuf>) {
    let ends = |c: char| c.is_whitespace() || ";\"'{}(),=<>|".contains(c);
    for word in text.split(ends).filter(|word| word.len() <= NAME && word.contains(['/', '.'])) {
        if found.len() > FILES {
            return;
        }
        let path = Path::new(word.strip_prefix("file:").unwrap_or(word));
        // A variable stands for a name that is not known here; a URL is none.
        if word.contains('$') || word.contains("://") {
            continue;
        }
        found.insert(if path.is_absolute() { path.to_owned() } else { dir.join(path) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second in which no file of the tests was written.
    fn later() -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        i64::try_from(now.as_secs()).expect("small") + 60
    }

    #[test]
    fn a_change_of_any_file_that_is_read_is_another_fingerprint() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |path: &str| dir.path().join(path.trim_start_matches('/'));
        for path in ["etc/nginx/conf.d", "etc/ssl", "usr/sbin", "var/log/nginx"] {
            std::fs::create_dir_all(at(path)).expect("directory");
        }
        let write = |path: &str, text: &str| std::fs::write(at(path), text).expect("file");
        write("/etc/nginx/nginx.conf", "ssl_certificate /etc/ssl/a.pem; include mime.types; access_log /var/log/nginx/a.log;");
        for path in ["/etc/nginx/mime.types", "/etc/ssl/a.pem", "/usr/sbin/nginx", "/var/log/nginx/a.log", "/etc/hosts"] {
            write(path, "x");
        }
        let root = Root::below(dir.path());
        let mut gateway = Gateway::new("nginx", "/etc/nginx/nginx.conf", RunState::Stopped { why_expected: "a unit".to_owned() });
        gateway.binary = Some("/usr/sbin/nginx".into());
        gateway.files = vec![("/etc/nginx/nginx.conf".into(), None)];
        let print = |gateway: &Gateway| of(&root, gateway, later()).expect("a fingerprint");
        let mut last = print(&gateway);
        assert_eq!(print(&gateway), last, "the same of the same");
        write("/var/log/nginx/a.log", "a line more");
        assert_eq!(print(&gateway), last, "a log is written all the time");
        for path in ["/etc/nginx/nginx.conf", "/etc/nginx/mime.types", "/etc/ssl/a.pem", "/usr/sbin/nginx", "/etc/hosts"] {
            let old = std::fs::read_to_string(at(path)).expect("text");
            write(path, &format!("{old} # more"));
            let next = print(&gateway);
            assert_ne!(next, last, "{path}");
            last = next;
        }
        write("/etc/nginx/one-more.conf", "");
        assert_ne!(print(&gateway), last, "a pattern may name it");
        last = print(&gateway);
        std::fs::remove_file(at("/etc/ssl/a.pem")).expect("removed");
        assert_ne!(print(&gateway), last);
        gateway.version = Some("1.29.0".to_owned());
        let newer = print(&gateway);
        std::fs::remove_file(at("/usr/sbin/nginx")).expect("removed");
        assert_eq!(of(&root, &gateway, later()), None, "what is not there makes no test");
        assert_ne!(newer, last);
        write("/usr/sbin/nginx", "y");
        assert_eq!(of(&root, &gateway, later() - 60), None, "what was written within this second may be written again");
    }
}
