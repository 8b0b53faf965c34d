//! How full the file systems are. Only local ones are asked: statvfs on a network file system whose server is gone hangs
//! and can't be killed, so what kind each mount is, is read from mountinfo first.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Root, aside,
    mounts::{holder, mounts},
};

/// How long the look at all of them may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// How full a file system is.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskUse {
    /// Mount point, or whatever path of it was asked for.
    pub mount: String,
    /// Used share in percent, as df counts: of what an ordinary user can have.
    pub used: f32,
    /// Bytes that an ordinary user can still write.
    pub free: u64,
    /// Used share of inodes in percent. `None`: it has no fixed number of them.
    pub inodes: Option<f32>,
}

/// The file systems that hold these paths, each once, without those that are read-only: nobody can fill them. `None`: no answer in
/// time; the caller should ask seldom after that, because the thread that hangs stays.
pub async fn disk_use(root: &Root, paths: &'static [&'static str]) -> Option<Vec<DiskUse>> {
    let root = root.clone();
    let look = aside::aside(move || {
        let all = mounts(&root, None);
        let mut found: Vec<PathBuf> = Vec::new();
        for mount in paths.iter().filter_map(|path| holder(&all, Path::new(path))) {
            if mount.local() && !mount.read_only && !found.contains(&mount.point) {
                found.push(mount.point.clone());
            }
        }
        found.iter().filter_map(|mount| one(&root, mount)).collect()
    });
    tokio::time::timeout(DEADLINE, look).await.ok()?
}

/// How full the file systems at these paths are, in their order; the caller has made sure that they are local ones. `None`: no answer
/// in time.
pub async fn space(root: &Root, paths: Vec<PathBuf>) -> Option<Vec<Option<DiskUse>>> {
    let root = root.clone();
    let look = aside::aside(move || paths.iter().map(|path| one(&root, path)).collect());
    tokio::time::timeout(DEADLINE, look).await.ok()?
}

fn one(root: &Root, mount: &Path) -> Option<DiskUse> {
    let stat = rustix::fs::fstatvfs(root.handle(mount).ok()?).ok()?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let share = |used: u64, all: u64| (all > 0).then(|| used as f32 * 100.0 / all as f32);
    Some(DiskUse {
        mount: mount.to_str()?.to_owned(),
        used: share(used, used.saturating_add(stat.f_bavail))?,
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: share(stat.f_files.saturating_sub(stat.f_ffree), stat.f_files),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_real_root_is_between_empty_and_full() {
        let found = disk_use(&Root::host(), &["/dev/shm", "/", "/tmp"]).await.expect("an answer");
        assert!(found.iter().all(|disk| (0.0..=100.0).contains(&disk.used)), "{found:?}");
        assert!(!found.is_empty());
        let same = space(&Root::host(), vec![PathBuf::from("/nowhere"), PathBuf::from(&found[0].mount)]).await.expect("an answer");
        assert_eq!((same.len(), &same[0], same[1].is_some()), (2, &None, true));
    }
}
