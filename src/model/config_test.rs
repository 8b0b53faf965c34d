//! What gateways' own tests of their configuration said, now and in an earlier run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Place;

/// What the gateway's own test said of its configuration on disk, for which files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTest {
    /// Whether it passed.
    pub passed: bool,
    /// What it said: the first error where it failed. Foreign text: sanitise before showing.
    pub message: String,
    /// Where the error is, as it names the place.
    #[serde(default)]
    pub at: Option<Place>,
}

/// What the words of a test end with that was made by an earlier run ([`ConfigTest::message`]).
pub const TESTED_EARLIER: &str = ", and nothing that it reads has changed since";

/// A gateway's own test that passed in an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTest {
    /// The main configuration file.
    pub config: PathBuf,
    /// What it was made of ([`crate::model::Gateway::tested`]).
    pub fingerprint: u64,
    /// When, in seconds since the Unix epoch.
    pub at: i64,
}
