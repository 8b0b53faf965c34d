//! Where a request goes: address and protocol.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a gateway connects to, as its configuration or a socket table names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A host name and port, to be resolved.
    Name(String, u16),
    /// A unix stream socket; a leading `@` is Linux's abstract namespace.
    Unix(PathBuf),
    /// One of these as it is meant in other namespaces than this host's own, with what those are called: `127.0.0.1:80` in one
    /// container is not that of another, nor ours. Built by [`Address::inside`] only.
    Inside(String, Box<Address>),
}

/// How an address in other namespaces is written: `127.0.0.1:80 (in container web)`.
const INSIDE: &str = " (in ";

impl Address {
    /// The port, where there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(at) => Some(at.port()),
            Self::Name(_, port) => Some(*port),
            Self::Unix(_) => None,
            Self::Inside(_, bare) => bare.port(),
        }
    }

    /// As those write it who are in the same namespaces.
    pub fn bare(&self) -> &Self {
        match self {
            Self::Inside(_, bare) => bare.bare(),
            Self::Tcp(_) | Self::Name(..) | Self::Unix(_) => self,
        }
    }

    /// What the namespaces are called in which it is meant. `None`: this host's own.
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::Inside(place, _) => Some(place),
            Self::Tcp(_) | Self::Name(..) | Self::Unix(_) => None,
        }
    }

    /// The same, as it is meant in these namespaces. `None`: in this host's own.
    #[must_use]
    pub fn inside(&self, place: Option<&str>) -> Self {
        let bare = self.bare().clone();
        match place {
            Some(place) => Self::Inside(place.to_owned(), Box::new(bare)),
            None => bare,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => at.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inside(place, bare) => write!(f, "{bare}{INSIDE}{place})"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// Of a recording: what a configuration names is recorded as it stands there, also where it can be nobody's address (a quote
/// that is not closed swallows lines), and one such name must not cost the whole observation.
impl TryFrom<String> for Address {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().or_else(|why| written(&text).ok_or(why))
    }
}

/// Takes [`Address`]'s own text back, whatever its parts are.
fn written(text: &str) -> Option<Address> {
    if let Some((bare, place)) = text.strip_suffix(')').and_then(|text| text.rsplit_once(INSIDE)) {
        return Some(Address::try_from(bare.to_owned()).ok()?.inside(Some(place)));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(Address::Unix(path.into()));
    }
    let (host, port) = text.rsplit_once(':')?;
    Some(Address::Name(host.to_owned(), port.parse().ok()?))
}

impl FromStr for Address {
    type Err = String;

    /// `127.0.0.1:8080`, `[::1]:8080`, `app.internal:8080`, `unix:/run/app.sock`; each perhaps with ` (in container web)`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((bare, place)) = text.strip_suffix(')').and_then(|text| text.rsplit_once(INSIDE))
            && !place.is_empty()
        {
            return Ok(bare.parse::<Self>()?.inside(Some(place)));
        }
        if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
            return if path.is_empty() { Err("a unix socket without a path".to_owned()) } else { Ok(Self::Unix(path.into())) };
        }
        if let Ok(at) = text.parse() {
            return Ok(Self::Tcp(at));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text}: no port"))?;
        let port = port.parse().map_err(|_| format!("{text}: {port} is not a port"))?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "/[]".contains(c)) {
            return Err(format!("{text}: {host} is not a host name"));
        }
        Ok(Self::Name(host.to_owned(), port))
    }
}

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1 in plain text.
    Http,
    /// HTTP/1 over TLS.
    Https,
    /// FastCGI, as php-fpm speaks it.
    Fastcgi,
    /// uwsgi's own packet format.
    Uwsgi,
    /// SCGI.
    Scgi,
    /// AJP 1.3, as Tomcat's connector speaks it.
    Ajp,
    /// HTTP/2 in plain text with prior knowledge, as gRPC uses it.
    Grpc,
    /// HTTP/2 over TLS.
    Grpcs,
    /// Anything else over a stream: only the connection itself can be tried.
    Stream,
}

impl Protocol {
    /// The scheme that gateways use for it in configurations and logs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Fastcgi => "fastcgi",
            Self::Uwsgi => "uwsgi",
            Self::Scgi => "scgi",
            Self::Ajp => "ajp",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::Stream => "tcp",
        }
    }

    /// What a sentence calls it: of gRPC the HTTP/2 below it is what others may not speak, and HAProxy's `proto h2` is no more.
    pub fn called(self) -> &'static str {
        match self {
            Self::Grpc => "HTTP/2 (as gRPC does)",
            Self::Grpcs => "HTTP/2 over TLS (as gRPC does)",
            Self::Http | Self::Https | Self::Fastcgi | Self::Uwsgi | Self::Scgi | Self::Ajp | Self::Stream => self.scheme(),
        }
    }

    /// Whether the connection begins with a TLS handshake.
    pub fn tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_way_through_text() {
        for text in [
            "127.0.0.1:80",
            "[::1]:8080",
            "app.internal:9000",
            "unix:/run/php/php8.2-fpm.sock",
            "[::1]:80 (in container web)",
            "unix:/a b (in b.service)",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for bad in ["", "unix:", "app", "app:", "app:99999", ":80", "a b:80", "[::1:80"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_broken_configuration_names_is_read_back_from_a_recording() {
        for (host, port) in [("<Proxy ", 80), ("\0\0", 8000), ("1/nginx.pid", 80), ("", 1), ("a:b", 2), ("x (in y", 3)] {
            for place in [None, Some("container web"), Some("")] {
                let address = Address::Name(host.to_owned(), port).inside(place);
                let text = serde_json::to_string(&address).expect("text");
                assert_eq!(serde_json::from_str::<Address>(&text).ok(), Some(address), "{text}");
            }
        }
        let nameless = serde_json::to_string(&Address::Unix(std::path::PathBuf::new())).expect("text");
        assert!(serde_json::from_str::<Address>(&nameless).is_ok(), "{nameless}");
    }
}
