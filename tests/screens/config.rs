//! The config pane as a person works with it: an edit, what it means, the missing reload, the way back.

use std::process::Command;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, layout::Size};
use why502::{
    app::{Action, Event, Msg, Options, State, update},
    model::{ConfigEdit, ConfigTest, FileFate, Gateway, Observation, Outcome, RunState, Stage, WayBack, edit},
    ui::{Ui, draw, keymap},
};

use crate::common::incident::{Incident, nginx};

const OLD: &str = "server {\n    listen 80;\n    location / {\n        proxy_pass http://127.0.0.1:8000;\n    }\n}\n";
const FILE: &str = "/etc/nginx/conf.d/shop.conf";

/// nginx whose file sends to this port, loaded so many seconds before the edit.
fn gateway(port: u16, saved: i64, loaded: Option<i64>, test: Option<bool>) -> Gateway {
    let mut gateway = nginx();
    let route = &mut gateway.sites.own()[0].routes[0];
    route.servers[0].address = format!("127.0.0.1:{port}").parse().expect("an address");
    gateway.files = vec![("/etc/nginx/nginx.conf".into(), Some(0)), (FILE.into(), Some(saved))];
    if let (RunState::Running { workers_since, .. }, Some(loaded)) = (&mut gateway.state, loaded) {
        *workers_since = Some(loaded);
    }
    let at = Some(why502::model::Place { file: std::path::PathBuf::from(FILE).into(), line: 4 });
    gateway.test = test.map(|passed| ConfigTest {
        passed,
        message: if passed { String::new() } else { "unexpected \"}\" in shop.conf:4".to_owned() },
        at: at.filter(|_| !passed),
    });
    gateway
}

/// The incident in which somebody sends the requests elsewhere, and does not reload yet.
fn mending(to: u16) -> Incident {
    let mut incident = Incident::broken();
    incident.observe(Observation::Gateways(vec![gateway(8000, 0, None, Some(true))]));
    let saved = incident.state.now.wall_s();
    let new = OLD.replace("8000", &to.to_string());
    let diff = edit::unified(OLD, &new);
    incident.observe(Observation::Edited(vec![ConfigEdit {
        kind: "nginx".to_owned(),
        config: "/etc/nginx/nginx.conf".into(),
        file: FILE.into(),
        fate: FileFate::Changed,
        modified: Some(saved),
        diff: diff.clone(),
        left_out: 0,
        opaque: None,
        back: WayBack::Patch { diff, bytes: false, to: FILE.into() },
    }]));
    incident.observe(Observation::Gateways(vec![gateway(to, saved, None, None)]));
    incident.observe(Observation::Gateways(vec![gateway(to, saved, None, Some(true))]));
    incident.rounds(1, |job| match (job.probe.as_str(), job.address.port()) {
        ("gateway", _) => Outcome::Status(502),
        (_, Some(8081)) => Outcome::Status(200),
        _ => Outcome::Refused,
    });
    incident
}

fn shown(state: &State, size: Size) -> String {
    let ui = Ui::choose(Some("xterm-256color"), false, true, false);
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).expect("a test backend");
    terminal.draw(|frame| draw(state, &ui, frame)).expect("drawing to memory");
    super::text(terminal.backend().buffer())
}

fn press(incident: &mut Incident, keys: &str) {
    let ui = Ui::choose(Some("xterm-256color"), false, true, false);
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            key => KeyCode::Char(key),
        };
        let event = KeyEvent::new(code, KeyModifiers::NONE);
        if let Some(action) = keymap::action(&incident.state, &ui, Size::new(100, 44), event) {
            incident.feed(Msg::Act(action));
        }
    }
}

