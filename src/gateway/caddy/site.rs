//! A Caddyfile's sites: their addresses, where they listen, what they pass on (caddyconfig/httpcaddyfile/addresses.go).

use std::net::{IpAddr, Ipv4Addr};

use compact_str::CompactString;

use super::{
    environment::Environment,
    matcher::Matcher,
    tree::Directive,
    walk::{Found, Here, Walk},
};
use crate::model::{ANSWERS, Address, Listen, Order as _, PathMatch, Place, Route, RouteChoice, Site};

/// What the global options say of all sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `http_port`
    pub http: u16,
    /// `https_port`
    pub https: u16,
    /// Whether names alone mean TLS (`auto_https`).
    pub automatic: bool,
    /// `default_bind`
    pub bind: Vec<String>,
    /// Whether the PROXY protocol is expected.
    pub proxy_protocol: bool,
    /// `admin`: where the admin API listens. `None`: nowhere.
    pub admin: Option<String>,
    /// `persist_config off`
    pub persists: bool,
}

impl Options {
    /// Of the first block of a Caddyfile, which has no address.
    pub fn of(tree: &[Directive]) -> Self {
        let mut options = Self {
            http: 80,
            https: 443,
            automatic: true,
            bind: Vec::new(),
            proxy_protocol: false,
            admin: Some("localhost:2019".to_owned()),
            persists: true,
        };
        for one in tree.iter().filter(|one| one.name == "{").flat_map(Directive::children) {
            let first = one.arg(0).unwrap_or_default();
            match one.name.as_str() {
                "http_port" => options.http = first.parse().unwrap_or(options.http),
                "https_port" => options.https = first.parse().unwrap_or(options.https),
                "auto_https" => options.automatic = first != "off",
                "default_bind" => options.bind = one.args.iter().map(CompactString::to_string).collect(),
                "admin" => options.admin = (first != "off").then(|| first.to_owned()).filter(|it| !it.is_empty()).or(options.admin),
                "persist_config" => options.persists = first != "off",
                "servers" => {
                    let wrappers = one.children().iter().filter(|inner| inner.name == "listener_wrappers");
                    options.proxy_protocol |= wrappers.flat_map(Directive::children).any(|inner| inner.name == "proxy_protocol");
                }
                _ => {}
            }
            if one.name == "admin" && first == "off" {
                options.admin = None;
            }
        }
        options
    }
}

/// An address of a site: `https://shop.example.com:8443/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    host: String,
    port: u16,
    tls: bool,
    path: Option<String>,
}

impl Key {
    /// `with_tls`: the site has certificates of its own. `None`: Caddy would refuse it.
    fn parse(text: &str, options: &Options, with_tls: bool) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => (String::new(), text),
        };
        if !matches!(scheme.as_str(), "" | "http" | "https") {
            return None;
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], Some(rest[at..].to_owned()).filter(|path| path != "/")),
            None => (rest, None),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
            Some(_) | None => (authority, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '{') {
            return None;
        }
        let http = scheme == "http" || port == Some(options.http);
        let tls = !http
            && (scheme == "https"
                || with_tls
                || port == Some(options.https)
                || options.automatic && !host.is_empty() && scheme != "http");
        let port = port.unwrap_or(if http { options.http } else { options.https });
        Some(Self { host, port, tls, path })
    }
}

/// All sites of a tree.
pub fn sites(tree: &[Directive], options: &Options, environment: &Environment, walk: &mut Walk<'_>) -> Vec<Site> {
    let mut out = Vec::new();
    for block in tree.iter().filter(|one| one.name != "{" && !one.name.starts_with("&(") && one.block.is_some()) {
        out.extend(site(block, options, environment, walk));
    }
    out
}

