//! Text on its way to cells: made safe, measured in columns, cut, padded, wrapped.
//!
//! **The only place that makes a [`Span`]**: everything shown goes through [`clean`], so that no byte of a log line, a
//! header, a file name or a configuration can reach the terminal as anything but a visible character.

use std::borrow::Cow;

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Charset;
use crate::{app::Pattern, model::text::shown};

/// Marks that may stand on one base character. Natural languages need two or three (Vietnamese, pointed Hebrew); stacks of
/// hundreds spill over the neighbouring lines of a terminal.
const MARKS: usize = 3;
/// Columns by which a wrapped line is set in at most.
const INDENT: usize = 16;

/// One line of text without control, invisible and piled-up characters.
pub fn clean(text: &str) -> String {
    cleaned(text).into_owned()
}

/// The same; nearly every text is clean.
fn cleaned(text: &str) -> Cow<'_, str> {
    let shown = shown(text);
    if shown.is_ascii() {
        return shown;
    }
    let mut out = String::with_capacity(shown.len());
    // A mark at the very start has nothing to stand on, and would join whatever was drawn before it.
    let mut marks = MARKS;
    for c in shown.chars() {
        if c.width() != Some(0) {
            marks = 0;
            out.push(c);
        } else if marks < MARKS {
            marks += 1;
            out.push(c);
        } else {
            out.push('\u{fffd}');
        }
    }
    Cow::Owned(out)
}

/// A piece of a line in one style. Most are made for this, and are taken as they are.
pub fn span(text: impl AsRef<str> + Into<String>, style: Style) -> Span<'static> {
    let other = match cleaned(text.as_ref()) {
        Cow::Borrowed(_) => None,
        Cow::Owned(other) => Some(other),
    };
    Span::styled(other.unwrap_or_else(|| text.into()), style)
}

/// A piece of a line in our own words.
pub fn fixed(words: &'static str, style: Style) -> Span<'static> {
    Span::styled(words, style)
}

/// Pieces of a text, those in which `search` finds something in the style `found`.
pub fn marked(text: &str, search: Option<&Pattern>, style: Style, found: Style) -> Vec<Span<'static>> {
    let Some(search) = search else { return vec![span(text, style)] };
    let text = clean(text);
    let mut spans = Vec::new();
    let mut from = 0;
    for place in search.places(&text) {
        spans.push(span(&text[from..place.start], style));
        spans.push(span(&text[place.clone()], found));
        from = place.end;
    }
    spans.push(span(&text[from..], style));
    spans.retain(|span| !span.content.is_empty());
    spans
}

/// A line of pieces.
pub fn line(spans: impl IntoIterator<Item = Span<'static>>) -> Line<'static> {
    Line::from(spans.into_iter().collect::<Vec<_>>())
}

/// The characters of a text as a reader sees them. Nearly all of what is shown is ASCII, which needs no look into Unicode's tables.
fn graphemes(text: &str) -> impl Iterator<Item = &str> {
    let mut ascii = if text.is_ascii() { text } else { "" };
    let mut others = text[ascii.len()..].graphemes(true);
    std::iter::from_fn(move || {
        let (one, rest) = ascii.split_at_checked(1)?;
        ascii = rest;
        Some(one)
    })
    .chain(std::iter::from_fn(move || others.next()))
}

/// Columns of one of them.
fn columns_of(grapheme: &str) -> usize {
    if grapheme.len() == 1 { 1 } else { grapheme.width() }
}

/// Columns of a text that is clean.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { graphemes(text).map(columns_of).sum() }
}

/// The text, cut to so many columns; what was cut shows as `~`.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    let text = cleaned(text);
    if width(&text) <= columns {
        return text;
    }
    let mut out = String::with_capacity(text.len().min(columns.saturating_mul(4)));
    let mut used = 0;
    for grapheme in graphemes(&text) {
        let wide = columns_of(grapheme);
        // One column is kept for the mark.
        if used + wide >= columns {
            break;
        }
        used += wide;
        out.push_str(grapheme);
    }
    if columns > 0 {
        out.push('~');
    }
    Cow::Owned(out)
}

