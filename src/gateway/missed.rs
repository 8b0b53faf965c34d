//! Which of the gateways that do not run are missed. A host has more of them installed, and by its packages even enabled, than it
//! uses; to say of those that they are down would be a false alarm.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{Address, Gateway, SourceKind},
    sys::Root,
};

/// Seconds for which a gateway's own log says that it was in use: those of a day, as an outage may have begun at night.
const USED_S: i64 = 24 * 3_600;

/// When a gateway last wrote to its logs, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWords {
    /// To any of them.
    any: i64,
    /// To one of requests: it served somebody. `None`: it has none, or none is there.
    served: Option<i64>,
}

/// When each gateway that does not run last wrote a log, by its place in the list.
pub fn last_words(root: &Root, gateways: &[Gateway]) -> BTreeMap<usize, LastWords> {
    let newest = |gateway: &Gateway, of: fn(SourceKind) -> bool| {
        let logs = gateway.logs.iter().filter(|log| of(log.kind)).filter_map(|log| root.stat(&log.path).ok());
        logs.filter(|info| info.size > 0).map(|info| info.modified).max()
    };
    let words = |gateway: &Gateway| {
        Some(LastWords { any: newest(gateway, |_| true)?, served: newest(gateway, |kind| kind == SourceKind::Access) })
    };
    gateways
        .iter()
        .enumerate()
        .filter(|(_, gateway)| !gateway.running())
        .filter_map(|(at, gateway)| Some((at, words(gateway)?)))
        .collect()
}

