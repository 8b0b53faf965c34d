//! The last line: what is being typed, a message to the person, or the keys that do something now.

use std::ops::Range;

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    style::Style,
    text::Line,
};

use super::{
    MESSAGE_S, Ui, focus,
    keymap::{self, Hint},
    overlay::Extent,
    pane,
    text::{clean, fixed, line, span, width},
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
        Ask::Note => "note: ",
        Ask::Skip => "skipped because: ",
        Ask::Command => ":",
        Ask::Vantage => "seen elsewhere, file: ",
    };
    let told = match (&prompt.pattern, prompt.ask) {
        (_, Ask::Vantage) => "or paste the JSON".to_owned(),
        _ if prompt.bad() => "no regular expression".to_owned(),
        (_, Ask::Note | Ask::Skip) => prompt.about.as_ref().map_or_else(String::new, |step| format!("about {step}")),
        (_, Ask::Command) => "Tab completes, Up and Down pick".to_owned(),
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
    let mut spans = vec![span(sign, styles.key), span(text, bad), fixed(" ", styles.select)];
    let rest = columns.saturating_sub(width(sign) + width(text) + 1);
    if width(&end) <= rest {
        spans.push(span(end, if prompt.bad() { styles.bad } else { styles.quiet }));
    }
    line(spans)
}

/// Draws it. `extent`: of what lies over the panes, where that was drawn.
pub fn draw(state: &State, ui: &Ui, screen: Size, extent: Option<Extent>, area: Rect, buf: &mut Buffer) {
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
    for (_, hint) in placed(state, ui, screen, extent, area.width) {
        if !out.is_empty() {
            out.push(fixed("  ", Style::new()));
        }
        out.push(span(hint.label, ui.styles.key));
        out.push(span(format!(" {}", hint.hint), ui.styles.text));
    }
    buf.set_line(area.x, area.y, &line(out), area.width);
}

/// The keys that there is room for, each with the columns in which it stands.
pub fn placed<'a>(state: &State, ui: &'a Ui, screen: Size, extent: Option<Extent>, columns: u16) -> Vec<(Range<u16>, Hint<'a>)> {
    let mut out = Vec::new();
    let mut next = 0_usize;
    for hint in keymap::hints(state, ui, screen, extent) {
        let end = next + width(hint.label) + 1 + width(hint.hint);
        if end > usize::from(columns) {
            break;
        }
        let column = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        out.push((column(next)..column(end), hint));
        next = end + 2;
    }
    out
}
