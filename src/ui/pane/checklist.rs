//! The checklist: how one works. Each step with its state and its proof.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::Pane;
use crate::{
    app::State,
    catalog::StepSpec,
    model::{CheckState, StepState},
    ui::{
        Slot, Ui,
        doc::Doc,
        header,
        list::List,
        text::{cut, fit, line, span, width},
    },
};

/// Columns of sign, number and their blanks: `[x] 12 `.
const LEAD: usize = 7;
/// Columns from which on the proof has a column of its own.
const PROOF: usize = 24;
/// Columns below which a proof says nothing.
const PROOF_MIN: usize = 7;

/// The pane.
pub struct Checklist;

/// A line of the list: the heading of a phase, or a step.
enum Entry<'a> {
    Phase(&'a str),
    Step(usize, &'a StepState),
}

/// `[x]`: what a step's state looks like.
fn sign(state: &State, step: &StepState) -> &'static str {
    match step.state {
        CheckState::Pass | CheckState::Done => "[x]",
        CheckState::Fail => "[!]",
        CheckState::NotApplicable | CheckState::Skipped => "[-]",
        // Not looked at yet, or nothing that a machine could look at; as opposed to: could not be told.
        CheckState::Unknown if by_hand(state, step) || !header::pending(state.shown().0).is_empty() => "[ ]",
        CheckState::Unknown => "[?]",
    }
}

fn spec<'a>(state: &'a State, id: &str) -> Option<&'a StepSpec> {
    state.catalog.as_ref()?.step(id)
}

/// Whether only a person can do it.
fn by_hand(state: &State, step: &StepState) -> bool {
    spec(state, &step.id).is_some_and(|spec| spec.fail.is_empty() && spec.pass.is_empty() && spec.looked.is_empty())
}

/// The state in a word or two.
fn word(state: &State, step: &StepState) -> &'static str {
    match step.state {
        CheckState::Pass => "pass",
        CheckState::Fail => "FAIL",
        CheckState::Unknown if by_hand(state, step) => "to be done by hand",
        CheckState::Unknown => "unknown",
        CheckState::NotApplicable => "does not apply here",
        CheckState::Done => "done by hand",
        CheckState::Skipped => "skipped by hand",
    }
}

/// The proof, for the column.
fn proof<'a>(state: &State, step: &'a StepState) -> &'a str {
    match step.state {
        CheckState::Unknown if by_hand(state, step) => "by hand",
        _ if !step.text.is_empty() => &step.text,
        CheckState::Done => "by hand",
        CheckState::Skipped => "skipped",
        CheckState::NotApplicable => "n/a",
        CheckState::Pass => "ok",
        CheckState::Fail => "FAIL",
        CheckState::Unknown => "?",
    }
}

/// As much of a proof as says something.
fn short(proof: &str, room: usize) -> String {
    if width(proof) > room && room < PROOF_MIN * 2 || room < PROOF_MIN { String::new() } else { cut(proof, room) }
}

