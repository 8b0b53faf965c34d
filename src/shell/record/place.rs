//! Where a recording is kept that nobody named a place for: the state directory (XDG Base Directory Specification) of whoever started
//! the program, also under sudo, and owned by him.
//!
//! Under sudo this is root who writes in a directory that somebody else controls, so no link below that home is followed, and each
//! directory on the way must be his or root's.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File},
    io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{self, AtFlags, FlockOperation, Gid, Mode, OFlags, Uid};

use crate::{model::Order as _, sys::Operator};

/// How recordings begin and end.
const PREFIX: &str = "why502-";
const SUFFIX: &str = ".w502";
/// Bytes that must be free, at least: four times what a recording takes at most.
const FREE: u64 = 256 << 20;
/// The same as a share of the file system, in percent, as long as that is less than [`FREE_AMPLE`].
const FREE_PERCENT: u64 = 3;
/// Bytes that are enough on any file system.
const FREE_AMPLE: u64 = 4 << 30;
/// Bytes that all recordings of one person take together, at most, before the oldest go; and how many there may be.
const ALL_BYTES: u64 = 256 << 20;
const ALL: usize = 50;

/// Who started the program, and where recordings are kept for him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    home: PathBuf,
    /// Directories below it.
    below: Vec<OsString>,
    /// Who is to own what is made, where that is not us: user and group.
    owner: Option<(u32, u32)>,
}

impl Keeper {
    /// That of who started the program. An error says why there is none.
    pub fn of_operator() -> Result<Self, String> {
        Self::of(&Operator::here()?)
    }

    fn of(operator: &Operator) -> Result<Self, String> {
        let (home, below) = operator.state_dir().ok_or("there is no HOME")?;
        Ok(Self { home, below, owner: operator.other })
    }

    /// The directory.
    pub fn dir(&self) -> PathBuf {
        self.below.iter().fold(self.home.clone(), |path, name| path.join(name))
    }

    /// Opens the directory; makes it where it is missing.
    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let Some((uid, gid)) = self.owner else {
            DirBuilder::new().recursive(true).mode(0o700).create(self.dir())?;
            return Ok(fs::open(self.dir(), flags, Mode::empty())?);
        };
        let mut dir = fs::open(&self.home, flags, Mode::empty())?;
        for name in std::iter::once(None).chain(self.below.iter().map(Some)) {
            if let Some(name) = name {
                dir = match fs::openat(&dir, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                    Err(rustix::io::Errno::NOENT) => {
                        fs::mkdirat(&dir, name, Mode::RWXU)?;
                        fs::chownat(&dir, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
                        fs::openat(&dir, name, flags | OFlags::NOFOLLOW, Mode::empty())?
                    }
                    other => other?,
                };
            }
            let owner = fs::fstat(&dir)?.st_uid;
            if owner != uid && owner != 0 {
                return Err(io::Error::other("a directory on the way to it belongs to somebody else"));
            }
        }
        Ok(dir)
    }

    /// A place for a new file of this name. Refused on a file system that is nearly full.
    pub fn shelf(&self, name: &str) -> Result<Shelf, String> {
        let wrong = |error: io::Error| format!("{}: {error}", self.dir().display());
        let dir = self.open().map_err(wrong)?;
        let space = fs::fstatvfs(&dir).map_err(|error| wrong(error.into()))?;
        let (free, all) = (space.f_bavail.saturating_mul(space.f_frsize), space.f_blocks.saturating_mul(space.f_frsize));
        if free < FREE || free < FREE_AMPLE && free < all / 100 * FREE_PERCENT {
            return Err(format!("the file system of {} is nearly full ({} MB free)", self.dir().display(), free >> 20));
        }
        Ok(Shelf { path: self.dir().join(name), dir, name: name.to_owned(), owner: self.owner })
    }

