//! What happened and was changed, against the moment when requests began to fail: the line of time that one asks for first.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::Pane;
use crate::{
    app::State,
    diagnose::{Flow, Moment, MomentKind, failing, how_it_ended},
    model::{Order as _, text::duration},
    ui::{
        Slot, Ui,
        doc::Doc,
        list::List,
        text::{clean, cut, fit, line, right, span, width},
    },
};

/// The pane.
pub struct Changes;

/// The nearest to the first failure first, suspects before all; without a failure the latest first. What a host was made with is
/// no news.
fn all(state: &State) -> Vec<&Moment> {
    let mut moments: Vec<&Moment> =
        state.shown().1.moments.iter().filter(|moment| !moment.first && !moment.kind.is_ours()).collect();
    moments.reverse();
    if moments.iter().any(|moment| moment.before.is_some()) {
        moments.order_by_key(|moment| {
            let onset = moment.kind != MomentKind::Onset;
            (onset, !moment.suspect, moment.before.map_or(i64::MAX, |before| if before < 0 { -before * 2 } else { before }))
        });
    }
    moments
}

/// How far it is from the first failure: `-2m39s`; without one, from now.
fn distance(state: &State, moment: &Moment) -> String {
    match (moment.kind, moment.before) {
        (MomentKind::Onset, _) | (_, None) => format!("{} ago", duration(state.shown_now().wall_s() - moment.at)),
        (_, Some(before @ 0..)) => format!("-{}", duration(before)),
        (_, Some(after)) => format!("+{}", duration(-after)),
    }
}

/// Those of them that pass the filters.
fn shown(state: &State) -> Vec<&Moment> {
    let lets = super::passing(state, &Changes);
    all(state).into_iter().filter(|moment| lets(&moment.key())).collect()
}

impl Pane for Changes {
    fn id(&self) -> &'static str {
        "changes"
    }

    fn slot(&self) -> Slot {
        Slot::Past
    }

    fn title(&self, state: &State) -> String {
        let (scene, _) = state.shown();
        let moments = all(state);
        let suspects = moments.iter().filter(|moment| moment.suspect).count();
        let suspects = match suspects {
            0 => String::new(),
            1 => "  1 suspect".to_owned(),
            more => format!("  {more} suspects"),
        };
        match &scene.changes {
            None if moments.is_empty() => "CHANGES not looked at yet".to_owned(),
            None => format!("CHANGES{suspects}"),
            Some(changes) => {
                let hours = (state.shown_now().wall_s() - changes.from).max(0) / 3600;
                format!("CHANGES {hours} h, {} found{suspects}", changes.list.iter().filter(|change| !change.first).count())
            }
        }
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        shown(state).into_iter().map(|moment| Cow::Owned(moment.key())).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let moments = shown(state);
        let keys: Vec<String> = moments.iter().map(|moment| moment.key()).collect();
        let selected = super::selected(state, self, &keys);
        let columns = usize::from(area.width).saturating_sub(2);
        List { items: &moments, selected, focused }.draw(
            ui,
            area,
            buf,
            |_| 1,
            |moment| {
                let styles = &ui.styles;
                let (sign, style) = match (moment.kind, moment.suspect) {
                    (MomentKind::Onset, _) => ("!", styles.bad),
                    (_, true) => ("?", styles.unknown),
                    (MomentKind::Died, _) => ("!", styles.text),
                    _ => (" ", styles.text),
                };
                let head = format!("{sign}{} {} ", right(&distance(state, moment), 8), fit(moment.kind.word(), 8));
                let by = moment.by.as_ref().filter(|by| !moment.what.contains(by.as_str()));
                let text = by.map_or_else(|| moment.what.clone(), |by| format!("{}, by {by}", moment.what));
                let room = columns.saturating_sub(width(&head));
                vec![line([span(head, if moment.suspect { style } else { styles.quiet }), span(cut(&text, room), style)])]
            },
        );
    }

    fn explain(&self, state: &State, ui: &Ui, wanted: &str) -> Option<Vec<Line<'static>>> {
        let moment = all(state).into_iter().find(|moment| moment.key() == wanted)?;
        let (scene, assessment) = state.shown();
        let mut doc = Doc::new(ui);
        doc.heading(&format!("{}  {}", moment.kind.word(), moment.what));
        doc.text(&format!("{}, {}", ui.moment(state, moment.at), distance(state, moment)));
        doc.text(&format!("seen in: {}", moment.source));
        if let Some(by) = &moment.by {
            doc.text(&format!("by: {by}"));
        }
        for subject in &moment.concerns {
            doc.text(&format!("bears on: {subject}"));
        }
        if moment.suspect {
            doc.item(
                "?",
                ui.styles.unknown,
                "suspect",
                "it lies between the last request that was served and the first that failed",
            );
        }
        let flow = |flow: Flow| format!("{:.1} requests/s, {:.1}/s of them failed", flow.rate(), flow.failed_rate());
        let since = assessment.symptom.since;
        if let Some(now) = scene.traffic.now(scene.now.wall_s(), since) {
            doc.heading("Requests");
            doc.text(&format!("now: {}", flow(now)));
            if let Some(before) = since.and_then(|since| scene.traffic.before(since)) {
                doc.text(&format!("before it began: {}", flow(before)));
            }
            let failing = failing(scene);
            for (name, list) in [("paths", failing.paths), ("clients", failing.clients), ("upstreams", failing.upstreams)] {
                let all: Vec<String> = list.iter().map(|(what, count)| format!("{what} ({count})")).collect();
                if !all.is_empty() {
                    doc.text(&format!("failing {name}: {}", all.join(", ")));
                }
            }
        }
        if !scene.units.is_empty() {
            doc.heading("Services");
            for service in &scene.units {
                let state_words = if service.runs() { service.sub.clone() } else { how_it_ended(service) };
                let since = service.since.map_or_else(String::new, |since| format!(" since {}", ui.moment(state, since)));
                doc.text(&format!("{}: {}{since}, {state_words}", service.unit, service.active));
            }
        }
        if let Some(changes) = &scene.changes {
            doc.heading("Looked at");
            for looked in &changes.looked {
                let newest = looked.newest.map_or_else(
                    || "nothing is known".to_owned(),
                    |at| format!("last change {} ago", duration(state.now.wall_s() - at)),
                );
                let left = looked.left_out.as_ref().map_or_else(String::new, |left| format!("; {left}"));
                doc.text(&format!("{} {}: {newest}{left}", looked.kind.word(), looked.place));
            }
            if changes.dropped > 0 {
                doc.text(&format!("{} older changes are not listed", changes.dropped));
            }
        }
        Some(doc.lines())
    }

    fn time(&self, state: &State, wanted: &str) -> Option<i64> {
        all(state).into_iter().find(|moment| moment.key() == wanted).map(|moment| moment.at)
    }

    fn copy(&self, state: &State, wanted: &str) -> Option<(String, &'static str)> {
        let moment = all(state).into_iter().find(|moment| moment.key() == wanted)?;
        let text = format!("{} {} {} ({})", crate::model::rfc3339(moment.at), moment.kind.word(), moment.what, moment.source);
        Some((clean(&text), "the change"))
    }
}
