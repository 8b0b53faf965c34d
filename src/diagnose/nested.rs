//! Gateways behind gateways: where the configurations of this host send a request on, hop by hop, and whether it comes back.
//!
//! An upstream's address that is a listen of a gateway found here is asked what it would do with the request: the routes of the
//! site that takes it are the next hops. Nothing is claimed where the path alone does not tell the route of a loop.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use super::Scene;
use crate::model::{Address, Gateway, Listen, ListenerTable, Order as _, Protocol, Role, Route, Server, Site, Subject};

/// Gateways in a row that are followed: more is a loop, or nothing that anybody runs.
const DEPTH: usize = 8;
/// Hops of one request that are followed, over all branches.
const HOPS: usize = 256;

/// A request on its way: what decides which site and route take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The Host that the gateway sees.
    pub host: String,
    /// The path that it sees.
    pub path: String,
}

impl Way {
    /// What the server behind this route sees of it.
    pub fn behind(&self, route: &Route) -> Self {
        let path = match route.rewrite.as_deref() {
            Some((from, to)) if self.path.starts_with(from.as_str()) => format!("{to}{}", &self.path[from.len()..]),
            Some(_) | None => self.path.clone(),
        };
        Self { host: route.host_header.clone().unwrap_or_else(|| self.host.clone()), path }
    }
}

/// A gateway that takes connections to some address: the listen, and the site that takes this request there.
#[derive(Debug, Clone, Copy)]
pub struct Entrance<'a> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// Its site.
    pub site: &'a Site,
    /// Where it listens.
    pub listen: &'a Listen,
}

impl<'a> Entrance<'a> {
    /// The routes that a request can take: the one that its path tells, or all of them, and whether the path told.
    pub fn routes(&self, path: &str) -> (Vec<&'a Route>, bool) {
        match self.site.route_for(path) {
            Some(route) => (vec![route], true),
            None => (self.site.routes.iter().collect(), false),
        }
    }
}

/// All places where gateways of this host take connections.
#[derive(Debug, Default)]
pub struct Entrances<'a> {
    /// By the namespaces in which the address is meant, and its port.
    tcp: HashMap<(Option<&'a str>, u16), Vec<Entrance<'a>>>,
    unix: HashMap<&'a Address, Vec<Entrance<'a>>>,
    table: Option<&'a ListenerTable>,
    /// The addresses that took connections to names.
    names: HashMap<&'a Address, &'a Address>,
}

impl<'a> Entrances<'a> {
    /// Those of gateways that run.
    pub fn of(scene: &'a Scene) -> Self {
        let mut all = Self::default();
        for gateway in scene.gateways.iter().filter(|gateway| gateway.running()) {
            for (site, listen) in gateway.sites.iter().flat_map(|site| site.listens.iter().map(move |listen| (site, listen))) {
                let entrance = Entrance { gateway, site, listen };
                let address = &listen.address;
                match address.bare() {
                    Address::Tcp(at) => all.tcp.entry((address.place(), at.port())).or_default().push(entrance),
                    Address::Unix(_) => all.unix.entry(address).or_default().push(entrance),
                    Address::Name(..) | Address::Inside(..) => {}
                }
            }
        }
        all.table = scene.listeners.as_ref();
        for history in &scene.probes {
            let (address, peer) = (&history.last.job.address, history.last.peer.as_ref());
            if let Some(peer) = peer.filter(|peer| matches!((address.bare(), peer.bare()), (Address::Name(..), Address::Tcp(_)))) {
                all.names.insert(address, peer);
            }
        }
        all
    }

    /// The site that takes a request with this Host sent to this address. `None`: no gateway of this host listens there.
    pub fn taking(&self, address: &Address, host: &str) -> Option<Entrance<'a>> {
        match address.bare() {
            Address::Unix(_) => by_host(self.unix.get(address)?, host),
            Address::Name(..) => self.tcp_taking(self.names.get(address)?, host),
            Address::Tcp(_) => self.tcp_taking(address, host),
            Address::Inside(..) => None,
        }
    }

    fn tcp_taking(&self, address: &Address, host: &str) -> Option<Entrance<'a>> {
        let home = self.table.map_or_else(|| address.clone(), |table| table.home(address));
        let Address::Tcp(to) = home.bare() else { return None };
        // What runs where we do not see is asked for by the same key.
        let (_, all) = self.tcp.iter().find(|((place, port), _)| *place == home.place() && *port == to.port())?;
        let listening = |wanted: &dyn Fn(IpAddr) -> bool| -> Vec<Entrance<'a>> {
            let at = |one: &&Entrance<'_>| matches!(one.listen.address.bare(), Address::Tcp(at) if wanted(at.ip()));
            all.iter().filter(at).copied().collect()
        };
        let ours = to.ip().is_loopback() || self.table.is_some_and(|table| table.covers(&home));
        // An exact address goes before a wildcard, for the kernel as for nginx.
        let exact = listening(&|ip| ip == to.ip());
        let any = || {
            let family = listening(&|ip| ip.is_unspecified() && ip.is_ipv4() == to.is_ipv4());
            // A wildcard of IPv6 can take IPv4 too (ipv6(7), IPV6_V6ONLY).
            if family.is_empty() && to.is_ipv4() { listening(&|ip| ip.is_unspecified()) } else { family }
        };
        by_host(&if exact.is_empty() && ours { any() } else { exact }, host)
    }
}

