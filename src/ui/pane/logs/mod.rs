//! The logs: what is told. Groups of lines that mean the same first, single lines where there is room below, or lines alone.
//!
//! `lens.rs` decides what is seen and in which order, `groups.rs` and `lines.rs` draw the rows, `explain.rs` tells all about one,
//! `request.rs` finds what belongs together. To add a filter: [`crate::app::LogView`], its test in `lens.rs`, its word in
//! [`Pane::title`], its key in `ui/keymap/logs.rs`.

mod explain;
mod groups;
mod lens;
mod lines;
mod request;

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use self::lens::{Lens, key_of, number_of, tags};
use super::Pane;
use crate::{
    app::{FilterBy, Pattern, State},
    diagnose::{Flow, LogGroup},
    model::text as figures,
    ui::{
        Slot, Ui, header,
        list::List,
        spark::spark,
        text::{clean, cut, line, span, width},
    },
};

/// Lines of the pane from which on the requests have theirs.
const TALL: u16 = 8;
/// Characters of a filter's text in the title.
const WORD: usize = 12;

/// The pane.
pub struct Logs;

/// The group with this row's key.
pub fn group_of<'a>(state: &'a State, key: &str) -> Option<&'a LogGroup> {
    let groups = &state.shown().0.logs;
    if let Some(number) = number_of(key) {
        return Lens::of(state).line(number)?.group;
    }
    let (source, key) = key.split_once('\u{1f}')?;
    groups.get(&(source.to_owned(), key.to_owned()))
}

/// All logs that lines came from, in alphabetical order.
pub fn sources(state: &State) -> Vec<&str> {
    let mut sources: Vec<&str> = state.shown().0.logs.values().map(|group| group.source.as_str()).collect();
    // The map is sorted by source.
    sources.dedup();
    sources
}

/// What is left out, in words for the title.
fn narrowed(state: &State) -> String {
    let logs = &state.view.logs;
    let mut words = Vec::new();
    if let Some(level) = logs.level {
        words.push(format!("{}+", level.word()));
    }
    if let Some(window) = logs.window_s {
        words.push(format!("last {}m", window / 60));
    }
    if let Some(pick) = &logs.source {
        words.push(tags(state.shown().0).get(pick.chosen.as_str()).cloned().unwrap_or_else(|| pick.chosen.clone()));
    }
    let pending = super::pending(state, "logs");
    for filter in logs.filters.iter().chain(&pending) {
        let sign = if filter.hide { '-' } else { '+' };
        words.push(match &filter.about {
            FilterBy::Text(pattern) => format!("{sign}\"{}\"", cut(pattern.text(), WORD)),
            FilterBy::Group(_, key) => format!("{sign}<{}>", cut(crate::model::logline::read_key(key).message, WORD)),
            FilterBy::Row(key) => format!("{sign}<{}>", cut(key, WORD)),
        });
    }
    words.into_iter().flat_map(|word| ["  ".to_owned(), word]).collect()
}

/// `212/s`, `19.8/s`, `0.02/s`.
fn per_second(rate: f64) -> String {
    match rate {
        0.0 => "0/s".to_owned(),
        ..0.1 => format!("{rate:.2}/s"),
        ..100.0 => format!("{rate:.1}/s"),
        _ => format!("{rate:.0}/s"),
    }
}

fn percent(share: Option<f64>) -> String {
    match share.map(|share| share * 100.0) {
        None => "-".to_owned(),
        Some(0.0) => "0%".to_owned(),
        Some(share @ ..1.0) => format!("{share:.1}%"),
        Some(share) => format!("{share:.0}%"),
    }
}

/// The requests now, and before the outage. `None`: no access log tells them.
fn flows(state: &State) -> Option<(Flow, Option<Flow>)> {
    let (scene, assessment) = state.shown();
    let now = scene.traffic.now(scene.now.wall_s(), assessment.symptom.since)?;
    let before = assessment.symptom.since.and_then(|since| scene.traffic.before(since));
    Some((now, before))
}

