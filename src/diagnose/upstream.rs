//! Which address a line of a log is about. nginx names it; HAProxy names pool and server, and what they stand for is known from
//! what runs, else from what is configured.

use std::collections::{BTreeMap, BTreeSet};

use super::{LogGroup, Scene, names, wrote};
use crate::model::{
    Address, Gateway, HEALTH_CHECK_PORT, LiveServer, LiveState, RunState, SourceKind, Subject,
    logline::{self, Level},
};

/// The address that a group's lines name, or whose server they name.
pub fn upstream_of(scene: &Scene, group: &LogGroup) -> Option<Address> {
    let Some(text) = group.meaning.upstream.as_deref() else { return by_request(scene, group) };
    if let Some(address) = group.upstream() {
        // As it is written where the gateway runs.
        let of_log = |gateway: &&Gateway| wrote(scene, gateway, &group.source);
        let Some(gateway) = scene.gateways.iter().find(of_log) else { return Some(address) };
        let called = gateway.called(&address);
        return Some(by_name(scene, gateway, &called).unwrap_or(called));
    }
    let (pool, server) = text.split_once('/')?;
    scene.gateways.iter().find_map(|gateway| {
        let live = scene.lives.iter().find(|live| live.is_of(gateway));
        live.and_then(|live| live.server(pool, server)).and_then(|live| address_of(gateway, live)).or_else(|| {
            let pool = gateway.pools.iter().find(|known| known.name == pool)?;
            pool.servers.iter().find(|known| known.name.as_deref() == Some(server)).map(|known| known.address.clone())
        })
    })
}

/// The one name by which a gateway's configuration has an address that its log tells: nginx writes what the name stood for. Of several
/// addresses any while none of them serves, else the best: that another one does not serve is no news of the name.
fn by_name(scene: &Scene, gateway: &Gateway, told: &Address) -> Option<Address> {
    let Address::Tcp(socket) = told.bare() else { return None };
    let servers = || gateway.routes().flat_map(|(_, route)| &route.servers).map(|server| &server.address);
    if servers().any(|known| known == told) {
        return None;
    }
    let ip = socket.ip().to_canonical();
    let stands_for = |name: &&Address| {
        if !matches!(name.bare(), Address::Name(_, port) if *port == socket.port()) {
            return false;
        }
        let subject = Subject(name.to_string());
        let Some((_, view)) = names::view(scene, &subject) else { return false };
        let quality = |ip| names::quality(scene, &subject, view, ip);
        let best = || view.ips.iter().filter_map(|other| quality(*other)).max();
        let mut straight = scene.probes_about("upstream", &subject).filter_map(|history| history.results.back());
        let fails = straight.next().is_some_and(|result| result.outcome.serves() == Some(false));
        view.ips.contains(&ip) && (view.ips.len() == 1 || fails || quality(ip).is_some() && quality(ip) == best())
    };
    let mut found = servers().filter(stands_for);
    let name = found.next()?;
    found.all(|other| other == name).then(|| name.clone())
}

/// Addresses that logs name, at most.
const LOGGED: usize = 64;
/// Settings of a port that is checked and gets no requests; the second in Caddy's words.
const CHECKED: &[&str] = &[HEALTH_CHECK_PORT, "health_port"];
/// Seconds in which what a gateway says is taken to go on.
const GOES_ON_S: i64 = 60;

/// The addresses at which gateways say that they fail now: also those that no configuration names, as a variable, a map of a script
/// or an answer of the application chooses them. Not those that a name may stand for which a configuration has: of what it was
/// resolved to, the name's own facts tell; nor ports that no request goes to, but the gateway's check.
pub fn failed_at(scene: &Scene) -> BTreeSet<Address> {
    let mut found = BTreeSet::new();
    for address in failing(scene).filter_map(|group| upstream_of(scene, group)) {
        if found.len() < LOGGED {
            found.insert(address);
        }
    }
    if !found.is_empty() {
        let routes = || scene.gateways.iter().flat_map(Gateway::routes).map(|(_, route)| route);
        let names = routes().flat_map(|route| &route.servers).filter(|server| matches!(server.address.bare(), Address::Name(..)));
        let checked = routes().flat_map(|route| CHECKED.iter().filter_map(|name| route.settings.get(name)?.value.parse().ok()));
        let other: BTreeSet<u16> = names.filter_map(|server| server.address.port()).chain(checked).collect();
        found.retain(|address| address.port().is_none_or(|port| !other.contains(&port)));
    }
    found
}

