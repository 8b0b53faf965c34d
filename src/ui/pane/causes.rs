//! The causes: what one finds. Ranked, each with what speaks for and against it, then what was excluded and what was not seen.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use std::{borrow::Cow, path::PathBuf};

use super::Pane;
use crate::{
    app::State,
    diagnose::edit_at,
    model::{Cause, Finding, Verdict},
    ui::{
        Slot, Ui,
        doc::Doc,
        header,
        list::List,
        text::{cut, cut_line, fit, fixed, line, span, width, wrap},
    },
};

/// Rows that are no causes, by their keys: no id of the catalogue has parentheses.
const RULED_OUT: &str = "(ruled out)";
const FINDINGS: &str = "(findings)";
const BLIND: &str = "(not seen)";
/// From here on subject and confidence stand in the row itself.
const ROOMY: u16 = 54;

/// The pane.
pub struct Causes;

/// A row with the lines that it takes.
enum Entry<'a> {
    /// Its rank, the cause, and the lines below its first.
    Cause(usize, &'a Cause, Vec<Line<'static>>),
    RuledOut,
    /// All advice in one row: what breaks requests matters more.
    Findings,
    /// One piece of advice, where nothing is broken.
    Finding(usize, &'a Finding),
    Blind,
}

fn key(cause: &Cause) -> String {
    format!("{}\u{1f}{}", cause.id, cause.subject)
}

fn entries(state: &State) -> Vec<Entry<'_>> {
    let lets = super::passing(state, &Causes);
    let assessment = state.shown().1;
    let causes = assessment.causes.iter().enumerate().map(|(index, cause)| Entry::Cause(index, cause, Vec::new()));
    let calm = assessment.causes.is_empty();
    let findings = assessment.findings.iter().enumerate().filter(|_| calm);
    causes
        .chain((!assessment.findings.is_empty() && !calm).then_some(Entry::Findings))
        .chain(findings.map(|(index, finding)| Entry::Finding(index, finding)))
        .chain((!assessment.ruled_out.is_empty()).then_some(Entry::RuledOut))
        .chain((!assessment.blind.is_empty()).then_some(Entry::Blind))
        .filter(|entry| lets(&entry_key(entry)))
        .collect()
}

/// What tells a finding from another one.
fn finding_key(finding: &Finding) -> String {
    format!("{FINDINGS}\u{1f}{}\u{1f}{}\u{1f}{}", finding.id, finding.place, finding.text)
}

fn entry_key(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Cause(_, cause, _) => key(cause),
        Entry::RuledOut => RULED_OUT.to_owned(),
        Entry::Findings => FINDINGS.to_owned(),
        Entry::Finding(_, finding) => finding_key(finding),
        Entry::Blind => BLIND.to_owned(),
    }
}

/// The lines below a cause's first, most important first.
fn details(ui: &Ui, cause: &Cause, area: Rect) -> Vec<Line<'static>> {
    let styles = &ui.styles;
    let columns = usize::from(area.width).saturating_sub(2);
    let row = |sign: &str, style: Style, text: &str| line([span(format!("   {sign} "), style), span(text, styles.text)]);
    let mut out = Vec::new();
    if area.width < ROOMY {
        let counts = format!("{} for, {} against", cause.evidence_for.len(), cause.against.len());
        out.push(line([span(
            format!("   {}  {counts}", cut(&cause.subject.0, columns.saturating_sub(width(&counts) + 6))),
            styles.text,
        )]));
    }
    out.extend(cause.evidence_for.iter().map(|evidence| row("+", styles.good, &evidence.text)));
    out.extend(cause.against.iter().map(|evidence| row("-", styles.warn, &evidence.text)));
    out.extend(cause.unknown.iter().map(|text| row("?", styles.unknown, text)));
    if !cause.explains.is_empty() {
        let list: Vec<&str> = cause.explains.iter().map(|(id, _)| id.as_str()).collect();
        out.push(row("=", styles.quiet, &format!("explains {}", list.join(", "))));
    }
    out
}

