use std::collections::BTreeSet;

use crossterm::event::{
    KeyCode::{BackTab, Down, Enter, Esc, PageDown, Tab},
    KeyEventKind, KeyEventState, KeyModifiers,
};

use super::*;
use crate::{
    app::{Ask, Options, Overlay, Paper, Prompt},
    diagnose::Assessment,
    model::{CheckState, Deed, Observation, ProbePlan, StepState},
    ui::{overlay, pane},
};

const SCREEN: Size = Size::new(80, 24);

fn ui() -> Ui {
    Ui::choose(Some("xterm"), false, true, false)
}

/// A checklist of `steps` steps, and nothing else.
fn state(steps: usize) -> State {
    let step =
        |n: usize| StepState { id: format!("step-{n}"), state: CheckState::Unknown, text: String::new(), at: None, command: None };
    let assessment = Assessment { steps: (0..steps).map(step).collect(), ..Assessment::default() };
    State { assessment, ..State::new(Options::default(), "checklist") }
}

fn press(state: &State, code: KeyCode) -> Option<Action> {
    action(state, &ui(), SCREEN, KeyEvent::from(code))
}

fn select(step: usize) -> Action {
    Action::Select { pane: "checklist", key: format!("step-{step}") }
}

#[test]
fn no_key_has_two_meanings_at_once() {
    assert!(keys().all(|binding| !binding.keys.is_empty() && !binding.what.is_empty()));
    let mut state = state(3);
    let key = "step-0".to_owned();
    let overlays =
        [None, Some(Overlay::Help), Some(Overlay::Explain { pane: "checklist", key }), Some(Overlay::Paper(Paper::Report))];
    for overlay in overlays {
        state.view.overlay = overlay;
        let ui = ui();
        let at = Context::new(&state, &ui, SCREEN);
        let mut seen = BTreeSet::new();
        for binding in keys().filter(|binding| (binding.possible)(&at)) {
            for key in binding.keys {
                assert!(seen.insert(format!("{key:?}")), "{key:?} is bound twice in {:?}", state.view.overlay);
            }
        }
    }
}

#[test]
fn quitting_works_always_and_unknown_keys_do_nothing() {
    let mut state = state(0);
    for overlay in [None, Some(Overlay::Help), Some(Overlay::Explain { pane: "causes", key: "gone".into() })] {
        state.view.overlay = overlay;
        assert_eq!(press(&state, Char('q')), Some(Action::Quit { keep: false }));
        assert_eq!(press(&state, Char('Q')), Some(Action::Quit { keep: true }));
        let ctrl_c = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
        assert_eq!(action(&state, &ui(), SCREEN, ctrl_c), Some(Action::Quit { keep: false }));
        for code in [Char('x'), Char('\u{1b}'), KeyCode::F(10), KeyCode::Insert, KeyCode::Null] {
            assert_eq!(press(&state, code), None, "{code:?}");
        }
        let alt = KeyEvent::new(Char('q'), KeyModifiers::ALT);
        assert_eq!(action(&state, &ui(), SCREEN, alt), None);
    }
    let release = KeyEvent { kind: KeyEventKind::Release, state: KeyEventState::NONE, ..KeyEvent::from(Char('q')) };
    assert_eq!(action(&state, &ui(), SCREEN, release), None, "a key that is let go");
}

#[test]
fn moving_stops_at_both_ends() {
    let mut state = state(30);
    assert_eq!(press(&state, Char('k')), None);
    assert_eq!(press(&state, Down), Some(select(1)));
    assert_eq!(press(&state, Char('G')), Some(select(29)));
    assert_eq!(press(&state, PageDown), Some(select(7)), "seven rows are seen at 80x24");
    state.view.selected.insert("checklist", "step-29".into());
    assert_eq!(press(&state, Char('j')), None);
    assert_eq!(press(&state, Char('g')), Some(select(0)));
    state.view.selected.insert("checklist", "a step that is gone".into());
    assert_eq!(press(&state, Char('j')), Some(select(1)), "back to the first");
}

#[test]
fn the_focus_goes_round_and_by_number() {
    let mut state = state(0);
    let ids: Vec<&str> = pane::ALL.iter().map(|pane| pane.id()).collect();
    assert_eq!(press(&state, BackTab), Some(Action::Focus(ids[ids.len() - 1])));
    for (index, id) in ids.iter().enumerate() {
        let digit = char::from_digit(u32::try_from(index + 1).expect("few panes"), 10).expect("a digit");
        assert_eq!(press(&state, Char(digit)), Some(Action::Focus(id)));
        state.view.focus = id;
        assert_eq!(press(&state, Tab), Some(Action::Focus(ids[(index + 1) % ids.len()])));
    }
    assert_eq!(press(&state, Char('9')), None, "there is no ninth pane");
}

