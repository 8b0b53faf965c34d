//! Facts: what observations mean, by name. Signatures, causes and checklist steps refer to these names.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::Stamp;

/// What a fact, a probe or a cause is about: an upstream's address, a file, a name, the gateway, the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject(pub String);

impl Subject {
    /// The host itself.
    pub fn host() -> Self {
        Self("host".to_owned())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that is so, with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// `log:<signature>`, `probe:<probe>:<outcome>`, `load:<gauge>`, `conf:<finding>`, `listen:...`, `gateway:...`, `path:...`.
    pub name: String,
    /// What it is about.
    pub subject: Subject,
    /// Whether it holds now, by a live look; otherwise it is what a log said.
    pub now: bool,
    /// When it was last seen.
    pub at: Stamp,
    /// One sentence with number, subject and place.
    pub text: String,
    /// Where it was seen: `probe`, `/var/log/nginx/error.log`, `/proc/net/tcp`.
    pub source: String,
    /// Values that a sentence or a command about it can use: `place`, `elsewhere`, `unit`, `pid`, `user`, `dir`.
    pub fields: BTreeMap<String, String>,
}
