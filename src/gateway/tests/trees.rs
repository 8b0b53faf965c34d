//! What the tests of all gateways share: trees of files.

use std::path::Path;

use crate::sys::Root;

/// A tree of a distribution below `tests/roots`.
pub(in crate::gateway) fn stock(name: &str) -> Root {
    Root::below(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/roots").join(name))
}

/// A tree with these files.
pub(in crate::gateway) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("temporary directory");
    for (path, text) in files {
        let path = dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("file");
    }
    let root = Root::below(dir.path());
    (dir, root)
}
