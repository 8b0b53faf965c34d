//! Where a `*_pass` or a `server` of an upstream points to.

use std::net::IpAddr;

use compact_str::CompactString;

use crate::model::{Address, Protocol};

/// A module that passes requests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Its directive: `proxy_pass`.
    pub pass: &'static str,
    /// What the names of its settings begin with: `proxy_`.
    pub prefix: &'static str,
    /// What it speaks where no scheme says otherwise.
    pub protocol: Protocol,
}

impl Module {
    /// The whole name of one of its settings: `proxy_buffers`.
    pub fn key(self, name: &str) -> CompactString {
        let mut key = CompactString::const_new(self.prefix);
        key.push_str(name);
        key
    }
}

/// All of `http`.
pub const MODULES: &[Module] = &[
    Module { pass: "proxy_pass", prefix: "proxy_", protocol: Protocol::Http },
    Module { pass: "fastcgi_pass", prefix: "fastcgi_", protocol: Protocol::Fastcgi },
    Module { pass: "uwsgi_pass", prefix: "uwsgi_", protocol: Protocol::Uwsgi },
    Module { pass: "scgi_pass", prefix: "scgi_", protocol: Protocol::Scgi },
    Module { pass: "grpc_pass", prefix: "grpc_", protocol: Protocol::Grpc },
    Module { pass: "memcached_pass", prefix: "memcached_", protocol: Protocol::Stream },
];

/// That of `stream`.
pub const STREAM: Module = Module { pass: "proxy_pass", prefix: "proxy_", protocol: Protocol::Stream };

/// Host and port as written, not yet known to be a pool or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// `unix:` and a path.
    Unix(String),
    /// A name or IP address, without brackets, and the port where one is written.
    Host(String, Option<u16>),
}

/// A target as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where.
    pub authority: Authority,
    /// The path that it ends with: it replaces the part of the request's that the location matched.
    pub uri: Option<String>,
}

impl Target {
    /// Of the parameter of a `*_pass`. An error is in nginx's words.
    pub fn parse(module: Module, text: &str) -> Result<Self, String> {
        let scheme =
            |name: &str| text.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name)).map(|_| &text[name.len()..]);
        let (protocol, rest) = match module.protocol {
            Protocol::Http => {
                let plain = scheme("http://").map(|rest| (Protocol::Http, rest));
                plain.or_else(|| scheme("https://").map(|rest| (Protocol::Https, rest))).ok_or("invalid URL prefix")?
            }
            Protocol::Grpc => scheme("grpcs://")
                .map_or_else(|| (Protocol::Grpc, scheme("grpc://").unwrap_or(text)), |rest| (Protocol::Grpcs, rest)),
            Protocol::Uwsgi => (Protocol::Uwsgi, scheme("uwsgi://").or_else(|| scheme("suwsgi://")).unwrap_or(text)),
            other @ (Protocol::Fastcgi | Protocol::Scgi | Protocol::Ajp | Protocol::Stream | Protocol::Https | Protocol::Grpcs) => {
                (other, text)
            }
        };
        if let Some(rest) = rest.strip_prefix("unix:") {
            // ngx_parse_unix_domain_url: the path ends at the next colon where a URI may follow.
            let with_uri = matches!(protocol, Protocol::Http | Protocol::Https);
            let (path, uri) = match rest.split_once(':').filter(|_| with_uri) {
                Some((path, uri)) => (path, Some(uri.to_owned()).filter(|uri| !uri.is_empty())),
                None => (rest, None),
            };
            if path.is_empty() {
                return Err("no path in the unix domain socket".to_owned());
            }
            return Ok(Self { protocol, authority: Authority::Unix(path.to_owned()), uri });
        }
        let (host, uri) = match rest.find(['/', '?']) {
            Some(at) => (&rest[..at], Some(rest[at..].to_owned())),
            None => (rest, None),
        };
        Ok(Self { protocol, authority: authority(host)?, uri })
    }

    /// The port where none is written; FastCGI and its kin have none, and the grpc module sets none either.
    pub fn default_port(protocol: Protocol) -> Option<u16> {
        match protocol {
            Protocol::Http => Some(80),
            Protocol::Https => Some(443),
            Protocol::Grpc
            | Protocol::Grpcs
            | Protocol::Fastcgi
            | Protocol::Uwsgi
            | Protocol::Scgi
            | Protocol::Ajp
            | Protocol::Stream => None,
        }
    }

    /// nginx's `$proxy_host`: host as written, with the port where it is not the scheme's own.
    pub fn proxy_host(&self) -> String {
        match &self.authority {
            Authority::Unix(_) => "localhost".to_owned(),
            Authority::Host(host, port) => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                match port.filter(|port| Some(*port) != Self::default_port(self.protocol)) {
                    Some(port) => format!("{host}:{port}"),
                    None => host,
                }
            }
        }
    }
}

