//! The logs: what is told. Groups of lines that mean the same first, single lines where there is room below.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::Pane;
use crate::{
    app::State,
    catalog::{Rank, Signature},
    diagnose::{LOG_WINDOW_S, LogGroup, OVERFLOW_KEY},
    model::{SourceKind, logline::Level, text as figures},
    ui::{
        Slot, Ui,
        doc::Doc,
        header, is_now,
        list::List,
        text::{cut, fit, line, right, span, width},
    },
};

/// From here on source and cause have their columns.
const ROOMY: u16 = 110;
/// Columns of a count: `1,234,567x`.
const COUNT: usize = 8;
/// Columns of `02:17:41..02:31:07`.
const TIMES: usize = 18;

/// The pane.
pub struct Logs;

fn key(group: &LogGroup) -> String {
    format!("{}\u{1f}{}", group.source, group.key)
}

/// Whether a line has a signature that speaks for a cause, or is worse than an error.
fn telling(state: &State, group: &LogGroup) -> bool {
    signature(state, group).is_some_and(|signature| signature.rank != Rank::Context) || group.meaning.level >= Some(Level::Critical)
}

/// Whether a line tells of trouble: by its signature, by its level, by the status of the request.
fn severe(state: &State, group: &LogGroup) -> bool {
    let known = signature(state, group).map(|signature| signature.rank != Rank::Context);
    match group.meaning.status {
        Some(status) => known.unwrap_or(status >= 500),
        None => known.unwrap_or(group.meaning.level >= Some(Level::Error)),
    }
}

/// What comes first: what can have to do with what fails now; of that, errors, then failed requests, then the rest; what goes on
/// before what has ended; many before few.
fn order(state: &State, group: &LogGroup) -> (bool, u8, bool, i64, u64) {
    let class = match (group.kind, severe(state, group)) {
        (SourceKind::Error | SourceKind::App | SourceKind::Kernel, true) if telling(state, group) => 0,
        (SourceKind::Error | SourceKind::App | SourceKind::Kernel, true) => 1,
        (SourceKind::App, false) => 2,
        (SourceKind::Access, true) => 3,
        (SourceKind::Error | SourceKind::Kernel, false) => 4,
        (SourceKind::Access, false) => 5,
    };
    let last = group.last_second().unwrap_or(0);
    let now = is_now(state, last);
    // A line without a time of its own is as old as our sight of it. In an excerpt everything counts: somebody chose it.
    let scene = state.shown().0;
    let age = scene.now.wall_s() - group.last_second().unwrap_or_else(|| group.seen.wall_s());
    (age > LOG_WINDOW_S && !scene.excerpt(), class, !now, if now { 0 } else { -last }, u64::MAX - group.count)
}

fn entries(state: &State) -> Vec<&LogGroup> {
    let mut groups: Vec<&LogGroup> = state.shown().0.logs.values().collect();
    // Of equals, the map's own order stays.
    groups.sort_by_cached_key(|group| order(state, group));
    groups
}

fn signature<'a>(state: &'a State, group: &LogGroup) -> Option<&'a Signature> {
    state.catalog.as_ref()?.signatures.by_id(group.meaning.signature.as_deref()?)
}

/// A line without its own time stamp and process, which the columns beside it tell.
fn message(group: &LogGroup) -> &str {
    if group.key.is_empty() { &group.first } else { &group.key }
}

/// What a row says: the message without its level (the order and the sign tell it), and the upstream that it names, which must not
/// be what is cut.
fn told(group: &LogGroup) -> (&str, &str) {
    let text = message(group);
    let text = text.strip_prefix("[error] ").unwrap_or(text);
    let text_end = [", server: ", ", upstream: "].iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let upstream = text.rsplit_once(", upstream: \"").map_or("", |(_, rest)| rest.trim_end_matches('"'));
    (&text[..text_end], upstream.split_once("://").map_or(upstream, |(_, address)| address))
}

/// Message and upstream in so many columns.
fn told_in(group: &LogGroup, columns: usize) -> String {
    let (text, upstream) = told(group);
    let upstream = cut(upstream, columns / 3);
    if upstream.is_empty() {
        return fit(text, columns);
    }
    format!("{}  {upstream}", fit(text, columns.saturating_sub(width(&upstream) + 2)))
}

fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Error => "error",
        SourceKind::Access => "access",
        SourceKind::App => "app",
        SourceKind::Kernel => "kernel",
    }
}

fn row(state: &State, ui: &Ui, group: &LogGroup, area: Rect) -> Line<'static> {
    let styles = &ui.styles;
    let columns = usize::from(area.width).saturating_sub(2);
    let going_on = group.last_second().is_some_and(|last| is_now(state, last));
    let style = match (severe(state, group), going_on) {
        (true, true) => styles.bad,
        (true, false) => styles.warn,
        (false, _) => styles.quiet,
    };
    let count = right(&format!("{}x", figures::thousands(group.count)), COUNT);
    let times = ui.span_of(state, group.first_second(), group.last_second());
    let text = if severe(state, group) { styles.text } else { styles.quiet };
    if area.width >= ROOMY {
        let causes = signature(state, group).map_or_else(String::new, |signature| match signature.causes.first() {
            Some(cause) => format!("  -> {cause}"),
            None => String::new(),
        });
        let used = COUNT + 1 + TIMES + 1 + 7;
        let room = columns.saturating_sub(used + width(&causes));
        return line([
            span(count, style),
            span(format!(" {} {}", fit(&times, TIMES), fit(kind(group.kind), 7)), styles.quiet),
            span(told_in(group, room), text),
            span(causes, styles.strong),
        ]);
    }
    let times = if width(&times) + COUNT + 20 > columns { String::new() } else { format!("  {times}") };
    let room = columns.saturating_sub(COUNT + 1 + width(&times));
    line([span(count, style), span(" ", Style::new()), span(told_in(group, room), text), span(times, styles.quiet)])
}

