//! Facts about the life of an application: `life:...`. What one look cannot tell: whether it comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactBook, logs};
use crate::{
    catalog::{Catalog, Presence},
    diagnose::{Scene, upstream_of},
    model::{Address, Fact, Outcome, Subject, text},
};

/// Seconds of the logs that count.
const WINDOW_S: i64 = 300;
/// So many of the longest pause between two ends may pass until the next: supervisors wait longer each time, up to twice as
/// long (docker's restart policies, systemd.service(5) `RestartSteps=`). Who was quiet for longer is no longer started.
const PAUSES: i64 = 3;
/// A supervisor's pause, in seconds, that is no sign yet that it has given up.
const SHORT_PAUSE_S: i64 = 10;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["life:flapping".to_owned()]
}

/// The facts. An upstream that was absent, then there, then absent again restarts in a loop, and so does one that says again and
/// again that it ends; one that was there and is absent since is merely dead.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let from = scene.now.wall_s() - WINDOW_S;
    let mut absent: BTreeMap<Subject, BTreeSet<i64>> = BTreeMap::new();
    let mut left: BTreeMap<Subject, BTreeSet<i64>> = BTreeMap::new();
    let mut ended: BTreeMap<Subject, BTreeSet<i64>> = BTreeMap::new();
    for group in scene.logs.values() {
        let Some(signature) = group.signature(&catalog.signatures) else { continue };
        let named = || upstream_of(scene, group).map(|address| Subject(address.to_string())).into_iter().collect();
        // What a gateway's service says of its own ends is nothing of who is behind it.
        let upstream = |subject: &Subject| scene.excerpt() || subject.0.parse::<Address>().is_ok();
        let (into, subjects): (_, Vec<Subject>) = match signature.presence {
            Some(Presence::Absent) => (&mut absent, named()),
            Some(Presence::Left) => (&mut left, named()),
            Some(Presence::Ended) => (&mut ended, logs::upstreams_of(scene, group).into_iter().filter(upstream).collect()),
            None => continue,
        };
        for subject in subjects {
            let seconds = group.seconds.iter().map(|(second, _)| *second).filter(|second| *second >= from);
            into.entry(subject).or_default().extend(seconds);
        }
    }
    let mut flapping: BTreeMap<Subject, String> = BTreeMap::new();
    for (subject, ends) in ended {
        if let Some(age_s) = goes_on(&ends, scene.now.wall_s()) {
            let ago = text::duration(age_s);
            let text = format!("the application on {subject} ended in {} different seconds, the last time {ago} ago", ends.len());
            flapping.insert(subject, text);
        }
    }
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

/// How many seconds ago the last of these ends was, if another is to be expected: there were several, and their pauses do not
/// say that nothing starts it any more.
fn goes_on(ends: &BTreeSet<i64>, now: i64) -> Option<i64> {
    let last = ends.last()?;
    let pause = ends.iter().zip(ends.iter().skip(1)).map(|(one, next)| next - one).max()?;
    let age_s = now - last;
    (age_s <= (pause * PAUSES).max(SHORT_PAUSE_S)).then_some(age_s.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnose::facts::logs::tests::told_by, model::SourceKind};

    /// Those of whom it is told that they restart in a loop, where their log told of an end in each of these seconds ago.
    fn flapping(serves: &str, ends: &[i64]) -> Vec<Subject> {
        let catalog = Catalog::embedded().expect("the embedded catalogue");
        let scene = told_by(SourceKind::App, vec![Subject(serves.to_owned())], "Node.js v18.20.4", ends, &catalog);
        let mut book = FactBook::default();
        produce(&scene, &catalog, &mut book);
        book.facts().iter().map(|fact| fact.subject.clone()).collect()
    }

    #[test]
    fn the_ends_of_an_application_are_its_own() {
        assert_eq!(flapping("127.0.0.1:3000", &[9, 6, 3]), [Subject("127.0.0.1:3000".to_owned())]);
        assert_eq!(flapping("127.0.0.1:3000", &[3]), []);
        // It bears on whatever the gateway passes requests to.
        assert_eq!(flapping("nginx", &[9, 6, 3]), []);
    }

    #[test]
    fn who_ends_again_and_again_is_started_again_and_again() {
        let ends = |seconds: &[i64]| seconds.iter().copied().collect::<BTreeSet<i64>>();
        assert_eq!(goes_on(&ends(&[100, 101, 102]), 103), Some(1));
        // The clock of who wrote the line may run ahead.
        assert_eq!(goes_on(&ends(&[100, 104]), 103), Some(0));
        // docker waits for longer each time.
        assert_eq!(goes_on(&ends(&[100, 110, 130]), 170), Some(40));
        // Once is no loop, and a supervisor that gave up ends one.
        assert_eq!(goes_on(&ends(&[100]), 101), None);
        assert_eq!(goes_on(&ends(&[100, 101, 102, 103]), 200), None);
        assert_eq!(goes_on(&ends(&[]), 200), None);
    }
}