fn site(block: &Directive, options: &Options, environment: &Environment, walk: &mut Walk<'_>) -> Vec<Site> {
    let at = block.place();
    let with_tls = block.children().iter().any(|one| one.name == "tls");
    let words = std::iter::once(&block.name).chain(&block.args);
    let texts = words.flat_map(|word| word.split(',')).filter(|word| !word.is_empty());
    let mut keys: Vec<Key> = Vec::new();
    for text in texts {
        match environment.expand(text).and_then(|text| Key::parse(&text, options, with_tls)) {
            Some(key) if !keys.contains(&key) => keys.push(key),
            // What a plug-in adds at the top level has no address, and neither has a mistake: Caddy's own test tells.
            Some(_) | None => {}
        }
    }
    let bind: Vec<String> =
        block.children().iter().filter(|one| one.name == "bind").flat_map(|one| &one.args).map(CompactString::to_string).collect();
    let bind = if bind.is_empty() { options.bind.clone() } else { bind };
    // Addresses that are served alike make one site.
    let mut groups: Vec<(u16, bool, Option<String>, Vec<String>)> = Vec::new();
    for key in keys {
        match groups.iter_mut().find(|(port, tls, path, _)| (*port, *tls, path.as_ref()) == (key.port, key.tls, key.path.as_ref()))
        {
            Some((.., hosts)) => hosts.push(key.host),
            None => groups.push((key.port, key.tls, key.path, vec![key.host])),
        }
    }
    let mut out = Vec::new();
    for (port, tls, path, hosts) in groups {
        // An address without a name takes all names.
        let names: Vec<String> = if hosts.iter().any(String::is_empty) { Vec::new() } else { hosts };
        let listen =
            |address| Listen { address, tls, proxy_protocol: options.proxy_protocol, default: names.is_empty(), at: at.clone() };
        let listens: Vec<Listen> = listens(&bind, port).into_iter().map(listen).collect();
        let matcher = path.map_or_else(Matcher::any, |path| Matcher::paths(&[path]));
        walk.found.clear();
        walk.block(block.children(), &mut Here::start(matcher));
        let found = std::mem::take(&mut walk.found);
        out.extend(by_host(&found, names, &listens, &at));
    }
    out
}

/// Where a site with this port listens: on every address, unless `bind` says otherwise.
pub fn listens(bind: &[String], port: u16) -> Vec<Address> {
    if bind.is_empty() {
        return vec![Address::Tcp((Ipv4Addr::UNSPECIFIED, port).into())];
    }
    let one = |text: &String| {
        let (network, host) = text.split_once('/').unwrap_or(("", text));
        match network {
            "unix" => Some(Address::Unix(host.split('|').next().unwrap_or_default().into())),
            // QUIC alone, or a plug-in's own.
            _ if network.starts_with("udp") || network.contains('+') => None,
            _ => match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
                Ok(ip) => Some(Address::Tcp((ip, port).into())),
                Err(_) if host.is_empty() => Some(Address::Tcp((Ipv4Addr::UNSPECIFIED, port).into())),
                Err(_) if host == "localhost" => Some(Address::Tcp((Ipv4Addr::LOCALHOST, port).into())),
                Err(_) => Some(Address::Name(host.to_owned(), port)).filter(|_| !host.contains('{')),
            },
        }
    };
    bind.iter().filter_map(one).collect()
}

/// Routes that a matcher limits to some hosts make a site of their own, which shares the listens.
pub fn by_host(found: &[Found], names: Vec<String>, listens: &[Listen], at: &Place) -> Vec<Site> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    for hosts in found.iter().filter_map(|one| one.hosts.as_ref()) {
        if !groups.contains(hosts) && !hosts.is_empty() {
            groups.push(hosts.clone());
        }
    }
    let site = |names: Vec<String>, hosts: Option<&Vec<String>>| {
        // What is answered for all hosts (`handle { respond 404 }`) comes behind what is for some.
        let common = |one: &Found| one.hosts.is_none() && (hosts.is_none() || sometimes(&one.route) || !answers(&one.route));
        let mut routes: Vec<Route> =
            found.iter().filter(|one| common(one) || one.hosts.as_ref() == hosts).map(|one| one.route.clone()).collect();
        // Behind all others, as a condition that only a request tells ends the search for a route.
        routes.order_by_key(sometimes);
        let listens = listens.iter().map(|listen| Listen { default: names.is_empty(), ..listen.clone() }).collect();
        Site { routes, names, listens, choice: RouteChoice::FirstMatch, at: at.clone() }.compact()
    };
    let mut out: Vec<Site> = groups.iter().map(|hosts| site(hosts.clone(), Some(hosts))).collect();
    let rest = site(names, None);
    // Where each route has a host of its own, the wildcard itself passes nothing on.
    if out.is_empty() || !rest.routes.iter().all(answers) {
        out.push(rest);
    }
    out
}

fn answers(route: &Route) -> bool {
    route.settings.contains_key(ANSWERS)
}

/// Whether it is an answer to requests that more than their path tells.
fn sometimes(route: &Route) -> bool {
    answers(route) && matches!(route.takes, Some(PathMatch::Condition(_)))
}