impl Pane for Logs {
    fn id(&self) -> &'static str {
        "logs"
    }

    fn slot(&self) -> Slot {
        Slot::Tell
    }

    fn title(&self, state: &State) -> String {
        let scene = state.shown().0;
        let groups = match scene.logs.len() {
            1 => "1 group".to_owned(),
            count => format!("{} groups", figures::thousands(count as u64)),
        };
        let lines = scene.logs.values().fold(0_u64, |sum, group| sum.saturating_add(group.count));
        let dropped = match header::dropped(scene) {
            0 => String::new(),
            count => format!("  {} dropped", figures::thousands(count)),
        };
        format!("LOGS {groups}, {} lines{dropped}", figures::thousands(lines))
    }

    fn rows(&self, state: &State) -> Vec<String> {
        entries(state).into_iter().map(key).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let styles = &ui.styles;
        let entries = entries(state);
        if entries.is_empty() {
            let pending = header::pending(state.shown().0).contains(&"logs");
            let text = if pending {
                "not read yet"
            } else if !state.shown().1.blind.is_empty() {
                "no line; \"not seen\" in CAUSES tells what could not be read"
            } else if state.following.is_empty() {
                "no log is known"
            } else {
                "no line of interest"
            };
            buf.set_line(area.x, area.y, &line([span(format!("  {text}"), styles.quiet)]), area.width);
            return;
        }
        let keys: Vec<String> = entries.iter().map(|group| key(group)).collect();
        let selected = super::selected(state, self, &keys);
        let free = usize::from(area.height).saturating_sub(entries.len());
        let list = Rect { height: area.height.min(u16::try_from(entries.len()).unwrap_or(u16::MAX)), ..area };
        List { items: &entries, selected, focused }.draw(ui, list, buf, |_| 1, |group| vec![row(state, ui, group, area)]);
        // Below the groups the latest lines themselves, in the order of time, with a blank line between.
        let mut latest: Vec<&&LogGroup> = entries.iter().filter(|group| group.last_second().is_some()).collect();
        latest.sort_by_key(|group| group.last_second());
        let skip = latest.len().saturating_sub(free.saturating_sub(1));
        for (y, group) in (list.bottom() + 1..area.bottom()).zip(latest.into_iter().skip(skip)) {
            let columns = usize::from(area.width).saturating_sub(2);
            buf.set_line(area.x, y, &line([span(format!("  {}", cut(&group.last, columns)), styles.quiet)]), area.width);
        }
    }

    fn explain(&self, state: &State, ui: &Ui, wanted: &str) -> Option<Vec<Line<'static>>> {
        let group = state.shown().0.logs.values().find(|group| key(group) == wanted)?;
        let styles = &ui.styles;
        let mut doc = Doc::new(ui);
        doc.heading(message(group));
        match signature(state, group) {
            Some(signature) => {
                doc.text(&signature.explain);
                doc.field("signature", &signature.id);
                if !signature.causes.is_empty() {
                    doc.field_styled("speaks for", &signature.causes.join(", "), styles.strong);
                }
                doc.field("known from", &signature.origin);
            }
            None if group.key == OVERFLOW_KEY => {
                doc.text("Lines of more kinds than are kept apart: they are counted together here.");
            }
            None if group.kind == SourceKind::Access => doc.text("Requests, as the gateway's access log tells them."),
            None if state.catalog.is_none() => doc.text("The signatures are still being compiled."),
            None => doc.text("No signature knows this line. It is counted, and speaks for no cause."),
        }
        doc.heading("How often");
        doc.field(
            "lines",
            &format!("{}, of them {} since we look", figures::thousands(group.count), figures::thousands(group.live)),
        );
        let now = state.shown().0.now.wall_s();
        doc.field("last minute", &figures::thousands(group.since(now - 60)));
        if let (Some(first), Some(last)) = (group.first_second(), group.last_second()) {
            doc.field("first", &format!("{}  ({} ago)", ui.full(state, first), figures::duration(now - first)));
            doc.field("last", &format!("{}  ({} ago)", ui.full(state, last), figures::duration(now - last)));
        }
        doc.heading(&format!("In {} ({})", group.source, kind(group.kind)));
        doc.field("first line", &group.first);
        if group.last != group.first {
            doc.field("last line", &group.last);
        }
        Some(doc.lines())
    }

    fn copy(&self, state: &State, wanted: &str) -> Option<(String, &'static str)> {
        let group = state.shown().0.logs.values().find(|group| key(group) == wanted)?;
        Some((crate::ui::text::clean(&group.last), "the group's last line"))
    }
}
