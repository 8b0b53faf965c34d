//! The panes: lists of rows that can be selected, explained and copied.
//!
//! A pane computes its rows from the state each time; it holds nothing. Its keys name what a row is about, not where it
//! stands, so that a selection follows its row when others come and go. What it shows of the host is never trusted: all
//! text goes through `ui/text.rs`.
//!
//! To add a pane: one file here with a unit struct that implements [`Pane`], and its two lines below (`mod`, [`ALL`]). The order
//! of [`ALL`] is the order of Tab and of the numbers.

mod causes;
mod changes;
mod checklist;
mod config;
mod load;
mod logs;
mod probes;
mod timeline;

use std::{borrow::Cow, path::PathBuf};

pub use checklist::{CHECKLIST, guide, guided};
pub use config::not_reloaded;
pub use logs::{group_of, sources as log_sources};
use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{Charset, Slot, Ui, text::cut};
use crate::{
    app::{FilterBy, LogFilter, Pattern, Prompt, State},
    model::text as figures,
};

/// Characters of a filter in a title.
const WORD: usize = 16;
/// Rows of which all that is told is searched.
const TOLD_ROWS: usize = 200;

/// What stands in a pane whose filters let nothing pass.
fn filtered_out(ui: &Ui) -> String {
    format!("nothing passes the filters; {} takes them off", ui.keys.named("no-filter"))
}

/// Every pane.
pub static ALL: &[&dyn Pane] = &[
    &checklist::Checklist,
    &causes::Causes,
    &probes::Probes,
    &load::Load,
    &logs::Logs,
    &config::Config,
    &changes::Changes,
    &timeline::Timeline,
];

/// A part of the screen.
pub trait Pane: Sync {
    /// Its id: the word by which state and actions name it.
    fn id(&self) -> &'static str;
    /// What it is there for, and thereby where it stands.
    fn slot(&self) -> Slot;
    /// Whether it has something to say while it is not looked at; else its room belongs to the others.
    fn wanted(&self, _state: &State) -> bool {
        true
    }
    /// Its title, with its figures.
    fn title(&self, state: &State) -> String;
    /// The keys of its rows, in the order in which they are shown.
    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>>;
    /// Index of the row that is drawn as this item of its list in so much room. `None`: the item is a heading.
    fn row_at(&self, _state: &State, _area: Rect, item: usize) -> Option<usize> {
        Some(item)
    }
    /// Index of the row that is selected as long as the person has chosen none.
    fn home(&self, _state: &State) -> usize {
        0
    }
    /// Indices of the rows in which this is found, or in what is told of them.
    fn hits(&self, state: &State, pattern: &Pattern) -> Vec<usize> {
        let ui = Ui::plain();
        let rows = self.rows(state);
        // What is told of thousands of rows takes too long while somebody types.
        let told = rows.len() <= TOLD_ROWS;
        let found = |key: &str| {
            pattern.is_in(key)
                || told
                    && self.explain(state, &ui, key).is_some_and(|lines| lines.iter().any(|line| pattern.is_in(&line.to_string())))
        };
        (0..rows.len()).filter(|index| rows.get(*index).is_some_and(|key| found(key))).collect()
    }
    /// The file and the line, from 1, that a row is about.
    fn edit(&self, _state: &State, _key: &str) -> Option<(PathBuf, u32)> {
        None
    }
    /// The second since the Unix epoch at which a row's matter happened.
    fn time(&self, _state: &State, _key: &str) -> Option<i64> {
        None
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
pub fn selected(state: &State, pane: &dyn Pane, keys: &[impl AsRef<str>]) -> usize {
    let chosen = state.view.selected.get(pane.id()).and_then(|key| keys.iter().position(|known| known.as_ref() == key));
    chosen.unwrap_or_else(|| pane.home(state).min(keys.len().saturating_sub(1)))
}

/// The filter that is being typed for the pane with this id: it shows at once what it would leave.
fn pending(state: &State, pane: &str) -> Option<LogFilter> {
    state.view.prompt.as_ref().filter(|_| state.view.focus == pane).and_then(Prompt::filter)
}

/// The filters of a pane other than the logs, which have their own.
fn filters(state: &State, pane: &dyn Pane) -> Vec<LogFilter> {
    let known = state.view.narrow.get(pane.id()).into_iter().flatten().cloned();
    known.chain(pending(state, pane.id()).filter(|_| pane.id() != "logs")).collect()
}

/// Whether a row with this key passes the filters of its pane. What is compared is its key and the first part of what is told of it: the
/// rest explains what holds for others, too.
fn passing<'a>(state: &'a State, pane: &'a dyn Pane) -> impl Fn(&str) -> bool + 'a {
    let filters = filters(state, pane);
    let ui = (!filters.is_empty()).then(Ui::plain);
    move |key| {
        let Some(ui) = &ui else { return true };
        let told = || pane.explain(state, ui, key).unwrap_or_default();
        let has = |pattern: &Pattern| {
            let first = told().into_iter().map(|line| line.to_string()).take_while(|text| !text.trim().is_empty());
            pattern.is_in(key) || first.into_iter().any(|text| pattern.is_in(&text))
        };
        filters.iter().all(|filter| match &filter.about {
            FilterBy::Text(pattern) => has(pattern) != filter.hide,
            FilterBy::Row(row) => (row == key) != filter.hide,
            FilterBy::Group(..) => true,
        })
    }
}

/// What is left out of a pane, in words for its title.
pub fn narrowed(state: &State, pane: &dyn Pane) -> String {
    let words = filters(state, pane).into_iter().map(|filter| {
        let sign = if filter.hide { '-' } else { '+' };
        match filter.about {
            FilterBy::Text(pattern) => format!("  {sign}\"{}\"", cut(pattern.text(), WORD)),
            FilterBy::Row(key) | FilterBy::Group(_, key) => {
                format!("  {sign}<{}>", cut(key.rsplit('\u{1f}').next().unwrap_or_default(), WORD))
            }
        }
    });
    let words: String = words.collect();
    if words.is_empty() { words } else { format!("{words}  {} shown, X: all", pane.rows(state).len()) }
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
    buf.set_stringn(area.x, area.y, sign, usize::from(area.width), style);
    let room = usize::from(area.width.saturating_sub(1));
    let named = if focused { ui.styles.focus } else { ui.styles.strong };
    let (end, _) = buf.set_stringn(area.x.saturating_add(1), area.y, &title, room, named);
    for x in end..area.right() {
        if let Some(cell) = buf.cell_mut((x, area.y)) {
            cell.set_symbol(sign).set_style(style);
        }
    }
}

/// Draws a pane with its rule.
pub fn draw_framed(state: &State, ui: &Ui, index: usize, pane: &dyn Pane, area: Rect, buf: &mut Buffer) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let focused = super::focus(state) == index;
    let search = state.view.logs.search.as_ref().filter(|_| focused && pane.id() != "logs");
    let found = search.map_or_else(String::new, |search| {
        format!("  /{} {}", cut(search.text(), 20), figures::thousands(pane.hits(state, search).len() as u64))
    });
    rule(ui, &format!("{} {}{}{found}", index + 1, pane.title(state), narrowed(state, pane)), focused, area, buf);
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
