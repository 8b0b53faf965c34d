//! Rows of lines: `02:17:41 error.log    [error] connect() failed (111: Connection refused) ...`, over all logs on one
//! axis of time. The time stands in front in one form and zone, whatever form the line has it in.

use std::{borrow::Cow, collections::HashMap};

use ratatui::text::{Line, Span};

use super::{
    groups::{ROOMY, TAG},
    lens::{Lens, Told},
};
use crate::{
    app::{Pattern, State},
    model::{
        logline::{self, LineTime, TimeShape},
        text as figures,
    },
    ui::{
        Ui, is_now,
        text::{clean, cut, fit, line, marked, span, width},
    },
};

/// Columns of a log's short name on a narrow screen.
const NARROW_TAG: usize = 10;
/// Columns of a time.
const TIME: usize = 8;
/// Columns that are shown before a match that stands too far right.
const BEFORE: usize = 6;

/// The words of a line without what stands before them in most: its time, and the host that carried it.
pub fn words(text: &str) -> Cow<'_, str> {
    let carried = logline::carried(text);
    let inner = match LineTime::leading(carried.text.trim_start_matches('[')) {
        Some((_, rest)) => rest.trim_start_matches([']', ' ', ',', ':', '|']),
        None => carried.text,
    };
    if let Some((level, said)) = nginx(inner) {
        return format!("[{level}] {said}").into();
    }
    if let Some((before, after)) = clf(inner) {
        return format!("{before} {after}").into();
    }
    match carried.program {
        Some(program) if !inner.is_empty() => format!("{program}: {inner}").into(),
        _ if inner.is_empty() => text.into(),
        _ => inner.into(),
    }
}

/// Level and words of a line of nginx's error log, without process and connection: `[error] 811#811: *99121 connect() failed`.
fn nginx(text: &str) -> Option<(&str, &str)> {
    let (level, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (process, rest) = rest.split_once(": ")?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    process.split_once('#').filter(|(pid, tid)| number(pid) && number(tid))?;
    let said = rest.strip_prefix('*').and_then(|rest| rest.split_once(' ')).filter(|(connection, _)| number(connection));
    Some((level, said.map_or(rest, |(_, said)| said)))
}

/// What stands before and behind the time of a request in common log format, without the names that are hardly ever there:
/// `203.0.113.9 - - [20/Nov/2026:02:26:58 +0000] "GET / HTTP/1.1" 502`.
fn clf(text: &str) -> Option<(&str, &str)> {
    let (before, rest) = text.split_once(" [")?;
    let (_, after) = TimeShape::Clf.leading(rest)?;
    Some((before.trim_end_matches(" -"), after.strip_prefix("] ")?))
}

/// So many columns of a text. Where what is searched stands further right, half of them are its beginning, and half what is found.
fn seen<'a>(text: &'a str, search: Option<&Pattern>, columns: usize) -> Cow<'a, str> {
    let shown = cut(text, columns);
    let Some(search) = search.filter(|search| !search.is_in(&shown)) else { return shown };
    let text = clean(text);
    let Some(found) = search.places(&text).into_iter().next() else { return shown };
    let mut from = found.start;
    for _ in 0..BEFORE.min(columns / 6) {
        from = text.floor_char_boundary(from.saturating_sub(1));
    }
    let head = cut(&text, columns / 2);
    let rest = cut(&text[from..], columns.saturating_sub(width(&head)));
    Cow::Owned(format!("{head}{rest}"))
}

/// How rows of lines are drawn.
pub struct Rows<'a> {
    pub state: &'a State,
    pub ui: &'a Ui,
    pub lens: &'a Lens<'a>,
    pub tags: &'a HashMap<&'a str, String>,
    /// Columns of the pane.
    pub width: u16,
}

impl Rows<'_> {
    /// The row of one line, with so many columns at its end left free.
    fn row(&self, told: &Told<'_>, free: usize) -> Vec<Span<'static>> {
        let styles = &self.ui.styles;
        let severe = told.group.is_some_and(|group| self.lens.severe(group));
        let style = match (severe, is_now(self.state, told.line.second)) {
            (true, true) => styles.bad,
            (true, false) => styles.warn,
            (false, _) => styles.quiet,
        };
        let time = format!("{:>TIME$} ", self.ui.moment(self.state, told.line.second));
        let tag = fit(self.tags.get(told.source).map_or(told.source, String::as_str), self.tag());
        let room = usize::from(self.width).saturating_sub(2 + time.len() + self.tag() + 1 + free);
        let text = if severe { styles.text } else { styles.quiet };
        let mut spans = vec![span(&time, styles.quiet), span(format!("{tag} "), style)];
        spans.extend(marked(&seen(&words(&told.line.text), self.lens.search(), room), self.lens.search(), text, styles.find));
        spans
    }

    fn tag(&self) -> usize {
        if self.width >= ROOMY { TAG } else { NARROW_TAG }
    }

    /// One line: what was merged into it is told at its end.
    pub fn short(&self, told: &Told<'_>) -> Line<'static> {
        if told.line.more == 0 {
            return line(self.row(told, 0));
        }
        let more = format!(" +{}", figures::thousands(u64::from(told.line.more)));
        line(self.row(told, width(&more)).into_iter().chain([span(more, self.ui.styles.quiet)]))
    }

    /// The line, and below it what was merged into it.
    pub fn lines(&self, told: &Told<'_>) -> Vec<Line<'static>> {
        let mut lines = vec![line(self.row(told, 0))];
        if told.line.more > 0 {
            let blank = " ".repeat(TIME + 1 + self.tag() + 1);
            let more = figures::thousands(u64::from(told.line.more));
            lines.push(line([span(format!("{blank}... {more} more like this in this second"), self.ui.styles.quiet)]));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_without_the_time_that_stands_before_it() {
        for (text, shown) in [
            ("2026/11/20 02:17:41 [error] 811#811: *5 connect() failed", "[error] connect() failed"),
            ("2026/11/20 02:17:41 [notice] 811#811: *start", "[notice] *start"),
            ("[2026-11-20 02:17:41 +0000] [811] [CRITICAL] WORKER TIMEOUT", "[811] [CRITICAL] WORKER TIMEOUT"),
            ("Nov 20 02:17:41 gw1 app[12]: boom", "app: boom"),
            ("203.0.113.9 - - [20/Nov/2026:02:26:58 +0000] \"GET / HTTP/1.1\" 502", "203.0.113.9 \"GET / HTTP/1.1\" 502"),
            ("::1 - jo [20/Nov/2026:02:26:58 +0000] \"GET / HTTP/1.1\" 502", "::1 - jo \"GET / HTTP/1.1\" 502"),
            ("2026-11-20 02:17:41", "2026-11-20 02:17:41"),
            ("", ""),
        ] {
            assert_eq!(words(text), shown);
        }
    }

    #[test]
    fn what_is_searched_is_brought_into_view() {
        let text = format!("{}needle{}", "x".repeat(100), "y".repeat(100));
        let needle = Pattern::new("needle").expect("a pattern");
        let shown = seen(&text, Some(&needle), 40);
        assert!(shown.starts_with("xxx") && shown.contains("~x") && shown.contains("needle") && shown.ends_with('~'), "{shown}");
        assert_eq!(width(&shown), 40);
        assert!(!seen(&text, None, 40).contains("needle"));
        assert!(seen("日本語日本語日本語needle", Some(&needle), 24).contains("needle"));
    }
}
