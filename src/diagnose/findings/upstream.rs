//! Findings about where a route leads, and how: addresses, names, protocols, what is sent.

use super::{Found, Look, Spot, span};
use crate::model::{Address, LACKS, LACKS_CURE, NamesView, Protocol, Resolution, Role, ServerAnswer, ServerOf, View};

/// Servers of used routes at whose address nobody listens.
pub(super) fn nothing_listens<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let none = look.book.facts().iter().filter(|fact| fact.name == "listen:none");
    none.filter_map(|fact| {
        let (spot, server) = look.server(&fact.subject)?;
        if server.role == Role::Down {
            return None;
        }
        let spare = if server.role == Role::Backup { " for a spare" } else { "" };
        let elsewhere = look.book.find("listen:elsewhere", &[&fact.subject]);
        let elsewhere = elsewhere.map_or_else(String::new, |fact| format!("; {}", fact.text));
        let text = format!("{} connects to {}{spare}, where nothing listens{elsewhere}", spot.gateway.kind, server.address);
        Some(Found::of(&spot, &server.at, text).about(&server.address))
    })
    .collect()
}

/// Names that only a resolver could resolve, and none is set: nginx.
pub(super) fn no_resolver<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let unresolved = |spot: &Spot<'a>| {
        let server = spot.route.servers.iter().find(|server| {
            let nobody = matches!(&server.names, Resolution::ByServers(own) if own.servers.is_empty());
            nobody && matches!(server.address, Address::Name(..))
        })?;
        let text = format!("{} is in a variable or has `resolve`, and no resolver is set", server.address);
        let found = Found::of(spot, &server.at, text).about(&server.address);
        Some(match host_resolver(look) {
            Some(resolver) => found.with("host_resolver", resolver),
            None => found,
        })
    };
    look.spots.iter().filter_map(unresolved).collect()
}

/// A name server that the host itself asks.
fn host_resolver(look: &Look<'_>) -> Option<String> {
    let views = look.scene.probes_of("name").filter_map(|history| match &history.last.view {
        Some(View::Names(view)) => Some(view),
        _ => None,
    });
    let answer = views.flat_map(|view| &view.servers).find(|answer| answer.of == ServerOf::Host)?;
    Some(answer.server.strip_suffix(":53").unwrap_or(&answer.server).to_owned())
}

/// Targets that load and cannot work.
pub(super) fn module_missing<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let lacks = |spot: &Spot<'a>| {
        // Names without a resolver have words of their own.
        let lack = spot.route.settings.get(LACKS).filter(|_| spot.gateway.kind != "nginx")?;
        let cure = spot.route.settings.get(LACKS_CURE).map(|cure| cure.value.clone()).unwrap_or_default();
        let at = lack.at.as_ref().unwrap_or(&spot.route.at);
        let found = Found::of(spot, at, format!("{} to {}: {}", spot.route.protocol.scheme(), first(spot), lack.value));
        Some(found.with("cure", cure))
    };
    look.spots.iter().filter_map(lacks).collect()
}

fn first(spot: &Spot<'_>) -> String {
    spot.route.servers.first().map_or_else(|| "its upstream".to_owned(), |server| server.address.to_string())
}

/// Names that name servers let be kept for a while only, and the gateway keeps until it is told otherwise.
pub(super) fn resolved_once<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let named = look.scene.probes_of("name").filter_map(|history| {
        let Some(View::Names(view)) = &history.last.view else { return None };
        Some((&history.last.job.subject, view))
    });
    named
        .filter_map(|(subject, view)| {
            let (spot, server) = look.server(subject)?;
            let (answer, ttl) = answer(view).filter(|_| server.names.kept() && server.role != Role::Down)?;
            let when = match server.names {
                Resolution::AtFirstUse => "when it is first used",
                Resolution::AtStart | Resolution::AtEachUse | Resolution::ByServers(_) => "at start",
            };
            let text = format!(
                "{} resolves {} {when} and keeps it; {} lets it be kept for {}",
                spot.gateway.kind,
                view.name,
                answer.server,
                span(u64::from(ttl) * 1_000)
            );
            Some(Found::of(&spot, &server.at, text).about(&server.address))
        })
        .collect()
}

