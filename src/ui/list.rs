//! A list of rows that scrolls with its selection. It keeps no offset: the same state draws the same screen.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::Ui;

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
    /// The first line that is seen, of so many. The selected row stays around the middle, so that what comes before and after it can be
    /// seen; and it moves while the others stand still, half a page at a time, because a slow line takes its time for each that moves.
    fn offset(&self, starts: &[usize], total: usize, room: usize, height: &impl Fn(&T) -> usize) -> usize {
        let at = starts.get(self.selected).copied().unwrap_or(0);
        let end = at + self.items.get(self.selected).map_or(1, |item| height(item).max(1)).min(room);
        let step = (room / 2).max(1);
        let offset = at.saturating_sub(room / 4) / step * step;
        offset.max(end.saturating_sub(room)).min(total.saturating_sub(room))
    }

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
        let offset = self.offset(&starts, total, room, &height);
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
                buf.set_stringn(area.x, y, if marked { ">" } else { " " }, usize::from(columns), ui.styles.key);
                buf.set_line(area.x.saturating_add(1), y, &line, columns.saturating_sub(1));
                if marked {
                    buf.set_style(Rect { y, height: 1, width: columns, ..area }, ui.styles.select);
                }
            }
        }
        if overflow && !ui.trace.on() {
            let x = area.right() - 1;
            let mut put = |y, on, sign| buf.set_stringn(x, y, if on { sign } else { " " }, 1, ui.styles.key);
            put(area.y, offset > 0, "^");
            if room > 1 || offset == 0 {
                put(area.bottom() - 1, offset + room < total, "v");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_still_while_one_goes_through_them_and_the_selected_one_is_seen() {
        for (tall, room) in [(1, 7), (1, 1), (1, 2), (3, 8), (5, 4), (2, 100)] {
            let items = [(); 20];
            let starts: Vec<usize> = (0..items.len()).map(|index| index * tall).collect();
            let total = items.len() * tall;
            let offsets: Vec<usize> = (0..items.len())
                .map(|selected| List { items: &items, selected, focused: true }.offset(&starts, total, room, &|()| tall))
                .collect();
            for (start, offset) in starts.iter().zip(&offsets) {
                assert!(offset <= start && start + tall.min(room) <= offset + room, "{tall} lines in {room}: {offsets:?}");
            }
            let moves = offsets.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(moves <= 1 + total / (room / 2).max(1), "{tall} lines in {room}: {offsets:?}");
        }
    }
}