/// The line that says what to do, for when there is room for it.
fn what_to_do(ui: &Ui, cause: &Cause) -> Option<Line<'static>> {
    let advice = cause.fix.first().or_else(|| cause.mitigate.first())?;
    Some(line([fixed("   DO ", ui.styles.strong), span(advice.to_string(), ui.styles.command)]))
}

/// The first line of a cause.
fn head(ui: &Ui, index: usize, cause: &Cause, area: Rect) -> Line<'static> {
    let styles = &ui.styles;
    // Two decimals without the leading zero: `.93`, and `1.0` for certainty.
    let score = format!("{:.2}", cause.score);
    let score = score.strip_prefix('0').map_or_else(|| "1.0".to_owned(), str::to_owned);
    // Who is told the rows gets their numbers with them.
    let number = if ui.trace.on() { String::new() } else { format!("{} ", index + 1) };
    let mut first = vec![span(format!("{number}{score} "), styles.quiet)];
    let word = cause.confidence.word();
    let room = usize::from(area.width).saturating_sub(3 + 6 + width(word) + 1);
    let reason = cause.reason.as_ref().map_or_else(String::new, |reason| format!(" {reason}"));
    if area.width >= ROOMY {
        let name = format!("{}{reason}", cause.id);
        let subject = format!("  {}", cause.subject);
        let subject = cut(&subject, room.saturating_sub(width(&name)));
        let pad = room.saturating_sub(width(&name) + width(&subject));
        first.extend([span(name, styles.strong), span(subject, styles.text), span(" ".repeat(pad), styles.text)]);
    } else {
        first.push(span(fit(&format!("{}{reason}", cause.id), room), styles.strong));
    }
    first.push(span(format!(" {word}"), styles.confidence(cause.confidence)));
    line(first)
}

/// The lines below a cause's first, in so much room: wrapped where all of it fits, else each cut to one line; what to do is the
/// last, and gives way to no evidence but the first.
fn below(ui: &Ui, cause: &Cause, area: Rect, room: usize) -> Vec<Line<'static>> {
    let columns = usize::from(area.width).saturating_sub(2);
    let mut all = details(ui, cause, area);
    let advice = what_to_do(ui, cause);
    let whole: Vec<Line<'static>> = wrap(all.iter().chain(&advice).cloned(), columns);
    if whole.len() <= room {
        return whole;
    }
    if all.len() + usize::from(advice.is_some()) > room && room >= 2 {
        all.truncate(room - usize::from(advice.is_some()));
    }
    all.into_iter().chain(advice).take(room).map(|line| cut_line(&line, columns)).collect()
}

/// Shares the free lines out: the first cause gets all it can use, then the second, and so on.
fn share(ui: &Ui, entries: &mut [Entry<'_>], area: Rect) {
    let mut free = usize::from(area.height).saturating_sub(entries.len());
    for entry in entries {
        if let Entry::Cause(_, cause, lines) = entry {
            *lines = below(ui, cause, area, free);
            free -= lines.len();
        }
    }
}

fn none_yet(state: &State) -> &'static str {
    let (scene, assessment) = state.shown();
    match assessment.verdict {
        _ if header::before_us(scene) => "nothing is concluded of that time",
        Verdict::Ok => "nothing fails: no cause to look for",
        Verdict::Unknown if !header::pending(scene).is_empty() => "still looking",
        Verdict::Unknown => "it could not be told whether anything fails",
        Verdict::Warning | Verdict::Critical => "none found yet: go through the checklist",
    }
}

