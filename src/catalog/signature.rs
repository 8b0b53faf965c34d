//! Signatures: which log line means what.
//!
//! A line is compared with the patterns of its own dialect only, and with what it says, not with what stands around it: request,
//! host and referrer are of the client's choosing. Patterns are anchored and know bytes, not Unicode.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::OnceLock,
};

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{CatalogError, patterns::Patterns};
use crate::model::{
    Order as _,
    logline::{Dialect, Entry, Writer},
};

/// Bytes of one field that a pattern names, at most.
const FIELD_BYTES: usize = 200;
/// How messages begin that are a form of ours, and no program's words.
const FORMS: [&str; 3] = ["[HPM] ", "[netty] ", "[YARP] "];

/// What a signature's line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The upstream: the one that the line names, or the application whose log it is.
    Upstream,
    /// The gateway.
    Gateway,
    /// The host.
    Host,
}

/// Whether a line names a root or what follows from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// It names the root, or the nearest thing to it that one host can see.
    Root,
    /// It is a symptom, or a consequence of an earlier line.
    Symptom,
    /// It is context: a reload, a deploy, a limit; never a fault by itself.
    Context,
}

/// What a line tells of somebody's being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Nobody listened.
    Absent,
    /// Somebody was there, and went away.
    Left,
    /// The application as a whole ended, not one worker of it: one line for each of its lives.
    Ended,
}

/// One signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signature {
    /// Its id, and the last word of its fact: `log:<id>`.
    pub id: String,
    /// The row of `reference/signatures.md` and the evidence behind it, or the source where the format string stands.
    pub origin: String,
    /// What the line is about.
    pub about: About,
    /// Root, symptom or context.
    pub rank: Rank,
    /// The pattern, compared with the entry's message. Its named groups become fields of the fact: `(?P<process>\S+)`.
    pub pattern: String,
    /// What the line means, as a clause without a full stop.
    pub explain: String,
    /// Whether it says that the gateway's configuration did not load: a load that succeeds later overtakes it.
    #[serde(default)]
    pub of_load: bool,
    /// Whether it tells that nobody was there, or that somebody left: who does both by turns, or ends again and again, restarts in a loop.
    #[serde(default)]
    pub presence: Option<Presence>,
    /// Signatures whose lines tell the same event, and more of it: beside one of those it is no further evidence.
    #[serde(default)]
    pub restates: Vec<String>,
    /// Cause ids that it speaks for, likeliest first. Empty for context.
    #[serde(default)]
    pub causes: Vec<String>,
    /// Cause ids that somebody would look for first who sees nothing but such lines, of a symptom: in an excerpt that names no cause.
    #[serde(default)]
    pub suspects: Vec<String>,
    /// The `reason` of the first cause, for those that have one: `http-to-uwsgi`, `expired`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Lines that must match. Like `not` and `composed`, they are for tests and not embedded.
    #[serde(default)]
    pub samples: Vec<String>,
    /// Near misses that must not match.
    #[serde(default)]
    pub not: Vec<String>,
    /// Whether the samples are composed from the source's format string, because the program could not be run.
    #[serde(default)]
    pub composed: bool,
}

/// A file of signatures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Whose lines these are.
    dialects: Vec<Dialect>,
    /// Files of a lower figure are asked first: those whose patterns take what others would take too. Else the name decides.
    #[serde(default)]
    order: u8,
    signature: Vec<Signature>,
}

impl File {
    /// Leaves out what has the id of one of these.
    pub(super) fn forget(&mut self, own: &Self) {
        self.signature.retain(|known| own.signature.iter().all(|signature| signature.id != known.id));
    }

    /// To be asked before all others.
    pub(super) fn first(self) -> Self {
        Self { order: 0, ..self }
    }
}

#[derive(Debug)]
struct Family {
    dialects: Vec<Dialect>,
    /// Compiled when a line of the file's dialects is seen: most hosts run few of these programs, and each set costs milliseconds and
    /// hundreds of kilobytes. `None`: they do not compile.
    patterns: OnceLock<Option<Patterns>>,
    /// Where the list of all signatures has those of the file.
    range: Range<usize>,
}

