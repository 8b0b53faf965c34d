use super::*;
use crate::model::{Address, FileFate, Listen, Observation, PathMatch, Place, Protocol, Route, RouteChoice, Server, Site, Stage};

const FILE: &str = "/etc/nginx/conf.d/shop.conf";
/// When the workers started.
const LOADED: i64 = 1_000;

fn at(second: i64) -> Stamp {
    Stamp { run_ms: u64::try_from(second - LOADED).unwrap_or(0) * 1000, wall_ms: second * 1000 }
}

fn place(line: u32) -> Place {
    Place { file: PathBuf::from(FILE).into(), line }
}

/// nginx that was loaded then and sends everything to this port.
fn nginx(loaded: i64, port: u16, modified: i64) -> Gateway {
    let address = Address::Tcp(([127, 0, 0, 1], port).into());
    let listen = Listen {
        address: Address::Tcp(([0, 0, 0, 0], 80).into()),
        tls: false,
        proxy_protocol: false,
        default: false,
        at: place(1),
    };
    let route = Route {
        pattern: "/api".to_owned(),
        takes: Some(PathMatch::Any),
        servers: vec![Server::new(address, place(14))],
        ..Route::new(Protocol::Http, place(14))
    };
    let site = Site {
        names: vec!["shop.test".to_owned()],
        listens: vec![listen],
        routes: vec![route],
        choice: RouteChoice::Location,
        at: place(1),
    };
    let state = RunState::Running { pid: 7, since: Some(LOADED), workers_since: Some(loaded) };
    Gateway {
        files: vec![("/etc/nginx/nginx.conf".into(), Some(10)), (FILE.into(), Some(modified))],
        sites: vec![site].into(),
        ..Gateway::new("nginx", "/etc/nginx/nginx.conf", state)
    }
}

fn edit(fate: FileFate, modified: Option<i64>, back: WayBack) -> Observation {
    Observation::Edited(vec![ConfigEdit {
        kind: "nginx".to_owned(),
        config: "/etc/nginx/nginx.conf".into(),
        file: FILE.into(),
        fate,
        modified,
        diff: Vec::new(),
        left_out: 0,
        opaque: None,
        back,
    }])
}

fn patch() -> WayBack {
    WayBack::None { why: "a test".to_owned() }
}

/// A scene in which nginx was loaded and shop.conf is older.
fn begun() -> Scene {
    let mut scene = Scene::default();
    scene.observe(at(LOADED + 100), Observation::Gateways(vec![nginx(LOADED, 8080, 900)]));
    scene.observe(at(LOADED + 100), Observation::Done(Stage::Gateways));
    scene
}

fn standing(scene: &Scene) -> Standing {
    Standing::of(scene, None, &scene.gateways[0])
}

#[test]
fn a_save_has_its_words_its_test_and_the_load_that_took_it() {
    let mut scene = begun();
    assert!(!standing(&scene).reload_missing());
    let saved = LOADED + 200;
    scene.observe(at(saved + 1), edit(FileFate::Changed, Some(saved), patch()));
    scene.observe(at(saved + 1), Observation::Gateways(vec![nginx(LOADED, 8081, saved)]));
    let known = &scene.watch.edits[0];
    assert_eq!(known.saved(), saved);
    assert_eq!(known.words[0].text, "shop.test/api now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080");
    assert_eq!(known.test, None);
    assert_eq!(standing(&scene).newer, [(FILE.into(), saved)]);
    let test = ConfigTest { passed: true, message: String::new(), at: None };
    scene.observe(at(saved + 2), Observation::Gateways(vec![Gateway { test: Some(test.clone()), ..nginx(LOADED, 8081, saved) }]));
    assert_eq!(scene.watch.edits[0].test, Some(test));
    assert_eq!(scene.watch.edits[0].words.len(), 1, "told once");
    scene.observe(at(saved + 30), Observation::Gateways(vec![nginx(saved + 29, 8081, saved)]));
    assert_eq!(scene.watch.edits[0].taken, Some(saved + 29));
    assert!(!standing(&scene).reload_missing());
    let load = &scene.watch.loads[0];
    assert_eq!((load.at, load.restart), (saved + 29, false));
    // The next save is another matter.
    scene.observe(at(saved + 60), edit(FileFate::Changed, Some(saved + 60), patch()));
    scene.observe(at(saved + 60), Observation::Gateways(vec![nginx(saved + 29, 8082, saved + 60)]));
    assert!(standing(&scene).reload_missing());
    assert_eq!((scene.watch.edits[0].words.len(), scene.watch.edits[1].words.len()), (1, 1));
}

