//! `listen` and its defaults.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

use foldhash::fast::RandomState;

use super::{
    target::{Authority, address, authority},
    tree::{Directive, Problems},
};
use crate::model::{Address, Listen, Place, Site};

/// Ports of one range that are kept (`listen 8000-8100` of the stream module).
const RANGE: u16 = 16;

/// Where a server listens. `default_port`: without any `listen`; `None` where nginx wants one (stream).
pub fn listens(server: &[Directive], at: &Place, default_port: Option<u16>, problems: &mut Problems) -> Vec<Listen> {
    // `ssl on` was dropped in 1.25.1, and older hosts still have it.
    let legacy_tls = server.iter().any(|one| one.name == "ssl" && one.arg(0).is_some_and(|arg| arg.eq_ignore_ascii_case("on")));
    let written: Vec<&Directive> = server.iter().filter(|one| one.name == "listen").collect();
    let mut found = Vec::new();
    for directive in &written {
        let has = |flag: &str| directive.args.iter().skip(1).any(|arg| arg == flag);
        // QUIC and the stream module's `udp` are datagrams: no stream socket listens there.
        if has("quic") || has("udp") {
            continue;
        }
        match addresses(directive.arg(0).unwrap_or_default(), default_port) {
            Ok(addresses) => found.extend(addresses.into_iter().map(|address| Listen {
                address,
                tls: has("ssl") || legacy_tls,
                proxy_protocol: has("proxy_protocol"),
                default: has("default_server") || has("default"),
                at: directive.place(),
            })),
            Err(error) => {
                let what = format!("{error} in \"{}\" of the \"listen\" directive", directive.arg(0).unwrap_or_default());
                problems.add(directive.place(), what);
            }
        }
    }
    if let Some(port) = default_port.filter(|_| written.is_empty()) {
        let address = Address::Tcp((Ipv4Addr::UNSPECIFIED, port).into());
        found.push(Listen { address, tls: legacy_tls, proxy_protocol: false, default: false, at: at.clone() });
    }
    found
}

fn addresses(text: &str, default_port: Option<u16>) -> Result<Vec<Address>, String> {
    let any = |port: u16| Address::Tcp((Ipv4Addr::UNSPECIFIED, port).into());
    // An address without a port means 80 even where no `listen` at all would mean 8000.
    let port_80 = default_port.map(|_| 80);
    if let Some((first, last)) = text.rsplit_once('-')
        && let (Some((head, first)), Ok(last)) = (split_port(first), last.parse::<u16>())
    {
        let range = first..=last.min(first.saturating_add(RANGE - 1));
        return range
            .map(|port| addresses(&format!("{head}{port}"), default_port)?.pop().ok_or_else(|| "invalid port".to_owned()))
            .collect();
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(vec![any(port)]),
            Ok(_) | Err(_) => Err("invalid port".to_owned()),
        };
    }
    let authority = match authority(text)? {
        Authority::Host(host, port) if host == "*" => Authority::Host(IpAddr::V4(Ipv4Addr::UNSPECIFIED).to_string(), port),
        other @ (Authority::Host(..) | Authority::Unix(_)) => other,
    };
    address(&authority, port_80).map(|address| vec![address]).ok_or_else(|| "no port".to_owned())
}

/// `127.0.0.1:8000` at its port.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let at = text.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    Some((&text[..at], text[at..].parse().ok()?)).filter(|(head, _)| head.is_empty() || head.ends_with(':'))
}

/// TLS and PROXY protocol belong to the address, not to the server: one `ssl` turns it on for all that share it.
pub fn share_flags(sites: &mut [Site]) {
    if !sites.iter().flat_map(|site| &site.listens).any(|listen| listen.tls || listen.proxy_protocol) {
        return;
    }
    let mut by_address: HashMap<Address, (bool, bool), RandomState> = HashMap::default();
    for listen in sites.iter().flat_map(|site| &site.listens) {
        if let Some((tls, proxy_protocol)) = by_address.get_mut(&listen.address) {
            *tls |= listen.tls;
            *proxy_protocol |= listen.proxy_protocol;
        } else {
            by_address.insert(listen.address.clone(), (listen.tls, listen.proxy_protocol));
        }
    }
    for listen in sites.iter_mut().flat_map(|site| &mut site.listens) {
        if let Some(flags) = by_address.get(&listen.address) {
            (listen.tls, listen.proxy_protocol) = *flags;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_nginx_reads_them() {
        for (text, expected) in [
            ("80", "0.0.0.0:80"),
            ("*:8080", "0.0.0.0:8080"),
            ("*", "0.0.0.0:80"),
            ("127.0.0.1", "127.0.0.1:80"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::]:443", "[::]:443"),
            ("[::]", "[::]:80"),
            ("localhost:8000", "localhost:8000"),
            ("unix:/run/nginx.sock", "unix:/run/nginx.sock"),
            ("8000-8002", "0.0.0.0:8000 0.0.0.0:8001 0.0.0.0:8002"),
            ("127.0.0.1:90-91", "127.0.0.1:90 127.0.0.1:91"),
            ("web-1.internal:80", "web-1.internal:80"),
            ("99999", "!invalid port"),
            ("", "!invalid port"),
            ("[::", "!invalid host"),
        ] {
            let shown = match addresses(text, Some(80)) {
                Ok(all) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                Err(error) => format!("!{error}"),
            };
            assert_eq!(shown, expected, "{text}");
        }
    }
}
