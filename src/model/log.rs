//! Log lines as they are recorded: counted per normalised line, source and second, before any signature is applied.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a log's lines are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// nginx error log: `2026/11/20 02:17:41 [error] 811#811: *5 ...`, local time.
    NginxError,
    /// An access log by nginx's `log_format`: its text with `$variables`.
    NginxAccess(String),
    /// Kernel messages.
    Kernel,
    /// Anything else: lines.
    Plain,
}

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The gateway's errors.
    Error,
    /// The gateway's requests.
    Access,
    /// The application's.
    App,
    /// The kernel's.
    Kernel,
}

/// A log to be followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogSource {
    /// The file, below the root that is looked at.
    pub path: PathBuf,
    /// Whose it is.
    pub kind: SourceKind,
    /// How to read it.
    pub format: LogFormat,
}

impl LogSource {
    /// Its name in messages, facts and on the screen.
    pub fn id(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether this is its [`Self::id`]: asked of each group of lines, hundreds of times a second in a flood.
    pub fn is(&self, id: &str) -> bool {
        self.path.to_str().map_or_else(|| self.id() == id, |path| path == id)
    }
}

/// Equal lines of one second, or of several that were read in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCount {
    /// When the first came, in seconds since the Unix epoch. `None`: the lines have no time stamp of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<i64>,
    /// The line without what differs from request to request: the group that it belongs to.
    pub key: String,
    /// How many in all.
    pub count: u32,
    /// Other seconds in which such lines came, and how many of them in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<(i64, u32)>,
    /// The first of them, verbatim up to a bound.
    pub first: String,
    /// The last, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

impl LogCount {
    /// Bytes of its text.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.first.len() + self.last.as_ref().map_or(0, String::len)
    }
}

/// What was read from one log at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// [`LogSource::id`].
    pub source: String,
    /// Whose it is.
    pub kind: SourceKind,
    /// How its lines are read.
    pub format: LogFormat,
    /// The lines, in order of their first appearance.
    pub counts: Vec<LogCount>,
    /// Lines that were already there when we began to look.
    pub lookback: bool,
    /// Lines that were passed over because they came faster than they could be taken.
    #[serde(default)]
    pub dropped: u64,
}
