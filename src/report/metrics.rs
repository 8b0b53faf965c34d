//! The result of `check` in the text format of Prometheus, for node_exporter's textfile collector (prometheus.io: "Exposition
//! formats", "Metric and label naming"): base units, ratios from 0 to 1, one series for each cause that stands.

use crate::{
    app::State,
    model::{HopState, text::printable},
};

/// Metrics. `took_ms`: how long the pass took.
pub fn metrics(state: &State, took_ms: u64) -> String {
    let assessment = state.shown().1;
    let symptom = &assessment.symptom;
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, samples: &[(String, f64)]| {
        if samples.is_empty() {
            return;
        }
        out.push_str(&format!("# HELP why502_{name} {help}\n# TYPE why502_{name} gauge\n"));
        for (labels, value) in samples {
            out.push_str(&format!("why502_{name}{labels} {value}\n"));
        }
    };
    let one = |value: f64| [(String::new(), value)];
    gauge("status", "Verdict: 0 ok, 1 warning, 2 critical, 3 unknown.", &one(f64::from(super::exit_code(assessment.verdict))));
    if let Some(share) = symptom.share {
        gauge("failed_ratio", "Share of the tried requests that fail.", &one(share));
        gauge("tried_requests", "Requests that the share stands on.", &one(f64::from(symptom.tried)));
    }
    if let Some(since) = symptom.since {
        gauge("outage_start_time_seconds", "When it began, since the Unix epoch.", &one(since as f64));
    }
    let causes: Vec<(String, f64)> = assessment
        .causes
        .iter()
        .enumerate()
        .map(|(rank, cause)| {
            let rank = (rank + 1).to_string();
            let reason = cause.reason.as_deref().unwrap_or_default();
            let labels = [
                ("id", cause.id.as_str()),
                ("reason", reason),
                ("confidence", cause.confidence.word()),
                ("rank", &rank),
                ("subject", &cause.subject.0),
            ];
            (braced(&labels), cause.score)
        })
        .collect();
    gauge("cause_score", "How much speaks for a cause, from 0 to 1; rank 1 is the root.", &causes);
    let hops: Vec<(String, f64)> = assessment
        .hops
        .iter()
        .filter(|hop| hop.state != HopState::Unknown)
        .map(|hop| {
            let labels = [("hop", hop.name.as_str()), ("target", &hop.target)];
            (braced(&labels), f64::from(u8::from(hop.state == HopState::Broken)))
        })
        .collect();
    gauge("hop_broken", "Whether a link of the request's path is broken.", &hops);
    gauge("blind_spots", "What could not be looked at.", &one(assessment.blind.len() as f64));
    gauge("check_duration_seconds", "How long the pass took.", &one(took_ms as f64 / 1000.0));
    gauge("check_time_seconds", "When the pass ended, since the Unix epoch.", &one(state.now.wall_ms as f64 / 1000.0));
    out
}

/// `{id="upstream-down",rank="1"}`. Backslash, quote and line feed are escaped; labels without a value are left out.
fn braced(labels: &[(&str, &str)]) -> String {
    let escaped = |value: &str| printable(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let filled = labels.iter().filter(|(_, value)| !value.is_empty());
    format!("{{{}}}", filled.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(","))
}
