//! The log pane as a person works with it: keys in, screens out.

mod told;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Size, style::Modifier};
use why502::{
    app::{Action, Msg},
    model::{LogBatch, LogCount, LogFormat, Observation, SourceKind},
    ui::{Ui, draw, keymap},
};

use self::told::{lines, told};
use crate::common::incident::{Incident, ONSET_S};

/// A person before a terminal.
struct Person {
    incident: Incident,
    ui: Ui,
    size: Size,
}

impl Person {
    /// At the log pane of an incident, which has the screen to itself.
    fn at(incident: Incident) -> Self {
        let ui = Ui::choose(Some("xterm-256color"), false, true, false);
        let mut person = Self { incident, ui, size: Size::new(80, 24) };
        person.keys("5z");
        person
    }

    fn code(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        let state = &self.incident.state;
        if let Some(action) = keymap::action(state, &self.ui, self.size, KeyEvent::new(code, modifiers)) {
            self.incident.feed(Msg::Act(action));
        }
    }

    /// Presses these keys; a line end is Enter, `\u{1b}` Escape.
    fn keys(&mut self, keys: &str) -> String {
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                c => KeyCode::Char(c),
            };
            self.code(code, KeyModifiers::NONE);
        }
        self.screen()
    }

    fn buffer(&self) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(self.size.width, self.size.height)).expect("a test backend");
        terminal.draw(|frame| draw(&self.incident.state, &self.ui, frame)).expect("drawing to memory");
        terminal.backend().buffer().clone()
    }

    fn screen(&self) -> String {
        let buffer = self.buffer();
        let rows = buffer.content.chunks(usize::from(buffer.area.width));
        let rows = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
        rows.collect::<Vec<_>>().join("\n")
    }

    fn rows(&self) -> Vec<String> {
        crate::rows(&self.incident.state, "logs")
    }

    /// What the selected row reads.
    fn selected(&self) -> String {
        self.screen().lines().find(|line| line.starts_with('>')).unwrap_or_default().to_owned()
    }

    /// One line of the application, now.
    fn writes(&mut self, text: &str) {
        let count = LogCount { second: None, key: format!("[info] {text}"), count: 1, first: text.into(), ..LogCount::default() };
        let batch = LogBatch {
            source: "/srv/shop/app.log".into(),
            kind: SourceKind::App,
            format: LogFormat::Plain,
            counts: vec![count],
            lookback: false,
            dropped: 0,
        };
        self.incident.observe(Observation::Log(batch));
    }
}

#[test]
fn groups_and_lines_at_every_size_with_and_without_colours() {
    for (name, keys) in [("groups", ""), ("lines", "l"), ("found", "l/upstream prem\n"), ("typing", "l&oom")] {
        for (width, height) in [(80, 24), (160, 45)] {
            let mut person = Person::at(told());
            person.size = Size::new(width, height);
            insta::assert_snapshot!(format!("logs-{name}-{width}x{height}"), person.keys(keys));
            let coloured = person.screen();
            person.ui = Ui::choose(Some("xterm"), true, true, false);
            assert_eq!(person.screen(), coloured, "nothing is told by colour alone");
            person.ui = Ui::choose(Some("xterm"), false, false, false);
            assert!(person.screen().is_ascii(), "{}", person.screen());
        }
    }
}

#[test]
fn lines_of_all_logs_stand_in_the_order_of_time() {
    let mut person = Person::at(told());
    let shown = person.keys("l/killed process\n");
    let at = |word: &str| shown.lines().position(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}:\n{shown}"));
    assert!(at("cart loaded") < at("pool exhausted") && at("pool exhausted") < at("Killed process"), "{shown}");
    assert!(at("Killed process") < at("connect() failed"), "{shown}");
    assert!(shown.contains("more like this"), "what was merged is told: {shown}");
}

#[test]
fn unknown_lines_are_groups_like_any_other() {
    let mut person = Person::at(told());
    assert!(person.rows().iter().any(|key| key.contains("something nobody knows")));
    // At any level: they may be the one that matters.
    let shown = person.keys("LLLL");
    assert!(shown.contains("crit+"), "{shown}");
    let rows = person.rows();
    assert!(rows.iter().any(|key| key.contains("something nobody knows")), "{rows:?}");
    assert!(!rows.iter().any(|key| key.contains("connect() failed") || key.contains("200 GET")), "{rows:?}");
    person.keys("L");
    assert!(person.rows().iter().any(|key| key.contains("200 GET")), "after the last level come all");
}

