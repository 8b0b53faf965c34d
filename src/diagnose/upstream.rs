//! Which address a line of a log is about. nginx names it; HAProxy names pool and server, and what they stand for is known from
//! what runs, else from what is configured.

use std::collections::BTreeSet;

use super::{LogGroup, Scene};
use crate::model::{
    Address, Gateway, HEALTH_CHECK_PORT, LiveServer, LiveState, RunState, SourceKind, Subject,
    logline::{self, Level},
};

/// The address that a group's lines name, or whose server they name.
pub fn upstream_of(scene: &Scene, group: &LogGroup) -> Option<Address> {
    let Some(text) = group.meaning.upstream.as_deref() else { return by_request(scene, group) };
    if let Some(address) = group.upstream() {
        // As it is written where the gateway runs.
        let of_log = |gateway: &&Gateway| gateway.logs.iter().any(|log| log.is(&group.source));
        return Some(scene.gateways.iter().find(of_log).map_or_else(|| address.clone(), |gateway| gateway.called(&address)));
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
    scene.gateways.iter().filter(|gateway| gateway.logs.iter().any(|log| log.is(&group.source))).find_map(|gateway| {
        match gateway.state {
            RunState::Running { workers_since, .. } => workers_since,
            RunState::Stopped { .. } => None,
        }
    })
}

/// Upstreams at which nothing but requests of our own fails, while those of others fail at another one: nobody asks for them.
pub fn unasked(scene: &Scene) -> BTreeSet<Subject> {
    let asked = scene.probes.iter().filter(|history| history.last.job.probe == "gateway");
    let asked: BTreeSet<&str> = asked.filter_map(|history| Some(history.last.job.request.as_ref()?.path.as_str())).collect();
    // Error logs don't tell who asks: what began with us, and is about what we ask for, is ours.
    let ours = |line: &str| {
        let entry = logline::read(logline::carried(line).text);
        entry.request.as_deref().and_then(|request| request.split(' ').nth(1)).is_some_and(|path| asked.contains(path))
    };
    let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
    for group in failing(scene) {
        let Some(address) = upstream_of(scene, group) else { continue };
        let set = if group.count == group.live && ours(&group.first) && ours(&group.last) { &mut own } else { &mut others };
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
