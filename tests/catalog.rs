//! The knowledge closes on itself: every name that is used has a producer, every sample matches its signature and no other
//! one, every guide's section is quoted by its real name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::tz::TimeZone;
use why502::{
    app::{Event, Msg, Options, State, update},
    catalog::{Catalog, Rank},
    diagnose::{fact_names, family},
    model::{Observation, RunInfo, Stamp, logline},
    watch::paste,
};

/// The cause ids of the contract.
const CONTRACT: &[&str] = &[
    "upstream-down",
    "upstream-crashing",
    "upstream-oom-killed",
    "upstream-worker-timeout",
    "upstream-timeout",
    "upstream-overloaded",
    "keepalive-race",
    "invalid-response",
    "response-header-too-big",
    "upstream-emits-502",
    "upstream-app-error",
    "upstream-disabled",
    "upstream-wrong-address",
    "upstream-socket-missing",
    "upstream-socket-permission",
    "mac-denied",
    "protocol-mismatch",
    "upstream-tls-failure",
    "upstream-tls-untrusted",
    "gateway-config-invalid",
    "gateway-config-not-reloaded",
    "gateway-config-wrong",
    "gateway-timeout-too-short",
    "gateway-limits",
    "healthcheck-failing",
    "gateway-down",
    "gateway-crashing",
    "proxy-loop",
    "upstream-unreachable",
    "firewall-blocked",
    "network-degraded",
    "conntrack-full",
    "ephemeral-ports-exhausted",
    "dns-failure",
    "dns-stale",
    "dns-inconsistent",
    "host-cpu-saturated",
    "host-memory-exhausted",
    "host-limits",
    "disk-full",
    "disk-failed",
    "not-this-gateway",
    "client-side",
    "bad-deploy",
];

fn catalog() -> Catalog {
    Catalog::embedded().expect("the embedded catalogue is sound")
}

#[test]
fn every_pattern_compiles() {
    catalog().signatures.check().expect("patterns");
}

#[test]
fn each_sample_is_taken_by_its_own_signature_and_each_near_miss_by_another() {
    let catalog = catalog();
    let mut wrong = Vec::new();
    for (dialects, signature) in catalog.signatures.with_dialects() {
        // As it stands in a log of any kind, whatever else could have claimed it.
        let taken = |line: &str| {
            let entry = logline::read(line);
            catalog.signatures.of(&entry).filter(|_| dialects.contains(&entry.dialect)).map(|found| found.id.clone())
        };
        assert!(!signature.samples.is_empty(), "{} has no sample", signature.id);
        for line in &signature.samples {
            if taken(line).as_deref() != Some(&signature.id) {
                wrong.push(format!("{}: sample taken by {:?}: {line}", signature.id, taken(line)));
            }
        }
        for line in &signature.not {
            if taken(line).as_deref() == Some(&signature.id) {
                wrong.push(format!("{}: takes its near miss: {line}", signature.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The causes that `explain` would name for this text.
fn causes_of(text: &str, catalog: &Arc<Catalog>) -> Vec<String> {
    const NOW: i64 = 1_800_000_000;
    let (version, host, user) = (String::new(), "-".to_owned(), "-".to_owned());
    let run = RunInfo { version, host, url: None, probing: false, user, excerpt: true };
    let mut state = State::new(Options::default(), "");
    let batches = paste::read(text, &TimeZone::UTC, NOW);
    // Now is when the excerpt ends.
    let newest = batches.iter().flat_map(|batch| &batch.counts).filter_map(|count| count.second).max();
    let at = Stamp { run_ms: 0, wall_ms: newest.unwrap_or(NOW) * 1000 };
    for observation in std::iter::once(Observation::Run(run)).chain(batches.into_iter().map(Observation::Log)) {
        update(&mut state, Event { at, msg: Msg::Observed(observation) });
    }
    update(&mut state, Event { at, msg: Msg::Catalog(Arc::clone(catalog)) });
    state.assessment.causes.into_iter().map(|cause| cause.id).collect()
}

#[test]
fn a_sample_alone_is_of_one_of_its_causes_and_noise_of_none() {
    let catalog = Arc::new(catalog());
    let mut wrong = Vec::new();
    for signature in catalog.signatures.all() {
        for line in &signature.samples {
            let causes = causes_of(line, &catalog);
            let fits = match (signature.rank, causes.first()) {
                (Rank::Context, first) => first.is_none(),
                // Of what follows from a fault the line alone may tell nothing.
                (Rank::Symptom, None) => true,
                (Rank::Root, None) => signature.causes.is_empty(),
                (Rank::Root | Rank::Symptom, Some(first)) => signature.causes.contains(first),
            };
            if !fits {
                wrong.push(format!("{}: {causes:?}, not {:?}: {line}", signature.id, signature.causes));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ids_are_unique_and_those_of_the_contract() {
    let catalog = catalog();
    let mut seen = BTreeSet::new();
    let ids = catalog
        .signatures
        .all()
        .map(|s| &s.id)
        .chain(catalog.causes.iter().map(|c| &c.id))
        .chain(catalog.steps.iter().map(|s| &s.id));
    for id in ids {
        assert!(seen.insert(id), "{id} stands twice");
    }
    for cause in &catalog.causes {
        assert!(CONTRACT.contains(&cause.id.as_str()), "{} is no id of the contract", cause.id);
    }
    for signature in catalog.signatures.all() {
        for id in &signature.causes {
            assert!(CONTRACT.contains(&id.as_str()), "{} speaks for {id}, which is no id of the contract", signature.id);
        }
        assert!(signature.rank != Rank::Context || signature.causes.len() <= 1, "{}: context is never a verdict", signature.id);
    }
}

#[test]
fn every_fact_that_is_used_has_exactly_one_producer() {
    let catalog = catalog();
    let mut produced: BTreeMap<String, usize> = BTreeMap::new();
    for name in fact_names(&catalog) {
        *produced.entry(name).or_default() += 1;
    }
    let twice: Vec<_> = produced.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "made by two producers: {twice:?}");
    let families: BTreeSet<&str> = produced.keys().map(|name| family(name)).collect();
    let mut missing = Vec::new();
    for cause in &catalog.causes {
        let specs = cause.evidence_for.iter().chain(&cause.against).map(|spec| &spec.fact);
        for name in specs.chain(&cause.requires).chain(&cause.excluded_by).filter(|name| !produced.contains_key(*name)) {
            missing.push(format!("cause {}: nothing makes the fact {name}", cause.id));
        }
        for name in cause.needs.iter().filter(|name| !families.contains(name.as_str())) {
            missing.push(format!("cause {}: no family {name}", cause.id));
        }
        for id in cause.explains.iter().filter(|id| !CONTRACT.contains(&id.as_str())) {
            missing.push(format!("cause {}: explains {id}, which is no cause", cause.id));
        }
    }
    for step in &catalog.steps {
        for name in step.fail.iter().chain(&step.pass).chain(&step.not_applicable).filter(|name| !produced.contains_key(*name)) {
            missing.push(format!("step {}: nothing makes the fact {name}", step.id));
        }
        for name in step.looked.iter().filter(|name| !families.contains(name.as_str())) {
            missing.push(format!("step {}: no family {name}", step.id));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_step_says_where_in_the_guides_it_comes_from() {
    for step in catalog().steps {
        assert!(!step.guides.is_empty(), "{}: no guide", step.id);
        for guide in &step.guides {
            assert!(["A: ", "B: ", "C: "].iter().any(|prefix| guide.starts_with(prefix)), "{}: {guide}", step.id);
        }
        assert!(step.question.ends_with('?'), "{}: {}", step.id, step.question);
    }
}