#[test]
fn a_search_marks_and_goes_around() {
    let mut person = Person::at(told());
    person.keys("l/");
    assert!(person.keys("killed").contains("find: killed   1 found"), "{}", person.screen());
    person.keys("\n");
    assert!(person.selected().contains("Killed process"), "{}", person.screen());
    let underlined = |buffer: &Buffer| -> String {
        let marked = buffer.content.iter().filter(|cell| cell.modifier.contains(Modifier::UNDERLINED));
        marked.map(ratatui::buffer::Cell::symbol).collect()
    };
    assert_eq!(underlined(&person.buffer()), "Killed");
    // The next of one is itself; of several each comes by turns, and back.
    person.keys("/prematurely\n");
    let first = person.selected();
    assert!(first.contains("prematurely"), "{}", person.screen());
    person.keys("n");
    let second = person.selected();
    assert_ne!(first, second);
    person.keys("N");
    assert_eq!(person.selected(), first);
    // What stands too far right to be seen is brought into view.
    person.keys("/host: \"shop\n");
    assert!(person.selected().contains("host: \"shop"), "{}", person.screen());
    // Capitals count when there are any; a regular expression is one behind ~.
    assert!(person.keys("/KILLED").contains(" 0 found"));
    assert!(person.keys("\u{1b}/~Kil+ed|premature").contains(" 3 found"), "{}", person.screen());
    assert!(person.keys("(").contains("no regular expression"));
    let shown = person.keys("\n");
    assert!(shown.contains("no regular expression"), "and nothing else happens: {shown}");
}

#[test]
fn what_is_typed_is_text_and_nothing_else() {
    let mut person = Person::at(told());
    // Letters that are keys elsewhere, quitting among them.
    let shown = person.keys("/qQzZ?5\t$(reboot)日本\u{301}é");
    assert!(shown.contains("find: qQzZ?5$(reboot)日"), "{shown}");
    assert!(person.incident.state.view.zoom && person.incident.state.view.prompt.is_some());
    // A control character cannot be typed; nothing grows without end.
    person.keys(&format!("\u{7}\u{9b}{}", "x".repeat(1000)));
    let text = &person.incident.state.view.prompt.as_ref().expect("still typing").text;
    assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control), "{text}");
    person.code(KeyCode::Char('w'), KeyModifiers::CONTROL);
    person.code(KeyCode::Char('u'), KeyModifiers::CONTROL);
    assert_eq!(person.incident.state.view.prompt.as_ref().map(|prompt| prompt.text.as_str()), Some(""));
    // Esc leaves, as does deleting what is not there; nothing was searched.
    person.keys("\u{8}");
    assert!(person.incident.state.view.prompt.is_none() && person.incident.state.view.logs.search.is_none());
    person.keys("/abc\u{1b}");
    assert!(person.incident.state.view.prompt.is_none() && person.incident.state.view.logs.search.is_none());
    assert!(person.incident.state.view.zoom, "Esc went back one level only");
    let quit =
        keymap::action(&person.incident.state, &person.ui, person.size, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(quit, Some(Action::Quit { keep: false }));
}

#[test]
fn filters_in_and_out_add_up_and_go_away() {
    let mut person = Person::at(told());
    let all = person.rows().len();
    // While it is typed one sees what it would leave.
    assert!(person.keys("&Access.log").contains("0 of 8 groups"), "{}", person.screen());
    assert!(person.keys("\u{1b}&access.log").contains("2 of 8 groups"), "{}", person.screen());
    person.keys("\n!502\n");
    assert_eq!(person.rows().len(), 1);
    let shown = person.screen();
    assert!(shown.contains("1 of 8 groups") && shown.contains("+\"access.log\"") && shown.contains("-\"502\""), "{shown}");
    person.keys("X");
    assert_eq!(person.rows().len(), all);
    // The same holds of lines.
    let lines = {
        person.keys("l");
        person.rows().len()
    };
    assert!(person.keys("&request_id\n").contains("cart loaded"));
    assert_eq!(person.rows().len(), 2);
    person.keys("Xl");
    // Nothing left is not an empty log.
    assert!(person.keys("&no such thing\n").contains("X takes them off"), "{}", person.screen());
    person.keys("X");
    // By the group of the selected row, in both views.
    let first = person.rows()[0].clone();
    person.keys("x");
    assert!(!person.rows().contains(&first) && person.rows().len() == all - 1);
    person.keys("X");
    person.keys("go");
    assert_eq!(person.rows(), [first]);
    person.keys("l");
    assert!((1..lines).contains(&person.rows().len()), "the lines of one group");
}

#[test]
fn one_log_or_one_time_alone() {
    let mut person = Person::at(told());
    person.keys("/cart loaded\n");
    assert!(person.keys("S").contains("  app.log"), "{}", person.screen());
    assert!(person.rows().iter().all(|key| key.starts_with("/srv/shop/app.log")), "{:?}", person.rows());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        person.keys("S");
        seen.insert(person.rows()[0].split('\u{1f}').next().expect("a source").to_owned());
    }
    assert_eq!(seen.len(), 3, "the other logs by turns: {seen:?}");
    person.keys("S");
    assert_eq!(person.rows().len(), 8, "then all");
    person.keys("XWWW");
    assert!(person.screen().contains("last 1m"), "{}", person.screen());
    let rows = person.rows();
    assert!(rows.iter().any(|key| key.contains("502 GET")) && !rows.iter().any(|key| key.contains("200 GET")), "{rows:?}");
    // Counts are those of that time: 20 a second until 17 s ago.
    assert!(person.screen().lines().any(|line| line.contains("502 GET") && line.contains('8')), "{}", person.screen());
    person.keys("W");
    assert_eq!(person.rows().len(), 8);
}

