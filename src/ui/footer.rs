//! The last line: a message to the person, or the keys that do something now.

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    style::Style,
};

use super::{
    MESSAGE_S, Ui, keymap,
    text::{line, span, width},
};
use crate::app::State;

/// Draws it.
pub fn draw(state: &State, ui: &Ui, screen: Size, area: Rect, buf: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let said = state.view.message.as_ref().filter(|(at, _)| state.now.wall_s() - at.wall_s() < MESSAGE_S);
    if let Some((_, message)) = said {
        buf.set_line(area.x, area.y, &line([span(message, ui.styles.warn)]), area.width);
        return;
    }
    let mut out = Vec::new();
    let mut used = 0;
    for (key, hint) in keymap::hints(state, ui, screen) {
        let needs = width(key) + 1 + width(hint) + if out.is_empty() { 0 } else { 2 };
        if used + needs > usize::from(area.width) {
            break;
        }
        if !out.is_empty() {
            out.push(span("  ", Style::new()));
        }
        used += needs;
        out.push(span(key, ui.styles.key));
        out.push(span(format!(" {hint}"), ui.styles.text));
    }
    buf.set_line(area.x, area.y, &line(out), area.width);
}
