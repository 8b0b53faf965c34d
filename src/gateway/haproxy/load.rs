//! The configuration files of one HAProxy, in their order, as sections of lines.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use compact_str::CompactString;

use super::{
    super::{denied, reading, written::written},
    binary::Version,
    condition::Branches,
    lexer::{Environment, plain, words},
};
use crate::{
    model::{BlindSpot, Place},
    sys::{FileKind, Root},
};

/// Files at most: a directory of generated ones.
const FILES: usize = 5_000;
/// Bytes of one file, and of all.
const BYTES_EACH: u64 = 32 << 20;
const BYTES_ALL: u64 = 64 << 20;
/// Lines with words at most, over all files: 20,000 backends of ten lines, and room.
const LINES: usize = 1_000_000;
/// Bytes of one line that are read (LINESIZE in defaults.h is 2,048; 2.1 and later make it longer as needed).
const LINE_BYTES: usize = 64 << 10;
/// Problems that are kept.
const PROBLEMS: usize = 50;
/// What stands between two words of a line.
const BETWEEN: char = '\0';
/// The words that begin a section (cfg_register_section in HAProxy 2.0 to 3.2).
const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "program",
    "cache",
    "fcgi-app",
    "ring",
    "http-errors",
    "log-forward",
    "crt-store",
    "traces",
    "acme",
    "log-profile",
    "dynamic-update",
];

/// One line with words. There may be hundreds of thousands, so they are one text: a NUL stands between two words, and in none, as
/// HAProxy's own words end with one.
#[derive(Debug, Clone)]
pub struct Line {
    text: Box<str>,
    file: Arc<PathBuf>,
    number: u32,
    /// Bytes of the first word: nearly all questions are about it.
    first: u32,
}

impl Line {
    /// Where it stands.
    pub fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), line: self.number }
    }

    /// `None`: there are no words. `room`: where it is put together, so that each takes no more than its text.
    fn new<'a>(words: impl Iterator<Item = &'a str>, room: &mut String, file: &Arc<PathBuf>, number: u32) -> Option<Self> {
        room.clear();
        let mut first = None;
        for word in words {
            room.extend(first.map(|_| BETWEEN));
            if word.contains(BETWEEN) {
                room.push_str(&word.replace(BETWEEN, "\u{fffd}"));
            } else {
                room.push_str(word);
            }
            first.get_or_insert(room.len());
        }
        let first = u32::try_from(first?).unwrap_or(u32::MAX);
        Some(Self { text: room.as_str().into(), file: Arc::clone(file), number, first })
    }

    /// The first word, and the text behind it where there is any.
    fn split(&self) -> (&str, Option<&str>) {
        let end = self.first as usize;
        (self.text.get(..end).unwrap_or(&self.text), self.text.get(end + BETWEEN.len_utf8()..))
    }

    /// Its words.
    pub fn words(&self) -> std::str::Split<'_, char> {
        self.text.split(BETWEEN)
    }

    /// How many they are; at least one.
    pub fn len(&self) -> usize {
        self.words().count()
    }

    /// The word at this place, or nothing.
    pub fn word(&self, at: usize) -> &str {
        let (first, rest) = self.split();
        let Some(at) = at.checked_sub(1) else { return first };
        rest.and_then(|rest| rest.split(BETWEEN).nth(at)).unwrap_or_default()
    }

    /// The words from this place on, as they would be written.
    pub fn rest(&self, from: usize) -> CompactString {
        joined(self.words().skip(from))
    }

    /// Whether it begins with these words.
    pub fn is(&self, words: &[&str]) -> bool {
        let (first, rest) = self.split();
        // Asked of every line for every setting, and seldom so: of words as long as the line's own alone.
        let Some((want, more)) = words.split_first() else { return true };
        let mut left = rest;
        *want == first
            && more.iter().all(|want| {
                let Some(rest) = left.and_then(|text| text.strip_prefix(want)) else { return false };
                left = rest.strip_prefix(BETWEEN);
                left.is_some() || rest.is_empty()
            })
    }
}

