//! Facts about the life of an application: `life:...`. What one look cannot tell: whether it comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use super::FactBook;
use crate::{
    catalog::{Catalog, Presence},
    diagnose::{Scene, upstream_of},
    model::{Fact, Outcome, Subject},
};

/// Seconds of the logs that count.
const WINDOW_S: i64 = 300;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["life:flapping".to_owned()]
}

/// The facts. An upstream that was absent, then there, then absent again restarts in a loop; one that was there and is absent
/// since is merely dead.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let from = scene.now.wall_s() - WINDOW_S;
    let mut absent: BTreeMap<Subject, BTreeSet<i64>> = BTreeMap::new();
    let mut left: BTreeMap<Subject, BTreeSet<i64>> = BTreeMap::new();
    for group in scene.logs.values() {
        let Some(signature) = group.signature(&catalog.signatures) else { continue };
        let into = match signature.presence {
            Some(Presence::Absent) => &mut absent,
            Some(Presence::Left) => &mut left,
            None => continue,
        };
        let Some(address) = upstream_of(scene, group) else { continue };
        let seconds = group.seconds.iter().map(|(second, _)| *second).filter(|second| *second >= from);
        into.entry(Subject(address.to_string())).or_default().extend(seconds);
    }
    let mut flapping: BTreeMap<Subject, String> = BTreeMap::new();
    for (subject, absent) in &absent {
        let Some(left) = left.get(subject) else { continue };
        let returns = left.iter().filter(|second| absent.first().is_some_and(|first| *second > first)).count();
        if returns > 0 {
            flapping
                .insert(subject.clone(), format!("{subject} was gone, came back and hung up again in {returns} different seconds"));
        }
    }
    for history in scene.probes_of("upstream") {
        let gone = |outcome: &Outcome| matches!(outcome, Outcome::Refused | Outcome::NotFound);
        let mut changes = 0;
        let mut before = None;
        for result in &history.results {
            let now = gone(&result.outcome);
            changes += usize::from(before.is_some_and(|before| before != now));
            before = Some(now);
        }
        // One change is a start or an end; two are a return.
        if changes >= 2 {
            let subject = history.last.job.subject.clone();
            let text = format!("{subject} was there and gone by turns in {} tries", history.results.len());
            flapping.entry(subject).or_insert(text);
        }
    }
    for subject in scene.probes_of("upstream").map(|history| &history.last.job.subject) {
        book.look("life", subject);
    }
    for (subject, text) in flapping {
        let (name, source) = ("life:flapping".to_owned(), "probes and error log".to_owned());
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields: BTreeMap::new() });
    }
}
