//! Screens as a person sees them, and the promise that no size and no foreign text breaks them.

mod common;
#[path = "screens/config.rs"]
mod config;
#[path = "screens/logs.rs"]
mod logs;

use std::borrow::Cow;

use common::{
    hostile::hostile,
    incident::{Incident, error_log},
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    layout::Rect,
    style::Color,
};
use why502::{
    app::{Action, Ask, Msg, Options, Overlay, Paper, Prompt, State},
    model::{
        CertView, CheckState, Deed, LogBatch, LogCount, LogFormat, Observation, Outcome, SourceKind, TlsView, TrustFault,
        TrustFinding, TrustVerdict, View,
    },
    report,
    ui::{Ui, draw, pane},
};

/// A modern terminal.
fn modern() -> Ui {
    Ui::choose(Some("xterm-256color"), false, true, false)
}

/// The screen of a state.
fn screen(state: &State, ui: &Ui, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
    terminal.draw(|frame| draw(state, ui, frame)).expect("drawing to memory");
    terminal.backend().buffer().clone()
}

/// Its text, one line a row.
fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width).max(1));
    let rows = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

const SIZES: &[(u16, u16)] = &[(80, 24), (120, 36), (160, 45)];

macro_rules! whole_screens {
    ($($name:ident: $state:expr;)*) => {$(
        #[test]
        fn $name() {
            let state = $state.state;
            for (width, height) in SIZES {
                insta::assert_snapshot!(format!("{}-{width}x{height}", stringify!($name)), text(&screen(&state, &modern(), *width, *height)));
            }
        }
    )*};
}

whole_screens! {
    first_frame: Incident::first_frame();
    broken: Incident::broken();
    healthy: Incident::healthy();
    blind: Incident::blind();
    flooded: Incident::flooded();
}

whole_screens! {
    zoomed_checklist: looking_at(Incident::broken(), "checklist", None, true);
    zoomed_causes: looking_at(Incident::broken(), "causes", None, true);
    zoomed_probes: looking_at(Incident::broken(), "probes", None, true);
    zoomed_load: looking_at(Incident::broken(), "load", None, true);
    zoomed_logs: looking_at(Incident::broken(), "logs", None, true);
    zoomed_timeline: looking_at(worked_on(), "timeline", None, true);
    timeline: looking_at(worked_on(), "timeline", None, false);
    preview: looking_at(worked_on(), "checklist", Some(Overlay::Paper(Paper::Report)), false);
    palette: typing(Incident::broken(), "re");
    past: looking_back(worked_on());
}

/// An outage that somebody works on: notes, a skipped step, and requests that are served again.
fn worked_on() -> Incident {
    let mut incident = Incident::broken();
    incident.observe(Observation::Operator(Deed::Note { text: "asked dev about 8081".into(), step: None }));
    let step = incident.state.assessment.steps[3].id.clone();
    let reason = Some("no second device".into());
    incident.observe(Observation::Operator(Deed::Step { step, state: Some(CheckState::Skipped), reason }));
    incident.rounds(3, |_| Outcome::Status(200));
    incident
}

/// The same while a command is typed.
fn typing(mut incident: Incident, text: &str) -> Incident {
    incident.feed(Msg::Act(Action::Type(Prompt::new(Ask::Command, text.to_owned()))));
    incident
}

/// The same, as it was shortly before this program was started.
fn looking_back(mut incident: Incident) -> Incident {
    let began = incident.state.scene.began.expect("it began").wall_s();
    incident.feed(Msg::Act(Action::LookBack(Some(began - 5))));
    incident
}

