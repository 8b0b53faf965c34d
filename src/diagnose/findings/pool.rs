//! Findings about servers that stand in for one another.

use std::collections::BTreeSet;

use super::{Found, Look, Spot, serves};
use crate::{
    diagnose::upstream::address_of,
    model::{HEALTH_CHECK, Health, LiveServer, Pool, Role, text},
};

/// Pools of used routes, the nearest first, each once.
fn pools<'a>(look: &Look<'a>) -> Vec<(Spot<'a>, &'a Pool)> {
    let mut seen = BTreeSet::new();
    let used = look.spots.iter().filter_map(|spot| {
        let pool = spot.gateway.pools.iter().find(|pool| Some(&pool.name) == spot.route.pool.as_ref())?;
        seen.insert(&pool.at).then_some((*spot, pool))
    });
    used.collect()
}

/// One server that serves, and none that could.
pub(super) fn single_server<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let alone = |(spot, pool): (Spot<'a>, &'a Pool)| {
        let mut able = pool.servers.iter().filter(|server| server.role != Role::Down);
        let (server, None) = (able.next()?, able.next()) else { return None };
        // A name may have several addresses, each of which is a server.
        let several = matches!(server.address, crate::model::Address::Name(..));
        (!several).then(|| {
            let text = format!("{} has one server, {}, and no spare", pool.name, server.address);
            Found::of(&spot, &server.at, text).about(&server.address)
        })
    };
    pools(look).into_iter().filter_map(alone).collect()
}

/// Several servers, and a request to a dead one of them fails.
pub(super) fn no_failover<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let mut seen = BTreeSet::new();
    let stuck = |spot: &Spot<'a>| {
        let route = spot.route;
        let servers = route.servers.iter().filter(|server| serves(server)).count();
        if servers < 2 || !seen.insert((&route.pool, &route.at)) {
            return None;
        }
        let has = |name: &str| route.settings.contains_key(name);
        let value = |id: &str| look.setting(id, route).map(|(_, setting)| setting.value.as_str());
        let (id, why) = match spot.gateway.kind.as_str() {
            "nginx" if value("next-upstream").is_some_and(|value| value.split(' ').any(|word| word == "off")) => {
                ("next-upstream", format!("{} switches it off", look.written("next-upstream", route)))
            }
            "nginx" if value("tries") == Some("1") => ("tries", format!("{} is the first try alone", look.written("tries", route))),
            // Without a check a dead server stays in; `observe` is a check by the traffic itself.
            "haproxy" if !has(HEALTH_CHECK) && !has("observe") && !has("option redispatch") => {
                ("health-check", "no server has `check`, and there is no option redispatch".to_owned())
            }
            "caddy"
                if !["lb_try_duration", "lb_retries", "fail_duration", "health_uri", "health_path", "health_port"]
                    .iter()
                    .any(|name| has(name)) =>
            {
                ("tries", "without lb_try_duration, fail_duration and health_uri none is tried twice or left out".to_owned())
            }
            "apache" if value("next-upstream").is_some_and(|value| value.eq_ignore_ascii_case("on")) && has("nofailover") => {
                ("next-upstream", "nofailover=On".to_owned())
            }
            _ => return None,
        };
        let name = route.pool.as_deref().unwrap_or("this route");
        let text = format!("{name} has {servers} servers, and a dead one keeps its share of the requests: {why}");
        Some(Found::of(spot, look.place(id, route), text))
    };
    look.spots.iter().filter_map(stuck).collect()
}

/// The servers of used pools, as their gateway sees them.
fn lives<'a>(look: &Look<'a>) -> Vec<(Spot<'a>, &'a Pool, &'a [LiveServer], &'a LiveServer)> {
    let of_pool = |(spot, pool): (Spot<'a>, &'a Pool)| {
        let live = look.scene.lives.iter().find(|live| live.is_of(spot.gateway))?;
        let one = move |server: &'a LiveServer| (spot, pool, live.servers.as_slice(), server);
        Some(live.servers.iter().filter(|server| server.pool == pool.name).map(one))
    };
    if look.scene.lives.is_empty() {
        return Vec::new();
    }
    pools(look).into_iter().filter_map(of_pool).flatten().collect()
}

fn since(server: &LiveServer) -> String {
    let seconds = server.for_s.and_then(|for_s| i64::try_from(for_s).ok());
    seconds.map_or_else(String::new, |for_s| format!(" for {}", text::duration(for_s)))
}

/// Where a server that the gateway tells of is written.
fn found<'a>(spot: &Spot<'a>, pool: &'a Pool, live: &LiveServer, text: String) -> Found<'a> {
    let written = pool.servers.iter().find(|server| server.name.as_deref() == Some(live.name.as_str()));
    let found = Found::of(spot, written.map_or(&pool.at, |server| &server.at), text);
    let found = found.with("pool", pool.name.clone()).with("server", live.name.clone());
    match address_of(spot.gateway, live) {
        Some(address) => found.about(&address),
        None => found,
    }
}

/// A spare serves because no ordinary server does.
pub(super) fn only_backup<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let all = lives(look).into_iter().filter_map(|(spot, pool, all, server)| {
        let ordinary = |one: &&LiveServer| one.pool == pool.name && one.role == Role::Primary;
        let gone = all.iter().filter(ordinary).all(|one| !one.health.serves()) && all.iter().any(|one| ordinary(&one));
        (server.role == Role::Backup && server.health.serves() && gone).then(|| {
            let text = format!("only the spare {} of {} serves: every ordinary server is out", server.name, pool.name);
            found(&spot, pool, server, text)
        })
    });
    all.collect()
}

/// Held for down by a check or by requests that failed.
pub(super) fn held_down<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let all = lives(look).into_iter().filter(|(.., server)| matches!(server.health, Health::Down | Health::Unresolved));
    all.map(|(spot, pool, _, server)| {
        let check = server.check.as_ref().map_or_else(String::new, |check| {
            let status = check.status.map_or_else(String::new, |status| format!(" {status}"));
            format!(", its check says {}{status}", check.result)
        });
        let text = format!("{} holds {}/{} for down{}{check}", spot.gateway.kind, pool.name, server.name, since(server));
        found(&spot, pool, server, text)
    })
    .collect()
}

/// Taken out on purpose, by the files or by hand.
pub(super) fn out<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let mut all: Vec<Found<'a>> = lives(look)
        .into_iter()
        .filter_map(|(spot, pool, _, server)| {
            let how = match server.health {
                Health::Disabled => "taken out on purpose",
                Health::Draining => "being drained",
                Health::Up | Health::Unchecked | Health::Down | Health::Unresolved => return None,
            };
            let text = format!("{}/{} is {how}{}", pool.name, server.name, since(server));
            Some(found(&spot, pool, server, text))
        })
        .collect();
    let told: BTreeSet<_> = all.iter().filter_map(|one| one.at.clone()).collect();
    for spot in &look.spots {
        for server in spot.route.servers.iter().filter(|server| server.role == Role::Down && !told.contains(&server.at)) {
            let name = server.name.as_ref().map_or_else(|| server.address.to_string(), ToString::to_string);
            let text = format!("{} is taken out on purpose in the configuration", server.address);
            let pool = spot.route.pool.clone().unwrap_or_default();
            all.push(Found::of(spot, &server.at, text).about(&server.address).with("pool", pool).with("server", name));
        }
    }
    all
}
