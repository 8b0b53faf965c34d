//! The requests that are tried: of the operator's URL, of the logs, of the configuration.

use std::cell::Cell;

use crate::{
    diagnose::{self, Scene},
    model::{ANSWERS, Address, Gateway, Listen, Role, Route, Server, Site},
};

use super::{
    super::Options,
    before,
    entrance::{displaced, entrance, published, reachable, way_in},
    logged::{answered, logged},
};

/// A request to be tried.
pub struct Target<'a> {
    pub gateway: &'a Gateway,
    /// The routes that it can take: one, or all of its site where the path alone does not tell, as with nginx's `index` and
    /// `try_files`, which send `/` on to another location.
    pub routes: Vec<&'a Route>,
    /// The routes of what is asked before the request is passed on, with the path of that (nginx's `auth_request`): no answer there is
    /// none for the client.
    pub before: Vec<(&'a Route, &'a str)>,
    /// Where the gateway is asked.
    pub address: Address,
    pub tls: bool,
    pub host: String,
    pub path: String,
    /// The query that the operator named with it. What a log tells of is asked for without one, which may hold a secret or do something.
    pub query: Option<String>,
}

impl<'a> Target<'a> {
    /// The servers that the request can reach, but for spare and disabled ones.
    pub fn servers(&self) -> impl Iterator<Item = (&'a Route, &'a Server)> {
        let all: Vec<&'a Route> = self.routes.iter().copied().chain(self.before.iter().map(|(route, _)| *route)).collect();
        let servers = all.into_iter().flat_map(|route| route.servers.iter().map(move |server| (route, server)));
        servers.filter(|(_, server)| server.role == Role::Primary)
    }
}

impl<'a> Target<'a> {
    /// Where the site of this name takes TLS, and its name. `None`: it does not, or nobody can tell which name its clients use.
    pub fn secure(&self) -> Option<(&'a Listen, &'a str)> {
        let host = diagnose::without_port(&self.host);
        let site = self.gateway.sites.iter().find(|site| site.names.iter().any(|name| name.eq_ignore_ascii_case(host)))?;
        // Who comes by loopback is another gateway, with rules of its own.
        let inside = |listen: &&Listen| matches!(listen.address, Address::Tcp(at) if at.ip().is_loopback());
        let listen = site.listens.iter().find(|listen| listen.tls && !listen.proxy_protocol && !inside(listen))?;
        site.host().map(|name| (listen, name))
    }
}

