//! The catalogue: what the program was built with, and what a team added to it in `/etc/why502` or a person in `~/.config/why502`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    catalog::{Catalog, OwnFile},
    diagnose,
    model::{BlindSpot, text},
    sys::{Operator, Root},
};

/// What a team shares; what a person has comes later and stands in for it.
const SHARED: &str = "/etc/why502";
/// Folders in which knowledge is.
const FOLDERS: [&str; 3] = ["signatures", "causes", "playbook"];
/// Files that are read in one folder.
const FILES: usize = 64;
/// Bytes of one file: many times what the program's own largest has.
const FILE_BYTES: u64 = 1 << 20;

/// The catalogue, and what of a person's own files could not be used, each with file, line and reason.
pub fn catalog() -> anyhow::Result<(Catalog, Vec<BlindSpot>)> {
    let own = Operator::here().ok().and_then(|operator| operator.config_dir());
    let dirs = std::iter::once(PathBuf::from(SHARED)).chain(own);
    let mut blind = Vec::new();
    let root = Root::host();
    let files: Vec<OwnFile> = dirs.flat_map(|dir| files(&root, &dir, &mut blind)).collect();
    let (catalog, errors) = Catalog::with_own(&files, diagnose::fact_names)?;
    blind.extend(errors.into_iter().map(|error| unused(error.file, error.problem)));
    Ok((catalog, blind))
}

/// The same for what prints to a terminal or a pipe: what could not be used goes to the standard error.
pub fn told() -> anyhow::Result<Catalog> {
    let (catalog, blind) = catalog()?;
    for spot in blind {
        writeln!(io::stderr().lock(), "{}", text::printable(&format!("{}: {}", spot.source, spot.reason)))?;
    }
    Ok(catalog)
}

fn unused(source: String, reason: String) -> BlindSpot {
    BlindSpot { source, reason, remedy: "mend it: until then what the program was built with stands".to_owned() }
}

fn files(root: &Root, dir: &Path, blind: &mut Vec<BlindSpot>) -> Vec<OwnFile> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let names = match root.list_at_most(&dir.join(folder), FILES) {
            Ok(names) => names,
            Err(error) if error.not_found() => continue,
            Err(error) => {
                blind.push(unused(error.path.clone(), error.source.to_string()));
                continue;
            }
        };
        for path in names.iter().map(|name| dir.join(folder).join(name)).filter(|path| path.extension() == Some("toml".as_ref())) {
            match root.read_at_most(&path, FILE_BYTES) {
                Ok((_, true)) => blind.push(unused(path.display().to_string(), "it is longer than 1 MB".to_owned())),
                Ok((bytes, false)) => found.push(OwnFile {
                    path: path.display().to_string(),
                    folder: folder.to_owned(),
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                }),
                Err(error) => blind.push(unused(path.display().to_string(), error.source.to_string())),
            }
        }
    }
    found
}
