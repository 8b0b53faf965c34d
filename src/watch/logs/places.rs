//! The names that decide which file a path leads to: its own, and each symlink on the way, in any of its directories.

use std::{
    collections::VecDeque,
    path::{Component, Path, PathBuf},
};

use crate::sys::Root;

/// Symlinks that are followed, at most.
const LINKS: usize = 16;

/// The names in which something changes when another file comes to lie at the end of this path.
pub(super) fn places(root: &Root, path: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let mut links = 0;
    let mut here = PathBuf::from("/");
    let mut rest: VecDeque<_> = parts(path).collect();
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let name = here.join(&part);
        match root.readlink(&name).ok().filter(|_| links < LINKS) {
            Some(target) => {
                links += 1;
                names.push(name);
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).rev() {
                    rest.push_front(part);
                }
            }
            None => here = name,
        }
    }
    names.push(here);
    // /dev and /proc change all the time, and no log lives there.
    names.retain(|name| !name.starts_with("/dev") && !name.starts_with("/proc"));
    names
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = std::ffi::OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_a_place() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("releases/1/log")).expect("directory");
        symlink("releases/1", at("current")).expect("symlink");
        symlink("today.log", at("releases/1/log/app.log")).expect("symlink");
        assert_eq!(
            places(&Root::host(), &at("current/log/app.log")),
            [at("current"), at("releases/1/log/app.log"), at("releases/1/log/today.log")]
        );
        symlink("loop", at("loop")).expect("symlink");
        assert!(places(&Root::host(), &at("loop")).len() <= LINKS + 1);
        assert_eq!(places(&Root::host(), Path::new("/dev/null")), Vec::<PathBuf>::new());
    }
}
