//! The checklist: how one works. Each step with its state and its proof.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::Pane;
use crate::{
    app::State,
    catalog::StepSpec,
    model::{CheckState, StepState, Verdict},
    ui::{
        Slot, Ui,
        doc::Doc,
        header,
        list::List,
        text::{cut, fit, fixed, line, span, width},
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
    spec(state, &step.id).is_some_and(|spec| spec.fail.is_empty() && spec.pass.is_empty())
}

/// The lines of the list in so much room.
fn entries(state: &State, area: Rect) -> Vec<Entry<'_>> {
    let phase = |step: &StepState| spec(state, &step.id).map_or("", |spec| spec.phase.as_str());
    let mut entries = Vec::new();
    let mut last = "";
    for (index, step) in shown(state) {
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
    entries
}

/// The steps that pass the filters, each with its place in the list.
fn shown(state: &State) -> impl Iterator<Item = (usize, &StepState)> {
    let lets = super::passing(state, &Checklist);
    state.shown().1.steps.iter().enumerate().filter(move |(_, step)| lets(&step.id))
}

/// What stands for a step in the list.
fn title<'a>(state: &'a State, step: &'a StepState) -> &'a str {
    spec(state, &step.id).map_or(&step.id, |spec| &spec.title)
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
fn short(proof: &str, room: usize) -> Cow<'_, str> {
    if width(proof) > room && room < PROOF_MIN * 2 || room < PROOF_MIN { Cow::Borrowed("") } else { cut(proof, room) }
}

/// The step that comes next to whoever works through the list: the first in the guides' order that is neither passed nor settled by
/// hand, with its place. What keeps the next outage away waits until requests are served.
pub fn guided(state: &State) -> Option<(usize, &StepState)> {
    let assessment = state.shown().1;
    let now = |step: &StepState| assessment.verdict == Verdict::Ok || !spec(state, &step.id).is_some_and(StepSpec::prevents);
    let open = |step: &StepState| match step.state {
        CheckState::Fail | CheckState::Unknown => now(step),
        CheckState::Pass | CheckState::NotApplicable | CheckState::Done | CheckState::Skipped => false,
    };
    assessment.steps.iter().enumerate().find(|(_, step)| open(step))
}

/// That step as a page, with its title.
pub fn guide(state: &State, ui: &Ui) -> (String, Vec<Line<'static>>) {
    let steps = &state.shown().1.steps;
    let Some((at, step)) = guided(state) else {
        let mut doc = Doc::new(ui);
        doc.text("Every step is passed or settled. Esc goes back to the list.");
        return ("GUIDED".to_owned(), doc.lines());
    };
    let phase = spec(state, &step.id).map_or("", |spec| spec.phase.as_str());
    let mut doc = Doc::new(ui);
    let (tick, skip) = (ui.keys.named("tick"), ui.keys.named("skip"));
    let what = match step.state {
        CheckState::Fail => format!("It fails. Read what to do, then press {tick} when you have dealt with it"),
        CheckState::Unknown if by_hand(state, step) => format!("Only a person can tell. Press {tick} when you have done it"),
        _ => format!("Nobody has been able to tell yet. Check it by hand, then press {tick}"),
    };
    doc.text(&format!("{what}, or {skip} to leave it out with a reason."));
    let mut lines = doc.lines();
    lines.extend(Checklist.explain(state, ui, &step.id).unwrap_or_default());
    (format!("GUIDED: step {} of {}, {phase}", at + 1, steps.len()), lines)
}

/// Its id.
pub const CHECKLIST: &str = "checklist";

impl Pane for Checklist {
    fn id(&self) -> &'static str {
        CHECKLIST
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

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        shown(state).map(|(_, step)| Cow::Borrowed(step.id.as_str())).collect()
    }

    fn row_at(&self, state: &State, area: Rect, item: usize) -> Option<usize> {
        let entries = entries(state, area);
        let step = matches!(entries.get(item)?, Entry::Step(..));
        step.then(|| entries.iter().take(item).filter(|entry| matches!(entry, Entry::Step(..))).count())
    }

    /// The first failed step that says more than that requests fail: those of the first phase always do in an outage.
    fn home(&self, state: &State) -> usize {
        let first_phase = state.shown().1.steps.first().and_then(|step| spec(state, &step.id)).map(|spec| spec.phase.as_str());
        let telling = |step: &StepState| {
            step.state == CheckState::Fail && spec(state, &step.id).map(|spec| spec.phase.as_str()) != first_phase
        };
        let first = |wanted: &dyn Fn(&StepState) -> bool| shown(state).position(|(_, step)| wanted(step));
        first(&telling).or_else(|| first(&|step| step.state == CheckState::Fail)).unwrap_or(0)
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let steps = &state.shown().1.steps;
        let entries = entries(state, area);
        if entries.is_empty() {
            let text = match () {
                () if header::before_us(state.shown().0) => "nothing was looked at then".into(),
                () if !steps.is_empty() => super::filtered_out(ui),
                () if state.catalog.is_none() => "the steps come with the first assessment".into(),
                () => "no step is known".into(),
            };
            buf.set_line(
                area.x,
                area.y,
                &line([span(format!(" {text}"), ui.styles.quiet)]),
                if area.height > 0 { area.width } else { 0 },
            );
            return;
        }
        let chosen = super::selected(state, self, &self.rows(state));
        let steps_of = entries.iter().enumerate().filter(|(_, entry)| matches!(entry, Entry::Step(..)));
        let selected = steps_of.map(|(at, _)| at).nth(chosen).unwrap_or(0);
        let rest = usize::from(area.width).saturating_sub(LEAD + 4);
        let longest = steps.iter().map(|step| width(title(state, step))).max().unwrap_or(0);
        // A column of its own for the proof only where it can say something.
        let column = if rest >= longest + PROOF { longest } else { 0 };
        List { items: &entries, selected, focused }.draw(
            ui,
            area,
            buf,
            |_| 1,
            |entry| {
                vec![match entry {
                    Entry::Phase(phase) => line([span(*phase, ui.styles.quiet)]),
                    Entry::Step(index, step) => {
                        let style = ui.styles.check(step.state);
                        let strong = if step.state == CheckState::Fail { ui.styles.strong } else { Style::new() };
                        let title = cut(title(state, step), rest);
                        let title = fit(&title, width(&title).max(column));
                        let room = rest.saturating_sub(width(&title));
                        line([
                            span(sign(state, step), style),
                            span(if ui.trace.on() { " ".to_owned() } else { format!("{:>3} ", index + 1) }, ui.styles.quiet),
                            span(title, strong),
                            fixed("  ", Style::new()),
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
