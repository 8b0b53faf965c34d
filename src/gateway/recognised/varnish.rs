//! Varnish: the backends of a VCL and where its command line listens (vcl(7), varnishd(1)).

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::LazyLock,
};

use regex::Regex;

use super::{
    read::{Input, Read, address, lines, listen, of_host, options, route, server, set, site},
    vcl::{self, Statement},
};
use crate::model::{
    Address, HEALTH_CHECK, HEALTH_CHECK_EXPECTS, HEALTH_CHECK_HOST, Listen, PathMatch, Place, Protocol, Route, Server,
};

/// Milliseconds of `connect_timeout` and `first_byte_timeout` where none is set.
const TIMEOUTS: (u64, u64) = (3_500, 60_000);
/// Backends of one VCL at most.
const BACKENDS: usize = 2_000;

/// A `backend` block.
#[derive(Debug, Clone)]
struct Backend {
    name: String,
    at: Place,
    values: Vec<(String, String, Place)>,
}

/// What all files of a VCL say.
#[derive(Debug, Default)]
struct Vcl {
    backends: Vec<Backend>,
    statements: Vec<Statement>,
    /// Their lines without comments.
    all: String,
    /// What Varnish answers every request by itself.
    always: Vec<Route>,
    /// The same under a condition.
    sometimes: Vec<Route>,
}

/// Reads the files.
pub fn read(input: &Input<'_>) -> Read {
    let mut read = Read::default();
    let at = Place { file: input.config.to_owned().into(), line: 1 };
    let listens = listens(input.argv, &at);
    let mut found = Vcl::default();
    load(input, &mut read, input.config, &mut found, 0);
    let mut routes = std::mem::take(&mut found.always);
    // `varnishd -b 127.0.0.1:8080` without any VCL.
    if let Some(to) = options(input.argv, "-b").first().and_then(|text| address(text, false)) {
        routes.push(route(PathMatch::Any, Protocol::Http, vec![server(to, &at)], TIMEOUTS, at.clone()));
    } else {
        routes.extend(chosen(&found));
        // Behind all others, as a condition that only a request tells ends the search for a route.
        routes.extend(found.sometimes);
    }
    read.sites.push(site(Vec::new(), listens, routes, at));
    read
}

/// `-a :6081`, `-a name=127.0.0.1:80,HTTP`, `-a /run/v.sock`.
fn listens(argv: &[String], at: &Place) -> Vec<Listen> {
    let mut found = Vec::new();
    for text in options(argv, "-a") {
        let text = text.split_once('=').map_or(text, |(_, rest)| rest);
        let (to, how) = text.split_once(',').unwrap_or((text, ""));
        let to = if to.contains(':') || to.starts_with('/') { to.to_owned() } else { format!("{to}:80") };
        if let Some(address) = address(&to, true) {
            let proxy_protocol = how.split(',').any(|word| word.eq_ignore_ascii_case("PROXY"));
            found.push(Listen { proxy_protocol, ..listen(address, false, at) });
        }
    }
    if found.is_empty() {
        found.push(listen(Address::Tcp((Ipv4Addr::UNSPECIFIED, 80).into()), false, at));
    }
    found
}

/// Reads a file and what it includes.
fn load(input: &Input<'_>, read: &mut Read, path: &Path, found: &mut Vcl, depth: usize) {
    /// Includes within includes at most.
    const DEPTH: usize = 10;
    let Some(text) = read.text(input.root, path) else { return };
    let statements = vcl::statements(&text);
    let (always, sometimes) = vcl::answers(&statements, path);
    found.always.extend(always);
    found.sometimes.extend(sometimes);
    add_backends(&statements, path, &mut found.backends);
    found.statements.extend(statements);
    let text = without_comments(&text);
    for (_, line) in lines(&text, &["//", "#"]) {
        let words = line.trim();
        if let Some(name) = words.strip_prefix("include").map(|rest| rest.trim().trim_end_matches(';').trim_matches('"'))
            && depth < DEPTH
            && !name.is_empty()
        {
            let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
            for file in read.paths(input.root, &folder, name) {
                load(input, read, &file, found, depth + 1);
            }
        }
        found.all.push_str(line);
        found.all.push('\n');
    }
}

/// The `backend` blocks of one file. What stands in a probe's own block is not the backend's.
fn add_backends(statements: &[Statement], path: &Path, backends: &mut Vec<Backend>) {
    for one in statements {
        let at = Place { file: path.to_owned().into(), line: one.line };
        let (name, value) = match one.within.as_slice() {
            // `backend default none;` has no address.
            [] => (one.text.strip_prefix("backend ").and_then(|rest| rest.strip_suffix(" none")), None),
            [outer] => (outer.strip_prefix("backend "), one.text.split_once('=')),
            _ => continue,
        };
        let Some(name) = name else { continue };
        if backends.last().is_none_or(|last| last.name != name) {
            if backends.len() >= BACKENDS {
                return;
            }
            backends.push(Backend { name: name.to_owned(), at: at.clone(), values: Vec::new() });
        }
        if let Some((backend, (name, value))) = backends.last_mut().zip(value) {
            let value = value.trim().trim_matches('"').to_owned();
            backend.values.push((name.trim().trim_start_matches('.').to_owned(), value, at));
        }
    }
}

