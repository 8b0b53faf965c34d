//! The report of an incident: path, verdict, evidence, line of time, checklist, what was ruled out.

use super::{State, around, distance, gateway, word};
use crate::{
    diagnose::{Moment, MomentKind},
    model::{Advice, Block, Check, CheckState, Document, HopState, Item, StepState, rfc3339},
};

/// Minutes of the chart.
const MINUTES: usize = 60;
/// Moments of our own look that are listed, the latest: edits, reloads, turns of probes, notes.
const MOMENTS: usize = 60;

fn advise(document: &mut Document, heading: &str, list: &[Advice]) {
    if list.is_empty() {
        return;
    }
    document.blocks.push(Block::Heading(4, heading.to_owned()));
    let steps = list.iter().map(|advice| {
        let text = if advice.text.is_empty() { "Run:".to_owned() } else { advice.text.clone() };
        (text, advice.command.as_ref().map(ToString::to_string))
    });
    document.blocks.push(Block::Steps(steps.collect()));
}

/// The report. `took_ms`: how long it was looked; `None`: it is still being looked.
pub fn incident(state: &State, took_ms: Option<u64>) -> Document {
    let (scene, assessment) = state.shown();
    let mut document = Document::new(format!("{}: {}", word(assessment.verdict), assessment.headline));
    document.blocks.push(Block::Fields(fields(state, took_ms)));
    if !assessment.hops.is_empty() {
        document.section("Path of the request");
        let broken = assessment.hops.iter().position(|hop| hop.state == HopState::Broken);
        let rows = assessment.hops.iter().enumerate().map(|(index, hop)| {
            let ms = hop.ms.map_or_else(String::new, |ms| format!("{ms:.1}"));
            (Some(index) == broken, vec![hop.name.clone(), hop.target.clone(), hop.outcome.clone(), ms])
        });
        let head = ["hop", "where", "outcome", "ms"].map(str::to_owned).to_vec();
        document.blocks.push(Block::Table(head, rows.collect()));
    }
    causes(state, &mut document);
    let moments = around(state).into_iter().map(|moment| happened(moment, true));
    document.list("What happened around the first failure", moments);
    let ours: Vec<&Moment> = assessment.moments.iter().filter(|moment| moment.kind.is_ours()).collect();
    let from = ours.len().saturating_sub(MOMENTS);
    // That we looked is told with what we saw.
    let seen = ours.iter().any(|moment| moment.kind != MomentKind::Look);
    document.list("What was seen and done since", ours[from..].iter().filter(|_| seen).map(|moment| happened(moment, false)));
    let counts = scene.traffic.failed(scene.now.wall_s(), MINUTES, 60);
    if counts.iter().any(|count| *count > 0) {
        let to = scene.now.wall_s();
        let from = to - i64::try_from(MINUTES).unwrap_or(0) * 60;
        let title = "answered with 5xx, each minute".to_owned();
        document.section("Requests that failed");
        document.blocks.push(Block::Chart { title, counts, from: rfc3339(from), to: rfc3339(to) });
    }
    let advice = assessment.findings.iter().map(|finding| {
        let place = if finding.place.is_empty() { String::new() } else { format!(" ({})", finding.place) };
        let fix = finding.cause.as_ref().map_or_else(|| finding.fix.clone(), |cause| format!("see {cause}"));
        Item::plain(format!("{}{place}: {fix}", finding.text))
    });
    document.list("Advice", advice);
    let values = assessment.configured.iter().map(|value| Item::plain(format!("{} {}: {}", value.of, value.what, value.shown())));
    document.list("As configured", values);
    document.list("Ruled out", assessment.ruled_out.iter().map(|out| Item::plain(format!("{}: {}", out.id, out.because))));
    document.list("Not seen", assessment.blind.iter().map(|b| Item::plain(format!("{}: {}; {}", b.source, b.reason, b.remedy))));
    if !assessment.steps.is_empty() {
        document.section("Checklist");
        document.blocks.push(Block::Checks(assessment.steps.iter().map(|step| check(state, step)).collect()));
    }
    let notes = scene.operator.notes.iter().filter(|note| note.step.is_none());
    document.list("Notes", notes.map(|note| Item::plain(format!("{} {}", note.at.utc(), note.text))));
    document
}

