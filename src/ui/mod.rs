//! Layer 5: `&State` to cells. Pure: no clock, no terminal, no host; the same state draws the same screen.
//!
//! ```text
//! header.rs  why502 gw1  nginx/1.22.1 :443  shop.example.com  502 since 02:17:41 (13m26s)  02:31:07Z     where, since when
//!            CRITICAL  confirmed upstream-down: nothing listens on 127.0.0.1:8000   for 3 against 0     verdict
//!            client OK > gateway 502 > name -- > connect REFUSED! > app ?               97% of 120     path
//! pane/      -1 CHECKLIST 9/14------------------ -3 PROBES as www-data-----------------------------
//!            >[x] 1 repeat the request      502  gw   shop.example.com/    502      3 !!!!!!!!
//!             [!] 2 upstream listens         NO  up   127.0.0.1:8000/      REFUSED  0 !!!!!!!!
//!            -2 CAUSES--------------------------- -4 LOAD----------------------------------------
//!            -5 LOGS 3 groups--------------------------------------------------------------------
//! footer.rs  ? help  Tab next  Enter why  y copy ...                    only keys that do something now
//! overlay.rs an explanation, or the keys, over the panes
//! ```
//!
//! `layout.rs` says where everything stands, `keymap.rs` turns keys into [`crate::app::Action`]s (the only place that
//! knows keys), `style.rs` and `text.rs` are the only ways to a style and to a [`ratatui::text::Span`]. What a log line, a
//! header or a file name holds goes through `text.rs`, so nothing of it can reach the terminal as a control character.
//!
//! To add a pane: one file in `pane/` and its line in [`pane::ALL`]. To add a key: one entry in `keymap.rs` or in the file of its pane below `keymap/`.

mod compare;
mod doc;
mod footer;
mod header;
pub mod keymap;
mod layout;
pub mod linear;
mod list;
mod overlay;
mod palette;
pub mod pane;
mod paper;
mod spark;
mod style;
mod text;
mod trace;

use jiff::{Timestamp, tz::TimeZone};
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Rect, Size},
    widgets::{Clear, Widget as _},
};

pub use keymap::Keys;
pub use layout::{Places, Slot};
pub use style::{Styles, THEMES, Theme};

use self::trace::Trace;
use crate::app::{Ask, State};

/// Seconds for which a message to the person stays.
const MESSAGE_S: i64 = 6;
/// Seconds since a log line within which it is told as `now`: two rounds of the slowest collector.
const NOW_S: i64 = 20;
const DAY_S: i64 = 86_400;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// ASCII alone: other characters become `?`.
    Ascii,
    /// Any visible character.
    Unicode,
}

/// How this terminal is drawn on: chosen once, at start.
#[derive(Debug, Clone, PartialEq)]
pub struct Ui {
    /// A style for each meaning.
    pub styles: Styles,
    /// What can be shown.
    pub charset: Charset,
    /// The host's zone, for those who asked for it; UTC until `shell/` sets it.
    pub zone: TimeZone,
    /// The keys of this person.
    pub keys: Keys,
    /// Where a list tells which rows it drew; nobody asks as long as it is off.
    trace: Trace,
}

impl Ui {
    /// The look for a terminal of this kind (`TERM`). `no_color`: `NO_COLOR` is set and not empty (no-color.org). `utf8`: the locale
    /// says UTF-8 (`LC_ALL`, `LC_CTYPE`, `LANG`, the first that is set). `ascii`: asked for by `--ascii`.
    pub fn choose(term: Option<&str>, no_color: bool, utf8: bool, ascii: bool) -> Self {
        let term = term.unwrap_or("dumb");
        let has = |names: &[&str]| names.iter().any(|name| term == *name || term.starts_with(&format!("{name}-")));
        // Those of terminfo(5) without `setaf`.
        let colourless =
            term.is_empty() || term.ends_with("-m") || term.ends_with("-mono") || has(&["dumb", "vt52", "vt100", "vt102", "vt220"]);
        // The console's fonts have 256 or 512 glyphs (console_codes(4)); the DEC terminals have no UTF-8.
        let plain = ascii || !utf8 || term.is_empty() || has(&["linux", "dumb", "vt52", "vt100", "vt102", "vt220"]);
        Self {
            styles: if no_color || colourless { Styles::mono() } else { Styles::colour() },
            charset: if plain { Charset::Ascii } else { Charset::Unicode },
            ..Self::plain()
        }
    }

