//! Squid as a reverse proxy: `http_port ... accel` and `cache_peer ... originserver` (squid.conf.documented).

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use super::read::{Input, Read, address, lines, listen, of_host, route, server, set, site};
use crate::model::{Listen, LogFormat, LogSource, PathMatch, Place, Protocol, Role, Server, SourceKind};

/// Milliseconds of `peer_connect_timeout` and `read_timeout` where none is set.
const TIMEOUTS: (u64, u64) = (30_000, 900_000);
/// Includes within includes at most.
const DEPTH: usize = 16;

#[derive(Default)]
struct Found {
    listens: Vec<Listen>,
    names: Vec<String>,
    peers: Vec<Peer>,
    /// Names of peers that not all requests may go to, with the rule.
    limited: Vec<(String, String)>,
    connect_ms: Option<u64>,
    read_ms: Option<u64>,
}

struct Peer {
    name: String,
    server: Server,
    tls: bool,
    turns: bool,
    words: String,
}

/// Reads the files.
pub fn read(input: &Input<'_>) -> Read {
    let mut read = Read::default();
    let mut found = Found::default();
    load(input, &mut read, input.config, &mut found, 0);
    let at = Place { file: input.config.to_owned().into(), line: 1 };
    let timeouts = (found.connect_ms.unwrap_or(TIMEOUTS.0), found.read_ms.unwrap_or(TIMEOUTS.1));
    let mut routes = Vec::new();
    let protocol = |tls: bool| if tls { Protocol::Https } else { Protocol::Http };
    let rule = |peer: &Peer| found.limited.iter().find(|(name, _)| *name == peer.name).map(|(_, rule)| rule.clone());
    for peer in &found.peers {
        if let Some(rule) = rule(peer) {
            let mut own =
                route(PathMatch::Condition(rule), protocol(peer.tls), vec![peer.server.clone()], timeouts, peer.server.at.clone());
            set(&mut own, "cache_peer", &peer.words, &peer.server.at);
            routes.push(own);
        }
    }
    let free: Vec<&Peer> = found.peers.iter().filter(|peer| rule(peer).is_none()).collect();
    if let Some(first) = free.first() {
        // The first that lives gets all requests, unless they take turns (peerGetRoundRobinParent).
        let turns = free.iter().any(|peer| peer.turns);
        let role = |index: usize| if index == 0 || turns { Role::Primary } else { Role::Backup };
        let servers = free.iter().enumerate().map(|(index, peer)| Server { role: role(index), ..peer.server.clone() }).collect();
        let mut all = route(PathMatch::Any, protocol(first.tls), servers, timeouts, first.server.at.clone());
        set(&mut all, "cache_peer", &first.words, &first.server.at);
        routes.push(all);
    }
    // A proxy that goes where its clients say passes nothing on by its own choice.
    let sites = !found.listens.is_empty();
    if sites {
        read.sites.push(site(found.names, found.listens, routes, at));
    }
    read
}

fn load(input: &Input<'_>, read: &mut Read, path: &Path, found: &mut Found, depth: usize) {
    let Some(text) = read.text(input.root, path) else { return };
    // Squid's own example has 9,000 lines of comment.
    let own = Place { file: path.to_owned().into(), line: 0 };
    for (number, line) in lines(&text, &["#"]).filter(|(_, line)| !line.is_empty()) {
        let place = Place { line: number, ..own.clone() };
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((name, args)) = words.split_first() else { continue };
        match (*name, args) {
            ("include", files) if depth < DEPTH => {
                let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
                for file in files.iter().flat_map(|file| read.paths(input.root, &folder, file)).collect::<Vec<_>>() {
                    load(input, read, &file, found, depth + 1);
                }
            }
            ("http_port" | "https_port", [at, options @ ..]) => {
                if let Some(address) = address(at, true)
                    .filter(|_| options.iter().any(|word| matches!(*word, "accel" | "vhost") || word.starts_with("defaultsite=")))
                {
                    found.listens.push(listen(address, *name == "https_port", &place));
                    let site = options.iter().find_map(|word| word.strip_prefix("defaultsite="));
                    let name = site.map(|site| site.split(':').next().unwrap_or(site).to_owned());
                    found.names.extend(name.filter(|name| !found.names.contains(name)));
                }
            }
            ("cache_peer", [host, "parent", port, _, options @ ..]) => {
                let Some(port) = port.parse().ok().filter(|port| *port > 0) else { continue };
                let address = of_host(host, port, IpAddr::V4(Ipv4Addr::LOCALHOST));
                let named = options.iter().find_map(|word| word.strip_prefix("name="));
                found.peers.push(Peer {
                    name: named.unwrap_or(host).to_owned(),
                    server: server(address, &place),
                    tls: options.iter().any(|word| matches!(*word, "ssl" | "tls")),
                    turns: options.iter().any(|word| word.ends_with("round-robin") || word.ends_with("hash") || *word == "carp"),
                    words: args.join(" "),
                });
            }
            ("cache_peer_access", [peer, "allow", rules @ ..]) if rules != ["all"] => {
                found.limited.push(((*peer).to_owned(), rules.join(" ")));
            }
            ("peer_connect_timeout", [number, unit @ ..]) => found.connect_ms = milliseconds(number, unit),
            ("read_timeout", [number, unit @ ..]) => found.read_ms = milliseconds(number, unit),
            ("cache_log", [file]) => {
                read.logs.push(LogSource { path: file.into(), kind: SourceKind::Error, format: LogFormat::Plain });
            }
            ("access_log", [file, ..]) if *file != "none" => {
                let file = file.strip_prefix("stdio:").or_else(|| file.strip_prefix("daemon:")).unwrap_or(file);
                if file.starts_with('/') {
                    read.logs.push(LogSource { path: file.into(), kind: SourceKind::Access, format: LogFormat::Plain });
                }
            }
            _ => {}
        }
    }
}

/// `15 minutes`, `30 seconds`.
fn milliseconds(number: &str, unit: &[&str]) -> Option<u64> {
    let number: u64 = number.parse().ok()?;
    let unit = match unit.first().copied().unwrap_or("second").trim_end_matches('s') {
        "millisecond" => 1,
        "second" => 1_000,
        "minute" => 60_000,
        "hour" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit)
}