/// Of `host:port`, `[::1]:80`, `host`.
pub fn authority(text: &str) -> Result<Authority, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("no path in the unix domain socket".to_owned())
        } else {
            Ok(Authority::Unix(path.to_owned()))
        };
    }
    let port_of = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) | Err(_) => Err("invalid port".to_owned()),
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("invalid host")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| "invalid IPv6 address".to_owned())?;
        let port = after.strip_prefix(':').map(port_of).transpose()?;
        return Ok(Authority::Host(host.to_owned(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port_of(port)?)),
        None => (text, None),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '{' | '}');
    if host.is_empty() || host.contains(odd) {
        return Err("no host".to_owned());
    }
    Ok(Authority::Host(host.to_owned(), port))
}

/// An address to connect to. `None`: it needs a port and has none.
pub fn address(authority: &Authority, default_port: Option<u16>) -> Option<Address> {
    match authority {
        Authority::Unix(path) => Some(Address::Unix(path.into())),
        Authority::Host(host, port) => {
            let port = port.or(default_port)?;
            Some(host.parse::<IpAddr>().map_or_else(|_| Address::Name(host.clone(), port), |ip| Address::Tcp((ip, port).into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(module: usize, text: &str) -> String {
        match Target::parse(MODULES[module], text) {
            Err(error) => format!("!{error}"),
            Ok(target) => {
                let port = Target::default_port(target.protocol);
                let to = address(&target.authority, port).map_or_else(|| "no port".to_owned(), |to| to.to_string());
                format!("{} {to} {} {}", target.protocol.scheme(), target.uri.as_deref().unwrap_or("-"), target.proxy_host())
            }
        }
    }

    #[test]
    fn targets_are_read_as_nginx_reads_them() {
        for (module, text, expected) in [
            (0, "http://127.0.0.1:8000", "http 127.0.0.1:8000 - 127.0.0.1:8000"),
            (0, "http://127.0.0.1:8000/", "http 127.0.0.1:8000 / 127.0.0.1:8000"),
            (0, "HTTPS://app.internal/v1/", "https app.internal:443 /v1/ app.internal"),
            (0, "http://localhost:80", "http localhost:80 - localhost"),
            (0, "http://[::1]:8080/x", "http [::1]:8080 /x [::1]:8080"),
            (0, "http://unix:/run/app.sock:/api/", "http unix:/run/app.sock /api/ localhost"),
            (0, "http://unix:/run/app.sock", "http unix:/run/app.sock - localhost"),
            (0, "127.0.0.1:8000", "!invalid URL prefix"),
            (0, "http://:80", "!no host"),
            (0, "http://a:99999", "!invalid port"),
            (0, "http://unix:", "!no path in the unix domain socket"),
            (1, "unix:/run/php/php8.2-fpm.sock", "fastcgi unix:/run/php/php8.2-fpm.sock - localhost"),
            (1, "127.0.0.1:9000", "fastcgi 127.0.0.1:9000 - 127.0.0.1:9000"),
            (1, "php", "fastcgi no port - php"),
            (2, "uwsgi://10.0.0.1:3031", "uwsgi 10.0.0.1:3031 - 10.0.0.1:3031"),
            (4, "grpcs://a.b:443", "grpcs a.b:443 - a.b:443"),
            (4, "grpc://a.b", "grpc no port - a.b"),
            (4, "a.b:50051", "grpc a.b:50051 - a.b:50051"),
        ] {
            assert_eq!(show(module, text), expected, "{text}");
        }
    }
}
