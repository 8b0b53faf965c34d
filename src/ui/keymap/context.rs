//! What a key's meaning depends on: the focused pane, its selected row, what lies over it, the size of the screen.

use std::{borrow::Cow, cell::OnceCell};

use crossterm::event::{
    KeyCode::{BackTab, Char, Tab},
    KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui::layout::Size;

use super::Key;
use crate::{
    app::{Action, Overlay, Pattern, State},
    model::CheckState,
    ui::{
        Ui, focus,
        overlay::{self, Extent},
        pane::{self, CHECKLIST, Pane, guided},
        places,
    },
};

/// What a key's meaning depends on.
pub struct Context<'a> {
    pub state: &'a State,
    pub ui: &'a Ui,
    pub screen: Size,
    pub overlay: Option<&'a Overlay>,
    pub focus: usize,
    pub pane: &'static dyn Pane,
    pub rows: Vec<Cow<'a, str>>,
    pub at: usize,
    /// Lines of the overlay and how many are seen, once a key asked for them: its whole text is made for that, and several keys ask.
    extent: OnceCell<Extent>,
}

pub fn always(_: &Context<'_>) -> bool {
    true
}

pub fn no_overlay(at: &Context<'_>) -> bool {
    at.overlay.is_none()
}

pub fn movable(at: &Context<'_>) -> bool {
    if no_overlay(at) {
        at.rows.len() > 1
    } else {
        let (lines, seen) = at.extent();
        lines > seen
    }
}

/// A move, in rows or lines.
#[derive(Clone, Copy)]
pub enum Step {
    Down(usize),
    Up(usize),
}

impl<'a> Context<'a> {
    pub fn new(state: &'a State, ui: &'a Ui, screen: Size) -> Self {
        let focus = focus(state);
        let pane = pane::ALL[focus];
        let rows = pane.rows(state);
        let at = pane::selected(state, pane, &rows);
        Self { state, ui, screen, overlay: state.view.overlay.as_ref(), focus, pane, rows, at, extent: OnceCell::new() }
    }

    /// What is possible behind what lies over the panes.
    pub fn behind(self) -> Self {
        Self { overlay: None, ..self }
    }

    /// What is possible beside something that lies over the panes, and goes so far. `None`: that is to be found out.
    pub fn over(self, extent: Option<Extent>) -> Self {
        Self { extent: extent.map_or_else(|| self.extent, OnceCell::from), ..self }
    }

    fn extent(&self) -> Extent {
        *self.extent.get_or_init(|| overlay::extent(self.state, self.ui, self.screen))
    }

    /// The key of the selected row.
    pub fn row(&self) -> Option<&str> {
        self.rows.get(self.at).map(AsRef::as_ref)
    }

    /// Whether it is the log pane that a key is for.
    pub fn in_logs(&self) -> bool {
        no_overlay(self) && self.pane.id() == "logs"
    }

    /// Whether single lines are looked at, and held still.
    pub fn paused(&self) -> bool {
        self.in_logs() && self.state.view.logs.lines && self.state.view.logs.held.is_some()
    }

    /// The row of the next hit after the selected one, around the end; `back`: before it. `here`: the selected one counts.
    pub fn hit(&self, pattern: &Pattern, back: bool, here: bool) -> Option<&str> {
        let hits = self.pane.hits(self.state, pattern);
        let at = if back {
            hits.iter().rev().find(|hit| **hit < self.at || here && **hit == self.at).or(hits.last())
        } else {
            hits.iter().find(|hit| **hit > self.at || here && **hit == self.at).or(hits.first())
        };
        self.rows.get(*at?).map(AsRef::as_ref)
    }

    /// Pane and row that a key is about: what is explained, or what is selected.
    fn target(&self) -> Option<(&'static dyn Pane, &str)> {
        match self.overlay {
            None => Some((self.pane, self.row()?)),
            Some(Overlay::Explain { pane, key }) => Some((pane::by_id(pane)?, key)),
            Some(Overlay::Guide) => Some((pane::by_id(CHECKLIST)?, guided(self.state)?.1.id.as_str())),
            Some(Overlay::Help | Overlay::Compare | Overlay::Paper(_)) => None,
        }
    }

    pub fn copy(&self) -> Option<(String, &'static str)> {
        let (pane, key) = self.target()?;
        pane.copy(self.state, key)
    }

    /// The file and line that a key is about, where an editor may be opened.
    pub fn edit(&self) -> Option<(std::path::PathBuf, u32)> {
        let (pane, key) = self.target().filter(|_| self.state.options.edits && !self.state.looks_back())?;
        pane.edit(self.state, key)
    }

    /// The step of the checklist that a key is about.
    pub fn step_id(&self) -> Option<&str> {
        self.target().filter(|(pane, _)| pane.id() == CHECKLIST).map(|(_, key)| key)
    }

    pub fn tick(&self, to: CheckState) -> Option<Action> {
        let step = self.step_id()?.to_owned();
        let known = self.state.scene.operator.steps.get(&step).map(|ticked| ticked.state);
        let state = (known != Some(to)).then_some(to);
        Some(Action::Tick { step, state, reason: None })
    }

    /// Rows or lines that are seen at once.
    pub fn page(&self) -> usize {
        let places = places(self.state, self.screen);
        let height = if no_overlay(self) {
            places.panes.iter().find(|(index, _)| *index == self.focus).map_or(0, |(_, rect)| rect.height)
        } else {
            places.body.height
        };
        usize::from(height.saturating_sub(1)).max(2)
    }

    pub fn step(&self, step: Step) -> Option<Action> {
        let go = |from: usize, last: usize| match step {
            Step::Down(by) => from.saturating_add(by).min(last),
            Step::Up(by) => from.saturating_sub(by),
        };
        if no_overlay(self) {
            let to = go(self.at, self.rows.len().checked_sub(1)?);
            return (to != self.at).then(|| Action::Select { pane: self.pane.id(), key: self.rows[to].clone().into_owned() });
        }
        let (lines, seen) = self.extent();
        let last = lines.saturating_sub(seen);
        // What is shown is what scrolling begins from, also after the text has become shorter.
        let from = self.state.view.scroll.min(last);
        let to = u16::try_from(go(usize::from(from), usize::from(last))).unwrap_or(last);
        (to != from).then_some(Action::Scroll(to))
    }
}

/// The key of an event. `None`: a release, or a combination that no binding has.
pub fn pressed(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let modifiers = event.modifiers - KeyModifiers::SHIFT;
    match event.code {
        Char(c) if modifiers == KeyModifiers::CONTROL => Some(Key::Ctrl(c.to_ascii_lowercase())),
        Tab if event.modifiers == KeyModifiers::SHIFT => Some(Key::Plain(BackTab)),
        code if modifiers.is_empty() => Some(Key::Plain(code)),
        _ => None,
    }
}
