//! The keys of the log pane. `/ n N` are those of less and vi, `&` that of less, `F` that of less.

use crossterm::event::KeyCode::F;

use super::{Binding, Context, Key, plain};
use crate::{
    app::{Action, Ask, FilterBy, LEVELS, LogAction, LogFilter, Prompt, SourcePick, WINDOWS_S, next_of},
    ui::pane::{group_of, log_sources},
};

#[expect(clippy::unnecessary_wraps, reason = "what a binding runs gives an action or none")]
fn ask(ask: Ask) -> Option<Action> {
    Some(Action::Type(Prompt::new(ask, String::new())))
}

fn in_logs(at: &Context<'_>) -> bool {
    at.in_logs()
}

fn filled(at: &Context<'_>) -> bool {
    at.in_logs() && !at.rows.is_empty()
}

/// The next or previous hit of the search.
fn again(at: &Context<'_>, back: bool) -> Option<Action> {
    let key = at.hit(at.state.view.logs.search.as_ref()?, back, false)?.to_owned();
    Some(Action::Select { pane: at.pane.id(), key })
}

/// A filter by the group of the selected row.
fn by_group(at: &Context<'_>, hide: bool) -> Option<Action> {
    let group = group_of(at.state, at.row()?)?;
    let about = FilterBy::Group(group.source.clone(), group.key.clone());
    Some(Action::Logs(LogAction::Filter(LogFilter { about, hide })))
}

/// The log of the selected row, and then one after the other.
fn source(at: &Context<'_>) -> Option<Action> {
    let sources = log_sources(at.state);
    let pick = match &at.state.view.logs.source {
        None => {
            let chosen = at.row().and_then(|row| group_of(at.state, row)).map_or(*sources.first()?, |group| group.source.as_str());
            Some(SourcePick { chosen: chosen.to_owned(), begun: chosen.to_owned() })
        }
        Some(pick) => {
            let place = sources.iter().position(|source| *source == pick.chosen).map_or(0, |place| place + 1);
            let chosen = sources.get(place).or(sources.first()).copied().unwrap_or_default();
            (chosen != pick.begun).then(|| SourcePick { chosen: chosen.to_owned(), begun: pick.begun.clone() })
        }
    };
    Some(Action::Logs(LogAction::Source(pick)))
}

/// The keys.
pub static KEYS: &[Binding] = &[
    Binding {
        keys: &[plain('l')],
        label: "l",
        what: "logs: single lines of all logs in the order of time, or groups again",
        hint: Some("lines"),
        possible: in_logs,
        run: |_, _| Some(Action::Logs(LogAction::Lines)),
    },
    Binding {
        keys: &[plain('/')],
        label: "/",
        what: "logs: find a text, or with ~ before it a regular expression; capitals count when there are any",
        hint: Some("find"),
        possible: in_logs,
        run: |_, _| ask(Ask::Find),
    },
    Binding {
        keys: &[plain('n')],
        label: "n",
        what: "logs: go to the next row in which it is found",
        hint: Some("next"),
        possible: |at| filled(at) && at.state.view.logs.search.is_some(),
        run: |at, _| again(at, false),
    },
    Binding {
        keys: &[plain('N')],
        label: "N",
        what: "logs: go to the previous row in which it is found",
        hint: None,
        possible: |at| filled(at) && at.state.view.logs.search.is_some(),
        run: |at, _| again(at, true),
    },
    Binding {
        keys: &[plain('&'), plain('\\'), Key::Plain(F(4))],
        label: "&, \\, F4",
        what: "logs: show only what has a text in it",
        hint: Some("only"),
        possible: in_logs,
        run: |_, _| ask(Ask::Only),
    },
    Binding {
        keys: &[plain('!')],
        label: "!",
        what: "logs: hide what has a text in it",
        hint: Some("hide"),
        possible: in_logs,
        run: |_, _| ask(Ask::Hide),
    },
    Binding {
        keys: &[plain('o')],
        label: "o",
        what: "logs: show only the group of the selected row",
        hint: None,
        possible: filled,
        run: |at, _| by_group(at, false),
    },
    Binding {
        keys: &[plain('x')],
        label: "x",
        what: "logs: hide the group of the selected row",
        hint: Some("hide row"),
        possible: filled,
        run: |at, _| by_group(at, true),
    },
    Binding {
        keys: &[plain('X')],
        label: "X",
        what: "logs: take the search and all filters off",
        hint: Some("all"),
        possible: |at| at.in_logs() && at.state.view.logs.narrowed(),
        run: |_, _| Some(Action::Logs(LogAction::Clear)),
    },
    Binding {
        keys: &[plain('L')],
        label: "L",
        what: "logs: from which level on: all, notice, warn, error, crit; what tells no level stays",
        hint: Some("level"),
        possible: in_logs,
        run: |at, _| Some(Action::Logs(LogAction::Level(next_of(&LEVELS, at.state.view.logs.level)))),
    },
    Binding {
        keys: &[plain('W')],
        label: "W",
        what: "logs: of which time: all, the last 15 minutes, 5, 1",
        hint: Some("time"),
        possible: in_logs,
        run: |at, _| Some(Action::Logs(LogAction::Window(next_of(&WINDOWS_S, at.state.view.logs.window_s)))),
    },
    Binding {
        keys: &[plain('S')],
        label: "S",
        what: "logs: of which log: that of the selected row, then the others one by one, then all",
        hint: Some("log"),
        possible: |at| filled(at) || at.in_logs() && at.state.view.logs.source.is_some(),
        run: |at, _| source(at),
    },
    Binding {
        keys: &[plain('F')],
        label: "F",
        what: "logs: keep the newest line in view, or hold the lines still; going up holds them too, G follows again",
        hint: Some("follow"),
        possible: |at| at.in_logs() && at.state.view.logs.lines,
        run: |at, _| Some(Action::Logs(LogAction::Follow(at.paused()))),
    },
];
