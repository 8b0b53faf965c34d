//! lighttpd: `proxy.server`, `fastcgi.server` and `scgi.server`, with the conditions around them (lighttpd.conf, configfile).

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use super::super::pattern::name_patterns;
use super::read::{Input, Read, listen, of_host, route, server, set, site};
use crate::model::{Address, Listen, LogFormat, LogSource, Order as _, PathMatch, Place, Protocol, Route, SourceKind};

/// Milliseconds of `connect-timeout` (gw_backend.c), and of an answer: for ever.
const TIMEOUTS: (u64, u64) = (8_000, u64::MAX);
/// Conditions and lists within each other at most.
const DEPTH: usize = 24;
/// Tokens of all files at most.
const TOKENS: usize = 500_000;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Mark(&'static str),
}

/// Cuts a file into tokens with their lines.
fn tokens(text: &str) -> Vec<(Token, u32)> {
    const MARKS: &[&str] = &["=>", "==", "=~", "!=", "!~", "=^", "=$", "+=", ":=", "=", "(", ")", "{", "}", ",", "+"];
    let (mut rest, mut line, mut out) = (text, 1_u32, Vec::new());
    while let Some(c) = rest.chars().next() {
        let length = if c == '\n' {
            line += 1;
            1
        } else if c.is_whitespace() {
            c.len_utf8()
        } else if c == '#' {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' || c == '\'' {
            let end = rest[1..].find(c).map_or(rest.len(), |end| end + 2);
            let inside = rest[1..end].trim_end_matches(c);
            out.push((Token::Text(inside.to_owned()), line));
            line += u32::try_from(inside.matches('\n').count()).unwrap_or_default();
            end
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            out.push((Token::Mark(mark), line));
            mark.len()
        } else {
            let stop = |c: char| c.is_whitespace() || "=(){},+#\"".contains(c);
            let length = rest.find(stop).unwrap_or(rest.len()).max(c.len_utf8());
            out.push((Token::Word(rest[..length].to_owned()), line));
            length
        };
        rest = &rest[length..];
        if out.len() >= TOKENS {
            break;
        }
    }
    out
}

/// A value: a text or number, or a list whose members may have names.
#[derive(Debug, Clone)]
enum Value {
    Text(String, u32),
    List(Vec<(String, Value)>),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Text(text, _) => text,
            Self::List(_) => "",
        }
    }

    fn members(&self) -> &[(String, Value)] {
        match self {
            Self::Text(..) => &[],
            Self::List(members) => members,
        }
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.members().iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn line(&self) -> Option<u32> {
        match self {
            Self::Text(_, line) => Some(*line),
            Self::List(members) => members.iter().find_map(|(_, value)| value.line()),
        }
    }
}

/// What holds at one place: the conditions around it.
#[derive(Debug, Clone, Default)]
struct Here {
    socket: Option<String>,
    host: Option<String>,
    path: Option<PathMatch>,
    other: Option<String>,
    depth: usize,
}

struct Reader<'a, 'r> {
    input: &'a Input<'a>,
    read: &'r mut Read,
    port: u16,
    bind: String,
    tls: bool,
    sockets: Vec<(String, bool, Place)>,
    routes: Vec<(Here, Route)>,
}

/// Reads the files.
pub fn read(input: &Input<'_>) -> Read {
    let mut read = Read::default();
    let mut reader =
        Reader { input, read: &mut read, port: 80, bind: String::new(), tls: false, sockets: Vec::new(), routes: Vec::new() };
    reader.file(input.config, &Here::default());
    let Reader { port, bind, tls, sockets, routes, .. } = reader;
    let at = Place { file: input.config.to_owned().into(), line: 1 };
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let main = if bind.starts_with('/') { Address::Unix(bind.into()) } else { of_host(&bind, port, any) };
    let mut listens: Vec<Listen> = vec![listen(main, tls, &at)];
    for (text, tls, at) in &sockets {
        let address = match text.rsplit_once(':') {
            Some((host, port)) => port.parse().ok().map(|port| of_host(host, port, any)),
            None => None,
        };
        if let Some(address) = address.filter(|address| !listens.iter().any(|known| known.address == *address)) {
            listens.push(listen(address, *tls, at));
        }
    }
    // What a condition limits to a host is a site of its own; a later statement goes before an earlier one only where both are the
    // same, so the narrower is asked first.
    let mut hosts: Vec<Option<String>> = routes.iter().map(|(here, _)| here.host.clone()).collect();
    hosts.order_by_key(Option::is_none);
    hosts.dedup();
    for host in hosts {
        let mut own: Vec<&(Here, Route)> = routes.iter().filter(|(here, _)| here.host.is_none() || here.host == host).collect();
        own.order_by_key(|(here, route)| (here.host.is_none(), matches!(route.takes, Some(PathMatch::Any))));
        let own = own.into_iter().map(|(_, route)| route.clone()).collect();
        read.sites.push(site(host.into_iter().collect(), listens.clone(), own, at.clone()));
    }
    name_patterns(&mut read.sites);
    if read.sites.is_empty() {
        read.sites.push(site(Vec::new(), listens, Vec::new(), at));
    }
    read
}

