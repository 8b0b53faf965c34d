//! A recording gives what the live run gave: the same stream, the same verdict, the same report.

#[path = "common/incident.rs"]
mod incident;

use std::path::Path;

use incident::{Incident, catalog};
use why502::{
    app::{Event, Msg, Options, State, update},
    model::{Deed, LogBatch, LogCount, LogFormat, Observation, SourceKind, Stamp, secrets::Mask},
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
        let recorder = Recorder::create(&path).expect("a new file");
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

/// Every recording of the corpus.
fn corpus() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut all: Vec<_> = std::fs::read_dir(folder).expect("tests/corpus").map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all
}

/// The addresses of IPv4 that a text holds and that tell something.
fn telling(text: &str) -> std::collections::BTreeSet<std::net::Ipv4Addr> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let all = words.filter_map(|word| word.trim_matches('.').parse::<std::net::Ipv4Addr>().ok());
    all.filter(|address| !address.is_loopback() && (1..224).contains(&address.octets()[0])).collect()
}

#[test]
fn a_recording_without_addresses_gives_the_same_verdict() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut hidden = 0;
    for path in corpus() {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let plain = Recording::read(&path).expect("a recording");
        let masked = dir.path().join(&name);
        let recorder = Recorder::create(&masked).expect("a new file");
        recorder.hide(std::sync::Arc::new(Mask::new((5, 2))));
        for stamped in &plain.seen {
            // A writer that is slow is waited for; only a full queue says anything.
            while recorder.keep(stamped).is_some() {
                std::thread::yield_now();
            }
        }
        drop(recorder);
        let text = std::fs::read_to_string(&masked).expect("written");
        let before = telling(&std::fs::read_to_string(&path).expect("there"));
        let after = telling(&text);
        // Of a private network the network stays; what it holds does not.
        let kept: Vec<_> = before.intersection(&after).filter(|address| !address.is_private()).collect();
        assert!(kept.is_empty(), "{name}: {kept:?}");
        hidden += before.len();
        let host = plain.seen.iter().find_map(|stamped| match &stamped.observation {
            why502::model::Observation::Run(run) => Some(run.host.clone()),
            _ => None,
        });
        let host = host.expect("each names its host");
        assert!(!text.contains(&format!("\"host\":\"{host}\"")), "{name}: {host}");
        let recording = Recording::read(&masked).expect("a recording");
        assert!(recording.damaged.is_empty(), "{name}: {:?}", recording.damaged);
        let causes = |state: &State| state.assessment.causes.iter().map(|cause| cause.id.clone()).collect::<Vec<_>>();
        let (of_masked, of_plain) = (fold(recording).expect("sound"), fold(plain).expect("sound"));
        assert_eq!(causes(&of_masked), causes(&of_plain), "{name}");
        assert_eq!(of_masked.assessment.verdict, of_plain.assessment.verdict, "{name}");
    }
    assert!(hidden > 20, "{hidden} addresses are few: is it still the corpus?");
}

#[test]
fn papers_of_a_live_state_have_no_secrets_and_no_addresses_when_asked() {
    let mut incident = Incident::broken();
    let line = "2026/11/20 02:27:31 [crit] 8#8: upstream 198.51.100.7 of shop.example.com said token=hunter2";
    let count = LogCount { key: line.to_owned(), count: 1, first: line.to_owned(), ..LogCount::default() };
    let batch = LogBatch {
        source: "/var/log/nginx/error.log".into(),
        kind: SourceKind::Error,
        format: LogFormat::Plain,
        counts: vec![count],
        lookback: false,
        dropped: 0,
    };
    incident.observe(Observation::Log(batch));
    let text = "asked 198.51.100.7 of shop.example.com with token=hunter2 in /a?x=hunter2".to_owned();
    incident.observe(Observation::Operator(Deed::Note { text: text.clone(), step: None }));
    incident.state.assessment.headline.clone_from(&text);
    incident.state.assessment.causes[0].summary = text;
    let papers = |state: &State| {
        let json = state.handed_over(report::json(state, 1));
        [json, report::text(state, 1), report::markdown(state, 1), report::html(state, 1), report::ticket(state)]
    };
    for paper in papers(&incident.state) {
        assert!(!paper.contains("hunter2") && paper.contains("198.51.100.7"), "{paper}");
    }
    let mask = std::sync::Arc::new(Mask::new((5, 2)));
    incident.seen.iter().for_each(|stamped| mask.learn_from(&stamped.observation));
    incident.state.options.mask = Some(mask);
    for (at, paper) in papers(&incident.state).into_iter().enumerate() {
        // The text is hidden where it leaves: by the command that prints it.
        let paper = incident.state.handed_over(paper);
        assert!(
            !paper.contains("198.51.100.7") && !paper.contains("shop.example.com") && !paper.contains("gw1.fra"),
            "{at}: {paper}"
        );
        assert!(paper.contains(".invalid") || paper.contains("240.") || paper.contains("host-"), "{at}: {paper}");
    }
}
