//! What facts and families of facts say in words, from `assets/facts.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Clauses without a full stop.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactWords {
    /// By the name of a family: what a look at it is a look at.
    pub families: BTreeMap<String, String>,
    /// By the name of a fact: what it says. Facts from log lines have the words of their signature instead.
    pub facts: BTreeMap<String, String>,
}
