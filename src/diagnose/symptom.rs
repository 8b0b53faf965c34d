//! What a client of the gateway sees, and the overall verdict.

use super::{
    ProbeHistory, Scene, facts,
    since::{Since, since},
};
use crate::model::{Cause, Confidence, Outcome, ProbeReport, RunState, Stage, Symptom, Verdict, clock_of, text};

/// A share of failing requests from here on is steady.
const STEADY: f64 = 0.9;
/// Requests in the access log that are needed before their share says something.
const COUNTED_REQUESTS: u64 = 5;
/// Seconds of the access log that count as now.
const NOW_S: i64 = 60;

/// The symptom with the request that shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// As told.
    pub told: Symptom,
    /// The URL of the worst request; of the first that was tried when none fails.
    pub url: Option<String>,
    /// Subject of the probe that shows it.
    pub subject: Option<crate::model::Subject>,
    /// Whether any request fails.
    pub failing: bool,
    /// Whether the gateway itself could not be reached.
    pub unreachable: bool,
}

/// Whether a client would call this a failure.
pub fn failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Status(code) => *code >= 500,
        Outcome::Skipped(_) | Outcome::Open => false,
        _ => true,
    }
}

/// Failing and all results that count now.
fn tally(history: &ProbeHistory) -> (u32, u32) {
    let results = facts::window(history);
    let made = results.iter().filter(|result| !matches!(result.outcome, Outcome::Skipped(_)));
    let fails = results.iter().filter(|result| failed(&result.outcome)).count();
    (u32::try_from(fails).unwrap_or(u32::MAX), u32::try_from(made.count()).unwrap_or(u32::MAX))
}

/// `http://shop.example.com/cart`.
pub fn url_of(report: &ProbeReport) -> String {
    let job = &report.job;
    match &job.request {
        None => job.label(),
        Some(request) => {
            let default = if job.protocol.tls() { 443 } else { 80 };
            let port = job.address.port().filter(|port| *port != default && !request.host.contains(':'));
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            format!("{}://{}{port}{}", job.protocol.scheme(), request.host, request.path)
        }
    }
}

/// What a client sees.
pub fn symptom(scene: &Scene) -> View {
    let mut worst: Option<(f64, u32, &ProbeHistory)> = None;
    for history in scene.probes_of("gateway") {
        let (fails, tries) = tally(history);
        if tries == 0 {
            continue;
        }
        let share = f64::from(fails) / f64::from(tries);
        if worst.as_ref().is_none_or(|(known, ..)| share > *known) {
            worst = Some((share, tries, history));
        }
    }
    let since = since(scene);
    let Some((share, tried, history)) = worst else { return from_log(scene, since) };
    let failing = share > 0.0;
    let outcome = facts::window(history).into_iter().map(|result| &result.outcome).find(|outcome| failed(outcome) == failing);
    let status = match outcome {
        Some(Outcome::Status(code)) if failing => Some(*code),
        _ => None,
    };
    let words = outcome.filter(|_| failing).map_or_else(String::new, |outcome| match outcome {
        Outcome::Timeout(_) => format!("pending > {} s", history.last.job.total_ms / 1000),
        other => other.to_string(),
    });
    let view = View {
        told: began(Symptom { status, share: Some(share), tried, words, ..Symptom::default() }, since.filter(|_| failing)),
        url: Some(url_of(&history.last)),
        subject: Some(history.last.job.subject.clone()),
        failing,
        unreachable: matches!(outcome, Some(Outcome::Refused | Outcome::NotFound | Outcome::Unreachable)) && failing,
    };
    // Our own requests may all be served while others fail: only their log tells.
    let logged = from_log(scene, since);
    if !failing && logged.failing { View { url: view.url, subject: view.subject, ..logged } } else { view }
}

/// The symptom with when it began.
fn began(symptom: Symptom, since: Option<Since>) -> Symptom {
    Symptom {
        since: since.map(|since| since.second),
        since_within_s: since.and_then(|since| since.within_s),
        since_earlier: since.is_some_and(|since| since.earlier),
        ..symptom
    }
}

/// Since when our own requests through the gateway were all served, in seconds since the Unix epoch: failures before that are
/// over. `None`: they are not, or none was made.
fn served_since(scene: &Scene) -> Option<i64> {
    let mut begin = None;
    for history in scene.probes_of("gateway") {
        let streak = history.results.iter().rev().take_while(|result| !failed(&result.outcome)).last()?;
        begin = begin.max(Some(streak.at.wall_s()));
    }
    begin
}

