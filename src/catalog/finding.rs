//! Findings: what ought to be mended although it breaks no request, and how, in the words of each kind of gateway.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The key of [`FindingSpec::remedy`] for gateways that have no words of their own.
const ANY: &str = "any";

/// One kind of finding. What is found is decided in `diagnose/findings/`, unless a fact or a cause is all that it takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FindingSpec {
    /// Its id.
    pub id: String,
    /// A noun phrase.
    pub title: String,
    /// Why it matters: what comes of it, and when.
    pub why: String,
    /// Facts that are this finding. Empty: a rule of the code's finds it.
    #[serde(default)]
    pub facts: Vec<String>,
    /// Causes that are this finding, too, where one is named for a server: the finding says where that is written.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to do, by kind of gateway; `any` for all others. `{fields}` are those of the finding; a sentence with one that is not
    /// known is left out for that of `any`.
    pub remedy: BTreeMap<String, String>,
    /// Where to read more.
    #[serde(default)]
    pub refs: Vec<String>,
}

impl FindingSpec {
    /// What to do, in the words of this kind of gateway first.
    pub fn remedies<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        [self.remedy.get(kind), self.remedy.get(ANY)].into_iter().flatten().map(String::as_str)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) finding: Vec<FindingSpec>,
}