/// All signatures with their compiled patterns.
#[derive(Debug, Default)]
pub struct Signatures {
    families: Vec<Family>,
    all: Vec<Signature>,
    index: HashMap<String, usize>,
}

impl Signatures {
    /// Those of these files.
    pub(super) fn of_files(mut files: Vec<File>) -> Self {
        let mut signatures = Self::default();
        files.order_by_key(|file| file.order);
        for file in files {
            let first = signatures.all.len();
            signatures.all.extend(file.signature);
            let range = first..signatures.all.len();
            signatures.families.push(Family { dialects: file.dialects, patterns: OnceLock::new(), range });
        }
        signatures.index = signatures.all.iter().enumerate().map(|(at, signature)| (signature.id.clone(), at)).collect();
        signatures
    }

    /// The signature of a line: the first in the order of the files and in them that matches.
    pub fn of(&self, entry: &Entry<'_>) -> Option<&Signature> {
        self.at(self.place(entry)?)
    }

    /// The signature at this place.
    pub fn at(&self, place: usize) -> Option<&Signature> {
        self.all.get(place)
    }

    /// The place of a line's signature, for [`Self::at`]. Dialect and message of a line decide it.
    pub fn place(&self, entry: &Entry<'_>) -> Option<usize> {
        let families = self.families.iter().filter(|family| family.dialects.contains(&entry.dialect));
        let mut places = families.filter_map(|family| {
            let patterns = family.patterns.get_or_init(|| self.compile(family)).as_ref()?;
            let text = entry.message.as_bytes();
            let of_family = &self.all[family.range.clone()];
            let exact = |at: usize| of_family[at].compile().is_ok_and(|pattern| pattern.is_match(text));
            Some(family.range.start + patterns.first(text, exact)?)
        });
        places.next()
    }

    /// Compiles all patterns, to see that they are sound. An error names the signature.
    pub fn check(&self) -> Result<(), CatalogError> {
        for signature in &self.all {
            signature.compile().map_err(|e| CatalogError::new(&signature.id, e))?;
        }
        let broken = self.families.iter().find(|family| self.compile(family).is_none());
        let first = broken.and_then(|family| self.at(family.range.start));
        first.map_or(Ok(()), |first| Err(CatalogError::new(&first.id, "its pattern and those after it are too much together")))
    }

    fn compile(&self, family: &Family) -> Option<Patterns> {
        Patterns::new(self.all[family.range.clone()].iter().map(|signature| signature.pattern.as_str()))
    }

    /// The signature with this id.
    pub fn by_id(&self, id: &str) -> Option<&Signature> {
        self.all.get(*self.index.get(id)?)
    }

    /// All of them, with the dialects of their file.
    pub fn with_dialects(&self) -> impl Iterator<Item = (&[Dialect], &Signature)> {
        self.families
            .iter()
            .flat_map(|family| self.all[family.range.clone()].iter().map(move |signature| (family.dialects.as_slice(), signature)))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Signature> {
        self.all.iter()
    }
}

fn bounded(value: &str) -> String {
    value[..value.floor_char_boundary(FIELD_BYTES)].to_owned()
}

impl Signature {
    /// What its pattern names in a line of it, and for what is no gateway's `said`: its first line.
    pub fn fields(&self, entry: &Entry<'_>) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        let form = FORMS.iter().any(|form| entry.message.starts_with(form));
        if entry.dialect.writer() != Writer::Gateway && entry.status.is_none() && !form {
            let said = entry.message.lines().next().unwrap_or_default().trim();
            fields.insert("said".to_owned(), bounded(said));
        }
        // Compiled when needed: a group of lines is classified once.
        let pattern =
            Some(self).filter(|signature| signature.pattern.contains("(?P<")).and_then(|signature| signature.compile().ok());
        if let Some((pattern, found)) =
            pattern.as_ref().and_then(|pattern| Some((pattern, pattern.captures(entry.message.as_bytes())?)))
        {
            for name in pattern.capture_names().flatten() {
                if let Some(value) = found.name(name) {
                    // A group stands once in a pattern; what another branch names is numbered.
                    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
                    fields.insert(name.to_owned(), bounded(&String::from_utf8_lossy(value.as_bytes())));
                }
            }
        }
        fields
    }

    fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.pattern).unicode(false).build()
    }
}
