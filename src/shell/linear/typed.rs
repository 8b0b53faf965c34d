//! What is typed: panes by their names, rows by their numbers, and everything else by the table of commands.

use std::borrow::Cow;

use ratatui::layout::Size;

use super::Page;
use crate::{
    app::{self, Action, Ask, Effect, Event, Msg, Prompt, State},
    shell::Ports,
    ui::{Ui, keymap, linear, pane},
};

/// Lines of a terminal that does not tell its own.
const HEIGHT: u16 = 24;

/// What a typed line asks for.
enum Wish {
    /// To hear again where it stands.
    Status,
    /// To hear what was left out.
    More,
    /// To hear the rows of the pane.
    Rows,
    /// To hear what can be typed.
    Help,
    /// These, one after the other.
    Do(Vec<Action>),
    /// Nothing that can be done: why.
    No(String),
}

/// Takes a line that was typed.
pub fn typed<P: Ports>(page: &mut Page<'_>, state: &mut State, ports: &P, text: &str) -> Vec<Effect> {
    let screen = Size::new(page.columns, HEIGHT);
    let mut effects = Vec::new();
    let (focus, overlay) = (state.view.focus, state.view.overlay.clone());
    let chosen = state.view.selected.get(focus).cloned();
    let found = state.view.prompt.as_ref().is_some_and(|prompt| prompt.ask == Ask::Find);
    match wish(state, page.ui, screen, text) {
        Wish::Status => page.status(state),
        Wish::More => {
            let rest = std::mem::take(&mut page.rest);
            if rest.is_empty() {
                page.line("there is no more");
            } else {
                page.lines(rest);
            }
            return effects;
        }
        Wish::Rows => page.pane(state),
        Wish::Help => help(page, state, screen),
        Wish::No(why) => page.line(&why),
        Wish::Do(actions) => {
            let before = page.out.len();
            for action in actions {
                effects.extend(app::update(state, Event { at: ports.now(), msg: Msg::Act(action) }));
            }
            let view = &state.view;
            if view.overlay.is_some() && (view.overlay != overlay || view.selected.get(view.focus) != chosen.as_ref()) {
                if let Some((title, lines)) = linear::overlay(state, page.ui, page.columns, screen) {
                    page.line(&title);
                    page.lines(lines);
                }
            } else if view.focus != focus || narrowed(text) {
                page.pane(state);
            } else if view.overlay.is_none() && (found || view.selected.get(focus) != chosen.as_ref()) {
                page.row(state);
            } else if effects.is_empty() && page.out.len() == before && view.prompt.is_none() && view.message == page.said {
                page.line("done");
            }
        }
    }
    effects
}

/// Whether a command has changed which rows there are.
fn narrowed(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    ["show-only", "hide-all", "only-group", "hide-group", "no-filter", "lines", "level", "window", "one-log"].contains(&word)
}

fn wish(state: &State, ui: &Ui, screen: Size, text: &str) -> Wish {
    let text = text.trim();
    if let Some(prompt) = &state.view.prompt {
        return answer(state, ui, screen, prompt, text);
    }
    // On the screen what lies over the panes has to be left first; here it is lines that were read.
    let back = state.view.overlay.as_ref().map(|_| Action::Back);
    let then = |action: Action| Wish::Do(back.clone().into_iter().chain([action]).collect());
    match text {
        "" => return Wish::Status,
        "more" => return Wish::More,
        "rows" | "list" => return back.map_or(Wish::Rows, |back| Wish::Do(vec![back])),
        "help" | "?" => return Wish::Help,
        _ => {}
    }
    if let Some(pane) = pane::by_id(text) {
        return if state.view.focus == pane.id() { Wish::Rows } else { then(Action::Focus(pane.id())) };
    }
    let number = text.strip_prefix("why ").unwrap_or(text).trim();
    if let (Ok(row), Some(pane)) = (number.parse::<usize>(), pane::by_id(state.view.focus)) {
        let key = row.checked_sub(1).and_then(|at| pane.rows(state).into_iter().nth(at).map(Cow::into_owned));
        let Some(key) = key else { return Wish::No(format!("there is no row {row}: type rows")) };
        let pane = pane.id();
        let open = Action::Open(app::Overlay::Explain { pane, key: key.clone() });
        return Wish::Do(back.into_iter().chain([Action::Select { pane, key }, open]).collect());
    }
    // The same keys as on the screen, by their letter.
    let typed = ui.keys.name_of(text).unwrap_or(text);
    if !keymap::knows(typed) {
        return Wish::No(format!("there is no command {text}: type help"));
    }
    match keymap::command(state, ui, screen, typed) {
        Ok(action) => Wish::Do(vec![action]),
        Err(why) if back.is_none() => Wish::No(why),
        Err(_) => {
            let mut left = state.view.clone();
            left.overlay = None;
            let before = State { view: left, ..state.clone() };
            match keymap::command(&before, ui, screen, typed) {
                Ok(action) => then(action),
                Err(why) => Wish::No(why),
            }
        }
    }
}

/// What was asked for is typed: Enter takes it, as on the screen; a single point takes it back, as in ed(1).
fn answer(state: &State, ui: &Ui, screen: Size, prompt: &Prompt, text: &str) -> Wish {
    if text == "." {
        return Wish::Do(vec![Action::Back]);
    }
    let full = Prompt { about: prompt.about.clone(), ..Prompt::new(prompt.ask, text.to_owned()) };
    let mut with = state.clone();
    with.view.prompt = Some(full.clone());
    let enter = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Enter);
    let enter = keymap::action(&with, ui, screen, enter);
    let rows = matches!(prompt.ask, Ask::Only | Ask::Hide).then_some(Action::Focus(state.view.focus));
    Wish::Do(std::iter::once(Action::Type(full)).chain(enter).chain(rows).collect())
}

fn help(page: &mut Page<'_>, state: &State, screen: Size) {
    let mut lines = vec![
        "Enter alone: where it stands. A pane by its name: its rows. A number: all about that row. more: what did not fit. rows: again.".to_owned(),
        format!("panes: {}", pane::ALL.iter().map(|pane| pane.id()).collect::<Vec<_>>().join(", ")),
        "What is asked for is typed behind the question; a single point takes it back. These can be typed now:".to_owned(),
    ];
    lines.extend(keymap::all_offers(state, page.ui, screen).into_iter().map(|offer| {
        let beside = if offer.beside.is_empty() { String::new() } else { format!(" ({})", offer.beside) };
        format!("{}{beside}: {}", offer.text, offer.what)
    }));
    page.lines(lines);
}
