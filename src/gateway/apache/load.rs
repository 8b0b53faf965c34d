//! The main configuration file with all that it includes, as one tree, by what Apache decides while it reads (`EXEC_ON_READ`):
//! conditions on modules, names and versions, variables, macros, and where relative paths lead.

mod include;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use compact_str::CompactString;

use super::{
    super::{reading, written::written},
    condition,
    lines::{Line, lines, word, words},
    modules::Modules,
    tree::{DEPTH, DIRECTIVES, Directive, Problems},
};
use crate::{
    model::{BlindSpot, Place},
    sys::Root,
};

/// Includes within includes at most; Apache has a limit too (AP_MAX_INCLUDE_DEPTH).
const INCLUDES_DEEP: usize = 20;
/// Files of one configuration at most, one counted as often as it is included.
const FILES: usize = 20_000;
/// Bytes of one file at most: the largest real ones are generated and have a few megabytes.
const BYTES_EACH: u64 = 16 << 20;
/// Bytes of all files together at most.
const BYTES_ALL: u64 = 64 << 20;
/// Bytes of one line with its variables and macro parameters filled in, at most: `Define` may repeat what it names.
const EXPANDED: usize = 64 << 10;
/// Lines of all macros together that are kept.
const MACRO_LINES: usize = 20_000;

/// What the reading begins with.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// What relative paths are relative to, until `ServerRoot` says otherwise.
    pub root: PathBuf,
    /// `-D` on the command line.
    pub defines: Vec<String>,
    /// `-C` on the command line: directives that are read before the file.
    pub before: Vec<String>,
    /// `-c`: those that are read after it.
    pub after: Vec<String>,
    /// The environment, for `${NAME}`.
    pub environment: HashMap<String, String>,
    /// Modules that are linked in.
    pub modules: Modules,
    /// The version, for `<IfVersion>`.
    pub version: Option<String>,
}

/// A configuration as read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All directives, includes and conditions in their places.
    pub tree: Vec<Directive>,
    /// The files, with their times of modification.
    pub files: Vec<(PathBuf, Option<i64>)>,
    /// What Apache would refuse.
    pub problems: Problems,
    /// What we may not read.
    pub blind: Vec<BlindSpot>,
    /// Directories that include patterns name.
    pub directories: Vec<PathBuf>,
    /// What relative paths are relative to.
    pub root: PathBuf,
    /// The modules.
    pub modules: Modules,
}

/// A macro of mod_macro: its parameters and its lines.
#[derive(Debug, Clone, Default)]
struct Macro {
    parameters: Vec<String>,
    lines: Vec<(String, u32)>,
    file: Arc<PathBuf>,
}

/// A section that is not closed yet.
struct Open {
    /// `None`: a condition that holds, whose content belongs to what is around it.
    directive: Option<Directive>,
    name: String,
    line: u32,
    children: Vec<Directive>,
}

struct Loader<'a> {
    root: &'a Root,
    start: Start,
    variables: HashMap<String, String>,
    macros: HashMap<String, Arc<Macro>>,
    macro_lines: usize,
    /// Macros that are being filled in: mod_macro refuses one in itself.
    using: Vec<String>,
    /// Identities of the files that are being read: one that comes again includes itself.
    active: Vec<(u64, u64)>,
    known: BTreeSet<PathBuf>,
    count: usize,
    bytes: u64,
    budget: usize,
    out: Loaded,
}

/// Reads a configuration.
pub fn load(root: &Root, config: &Path, start: Start) -> Loaded {
    let mut loader = Loader {
        root,
        start,
        variables: HashMap::new(),
        macros: HashMap::new(),
        macro_lines: 0,
        using: Vec::new(),
        active: Vec::new(),
        known: BTreeSet::new(),
        count: 0,
        bytes: 0,
        budget: DIRECTIVES,
        out: Loaded::default(),
    };
    let file = Arc::new(config.to_owned());
    let of_line = |text: String| Line { text: Cow::Owned(text), number: 1 };
    let (before, after) = (loader.start.before.clone(), loader.start.after.clone());
    let mut tree = loader.read(&file, before.into_iter().map(of_line), 0);
    tree.extend(loader.file(config, &Place { file: config.to_owned().into(), line: 1 }, 0));
    tree.extend(loader.read(&file, after.into_iter().map(of_line), 0));
    loader.unknown(&tree);
    loader.out.tree = tree;
    loader.out.root = loader.start.root;
    loader.out.modules = loader.start.modules;
    loader.out
}

