//! The report as Markdown (CommonMark), for tickets and chat.

use crate::{
    app::State,
    model::{Advice, CheckState, HopState, rfc3339, text::printable},
};

/// Text in which nothing is markup: every ASCII punctuation character may be escaped by a backslash (CommonMark 0.31 section 2.4).
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '&' | '@'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A fenced block: its fence is longer than any row of backticks in it (CommonMark 0.31 section 4.5).
fn block(text: &str) -> String {
    let text = printable(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("   {fence}sh\n   {text}\n   {fence}\n")
}

fn advise(out: &mut String, heading: &str, list: &[Advice]) {
    if list.is_empty() {
        return;
    }
    out.push_str(&format!("\n**{heading}**\n\n"));
    for advice in list {
        out.push_str(&format!("1. {}\n", escape(if advice.text.is_empty() { "Run:" } else { &advice.text })));
        if let Some(command) = &advice.command {
            out.push_str(&block(&command.to_string()));
        }
    }
}

/// A Markdown report. `took_ms`: how long the pass took.
pub fn markdown(state: &State, took_ms: u64) -> String {
    let (scene, assessment) = state.shown();
    let host = scene.run.as_ref().map_or("", |run| run.host.as_str());
    let mut out = format!("# {}: {}\n\n", super::word(assessment.verdict), escape(&assessment.headline));
    let mut field = |name: &str, value: &str| out.push_str(&format!("- **{name}:** {}\n", escape(value)));
    field("At", &format!("{}, took {:.1} s", state.now.utc(), took_ms as f64 / 1000.0));
    field("Host", host);
    if let Some(gateway) = super::gateway(state) {
        field("Gateway", &format!("{}, {}", gateway.title(), gateway.config.display()));
    }
    if let Some(url) = &assessment.url {
        field("URL", url);
    }
    let symptom = &assessment.symptom;
    if !symptom.words.is_empty() {
        let share = symptom.share.map_or_else(String::new, |share| format!(", {:.0}% of {}", share * 100.0, symptom.tried));
        let since = symptom.since.map_or_else(String::new, |since| format!(", since {}", symptom.since_words(&rfc3339(since))));
        field("Symptom", &format!("{}{share}{since}", symptom.words));
    }
    if !assessment.hops.is_empty() {
        out.push_str("\n## Path of the request\n\n| hop | where | outcome | ms |\n|---|---|---|---|\n");
        let broken = assessment.hops.iter().position(|hop| hop.state == HopState::Broken);
        for (index, hop) in assessment.hops.iter().enumerate() {
            let ms = hop.ms.map_or_else(String::new, |ms| format!("{ms:.1}"));
            let mark = if Some(index) == broken { " **broken here**" } else { "" };
            out.push_str(&format!("| {} | {} | {}{mark} | {ms} |\n", escape(&hop.name), escape(&hop.target), escape(&hop.outcome)));
        }
    }
    if !assessment.causes.is_empty() {
        out.push_str("\n## Causes\n");
    }
    for (rank, cause) in assessment.causes.iter().enumerate() {
        let reason = cause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let title = format!("{} {}{reason} {}", cause.confidence.word(), cause.id, cause.subject);
        out.push_str(&format!(
            "\n### {}. {}\n\n{} (score {:.2})\n\n",
            rank + 1,
            escape(&title),
            escape(&cause.summary),
            cause.score
        ));
        for (word, list) in [("for", &cause.evidence_for), ("against", &cause.against)] {
            for evidence in list {
                out.push_str(&format!("- *{word}:* {} ({})\n", escape(&evidence.text), escape(&evidence.source)));
            }
        }
        for unknown in &cause.unknown {
            out.push_str(&format!("- *not looked at:* {}\n", escape(unknown)));
        }
        for (id, subject) in &cause.explains {
            out.push_str(&format!("- *explains:* {}\n", escape(&format!("{id} {subject}"))));
        }
        advise(&mut out, "Stop the bleeding", &cause.mitigate);
        advise(&mut out, "Fix", &cause.fix);
        advise(&mut out, "Verify", &cause.verify);
    }
    section(&mut out, "Advice", assessment.findings.iter().map(|f| format!("{} ({}): {}", f.text, f.place, f.fix)));
    section(&mut out, "Ruled out", assessment.ruled_out.iter().map(|r| format!("{}: {}", r.id, r.because)));
    section(&mut out, "Not seen", assessment.blind.iter().map(|b| format!("{}: {}; {}", b.source, b.reason, b.remedy)));
    let title = |id: &str| {
        state.catalog.as_ref().and_then(|catalog| catalog.step(id)).map_or_else(|| id.to_owned(), |step| step.title.clone())
    };
    if !assessment.steps.is_empty() {
        out.push_str("\n## Checklist\n\n");
    }
    for step in &assessment.steps {
        let (tick, word) = match step.state {
            CheckState::Pass => ("x", "pass"),
            CheckState::Fail => ("x", "**fail**"),
            CheckState::Unknown => (" ", "unknown"),
            CheckState::NotApplicable => ("x", "not applicable"),
            CheckState::Done => ("x", "done by hand"),
            CheckState::Skipped => (" ", "skipped"),
        };
        let proof = if step.text.is_empty() { String::new() } else { format!(": {}", escape(&step.text)) };
        out.push_str(&format!("- [{tick}] {}: {word}{proof}\n", escape(&title(&step.id))));
    }
    out
}

fn section(out: &mut String, heading: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.map(|row| format!("- {}\n", escape(&row))).collect();
    if !rows.is_empty() {
        out.push_str(&format!("\n## {heading}\n\n{}", rows.concat()));
    }
}
