//! Causes: what they are, what speaks for and against them, what to do.

use serde::Deserialize;

use super::{About, CatalogError};

/// A fact that speaks for or against a cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EvidenceSpec {
    /// The fact's name.
    pub fact: String,
    /// How much it counts, between 0 and 1: the share of doubt that it removes.
    pub weight: f64,
    /// Whether it is direct proof when it holds now.
    #[serde(default)]
    pub proof: bool,
    /// The reason of the cause when this is what speaks for it; `{mismatch}` and the like stand for fields of the fact.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Advice: a sentence and the words of a command. `{subject}`, `{unit}`, `{place}` and other fields of the evidence are
/// filled in; an entry with a field that is not known is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdviceSpec {
    /// Whose words these are: kinds of gateways, or names of application servers. Empty: they hold for all.
    #[serde(default)]
    pub of: Vec<String>,
    /// Fields with any of which these words do not hold: what runs in Kubernetes is no unit of this host.
    #[serde(default)]
    pub unless: Vec<String>,
    /// The sentence, in the imperative.
    pub text: String,
    /// The command's words.
    #[serde(default)]
    pub run: Vec<String>,
}

/// Whether what stands between braces in a text is the name of a field, and not a part of somebody's configuration.
pub fn is_field(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// One cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CauseSpec {
    /// One of the fixed words of the contract.
    pub id: String,
    /// Where it lies: the heading of its file.
    #[serde(skip)]
    pub section: String,
    /// What it is a cause of trouble of.
    pub about: About,
    /// A noun phrase.
    pub title: String,
    /// What it is, and how to tell it from its neighbours.
    pub what: String,
    /// The sentence for an incident, the first whose fields are all known: `{subject}`, `{place}`, `{elsewhere}`, ...
    pub summary: Vec<String>,
    /// What speaks for it.
    #[serde(rename = "for")]
    pub evidence_for: Vec<EvidenceSpec>,
    /// What speaks against it.
    #[serde(default)]
    pub against: Vec<EvidenceSpec>,
    /// At least one of these facts must hold, or it is no candidate. Empty: any evidence for it will do.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Families of facts that must have been looked at before it can be confirmed: `listen`, `probe:upstream`.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Facts that exclude it.
    #[serde(default)]
    pub excluded_by: Vec<String>,
    /// Causes that follow from it: they stand below it.
    #[serde(default)]
    pub explains: Vec<String>,
    /// Whether it only contributes: it stands below every other cause, however much speaks for it.
    #[serde(default)]
    pub contributing: bool,
    /// Whether it is a fault even while every request is served.
    #[serde(default)]
    pub standalone: bool,
    /// Facts with which it is a fault even while every request is served that is tried here: they show what breaks a share.
    #[serde(default)]
    pub alone: Vec<String>,
    /// What stops the bleeding, each with its risk.
    #[serde(default)]
    pub mitigate: Vec<AdviceSpec>,
    /// What removes it.
    pub fix: Vec<AdviceSpec>,
    /// How to see that it is gone.
    pub verify: Vec<AdviceSpec>,
    /// How to keep it away.
    #[serde(default)]
    pub prevent: Vec<String>,
    /// Where to read more: manual pages, documentation sections.
    #[serde(default)]
    pub refs: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    section: String,
    cause: Vec<CauseSpec>,
}

/// Advice for all causes: `assets/verify.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForAll {
    pub(super) advice: Vec<AdviceSpec>,
}

impl File {
    /// Leaves out what has the id of one of these.
    pub(super) fn forget(&mut self, own: &[CauseSpec]) {
        self.cause.retain(|known| own.iter().all(|cause| cause.id != known.id));
    }

    pub(super) fn causes(self) -> impl Iterator<Item = CauseSpec> {
        self.cause.into_iter().map(move |cause| CauseSpec { section: self.section.clone(), ..cause })
    }
}

impl CauseSpec {
    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<CatalogError> {
        let spec = self.evidence_for.iter().chain(&self.against).find(|spec| !(0.0..1.0).contains(&spec.weight))?;
        Some(CatalogError::new(&self.id, format!("the weight of {} is not between 0 and 1", spec.fact)))
    }
}