    /// For texts that are searched and not shown.
    pub fn plain() -> Self {
        Self {
            styles: Styles::mono(),
            charset: Charset::Unicode,
            zone: TimeZone::UTC,
            keys: Keys::default(),
            trace: Trace::default(),
        }
    }

    fn zone(&self, state: &State) -> TimeZone {
        if state.view.local_time { self.zone.clone() } else { TimeZone::UTC }
    }

    fn format(&self, state: &State, second: i64, format: &str) -> String {
        Timestamp::from_second(second)
            .map_or_else(|_| "?".to_owned(), |at| at.to_zoned(self.zone(state)).strftime(format).to_string())
    }

    /// The time of the state, with its zone.
    pub fn clock_of(&self, state: &State) -> String {
        self.clock(state, state.now.wall_s())
    }

    /// `02:31:07Z`, or `03:31:07 CET`: the time with its zone.
    fn clock(&self, state: &State, second: i64) -> String {
        self.format(state, second, if state.view.local_time { "%H:%M:%S %Z" } else { "%H:%M:%SZ" })
    }

    /// `02:17:41`, or `11-19 02:17` when that is more than half a day ago.
    fn moment(&self, state: &State, second: i64) -> String {
        let far = (state.now.wall_s() - second).abs() > DAY_S / 2;
        self.format(state, second, if far { "%m-%d %H:%M" } else { "%H:%M:%S" })
    }

    fn moment_or_now(&self, state: &State, second: i64) -> String {
        if is_now(state, second) { "now".to_owned() } else { self.moment(state, second) }
    }

    /// `2026-11-20 02:17:41Z`.
    fn full(&self, state: &State, second: i64) -> String {
        self.format(state, second, if state.view.local_time { "%Y-%m-%d %H:%M:%S %Z" } else { "%Y-%m-%d %H:%M:%SZ" })
    }

    /// `02:17:41..now`, `02:17:38..02:17:41`, `02:17:40`: from when until when.
    fn span_of(&self, state: &State, first: Option<i64>, last: Option<i64>) -> String {
        let (Some(first), Some(last)) = (first, last) else { return "?".to_owned() };
        let end = self.moment_or_now(state, last);
        let begin = self.moment(state, first);
        // `11-19 02:17..02:18`: the day is told once.
        let end = match (begin.split_once(' '), end.split_once(' ')) {
            (Some((day, _)), Some((same, time))) if day == same => time.to_owned(),
            _ => end,
        };
        if first == last { self.moment_or_now(state, last) } else { format!("{begin}..{end}") }
    }
}

/// Whether this second is now, for what comes with the delay of a collector.
fn is_now(state: &State, second: i64) -> bool {
    state.shown().0.now.wall_s() - second <= NOW_S
}

/// Id of the pane that has the focus at first.
pub fn first_pane() -> &'static str {
    pane::ALL.first().map_or("", |pane| pane.id())
}

/// Index of the focused pane; the first when the state names none that exists.
fn focus(state: &State) -> usize {
    pane::ALL.iter().position(|pane| pane.id() == state.view.focus).unwrap_or(0)
}

