//! From facts to ranked causes.
//!
//! A cause is weighed for each subject that it can be about. Each fact for it removes its share of the doubt that is left
//! (`1 - (1-w1)(1-w2)...`), each fact against it takes its share of the score away; both fade with age when they come from a
//! log. The words have fixed meanings:
//!
//! - **confirmed**: direct proof holds now, everything that the cause needs to have been looked at was, and nothing of
//!   weight speaks against it;
//! - **likely**: it has more than even odds on what is known;
//! - **possible**: something speaks for it.

mod order;

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use order::order;

use super::{
    FactBook, Scene,
    again::Logged,
    facts::{Bearing, WAITED_MS},
    nested::Map,
    quiet::{of_symptoms, restarted, served, symptomless},
    relation::{Sight, cut_short, of_another_client, relevance},
    scope::{Scope, scopes},
    symptom::{self, FOLLOWS, SUSPECTED},
    upstream::{failed_at, unasked},
    wording::{Adviser, fields, fill, for_advice, looking},
};
use crate::{
    catalog::{About, Catalog, CauseSpec, EvidenceSpec, Presence, Rank, Signature},
    model::{Cause, Confidence, Evidence, Fact, Order as _, RuledOut, Subject},
};

/// From here on a cause is worth a line.
const POSSIBLE: f64 = 0.15;
/// From here on it is likely.
const LIKELY: f64 = 0.5;
/// A score that direct proof must reach to confirm.
const CONFIRMED: f64 = 0.7;
/// Evidence against of this weight forbids the word confirmed.
const SERIOUS: f64 = 0.3;
/// What of its weight a try keeps that was served, against a fault that other tries of the same probe have met.
const NOW_AND_THEN: f64 = 0.3;
/// Outcomes by which a fault shows now and then. Not those of an application that is gone: it was, or it is.
const CHANCE: &[&str] = &["closed", "reset", "truncated", "timeout", "bad-gateway", "server-error", "invalid", "connect-timeout"];
/// What lies between two hosts.
const BETWEEN: &[&str] = &["firewall-blocked", "upstream-unreachable"];
/// What tells that something else runs than is written: an upstream that no file names is one of what was loaded before.
const UNLOADED: &[&str] = &["gateway:test-failed", "gateway:config-problem", "conf:running-differs", "conf:edited-since-load"];

/// Ranked causes, and those that were excluded.
pub fn rank(
    scene: &Scene,
    catalog: &Catalog,
    book: &FactBook,
    symptom: &symptom::View,
    map: &Map<'_>,
) -> (Vec<Cause>, Vec<RuledOut>) {
    let mut ruled_out: BTreeMap<String, RuledOut> = BTreeMap::new();
    // Found once and not for each cause: a flooded host has thousands of groups of lines.
    let failed: BTreeSet<Subject> = failed_at(scene).into_iter().map(|address| Subject(address.to_string())).collect();
    let found = [About::Upstream, About::Gateway, About::Host].map(|about| {
        scopes(scene, book, about).into_iter().map(|scope| (scope.fails(scene, symptom, &failed), scope)).collect::<Vec<_>>()
    });
    let standalone = standalone(catalog, book);
    // An excerpt is of one incident: its last lines may be of an hour later, or of a clock in another zone. Where requests were served
    // since, it is over.
    let newest = if scene.excerpt() { book.lines(catalog).map(|(fact, _)| fact.at.wall_s()).max() } else { None };
    let newest = newest.filter(|newest| !served_since(scene, *newest));
    let sight = Sight::new(scene, catalog, book, symptom);
    let mut weigh_all = |speaks: Speaks, newest: Option<i64>| {
        let mut causes: Vec<Weighed<'_>> = Vec::new();
        for (fails, scope) in found.iter().flatten() {
            let subjects = scope.subjects();
            // Of a large pool most servers are well.
            if !fails && !standalone.iter().any(|(about, names)| *about == scope.about && names.hold(book, &subjects)) {
                continue;
            }
            let bearing = book.bearing(&subjects, catalog);
            let weighed = |spec: &&CauseSpec| {
                let alone = || spec.alone.iter().any(|name| bearing.find(name).is_some());
                spec.about == scope.about && (*fails || spec.standalone || alone())
            };
            for spec in catalog.causes.iter().filter(weighed) {
                if let Some(fact) = spec.excluded_by.iter().find_map(|name| bearing.find(name)) {
                    let out = || RuledOut { id: spec.id.clone(), because: fact.text.clone() };
                    ruled_out.entry(spec.id.clone()).or_insert_with(out);
                } else if let Some(cause) = weigh(&sight, spec, scope, &bearing, (speaks, newest)) {
                    causes.push(cause);
                }
            }
        }
        causes
    };
    let mut causes = weigh_all(Speaks::ForCauses, newest);
    let mut suspected = false;
    if scene.excerpt() && restarted(scene, catalog) {
        causes.clear();
    } else if scene.excerpt() {
        let doubtful = symptomless(scene, catalog);
        causes.retain(|cause| !of_symptoms(&cause.speaking_for, scene, catalog, &doubtful));
        if causes.is_empty() {
            suspected = true;
            causes = weigh_all(Speaks::ForSuspects, None);
        }
    }
    let mut behind = unasked(scene);
    if UNLOADED.iter().any(|name| book.any(name).is_some()) {
        let unwritten = found.iter().flatten().map(|(_, scope)| scope).filter(|scope| scope.route.is_none());
        behind.extend(unwritten.map(|scope| scope.subject.clone()).filter(|subject| failed.contains(subject)));
    }
    order(&mut causes, catalog, map, &behind);
    ruled_out.retain(|id, _| !causes.iter().any(|cause| cause.spec.id == *id));
    // Words are found only for what is told.
    let logged = OnceCell::new();
    let told = causes.into_iter().map(|cause| {
        let cause = cause.told(scene, catalog, symptom, &logged);
        if suspected { Cause { summary: format!("perhaps {}; {FOLLOWS}", cause.summary), ..cause } } else { cause }
    });
    (told.collect(), ruled_out.into_values().collect())
}

