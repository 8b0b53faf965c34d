//! Rows of groups: `1,204x connect() failed (111: Connection refused)  127.0.0.1:8000  02:17:41..now`.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::lens::Lens;
use crate::{
    app::State,
    diagnose::LogGroup,
    model::{
        SourceKind,
        logline::{read_key, request_of_key},
        text as figures,
    },
    ui::{
        Ui, is_now,
        spark::spark,
        text::{cut, fit, fixed, line, marked, right, span, width},
    },
};

/// From here on times, source and cause have their columns.
pub const ROOMY: u16 = 110;
/// From here on the rate has one too.
pub const WIDE: u16 = 150;
/// Columns of a count: `1,234,567x`.
const COUNT: usize = 9;
/// Columns of `02:17:41..02:31:07`.
const TIMES: usize = 18;
/// Columns of a log's short name.
pub const TAG: usize = 12;
/// Cells of a rate, and seconds of each: ten minutes, as many as a group's seconds are kept for.
pub const RATE: (usize, i64) = (20, 30);
/// The same time in fewer cells.
pub const RATE_NARROW: (usize, i64) = (10, 60);

/// What is said: without level (order and signs tell it) and upstream, which has its own place.
pub fn message(group: &LogGroup) -> String {
    if group.key.is_empty() {
        return group.first.clone();
    }
    if request_of_key(&group.key).is_none() {
        return read_key(&group.key).message.to_owned();
    }
    // `502 GET up=... ups=504,502`: what the attempts gave is told where it is not just the answer.
    let words: Vec<&str> = group.key.split(' ').filter(|word| !word.starts_with("up=")).collect();
    let plain = |word: &&str| word.strip_prefix("ups=").is_none_or(|attempts| Some(&attempts) != words.first());
    words.iter().copied().filter(plain).collect::<Vec<_>>().join(" ")
}

/// The upstream that a group's lines name, where its message does not.
pub fn upstream(group: &LogGroup) -> &str {
    if request_of_key(&group.key).is_some() {
        return group.key.split(' ').find_map(|word| word.strip_prefix("up=")).unwrap_or_default();
    }
    read_key(&group.key).upstream.map_or("", |upstream| upstream.split_once("://").map_or(upstream, |(_, rest)| rest))
}

/// Whose log it is, in a word.
pub fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Error => "error",
        SourceKind::Access => "access",
        SourceKind::App => "app",
        SourceKind::Kernel => "kernel",
    }
}

/// How rows of groups are drawn.
pub struct Rows<'a> {
    pub state: &'a State,
    pub ui: &'a Ui,
    pub lens: &'a Lens<'a>,
    pub tags: &'a std::collections::HashMap<&'a str, String>,
    /// Columns of the pane.
    pub width: u16,
    /// Whether rate, log and cause stand on a line of their own.
    pub two: bool,
}

impl Rows<'_> {
    fn marked(&self, text: &str, style: Style) -> Vec<Span<'static>> {
        marked(text, self.lens.search(), style, self.ui.styles.find)
    }

    /// Message and upstream in so many columns: the upstream must not be what is cut.
    fn told(&self, group: &LogGroup, columns: usize, style: Style) -> Vec<Span<'static>> {
        let upstream = cut(upstream(group), columns / 3);
        let room = if upstream.is_empty() { columns } else { columns.saturating_sub(width(&upstream) + 2) };
        let mut spans = self.marked(&fit(&message(group), room), style);
        if !upstream.is_empty() {
            spans.push(fixed("  ", style));
            spans.extend(self.marked(&upstream, style));
        }
        spans
    }

    fn cause(&self, group: &LogGroup) -> String {
        let cause = self.lens.signature(group).and_then(|signature| signature.causes.first());
        cause.map_or_else(String::new, |cause| format!("-> {cause}"))
    }

    fn rate(&self, group: &LogGroup) -> String {
        spark(&group.steps(self.lens.scene.now.wall_s(), RATE.0, RATE.1), self.ui.charset)
    }

    fn tag(&self, group: &LogGroup) -> String {
        self.tags.get(group.source.as_str()).cloned().unwrap_or_else(|| group.source.clone())
    }

    /// The lines of one group's row.
    pub fn lines(&self, group: &LogGroup) -> Vec<Line<'static>> {
        let (state, ui) = (self.state, self.ui);
        let styles = &ui.styles;
        let columns = usize::from(self.width).saturating_sub(2);
        let going_on = group.last_second().is_some_and(|last| is_now(state, last));
        let severe = self.lens.severe(group);
        let style = match (severe, going_on) {
            (true, true) => styles.bad,
            (true, false) => styles.warn,
            (false, _) => styles.quiet,
        };
        let text = if severe { styles.text } else { styles.quiet };
        let (count, whole) = self.lens.count(group);
        let count = right(&format!("{}{}x", figures::thousands(count), if whole { "" } else { "+" }), COUNT);
        let times = ui.span_of(state, group.first_second(), group.last_second());
        let mut spans = vec![span(count, style)];
        if self.width >= ROOMY {
            let cause = self.cause(group);
            let cause = if cause.is_empty() { cause } else { format!("  {cause}") };
            spans.push(span(format!(" {} ", fit(&times, TIMES)), styles.quiet));
            let mut used = COUNT + TIMES + 2;
            if self.width >= WIDE {
                spans.push(span(format!("{} ", self.rate(group)), style));
                used += RATE.0 + 1;
            }
            spans.extend(self.marked(&format!("{} ", fit(&self.tag(group), TAG)), styles.quiet));
            used += TAG + 1;
            spans.extend(self.told(group, columns.saturating_sub(used + width(&cause)), text));
            spans.extend(self.marked(&cause, styles.strong));
        } else {
            let times = if width(&times) + COUNT + 20 > columns { String::new() } else { format!("  {times}") };
            spans.push(fixed(" ", Style::new()));
            spans.extend(self.told(group, columns.saturating_sub(COUNT + 1 + width(&times)), text));
            spans.push(span(times, styles.quiet));
        }
        let mut lines = vec![line(spans)];
        if self.two {
            let minute = group.since(self.lens.scene.now.wall_s() - 60);
            let mut second = vec![span(" ".repeat(COUNT + 1), Style::new())];
            if self.width < WIDE {
                second.push(span(self.rate(group), style));
            }
            second.push(span(format!("  {}/min  ", figures::thousands(minute)), styles.quiet));
            if self.width < ROOMY {
                second.extend(self.marked(&self.tag(group), styles.quiet));
                second.extend(self.marked(&format!("  {}", self.cause(group)), styles.strong));
            }
            lines.push(line(second));
        }
        lines
    }
}
