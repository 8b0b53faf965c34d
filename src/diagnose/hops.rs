//! The path of the request, hop by hop: where it breaks is seen at a glance.

use std::net::IpAddr;

use super::{
    ProbeHistory, ProbeResult, Scene, facts,
    nested::{Entrances, Map},
    symptom,
};
use crate::model::{Address, Cause, Confidence, Gateway, Hop, HopState, Outcome, Phase, Protocol, RunState, Subject, View};

/// The hops of the worst request, or of the first that was tried.
pub fn hops(scene: &Scene, symptom: &symptom::View, causes: &[Cause], map: &Map<'_>) -> Vec<Hop> {
    let edge = scene.probes_of("gateway").find(|history| Some(&history.last.job.subject) == symptom.subject.as_ref());
    // Where what was asked for is served, its name and what its client got are no hops of the request that fails.
    let mut hops: Vec<Hop> = public_name(scene).into_iter().filter(|_| symptom.served.is_none()).collect();
    hops.push(client(scene, symptom, edge));
    hops.push(answer(scene, "edge", edge, true));
    hops.push(gateway(asked(scene, edge).or(scene.gateways.first()), edge));
    let failing = causes.iter().map(|cause| &cause.subject);
    let reached: Vec<&Subject> = edge.map(|history| history.last.job.upstreams.iter().collect()).unwrap_or_default();
    // Of several upstreams, that which the first cause is about; else the first that fails; else the first.
    let upstream = failing
        .filter_map(|subject| upstream_probe(scene, subject))
        .chain(reached.iter().filter_map(|subject| upstream_probe(scene, subject)).filter(|history| bad(history)))
        .chain(reached.iter().filter_map(|subject| upstream_probe(scene, subject)))
        .next();
    let Some(upstream) = upstream else { return hops };
    let job = &upstream.last.job;
    // Gateways of this host between the first one and it.
    let inner: Vec<&Subject> =
        reached.iter().filter_map(|subject| map.behind.get(*subject)).flat_map(|(_, behind)| behind).collect();
    let first = reached.iter().copied().filter(|subject| !inner.contains(subject));
    let chain = map.chain(first, &job.subject).unwrap_or_default();
    for subject in chain.iter().filter(|subject| **subject != &job.subject) {
        let kind = map.behind.get(*subject).map_or("gateway", |(kind, _)| kind.as_str());
        hops.push(answer(scene, kind, upstream_probe(scene, subject), true));
    }
    hops.push(name(scene, &job.address, &job.subject, causes));
    let outcome = told(upstream).map(|result| &result.outcome);
    let reached = reach(outcome);
    let connect = match job.address.bare() {
        Address::Unix(_) => "unix",
        Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => "tcp",
    };
    let mut way = stage(connect, Phase::Connect, reached, outcome, job.address.to_string(), upstream.last.phases.connect);
    if let Some(word) = causes.iter().filter(|cause| cause.subject == job.subject).find_map(on_the_way) {
        (way.outcome, way.state) = (word.to_owned(), HopState::Broken);
    }
    hops.push(way);
    if job.tls() {
        hops.push(stage("tls", Phase::Tls, reached, outcome, job.address.to_string(), upstream.last.phases.tls));
    }
    let mut app = application(scene, &job.address);
    if job.protocol != Protocol::Stream {
        let mut said = answer(scene, job.protocol.scheme(), Some(upstream), reached == Some(Phase::Head));
        // Who answers by the protocol's rules that he has failed has not failed at the protocol.
        if let Some(Outcome::Status(500..)) = outcome {
            said.state = HopState::Shows;
            (app.outcome, app.state) = (said.outcome.clone(), HopState::Broken);
        }
        hops.push(said);
    }
    hops.push(app);
    passed_on(&mut hops);
    hops
}

/// What comes out of the gateway as it came in is the upstream's: an answer that is none, one that is cut short, none at all.
fn passed_on(hops: &mut [Hop]) {
    let answers = |hop: &Hop| !matches!(hop.name.as_str(), "tcp" | "unix" | "tls") && hop.state == HopState::Broken;
    for at in 0..hops.len() {
        let (before, behind) = hops.split_at_mut(at + 1);
        let Some(hop) = before.last_mut().filter(|hop| FRONT.contains(&hop.name.as_str()) && answers(hop)) else { continue };
        let behind = behind.iter().filter(|other| !FRONT.contains(&other.name.as_str()));
        if behind.filter(|other| answers(other)).any(|other| other.outcome == hop.outcome) {
            hop.state = HopState::Shows;
        }
    }
}

/// Hops at which the request as a whole is looked at.
const FRONT: [&str; 2] = ["client", "edge"];

fn upstream_probe<'a>(scene: &'a Scene, subject: &Subject) -> Option<&'a ProbeHistory> {
    let mut of = scene.probes_about("upstream", subject).peekable();
    let first = of.peek().copied();
    of.find(|history| bad(history)).or(first)
}

