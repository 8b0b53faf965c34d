//! The JSON of `check` and `explain`: the contract's. A field that changes its meaning changes `schema`; new fields may come.

use serde::Serialize;

use crate::{
    app::State,
    model::{Advice, CheckState, Evidence, Verdict, rfc3339, text::printable},
};

/// Name and version of this format.
pub const SCHEMA: &str = "why502/1";

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    at: String,
    took_ms: u64,
    host: String,
    target: Target,
    verdict: Verdict,
    symptom: Symptom,
    causes: Vec<Cause>,
    findings: Vec<Finding>,
    ruled_out: Vec<RuledOut>,
    blind_spots: Vec<BlindSpot>,
    hops: Vec<Hop>,
    checklist: Vec<Step>,
}

#[derive(Serialize)]
struct Target {
    url: Option<String>,
    gateway: Option<String>,
    version: Option<String>,
}

#[derive(Serialize)]
struct Symptom {
    status: Option<u16>,
    share: Option<f64>,
    tried: u32,
    since: Option<String>,
    /// How far `since` may be off, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_within_s: Option<u32>,
    /// It began at `since`, or before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    since_earlier: bool,
}

#[derive(Serialize)]
struct Cause {
    id: String,
    reason: Option<String>,
    confidence: &'static str,
    score: f64,
    subject: String,
    summary: String,
    #[serde(rename = "for")]
    evidence_for: Vec<Said>,
    against: Vec<Said>,
    unknown: Vec<String>,
    mitigate: Vec<String>,
    fix: Vec<String>,
    verify: Vec<String>,
}

#[derive(Serialize)]
struct Said {
    text: String,
    source: String,
}

#[derive(Serialize)]
struct Finding {
    id: String,
    text: String,
    #[serde(rename = "where")]
    place: String,
    fix: String,
}

#[derive(Serialize)]
struct RuledOut {
    id: String,
    because: String,
}

#[derive(Serialize)]
struct BlindSpot {
    source: String,
    reason: String,
    remedy: String,
}

#[derive(Serialize)]
struct Hop {
    name: String,
    target: String,
    outcome: String,
    ms: Option<f64>,
}

#[derive(Serialize)]
struct Step {
    id: String,
    state: CheckState,
    text: String,
    guides: Vec<String>,
}

/// To so many decimals, so that the same figures give the same bytes.
fn round(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}

fn said(list: &[Evidence]) -> Vec<Said> {
    list.iter().map(|evidence| Said { text: printable(&evidence.text), source: printable(&evidence.source) }).collect()
}

fn advice(list: &[Advice]) -> Vec<String> {
    list.iter().map(|advice| printable(&advice.to_string())).collect()
}

/// The whole state as JSON, with a line end. `took_ms`: how long the pass took.
pub fn json(state: &State, took_ms: u64) -> String {
    let (scene, assessment) = state.shown();
    let gateway = super::gateway(state);
    let symptom = &assessment.symptom;
    let guides =
        |id: &str| state.catalog.as_ref().and_then(|catalog| catalog.step(id)).map_or_else(Vec::new, |step| step.guides.clone());
    let report = Report {
        schema: SCHEMA,
        at: state.now.utc(),
        took_ms,
        host: scene.run.as_ref().map_or_else(String::new, |run| printable(&run.host)),
        target: Target {
            url: assessment.url.as_deref().or(scene.run.as_ref().and_then(|run| run.url.as_deref())).map(printable),
            gateway: gateway.map(|gateway| gateway.kind.clone()),
            version: gateway.and_then(|gateway| gateway.version.as_deref()).map(printable),
        },
        verdict: assessment.verdict,
        symptom: Symptom {
            status: symptom.status,
            share: symptom.share.map(|share| round(share, 4)),
            tried: symptom.tried,
            since: symptom.since.map(rfc3339),
            since_within_s: symptom.since_within_s,
            since_earlier: symptom.since_earlier,
        },
        causes: assessment
            .causes
            .iter()
            .map(|cause| Cause {
                id: cause.id.clone(),
                reason: cause.reason.as_deref().map(printable),
                confidence: cause.confidence.word(),
                score: round(cause.score, 2),
                subject: printable(&cause.subject.0),
                summary: printable(&cause.summary),
                evidence_for: said(&cause.evidence_for),
                against: said(&cause.against),
                unknown: cause.unknown.iter().map(|text| printable(text)).collect(),
                mitigate: advice(&cause.mitigate),
                fix: advice(&cause.fix),
                verify: advice(&cause.verify),
            })
            .collect(),
        findings: assessment
            .findings
            .iter()
            .map(|finding| Finding {
                id: finding.id.clone(),
                text: printable(&finding.text),
                place: printable(&finding.place),
                fix: printable(&finding.fix),
            })
            .collect(),
        ruled_out: assessment
            .ruled_out
            .iter()
            .map(|out| RuledOut { id: out.id.clone(), because: printable(&out.because) })
            .collect(),
        blind_spots: assessment
            .blind
            .iter()
            .map(|spot| BlindSpot {
                source: printable(&spot.source),
                reason: printable(&spot.reason),
                remedy: printable(&spot.remedy),
            })
            .collect(),
        hops: assessment
            .hops
            .iter()
            .map(|hop| Hop {
                name: printable(&hop.name),
                target: printable(&hop.target),
                outcome: printable(&hop.outcome),
                ms: hop.ms.map(|ms| round(ms, 3)),
            })
            .collect(),
        checklist: assessment
            .steps
            .iter()
            .map(|step| Step { id: step.id.clone(), state: step.state, text: printable(&step.text), guides: guides(&step.id) })
            .collect(),
    };
    // Strings, numbers and lists of them: there is nothing in it that could not be written; NaN becomes null.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}