/// `5xx 97% 19.2/s  was 0.1% 0.2/s  requests 19.8/s was 198/s`.
fn traffic(state: &State, ui: &Ui, columns: u16) -> Option<Line<'static>> {
    let (now, before) = flows(state)?;
    let styles = &ui.styles;
    let scene = state.shown().0;
    let failing = now.failed > 0;
    let mut spans = vec![span(
        format!("  5xx {} {}", percent(now.share()), per_second(now.failed_rate())),
        if failing { styles.bad } else { styles.good },
    )];
    let since = state.shown().1.symptom.since;
    if let Some(since) = since {
        let told = match before {
            Some(before) => {
                format!(", before {} {} {}", ui.moment(state, since), percent(before.share()), per_second(before.failed_rate()))
            }
            None => format!(", before {} ?", ui.moment(state, since)),
        };
        spans.push(span(told, styles.text));
    }
    let was = before.map_or_else(String::new, |before| format!(", were {}", per_second(before.rate())));
    spans.push(span(format!("   requests {}{was}", per_second(now.rate())), styles.text));
    let (cells, step) = if columns < groups::ROOMY { groups::RATE_NARROW } else { groups::RATE };
    let failed = spark(&scene.traffic.failed(scene.now.wall_s(), cells, step), ui.charset);
    let used: usize = spans.iter().map(|span| width(&span.content)).sum();
    let scale = "5xx in 10 min";
    if used + cells + scale.len() + 4 <= usize::from(columns) {
        spans.push(span(format!("   {failed}"), if failing { styles.bad } else { styles.quiet }));
        spans.push(span(format!(" {scale}"), styles.quiet));
    }
    Some(line(spans))
}