/// `/* ... */` as blanks, so that lines keep their numbers.
fn without_comments(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((head, tail)) = rest.split_once("/*") {
        out.push_str(head);
        let (inside, behind) = tail.split_once("*/").unwrap_or((tail, ""));
        out.extend(inside.chars().filter(|c| *c == '\n'));
        rest = behind;
    }
    out.push_str(rest);
    out
}

impl Backend {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, ..)| known == name).map(|(_, value, _)| value.as_str())
    }

    fn server(&self) -> Option<Server> {
        let at = self.values.iter().find(|(name, ..)| name == "host" || name == "path").map_or(&self.at, |(.., at)| at);
        let address = match (self.value("path"), self.value("host")) {
            (Some(path), _) => Address::Unix(path.into()),
            (None, Some(host)) => {
                // `.host = "127.0.0.1:8080"` is taken, too.
                let (host, inner) = host.rsplit_once(':').filter(|(head, _)| !head.contains(':')).unwrap_or((host, "80"));
                // No name has one: it would read like the path of a socket.
                if host.contains('/') {
                    return None;
                }
                let port = self.value("port").unwrap_or(inner).parse().ok()?;
                of_host(host, port, IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            (None, None) => return None,
        };
        Some(server(address, at))
    }

    fn timeouts(&self) -> (u64, u64) {
        let of = |name: &str, default| self.value(name).and_then(milliseconds).unwrap_or(default);
        (of("connect_timeout", TIMEOUTS.0), of("first_byte_timeout", TIMEOUTS.1))
    }
}

/// `3.5s`, `500ms`, `2m`.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 6e4,
        "h" => 3.6e6,
        _ => return None,
    };
    let milliseconds = number * unit;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at before")]
    if (0.0..1e12).contains(&milliseconds) { Some(milliseconds as u64) } else { None }
}

/// The routes: those that a path decides, then the default one; the first backend is the default, unless one has that name.
fn chosen(found: &Vcl) -> Vec<Route> {
    static BY_PATH: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?s)if\s*\(\s*req\.url\s*~\s*"([^"]*)"\s*\)\s*\{[^}]*?set\s+req\.backend_hint\s*=\s*([\w.]+)"#).ok()
    });
    static ADDED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\w+)\.add_backend\(\s*(\w+)").ok());
    static HINT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"set\s+req\.backend_hint\s*=\s*([\w.]+)").ok());
    let (text, backends) = (found.all.as_str(), found.backends.as_slice());
    // Most choose nothing, and making a pattern takes longer than reading all of their text.
    let chooses = text.contains("backend_hint") || text.contains("add_backend");
    let pairs = |regex: &LazyLock<Option<Regex>>| -> Vec<(String, String)> {
        let found = chooses.then(|| regex.as_ref()).flatten().into_iter().flat_map(|regex| regex.captures_iter(text));
        found.map(|one| (one[1].to_owned(), one.get(2).map_or_else(String::new, |two| two.as_str().to_owned()))).collect()
    };
    let added = pairs(&ADDED);
    // A director, or one backend.
    let members = |name: &str| -> Vec<&Backend> {
        let name = name.split('.').next().unwrap_or_default();
        let of_director: Vec<&str> =
            added.iter().filter(|(director, _)| director == name).map(|(_, backend)| backend.as_str()).collect();
        backends.iter().filter(|one| one.name == name || of_director.contains(&one.name.as_str())).collect()
    };
    let make = |takes: PathMatch, members: &[&Backend]| -> Option<Route> {
        let first = members.first()?;
        let servers: Vec<Server> = members.iter().filter_map(|backend| backend.server()).collect();
        let mut made = route(takes, Protocol::Http, servers, first.timeouts(), first.at.clone());
        made.host_header = first.value("host_header").map(str::to_owned);
        for (name, value, at) in &first.values {
            set(&mut made, name, value, at);
        }
        if let Some(probe) = vcl::probe(&found.statements, &first.name) {
            set(&mut made, HEALTH_CHECK, &probe.request, &first.at);
            set(&mut made, HEALTH_CHECK_EXPECTS, &probe.expects, &first.at);
            let host = probe.host.as_deref().or_else(|| first.value("host_header")).or_else(|| first.value("host"));
            if let Some(host) = host {
                set(&mut made, HEALTH_CHECK_HOST, host, &first.at);
            }
        }
        (!made.servers.is_empty()).then_some(made)
    };
    let by_path = pairs(&BY_PATH);
    let mut routes: Vec<Route> =
        by_path.iter().filter_map(|(pattern, name)| make(PathMatch::Pattern(pattern.clone()), &members(name))).collect();
    // A hint that no path decides is for all requests where it is the only one.
    let hints: Vec<String> =
        pairs(&HINT).into_iter().map(|(name, _)| name).filter(|name| !by_path.iter().any(|(_, known)| known == name)).collect();
    let default = match hints.as_slice() {
        [one] => members(one),
        _ => backends.iter().find(|one| one.name == "default").or_else(|| backends.first()).into_iter().collect(),
    };
    routes.extend(make(PathMatch::Any, &default));
    routes
}
