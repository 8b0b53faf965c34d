//! The walk over a path inside a root: one directory descriptor for each component.

use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
};

use super::Root;
use crate::sys::peek;

/// Symlinks followed in one path at most: Linux's own limit (path_resolution(7)).
const SYMLINKS: u32 = 40;

impl Root {
    /// The directory that holds the last component, and its name; no name: the path is the directory itself.
    pub(super) fn walk(&self, path: &Path, follow_last: bool) -> Result<(OwnedFd, Option<std::ffi::OsString>), Errno> {
        let dir_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let start = match &self.process {
            Some(process) => peek::root(&process.dir).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?,
            None => fs::open(self.path.as_path(), dir_flags, Mode::empty())?,
        };
        let mut dirs = vec![start];
        let mut rest: Vec<std::ffi::OsString> = components(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let here = dirs.last().ok_or(Errno::NOENT)?;
            if part == ".." {
                if dirs.len() > 1 {
                    dirs.pop();
                }
                continue;
            }
            let last = rest.is_empty();
            if !last || follow_last {
                match fs::readlinkat(here, &*part, Vec::new()) {
                    Ok(target) => {
                        links += 1;
                        if links > SYMLINKS {
                            return Err(Errno::LOOP);
                        }
                        let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
                        if target.is_absolute() {
                            dirs.truncate(1);
                        }
                        rest.extend(components(&target));
                        continue;
                    }
                    Err(Errno::INVAL) => {} // no symlink
                    Err(Errno::NOENT) if last => return Ok((dirs.pop().ok_or(Errno::NOENT)?, Some(part))),
                    Err(error) => return Err(error),
                }
            }
            if last {
                return Ok((dirs.pop().ok_or(Errno::NOENT)?, Some(part)));
            }
            let next = fs::openat(here, &*part, dir_flags | OFlags::NOFOLLOW, Mode::empty())?;
            dirs.push(next);
        }
        Ok((dirs.pop().ok_or(Errno::NOENT)?, None))
    }
}

/// The names of a path, last first, without `.` and the root.
fn components(path: &Path) -> Vec<std::ffi::OsString> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}