fn bad(history: &ProbeHistory) -> bool {
    facts::window(history).iter().any(|result| symptom::failed(&result.outcome))
}

fn hop(name: &str, target: String, outcome: impl std::fmt::Display, ms: Option<f64>, state: HopState) -> Hop {
    Hop { name: name.to_owned(), target, outcome: outcome.to_string(), ms, state }
}

/// The gateway of this request.
fn asked<'a>(scene: &'a Scene, edge: Option<&ProbeHistory>) -> Option<&'a Gateway> {
    let job = edge.map(|history| &history.last.job).filter(|_| scene.gateways.len() > 1)?;
    let host = job.request.as_ref().map_or("", |request| request.host.as_str());
    Entrances::of(scene).taking(&job.address, host).map(|entrance| entrance.gateway)
}

/// The client's half.
fn client(scene: &Scene, symptom: &symptom::View, edge: Option<&ProbeHistory>) -> Hop {
    let page = |history: &ProbeHistory| {
        history.last.job.request.as_ref().map(|request| (request.host.clone(), request.target().into_owned()))
    };
    // Where nobody named a URL: what a client gets at the site's public name, if it gets an answer there at all.
    let tried = scene.probes_of("client").find(|history| {
        let asked = history.last.job.every_ms.is_none() && symptom.served.is_none();
        let answered = matches!(history.results.back().map(|result| &result.outcome), Some(Outcome::Status(_)));
        asked || answered && edge.is_some_and(|edge| page(edge) == page(history))
    });
    match tried {
        Some(history) => answer(scene, "client", Some(history), true),
        None => hop("client", String::new(), "--", None, HopState::Unknown),
    }
}

/// The result that says how a hop is: the last, or of those that go to and fro the last that failed. Broken, then served, is no to and
/// fro: it was mended.
fn told(history: &ProbeHistory) -> Option<&ProbeResult> {
    let window = facts::window(history);
    let fails = |result: &ProbeResult| symptom::failed(&result.outcome);
    let turns = window.windows(2).filter(|pair| fails(pair[0]) != fails(pair[1])).count();
    window.into_iter().find(|result| turns > 1 && fails(result)).or(history.results.back())
}

/// A hop that answers a request.
fn answer(scene: &Scene, name: &str, history: Option<&ProbeHistory>, reached: bool) -> Hop {
    let Some((history, result)) = history.and_then(|history| Some((history, told(history)?))).filter(|_| reached) else {
        return hop(name, String::new(), "--", None, HopState::Unknown);
    };
    let target = symptom::url_of(&history.last);
    let state = match &result.outcome {
        Outcome::Status(502..=504) => HopState::Shows,
        Outcome::Status(400) if symptom::fails(scene, history, &result.outcome) => HopState::Shows,
        outcome if symptom::failed(outcome) => HopState::Broken,
        Outcome::Skipped(_) => HopState::Unknown,
        _ => HopState::Good,
    };
    match &result.outcome {
        Outcome::Status(code) => hop(name, target, format!("status {code}"), Some(result.ms), state),
        other => hop(name, target, other, Some(result.ms), state),
    }
}

fn gateway(gateway: Option<&Gateway>, edge: Option<&ProbeHistory>) -> Hop {
    let Some(gateway) = gateway else { return hop("gateway", String::new(), "none", None, HopState::Unknown) };
    let target = gateway.config.display().to_string();
    match gateway.state {
        RunState::Stopped { .. } => hop(&gateway.kind, target, "DOWN", None, HopState::Broken),
        RunState::Running { .. } => {
            let refused = edge.and_then(|history| history.results.back()).is_some_and(|result| result.outcome == Outcome::Refused);
            let (word, state) = if refused { ("NOT LISTENING", HopState::Broken) } else { ("OK", HopState::Good) };
            hop(&gateway.kind, target, word, None, state)
        }
    }
}

/// The name of the URL, as this host resolves it: here, or somewhere else, which is no fault. Only where the operator named one.
fn public_name(scene: &Scene) -> Option<Hop> {
    let history = scene.probes_of("public-name").next()?;
    let result = history.results.back()?;
    let Address::Name(host, _) = history.last.job.address.bare() else { return None };
    let ips = match &history.last.view {
        Some(View::Names(view)) => view.ips.as_slice(),
        _ => &[],
    };
    let here = |ip: &IpAddr| scene.listeners.as_ref().is_some_and(|table| table.is_local(*ip));
    let (word, state) = match (&result.outcome, ips.first()) {
        (Outcome::Open, Some(ip)) if here(ip) => ("this host".to_owned(), HopState::Good),
        (Outcome::Open, Some(ip)) => (format!("{ip}"), HopState::Good),
        (Outcome::Name(_), _) => (result.outcome.to_string(), HopState::Broken),
        _ => ("--".to_owned(), HopState::Unknown),
    };
    Some(hop("name", host.clone(), word, Some(result.ms), state))
}