/// Of the sites at one address the one whose name this is; else the default one; else the first.
fn by_host<'a>(sites: &[Entrance<'a>], host: &str) -> Option<Entrance<'a>> {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    let exact = |one: &&Entrance<'_>| one.site.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let wild = |one: &&Entrance<'_>| {
        let under = |tail: &str| name.len() > tail.len() && name.to_ascii_lowercase().ends_with(&tail.to_ascii_lowercase());
        let before =
            |head: &str| name.len() > head.len() && name.get(..head.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(head));
        one.site.names.iter().any(|known| match (known.strip_prefix('*'), known.strip_suffix('*')) {
            (Some(tail), _) => under(tail),
            (None, Some(head)) => before(head),
            (None, None) => known.starts_with('.') && (under(known) || known[1..].eq_ignore_ascii_case(name)),
        })
    };
    let found = sites.iter().find(exact).or_else(|| sites.iter().find(wild));
    found.or_else(|| sites.iter().find(|one| one.listen.default)).or_else(|| sites.first()).copied()
}

/// One hop behind the first gateway: a request that a gateway on this host passes on to another one on it.
#[derive(Debug, Clone)]
pub struct Hop<'a> {
    /// The gateway that is reached.
    pub inner: Entrance<'a>,
    /// Where it is reached.
    pub at: &'a Server,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// The request as it comes there.
    pub way: Way,
    /// The routes that it can take from there.
    pub routes: Vec<&'a Route>,
    /// Gateways passed before, from 1.
    pub depth: usize,
}

/// A server by which a request comes back to a location that it has passed already.
#[derive(Debug, Clone)]
pub struct Loop<'a> {
    /// The route that sends it back.
    pub route: &'a Route,
    /// Where to.
    pub server: &'a Server,
    /// Where it comes in again.
    pub listen: &'a Listen,
    /// Gateways that it passes in one round.
    pub rounds: usize,
}

/// Where a request goes from its first gateway on.
#[derive(Debug, Clone, Default)]
pub struct Walk<'a> {
    /// Gateways of this host behind it, nearest first.
    pub hops: Vec<Hop<'a>>,
    /// Ways on which it comes back.
    pub loops: Vec<Loop<'a>>,
}

