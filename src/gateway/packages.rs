//! Versions of packages, as the distribution's own files tell: no program is run for it.
//!
//! dpkg(1) and apk(8) keep text. rpm's is a database of its own, and is not read.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex},
};

use memchr::memmem;

use crate::sys::Root;

/// Where the packages are listed, with the beginnings of the lines for name and version.
const LISTS: &[(&str, &str, &str)] = &[("/var/lib/dpkg/status", "Package: ", "Version: "), ("/lib/apk/db/installed", "P:", "V:")];
/// Bytes of a list that are read: that of a desktop with everything has some 8 MB.
const LIST_BYTES: u64 = 32 << 20;
/// Versions that are remembered.
const REMEMBERED: usize = 64;

/// A list, its time of modification and the package.
type Key = (PathBuf, i64, String);

/// The upstream version of an installed package: `2.6.2` of `1:2.6.2-5+b3`.
pub fn version(root: &Root, package: &str) -> Option<String> {
    static KNOWN: LazyLock<Mutex<BTreeMap<Key, Option<String>>>> = LazyLock::new(Mutex::default);
    LISTS.iter().find_map(|(path, name, version)| {
        let modified = root.stat(Path::new(path)).ok()?.modified;
        // Below another root the same path is another file.
        if !root.is_host() {
            return look(root, path, name, version, package);
        }
        let key = (PathBuf::from(path), modified, package.to_owned());
        if let Some(known) = KNOWN.lock().ok()?.get(&key) {
            return known.clone();
        }
        let found = look(root, path, name, version, package);
        let mut known = KNOWN.lock().ok()?;
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, found.clone());
        found
    })
}

fn look(root: &Root, path: &str, name: &str, version: &str, package: &str) -> Option<String> {
    let mut list = root.open(Path::new(path)).ok()?.take(LIST_BYTES);
    let begin = sought(&mut list, format!("{name}{package}\n").as_bytes())?;
    let mut lines = BufReader::new(begin.chain(list));
    let (mut line, mut within) = (Vec::new(), false);
    while lines.read_until(b'\n', &mut line).ok()? > 0 {
        let text = line.trim_ascii_end();
        if let Some(found) = text.strip_prefix(name.as_bytes()) {
            within = found == package.as_bytes();
        } else if let Some(found) = text.strip_prefix(version.as_bytes()).filter(|_| within) {
            return Some(upstream(&String::from_utf8_lossy(found)));
        }
        line.clear();
    }
    None
}

/// Reads up to a line, with its end, and gives what was read from its begin on. `None`: there is no such line. A list has a hundred
/// thousand lines, and one of them is asked for.
fn sought(list: &mut impl Read, line: &[u8]) -> Option<io::Cursor<Vec<u8>>> {
    /// Bytes that are read at once.
    const PIECE: usize = 64 << 10;
    let finder = memmem::Finder::new(line);
    // As behind the end of a line.
    let mut text = vec![b'\n'];
    loop {
        let known = text.len();
        text.resize(known + PIECE, 0);
        let read = match list.read(&mut text[known..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                text.truncate(known);
                continue;
            }
            read => read.ok()?,
        };
        text.truncate(known + read);
        if read == 0 {
            // The last line may lack its end, and then nothing stands behind it.
            return None;
        }
        if let Some(at) = finder.find_iter(&text).find(|at| at.checked_sub(1).is_some_and(|before| text[before] == b'\n')) {
            text.drain(..at);
            return Some(io::Cursor::new(text));
        }
        // What stands across the end of a piece begins within so many bytes of it.
        text.drain(..text.len().saturating_sub(line.len() + 1));
    }
}

/// Without the epoch and the distribution's own revision (deb-version(7)).
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let end = version.find(['-', '+', '~']).unwrap_or(version.len());
    version[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_lists_of_both() {
        for (path, text) in [
            (
                "var/lib/dpkg/status",
                "Package: caddy-doc\nVersion: 9\n\nPackage: caddy\nStatus: install ok installed\nVersion: 1:2.6.2-5+b3\n",
            ),
            ("lib/apk/db/installed", "C:x\nP:caddy\nV:2.6.2-r4\n\nP:other\nV:1\n"),
        ] {
            let dir = tempfile::tempdir().expect("directory");
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
            std::fs::write(path, text).expect("file");
            let root = Root::below(dir.path());
            assert_eq!(version(&root, "caddy").as_deref(), Some("2.6.2"));
            assert_eq!(version(&root, "nginx"), None);
        }
    }

    #[test]
    fn a_package_is_found_wherever_the_pieces_of_a_list_end() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("var/lib/dpkg/status");
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        let root = Root::below(dir.path());
        let (piece, wanted) = (64 << 10, "Package: caddy\nVersion: 7\n");
        for before in (piece - wanted.len() - 2..piece + 2).chain([0, 1, 3 * piece - 4]) {
            // A description may quote such a line.
            let mut text = " Package: caddy\n".repeat(before.div_ceil(16));
            text.truncate(before);
            let text = if before == 0 { wanted.to_owned() } else { format!("{text}\n{wanted}") };
            std::fs::write(&path, text).expect("file");
            assert_eq!(version(&root, "caddy").as_deref(), Some("7"), "{before}");
            assert_eq!(version(&root, "cadd"), None, "{before}");
        }
    }
}