/// What the access log says of the requests of others, since we look.
fn from_log(scene: &Scene, since: Option<Since>) -> View {
    // The second in which they began to be served may hold failures of before.
    let from = (scene.now.wall_s() - NOW_S).max(served_since(scene).map_or(i64::MIN, |second| second + 1));
    let (mut fails, mut all, mut worst) = (0, 0, None);
    for group in scene.logs.values().filter(|group| group.kind == crate::model::SourceKind::Access && group.live > 0) {
        let count = group.since(from).min(group.live);
        all += count;
        if let Some(status @ 500..=599) = group.meaning.status {
            fails += count;
            worst = worst.max(Some((count, status)));
        }
    }
    if all < COUNTED_REQUESTS || fails == 0 {
        return View::default();
    }
    let told = Symptom {
        status: worst.map(|(_, status)| status),
        share: Some(fails as f64 / all as f64),
        tried: u32::try_from(all).unwrap_or(u32::MAX),
        words: worst.map_or_else(String::new, |(_, status)| status.to_string()),
        ..Symptom::default()
    };
    View { told: began(told, since), failing: true, ..View::default() }
}

/// The overall verdict. `symptoms`: whether some line of a log tells of a failure.
pub fn verdict(scene: &Scene, symptom: &View, causes: &[Cause], symptoms: bool) -> Verdict {
    let stopped = scene.gateways.iter().any(|gateway| matches!(gateway.state, RunState::Stopped { .. }));
    let running = scene.gateways.iter().any(crate::model::Gateway::running);
    if scene.excerpt() {
        return match causes.first() {
            Some(_) => Verdict::Critical,
            None if scene.logs.is_empty() || symptoms => Verdict::Unknown,
            None => Verdict::Ok,
        };
    }
    match symptom.told.share {
        _ if stopped && !running => Verdict::Critical,
        Some(share) if symptom.failing && share >= STEADY => Verdict::Critical,
        Some(_) if symptom.failing => Verdict::Warning,
        Some(_) if causes.iter().any(|cause| cause.confidence >= Confidence::Likely) => Verdict::Warning,
        Some(_) => Verdict::Ok,
        // Nothing to pass on, so nothing to try: a gateway that runs and listens does its work.
        None if running && scene.done.contains(&Stage::Listeners) && nothing_to_try(scene) => Verdict::Ok,
        None => Verdict::Unknown,
    }
}

/// Whether the configuration of no gateway passes anything on.
fn nothing_to_try(scene: &Scene) -> bool {
    scene
        .gateways
        .iter()
        .all(|gateway| gateway.problems.is_empty() && gateway.blind.is_empty() && gateway.routes().next().is_none())
}

/// One sentence.
pub fn headline(scene: &Scene, symptom: &View, verdict: Verdict, causes: &[Cause]) -> String {
    let url = symptom.url.as_deref().unwrap_or("the gateway");
    let share = symptom.told.share.map_or_else(String::new, |share| format!("{:.0}% of {}", share * 100.0, symptom.told.tried));
    let since = symptom.told.since.map_or_else(String::new, |since| {
        let words = symptom.told.since_words(&format!("{}Z", clock_of(since)));
        format!(" since {words} ({})", text::duration(scene.now.wall_s() - since))
    });
    match (causes.first(), verdict) {
        (Some(cause), _) => format!("{} {}: {}", cause.confidence.word(), cause.id, cause.summary),
        (None, Verdict::Ok) if scene.excerpt() => "nothing in this excerpt names a cause of a failing request".to_owned(),
        (None, Verdict::Ok) => format!("{url} is served{}", symptom.told.share.map_or("", |_| "; nothing fails")),
        (None, Verdict::Unknown) => unknown(scene),
        (None, Verdict::Warning | Verdict::Critical) => {
            format!("{url} gives {}, {share}{since}; no cause found yet", symptom.told.words)
        }
    }
}

/// Why nothing could be told.
fn unknown(scene: &Scene) -> String {
    if scene.excerpt() {
        let empty = scene.logs.is_empty();
        return if empty { "there is no line to read" } else { "these lines tell what follows from a fault, and not from which" }
            .to_owned();
    }
    if !scene.done.contains(&Stage::Gateways) {
        return "looking for a gateway".to_owned();
    }
    if scene.gateways.is_empty() {
        return "no gateway runs here, and none is installed that should: name one by --config, or a URL".to_owned();
    }
    if scene.run.as_ref().is_some_and(|run| !run.probing) {
        return "nothing was probed, and the logs show no failing request".to_owned();
    }
    "no request was tried yet".to_owned()
}
