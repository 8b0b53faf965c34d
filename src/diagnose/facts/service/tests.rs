use serde_json::json;

use super::*;
use crate::model::{FileUse, HostLoad, Observation, Pressure, ProbeReport, Stamp, StuckProcess};

const UPSTREAM: &str = "127.0.0.1:8000";

fn service(role: OwnerRole) -> ServiceLoad {
    let serves = match role {
        OwnerRole::Gateway => "nginx",
        OwnerRole::Upstream => UPSTREAM,
    };
    ServiceLoad {
        role,
        serves: vec![Subject(serves.into())],
        name: "app".into(),
        pid: 811,
        processes: 1,
        cpu: Some(3.0),
        files: Some(FileUse { pid: 811, open: 10, limit: 1024 }),
        ..ServiceLoad::default()
    }
}

fn place(how: PlaceUse, used: f32, free: u64) -> ServicePlace {
    ServicePlace {
        path: "/srv/data/orders.log".into(),
        how,
        mount: "/srv/data".into(),
        kind: "ext4".into(),
        used: Some(used),
        free: Some(free),
        inodes: Some(1.0),
        read_only: false,
    }
}

/// What is said of these looks (milliseconds of the run with the services), where requests have this outcome.
fn facts(outcome: &serde_json::Value, looks: &[(u64, Vec<ServiceLoad>)]) -> Vec<String> {
    facts_of(&[(UPSTREAM, outcome.clone())], looks)
}

/// The same, where requests to these upstreams have these outcomes. Where somebody starves, tasks wait.
fn facts_of(outcomes: &[(&str, serde_json::Value)], looks: &[(u64, Vec<ServiceLoad>)]) -> Vec<String> {
    let starves = looks.iter().flat_map(|(_, services)| services).any(|service| service.starved.is_some());
    facts_on(if starves { 60.0 } else { 1.0 }, outcomes, looks)
}

/// The same on a host on which something waited for a processor during such a share of the last 10 s.
fn facts_on(waits: f32, outcomes: &[(&str, serde_json::Value)], looks: &[(u64, Vec<ServiceLoad>)]) -> Vec<String> {
    let mut scene = Scene::default();
    let load = HostLoad {
        psi_cpu: Some(Pressure { some: waits, full: 0.0 }),
        mem_total: Some(100),
        mem_available: Some(60),
        files: Some((1_000, 100_000)),
        tasks: Some((200, 32_768)),
        ..HostLoad::default()
    };
    scene.observe(Stamp { run_ms: 1, wall_ms: 1_795_217_794_000 }, Observation::Load(Box::new(load)));
    for (run_ms, services) in looks {
        scene.observe(Stamp { run_ms: *run_ms, wall_ms: 1_795_217_794_000 }, Observation::Services(services.clone()));
    }
    for (upstream, outcome) in outcomes {
        let report = json!({
            "job": {"probe": "upstream", "subject": upstream, "address": upstream, "protocol": "http", "connect_ms": 1, "total_ms": 1,
                "request": {"method": "GET", "host": "shop.test", "path": "/"}},
            "outcome": outcome, "phases": {"total": 1.0},
        });
        let report: ProbeReport = serde_json::from_value(report).expect("a report");
        scene.observe(scene.now, Observation::Probe(Box::new(report)));
    }
    let book = FactBook::of(&scene, &Catalog::embedded().expect("the catalogue"));
    let own = book.facts.iter().filter(|fact| fact.name.starts_with("service:"));
    own.map(|fact| format!("{} {}", fact.name.trim_start_matches("service:"), fact.subject)).collect()
}

fn says(facts: &[String], fact: &str) -> bool {
    facts.iter().any(|known| known == fact)
}

fn timeout() -> serde_json::Value {
    json!({"timeout": "head"})
}

