//! `Listen` and `<VirtualHost>`: which virtual host takes which connection (server/vhost.c).

use std::net::{IpAddr, Ipv4Addr};

use super::tree::{Directive, Problems};
use crate::model::{Address, Listen};

/// A `Listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// Address; any where none is written.
    ip: Option<IpAddr>,
    /// A host name instead of an address.
    name: Option<String>,
    /// Port.
    port: u16,
    /// Where it is written.
    at: crate::model::Place,
}

/// All `Listen` directives of the main server.
pub fn ports(tree: &[Directive], problems: &mut Problems) -> Vec<Entrance> {
    let mut found: Vec<Entrance> = Vec::new();
    for directive in tree.iter().filter(|one| one.name == "listen") {
        let args = directive.args();
        let text = args.first().map(String::as_str).unwrap_or_default();
        let Some((host, Some(port))) = split(text).map(|(host, port)| (host, port.and_then(|port| port.parse::<u16>().ok())))
        else {
            problems.add(directive.place(), "Port must be specified");
            continue;
        };
        let ip = host.and_then(|host| host.parse::<IpAddr>().ok());
        let name = host.filter(|host| ip.is_none() && *host != "*").map(str::to_owned);
        // A protocol behind it (`443 https`) chooses an accept filter only; whether TLS is spoken there, SSLEngine says.
        let port = Entrance { ip, name, port, at: directive.place() };
        if found.iter().any(|known| (known.ip, &known.name, known.port) == (port.ip, &port.name, port.port)) {
            problems.add(directive.place(), "Cannot define multiple Listeners on the same IP:port");
            continue;
        }
        found.push(port);
    }
    found
}

/// `80`, `10.0.0.1:80`, `[::1]:80`, `[::1]`, `host`: host without brackets, and what stands for the port.
fn split(text: &str) -> Option<(Option<&str>, Option<&str>)> {
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((None, Some(text)));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return Some((Some(host.split('%').next().unwrap_or(host)), after.strip_prefix(':')));
    }
    Some(text.rsplit_once(':').map_or((Some(text), None), |(host, port)| (Some(host), Some(port))))
}

/// The address of a `<VirtualHost>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `None`: any.
    ip: Option<IpAddr>,
    /// `None`: any.
    port: Option<u16>,
}

/// The addresses of a `<VirtualHost>`. Host names are resolved at start, which we don't do: they stand for any address.
pub fn specs(directive: &Directive) -> Vec<Spec> {
    let spec = |text: &String| {
        let (host, port) = split(text)?;
        // `<VirtualHost 80>` is a host of that name, and nobody means it.
        let host = host.filter(|host| *host != "*" && !host.eq_ignore_ascii_case("_default_"));
        Some(Spec { ip: host.and_then(|host| host.parse().ok()), port: port.and_then(|port| port.parse().ok()) })
    };
    directive.args().iter().filter_map(spec).collect()
}

impl Spec {
    /// Whether connections to this port can be its; an exact address goes before any.
    fn takes(&self, port: &Entrance) -> bool {
        let ip = match (self.ip, port.ip) {
            (Some(own), Some(listened)) => own == listened || listened.is_unspecified(),
            (Some(_), None) | (None, _) => true,
        };
        ip && self.port.is_none_or(|own| own == port.port)
    }
}

/// Where each virtual host listens, and last the main server. `tls`: whether each speaks TLS by its `SSLEngine`.
pub fn listens(ports: &[Entrance], hosts: &[(Vec<Spec>, bool)], main_tls: bool) -> (Vec<Vec<Listen>>, Vec<Listen>) {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut seen: Vec<(usize, Option<IpAddr>)> = Vec::new();
    let mut of_hosts = Vec::with_capacity(hosts.len());
    for (specs, tls) in hosts {
        let mut own: Vec<Listen> = Vec::new();
        for (number, port, spec) in
            ports.iter().enumerate().flat_map(|(number, port)| specs.iter().map(move |spec| (number, port, spec)))
        {
            if !spec.takes(port) {
                continue;
            }
            // The first one of an address takes the names that none has.
            let key = (number, spec.ip);
            let default = !seen.contains(&key);
            if default {
                seen.push(key);
            }
            let ip = spec.ip.or(port.ip).unwrap_or(any);
            let address = match &port.name {
                Some(name) => Address::Name(name.clone(), port.port),
                None => Address::Tcp((ip, port.port).into()),
            };
            if !own.iter().any(|known| known.address == address) {
                own.push(Listen { address, tls: *tls, proxy_protocol: false, default, at: port.at.clone() });
            }
        }
        of_hosts.push(own);
    }
    let taken = |number: usize| seen.iter().any(|(known, ip)| *known == number && ip.is_none());
    let left = ports.iter().enumerate().filter(|(number, _)| !taken(*number));
    let main = left.map(|(_, port)| Listen {
        address: match &port.name {
            Some(name) => Address::Name(name.clone(), port.port),
            None => Address::Tcp((port.ip.unwrap_or(any), port.port).into()),
        },
        tls: main_tls,
        proxy_protocol: false,
        default: true,
        at: port.at.clone(),
    });
    (of_hosts, main.collect())
}

/// `ServerName` and `ServerAlias`, without scheme and port.
pub fn names(section: &[Directive]) -> Vec<String> {
    let bare = |name: String| {
        let name = name.split_once("://").map_or(name.clone(), |(_, rest)| rest.to_owned());
        name.split(':').next().unwrap_or_default().to_owned()
    };
    // The last ServerName counts; aliases add up.
    let name = section.iter().rev().find(|one| one.name == "servername").map(|one| bare(one.first()));
    let aliases = section.iter().filter(|one| one.name == "serveralias").flat_map(Directive::args);
    name.into_iter().chain(aliases).filter(|name| !name.is_empty()).collect()
}
