//! The keys that hand over, mend, note and look back.

use crossterm::event::KeyCode::Tab;

use super::{Binding, Context, Key, always, context::no_overlay, plain};
use crate::app::{Action, Ask, Hand, Overlay, Paper, Prompt, Tense};

/// How fast a recording is shown at most.
const FASTEST: u32 = 10_000;

/// A file and a line that the operator may edit.
fn edit(at: &Context<'_>) -> Option<Action> {
    let (file, line) = at.edit()?;
    Some(Action::Edit { file, line })
}

/// The paper that is looked at.
fn paper(at: &Context<'_>) -> Option<Paper> {
    match at.overlay {
        Some(Overlay::Paper(paper)) => Some(*paper),
        Some(Overlay::Help | Overlay::Compare | Overlay::Guide | Overlay::Explain { .. }) | None => None,
    }
}

/// The keys.
pub static KEYS: &[Binding] = &[
    Binding {
        keys: &[Key::Plain(Tab)],
        name: "next-paper",
        label: "Tab",
        what: "in a preview: go on to the next paper",
        hint: Some("next paper"),
        possible: |at| paper(at).is_some(),
        run: |at, _| Some(Action::Open(Overlay::Paper(paper(at)?.next()))),
    },
    Binding {
        keys: &[plain('y')],
        name: "copy-paper",
        label: "y",
        what: "in a preview: copy it to the terminal's clipboard, as Markdown",
        hint: Some("copy it"),
        possible: |at| paper(at).is_some(),
        run: |at, _| Some(Action::Hand(Hand::Copy(paper(at)?))),
    },
    Binding {
        keys: &[plain(':')],
        name: "command",
        label: ":",
        what: "type a command: any of these by its name, and more; Tab completes, and what is possible here is listed",
        hint: Some("command"),
        possible: always,
        run: |_, _| Some(Action::Type(Prompt::new(Ask::Command, String::new()))),
    },
    Binding {
        keys: &[plain('e')],
        name: "edit",
        label: "e",
        what: "open your editor ($VISUAL, $EDITOR) at the line that the selected row is about",
        hint: Some("edit"),
        possible: |at| at.edit().is_some(),
        run: |at, _| edit(at),
    },
    Binding {
        keys: &[plain('m')],
        name: "note-here",
        label: "m",
        what: "note something: on the line of time, in the recording and the report; on a step of the checklist about that step",
        hint: Some("note"),
        possible: always,
        run: |at, _| {
            let about = at.step_id().map(str::to_owned);
            Some(Action::Type(about.map_or_else(|| Prompt::new(Ask::Note, String::new()), |step| Prompt::about(Ask::Note, step))))
        },
    },
    Binding {
        keys: &[plain('Y')],
        name: "report",
        label: "Y",
        what: "preview the report, the ticket for the hosting provider and the status line, which can be copied and exported",
        hint: Some("report"),
        possible: |at| at.state.catalog.is_some(),
        run: |at, _| Some(Action::Open(Overlay::Paper(paper(at).map_or(Paper::Report, Paper::next)))),
    },
    Binding {
        keys: &[plain('E')],
        name: "export",
        label: "E",
        what: "export the report as Markdown, HTML and JSON, and the ticket, to private files beside the recordings",
        hint: Some("export"),
        possible: |at| at.state.catalog.is_some(),
        run: |_, _| Some(Action::Hand(Hand::Export)),
    },
    Binding {
        keys: &[plain('[')],
        name: "moment-before",
        label: "[",
        what: "look at everything as it was at the moment before, on the line of time",
        hint: Some("back in time"),
        possible: |at| at.state.moment(Tense::Before).is_some(),
        run: |at, _| Some(Action::LookBack(at.state.moment(Tense::Before))),
    },
    Binding {
        keys: &[plain(']')],
        name: "moment-after",
        label: "]",
        what: "look at everything as it was at the moment after; after the last one is now",
        hint: Some("on"),
        possible: |at| at.state.looks_back(),
        run: |at, _| Some(Action::LookBack(at.state.moment(Tense::After))),
    },
    Binding {
        keys: &[plain('{')],
        name: "minute-before",
        label: "{",
        what: "look at everything as it was a minute before",
        hint: None,
        possible: |at| at.state.minute(Tense::Before).is_some(),
        run: |at, _| Some(Action::LookBack(at.state.minute(Tense::Before))),
    },
    Binding {
        keys: &[plain('}')],
        name: "minute-after",
        label: "}",
        what: "look at everything as it was a minute after",
        hint: None,
        possible: |at| at.state.looks_back(),
        run: |at, _| Some(Action::LookBack(at.state.minute(Tense::After))),
    },
    Binding {
        keys: &[plain('b')],
        name: "back-to-row",
        label: "b",
        what: "look at everything as it was at the time of the selected row",
        hint: Some("then"),
        possible: |at| no_overlay(at) && at.row().and_then(|row| at.pane.time(at.state, row)).is_some(),
        run: |at, _| Some(Action::LookBack(at.pane.time(at.state, at.row()?))),
    },
    Binding {
        keys: &[plain('>')],
        name: "faster",
        label: ">",
        what: "replay: twice as fast, or go on",
        hint: Some("faster"),
        possible: |at| at.state.options.speed.is_some_and(|speed| speed < FASTEST),
        run: |at, _| Some(Action::Speed((at.state.options.speed? * 2).clamp(1, FASTEST))),
    },
    Binding {
        keys: &[plain('<')],
        name: "slower",
        label: "<",
        what: "replay: half as fast; at the end hold it",
        hint: Some("slower"),
        possible: |at| at.state.options.speed.is_some_and(|speed| speed > 0),
        run: |at, _| Some(Action::Speed(at.state.options.speed? / 2)),
    },
    Binding {
        keys: &[plain('B')],
        name: "now",
        label: "B",
        what: "back to now",
        hint: Some("now"),
        possible: |at| at.state.looks_back(),
        run: |_, _| Some(Action::LookBack(None)),
    },
];
