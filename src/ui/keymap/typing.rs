//! Keys while something is typed in the last line of the screen. What is typed is text and nothing else: it is compared with
//! log lines, and never run.

use crossterm::event::KeyCode::{Backspace, Char, Enter, Esc};

use super::{Context, Key};
use crate::app::{Action, Ask, PATTERN_CHARS, Prompt};

/// What a key does to what is being typed; `Some(None)`: nothing. `None`: the key keeps its meaning, as Ctrl-C does.
#[expect(clippy::option_option, reason = "a key that is swallowed is not one that is passed on")]
pub fn typed(at: &Context<'_>, prompt: &Prompt, key: Key) -> Option<Option<Action>> {
    let text = |text: String| Some(Some(Action::Type(Prompt::new(prompt.ask, text))));
    match key {
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
