//! Layer 3: from observations to ranked causes. Pure: the same scene gives the same assessment, to the byte.
//!
//! ```text
//! Observation ─▶ Scene ─▶ FactBook ─▶ Assessment: symptom, causes, ruled out, findings, hops, checklist
//!                (scene)  (facts/)     (symptom, rank, path, checklist)
//! ```
//!
//! A fact has a name, and exactly one producer under `facts/` makes it; causes and steps (data, in `assets/`) refer to
//! these names and to nothing else. Nothing here knows a collector, a screen or a clock.
//!
//! To add a derived fact: one function in a file of `facts/`, and its names in that file's `NAMES`. To add a cause or a step: a
//! block in `assets/`; no code.

mod assess;
mod checklist;
mod facts;
mod group;
mod hops;
mod rank;
mod recent;
mod relation;
mod scene;
mod scope;
mod since;
mod symptom;
mod traffic;
mod wording;
mod zone;

pub use assess::{Assessment, assess};
pub use facts::{FactBook, LOG_WINDOW_S, PROBES, candidates, family, names as fact_names, window};
pub use group::{LogGroup, Meaning, OUTAGE_GAP_S};
pub use recent::{Recent, RecentLine};
pub use scene::{LOG_GROUPS, OVERFLOW_KEY, PROBE_RESULTS, ProbeHistory, ProbeResult, Scene};
pub use symptom::{failed, url_of};
pub use traffic::{Flow, Traffic};
