//! What the command line offers, above it: the commands that are possible here and now and fit what was typed.

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
};

use super::{
    Ui, keymap,
    text::{fit, line, span, width},
};
use crate::app::{Prompt, State};

/// Rows that are left of what lies below.
const LEFT: u16 = 2;

/// Draws it over the lower end of this area.
pub fn draw(state: &State, ui: &Ui, prompt: &Prompt, screen: Size, area: Rect, buf: &mut Buffer) {
    let offers = keymap::offers(state, ui, screen, &prompt.text);
    let room = area.height.saturating_sub(LEFT).min(u16::try_from(offers.len()).unwrap_or(u16::MAX));
    let columns = usize::from(area.width);
    let names = offers.iter().map(|offer| width(&offer.text) + 1 + width(&offer.beside)).max().unwrap_or(0);
    for (index, offer) in offers.iter().take(usize::from(room)).enumerate() {
        let Ok(index_row) = u16::try_from(index) else { break };
        let y = area.bottom() - room + index_row;
        let picked = index == prompt.pick.min(offers.len() - 1);
        let name = format!("{}{} {}", if picked { ">" } else { " " }, offer.text, offer.beside);
        let text = format!("  {}", offer.what);
        let name = fit(&name, (names + 2).min(columns));
        let rest = columns.saturating_sub(width(&name));
        let drawn = line([span(name, ui.styles.key), span(fit(&text, rest), ui.styles.text)]);
        // What lies below is wiped out by what is written over it.
        buf.set_style(Rect { y, height: 1, ..area }, ratatui::style::Style::reset());
        buf.set_line(area.x, y, &drawn, area.width);
        if picked {
            buf.set_style(Rect { y, height: 1, ..area }, ui.styles.select);
        }
    }
}