#[test]
fn a_service_that_is_well_rules_out_what_its_figures_do() {
    let mut app = service(OwnerRole::Upstream);
    app.places = vec![place(PlaceUse::Open, 40.0, 1 << 30)];
    let found = facts(&json!({"closed": "head"}), &[(10, vec![service(OwnerRole::Gateway), app.clone()])]);
    assert_eq!(
        found,
        ["calm nginx", "calm 127.0.0.1:8000", "cpu-free host", "memory-free host", "disks-free host", "limits-free host"]
    );
    // A place that could not be asked might be full.
    app.places.push(ServicePlace { used: None, kind: "nfs4".into(), ..place(PlaceUse::Open, 0.0, 0) });
    assert!(!says(&facts(&timeout(), &[(10, vec![app])]), "disks-free host"));
}

#[test]
fn want_of_a_processor_explains_what_is_late_and_nothing_else() {
    let starved = ServiceLoad { starved: Some(90.0), waited: Some(80.0), ..service(OwnerRole::Upstream) };
    assert!(says(&facts(&timeout(), &[(10, vec![starved.clone()])]), "starved host"));
    assert!(!says(&facts(&json!({"closed": "head"}), &[(10, vec![starved.clone()])]), "starved host"));
    assert!(!says(&facts(&json!("refused"), &[(10, vec![starved.clone()])]), "starved host"));
    // It wants to run for a moment only.
    let idle = ServiceLoad { waited: Some(2.0), ..starved.clone() };
    assert!(!says(&facts(&timeout(), &[(10, vec![idle])]), "starved host"));
    // The request is over when the last look is taken; one of long ago does not count.
    let calm = vec![service(OwnerRole::Upstream)];
    assert!(says(&facts(&timeout(), &[(1_000, vec![starved.clone()]), (3_000, calm.clone())]), "starved host"));
    assert!(!says(&facts(&timeout(), &[(1_000, vec![starved.clone()]), (60_000, calm)]), "starved host"));
    // One stall of a host on which nothing else waits.
    assert!(!says(&facts_on(4.0, &[(UPSTREAM, timeout())], &[(10, vec![starved.clone()])]), "starved host"));
    // That of an application which does not fail.
    let other = ServiceLoad { serves: vec![Subject("127.0.0.1:9000".into())], ..starved };
    assert!(!says(&facts(&timeout(), &[(10, vec![other])]), "starved host"));
    let throttled = ServiceLoad { throttled: Some(95.0), quota: Some(0.1), ..service(OwnerRole::Upstream) };
    assert!(says(&facts(&timeout(), &[(10, vec![throttled])]), "throttled host"));
}

#[test]
fn want_of_a_processor_makes_all_late_and_not_one() {
    let starved = |role| vec![(10, vec![ServiceLoad { starved: Some(97.0), waited: Some(80.0), ..service(role) }])];
    let one_late = [(UPSTREAM, timeout()), ("127.0.0.1:8001", json!({"status": 200}))];
    let says_so = |outcomes: &[(&str, serde_json::Value)], role| says(&facts_of(outcomes, &starved(role)), "starved host");
    assert!(!says_so(&one_late, OwnerRole::Gateway), "it serves what the other answers");
    assert!(says_so(&one_late[..1], OwnerRole::Gateway), "the only one is late");
    assert!(says_so(&one_late, OwnerRole::Upstream), "the one that is late waits itself");
}

#[test]
fn a_disk_is_full_when_nothing_is_left_of_it() {
    let with = |place: ServicePlace| {
        let app = ServiceLoad { places: vec![place], ..service(OwnerRole::Upstream) };
        facts(&json!({"closed": "head"}), &[(10, vec![app])])
    };
    assert!(says(&with(place(PlaceUse::Open, 100.0, 0)), "disk-full host"));
    assert!(says(&with(place(PlaceUse::Usual, 99.2, 1 << 20)), "disk-full host"));
    assert!(says(&with(place(PlaceUse::May, 100.0, 0)), "disk-full-beside host"));
    assert!(says(&with(ServicePlace { inodes: Some(100.0), ..place(PlaceUse::Open, 10.0, 1 << 30) }), "disk-full host"));
    let huge = with(place(PlaceUse::Open, 99.3, 8 << 30));
    assert!(!says(&huge, "disk-full host"), "eight gigabytes are left: {huge:?}");
    assert!(says(&with(ServicePlace { read_only: true, used: None, ..place(PlaceUse::Open, 0.0, 0) }), "read-only host"));
    let image = ServicePlace { read_only: true, kind: "squashfs".into(), used: None, ..place(PlaceUse::Usual, 0.0, 0) };
    assert!(!says(&with(image), "read-only host"), "an image of software is meant to be");
}

