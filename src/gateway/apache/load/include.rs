//! What stands for other lines: includes, macros, variables; and what can't be had of them.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use super::{
    super::{
        super::denied,
        lines::Line,
        tree::{DEPTH, Directive, PROBLEMS},
    },
    BYTES_ALL, EXPANDED, FILES, Loader,
};
use crate::{
    model::{BlindSpot, Order as _, Place},
    sys::{FileError, FileKind, glob},
};

impl Loader<'_> {
    /// `Use NAME value...`: the macro's lines with its parameters filled in, longest name first as mod_macro does.
    pub(super) fn call(&mut self, args: &[String], place: &Place, depth: usize) -> Vec<Directive> {
        let Some((name, values)) = args.split_first() else { return Vec::new() };
        let Some(known) = self.macros.get(&name.to_ascii_lowercase()).cloned() else {
            self.out.problems.add(place.clone(), format!("macro '{name}' undefined"));
            return Vec::new();
        };
        let name = name.to_ascii_lowercase();
        if self.using.contains(&name) {
            self.out.problems.add(place.clone(), format!("recursive use of macro '{name}' is invalid"));
            return Vec::new();
        }
        if depth >= DEPTH || self.budget == 0 {
            return Vec::new();
        }
        let mut pairs: Vec<(&String, &String)> = known.parameters.iter().zip(values).collect();
        pairs.order_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let filled = known.lines.iter().map(|(text, line)| {
            let fill = |text: String, (name, value): &(&String, &String)| {
                if name.is_empty() || text.len() > EXPANDED { text } else { text.replace(name.as_str(), value) }
            };
            Line { text: Cow::Owned(pairs.iter().fold(text.clone(), fill)), number: *line }
        });
        let filled: Vec<Line<'_>> = filled.collect();
        self.budget = self.budget.saturating_sub(filled.len());
        self.using.push(name);
        let found = self.read(&known.file, filled.into_iter(), depth + 1);
        self.using.pop();
        found
    }

    pub(super) fn include(&mut self, args: &[String], optional: bool, place: &Place, depth: usize) -> Vec<Directive> {
        let [pattern] = args else {
            self.out.problems.add(place.clone(), "Include takes one argument");
            return Vec::new();
        };
        let path = self.start.root.join(pattern);
        if !glob::is_pattern(pattern) {
            if optional && self.root.stat(&path).is_err_and(|error| error.not_found()) {
                // Its coming would change the configuration.
                self.out.directories.push(path);
                return Vec::new();
            }
            return self.file_or_dir(&path, place, depth);
        }
        let found = glob::expand(self.root, &path);
        self.out.directories.extend(found.directories);
        for error in found.unreadable {
            let dir = PathBuf::from(&error.path);
            self.failed(&dir, place, &error);
        }
        if found.cut {
            self.too_much(&path);
        }
        if found.paths.is_empty() && !optional {
            self.out
                .problems
                .add(place.clone(), format!("Include/IncludeOptional: No matches for the wildcard '{pattern}', failing"));
        }
        found.paths.iter().flat_map(|path| self.file_or_dir(path, place, depth)).collect()
    }

    /// A file, or all files of a directory and of those below it, in the order of their names.
    fn file_or_dir(&mut self, path: &Path, place: &Place, depth: usize) -> Vec<Directive> {
        if !self.root.stat(path).is_ok_and(|info| info.kind == FileKind::Directory) {
            return self.file(path, place, depth);
        }
        if depth >= DEPTH {
            return Vec::new();
        }
        let mut names = match self.root.list(path) {
            Ok(names) => names,
            Err(error) => {
                self.failed(path, place, &error);
                return Vec::new();
            }
        };
        names.sort();
        self.out.directories.push(path.to_owned());
        names.iter().flat_map(|name| self.file_or_dir(&path.join(name), place, depth + 1)).collect()
    }

    /// `${NAME}` by `Define`, else by the environment; else it stays (`ap_resolve_env`).
    pub(super) fn expanded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !text.contains("${") {
            return Cow::Borrowed(text);
        }
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find("${") {
            let Some(end) = rest[at..].find('}') else { break };
            let name = &rest[at + 2..at + end];
            out.push_str(&rest[..at]);
            match self.variables.get(name).or_else(|| self.start.environment.get(name)) {
                Some(value) if out.len() + value.len() <= EXPANDED => out.push_str(value),
                Some(_) => {}
                None => out.push_str(&rest[at..=at + end]),
            }
            rest = &rest[at + end + 1..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Directives of modules that are not loaded.
    pub(super) fn unknown(&mut self, tree: &[Directive]) {
        for one in tree {
            if let Some(module) = self.start.modules.missing_for(&one.name) {
                let shown = if one.block.is_some() { format!("<{}", one.name) } else { one.name.to_string() };
                let what = format!(
                    "Invalid command '{shown}', perhaps misspelled or defined by a module not included in the server configuration ({module})"
                );
                self.out.problems.add(one.place(), what);
            }
            self.unknown(one.children());
        }
    }

    pub(super) fn failed(&mut self, path: &Path, from: &Place, error: &FileError) {
        if error.denied() {
            self.spot(denied(self.root, path, "configuration"));
        } else {
            let what = format!("Could not open configuration file {}: {}", path.display(), error.source);
            self.out.problems.add(from.clone(), what);
        }
    }

    pub(super) fn too_much(&mut self, path: &Path) {
        self.spot(BlindSpot {
            source: path.display().to_string(),
            reason: format!("the configuration is larger than {FILES} files or {} MB; the rest was not read", BYTES_ALL >> 20),
            remedy: "name the part that matters with --config".to_owned(),
        });
    }

    fn spot(&mut self, spot: BlindSpot) {
        if self.out.blind.len() < PROBLEMS && !self.out.blind.contains(&spot) {
            self.out.blind.push(spot);
        }
    }
}