fn fields(state: &State, took_ms: Option<u64>) -> Vec<(String, String)> {
    let (scene, assessment) = state.shown();
    let mut fields = Vec::new();
    let mut field = |name: &str, value: String| fields.push((name.to_owned(), value));
    let took = took_ms.map_or_else(String::new, |ms| format!(", took {:.1} s", ms as f64 / 1000.0));
    let now = if state.view.frozen.is_some() { scene.now } else { state.now };
    field("At", format!("{}{took}", now.utc()));
    field("Host", scene.run.as_ref().map_or_else(String::new, |run| run.host.clone()));
    if let Some(gateway) = gateway(state) {
        field("Gateway", format!("{}, {}", gateway.title(), gateway.config.display()));
    }
    if let Some(url) = &assessment.url {
        field("URL", url.clone());
    }
    let symptom = &assessment.symptom;
    if !symptom.words.is_empty() {
        let share = symptom.share_words().map_or_else(String::new, |share| format!(", {share}"));
        let since = symptom.since.map_or_else(String::new, |since| format!(", since {}", symptom.since_words(&rfc3339(since))));
        field("Symptom", format!("{}{share}{since}", symptom.words));
    }
    fields
}

fn causes(state: &State, document: &mut Document) {
    let assessment = state.shown().1;
    if !assessment.causes.is_empty() {
        document.section("Causes");
    }
    for (rank, cause) in assessment.causes.iter().enumerate() {
        let reason = cause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let title = format!("{}. {} {}{reason} {}", rank + 1, cause.confidence.word(), cause.id, cause.subject);
        document.blocks.push(Block::Heading(3, title));
        document.blocks.push(Block::Text(format!("{} (score {:.2})", cause.summary, cause.score)));
        let mut items = Vec::new();
        for (sign, list) in [("for", &cause.evidence_for), ("against", &cause.against)] {
            for evidence in list {
                items.push(Item { sign: sign.to_owned(), text: evidence.text.clone(), source: evidence.source.clone() });
            }
        }
        let plain = |sign: &str, text: String| Item { sign: sign.to_owned(), text, source: String::new() };
        items.extend(cause.unknown.iter().map(|text| plain("not looked at", text.clone())));
        items.extend(cause.explains.iter().map(|(id, subject)| plain("explains", format!("{id} {subject}"))));
        document.blocks.push(Block::List(items));
        advise(document, "Stop the bleeding", &cause.mitigate);
        advise(document, "Fix", &cause.fix);
        advise(document, "Verify", &cause.verify);
    }
}

fn happened(moment: &Moment, far: bool) -> Item {
    let suspect = if moment.suspect { "suspect: " } else { "" };
    let by = moment.by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
    let far = if far { format!("{}; ", distance(moment)) } else { String::new() };
    Item {
        text: format!("{} {suspect}{}: {}{by}", rfc3339(moment.at), moment.kind.word(), moment.what),
        source: format!("{far}{}", moment.source),
        ..Item::default()
    }
}

fn check(state: &State, step: &StepState) -> Check {
    let title = state.catalog.as_ref().and_then(|catalog| catalog.step(&step.id)).map_or(&step.id, |spec| &spec.title);
    let (settled, word) = match step.state {
        CheckState::Pass => (true, "pass"),
        CheckState::Fail => (true, "fail"),
        CheckState::Unknown => (false, "unknown"),
        CheckState::NotApplicable => (true, "not applicable"),
        CheckState::Done => (true, "done by hand"),
        CheckState::Skipped => (false, "skipped"),
    };
    let by_hand = matches!(step.state, CheckState::Done | CheckState::Skipped);
    let word = step.at.filter(|_| by_hand).map_or_else(|| word.to_owned(), |at| format!("{word} at {}", at.utc()));
    Check {
        settled,
        failed: step.state == CheckState::Fail,
        title: title.clone(),
        word,
        text: step.text.clone(),
        notes: state.shown().0.operator.about(&step.id).map(|note| format!("{} {}", note.at.utc(), note.text)).collect(),
    }
}
