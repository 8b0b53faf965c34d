//! By which of its addresses a gateway is asked.

use std::{collections::BTreeSet, net::Ipv4Addr};

use crate::{
    diagnose::Scene,
    model::{Address, Gateway, Listen, Site},
};

/// Where a site is asked: plain HTTP before TLS, TCP before unix, never where the PROXY protocol is expected.
pub fn entrance(site: &Site) -> Option<&Listen> {
    let rank = |listen: &&Listen| (listen.proxy_protocol, listen.tls, matches!(listen.address.bare(), Address::Unix(_)));
    site.listens.iter().min_by_key(rank).filter(|listen| !listen.proxy_protocol)
}

/// Addresses of this host that lead to a gateway in a container.
pub fn published<'a>(scene: &'a Scene, gateway: &'a Gateway, listen: &'a Listen) -> impl Iterator<Item = Address> {
    let all = gateway.inside.iter().flat_map(|inside| &inside.published);
    let by_process = all.filter(|(_, there)| listen.address.port() == Some(*there)).map(|(at, _)| reachable(at));
    let by_filter = scene.listeners.iter().flat_map(|table| table.leading_to(&listen.address));
    by_process.chain(by_filter.map(|at| reachable(&Address::Tcp(at))))
}

/// Whether another gateway has the door of one that does not run: what answers there tells nothing of it.
pub fn displaced(scene: &Scene, gateway: &Gateway) -> bool {
    let doors = |gateway: &Gateway| -> BTreeSet<(Option<String>, Option<u16>)> {
        let listens = gateway.sites.iter().flat_map(|site| &site.listens);
        listens.map(|listen| (listen.address.place().map(str::to_owned), listen.address.port())).collect()
    };
    !gateway.running() && {
        let own = doors(gateway);
        scene.gateways.iter().filter(|other| other.running()).any(|other| !doors(other).is_disjoint(&own))
    }
}

/// Loopback addresses that are looked at for one that no other site has for itself.
const LOOPBACKS: u8 = 8;

/// The address by which a site is asked. One that another site of the gateway has for itself takes whatever comes there, whatever name
/// is asked for (a page of figures on 127.0.0.1:80 beside sites on port 80): then another loopback address leads to this one, as all
/// of 127.0.0.0/8 is the host's (RFC 1122 section 3.2.1.3).
pub fn way_in(gateway: &Gateway, site: &Site, listen: &Listen) -> Address {
    let address = reachable(&listen.address);
    let (Address::Tcp(at), Address::Tcp(written)) = (address.bare(), listen.address.bare()) else { return address };
    if !written.ip().is_unspecified() || !written.is_ipv4() {
        return address;
    }
    let other = |last: u8| Address::Tcp((Ipv4Addr::new(127, 0, 0, last), at.port()).into()).inside(listen.address.place());
    let has = |site: &Site, address: &Address| site.listens.iter().any(|listen| listen.address == *address);
    let free = |address: &Address| has(site, address) || !gateway.sites.iter().any(|site| has(site, address));
    (1..=LOOPBACKS).map(other).find(free).unwrap_or(address)
}

/// Any address means loopback here.
pub fn reachable(address: &Address) -> Address {
    let here = match address.bare() {
        Address::Tcp(at) if at.ip().is_unspecified() && at.is_ipv4() => Address::Tcp(([127, 0, 0, 1], at.port()).into()),
        Address::Tcp(at) if at.ip().is_unspecified() => Address::Tcp((std::net::Ipv6Addr::LOCALHOST, at.port()).into()),
        other => other.clone(),
    };
    here.inside(address.place())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Place, RouteChoice, RunState};

    #[test]
    fn a_site_of_loopback_alone_stands_in_nobodys_way() {
        let at = Place { file: std::path::PathBuf::from("/c").into(), line: 1 };
        let site = |address: &str| {
            let address = address.parse().expect("an address");
            let listen = Listen { address, tls: false, proxy_protocol: false, default: false, at: at.clone() };
            Site { names: Vec::new(), listens: vec![listen], routes: Vec::new(), choice: RouteChoice::Location, at: at.clone() }
        };
        let way = |sites: &[&str], which: usize| {
            let state = RunState::Running { pid: 7, since: None, workers_since: None };
            let mut gateway = Gateway::new("nginx", "/c", state);
            gateway.sites = sites.iter().map(|address| site(address)).collect::<Vec<_>>().into();
            let site = &gateway.sites[which];
            way_in(&gateway, site, &site.listens[0]).to_string()
        };
        assert_eq!(way(&["0.0.0.0:80", "127.0.0.1:8080"], 0), "127.0.0.1:80");
        assert_eq!(way(&["0.0.0.0:80", "127.0.0.1:80"], 0), "127.0.0.2:80");
        assert_eq!(way(&["0.0.0.0:80", "127.0.0.1:80"], 1), "127.0.0.1:80");
        assert_eq!(way(&["10.0.0.1:80", "127.0.0.1:80"], 0), "10.0.0.1:80");
    }
}
