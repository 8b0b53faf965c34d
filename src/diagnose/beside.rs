//! Gateways beside the one that serves the named URL: further instances of its kind, with configuration, log and servers of their own.
//!
//! What they log, what they say of themselves and what is wrong with their files bears on no verdict about that URL. What must not
//! be here: a guess. An instance in a container, behind a published port, or to which requests may be passed on, is none of them.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use url::{Host, Url};

use crate::model::{Address, Gateway, Listen, RunState, Site};

/// Those that the URL may concern, and those beside them.
pub fn part(url: Option<&str>, gateways: Vec<Gateway>) -> (Vec<Gateway>, Vec<Gateway>) {
    let Some(url) = url.and_then(|url| Url::parse(url).ok()) else { return (gateways, Vec::new()) };
    let serving = serving(&url, &gateways);
    let kinds: BTreeSet<&str> = serving.iter().map(|at| gateways[*at].kind.as_str()).collect();
    if serving.is_empty() || gateways.iter().filter(|one| kinds.contains(one.kind.as_str())).count() == serving.len() {
        return (gateways, Vec::new());
    }
    let reached = reached(serving.clone(), &gateways);
    let beside = |at: usize, one: &Gateway| {
        !reached.contains(&at)
            && one.running()
            && one.inside.is_none()
            && serving.iter().any(|known| gateways[*known].kind == one.kind)
    };
    let apart: Vec<bool> = gateways.iter().enumerate().map(|(at, one)| beside(at, one)).collect();
    let (mut concerned, mut others) = (Vec::new(), Vec::new());
    for (one, apart) in gateways.into_iter().zip(apart) {
        if apart { others.push(one) } else { concerned.push(one) }
    }
    (concerned, others)
}

/// Where a gateway, by its number, takes requests.
struct Door<'a> {
    at: usize,
    site: &'a Site,
    listen: &'a Listen,
    ip: IpAddr,
}

/// The gateways that take requests for this URL. Empty: none of those that listen on this host itself does.
fn serving(url: &Url, gateways: &[Gateway]) -> BTreeSet<usize> {
    let (Some(host), Some(port), tls) = (url.host(), url.port_or_known_default(), url.scheme() == "https") else {
        return BTreeSet::new();
    };
    let doors: Vec<Door<'_>> = gateways
        .iter()
        .enumerate()
        .filter(|(_, gateway)| gateway.running() && gateway.inside.is_none())
        .flat_map(|(at, gateway)| gateway.sites.iter().map(move |site| (at, site)))
        .flat_map(|(at, site)| site.listens.iter().map(move |listen| (at, site, listen)))
        .filter_map(|(at, site, listen)| match listen.address {
            Address::Tcp(to) if to.port() == port && listen.tls == tls => Some(Door { at, site, listen, ip: to.ip() }),
            _ => None,
        })
        .collect();
    let of = |wanted: &dyn Fn(&Door<'_>) -> bool| -> BTreeSet<usize> {
        doors.iter().filter(|door| wanted(door)).map(|door| door.at).collect()
    };
    let first = |all: [BTreeSet<usize>; 3]| all.into_iter().find(|some| !some.is_empty()).unwrap_or_default();
    let at_ip = |ip: IpAddr| {
        // An exact address goes before a wildcard; one of IPv6 can take IPv4, too (ipv6(7), IPV6_V6ONLY).
        let family = of(&|door| door.ip.is_unspecified() && door.ip.is_ipv4() == ip.is_ipv4());
        first([of(&|door| door.ip == ip), family, of(&|door| door.ip.is_unspecified())])
    };
    match host {
        Host::Ipv4(ip) => at_ip(ip.into()),
        Host::Ipv6(ip) => at_ip(ip.into()),
        Host::Domain(name) => {
            let named = of(&|door| door.site.names.iter().any(|known| known.eq_ignore_ascii_case(name)));
            first([named, of(&|door| door.listen.default), of(&|_| true)])
        }
    }
}

