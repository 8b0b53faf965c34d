//! Steps of the checklist.

use serde::Deserialize;

use super::{AdviceSpec, CatalogError};

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
    /// Where it comes from.
    pub guides: Vec<GuideRef>,
    /// Facts any of which ticks it as failed.
    #[serde(default)]
    pub fail: Vec<String>,
    /// Facts any of which ticks it as passed, when none of `fail` holds.
    #[serde(default)]
    pub pass: Vec<String>,
    /// Families of facts that, all looked at and without failure, tick it as passed.
    #[serde(default)]
    pub looked: Vec<String>,
    /// Facts any of which says that it does not apply here.
    #[serde(default)]
    pub not_applicable: Vec<String>,
    /// The command by which a person checks it.
    pub check: AdviceSpec,
    /// What to do when it fails.
    pub on_fail: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    step: Vec<StepSpec>,
}

pub(super) fn parse(file: &str, text: &str) -> Result<Vec<StepSpec>, CatalogError> {
    toml::from_str::<File>(text).map(|parsed| parsed.step).map_err(|e| CatalogError::new(file, e))
}