impl Reader<'_, '_> {
    fn file(&mut self, path: &Path, here: &Here) {
        if let Some(text) = self.read.text(self.input.root, path) {
            let tokens = tokens(&text);
            self.block(&tokens, &mut 0, path, here);
        }
    }

    /// Statements up to a closing brace.
    fn block(&mut self, tokens: &[(Token, u32)], at: &mut usize, path: &Path, here: &Here) {
        while let Some((token, line)) = tokens.get(*at) {
            *at += 1;
            let Token::Word(name) = token else {
                if *token == Token::Mark("}") {
                    return;
                }
                continue;
            };
            let place = Place { file: path.to_owned().into(), line: *line };
            if name.starts_with('$') || name == "else" || name == "elseif" {
                self.condition(tokens, at, path, here);
            } else if name == "include" {
                let value = value(tokens, at, DEPTH);
                let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
                for file in self.read.paths(self.input.root, &folder, value.text()) {
                    if here.depth < DEPTH {
                        self.file(&file, &Here { depth: here.depth + 1, ..here.clone() });
                    }
                }
            } else if name == "include_shell" {
                let command = value(tokens, at, DEPTH);
                // Debian before 10: it prints what the folder holds.
                if command.text().contains("include-conf-enabled") {
                    for file in self.read.paths(self.input.root, Path::new("/etc/lighttpd"), "conf-enabled/*.conf") {
                        self.file(&file, here);
                    }
                }
            } else if matches!(tokens.get(*at), Some((Token::Mark("=" | "+=" | ":="), _))) {
                *at += 1;
                let value = value(tokens, at, DEPTH);
                self.statement(name, &value, &place, here);
            }
        }
    }

    /// `$HTTP["url"] =~ "^/api" { ... }`: the words before the brace, then the block.
    fn condition(&mut self, tokens: &[(Token, u32)], at: &mut usize, path: &Path, here: &Here) {
        let start = *at - 1;
        while tokens.get(*at).is_some_and(|(token, _)| *token != Token::Mark("{")) {
            *at += 1;
        }
        let words = &tokens[start..(*at).min(tokens.len())];
        let texts: Vec<&str> =
            words.iter().filter_map(|(token, _)| if let Token::Text(text) = token { Some(text.as_str()) } else { None }).collect();
        let mark = words.iter().rev().find_map(|(token, _)| if let Token::Mark(mark) = token { Some(*mark) } else { None });
        let what = words.iter().map(|(token, _)| match token {
            Token::Text(text) => format!("\"{text}\""),
            Token::Word(word) => word.clone(),
            Token::Mark(mark) => (*mark).to_owned(),
        });
        let what = what.collect::<Vec<_>>().join(" ");
        let mut inner = Here { depth: here.depth + 1, ..here.clone() };
        let place = Place { file: path.to_owned().into(), line: tokens.get(start).map_or(1, |(_, line)| *line) };
        match (texts.as_slice(), mark) {
            (["socket", socket], Some("==")) => {
                self.sockets.push(((*socket).to_owned(), false, place));
                inner.socket = Some((*socket).to_owned());
            }
            (["host", host], Some("==")) => inner.host = Some((*host).to_owned()),
            (["host", host], Some("=~")) => inner.host = Some(format!("~{host}")),
            (["url", url], Some("==")) => inner.path = Some(PathMatch::Exact((*url).to_owned())),
            (["url", url], Some("=^")) => inner.path = Some(PathMatch::Prefix((*url).to_owned())),
            (["url", url], Some("=~")) => inner.path = Some(PathMatch::Pattern((*url).to_owned())),
            _ => inner.other = Some(what),
        }
        *at += 1;
        if here.depth < DEPTH {
            self.block(tokens, at, path, &inner);
        }
    }