#[test]
fn an_edit_shows_what_it_means_and_what_is_missing_at_every_size() {
    for (width, height) in super::SIZES {
        let screen = shown(&mending(8081).state, Size::new(*width, *height));
        insta::assert_snapshot!(format!("mending-{width}x{height}"), screen);
        let squeezed: String = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(screen.contains("NOT RELOADED"), "{screen}");
        assert!(width < &120 || squeezed.contains("test ok"), "{screen}");
    }
    let mut incident = mending(8081);
    press(&mut incident, "wzj");
    let screen = shown(&incident.state, Size::new(100, 24));
    for told in [
        "now goes to 127.0.0.1:8081 instead of 127.0.0.1:8000",
        "127.0.0.1:8081 answers 200",
        "reload missing",
        "test ok",
        "systemctl reload nginx",
    ] {
        assert!(screen.contains(told), "{told}: {screen}");
    }
    press(&mut incident, "\n");
    insta::assert_snapshot!("mending-why", shown(&incident.state, Size::new(100, 44)));
}

#[test]
fn an_address_at_which_nobody_listens_is_told_before_the_reload() {
    let mut incident = mending(8082);
    press(&mut incident, "wz");
    assert!(shown(&incident.state, Size::new(100, 24)).contains("nothing listens on 127.0.0.1:8082"));
}

#[test]
fn the_reload_is_seen_and_an_error_points_to_its_line() {
    let mut incident = mending(8081);
    let saved = incident.state.scene.watch.edits[0].saved();
    incident.observe(Observation::Gateways(vec![gateway(8081, saved, Some(saved + 1), Some(true))]));
    press(&mut incident, "wz");
    let screen = shown(&incident.state, Size::new(100, 24));
    assert!(screen.contains("nginx reloaded: what is on disk was taken") && !screen.contains("NOT RELOADED"), "{screen}");
    let mut incident = mending(8081);
    incident.observe(Observation::Gateways(vec![gateway(8081, saved, None, Some(false))]));
    press(&mut incident, "wz");
    let screen = shown(&incident.state, Size::new(100, 24));
    assert!(screen.contains("test FAILS at shop.conf:4") && screen.contains("would not load"), "{screen}");
    assert!(!screen.contains("systemctl reload"), "no reload is advised that would fail: {screen}");
}

#[test]
fn what_is_copied_is_the_reload_of_the_gateway_and_the_way_back_of_the_edit() {
    let mut incident = mending(8081);
    let ui = Ui::choose(Some("xterm-256color"), false, true, false);
    let copied = |incident: &Incident| {
        let event = KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE);
        match keymap::action(&incident.state, &ui, Size::new(100, 44), event) {
            Some(Action::Copy { text, .. }) => text,
            other => panic!("nothing is copied: {other:?}"),
        }
    };
    press(&mut incident, "w");
    assert_eq!(copied(&incident), "systemctl reload nginx");
    press(&mut incident, "j");
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("shop.conf");
    std::fs::write(&file, OLD.replace("8000", "8081")).expect("write");
    let command = copied(&incident).replace(FILE, &file.display().to_string());
    let done = Command::new("sh").args(["-c", &command]).output().expect("a shell");
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(std::fs::read_to_string(&file).expect("read"), OLD);
}

#[test]
fn a_recording_shows_the_same_pane() {
    let mut incident = mending(8081);
    let mut replayed = State::new(Options::default(), "checklist");
    update(&mut replayed, Event { at: incident.seen[0].at, msg: Msg::Catalog(crate::common::incident::catalog()) });
    for stamped in &incident.seen {
        let line = serde_json::to_string(&stamped.observation).expect("written");
        let observation: Observation = serde_json::from_str(&line).expect("read");
        update(&mut replayed, Event { at: stamped.at, msg: Msg::Observed(observation) });
    }
    assert!(incident.seen.iter().any(|stamped| matches!(stamped.observation, Observation::Done(Stage::Probes { .. }))));
    press(&mut incident, "wz");
    for action in [Action::Focus("config"), Action::Zoom] {
        update(&mut replayed, Event { at: incident.state.now, msg: Msg::Act(action) });
    }
    let (live, again) = (shown(&incident.state, Size::new(100, 24)), shown(&replayed, Size::new(100, 24)));
    let pane = |screen: &str| screen.lines().skip(3).take(12).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(pane(&live), pane(&again));
}
