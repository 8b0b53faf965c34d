//! The text of `check`: a first line for a pager, then what a person reads.

use crate::{
    app::State,
    model::{Advice, CheckState, HopState, Verdict, rfc3339, text::printable},
};

/// Characters of the first line before its performance data. Nagios keeps 4 kB of output, an SMS 160, a pager's list about 200.
const FIRST_LINE: usize = 240;

/// A text report. Its first line is one sentence with performance data after `|` (Monitoring Plugins Development Guidelines,
/// "Plugin Output for Nagios" and "Performance data"). `took_ms`: how long the pass took.
pub fn text(state: &State, took_ms: u64) -> String {
    let mut out = first_line(state, took_ms);
    out.push('\n');
    let (scene, assessment) = state.shown();
    let mut row = |text: &str| {
        out.push_str(&printable(text));
        out.push('\n');
    };
    if let Some(gateway) = super::gateway(state) {
        let host = scene.run.as_ref().map_or("", |run| run.host.as_str());
        row(&format!("gateway: {} on {host}, {}", gateway.title(), gateway.config.display()));
    }
    if let Some(since) = assessment.symptom.since {
        row(&format!("since: {}", assessment.symptom.since_words(&rfc3339(since))));
    }
    if !assessment.hops.is_empty() {
        let broken = assessment.hops.iter().position(|hop| hop.state == HopState::Broken);
        let hops: Vec<String> = assessment
            .hops
            .iter()
            .enumerate()
            .map(|(index, hop)| format!("{} {}{}", hop.name, hop.outcome, if Some(index) == broken { "!" } else { "" }))
            .collect();
        row(&format!("path: {}", hops.join(" > ")));
    }
    for (rank, cause) in assessment.causes.iter().enumerate() {
        let reason = cause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        row("");
        row(&format!(
            "{}. {} {}{reason}  {}  score {:.2}",
            rank + 1,
            cause.confidence.word(),
            cause.id,
            cause.subject,
            cause.score
        ));
        row(&format!("   {}", cause.summary));
        for evidence in &cause.evidence_for {
            row(&format!("   + {}  ({})", evidence.text, evidence.source));
        }
        for evidence in &cause.against {
            row(&format!("   - {}  ({})", evidence.text, evidence.source));
        }
        for unknown in &cause.unknown {
            row(&format!("   ? not looked at: {unknown}"));
        }
        for (id, subject) in &cause.explains {
            row(&format!("   = explains {id}  {subject}"));
        }
        for (name, list) in [("stop the bleeding", &cause.mitigate), ("fix", &cause.fix), ("verify", &cause.verify)] {
            for advice in list {
                advise(&mut row, name, advice);
            }
        }
    }
    let failed: Vec<_> = assessment.steps.iter().filter(|step| step.state == CheckState::Fail).collect();
    if !failed.is_empty() {
        row("");
        row("failed steps of the checklist:");
        for step in failed {
            let title = state
                .catalog
                .as_ref()
                .and_then(|catalog| catalog.step(&step.id))
                .map_or(step.id.as_str(), |spec| spec.title.as_str());
            row(&format!("   [!] {title}: {}", step.text));
        }
    }
    for finding in &assessment.findings {
        row(&format!("advice: {} ({}): {}", finding.text, finding.place, finding.fix));
    }
    if !assessment.ruled_out.is_empty() {
        row("");
        for out in &assessment.ruled_out {
            row(&format!("ruled out: {}: {}", out.id, out.because));
        }
    }
    if !assessment.blind.is_empty() {
        row("");
        for spot in &assessment.blind {
            row(&format!("not seen: {}: {}; {}", spot.source, spot.reason, spot.remedy));
        }
    }
    out
}

fn advise(row: &mut impl FnMut(&str), name: &str, advice: &Advice) {
    if advice.text.is_empty() {
        row(&format!("   {name}:"));
    } else {
        row(&format!("   {name}: {}", advice.text));
    }
    if let Some(command) = &advice.command {
        row(&format!("       $ {command}"));
    }
}

/// `CRITICAL - upstream-down 127.0.0.1:8000: nothing listens there | share=97% tried=20 took=1.83s`.
fn first_line(state: &State, took_ms: u64) -> String {
    let assessment = state.shown().1;
    let word = super::word(assessment.verdict);
    let sentence = match assessment.causes.first() {
        Some(cause) => format!("{} {}: {}", cause.id, cause.subject, cause.summary),
        None if assessment.headline.is_empty() && assessment.verdict == Verdict::Unknown => "nothing could be told".to_owned(),
        None => assessment.headline.clone(),
    };
    // The bar is what separates the sentence from the figures.
    let sentence = printable(&sentence).replace('|', "/");
    let cut: String = sentence.chars().take(FIRST_LINE).collect();
    let more = if cut.len() < sentence.len() { "..." } else { "" };
    let symptom = &assessment.symptom;
    // `U`: the figure could not be had.
    let share = symptom.share.map_or_else(|| "U".to_owned(), |share| format!("{}%;;;0;100", (share * 1000.0).round() / 10.0));
    let took = took_ms as f64 / 1000.0;
    format!("{word} - {cut}{more} | share={share} tried={} took={took:.2}s", symptom.tried)
}
