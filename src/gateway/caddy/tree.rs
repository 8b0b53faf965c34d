//! Words to a tree of directives, with imports in their places (caddyconfig/caddyfile/parse.go).
//!
//! A directive is the first word of a line; a block is what stands between a `{` at the end of its line and a `}` on one of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use compact_str::CompactString;

pub use super::super::directive::Directive;
use super::{
    super::{denied, reading, written::written},
    environment::Environment,
    lexer::{Word, words},
};
use crate::{
    model::{BlindSpot, Place},
    sys::{FileError, Root, glob},
};

/// Blocks and imports within each other at most: people use five, and a recursion must end.
const DEPTH: usize = 40;
/// Files of one configuration at most, one counted as often as it is imported.
const FILES: usize = 20_000;
/// Bytes of one file at most.
const BYTES_EACH: u64 = 16 << 20;
/// Bytes of all files together at most.
const BYTES_ALL: u64 = 64 << 20;
/// Directives of one configuration at most: a snippet that imports another ten times, and so on, must end.
const DIRECTIVES: usize = 300_000;
/// Problems and blind spots that are kept.
const PROBLEMS: usize = 100;

/// A configuration as read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All directives of the top level: sites, the global options (named `{`), named routes (`&(name)`).
    pub tree: Vec<Directive>,
    /// The files, with their times of modification.
    pub files: Vec<(PathBuf, Option<i64>)>,
    /// What Caddy would refuse.
    pub problems: Vec<(Place, String)>,
    /// What we may not read.
    pub blind: Vec<BlindSpot>,
    /// Directories that import patterns name.
    pub directories: Vec<PathBuf>,
}

/// Reads a Caddyfile with all that it imports.
pub fn load(root: &Root, config: &Path, environment: &Environment) -> Loaded {
    let mut loader = Loader::new(root, environment);
    let from = Place { file: config.to_owned().into(), line: 1 };
    let tree = loader.file(config, &from, &[], 0);
    loader.out.tree = one_site(tree);
    loader.out.directories.sort();
    loader.out.directories.dedup();
    loader.out
}

/// The tree of a text that stands in no file.
pub fn of_text(name: &Path, text: &str) -> Vec<Directive> {
    let (root, environment) = (Root::below("/nonexistent"), Environment::default());
    let mut loader = Loader::new(&root, &environment);
    let (words, _) = words(&Arc::new(name.to_owned()), text);
    one_site(loader.parse(&words, &[], 0))
}

/// A file with one site only needs no braces: its first line holds the addresses, all that follows is its block.
fn one_site(mut tree: Vec<Directive>) -> Vec<Directive> {
    let Some(at) = tree.iter().position(|one| one.block.is_none()) else { return tree };
    // A site with a block before it means that this is no site, but a mistake that Caddy's own test tells of.
    if tree[..at].iter().any(|one| one.name != "{" && !one.name.starts_with("&(")) {
        return tree;
    }
    let block = tree.split_off(at + 1);
    if let Some(site) = tree.last_mut() {
        site.block = Some(block.into());
    }
    tree
}

struct Loader<'a> {
    root: &'a Root,
    environment: &'a Environment,
    snippets: BTreeMap<String, Vec<Word>>,
    /// Files and snippets that are being read: one that comes again imports itself.
    active: Vec<String>,
    known: BTreeSet<PathBuf>,
    count: usize,
    bytes: u64,
    budget: usize,
    out: Loaded,
}

impl<'a> Loader<'a> {
    fn new(root: &'a Root, environment: &'a Environment) -> Self {
        Self {
            root,
            environment,
            snippets: BTreeMap::new(),
            active: Vec::new(),
            known: BTreeSet::new(),
            count: 0,
            bytes: 0,
            budget: DIRECTIVES,
            out: Loaded::default(),
        }
    }

