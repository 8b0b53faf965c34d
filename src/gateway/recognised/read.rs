//! What the readers share: files, routes, addresses.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use super::super::{denied, written::written};
use crate::{
    model::{
        Address, BlindSpot, Listen, LogSource, PathMatch, Place, Protocol, Route, RouteChoice, Server, Setting, Site,
        TrustSettings, Verifier,
    },
    sys::{Root, glob},
};

/// Bytes of one file at most.
const FILE_BYTES: u64 = 8 << 20;
/// Files of one configuration at most.
const FILES: usize = 500;

/// What a reader has to look at.
pub struct Input<'a> {
    /// Where the files are.
    pub root: &'a Root,
    /// The main file.
    pub config: &'a Path,
    /// The command line.
    pub argv: &'a [String],
}

/// What a reader found.
#[derive(Debug, Default)]
pub struct Read {
    /// Sites.
    pub sites: Vec<Site>,
    /// Files that were read.
    pub files: Vec<(PathBuf, Option<i64>)>,
    /// What the gateway would refuse.
    pub problems: Vec<(Place, String)>,
    /// What may not be read.
    pub blind: Vec<BlindSpot>,
    /// What else tells of a change.
    pub watch: Vec<PathBuf>,
    /// Logs that are configured.
    pub logs: Vec<LogSource>,
    /// Where it tells of its servers, and by which path.
    pub admin: Option<(Address, &'static str)>,
}

impl Read {
    /// The text of a file, which is noted. `None`: it was read before, or can't be.
    pub fn text(&mut self, root: &Root, path: &Path) -> Option<String> {
        if self.files.len() >= FILES || self.files.iter().any(|(known, _)| known == path) {
            return None;
        }
        match root.read_at_most(path, FILE_BYTES) {
            Ok((bytes, _)) => {
                self.files.push((path.to_owned(), written(root, path)));
                Some(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())
            }
            Err(error) => {
                if error.denied() {
                    self.blind.push(denied(root, path, "configuration"));
                }
                None
            }
        }
    }

    /// Files that a pattern or a path names, relative to a folder.
    pub fn paths(&mut self, root: &Root, folder: &Path, name: &str) -> Vec<PathBuf> {
        let path = folder.join(name);
        if !glob::is_pattern(name) {
            return vec![path];
        }
        let found = glob::expand(root, &path);
        self.watch.extend(found.directories);
        found.paths
    }
}

/// The value of an option: `-f x`, `-fx`, `--long x`, `--long=x`.
pub fn option<'a>(argv: &'a [String], name: &str) -> Option<&'a str> {
    options(argv, name).pop()
}

/// All values of an option that may come again.
pub fn options<'a>(argv: &'a [String], name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(rest) = word.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name)).map(|_| &word[name.len()..]) else {
            continue;
        };
        match rest.strip_prefix('=') {
            _ if rest.is_empty() => found.extend(words.next().map(String::as_str)),
            Some(value) => found.push(value),
            None if !name.starts_with("--") => found.push(rest),
            None => {}
        }
    }
    found
}

/// An address to listen on or to connect to: `:80`, `80`, `127.0.0.1:80`, `[::1]:80`, `name:80`.
pub fn address(text: &str, any: bool) -> Option<Address> {
    let text = text.trim();
    if text.starts_with('/') || text.starts_with("unix:") {
        return text.parse().ok();
    }
    let ip = if any { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    Some(of_host(host, port, IpAddr::V4(ip)))
}

/// Of host and port; an empty host or a star is `default`.
pub fn of_host(host: &str, port: u16, default: IpAddr) -> Address {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) => Address::Tcp((ip, port).into()),
        Err(_) if host.is_empty() || host == "*" => Address::Tcp((default, port).into()),
        Err(_) => Address::Name(host.to_owned(), port),
    }
}

/// A place where a site listens.
pub fn listen(address: Address, tls: bool, at: &Place) -> Listen {
    Listen { address, tls, proxy_protocol: false, default: true, at: at.clone() }
}

/// A server that gets requests.
pub fn server(address: Address, at: &Place) -> Server {
    Server::new(address, at.clone())
}

/// A site that asks its routes in their order.
pub fn site(names: Vec<String>, listens: Vec<Listen>, routes: Vec<Route>, at: Place) -> Site {
    Site { names, listens, routes, choice: RouteChoice::FirstMatch, at }
}

/// A route to these servers, with a product's own time-outs in milliseconds for connection and answer.
pub fn route(takes: PathMatch, protocol: Protocol, servers: Vec<Server>, (connect_ms, read_ms): (u64, u64), at: Place) -> Route {
    let (pattern, sample_path) = match &takes {
        PathMatch::Exact(path) | PathMatch::Prefix(path) | PathMatch::FinalPrefix(path) => (path.clone(), path.clone()),
        PathMatch::Pattern(pattern) => (format!("~ {pattern}"), sample(pattern)),
        PathMatch::Any => ("*".to_owned(), "/".to_owned()),
        PathMatch::Condition(what) => (what.clone(), "/".to_owned()),
    };
    Route {
        pattern,
        takes: Some(takes),
        sample_path,
        servers,
        // None of them verifies unless told to, which is not looked for: so nothing is concluded from it.
        trust: protocol.tls().then(|| {
            Box::new(TrustSettings {
                verifier: Verifier::Openssl,
                unclear: Some("what is verified".to_owned()),
                ..TrustSettings::default()
            })
        }),
        connect_ms,
        read_ms,
        ..Route::new(protocol, at)
    }
}

/// A path that a plain pattern finds: its literal begin.
fn sample(pattern: &str) -> String {
    let text = pattern.trim_start_matches("(?i)").trim_start_matches('^');
    let literal: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_')).collect();
    if literal.starts_with('/') {
        literal
    } else if pattern.contains(".php") {
        "/index.php".to_owned()
    } else {
        "/".to_owned()
    }
}

/// Notes a setting of a route.
pub fn set(route: &mut Route, name: &str, value: &str, at: &Place) {
    route.settings.insert(name.to_owned(), Setting { value: value.into(), at: Some(at.clone()) });
}

/// Lines without comments, with their numbers. `marks`: what begins a comment.
pub fn lines<'a>(text: &'a str, marks: &'a [&'a str]) -> impl Iterator<Item = (u32, &'a str)> {
    (1_u32..).zip(text.lines()).map(move |(number, line)| {
        // Most lines of an example are comments.
        if marks.iter().any(|mark| line.starts_with(mark)) {
            return (number, "");
        }
        let end = marks.iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        (number, line[..end].trim_end())
    })
}
