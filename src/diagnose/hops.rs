//! The path of the request, hop by hop: where it breaks is seen at a glance.

use super::{ProbeHistory, Scene, facts, symptom};
use crate::model::{Address, Cause, Gateway, Hop, HopState, Outcome, Phase, Protocol, RunState, Subject};

/// The hops of the worst request, or of the first that was tried.
pub fn hops(scene: &Scene, symptom: &symptom::View, causes: &[Cause]) -> Vec<Hop> {
    let mut hops = vec![client(scene)];
    let edge = scene.probes_of("gateway").find(|history| Some(&history.last.job.subject) == symptom.subject.as_ref());
    hops.push(answer("edge", edge, true));
    hops.push(gateway(scene.gateways.first(), edge));
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
    hops.push(name(scene, &job.address, &job.subject));
    let outcome = upstream.results.back().map(|result| &result.outcome);
    let reached = reach(outcome);
    let connect = match job.address {
        Address::Unix(_) => "unix",
        Address::Tcp(_) | Address::Name(..) => "tcp",
    };
    hops.push(stage(connect, Phase::Connect, reached, outcome, job.address.to_string(), upstream.last.phases.connect));
    if job.protocol.tls() {
        hops.push(stage("tls", Phase::Tls, reached, outcome, job.address.to_string(), upstream.last.phases.tls));
    }
    if job.protocol != Protocol::Stream {
        hops.push(answer(job.protocol.scheme(), Some(upstream), reached == Some(Phase::Head)));
    }
    hops.push(application(scene, &job.address));
    hops
}

fn upstream_probe<'a>(scene: &'a Scene, subject: &Subject) -> Option<&'a ProbeHistory> {
    let mut of = scene.probes_of("upstream").filter(|history| history.last.job.subject == *subject).peekable();
    let first = of.peek().copied();
    of.find(|history| bad(history)).or(first)
}

fn bad(history: &ProbeHistory) -> bool {
    facts::window(history).iter().any(|result| symptom::failed(&result.outcome))
}

fn hop(name: &str, target: String, outcome: impl std::fmt::Display, ms: Option<f64>, state: HopState) -> Hop {
    Hop { name: name.to_owned(), target, outcome: outcome.to_string(), ms, state }
}

/// The client's half: only tried when the operator names a URL.
fn client(scene: &Scene) -> Hop {
    match scene.probes_of("client").next() {
        Some(history) => answer("client", Some(history), true),
        None => hop("client", String::new(), "--", None, HopState::Unknown),
    }
}

/// A hop that answers a request.
fn answer(name: &str, history: Option<&ProbeHistory>, reached: bool) -> Hop {
    let Some((history, result)) = history.and_then(|history| Some((history, history.results.back()?))).filter(|_| reached) else {
        return hop(name, String::new(), "--", None, HopState::Unknown);
    };
    let target = symptom::url_of(&history.last);
    let state = match &result.outcome {
        Outcome::Status(502..=504) => HopState::Shows,
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

fn name(scene: &Scene, address: &Address, subject: &Subject) -> Hop {
    let history = scene.probes_of("name").find(|history| history.last.job.subject == *subject);
    match (address, history.and_then(|history| history.results.back())) {
        (Address::Name(host, _), Some(result)) => {
            let state = if result.outcome == Outcome::Open { HopState::Good } else { HopState::Broken };
            let word = if result.outcome == Outcome::Open { "OK".to_owned() } else { result.outcome.to_string() };
            hop("dns", host.clone(), word, Some(result.ms), state)
        }
        (Address::Name(host, _), None) => hop("dns", host.clone(), "--", None, HopState::Unknown),
        (Address::Tcp(_) | Address::Unix(_), _) => hop("dns", String::new(), "n/a", None, HopState::Unknown),
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
    let local = match address {
        Address::Tcp(at) => table.is_local(at.ip()),
        Address::Unix(_) => true,
        Address::Name(..) => false,
    };
    match table.taking(address) {
        Some(listener) => {
            let owner = listener.owner.as_ref().map_or_else(|| "runs".to_owned(), |process| process.name.clone());
            hop("app", listener.address.to_string(), owner, None, HopState::Good)
        }
        None if local => hop("app", address.to_string(), "NOT LISTENING", None, HopState::Broken),
        None => hop("app", address.to_string(), "--", None, HopState::Unknown),
    }
}