    fn file(&mut self, path: &Path, from: &Place, args: &[CompactString], depth: usize) -> Vec<Directive> {
        let key = path.display().to_string();
        if self.active.contains(&key) || depth > DEPTH {
            self.problem(from.clone(), format!("{key} imports itself"));
            return Vec::new();
        }
        if self.count >= FILES || self.bytes >= BYTES_ALL {
            self.spot(reading::too_much(path, FILES, BYTES_ALL));
            return Vec::new();
        }
        self.count += 1;
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
        let start = &start;
        part.complaints.iter().for_each(|what| self.problem(start.clone(), what.clone()));
        if !part.text {
            return Vec::new();
        }
        // Variables of the environment are put in before anything else is read (parse.go, replaceEnvVars).
        let text = self.environment.expand_file(&String::from_utf8_lossy(&part.bytes));
        let (words, open) = words(&Arc::new(path.to_owned()), &text);
        if let Some(line) = open {
            self.problem(Place { file: path.to_owned().into(), line }, "a quote or heredoc begins here and has no end".to_owned());
        }
        self.active.push(key);
        let tree = self.parse(&words, args, depth);
        self.active.pop();
        tree
    }

    fn parse(&mut self, words: &[Word], args: &[CompactString], depth: usize) -> Vec<Directive> {
        let mut at = 0;
        let mut out = Vec::new();
        while at < words.len() {
            let before = at;
            out.extend(self.block(words, &mut at, args, depth));
            // A brace that closes nothing.
            if let Some(word) = words.get(at) {
                self.problem(word.place(), "unexpected '}', there is no block to close".to_owned());
                at += 1;
            }
            if at == before {
                break;
            }
        }
        out
    }

    /// Directives up to a closing brace, which is left.
    fn block(&mut self, words: &[Word], at: &mut usize, args: &[CompactString], depth: usize) -> Vec<Directive> {
        let mut out = Vec::new();
        while let Some(word) = words.get(*at) {
            if word.closes() {
                break;
            }
            if self.budget == 0 || depth > DEPTH {
                *at = words.len();
                break;
            }
            self.budget -= 1;
            out.extend(self.directive(words, at, args, depth));
        }
        out
    }

    fn directive(&mut self, words: &[Word], at: &mut usize, args: &[CompactString], depth: usize) -> Vec<Directive> {
        let first = &words[*at];
        let mut line: Vec<&Word> = vec![first];
        *at += 1;
        let mut opened = first.opens();
        while !opened && let Some(word) = words.get(*at) {
            // Addresses of a site go on in the next line after a comma.
            let goes_on = line.last().is_some_and(|last| !last.quoted && last.text.ends_with(',') && last.text.len() > 1);
            if word.leads && !(goes_on && depth == 0) || word.closes() {
                break;
            }
            *at += 1;
            opened = word.opens() && words.get(*at).is_none_or(|next| next.leads || next.closes());
            if !opened {
                line.push(word);
            }
        }
        if opened && first.text.starts_with('(') && first.text.ends_with(')') && line.len() == 1 && !first.quoted {
            let from = *at;
            let end = closing(words, from);
            self.snippets.insert(first.text.trim_matches(['(', ')']).to_owned(), words[from..end].to_vec());
            *at = (end + 1).min(words.len());
            self.unclosed(words, end, first);
            return Vec::new();
        }
        if first.text == "import" && !first.quoted && line.len() > 1 {
            let parameters: Vec<CompactString> = line.iter().skip(2).flat_map(|word| substituted(&word.text, args)).collect();
            let target = substituted(&line[1].text, args).into_iter().next().unwrap_or_default();
            if opened {
                // A block that is handed over ({block}, since 2.9) tells nothing by itself.
                *at = (closing(words, *at) + 1).min(words.len());
            }
            return self.import(&target, &parameters, first, depth);
        }
        let block = opened.then(|| {
            let inside = self.block(words, at, args, depth + 1);
            self.unclosed(words, *at, first);
            *at = (*at + 1).min(words.len());
            inside.into()
        });
        let mut texts =
            line.iter().flat_map(|word| if word.quoted { vec![word.text.clone()] } else { substituted(&word.text, args) });
        let name = texts.next().unwrap_or_default();
        vec![Directive { name, args: texts.collect(), block, file: Arc::clone(&first.file), line: first.line }]
    }

