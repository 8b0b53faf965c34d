//! When what a gateway reads at its start was written.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::sys::{FileKind, Root};

/// Certificates, keys and lists beside the configuration files, at most, and names in one directory of them.
const BESIDE: usize = 1_000;

/// When a file was written, in seconds since the Unix epoch; of a symlink, when it was made, if that is later: who enables a site by
/// a symlink (`a2ensite`) links a file that may be old. `None`: it can't be told.
pub fn written(root: &Root, path: &Path) -> Option<i64> {
    let modified = root.stat(path).ok()?.modified;
    let link = root.lstat(path).ok().filter(|info| info.kind == FileKind::Symlink);
    Some(link.map_or(modified, |link| link.modified.max(modified)))
}

/// Files that are read when the configuration is, and as fixed by it: certificates, keys, lists. A directory stands for the files in it.
pub fn beside(root: &Root, paths: impl IntoIterator<Item = PathBuf>) -> Vec<(PathBuf, Option<i64>)> {
    let mut all = BTreeSet::new();
    for path in paths {
        if all.len() >= BESIDE {
            break;
        }
        if root.stat(&path).is_ok_and(|info| info.kind == FileKind::Directory) {
            let names = root.list(&path).unwrap_or_default();
            all.extend(names.into_iter().take(BESIDE).map(|name| path.join(name)));
        } else {
            all.insert(path);
        }
    }
    all.into_iter().take(BESIDE).map(|path| (written(root, &path), path)).map(|(at, path)| (path, at)).collect()
}
