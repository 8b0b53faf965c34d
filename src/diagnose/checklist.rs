//! The checklist: steps tick themselves from facts.

use std::collections::BTreeMap;

use super::{FactBook, Scene, facts::family};
use crate::{
    catalog::{AdviceSpec, Catalog, StepSpec},
    model::{Advice, CheckState, Command, StepState, Subject},
};

/// Each step of the catalogue with its state. `about`: what the first cause is about, if there is one.
pub fn steps(
    scene: &Scene,
    catalog: &Catalog,
    book: &FactBook,
    about: Option<&Subject>,
    ticked: &BTreeMap<String, CheckState>,
) -> Vec<StepState> {
    catalog.steps.iter().map(|step| state(scene, step, book, about, ticked)).collect()
}

fn state(
    scene: &Scene,
    step: &StepSpec,
    book: &FactBook,
    about: Option<&Subject>,
    ticked: &BTreeMap<String, CheckState>,
) -> StepState {
    // Where the failing upstream itself was looked at, another one that is well proves nothing.
    let find = |name: &String| match about {
        Some(subject) if book.looked_at(family(name), &[subject]) => book.find(name, &[subject]),
        Some(_) | None => book.any(name),
    };
    let first = |names: &[String]| names.iter().find_map(find);
    let looked = !step.looked.is_empty() && step.looked.iter().all(|family| book.looked_at(family, &[]));
    let (state, text, at) = if let Some(state) = ticked.get(&step.id) {
        (*state, String::new(), None)
    } else if let Some(fact) = first(&step.fail) {
        (CheckState::Fail, fact.text.clone(), Some(fact.at))
    } else if let Some(fact) = first(&step.not_applicable) {
        (CheckState::NotApplicable, fact.text.clone(), Some(fact.at))
    } else if let Some(fact) = first(&step.pass) {
        (CheckState::Pass, fact.text.clone(), Some(fact.at))
    } else if looked {
        (CheckState::Pass, "looked at, and nothing is wrong".to_owned(), Some(scene.now))
    } else if step.fail.is_empty() && step.pass.is_empty() && step.looked.is_empty() {
        (CheckState::Unknown, "for a person to check".to_owned(), None)
    } else {
        (CheckState::Unknown, "not looked at".to_owned(), None)
    };
    StepState { id: step.id.clone(), state, text, at, command: command(&step.check, scene) }
}

/// The step's command, with the gateway's own words for it where there is a gateway.
fn command(spec: &AdviceSpec, scene: &Scene) -> Option<Advice> {
    let gateway = scene.gateways.first();
    let url = scene
        .probes_of("gateway")
        .next()
        .map_or_else(|| "http://127.0.0.1/".to_owned(), |history| super::symptom::url_of(&history.last));
    let upstream = scene.probes_of("upstream").next().map(|history| history.last.job.address.to_string());
    let mut words = Vec::new();
    for word in &spec.run {
        match word.as_str() {
            "{url}" => words.push(url.clone()),
            "{upstream}" => words.push(upstream.clone()?),
            "{error_log}" => words.push(gateway?.logs.iter().find(|log| log.kind == crate::model::SourceKind::Error)?.id()),
            other => match other.strip_prefix("{@").and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => words.extend(gateway?.commands.get(name)?.iter().cloned()),
                None => words.push(other.to_owned()),
            },
        }
    }
    Some(Advice { text: spec.text.clone(), command: Command::new(words) })
}
