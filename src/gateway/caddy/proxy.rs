//! A reverse proxy of Caddy's, whichever way it is written: where it goes, and all that is in force there.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use super::{check, environment::Environment, matcher::Matcher, units};
use crate::model::{
    Address, LACKS, LACKS_CURE, Place, Protocol, Resolution, Reuse, Role, Route, Server, Setting, TlsVersion, TrustSettings,
    Verifier,
};

/// Milliseconds of `dial_timeout` where none is set (reverseproxy/httptransport.go, fastcgi.go).
const DIAL_MS: u64 = 3_000;
/// Milliseconds for which idle connections of HTTP are kept where nothing is set (reverseproxy/httptransport.go, Provision).
const KEEPALIVE_MS: u64 = 120_000;
/// Milliseconds that are waited for an answer where no limit is set: for ever.
pub const FOR_EVER_MS: u64 = u64::MAX;
/// Ports of one range that are kept (`10.0.0.1:8000-8010`).
const RANGE: u16 = 64;

/// One upstream as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// These addresses, with what the scheme says is spoken there.
    Fixed(Vec<Address>, Option<Protocol>),
    /// What a request decides.
    Dynamic(String),
    /// What Caddy would refuse.
    Bad(String),
}

impl Upstream {
    /// Of `localhost:8080`, `https://app`, `unix//run/app.sock`, `h2c://a:1`, `:9000`, `{env.APP}` (reverseproxy/addresses.go).
    pub fn parse(text: &str, environment: &Environment) -> Self {
        let Some(text) = environment.expand(text) else { return Self::Dynamic(text.to_owned()) };
        let (scheme, rest) = text.split_once("://").map_or(("", text.as_str()), |(scheme, rest)| (scheme, rest));
        let (protocol, port) = match scheme {
            "" => (None, 80),
            "http" => (Some(Protocol::Http), 80),
            "https" => (Some(Protocol::Https), 443),
            "h2c" => (Some(Protocol::Grpc), 80),
            "srv" | "srv+http" | "srv+https" => return Self::Dynamic(text),
            "unix" | "unix+h2c" => (Some(Protocol::Http).filter(|_| false), 0),
            _ => return Self::Bad(format!("unsupported URL scheme {scheme}://")),
        };
        for (network, protocol) in
            [("unix/", protocol), ("unix+h2c/", Some(Protocol::Grpc)), ("tcp/", protocol), ("tcp4/", protocol), ("tcp6/", protocol)]
        {
            if let Some(rest) = rest.strip_prefix(network) {
                if network.starts_with("unix") {
                    // `unix//run/app.sock|0222`: the mode is for those who listen.
                    let path = rest.split('|').next().unwrap_or_default();
                    return if path.is_empty() {
                        Self::Bad("a unix socket without a path".to_owned())
                    } else {
                        Self::Fixed(vec![Address::Unix(path.into())], protocol)
                    };
                }
                return tcp(rest, port, protocol);
            }
        }
        // A path has no meaning here, but a slash at the end is forgiven.
        let rest = rest.split(['/', '?']).next().unwrap_or_default();
        tcp(rest, port, protocol)
    }
}

fn tcp(text: &str, default_port: u16, protocol: Option<Protocol>) -> Upstream {
    let (host, ports) = match text.rsplit_once(':') {
        Some((host, ports)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => (host, Some(ports)),
        Some(_) | None => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let range = match ports {
        None if host.is_empty() => return Upstream::Bad("no host".to_owned()),
        None => (default_port, default_port),
        Some(ports) => {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            match (port(first), port(last)) {
                (Some(first), Some(last)) if first <= last => (first, last.min(first.saturating_add(RANGE - 1))),
                _ => return Upstream::Bad(format!("invalid port {ports}")),
            }
        }
    };
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/[]".contains(c)) {
        return Upstream::Bad(format!("invalid host {host}"));
    }
    let address = |port: u16| match host.parse::<IpAddr>() {
        Ok(ip) => Address::Tcp((ip, port).into()),
        // Go connects to an empty host as to the local system (net.Dial).
        Err(_) if host.is_empty() => Address::Tcp(([127, 0, 0, 1], port).into()),
        Err(_) => Address::Name(host.to_owned(), port),
    };
    Upstream::Fixed((range.0..=range.1).map(address).collect(), protocol)
}

/// What the Host header is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's own.
    #[default]
    Client,
    /// The upstream's address.
    Upstream,
    /// This text.
    Fixed(String),
}

impl HostHeader {
    /// Of the value of `header_up Host`.
    pub fn parse(text: &str) -> Self {
        match text {
            "{upstream_hostport}" | "{http.reverse_proxy.upstream.hostport}" | "{hostport_upstream}" => Self::Upstream,
            _ if text.contains('{') => Self::Client,
            _ => Self::Fixed(text.to_owned()),
        }
    }
}

/// What TLS is made with (reverseproxy/httptransport.go, TLSConfig).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// `tls_insecure_skip_verify`
    pub insecure: bool,
    /// The file with the anchors.
    pub ca_file: Option<PathBuf>,
    /// `tls_client_auth`
    pub client: Option<(PathBuf, PathBuf)>,
    /// What could not be followed.
    pub unclear: Option<String>,
}

