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

use std::collections::BTreeSet;

use super::{
    FactBook, LogGroup, Scene,
    relation::relevance,
    scope::{Scope, scopes},
    symptom,
    wording::{advice, fields, fill},
};
use crate::{
    catalog::{About, AdviceSpec, Catalog, CauseSpec, EvidenceSpec, Rank},
    model::{Cause, Confidence, Evidence, Fact, RuledOut, Subject, logline::Writer},
};

/// From here on a cause is worth a line.
const POSSIBLE: f64 = 0.15;
/// From here on it is likely.
const LIKELY: f64 = 0.5;
/// A score that direct proof must reach to confirm.
const CONFIRMED: f64 = 0.7;
/// Evidence against of this weight forbids the word confirmed.
const SERIOUS: f64 = 0.3;
/// A cause takes its consequences below itself when its score is at least this share of theirs.
const EXPLAINS: f64 = 0.6;
/// Causes that are listed, at most.
const LISTED: usize = 12;

/// Ranked causes, and those that were excluded.
pub fn rank(scene: &Scene, catalog: &Catalog, book: &FactBook, symptom: &symptom::View) -> (Vec<Cause>, Vec<RuledOut>) {
    let mut causes = Vec::new();
    let mut ruled_out = Vec::new();
    // Found once and not for each cause: a flooded host has thousands of groups of lines.
    let found = [About::Upstream, About::Gateway, About::Host]
        .map(|about| scopes(scene, book, about).into_iter().map(|scope| (scope.fails(scene, symptom), scope)).collect::<Vec<_>>());
    for spec in &catalog.causes {
        for (fails, scope) in found.iter().flatten().filter(|(_, scope)| scope.about == spec.about) {
            if !spec.standalone && !fails {
                continue;
            }
            let subjects = scope.subjects();
            if let Some(fact) = spec.excluded_by.iter().find_map(|name| book.find(name, &subjects)) {
                ruled_out.push(RuledOut { id: spec.id.clone(), because: fact.text.clone() });
            } else if let Some(cause) = weigh(scene, catalog, spec, scope, &subjects, book, symptom) {
                causes.push(cause);
            }
        }
    }
    if scene.excerpt() {
        let doubtful = symptomless(scene, catalog);
        causes.retain(|cause| !of_symptoms(cause, scene, catalog, &doubtful));
    }
    order(&mut causes, catalog);
    ruled_out.retain(|out| !causes.iter().any(|cause| cause.id == out.id));
    ruled_out.sort_by(|a, b| a.id.cmp(&b.id));
    ruled_out.dedup_by(|a, b| a.id == b.id);
    (causes, ruled_out)
}

/// Whose symptoms are no sign of a fault in an excerpt. The host's, where neither a gateway nor an application says that something
/// fails: a kernel tells of every port and process. The application's too, where requests are told and all of them were served: a
/// slow page is none that failed.
fn symptomless(scene: &Scene, catalog: &Catalog) -> Vec<Writer> {
    let fault = |id: &str| catalog.signatures.by_id(id).is_some_and(|signature| signature.rank != Rank::Context);
    let says = |writer: Writer| {
        let groups = scene.logs.values().filter(move |group| group.meaning.dialect.writer() == writer);
        groups.filter(|group| group.meaning.status.is_none()).any(|group| group.meaning.signature.as_deref().is_some_and(fault))
    };
    let mut statuses = scene.logs.values().filter_map(|group| group.meaning.status).peekable();
    let told = statuses.peek().is_some();
    let failed = statuses.any(|status| status >= 500);
    if failed || says(Writer::Gateway) {
        Vec::new()
    } else if told {
        vec![Writer::Host, Writer::Application]
    } else if says(Writer::Application) {
        Vec::new()
    } else {
        vec![Writer::Host]
    }
}

