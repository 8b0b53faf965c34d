//! Keys while something is typed in the last line of the screen. What is typed is text and nothing else: it is compared with
//! log lines, noted, or the name of an action of ours; no shell ever sees it.

use crossterm::event::KeyCode::{Backspace, Char, Down, Enter, Esc, Tab, Up};

use super::{Context, Key, commands};
use crate::app::{Action, Ask, PATTERN_CHARS, Prompt};

/// What a key does to what is being typed; `Some(None)`: nothing. `None`: the key keeps its meaning, as Ctrl-C does.
#[expect(clippy::option_option, reason = "a key that is swallowed is not one that is passed on")]
pub fn typed(at: &Context<'_>, prompt: &Prompt, key: Key) -> Option<Option<Action>> {
    let text = |text: String| Some(Some(Action::Type(Prompt { about: prompt.about.clone(), ..Prompt::new(prompt.ask, text) })));
    let command = prompt.ask == Ask::Command;
    match key {
        Key::Plain(Enter) if command => Some(Some(Action::Command(commands::run(at, prompt).map(Box::new)))),
        Key::Plain(Tab) if command => Some(commands::complete(at, prompt).map(|text| Action::Type(Prompt::new(prompt.ask, text)))),
        Key::Plain(Up) if command => Some(Some(Action::Type(Prompt { pick: prompt.pick.saturating_sub(1), ..prompt.clone() }))),
        Key::Plain(Down) if command => {
            let last = commands::offers(at, &prompt.text).len().saturating_sub(1);
            Some(Some(Action::Type(Prompt { pick: (prompt.pick + 1).min(last), ..prompt.clone() })))
        }
        Key::Plain(Enter) => Some(Some(Action::Answer { select: found(at, prompt) })),
        Key::Plain(Esc) => Some(Some(Action::Back)),
        // Deleting what is not there leaves, as in vi and less.
        Key::Plain(Backspace) | Key::Ctrl('h') if prompt.text.is_empty() => Some(Some(Action::Back)),
        Key::Plain(Backspace) | Key::Ctrl('h') => {
            let mut rest = prompt.text.clone();
            rest.pop();
            text(rest)
        }
        Key::Ctrl('u') => text(String::new()),
        Key::Ctrl('w') => {
            let rest = prompt.text.trim_end();
            text(rest[..rest.rfind(' ').map_or(0, |at| at + 1)].to_owned())
        }
        Key::Plain(Char(c)) if !c.is_control() && prompt.text.chars().count() < PATTERN_CHARS => {
            text(format!("{}{c}", prompt.text))
        }
        Key::Plain(_) => Some(None),
        Key::Ctrl(_) => None,
    }
}

/// The row on which the selection goes: of an empty search the next hit of the one before.
fn found(at: &Context<'_>, prompt: &Prompt) -> Option<String> {
    if prompt.ask != Ask::Find {
        return None;
    }
    let (pattern, here) = match &prompt.pattern {
        Some(pattern) => (pattern, true),
        None => (at.state.view.logs.search.as_ref()?, false),
    };
    // Whoever follows looks for the latest; else the search goes on from the selected row.
    let latest = at.state.view.logs.lines && !at.paused();
    at.hit(pattern, latest, here).map(str::to_owned)
}