/// The targets, those that are known to fail first.
pub fn targets<'a>(scene: &'a Scene, options: &Options) -> Vec<Target<'a>> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    // A large configuration has many more routes than there is room for.
    let asked_for = Cell::new(0);
    let room = || asked_for.get() < options.limits.targets;
    let mut add = |target: Target<'a>| {
        let same = |known: &Target<'_>| known.address == target.address && known.host == target.host && known.path == target.path;
        if targets.len() < options.limits.targets && !targets.iter().any(same) {
            targets.push(Target { before: before::asked(&target), ..target });
        }
        asked_for.set(targets.len());
    };
    if let Some(url) = &options.url {
        named(scene, url).into_iter().for_each(&mut add);
    }
    if !options.upstreams.is_empty() {
        return targets;
    }
    let own_door = |gateway: &&Gateway| !displaced(scene, gateway);
    for gateway in scene.gateways.iter().filter(own_door) {
        let mut failing = logged(scene, gateway);
        if failing.is_empty() {
            failing = answered(scene, gateway);
        }
        failing.into_iter().for_each(&mut add);
    }
    if options.url.is_none() {
        // What is on disk is not what runs, so its routes may not be all: each site is asked for its first page.
        let sites =
            || scene.gateways.iter().filter(own_door).flat_map(|gateway| gateway.sites.iter().map(move |site| (gateway, site)));
        let broken = sites().filter(|(gateway, _)| gateway.test.as_ref().is_some_and(|test| !test.passed));
        for (gateway, site) in broken.take_while(|_| room()) {
            let leads = site.routes.iter().any(|route| !route.settings.contains_key(ANSWERS));
            let Some(listen) = entrance(site).filter(|_| !leads) else { continue };
            // A door that only the broken files have is none that anybody could miss.
            if gateway.running() && scene.listeners.as_ref().is_some_and(|table| table.taking(&listen.address).is_none()) {
                continue;
            }
            add(first_page(gateway, site, listen));
        }
        for (gateway, site) in sites().take_while(|_| room()) {
            // What goes to nobody (`ProxyPass /static !`) tells nothing of an upstream.
            let leads = |route: &Route| !route.servers.is_empty() || route.pool.is_some() || route.dynamic.is_some();
            let asked: Vec<&Route> = site.routes.iter().filter_map(|route| Some(before::asks(site, route)?.0)).collect();
            for route in site.routes.iter().filter(|route| leads(route)).take_while(|_| room()) {
                // It is tried with those that ask it.
                if asked.iter().any(|asked| std::ptr::eq(*asked, route)) {
                    continue;
                }
                let Some(listen) = entrance(site) else { continue };
                for address in std::iter::once(way_in(gateway, site, listen)).chain(published(scene, gateway, listen)) {
                    add(Target {
                        gateway,
                        routes: of_one_rule(site, route),
                        before: Vec::new(),
                        address,
                        tls: listen.tls,
                        host: site.host().unwrap_or("localhost").to_owned(),
                        path: route.sample_path.clone(),
                        query: None,
                    });
                }
            }
        }
        // Nobody behind is known, be it that there is nobody, or that how the files name him is not understood: what is served shows. Not what is
        // served in the place of a gateway with upstreams.
        let replaced = |gateway: &Gateway| !own_door(&gateway) && gateway.routes().any(|(_, route)| !route.servers.is_empty());
        let silent = asked_for.get() == 0 && !scene.gateways.iter().any(replaced);
        for (gateway, site) in sites().filter(|(gateway, _)| silent && gateway.running()).take(FIRST_PAGES) {
            if let Some(listen) = entrance(site) {
                add(first_page(gateway, site, listen));
            }
        }
    }
    targets
}

/// Sites whose first page is asked for where no upstream is known, at most.
const FIRST_PAGES: usize = 3;

/// A request for the first page of a site, whoever answers it.
fn first_page<'a>(gateway: &'a Gateway, site: &'a Site, listen: &'a Listen) -> Target<'a> {
    Target {
        gateway,
        routes: Vec::new(),
        before: Vec::new(),
        address: way_in(gateway, site, listen),
        tls: listen.tls,
        host: site.host().unwrap_or("localhost").to_owned(),
        path: "/".to_owned(),
        query: None,
    }
}

/// This route, and those of the same rule to servers of its pool that are spoken to in another way: a request can take each of them.
pub(super) fn of_one_rule<'a>(site: &'a Site, route: &'a Route) -> Vec<&'a Route> {
    let same = |other: &&Route| other.at == route.at && other.pattern == route.pattern && other.pool == route.pool;
    if route.pool.is_some() { site.routes.iter().filter(same).collect() } else { vec![route] }
}