/// Where everything stands on a screen of this size.
fn places(state: &State, screen: Size) -> Places {
    let focus = focus(state);
    let slot = |(index, pane): (usize, &&dyn pane::Pane)| (index == focus || pane.wanted(state)).then(|| pane.slot());
    let slots: Vec<Option<Slot>> = pane::ALL.iter().enumerate().map(slot).collect();
    layout::places(Rect::new(0, 0, screen.width, screen.height), &slots, focus, state.view.zoom)
}

/// Draws the whole screen.
pub fn draw(state: &State, ui: &Ui, frame: &mut Frame<'_>) {
    let area = frame.area();
    draw_to(state, ui, area, frame.buffer_mut());
}

/// Draws the clock and what stands with it anew, and the rest as in `shown`, a frame of this size, which is given up for it.
pub fn draw_clock(state: &State, ui: &Ui, shown: &mut Buffer, frame: &mut Frame<'_>) {
    let header = places(state, frame.area().as_size()).header;
    let buf = frame.buffer_mut();
    std::mem::swap(&mut buf.content, &mut shown.content);
    Clear.render(header, buf);
    header::draw(state, ui, header, buf);
    guard(ui.charset, buf);
}

/// Draws the whole screen into a buffer that begins at 0,0.
fn draw_to(state: &State, ui: &Ui, area: Rect, buf: &mut Buffer) {
    let at = places(state, area.as_size());
    header::draw(state, ui, at.header, buf);
    let extent = overlay::draw(state, ui, at.body, buf);
    if extent.is_none() {
        for (index, rect) in &at.panes {
            if let Some(pane) = pane::ALL.get(*index) {
                pane::draw_framed(state, ui, *index, *pane, *rect, buf);
            }
        }
    }
    if let Some(prompt) = state.view.prompt.as_ref().filter(|prompt| prompt.ask == Ask::Command) {
        palette::draw(state, ui, prompt, area.as_size(), at.body, buf);
    }
    footer::draw(state, ui, area.as_size(), extent, at.footer, buf);
    guard(ui.charset, buf);
}

/// The last door: whatever a pane did, no cell holds what the terminal would obey or could not show.
fn guard(charset: Charset, buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !text::showable(cell.symbol(), charset) {
            cell.set_char(relative(cell.symbol()));
        }
    }
}

/// What stands for a character that cannot be shown: what our own sentences use has a near relative in ASCII.
fn relative(symbol: &str) -> char {
    match symbol {
        "\u{d7}" => 'x',
        "\u{2026}" => '~',
        "\u{2013}" | "\u{2014}" => '-',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_follows_the_terminal() {
        let look = |term, no_color, utf8, ascii| {
            let ui = Ui::choose(term, no_color, utf8, ascii);
            (ui.styles == Styles::colour(), ui.charset == Charset::Unicode)
        };
        assert_eq!(look(Some("xterm-256color"), false, true, false), (true, true));
        assert_eq!(look(Some("xterm"), true, true, false), (false, true), "NO_COLOR");
        assert_eq!(look(Some("xterm"), false, false, false), (true, false), "LANG=C");
        assert_eq!(look(Some("screen"), false, true, true), (true, false), "--ascii");
        assert_eq!(look(Some("linux"), false, true, false), (true, false));
        assert_eq!(look(Some("vt100"), false, true, false), (false, false));
        assert_eq!(look(Some("something-unknown"), false, true, false), (true, true));
        assert_eq!(look(None, false, true, false), (false, false));
    }

    #[test]
    fn what_slips_through_is_stopped_at_the_last_door() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 1));
        for (cell, symbol) in buf.content.iter_mut().zip(["\u{1b}", "\u{202e}", "é", "x"]) {
            cell.set_symbol(symbol);
        }
        guard(Charset::Unicode, &mut buf);
        assert_eq!(buf.content.iter().map(|cell| cell.symbol().to_owned()).collect::<String>(), "??éx");
        guard(Charset::Ascii, &mut buf);
        assert_eq!(buf.content.iter().map(|cell| cell.symbol().to_owned()).collect::<String>(), "???x");
    }
}
