//! The corpus: recordings of real incidents, each named as the lab scenario that made it, so that what is accepted stands in one
//! place. Every signature, fact and weight is seen here by its effect on all of them: one snapshot shows the top five.
//!
//! To add one: `tests/score --keep NAME`, which runs the lab and copies what `check` recorded.

use std::{fmt::Write as _, io::Write as _, path::Path};

use why502::{
    app::State,
    shell::{Recording, fold},
};

#[path = "lab/scenario.rs"]
#[expect(dead_code, reason = "the lab uses the rest of it")]
mod scenario;

/// Causes of each that the snapshot shows.
const SHOWN: usize = 5;

/// Each recording with its name.
fn corpus() -> Vec<(String, State)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut all: Vec<(String, State)> = std::fs::read_dir(&folder)
        .expect("tests/corpus")
        .map(|entry| {
            let path = entry.expect("entry").path();
            let name = path.file_stem().expect("name").to_string_lossy().into_owned();
            let recording = Recording::read(&path).unwrap_or_else(|error| panic!("{error}"));
            assert!(recording.damaged.is_empty(), "{name}: {:?}", recording.damaged);
            (name, fold(recording).expect("the catalogue is sound"))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn every_recording_gives_an_accepted_cause_first() {
    let scenarios = scenario::load().expect("scenarios");
    let (mut wrong, mut first, mut three, mut alarms, mut broken, mut healthy) = (Vec::new(), 0, 0, 0, 0, 0);
    for (name, state) in corpus() {
        let expected = scenarios.iter().find(|scenario| scenario.name == name);
        let expected = expected.unwrap_or_else(|| panic!("tests/corpus/{name} is no scenario of the lab"));
        let causes = &state.assessment.causes;
        let accepted = |count| causes.iter().take(count).any(|cause| expected.cause.contains(&cause.id));
        let right = if expected.healthy() {
            healthy += 1;
            alarms += usize::from(!causes.is_empty());
            causes.is_empty()
        } else {
            broken += 1;
            first += usize::from(accepted(1));
            three += usize::from(accepted(3));
            accepted(1)
        };
        if !right {
            let ids: Vec<_> = causes.iter().map(|cause| cause.id.as_str()).collect();
            wrong.push(format!("{name}: {ids:?}, expected {:?}", expected.cause));
        }
    }
    let told =
        format!("corpus: first place {first} of {broken}; first three {three} of {broken}; false alarms {alarms} of {healthy}");
    writeln!(std::io::stdout(), "{told}").expect("standard output");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(broken > 0 && healthy > 0, "the corpus is empty");
}

#[test]
fn the_top_five_of_all() {
    let mut shown = String::new();
    for (name, state) in corpus() {
        let _ = writeln!(shown, "{name}: {:?}", state.assessment.verdict);
        for cause in state.assessment.causes.iter().take(SHOWN) {
            let _ = writeln!(shown, "  {:.2} {:9} {} {}", cause.score, cause.confidence.word(), cause.id, cause.subject);
        }
    }
    insta::assert_snapshot!("corpus", shown);
}

#[test]
fn folding_twice_gives_the_same_bytes() {
    for ((name, one), (_, other)) in corpus().iter().zip(corpus().iter()) {
        assert_eq!(why502::report::json(one, 0), why502::report::json(other, 0), "{name}");
    }
}