#[test]
fn limits_and_signals_are_told_of_whom_they_concern() {
    let with = |service: ServiceLoad| facts(&timeout(), &[(10, vec![service])]);
    let files = Some(FileUse { pid: 812, open: 1_023, limit: 1_024 });
    assert!(says(&with(ServiceLoad { files: files.clone(), ..service(OwnerRole::Upstream) }), "files-used-up 127.0.0.1:8000"));
    assert!(says(&with(ServiceLoad { files, ..service(OwnerRole::Gateway) }), "gateway-files-used-up nginx"));
    assert!(says(&with(ServiceLoad { stopped: vec![811], ..service(OwnerRole::Upstream) }), "stopped 127.0.0.1:8000"));
    assert!(says(&with(ServiceLoad { stopped: vec![811], ..service(OwnerRole::Gateway) }), "gateway-stopped nginx"));
    let one_of_two = ServiceLoad { stopped: vec![812], processes: 3, workers: 2, ..service(OwnerRole::Upstream) };
    assert!(says(&with(one_of_two), "calm 127.0.0.1:8000"), "the other worker serves");
    assert!(says(&with(ServiceLoad { tasks: Some((12, 12)), ..service(OwnerRole::Upstream) }), "tasks-used-up host"));
    assert!(!says(&with(ServiceLoad { tasks: Some((12, 512)), ..service(OwnerRole::Upstream) }), "tasks-used-up host"));
    let killed = ServiceLoad { oom_kills: Some(4), oom_kills_seen: Some(1), ..service(OwnerRole::Upstream) };
    assert!(says(&with(killed.clone()), "oom-killed 127.0.0.1:8000"));
    let long_ago = with(ServiceLoad { oom_kills_seen: Some(0), ..killed });
    assert!(says(&long_ago, "oom-kills 127.0.0.1:8000") && !says(&long_ago, "memory-free host"), "{long_ago:?}");
}

#[test]
fn a_process_hangs_when_several_looks_find_it_where_it_was() {
    let stuck = |looks| ServiceLoad {
        stuck: vec![StuckProcess { pid: 811, name: "app".into(), wchan: "rpc_wait".into(), looks }],
        ..service(OwnerRole::Upstream)
    };
    assert!(says(&facts(&timeout(), &[(10, vec![stuck(3)])]), "stuck host"));
    assert!(!says(&facts(&timeout(), &[(10, vec![stuck(1)])]), "stuck host"), "any write to a disk waits");
    assert!(!says(&facts(&json!("refused"), &[(10, vec![stuck(3)])]), "stuck host"));
}

#[test]
fn the_tasks_of_a_user_are_a_limit_of_the_host() {
    let answers = json!({"status": 200});
    let bound = |used| {
        let user = crate::model::UserTasks { user: "app".into(), used, limit: 400 };
        let one = ServiceLoad { user_tasks: Some(user), ..service(OwnerRole::Upstream) };
        facts(&answers, &[(1_000, vec![one])])
    };
    let (all, most) = (bound(400), bound(390));
    assert!(says(&all, "user-tasks-used-up host") && !says(&all, "limits-free host"), "{all:?}");
    assert!(!says(&most, "user-tasks-used-up host") && says(&most, "limits-free host"), "{most:?}");
}
