//! What is mounted where: mountinfo (proc_pid_mountinfo(5)). Which file systems may be asked how full they are is decided here: asking one
//! whose server is gone never returns.

use std::path::{Path, PathBuf};

use super::Root;

/// File systems that live on this host. Everything else (nfs, cifs, fuse.*, 9p, ceph, ...) may hang.
const LOCAL: [&str; 13] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs", "vfat", "jfs", "bcachefs", "ramfs"];
/// File systems whose server may be gone, and those that mount something when they are asked: even `stat` on them may hang for ever.
const REMOTE: [&str; 15] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "beegfs",
    "gpfs",
    "ocfs2",
    "gfs2",
    "autofs",
    "fuse.sshfs",
];
/// Mounts that are kept of one table: a host of thousands of containers has as many.
const MOUNTS: usize = 4_096;

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is.
    pub point: PathBuf,
    /// What of its file system is seen there: `/` is all of it.
    pub root: PathBuf,
    /// The type of its file system.
    pub kind: String,
    /// Whether the file system itself is read-only, and not only this mount of it.
    pub read_only: bool,
    /// The file system's own options: `rw,memory`.
    pub options: String,
}

impl Mount {
    /// Whether its file system lives on this host, so that asking it does not hang.
    pub fn local(&self) -> bool {
        LOCAL.contains(&self.kind.as_str())
    }
}

/// The mounts that a process sees; those of ours where `pid` is `None`, or the first process's below another root. Unreadable: none.
pub fn mounts(root: &Root, pid: Option<u32>) -> Vec<Mount> {
    let of = |who: &str| root.text(format!("/proc/{who}/mountinfo")).ok();
    let text = match pid {
        Some(pid) => of(&pid.to_string()),
        None => of("self").or_else(|| of("1")),
    };
    parse(&text.unwrap_or_default())
}

/// Whether /proc shows a process only to those who may trace it (proc(5), hidepid=).
pub fn processes_are_hidden() -> bool {
    let hides = |mount: &Mount| mount.options.split(',').any(|option| option.starts_with("hidepid="));
    holder(&mounts(&Root::host(), None), Path::new("/proc")).is_some_and(hides)
}

/// `id parent major:minor root mount options [tags] - type source super-options`.
fn parse(text: &str) -> Vec<Mount> {
    let line = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        let (mut front, mut back) = (front.split(' ').skip(3), back.split(' '));
        let (root, point) = (front.next()?, front.next()?);
        let (kind, _, options) = (back.next()?, back.next()?, back.next().unwrap_or_default());
        Some(Mount {
            point: PathBuf::from(unescape(point)),
            root: PathBuf::from(unescape(root)),
            kind: kind.to_owned(),
            read_only: options.split(',').any(|option| option == "ro"),
            options: options.to_owned(),
        })
    };
    text.lines().filter_map(line).take(MOUNTS).collect()
}

/// The mount that holds a path. Later lines lie over earlier ones: of equal mount points the last counts.
pub fn holder<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_os_str().len())
}

/// Which parts of the tree may hang when they are asked.
#[derive(Debug, Clone, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// As they are now. Below another root nothing is known of them, and what lies there is taken for local.
    pub fn read(root: &Root) -> Self {
        Self(if root.is_host() { mounts(root, None) } else { Vec::new() })
    }

    /// Whether a look at this path ends.
    pub fn answers(&self, path: &Path) -> bool {
        holder(&self.0, path).is_none_or(|mount| {
            let kind = mount.kind.as_str();
            !REMOTE.contains(&kind) && (!kind.starts_with("fuse.") || kind == "fuse.fuse-overlayfs")
        })
    }
}

/// Blank, tab, line end and backslash are octal in mountinfo.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hang_is_known_before_it_is_asked() {
        let dir = tempfile::tempdir().expect("directory");
        assert!(Mounts::read(&Root::below(dir.path())).answers("/srv".as_ref()), "nothing is known of another root");
        let mounts = Mounts(parse("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /srv/data rw - nfs4 srv:/data rw\n"));
        assert!(mounts.answers("/srv/shop".as_ref()) && mounts.answers("/srv/database".as_ref()));
        assert!(!mounts.answers("/srv/data/x".as_ref()));
        assert!(Mounts::read(&Root::host()).answers("/proc".as_ref()));
    }

    #[test]
    fn lines_as_the_kernel_writes_them() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /var/log rw shared:1 - nfs4 srv:/log rw\n\
                    3 1 0:32 /x /tmp\\040x ro,nosuid - tmpfs t rw\n4 1 0:33 / /data rw - xfs /dev/b ro,noquota\nbroken\n5 1 0:34 / /run rw - tmpfs t rw\n\
                    6 1 0:35 / /run rw - fuse.sshfs t rw\n";
        let all = parse(text);
        let held = |path: &str| holder(&all, Path::new(path)).map(|mount| (mount.kind.as_str(), mount.local(), mount.read_only));
        assert_eq!(all.len(), 6);
        assert_eq!(held("/var/log/nginx/error.log"), Some(("nfs4", false, false)));
        assert_eq!(held("/tmp x/y"), Some(("tmpfs", true, false)), "a read-only mount of a file system that is not");
        assert_eq!((&all[2].root, held("/data")), (&PathBuf::from("/x"), Some(("xfs", true, true))));
        assert_eq!(held("/run/app"), Some(("fuse.sshfs", false, false)), "the last of two counts");
        assert_eq!(held("/database"), Some(("ext4", true, false)), "whole components are compared");
        assert_eq!(held("relative"), None);
    }
}
