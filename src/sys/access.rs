//! Who may reach a file, and what keeps him from it: the facts that a remedy is made of, and the answer for a socket of the
//! gateway. One walk for all.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use super::{FileError, FileInfo, FileKind, Root, identity::ourselves};
use crate::model::Identity;

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

/// Somebody, as the file system knows him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Effective user.
    pub uid: u32,
    /// Effective and supplementary groups.
    pub groups: Vec<u32>,
}

/// As whom this process acts.
pub fn own_ids() -> Ids {
    let (uid, gid, mut groups) = ourselves();
    groups.push(gid);
    Ids { uid, groups }
}

impl From<&Identity> for Ids {
    fn from(identity: &Identity) -> Self {
        Self { uid: identity.uid, groups: identity.groups.iter().copied().chain([identity.gid]).collect() }
    }
}

impl Ids {
    /// Whether the permission bits give this bit (4 read, 2 write, 1 search): exactly one class holds, the first that fits, even
    /// when a later one would allow more (path_resolution(7)). Root passes (capabilities(7): CAP_DAC_OVERRIDE).
    fn may(&self, info: &FileInfo, bit: u32) -> bool {
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

/// Symlinks followed at most (path_resolution(7)).
const SYMLINKS: usize = 40;
/// The right to pass through a directory.
pub const SEARCH: u32 = 1;
/// The right to write; on a unix socket, to connect (unix(7)).
pub const WRITE: u32 = 2;
/// The right to read.
const READ: u32 = 4;

/// The first part of a path that keeps somebody out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The directory or file.
    pub path: PathBuf,
    /// Whether it is a directory on the way.
    pub directory: bool,
    /// Its owner, group and bits.
    pub info: FileInfo,
    /// The entry of its access control list that decides, where it has one.
    pub acl: Option<String>,
}

/// Where a walk ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// A part does not exist.
    Missing(PathBuf),
    /// A part on the way is no directory.
    NoDirectory(PathBuf),
    /// More symlinks than the kernel follows.
    Loop,
    /// Somebody lacks a right there.
    Denied(Box<Obstacle>),
    /// We may not look there ourselves: nothing is known of anybody's rights.
    Unseen(FileError),
}

/// Walks a path part by part as somebody, through symlinks, by permission bits and access control lists: what is at its end, if
/// he has this right on it. A directory needs none but to be passed through.
pub fn walk(root: &Root, ids: &Ids, path: &Path, right: u32) -> Result<(PathBuf, FileInfo), Stop> {
    walk_seen(root, ids, path, right, &mut |_, _| {})
}

/// [`walk`], which tells each part that it comes to, also the one that keeps him out.
pub fn walk_seen(
    root: &Root,
    ids: &Ids,
    path: &Path,
    right: u32,
    seen: &mut dyn FnMut(&Path, &FileInfo),
) -> Result<(PathBuf, FileInfo), Stop> {
    let mut here = PathBuf::from("/");
    let mut rest = names(path);
    let mut links = 0;
    let mut info = look(root, &here)?;
    seen(&here, &info);
    check(root, ids, &here, &info, SEARCH)?;
    while let Some(name) = rest.pop() {
        if name == ".." {
            here.pop();
            info = look(root, &here)?;
            continue;
        }
        let next = here.join(&name);
        info = look(root, &next)?;
        match info.kind {
            FileKind::Symlink => {
                links += 1;
                if links > SYMLINKS {
                    return Err(Stop::Loop);
                }
                let target = root.readlink(&next).map_err(Stop::Unseen)?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                rest.extend(names(&target));
            }
            FileKind::Directory => {
                here = next;
                seen(&here, &info);
                check(root, ids, &here, &info, SEARCH)?;
            }
            _ if rest.is_empty() => {
                seen(&next, &info);
                check(root, ids, &next, &info, right)?;
                return Ok((next, info));
            }
            _ => return Err(Stop::NoDirectory(next)),
        }
    }
    Ok((here, info))
}

/// The names of a path, last first.
fn names(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

fn look(root: &Root, path: &Path) -> Result<FileInfo, Stop> {
    root.lstat(path).map_err(|error| if error.not_found() { Stop::Missing(path.to_owned()) } else { Stop::Unseen(error) })
}

/// Whether somebody has this right there.
fn check(root: &Root, ids: &Ids, path: &Path, info: &FileInfo, right: u32) -> Result<(), Stop> {
    if ids.uid == 0 {
        return Ok(());
    }
    let ruling = root.acl(path).map(|acl| acl.rules((info.uid, info.gid), ids.uid, &ids.groups, right));
    if ruling.as_ref().map_or_else(|| ids.may(info, right), |ruling| ruling.given) {
        return Ok(());
    }
    let directory = info.kind == FileKind::Directory;
    Err(Stop::Denied(Box::new(Obstacle { path: path.to_owned(), directory, info: *info, acl: ruling.map(|ruling| ruling.entry) })))
}

/// What keeps somebody from reading a file. `None`: neither its permission bits nor its list (a security module, a capability).
pub fn obstacle(root: &Root, ids: &Ids, path: &Path) -> Option<Obstacle> {
    match walk(root, ids, path, READ) {
        Err(Stop::Denied(obstacle)) => Some(*obstacle),
        Ok(_) | Err(Stop::Missing(_) | Stop::NoDirectory(_) | Stop::Loop | Stop::Unseen(_)) => None,
    }
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
        let stranger = Ids { uid: 54_321, groups: vec![54_321] };
        let found = obstacle(&root, &stranger, path).expect("obstacle");
        assert_eq!((found.path.as_path(), found.directory), (path, false));
        let member = Ids { groups: vec![54_321, found.info.gid], ..stranger.clone() };
        assert_eq!(obstacle(&root, &member, path), None);
        mode(log.parent().expect("parent"), 0o700);
        let found = obstacle(&root, &stranger, path).expect("obstacle");
        assert_eq!((found.path.as_path(), found.directory), (Path::new("/var/log/app"), true));
        assert_eq!(Groups::read(&root).name(4), Some("adm"));
        assert_eq!(Groups::read(&root).name(5), None);
    }
}
