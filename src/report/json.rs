//! The JSON of `check` and `explain`: the contract's. A field that changes its meaning changes `schema`; new fields may come.

use serde::Serialize;

use crate::{
    app::State,
    diagnose::{self, Assessment, Scene},
    model::{Advice, CheckState, Configured, Evidence, HopState, Verdict, document::safe, rfc3339},
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
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovery>,
    causes: Vec<Cause>,
    findings: Vec<Finding>,
    configured: Vec<Configured>,
    ruled_out: Vec<RuledOut>,
    blind_spots: Vec<BlindSpot>,
    hops: Vec<Hop>,
    checklist: Vec<Step>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timeline: Vec<Moment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<Service>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
}

#[derive(Serialize)]
struct Target {
    url: Option<String>,
    /// The URL that was asked about, where it is served and the one above is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<String>,
    /// What fails by the logs alone, while the URL above is served: the hops are of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    unasked: Option<String>,
    gateway: Option<String>,
    version: Option<String>,
}

#[derive(Serialize)]
struct Symptom {
    status: Option<u16>,
    share: Option<f64>,
    /// Between which shares the true one lies with 95 %, where some tries fail and some do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    share_95: Option<[f64; 2]>,
    tried: u32,
    since: Option<String>,
    /// How far `since` may be off, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_within_s: Option<u32>,
    /// It began at `since`, or before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    since_earlier: bool,
}

/// How it stands after failures that were seen, once requests are served again.
#[derive(Serialize)]
struct Recovery {
    since: String,
    tried: u64,
    failed: u64,
    /// The largest share that may still fail, at 95 %.
    at_most: f64,
    clear: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
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
    state: HopState,
}

#[derive(Serialize)]
struct Step {
    id: String,
    state: CheckState,
    text: String,
    guides: Vec<String>,
}

/// What happened or was changed.
#[derive(Serialize)]
struct Moment {
    at: String,
    kind: &'static str,
    what: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    concerns: Vec<String>,
    /// Seconds before the first failure; negative: after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    before_s: Option<i64>,
    suspect: bool,
}

/// A service as its manager tells it.
#[derive(Serialize)]
struct Service {
    unit: String,
    manager: String,
    state: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    serves: Vec<String>,
    source: String,
}

/// Requests by the access log.
#[derive(Serialize)]
struct Traffic {
    now: Flow,
    /// The quarter of an hour before requests began to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Flow>,
    /// The commonest of the failing requests, each with its count.
    paths: Vec<(String, u64)>,
    clients: Vec<(String, u64)>,
    upstreams: Vec<(String, u64)>,
}

#[derive(Serialize)]
struct Flow {
    requests_per_s: f64,
    failed_per_s: f64,
}

impl From<diagnose::Flow> for Flow {
    fn from(flow: diagnose::Flow) -> Self {
        Self { requests_per_s: round(flow.rate(), 2), failed_per_s: round(flow.failed_rate(), 2) }
    }
}

/// What happened and was changed; what a host was made with is no news.
fn timeline(assessment: &Assessment) -> Vec<Moment> {
    let told = |moment: &&diagnose::Moment| !moment.first && moment.kind != diagnose::MomentKind::Look;
    let moments = assessment.moments.iter().filter(told).map(|moment| Moment {
        at: rfc3339(moment.at),
        kind: moment.kind.word(),
        what: safe(&moment.what),
        source: safe(&moment.source),
        by: moment.by.as_deref().map(safe),
        concerns: moment.concerns.iter().map(|subject| safe(&subject.0)).collect(),
        before_s: moment.before,
        suspect: moment.suspect,
    });
    moments.collect()
}

fn services(scene: &Scene) -> Vec<Service> {
    let services = scene.units.iter().map(|service| Service {
        unit: safe(&service.unit),
        manager: service.manager.clone(),
        state: safe(&service.active),
        detail: safe(&if service.runs() { service.sub.clone() } else { diagnose::how_it_ended(service) }),
        since: service.since.map(rfc3339),
        restarts: service.restarts,
        serves: service.serves.iter().map(|subject| safe(&subject.0)).collect(),
        source: service.source.clone(),
    });
    services.collect()
}