#[test]
fn an_edit_that_is_taken_back_needs_no_reload_unless_it_was_loaded() {
    let mut scene = begun();
    let saved = LOADED + 200;
    scene.observe(at(saved), edit(FileFate::Changed, Some(saved), patch()));
    scene.observe(at(saved), Observation::Gateways(vec![nginx(LOADED, 8081, saved)]));
    scene.observe(at(saved + 5), edit(FileFate::Changed, Some(saved + 5), WayBack::AsFound));
    scene.observe(at(saved + 5), Observation::Gateways(vec![nginx(LOADED, 8080, saved + 5)]));
    assert!(!standing(&scene).reload_missing(), "{:?}", standing(&scene));
    // The same, with a reload in between: what runs is now the edit.
    let mut scene = begun();
    scene.observe(at(saved), edit(FileFate::Changed, Some(saved), patch()));
    scene.observe(at(saved + 3), Observation::Gateways(vec![nginx(saved + 2, 8081, saved)]));
    scene.observe(at(saved + 15), edit(FileFate::Changed, Some(saved + 15), WayBack::AsFound));
    scene.observe(at(saved + 15), Observation::Gateways(vec![nginx(saved + 2, 8080, saved + 15)]));
    assert!(standing(&scene).reload_missing());
}

#[test]
fn a_file_that_went_or_came_with_its_old_time_waits_for_a_load_too() {
    for (fate, modified) in [(FileFate::Removed, None), (FileFate::Added, Some(50)), (FileFate::LeftOut, Some(50))] {
        let mut scene = begun();
        scene.observe(at(LOADED + 200), edit(fate, modified, patch()));
        assert_eq!(standing(&scene).newer, [(FILE.into(), LOADED + 200)], "{fate:?}");
        scene.observe(at(LOADED + 260), Observation::Gateways(vec![nginx(LOADED + 250, 8080, 900)]));
        assert!(!standing(&scene).reload_missing(), "{fate:?}");
    }
}

#[test]
fn what_is_read_with_each_request_needs_no_reload() {
    let mut scene = begun();
    let gateway = Gateway { per_request: vec![FILE.into()], files: Vec::new(), ..nginx(LOADED, 8080, 0) };
    scene.observe(at(LOADED + 150), Observation::Gateways(vec![gateway]));
    scene.observe(at(LOADED + 200), edit(FileFate::Changed, Some(LOADED + 200), patch()));
    assert!(!standing(&scene).reload_missing());
}

#[test]
fn a_reload_within_the_second_of_the_start_is_seen() {
    let mut scene = Scene::default();
    let generation = |number, port, modified| Gateway { generation: Some(number), ..nginx(LOADED, port, modified) };
    scene.observe(at(LOADED), Observation::Gateways(vec![generation(5, 8080, 900)]));
    scene.observe(at(LOADED), edit(FileFate::Changed, Some(LOADED), patch()));
    scene.observe(at(LOADED), Observation::Gateways(vec![generation(5, 8081, LOADED)]));
    assert!(standing(&scene).reload_missing());
    scene.observe(at(LOADED), Observation::Gateways(vec![generation(6, 8081, LOADED)]));
    assert!(!standing(&scene).reload_missing());
    assert_eq!(scene.watch.loads.len(), 1);
}

#[test]
fn a_restart_is_one_and_a_stop_says_nothing() {
    let mut scene = begun();
    let stopped = Gateway { state: RunState::Stopped { why_expected: String::new() }, ..nginx(LOADED, 8080, 900) };
    scene.observe(at(LOADED + 110), Observation::Gateways(vec![stopped]));
    assert_eq!(standing(&scene), Standing::default());
    let again = Gateway {
        state: RunState::Running { pid: 9, since: Some(LOADED + 120), workers_since: Some(LOADED + 120) },
        ..nginx(LOADED, 8080, 900)
    };
    scene.observe(at(LOADED + 121), Observation::Gateways(vec![again]));
    assert_eq!(scene.watch.loads.iter().map(|load| load.restart).collect::<Vec<_>>(), [true]);
}

#[test]
fn what_comes_without_end_is_kept_in_bounds() {
    let mut scene = begun();
    for n in 0..500 {
        scene.observe(at(LOADED + 200 + n), edit(FileFate::Changed, Some(LOADED + 200 + n), patch()));
        scene.observe(at(LOADED + 200 + n), Observation::Gateways(vec![nginx(LOADED + 200 + n, 8080, 900)]));
    }
    assert!(scene.watch.edits.len() <= EDITS && scene.watch.loads.len() <= LOADS);
}
