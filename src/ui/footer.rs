//! The last line: what is being typed, a message to the person, or the keys that do something now.

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    style::Style,
    text::Line,
};

use super::{
    MESSAGE_S, Ui, focus, keymap, pane,
    text::{clean, line, span, width},
};
use crate::{
    app::{Ask, Prompt, State},
    model::text::thousands,
};

/// What is being typed, with the sign of its key before it and what can be done with it behind it.
fn asked(state: &State, ui: &Ui, prompt: &Prompt, columns: usize) -> Line<'static> {
    let styles = &ui.styles;
    let sign = match prompt.ask {
        Ask::Find => "find: ",
        Ask::Only => "show only: ",
        Ask::Hide => "hide: ",
    };
    let told = match (&prompt.pattern, prompt.ask) {
        _ if prompt.bad() => "no regular expression".to_owned(),
        (Some(pattern), Ask::Find) => {
            let found = pane::ALL.get(focus(state)).map_or(0, |pane| pane.hits(state, pattern).len());
            format!("{} found", thousands(found as u64))
        }
        (None, _) => "text, or ~regular expression".to_owned(),
        (Some(_), _) => String::new(),
    };
    let end = format!("  {told}  Enter takes it, Esc leaves");
    let text = clean(&prompt.text);
    // The end of what is typed is what has to be seen.
    let room = columns.saturating_sub(width(sign) + 2).max(1);
    let mut from = text.len();
    while from > 0 && width(&text[text.floor_char_boundary(from - 1)..]) <= room {
        from = text.floor_char_boundary(from - 1);
    }
    let text = &text[from..];
    let bad = if prompt.bad() { styles.bad } else { styles.text };
    let mut spans = vec![span(sign, styles.key), span(text, bad), span(" ", styles.select)];
    let rest = columns.saturating_sub(width(sign) + width(text) + 1);
    if width(&end) <= rest {
        spans.push(span(end, if prompt.bad() { styles.bad } else { styles.quiet }));
    }
    line(spans)
}

/// Draws it.
pub fn draw(state: &State, ui: &Ui, screen: Size, area: Rect, buf: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    if let Some(prompt) = &state.view.prompt {
        buf.set_line(area.x, area.y, &asked(state, ui, prompt, usize::from(area.width)), area.width);
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