    fn statement(&mut self, name: &str, value: &Value, at: &Place, here: &Here) {
        let path = || PathBuf::from("/").join(value.text());
        match name {
            "server.port" if here.depth == 0 => self.port = value.text().parse().unwrap_or(self.port),
            "server.bind" if here.depth == 0 => value.text().clone_into(&mut self.bind),
            "ssl.engine" if value.text() == "enable" => match &here.socket {
                Some(socket) => self.sockets.iter_mut().filter(|(known, ..)| known == socket).for_each(|(_, tls, _)| *tls = true),
                None => self.tls = true,
            },
            "server.errorlog" => self.read.logs.push(LogSource { path: path(), kind: SourceKind::Error, format: LogFormat::Plain }),
            "accesslog.filename" => {
                self.read.logs.push(LogSource { path: path(), kind: SourceKind::Access, format: LogFormat::Plain });
            }
            "proxy.server" => self.servers(value, Protocol::Http, at, here),
            "fastcgi.server" => self.servers(value, Protocol::Fastcgi, at, here),
            "scgi.server" => self.servers(value, Protocol::Scgi, at, here),
            "uwsgi.server" => self.servers(value, Protocol::Uwsgi, at, here),
            _ => {}
        }
    }

    /// `( ".php" => ( "name" => ( "host" => "127.0.0.1", "port" => 9000 ) ) )`: the key is an extension or a prefix.
    fn servers(&mut self, value: &Value, protocol: Protocol, at: &Place, here: &Here) {
        for (key, hosts) in value.members() {
            let mut servers = Vec::new();
            for (_, host) in hosts.members() {
                let place = Place { line: host.line().unwrap_or(at.line), ..at.clone() };
                let text = |name: &str| host.member(name).map(Value::text).filter(|text| !text.is_empty());
                let port = text("port").and_then(|port| port.parse().ok()).unwrap_or(80);
                let address = match (text("socket"), text("host")) {
                    (Some(path), _) => Address::Unix(path.into()),
                    (None, Some(path)) if path.starts_with('/') => Address::Unix(path.into()),
                    (None, Some(name)) => of_host(name, port, IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    (None, None) => continue,
                };
                servers.push(server(address, &place));
            }
            if servers.is_empty() {
                continue;
            }
            let own = match key.as_str() {
                "" | "/" => PathMatch::Any,
                key if key.starts_with('/') => PathMatch::Prefix(key.to_owned()),
                key => PathMatch::Pattern(format!("{}$", regex::escape(key))),
            };
            let takes = match (&here.other, &here.path, own) {
                (Some(other), _, _) => PathMatch::Condition(other.clone()),
                (None, None, own) => own,
                (None, Some(outer), PathMatch::Any) => outer.clone(),
                (None, Some(_), _) => PathMatch::Condition(format!("{key} within a condition")),
            };
            let mut route = route(takes, protocol, servers, TIMEOUTS, at.clone());
            if protocol == Protocol::Fastcgi {
                set(&mut route, "fastcgi.server", key, at);
            }
            self.routes.push((here.clone(), route));
        }
    }
}

/// A value, with what is added to it by `+`.
fn value(tokens: &[(Token, u32)], at: &mut usize, depth: usize) -> Value {
    let mut value = single(tokens, at, depth);
    while matches!(tokens.get(*at), Some((Token::Mark("+"), _))) {
        *at += 1;
        match (&mut value, single(tokens, at, depth)) {
            (Value::Text(text, _), Value::Text(more, _)) => text.push_str(&more),
            (Value::List(list), Value::List(more)) => list.extend(more),
            (Value::Text(..) | Value::List(_), _) => {}
        }
    }
    value
}

fn single(tokens: &[(Token, u32)], at: &mut usize, depth: usize) -> Value {
    let Some((token, line)) = tokens.get(*at) else { return Value::Text(String::new(), 1) };
    *at += 1;
    match token {
        Token::Text(text) | Token::Word(text) => Value::Text(text.clone(), *line),
        Token::Mark("(") if depth > 0 => {
            let mut members = Vec::new();
            while let Some((token, _)) = tokens.get(*at) {
                match token {
                    Token::Mark(")") => {
                        *at += 1;
                        break;
                    }
                    Token::Mark(",") => *at += 1,
                    _ => {
                        let first = value(tokens, at, depth - 1);
                        if matches!(tokens.get(*at), Some((Token::Mark("=>"), _))) {
                            *at += 1;
                            members.push((first.text().to_owned(), value(tokens, at, depth - 1)));
                        } else {
                            members.push((String::new(), first));
                        }
                    }
                }
            }
            Value::List(members)
        }
        Token::Mark(_) => Value::Text(String::new(), *line),
    }
}
