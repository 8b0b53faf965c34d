//! The whole assessment of a scene.

use super::{
    FactBook, Moment, Recovery, Scene, again::Logged, changes, checklist, configured, findings, front, hops, nested::Map, quiet,
    rank, symptom, untried::untried,
};
use crate::{
    catalog::Catalog,
    model::{BlindSpot, Cause, Configured, Finding, Hop, Order as _, RuledOut, StepState, Symptom, Verdict},
};

/// What is concluded from a scene.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assessment {
    /// The overall answer.
    pub verdict: Verdict,
    /// One sentence: the verdict with what it stands on.
    pub headline: String,
    /// How it stands after failures that we saw ourselves. `None`: there were none, or they go on.
    pub recovery: Option<Recovery>,
    /// What a client sees.
    pub symptom: Symptom,
    /// Causes, root first.
    pub causes: Vec<Cause>,
    /// Causes that were excluded, with their proof.
    pub ruled_out: Vec<RuledOut>,
    /// Advice about the configuration.
    pub findings: Vec<Finding>,
    /// What is configured for the failing request, or for the first that was tried.
    pub configured: Vec<Configured>,
    /// The path of the failing request.
    pub hops: Vec<Hop>,
    /// The checklist.
    pub steps: Vec<StepState>,
    /// What happened and was changed, oldest first.
    pub moments: Vec<Moment>,
    /// What could not be looked at.
    pub blind: Vec<BlindSpot>,
    /// The URL that was asked about, where it is served and another one fails.
    pub served: Option<String>,
    /// What fails by the logs alone, and in which, where all that we ask for is served: `POST /cart`. The hops are those of what is served.
    pub unasked: Option<(String, String)>,
    /// The URL that all this is about: the failing one, or the first that was tried.
    pub url: Option<String>,
}

/// Assesses a scene.
pub fn assess(scene: &Scene, catalog: &Catalog) -> Assessment {
    let book = FactBook::of(scene, catalog);
    let symptom = symptom::symptom(scene);
    let map = Map::of(scene);
    let (causes, ruled_out) = rank::rank(scene, catalog, &book, &symptom, &map);
    let symptoms = || book.lines(catalog).next().is_some() && !quiet::restarted(scene, catalog);
    let verdict = symptom::verdict(scene, &symptom, &causes, scene.excerpt() && symptoms());
    let symptom = front::of_cause(scene, symptom, &causes);
    let unasked = unasked(scene, &symptom, causes.first());
    let mut blind: Vec<BlindSpot> = scene.blind.values().cloned().collect();
    blind.extend(scene.gateways.iter().flat_map(|gateway| gateway.blind.iter().cloned()));
    blind.extend(scene.beside.iter().map(|other| BlindSpot {
        source: format!("{} ({})", other.title(), other.config.display()),
        reason: "no request for this URL comes to it: its log, its state and its servers were left out".to_owned(),
        remedy: "check one of its own URLs, or no URL at all".to_owned(),
    }));
    blind.extend(untried(scene));
    blind.order_by(|a, b| a.source.cmp(&b.source));
    blind.dedup();
    let mut moments = changes::moments(scene, catalog);
    let recovery = Recovery::of(scene, &moments).filter(|_| !symptom.failing);
    if let Some(recovery) = &recovery {
        let at = moments.partition_point(|moment| moment.at <= recovery.since);
        moments.insert(at, recovery.moment(scene));
    }
    Assessment {
        verdict,
        headline: symptom::headline(scene, &symptom, verdict, (&causes, unasked.as_ref()), recovery.as_ref()),
        recovery,
        hops: hops::hops(scene, &symptom, &causes, &map),
        steps: checklist::steps(scene, catalog, &book, causes.first().map(|cause| &cause.subject)),
        findings: findings::findings(scene, catalog, &book, &causes, &symptom, &map),
        configured: configured::in_question(scene, &causes, &symptom)
            .map_or_else(Vec::new, |subject| configured::configured(scene, catalog, &subject)),
        moments,
        served: symptom.served.clone(),
        unasked,
        url: symptom.url.clone(),
        symptom: symptom.told,
        causes,
        ruled_out,
        blind,
    }
}

/// What of the users' requests fails that we do not ask for, with its log: of those to the first cause's upstream, where they name one.
fn unasked(scene: &Scene, symptom: &symptom::View, first: Option<&Cause>) -> Option<(String, String)> {
    if scene.excerpt() || !symptom.users {
        return None;
    }
    let logged = Logged::of(scene);
    let told = first.and_then(|cause| logged.commonest(Some(&cause.subject))).or_else(|| logged.commonest(None))?;
    (!scene.probes_of("gateway").any(|history| told.is(history))).then(|| (told.words(), told.log.to_owned()))
}