/// Whether only symptoms in the logs of these speak for a cause.
fn of_symptoms(cause: &Cause, scene: &Scene, catalog: &Catalog, writers: &[Writer]) -> bool {
    cause.evidence_for.iter().all(|evidence| {
        let id = evidence.fact.strip_prefix("log:");
        let symptom = id.and_then(|id| catalog.signatures.by_id(id)).is_some_and(|signature| signature.rank == Rank::Symptom);
        let tells = |group: &&LogGroup| group.meaning.signature.as_deref() == id;
        symptom && scene.logs.values().find(tells).is_some_and(|group| writers.contains(&group.meaning.dialect.writer()))
    })
}

/// How much a fact counts now: a live look counts whole, a log line the less the older it is.
fn freshness(scene: &Scene, fact: &Fact) -> f64 {
    if fact.now {
        return 1.0;
    }
    match scene.now.wall_s() - fact.at.wall_s() {
        ..=60 => 1.0,
        61..=300 => 0.7,
        _ => 0.4,
    }
}

/// What the signatures themselves say they speak for, where the cause does not weigh them: a new signature needs no edit here
/// or there. The first cause that a signature names is what its line means to an expert who sees nothing else. Given with the
/// cause's place among those that the signature names.
fn implied_by_signatures(
    catalog: &Catalog,
    spec: &CauseSpec,
    subjects: &[&Subject],
    book: &FactBook,
) -> Vec<(usize, EvidenceSpec)> {
    let weighed = |name: &str| spec.evidence_for.iter().chain(&spec.against).any(|known| known.fact == name);
    let implied = |fact: &Fact| {
        let signature = catalog.signatures.by_id(fact.name.strip_prefix("log:")?)?;
        let place = signature.causes.iter().position(|id| *id == spec.id)?;
        let weight = match (signature.rank, place) {
            (Rank::Context, _) => return None,
            (Rank::Root, 0) => 0.6,
            (Rank::Symptom, 0) => 0.35,
            (Rank::Root | Rank::Symptom, _) => 0.1,
        };
        let reason = signature.reason.clone().filter(|_| place == 0);
        Some((place, EvidenceSpec { fact: fact.name.clone(), weight, proof: false, reason }))
    };
    book.facts.iter().filter(|fact| subjects.contains(&&fact.subject) && !weighed(&fact.name)).filter_map(implied).collect()
}

