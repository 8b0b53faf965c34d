//! What is different about a site, a listener or a route that is still there.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::without_port, Changes, listed, new_route, paired, route_name, servers, site_name};
use crate::model::{Address, Listen, Reuse, Route, Site};

/// A site that is still there.
pub fn site(was: &Site, is: &Site, out: &mut Changes) {
    let name = site_name(is);
    if was.names != is.names {
        let told = |site: &Site| if site.names.is_empty() { "none".to_owned() } else { site.names.join(" ") };
        out.say(format!("names of a site: {} \u{2192} {}", told(was), told(is)), Some(&is.at));
    }
    let (both, gone, added) = paired(&was.listens, &is.listens, |listen| listen.address.clone());
    for listen in added {
        let tls = if listen.tls { ", with TLS" } else { "" };
        out.say(format!("{name} listens on {}{tls}, which is new", listen.address), Some(&listen.at));
    }
    for listen in gone {
        out.say(format!("{name} listens no more on {}", listen.address), Some(&listen.at));
    }
    for (was, is) in both {
        listener(&name, was, is, out);
    }
    let (mut both, gone, added) = paired(&was.routes, &is.routes, |route| route.pattern.clone());
    let (mut gone, mut fresh) = (gone, Vec::new());
    for route in added {
        // Another pattern at the same place, to the same servers.
        let same = |known: &&Route| {
            known.pool == route.pool && known.servers.len() == route.servers.len() && {
                known.servers.iter().zip(&route.servers).all(|(a, b)| a.address == b.address)
            }
        };
        match gone.iter().position(|known| same(known) && known.at.file == route.at.file) {
            Some(at) => {
                let known = gone.remove(at);
                out.say(format!("{}: {} \u{2192} {}", site_name(is), known.pattern, route.pattern), Some(&route.at));
                both.push((known, route));
            }
            None => fresh.push(route),
        }
    }
    for route in fresh {
        new_route(is, route, out);
    }
    for route in gone {
        let to: Vec<Address> = route.servers.iter().map(|server| server.address.clone()).collect();
        let target = route.pool.as_ref().map_or_else(|| listed(&to), |pool| format!("pool {pool}"));
        out.say(format!("{} goes to {target} no more", route_name(is, route)), Some(&route.at));
    }
    for (was, now) in both {
        route(&route_name(is, now), was, now, out);
    }
}

fn listener(name: &str, was: &Listen, is: &Listen, out: &mut Changes) {
    let mut flag = |was: bool, now: bool, what: &str| {
        if was != now {
            let verb = if now { "has" } else { "has no more" };
            out.say(format!("{name} {verb} {what} on {}", is.address), Some(&is.at));
        }
    };
    flag(was.tls, is.tls, "TLS");
    flag(was.proxy_protocol, is.proxy_protocol, "the PROXY protocol");
    flag(was.default, is.default, "the requests of unknown names");
}

fn route(name: &str, was: &Route, is: &Route, out: &mut Changes) {
    let at = Some(&is.at);
    if was.protocol != is.protocol {
        out.say(format!("{name} speaks {} to its upstream instead of {}", is.protocol.scheme(), was.protocol.scheme()), at);
    }
    let target = |route: &Route| match (&route.pool, &route.dynamic) {
        (Some(pool), _) => format!("pool {pool}"),
        (None, Some(variable)) if route.servers.is_empty() => format!("what {variable} says"),
        (None, _) => listed(&route.servers.iter().map(|server| server.address.clone()).collect::<Vec<_>>()),
    };
    // What changes within a pool is told once, of the pool.
    let pooled = was.pool.is_some() && was.pool == is.pool;
    let (before, after) = (target(was), target(is));
    if !pooled && (was.servers.len() > 1 && is.servers.len() > 1 && was.pool.is_none() && is.pool.is_none()) {
        servers(&format!(" of {name}"), &was.servers, &is.servers, out);
    } else if !pooled && before != after {
        let to = is.servers.iter().map(|server| &server.address);
        let to = to.filter(|address| !was.servers.iter().any(|server| server.address == **address)).cloned().collect();
        out.lead(format!("{name} now goes to {after} instead of {before}"), at, to);
    }
    let mut said = |what: &str, before: Option<&str>, after: Option<&str>, none: &str| {
        if before != after {
            let (before, after) = (before.unwrap_or(none), after.unwrap_or(none));
            out.say(format!("{what} of {name}: {before} \u{2192} {after}"), at);
        }
    };
    // What follows from the address alone is told with it.
    let own = |route: &Route, name: &str| {
        let mut known = route.servers.iter().map(|server| server.address.to_string());
        known.any(|address| name == address || name == without_port(&address)) || route.pool.as_deref() == Some(name)
    };
    let set = |route: &Route, name: &Option<String>| name.clone().filter(|name| !own(route, name));
    for (what, before, after, none) in [
        ("the Host that the upstream sees", set(was, &was.host_header), set(is, &is.host_header), "the client's or the address"),
        ("the TLS name that the upstream sees", set(was, &was.sni), set(is, &is.sni), "none or the address"),
    ] {
        said(what, before.as_deref(), after.as_deref(), none);
    }
    let rewrite = |route: &Route| route.rewrite.as_deref().map(|(from, to)| format!("{from} becomes {to}"));
    said("the path", rewrite(was).as_deref(), rewrite(is).as_deref(), "as it came");
    let source = |route: &Route| route.source.map(|address| address.to_string());
    said("the source address", source(was).as_deref(), source(is).as_deref(), "as the kernel chooses");
    if was.settings == is.settings || values(was) == values(is) {
        // What no setting tells: the figures are then of another origin.
        let ms = |ms: u64| if ms == u64::MAX { "for ever".to_owned() } else { format!("{ms} ms") };
        let pairs =
            [("waiting for a connection", was.connect_ms, is.connect_ms), ("waiting for an answer", was.read_ms, is.read_ms)];
        for (what, before, after) in pairs.into_iter().filter(|(_, before, after)| before != after) {
            said(what, Some(&ms(before)), Some(&ms(after)), "");
        }
        let reuse = |route: &Route| route.reuse != Reuse::Unknown;
        if was.reuse != is.reuse && reuse(was) && reuse(is) {
            out.say(format!("connections of {name} are kept in another way"), at);
        }
    }
    let params = |route: &Route| route.params.iter().cloned().collect::<BTreeMap<_, _>>();
    let (before, after) = (params(was), params(is));
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        if before.get(key) != after.get(key) {
            let told = |value: Option<&String>| value.cloned().unwrap_or_else(|| "not set".to_owned());
            out.say(format!("parameter {key} of {name}: {} \u{2192} {}", told(before.get(key)), told(after.get(key))), at);
        }
    }
    if was.trust != is.trust && was.trust.is_some() && is.trust.is_some() && values(was) == values(is) {
        out.say(format!("{name} trusts its upstream's certificate by other rules"), at);
    }
    out.settings(name, &was.settings, &is.settings);
}

/// Values of a route's settings, without their places.
fn values(route: &Route) -> BTreeMap<&str, &str> {
    route.settings.iter().map(|(name, setting)| (name, setting.value.as_str())).collect()
}