#[test]
fn papers_commands_and_the_past_are_told_in_ascii_and_without_colours() {
    let ascii = Ui::choose(Some("xterm"), false, false, false);
    let mono = Ui::choose(Some("xterm"), true, true, false);
    let incidents = || {
        [
            looking_at(worked_on(), "timeline", None, false),
            looking_at(worked_on(), "checklist", Some(Overlay::Paper(Paper::Ticket)), false),
            typing(Incident::broken(), "re"),
            looking_back(worked_on()),
        ]
    };
    for incident in incidents() {
        for (width, height) in [(40, 10), (80, 24), (160, 45)] {
            assert!(text(&screen(&incident.state, &ascii, width, height)).is_ascii());
            let (plain, coloured) =
                (screen(&incident.state, &mono, width, height), screen(&incident.state, &modern(), width, height));
            assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
            assert_eq!(text(&plain), text(&coloured));
        }
    }
    insta::assert_snapshot!("styles-colour-palette", styles(&screen(&incidents()[2].state, &modern(), 80, 24)));
    insta::assert_snapshot!("ascii-timeline", text(&screen(&incidents()[0].state, &ascii, 80, 24)));
}

#[test]
fn no_size_breaks_papers_commands_or_the_past() {
    let incidents = [
        looking_at(worked_on(), "timeline", None, false),
        looking_at(worked_on(), "checklist", Some(Overlay::Paper(Paper::Report)), false),
        typing(Incident::broken(), ""),
        looking_back(worked_on()),
    ];
    for (width, height) in (1..=50).step_by(3).flat_map(|width| (1..=16).map(move |height| (width, height))) {
        for incident in &incidents {
            screen(&incident.state, &modern(), width, height);
        }
    }
}

/// The same, as somebody looks at it who has pressed a few keys.
fn looking_at(mut incident: Incident, pane: &'static str, overlay: Option<Overlay>, zoom: bool) -> Incident {
    incident.feed(Msg::Act(Action::Focus(pane)));
    if zoom {
        incident.feed(Msg::Act(Action::Zoom));
    }
    if let Some(overlay) = overlay {
        incident.feed(Msg::Act(Action::Open(overlay)));
    }
    incident
}

/// The keys of a pane's rows.
fn rows(state: &State, id: &str) -> Vec<String> {
    pane::by_id(id).expect("a pane").rows(state).into_iter().map(Cow::into_owned).collect()
}

#[test]
fn every_kind_of_row_is_explained() {
    for pane in pane::ALL {
        for (name, incident) in [("broken", Incident::broken()), ("blind", Incident::blind())] {
            let id = pane.id();
            let picks: Vec<String> = match id {
                // One of each kind: a failed step, the first cause and what was not seen.
                "checklist" => vec!["upstream-runs".to_owned(), rows(&incident.state, id)[0].clone()],
                _ => rows(&incident.state, id),
            };
            for (index, key) in picks.into_iter().filter(|key| rows(&incident.state, id).contains(key)).enumerate().take(4) {
                let mut incident = looking_at(
                    Incident { state: incident.state.clone(), at_ms: incident.at_ms, seen: incident.seen.clone() },
                    id,
                    None,
                    false,
                );
                incident.feed(Msg::Act(Action::Open(Overlay::Explain { pane: id, key })));
                let shown = text(&screen(&incident.state, &modern(), 100, 44));
                insta::assert_snapshot!(format!("why-{name}-{id}-{index}"), shown);
            }
        }
    }
}

