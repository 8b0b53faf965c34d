//! What is tried besides the request itself, because it tells more about one server: its socket's path, its name.
//!
//! To add one: a function in [`COMPANIONS`].

use crate::{
    diagnose::{self, ProbeHistory, Scene},
    model::{
        Address, HEALTH_CHECK, HEALTH_CHECK_HOST, HEALTH_CHECK_PORT, HttpRequest, Outcome, Phase, ProbeJob, Protocol, Queue,
        Server, SourceKind, Subject, TrustSettings, Verifier,
    },
};

use super::target::Target;

/// From what is known, the target, the server, and the request straight to it: probes that go with it.
type Companion = fn(&Scene, &Target<'_>, &Server, &ProbeJob) -> Option<ProbeJob>;

/// Milliseconds between two looks at the gateway's own certificate.
const EDGE_MS: u64 = 30_000;

/// In this order.
const COMPANIONS: &[Companion] = &[socket_path, name, resolvers, tls, reach, check];

/// All probes that go with a request straight to a server.
pub fn companions(scene: &Scene, target: &Target<'_>, server: &Server, straight: &ProbeJob) -> Vec<ProbeJob> {
    COMPANIONS.iter().filter_map(|companion| companion(scene, target, server, straight)).collect()
}

/// A probe of the same address, without a request.
fn beside(probe: &str, straight: &ProbeJob) -> ProbeJob {
    ProbeJob { probe: probe.to_owned(), request: None, sni: None, trust: None, siblings: None, ..straight.clone() }
}

/// Milliseconds for the connection to one address of a name: what is on this network answers in less, and one of several must not
/// hold the verdict up.
const ADDRESS_CONNECT_MS: u64 = 1_000;
/// Milliseconds for the whole exchange with one address of a name.
const ADDRESS_MS: u64 = 2_000;

/// The same request to each address that is worth a request: of those that name servers and the hosts file give, and of those that
/// the gateway uses.
pub fn addresses(scene: &Scene, server: &Server, straight: &ProbeJob) -> impl Iterator<Item = ProbeJob> {
    let ips = match server.address.bare() {
        Address::Name(..) => diagnose::addresses_worth_trying(scene, &straight.subject),
        Address::Tcp(_) | Address::Unix(_) | Address::Inside(..) => Vec::new(),
    };
    let port = server.address.port().unwrap_or_default();
    ips.into_iter().map(move |ip| ProbeJob {
        probe: "address".to_owned(),
        address: Address::Tcp((ip, port).into()).inside(server.address.place()),
        connect_ms: straight.connect_ms.min(ADDRESS_CONNECT_MS),
        total_ms: straight.total_ms.min(ADDRESS_MS),
        names: crate::model::Resolution::default(),
        ..straight.clone()
    })
}

fn socket_path(_: &Scene, _: &Target<'_>, server: &Server, straight: &ProbeJob) -> Option<ProbeJob> {
    matches!(server.address.bare(), Address::Unix(_)).then(|| beside("socket-path", straight))
}

fn name(_: &Scene, _: &Target<'_>, server: &Server, straight: &ProbeJob) -> Option<ProbeJob> {
    // One question for all routes that lead to the name, whatever else they have of their own.
    let one = || ProbeJob { connect_ms: straight.total_ms, header_limit: None, ..beside("name", straight) };
    matches!(server.address.bare(), Address::Name(..)).then(one)
}

/// Milliseconds for all questions to the name servers: the last is sent after a second, and each is waited for as long as that.
const RESOLVERS_MS: u64 = 4_000;

/// The name servers again and again, where something fails.
fn resolvers(scene: &Scene, _: &Target<'_>, server: &Server, straight: &ProbeJob) -> Option<ProbeJob> {
    let failing = |history: &ProbeHistory| diagnose::window(history).iter().any(|result| diagnose::failed(&result.outcome));
    let asked = matches!(server.address.bare(), Address::Name(..));
    let wanted = asked && (scene.probes_through(&straight.subject).any(failing) || diagnose::told_to_fail(scene));
    wanted.then(|| ProbeJob {
        protocol: Protocol::Stream,
        connect_ms: RESOLVERS_MS,
        total_ms: RESOLVERS_MS,
        header_limit: None,
        upstreams: Vec::new(),
        source: None,
        ..beside("resolvers", straight)
    })
}

/// The gateway's own health check, where the gateway has no server left for a request: is it the check that fails?
fn check(scene: &Scene, target: &Target<'_>, server: &Server, straight: &ProbeJob) -> Option<ProbeJob> {
    let refused = |history: &ProbeHistory| diagnose::window(history).iter().any(|result| result.outcome == Outcome::Status(503));
    let mut through = scene.probes_through(&straight.subject);
    through.any(refused).then_some(())?;
    let route = target.routes.iter().find(|route| route.servers.contains(server))?;
    let value = |key: &str| route.settings.get(key).map(|setting| setting.value.as_str());
    let words = value(HEALTH_CHECK)?;
    let port: Option<u16> = value(HEALTH_CHECK_PORT).and_then(|port| port.parse().ok());
    let address = match (straight.address.bare(), port) {
        (Address::Tcp(at), Some(port)) => Address::Tcp((at.ip(), port).into()),
        (Address::Name(host, _), Some(port)) => Address::Name(host.clone(), port),
        (address, _) => address.clone(),
    };
    let address = address.inside(straight.address.place());
    let plain = |(method, path): &(&str, &str)| {
        matches!(*method, "GET" | "HEAD") && path.starts_with('/') && !path.contains([' ', '{', '}'])
    };
    let request = words.split_once(' ').filter(plain);
    let mut job = ProbeJob { probe: "check".to_owned(), address, ..straight.clone() };
    match request {
        Some((method, path)) => {
            let host = value(HEALTH_CHECK_HOST).map_or_else(|| job.address.bare().to_string(), str::to_owned);
            let host = if host.starts_with("unix:") { "localhost".to_owned() } else { host };
            job.request = Some(HttpRequest {
                method: method.to_owned(),
                path: path.to_owned(),
                query: None,
                host,
                params: Vec::new(),
                headers: Vec::new(),
            });
        }
        // To connect where the requests go tells no more than they do.
        None if port.is_some() => (job.request, job.protocol) = (None, Protocol::Stream),
        None => return None,
    }
    Some(job)
}

/// The certificate and what the handshake needs. The request stays in it for its host: a server may know that name.
fn tls(_: &Scene, _: &Target<'_>, _: &Server, straight: &ProbeJob) -> Option<ProbeJob> {
    // A handshake without the header tells nothing of one behind it.
    (straight.tls() && !straight.preamble).then(|| ProbeJob { probe: "tls".to_owned(), ..straight.clone() })
}

/// The certificate of the gateway's own listener, judged as a client of this host would.
pub fn edge(through: &ProbeJob) -> Option<ProbeJob> {
    let name = through.sni.clone().filter(|name| name.contains('.'));
    let trust = TrustSettings {
        verify: true,
        dates: true,
        name,
        verifier: Verifier::Openssl,
        system_roots: true,
        ..TrustSettings::default()
    };
    through.protocol.tls().then(|| ProbeJob {
        probe: "edge-tls".to_owned(),
        subject: Subject(format!("{} at {}", through.sni.as_deref().unwrap_or("default"), through.address)),
        upstreams: Vec::new(),
        request: None,
        trust: Some(Box::new(trust)),
        // Its dates do not change with the outage.
        every_ms: Some(EDGE_MS),
        ..through.clone()
    })
}

/// Milliseconds for the whole look at the way: what nobody answers is waited for some three seconds.
const REACH_MS: u64 = 5_000;
/// Seconds in which a failing line of a gateway's log tells of now.
const LOGGED_S: i64 = 120;
/// A connection that stood only after the first repetition of its SYN, in milliseconds (RFC 6298 section 2: 1 s).
const REPEATED_MS: f64 = 900.0;

/// The way to a server that something is wrong with: not looked at while all is well.
fn reach(scene: &Scene, _: &Target<'_>, server: &Server, straight: &ProbeJob) -> Option<ProbeJob> {
    let local = match server.address.bare() {
        Address::Unix(_) | Address::Inside(..) => return None,
        Address::Tcp(_) => scene.listeners.as_ref().is_some_and(|table| table.covers(&server.address)),
        Address::Name(..) => false,
    };
    let subject = &straight.subject;
    let listens = || scene.listeners.as_ref().is_some_and(|table| table.taking(&server.address).is_some());
    let full = || {
        let listener = scene.listeners.as_ref().and_then(|table| table.taking(&server.address));
        listener.and_then(|listener| listener.queue).is_some_and(Queue::full)
    };
    let bad = |outcome: &Outcome| match outcome {
        // Where nothing more is taken in, no way is to blame.
        Outcome::Timeout(Phase::Connect) => !full(),
        Outcome::Unreachable | Outcome::NoLocalPort | Outcome::Denied | Outcome::Os(_) => true,
        // On this host itself, a reset is the answer of a port on which nobody listens.
        Outcome::Refused => !local || listens(),
        Outcome::Reset(_) | Outcome::Timeout(_) | Outcome::Closed(Phase::Tls | Phase::Body) => !local,
        _ => false,
    };
    let any = |history: &ProbeHistory, bad: &dyn Fn(&Outcome) -> bool| {
        diagnose::window(history).iter().any(|result| bad(&result.outcome))
    };
    let own = || {
        let repeated = |history: &ProbeHistory| history.last.phases.connect.is_some_and(|ms| ms >= REPEATED_MS);
        scene.probes_about("upstream", subject).any(|known| any(known, &bad) || repeated(known))
    };
    let through = || {
        let mut all = scene.probes_through(subject);
        all.any(|known| any(known, &diagnose::failed))
    };
    let logged = || {
        let since = scene.now.wall_s() - LOGGED_S;
        let names = |group: &&crate::diagnose::LogGroup| diagnose::upstream_of(scene, group).as_ref() == Some(&server.address);
        let of_gateway = scene.logs.values().filter(|group| group.kind == SourceKind::Error);
        of_gateway.filter(names).any(|group| group.last_second().is_some_and(|last| last >= since))
    };
    // What the gateway cannot have and we can is often forbidden to its user alone: a filter's owner match holds on loopback, too.
    let only_ours = || {
        let serves = |history: &ProbeHistory| !history.last.as_gateway && any(history, &|outcome| outcome.serves() == Some(true));
        straight.identity.is_some() && scene.probes_about("upstream", subject).any(serves) && through()
    };
    (own() || !local && (through() || logged()) || local && only_ours()).then(|| ProbeJob {
        protocol: Protocol::Stream,
        total_ms: REACH_MS,
        connect_ms: REACH_MS,
        header_limit: None,
        upstreams: Vec::new(),
        ..beside("reach", straight)
    })
}