    fn unclosed(&mut self, words: &[Word], end: usize, first: &Word) {
        if end >= words.len() {
            self.problem(first.place(), format!("the block of '{}' has no closing brace", first.text));
        }
    }

    fn import(&mut self, target: &str, args: &[CompactString], at: &Word, depth: usize) -> Vec<Directive> {
        let from = at.place();
        if let Some(snippet) = self.snippets.get(target).cloned() {
            let key = format!("({target})");
            if self.active.contains(&key) || depth > DEPTH {
                self.problem(from, format!("the snippet {target} imports itself"));
                return Vec::new();
            }
            self.active.push(key);
            let tree = self.parse(&snippet, args, depth + 1);
            self.active.pop();
            return tree;
        }
        let path = at.file.parent().unwrap_or(Path::new("/")).join(target);
        if !glob::is_pattern(target) {
            return self.file(&path, &from, args, depth);
        }
        let found = glob::expand(self.root, &path);
        self.out.directories.extend(found.directories);
        for error in found.unreadable {
            let dir = PathBuf::from(&error.path);
            self.failed(&dir, &from, &error);
        }
        // Hidden files are passed over, as glob(3) does; directories that a pattern names are no files.
        let file = |path: &PathBuf| self.root.stat(path).is_ok_and(|info| info.kind != crate::sys::FileKind::Directory);
        let files: Vec<PathBuf> = found.paths.into_iter().filter(file).collect();
        files.iter().flat_map(|path| self.file(path, &from, args, depth)).collect()
    }

    fn failed(&mut self, path: &Path, from: &Place, error: &FileError) {
        if error.denied() {
            self.spot(denied(self.root, path, "configuration"));
        } else if error.not_found() && !self.active.is_empty() {
            self.problem(from.clone(), format!("File to import not found: {}", path.display()));
        } else {
            self.problem(from.clone(), format!("{} {}: {}", error.operation, path.display(), error.source));
        }
    }

    fn problem(&mut self, at: Place, what: String) {
        let problem = (at, what);
        if self.out.problems.len() < PROBLEMS && !self.out.problems.contains(&problem) {
            self.out.problems.push(problem);
        }
    }

    fn spot(&mut self, spot: BlindSpot) {
        if self.out.blind.len() < PROBLEMS && !self.out.blind.contains(&spot) {
            self.out.blind.push(spot);
        }
    }
}

/// The word that closes the block whose first word is at `from`.
fn closing(words: &[Word], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(word) = words.get(at) {
        if word.closes() {
            if depth == 0 {
                return at;
            }
            depth -= 1;
        } else if word.opens() {
            depth += 1;
        }
        at += 1;
    }
    at
}

/// A word with the parameters of the import that it stands in: `{args[0]}`, `{args.0}`, and `{args[:]}`, which is all of them.
fn substituted(text: &CompactString, args: &[CompactString]) -> Vec<CompactString> {
    if !text.contains("{args") {
        return vec![text.clone()];
    }
    if let Some((from, to)) =
        text.strip_prefix("{args[").and_then(|rest| rest.strip_suffix("]}")).and_then(|range| range.split_once(':'))
    {
        let from = from.parse().unwrap_or(0).min(args.len());
        let to = to.parse().unwrap_or(args.len()).clamp(from, args.len());
        return args[from..to].to_vec();
    }
    let mut out = text.to_string();
    for (number, arg) in args.iter().enumerate() {
        out = out.replace(&format!("{{args[{number}]}}"), arg).replace(&format!("{{args.{number}}}"), arg);
    }
    vec![out.into()]
}
