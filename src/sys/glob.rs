//! Include patterns, as glob(3) without flags expands them: sorted by byte (gateways don't call setlocale), a leading dot
//! only for a dot, `*`, `?` and `[...]` within one component, `\` before a literal character.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use super::{FileError, Root};
use crate::model::Order as _;

/// Paths that one pattern may give: more vhosts than this on one host is a generator gone wild.
const MATCHES: usize = 10_000;

/// What a pattern gave.
#[derive(Debug, Default)]
pub struct Expansion {
    /// The paths, sorted.
    pub paths: Vec<PathBuf>,
    /// Directories that were listed: a change of theirs may change the expansion.
    pub directories: Vec<PathBuf>,
    /// Directories that could not be listed. glob(3) passes over them in silence.
    pub unreadable: Vec<FileError>,
    /// Whether there were more than [`MATCHES`].
    pub cut: bool,
}

/// Whether a path is a pattern at all (nginx looks for the same three characters).
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// All existing paths that an absolute pattern matches.
pub fn expand(root: &Root, pattern: &Path) -> Expansion {
    let mut out = Expansion { paths: vec![PathBuf::from("/")], ..Expansion::default() };
    for component in pattern.components() {
        let std::path::Component::Normal(part) = component else {
            if component == std::path::Component::ParentDir {
                out.paths.iter_mut().for_each(|path| path.push(".."));
            }
            continue;
        };
        let bytes = part.as_bytes();
        let mut next = Vec::new();
        for dir in std::mem::take(&mut out.paths) {
            if !bytes.iter().any(|byte| b"*?[".contains(byte)) {
                next.push(dir.join(OsString::from_vec(unescaped(bytes))));
                continue;
            }
            match root.list(&dir) {
                Ok(names) => {
                    let fits = |name: &OsString| matches(bytes, name.as_bytes());
                    next.extend(names.into_iter().filter(fits).map(|name| dir.join(name)));
                    out.directories.push(dir);
                }
                Err(error) if error.not_found() => {}
                Err(error) => out.unreadable.push(error),
            }
            if next.len() > MATCHES {
                next.truncate(MATCHES);
                out.cut = true;
                break;
            }
        }
        out.paths = next;
    }
    out.paths.retain(|path| root.lstat(path).is_ok());
    out.paths.order_by(|a, b| OsStr::as_bytes(a.as_os_str()).cmp(b.as_os_str().as_bytes()));
    out
}

fn unescaped(part: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        out.push(if *byte == b'\\' { *bytes.next().unwrap_or(byte) } else { *byte });
    }
    out
}

/// Whether a name fits one component of a pattern. One `*` is retried at a time, so the time is bounded by the product of
/// the lengths, not exponential.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        if let Some(next) = one(&pattern[p..], name[n]) {
            p += next;
            n += 1;
            continue;
        }
        let Some((after, from)) = retry else { return false };
        (p, n) = (after, from + 1);
        retry = Some((after, from + 1));
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many pattern bytes matched this byte of the name.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match (*pattern.first()?, pattern) {
        (b'?', _) => Some(1),
        (b'\\', [_, literal, ..]) => (*literal == byte).then_some(2),
        (b'[', _) => match class(pattern) {
            Some((set, negated, length)) => {
                (set.iter().any(|(low, high)| (*low..=*high).contains(&byte)) != negated).then_some(length)
            }
            // Without its end it stands for itself (glob(7)).
            None => (byte == b'[').then_some(1),
        },
        (literal, _) => (literal == byte).then_some(1),
    }
}

/// A bracket expression: its ranges, whether it is negated, its length.
type Class = (Vec<(u8, u8)>, bool, usize);

/// The ranges of a bracket expression, whether it is negated, and its length.
fn class(pattern: &[u8]) -> Option<Class> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = 1 + usize::from(negated);
    // A `]` right at the begin is a member (glob(7)).
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|byte| *byte == b']')?;
    let (mut at, mut set) = (start, Vec::new());
    while at < end {
        if at + 2 < end && pattern[at + 1] == b'-' {
            set.push((pattern[at], pattern[at + 2]));
            at += 3;
        } else {
            set.push((pattern[at], pattern[at]));
            at += 1;
        }
    }
    Some((set, negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_in_the_shell() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            ("*.conf", "a.conf.bak", false),
            ("*", "x", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[0-9]?-x", "10-x", true),
            ("[!0-9]*", "1a", false),
            ("[]]", "]", true),
            ("[ab", "[ab", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
        let name = vec![b'a'; 250];
        assert!(!matches(&b"*a".repeat(100).into_iter().chain(*b"*b").collect::<Vec<u8>>(), &name));
    }

    #[test]
    fn a_pattern_gives_what_exists_sorted() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for path in ["b/site.conf", "a/site.conf", "a/other", "c/none", ".hidden/site.conf"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(path, "").expect("file");
        }
        let found = expand(&Root::below(dir.path()), Path::new("/*/site.conf"));
        assert_eq!(found.paths, [Path::new("/a/site.conf"), Path::new("/b/site.conf")]);
        assert_eq!(found.directories, [Path::new("/")]);
        assert!(expand(&Root::below(dir.path()), Path::new("/none/*")).paths.is_empty());
    }
}