impl Pane for Causes {
    fn id(&self) -> &'static str {
        "causes"
    }

    fn slot(&self) -> Slot {
        Slot::Find
    }

    fn title(&self, state: &State) -> String {
        match state.shown().1.causes.len() {
            0 => "CAUSES".to_owned(),
            count => format!("CAUSES {count}  for + against -"),
        }
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        entries(state).iter().map(|entry| Cow::Owned(entry_key(entry))).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let assessment = state.shown().1;
        let styles = &ui.styles;
        let mut area = area;
        if assessment.causes.is_empty() {
            buf.set_line(area.x, area.y, &line([span(format!("  {}", none_yet(state)), styles.quiet)]), area.width);
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        let mut entries = entries(state);
        let selected = super::selected(state, self, &entries.iter().map(entry_key).collect::<Vec<_>>());
        share(ui, &mut entries, area);
        let columns = usize::from(area.width).saturating_sub(2);
        let tail = |head: String, style: Style, list: &[&str]| {
            let room = columns.saturating_sub(width(&head));
            vec![line([span(head, style), span(cut(&list.join(", "), room), styles.quiet)])]
        };
        List { items: &entries, selected, focused }.draw(
            ui,
            area,
            buf,
            |entry| match entry {
                Entry::Cause(_, _, lines) => 1 + lines.len(),
                Entry::RuledOut | Entry::Findings | Entry::Finding(..) | Entry::Blind => 1,
            },
            |entry| match entry {
                Entry::Cause(index, cause, lines) => {
                    std::iter::once(head(ui, *index, cause, area)).chain(lines.iter().cloned()).collect()
                }
                Entry::RuledOut => {
                    let list: Vec<&str> = assessment.ruled_out.iter().map(|out| out.id.as_str()).collect();
                    tail(format!("ruled out {}: ", list.len()), styles.good, &list)
                }
                Entry::Finding(index, finding) => {
                    let head = if *index == 0 { "advice: " } else { "        " };
                    tail(head.to_owned(), styles.text, &[finding.text.as_str()])
                }
                Entry::Findings => {
                    let list: Vec<&str> = assessment.findings.iter().map(|finding| finding.id.as_str()).collect();
                    tail(format!("advice {}: ", list.len()), styles.text, &list)
                }
                Entry::Blind => {
                    let list: Vec<&str> = assessment.blind.iter().map(|spot| spot.source.as_str()).collect();
                    tail(format!("not seen {}: ", list.len()), styles.unknown, &list)
                }
            },
        );
    }

    fn explain(&self, state: &State, ui: &Ui, wanted: &str) -> Option<Vec<Line<'static>>> {
        let assessment = state.shown().1;
        let styles = &ui.styles;
        let mut doc = Doc::new(ui);
        match wanted {
            RULED_OUT => {
                doc.heading("Excluded, with the proof");
                for out in &assessment.ruled_out {
                    doc.item("x", styles.good, &format!("{}: {}", out.id, out.because), "");
                }
            }
            FINDINGS => {
                doc.heading("What ought to be mended, nearest to the failing request first");
                for finding in &assessment.findings {
                    doc.item("*", styles.text, &finding.text, &finding.place);
                    if let Some(spec) = state.catalog.as_ref().and_then(|catalog| catalog.finding(&finding.id)) {
                        doc.text(&format!("  {}", spec.why));
                    }
                    match &finding.cause {
                        Some(cause) => doc.text(&format!("  see {cause}")),
                        None => doc.text(&format!("  do: {}", finding.fix)),
                    }
                }
            }
            BLIND => {
                doc.heading("What could not be looked at, and what would change that");
                for spot in &assessment.blind {
                    doc.item("?", styles.unknown, &format!("{}: {}", spot.source, spot.reason), "");
                    doc.text(&format!("  {}", spot.remedy));
                }
            }
            _ if wanted.starts_with(FINDINGS) => {
                let finding = assessment.findings.iter().find(|finding| finding_key(finding) == wanted)?;
                explain_finding(state, &mut doc, finding);
            }
            _ => {
                let (rank, cause) = assessment.causes.iter().enumerate().find(|(_, cause)| key(cause) == wanted)?;
                explain_cause(state, ui, &mut doc, rank, cause);
            }
        }
        Some(doc.lines())
    }

    fn edit(&self, state: &State, wanted: &str) -> Option<(PathBuf, u32)> {
        let (scene, assessment) = state.shown();
        if let Some(finding) = assessment.findings.iter().find(|finding| finding_key(finding) == wanted) {
            return edit_at::of_place(scene, &finding.place);
        }
        if wanted == FINDINGS {
            return assessment.findings.iter().find_map(|finding| edit_at::of_place(scene, &finding.place));
        }
        let cause = assessment.causes.iter().find(|cause| key(cause) == wanted)?;
        edit_at::of_cause(scene, assessment, cause)
    }

    fn copy(&self, state: &State, wanted: &str) -> Option<(String, &'static str)> {
        if let Some(finding) = state.shown().1.findings.iter().find(|finding| finding_key(finding) == wanted) {
            return Some((format!("{}: {}", finding.place, finding.fix), "the place and what to do there"));
        }
        let cause = state.shown().1.causes.iter().find(|cause| key(cause) == wanted)?;
        let command =
            |list: &[crate::model::Advice]| list.iter().find_map(|advice| advice.command.as_ref().map(ToString::to_string));
        command(&cause.fix)
            .map(|command| (command, "the command that fixes it"))
            .or_else(|| command(&cause.mitigate).map(|command| (command, "the command that stops the bleeding")))
            .or_else(|| command(&cause.verify).map(|command| (command, "the command that verifies it")))
    }
}

