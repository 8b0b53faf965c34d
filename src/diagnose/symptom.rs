//! What a client of the gateway sees, and the overall verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    LogGroup, ProbeHistory, Recovery, Scene, facts, front,
    ongoing::ongoing,
    quiet::{unexplained, unknown_answer},
    since::{Since, since},
};
use crate::model::{ANSWERS, Cause, Confidence, Outcome, ProbeReport, RunState, Share, Stage, Symptom, Verdict, clock_of, text};

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
    /// Whether it is the users' requests that fail, by the access log, and none of our own.
    pub users: bool,
    /// Whether the gateway itself could not be reached.
    pub unreachable: bool,
    /// The URL that the operator asked about, where all our requests for it were served, and another one fails.
    pub served: Option<String>,
}

/// Whether a client would call this a failure.
pub fn failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Status(code) => *code >= 500,
        Outcome::Skipped(_) | Outcome::Open => false,
        _ => true,
    }
}

/// The same of a request's result. Who does not understand what is sent around or before it may say so in HTTP, which the gateway hands on.
pub(super) fn fails(scene: &Scene, history: &ProbeHistory, outcome: &Outcome) -> bool {
    failed(outcome) || *outcome == Outcome::Status(400) && misunderstood(scene, history)
}

/// Whether each server that it reaches speaks another protocol when it is asked itself.
fn misunderstood(scene: &Scene, history: &ProbeHistory) -> bool {
    let last = |server| scene.probes_about("upstream", server).next()?.results.back();
    let other = |server| last(server).is_some_and(|result| matches!(result.outcome, Outcome::Speaks(_)));
    !history.last.job.upstreams.is_empty() && history.last.job.upstreams.iter().all(other)
}

/// Failures of a request through the gateway, of the results that count now. Which server of a pool has its turn is chance, and each of
/// two pages that are asked for in turn may meet the same one every time: where some serve and some do not, all that reach them count.
pub(super) fn failures(scene: &Scene, history: &ProbeHistory) -> Share {
    let job = &history.last.job;
    let serves = |server| {
        scene.probes_about("upstream", server).next().and_then(|about| about.results.back()).map(|last| !failed(&last.outcome))
    };
    let servers: BTreeSet<bool> = job.upstreams.iter().filter_map(serves).collect();
    if servers.len() < 2 {
        return own_failures(scene, history);
    }
    let asked = |history: &ProbeHistory| {
        history.last.job.request.as_ref().map(|request| (request.method.clone(), request.target().into_owned()))
    };
    let alike =
        scene.probes_of("gateway").filter(|other| other.last.job.upstreams == job.upstreams && asked(other) == asked(history));
    alike
        .map(|one| own_failures(scene, one))
        .fold(Share::default(), |sum, one| Share { hits: sum.hits + one.hits, all: sum.all + one.all })
}

/// Failing and all results of this request that count now.
pub(super) fn own_failures(scene: &Scene, history: &ProbeHistory) -> Share {
    let results = facts::window(history);
    let made = results.iter().filter(|result| !matches!(result.outcome, Outcome::Skipped(_)));
    let fails = results.iter().filter(|result| fails(scene, history, &result.outcome)).count();
    Share { hits: fails as u64, all: made.count() as u64 }
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
            format!("{}://{}{port}{}", job.protocol.scheme(), request.host, request.target())
        }
    }
}

/// What a client sees.
pub fn symptom(scene: &Scene) -> View {
    let mut worst: Option<(f64, u32, &ProbeHistory)> = None;
    for history in scene.probes_of("gateway") {
        let failures = failures(scene, history);
        let Some(share) = failures.value() else { continue };
        let tries = u32::try_from(failures.all).unwrap_or(u32::MAX);
        if worst.as_ref().is_none_or(|(known, ..)| share > *known) {
            worst = Some((share, tries, history));
        }
    }
    let since = since(scene);
    let Some((share, tried, history)) = worst else { return from_log(scene, since) };
    let (share, tried, history) = front::of_clients(scene, (share, tried, history));
    let view = shown(scene, (share, tried, history), since);
    if view.failing {
        return view;
    }
    // Our own requests may all be served while others fail: only their log tells.
    let logged = from_log(scene, since);
    if logged.failing { View { url: view.url, subject: view.subject, ..logged } } else { view }
}