/// The upstream's name: who says that it does not resolve, or that it is another than the gateway uses.
fn name(scene: &Scene, address: &Address, subject: &Subject, causes: &[Cause]) -> Hop {
    let history = scene.probes_about("name", subject).next();
    let first = causes.first().filter(|cause| cause.subject == *subject).map(|cause| cause.id.as_str());
    match (address.bare(), history.and_then(|history| Some((history, history.results.back()?)))) {
        (Address::Name(host, _), Some((history, result))) => {
            let by = match &history.last.view {
                Some(View::Names(view)) => {
                    view.decisive().find(|answer| answer.fault.is_some()).map(|answer| answer.server.as_str())
                }
                _ => None,
            };
            let (word, state) = match (&result.outcome, first) {
                (Outcome::Open, Some("dns-stale")) => ("STALE".to_owned(), HopState::Broken),
                (Outcome::Open, Some("dns-inconsistent")) => ("SERVERS DISAGREE".to_owned(), HopState::Broken),
                (Outcome::Open, _) => ("OK".to_owned(), HopState::Good),
                (Outcome::Skipped(_), _) => ("--".to_owned(), HopState::Unknown),
                (outcome, _) => (by.map_or_else(|| outcome.to_string(), |by| format!("{outcome} by {by}")), HopState::Broken),
            };
            hop("dns", host.clone(), word, Some(result.ms), state)
        }
        (Address::Name(host, _), None) => hop("dns", host.clone(), "--", None, HopState::Unknown),
        (Address::Tcp(_) | Address::Unix(_) | Address::Inside(..), _) => hop("dns", String::new(), "n/a", None, HopState::Unknown),
    }
}

/// How far an exchange came: the phase in which it ended; `Head`: it was made whole, or broke after the connection stood.
fn reach(outcome: Option<&Outcome>) -> Option<Phase> {
    Some(match outcome? {
        Outcome::Skipped(_) => return None,
        Outcome::Name(_) => Phase::Resolve,
        Outcome::Refused
        | Outcome::NotFound
        | Outcome::Denied
        | Outcome::QueueFull
        | Outcome::NoLocalPort
        | Outcome::NoSource
        | Outcome::Unreachable
        | Outcome::Os(_) => Phase::Connect,
        Outcome::Timeout(phase) | Outcome::Closed(phase) | Outcome::Reset(phase) if *phase <= Phase::Tls => *phase,
        Outcome::Tls(_) => Phase::Tls,
        Outcome::Timeout(_) | Outcome::Closed(_) | Outcome::Reset(_) | Outcome::Status(_) | Outcome::Open | Outcome::Speaks(_) => {
            Phase::Head
        }
        Outcome::Invalid(_) | Outcome::HeaderTooBig { .. } => Phase::Head,
    })
}

/// What is wrong on the way, in a word, where more is known of it than how a connection ended.
fn on_the_way(cause: &Cause) -> Option<&'static str> {
    if cause.confidence < Confidence::Likely {
        return None;
    }
    Some(match (cause.id.as_str(), cause.reason.as_deref()) {
        ("firewall-blocked", _) => "FILTERED",
        ("network-degraded", _) => "LOSSY",
        ("upstream-unreachable", Some("no-route")) => "NO ROUTE",
        ("upstream-unreachable", Some("link-down")) => "LINK DOWN",
        ("upstream-unreachable", Some("host-down")) => "HOST DOWN",
        ("upstream-unreachable", Some("neighbour")) => "ROUTER SILENT",
        _ => return None,
    })
}

/// A hop below the request itself: it stands when the exchange came further, and is broken when it ended here.
fn stage(name: &str, phase: Phase, reached: Option<Phase>, outcome: Option<&Outcome>, target: String, ms: Option<f64>) -> Hop {
    match (reached, outcome) {
        (Some(at), _) if at > phase => hop(name, target, "OK", ms, HopState::Good),
        (Some(at), Some(outcome)) if at == phase => hop(name, target, outcome, ms, HopState::Broken),
        _ => hop(name, target, "--", None, HopState::Unknown),
    }
}

/// The process behind the address.
fn application(scene: &Scene, address: &Address) -> Hop {
    let Some(table) = &scene.listeners else { return hop("app", String::new(), "--", None, HopState::Unknown) };
    match table.taking(address) {
        Some(listener) => {
            let owner = listener.owner.as_ref().map_or_else(|| "runs".to_owned(), |process| process.name.clone());
            hop("app", listener.address.to_string(), owner, None, HopState::Good)
        }
        None if table.covers(address) => hop("app", address.to_string(), "NOT LISTENING", None, HopState::Broken),
        None => hop("app", address.to_string(), "--", None, HopState::Unknown),
    }
}
