//! A list of rows that scrolls with its selection. It keeps no offset: the same state draws the same screen.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{Ui, text};

/// What is drawn of a list.
pub struct List<'a, T> {
    /// The rows, in order.
    pub items: &'a [T],
    /// Index of the selected row.
    pub selected: usize,
    /// Whether the pane has the focus.
    pub focused: bool,
}

impl<T> List<'_, T> {
    /// Draws what fits of the list: `height` tells how many lines a row takes (0 is drawn as 1), `lines` draws it. Only rows
    /// that are seen are drawn.
    pub fn draw(
        &self,
        ui: &Ui,
        area: Rect,
        buf: &mut Buffer,
        height: impl Fn(&T) -> usize,
        lines: impl Fn(&T) -> Vec<Line<'static>>,
    ) {
        let room = usize::from(area.height);
        if room == 0 || area.width == 0 {
            return;
        }
        let starts: Vec<usize> = self
            .items
            .iter()
            .scan(0, |next, item| {
                let start = *next;
                *next += height(item).max(1);
                Some(start)
            })
            .collect();
        let total = starts.last().zip(self.items.last()).map_or(0, |(start, item)| start + height(item).max(1));
        // The selected row stays in the middle, so that what comes before and after it can be seen.
        let at = starts.get(self.selected).copied().unwrap_or(0);
        let offset = at.saturating_sub(room / 2).min(total.saturating_sub(room));
        let overflow = total > room;
        let columns = area.width.saturating_sub(u16::from(overflow));
        for (index, (item, start)) in self.items.iter().zip(&starts).enumerate() {
            if start + height(item).max(1) <= offset {
                continue;
            }
            if *start >= offset + room {
                break;
            }
            ui.trace.drawn(index, area.y + u16::try_from(start.saturating_sub(offset)).unwrap_or(0));
            for (row, line) in lines(item).into_iter().take(height(item).max(1)).enumerate() {
                let Some(y) = (start + row).checked_sub(offset).filter(|y| *y < room).and_then(|y| u16::try_from(y).ok()) else {
                    continue;
                };
                let y = area.y + y;
                let marked = self.focused && row == 0 && index == self.selected;
                buf.set_line(area.x, y, &text::line([text::span(if marked { ">" } else { " " }, ui.styles.key)]), columns);
                buf.set_line(area.x.saturating_add(1), y, &line, columns.saturating_sub(1));
                if marked {
                    buf.set_style(Rect { y, height: 1, width: columns, ..area }, ui.styles.select);
                }
            }
        }
        if overflow && !ui.trace.on() {
            let x = area.right() - 1;
            let sign = |on: bool, sign: &str| text::line([text::span(if on { sign } else { " " }, ui.styles.key)]);
            buf.set_line(x, area.y, &sign(offset > 0, "^"), 1);
            if room > 1 || offset == 0 {
                buf.set_line(x, area.bottom() - 1, &sign(offset + room < total, "v"), 1);
            }
        }
    }
}