/// What the lines of a log are taken to speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// The causes that their signatures name.
    ForCauses,
    /// Those that somebody would look for first who sees nothing but these lines.
    ForSuspects,
}

/// Facts that decide whether a cause is to be weighed though nothing fails.
enum Deciding<'a> {
    /// It is, whatever holds.
    Always,
    /// One of these.
    Names(Vec<&'a str>),
}

impl Deciding<'_> {
    fn hold(&self, book: &FactBook, subjects: &[&Subject]) -> bool {
        match self {
            Self::Always => true,
            Self::Names(names) => names.iter().any(|name| book.find(name, subjects).is_some()),
        }
    }
}

/// The causes that are faults even while every request is served, by what they are about, each with the facts that decide.
fn standalone<'a>(catalog: &'a Catalog, book: &FactBook) -> Vec<(About, Deciding<'a>)> {
    let logged = |spec: &CauseSpec| {
        let signatures = book.facts().iter().filter_map(|fact| catalog.signatures.by_id(fact.name.strip_prefix("log:")?));
        signatures.into_iter().any(|signature| signature.causes.first() == Some(&spec.id))
    };
    let deciding = |spec: &'a CauseSpec| {
        if !spec.standalone {
            return Deciding::Names(spec.alone.iter().map(String::as_str).filter(|name| book.any(name).is_some()).collect());
        }
        if spec.requires.is_empty() || logged(spec) {
            return Deciding::Always;
        }
        let names = spec.requires.iter().chain(&spec.excluded_by).map(String::as_str);
        Deciding::Names(names.filter(|name| book.any(name).is_some()).collect())
    };
    catalog
        .causes
        .iter()
        .filter(|spec| spec.standalone || !spec.alone.is_empty())
        .map(|spec| (spec.about, deciding(spec)))
        .collect()
}

/// Whether an excerpt tells of a request that was served later than this.
fn served_since(scene: &Scene, second: i64) -> bool {
    served(scene).any(|group| group.last_second().is_some_and(|last| last > second))
}

/// Whether a line tells of a state that lasts, and not of one request: that nobody listens, or what is broken.
fn lasts(signature: &Signature) -> bool {
    signature.rank == Rank::Root || signature.presence == Some(Presence::Absent)
}

/// Whether an upstream is at an address of the host's own loopback.
fn is_loopback(subject: &Subject) -> bool {
    subject.0.parse::<SocketAddr>().is_ok_and(|at| at.ip().is_loopback())
}

