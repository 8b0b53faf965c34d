//! Signatures: which log line means what.

use regex::{Regex, RegexSet};
use serde::Deserialize;

use super::CatalogError;
use crate::model::{LogFormat, NginxErrorLine};

/// What a signature's line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The upstream that the line names.
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
    /// The pattern, matched against the line's text; for nginx against `[level] message`.
    pub pattern: String,
    /// What the line means, in a sentence that ends with a full stop.
    pub explain: String,
    /// Whether it says that the gateway's configuration did not load: a load that succeeds later overtakes it.
    #[serde(default)]
    pub of_load: bool,
    /// Cause ids that it speaks for, likeliest first. Empty for context.
    #[serde(default)]
    pub causes: Vec<String>,
    /// Lines that must match.
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
struct File {
    /// The format of the logs whose lines these are.
    format: Family,
    signature: Vec<Signature>,
}

/// Formats of logs as a signature file names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// nginx error log.
    NginxError,
    /// Kernel messages.
    Kernel,
    /// Any other log.
    Plain,
}

impl Family {
    /// The family of a log's format; `None`: its lines are no messages (access logs).
    fn of(format: &LogFormat) -> Option<Self> {
        match format {
            LogFormat::NginxError => Some(Self::NginxError),
            LogFormat::Kernel => Some(Self::Kernel),
            LogFormat::Plain => Some(Self::Plain),
            LogFormat::NginxAccess(_) => None,
        }
    }
}

/// All signatures with their compiled patterns.
#[derive(Debug, Default)]
pub struct Signatures {
    families: Vec<(Family, RegexSet, Vec<Signature>)>,
}

impl Signatures {
    /// Parses and compiles these files.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, CatalogError> {
        let mut families = Vec::new();
        for (name, text) in files {
            let file: File = toml::from_str(text).map_err(|e| CatalogError::new(name, e))?;
            for signature in &file.signature {
                Regex::new(&signature.pattern).map_err(|e| CatalogError::new(name, format!("{}: {e}", signature.id)))?;
            }
            let set =
                RegexSet::new(file.signature.iter().map(|signature| &signature.pattern)).map_err(|e| CatalogError::new(name, e))?;
            families.push((file.format, set, file.signature));
        }
        Ok(Self { families })
    }

    /// The signature of a line: the first in the order of the file that matches. Of an nginx line only level and message
    /// count: what stands behind them is of the client's choosing.
    pub fn of(&self, format: &LogFormat, line: &str) -> Option<&Signature> {
        let family = Family::of(format)?;
        let message = match family {
            Family::NginxError => NginxErrorLine::parse(line).map(|parsed| format!("[{}] {}", parsed.level, parsed.message))?,
            Family::Kernel | Family::Plain => line.to_owned(),
        };
        let line = message.as_str();
        self.families
            .iter()
            .filter(|(of, ..)| *of == family)
            .find_map(|(_, set, list)| set.matches(line).iter().next().and_then(|index| list.get(index)))
    }

    /// The signature with this id.
    pub fn by_id(&self, id: &str) -> Option<&Signature> {
        self.all().find(|signature| signature.id == id)
    }

    /// All of them, with the family of the logs whose lines they are.
    pub fn with_family(&self) -> impl Iterator<Item = (Family, &Signature)> {
        self.families.iter().flat_map(|(family, _, list)| list.iter().map(move |signature| (*family, signature)))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Signature> {
        self.families.iter().flat_map(|(_, _, list)| list)
    }
}
