//! Keys to actions: one table, the only place that knows keys, and what a person bound anew ([`Keys`]). Help, footer and the README's table derive from it.
//!
//! To add a key: one entry in `general.rs`, `hand.rs`, or in the file of its pane, and what it does as a function from [`Context`] to an [`Action`]. An unknown key does
//! nothing, silently; no key changes the host.

mod bound;
mod commands;
mod context;
mod general;
mod hand;
mod logs;
mod mouse;
#[cfg(test)]
mod tests;
mod typing;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{layout::Size, text::Line};

use self::context::{Context, always, no_overlay, pressed};
pub use self::{
    bound::{Keys, Wish},
    commands::Offer,
    mouse::mouse,
};
use super::{
    Ui,
    overlay::Extent,
    text::{fit, fixed, line, span, width},
};
use crate::{
    app::{Action, Ask, Overlay, Prompt, State},
    model::Order as _,
};

/// A key as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
pub enum Key {
    /// A key by itself; Shift is part of the character.
    Plain(KeyCode),
    /// A letter with Ctrl.
    Ctrl(char),
}

/// What a key does.
#[derive(Debug)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [Key],
    /// The word by which the command line knows it.
    pub name: &'static str,
    /// How they are written.
    pub label: &'static str,
    /// What it does, for help and README: a phrase in the imperative.
    pub what: &'static str,
    /// A word for the footer. `None`: not there.
    pub hint: Option<&'static str>,
    /// Whether it does something now.
    possible: fn(&Context<'_>) -> bool,
    /// The action. `None`: nothing more to do in that direction.
    run: fn(&Context<'_>, Key) -> Option<Action>,
}

use KeyCode::Char;

/// Letters of a name from which on it need not be typed to its end, where no list shows what it would be.
const COMPLETE: usize = 3;

const fn plain(c: char) -> Key {
    Key::Plain(Char(c))
}

/// Every key: those of all panes, and those of one.
pub fn keys() -> impl Iterator<Item = &'static Binding> {
    general::KEYS.iter().chain(hand::KEYS).chain(logs::KEYS)
}

/// The action of a key on a screen of this size. `None`: it does nothing here and now.
pub fn action(state: &State, ui: &Ui, screen: Size, event: KeyEvent) -> Option<Action> {
    let key = pressed(event)?;
    let at = Context::new(state, ui, screen);
    if let Some(prompt) = &state.view.prompt
        && let Some(typed) = typing::typed(&at, prompt, key)
    {
        return typed;
    }
    let binding = keys().find(|binding| ui.keys.of(binding).contains(&key) && (binding.possible)(&at))?;
    (binding.run)(&at, key)
}

/// What the command line offers for what was typed so far.
pub fn offers(state: &State, ui: &Ui, screen: Size, typed: &str) -> Vec<Offer> {
    commands::offers(&Context::new(state, ui, screen), typed)
}

/// The table of commands that have no key as Markdown, for the README.
pub fn command_table() -> String {
    commands::table()
}

/// A command line, carried out. The error says why it cannot be.
pub fn command(state: &State, ui: &Ui, screen: Size, typed: &str) -> Result<Action, String> {
    commands::run(&Context::new(state, ui, screen), &Prompt::new(Ask::Command, typed.to_owned()))
}

/// Everything that can be typed now.
pub fn all_offers(state: &State, ui: &Ui, screen: Size) -> Vec<Offer> {
    commands::all(&Context::new(state, ui, screen))
}

/// Whether a command line begins with the name of something.
pub fn knows(typed: &str) -> bool {
    let word = typed.split(' ').next().unwrap_or_default();
    !word.is_empty() && commands::names().any(|name| name == word || word.len() >= COMPLETE && name.starts_with(word))
}

/// A key that does something now, for the last line of the screen.
#[derive(Debug, Clone, Copy)]
pub struct Hint<'a> {
    /// How it is written.
    pub label: &'a str,
    /// What it does, in a word.
    pub hint: &'static str,
    binding: &'static Binding,
}

/// The keys that do something now, those first that matter most. `extent`: of what lies over the panes, where that is known.
pub fn hints<'a>(state: &State, ui: &'a Ui, screen: Size, extent: Option<Extent>) -> Vec<Hint<'a>> {
    let at = Context::new(state, ui, screen).over(extent);
    // Help and quit stand where the eye looks for them, and are not the ones that give way; nor is healing, in the demo.
    // Then what leads in and out, and the keys of the pane that one works in.
    let rank = |binding: &Binding| match binding.name {
        "help" | "quit" | "heal" => 0,
        "back" | "why" => 1,
        // What a preview is there for, and the way back to now.
        "next-paper" | "copy-paper" | "export" if matches!(at.overlay, Some(Overlay::Paper(_))) => 1,
        "moment-before" | "moment-after" | "now" if at.state.looks_back() => 1,
        "search" | "next-hit" | "no-filter" => 2,
        _ if logs::KEYS.iter().any(|own| own.name == binding.name) => {
            if at.in_logs() {
                2
            } else {
                4
            }
        }
        _ => 3,
    };
    let hint = |binding: &'static Binding| {
        let hint = binding.hint.filter(|_| (binding.possible)(&at))?;
        Some((rank(binding), Hint { label: ui.keys.first(binding), hint, binding }))
    };
    let mut hints: Vec<(u8, Hint<'_>)> = keys().filter_map(hint).collect();
    hints.order_by_key(|(rank, _)| *rank);
    hints.into_iter().map(|(_, hint)| hint).collect()
}

/// The lines of the help.
pub fn help(state: &State, ui: &Ui, screen: Size) -> Vec<Line<'static>> {
    // What is possible behind the help itself is what the person wants to know.
    let at = Context::new(state, ui, screen).behind();
    let columns = keys().map(|binding| width(ui.keys.label(binding))).max().unwrap_or(0) + 2;
    let mut lines = vec![line([fixed("Keys. No key changes the host.  - : nothing to do for it right now", ui.styles.quiet)])];
    for binding in keys() {
        let now = (binding.possible)(&at);
        let (sign, key, text) = if now { (" ", ui.styles.key, ui.styles.text) } else { ("-", ui.styles.quiet, ui.styles.quiet) };
        lines.push(line([span(format!("{sign} {}", fit(ui.keys.label(binding), columns)), key), fixed(binding.what, text)]));
    }
    lines
}

/// The table of keys as Markdown, for the README.
pub fn key_table() -> String {
    let mut out = String::from("| key | what it does |\n|---|---|\n");
    for binding in keys() {
        let keys: Vec<String> = binding.label.split(", ").map(|key| format!("`{key}`")).collect();
        out.push_str(&format!("| {} | {} |\n", keys.join(", "), binding.what));
    }
    out
}

/// The table of names under which keys can be bound anew, as lines of a file of settings that is read as it stands.
pub fn settings_table() -> String {
    let words = |binding: &Binding| {
        let keys: Vec<String> = binding.keys.iter().map(|key| format!("{:?}", key.written())).collect();
        if let [one] = keys.as_slice() { one.clone() } else { format!("[{}]", keys.join(", ")) }
    };
    let bindable = keys().filter(|binding| Keys::bindable(binding.name));
    let line = |binding: &Binding| ["# ", binding.what, "\n# ", binding.name, " = ", &words(binding), "\n"].concat();
    bindable.map(line).collect()
}
