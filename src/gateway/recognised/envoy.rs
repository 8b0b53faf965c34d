//! Envoy: the `socket_address`es of a static configuration, those of listeners apart from those of clusters. What a control plane
//! sends stands in no file.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
};

use regex::Regex;

use super::read::{Input, Read, lines, listen, of_host, route, server, site};
use crate::model::{Address, PathMatch, Place, Protocol, Route};

/// Milliseconds of `connect_timeout` of a cluster and of a route's `timeout`, where none is set.
const TIMEOUTS: (u64, u64) = (5_000, 15_000);
/// Where the admin port tells of clusters and their hosts.
const CLUSTERS: &str = "/clusters?format=json";
/// Routes that are kept.
const ROUTES: usize = 2_000;

/// Which part of the file a line is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    Admin,
    Listeners,
    Clusters,
}

/// Reads the file.
pub fn read(input: &Input<'_>) -> Read {
    static PORT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"port_value"?\s*:\s*(\d+)"#).ok());
    static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?:^|[\s{,"])address"?\s*:\s*"?([\w.:-]+)"#).ok());
    static PIPE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?:pipe\s*:\s*\{\s*)?\bpath\s*:\s*"?(/[^"\s}]+\.sock)"#).ok());
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*-\s+name\s*:\s*(\S+)").ok());
    let mut read = Read::default();
    let at = Place { file: input.config.to_owned().into(), line: 1 };
    let Some(text) = read.text(input.root, input.config) else { return read };
    let (mut listens, mut routes): (Vec<_>, Vec<Route>) = (Vec::new(), Vec::new());
    let (mut part, mut host, mut fresh) = (Part::Other, None::<String>, true);
    for (number, line) in lines(&text, &[" #"]) {
        let place = Place { file: input.config.to_owned().into(), line: number };
        let key = line.trim_start_matches(['-', ' ']).trim_end();
        part = match key {
            "listeners:" => Part::Listeners,
            "clusters:" => Part::Clusters,
            _ if key.starts_with("admin:") => Part::Admin,
            "static_resources:" | "dynamic_resources:" | "node:" | "layered_runtime:" => Part::Other,
            _ => part,
        };
        fresh |= part == Part::Clusters && NAME.as_ref().is_some_and(|regex| regex.is_match(line));
        if let Some(found) = ADDRESS.as_ref().and_then(|regex| regex.captures(line)) {
            host = Some(found[1].to_owned());
        }
        let port = PORT.as_ref().and_then(|regex| regex.captures(line)).and_then(|found| found[1].parse::<u16>().ok());
        let tcp = port.and_then(|port| Some(of_host(&host.take()?, port, IpAddr::V4(Ipv4Addr::UNSPECIFIED))));
        let unix =
            || PIPE.as_ref().and_then(|regex| regex.captures(line)).and_then(|found| format!("unix:{}", &found[1]).parse().ok());
        let Some(to) = tcp.or_else(unix).filter(|_| routes.len() < ROUTES) else { continue };
        match part {
            Part::Listeners => listens.push(listen(to, false, &place)),
            Part::Clusters if fresh || routes.is_empty() => {
                fresh = false;
                let takes = PathMatch::Condition(format!("the cluster at line {number}"));
                routes.push(route(takes, Protocol::Http, vec![server(to, &place)], TIMEOUTS, place));
            }
            Part::Clusters => {
                if let Some(last) = routes.last_mut() {
                    last.servers.push(server(to, &place));
                }
            }
            Part::Admin if read.admin.is_none() => {
                let here = |to: Address| match to {
                    Address::Tcp(at) if at.ip().is_unspecified() => Address::Tcp(([127, 0, 0, 1], at.port()).into()),
                    other => other,
                };
                read.admin = Some((here(to), CLUSTERS));
            }
            Part::Admin | Part::Other => {}
        }
    }
    if let [only] = routes.as_mut_slice() {
        let servers = only.servers.clone();
        *only = route(PathMatch::Any, only.protocol, servers, TIMEOUTS, only.at.clone());
    }
    read.sites.push(site(Vec::new(), listens, routes, at));
    read
}