/// Words with a space between them.
pub fn joined<'a>(words: impl IntoIterator<Item = &'a str>) -> CompactString {
    let mut out = CompactString::default();
    for (at, word) in words.into_iter().enumerate() {
        out.extend((at > 0).then_some(' '));
        out.push_str(word);
    }
    out
}

/// A section with its lines.
#[derive(Debug, Clone)]
pub struct Section {
    /// `frontend`, `backend`, ...
    pub kind: CompactString,
    /// Its name; of `global`, and of a `defaults` without one, empty.
    pub name: CompactString,
    /// The `defaults` that it is from: by `from NAME`, else the last one before it. An index of all sections.
    pub defaults: Option<usize>,
    /// What stands in it.
    pub lines: Vec<Line>,
    /// Its own line.
    pub head: Line,
}

/// A configuration as read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The sections, in order.
    pub sections: Vec<Section>,
    /// The files, with their times of modification.
    pub files: Vec<(PathBuf, Option<i64>)>,
    /// What HAProxy would refuse.
    pub problems: Vec<(Place, String)>,
    /// What we may not read.
    pub blind: Vec<BlindSpot>,
    /// Directories that were named instead of files.
    pub directories: Vec<PathBuf>,
    lines: usize,
    bytes: u64,
}

impl Loaded {
    /// Sections of a kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |section| section.kind == kind)
    }

    /// The lines of `global`, which may stand in several sections.
    pub fn global(&self) -> impl Iterator<Item = &Line> {
        self.of("global").flat_map(|section| &section.lines)
    }

    /// The second word of the last line of `global` that begins so.
    pub fn global_value(&self, key: &str) -> Option<&str> {
        self.global().filter(|line| line.is(&[key])).last().map(|line| line.word(1)).filter(|value| !value.is_empty())
    }

    fn problem(&mut self, at: Place, what: impl Into<String>) {
        if self.problems.len() < PROBLEMS {
            self.problems.push((at, what.into()));
        }
    }
}

/// Reads these files and directories, in this order.
pub fn load(root: &Root, configs: &[PathBuf], environment: &Environment, version: Version<'_>) -> Loaded {
    let mut out = Loaded::default();
    let mut environment = environment.clone();
    for config in configs {
        if root.stat(config).is_ok_and(|info| info.kind == FileKind::Directory) {
            out.directories.push(config.clone());
            // Files in order of their names in the C locale, without hidden ones (haproxy.c, cfgfiles_expand_directories).
            match root.list(config) {
                Ok(mut names) => {
                    names.sort();
                    let wanted = names.iter().map(|name| name.to_string_lossy().into_owned());
                    for name in wanted
                        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "cfg") && !name.starts_with('.'))
                        .take(FILES)
                    {
                        file(root, &config.join(name), &mut environment, version, &mut out);
                    }
                }
                Err(error) if error.denied() => out.blind.push(denied(root, config, "configuration")),
                Err(error) => {
                    out.problem(
                        Place { file: config.clone().into(), line: 1 },
                        format!("could not read the directory: {}", error.source),
                    );
                }
            }
        } else {
            file(root, config, &mut environment, version, &mut out);
        }
    }
    inherit(&mut out);
    out
}

