//! Traefik: `entryPoints` of its static file, and the URLs of `servers` in the files of its file provider (YAML or TOML). What
//! labels of containers say stands in no file.

use std::{path::Path, sync::LazyLock};

use regex::Regex;

use super::read::{Input, Read, address, lines, listen, route, server, site};
use crate::model::{Address, Listen, PathMatch, Place, Protocol, Route};

/// Milliseconds of `forwardingTimeouts.dialTimeout`, and of an answer: for ever.
const TIMEOUTS: (u64, u64) = (30_000, u64::MAX);
/// Where the API tells of services and their servers.
const SERVICES: &str = "/api/http/services";
/// Routes that are kept.
const ROUTES: usize = 2_000;

/// Reads the files.
pub fn read(input: &Input<'_>) -> Read {
    let mut read = Read::default();
    let (mut listens, mut routes) = (Vec::new(), Vec::new());
    let at = Place { file: input.config.to_owned().into(), line: 1 };
    // `--entryPoints.web.address=:80`
    for word in input.argv.iter().filter(|word| word.to_ascii_lowercase().starts_with("--entrypoints.")) {
        let to = word.to_ascii_lowercase().contains(".address=").then(|| word.split_once('=')).flatten();
        listens.extend(to.and_then(|(_, to)| address(to, true)).map(|to| listen(to, false, &at)));
    }
    let providers = |text: &str| -> Vec<String> {
        static FILES: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"(?im)^\s*(?:filename|directory)\s*[:=]\s*["']?([^"'\s]+)"#).ok());
        FILES.iter().flat_map(|regex| regex.captures_iter(text)).map(|one| one[1].to_owned()).collect()
    };
    let mut whole = String::new();
    if let Some(text) = read.text(input.root, input.config) {
        whole.clone_from(&text);
        file(input.config, &text, &mut listens, &mut routes);
        let folder = input.config.parent().unwrap_or(Path::new("/")).to_owned();
        for name in providers(&text) {
            let path = folder.join(&name);
            let is_file = [".yml", ".yaml", ".toml"].iter().any(|end| name.ends_with(end));
            let names = if is_file {
                vec![name]
            } else {
                [".yml", ".yaml", ".toml"].map(|end| format!("{}/*{end}", path.display())).into()
            };
            for one in names.iter().flat_map(|name| read.paths(input.root, &folder, name)).collect::<Vec<_>>() {
                if let Some(text) = read.text(input.root, &one) {
                    file(&one, &text, &mut Vec::new(), &mut routes);
                }
            }
        }
    }
    if insecure(input.argv, &whole) {
        let flag = input
            .argv
            .iter()
            .find_map(|word| word.to_ascii_lowercase().strip_prefix("--entrypoints.traefik.address=").map(str::to_owned));
        let at = flag.or_else(|| own_entry(&whole)).unwrap_or_else(|| ":8080".to_owned());
        let port = at.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        read.admin = port.map(|port| (Address::Tcp(([127, 0, 0, 1], port).into()), SERVICES));
    }
    // Which router sends which requests where is not followed: of one service only it is plain.
    if let [only] = routes.as_mut_slice() {
        let servers = only.servers.clone();
        *only = route(PathMatch::Any, only.protocol, servers, TIMEOUTS, only.at.clone());
    }
    read.sites.push(site(Vec::new(), listens, routes, at));
    read
}

/// Whether the API is open on the entry point `traefik`: `api.insecure`.
fn insecure(argv: &[String], text: &str) -> bool {
    static OPEN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^\[?api\]?:?[^\n]*(?:\n[ \t]+[^\n]*|\ninsecure[^\n]*)*?\binsecure\s*[:=]\s*true").ok());
    let flag = |word: &String| matches!(word.to_ascii_lowercase().as_str(), "--api.insecure" | "--api.insecure=true");
    argv.iter().any(flag) || OPEN.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// The address of the entry point of its own.
fn own_entry(text: &str) -> Option<String> {
    static OWN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?m)(?:^\s+traefik\s*:|^\s*\[entryPoints\.traefik\])\s*\{?\s*address\s*[:=]\s*["']?([^"'\s}]+)"#).ok()
    });
    Some(OWN.as_ref()?.captures(text)?[1].to_owned())
}

fn file(path: &Path, text: &str, listens: &mut Vec<Listen>, routes: &mut Vec<Route>) {
    static ENTRY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"^\s*address\s*[:=]\s*["']?([^"'\s]+)"#).ok());
    static URL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"\burl\s*[:=]\s*["']?(https?|h2c)://([^"'\s/]+)"#).ok());
    let mut before = 0;
    for (number, line) in lines(text, &[" #"]) {
        let at = Place { file: path.to_owned().into(), line: number };
        if let Some(found) = ENTRY.as_ref().and_then(|regex| regex.captures(line)) {
            listens.extend(address(&found[1], true).map(|to| listen(to, found[1].ends_with(":443"), &at)));
        }
        let Some(found) = URL.as_ref().and_then(|regex| regex.captures(line)) else { continue };
        let (protocol, port) = match &found[1] {
            "https" => (Protocol::Https, 443),
            "h2c" => (Protocol::Grpc, 80),
            _ => (Protocol::Http, 80),
        };
        let to = address(&found[2], false).or_else(|| address(&format!("{}:{port}", &found[2]), false));
        let Some(to) = to.filter(|_| routes.len() < ROUTES) else { continue };
        // URLs in neighbouring lines are of one service.
        let near = before > 0 && number <= before + 3;
        if let Some(last) = routes.last_mut().filter(|last| near && last.protocol == protocol && last.at.file.as_path() == path) {
            last.servers.push(server(to, &at));
        } else {
            let takes = PathMatch::Condition(format!("the router of the service at line {number}"));
            routes.push(route(takes, protocol, vec![server(to, &at)], TIMEOUTS, at));
        }
        before = number;
    }
}
