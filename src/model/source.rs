//! Logs that were found by what runs, and what they are looked for by.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Address, LogFormat, LogSource, SourceKind, Subject};

/// Whose logs are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerRole {
    /// A gateway's.
    Gateway,
    /// Those of an application behind one.
    #[default]
    Upstream,
}

/// A process whose logs matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogOwner {
    /// Its id.
    pub pid: u32,
    /// What it is to the request.
    pub role: OwnerRole,
    /// What it is: the upstreams, as the gateway names them; the gateway itself.
    pub serves: Vec<Subject>,
}

/// What is asked of a collector from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked<T> {
    /// Which question it is: an answer names it, since one to the question before may still be under way.
    pub number: u64,
    /// What.
    pub what: T,
}

/// What logs are looked for by. Equal wishes need no other look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceWish {
    /// Masters of gateways, and owners of the sockets that they connect to. Their parents, siblings and children are found from them.
    pub owners: Vec<LogOwner>,
    /// Local addresses that a gateway connects to and whose owner is not known, or that nobody listens on: what is configured to
    /// listen there is looked for instead.
    pub ownerless: Vec<Address>,
    /// Local addresses that a gateway connects to, all of them.
    pub dialled: Vec<Address>,
    /// Units of gateways, be it that they don't run: why one does not start stands in its journal.
    pub units: Vec<(String, Subject)>,
    /// Files that are followed already, by the gateway's configuration or by the operator's wish.
    pub known: Vec<PathBuf>,
    /// Files that gateways' configurations consist of, each with its gateway.
    pub configs: Vec<(PathBuf, Subject)>,
    /// Directories of scripts that gateways name to an upstream: those of FastCGI.
    pub scripts: Vec<(PathBuf, Subject)>,
}

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogPlace {
    /// A file, below the root that is looked at.
    File(PathBuf),
    /// A unit of systemd's journal: `app.service`.
    Journal(String),
}

/// A log that was found, and why it is one that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundLog {
    /// Where it is.
    pub place: LogPlace,
    /// Whose it is.
    pub kind: SourceKind,
    /// How to read it.
    pub format: LogFormat,
    /// Why it was chosen, for a person: `open by gunicorn (811) fd 2`.
    pub why: String,
    /// Of what it speaks where its lines name no upstream: those upstreams that write it, or the gateway.
    #[serde(default)]
    pub serves: Vec<Subject>,
}

/// What stands before the unit in the name of a source that is a journal.
pub const JOURNAL_PREFIX: &str = "journal:";

impl FoundLog {
    /// Its name in batches, facts and on the screen.
    pub fn id(&self) -> String {
        match &self.place {
            LogPlace::File(path) => path.display().to_string(),
            LogPlace::Journal(unit) => format!("{JOURNAL_PREFIX}{unit}"),
        }
    }

    /// Whether this is its [`Self::id`].
    pub fn is(&self, id: &str) -> bool {
        match &self.place {
            LogPlace::File(path) => path.to_str().map_or_else(|| self.id() == id, |path| path == id),
            LogPlace::Journal(unit) => id.strip_prefix(JOURNAL_PREFIX) == Some(unit),
        }
    }

    /// The file to be followed. `None`: it is no file.
    pub fn file(&self) -> Option<LogSource> {
        match &self.place {
            LogPlace::File(path) => Some(LogSource { path: path.clone(), kind: self.kind, format: self.format.clone() }),
            LogPlace::Journal(_) => None,
        }
    }

    /// The unit whose journal is to be followed. `None`: it is a file.
    pub fn unit(&self) -> Option<&str> {
        match &self.place {
            LogPlace::Journal(unit) => Some(unit),
            LogPlace::File(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use super::*;

    #[test]
    fn a_log_is_what_its_name_says_and_no_other() {
        for place in [
            LogPlace::File("/var/log/a".into()),
            LogPlace::File(OsStr::from_bytes(b"/var/log/\xff").into()),
            LogPlace::Journal("a.service".to_owned()),
        ] {
            let file = match &place {
                LogPlace::File(path) => Some(path.clone()),
                LogPlace::Journal(_) => None,
            };
            let found = FoundLog { place, kind: SourceKind::App, format: LogFormat::Plain, why: String::new(), serves: Vec::new() };
            assert!(found.is(&found.id()), "{found:?}");
            assert!(!found.is("a.service") && !found.is("/var/log/b") && !found.is(""), "{found:?}");
            if let Some(path) = file {
                let log = LogSource { path, kind: SourceKind::App, format: LogFormat::Plain };
                assert!(log.is(&log.id()) && !log.is("/var/log/b"), "{log:?}");
            }
        }
    }
}
