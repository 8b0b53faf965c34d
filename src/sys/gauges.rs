//! How full the file systems are. Only local ones are asked: statvfs on a network file system whose server is gone hangs
//! and can't be killed, so what kind each mount is, is read from mountinfo first.

use std::{path::PathBuf, time::Duration};

use super::Root;

/// File systems that live on this host. Everything else (nfs, cifs, fuse.*, 9p, ceph, ...) may hang.
const LOCAL: [&str; 12] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs", "vfat", "jfs", "bcachefs"];
/// How long the look at all of them may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// How full a file system is.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskUse {
    /// Mount point.
    pub mount: String,
    /// Used share in percent, as df counts: of what an ordinary user can have.
    pub used: f32,
    /// Used share of inodes in percent. `None`: it has no fixed number of them.
    pub inodes: Option<f32>,
}

/// The file systems that hold these paths, each once. `None`: no answer in time; the caller should ask seldom after that,
/// because the thread that hangs stays.
pub async fn disk_use(root: &Root, paths: &'static [&'static str]) -> Option<Vec<DiskUse>> {
    let root = root.clone();
    let look = tokio::task::spawn_blocking(move || {
        let text = root.text("/proc/self/mountinfo").ok()?;
        Some(mounts(&text, paths).into_iter().filter_map(|mount| one(&mount)).collect())
    });
    tokio::time::timeout(DEADLINE, look).await.ok()?.ok()?
}

fn one(mount: &str) -> Option<DiskUse> {
    let stat = rustix::fs::statvfs(mount).ok()?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let share = |used: u64, all: u64| (all > 0).then(|| used as f32 * 100.0 / all as f32);
    Some(DiskUse {
        mount: mount.to_owned(),
        used: share(used, used.saturating_add(stat.f_bavail))?,
        inodes: share(stat.f_files.saturating_sub(stat.f_ffree), stat.f_files),
    })
}

/// The local mounts that hold the paths (proc_pid_mountinfo(5)): `id parent major:minor root mount options [tags] - type ...`.
fn mounts(text: &str, paths: &[&str]) -> Vec<String> {
    let all: Vec<(PathBuf, &str)> = text
        .lines()
        .filter_map(|line| {
            let (front, back) = line.split_once(" - ")?;
            Some((PathBuf::from(unescape(front.split(' ').nth(4)?)), back.split(' ').next()?))
        })
        .collect();
    let mut found: Vec<String> = Vec::new();
    for path in paths {
        // Later lines lie over earlier ones: of equal mount points the last counts.
        let holder =
            all.iter().filter(|(mount, _)| PathBuf::from(path).starts_with(mount)).max_by_key(|(mount, _)| mount.as_os_str().len());
        if let Some((mount, kind)) = holder
            && LOCAL.contains(kind)
            && let Some(mount) = mount.to_str()
            && !found.iter().any(|known| known == mount)
        {
            found.push(mount.to_owned());
        }
    }
    found
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
    fn only_local_mounts_are_asked_and_each_once() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /var/log rw shared:1 - nfs4 srv:/log rw\n3 1 0:31 / /run rw - tmpfs t rw\n\
                    4 1 0:32 / /tmp\\040x rw - tmpfs t rw\n5 1 0:33 / /run rw - fuse.sshfs t rw\nbroken\n";
        assert_eq!(mounts(text, &["/", "/var/log", "/var/lib", "/tmp", "/tmp x/y"]), ["/", "/tmp x"]);
        assert_eq!(mounts(text, &["/run"]), Vec::<String>::new());
        assert_eq!(mounts("", &["/"]), Vec::<String>::new());
    }

    #[tokio::test]
    async fn the_real_root_is_between_empty_and_full() {
        let found = disk_use(&Root::host(), &["/dev/shm", "/", "/tmp"]).await.expect("an answer");
        assert!(found.iter().all(|disk| (0.0..=100.0).contains(&disk.used)), "{found:?}");
        assert!(!found.is_empty());
    }
}
