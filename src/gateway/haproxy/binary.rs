//! The version of a binary, without running it: it holds `... version 2.6.12-1+deb12u4, released 2026/10/17` for its statistics
//! page (STATS_VERSION_STRING in include/haproxy/version.h).

use std::path::Path;

use memchr::memmem;

use super::super::binaries::Remembered;
use crate::sys::Root;

/// Bytes of a binary that are searched: distribution builds have 3 to 5 MB, static ones with everything 15.
const BINARY_BYTES: u64 = 24 << 20;
/// Bytes of a version at most.
const VERSION_BYTES: usize = 64;

/// A version that is looked for when somebody asks. `None`: nobody tells.
pub type Version<'a> = &'a dyn Fn() -> Option<String>;

/// Versions by binary.
#[derive(Debug, Default)]
pub struct Versions(Remembered<String>);

impl Versions {
    /// The version of the binary at a path. `None`: it can't be read, or does not tell.
    pub fn of(&self, root: &Root, path: &Path) -> Option<String> {
        self.0.of(root, path, || Some(find(&root.read_at_most(path, BINARY_BYTES).ok()?.0)))
    }
}

fn find(bytes: &[u8]) -> Option<String> {
    const BEFORE: &[u8] = b" version ";
    memmem::find_iter(bytes, BEFORE).find_map(|at| {
        let rest = &bytes[at + BEFORE.len()..];
        let rest = &rest[..rest.len().min(VERSION_BYTES)];
        let end = memmem::find(rest, b", released ")?;
        let version = std::str::from_utf8(&rest[..end]).ok()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_between_other_bytes() {
        let text = b"\xff\0no version here\0HAProxy version %s %s\0 version 2.6.12-1+deb12u4, released 2026/10/17\0";
        assert_eq!(find(text).as_deref(), Some("2.6.12-1+deb12u4"));
        assert_eq!(find(b" version x, released y"), None);
        assert_eq!(find(b" version 2.6"), None);
    }
}
