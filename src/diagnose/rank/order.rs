//! Which cause comes first: best first, with what follows from a cause below it.
//!
//! Nothing is weighed here.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
};

use super::Weighed;
use crate::{
    catalog::{About, Catalog},
    diagnose::nested::Map,
    model::{Order as _, Subject},
};

/// A cause takes its consequences below itself when its score is at least this share of theirs.
const EXPLAINS: f64 = 0.6;
/// What a gateway shows of the trouble behind it.
const PASSED_ON: &[&str] = &[
    "upstream-emits-502",
    "upstream-app-error",
    "upstream-timeout",
    "upstream-crashing",
    "upstream-overloaded",
    "gateway-timeout-too-short",
    "healthcheck-failing",
    "invalid-response",
];
/// What a gateway is that has no worker or connection left.
const FULL: &str = "gateway-limits";
/// Causes that are listed, at most.
const LISTED: usize = 12;

/// Best first, and what follows from a cause below it. `behind`: upstreams that stand behind all others, as nobody but us asks for
/// them, or as only what was loaded before names them.
pub(super) fn order(causes: &mut Vec<Weighed<'_>>, catalog: &Catalog, map: &Map<'_>, behind: &BTreeSet<Subject>) {
    causes.order_by(|a, b| {
        let (one, other) = (&a.spec.id, &b.spec.id);
        let met = |cause: &Weighed<'_>| !behind.contains(&cause.scope.subject);
        met(b)
            .cmp(&met(a))
            .then_with(|| b.score.total_cmp(&a.score))
            // What names the failing request is nearer to it than what was told of the host.
            .then_with(|| (a.spec.about == About::Host).cmp(&(b.spec.about == About::Host)))
            .then_with(|| one.cmp(other))
            .then_with(|| a.scope.subject.cmp(&b.scope.subject))
    });
    // Of a pool that fails as a whole there are thousands: nothing here compares each with each.
    let mut of_id: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut of_subject: HashMap<&Subject, Vec<usize>> = HashMap::new();
    let mut passed_on = Vec::new();
    for (index, cause) in causes.iter().enumerate() {
        of_id.entry(&cause.spec.id).or_default().push(index);
        of_subject.entry(&cause.scope.subject).or_default().push(index);
        if PASSED_ON.contains(&cause.spec.id.as_str()) && map.behind.contains_key(&cause.scope.subject) {
            passed_on.push(index);
        }
    }
    let mut explained = vec![false; causes.len()];
    let mut links = Vec::new();
    for (index, root) in causes.iter().enumerate() {
        let subject = &root.scope.subject;
        // One upstream explains nothing of another, but what it does to the gateway and the host.
        let named = root.spec.explains.iter().filter_map(|id| of_id.get(id.as_str())).flatten();
        let mut others: Vec<usize> = if root.spec.about == About::Upstream {
            // A pool is out of servers for what its servers are out for.
            let pool = pool_of(subject).and_then(|pool| of_subject.get(&pool));
            let own = of_subject[subject].iter().chain(pool.into_iter().flatten());
            let own = own.filter(|other| root.spec.explains.contains(&causes[**other].spec.id));
            own.chain(named.filter(|other| causes[**other].spec.about != About::Upstream)).copied().collect()
        } else {
            // Nor one gateway of another: those that are installed and do not run do so for reasons of their own.
            let of_another = |other: &Weighed<'_>| {
                root.spec.about == About::Gateway && other.spec.about == About::Gateway && other.scope.subject != *subject
            };
            named.copied().filter(|other| !of_another(&causes[*other])).collect()
        };
        // A gateway that takes nothing more is seen so by whoever stands before it.
        if let Some(gateway) = root.scope.gateway.filter(|_| root.spec.id == FULL) {
            let doors = map.inner.iter().filter(|(_, inner, _)| std::ptr::eq(*inner, gateway));
            let doors: BTreeSet<Subject> = doors.map(|(server, ..)| Subject(server.address.to_string())).collect();
            let before = |other: &Subject| doors.iter().any(|door| other == door || map.leads(other, door));
            others.extend(passed_on.iter().copied().filter(|other| before(&causes[*other].scope.subject)));
        }
        // What the server behind a gateway of this host does is seen at that gateway, too, in another shape.
        others.extend(passed_on.iter().copied().filter(|other| map.leads(&causes[*other].scope.subject, subject)));
        others.sort_unstable();
        others.dedup();
        for place in others {
            let other = &causes[place];
            let reversed =
                catalog.cause(&other.spec.id).is_some_and(|spec| spec.explains.contains(&root.spec.id)) && other.score > root.score;
            if !reversed && root.score >= other.score * EXPLAINS && more(root, other) {
                explained[place] = true;
                links.push((index, place));
            }
        }
    }
    // What explains something of the same subject stands where that would stand: two gateways are down, of one it is known why.
    let mut standing: Vec<f64> = causes.iter().map(|cause| cause.score).collect();
    for (index, other) in links {
        let (id, subject) = (causes[other].spec.id.clone(), causes[other].scope.subject.clone());
        if subject == causes[index].scope.subject {
            standing[index] = standing[index].max(causes[other].score);
        }
        causes[index].explains.push((id, subject));
    }
    // Stable: of those that stand alike, and within the consequences, the order by score stays.
    let mut first: Vec<_> = causes.drain(..).zip(explained).zip(standing).collect();
    first.order_by(|((a, a_explained), a_stands), ((b, b_explained), b_stands)| {
        let place = |cause: &Weighed<'_>, explained: bool| (explained, behind.contains(&cause.scope.subject));
        let lifted = |cause: &Weighed<'_>, stands: f64| stands > cause.score;
        place(a, *a_explained).cmp(&place(b, *b_explained)).then_with(|| {
            if *a_explained {
                return Ordering::Equal;
            }
            b_stands.total_cmp(a_stands).then_with(|| lifted(b, *b_stands).cmp(&lifted(a, *a_stands)))
        })
    });
    let first = first.into_iter().map(|(cause, _)| cause);
    let (mut contributing, mut first): (Vec<_>, Vec<_>) = first.partition(|(cause, _)| cause.spec.contributing);
    // What contributes is told once, of what it speaks of most.
    let mut told = BTreeSet::new();
    contributing.retain(|(cause, _)| told.insert(cause.spec.id.as_str()));
    first.extend(contributing);
    causes.extend(first.into_iter().map(|(cause, _)| cause).take(LISTED));
}

/// The pool of a server that a log names by both: HAProxy's `BACKEND/SERVER`.
fn pool_of(server: &Subject) -> Option<Subject> {
    server.0.rsplit_once('/').map(|(pool, _)| Subject(pool.to_owned()))
}

/// Whether something speaks for the one more than for the other: what is told by lines that mean the other rather explains nothing of it.
fn more(one: &Weighed<'_>, other: &Weighed<'_>) -> bool {
    let rather = |name: &str, weight: f64| other.speaking_for.iter().any(|(more, _, fact)| fact.name == name && *more >= weight);
    one.speaking_for.iter().any(|(weight, _, fact)| !rather(&fact.name, *weight))
}
