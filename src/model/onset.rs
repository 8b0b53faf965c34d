//! Since when something fails, by one log.

use serde::{Deserialize, Serialize};

use super::SourceKind;

/// By what a log shows that something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnsetMeasure {
    /// The share of failed requests, 0 to 1.
    Share,
    /// Lines per second that tell of a failure: the log has no others.
    PerSecond,
}

/// The begin of what failed at the end of a log when it was first looked at. It was found by looking at a small part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogOnset {
    /// [`LogSource::id`](super::LogSource::id).
    pub source: String,
    /// Whose log.
    pub kind: SourceKind,
    /// The second of the first failure, since the Unix epoch.
    pub second: i64,
    /// How far that may be off, in seconds.
    pub uncertainty_s: u32,
    /// All that could be read is sick: it began then, or before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
    /// By what it is told.
    pub measure: OnsetMeasure,
    /// How it was before. `None`: nothing of it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// How it was at the end.
    pub now: f64,
    /// What was read to find it, in bytes.
    pub read_bytes: u64,
    /// The file that the log was rotated to, where it began there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_in: Option<String>,
}