/// A share of so many tries of a request.
pub(super) type Tried<'a> = (f64, u32, &'a ProbeHistory);

/// The symptom as this request shows it.
pub(super) fn shown(scene: &Scene, (share, tried, history): Tried<'_>, since: Option<Since>) -> View {
    let failing = share > 0.0;
    let outcome =
        facts::window(history).into_iter().map(|result| &result.outcome).find(|outcome| fails(scene, history, outcome) == failing);
    let status = match outcome {
        Some(Outcome::Status(code)) if failing => Some(*code),
        _ => None,
    };
    let words = outcome.filter(|_| failing).map_or_else(String::new, |outcome| match outcome {
        Outcome::Timeout(_) => format!("pending > {} s", history.last.job.total_ms / 1000),
        other => other.to_string(),
    });
    View {
        told: began(Symptom { status, share: Some(share), tried, words, ..Symptom::default() }, since.filter(|_| failing)),
        url: Some(url_of(&history.last)),
        subject: Some(history.last.job.subject.clone()),
        failing,
        users: false,
        unreachable: matches!(outcome, Some(Outcome::Refused | Outcome::NotFound | Outcome::Unreachable)) && failing,
        served: asked_is_served(scene, history).filter(|_| failing),
    }
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
        // What was not sent was not served either.
        let mut made = history.results.iter().rev().filter(|result| !matches!(result.outcome, Outcome::Skipped(_))).peekable();
        if made.peek().is_none() {
            continue;
        }
        let streak = made.take_while(|result| !failed(&result.outcome)).last()?;
        begin = begin.max(Some(streak.at.wall_s()));
    }
    begin
}

/// The lines that tell of requests, but for those of our own.
fn told_of_others(scene: &Scene) -> impl Iterator<Item = &LogGroup> {
    scene.logs.values().filter(|group| group.is_request() && !group.ours())
}

/// The requests of others since we look, from this second on, as the gateways' logs tell: each group of lines, and how many.
pub(super) fn requests_of_others(scene: &Scene, from: i64) -> impl Iterator<Item = (&LogGroup, u64)> {
    told_of_others(scene).filter(|group| group.live > 0).map(move |group| (group, group.since(from).min(group.live)))
}

/// Of the requests of others, as the access log tells: the share that fails now, and their commonest status. `None`: there are too few,
/// or none fails.
pub fn users(scene: &Scene) -> Option<(Share, u16)> {
    // The second in which they began to be served may hold failures of before.
    let from = (scene.now.wall_s() - NOW_S).max(served_since(scene).map_or(i64::MIN, |second| second + 1));
    let (mut share, mut worst) = (Share::default(), None);
    for (group, count) in requests_of_others(scene, from) {
        share.all += count;
        if let Some(status @ 500..=599) = group.meaning.status {
            share.hits += count;
            worst = worst.max(Some((count, status)));
        }
    }
    worst.filter(|_| share.all >= COUNTED_REQUESTS && share.hits > 0).map(|(_, status)| (share, status)).or_else(|| ongoing(scene))
}

/// Of the latest requests of others, a share below this is a fault of some pages, and most users are served.
const FEW: f64 = 0.1;
/// The latest requests of others that say so, all of them after the failures began.
const LATEST: u64 = 20;

/// Whether most requests of others are served all the while: the one that we found failing is one of few.
fn mostly_served(scene: &Scene, symptom: &View) -> bool {
    let asked = scene.run.as_ref().and_then(|run| run.url.as_deref());
    // What the operator asked about is no page among others.
    if asked.zip(symptom.url.as_deref()).is_some_and(|(asked, url)| asked.starts_with(url)) {
        return false;
    }
    let Some(begin) = symptom.told.since else { return false };
    let mut seconds: BTreeMap<i64, Share> = BTreeMap::new();
    for group in told_of_others(scene) {
        let fails = match group.meaning.status {
            Some(500..=599) => true,
            Some(100..=498) => false,
            // Who left before the answer (499; Caddy's 0) was not served.
            Some(_) | None => continue,
        };
        for (second, count) in group.seconds.iter().rev().copied().take_while(|(second, _)| *second >= begin) {
            let share = seconds.entry(second).or_default();
            share.all += u64::from(count);
            share.hits += if fails { u64::from(count) } else { 0 };
        }
    }
    // A log that tells of no failure knows of other requests than ours.
    let tells = seconds.values().any(|share| share.hits > 0);
    let mut latest = Share::default();
    for share in seconds.into_values().rev() {
        if latest.all >= LATEST {
            break;
        }
        latest = Share { hits: latest.hits + share.hits, all: latest.all + share.all };
    }
    tells && latest.all >= LATEST && latest.value().is_some_and(|value| value < FEW)
}

