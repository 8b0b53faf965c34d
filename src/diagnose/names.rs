//! What is known of the names of upstreams: which addresses they stand for now, and which of these serve.

use std::net::{IpAddr, SocketAddr};

use super::{ProbeHistory, Scene, facts, symptom, wrote};
use crate::model::{Address, Gateway, NamesView, Outcome, PeerSeen, SourceKind, Subject, View};

/// Addresses of one name that are asked one by one, at most.
const TRIED: usize = 6;
/// Addresses of one name that are compared with what listens.
const COMPARED: usize = 16;
/// Seconds by which a line of a gateway's log may be older than the failing request that we made: a log has whole seconds, and a
/// line may wait in a buffer.
const LOG_S: i64 = 2;
/// A line older than this many seconds does not tell what the gateway does now.
const NOW_S: i64 = 60;

/// What was last seen of the name of this upstream, with the probe that saw it.
pub fn view<'a>(scene: &'a Scene, subject: &Subject) -> Option<(&'a ProbeHistory, &'a NamesView)> {
    let of = |history: &'a ProbeHistory| match &history.last.view {
        Some(View::Names(view)) => Some((history, view.as_ref())),
        _ => None,
    };
    scene.probes_about("name", subject).find_map(of)
}

/// The addresses that a configured one stands for now: itself, or those of its name.
pub fn resolved(scene: &Scene, address: &Address) -> Vec<Address> {
    match address.bare() {
        Address::Tcp(_) | Address::Unix(_) | Address::Inside(..) => vec![address.clone()],
        Address::Name(_, port) => {
            let view = view(scene, &Subject(address.to_string()));
            let ips = view.into_iter().flat_map(|(_, view)| view.ips.iter().take(COMPARED));
            ips.map(|ip| Address::Tcp(SocketAddr::new(*ip, *port)).inside(address.place())).collect()
        }
    }
}

/// The addresses that the gateway could get for it now, from any name server that it asks.
pub fn current(view: &NamesView) -> Vec<IpAddr> {
    let mut all = view.ips.clone();
    // What the hosts file decides, no server does.
    if !view.by.starts_with("/etc/hosts") {
        for ip in view.decisive().flat_map(|answer| &answer.ips) {
            if !all.contains(ip) {
                all.push(*ip);
            }
        }
    }
    all
}

/// How well an address of a name serves, as far as it was tried: 0, not at all; 1, an error; 2, it is not found or not allowed; 3, well.
pub fn quality(scene: &Scene, subject: &Subject, view: &NamesView, ip: IpAddr) -> Option<u8> {
    let one = |history: &&ProbeHistory| matches!(history.last.job.address.bare(), Address::Tcp(at) if at.ip().to_canonical() == ip);
    let alone = || scene.probes_about("upstream", subject).next().filter(|_| view.ips == [ip]);
    let outcome = &scene.probes_about("address", subject).find(one).or_else(alone)?.results.back()?.outcome;
    Some(match outcome {
        Outcome::Skipped(_) => return None,
        Outcome::Status(200..=399) | Outcome::Open => 3,
        Outcome::Status(400..=499) => 2,
        outcome if outcome.serves() == Some(true) => 1,
        _ => 0,
    })
}

/// Whether an address answers just what the gateway answers: the same status.
pub fn answers_alike(scene: &Scene, subject: &Subject, ip: IpAddr) -> bool {
    let status = |history: &ProbeHistory| match history.results.back()?.outcome {
        Outcome::Status(code) => Some(code),
        _ => None,
    };
    let there = scene
        .probes_about("address", subject)
        .find(|history| matches!(history.last.job.address.bare(), Address::Tcp(at) if at.ip().to_canonical() == ip));
    let through = scene.probes_through(subject);
    there.and_then(status).is_some_and(|code| through.filter_map(status).any(|seen| seen == code))
}

/// The best of some addresses, with its quality.
pub fn best(scene: &Scene, subject: &Subject, view: &NamesView, ips: &[IpAddr]) -> Option<(IpAddr, u8)> {
    ips.iter().filter_map(|ip| Some((*ip, quality(scene, subject, view, *ip)?))).max_by_key(|(_, quality)| *quality)
}

/// Where a gateway connects for this name, although the name does not stand for it any more: the address, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The address.
    pub ip: IpAddr,
    /// How it is known, in words.
    pub told: String,
    /// From where: the log's path, or the socket table.
    pub source: String,
    /// Whether it is beyond doubt that it is the gateway that connects there.
    pub certain: bool,
}