impl Trust {
    fn settings(&self, name: Option<String>) -> TrustSettings {
        TrustSettings {
            verify: !self.insecure,
            dates: !self.insecure,
            known_as: name.clone(),
            name: name.filter(|_| !self.insecure),
            verifier: Verifier::Go,
            system_roots: self.ca_file.is_none() && self.unclear.is_none(),
            ca_file: self.ca_file.clone(),
            protocols: TlsVersion::between(TlsVersion::Tls12, TlsVersion::Tls13),
            alpn: ["h2", "http/1.1"].map(str::to_owned).into(),
            client_cert: self.client.as_ref().map(|(cert, _)| cert.clone()),
            client_key: self.client.as_ref().map(|(_, key)| key.clone()),
            unclear: self.unclear.clone(),
            ..TrustSettings::default()
        }
    }
}

/// A reverse proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its upstreams.
    pub servers: Vec<Server>,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// What a request decides.
    pub dynamic: Option<String>,
    /// The Host header.
    pub host: HostHeader,
    /// The name for TLS, where one is set.
    pub sni: Option<String>,
    /// What TLS is made with, where it is spoken.
    pub trust: Trust,
    /// `dial_timeout`
    pub connect_ms: u64,
    /// The shortest of the time-outs that an answer meets.
    pub read_ms: u64,
    /// `max_response_header`
    pub header_limit: Option<u32>,
    /// Where the files are that FastCGI's parameters name.
    pub root: Option<String>,
    /// Whether the first upstream that is available gets all requests (`lb_policy first`).
    pub first: bool,
    /// The settings, with their places.
    pub settings: BTreeMap<String, Setting>,
    /// Where it is written.
    pub at: Place,
}

impl Proxy {
    /// Without any upstream.
    pub fn new(at: Place) -> Self {
        Self {
            servers: Vec::new(),
            protocol: Protocol::Http,
            dynamic: None,
            host: HostHeader::Client,
            sni: None,
            trust: Trust::default(),
            connect_ms: DIAL_MS,
            read_ms: FOR_EVER_MS,
            header_limit: None,
            root: None,
            first: false,
            settings: BTreeMap::from([("dial_timeout".to_owned(), Setting { value: "3s".into(), at: None })]),
            at,
        }
    }

    /// Adds an upstream. An error: what Caddy would refuse.
    pub fn add(&mut self, text: &str, at: &Place, environment: &Environment) -> Result<(), String> {
        match Upstream::parse(text, environment) {
            Upstream::Fixed(addresses, protocol) => {
                if let Some(protocol) = protocol.filter(|_| self.protocol == Protocol::Http) {
                    self.protocol = protocol;
                }
                let server = |address| Server { names: Resolution::AtEachUse, ..Server::new(address, at.clone()) };
                self.servers.extend(addresses.into_iter().map(server));
            }
            Upstream::Dynamic(text) => self.dynamic = Some(text),
            Upstream::Bad(what) => return Err(format!("parsing upstream '{text}': {what}")),
        }
        Ok(())
    }

    /// Notes a setting.
    pub fn set(&mut self, name: &str, value: &str, at: &Place) {
        self.settings.insert(name.to_owned(), Setting { value: value.into(), at: Some(at.clone()) });
    }

    /// A header that the health check sends.
    pub fn check_header(&mut self, name: &str, value: &str, at: &Place) {
        self.settings.extend([check::header(name, value, at)]);
    }

    /// TLS is spoken.
    pub fn tls(&mut self) {
        self.protocol = match self.protocol {
            Protocol::Grpc | Protocol::Grpcs => Protocol::Grpcs,
            _ => Protocol::Https,
        };
    }

    /// A limit of the time to wait for the answer: the shortest counts.
    pub fn limit_read(&mut self, milliseconds: Option<u64>) {
        if let Some(limit) = milliseconds.filter(|limit| *limit > 0) {
            self.read_ms = self.read_ms.min(limit);
        }
    }