/// One cause for one subject; `None`: nothing worth a line speaks for it.
fn weigh(
    scene: &Scene,
    catalog: &Catalog,
    spec: &CauseSpec,
    scope: &Scope<'_>,
    subjects: &[&Subject],
    book: &FactBook,
    symptom: &symptom::View,
) -> Option<Cause> {
    let implied = implied_by_signatures(catalog, spec, subjects, book);
    // What a line means first of all is as good as what the cause lists.
    let meant = |fact: &Fact| {
        let signature = fact.name.strip_prefix("log:").and_then(|id| catalog.signatures.by_id(id));
        let first = signature.filter(|signature| signature.rank != Rank::Context).and_then(|signature| signature.causes.first());
        subjects.contains(&&fact.subject) && first == Some(&spec.id)
    };
    // In an excerpt, where nothing else can be looked at, also when the cause weighs it.
    let required =
        spec.requires.is_empty() || implied.iter().any(|(place, _)| *place == 0) || scene.excerpt() && book.facts.iter().any(meant);
    if !required && !spec.requires.iter().any(|name| book.find(name, subjects).is_some()) {
        return None;
    }
    let held = |specs: &[EvidenceSpec]| -> Vec<(f64, EvidenceSpec, Fact)> {
        let find = |spec: &EvidenceSpec| {
            let fact = book.find(&spec.fact, subjects)?;
            let weight = spec.weight * freshness(scene, fact) * relevance(scene, scope, fact, symptom);
            Some((weight, spec.clone(), fact.clone()))
        };
        let mut held: Vec<_> = specs.iter().filter_map(find).collect();
        held.sort_by(|a, b| b.0.total_cmp(&a.0));
        held
    };
    let listed: Vec<EvidenceSpec> = spec.evidence_for.iter().cloned().chain(implied.into_iter().map(|(_, spec)| spec)).collect();
    let (speaking_for, against) = (held(&listed), held(&spec.against));
    let doubt = |list: &[(f64, EvidenceSpec, Fact)]| list.iter().map(|(weight, ..)| 1.0 - weight).product::<f64>();
    let score = (1.0 - doubt(&speaking_for)) * doubt(&against);
    if score < POSSIBLE {
        return None;
    }
    let unknown: Vec<String> = spec
        .needs
        .iter()
        .filter(|family| !book.looked_at(family, if family.as_str() == "log" { &[] } else { subjects }))
        .map(|family| looking(family))
        .collect();
    let proven = speaking_for.iter().any(|(_, spec, fact)| spec.proof && fact.now);
    let contradicted = against.iter().any(|(weight, ..)| *weight >= SERIOUS);
    let confidence = if proven && unknown.is_empty() && !contradicted && score >= CONFIRMED {
        Confidence::Confirmed
    } else if score >= LIKELY {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let fields = fields(scene, scope, &speaking_for, symptom);
    let evidence = |list: &[(f64, EvidenceSpec, Fact)]| {
        list.iter()
            .map(|(weight, _, fact)| Evidence {
                fact: fact.name.clone(),
                text: fact.text.clone(),
                source: fact.source.clone(),
                weight: *weight,
            })
            .collect()
    };
    let advise = |list: &[AdviceSpec]| list.iter().filter_map(|spec| advice(spec, &fields, scope.gateway)).collect();
    Some(Cause {
        id: spec.id.clone(),
        reason: speaking_for.iter().find_map(|(_, spec, fact)| fill(spec.reason.as_ref()?, &fact.fields)),
        confidence,
        score: (score * 100.0).round() / 100.0,
        subject: scope.subject.clone(),
        summary: spec.summary.iter().find_map(|text| fill(text, &fields)).unwrap_or_else(|| spec.title.clone()),
        evidence_for: evidence(&speaking_for),
        against: evidence(&against),
        unknown,
        explains: Vec::new(),
        mitigate: advise(&spec.mitigate),
        fix: advise(&spec.fix),
        verify: advise(&spec.verify),
    })
}

/// What is missing when a family was not looked at.
fn looking(family: &str) -> String {
    match family {
        "listen" => "which process listens where was not seen".to_owned(),
        "log" => "no log was read".to_owned(),
        "gateway" => "the gateway's process was not seen".to_owned(),
        other => match other.strip_prefix("probe:") {
            Some(probe) => format!("the {probe} probe was not made"),
            None => format!("{other} was not looked at"),
        },
    }
}

/// Best first, and what follows from a cause below it.
fn order(causes: &mut Vec<Cause>, catalog: &Catalog) {
    causes.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)).then_with(|| a.subject.cmp(&b.subject)));
    let mut explained: BTreeSet<(String, Subject)> = BTreeSet::new();
    let mut links = Vec::new();
    for (index, root) in causes.iter().enumerate() {
        let Some(spec) = catalog.cause(&root.id) else { continue };
        for other in causes.iter().filter(|other| spec.explains.contains(&other.id)) {
            let same = other.subject == root.subject || spec.about != About::Upstream;
            let reversed =
                catalog.cause(&other.id).is_some_and(|spec| spec.explains.contains(&root.id)) && other.score > root.score;
            if same && !reversed && root.score >= other.score * EXPLAINS {
                explained.insert((other.id.clone(), other.subject.clone()));
                links.push((index, (other.id.clone(), other.subject.clone())));
            }
        }
    }
    for (index, link) in links {
        causes[index].explains.push(link);
    }
    // Stable: within each half the order by score stays.
    causes.sort_by_key(|cause| explained.contains(&(cause.id.clone(), cause.subject.clone())));
    causes.truncate(LISTED);
}