/// What the access log says of the requests of others, since we look.
fn from_log(scene: &Scene, since: Option<Since>) -> View {
    let Some((share, status)) = users(scene) else { return View::default() };
    let told = Symptom {
        status: Some(status),
        share: share.value(),
        tried: u32::try_from(share.all).unwrap_or(u32::MAX),
        words: status.to_string(),
        ..Symptom::default()
    };
    View { told: began(told, since), failing: true, users: true, ..View::default() }
}

/// The URL that the operator asked about, where all our requests for it were served, and it is not the one that fails.
fn asked_is_served(scene: &Scene, failing: &ProbeHistory) -> Option<String> {
    let asked = scene.run.as_ref()?.url.as_deref()?;
    let own = scene.probes.iter().filter(|history| matches!(history.last.job.probe.as_str(), "gateway" | "client"));
    let mut own = own.filter(|history| url_of(&history.last) == asked).map(|one| own_failures(scene, one)).peekable();
    own.peek()?;
    (url_of(&failing.last) != asked && own.all(|failures| failures.all > 0 && failures.hits == 0)).then(|| asked.to_owned())
}

/// The overall verdict. `symptoms`: whether some line of an excerpt tells of a failure that may not be over.
pub fn verdict(scene: &Scene, symptom: &View, causes: &[Cause], symptoms: bool) -> Verdict {
    let stopped = scene.gateways.iter().any(|gateway| matches!(gateway.state, RunState::Stopped { .. }));
    let running = scene.gateways.iter().any(crate::model::Gateway::running);
    if scene.excerpt() {
        return match causes.first() {
            Some(cause) if cause.evidence_for.iter().all(|evidence| evidence.weight <= SUSPECTED) => Verdict::Unknown,
            Some(_) => Verdict::Critical,
            None if scene.logs.is_empty() || symptoms || unexplained(scene) || unknown_answer(scene).is_some() => Verdict::Unknown,
            None => Verdict::Ok,
        };
    }
    match symptom.told.share {
        _ if stopped && !running => Verdict::Critical,
        Some(_) if symptom.served.is_some() => Verdict::Warning,
        Some(share) if symptom.failing && share >= STEADY && !mostly_served(scene, symptom) => Verdict::Critical,
        Some(_) if symptom.failing => Verdict::Warning,
        Some(_) if causes.iter().any(|cause| cause.confidence >= Confidence::Likely) => Verdict::Warning,
        Some(_) => Verdict::Ok,
        None if causes.iter().any(|cause| cause.confidence >= Confidence::Likely) => Verdict::Warning,
        // Nothing to pass on, so nothing to try: a gateway that runs and listens does its work.
        None if running && scene.done.contains(&Stage::Listeners) && nothing_to_try(scene) => Verdict::Ok,
        None => Verdict::Unknown,
    }
}

/// Whether the configuration of no gateway passes anything on.
fn nothing_to_try(scene: &Scene) -> bool {
    scene.gateways.iter().all(|gateway| {
        // What it answers by itself leads to nobody either.
        let nothing = gateway.routes().all(|(_, route)| route.settings.contains_key(ANSWERS));
        gateway.problems.is_empty() && gateway.blind.is_empty() && nothing
    })
}