#[test]
fn what_a_probe_saw_of_tls_is_told_and_foreign_text_stays_text() {
    let mut incident = Incident::broken();
    let index = incident.state.plan.jobs.iter().position(|job| job.probe == "upstream").expect("a planned probe");
    let mut report = common::incident::report(&incident.state.plan.jobs[index], Outcome::Open);
    let cert =
        CertView { subject: "CN=app\u{1b}[2J\nCN=forged".to_owned(), names: vec!["app.test".to_owned()], ..CertView::default() };
    let text_of = |text: &str| text.to_owned();
    let finding = TrustFinding { fault: TrustFault::Expired, text: text_of("the certificate expired at 2026-01-01T00:00:00Z") };
    let verdict = TrustVerdict::Refused(vec![finding]);
    let view = TlsView { chain: vec![cert], verdict, judged_by: text_of("/etc/ca.pem"), ..TlsView::default() };
    report.view = Some(View::Tls(Box::new(view)));
    incident.observe(Observation::Probe(Box::new(report)));
    let key = rows(&incident.state, "probes")
        .into_iter()
        .find(|key| {
            let overlay = Some(Overlay::Explain { pane: "probes", key: key.clone() });
            let copy = Incident { state: incident.state.clone(), at_ms: incident.at_ms, seen: incident.seen.clone() };
            text(&screen(&looking_at(copy, "probes", overlay, false).state, &modern(), 120, 60)).contains("What it saw")
        })
        .expect("one row tells what it saw");
    let overlay = Some(Overlay::Explain { pane: "probes", key });
    let shown = text(&screen(&looking_at(incident, "probes", overlay, false).state, &modern(), 120, 60));
    for words in
        ["does not trust it, by /etc/ca.pem", "expired: the certificate expired at", "names: app.test", "server name sent: none"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains("CN=app\\x1b[2J") && !shown.contains('\u{1b}'), "{shown}");
    let forged = shown.lines().find(|line| line.contains("forged")).expect("shown");
    assert!(forged.contains("CN=app"), "a line end of a stranger's begins no line of ours: {forged}");
}

#[test]
fn help_shows_what_is_possible_here() {
    let incident = looking_at(Incident::broken(), "checklist", Some(Overlay::Help), false);
    insta::assert_snapshot!("help-80x24", text(&screen(&incident.state, &modern(), 80, 24)));
    insta::assert_snapshot!("help-120x36", text(&screen(&incident.state, &modern(), 120, 36)));
}

#[test]
fn a_terminal_without_utf_8_gets_ascii() {
    let ui = Ui::choose(Some("xterm"), false, false, false);
    for incident in [Incident::broken(), Incident::blind()] {
        for (width, height) in SIZES {
            let shown = text(&screen(&incident.state, &ui, *width, *height));
            assert!(shown.is_ascii(), "{shown}");
        }
    }
    insta::assert_snapshot!("ascii-80x24", text(&screen(&Incident::broken().state, &ui, 80, 24)));
}

/// The styles of a screen: for each row the runs of cells that are not plain.
fn styles(buffer: &Buffer) -> String {
    let mut out = String::new();
    for (y, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let mut runs: Vec<(String, String)> = Vec::new();
        for cell in row {
            let style = format!("{:?} {:?}", cell.fg, cell.modifier);
            match runs.last_mut() {
                Some((known, text)) if *known == style => text.push_str(cell.symbol()),
                _ => runs.push((style, cell.symbol().to_owned())),
            }
        }
        for (style, text) in runs.iter().filter(|(style, text)| style != "Reset NONE" && !text.trim().is_empty()) {
            out.push_str(&format!("{y:2} {style}: {}\n", text.trim()));
        }
    }
    out
}

#[test]
fn colours_are_the_terminals_own_and_no_background_is_painted() {
    for ui in [modern(), Ui::choose(Some("xterm"), true, true, false)] {
        for incident in [Incident::broken(), Incident::healthy(), Incident::blind(), Incident::flooded()] {
            let buffer = screen(&incident.state, &ui, 160, 45);
            assert!(buffer.content.iter().all(|cell| cell.bg == Color::Reset), "a background is painted");
            let own = |color| !matches!(color, Color::Rgb(..) | Color::Indexed(_));
            assert!(buffer.content.iter().all(|cell| own(cell.fg)));
        }
    }
    insta::assert_snapshot!("styles-colour-80x24", styles(&screen(&Incident::broken().state, &modern(), 80, 24)));
}

#[test]
fn without_colours_the_same_is_told_by_signs_words_and_modifiers() {
    let mono = Ui::choose(Some("xterm"), true, true, false);
    for incident in [Incident::broken(), Incident::healthy(), Incident::blind()] {
        let (plain, coloured) = (screen(&incident.state, &mono, 120, 36), screen(&incident.state, &modern(), 120, 36));
        assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset));
        assert_eq!(text(&plain), text(&coloured));
    }
    insta::assert_snapshot!("styles-mono-80x24", styles(&screen(&Incident::broken().state, &mono, 80, 24)));
}