/// Addresses of the name's port that the gateway uses now and that belong to nothing in its configuration: by its error log, by its
/// own status, and by the sockets of its user.
pub fn strays(scene: &Scene, subject: &Subject) -> Vec<Stray> {
    let Some((history, view)) = view(scene, subject) else { return Vec::new() };
    let Address::Name(_, port) = history.last.job.address.bare() else { return Vec::new() };
    let mut current = current(view);
    if current.is_empty() {
        return Vec::new();
    }
    // What is still given at times is no address of the past.
    current.extend(given_at_times(scene, subject));
    let foreign = |ip: &IpAddr| !current.contains(ip) && !belongs(scene, subject, SocketAddr::new(*ip, *port));
    let mut found: Vec<Stray> = Vec::new();
    if let Some(since) = failing_since(scene, subject) {
        let gateways: Vec<&Gateway> = scene.routes_to(&history.last.job.address).into_iter().map(|(gateway, ..)| gateway).collect();
        for group in scene.logs.values().filter(|group| group.kind == SourceKind::Error) {
            let (Some(Address::Tcp(at)), Some(last)) = (group.upstream().map(|at| at.inside(None)), group.last_second()) else {
                continue;
            };
            let ip = at.ip().to_canonical();
            let its = gateways.iter().any(|gateway| wrote(scene, gateway, &group.source));
            let now = last >= since - LOG_S && scene.now.wall_s() - last <= NOW_S;
            if its && now && at.port() == *port && foreign(&ip) && !found.iter().any(|known| known.ip == ip) {
                let told = format!("its error log names {at} in {} lines, the last now", group.count);
                found.push(Stray { ip, told, source: group.source.clone(), certain: true });
            }
        }
    }
    let of_live = scene.lives.iter().flat_map(|state| state.servers.iter().map(move |server| (state, server)));
    for (state, server) in of_live.filter(|(_, server)| server.host.as_deref() == Some(&view.name)) {
        let Some(Address::Tcp(at)) = server.address else { continue };
        let ip = at.ip().to_canonical();
        if at.port() == *port && foreign(&ip) && !found.iter().any(|known| known.ip == ip) {
            let told = format!("it says itself that its server {} is at {at}", server.name);
            found.push(Stray { ip, told, source: state.source.clone(), certain: true });
        }
    }
    for PeerSeen { ip, open, closed } in view.peers.iter().flatten().copied() {
        if !foreign(&ip) || found.iter().any(|known| known.ip == ip) || open == 0 && closed == 0 {
            continue;
        }
        let certain = open > 0;
        let told = if certain {
            format!("{open} of its connections lead there")
        } else {
            format!("{closed} connections to there were just closed")
        };
        found.push(Stray { ip, told, source: "socket table".to_owned(), certain });
    }
    found
}

/// The second at which our last request failed that goes through a gateway to this upstream.
fn failing_since(scene: &Scene, subject: &Subject) -> Option<i64> {
    let through = scene.probes_through(subject);
    let last = |history: &ProbeHistory| {
        facts::window(history).into_iter().find(|result| symptom::failed(&result.outcome)).map(|result| result.at.wall_s())
    };
    through.filter_map(last).max()
}

/// Whether an address is that of another server in some configuration.
fn belongs(scene: &Scene, subject: &Subject, at: SocketAddr) -> bool {
    let of_routes = scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers);
    let of_pools = scene.gateways.iter().flat_map(|gateway| &gateway.pools).flat_map(|pool| &pool.servers);
    of_routes.chain(of_pools).any(|server| match server.address.bare() {
        Address::Tcp(known) => *known == at,
        Address::Unix(_) | Address::Inside(..) => false,
        Address::Name(_, port) => {
            let other = Subject(server.address.to_string());
            let its = || view(scene, &other).is_some_and(|(_, view)| current(view).contains(&at.ip()));
            *port == at.port() && other != *subject && its()
        }
    })
}

/// Addresses that name servers give when they are asked again and again.
fn given_at_times(scene: &Scene, subject: &Subject) -> impl Iterator<Item = IpAddr> {
    let of = |history: &ProbeHistory| match &history.last.view {
        Some(View::Names(view)) => view.servers.iter().flat_map(|answer| answer.ips.clone()).collect(),
        _ => Vec::new(),
    };
    scene.probes_about("resolvers", subject).flat_map(of)
}

/// Whether the servers that the gateway asks give addresses of which none is the same.
pub fn disagree(view: &NamesView) -> bool {
    let sides: Vec<&Vec<IpAddr>> = view.decisive().map(|answer| &answer.ips).filter(|ips| !ips.is_empty()).collect();
    sides.iter().any(|a| sides.iter().any(|b| !a.iter().any(|ip| b.contains(ip))))
}

/// Addresses that are worth a request each: all that anybody gives for the name, and those that the gateway uses besides. Nothing
/// where there is but one, which the request to the name itself tries, and nothing while all is well: those would be requests
/// without a question.
pub fn worth_trying(scene: &Scene, subject: &Subject) -> Vec<IpAddr> {
    let Some((_, view)) = view(scene, subject) else { return Vec::new() };
    let mut all: Vec<IpAddr> = strays(scene, subject).into_iter().map(|stray| stray.ip).collect();
    for ip in view.known().into_iter().chain(given_at_times(scene, subject)) {
        if !all.contains(&ip) {
            all.push(ip);
        }
    }
    all.truncate(TRIED);
    let questionable = failing_since(scene, subject).is_some()
        || super::told_to_fail(scene)
        || view.resolution.servers().is_some() && disagree(view);
    if !questionable || all == view.ips && all.len() < 2 { Vec::new() } else { all }
}