/// A line, cut to so many columns.
pub fn cut_line(line: &Line<'static>, columns: usize) -> Line<'static> {
    let mut room = columns;
    let mut spans = Vec::new();
    for span in &line.spans {
        let shown = cut(&span.content, room);
        let whole = width(&span.content) <= room;
        room = room.saturating_sub(width(&shown));
        spans.push(Span::styled(shown.into_owned(), span.style));
        if !whole {
            break;
        }
    }
    Line::from(spans)
}

/// Exactly so many columns: cut, or padded at its end.
pub fn fit(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    let mut out = String::with_capacity(text.len() + blanks);
    out.push_str(&text);
    out.extend(std::iter::repeat_n(' ', blanks));
    out
}

/// Exactly so many columns: cut, or padded at its begin.
pub fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    let mut out = String::with_capacity(text.len() + blanks);
    out.extend(std::iter::repeat_n(' ', blanks));
    out.push_str(&text);
    out
}

/// `[####      ]` of a share in percent, so many columns wide.
pub fn bar(percent: f64, columns: usize) -> String {
    let inside = columns.saturating_sub(2);
    let full = (0..inside).filter(|cell| (*cell as f64 + 0.5) * 100.0 < percent * inside as f64).count();
    let inner = std::iter::repeat_n('#', full).chain(std::iter::repeat_n(' ', inside - full));
    std::iter::once('[').chain(inner).chain(std::iter::once(']')).collect()
}

/// Columns of a line.
pub fn line_width(line: &Line<'_>) -> usize {
    line.spans.iter().map(|span| width(&span.content)).sum()
}

