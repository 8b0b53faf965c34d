//! What the operator said and did by hand: notes, and steps of the checklist that were ticked or skipped. It comes by the same stream
//! as what collectors see, so that a recording has it and a replay shows it.

use serde::{Deserialize, Serialize};

use super::CheckState;

/// One thing that the operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// A note, for the line of time and the reports.
    Note {
        /// The text.
        text: String,
        /// The step of the checklist that it is about. `None`: about no step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
    /// A step was done by hand or skipped, or is again what evidence says.
    Step {
        /// The step's id.
        step: String,
        /// Done or skipped. `None`: neither any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<CheckState>,
        /// Why it was skipped, or what was found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}