/// Leaves out those that nobody misses. Beside one that runs: they pass nothing on, as the packages' own configuration does, or
/// what runs has taken their place, or neither does anybody connect to them nor have they been in use of late. What runs has taken
/// a port and not the place where it passes nothing on itself, as a server does that a package brought and started first, while the
/// other served users a day ago. Where none runs: those that never wrote a word, if another did, or pass nothing on, if another does.
pub fn leave_out_spare(gateways: &mut Vec<Gateway>, last_words: &BTreeMap<usize, LastWords>, now_s: i64) {
    let ports = |gateway: &Gateway| -> BTreeSet<(Option<String>, Option<u16>)> {
        let all = gateway.sites.iter().flat_map(|site| &site.listens).map(|listen| &listen.address);
        all.map(|address| (address.place().map(str::to_owned), address.port())).collect()
    };
    let running = || gateways.iter().filter(|gateway| gateway.running());
    let taken: BTreeSet<(Option<String>, Option<u16>)> = running().flat_map(&ports).collect();
    let replaced: BTreeSet<(Option<String>, Option<u16>)> =
        running().filter(|gateway| gateway.routes().next().is_some()).flat_map(&ports).collect();
    let dialled: BTreeSet<Address> =
        running().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers).map(|server| server.address.clone()).collect();
    let is_dialled = |gateway: &Gateway| {
        let listens = gateway.sites.iter().flat_map(|site| &site.listens);
        listens.map(|listen| &listen.address).any(|at| {
            dialled.iter().any(|to| match (at, to) {
                (Address::Unix(at), Address::Unix(to)) => at == to,
                (_, Address::Tcp(to)) => to.ip().is_loopback() && at.port() == Some(to.port()),
                (_, Address::Name(name, port)) => name == "localhost" && at.port() == Some(*port),
                (_, Address::Unix(_) | Address::Inside(..)) => false,
            })
        })
    };
    let any_runs = running().next().is_some();
    let missed = |at: usize, gateway: &Gateway| {
        let lately = |at: i64| now_s - at <= USED_S;
        let used = last_words.get(&at).is_some_and(|last| lately(last.any));
        let served = last_words.get(&at).and_then(|last| last.served).is_some_and(lately);
        if any_runs {
            let own = ports(gateway);
            let place = own.is_disjoint(&taken) && (used || is_dialled(gateway)) || own.is_disjoint(&replaced) && served;
            gateway.routes().next().is_some() && place
        } else {
            let passes_on = |gateway: &Gateway| gateway.routes().next().is_some();
            let silent = last_words.is_empty() && (passes_on(gateway) || !gateways.iter().any(passes_on));
            silent || last_words.contains_key(&at)
        }
    };
    let keep: Vec<bool> = gateways.iter().enumerate().map(|(at, gateway)| gateway.running() || missed(at, gateway)).collect();
    let mut keep = keep.into_iter();
    gateways.retain(|_| keep.next().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::{Listen, Place, RouteChoice, RunState, Site};

    /// A gateway that listens on one port and connects to another.
    fn gateway(kind: &str, runs: bool, listens: u16, to: u16) -> Gateway {
        let at = Place { file: PathBuf::from("/c").into(), line: 1 };
        let local = |port: u16| Address::Tcp(([127, 0, 0, 1], port).into());
        let listen = Listen { address: local(listens), tls: false, proxy_protocol: false, default: true, at: at.clone() };
        let routes = super::super::routes_of_operator(&[local(to)], &at);
        let site = Site { names: Vec::new(), listens: vec![listen], routes, choice: RouteChoice::FirstMatch, at };
        let state = if runs {
            RunState::Running { pid: 7, since: None, workers_since: None }
        } else {
            RunState::Stopped { why_expected: "it is enabled".to_owned() }
        };
        Gateway {
            kind: kind.to_owned(),
            version: None,
            state,
            binary: None,
            identity: None,
            config: "/c".into(),
            files: Vec::new(),
            problems: Vec::new(),
            sites: vec![site].into(),
            pools: Vec::new().into(),
            logs: Vec::new(),
            settings: std::collections::BTreeMap::new(),
            resolvers: Vec::new(),
            unit: None,
            test: None,
            tested: None,
            per_request: Vec::new(),
            draining: Vec::new(),
            generation: None,
            commands: BTreeMap::new(),
            blind: Vec::new(),
            inside: None,
        }
    }

    fn kept(mut gateways: Vec<Gateway>, words: &[(usize, i64)]) -> Vec<String> {
        let words = words.iter().map(|(place, at)| (*place, LastWords { any: *at, served: Some(*at) }));
        leave_out_spare(&mut gateways, &words.collect(), 1_000_000);
        gateways.into_iter().map(|gateway| gateway.kind).collect()
    }

    #[test]
    fn what_is_merely_installed_is_not_missed() {
        let pair = |port| vec![gateway("nginx", true, 80, 8080), gateway("varnish", false, port, 9000)];
        assert_eq!(kept(pair(6081), &[]), ["nginx"]);
        assert_eq!(kept(pair(6081), &[(1, 1_000_000 - 3_600)]), ["nginx", "varnish"], "it was in use an hour ago");
        assert_eq!(kept(pair(6081), &[(1, 100_000)]), ["nginx"], "it was in use last week");
        assert_eq!(kept(pair(8080), &[]), ["nginx", "varnish"], "nginx connects there");
        assert_eq!(kept(pair(80), &[(1, 999_999)]), ["nginx"], "nginx has taken its place");
    }

    #[test]
    fn a_port_is_taken_and_the_place_is_not() {
        let stock = Gateway { sites: Vec::new().into(), ..gateway("apache", true, 80, 8080) };
        let site = gateway("apache", true, 80, 8080).sites[0].clone();
        let stock = Gateway { sites: vec![Site { routes: Vec::new(), ..site }].into(), ..stock };
        let pair = || vec![stock.clone(), gateway("nginx", false, 80, 8000)];
        assert_eq!(kept(pair(), &[(1, 999_000)]), ["apache", "nginx"], "it served users a while ago");
        assert_eq!(kept(pair(), &[(1, 100_000)]), ["apache"], "that was last week");
        let mut failed = pair();
        let words = LastWords { any: 999_000, served: None };
        leave_out_spare(&mut failed, &BTreeMap::from([(1, words)]), 1_000_000);
        assert_eq!(failed.len(), 1, "it tries at each boot, and has never served anybody");
    }

    #[test]
    fn of_several_that_are_down_those_that_were_in_use_count() {
        let all = || vec![gateway("nginx", false, 80, 8080), gateway("caddy", false, 80, 8000)];
        assert_eq!(kept(all(), &[]), ["nginx", "caddy"]);
        assert_eq!(kept(all(), &[(1, 5)]), ["caddy"]);
    }
}
