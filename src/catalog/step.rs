//! Steps of the checklist.

use serde::Deserialize;

use super::AdviceSpec;

/// Where in the guides a step comes from: `B: Advanced Diagnostic Tools`.
pub type GuideRef = String;

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepSpec {
    /// Its id.
    pub id: String,
    /// The phase of the work that it belongs to.
    pub phase: String,
    /// A few words for a line of the list.
    pub title: String,
    /// The question that it answers.
    pub question: String,
    /// Why it matters.
    pub why: String,
    /// Where it comes from. Only a team's own step comes from none.
    #[serde(default)]
    pub guides: Vec<GuideRef>,
    /// Facts any of which ticks it as failed.
    #[serde(default)]
    pub fail: Vec<String>,
    /// Facts any of which ticks it as passed, when none of `fail` holds.
    #[serde(default)]
    pub pass: Vec<String>,
    /// Causes: a log line that names one of them before all others ticks it as failed, whoever's words it has.
    #[serde(default)]
    pub fail_lines: Vec<String>,
    /// Facts any of which says that it does not apply here.
    #[serde(default)]
    pub not_applicable: Vec<String>,
    /// Whether it tells, where nothing was seen, how the state of gateways and application servers is opened.
    #[serde(default)]
    pub open_status: bool,
    /// What its state says as long as nothing was seen that ticks it: what was not done, and when it would be.
    #[serde(default)]
    pub untold: Option<String>,
    /// The command by which a person checks it.
    pub check: AdviceSpec,
    /// What to do when it fails.
    pub on_fail: String,
}

impl StepSpec {
    /// Whether it is one of those that keep the next outage away: nothing of it mends this one.
    pub fn prevents(&self) -> bool {
        self.phase.starts_with("after")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) step: Vec<StepSpec>,
}
