//! Facts from log lines: `log:<signature>`.

use super::FactBook;
use crate::{
    catalog::{About, Catalog},
    diagnose::{LogGroup, Scene},
    model::{Fact, RunState, SourceKind, Stamp, Subject, text},
};

/// A line older than this many seconds says nothing about what fails now. Fifteen minutes are what the first failing requests
/// of an outage need to be found by, and less than what an outage before the last one needs to be forgotten.
pub const LOG_WINDOW_S: i64 = 15 * 60;

/// The names.
pub fn names(catalog: &Catalog) -> Vec<String> {
    catalog.signatures.all().map(|signature| format!("log:{}", signature.id)).collect()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let now = scene.now.wall_s();
    for group in scene.logs.values() {
        book.look("log", &Subject(group.source.clone()));
        let Some(signature) = group.signature(&catalog.signatures) else { continue };
        // In an excerpt everything counts: somebody chose it.
        let recent = if scene.excerpt() { group.count } else { group.since(now - LOG_WINDOW_S) };
        if recent == 0 {
            continue;
        }
        let name = format!("log:{}", signature.id);
        let subjects = match signature.about {
            About::Upstream => upstreams_of(scene, group),
            About::Gateway => vec![gateway_of(scene, group)],
            About::Host => vec![Subject::host()],
        };
        let last = group.last_second().unwrap_or(now);
        if signature.of_load && loaded_since(scene, group).is_some_and(|loaded| loaded > last) {
            continue;
        }
        let at = Stamp { run_ms: group.seen.run_ms, wall_ms: last * 1000 };
        let lines = if recent == 1 { "1 line".to_owned() } else { format!("{} lines", text::thousands(recent)) };
        let text = format!("{}, {lines}, last {} ago", signature.explain, text::duration(now - last));
        let mut fields = group.meaning.fields.clone();
        fields.extend([("count".to_owned(), recent.to_string()), ("line".to_owned(), group.last.clone())]);
        let fact = Fact { name, subject: Subject::host(), now: false, at, text, source: group.source.clone(), fields };
        for subject in subjects {
            let fact = Fact { subject, ..fact.clone() };
            match book.facts.iter_mut().find(|known| known.name == fact.name && known.subject == fact.subject) {
                Some(known) if known.at >= at => {}
                Some(known) => (known.at, known.text, known.fields) = (at, fact.text, fact.fields),
                None => book.add(fact),
            }
        }
    }
}

/// The upstreams that the lines are about: the one that they name; those that write this log; or the log itself.
fn upstreams_of(scene: &Scene, group: &LogGroup) -> Vec<Subject> {
    match (group.upstream(), &group.meaning.upstream) {
        (Some(address), _) => vec![Subject(address.to_string())],
        // Of an excerpt no configuration is known that would tell the address of `backend/server`.
        (None, Some(name)) if scene.excerpt() => vec![Subject(name.clone())],
        (None, _) => {
            let writers = scene.sources.iter().find(|log| log.id() == group.source).map(|log| log.serves.clone());
            writers.filter(|writers| !writers.is_empty()).unwrap_or_else(|| vec![gateway_of(scene, group)])
        }
    }
}

/// The gateway whose log this is, else the log itself.
fn gateway_of(scene: &Scene, group: &LogGroup) -> Subject {
    let owns = |gateway: &&crate::model::Gateway| gateway.logs.iter().any(|log| log.id() == group.source);
    let configured = scene.gateways.iter().find(owns).map(|gateway| gateway.kind.clone());
    let found = || {
        let gateways = scene.sources.iter().filter(|log| matches!(log.kind, SourceKind::Error | SourceKind::Access));
        gateways.filter(|log| log.id() == group.source).find_map(|log| log.serves.first().map(|gateway| gateway.0.clone()))
    };
    let kind = configured.or_else(found);
    Subject(kind.unwrap_or_else(|| match group.kind {
        SourceKind::Kernel => "host".to_owned(),
        SourceKind::Error | SourceKind::Access | SourceKind::App => group.source.clone(),
    }))
}

/// When the gateway whose log this is last loaded its configuration, in seconds since the Unix epoch.
fn loaded_since(scene: &Scene, group: &LogGroup) -> Option<i64> {
    scene.gateways.iter().filter(|gateway| gateway.logs.iter().any(|log| log.id() == group.source)).find_map(
        |gateway| match gateway.state {
            RunState::Running { workers_since, .. } => workers_since,
            RunState::Stopped { .. } => None,
        },
    )
}
