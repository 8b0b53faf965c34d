//! The text of `check`: a first line for a pager, then what a person reads.

use crate::{
    app::State,
    diagnose::MomentKind,
    model::{Advice, CheckState, HopState, Verdict, document::safe, rfc3339},
};

/// Characters of the first line before its performance data. Nagios keeps 4 kB of output, an SMS 160, a pager's list about 200.
const FIRST_LINE: usize = 240;

/// A text report. Its first line is one sentence with performance data after `|` (Monitoring Plugins Development Guidelines,
/// "Plugin Output for Nagios" and "Performance data"). `took_ms`: how long the pass took.
pub fn text(state: &State, took_ms: u64) -> String {
    let mut out = first_line(state, took_ms);
    out.push('\n');
    let (scene, assessment) = state.shown();
    if let Some(gateway) = super::gateway(state) {
        let host = scene.run.as_ref().map_or("", |run| run.host.as_str());
        row(&mut out, &format!("gateway: {} on {host}, {}", gateway.title(), gateway.config.display()));
    }
    if let (Some(asked), Some(url)) = (&assessment.served, &assessment.url) {
        row(&mut out, &format!("asked: {asked} is served; what follows is about {url}"));
    }
    if let (Some((request, log)), Some(url)) = (&assessment.unasked, &assessment.url) {
        row(&mut out, &format!("asked: {url} is served, and the path is of that; by {log}, {request} is not"));
    }
    if let Some(since) = assessment.symptom.since {
        row(&mut out, &format!("since: {}", assessment.symptom.since_words(&rfc3339(since))));
    }
    if !assessment.hops.is_empty() {
        let broken = assessment.hops.iter().position(|hop| hop.state == HopState::Broken);
        let hops: Vec<String> = assessment
            .hops
            .iter()
            .enumerate()
            .map(|(index, hop)| format!("{} {}{}", hop.name, hop.outcome, if Some(index) == broken { "!" } else { "" }))
            .collect();
        row(&mut out, &format!("path: {}", hops.join(" > ")));
    }
    for (rank, cause) in assessment.causes.iter().enumerate() {
        let reason = cause.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        row(&mut out, "");
        row(
            &mut out,
            &format!("{}. {} {}{reason}  {}  score {:.2}", rank + 1, cause.confidence.word(), cause.id, cause.subject, cause.score),
        );
        row(&mut out, &format!("   {}", cause.summary));
        for evidence in &cause.evidence_for {
            row(&mut out, &format!("   + {}  ({})", evidence.text, evidence.source));
        }
        for evidence in &cause.against {
            row(&mut out, &format!("   - {}  ({})", evidence.text, evidence.source));
        }
        for unknown in &cause.unknown {
            row(&mut out, &format!("   ? not looked at: {unknown}"));
        }
        for (id, subject) in &cause.explains {
            row(&mut out, &format!("   = explains {id}  {subject}"));
        }
        for (name, list) in [("stop the bleeding", &cause.mitigate), ("fix", &cause.fix), ("verify", &cause.verify)] {
            for advice in list {
                advise(&mut out, name, advice);
            }
        }
    }
    let around = super::around(state);
    if !around.is_empty() {
        row(&mut out, "");
        row(&mut out, "what happened around the first failure:");
        for moment in around {
            let suspect = if moment.suspect { "suspect: " } else { "" };
            let by = moment.by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
            let words = if moment.kind == MomentKind::Onset { String::new() } else { format!(", {}", super::distance(moment)) };
            row(
                &mut out,
                &format!(
                    "   {}  {suspect}{}: {}{by}{words}  ({})",
                    rfc3339(moment.at),
                    moment.kind.word(),
                    moment.what,
                    moment.source
                ),
            );
        }
    }
    let spec = |id: &str| state.catalog.as_ref().and_then(|catalog| catalog.step(id));
    // What keeps the next outage away is for the time after this one.
    let well = assessment.verdict == Verdict::Ok;
    for (prevents, heading) in [(false, "failed steps of the checklist:"), (true, "against the next outage:")] {
        let failed = assessment.steps.iter().filter(|step| step.state == CheckState::Fail);
        let failed: Vec<_> =
            failed.filter(|step| spec(&step.id).is_some_and(crate::catalog::StepSpec::prevents) == prevents).collect();
        if failed.is_empty() || (prevents && !well) {
            continue;
        }
        row(&mut out, "");
        row(&mut out, heading);
        for step in failed {
            let title = spec(&step.id).map_or(step.id.as_str(), |spec| spec.title.as_str());
            // `without cache and cookies: 502`: what our own titles name is none of the host's secrets.
            out.push_str(&format!("   [!] {title}: {}\n", safe(&step.text)));
            if let Some(spec) = spec(&step.id).filter(|_| prevents) {
                row(&mut out, &format!("       {}", spec.on_fail));
            }
        }
    }
    if !assessment.findings.is_empty() {
        row(&mut out, "");
    }
    for finding in &assessment.findings {
        let place = if finding.place.is_empty() { String::new() } else { format!(" ({})", finding.place) };
        // What a cause tells already is told with its line alone: what to do stands there.
        let fix = finding.cause.as_ref().map_or_else(|| finding.fix.clone(), |cause| format!("see {cause}"));
        row(&mut out, &format!("advice: {}{place}: {fix}", finding.text));
    }
    if !assessment.configured.is_empty() && assessment.verdict != Verdict::Ok {
        row(&mut out, "");
        row(&mut out, "as configured:");
        for value in &assessment.configured {
            row(&mut out, &format!("   {} {}: {}", value.of, value.what, value.shown()));
        }
    }
    if !assessment.ruled_out.is_empty() {
        row(&mut out, "");
        for excluded in &assessment.ruled_out {
            row(&mut out, &format!("ruled out: {}: {}", excluded.id, excluded.because));
        }
    }
    if !assessment.blind.is_empty() {
        row(&mut out, "");
        for spot in &assessment.blind {
            row(&mut out, &format!("not seen: {}: {}; {}", spot.source, spot.reason, spot.remedy));
        }
    }
    out
}

/// A line without secrets, and without what a terminal would obey.
fn row(out: &mut String, text: &str) {
    out.push_str(&safe(text));
    out.push('\n');
}

fn advise(out: &mut String, name: &str, advice: &Advice) {
    if advice.text.is_empty() {
        row(out, &format!("   {name}:"));
    } else {
        row(out, &format!("   {name}: {}", advice.text));
    }
    if let Some(command) = &advice.command {
        row(out, &format!("       $ {command}"));
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
    let sentence = safe(&sentence).replace('|', "/");
    let cut: String = sentence.chars().take(FIRST_LINE).collect();
    let more = if cut.len() < sentence.len() { "..." } else { "" };
    let symptom = &assessment.symptom;
    // `U`: the figure could not be had.
    let share = symptom.share.map_or_else(|| "U".to_owned(), |share| format!("{}%;;;0;100", (share * 1000.0).round() / 10.0));
    let took = took_ms as f64 / 1000.0;
    format!("{word} - {cut}{more} | share={share} tried={} took={took:.2}s", symptom.tried)
}
