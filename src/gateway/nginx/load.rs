//! The main configuration file with all that it includes, as one tree.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{denied, reading, written::written},
    tree::{DIRECTIVES, Directive, Problems, parse},
};
use crate::{
    model::{BlindSpot, Place},
    sys::{FileError, Root, glob},
};

/// Includes within includes at most. nginx knows no limit but its descriptors; people use three.
const INCLUDES_DEEP: usize = 20;
/// Files of one configuration at most, one counted as often as it is included.
const FILES: usize = 20_000;
/// Bytes of one file at most: nginx reads any size, but its largest real files are generated maps of a few megabytes.
const BYTES_EACH: u64 = 16 << 20;
/// Bytes of all files together at most.
const BYTES_ALL: u64 = 64 << 20;

/// A configuration as read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All directives, includes in their places.
    pub tree: Vec<Directive>,
    /// The files, with their times of modification.
    pub files: Vec<(PathBuf, Option<i64>)>,
    /// What nginx would refuse.
    pub problems: Problems,
    /// What we may not read.
    pub blind: Vec<BlindSpot>,
    /// Directories that include patterns name.
    pub directories: Vec<PathBuf>,
    /// Whether the main file itself could be read.
    pub complete: bool,
}

struct Loader<'a> {
    root: &'a Root,
    /// What relative includes are relative to: the directory of the main file (`conf_prefix`).
    prefix: &'a Path,
    /// Identities of the files that are being read: one that comes again includes itself.
    active: Vec<(u64, u64)>,
    known: BTreeSet<PathBuf>,
    count: usize,
    bytes: u64,
    budget: usize,
    out: Loaded,
}

/// Reads a configuration. `globals`: what the command line's `-g` says, which nginx reads before the file.
pub fn load(root: &Root, config: &Path, globals: Option<&str>) -> Loaded {
    let prefix = config.parent().unwrap_or(Path::new("/"));
    let mut loader = Loader {
        root,
        prefix,
        active: Vec::new(),
        known: BTreeSet::new(),
        count: 0,
        bytes: 0,
        budget: DIRECTIVES,
        out: Loaded { complete: true, ..Loaded::default() },
    };
    let file = Arc::new(config.to_owned());
    let mut tree =
        globals.map(|text| parse(&file, text.as_bytes(), 0, &mut loader.budget, &mut Problems::default())).unwrap_or_default();
    tree.extend(loader.file(config, &Place { file: config.to_owned().into(), line: 1 }, 0));
    loader.out.tree = tree;
    loader.out.directories.sort();
    loader.out.directories.dedup();
    loader.out
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, from: &Place, depth: usize) -> Vec<Directive> {
        if self.active.len() > INCLUDES_DEEP {
            self.out.problems.add(from.clone(), format!("includes are nested deeper than {INCLUDES_DEEP}"));
            return Vec::new();
        }
        if self.count >= FILES || self.bytes >= BYTES_ALL {
            self.too_much(path);
            return Vec::new();
        }
        self.count += 1;
        let info = self.root.stat(path).ok();
        if let Some(info) = info
            && self.active.contains(&info.id)
        {
            self.out.problems.add(from.clone(), format!("{} includes itself", path.display()));
            return Vec::new();
        }
        let part = match reading::part(self.root, path, BYTES_EACH) {
            Ok(read) => read,
            Err(error) => {
                self.failed(path, from, &error);
                return Vec::new();
            }
        };
        self.bytes += part.bytes.len() as u64;
        if self.known.insert(path.to_owned()) {
            self.out.files.push((path.to_owned(), written(self.root, path)));
        }
        let start = Place { file: path.to_owned().into(), line: 1 };
        part.complaints.iter().for_each(|what| self.out.problems.add(start.clone(), what.as_str()));
        if !part.text {
            return Vec::new();
        }
        let tree = parse(&Arc::new(path.to_owned()), &part.bytes, depth, &mut self.budget, &mut self.out.problems);
        drop(part);
        self.active.extend(info.map(|info| info.id));
        let tree = self.expand(tree, depth);
        if info.is_some() {
            self.active.pop();
        }
        tree
    }

    /// Puts included files in the place of `include`.
    fn expand(&mut self, tree: Vec<Directive>, depth: usize) -> Vec<Directive> {
        // Most blocks include nothing, and stay where they are.
        if !tree.iter().any(|one| one.block.is_none() && one.name == "include") {
            let mut tree = tree;
            for directive in &mut tree {
                if let Some(block) = directive.block.take() {
                    directive.block = Some(self.expand(block.into_vec(), depth + 1).into());
                }
            }
            return tree;
        }
        let mut out = Vec::with_capacity(tree.len());
        for mut directive in tree {
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.expand(block.into_vec(), depth + 1).into());
            } else if directive.name == "include" {
                out.extend(self.include(&directive, depth));
                continue;
            }
            out.push(directive);
        }
        out
    }

    fn include(&mut self, directive: &Directive, depth: usize) -> Vec<Directive> {
        let place = directive.place();
        let [pattern] = &*directive.args else {
            self.out.problems.add(place, "invalid number of arguments in \"include\" directive");
            return Vec::new();
        };
        let path = self.prefix.join(pattern);
        if !glob::is_pattern(pattern) {
            return self.file(&path, &place, depth);
        }
        let found = glob::expand(self.root, &path);
        self.out.directories.extend(found.directories);
        for error in found.unreadable {
            let dir = PathBuf::from(&error.path);
            self.failed(&dir, &place, &error);
        }
        if found.cut {
            self.too_much(&path);
        }
        found.paths.iter().flat_map(|path| self.file(path, &place, depth)).collect()
    }

    fn failed(&mut self, path: &Path, from: &Place, error: &FileError) {
        if self.active.is_empty() {
            self.out.complete = false;
        }
        if error.denied() {
            self.spot(denied(self.root, path, "configuration"));
        } else {
            // nginx's own words; it adds the number of the error, and so does std's text.
            self.out.problems.add(from.clone(), format!("{} \"{}\" failed: {}", error.operation, path.display(), error.source));
        }
    }

    fn too_much(&mut self, path: &Path) {
        self.spot(reading::too_much(path, FILES, BYTES_ALL));
    }

    fn spot(&mut self, spot: BlindSpot) {
        if self.out.blind.len() < super::tree::PROBLEMS && !self.out.blind.contains(&spot) {
            self.out.blind.push(spot);
        }
    }
}