/// How much a fact counts now: a live look counts whole, a log line the less the older it is. `newest`: the second of the newest line
/// of an excerpt that tells of a failure.
fn freshness(scene: &Scene, fact: &Fact, newest: Option<i64>) -> f64 {
    if fact.now {
        return 1.0;
    }
    match newest.unwrap_or_else(|| scene.now.wall_s()) - fact.at.wall_s() {
        ..=60 => 1.0,
        age if age <= 300 || newest.is_some() => 0.7,
        _ => 0.4,
    }
}

/// What the signatures themselves say they speak for, where the cause does not weigh them: a new signature needs no edit here
/// or there. The first cause that a signature names is what its line means to an expert who sees nothing else. Given with the
/// cause's place among those that the signature names. `beside`: the upstream is beside the gateway, so that nothing lies between them
/// which is not the last that one would look for.
fn implied_by_signatures(spec: &CauseSpec, bearing: &Bearing<'_>, speaks: Speaks, beside: bool) -> Vec<(usize, EvidenceSpec)> {
    if speaks == Speaks::ForSuspects {
        let suspected = bearing.logged.iter().filter(|(_, signature)| signature.suspects.contains(&spec.id));
        let evidence = |fact: &Fact| EvidenceSpec { fact: fact.name.clone(), weight: SUSPECTED, proof: false, reason: None };
        return suspected.map(|(fact, _)| (0, evidence(fact))).collect();
    }
    let weighed = |name: &str| spec.evidence_for.iter().chain(&spec.against).any(|known| known.fact == name);
    let implied = |(fact, signature): &(&Fact, &Signature)| {
        let between = |id: &&String| BETWEEN.contains(&id.as_str());
        let beside = beside && !signature.causes.iter().all(|id| between(&id));
        let place = signature.causes.iter().filter(|id| !beside || !between(id)).position(|id| *id == spec.id)?;
        let weight = match (signature.rank, place) {
            (Rank::Context, _) => return None,
            (Rank::Root, 0) => 0.6,
            (Rank::Symptom, 0) => 0.35,
            (Rank::Root | Rank::Symptom, _) => 0.1,
        };
        if weighed(&fact.name) {
            return None;
        }
        let reason = signature.reason.clone().filter(|_| place == 0);
        Some((place, EvidenceSpec { fact: fact.name.clone(), weight, proof: false, reason }))
    };
    bearing.logged.iter().filter_map(implied).collect()
}

/// Evidence: its weight here and now, what the catalogue says of it, and the fact itself.
pub type Held<'a> = (f64, Cow<'a, EvidenceSpec>, &'a Fact);

/// A cause of one subject with what speaks for and against it.
#[derive(Debug)]
struct Weighed<'a> {
    spec: &'a CauseSpec,
    scope: &'a Scope<'a>,
    confidence: Confidence,
    score: f64,
    speaking_for: Vec<Held<'a>>,
    against: Vec<Held<'a>>,
    unknown: Vec<String>,
    explains: Vec<(String, Subject)>,
}