/// The target of the URL that the operator named: the site of that name, or the default one.
fn named<'a>(scene: &'a Scene, url: &url::Url) -> Option<Target<'a>> {
    let host = url.host_str()?;
    let tls = url.scheme() == "https";
    let port = url.port_or_known_default()?;
    let door = |gateway: &Gateway| door(scene, gateway, host, port);
    // The address itself goes before a wildcard, whatever name is asked for.
    let ip: Option<std::net::IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let at_it = |listen: &Listen| matches!(listen.address, Address::Tcp(at) if ip == Some(at.ip()) && at.port() == port);
    let exact = scene.gateways.iter().flat_map(|gateway| gateway.sites.iter()).any(|site| site.listens.iter().any(at_it));
    let on_port = |(gateway, site): &(&Gateway, &Site)| {
        site.listens.iter().any(|listen| {
            listen.address.port().is_some_and(|at| door(gateway) == Some(at)) && listen.tls == tls && (!exact || at_it(listen))
        })
    };
    let by_name = |(_, site): &(&Gateway, &Site)| site.names.iter().any(|name| name.eq_ignore_ascii_case(host));
    let is_default = |(gateway, site): &(&Gateway, &Site)| {
        site.listens.iter().any(|listen| listen.address.port().is_some_and(|at| door(gateway) == Some(at)) && listen.default)
    };
    let all = || scene.gateways.iter().flat_map(|gateway| gateway.sites.iter().map(move |site| (gateway, site)));
    let sites = || all().filter(on_port);
    let found = sites().find(by_name).or_else(|| sites().find(is_default)).or_else(|| sites().next());
    // What is in front can serve another port than the gateway behind it: the name tells the site all the same. Where even the
    // name is that of what is in front, it has to be the one site that there is.
    let elsewhere = || {
        let only = || all().next().filter(|_| all().count() == 1 && !is_ours(scene, host));
        all().find(by_name).or_else(only).filter(|(_, site)| entrance(site).is_some())
    };
    let (found, behind) = match found {
        Some(found) => (Some(found), false),
        None => (elsewhere(), true),
    };
    let gateway = found.map_or_else(|| scene.gateways.first(), |(gateway, _)| Some(gateway))?;
    let port = door(gateway).unwrap_or(port);
    let site = found.map(|(_, site)| site);
    let there =
        |site: &'a Site| site.listens.iter().find(|listen| listen.address.port() == Some(port) && (!exact || at_it(listen)));
    let listen = site.and_then(|site| if behind { entrance(site) } else { there(site) });
    let tls = if behind { listen.is_some_and(|listen| listen.tls) } else { tls };
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Some(Target {
        gateway,
        before: Vec::new(),
        routes: site.map_or_else(Vec::new, |site| match site.route_for(url.path()) {
            Some(route) => of_one_rule(site, route),
            None => site.routes.iter().collect(),
        }),
        address: site.zip(listen).map_or_else(
            || Address::Tcp(([127, 0, 0, 1], port).into()),
            |(site, listen)| if exact { reachable(&listen.address) } else { way_in(gateway, site, listen) },
        ),
        tls,
        host: authority,
        path: url.path().to_owned(),
        query: url.query().map(str::to_owned),
    })
}

/// The port of a gateway to which a URL with this host and port leads: its own where it runs with us, or where the address is that
/// of its container; else the one that the host publishes there. `None`: it leads elsewhere.
fn door(scene: &Scene, gateway: &Gateway, host: &str, port: u16) -> Option<u16> {
    let ip: Option<std::net::IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let abroad = |place: &str, ip| {
        scene.listeners.iter().flat_map(|table| &table.abroad).any(|known| known.place == place && known.local.contains(&ip))
    };
    let table = scene.listeners.as_ref();
    match &gateway.inside {
        Some(inside) if inside.net => {
            let by_process = || inside.published.iter().find(|(at, _)| at.port() == Some(port)).map(|(_, there)| *there);
            let by_filter = || {
                let mut listens = gateway.sites.iter().flat_map(|site| &site.listens).map(|listen| &listen.address);
                let leads = |at: &&Address| table.is_some_and(|table| table.leading_to(at).any(|from| from.port() == port));
                listens.find(leads).and_then(Address::port)
            };
            let published = by_process().or_else(by_filter);
            let there = match ip {
                Some(ip) if is_ours(scene, host) || ip.is_unspecified() => None,
                Some(ip) => abroad(&inside.place, ip).then_some(port),
                // A name can be that of either: the host's own gateway is asked first.
                None if host.eq_ignore_ascii_case("localhost") => None,
                None => Some(port),
            };
            there.or(published)
        }
        Some(_) | None => {
            let places = scene.gateways.iter().filter_map(|gateway| gateway.inside.as_ref());
            let theirs = ip.is_some_and(|ip| !is_ours(scene, host) && places.clone().any(|inside| abroad(&inside.place, ip)));
            (!theirs).then_some(port)
        }
    }
}

/// Whether this host of a URL is surely an address of our own.
fn is_ours(scene: &Scene, host: &str) -> bool {
    let ip: Option<std::net::IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host.eq_ignore_ascii_case("localhost")
        || ip.is_some_and(|ip| ip.is_loopback() || scene.listeners.as_ref().is_some_and(|table| table.is_local(ip)))
}