/// One sentence. `unasked`: what fails by a log, where what we ask for is served.
pub fn headline(
    scene: &Scene,
    symptom: &View,
    verdict: Verdict,
    (causes, unasked): (&[Cause], Option<&(String, String)>),
    recovery: Option<&Recovery>,
) -> String {
    let url = symptom.url.as_deref().unwrap_or("the gateway");
    let share = symptom.told.share_words().unwrap_or_default();
    let since = symptom.told.since.map_or_else(String::new, |since| {
        let words = symptom.told.since_words(&format!("{}Z", clock_of(since)));
        format!(" since {words} ({})", text::duration(scene.now.wall_s() - since))
    });
    let served = match (&symptom.served, unasked) {
        (Some(asked), _) => format!("{asked} is served, and {url} is not: "),
        (None, Some((request, _))) => format!("{url} is served, and {request} is not: "),
        (None, None) => String::new(),
    };
    match (causes.first(), verdict) {
        (_, Verdict::Ok) if let Some(recovery) = recovery => recovery.words(),
        (Some(cause), _) => format!("{served}{} {}: {}", cause.confidence.word(), cause.id, cause.summary),
        (None, Verdict::Ok) if scene.excerpt() => "nothing in this excerpt names a cause of a failing request".to_owned(),
        (None, Verdict::Ok) => format!("{url} is served{}", symptom.told.share.map_or("", |_| "; nothing fails")),
        (None, Verdict::Unknown) => unknown(scene),
        (None, Verdict::Warning | Verdict::Critical) => {
            format!("{url} gives {}, {share}{since}; no cause found yet", symptom.told.words)
        }
    }
}

/// What a line weighs from which something can only be suspected.
pub(super) const SUSPECTED: f64 = 0.2;
/// What is said of an excerpt whose lines name no cause.
pub(super) const FOLLOWS: &str = "these lines tell what follows from a fault, and not from which";

/// Why nothing could be told.
fn unknown(scene: &Scene) -> String {
    if scene.excerpt() {
        return match scene.logs.is_empty() {
            true => "there is no line to read".to_owned(),
            false if unexplained(scene) => "it has errors of a gateway that none of the known causes explains".to_owned(),
            false if let Some(status) = unknown_answer(scene) => format!(
                "it shows an answer {status}, and no line of it says why: paste the error log of the gateway that gave it, of the same seconds"
            ),
            false => FOLLOWS.to_owned(),
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, HttpRequest, Observation, ProbeJob, Protocol, Stamp, Subject};

    /// What is known when two pages were asked for in turn, and a server of their pool each time met one of them; `other` is what the
    /// second server says when it is asked itself.
    fn in_turn(other: &Outcome) -> Symptom {
        let mut scene = Scene::default();
        let servers = [Subject("127.0.0.1:8001".to_owned()), Subject("127.0.0.1:8002".to_owned())];
        let mut tell = |probe: &str, subject: &Subject, host: &str, outcome: &Outcome| {
            let address = Address::Tcp(([127, 0, 0, 1], 80).into());
            let (method, path) = ("GET".to_owned(), "/".to_owned());
            let request = HttpRequest { method, path, query: None, host: host.to_owned(), headers: Vec::new(), params: Vec::new() };
            let job = ProbeJob {
                request: Some(request),
                upstreams: if probe == "gateway" { servers.to_vec() } else { Vec::new() },
                ..ProbeJob::new(probe, subject.clone(), address, Protocol::Http, (1_000, 10_000))
            };
            scene.observe(Stamp::default(), Observation::Probe(Box::new(ProbeReport::new(job, outcome.clone()))));
        };
        tell("upstream", &servers[0], "shop.test", &Outcome::Refused);
        tell("upstream", &servers[1], "shop.test", other);
        for _ in 0..4 {
            tell("gateway", &Subject("a".to_owned()), "shop.test", &Outcome::Status(502));
            tell("gateway", &Subject("b".to_owned()), "other.test", &Outcome::Status(200));
        }
        symptom(&scene).told
    }

    #[test]
    fn two_pages_that_meet_a_pool_in_turn_are_counted_as_one() {
        let told = in_turn(&Outcome::Status(200));
        assert_eq!((told.share, told.tried), (Some(0.5), 8));
        // Where no server serves, it is the page.
        let told = in_turn(&Outcome::Status(502));
        assert_eq!((told.share, told.tried), (Some(1.0), 4));
    }
}
