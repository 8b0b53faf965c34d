//! What lies over the panes: the explanation of a row, the keys, or what was seen elsewhere.

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    text::Line,
};

use super::{
    Ui, keymap,
    pane::{self, rule},
    places,
    text::{self, fixed, line},
};
use crate::app::{Overlay, State};

/// Title and lines, wrapped to the width.
pub fn content(state: &State, ui: &Ui, columns: u16, screen: Size) -> Option<(String, Vec<Line<'static>>)> {
    let (title, lines) = match state.view.overlay.as_ref()? {
        Overlay::Help => ("KEYS".to_owned(), keymap::help(state, ui, screen)),
        Overlay::Paper(paper) => {
            let at = state.view.past.map_or_else(String::new, |past| format!(", as of {}", ui.full(state, past)));
            (format!("PREVIEW: {}{at}", paper.name()), super::paper::lines(state, ui, *paper))
        }
        Overlay::Compare => ("SEEN ELSEWHERE".to_owned(), super::compare::lines(state, ui)),
        Overlay::Guide => pane::guide(state, ui),
        Overlay::Explain { pane, key } => {
            let found = pane::by_id(pane);
            let lines = found.and_then(|pane| pane.explain(state, ui, key)).unwrap_or_else(|| {
                vec![line([fixed("This is no longer there: what it stood on has changed. Esc goes back.", ui.styles.text)])]
            });
            (found.map_or("WHY".to_owned(), |pane| format!("WHY: {}", pane.id())), lines)
        }
    };
    // A blank column at each side.
    let columns = usize::from(columns.saturating_sub(2));
    Some((title, text::wrap(lines, columns)))
}

/// Lines of the overlay, and lines of them that are seen at once.
pub type Extent = (u16, u16);

/// How far it goes.
pub fn extent(state: &State, ui: &Ui, screen: Size) -> Extent {
    let body = places(state, screen).body;
    let lines = content(state, ui, body.width, screen).map_or(0, |(_, lines)| lines.len());
    of(lines, body)
}

fn of(lines: usize, area: Rect) -> Extent {
    (u16::try_from(lines).unwrap_or(u16::MAX), area.height.saturating_sub(1))
}

/// Draws it, and tells how far it goes.
pub fn draw(state: &State, ui: &Ui, area: Rect, buf: &mut Buffer) -> Option<Extent> {
    let screen = buf.area.as_size();
    let (title, lines) = content(state, ui, area.width, screen)?;
    let extent = of(lines.len(), area);
    if area.height == 0 {
        return Some(extent);
    }
    let room = usize::from(area.height - 1);
    let offset = usize::from(state.view.scroll).min(lines.len().saturating_sub(room));
    let seen = (offset + room).min(lines.len());
    let title = if lines.len() > room { format!("{title}  {}-{seen} of {}", offset + 1, lines.len()) } else { title };
    rule(ui, &title, true, area, buf);
    for (y, line) in (area.y + 1..area.bottom()).zip(lines.iter().skip(offset)) {
        buf.set_line(area.x.saturating_add(1), y, line, area.width.saturating_sub(2));
    }
    Some(extent)
}
