//! What could not be looked at.

use serde::{Deserialize, Serialize};

/// Something that could not be looked at, why, and the least that would change it. Never shown as fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSpot {
    /// What: a file, a socket table, a kernel log.
    pub source: String,
    /// Why not.
    pub reason: String,
    /// The smallest right or setting that would open it.
    pub remedy: String,
}
