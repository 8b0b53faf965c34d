//! The line of time: requests that failed, minute by minute, and everything that happened, in its order, until now. The cursor goes along
//! it (`[`, `]`, `b`), and all other panes show what was known then.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::Pane;
use crate::{
    app::State,
    diagnose::{Moment, MomentKind},
    model::{rfc3339, text::duration},
    ui::{
        Slot, Ui,
        doc::Doc,
        list::List,
        spark::spark,
        text::{clean, cut, fit, fixed, line, span, width},
    },
};

/// Lines from which on there is room for the minutes.
const TALL: u16 = 4;
/// Minutes that are known at most: six hours.
const MINUTES: usize = 360;
/// Seconds of a cell of the minutes.
const MINUTE_S: i64 = 60;

/// The pane.
pub struct Timeline;

/// All that happened, oldest first: as it is known now, wherever the cursor stands.
fn all(state: &State) -> Vec<&Moment> {
    state.assessment.moments.iter().filter(|moment| !moment.first).collect()
}

/// A sign and a style for a moment.
fn look(ui: &Ui, moment: &Moment) -> (&'static str, Style) {
    let styles = &ui.styles;
    match moment.kind {
        MomentKind::Onset | MomentKind::Died => ("!", styles.bad),
        MomentKind::Change(_) if moment.suspect => ("?", styles.unknown),
        MomentKind::Served => ("+", styles.good),
        MomentKind::Note => ("*", styles.strong),
        MomentKind::Edit | MomentKind::Load => ("~", styles.warn),
        MomentKind::Look | MomentKind::Turn | MomentKind::Change(_) => (" ", styles.text),
    }
}

/// Index of the last moment that is not after the cursor.
fn at_cursor(state: &State, moments: &[&Moment]) -> usize {
    let cursor = state.cursor();
    moments.iter().rposition(|moment| moment.at <= cursor).unwrap_or(0)
}

/// The minutes, and below them from when until when, with the cursor.
fn minutes(state: &State, ui: &Ui, columns: usize) -> [Line<'static>; 2] {
    let styles = &ui.styles;
    let now = state.now.wall_s();
    let lead = "5xx/min ";
    let cells = columns.saturating_sub(lead.len()).min(MINUTES);
    let counts = state.scene.traffic.failed(now, cells, MINUTE_S);
    let most = counts.iter().max().copied().unwrap_or(0);
    let chart = spark(&counts, ui.charset);
    let from = now - i64::try_from(cells).unwrap_or(0) * MINUTE_S;
    let begin = ui.moment(state, from);
    let end = if most == 0 { "none known  now".to_owned() } else { format!("at most {most}  now") };
    let gap = cells.saturating_sub(width(&begin) + width(&end));
    let mut below = format!("{begin}{}{end}", " ".repeat(gap));
    let cursor =
        state.looks_back().then(|| (state.cursor() - from).div_euclid(MINUTE_S)).and_then(|cell| usize::try_from(cell).ok());
    let mut spans = vec![span(" ".repeat(lead.len()), styles.quiet)];
    match cursor.filter(|cell| *cell < width(&below) && below.is_ascii()) {
        Some(cell) => {
            let after = below.split_off(cell);
            spans.extend([span(below, styles.quiet), fixed("^", styles.warn), span(&after[1..], styles.quiet)]);
        }
        None => spans.push(span(below, styles.quiet)),
    }
    [line([span(lead, styles.quiet), span(chart, if most == 0 { styles.quiet } else { styles.bad })]), line(spans)]
}

/// Those of them that pass the filters.
fn shown(state: &State) -> Vec<&Moment> {
    let lets = super::passing(state, &Timeline);
    all(state).into_iter().filter(|moment| lets(&moment.key())).collect()
}

