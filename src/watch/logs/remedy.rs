//! What is in the way of a log, in words, and the least that would move it.

use std::path::{Path, PathBuf};

use super::follow::Sight;
use crate::{
    model::{BlindSpot, Command, LogSource, SourceKind},
    sys::{Groups, Ids, Obstacle, Root, Sys, Users, obstacle, own_ids},
};

/// Symlinks that are followed to find a standard stream, at most.
const LINKS: usize = 8;

/// The blind spot of a log that is so. `None`: it is seen, or its absence says nothing.
pub(super) fn of(sys: &Sys, source: &LogSource, sight: &Sight) -> Option<BlindSpot> {
    let (reason, remedy) = match sight {
        Sight::Open => return None,
        Sight::Missing => match source.kind {
            SourceKind::Error => {
                ("it does not exist".to_owned(), "nothing has been written yet, or the path is wrong; it is waited for".to_owned())
            }
            // A site that nobody asked for has no access log; that hides nothing.
            SourceKind::Access | SourceKind::App | SourceKind::Kernel => return None,
        },
        Sight::Denied => denied(sys, &own_ids(), &source.path),
        Sight::Stream => (
            "it goes to the gateway's standard output or error".to_owned(),
            "look where that goes: docker logs, kubectl logs, or journalctl -u".to_owned(),
        ),
        Sight::Other(reason) => (reason.clone(), "look at what is there: ls -l, and at the path in the configuration".to_owned()),
    };
    Some(BlindSpot { source: source.id(), reason, remedy })
}

/// The blind spot of a log that gave no answer in time.
pub(super) fn silent(path: &Path) -> BlindSpot {
    BlindSpot {
        source: path.display().to_string(),
        reason: "its file system does not answer".to_owned(),
        remedy: "look whether the mount hangs; it is waited for".to_owned(),
    }
}

/// Why permission was denied, and who would have it.
fn denied(sys: &Sys, ids: &Ids, path: &Path) -> (String, String) {
    const AS_ROOT: &str = "run it as root: sudo why502";
    let Some(Obstacle { path, directory, info, acl }) = obstacle(&sys.root, ids, path) else {
        let reason = "permission denied, though its permission bits allow it: an access control list or a security module";
        return (reason.to_owned(), AS_ROOT.to_owned());
    };
    let owner = Users::read(&sys.root).name(info.uid);
    let groups = Groups::read(&sys.root);
    let group = groups.name(info.gid).map_or_else(|| info.gid.to_string(), str::to_owned);
    let what = if directory { format!("may not enter {}", path.display()) } else { "may not read it".to_owned() };
    let reason = format!(
        "{what}: mode {:04o}, owner {owner}, group {group}{}",
        info.mode,
        acl.as_ref().map_or_else(String::new, |entry| format!(", its list says {entry}"))
    );
    // A group that may is a smaller right than root; root's own group and one without a name are none to be added to.
    let bit = if directory { 0o010 } else { 0o040 };
    let joinable = sys.root.is_host() && acl.is_none() && info.mode & bit != 0 && info.gid != 0 && groups.name(info.gid).is_some();
    let command =
        joinable.then(|| Command::new(["sudo", "usermod", "-aG", &group, &Users::read(&sys.root).name(ids.uid)])).flatten();
    let remedy = command
        .map_or_else(|| AS_ROOT.to_owned(), |command| format!("add yourself to group {group}: {command}, then log in again"));
    (reason, remedy)
}

/// Whether a path leads to the standard output or error of whoever opens it, as in the official images of nginx
/// (`access.log -> /dev/stdout`): opened by us, it would be our own terminal.
pub(super) fn is_stream(root: &Root, path: &Path) -> bool {
    let mut here: PathBuf = path.to_owned();
    for _ in 0..LINKS {
        let own = ["/dev/stdout", "/dev/stderr", "/dev/stdin"].iter().any(|stream| here == Path::new(stream));
        if own || here.starts_with("/dev/fd") || here.starts_with("/proc/self") {
            return true;
        }
        match (root.readlink(&here), here.parent()) {
            (Ok(target), Some(parent)) => here = parent.join(target),
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_smallest_right_is_named() {
        let dir = tempfile::tempdir().expect("directory");
        let log = dir.path().join("error.log");
        std::fs::write(&log, "").expect("file");
        let mode = |path: &Path, bits| std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).expect("mode");
        // Anyone may enter the directory that tempfile keeps private.
        mode(dir.path(), 0o755);
        let sys = Sys::new(Root::host(), false);
        // Group 4 is adm on Debian and its kin; the test makes no use of a group that this host does not have.
        let Some(group) = Groups::read(&Root::host()).name(4).map(str::to_owned) else {
            return;
        };
        if std::os::unix::fs::chown(&log, None, Some(4)).is_err() {
            return;
        }
        mode(&log, 0o640);
        let stranger = Ids { uid: 54_321, groups: vec![54_321] };
        let (reason, remedy) = denied(&sys, &stranger, &log);
        assert!(reason.contains("mode 0640") && reason.contains(&group), "{reason}");
        assert_eq!(remedy, format!("add yourself to group {group}: sudo usermod -aG {group} 54321, then log in again"));
        mode(&log, 0o600);
        assert_eq!(denied(&sys, &stranger, &log).1, "run it as root: sudo why502");
        mode(dir.path(), 0o700);
        let (reason, _) = denied(&sys, &stranger, &log);
        assert!(reason.starts_with(&format!("may not enter {}", dir.path().display())), "{reason}");
    }

    #[test]
    fn a_containers_log_is_not_our_own_terminal() {
        let dir = tempfile::tempdir().expect("directory");
        symlink("/dev/stdout", dir.path().join("access.log")).expect("symlink");
        symlink("access.log", dir.path().join("other.log")).expect("symlink");
        symlink("loop", dir.path().join("loop")).expect("symlink");
        std::fs::write(dir.path().join("plain.log"), "").expect("file");
        let stream = |name: &str| is_stream(&Root::host(), &dir.path().join(name));
        assert!(stream("access.log") && stream("other.log"));
        assert!(!stream("plain.log") && !stream("loop") && !stream("none"));
    }
}