/// Why there is nothing to see.
fn nothing(state: &State, ui: &Ui) -> String {
    let (scene, assessment) = state.shown();
    if !scene.logs.is_empty() {
        super::filtered_out(ui)
    } else if header::pending(scene).contains(&"logs") {
        "not read yet".into()
    } else if !assessment.blind.is_empty() {
        "no line; \"not seen\" in CAUSES tells what could not be read".into()
    } else if state.following.is_empty() {
        "no log is known".into()
    } else {
        "no line of interest".into()
    }
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
        let logs = &state.view.logs;
        let lens = Lens::of(state);
        let count = |(shown, all): (usize, usize), word: &str| {
            let of = if shown == all { String::new() } else { format!("{} of ", figures::thousands(shown as u64)) };
            format!("{of}{} {word}{}", figures::thousands(all as u64), if all == 1 { "" } else { "s" })
        };
        let lines = scene.logs.values().fold(0_u64, |sum, group| sum.saturating_add(group.count));
        let what = if logs.lines {
            let follow = match (&logs.held, lens.newer()) {
                (None, _) => "  follow".to_owned(),
                (Some(_), 0) => "  PAUSED".to_owned(),
                (Some(_), newer) => format!("  PAUSED, {} newer", figures::thousands(newer)),
            };
            format!("{}{follow}", count(lens.lines_shown(), "latest line"))
        } else {
            format!("{}, {} lines", count(lens.groups_shown(), "group"), figures::thousands(lines))
        };
        let search = logs.search.as_ref().map_or_else(String::new, |search| {
            let hits = self.hits(state, search).len();
            format!("  /{} {}", cut(search.text(), WORD), figures::thousands(hits as u64))
        });
        let dropped = match header::dropped(scene) {
            0 => String::new(),
            count => format!("  {} dropped", figures::thousands(count)),
        };
        let failing = flows(state).filter(|(now, _)| now.failed > 0).map_or_else(String::new, |(now, before)| {
            let was = before.map_or_else(String::new, |before| format!(" was {}", per_second(before.failed_rate())));
            format!("  5xx {}{was}", per_second(now.failed_rate()))
        });
        format!("LOGS {what}{}{search}{dropped}{failing}", narrowed(state))
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        let lens = Lens::of(state);
        if state.view.logs.lines {
            lens.lines().iter().map(|told| Cow::Owned(told.key())).collect()
        } else {
            lens.groups().into_iter().map(|group| Cow::Owned(key_of(group))).collect()
        }
    }

    fn home(&self, state: &State) -> usize {
        // The newest line, the first group.
        if state.view.logs.lines { usize::MAX } else { 0 }
    }

    fn hits(&self, state: &State, pattern: &Pattern) -> Vec<usize> {
        let lens = Lens::of(state);
        let hits: Vec<bool> = if state.view.logs.lines {
            lens.lines().iter().map(|told| pattern.is_in(&told.line.text)).collect()
        } else {
            lens.groups().into_iter().map(|group| lens.has(group, pattern)).collect()
        };
        hits.into_iter().enumerate().filter(|(_, hit)| *hit).map(|(at, _)| at).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let mut area = area;
        if area.height >= TALL
            && let Some(told) = traffic(state, ui, area.width)
        {
            buf.set_line(area.x, area.y, &told, area.width);
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        let lens = Lens::of(state);
        let tags = tags(lens.scene);
        let of_lines = lines::Rows { state, ui, lens: &lens, tags: &tags, width: area.width };
        let logs = &state.view.logs;
        let empty = |buf: &mut Buffer| {
            let told = line([span(format!("  {}", nothing(state, ui)), ui.styles.quiet)]);
            buf.set_line(area.x, area.y, &told, area.width);
        };
        let height = |told: &lens::Told<'_>| if told.line.more > 0 { 2 } else { 1 };
        if logs.lines {
            let told = lens.lines();
            if told.is_empty() {
                return empty(buf);
            }
            let keys: Vec<String> = told.iter().map(lens::Told::key).collect();
            let selected = super::selected(state, self, &keys);
            List { items: &told, selected, focused }.draw(ui, area, buf, height, |told| of_lines.lines(told));
            return;
        }
        let groups = lens.groups();
        if groups.is_empty() {
            return empty(buf);
        }
        let keys: Vec<String> = groups.iter().map(|group| key_of(group)).collect();
        let selected = super::selected(state, self, &keys);
        // With the whole screen to itself, and too narrow for columns, each group has a second line.
        let two = state.view.zoom && focused && area.width < groups::WIDE;
        let rows = groups::Rows { state, ui, lens: &lens, tags: &tags, width: area.width, two };
        let each = if two { 2 } else { 1 };
        // Below the groups the latest lines themselves: a third of a tall pane, or what the groups leave, after a blank line.
        let wanted = u16::try_from(groups.len() * each).unwrap_or(u16::MAX);
        let least = if area.height >= TALL { area.height / 3 } else { 0 };
        let list = Rect { height: area.height.saturating_sub(least).min(wanted), ..area };
        List { items: &groups, selected, focused }.draw(ui, list, buf, |_| each, |group| rows.lines(group));
        let room = usize::from(area.height - list.height).saturating_sub(1);
        let latest: Vec<lens::Told<'_>> = lens.latest().take(room).collect();
        for (y, told) in (list.bottom() + 1..area.bottom()).zip(latest.iter().rev()) {
            buf.set_line(area.x.saturating_add(1), y, &of_lines.short(told), area.width.saturating_sub(1));
        }
    }

    fn explain(&self, state: &State, ui: &Ui, wanted: &str) -> Option<Vec<Line<'static>>> {
        match number_of(wanted) {
            Some(number) => explain::line(state, ui, number),
            None => Some(explain::group(state, ui, group_of(state, wanted)?)),
        }
    }

    fn copy(&self, state: &State, wanted: &str) -> Option<(String, &'static str)> {
        if let Some(number) = number_of(wanted) {
            let told = Lens::of(state).line(number)?;
            return Some((clean(&told.line.text), "the line"));
        }
        Some((clean(&group_of(state, wanted)?.last), "the group's last line"))
    }
}
