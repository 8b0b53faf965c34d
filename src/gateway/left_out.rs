//! Sites that are written and not loaded: files of `sites-available` to which nothing in `sites-enabled` leads, as Debian's packages of
//! nginx and Apache httpd have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    model::{LEFT_OUT, Place, Setting},
    sys::Root,
};

/// The folder whose files wait to be enabled.
const FOLDER: &str = "sites-available";
/// Files of it that are looked at, and files that are loaded beside which that is worth the look.
const FILES: usize = 200;
const LOADED: usize = 2_000;
/// Bytes of each.
const BYTES: u64 = 64 << 10;
/// Names that are kept.
const NAMES: usize = 500;

/// The names of such sites, as settings of the gateway. `word`: the directive that names a site, in lower case.
pub fn note(
    root: &Root,
    folder: &Path,
    words: &[&str],
    loaded: &[(PathBuf, Option<i64>)],
    settings: &mut BTreeMap<String, Setting>,
) {
    let folder = folder.join(FOLDER);
    let Ok(files) = root.list_at_most(&folder, FILES) else { return };
    if loaded.len() > LOADED {
        return;
    }
    let id = |path: &Path| root.stat(path).ok().map(|info| info.id);
    let known: BTreeSet<(u64, u64)> = loaded.iter().filter_map(|(path, _)| id(path)).collect();
    let mut names = 0;
    for path in files.into_iter().map(|name| folder.join(name)) {
        if id(&path).is_none_or(|id| known.contains(&id)) {
            continue;
        }
        let Ok((bytes, _)) = root.read_at_most(&path, BYTES) else { continue };
        for (line, text) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
            let mut said = text.trim().trim_end_matches(';').split_whitespace();
            if !said.next().is_some_and(|word| words.contains(&word.to_ascii_lowercase().as_str())) {
                continue;
            }
            for name in said.filter(|name| name.contains('.')).map(|name| name.trim_end_matches(';').to_ascii_lowercase()) {
                let at = Some(Place { file: path.clone().into(), line });
                if names < NAMES {
                    names += 1;
                    settings.entry(format!("{LEFT_OUT} {name}")).or_insert(Setting { value: name.as_str().into(), at });
                }
            }
        }
    }
}