#[test]
fn the_newest_line_stays_in_view_until_one_wants_to_read() {
    let mut person = Person::at(told());
    person.keys("l");
    person.writes("line one");
    assert!(person.selected().contains("line one") && person.screen().contains("follow"), "{}", person.screen());
    person.writes("line two");
    assert!(person.selected().contains("line two"), "{}", person.screen());
    // Going up holds the lines still, and says so.
    person.keys("kk");
    let body = |screen: String| screen.lines().skip(5).take(17).map(str::to_owned).collect::<Vec<_>>();
    let before = body(person.screen());
    for n in 0..30 {
        person.writes(&format!("later {n}"));
    }
    assert!(person.screen().contains("PAUSED, 30 newer"), "{}", person.screen());
    assert_eq!(body(person.screen()), before);
    // Down to the end of what is held is not yet following; G is, and F is both.
    person.keys("G");
    assert!(person.selected().contains("later 29") && person.screen().contains("follow"), "{}", person.screen());
    assert!(person.keys("F").contains("PAUSED"));
    person.writes("unseen");
    assert!(!person.screen().contains("unseen"));
    assert!(person.keys("F").contains("unseen"));
    // Held lines are kept, whatever comes.
    person.keys("k");
    let key = person.selected();
    for n in 0..5_000 {
        person.writes(&format!("flood {n}"));
    }
    assert_eq!(person.selected(), key);
}

#[test]
fn each_view_keeps_its_selection() {
    let mut person = Person::at(told());
    person.keys("jj");
    let group = person.selected();
    person.keys("lkkk");
    person.keys("l");
    assert_eq!(person.selected(), group);
    assert!(person.keys("l").contains("follow"), "the lines begin with the newest again");
}

#[test]
fn a_group_is_explained_with_what_stood_next_to_it() {
    let mut person = Person::at(told());
    person.size = Size::new(120, 60);
    let shown = person.keys("/connect()\n\n");
    for said in [
        "speaks for   upstream-down",
        "upstream     127.0.0.1:8000",
        "GET /",
        "Within 2 s of its first line, in other logs",
        "kernel: Out of memory: Killed process 3121 (gunicorn)",
        "app.log: ERROR pool exhausted",
    ] {
        assert!(shown.contains(said), "{said}:\n{shown}");
    }
}

#[test]
fn a_line_is_explained_with_its_request_and_its_neighbours() {
    let mut person = Person::at(told());
    person.size = Size::new(120, 60);
    let shown = person.keys("l/pool exhausted\n\n");
    for said in ["No signature knows this line", "The same request, by its id", "cart loaded", "Killed process 3121"] {
        assert!(shown.contains(said), "{said}:\n{shown}");
    }
    let shown = person.keys("\u{1b}/killed process\n\n");
    assert!(shown.contains("upstream-oom-killed"), "{shown}");
    // Copied is the line as it stands in the log.
    let copy = keymap::action(&person.incident.state, &person.ui, person.size, KeyEvent::from(KeyCode::Char('y')));
    assert!(matches!(copy, Some(Action::Copy { text, .. }) if text.starts_with("Out of memory: Killed process 3121")));
}

#[test]
fn requests_now_are_compared_with_those_before() {
    let person = Person::at(told());
    let shown = person.screen();
    assert!(shown.contains("5xx 100% ") && shown.contains("0% 0/s") && shown.contains("were 20.0/s"), "{shown}");
}

#[test]
fn no_size_and_no_foreign_text_breaks_lines_prompt_and_search() {
    const HOSTILE: &str = "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\u{202e}\u{200b}日\u{301}\u{301}\u{301}\u{301}é";
    let bad = |cell: &ratatui::buffer::Cell| cell.symbol().chars().any(|c| c.is_control() || why502::model::text::is_invisible(c));
    let mut incident = told();
    for count in 0..20 {
        incident.observe(lines(
            "/srv/\u{1b}[2J.log",
            SourceKind::App,
            LogFormat::Plain,
            vec![(ONSET_S + count, HOSTILE.to_owned(), HOSTILE.repeat(20))],
        ));
    }
    let mut person = Person::at(incident);
    let sizes = (1..=40).flat_map(|width| [1, 2, 5, 8, 12].map(|height| (width, height))).chain([(80, 24), (160, 45)]);
    for keys in ["", "l", &format!("/{HOSTILE}"), "\n", "k", "\u{1b}&~(?i)ZXZ.*B", "\n"] {
        person.size = Size::new(80, 24);
        person.keys(keys);
        for (width, height) in sizes.clone() {
            person.size = Size::new(width, height);
            assert!(!person.buffer().content.iter().any(bad), "after {keys:?} at {width}x{height}");
        }
    }
    person.size = Size::new(80, 24);
    assert!(person.rows().len() >= 20, "what it looks for is found: {}", person.screen());
}