#[test]
fn no_size_breaks_any_pane() {
    // Hundreds of groups take their time to sort in a debug build: every seventh width will do for them.
    let incidents = [(Incident::first_frame(), 1), (Incident::broken(), 1), (Incident::blind(), 1), (Incident::flooded(), 7)];
    for (incident, step) in &incidents {
        for pane in pane::ALL {
            for (width, height) in (1..=60).step_by(*step).flat_map(|width| (1..=20).map(move |height| (width, height))) {
                let area = Rect::new(0, 0, width, height);
                pane.draw(&incident.state, &modern(), true, area, &mut Buffer::empty(area));
            }
        }
    }
}

#[test]
fn no_size_breaks_the_screen() {
    let odd = [(1, 200), (300, 1), (200, 3), (79, 24), (80, 19), (109, 30), (149, 40), (300, 100)];
    let sizes = (1..=60).flat_map(|width| (1..=20).map(move |height| (width, height))).chain(odd);
    let plain = Incident::broken().state;
    let zoomed = looking_at(Incident::broken(), "causes", None, true).state;
    let help = looking_at(Incident::broken(), "causes", Some(Overlay::Help), false).state;
    let key = rows(&plain, "causes")[0].clone();
    let why = looking_at(Incident::broken(), "causes", Some(Overlay::Explain { pane: "causes", key }), false).state;
    for (width, height) in sizes {
        for state in [&plain, &zoomed, &help, &why] {
            screen(state, &modern(), width, height);
        }
    }
}

#[test]
fn a_tiny_screen_still_tells_the_verdict() {
    let state = Incident::broken().state;
    assert!(text(&screen(&state, &modern(), 40, 1)).starts_with("CRITICAL  confirmed upstream-down"));
    insta::assert_snapshot!("tiny-40x10", text(&screen(&state, &modern(), 40, 10)));
    insta::assert_snapshot!("small-60x18", text(&screen(&state, &modern(), 60, 18)));
}

#[test]
fn the_broken_hop_is_marked_at_every_width() {
    let state = Incident::broken().state;
    for width in 20..200 {
        let shown = text(&screen(&state, &modern(), width, 10));
        let path = shown.lines().nth(2).expect("the third line");
        assert!(path.contains("tcp REFUSED!"), "{width}: {path}");
    }
}

#[test]
fn a_frozen_view_stands_still_and_says_so() {
    let mut incident = Incident::broken();
    incident.feed(Msg::Act(Action::Freeze));
    let before = text(&screen(&incident.state, &modern(), 80, 24));
    incident.rounds(4, |_| Outcome::Status(200));
    let after = text(&screen(&incident.state, &modern(), 80, 24));
    let (_, body_before) = before.split_once('\n').expect("rows");
    let (_, body_after) = after.split_once('\n').expect("rows");
    assert!(after.lines().next().expect("the first line").contains("FROZEN"), "{after}");
    assert_eq!(body_before, body_after);
    incident.feed(Msg::Act(Action::Freeze));
    assert!(!text(&screen(&incident.state, &modern(), 80, 24)).contains("FROZEN"));
}

#[test]
fn before_the_first_message_there_is_no_time() {
    let shown = text(&screen(&State::new(Options::default(), "checklist"), &modern(), 80, 24));
    assert!(shown.contains("--:--:--Z") && !shown.contains("00:00:00"), "{shown}");
}

#[test]
fn what_the_kernel_tells_at_boot_stands_below_errors() {
    let mut incident = Incident::broken();
    for (key, first) in
        [("EXT#-fs (vda): mounted", "EXT4-fs (vda1): mounted filesystem"), ("oom", "Out of memory: Killed process 3121 (node)")]
    {
        let count = LogCount { later: Vec::new(), second: None, key: key.into(), count: 900_000, first: first.into(), last: None };
        let batch = LogBatch {
            source: "kernel".into(),
            kind: SourceKind::Kernel,
            format: LogFormat::Kernel,
            counts: vec![count],
            lookback: true,
            dropped: 0,
        };
        incident.observe(Observation::Log(batch));
    }
    // A group's meaning is found when conclusions are drawn.
    incident.feed(Msg::Tick);
    let keys = rows(&incident.state, "logs");
    let at = |word: &str| keys.iter().position(|key| key.contains(word)).expect(word);
    assert!(at("oom") < at("502 GET") && at("connect() failed") < at("EXT#-fs"), "{keys:?}");
}