/// Follows a request that takes one of these routes. `certain`: the path tells the route.
pub fn walk<'a>(entrances: &Entrances<'a>, routes: &[&'a Route], certain: bool, way: &Way) -> Walk<'a> {
    let mut walk = Walk::default();
    for route in routes {
        follow(entrances, route, way, certain, &mut Vec::new(), &mut walk);
    }
    walk.hops.order_by_key(|hop| hop.depth);
    walk
}

/// `passed`: the routes on the way here, each with the length of the path there.
fn follow<'a>(
    entrances: &Entrances<'a>,
    route: &'a Route,
    way: &Way,
    certain: bool,
    passed: &mut Vec<(&'a Route, usize)>,
    walk: &mut Walk<'a>,
) {
    if passed.len() >= DEPTH || !matches!(route.protocol, Protocol::Http | Protocol::Https | Protocol::Grpc | Protocol::Grpcs) {
        return;
    }
    passed.push((route, way.path.len()));
    let behind = way.behind(route);
    for server in route.servers.iter().filter(|server| server.role == Role::Primary) {
        if walk.hops.len() >= HOPS {
            break;
        }
        let Some(inner) = entrances.taking(&server.address, &behind.host) else { continue };
        let (routes, told) = inner.routes(&behind.path);
        let depth = passed.len();
        walk.hops.push(Hop { inner, at: server, protocol: route.protocol, way: behind.clone(), routes: routes.clone(), depth });
        for next in routes {
            // A path that grows shorter with each round comes to an end.
            let before = passed.iter().rposition(|(known, len)| std::ptr::eq(*known, next) && behind.path.len() >= *len);
            match before {
                Some(at) if certain && told => {
                    walk.loops.push(Loop { route, server, listen: inner.listen, rounds: passed.len() - at });
                }
                Some(_) => {}
                None => follow(entrances, next, &behind, certain && told, passed, walk),
            }
        }
    }
    passed.pop();
}

/// What is known of all requests: which servers are gateways of this host, which servers stand behind each, and which lead back.
#[derive(Debug, Default)]
pub struct Map<'a> {
    /// Servers right behind each server that is a gateway of this host, with the kind of that gateway.
    pub behind: BTreeMap<Subject, (String, BTreeSet<Subject>)>,
    /// Servers by which requests come back.
    pub loops: BTreeMap<Subject, Loop<'a>>,
    /// Servers that are gateways of this host, each with that gateway and a route that requests take there.
    pub inner: Vec<(&'a Server, &'a Gateway, &'a Route)>,
}

impl<'a> Map<'a> {
    /// Of the requests that are tried, and of one for each route.
    pub fn of(scene: &'a Scene) -> Self {
        let entrances = Entrances::of(scene);
        let mut map = Self::default();
        let mut seen: HashSet<(&'a Address, &'a str, &'a str)> = HashSet::new();
        let mut take = |entrance: Entrance<'a>, address: &'a Address, host: &'a str, path: &'a str| {
            if seen.insert((address, host, path)) {
                let way = Way { host: host.to_owned(), path: path.to_owned() };
                let (routes, certain) = entrance.routes(&way.path);
                map.take(walk(&entrances, &routes, certain, &way));
            }
        };
        for history in scene.probes_of("gateway") {
            let job = &history.last.job;
            let Some(request) = &job.request else { continue };
            let Some(entrance) = entrances.taking(&job.address, &request.host) else { continue };
            take(entrance, &job.address, &request.host, &request.path);
        }
        for gateway in scene.gateways.iter().filter(|gateway| gateway.running()) {
            for (site, route) in gateway.routes() {
                let Some(listen) = site.listens.first() else { continue };
                // Most servers are no gateway of this host, and there may be 20,000 routes.
                let leads = |server: &Server| entrances.taking(&server.address, site.host().unwrap_or_default()).is_some();
                if route.servers.iter().any(leads) {
                    take(
                        Entrance { gateway, site, listen },
                        &listen.address,
                        site.host().unwrap_or("localhost"),
                        &route.sample_path,
                    );
                }
            }
        }
        map
    }

    fn take(&mut self, walk: Walk<'a>) {
        for hop in walk.hops {
            let kind = || (hop.inner.gateway.kind.clone(), BTreeSet::new());
            let (_, servers) = self.behind.entry(Subject(hop.at.address.to_string())).or_insert_with(kind);
            let all = hop.routes.iter().flat_map(|route| &route.servers).filter(|server| server.role != Role::Down);
            servers.extend(all.map(|server| Subject(server.address.to_string())));
            for route in hop.routes.iter().filter(|route| !route.servers.is_empty()) {
                let known = |(server, _, known): &(&Server, &Gateway, &Route)| {
                    server.address == hop.at.address && std::ptr::eq(*known, *route)
                };
                if self.inner.len() < HOPS && !self.inner.iter().any(known) {
                    self.inner.push((hop.at, hop.inner.gateway, route));
                }
            }
        }
        for found in walk.loops {
            self.loops.entry(Subject(found.server.address.to_string())).or_insert(found);
        }
    }

    /// Whether requests to `outer` come to `inner` by way of gateways on this host.
    pub fn leads(&self, outer: &Subject, inner: &Subject) -> bool {
        outer != inner && self.chain([outer], inner).is_some()
    }

    /// The servers from one of these to `inner`, both included; the shortest way.
    pub fn chain<'s>(&'s self, from: impl IntoIterator<Item = &'s Subject>, inner: &'s Subject) -> Option<Vec<&'s Subject>> {
        let mut ways: Vec<Vec<&Subject>> = from.into_iter().map(|one| vec![one]).collect();
        let mut seen: BTreeSet<&Subject> = BTreeSet::new();
        for _ in 0..=DEPTH {
            if let Some(found) = ways.iter().position(|way| way.last() == Some(&inner)) {
                return Some(ways.swap_remove(found));
            }
            let mut longer = Vec::new();
            for way in ways {
                let Some((_, next)) = way.last().and_then(|last| self.behind.get(*last)) else { continue };
                longer.extend(next.iter().filter(|one| seen.insert(one)).map(|one| [&way[..], &[one]].concat()));
            }
            ways = longer;
        }
        None
    }
}

#[cfg(test)]
mod tests;
