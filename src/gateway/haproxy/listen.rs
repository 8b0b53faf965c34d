//! `bind` lines: where clients come in.

use std::net::{IpAddr, Ipv4Addr};

use super::proxy::Proxy;
use crate::model::{Address, Listen, Place};

/// Ports of one range at most: a range of thousands is for a protocol of many ports, and one tells of all.
const OF_RANGE: u16 = 16;
/// Ports on which the web is served, without TLS and with it: what HAProxy passes on there in TCP mode is HTTP all the same.
pub const PLAIN_PORTS: &[u16] = &[80, 81, 8000, 8008, 8080, 8081, 8888];
pub const TLS_PORTS: &[u16] = &[443, 8443];
/// Addresses of one proxy at most.
const LISTENS: usize = 256;

/// All addresses of a proxy; what HAProxy would refuse is added to `problems`.
pub fn listens(proxy: &Proxy<'_>, problems: &mut Vec<(Place, String)>) -> Vec<Listen> {
    let mut out = Vec::new();
    for line in proxy.own("bind") {
        let has = |word: &str| line.words().skip(2).any(|known| known == word);
        let of_web = |address: &Address| !proxy.http() && address.port().is_some_and(|port| TLS_PORTS.contains(&port));
        for text in line.word(1).split(',') {
            match addresses(text) {
                Ok(all) => out.extend(all.into_iter().map(|address| Listen {
                    // What is passed through as it comes is spoken by the servers behind.
                    tls: has("ssl") || of_web(&address),
                    address,
                    proxy_protocol: has("accept-proxy") || has("accept-netscaler-cip"),
                    default: false,
                    at: line.place(),
                })),
                Err(error) => problems.push((line.place(), format!("'bind' : {error}"))),
            }
        }
    }
    out.truncate(LISTENS);
    out
}

/// `*:80`, `:80`, `10.0.0.1:8000-8010`, `[::]:443`, `:::443`, `/run/in.sock`, `unix@/run/in.sock`, `abns@in`. Empty: a descriptor, or
/// QUIC, which is not tried.
fn addresses(text: &str) -> Result<Vec<Address>, String> {
    let (rest, any): (&str, IpAddr) = match text.split_once('@') {
        Some(("unix" | "uxst", path)) => return Ok(vec![Address::Unix(path.into())]),
        Some(("abns", name)) => return Ok(vec![Address::Unix(format!("@{name}").into())]),
        Some(("ipv6" | "tcp6", rest)) => (rest, std::net::Ipv6Addr::UNSPECIFIED.into()),
        Some(("ipv4" | "tcp" | "tcp4", rest)) => (rest, Ipv4Addr::UNSPECIFIED.into()),
        Some(("fd" | "sockpair" | "quic4" | "quic6" | "udp" | "udp4" | "udp6" | "rhttp", _)) => return Ok(Vec::new()),
        Some(_) | None if text.starts_with('/') => return Ok(vec![Address::Unix(text.into())]),
        Some(_) | None => (text, Ipv4Addr::UNSPECIFIED.into()),
    };
    let (host, ports) = rest.rsplit_once(':').ok_or_else(|| format!("missing port number in '{text}'"))?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0);
    let (Some(first), Some(last)) = (port(first), port(last)) else { return Err(format!("invalid port '{ports}' in '{text}'")) };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = match host {
        "" | "*" => Some(any),
        host => host.parse::<IpAddr>().ok(),
    };
    let one = |port: u16| ip.map_or_else(|| Address::Name(host.to_owned(), port), |ip| Address::Tcp((ip, port).into()));
    Ok((first..=last).take(usize::from(OF_RANGE)).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_clients() {
        let of = |text: &str| match addresses(text) {
            Ok(all) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => format!("!{error}"),
        };
        for (text, expected) in [
            ("*:80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80"),
            (":::443", "[::]:443"),
            ("[::]:443", "[::]:443"),
            ("ipv6@:80", "[::]:80"),
            ("10.0.0.1:8000-8002", "10.0.0.1:8000 10.0.0.1:8001 10.0.0.1:8002"),
            ("/run/in.sock", "unix:/run/in.sock"),
            ("abns@in", "unix:@in"),
            ("quic4@:443", ""),
            ("10.0.0.1", "!missing port number in '10.0.0.1'"),
            ("10.0.0.1:x", "!invalid port 'x' in '10.0.0.1:x'"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(addresses(":1-65535").map(|all| all.len()), Ok(usize::from(OF_RANGE)));
    }
}
