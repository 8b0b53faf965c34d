//! A recording gives what the live run gave: the same stream, the same verdict, the same report.

#[path = "common/incident.rs"]
mod incident;

use std::path::Path;

use incident::{Incident, catalog};
use why502::{
    app::{Event, Msg, Options, State, update},
    model::Stamp,
    report,
    shell::{Recorder, Recording, fold},
    sys::Stamped,
};

/// What the console concludes from a stream while it comes.
fn live(seen: &[Stamped]) -> State {
    let mut state = State::new(Options::default(), "");
    update(&mut state, Event { at: Stamp::default(), msg: Msg::Catalog(catalog()) });
    for Stamped { at, observation } in seen {
        update(&mut state, Event { at: *at, msg: Msg::Observed(observation.clone()) });
    }
    let last = seen.last().map_or_else(Stamp::default, |stamped| stamped.at);
    update(&mut state, Event { at: last, msg: Msg::Tick });
    state
}

#[test]
fn what_was_recorded_gives_the_same_assessment_and_the_same_bytes() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let incidents = [Incident::broken(), Incident::healthy(), Incident::blind(), Incident::flooded()];
    for (number, incident) in incidents.into_iter().enumerate() {
        let path = dir.path().join(number.to_string());
        let mut recorder = Recorder::create(&path).expect("a new file");
        for stamped in &incident.seen {
            assert_eq!(recorder.keep(stamped), None, "nothing is lost");
        }
        drop(recorder);
        let recording = Recording::read(&path).expect("a recording");
        assert_eq!((&recording.seen, recording.damaged.len()), (&incident.seen, 0));
        let (live, replayed) = (live(&incident.seen), fold(recording).expect("the catalogue is whole"));
        assert_eq!(live.assessment, replayed.assessment);
        assert_eq!(report::json(&live, 5), report::json(&replayed, 5));
        assert_eq!(live.assessment.verdict, incident.state.assessment.verdict, "and it is what the console said");
    }
}

/// `check` on a root of files, and the fold over what it recorded.
#[test]
fn what_check_records_gives_what_check_said() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for root in ["nginx-debian", "nginx-rhel", "nginx-alpine"] {
        let path = dir.path().join(root);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_why502"))
            .args(["check", "--json", "--root"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/roots").join(root))
            .arg("--record")
            .arg(&path)
            .output()
            .expect("it runs");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let recording = Recording::read(&path).expect("a recording");
        assert!(recording.damaged.is_empty() && recording.seen.len() > 4, "{recording:?}");
        let folded: serde_json::Value =
            serde_json::from_str(&report::json(&fold(recording).expect("the catalogue is whole"), 5)).expect("JSON");
        for field in ["schema", "host", "target", "verdict", "causes", "findings", "ruled_out", "blind_spots", "hops", "checklist"]
        {
            assert_eq!(said[field], folded[field], "{field} of {root}");
        }
    }
}