/// Groups of lines by which a gateway says that it fails at an upstream now. What it said before it loaded its configuration is of another.
fn failing(scene: &Scene) -> impl Iterator<Item = &LogGroup> {
    let now = |group: &LogGroup| {
        let from = scene.now.wall_s() - GOES_ON_S;
        group.last_second().is_some_and(|last| last >= from && loaded_since(scene, group).is_none_or(|loaded| last >= loaded))
    };
    scene.logs.values().filter(move |group| {
        group.kind == SourceKind::Error && group.meaning.signature.is_some() && group.meaning.upstream.is_some() && now(group)
    })
}

/// When the gateway whose log this is last loaded its configuration, in seconds since the Unix epoch.
pub fn loaded_since(scene: &Scene, group: &LogGroup) -> Option<i64> {
    scene.gateways.iter().filter(|gateway| wrote(scene, gateway, &group.source)).find_map(|gateway| match gateway.state {
        RunState::Running { workers_since, .. } => workers_since,
        RunState::Stopped { .. } => None,
    })
}

/// Upstreams at which nothing but requests of our own fails, while those of others fail at another one: nobody asks for them.
pub fn unasked(scene: &Scene) -> BTreeSet<Subject> {
    let mut asked: BTreeMap<String, u64> = BTreeMap::new();
    for history in scene.probes_of("gateway") {
        let Some(request) = &history.last.job.request else { continue };
        *asked.entry(request.target().into_owned()).or_default() += history.tries;
    }
    let began = scene.now.wall_s() - i64::try_from(scene.now.run_ms / 1000).unwrap_or(i64::MAX) - 1;
    // Error logs don't tell who asks: what began with us, and is about what we ask for, is ours. A log may have been opened after our
    // first requests; what stood in it by then is not more than these.
    let tries = |line: &str| {
        let entry = logline::read(logline::carried(line).text);
        asked.get(entry.request.as_deref()?.split(' ').nth(1)?).copied()
    };
    let ours = |group: &LogGroup| {
        let (Some(first), Some(_)) = (tries(&group.first), tries(&group.last)) else { return false };
        let before = group.count - group.live.min(group.count);
        before == 0 || group.since(began) == group.count && before <= first
    };
    let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
    for group in failing(scene) {
        let Some(address) = upstream_of(scene, group) else { continue };
        let set = if ours(group) { &mut own } else { &mut others };
        if set.len() < LOGGED {
            set.insert(Subject(address.to_string()));
        }
    }
    own.retain(|subject| !others.is_empty() && !others.contains(subject));
    own
}

/// The one address to which the request goes that a failure is about, where its log names no upstream.
fn by_request(scene: &Scene, group: &LogGroup) -> Option<Address> {
    let failed = group.meaning.status.is_none() && group.meaning.level.is_some_and(|level| level >= Level::Error);
    let kind = group.meaning.dialect.names_the_request_only().filter(|_| failed)?;
    let entry = logline::read(logline::carried(&group.last).text);
    let path = entry.request.as_deref()?.split(' ').nth(1)?.split('?').next()?;
    let host = without_port(entry.server.as_deref()?);
    let of_log = |gateway: &&Gateway| gateway.kind == kind && gateway.running();
    let sites = || scene.gateways.iter().filter(of_log).flat_map(|gateway| &gateway.sites);
    let named = sites().find(|site| site.names.iter().any(|name| name.eq_ignore_ascii_case(host)));
    let site = named.or_else(|| sites().find(|site| site.names.is_empty()))?;
    match site.route_for(path)?.servers.as_slice() {
        [one] => Some(one.address.clone()),
        _ => None,
    }
}

