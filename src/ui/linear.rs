//! The same panes as plain lines, for who hears the screen or has a line too slow for one: no colours, no places, no marks that
//! only mean something beside others. What is drawn is drawn by the panes themselves, so nothing is there that the screens do not have.

use ratatui::{
    buffer::Buffer,
    layout::{Rect, Size},
    text::Line,
};

use super::{
    Ui, header, overlay,
    pane::{self, Pane},
    relative,
    text::{line, showable, span, wrap},
    trace::Trace,
};
use crate::app::{Ask, Prompt, State};

/// Columns in which a pane is drawn before its lines are broken: as many as its widest columns use.
const COLUMNS: u16 = 160;
/// Columns in which the lines of the header are drawn: its sentences are told whole.
const SENTENCE: u16 = 600;
/// Lines of a pane that are drawn, at most: more than anybody listens to, around the selected one.
const LINES: u16 = 400;
/// Lines of a pane beside those of its rows: headings, columns, the line of time.
const BESIDE: usize = 12;
/// Signs of a chart, and how many of them in a row are one: nobody wants to hear forty dots.
const CHART_SIGNS: &str = "._-:=+*#%@!?/\u{2581}\u{2582}\u{2583}\u{2584}\u{2585}\u{2586}\u{2587}\u{2588}";
const CHART: usize = 6;
/// Columns by which the further lines of a row are set in.
const INDENT: &str = "   ";

/// A line, and the row that begins with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Index of the row. `None`: it goes on with the row before, or is none.
    pub row: Option<usize>,
    /// The text.
    pub text: String,
}

/// A text without what this terminal cannot show.
fn shown(ui: &Ui, text: &str) -> String {
    let mut bytes = [0; 4];
    let c = |c: char| if showable(c.encode_utf8(&mut bytes), ui.charset) { c } else { relative(c.encode_utf8(&mut [0; 4])) };
    text.chars().map(c).collect()
}

/// The same, its wide gaps closed.
fn close(ui: &Ui, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blanks = 0;
    for c in text.trim_end().chars() {
        blanks = if c == ' ' { blanks + 1 } else { 0 };
        // What stood in columns is parted by two blanks.
        if blanks > 2 && !out.is_empty() {
            continue;
        }
        out.push(c);
    }
    let noise = |word: &str| word.chars().count() >= CHART && word.chars().all(|c| CHART_SIGNS.contains(c));
    let out = shown(ui, &out);
    if out.split(' ').any(noise) { out.split(' ').filter(|word| !noise(word)).collect::<Vec<_>>().join(" ") } else { out }
}

fn rows_of(ui: &Ui, buf: &Buffer) -> Vec<String> {
    let rows = buf.content.chunks(usize::from(buf.area.width).max(1));
    rows.map(|row| close(ui, &row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>())).collect()
}

/// Breaks a text into lines of so many columns.
pub fn broken(ui: &Ui, text: &str, columns: u16) -> Vec<String> {
    let lines = wrap([line([span(shown(ui, text), ui.styles.text)])], usize::from(columns));
    lines.iter().enumerate().map(|(at, line)| if at == 0 { line.to_string() } else { format!("{INDENT}{line}") }).collect()
}

/// Where, since when, the verdict, the path: the sentences that stand on top of the screen.
pub fn status(state: &State, ui: &Ui) -> Vec<String> {
    let area = Rect::new(0, 0, SENTENCE, 3);
    let mut buf = Buffer::empty(area);
    header::draw(state, ui, area, &mut buf);
    let names = ["", "verdict: ", "path: "];
    rows_of(ui, &buf).into_iter().zip(names).map(|(text, name)| format!("{name}{text}")).collect()
}

/// The title of a pane, with its number.
pub fn title(state: &State, ui: &Ui, pane: &dyn Pane) -> String {
    let number = pane::ALL.iter().position(|known| known.id() == pane.id()).map_or(0, |at| at + 1);
    close(ui, &format!("{number} {}{}", pane.title(state), pane::narrowed(state, pane)))
}

/// The lines of a pane.
pub fn rows(state: &State, ui: &Ui, pane: &dyn Pane) -> Vec<Listed> {
    let ui = Ui { trace: Trace::listening(), ..ui.clone() };
    let room = pane.rows(state).len().saturating_mul(3).saturating_add(BESIDE);
    let area = Rect::new(0, 0, COLUMNS, u16::try_from(room).unwrap_or(LINES).min(LINES));
    let mut buf = Buffer::empty(area);
    pane.draw(state, &ui, false, area, &mut buf);
    let begins: Vec<(Option<usize>, u16)> =
        ui.trace.rows().into_iter().map(|(item, y)| (pane.row_at(state, area, item), y)).collect();
    let listed = rows_of(&ui, &buf).into_iter().zip(0_u16..).map(|(text, y)| {
        let row = begins.iter().find(|(_, begin)| *begin == y).and_then(|(row, _)| *row);
        Listed { row, text: text.trim_start().to_owned() }
    });
    listed.filter(|listed| !listed.text.is_empty()).collect()
}

/// What lies over the panes: its title and its lines.
pub fn overlay(state: &State, ui: &Ui, columns: u16, screen: Size) -> Option<(String, Vec<String>)> {
    let (title, lines) = overlay::content(state, ui, columns.saturating_add(2), screen)?;
    Some((title, lines.iter().map(|line: &Line<'_>| close(ui, &line.to_string())).collect()))
}

/// What is asked for when something is to be typed.
pub fn asked(prompt: &Prompt) -> &'static str {
    match prompt.ask {
        Ask::Command => "command: ",
        Ask::Find => "find: ",
        Ask::Only => "show only: ",
        Ask::Hide => "hide: ",
        Ask::Note => "note: ",
        Ask::Skip => "skipped because: ",
        Ask::Vantage => "seen elsewhere, file: ",
    }
}