/// One cause for one subject; `None`: nothing worth a line speaks for it.
fn weigh<'a>(
    sight: &Sight<'_>,
    spec: &'a CauseSpec,
    scope: &'a Scope<'a>,
    bearing: &Bearing<'a>,
    (speaks, newest): (Speaks, Option<i64>),
) -> Option<Weighed<'a>> {
    let &Sight { scene, book, symptom, .. } = sight;
    let beside = scene.excerpt() && is_loopback(&scope.subject);
    let implied = implied_by_signatures(spec, bearing, speaks, beside);
    // What a line means first of all is as good as what the cause lists.
    let meant = |(_, signature): &(&Fact, &Signature)| signature.causes.first() == Some(&spec.id);
    // In an excerpt, where nothing else can be looked at, also when the cause weighs it.
    let required = spec.requires.is_empty()
        || implied.iter().any(|(place, _)| *place == 0)
        || scene.excerpt() && bearing.logged.iter().any(meant);
    if !required && !spec.requires.iter().any(|name| bearing.find(name).is_some()) {
        return None;
    }
    let hold = |spec: Cow<'a, EvidenceSpec>| {
        let others = |fact: &&Fact| of_another_client(scene, scope, fact, spec.reason.as_deref());
        let fact = bearing.find(&spec.fact).filter(|fact| !others(fact))?;
        let lasting =
            newest.filter(|_| bearing.logged.iter().any(|(known, signature)| known.name == fact.name && lasts(signature)));
        Some((spec.weight * freshness(scene, fact, lasting) * relevance(sight, scope, fact), spec, fact))
    };
    let strongest_first = |mut held: Vec<Held<'a>>| {
        held.order_by(|a, b| b.0.total_cmp(&a.0));
        held
    };
    let listed = spec.evidence_for.iter().map(Cow::Borrowed).chain(implied.into_iter().map(|(_, spec)| Cow::Owned(spec)));
    let speaking_for = strongest_first(listed.filter_map(hold).collect());
    let mut against = strongest_first(spec.against.iter().map(Cow::Borrowed).filter_map(hold).collect());
    for (weight, _, fact) in &mut against {
        if speaking_for.iter().any(|(_, _, other)| now_and_then(other, fact)) {
            *weight *= NOW_AND_THEN;
        }
    }
    let doubt = |list: &[Held<'_>]| list.iter().map(|(weight, ..)| 1.0 - weight).product::<f64>();
    let score = (1.0 - doubt(&speaking_for)) * doubt(&against);
    if score < POSSIBLE {
        return None;
    }
    let subjects = scope.subjects();
    let unknown: Vec<String> = spec
        .needs
        .iter()
        .filter(|family| !book.looked_at(family, if family.as_str() == "log" { &[] } else { &subjects }))
        .map(|family| looking(family))
        .collect();
    let cut_short = cut_short(scope, &speaking_for, symptom).is_some();
    let proves = |fact: &Fact| fact.now && !(cut_short && fact.fields.contains_key(WAITED_MS));
    let proven = speaking_for.iter().any(|(_, spec, fact)| spec.proof && proves(fact));
    let contradicted = against.iter().any(|(weight, ..)| *weight >= SERIOUS);
    let confidence = if proven && unknown.is_empty() && !contradicted && score >= CONFIRMED {
        Confidence::Confirmed
    } else if score >= LIKELY {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let score = (score * 100.0).round() / 100.0;
    Some(Weighed { spec, scope, confidence, score, speaking_for, against, unknown, explains: Vec::new() })
}

impl Weighed<'_> {
    /// In words.
    fn told<'s>(self, scene: &'s Scene, catalog: &Catalog, symptom: &symptom::View, logged: &OnceCell<Logged<'s>>) -> Cause {
        let Self { spec, scope, confidence, score, speaking_for, against, unknown, explains } = self;
        let mut fields = fields(scene, scope, &speaking_for, symptom, logged);
        let summary = spec.summary.iter().find_map(|text| fill(text, &fields)).unwrap_or_else(|| spec.title.clone());
        if scene.excerpt() {
            for_advice(scene, &mut fields);
        }
        let evidence = |list: &[Held<'_>]| {
            list.iter()
                .map(|(weight, _, fact)| Evidence {
                    fact: fact.name.clone(),
                    text: fact.text.clone(),
                    source: fact.source.clone(),
                    weight: *weight,
                })
                .collect()
        };
        let adviser = Adviser::new(scene, scope, &fields);
        Cause {
            id: spec.id.clone(),
            reason: speaking_for.iter().find_map(|(_, spec, fact)| fill(spec.reason.as_ref()?, &fact.fields)),
            confidence,
            score,
            subject: scope.subject.clone(),
            summary,
            evidence_for: evidence(&speaking_for),
            against: evidence(&against),
            unknown,
            explains,
            mitigate: adviser.all(&spec.mitigate),
            fix: adviser.all(&spec.fix),
            verify: adviser.verify(&spec.verify, &catalog.verify),
        }
    }
}

/// Whether these two are results of one probe, of which the first is a fault that shows now and then.
fn now_and_then(fault: &Fact, served: &Fact) -> bool {
    let family = |fact: &Fact| super::family(&fact.name).to_owned();
    let chance = |fact: &Fact| fact.name.rsplit(':').next().is_some_and(|outcome| CHANCE.contains(&outcome));
    fault.name.starts_with("probe:")
        && family(fault) == family(served)
        && fault.subject == served.subject
        && chance(fault)
        && !chance(served)
}
