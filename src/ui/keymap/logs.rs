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

fn with_rows(at: &Context<'_>) -> bool {
    super::no_overlay(at) && !at.rows.is_empty()
}

fn filled(at: &Context<'_>) -> bool {
    at.in_logs() && !at.rows.is_empty()
}

/// The next or previous hit of the search.
fn again(at: &Context<'_>, back: bool) -> Option<Action> {
    let key = at.hit(at.state.view.logs.search.as_ref()?, back, false)?.to_owned();
    Some(Action::Select { pane: at.pane.id(), key })
}

/// A filter by the selected row; of the logs, by its group.
fn by_group(at: &Context<'_>, hide: bool) -> Option<Action> {
    let row = at.row()?;
    let about = if at.in_logs() {
        let group = group_of(at.state, row)?;
        FilterBy::Group(group.source.clone(), group.key.clone())
    } else {
        FilterBy::Row(row.to_owned())
    };
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
        name: "lines",
        label: "l",
        what: "logs: single lines of all logs in the order of time, or groups again",
        hint: Some("lines"),
        possible: in_logs,
        run: |_, _| Some(Action::Logs(LogAction::Lines)),
    },
    Binding {
        keys: &[plain('/')],
        name: "search",
        label: "/",
        what: "find a text in the focused pane, or with ~ before it a regular expression; capitals count when there are any",
        hint: Some("find"),
        possible: super::no_overlay,
        run: |_, _| ask(Ask::Find),
    },
    Binding {
        keys: &[plain('n')],
        name: "next-hit",
        label: "n",
        what: "go to the next row in which it is found",
        hint: Some("next"),
        possible: |at| super::no_overlay(at) && !at.rows.is_empty() && at.state.view.logs.search.is_some(),
        run: |at, _| again(at, false),
    },
    Binding {
        keys: &[plain('N')],
        name: "previous-hit",
        label: "N",
        what: "go to the previous row in which it is found",
        hint: None,
        possible: |at| super::no_overlay(at) && !at.rows.is_empty() && at.state.view.logs.search.is_some(),
        run: |at, _| again(at, true),
    },
    Binding {
        keys: &[plain('&'), plain('\\'), Key::Plain(F(4))],
        name: "only",
        label: "&, \\, F4",
        what: "show only what has a text in it, in the focused pane",
        hint: Some("only"),
        possible: super::no_overlay,
        run: |_, _| ask(Ask::Only),
    },
    Binding {
        keys: &[plain('!')],
        name: "hide",
        label: "!",
        what: "hide what has a text in it, in the focused pane",
        hint: Some("hide"),
        possible: super::no_overlay,
        run: |_, _| ask(Ask::Hide),
    },
    Binding {
        keys: &[plain('o')],
        name: "only-group",
        label: "o",
        what: "show only the selected row; of the logs, its group",
        hint: None,
        possible: with_rows,
        run: |at, _| by_group(at, false),
    },
    Binding {
        keys: &[plain('x')],
        name: "hide-group",
        label: "x",
        what: "hide the selected row; of the logs, its group",
        hint: Some("hide row"),
        possible: with_rows,
        run: |at, _| by_group(at, true),
    },
    Binding {
        keys: &[plain('X')],
        name: "no-filter",
        label: "X",
        what: "take the search and all filters of the focused pane off",
        hint: Some("all"),
        possible: |at| {
            let narrowed = at.state.view.narrow.get(at.pane.id()).is_some_and(|filters| !filters.is_empty());
            super::no_overlay(at)
                && (narrowed || at.in_logs() && at.state.view.logs.narrowed() || at.state.view.logs.search.is_some())
        },
        run: |_, _| Some(Action::Logs(LogAction::Clear)),
    },
    Binding {
        keys: &[plain('L')],
        name: "level",
        label: "L",
        what: "logs: from which level on: all, notice, warn, error, crit; what tells no level stays",
        hint: Some("level"),
        possible: in_logs,
        run: |at, _| Some(Action::Logs(LogAction::Level(next_of(&LEVELS, at.state.view.logs.level)))),
    },
    Binding {
        keys: &[plain('W')],
        name: "window",
        label: "W",
        what: "logs: of which time: all, the last 15 minutes, 5, 1",
        hint: Some("time"),
        possible: in_logs,
        run: |at, _| Some(Action::Logs(LogAction::Window(next_of(&WINDOWS_S, at.state.view.logs.window_s)))),
    },
    Binding {
        keys: &[plain('S')],
        name: "one-log",
        label: "S",
        what: "logs: of which log: that of the selected row, then the others one by one, then all",
        hint: Some("log"),
        possible: |at| filled(at) || at.in_logs() && at.state.view.logs.source.is_some(),
        run: |at, _| source(at),
    },
    Binding {
        keys: &[plain('F')],
        name: "follow",
        label: "F",
        what: "logs: keep the newest line in view, or hold the lines still; going up holds them too, G follows again",
        hint: Some("follow"),
        possible: |at| at.in_logs() && at.state.view.logs.lines,
        run: |at, _| Some(Action::Logs(LogAction::Follow(at.paused()))),
    },
];