#[test]
fn an_explanation_scrolls_within_its_text_and_goes_away() {
    let mut state = state(1);
    assert_eq!(press(&state, Enter), Some(Action::Open(Overlay::Explain { pane: "checklist", key: "step-0".into() })));
    assert_eq!(press(&state, Esc), None, "nothing to go back from");
    state.view.overlay = Some(Overlay::Help);
    let (lines, seen) = overlay::extent(&state, &ui(), SCREEN);
    assert!(lines > seen, "the help is longer than a small screen");
    assert_eq!(press(&state, Char('G')), Some(Action::Scroll(lines - seen)));
    state.view.scroll = u16::MAX;
    assert_eq!(press(&state, Char('j')), None);
    assert_eq!(press(&state, Char('k')), Some(Action::Scroll(lines - seen - 1)), "from what is shown, not from what was asked");
    assert_eq!(press(&state, Esc), Some(Action::Back));
    assert_eq!(press(&state, Char('?')), Some(Action::Back));
    assert_eq!(press(&state, Char('j')), None);
    let tall = Size::new(80, 100);
    assert_eq!(action(&state, &ui(), tall, KeyEvent::from(Char('j'))), None, "all of it is seen");
}

#[test]
fn a_step_is_ticked_and_unticked() {
    let mut state = state(2);
    let tick = |to| Some(Action::Tick { step: "step-0".into(), state: to, reason: None });
    assert_eq!(press(&state, Char(' ')), tick(Some(CheckState::Done)));
    let asked = Some(Action::Type(Prompt::about(Ask::Skip, "step-0".into())));
    assert_eq!(press(&state, Char('s')), asked, "with a reason");
    let done = Deed::Step { step: "step-0".into(), state: Some(CheckState::Done), reason: None };
    state.scene.observe(crate::model::Stamp::default(), Observation::Operator(done));
    assert_eq!(press(&state, Char(' ')), tick(None));
    assert_eq!(press(&state, Char('s')), asked);
    state.view.overlay = Some(Overlay::Explain { pane: "checklist", key: "step-1".into() });
    assert_eq!(
        press(&state, Char(' ')),
        Some(Action::Tick { step: "step-1".into(), state: Some(CheckState::Done), reason: None }),
        "the one that is read"
    );
    state.view.overlay = None;
    state.view.focus = "logs";
    assert_eq!(press(&state, Char(' ')), None);
}

#[test]
fn what_the_footer_offers_does_something() {
    let mut states = vec![state(0), state(5)];
    states[1].plan = ProbePlan { number: 1, ..ProbePlan::default() };
    let mut help = state(5);
    help.view.overlay = Some(Overlay::Help);
    states.push(help);
    let ui = ui();
    for state in &states {
        for Hint { label, binding, .. } in hints(state, &ui, SCREEN, None) {
            let at = Context::new(state, &ui, SCREEN);
            assert!(binding.keys.iter().any(|key| (binding.run)(&at, *key).is_some()) || label == "j", "{label}");
        }
    }
    let offered = |state: &State, wanted: &str| hints(state, &ui, SCREEN, None).iter().any(|hint| hint.hint == wanted);
    assert!(
        !offered(&states[0], "why") && !offered(&states[0], "probe") && offered(&states[1], "why") && !offered(&states[1], "back")
    );
    assert!(offered(&states[2], "back") && !offered(&states[2], "pane"));
}

#[test]
fn the_table_and_the_help_have_every_key() {
    let table = key_table();
    let help = help(&state(0), &ui(), SCREEN);
    for binding in keys() {
        assert!(table.contains(binding.what), "{}", binding.label);
        assert!(help.iter().any(|line| line.to_string().contains(binding.what)), "{}", binding.label);
    }
}

#[test]
fn sentences_name_the_keys_that_are_bound() {
    let wish = |(name, key): (&str, &str)| Wish { name: name.to_owned(), keys: vec![key.to_owned()] };
    let wishes = [("copy-paper", "F5"), ("export", "F6"), ("compare", "F7"), ("tick", "F8"), ("skip", "F9")].map(wish);
    let (bound, errors) = Keys::bound(&wishes);
    assert_eq!(errors, []);
    let ui = Ui { keys: bound, ..ui() };
    let state = state(3);
    let said = |lines: Vec<Line<'static>>| lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let paper = said(crate::ui::paper::lines(&state, &ui, Paper::Report));
    assert!(paper.contains("F5 copies it, F6 exports"), "{paper}");
    let compare = said(crate::ui::compare::lines(&state, &ui));
    assert!(compare.contains("Or press F7 and name a file"), "{compare}");
    let guide = said(pane::guide(&state, &ui).1);
    assert!(guide.contains("press F8, or F9 to leave it out"), "{guide}");
}
