//! Whether a gateway uses a connection to an upstream for more than one request.

use serde::{Deserialize, Serialize};

use super::Place;

/// Whether a gateway keeps connections to an upstream open for further requests, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// It is not known.
    #[default]
    Unknown,
    /// Each request gets a connection of its own.
    Never,
    /// A connection is used again for the same client only, and never for its first request. Where it breaks, the gateway hangs up
    /// on the client without an answer, who then asks anew: no failing answer comes of it.
    SameClient,
    /// Idle connections are kept and used again.
    Kept {
        /// Milliseconds after which the gateway itself closes an idle one. `None`: it has no such limit.
        idle_ms: Option<u64>,
        /// Where that is written. `None`: it is the gateway's own default.
        at: Option<Place>,
    },
}
