//! Where a proxied request goes: the URLs of `ProxyPass`, `BalancerMember`, `SetHandler` and `RewriteRule [P]`, and the
//! `key=value` parameters behind them.

use std::{collections::BTreeMap, net::IpAddr};

use super::tree::Directive;
use crate::model::{Address, Protocol, Setting};

/// A URL as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where. `None`: a balancer, or nothing that can be told.
    pub address: Option<Address>,
    /// The balancer's name.
    pub balancer: Option<String>,
    /// Host as written, with the port where it is not the scheme's own: the Host header that the upstream sees.
    pub authority: String,
    /// Host alone.
    pub host: String,
    /// The path that it ends with, with its slash; empty where there is none.
    pub path: String,
    /// Whether it takes upgrades to WebSocket only.
    pub websocket: bool,
}

/// Schemes with the protocol and the port where none is written (modules/proxy/mod_proxy_*.c).
const SCHEMES: &[(&str, Protocol, u16)] = &[
    ("http", Protocol::Http, 80),
    ("https", Protocol::Https, 443),
    ("fcgi", Protocol::Fastcgi, 8000),
    ("scgi", Protocol::Scgi, 4000),
    ("uwsgi", Protocol::Uwsgi, 3031),
    ("ajp", Protocol::Ajp, 8009),
    ("h2c", Protocol::Grpc, 80),
    ("h2", Protocol::Grpcs, 443),
    ("ws", Protocol::Http, 80),
    ("wss", Protocol::Https, 443),
    ("ftp", Protocol::Stream, 21),
    ("fdpass", Protocol::Stream, 0),
];

impl Target {
    /// Of a scheme only.
    fn unknown(scheme: &str, authority: &str, path: String) -> Self {
        let protocol = SCHEMES.iter().find(|(name, ..)| *name == scheme).map_or(Protocol::Stream, |(_, protocol, _)| *protocol);
        let authority = authority.to_owned();
        Self { protocol, address: None, balancer: None, host: authority.clone(), authority, path, websocket: false }
    }

    /// Of `http://host:port/path`, `balancer://name/path`, `unix:/path|http://host/path`. An error: what is wrong, in Apache's
    /// words where it would refuse it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (socket, url) = match text.get(..5).filter(|head| head.eq_ignore_ascii_case("unix:")) {
            Some(_) => match text[5..].split_once('|') {
                Some((path, url)) if path.starts_with('/') => (Some(path), url),
                Some(_) | None => return Err(format!("Unable to parse URL: {text}")),
            },
            None => (None, text),
        };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| format!("URL must be absolute!: {text}"))?;
        let scheme = scheme.to_ascii_lowercase();
        // `fcgi://` behind a socket needs no host: `fcgi:` is seen too.
        let rest = rest.strip_prefix("//").or(socket.map(|_| rest)).ok_or_else(|| format!("Unable to parse URL: {text}"))?;
        let at = rest.find(['/', '?', '$', '%']).unwrap_or(rest.len());
        let (authority, path) = (&rest[..at], rest[at..].to_owned());
        // `http://app$1`: the path begins with what was matched. `http://app$1:80/`: the host is made of it.
        if made_of_the_request(&path) {
            return Ok(Self::unknown(&scheme, authority, path));
        }
        // `user:password@host`.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if scheme == "balancer" {
            return Ok(Self {
                protocol: Protocol::Http,
                address: None,
                balancer: Some(authority.to_ascii_lowercase()),
                authority: authority.to_owned(),
                host: authority.to_owned(),
                path,
                websocket: false,
            });
        }
        let known = SCHEMES.iter().find(|(name, ..)| *name == scheme);
        let (protocol, default) = known.map_or((Protocol::Stream, 0), |(_, protocol, port)| (*protocol, *port));
        let (host, port) = split(authority)?;
        let address = match socket {
            Some(path) => Some(Address::Unix(path.into())),
            None if host.is_empty() => None,
            None => Some(port.unwrap_or(default)).filter(|port| *port > 0).map(|port| match host.parse::<IpAddr>() {
                Ok(ip) => Address::Tcp((ip, port).into()),
                Err(_) => Address::Name(host.clone(), port),
            }),
        };
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = match port.filter(|port| *port != default) {
            Some(port) => format!("{shown}:{port}"),
            None => shown,
        };
        Ok(Self { protocol, address, balancer: None, authority, host, path, websocket: scheme == "ws" || scheme == "wss" })
    }
}