/// These and all to which requests can come from them.
fn reached(mut known: BTreeSet<usize>, gateways: &[Gateway]) -> BTreeSet<usize> {
    let mut next: Vec<usize> = known.iter().copied().collect();
    while let Some(at) = next.pop() {
        let (mut ports, mut sockets): (HashSet<u16>, HashSet<&Address>) = (HashSet::new(), HashSet::new());
        let mut dynamic = false;
        for (_, route) in gateways[at].routes() {
            // Wherever a variable leads.
            dynamic |= route.dynamic.is_some();
            for address in route.servers.iter().map(|server| server.address.bare()) {
                match address {
                    Address::Tcp(to) => drop(ports.insert(to.port())),
                    Address::Name(_, port) => drop(ports.insert(*port)),
                    Address::Unix(_) => drop(sockets.insert(address)),
                    Address::Inside(..) => {}
                }
            }
        }
        // By the port alone: which address a name or a wildcard means is not known here.
        let leads = |listen: &Listen| {
            dynamic || listen.address.port().is_some_and(|port| ports.contains(&port)) || sockets.contains(listen.address.bare())
        };
        for (other, gateway) in gateways.iter().enumerate() {
            if !known.contains(&other) && gateway.sites.iter().flat_map(|site| &site.listens).any(leads) {
                known.insert(other);
                next.push(other);
            }
        }
    }
    known
}

/// Whether these are looks at one instance: the same files, and the same process where one runs.
pub(super) fn same_instance(one: &Gateway, other: &Gateway) -> bool {
    let pid = |gateway: &Gateway| match gateway.state {
        RunState::Running { pid, .. } => Some(pid),
        RunState::Stopped { .. } => None,
    };
    one.config == other.config && pid(one) == pid(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Place, Protocol, Route, RouteChoice, RunState, Server};

    fn gateway(kind: &str, config: &str, name: &str, listen: &str, to: &str) -> Gateway {
        let at = Place { file: std::path::PathBuf::from(config).into(), line: 1 };
        let address = |text: &str| text.parse::<Address>().expect("an address");
        let listen = Listen { address: address(listen), tls: false, proxy_protocol: false, default: true, at: at.clone() };
        let servers = vec![Server::new(address(to), at.clone())];
        let route = Route { servers, ..Route::new(Protocol::Http, at.clone()) };
        let site =
            Site { names: vec![name.to_owned()], listens: vec![listen], routes: vec![route], choice: RouteChoice::Location, at };
        let running = RunState::Running { pid: 1, since: None, workers_since: None };
        Gateway { sites: vec![site].into(), ..Gateway::new(kind, config, running) }
    }

    /// Configurations beside.
    fn beside(url: &str, gateways: &[Gateway]) -> Vec<String> {
        part(Some(url), gateways.to_vec()).1.iter().map(|one| one.config.display().to_string()).collect()
    }

    #[test]
    fn another_instance_that_no_request_comes_to_is_beside() {
        let shop = gateway("nginx", "/a", "shop.test", "0.0.0.0:80", "127.0.0.1:8000");
        let other = gateway("nginx", "/b", "other.test", "127.0.0.1:8085", "127.0.0.1:9000");
        let both = [shop.clone(), other.clone()];
        assert_eq!(beside("http://shop.test/", &both), ["/b"]);
        assert_eq!(beside("http://127.0.0.1:8085/", &both), ["/a"]);
        // Nobody known listens there, or all may be meant.
        assert_eq!(beside("http://shop.test:81/", &both), Vec::<String>::new());
        assert_eq!(part(None, both.to_vec()).1, []);
        // What is passed on to it concerns it, and another kind may stand anywhere.
        let front = gateway("nginx", "/a", "shop.test", "0.0.0.0:80", "127.0.0.1:8085");
        assert_eq!(beside("http://shop.test/", &[front, other]), Vec::<String>::new());
        let apache = gateway("apache", "/c", "other.test", "127.0.0.1:8085", "127.0.0.1:9000");
        assert_eq!(beside("http://shop.test/", &[shop.clone(), apache]), Vec::<String>::new());
        // Of two addresses with one port a name may mean either, an address only its own.
        let second = gateway("nginx", "/d", "two.test", "10.0.0.2:80", "127.0.0.1:9000");
        let first = gateway("nginx", "/e", "one.test", "10.0.0.1:80", "127.0.0.1:8000");
        let pair = [first, second];
        assert_eq!(beside("http://10.0.0.2/", &pair), ["/e"]);
        assert_eq!(beside("http://two.test/", &pair), ["/e"]);
        assert_eq!(beside("http://third.test/", &pair), Vec::<String>::new());
    }
}
