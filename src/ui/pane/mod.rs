//! The panes: lists of rows that can be selected, explained and copied.
//!
//! A pane computes its rows from the state each time; it holds nothing. Its keys name what a row is about, not where it
//! stands, so that a selection follows its row when others come and go. What it shows of the host is never trusted: all
//! text goes through `ui/text.rs`.
//!
//! To add a pane: one file here with a unit struct that implements [`Pane`], and its two lines below (`mod`, [`ALL`]). The order
//! of [`ALL`] is the order of Tab and of the numbers.

mod causes;
mod checklist;
mod load;
mod logs;
mod probes;

pub use logs::{group_of, sources as log_sources};
use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    Charset, Slot, Ui,
    text::{cut, line, span, width},
};
use crate::app::{Pattern, State};

/// Every pane.
pub static ALL: &[&dyn Pane] = &[&checklist::Checklist, &causes::Causes, &probes::Probes, &load::Load, &logs::Logs];

/// A part of the screen.
pub trait Pane: Sync {
    /// Its id: the word by which state and actions name it.
    fn id(&self) -> &'static str;
    /// What it is there for, and thereby where it stands.
    fn slot(&self) -> Slot;
    /// Its title, with its figures.
    fn title(&self, state: &State) -> String;
    /// The keys of its rows, in the order in which they are shown.
    fn rows(&self, state: &State) -> Vec<String>;
    /// Index of the row that is selected as long as the person has chosen none.
    fn home(&self, _state: &State) -> usize {
        0
    }
    /// Indices of the rows in which this is found. A pane that cannot be searched finds nothing.
    fn hits(&self, _state: &State, _pattern: &Pattern) -> Vec<usize> {
        Vec::new()
    }
    /// Draws what stands below its rule.
    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer);
    /// Everything about a row. `None`: there is no such row.
    fn explain(&self, state: &State, ui: &Ui, key: &str) -> Option<Vec<Line<'static>>>;
    /// What is copied from a row, and what that is.
    fn copy(&self, state: &State, key: &str) -> Option<(String, &'static str)>;
}

/// The pane with this id.
pub fn by_id(id: &str) -> Option<&'static dyn Pane> {
    ALL.iter().copied().find(|pane| pane.id() == id)
}

/// Index of the selected one among these keys of a pane: its home, when none was chosen or the chosen one is gone.
pub fn selected(state: &State, pane: &dyn Pane, keys: &[String]) -> usize {
    let chosen = state.view.selected.get(pane.id()).and_then(|key| keys.iter().position(|known| known == key));
    chosen.unwrap_or_else(|| pane.home(state).min(keys.len().saturating_sub(1)))
}

/// `-1 CHECKLIST 9/14--------`: the line above a pane. The focused one is told by a doubled line.
pub fn rule(ui: &Ui, title: &str, focused: bool, area: Rect, buf: &mut Buffer) {
    let sign = match (ui.charset, focused) {
        (Charset::Ascii, false) => "-",
        (Charset::Ascii, true) => "=",
        (Charset::Unicode, false) => "\u{2500}",
        (Charset::Unicode, true) => "\u{2550}",
    };
    let style = if focused { ui.styles.focus } else { ui.styles.rule };
    let title = cut(title, usize::from(area.width.saturating_sub(2)));
    let rest = usize::from(area.width).saturating_sub(1 + width(&title));
    let spans =
        [span(sign, style), span(title, if focused { ui.styles.focus } else { ui.styles.strong }), span(sign.repeat(rest), style)];
    buf.set_line(area.x, area.y, &line(spans), area.width);
}

/// Draws a pane with its rule.
pub fn draw_framed(state: &State, ui: &Ui, index: usize, pane: &dyn Pane, area: Rect, buf: &mut Buffer) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let focused = super::focus(state) == index;
    rule(ui, &format!("{} {}", index + 1, pane.title(state)), focused, area, buf);
    let inside = Rect { y: area.y + 1, height: area.height - 1, ..area };
    pane.draw(state, ui, focused, inside, buf);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_every_pane_has_a_number_key() {
        let ids: std::collections::BTreeSet<_> = ALL.iter().map(|pane| pane.id()).collect();
        assert_eq!(ids.len(), ALL.len());
        assert!(ALL.len() <= 9);
    }
}