/// Whether what follows the host goes on with it: a variable, and behind it something else than a path.
fn made_of_the_request(path: &str) -> bool {
    let after = match path.as_bytes() {
        [b'%', b'{', ..] => path.find('}').map_or("", |end| &path[end + 1..]),
        [b'$' | b'%', _, ..] => path.get(2..).unwrap_or_default(),
        _ => return false,
    };
    !(after.is_empty() || after.starts_with(['/', '?', '$', '%', ' ']))
}

/// Host without brackets, and port.
fn split(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(|| format!("Unable to parse URL: {authority}"))?;
            (host, after.strip_prefix(':'))
        }
        None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    match port.map(str::parse::<u16>) {
        // `http://app:$1/`: decided when a request comes.
        Some(Err(_)) if port == Some("") => Ok((String::new(), None)),
        Some(Err(_) | Ok(0)) => Err(format!("Unable to parse URL: bad port in {authority}")),
        Some(Ok(port)) => Ok((host.to_owned(), Some(port))),
        None => Ok((host.to_owned(), None)),
    }
}

/// `key=value` parameters of a worker, by key.
pub type Parameters = BTreeMap<String, Setting>;

/// Those behind a URL; later ones of a key win.
pub fn parameters<'w>(words: impl IntoIterator<Item = &'w String>, of: &Directive) -> Parameters {
    let pair = |word: &'w String| {
        let (key, value) = word.split_once('=')?;
        Some((key.to_ascii_lowercase(), Setting { value: value.into(), at: Some(of.place()) }))
    };
    words.into_iter().filter_map(pair).collect()
}

/// Milliseconds of a time: seconds unless a unit says otherwise (`ap_timeout_parameter_parse`).
pub fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim().trim_matches('"');
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].to_ascii_lowercase().as_str() {
        "ms" => 1,
        "" | "s" => 1000,
        "mi" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_mod_proxy_reads_them() {
        for (text, expected) in [
            ("http://127.0.0.1:8000/", "http 127.0.0.1:8000 / 127.0.0.1:8000"),
            ("HTTPS://app.internal/v1/", "https app.internal:443 /v1/ app.internal"),
            ("http://localhost:80", "http localhost:80  localhost"),
            ("http://[::1]:8080/x", "http [::1]:8080 /x [::1]:8080"),
            ("unix:/run/app.sock|http://localhost/api/", "http unix:/run/app.sock /api/ localhost"),
            ("unix:/run/php/php8.2-fpm.sock|fcgi://localhost", "fastcgi unix:/run/php/php8.2-fpm.sock  localhost"),
            ("fcgi://127.0.0.1:9000/srv/www/$1", "fastcgi 127.0.0.1:9000 /srv/www/$1 127.0.0.1:9000"),
            ("uwsgi://10.0.0.1", "uwsgi 10.0.0.1:3031  10.0.0.1"),
            ("ajp://10.0.0.1/", "ajp 10.0.0.1:8009 / 10.0.0.1"),
            ("h2c://a.b:50051", "grpc a.b:50051  a.b:50051"),
            ("http://$1:80/", "http - $1:80/ "),
            ("http://app$1", "http app:80 $1 app"),
            ("http://127.0.0.1:8000%{REQUEST_URI}", "http 127.0.0.1:8000 %{REQUEST_URI} 127.0.0.1:8000"),
            ("http://%{HTTP_HOST}/", "http - %{HTTP_HOST}/ "),
            ("http://a:99999/", "!Unable to parse URL: bad port in a:99999"),
            ("/relative", "!URL must be absolute!: /relative"),
            ("unix:/x", "!Unable to parse URL: unix:/x"),
        ] {
            let shown = match Target::parse(text) {
                Err(error) => format!("!{error}"),
                Ok(to) => {
                    let address = to.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
                    format!("{} {address} {} {}", to.protocol.scheme(), to.path, to.authority)
                }
            };
            assert_eq!(shown, expected, "{text}");
        }
        assert_eq!(Target::parse("balancer://Shop/x").expect("fine").balancer.as_deref(), Some("shop"));
        assert!(Target::parse("ws://a/").expect("fine").websocket);
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in
            [("5", Some(5000)), ("300ms", Some(300)), ("2s", Some(2000)), ("1min", Some(60_000)), ("x", None), ("", None)]
        {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
