//! The mouse, for who asked for it: a click selects a row or presses a key of the last line, a second click explains, the wheel scrolls.

use std::borrow::Cow;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect, Size},
};

use super::{Context, context::Step};
use crate::{
    app::{Action, Overlay, State},
    ui::{Ui, focus, footer, pane, places, trace::Trace},
};

/// Rows or lines that the wheel goes by.
const WHEEL: usize = 3;

/// What the mouse asks for on a screen of this size. `None`: nothing.
pub fn mouse(state: &State, ui: &Ui, screen: Size, event: MouseEvent) -> Option<Action> {
    let at = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollDown => wheel(state, ui, screen, at, true),
        MouseEventKind::ScrollUp => wheel(state, ui, screen, at, false),
        MouseEventKind::Down(MouseButton::Left) => click(state, ui, screen, at),
        MouseEventKind::Down(MouseButton::Right) if state.view.overlay.is_some() => Some(Action::Back),
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => None,
    }
}

fn click(state: &State, ui: &Ui, screen: Size, at: Position) -> Option<Action> {
    // Who types is not interrupted by a touch.
    if state.view.prompt.is_some() {
        return None;
    }
    let places = places(state, screen);
    if places.footer.contains(at) {
        let column = at.x - places.footer.x;
        let mut hints = footer::placed(state, ui, screen, None, places.footer.width).into_iter();
        let (_, hint) = hints.find(|(columns, _)| columns.contains(&column))?;
        let key = *ui.keys.of(hint.binding).first()?;
        return (hint.binding.run)(&Context::new(state, ui, screen), key);
    }
    if state.view.overlay.is_some() {
        return None;
    }
    let (index, area) = places.panes.iter().find(|(_, area)| area.contains(at))?;
    let pane = *pane::ALL.get(*index)?;
    // The list may have moved under the pointer, so that the selected row stands in the middle: what is meant is what was clicked.
    if state.view.clicked == Some((at.x, at.y)) && focus(state) == *index {
        let key = Context::new(state, ui, screen).row()?.to_owned();
        return Some(Action::Open(Overlay::Explain { pane: pane.id(), key }));
    }
    match row_at(state, ui, *index, *area, at.y) {
        Some(key) => Some(Action::Click { pane: pane.id(), key, at: (at.x, at.y) }),
        None => (focus(state) != *index).then(|| Action::Focus(pane.id())),
    }
}

/// The key of the row that stands in this line.
fn row_at(state: &State, ui: &Ui, index: usize, area: Rect, y: u16) -> Option<String> {
    let ui = Ui { trace: Trace::listening(), ..ui.clone() };
    let pane = *pane::ALL.get(index)?;
    let mut buf = Buffer::empty(area);
    pane::draw_framed(state, &ui, index, pane, area, &mut buf);
    let inside = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let (item, _) = ui.trace.rows().into_iter().filter(|(_, begin)| *begin <= y).max_by_key(|(_, begin)| *begin)?;
    let row = pane.row_at(state, inside, item)?;
    pane.rows(state).into_iter().nth(row).map(Cow::into_owned)
}

fn wheel(state: &State, ui: &Ui, screen: Size, at: Position, down: bool) -> Option<Action> {
    let step = if down { Step::Down(WHEEL) } else { Step::Up(WHEEL) };
    if state.view.overlay.is_some() {
        return Context::new(state, ui, screen).step(step);
    }
    let (index, _) = places(state, screen).panes.into_iter().find(|(_, area)| area.contains(at))?;
    let pane = *pane::ALL.get(index)?;
    let rows = pane.rows(state);
    let from = pane::selected(state, pane, &rows);
    let last = rows.len().checked_sub(1)?;
    let to = if down { (from + WHEEL).min(last) } else { from.saturating_sub(WHEEL) };
    (to != from).then(|| Action::Select { pane: pane.id(), key: rows[to].clone().into_owned() })
}
