use std::os::unix::fs::PermissionsExt as _;

use super::{
    bounds::{BOUNDS, Bounds},
    place::Shelf,
    write::Writer,
    *,
};
use crate::{
    model::{Deed, LogBatch, LogFormat, Observation, SourceKind, Stage},
    sys::Stamped,
};

fn stamped(run_ms: u64) -> Stamped {
    Stamped { at: Stamp { run_ms, wall_ms: 1_700_000_000_000 }, observation: Observation::Done(Stage::Load) }
}

#[test]
fn what_was_kept_is_read_back_and_damage_costs_one_line() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("incident");
    let recorder = Recorder::create(&path).expect("new file");
    for run_ms in 0..3 {
        assert_eq!(recorder.keep(&stamped(run_ms)), None);
    }
    drop(recorder);
    let mut text = std::fs::read_to_string(&path).expect("recording");
    text.insert_str(text.find('\n').expect("header") + 1, "{\"at\":garbage\n");
    text.push_str("{\"at\":{\"run_ms\":9,\"wall_ms\":");
    std::fs::write(&path, &text).expect("damage");
    let recording = Recording::read(&path).expect("readable");
    assert_eq!(recording.seen, [stamped(0), stamped(1), stamped(2)]);
    assert_eq!(recording.damaged.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn a_recording_is_private_and_never_overwrites() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("incident");
    drop(Recorder::create(&path).expect("new file"));
    assert_eq!(std::fs::metadata(&path).expect("made").permissions().mode() & 0o777, 0o600);
    assert!(matches!(Recorder::create(&path), Err(RecordError::Create { .. })));
    assert_eq!(Recording::read(&path).expect("readable").seen, []);
}

#[test]
fn what_is_no_recording_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for text in ["", "\n", "hello\n", "{\"format\":\"why502-record/9\"}\n", "\u{0}\u{1}"] {
        let path = dir.path().join("other");
        std::fs::write(&path, text).expect("written");
        assert!(matches!(Recording::read(&path), Err(RecordError::Foreign { .. })), "{text:?}");
        assert!(matches!(end_of(&path), Err(RecordError::Foreign { .. })), "{text:?}");
    }
    assert!(matches!(Recording::read(&dir.path().join("none")), Err(RecordError::Read { .. })));
}

#[test]
fn a_recording_that_was_cut_off_is_gone_on_with() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("incident");
    let recorder = Recorder::create(&path).expect("new file");
    recorder.keep(&stamped(1));
    assert!(Recorder::resume(&path).is_err(), "somebody writes to it");
    drop(recorder);
    let mut text = std::fs::read_to_string(&path).expect("recording");
    text.push_str("{\"at\":{\"run_ms\":2,");
    std::fs::write(&path, &text).expect("cut off");
    assert_eq!(end_of(&path).expect("a stamp").run_ms, 1);
    let recorder = Recorder::resume(&path).expect("it goes on");
    recorder.keep(&stamped(3));
    drop(recorder);
    let recording = Recording::read(&path).expect("readable");
    assert_eq!((recording.seen, recording.damaged.len()), (vec![stamped(1), stamped(3)], 1));
}

#[test]
fn beginning_end_and_what_happens_seldom_stay_within_the_bound() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("incident");
    let bounds = Bounds { most: 100_000, head: 10_000, seldom: 10_000, tail: 40_000 };
    let shelf = Shelf::of(&path).expect("a place");
    let file = shelf.create().expect("new file");
    let mut writer = Writer::begin(shelf, file, bounds).expect("written");
    let mut longest = 0;
    for run_ms in 0..5_000 {
        let mut next = stamped(run_ms);
        if run_ms == 1_000 {
            next.observation = Observation::Operator(Deed::Note { text: "asked dev".to_owned(), step: None });
        }
        writer.take(next);
        assert_eq!(writer.flush(), []);
        longest = longest.max(std::fs::metadata(&path).expect("there").len());
    }
    assert!(longest <= bounds.most + 200, "{longest}");
    let recording = Recording::read(&path).expect("readable");
    assert_eq!(recording.damaged, []);
    let times: Vec<u64> = recording.seen.iter().map(|stamped| stamped.at.run_ms).collect();
    assert_eq!((times.first(), times.last()), (Some(&0), Some(&4_999)));
    assert!(recording.seen.iter().any(|stamped| matches!(stamped.observation, Observation::Operator(_))));
    let lost: u64 = recording
        .seen
        .iter()
        .map(|stamped| match stamped.observation {
            Observation::Dropped { count, .. } => count,
            _ => 0,
        })
        .sum();
    assert!(lost > 1_000, "what is gone is told: {lost}");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_disk_that_is_full_costs_no_line_before() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("incident");
    let shelf = Shelf::of(&path).expect("a place");
    drop(shelf.create().expect("new file"));
    // A file that takes nothing, as one on a full disk does: /dev/full (full(4)).
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there on every Linux");
    assert!(Writer::begin(shelf, full, BOUNDS).is_err());
    let shelf = Shelf::of(&dir.path().join("other")).expect("a place");
    let file = shelf.create().expect("new file");
    let mut writer = Writer::begin(shelf, file, BOUNDS).expect("written");
    writer.take(stamped(1));
    assert_eq!(writer.flush(), []);
    writer.stand_in("/dev/full");
    writer.take(stamped(2));
    let told = writer.flush();
    assert!(matches!(&told[..], [Observation::Blind(spot)] if spot.reason.contains("space")), "{told:?}");
    let recording = Recording::read(&dir.path().join("other")).expect("readable");
    assert_eq!((recording.seen, recording.damaged), (vec![stamped(1)], Vec::new()));
}

#[test]
fn a_secret_in_a_log_is_recorded_nowhere() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("incident");
    let recorder = Recorder::create(&path).expect("new file");
    let count = crate::model::LogCount {
        key: "k".to_owned(),
        count: 1,
        first: "Authorization: Bearer hunter2".to_owned(),
        ..Default::default()
    };
    let batch = LogBatch {
        source: "a".to_owned(),
        kind: SourceKind::App,
        format: LogFormat::Plain,
        counts: vec![count],
        lookback: false,
        dropped: 0,
    };
    recorder.keep(&Stamped { observation: Observation::Log(batch), ..stamped(1) });
    drop(recorder);
    let text = std::fs::read_to_string(&path).expect("recording");
    assert!(!text.contains("hunter2") && text.contains("secret#"), "{text}");
}
