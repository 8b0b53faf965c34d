//! The knowledge closes on itself: every name that is used has a producer, every sample matches its signature and no other
//! one, every guide's section is quoted by its real name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use jiff::tz::TimeZone;
use why502::{
    app::{Event, Msg, Options, State, update},
    catalog::{Catalog, Rank},
    diagnose::{fact_names, family, finding_ids},
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

/// All files of `assets/`, with the samples, which are not embedded.
fn catalog() -> Catalog {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let mut files: Vec<_> = ["services.toml", "settings.toml", "facts.toml", "verify.toml", "upkeep.toml"]
        .map(|name| (name.to_owned(), fs::read_to_string(assets.join(name)).expect("text")))
        .into();
    for folder in ["signatures", "causes", "playbook", "findings"] {
        for entry in fs::read_dir(assets.join(folder)).expect("folder of assets") {
            let path = entry.expect("entry").path();
            let name = path.strip_prefix(&assets).expect("below assets").display().to_string();
            files.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
    files.sort();
    Catalog::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).expect("the catalogue is sound")
}

#[test]
fn what_is_embedded_is_what_the_files_say() {
    let (embedded, files) = (Catalog::embedded().expect("the embedded catalogue is sound"), catalog());
    let ids = |catalog: &Catalog| -> Vec<String> {
        let signatures = catalog.signatures.all().map(|one| format!("{} {}", one.id, one.pattern));
        let causes = catalog.causes.iter().map(|one| format!("{} {}", one.id, one.what));
        signatures.chain(causes).chain(catalog.steps.iter().map(|one| one.id.clone())).collect()
    };
    assert_eq!(ids(&embedded), ids(&files));
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
    let run = RunInfo { version, host, url: None, probing: false, user, excerpt: true, copied: false };
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
                (Rank::Root, Some(first)) => signature.causes.contains(first),
                (Rank::Symptom, Some(first)) => signature.causes.contains(first) || signature.suspects.contains(first),
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
        let suspects = &signature.suspects;
        assert!(
            suspects.is_empty() || signature.rank == Rank::Symptom && signature.causes.is_empty(),
            "{}: it names causes",
            signature.id
        );
        for id in signature.causes.iter().chain(suspects) {
            assert!(CONTRACT.contains(&id.as_str()), "{} speaks for {id}, which is no id of the contract", signature.id);
        }
        for id in &signature.restates {
            assert!(catalog.signatures.by_id(id).is_some(), "{} restates {id}, which is no signature", signature.id);
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
        for name in
            specs.chain(&cause.requires).chain(&cause.excluded_by).chain(&cause.alone).filter(|name| !produced.contains_key(*name))
        {
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
        for id in step.fail_lines.iter().filter(|id| !CONTRACT.contains(&id.as_str())) {
            missing.push(format!("step {}: no cause {id}", step.id));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn advice_in_somebodys_own_words_is_of_a_known_gateway_or_application_server() {
    let known = [
        "nginx", "apache", "haproxy", "caddy", "varnish", "squid", "lighttpd", "traefik", "envoy", "php-fpm", "gunicorn", "uwsgi",
        "uvicorn", "puma", "node", "java",
    ];
    for cause in catalog().causes {
        let all = cause.mitigate.iter().chain(&cause.fix).chain(&cause.verify);
        // Who runs something else is not left without advice.
        assert!(cause.fix.iter().chain(&cause.mitigate).any(|advice| advice.of.is_empty()), "{}", cause.id);
        for of in all.flat_map(|advice| &advice.of) {
            assert!(known.contains(&of.as_str()), "{}: {of}", cause.id);
        }
    }
}

#[test]
fn every_finding_is_found_by_something_and_says_what_to_do() {
    let catalog = catalog();
    let produced: BTreeSet<String> = fact_names(&catalog).into_iter().collect();
    let rules = finding_ids();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for finding in &catalog.findings {
        let id = finding.id.as_str();
        if !seen.insert(id) {
            wrong.push(format!("{id} stands twice"));
        }
        if finding.facts.is_empty() && finding.causes.is_empty() != rules.contains(&id) {
            wrong.push(format!("{id}: either a rule finds it, or a fact or a cause that its block names"));
        }
        wrong.extend(
            finding.facts.iter().filter(|name| !produced.contains(*name)).map(|name| format!("{id}: nothing makes {name}")),
        );
        wrong.extend(
            finding.causes.iter().filter(|name| !CONTRACT.contains(&name.as_str())).map(|name| format!("{id}: no cause {name}")),
        );
        // The words for all others need nothing that may not be known, or a title is all that is left.
        if finding.remedies("").next().is_none() {
            wrong.push(format!("{id}: no remedy for `any`"));
        }
        let kinds = ["any", "nginx", "apache", "haproxy", "caddy"];
        wrong.extend(
            finding.remedy.keys().filter(|kind| !kinds.contains(&kind.as_str())).map(|kind| format!("{id}: no kind {kind}")),
        );
    }
    wrong.extend(
        rules.iter().filter(|id| !seen.contains(**id)).map(|id| format!("{id}: a rule without a block in assets/findings")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a guide advises, and where that is found.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GuideAdvice {
    /// The guide and the heading.
    at: String,
    /// The advice.
    says: String,
    /// Ids of the steps.
    steps: Vec<String>,
}

#[test]
fn every_advice_of_the_guides_is_a_step_and_every_step_comes_from_one() {
    let file: BTreeMap<String, Vec<GuideAdvice>> = toml::from_str(include_str!("guides.toml")).expect("TOML");
    let catalog = catalog();
    let mut wrong = Vec::new();
    for advice in &file["advice"] {
        if advice.steps.is_empty() {
            wrong.push(format!("{} ({}): no step", advice.at, advice.says));
        }
        for id in &advice.steps {
            match catalog.step(id) {
                None => wrong.push(format!("{}: no step {id}", advice.at)),
                Some(step) if !step.guides.contains(&advice.at) => wrong.push(format!("{id} does not name {}", advice.at)),
                Some(_) => {}
            }
        }
    }
    for step in &catalog.steps {
        let known = |guide: &String| file["advice"].iter().any(|advice| advice.at == *guide && advice.steps.contains(&step.id));
        wrong.extend(
            step.guides.iter().filter(|guide| !known(guide)).map(|guide| format!("{}: {guide} advises no such thing", step.id)),
        );
        if step.guides.is_empty() {
            wrong.push(format!("{}: no guide", step.id));
        }
        if !step.question.ends_with('?') {
            wrong.push(format!("{}: {}", step.id, step.question));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fact_that_speaks_for_or_against_a_cause_has_words_and_no_word_is_left_over() {
    let catalog = catalog();
    let (mut facts, mut families) = (BTreeSet::new(), BTreeSet::new());
    for cause in &catalog.causes {
        let evidence = cause.evidence_for.iter().chain(&cause.against).map(|spec| &spec.fact);
        facts.extend(evidence.chain(&cause.excluded_by).filter(|fact| !fact.starts_with("log:")).cloned());
        families.extend(cause.needs.iter().cloned());
    }
    let known: BTreeSet<String> = catalog.words.facts.keys().cloned().collect();
    assert_eq!(facts, known, "assets/facts.toml, [facts]");
    let named: BTreeSet<String> = catalog.words.families.keys().cloned().collect();
    let real: BTreeSet<String> = fact_names(&catalog).iter().map(|name| family(name).to_owned()).collect();
    assert_eq!(families.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "families without words");
    assert_eq!(named.difference(&real).collect::<Vec<_>>(), Vec::<&String>::new(), "words of no family");
}