/// A Host header's name.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// What a server is called everywhere else: by the name that the configuration has, where it has one and no address, else by
/// where the gateway connects.
pub fn address_of(gateway: &Gateway, live: &LiveServer) -> Option<Address> {
    let configured = configured(gateway, live);
    match (configured, &live.address) {
        (Some(name @ (Address::Name(..) | Address::Unix(_))), _) => Some(name.clone()),
        (_, Some(address)) => Some(address.clone()),
        (known, None) => known.cloned(),
    }
}

/// The address that the configuration on disk has for it.
fn configured<'a>(gateway: &'a Gateway, live: &LiveServer) -> Option<&'a Address> {
    let pool = gateway.pools.iter().find(|pool| pool.name == live.pool)?;
    let named = |server: &&crate::model::Server| server.name.as_deref() == Some(live.name.as_str());
    pool.servers.iter().find(named).map(|server| &server.address)
}

/// Where a gateway connects for a server that is configured for something else: what runs is not what is on disk. First where it
/// connects, then what the file says; both are addresses, because a name may be any.
pub fn moved<'a>(gateway: &'a Gateway, live: &'a LiveState) -> impl Iterator<Item = (&'a LiveServer, &'a Address, &'a Address)> {
    live.servers.iter().filter_map(|server| {
        let (now, file) = (server.address.as_ref()?, configured(gateway, server)?);
        let comparable = matches!((now.bare(), file.bare()), (Address::Tcp(_), Address::Tcp(_)));
        (comparable && now != file).then_some((server, now, file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HttpRequest, LogBatch, LogCount, LogFormat, Observation, Outcome, ProbeJob, ProbeReport, Protocol, Stamp};

    /// What stands behind all others, after a second: users ask for `/`, and only we for `/reports/`, of which so many lines stood in the
    /// log when it was opened.
    fn behind(reports: u32) -> Vec<String> {
        let mut scene = Scene::default();
        let at = Stamp { run_ms: 1_000, wall_ms: 1_799_978_401_000 };
        for path in ["/", "/reports/"] {
            let request = HttpRequest {
                method: "GET".to_owned(),
                path: path.to_owned(),
                query: None,
                host: "shop.test".to_owned(),
                headers: Vec::new(),
                params: Vec::new(),
            };
            let address = Address::Tcp(([127, 0, 0, 1], 80).into());
            let job = ProbeJob {
                request: Some(request),
                ..ProbeJob::new("gateway", Subject(path.to_owned()), address, Protocol::Http, (1_000, 10_000))
            };
            scene.observe(at, Observation::Probe(Box::new(ProbeReport::new(job, Outcome::Status(502)))));
        }
        for (path, port, count) in [("/", 8002, 20), ("/reports/", 9100, reports)] {
            let first = format!(
                "2027/01/15 00:00:00 [error] 8#8: *5 connect() failed (111: Connection refused) while connecting to upstream, client: \
                 127.0.0.1, server: , request: \"GET {path} HTTP/1.1\", upstream: \"http://127.0.0.1:{port}{path}\", host: \"shop.test\""
            );
            let count = LogCount { second: Some(1_799_978_400), key: first.clone(), count, first, ..LogCount::default() };
            let batch = LogBatch {
                source: "/var/log/nginx/error.log".to_owned(),
                kind: SourceKind::Error,
                format: LogFormat::NginxError,
                counts: vec![count],
                lookback: true,
                dropped: 0,
            };
            scene.observe(at, Observation::Log(batch));
        }
        let catalog = crate::catalog::Catalog::embedded().expect("the catalogue is whole");
        scene.classify(&catalog);
        unasked(&scene).into_iter().map(|subject| subject.0).collect()
    }

    #[test]
    fn what_only_we_ask_for_stands_behind_though_its_log_was_opened_late() {
        assert_eq!(behind(1), ["127.0.0.1:9100"]);
        assert_eq!(behind(9), [""; 0], "that many were not ours");
    }
}