impl Pane for Checklist {
    fn id(&self) -> &'static str {
        "checklist"
    }

    fn slot(&self) -> Slot {
        Slot::Work
    }

    fn title(&self, state: &State) -> String {
        let steps = &state.shown().1.steps;
        let settled = steps.iter().filter(|step| step.state != CheckState::Unknown).count();
        let failed = steps.iter().filter(|step| step.state == CheckState::Fail).count();
        let failed = if failed == 0 { String::new() } else { format!("  {failed} fail") };
        if steps.is_empty() { "CHECKLIST".to_owned() } else { format!("CHECKLIST {settled}/{}{failed}", steps.len()) }
    }

    fn rows(&self, state: &State) -> Vec<String> {
        state.shown().1.steps.iter().map(|step| step.id.clone()).collect()
    }

    /// The first failed step that says more than that requests fail: those of the first phase always do in an outage.
    fn home(&self, state: &State) -> usize {
        let steps = &state.shown().1.steps;
        let first_phase = steps.first().and_then(|step| spec(state, &step.id)).map(|spec| spec.phase.as_str());
        let telling = |step: &StepState| {
            step.state == CheckState::Fail && spec(state, &step.id).map(|spec| spec.phase.as_str()) != first_phase
        };
        steps.iter().position(telling).or_else(|| steps.iter().position(|step| step.state == CheckState::Fail)).unwrap_or(0)
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let steps = &state.shown().1.steps;
        let phase = |step: &StepState| spec(state, &step.id).map_or("", |spec| spec.phase.as_str());
        let mut entries = Vec::new();
        let mut last = "";
        for (index, step) in steps.iter().enumerate() {
            if phase(step) != last {
                last = phase(step);
                entries.push(Entry::Phase(last));
            }
            entries.push(Entry::Step(index, step));
        }
        // Headings only where they push no step off the screen.
        if entries.len() > usize::from(area.height) {
            entries.retain(|entry| matches!(entry, Entry::Step(..)));
        }
        if entries.is_empty() {
            let text = if state.catalog.is_none() { "the steps come with the first assessment" } else { "no step is known" };
            buf.set_line(
                area.x,
                area.y,
                &line([span(format!(" {text}"), ui.styles.quiet)]),
                if area.height > 0 { area.width } else { 0 },
            );
            return;
        }
        let chosen = super::selected(state, self, &self.rows(state));
        let selected = entries.iter().position(|entry| matches!(entry, Entry::Step(index, _) if *index == chosen)).unwrap_or(0);
        let title = |step: &StepState| spec(state, &step.id).map_or_else(|| step.id.clone(), |spec| spec.title.clone());
        let rest = usize::from(area.width).saturating_sub(LEAD + 4);
        let longest = steps.iter().map(|step| width(&title(step))).max().unwrap_or(0);
        // A column of its own for the proof only where it can say something.
        let column = if rest >= longest + PROOF { longest } else { 0 };
        List { items: &entries, selected, focused }.draw(
            ui,
            area,
            buf,
            |_| 1,
            |entry| {
                vec![match entry {
                    Entry::Phase(phase) => line([span(phase, ui.styles.quiet)]),
                    Entry::Step(index, step) => {
                        let style = ui.styles.check(step.state);
                        let strong = if step.state == CheckState::Fail { ui.styles.strong } else { Style::new() };
                        let title = cut(&title(step), rest);
                        let title = fit(&title, width(&title).max(column));
                        let room = rest.saturating_sub(width(&title));
                        line([
                            span(sign(state, step), style),
                            span(format!("{:>3} ", index + 1), ui.styles.quiet),
                            span(title, strong),
                            span("  ", Style::new()),
                            span(short(proof(state, step), room), style),
                        ])
                    }
                }]
            },
        );
    }

    fn explain(&self, state: &State, ui: &Ui, key: &str) -> Option<Vec<Line<'static>>> {
        let step = state.shown().1.steps.iter().find(|step| step.id == key)?;
        let mut doc = Doc::new(ui);
        let spec = spec(state, key);
        doc.heading(spec.map_or(key, |spec| spec.question.as_str()));
        doc.item(sign(state, step), ui.styles.check(step.state), word(state, step), "");
        if !step.text.is_empty() {
            doc.text(&step.text);
        }
        if let Some(at) = step.at {
            doc.field("seen", &ui.full(state, at.wall_s()));
        }
        if let Some(spec) = spec {
            doc.heading("Why it matters");
            doc.text(&spec.why);
        }
        if let Some(command) = &step.command {
            doc.advice("To check it by hand", std::slice::from_ref(command));
        }
        if let Some(spec) = spec {
            doc.heading(if step.state == CheckState::Fail { "What to do now" } else { "If it fails" });
            doc.text(&spec.on_fail);
            doc.heading("Where it comes from");
            for guide in &spec.guides {
                doc.item("*", ui.styles.text, guide, "");
            }
        }
        Some(doc.lines())
    }

    fn copy(&self, state: &State, key: &str) -> Option<(String, &'static str)> {
        let step = state.shown().1.steps.iter().find(|step| step.id == key)?;
        Some((step.command.as_ref()?.command.as_ref()?.to_string(), "the command that checks this step"))
    }
}