/// Wraps lines at blanks. What follows the first row of each is set in like the text of the first: behind its first span, when that
/// ends in a blank.
pub fn wrap(lines: impl IntoIterator<Item = Line<'static>>, columns: usize) -> Vec<Line<'static>> {
    let lines = lines.into_iter();
    let mut rows = Vec::with_capacity(lines.size_hint().0);
    for line in lines {
        if columns == 0 || line_width(&line) <= columns {
            rows.push(line);
        } else {
            rows.append(&mut broken(&line, columns));
        }
    }
    rows
}

/// The rows of a line that is longer than that.
fn broken(line: &Line<'static>, columns: usize) -> Vec<Line<'static>> {
    let mut cells: Vec<(&str, Style)> = Vec::with_capacity(line.spans.iter().map(|span| span.content.len()).sum());
    cells.extend(line.spans.iter().flat_map(|span| graphemes(&span.content).map(move |g| (g, span.style))));
    let blank = |index: usize| cells.get(index).is_none_or(|(g, _)| *g == " ");
    let lead = (0..cells.len()).take_while(|index| blank(*index)).count();
    // What the line begins with: a sign, the name of a field, or blanks alone.
    let head = line.spans.first().filter(|first| first.content.ends_with(' ')).map_or(0, |first| graphemes(&first.content).count());
    let sign = head.saturating_sub(lead);
    let indent = (lead + sign).min(INDENT).min(columns / 2);
    let mut rows = Vec::new();
    let mut from = 0;
    while from < cells.len() {
        let room = if rows.is_empty() { columns } else { columns - indent };
        let mut to = from;
        let mut used = 0;
        while to < cells.len() && used + columns_of(cells[to].0) <= room {
            used += columns_of(cells[to].0);
            to += 1;
        }
        // A grapheme wider than the whole room would never fit.
        to = to.max(from + 1);
        let floor = if rows.is_empty() { from + lead + sign } else { from };
        if to < cells.len()
            && let Some(at) = (floor + 1..=to).rev().find(|at| blank(*at))
        {
            to = at;
        }
        let mut spans: Vec<Span<'static>> = Vec::new();
        if !rows.is_empty() && indent > 0 {
            spans.push(Span::raw(" ".repeat(indent)));
        }
        for (grapheme, style) in &cells[from..to] {
            match spans.last_mut() {
                Some(last) if last.style == *style => last.content.to_mut().push_str(grapheme),
                _ => {
                    let mut text = String::with_capacity(columns);
                    text.push_str(grapheme);
                    spans.push(Span::styled(text, *style));
                }
            }
        }
        rows.push(Line::from(spans));
        from = to;
        while from < cells.len() && blank(from) {
            from += 1;
        }
    }
    rows
}

/// Whether a symbol of a cell may go to a terminal with this character set.
pub fn showable(symbol: &str, charset: Charset) -> bool {
    // What nearly all cells hold.
    if matches!(symbol.as_bytes(), [b' '..=b'~']) {
        return true;
    }
    match charset {
        // A terminal that does not expect UTF-8 may take its bytes 0x80 to 0x9f for control characters.
        Charset::Ascii => symbol.bytes().all(|b| (0x20..0x7f).contains(&b)),
        Charset::Unicode => !symbol.chars().any(|c| c.is_control() || crate::model::text::is_invisible(c)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(line: &Line<'_>) -> String {
        line.spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn wide_characters_are_never_halved() {
        assert_eq!(
            (cut("日本語", 6), cut("日本語", 5), cut("日本語", 4), cut("abc", 0)),
            ("日本語".into(), "日本~".into(), "日~".into(), "".into())
        );
        assert_eq!((fit("日", 4), right("ab", 4)), ("日  ".into(), "  ab".into()));
    }

    proptest! {
        #[test]
        fn what_is_read_quickly_is_the_same(text in "[ -~\\PC]{0,40}") {
            let text = clean(&text);
            prop_assert_eq!(graphemes(&text).collect::<Vec<_>>(), text.graphemes(true).collect::<Vec<_>>());
            prop_assert_eq!(width(&text), text.graphemes(true).map(UnicodeWidthStr::width).sum::<usize>());
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        let shown = clean(&format!("a{}b", "\u{301}".repeat(500)));
        assert_eq!(shown.chars().filter(|c| *c == '\u{301}').count(), MARKS);
        assert!(!clean("\u{301}a").starts_with('\u{301}'));
    }

    #[test]
    fn a_wrapped_line_is_set_in_behind_its_sign() {
        let rows: Vec<String> = wrap([line([span("+ ", Style::new()), span("connect as www-data is refused", Style::new())])], 16)
            .iter()
            .map(plain)
            .collect();
        assert_eq!(rows, ["+ connect as", "  www-data is", "  refused"]);
    }

    #[test]
    fn what_was_found_is_marked_and_nothing_is_lost() {
        let search = Pattern::new("up").expect("a pattern");
        let found = Style::new().add_modifier(ratatui::style::Modifier::UNDERLINED);
        let spans = marked("up, up\u{1b} and down", Some(&search), Style::new(), found);
        let told: Vec<(&str, bool)> = spans.iter().map(|span| (span.content.as_ref(), span.style == found)).collect();
        assert_eq!(told, [("up", true), (", ", false), ("up", true), ("\\x1b and down", false)]);
    }

    #[test]
    fn a_bar_is_full_only_when_it_is() {
        assert_eq!(
            (bar(0.0, 12), bar(41.0, 12), bar(100.0, 12)),
            ("[          ]".into(), "[####      ]".into(), "[##########]".into())
        );
        assert_eq!(bar(50.0, 0), "[]");
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_word_and_the_width(words in proptest::collection::vec("[a-z日]{1,30}", 1..20), columns in 2usize..40) {
            let text = words.join(" ");
            let rows = wrap([line([span(&text, Style::new())])], columns);
            let kept: String = rows.iter().map(plain).collect::<String>().replace(' ', "");
            prop_assert_eq!(kept, text.replace(' ', ""));
            prop_assert!(rows.iter().all(|row| line_width(row) <= columns));
        }

        #[test]
        fn a_cut_text_fits(text in "\\PC{0,60}", columns in 0usize..40) {
            prop_assert!(width(&cut(&text, columns)) <= columns);
            prop_assert_eq!(width(&fit(&text, columns)), columns);
        }
    }
}