fn explain_finding(state: &State, doc: &mut Doc<'_>, finding: &Finding) {
    let spec = state.catalog.as_ref().and_then(|catalog| catalog.finding(&finding.id));
    doc.heading(spec.map_or(finding.id.as_str(), |spec| spec.title.as_str()));
    doc.text(&finding.text);
    if !finding.place.is_empty() {
        doc.field("where", &finding.place);
    }
    doc.heading("What to do");
    doc.text(&finding.fix);
    if let Some(spec) = spec {
        doc.heading("Why it matters");
        doc.text(&spec.why);
        if !spec.refs.is_empty() {
            doc.heading("Read more");
        }
        for text in &spec.refs {
            doc.text(text);
        }
    }
}

fn explain_cause(state: &State, ui: &Ui, doc: &mut Doc<'_>, rank: usize, cause: &Cause) {
    let styles = &ui.styles;
    let spec = state.catalog.as_ref().and_then(|catalog| catalog.cause(&cause.id));
    let reason = cause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    doc.heading(&format!("{} {}{reason}  {}", rank + 1, cause.id, cause.subject));
    doc.styled(&format!("{}, score {:.2}", cause.confidence.word(), cause.score), styles.confidence(cause.confidence));
    doc.text(&cause.summary);
    doc.heading("Speaks for it");
    if cause.evidence_for.is_empty() {
        doc.text("nothing");
    }
    for evidence in &cause.evidence_for {
        doc.item("+", styles.good, &evidence.text, &evidence.source);
    }
    doc.heading("Speaks against it");
    if cause.against.is_empty() {
        doc.text("nothing that was looked at");
    }
    for evidence in &cause.against {
        doc.item("-", styles.warn, &evidence.text, &evidence.source);
    }
    if !cause.unknown.is_empty() {
        doc.heading("Not looked at, and it would matter");
        for text in &cause.unknown {
            doc.item("?", styles.unknown, text, "");
        }
    }
    if !cause.explains.is_empty() {
        doc.heading("It explains");
        for (id, subject) in &cause.explains {
            doc.item("=", styles.text, &format!("{id}  {subject}"), "");
        }
    }
    doc.advice("Stop the bleeding", &cause.mitigate);
    doc.advice("Fix", &cause.fix);
    doc.advice("See that it is gone", &cause.verify);
    if let Some(spec) = spec {
        doc.heading(&format!("What it is: {}", spec.title));
        doc.text(&spec.what);
        for (heading, list) in [("Keep it away", &spec.prevent), ("Read more", &spec.refs)] {
            if !list.is_empty() {
                doc.heading(heading);
                for text in list {
                    doc.item("*", styles.text, text, "");
                }
            }
        }
    }
}