    /// A place for a new recording of this host that begins now. The oldest make room for it.
    pub fn recording(&self, host: &str, at: &str) -> Result<Shelf, String> {
        let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(60).collect();
        let shelf = self.shelf(&format!("{PREFIX}{host}-{at}-{}{SUFFIX}", std::process::id()))?;
        // What cannot be removed is no reason not to record.
        let _ = shelf.make_room();
        Ok(shelf)
    }
}

/// When a recording of ours began, by its name: `20261120T022658Z`.
fn stamp_of(name: &str) -> Option<&str> {
    let inner = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    inner.rsplit('-').nth(1).filter(|stamp| stamp.ends_with('Z'))
}

/// The latest recording that nobody writes to any more.
pub fn newest(keeper: &Keeper) -> io::Result<Option<PathBuf>> {
    let dir = keeper.open()?;
    let mut all = names(&dir)?;
    all.order_by(|a, b| stamp_of(b).cmp(&stamp_of(a)));
    Ok(all.into_iter().find(|name| open_to_write(&dir, name).is_ok()).map(|name| keeper.dir().join(name)))
}

/// The recordings in a directory.
fn names(dir: &OwnedFd) -> io::Result<Vec<String>> {
    let entries = fs::Dir::read_from(dir)?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
    Ok(names.filter(|name| stamp_of(name).is_some()).collect())
}

/// Opens a file for appending, and takes its lock: who has that writes to it.
fn open_to_write(dir: &OwnedFd, name: &str) -> io::Result<File> {
    let file = fs::openat(dir, name, OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::other("another why502 writes to it")),
        // A file system without locks is no reason not to record.
        Ok(()) | Err(_) => Ok(File::from(file)),
    }
}

/// A directory that is open, and the name of a file in it.
#[derive(Debug)]
pub struct Shelf {
    /// The file, for messages.
    pub path: PathBuf,
    dir: OwnedFd,
    name: String,
    owner: Option<(u32, u32)>,
}

