//! A directory of code, as far as its times tell what was changed in it. Bounded: a tree of 100,000 files costs what 1,500 do, and
//! it is said that there were more.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use crate::{
    model::Order as _,
    sys::{FileKind, Mounts, Root},
};

/// Names that are looked at in one tree, at most: some 5 ms.
const NAMES: usize = 1_500;
/// Directories within each other that are looked into.
const DEPTH: usize = 5;
/// Directories in which others' code lies, or what the application itself writes while it runs.
const PASSED_OVER: &[&str] = &[
    "node_modules",
    "__pycache__",
    "vendor",
    "venv",
    "env",
    "target",
    "dist-info",
    "site-packages",
    "log",
    "logs",
    "tmp",
    "temp",
    "cache",
    "caches",
    "sessions",
    "session",
    "storage",
    "uploads",
    "upload",
    "media",
    "data",
    "run",
    "spool",
    "backup",
    "backups",
    "bootsnap",
    "shared",
    "proc",
    "sys",
    "dev",
];
/// Ends of names of what a deploy brings: code, templates, settings. What an application writes (logs, databases, uploads) is
/// none of them.
const CODE: &[&str] = &[
    "py",
    "rb",
    "js",
    "mjs",
    "cjs",
    "ts",
    "tsx",
    "jsx",
    "php",
    "phtml",
    "java",
    "jar",
    "war",
    "ear",
    "class",
    "kt",
    "scala",
    "go",
    "rs",
    "c",
    "so",
    "pl",
    "pm",
    "lua",
    "ex",
    "exs",
    "beam",
    "cs",
    "dll",
    "html",
    "htm",
    "tmpl",
    "tpl",
    "twig",
    "jinja",
    "jinja2",
    "j2",
    "erb",
    "haml",
    "slim",
    "css",
    "yml",
    "yaml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "config",
    "env",
    "properties",
    "xml",
    "lock",
    "gradle",
    "ru",
    "rake",
    "sh",
    "wasm",
    "vcl",
    "sql",
    "po",
    "mo",
];
/// The same without such an end.
const NAMED: &[&str] = &[
    "package.json",
    "package-lock.json",
    "composer.json",
    "appsettings.json",
    "config.json",
    "manifest.json",
    "requirements.txt",
    "Gemfile",
    "Procfile",
    "Makefile",
    "Dockerfile",
    "REVISION",
    ".env",
    "VERSION",
];

/// What the times of a tree tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// Files of code, with the time of their modification, the latest first; those ahead of the clock are left out.
    pub(super) files: Vec<(i64, PathBuf)>,
    /// The earliest and latest time at which one of them was put in place, whatever its own time says.
    pub(super) placed: Option<(i64, i64)>,
    /// Files whose time is ahead of the clock.
    pub(super) ahead: usize,
    /// Whether there were more names than are looked at.
    pub(super) cut: bool,
}

/// Looks into a tree.
pub(super) fn read(root: &Root, mounts: &Mounts, dir: &Path, latest: i64) -> Tree {
    let mut tree = Tree::default();
    let mut waiting = VecDeque::from([(dir.to_owned(), 0)]);
    let mut left = NAMES;
    while let Some((dir, depth)) = waiting.pop_front() {
        if left == 0 {
            tree.cut = true;
            break;
        }
        let names = if mounts.answers(&dir) { root.list_at_most(&dir, left + 1).unwrap_or_default() } else { Vec::new() };
        tree.cut |= names.len() > left;
        for name in names.iter().take(left) {
            let Some(text) = name.to_str() else { continue };
            left -= 1;
            let path = dir.join(name);
            let Ok(info) = root.lstat(&path) else { continue };
            match info.kind {
                FileKind::Directory if depth + 1 < DEPTH && !text.starts_with('.') && !PASSED_OVER.contains(&text) => {
                    waiting.push_back((path, depth + 1));
                }
                FileKind::RegularFile if is_code(text) || text.find('.').is_none() && info.mode & 0o111 != 0 => {
                    let placed = tree.placed.get_or_insert((info.changed, info.changed));
                    *placed = (placed.0.min(info.changed), placed.1.max(info.changed));
                    if info.modified > latest {
                        tree.ahead += 1;
                    } else {
                        tree.files.push((info.modified, path));
                    }
                }
                _ => {}
            }
        }
    }
    tree.files.order_by(|a, b| b.cmp(a));
    tree
}

fn is_code(name: &str) -> bool {
    let end = name.rsplit_once('.').map(|(_, end)| end);
    NAMED.contains(&name) || end.is_some_and(|end| CODE.contains(&end.to_ascii_lowercase().as_str()))
}
