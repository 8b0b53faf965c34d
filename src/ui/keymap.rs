//! Keys to actions: one table, the only place that knows keys. Help, footer and the README's table derive from it.
//!
//! To add a key: one entry in `GENERAL`, or in the file of its pane, and what it does as a function from [`Context`] to an [`Action`]. An unknown key does
//! nothing, silently; no key changes the host.

mod context;
mod logs;
#[cfg(test)]
mod tests;
mod typing;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{layout::Size, text::Line};

use self::context::{Context, Step, always, movable, no_overlay, pressed};
use super::{
    Ui, pane,
    text::{fit, line, span, width},
};
use crate::{
    app::{Action, LogAction, Overlay, State},
    model::CheckState,
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

use KeyCode::{BackTab, Backspace, Char, Down, End, Enter, Esc, F, Home, PageDown, PageUp, Tab, Up};

const fn plain(c: char) -> Key {
    Key::Plain(Char(c))
}

/// Every key: those of all panes, and those of one.
pub fn keys() -> impl Iterator<Item = &'static Binding> {
    GENERAL.iter().chain(logs::KEYS)
}

/// The keys of all panes.
static GENERAL: &[Binding] = &[
    Binding {
        keys: &[plain('?'), Key::Plain(F(1))],
        label: "?",
        what: "show the keys, and what they do here and now",
        hint: Some("help"),
        possible: always,
        run: |at, _| Some(if at.overlay == Some(&Overlay::Help) { Action::Back } else { Action::Open(Overlay::Help) }),
    },
    Binding {
        keys: &[Key::Plain(Esc), Key::Plain(Backspace)],
        label: "Esc",
        what: "go back one level: explanation, zoom",
        hint: Some("back"),
        possible: |at| at.overlay.is_some() || at.state.view.zoom,
        run: |_, _| Some(Action::Back),
    },
    Binding {
        keys: &[Key::Plain(Enter)],
        label: "Enter",
        what: "explain the selected row: why, evidence, what to do",
        hint: Some("why"),
        possible: |at| no_overlay(at) && !at.rows.is_empty(),
        run: |at, _| Some(Action::Open(Overlay::Explain { pane: at.pane.id(), key: at.row()?.to_owned() })),
    },
    Binding {
        keys: &[Key::Plain(Tab)],
        label: "Tab",
        what: "focus the next pane",
        hint: Some("pane"),
        possible: no_overlay,
        run: |at, _| Some(Action::Focus(pane::ALL[(at.focus + 1) % pane::ALL.len()].id())),
    },
    Binding {
        keys: &[Key::Plain(BackTab)],
        label: "Shift-Tab",
        what: "focus the previous pane",
        hint: None,
        possible: no_overlay,
        run: |at, _| Some(Action::Focus(pane::ALL[(at.focus + pane::ALL.len() - 1) % pane::ALL.len()].id())),
    },
    Binding {
        keys: &[plain('1'), plain('2'), plain('3'), plain('4'), plain('5'), plain('6'), plain('7'), plain('8'), plain('9')],
        label: "1-9",
        what: "focus the pane with this number",
        hint: None,
        possible: no_overlay,
        run: |_, key| {
            let Key::Plain(Char(digit)) = key else { return None };
            let index = usize::try_from(digit.to_digit(10)?).ok()?.checked_sub(1)?;
            pane::ALL.get(index).map(|pane| Action::Focus(pane.id()))
        },
    },
    Binding {
        keys: &[plain('z')],
        label: "z",
        what: "show the focused pane alone, or all again",
        hint: Some("zoom"),
        possible: no_overlay,
        run: |_, _| Some(Action::Zoom),
    },
    Binding {
        keys: &[plain('j'), Key::Plain(Down)],
        label: "j, Down",
        what: "go one row or line down",
        hint: Some("move"),
        possible: movable,
        run: |at, _| at.step(Step::Down(1)),
    },
    Binding {
        keys: &[plain('k'), Key::Plain(Up)],
        label: "k, Up",
        what: "go one row or line up",
        hint: None,
        possible: movable,
        run: |at, _| at.step(Step::Up(1)),
    },
    Binding {
        keys: &[plain('g'), Key::Plain(Home)],
        label: "g, Home",
        what: "go to the first row or line",
        hint: None,
        possible: movable,
        run: |at, _| at.step(Step::Up(usize::MAX)),
    },
    Binding {
        keys: &[plain('G'), Key::Plain(End)],
        label: "G, End",
        what: "go to the last row or line",
        hint: None,
        possible: movable,
        // Whoever goes to the newest line wants to see what comes.
        run: |at, _| if at.paused() { Some(Action::Logs(LogAction::Follow(true))) } else { at.step(Step::Down(usize::MAX)) },
    },
    Binding {
        keys: &[Key::Ctrl('d')],
        label: "Ctrl-d",
        what: "go half a page down",
        hint: None,
        possible: movable,
        run: |at, _| at.step(Step::Down(at.page() / 2)),
    },
    Binding {
        keys: &[Key::Ctrl('u')],
        label: "Ctrl-u",
        what: "go half a page up",
        hint: None,
        possible: movable,
        run: |at, _| at.step(Step::Up(at.page() / 2)),
    },
    Binding {
        keys: &[Key::Plain(PageDown)],
        label: "PgDn",
        what: "go a page down",
        hint: None,
        possible: movable,
        run: |at, _| at.step(Step::Down(at.page())),
    },
    Binding {
        keys: &[Key::Plain(PageUp)],
        label: "PgUp",
        what: "go a page up",
        hint: None,
        possible: movable,
        run: |at, _| at.step(Step::Up(at.page())),
    },
    Binding {
        keys: &[plain('y')],
        label: "y",
        what: "copy the selected row's command, or its line, to the terminal's clipboard (OSC 52)",
        hint: Some("copy"),
        possible: |at| at.copy().is_some(),
        run: |at, _| at.copy().map(|(text, what)| Action::Copy { text, what }),
    },
    Binding {
        keys: &[plain(' ')],
        label: "Space",
        what: "tick the selected step as done by hand, or take that back",
        hint: Some("tick"),
        possible: |at| at.step_id().is_some(),
        run: |at, _| at.tick(CheckState::Done),
    },
    Binding {
        keys: &[plain('s')],
        label: "s",
        what: "skip the selected step, or take that back",
        hint: Some("skip"),
        possible: |at| at.step_id().is_some(),
        run: |at, _| at.tick(CheckState::Skipped),
    },
    Binding {
        keys: &[plain('r')],
        label: "r",
        what: "start a round of probes now, within the rate cap",
        hint: Some("probe"),
        possible: |at| !at.state.plan.jobs.is_empty() && at.state.scene.run.as_ref().is_none_or(|run| run.probing),
        run: |_, _| Some(Action::ProbeNow),
    },
    Binding {
        keys: &[plain('H')],
        label: "H",
        what: "heal what is broken; in the demo only",
        hint: Some("heal"),
        possible: |at| at.state.options.demo.is_some(),
        run: |_, _| Some(Action::Heal),
    },
    Binding {
        keys: &[plain('Z')],
        label: "Z",
        what: "hold the view still while collection goes on, or let it run again",
        hint: Some("freeze"),
        possible: always,
        run: |_, _| Some(Action::Freeze),
    },
    Binding {
        keys: &[plain('t')],
        label: "t",
        what: "show times in UTC or in the host's zone",
        hint: Some("zone"),
        possible: always,
        run: |_, _| Some(Action::Zone),
    },
    Binding {
        keys: &[plain('q')],
        label: "q",
        what: "quit",
        hint: Some("quit"),
        possible: always,
        run: |_, _| Some(Action::Quit { keep: false }),
    },
    Binding {
        keys: &[plain('Q')],
        label: "Q",
        what: "quit and leave this screen on the terminal",
        hint: None,
        possible: always,
        run: |_, _| Some(Action::Quit { keep: true }),
    },
    Binding {
        keys: &[Key::Ctrl('c')],
        label: "Ctrl-C",
        what: "quit now, always",
        hint: None,
        possible: always,
        run: |_, _| Some(Action::Quit { keep: false }),
    },
    Binding {
        keys: &[Key::Ctrl('l')],
        label: "Ctrl-L",
        what: "draw the screen anew",
        hint: None,
        possible: always,
        run: |_, _| Some(Action::Redraw),
    },
    Binding {
        keys: &[Key::Ctrl('z')],
        label: "Ctrl-Z",
        what: "stop in the background; fg brings it back",
        hint: None,
        possible: always,
        run: |_, _| Some(Action::Suspend),
    },
];

