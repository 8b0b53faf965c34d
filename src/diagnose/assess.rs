//! The whole assessment of a scene.

use std::collections::BTreeMap;

use super::{FactBook, Scene, checklist, hops, rank, symptom};
use crate::{
    catalog::Catalog,
    model::{BlindSpot, Cause, CheckState, Finding, Hop, RuledOut, StepState, Symptom, Verdict},
};

/// What is concluded from a scene.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assessment {
    /// The overall answer.
    pub verdict: Verdict,
    /// One sentence: the verdict with what it stands on.
    pub headline: String,
    /// What a client sees.
    pub symptom: Symptom,
    /// Causes, root first.
    pub causes: Vec<Cause>,
    /// Causes that were excluded, with their proof.
    pub ruled_out: Vec<RuledOut>,
    /// Advice about the configuration.
    pub findings: Vec<Finding>,
    /// The path of the failing request.
    pub hops: Vec<Hop>,
    /// The checklist.
    pub steps: Vec<StepState>,
    /// What could not be looked at.
    pub blind: Vec<BlindSpot>,
    /// The URL that all this is about: the failing one, or the first that was tried.
    pub url: Option<String>,
}

/// Assesses a scene. `ticked`: steps that a person ticked or skipped.
pub fn assess(scene: &Scene, catalog: &Catalog, ticked: &BTreeMap<String, CheckState>) -> Assessment {
    let book = FactBook::of(scene, catalog);
    let symptom = symptom::symptom(scene);
    let (causes, ruled_out) = rank::rank(scene, catalog, &book, &symptom);
    let verdict = symptom::verdict(scene, &symptom, &causes, book.tells_of_failure(catalog));
    let mut blind: Vec<BlindSpot> = scene.blind.values().cloned().collect();
    blind.extend(scene.gateways.iter().flat_map(|gateway| gateway.blind.iter().cloned()));
    blind.sort_by(|a, b| a.source.cmp(&b.source));
    blind.dedup();
    Assessment {
        verdict,
        headline: symptom::headline(scene, &symptom, verdict, &causes),
        hops: hops::hops(scene, &symptom, &causes),
        steps: checklist::steps(scene, catalog, &book, causes.first().map(|cause| &cause.subject), ticked),
        findings: Vec::new(),
        url: symptom.url.clone(),
        symptom: symptom.told,
        causes,
        ruled_out,
        blind,
    }
}
