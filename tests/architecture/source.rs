//! Rust source as far as the house rules need it: which paths it names, on which lines, in tests or not.
//!
//! It is a reader for `rustfmt`ed code that compiles, not a parser: comments and literals are blanked out, `use` trees are
//! expanded, everything else is looked at path by path. Macros that make paths are not seen.

use std::{fs, path::Path};

/// A source file.
pub struct Source {
    /// From the repository's top: `src/model/fact.rs`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Lines that belong to `#[cfg(test)]` items.
    tests: Vec<std::ops::RangeInclusive<usize>>,
    /// Every path, with its line; `use` trees expanded, `self` members left out.
    paths: Vec<(usize, String)>,
    /// Names of `mod x;`
    modules: Vec<String>,
}

/// All files below a folder whose name ends in the extension, sorted; an empty extension takes all.
pub fn files(below: &str, extension: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&top.join(below), &mut found);
    found.retain(|path| extension.is_empty() || path.extension().is_some_and(|own| own == extension));
    let relative = |path: &std::path::PathBuf| path.strip_prefix(top).expect("it is below the top").display().to_string();
    let mut names: Vec<_> = found.iter().map(relative).collect();
    names.sort();
    names
}

impl Source {
    /// Reads a file of the repository.
    pub fn read(path: &str) -> Self {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        Self::new(path, fs::read_to_string(&full).unwrap_or_else(|e| panic!("{path}: {e}")))
    }

    /// From its text.
    pub fn new(path: &str, text: String) -> Self {
        let code = blank(&text);
        let tests = tests(&code);
        let (paths, modules) = walk(&code);
        Self { path: path.to_owned(), text, tests, paths, modules }
    }

    /// The top-level module that it belongs to: `model`, `cli`, `lib`, `main`.
    pub fn module(&self) -> &str {
        let inner = self.path.trim_start_matches("src/");
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// The module that it is: `gateway::nginx` for `src/gateway/nginx.rs` and `src/gateway/nginx/mod.rs`.
    pub fn place(&self) -> String {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        if inner == "lib" || inner == "main" { String::new() } else { inner.replace('/', "::") }
    }

    /// The modules that it declares, in full.
    pub fn declares(&self) -> Vec<String> {
        let place = self.place();
        let full = |name: &String| if place.is_empty() { name.clone() } else { format!("{place}::{name}") };
        self.modules.iter().map(full).collect()
    }

    /// Every path that it names, with its line.
    pub fn paths(&self) -> &[(usize, String)] {
        &self.paths
    }

    /// The top-level modules of ours that it names, by `crate::` or by enough `super::`, with the line.
    pub fn ours(&self) -> Vec<(usize, String)> {
        let place = self.place();
        let depth = place.split("::").count();
        let mut ours = Vec::new();
        for (line, path) in &self.paths {
            let mut names = path.split("::").peekable();
            let mut supers = 0;
            while names.next_if_eq(&"super").is_some() {
                supers += 1;
            }
            // Inside an inline module one more `super` is needed, so this may see a sibling as a top-level module of the
            // same name, never the other way round.
            let from_top = supers >= depth && supers > 0 || names.next_if_eq(&"crate").is_some();
            if let (true, Some(name)) = (from_top, names.next()) {
                ours.push((*line, name.to_owned()));
            }
        }
        ours
    }

    /// Whether a line is compiled for tests only.
    pub fn in_test(&self, line: usize) -> bool {
        let file = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        file || self.tests.iter().any(|range| range.contains(&line))
    }
}

/// The text with comments, strings and characters blanked out, line by line as long as before in lines.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match at(i) {
            '/' if at(i + 1) == '/' => (i..chars.len()).find(|&j| at(j) == '\n').unwrap_or(chars.len()),
            '/' if at(i + 1) == '*' => {
                (i + 2..chars.len()).find(|&j| at(j) == '*' && at(j + 1) == '/').map_or(chars.len(), |j| j + 2)
            }
            '"' => string_end(&chars, i),
            'r' if matches!(at(i + 1), '"' | '#') && !(i > 0 && (at(i - 1).is_alphanumeric() && at(i - 1) != 'b')) => {
                let hashes = chars[i + 1..].iter().take_while(|&&c| c == '#').count();
                if at(i + 1 + hashes) == '"' {
                    let close = |&j: &usize| at(j) == '"' && (1..=hashes).all(|k| at(j + k) == '#');
                    (i + 2 + hashes..chars.len()).find(close).map_or(chars.len(), |j| j + 1 + hashes)
                } else {
                    i
                }
            }
            // A character, not a lifetime: 'x' or '\...'.
            '\'' if at(i + 1) == '\\' => (i + 3..chars.len()).find(|&j| at(j) == '\'').map_or(chars.len(), |j| j + 1),
            '\'' if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
        } else {
            out.extend(chars[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The lines of items under `#[cfg(test)]`.
fn tests(code: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    let line = |offset: usize| code[..offset].matches('\n').count() + 1;
    let mut ranges = Vec::new();
    for (start, mark) in code.match_indices("#[cfg(test)]") {
        let item = start + mark.len();
        let mut depth = 0_usize;
        let end = code[item..].char_indices().find(|(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(c, '}' | ';')
        });
        ranges.push(line(start)..=line(end.map_or(code.len(), |(at, _)| item + at)));
    }
    ranges
}

/// All paths of two names or more and all `use` trees expanded; and the names of `mod x;` and `mod x {`.
fn walk(code: &str) -> (Vec<(usize, String)>, Vec<String>) {
    let mut paths = Vec::new();
    let mut modules = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        rest = &rest[start..];
        let line = code[..code.len() - rest.len()].matches('\n').count() + 1;
        let path = path_at(rest);
        rest = &rest[path.len()..];
        match path {
            "use" => {
                let end = rest.find(';').unwrap_or(rest.len());
                expand("", rest[..end].trim(), &mut |path| paths.push((line, path)));
                rest = &rest[end..];
            }
            "mod" => {
                let name = path_at(rest.trim_start());
                if !name.is_empty() {
                    modules.push(name.to_owned());
                }
            }
            path if path.contains("::") => paths.push((line, path.to_owned())),
            _ => {}
        }
    }
    (paths, modules)
}

/// The name, or names joined by `::`, with which the text begins.
fn path_at(text: &str) -> &str {
    let mut end = 0;
    loop {
        let name = text[end..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len() - end);
        end += name;
        let next = text[end..].strip_prefix("::").and_then(|more| more.chars().next());
        if name == 0 || !next.is_some_and(|c| c.is_alphabetic() || c == '_') {
            return &text[..end];
        }
        end += 2;
    }
}

/// `a::{b, c::{self, d as e}}` as `a::b`, `a::c`, `a::c::d`.
fn expand(before: &str, tree: &str, found: &mut dyn FnMut(String)) {
    let join = |name: &str| if before.is_empty() { name.to_owned() } else { format!("{before}::{name}") };
    let tree = tree.trim().trim_start_matches("::");
    if let Some(open) = tree.find('{') {
        let head = tree[..open].trim().trim_end_matches("::");
        let before = if head.is_empty() { before.to_owned() } else { join(head) };
        let inner = tree[open + 1..].rfind('}').map_or("", |close| &tree[open + 1..open + 1 + close]);
        let mut depth = 0_usize;
        let mut from = 0;
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    expand(&before, &inner[from..at], found);
                    from = at + 1;
                }
                _ => {}
            }
        }
        expand(&before, &inner[from..], found);
    } else if !tree.is_empty() {
        let name = tree.split_whitespace().next().unwrap_or(tree);
        found(if name == "self" { before.to_owned() } else { join(name) });
    }
}