/// The action of a key on a screen of this size. `None`: it does nothing here and now.
pub fn action(state: &State, ui: &Ui, screen: Size, event: KeyEvent) -> Option<Action> {
    let key = pressed(event)?;
    let at = Context::new(state, ui, screen);
    if let Some(prompt) = &state.view.prompt
        && let Some(typed) = typing::typed(&at, prompt, key)
    {
        return typed;
    }
    let binding = keys().find(|binding| binding.keys.contains(&key))?;
    if (binding.possible)(&at) { (binding.run)(&at, key) } else { None }
}

/// Label and hint of the keys that do something now, in the order of the table.
pub fn hints(state: &State, ui: &Ui, screen: Size) -> Vec<(&'static str, &'static str)> {
    let at = Context::new(state, ui, screen);
    let short = |label: &'static str| label.split(',').next().unwrap_or(label);
    // Help and quit stand where the eye looks for them, and are not the ones that give way; nor is healing, in the demo.
    // Then what leads in and out, and the keys of the pane that one works in.
    let rank = |binding: &&Binding| match binding.label {
        "?" | "q" | "H" => 0,
        "Esc" | "Enter" => 1,
        label if logs::KEYS.iter().any(|own| own.label == label) => 2,
        _ => 3,
    };
    let mut possible: Vec<&Binding> = keys().filter(|binding| (binding.possible)(&at)).collect();
    possible.sort_by_key(rank);
    possible.into_iter().filter_map(|binding| Some((short(binding.label), binding.hint?))).collect()
}

/// The lines of the help.
pub fn help(state: &State, ui: &Ui, screen: Size) -> Vec<Line<'static>> {
    // What is possible behind the help itself is what the person wants to know.
    let at = Context { overlay: None, ..Context::new(state, ui, screen) };
    let columns = keys().map(|binding| width(binding.label)).max().unwrap_or(0) + 2;
    let mut lines = vec![line([span("Keys. No key changes the host.  - : nothing to do for it right now", ui.styles.quiet)])];
    for binding in keys() {
        let now = (binding.possible)(&at);
        let (sign, key, text) = if now { (" ", ui.styles.key, ui.styles.text) } else { ("-", ui.styles.quiet, ui.styles.quiet) };
        lines.push(line([span(format!("{sign} {}", fit(binding.label, columns)), key), span(binding.what, text)]));
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