impl Pane for Timeline {
    fn id(&self) -> &'static str {
        "timeline"
    }

    fn slot(&self) -> Slot {
        Slot::Time
    }

    fn title(&self, state: &State) -> String {
        let moments = all(state);
        let from = moments
            .first()
            .map_or_else(String::new, |moment| format!("  from {} ago", duration((state.now.wall_s() - moment.at).max(0))));
        let past = match state.view.going {
            Some(_) => "  looking it up",
            None if state.view.past.is_some() => "  THE PAST is shown, B: now",
            None => "",
        };
        format!("TIMELINE {} moments{from}{past}", moments.len())
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        shown(state).into_iter().map(|moment| Cow::Owned(moment.key())).collect()
    }

    /// Where the cursor stands.
    fn home(&self, state: &State) -> usize {
        at_cursor(state, &shown(state))
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let moments = shown(state);
        let mut area = area;
        if area.height >= TALL {
            let minutes = minutes(state, ui, usize::from(area.width).saturating_sub(1));
            for (y, line) in (area.y..).zip(&minutes) {
                buf.set_line(area.x.saturating_add(1), y, line, area.width.saturating_sub(1));
            }
            area = Rect { y: area.y + 2, height: area.height - 2, ..area };
        }
        if moments.is_empty() && area.height > 0 {
            buf.set_line(area.x, area.y, &line([fixed(" nothing is known to have happened", ui.styles.quiet)]), area.width);
            return;
        }
        let selected = super::selected(state, self, &self.rows(state));
        let (columns, cursor) = (usize::from(area.width).saturating_sub(2), state.cursor());
        List { items: &moments, selected, focused }.draw(
            ui,
            area,
            buf,
            |_| 1,
            |moment| {
                let styles = &ui.styles;
                let (sign, style) = look(ui, moment);
                // What comes after the cursor was not known then.
                let later = state.looks_back() && moment.at > cursor;
                let style = if later { styles.quiet } else { style };
                let head = format!("{} {sign} {} ", ui.moment(state, moment.at), fit(moment.kind.word(), 13));
                let by = moment.by.as_ref().filter(|by| !moment.what.contains(by.as_str()));
                let text = by.map_or_else(|| moment.what.clone(), |by| format!("{}, by {by}", moment.what));
                let room = columns.saturating_sub(width(&head));
                vec![line([span(head, styles.quiet), span(cut(&text, room), style)])]
            },
        );
    }

    fn explain(&self, state: &State, ui: &Ui, wanted: &str) -> Option<Vec<Line<'static>>> {
        let moment = all(state).into_iter().find(|moment| moment.key() == wanted)?;
        let mut doc = Doc::new(ui);
        doc.heading(&format!("{}  {}", moment.kind.word(), moment.what));
        doc.field("when", &ui.full(state, moment.at));
        doc.field("seen in", &moment.source);
        if let Some(by) = &moment.by {
            doc.field("by", by);
        }
        match moment.before {
            Some(before @ 1..) => doc.field("before", &format!("{} before the first failure", duration(before))),
            Some(before @ ..=-1) => doc.field("after", &format!("{} after the first failure", duration(-before))),
            Some(0) | None => {}
        }
        for subject in &moment.concerns {
            doc.field("bears on", &subject.0);
        }
        if moment.suspect {
            doc.item(
                "?",
                ui.styles.unknown,
                "suspect: it lies between the last request that was served and the first that failed",
                "",
            );
        }
        doc.heading("The time around it");
        doc.text("b shows all panes as they were then, [ and ] go from moment to moment, { and } by minutes, B comes back to now.");
        Some(doc.lines())
    }

    fn time(&self, state: &State, wanted: &str) -> Option<i64> {
        all(state).into_iter().find(|moment| moment.key() == wanted).map(|moment| moment.at)
    }

    fn copy(&self, state: &State, wanted: &str) -> Option<(String, &'static str)> {
        let moment = all(state).into_iter().find(|moment| moment.key() == wanted)?;
        let text = format!("{} {} {} ({})", rfc3339(moment.at), moment.kind.word(), moment.what, moment.source);
        Some((clean(&text), "the moment"))
    }
}
