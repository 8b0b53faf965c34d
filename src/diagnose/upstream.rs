//! Which address a line of a log is about. nginx names it; HAProxy names pool and server, and what they stand for is known from
//! what runs, else from what is configured.

use super::{LogGroup, Scene};
use crate::model::{
    Address, Gateway, LiveServer, LiveState,
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