#[test]
fn what_ended_long_ago_stands_below_what_goes_on() {
    let mut incident = Incident::healthy();
    let keys = rows(&incident.state, "logs");
    // An error of yesterday weighs less than the requests of now, and one of now more.
    assert!(keys[0].contains("200 GET") && keys.iter().skip(1).all(|key| key.contains("[error]")), "{keys:?}");
    incident.observe(Observation::Log(error_log(3, true)));
    let keys = rows(&incident.state, "logs");
    assert!(keys[0].contains("[error]") && keys.last().is_some_and(|key| key.contains("200 GET")), "{keys:?}");
}

#[test]
fn what_was_dropped_is_counted_on_the_screen() {
    assert!(text(&screen(&Incident::flooded().state, &modern(), 80, 24)).contains("1,234,609 dropped"));
}

#[test]
fn the_selection_follows_its_row_when_others_come() {
    let mut incident = looking_at(Incident::broken(), "logs", None, true);
    let key = rows(&incident.state, "logs").into_iter().next_back().expect("a group");
    incident.feed(Msg::Act(Action::Select { pane: "logs", key }));
    let flooded = Incident::flooded().state.scene;
    incident.state.scene = flooded;
    let shown = text(&screen(&incident.state, &modern(), 80, 24));
    assert!(shown.lines().any(|line| line.starts_with('>') && line.contains("502 GET")), "{shown}");
}

/// Nothing of it may reach a terminal: clipboard, colours, reversal, zero width, tags, C1, and marks that pile up.
const HOSTILE: &str = "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\u{feff}\u{e0041}\u{ad}\r\n\t\u{0}日\u{301}\u{301}\u{301}\u{301}\u{301}é'`|*";

#[test]
fn no_foreign_byte_reaches_the_terminal() {
    let state = hostile(HOSTILE);
    let bad = |cell: &Cell| cell.symbol().chars().any(|c| c.is_control() || why502::model::text::is_invisible(c));
    for ui in [modern(), Ui::choose(Some("xterm"), false, false, false)] {
        for (width, height) in [(40, 10), (80, 24), (160, 45), (300, 80)] {
            let area = Rect::new(0, 0, width, height);
            for pane in pane::ALL {
                let mut buffer = Buffer::empty(area);
                // The pane by itself: the screen's last door is not what saves it.
                pane.draw(&state, &ui, true, area, &mut buffer);
                assert!(!buffer.content.iter().any(bad), "{}", pane.id());
                assert!(text(&buffer).contains("\\x1b"), "{} does not show its foreign text at {width}x{height}", pane.id());
                for key in pane.rows(&state) {
                    let lines = pane.explain(&state, &ui, &key).expect("each row is explained");
                    let said: String = lines.iter().map(ToString::to_string).collect();
                    assert!(!said.chars().any(|c| c.is_control() || why502::model::text::is_invisible(c)), "{}", pane.id());
                    let copied = pane.copy(&state, &key).map_or_else(String::new, |(text, _)| text);
                    assert!(!copied.chars().any(|c| c.is_control() || why502::model::text::is_invisible(c)), "{}", pane.id());
                }
            }
            let whole = screen(&state, &ui, width, height);
            assert!(!whole.content.iter().any(bad));
        }
    }
    let papers = [report::markdown(&state, 5), report::html(&state, 5), report::ticket(&state)];
    for report in papers.into_iter().chain([report::text(&state, 5), report::json(&state, 5)]) {
        assert!(!report.chars().any(|c| c != '\n' && (c.is_control() || why502::model::text::is_invisible(c))), "{report}");
        assert!(report.contains("\\x1b") || report.contains("\\\\x1b"));
    }
}