/// Seconds for which an answer may be kept without a word, whatever its own time is: a minute is what most people set.
const KEPT_S: u64 = 60;

/// `resolver ... valid=`, longer than the name servers let an answer be kept.
pub(super) fn answer_kept_long<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let named = look.scene.probes_of("name").filter_map(|history| match &history.last.view {
        Some(View::Names(view)) => Some((&history.last.job.subject, view)),
        _ => None,
    });
    named
        .filter_map(|(subject, view)| {
            let (spot, server) = look.server(subject)?;
            let kept = server.names.servers()?.kept_s?;
            let (answer, ttl) = answer(view).filter(|(_, ttl)| kept > KEPT_S.max(u64::from(*ttl)))?;
            let (own, may) = (span(kept.saturating_mul(1_000)), span(u64::from(ttl) * 1_000));
            let text = format!("{} keeps {} for {own}; {} lets it be kept for {may}", spot.gateway.kind, view.name, answer.server);
            Some(Found::of(&spot, look.place("resolver", spot.route), text).about(&server.address))
        })
        .collect()
}

/// The name server's answer by which the name has its addresses. `None`: the hosts file has it, or nobody answered.
fn answer(view: &NamesView) -> Option<(&ServerAnswer, u32)> {
    if view.by.starts_with('/') || view.ips.is_empty() {
        return None;
    }
    view.servers.iter().filter(|answer| !answer.ips.is_empty()).find_map(|answer| Some((answer, answer.ttl?)))
}

/// nginx, with a pool whose name is what the application sees as Host.
pub(super) fn host_is_pool_name<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let sees = |spot: &Spot<'a>| {
        let route = spot.route;
        let (pool, host) = (route.pool.as_deref()?, route.host_header.as_deref()?);
        // A pool that is called by the application's own name was named so on purpose.
        let ours = spot.gateway.kind == "nginx" && host == pool && !pool.contains('.');
        let http = matches!(route.protocol, Protocol::Http | Protocol::Https);
        (ours && http).then(|| {
            let text = format!("{} is told `Host: {host}`, the name of the pool, instead of the site's", first(spot));
            Found::of(spot, &route.at, text)
        })
    };
    look.spots.iter().filter_map(sees).collect()
}

/// TLS to other hosts whose certificates nobody looks at.
pub(super) fn not_verified<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let open = |spot: &Spot<'a>| {
        let trust = spot.route.trust.as_ref().filter(|trust| !trust.verify && trust.unclear.is_none())?;
        let far = spot.route.servers.iter().find(|server| match &server.address {
            Address::Tcp(at) => {
                !look.scene.listeners.as_ref().is_some_and(|table| table.is_local(at.ip())) && !at.ip().is_loopback()
            }
            Address::Name(name, _) => name != "localhost" && !named_local(look, &server.address),
            // What another namespace of this host has is not told from what is far.
            Address::Unix(_) | Address::Inside(..) => false,
        })?;
        let names = if trust.name.is_some() { ", though its name is compared" } else { "" };
        let text = format!("{} speaks TLS to {} and accepts any certificate{names}", spot.gateway.kind, far.address);
        Some(Found::of(spot, look.place("tls-verify", spot.route), text).about(&far.address))
    };
    look.spots.iter().filter_map(open).collect()
}

/// Whether all addresses of a name are this host's own.
fn named_local(look: &Look<'_>, address: &Address) -> bool {
    let Some(table) = &look.scene.listeners else { return false };
    let resolved = super::super::names::resolved(look.scene, address);
    let local = |address: &Address| matches!(address, Address::Tcp(at) if table.is_local(at.ip()));
    !resolved.is_empty() && resolved.iter().all(local)
}
