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

mod again;
mod assess;
mod beside;
mod by_hand;
mod change;
mod changes;
mod checklist;
mod config_watch;
mod configured;
pub mod edit_at;
mod facts;
mod failing;
mod findings;
mod flips;
mod front;
mod group;
mod histories;
mod hops;
mod in_flight;
mod life;
mod names;
pub mod nested;
mod ongoing;
mod operator;
mod owners;
mod places;
mod quiet;
mod rank;
mod recent;
mod recovery;
mod relation;
mod scene;
mod scope;
mod since;
mod symptom;
mod traffic;
mod untried;
mod upstream;
mod wording;
mod wrote;
mod zone;

pub use assess::{Assessment, assess};
pub use by_hand::by_hand;
pub use change::{ConfigChange, changes, short as short_place};
pub use changes::{Moment, MomentKind, moments};
pub use config_watch::{ConfigWatch, Edit, Load, Standing};
pub use configured::configured;
pub use facts::{Candidates, FactBook, LOG_WINDOW_S, PROBES, edited_since_load, family, names as fact_names, reuse_breaks, window};
pub use failing::{Failing, failing};
pub use findings::ids as finding_ids;
pub use flips::{Flip, Flips};
pub use group::{LogGroup, Meaning, OUTAGE_GAP_S};
pub use histories::{Histories, PROBE_RESULTS, ProbeHistory, ProbeResult};
pub use in_flight::{InFlight, in_flight};
pub use life::how as how_it_ended;
pub use names::worth_trying as addresses_worth_trying;
pub use ongoing::{may_go_on, one_more_tells};
pub use operator::{Note, Operator, Ticked};
pub use recent::{Recent, RecentLine};
pub use recovery::Recovery;
pub use scene::{LOG_GROUPS, OVERFLOW_KEY, Scene};
pub use since::{told_of, told_to_fail, told_to_hang, told_to_serve};
pub use symptom::{failed, url_of};
pub use traffic::{Flow, Traffic};
pub use upstream::{upstream_of, without_port};
pub use wrote::wrote;