/// The directives of one `.htaccess`, which follow no includes.
pub fn fragment(root: &Root, path: &Path, start: Start) -> Option<Loaded> {
    let (bytes, _) = root.read_at_most(path, BYTES_EACH).ok()?;
    let mut loader = Loader {
        root,
        start,
        variables: HashMap::new(),
        macros: HashMap::new(),
        macro_lines: 0,
        using: Vec::new(),
        active: vec![(0, 0); INCLUDES_DEEP],
        known: BTreeSet::new(),
        count: FILES,
        bytes: 0,
        budget: DIRECTIVES,
        out: Loaded::default(),
    };
    let file = Arc::new(path.to_owned());
    let tree = loader.read(&file, lines(&bytes), 0);
    loader.unknown(&tree);
    loader.out.tree = tree;
    Some(loader.out)
}

impl Loader<'_> {
    /// One file. Returns its directives; what goes wrong is noted.
    fn file(&mut self, path: &Path, from: &Place, depth: usize) -> Vec<Directive> {
        self.count += 1;
        if self.count > FILES || self.bytes > BYTES_ALL {
            self.too_much(path);
            return Vec::new();
        }
        let info = self.root.stat(path).ok();
        if info.is_some_and(|info| self.active.contains(&info.id)) || self.active.len() >= INCLUDES_DEEP {
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
        let text = match part.bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => {
                self.out.problems.add(start, "Invalid command: the file begins with a byte order mark");
                rest
            }
            None => &part.bytes,
        };
        self.active.extend(info.map(|info| info.id));
        let file = Arc::new(path.to_owned());
        let tree = self.read(&file, lines(text), depth);
        if info.is_some() {
            self.active.pop();
        }
        tree
    }

    /// Logical lines to directives.
    fn read<'l>(&mut self, file: &Arc<PathBuf>, all: impl Iterator<Item = Line<'l>>, depth: usize) -> Vec<Directive> {
        let mut stack = vec![Open { directive: None, name: String::new(), line: 0, children: Vec::new() }];
        // Sections that are open within one whose condition does not hold, or that are too deep.
        let mut skipped = 0_usize;
        let mut of_macro: Option<(String, Macro)> = None;
        for Line { text: raw, number: line } in all {
            let place = || Place { file: Arc::clone(file), line };
            if let Some((name, mut body)) = of_macro.take() {
                if raw.len() >= 8 && raw.is_char_boundary(8) && raw[..8].eq_ignore_ascii_case("</macro>") {
                    self.macros.insert(name, Arc::new(body));
                } else {
                    self.macro_lines += 1;
                    if self.macro_lines <= MACRO_LINES {
                        body.lines.push((raw.into_owned(), line));
                    }
                    of_macro = Some((name, body));
                }
                continue;
            }
            if let Some(closes) = raw.strip_prefix("</") {
                let closes = closes.split('>').next().unwrap_or_default().trim().to_ascii_lowercase();
                if skipped > 0 {
                    skipped -= 1;
                } else {
                    self.close(&mut stack, &closes, place());
                }
                continue;
            }
            if skipped > 0 {
                skipped += usize::from(raw.starts_with('<'));
                continue;
            }
            let text = self.expanded(&raw);
            let (first, rest) = word(&text);
            let Some(section) = first.strip_prefix('<') else {
                let depth = depth + stack.len();
                if let Some(open) = stack.last_mut() {
                    let name = first.chars().map(|c| c.to_ascii_lowercase()).collect();
                    self.directive(file, name, rest, line, depth, &mut open.children);
                }
                continue;
            };
            // `<IfModule x>`; the bracket may stand right behind the name, and text behind it is passed over.
            let (name, argument) = match section.split_once('>') {
                Some((name, _)) => (name, ""),
                None => (section, rest.rfind('>').map_or(rest, |end| &rest[..end])),
            };
            let (name, argument) = (name.to_ascii_lowercase(), argument.trim().to_owned());
            if name == "macro" {
                let mut parameters = words(&argument);
                let called = if parameters.is_empty() { String::new() } else { parameters.remove(0) };
                of_macro = Some((called.to_ascii_lowercase(), Macro { parameters, lines: Vec::new(), file: Arc::clone(file) }));
                continue;
            }
            let holds = condition::holds(
                &name,
                &argument,
                &condition::Known {
                    root: self.root,
                    base: &self.start.root,
                    defines: &self.start.defines,
                    variables: &self.variables,
                    modules: &self.start.modules,
                    version: self.start.version.as_deref(),
                },
            );
            if holds == Some(false) || depth + stack.len() >= DEPTH {
                if holds != Some(false) {
                    self.out.problems.add(place(), format!("sections are nested deeper than {DEPTH}: this one was not read"));
                }
                skipped = 1;
                continue;
            }
            let directive = holds.is_none().then(|| Directive {
                name: name.as_str().into(),
                text: argument.into(),
                block: Some(Box::default()),
                file: Arc::clone(file),
                line,
            });
            stack.push(Open { directive, name, line, children: Vec::new() });
        }
        while stack.len() > 1 {
            if let Some(open) = stack.last() {
                let place = Place { file: Arc::clone(file), line: open.line };
                self.out.problems.add(place.clone(), format!("<{}> was not closed.", open.name));
                let name = open.name.clone();
                self.close(&mut stack, &name, place);
            }
        }
        stack.pop().map(|open| open.children).unwrap_or_default()
    }

    /// A closing tag: the innermost section is complete.
    fn close(&mut self, stack: &mut Vec<Open>, closes: &str, place: Place) {
        if stack.len() < 2 {
            return self.out.problems.add(place, format!("</{closes}> without matching <{closes}> section"));
        }
        let Some(open) = stack.pop() else { return };
        if open.name != closes {
            self.out.problems.add(place, format!("Expected </{}> but saw </{closes}>", open.name));
        }
        let Some(outer) = stack.last_mut() else { return };
        match open.directive {
            Some(directive) => {
                self.budget = self.budget.saturating_sub(1);
                outer.children.push(Directive { block: Some(open.children.into()), ..directive });
            }
            None => outer.children.extend(open.children),
        }
    }

    /// One directive that is no section: itself, or what it brings.
    fn directive(
        &mut self,
        file: &Arc<PathBuf>,
        name: CompactString,
        text: &str,
        line: u32,
        depth: usize,
        into: &mut Vec<Directive>,
    ) {
        let place = || Place { file: Arc::clone(file), line };
        match name.as_str() {
            "include" | "includeoptional" => {
                into.extend(self.include(&words(text), name == "includeoptional", &place(), depth));
                return;
            }
            "define" => {
                let mut args = words(text).into_iter();
                if let Some(variable) = args.next() {
                    self.variables.insert(variable, args.next().unwrap_or_default());
                }
            }
            "undefine" => {
                self.variables.remove(word(text).0.as_ref());
            }
            "loadmodule" => self.start.modules.load(&word(text).0),
            "serverroot" => self.start.root = PathBuf::from(word(text).0.into_owned()),
            "use" => {
                into.extend(self.call(&words(text), &place(), depth));
                return;
            }
            _ => {}
        }
        if self.budget == 0 {
            return;
        }
        self.budget -= 1;
        if self.budget == 0 {
            self.out.problems.add(place(), format!("more than {DIRECTIVES} directives: the rest was not read"));
        }
        into.push(Directive { name, text: text.into(), block: None, file: Arc::clone(file), line });
    }
}