fn traffic(scene: &Scene, since: Option<i64>) -> Option<Traffic> {
    let now = scene.traffic.now(scene.now.wall_s(), since)?;
    let failing = diagnose::failing(scene);
    let shown = |list: Vec<(String, u64)>| list.into_iter().map(|(name, count)| (safe(&name), count)).collect();
    Some(Traffic {
        now: now.into(),
        before: since.and_then(|since| scene.traffic.before(since)).map(Flow::from),
        paths: shown(failing.paths),
        clients: shown(failing.clients),
        upstreams: shown(failing.upstreams),
    })
}

/// To so many decimals, so that the same figures give the same bytes.
fn round(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}

fn said(list: &[Evidence]) -> Vec<Said> {
    list.iter().map(|evidence| Said { text: safe(&evidence.text), source: safe(&evidence.source) }).collect()
}

fn advice(list: &[Advice]) -> Vec<String> {
    list.iter().map(|advice| safe(&advice.to_string())).collect()
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
        host: scene.run.as_ref().map_or_else(String::new, |run| safe(&run.host)),
        target: Target {
            url: assessment.url.as_deref().or(scene.run.as_ref().and_then(|run| run.url.as_deref())).map(safe),
            served: assessment.served.as_deref().map(safe),
            unasked: assessment.unasked.as_ref().map(|(request, _)| safe(request)),
            gateway: gateway.map(|gateway| gateway.kind.clone()),
            version: gateway.and_then(|gateway| gateway.version.as_deref()).map(safe),
        },
        verdict: assessment.verdict,
        symptom: Symptom {
            status: symptom.status,
            share: symptom.share.map(|share| round(share, 4)),
            share_95: symptom.of_tries().filter(|share| share.mixed()).map(|share| {
                let (from, to) = share.interval();
                [round(from, 4), round(to, 4)]
            }),
            tried: symptom.tried,
            since: symptom.since.map(rfc3339),
            since_within_s: symptom.since_within_s,
            since_earlier: symptom.since_earlier,
        },
        recovery: assessment.recovery.as_ref().map(|recovery| Recovery {
            since: rfc3339(recovery.since),
            tried: recovery.share.all,
            failed: recovery.share.hits,
            at_most: round(recovery.at_most, 4),
            clear: recovery.clear(),
            change: recovery.change.as_ref().map(|(what, _)| safe(what)),
        }),
        causes: assessment
            .causes
            .iter()
            .map(|cause| Cause {
                id: cause.id.clone(),
                reason: cause.reason.as_deref().map(safe),
                confidence: cause.confidence.word(),
                score: round(cause.score, 2),
                subject: safe(&cause.subject.0),
                summary: safe(&cause.summary),
                evidence_for: said(&cause.evidence_for),
                against: said(&cause.against),
                unknown: cause.unknown.iter().map(|text| safe(text)).collect(),
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
                text: safe(&finding.text),
                place: safe(&finding.place),
                fix: safe(&finding.fix),
                cause: finding.cause.clone(),
            })
            .collect(),
        configured: assessment
            .configured
            .iter()
            .map(|value| Configured {
                of: safe(&value.of),
                what: safe(&value.what),
                value: safe(&value.value),
                setting: safe(&value.setting),
                at: value.at.as_deref().map(safe),
            })
            .collect(),
        ruled_out: assessment.ruled_out.iter().map(|out| RuledOut { id: out.id.clone(), because: safe(&out.because) }).collect(),
        blind_spots: assessment
            .blind
            .iter()
            .map(|spot| BlindSpot { source: safe(&spot.source), reason: safe(&spot.reason), remedy: safe(&spot.remedy) })
            .collect(),
        hops: assessment
            .hops
            .iter()
            .map(|hop| Hop {
                name: safe(&hop.name),
                target: safe(&hop.target),
                outcome: safe(&hop.outcome),
                ms: hop.ms.map(|ms| round(ms, 3)),
                state: hop.state,
            })
            .collect(),
        checklist: assessment
            .steps
            .iter()
            .map(|step| Step { id: step.id.clone(), state: step.state, text: safe(&step.text), guides: guides(&step.id) })
            .collect(),
        timeline: timeline(assessment),
        services: services(scene),
        traffic: traffic(scene, symptom.since),
    };
    // Strings, numbers and lists of them: there is nothing in it that could not be written; NaN becomes null.
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}