fn file(root: &Root, path: &Path, environment: &mut Environment, version: Version<'_>, out: &mut Loaded) {
    let at = Place { file: path.to_owned().into(), line: 1 };
    if out.files.len() >= FILES || out.bytes >= BYTES_ALL {
        let spot = reading::too_much(path, FILES, BYTES_ALL);
        if out.blind.len() < PROBLEMS {
            out.blind.push(spot);
        }
        return;
    }
    let part = match reading::part(root, path, BYTES_EACH) {
        Ok(read) => read,
        Err(error) if error.denied() => return out.blind.push(denied(root, path, "configuration")),
        Err(error) => return out.problem(at, format!("Could not open configuration file {} : {}", path.display(), error.source)),
    };
    out.bytes += part.bytes.len() as u64;
    out.files.push((path.to_owned(), written(root, path)));
    part.complaints.iter().for_each(|what| out.problem(at.clone(), what.as_str()));
    if !part.text {
        return;
    }
    let bytes = part.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&part.bytes);
    let shared = Arc::new(path.to_owned());
    let mut branches = Branches::default();
    // A file begins outside of any section (readcfgfile).
    let mut section: Option<usize> = None;
    let mut room = String::new();
    for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if out.lines >= LINES {
            return out.problem(at, format!("more than {LINES} lines: the rest was not read"));
        }
        let text = String::from_utf8_lossy(&text[..text.len().min(LINE_BYTES)]);
        let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let parsed = if let Some(words) = plain(&text).filter(|_| !text.trim_start().starts_with('.')) {
            Line::new(words, &mut room, &shared, line)
        } else {
            let (words, error) = words(&text, environment);
            if let Some(error) = error.filter(|_| branches.reading()) {
                out.problem(Place { file: path.to_owned().into(), line }, error);
            }
            if words.first().is_some_and(|first| first.starts_with('.')) && branches.take(&words, environment, version) {
                continue;
            }
            Line::new(words.iter().map(CompactString::as_str), &mut room, &shared, line)
        };
        let Some(parsed) = parsed.filter(|_| branches.reading()) else { continue };
        out.lines += 1;
        if SECTIONS.contains(&parsed.word(0)) {
            section = Some(out.sections.len());
            let named = |name: &str| CompactString::from(name);
            let name = match parsed.word(0) {
                // `defaults NAME from OTHER`, `defaults from OTHER` is no name.
                "defaults" if parsed.word(1) == "from" => CompactString::default(),
                _ => named(parsed.word(1)),
            };
            out.sections.push(Section { kind: named(parsed.word(0)), name, defaults: None, lines: Vec::new(), head: parsed });
        } else if let Some(at) = section {
            if out.sections[at].kind == "global" {
                variables(&parsed, environment);
            }
            out.sections[at].lines.push(parsed);
        } else {
            let place = parsed.place();
            out.problem(place, format!("unknown keyword '{}' out of section.", parsed.word(0)));
        }
    }
    if branches.guessed {
        out.blind.push(BlindSpot {
            source: path.display().to_string(),
            reason: "it has a condition (.if) that only HAProxy can tell; it was taken to hold".to_owned(),
            remedy: "compare with: haproxy -c -f FILE".to_owned(),
        });
    }
}

/// `setenv` and its kin change what later lines see.
fn variables(line: &Line, environment: &mut Environment) {
    let (name, value) = (line.word(1).to_owned(), line.word(2).to_owned());
    match line.word(0) {
        "setenv" => {
            environment.insert(name, value);
        }
        "presetenv" => {
            environment.entry(name).or_insert(value);
        }
        "unsetenv" => line.words().skip(1).for_each(|name| {
            environment.remove(name);
        }),
        "resetenv" => environment.retain(|name, _| line.words().skip(1).any(|kept| kept == name)),
        _ => {}
    }
}

/// Finds for each section the `defaults` that it is from.
fn inherit(out: &mut Loaded) {
    let mut last = None;
    for at in 0..out.sections.len() {
        let section = &out.sections[at];
        let proxy = matches!(section.kind.as_str(), "frontend" | "backend" | "listen");
        let from =
            section.head.words().skip(1).position(|word| word == "from").map(|found| section.head.word(found + 2).to_owned());
        let defaults = match from {
            Some(name) if proxy || section.kind == "defaults" => {
                let known = out.sections[..at].iter().rposition(|other| other.kind == "defaults" && other.name == name.as_str());
                if known.is_none() {
                    let place = section.head.place();
                    out.problem(place, format!("defaults section '{name}' not found"));
                }
                known
            }
            _ if proxy => last,
            _ => None,
        };
        if out.sections[at].kind == "defaults" {
            last = Some(at);
        }
        out.sections[at].defaults = defaults;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_whole_words() {
        let words = ["option", "httpclose"].into_iter();
        let line = Line::new(words, &mut String::new(), &Arc::new(PathBuf::new()), 1).expect("it has words");
        assert!(line.is(&["option"]) && line.is(&["option", "httpclose"]));
        assert!(
            !line.is(&["opt"])
                && !line.is(&["option", "http"])
                && !line.is(&["option", "httpclose", "x"])
                && !line.is(&["httpclose"])
        );
        assert_eq!((line.word(1), line.word(2), line.len()), ("httpclose", "", 2));
    }
}