    /// The route of requests that this matcher takes and this rewrite changes.
    pub fn route(mut self, matcher: &Matcher, rewrite: Option<(String, String)>) -> Route {
        if self.first {
            self.servers.iter_mut().skip(1).for_each(|server| server.role = Role::Backup);
        }
        if self.servers.is_empty() && self.dynamic.is_none() {
            // It loads, and answers each request with 503 (reverseproxy.go, "no upstreams available").
            let nothing = Setting {
                value: "no upstream is named, so that each request is answered with 503".into(),
                at: Some(self.at.clone()),
            };
            let cure = "the address of the application behind `reverse_proxy`; where it comes from the environment (`{$NAME}`), the variable in the environment of the service";
            self.settings.insert(LACKS.to_owned(), nothing);
            self.settings.insert(LACKS_CURE.to_owned(), Setting { value: cure.into(), at: None });
        }
        check::add(&mut self.settings);
        let first = self.servers.first().map(|server| &server.address);
        // Go sends the name of the host that it connects to, and none for an IP address (RFC 6066 section 3).
        let name = first.and_then(|address| match address {
            Address::Name(name, _) => Some(name.clone()),
            Address::Tcp(_) | Address::Unix(_) | Address::Inside(..) => None,
        });
        // The certificate must bear it, an IP address too (crypto/tls, Config.ServerName).
        let checked = first.and_then(|address| match address {
            Address::Name(name, _) => Some(name.clone()),
            Address::Tcp(at) => Some(at.ip().to_string()),
            Address::Unix(_) | Address::Inside(..) => None,
        });
        let host_header = match &self.host {
            HostHeader::Client => None,
            HostHeader::Fixed(text) => Some(text.clone()),
            HostHeader::Upstream => first.map(|address| match address {
                Address::Unix(_) => "localhost".to_owned(),
                Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => address.to_string(),
            }),
        };
        let sample = matcher.sample.clone();
        Route {
            pattern: matcher.text.clone(),
            takes: Some(matcher.takes()),
            params: if self.protocol == Protocol::Fastcgi { parameters(self.root.as_deref(), &sample) } else { Vec::new() },
            sample_path: sample,
            protocol: self.protocol,
            pool: None,
            servers: self.servers,
            rewrite: rewrite.map(Box::new),
            host_header,
            sni: self.sni.clone().or(name.clone()).filter(|_| self.protocol.tls()),
            trust: self.protocol.tls().then(|| Box::new(self.trust.settings(self.sni.clone().or(checked)))),
            connect_ms: self.connect_ms,
            read_ms: self.read_ms,
            header_limit: self.header_limit,
            source: None,
            // The connections of FastCGI are closed (transport fastcgi); those of HTTP are kept for two minutes (`keepalive`).
            reuse: match self.protocol {
                Protocol::Fastcgi => Reuse::Never,
                _ => reuse(self.settings.get("keepalive")),
            },
            settings: self.settings.into(),
            dynamic: self.dynamic,
            at: self.at,
        }
    }
}

/// `keepalive off`, `keepalive 30s`; in JSON an object, whose `idle_timeout` is a number of nanoseconds.
fn reuse(setting: Option<&Setting>) -> Reuse {
    let Some(setting) = setting else { return Reuse::Kept { idle_ms: Some(KEEPALIVE_MS), at: None } };
    let at = setting.at.clone();
    match setting.value.as_str() {
        "off" => Reuse::Never,
        value => units::milliseconds(value).map_or(Reuse::Unknown, |ms| Reuse::Kept { idle_ms: Some(ms), at }),
    }
}

/// What a FastCGI server is asked for: the script that a path leads to (fastcgi.go, buildEnv).
fn parameters(root: Option<&str>, path: &str) -> Vec<(String, String)> {
    let script = match path.find(".php") {
        Some(at) => path[..at + 4].to_owned(),
        None => format!("{}/index.php", path.trim_end_matches('/')),
    };
    let root = root.unwrap_or("/").trim_end_matches('/');
    vec![
        ("SCRIPT_FILENAME".to_owned(), format!("{root}{script}")),
        ("SCRIPT_NAME".to_owned(), script),
        ("DOCUMENT_ROOT".to_owned(), if root.is_empty() { "/".to_owned() } else { root.to_owned() }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_read_as_caddy_reads_them() {
        let mut environment = Environment::default();
        environment.set("APP", "10.0.0.1:80");
        for (text, expected) in [
            ("localhost:8080", "localhost:8080"),
            ("localhost", "localhost:80"),
            (":9000", "127.0.0.1:9000"),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("[::1]:8000", "[::1]:8000"),
            ("http://app.internal", "http app.internal:80"),
            ("https://app.internal/", "https app.internal:443"),
            ("h2c://127.0.0.1:50051", "grpc 127.0.0.1:50051"),
            ("unix//run/app.sock", "unix:/run/app.sock"),
            ("unix+h2c//run/app.sock", "grpc unix:/run/app.sock"),
            ("unix/@abstract", "unix:@abstract"),
            ("10.0.0.1:8000-8002", "10.0.0.1:8000 10.0.0.1:8001 10.0.0.1:8002"),
            ("{env.APP}", "10.0.0.1:80"),
            ("{http.request.host}:80", "dynamic"),
            ("srv://_app._tcp.internal", "dynamic"),
            ("ftp://x", "bad"),
            ("a:99999", "bad"),
            ("unix/", "bad"),
            (":", "bad"),
        ] {
            let shown = match Upstream::parse(text, &environment) {
                Upstream::Fixed(addresses, protocol) => {
                    let scheme = protocol.map(|protocol| protocol.scheme().to_owned());
                    scheme.into_iter().chain(addresses.iter().map(ToString::to_string)).collect::<Vec<_>>().join(" ")
                }
                Upstream::Dynamic(_) => "dynamic".to_owned(),
                Upstream::Bad(_) => "bad".to_owned(),
            };
            assert_eq!(shown, expected, "{text}");
        }
    }
}