impl Shelf {
    /// The place that somebody named.
    pub fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| io::Error::other("it names no file"))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = fs::open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?;
        Ok(Self { path: path.to_owned(), dir, name: name.to_owned(), owner: None })
    }

    /// A new file that only its owner may read.
    fn create_as(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?;
        if let Some((uid, gid)) = self.owner {
            fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        // Tells others that it is in use; where locks are not to be had they have to believe the name.
        let _ = fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(File::from(file))
    }

    /// The file itself, new.
    pub fn create(&self) -> io::Result<File> {
        self.create_as(&self.name)
    }

    /// The file itself, which is there, for appending.
    pub fn open(&self) -> io::Result<File> {
        open_to_write(&self.dir, &self.name)
    }

    /// The file itself, for reading from its beginning.
    pub fn read(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.dir, &self.name, flags, Mode::empty())?))
    }

    fn draft_name(&self) -> String {
        format!("{}.part", self.name)
    }

    /// A file that is to stand in its place.
    pub fn draft(&self) -> io::Result<File> {
        // Of a run that was killed at this very moment.
        let _ = fs::unlinkat(&self.dir, self.draft_name(), AtFlags::empty());
        self.create_as(&self.draft_name())
    }

    /// Puts the draft in its place.
    pub fn replace(&self) -> io::Result<()> {
        Ok(fs::renameat(&self.dir, self.draft_name(), &self.dir, &self.name)?)
    }

    /// Removes the oldest recordings, as long as all together take too much, but none that is being written.
    fn make_room(&self) -> io::Result<()> {
        let mut all: Vec<(String, u64)> = Vec::new();
        for name in names(&self.dir)? {
            let info = fs::statat(&self.dir, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
            all.push((name, u64::try_from(info.st_size).unwrap_or(0)));
        }
        all.order_by(|a, b| stamp_of(&a.0).cmp(&stamp_of(&b.0)));
        let (mut bytes, mut count) = (all.iter().map(|(_, size)| size).sum::<u64>(), all.len());
        for (name, size) in all {
            if bytes <= ALL_BYTES && count < ALL {
                break;
            }
            if open_to_write(&self.dir, &name).is_ok() {
                fs::unlinkat(&self.dir, name.as_str(), AtFlags::empty())?;
                (bytes, count) = (bytes.saturating_sub(size), count - 1);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(root: bool, env: &[(&str, &str)]) -> Result<Keeper, String> {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n";
        let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Keeper::of(&Operator::of(root, find, || passwd.to_owned())?)
    }

    #[test]
    fn it_is_kept_for_whoever_started_it() {
        let of = |root, env: &[(&str, &str)]| keeper(root, env).map(|keeper| (keeper.dir().display().to_string(), keeper.owner));
        let home = ("HOME", "/home/ann");
        assert_eq!(of(false, &[home]), Ok(("/home/ann/.local/state/why502".to_owned(), None)));
        assert_eq!(of(false, &[home, ("XDG_STATE_HOME", "/state")]), Ok(("/state/why502".to_owned(), None)));
        assert_eq!(of(false, &[home, ("XDG_STATE_HOME", "relative")]), Ok(("/home/ann/.local/state/why502".to_owned(), None)));
        let sudo = [("HOME", "/root"), ("SUDO_UID", "1000"), ("SUDO_GID", "100"), ("XDG_STATE_HOME", "/root/x")];
        assert_eq!(of(true, &sudo), Ok(("/home/bob/.local/state/why502".to_owned(), Some((1000, 100)))));
        assert_eq!(of(true, &[("DOAS_USER", "bob")]), Ok(("/home/bob/.local/state/why502".to_owned(), Some((1000, 1000)))));
        assert_eq!(of(true, &[("HOME", "/root"), ("SUDO_UID", "0")]), Ok(("/root/.local/state/why502".to_owned(), None)));
        // Who is not root cannot give a file to anybody.
        assert_eq!(of(false, &[home, ("SUDO_UID", "1000")]), Ok(("/home/ann/.local/state/why502".to_owned(), None)));
        for none in [of(false, &[]), of(false, &[("HOME", "/")]), of(true, &[("HOME", "/root"), ("SUDO_UID", "4242")])] {
            assert!(none.is_err());
        }
    }

    #[test]
    fn no_link_is_followed_in_a_home_that_is_not_ours() {
        let home = tempfile::tempdir().expect("temporary directory");
        let elsewhere = tempfile::tempdir().expect("temporary directory");
        let (uid, gid, _) = crate::sys::ourselves();
        let keeper = Keeper {
            home: home.path().to_owned(),
            below: vec![".local".into(), "state".into(), "why502".into()],
            owner: Some((uid, gid)),
        };
        let shelf = keeper.recording("gw1", "20261120T022658Z").expect("a place");
        shelf.create().expect("a new file");
        assert!(shelf.path.exists());
        std::fs::remove_dir_all(home.path().join(".local/state")).expect("removed");
        std::os::unix::fs::symlink(elsewhere.path(), home.path().join(".local/state")).expect("a link");
        assert!(keeper.recording("gw1", "20261120T022659Z").is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn the_oldest_make_room_and_none_that_is_written() {
        let home = tempfile::tempdir().expect("temporary directory");
        let keeper = Keeper { home: home.path().to_owned(), below: vec!["why502".into()], owner: None };
        let names: Vec<String> = (0..ALL + 5).map(|n| format!("20261120T02{:02}{:02}Z", n / 60, n % 60)).collect();
        // The very first is still written.
        let busy = keeper.recording("gw1", &names[0]).expect("a place");
        let held = busy.create().expect("a new file");
        for name in &names[1..] {
            let shelf = keeper.recording("gw1", name).expect("a place");
            drop(shelf.create().expect("a new file"));
        }
        let left = |name: &str| keeper.dir().join(format!("why502-gw1-{name}-{}.w502", std::process::id())).exists();
        assert!(left(&names[0]) && !left(&names[1]) && left(&names[ALL + 4]));
        assert_eq!(
            newest(&keeper).expect("readable"),
            Some(keeper.dir().join(format!("why502-gw1-{}-{}.w502", names[ALL + 4], std::process::id())))
        );
        drop(held);
    }
}
