use super::*;
use crate::model::{COMBINED, Changes, LogBatch, LogCount, LogFormat, Observation, Stamp};

/// 2026-11-20T02:17:41Z.
const BEGIN: i64 = 1_795_141_061;

/// A scene in which requests were served until `served` and fail since [`BEGIN`].
fn scene(served: Option<i64>, list: Vec<Change>) -> Scene {
    let mut scene = Scene::default();
    let mut take = |second: i64, status: u16| {
        let key = format!("{status} GET up=127.0.0.1:8000 ups={status}");
        let counts = vec![LogCount { second: Some(second), key: key.clone(), count: 1, later: Vec::new(), first: key, last: None }];
        let format = LogFormat::NginxAccess(COMBINED.to_owned());
        let batch = LogBatch { source: "access.log".into(), kind: SourceKind::Access, format, counts, lookback: true, dropped: 0 };
        scene.observe(Stamp { run_ms: 0, wall_ms: (BEGIN + 60) * 1000 }, Observation::Log(batch));
    };
    for second in served.into_iter().flat_map(|served| served - 300..=served) {
        take(second, 200);
    }
    for second in BEGIN..BEGIN + 60 {
        take(second, 502);
    }
    let changes = Changes { from: BEGIN - 86_400, list, ..Changes::default() };
    scene.observe(Stamp { run_ms: 1, wall_ms: (BEGIN + 60) * 1000 }, Observation::Changes(Box::new(changes)));
    scene
}

fn change(kind: ChangeKind, at: i64) -> Change {
    let (what, source) = ("something".to_owned(), "a test".to_owned());
    Change { kind, what, at, source, by: None, concerns: Vec::new(), first: false }
}

fn suspected(served: Option<i64>, change: Change) -> bool {
    !suspects(&scene(served, vec![change])).is_empty()
}

#[test]
fn a_change_between_what_was_served_and_what_failed_is_suspected() {
    let served = Some(BEGIN - 1);
    assert!(suspected(served, change(ChangeKind::Deploy, BEGIN - 159)));
    assert!(suspected(served, change(ChangeKind::Deploy, BEGIN + 3)), "stamps are not in order to the second");
    assert!(!suspected(served, change(ChangeKind::Deploy, BEGIN + 30)), "what comes after it is no cause");
    assert!(!suspected(served, change(ChangeKind::Deploy, BEGIN - 7200)), "requests were served for two hours after it");
    assert!(suspected(Some(BEGIN - 7000), change(ChangeKind::Deploy, BEGIN - 6000)), "nobody was served since");
    assert!(!suspected(None, change(ChangeKind::Deploy, BEGIN - 10)), "what never worked was broken by no change");
}

#[test]
fn what_a_change_can_break_depends_on_its_kind() {
    let served = Some(BEGIN - 1);
    assert!(suspected(served, change(ChangeKind::Job, BEGIN - 20)));
    assert!(!suspected(served, change(ChangeKind::Job, BEGIN - 90)), "a job breaks at once what it breaks");
    assert!(!suspected(served, change(ChangeKind::Names, BEGIN - 20)), "no gateway connects to a name");
    assert!(!suspected(served, change(ChangeKind::Login, BEGIN - 20)), "who came in did nothing yet");
    let deed = Change { what: "bob ran systemctl stop app with sudo".into(), ..change(ChangeKind::Login, BEGIN - 20) };
    assert!(suspected(served, deed));
    assert!(!suspected(served, Change { first: true, ..change(ChangeKind::Deploy, BEGIN - 20) }), "an installation");
}

#[test]
fn all_stand_on_one_line_of_time_with_their_distance() {
    let scene = scene(Some(BEGIN - 1), vec![change(ChangeKind::Deploy, BEGIN - 159), change(ChangeKind::Login, BEGIN - 200)]);
    let catalog = Catalog::embedded().expect("catalogue");
    let told: Vec<_> = moments(&scene, &catalog).iter().map(|moment| (moment.kind.word(), moment.before, moment.suspect)).collect();
    assert_eq!(told, [("login", Some(200), false), ("deploy", Some(159), true), ("first failure", Some(0), false)], "oldest first");
}
