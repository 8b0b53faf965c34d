//! As whom we look, and what keeps us from a file: the facts that a remedy is made of.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use super::{FileInfo, FileKind, Root, identity::ourselves};

/// Names of groups, from the group file below the root, for the same reason as [`Users`](super::Users).
#[derive(Debug, Clone, Default)]
pub struct Groups(BTreeMap<u32, String>);

impl Groups {
    /// Reads `/etc/group`; an unreadable one gives no names.
    pub fn read(root: &Root) -> Self {
        let text = root.text("/etc/group").unwrap_or_default();
        let group = |line: &str| {
            let mut fields = line.split(':');
            Some((fields.nth(1).and_then(|_| fields.next())?.parse().ok()?, line.split(':').next()?.to_owned()))
        };
        Self(text.lines().filter_map(group).collect())
    }

    /// The name of a group id.
    pub fn name(&self, gid: u32) -> Option<&str> {
        self.0.get(&gid).map(String::as_str)
    }
}

/// Our own effective ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnIds {
    /// Effective user.
    pub uid: u32,
    /// Effective and supplementary groups.
    pub groups: Vec<u32>,
}

/// As whom this process acts.
pub fn own_ids() -> OwnIds {
    let (uid, gid, mut groups) = ourselves();
    groups.push(gid);
    OwnIds { uid, groups }
}

impl OwnIds {
    /// Whether the permission bits give this bit (4 read, 1 search): the class is the first that fits (path_resolution(7)).
    pub fn may(&self, info: &FileInfo, bit: u32) -> bool {
        let shift = if self.uid == 0 {
            return true;
        } else if info.uid == self.uid {
            6
        } else if self.groups.contains(&info.gid) {
            3
        } else {
            0
        };
        (info.mode >> shift) & bit == bit
    }
}

/// The first part of a path whose permission bits keep us out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The directory or file.
    pub path: PathBuf,
    /// Whether it is a directory on the way.
    pub directory: bool,
    /// Its owner, group and bits.
    pub info: FileInfo,
}

/// What keeps these ids from reading a file. `None`: not the permission bits (an ACL, a security module, a capability).
pub fn obstacle(root: &Root, ids: &OwnIds, path: &Path) -> Option<Obstacle> {
    let mut here = PathBuf::new();
    for part in path.components() {
        here.push(match part {
            Component::Prefix(_) | Component::CurDir => continue,
            Component::RootDir => Component::RootDir,
            Component::ParentDir => Component::ParentDir,
            Component::Normal(name) => Component::Normal(name),
        });
        let info = root.stat(&here).ok()?;
        let directory = info.kind == FileKind::Directory;
        if !ids.may(&info, if directory { 1 } else { 4 }) {
            return Some(Obstacle { path: here, directory, info });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_part_that_keeps_a_stranger_out_is_named() {
        let dir = tempfile::tempdir().expect("directory");
        let log = dir.path().join("var/log/app/error.log");
        std::fs::create_dir_all(log.parent().expect("parent")).expect("directories");
        std::fs::create_dir_all(dir.path().join("etc")).expect("directory");
        std::fs::write(dir.path().join("etc/group"), "root:x:0:\nadm:x:4:syslog\nbroken\n").expect("file");
        std::fs::write(&log, "").expect("file");
        let mode = |path: &Path, bits| std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).expect("mode");
        mode(&log, 0o640);
        let root = Root::below(dir.path());
        let path = Path::new("/var/log/app/error.log");
        let stranger = OwnIds { uid: 54_321, groups: vec![54_321] };
        let found = obstacle(&root, &stranger, path).expect("obstacle");
        assert_eq!((found.path.as_path(), found.directory), (path, false));
        let member = OwnIds { groups: vec![54_321, found.info.gid], ..stranger.clone() };
        assert_eq!(obstacle(&root, &member, path), None);
        mode(log.parent().expect("parent"), 0o700);
        let found = obstacle(&root, &stranger, path).expect("obstacle");
        assert_eq!((found.path.as_path(), found.directory), (Path::new("/var/log/app"), true));
        assert_eq!(Groups::read(&root).name(4), Some("adm"));
        assert_eq!(Groups::read(&root).name(5), None);
    }
}
