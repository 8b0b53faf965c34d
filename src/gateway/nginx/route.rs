//! One `*_pass` to a [`Route`]: where it goes, and all that is in force there.

use std::{collections::BTreeMap, path::Path, rc::Rc};

use compact_str::CompactString;

use super::{
    answers::{self, Answer},
    names,
    reuse::reuse,
    sample::Match,
    scope::{Scope, setting},
    target::{Authority, Module, Target, address},
    tls::Tls,
    tree::Directive,
    units,
    vars::{Variables, server_part, static_head},
    world::World,
};
use crate::model::{PathMatch, Pool, Protocol, Resolution, Role, Route, Server, Setting, Site};

/// Milliseconds of `proxy_connect_timeout` and `proxy_read_timeout` where none is set, the same in all modules of http.
const TIMEOUT_MS: u64 = 60_000;
/// Milliseconds of the stream module's `proxy_timeout` where none is set.
const STREAM_TIMEOUT_MS: u64 = 600_000;
/// Bytes of `proxy_buffer_size` where none is set: a memory page, 4096 on x86_64 (64 kB on some arm64 and ppc64le).
const BUFFER_BYTES: u32 = 4096;

/// Settings that bear on a failing request, behind the module's prefix, with nginx's own default where it matters.
const SETTINGS: &[(&str, Option<&str>)] = &[
    ("connect_timeout", Some("60s")),
    ("read_timeout", Some("60s")),
    ("send_timeout", Some("60s")),
    ("timeout", None),
    ("buffer_size", Some("4k")),
    ("buffers", None),
    ("busy_buffers_size", None),
    ("buffering", None),
    ("request_buffering", None),
    ("temp_path", None),
    ("max_temp_file_size", None),
    ("next_upstream", Some("error timeout")),
    ("next_upstream_tries", None),
    ("next_upstream_timeout", None),
    ("http_version", None),
    ("protocol", None),
    ("bind", None),
    ("socket_keepalive", None),
    ("keep_conn", None),
    ("ssl", None),
    ("ssl_verify", None),
    ("ssl_verify_depth", None),
    ("ssl_trusted_certificate", None),
    ("ssl_certificate", None),
    ("ssl_certificate_key", None),
    ("ssl_protocols", None),
    ("ssl_ciphers", None),
    ("ssl_server_name", None),
    ("ssl_name", None),
    ("ssl_crl", None),
    ("ssl_session_reuse", None),
    ("intercept_errors", None),
    ("ignore_client_abort", None),
    ("cache", None),
    ("cache_use_stale", None),
    ("index", None),
    ("split_path_info", None),
];
/// The like without a prefix.
const OTHER_SETTINGS: &[&str] =
    &["resolver", "resolver_timeout", "client_max_body_size", "limit_req", "limit_conn", "error_page", "try_files", "auth_request"];

/// A place in a server, with what a request that gets there is like.
#[derive(Debug, Clone)]
pub struct Here {
    /// As written.
    pub pattern: String,
    /// A path that leads here.
    pub sample: String,
    /// Inside `if` or `limit_except`.
    conditional: bool,
    matched: Option<Match>,
    /// `root`, or `alias` with the prefix that it replaces.
    pub root: Rc<(String, Option<String>)>,
    server: Rc<Names>,
}

/// What a server is called.
#[derive(Debug)]
struct Names {
    /// A name that a request can carry.
    host: Option<String>,
    /// The first that is written.
    first: Option<String>,
}

impl Here {
    /// The server itself.
    pub fn server(pattern: &str, scope: &Scope<'_>, world: &World<'_>, site: &Site) -> Self {
        let root = world.prefix.join(scope.value("root").unwrap_or("html")).display().to_string();
        Self {
            pattern: pattern.to_owned(),
            sample: "/".to_owned(),
            conditional: false,
            matched: None,
            root: (root, None).into(),
            server: Names { host: site.host().map(str::to_owned), first: site.names.first().cloned() }.into(),
        }
    }

    /// A location in it.
    pub fn location(&self, pattern: String, matched: Match, sample: String, scope: &Scope<'_>, prefix: &Path) -> Self {
        let of = |name: &str| scope.own(name).last().and_then(|one| one.arg(0)).map(|path| prefix.join(path).display().to_string());
        let root = match (of("alias"), of("root"), &matched) {
            (Some(alias), _, Match::Prefix { prefix, .. }) => (alias, Some(prefix.clone())).into(),
            (Some(alias), _, Match::Exact(path)) => (alias, Some(path.clone())).into(),
            (Some(alias), _, Match::Pattern(..) | Match::Named(_)) => (alias, Some(sample.clone())).into(),
            (None, Some(root), _) => (root, None).into(),
            (None, None, _) => Rc::clone(&self.root),
        };
        Self { pattern, sample, conditional: false, matched: Some(matched), root, server: Rc::clone(&self.server) }
    }

    /// A block in it that requests only sometimes get into: `if`, `limit_except`.
    pub fn condition(&self, words: &Directive) -> Self {
        let pattern = format!("{} {} {}", self.pattern, words.name, words.args.join(" "));
        Self { pattern, conditional: true, ..self.clone() }
    }

    /// The paths of requests that get here.
    fn takes(&self) -> PathMatch {
        match &self.matched {
            _ if self.conditional => PathMatch::Condition(self.pattern.clone()),
            None => PathMatch::Any,
            Some(Match::Exact(path)) => PathMatch::Exact(path.clone()),
            Some(Match::Prefix { prefix, last: true }) => PathMatch::FinalPrefix(prefix.clone()),
            Some(Match::Prefix { prefix, last: false }) => PathMatch::Prefix(prefix.clone()),
            Some(Match::Pattern(..) | Match::Named(_)) => PathMatch::of_location(&self.pattern),
        }
    }

    /// The value of one of nginx's variables in the sample request.
    fn variable(&self, name: &str, scope: &Scope<'_>, version: Option<&str>) -> Option<String> {
        let (root, alias) = &*self.root;
        // Only what the location matched is replaced by the alias; the root stands before the whole path.
        let file = |path: &str| match alias {
            Some(prefix) => format!("{root}{}", path.strip_prefix(prefix.as_str()).unwrap_or_default()),
            None => format!("{}{path}", root.trim_end_matches('/')),
        };
        match name {
            "request_filename" => Some(file(&self.sample)),
            "document_root" | "realpath_root" => Some(root.trim_end_matches('/').to_owned()),
            "uri" | "document_uri" => Some(self.sample.clone()),
            "fastcgi_script_name" => {
                let index = scope.value("fastcgi_index").filter(|_| self.sample.ends_with('/'));
                Some(format!("{}{}", self.sample, index.unwrap_or_default()))
            }
            "fastcgi_path_info" => Some(String::new()),
            "host" | "http_host" | "ssl_server_name" | "ssl_preread_server_name" => self.server.host.clone(),
            "server_name" => self.server.first.clone(),
            "nginx_version" => version.map(str::to_owned),
            _ => None,
        }
    }
}

/// The route of one `*_pass`. `None`: nginx would refuse it, which is noted, or there are too many.
pub fn route<'a>(world: &mut World<'a>, scope: &Scope<'a>, here: &Here, module: Module, pass: &Directive) -> Option<Route> {
    let text = pass.arg(0)?;
    let version = world.version;
    let known = |name: &str| here.variable(name, scope, version);
    let variables = Variables { scope, maps: &world.maps, known: &known };
    // A path made of variables replaces the whole path; what server it goes to is known all the same.
    let (written, replaces) = if let Some(head) = static_head(text) {
        (Some(head.to_owned()), true)
    } else {
        let server = || server_part(text).and_then(|server| variables.expand(server));
        (variables.expand(text).or_else(server), text.contains('$'))
    };
    let parsed = written.as_deref().map(|written| Target::parse(module, written)).transpose();
    let target = match parsed {
        Ok(target) => target,
        Err(_) if replaces => None,
        Err(error) => {
            world.problems.add(pass.place(), format!("{error} in \"{text}\" of \"{}\"", module.pass));
            return None;
        }
    };
    let names = names::of_target(text, scope);
    let resolved = target.as_ref().map(|target| servers(world, target, module, pass, names));
    let (pool, servers, problem) = resolved.unwrap_or_default();
    if let Some(problem) = problem {
        world.problems.add(pass.place(), problem);
    }
    let apart = here.conditional || matches!(here.matched, Some(Match::Pattern(..) | Match::Named(_)));
    if let Some(uri) = target.as_ref().and_then(|target| target.uri.as_ref()).filter(|_| apart && !replaces) {
        let what = "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside named location, or inside \"if\" statement, or inside \"limit_except\" block";
        world.problems.add(pass.place(), format!("{what}: {uri}"));
    }
    for name in ["connect_timeout", "read_timeout", "send_timeout", "timeout"] {
        let key = module.key(name);
        let wrong = |one: &&Directive| one.arg(0).is_some_and(|value| !value.contains('$') && units::milliseconds(value).is_none());
        if let Some(one) = scope.get(&key).filter(wrong) {
            world.problems.add(one.place(), format!("\"{key}\" directive invalid value"));
        }
    }
    if !world.room_for(servers.len()) {
        return None;
    }
    let variables = Variables { scope, maps: &world.maps, known: &known };
    let mut settings = settings(scope, module);
    settings.extend(answers::turns(scope, module));
    let unknown = servers.is_empty() && pool.is_none();
    let protocol = target.as_ref().map_or(module.protocol, |target| target.protocol);
    let speaks = protocol.tls() || text.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("suwsgi://"));
    let tls = Tls { scope, module, target: target.as_ref(), variables: &variables, speaks };
    Some(Route {
        pattern: here.pattern.clone(),
        takes: Some(here.takes()),
        sample_path: here.sample.clone(),
        protocol,
        rewrite: rewrite(scope, here, target.as_ref().filter(|_| !replaces)).map(Box::new),
        host_header: host_header(scope, module, target.as_ref(), &variables),
        sni: tls.sni(),
        trust: tls.trust(world).map(Box::new),
        params: params(scope, module, &variables),
        connect_ms: time(scope, module, "connect_timeout").unwrap_or(TIMEOUT_MS),
        read_ms: match module.protocol {
            Protocol::Stream if module.prefix == "proxy_" => time(scope, module, "timeout").unwrap_or(STREAM_TIMEOUT_MS),
            _ => time(scope, module, "read_timeout").unwrap_or(TIMEOUT_MS),
        },
        header_limit: (protocol != Protocol::Stream)
            .then(|| scope.value(&module.key("buffer_size")).and_then(units::bytes).unwrap_or(BUFFER_BYTES)),
        source: scope.value(&module.key("bind")).and_then(source),
        reuse: reuse(
            scope,
            module,
            protocol,
            target.as_ref().and_then(|target| world.pool_of(&target.authority)),
            &variables,
            world.version,
        ),
        settings: settings.into(),
        dynamic: (unknown && text.contains('$')).then(|| text.to_owned()),
        pool,
        servers,
        at: pass.place(),
    })
}

/// The route of requests that nginx answers by itself. `None`: there are too many routes.
pub fn answered(world: &mut World<'_>, here: &Here, answer: Answer) -> Option<Route> {
    let at = answer.at.clone();
    world.room_for(0).then(|| Route {
        pattern: if here.pattern.is_empty() { "/".to_owned() } else { here.pattern.clone() },
        takes: Some(here.takes()),
        sample_path: here.sample.clone(),
        settings: answer.settings(),
        ..Route::new(Protocol::Http, at)
    })
}

/// Pool, servers, and what nginx would refuse about them.
fn servers(
    world: &World<'_>,
    target: &Target,
    module: Module,
    pass: &Directive,
    names: Resolution,
) -> (Option<String>, Vec<Server>, Option<String>) {
    if let Some(Pool { name, servers, .. }) = world.pool_of(&target.authority) {
        let problem = match &target.authority {
            Authority::Host(host, Some(port)) => Some(format!("upstream \"{host}\" may not have port {port}")),
            Authority::Host(_, None) | Authority::Unix(_) => None,
        };
        return (Some(name.clone()), servers.clone(), problem);
    }
    if let Some(address) = address(&target.authority, Target::default_port(target.protocol)) {
        return (None, vec![Server { name: None, address, role: Role::Primary, names, at: pass.place() }], None);
    }
    let name = target.proxy_host();
    (None, Vec::new(), Some(format!("no port in upstream \"{name}\", and no upstream of this name, in \"{}\"", module.pass)))
}

/// How the path changes: by the target's own path, or by a plain `rewrite ^/prefix/(.*)$ /other/$1 break`.
fn rewrite(scope: &Scope<'_>, here: &Here, target: Option<&Target>) -> Option<(String, String)> {
    for rule in scope.own("rewrite").iter().filter(|rule| rule.arg(2) == Some("break")) {
        let from = rule.arg(0)?.strip_prefix('^').and_then(|from| from.strip_suffix("(.*)$").or_else(|| from.strip_suffix("(.*)")));
        let to = rule.arg(1).and_then(|to| to.strip_suffix("$1"));
        if let (Some(from), Some(to)) = (from, to)
            && here.sample.starts_with(from)
            && !from.contains(['(', '[', '\\', '*', '+', '?', '.', '|', '$'])
            && !to.contains('$')
        {
            return Some((from.to_owned(), to.to_owned()));
        }
    }
    let uri = target?.uri.clone()?;
    match here.matched.as_ref()? {
        Match::Prefix { prefix, .. } | Match::Exact(prefix) if !here.conditional => Some((prefix.clone(), uri)),
        Match::Prefix { .. } | Match::Exact(_) | Match::Pattern(..) | Match::Named(_) => None,
    }
}

/// The Host header (`:authority` of gRPC) that the upstream sees; `None`: the client's.
fn host_header(scope: &Scope<'_>, module: Module, target: Option<&Target>, variables: &Variables<'_, '_>) -> Option<String> {
    match module.protocol {
        Protocol::Http | Protocol::Grpc => {}
        // They hand the client's header on, as HTTP_HOST.
        Protocol::Https
        | Protocol::Grpcs
        | Protocol::Fastcgi
        | Protocol::Uwsgi
        | Protocol::Scgi
        | Protocol::Ajp
        | Protocol::Stream => return None,
    }
    let set = scope.nearest(&module.key("set_header"));
    let host = set.iter().rev().find(|one| one.arg(0).is_some_and(|name| name.eq_ignore_ascii_case("host")));
    let own = || target.map(Target::proxy_host);
    match host.and_then(|one| one.arg(1)) {
        None | Some("$proxy_host") => own(),
        Some(value) if is_clients(value) => None,
        Some(value) => variables.expand(value),
    }
}

/// Whether a Host is the client's own, perhaps with a port; `$hostname` is another variable.
fn is_clients(value: &str) -> bool {
    ["$host", "$http_host", "${host}", "${http_host}"].iter().any(|client| {
        value.strip_prefix(client).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}

/// `fastcgi_param` and the like, as far as their values are known for the sample request.
fn params(scope: &Scope<'_>, module: Module, variables: &Variables<'_, '_>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for one in scope.nearest(&module.key("param")) {
        let (Some(name), Some(value)) = (one.arg(0), one.arg(1)) else { continue };
        let Some(value) = variables.expand(value) else { continue };
        if value.is_empty() && one.arg(2) == Some("if_not_empty") {
            continue;
        }
        // php-fpm takes the last of a name.
        found.retain(|(known, _)| known != name);
        found.push((name.to_owned(), value));
    }
    found
}

/// The address of `proxy_bind`, perhaps with a port; a variable, `off` and a client's own address are none.
fn source(text: &str) -> Option<std::net::IpAddr> {
    let whole = text.trim_start_matches('[').trim_end_matches(']');
    whole.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|at| at.ip()))
}

fn time(scope: &Scope<'_>, module: Module, name: &str) -> Option<u64> {
    scope.value(&module.key(name)).and_then(units::milliseconds)
}

fn settings(scope: &Scope<'_>, module: Module) -> BTreeMap<CompactString, Setting> {
    let mut found = BTreeMap::new();
    // What is set is far less than what could be.
    for directive in scope.in_force() {
        let of_module = directive.name.strip_prefix(module.prefix);
        let bears = of_module.is_some_and(|name| SETTINGS.iter().any(|(known, _)| *known == name));
        if bears || OTHER_SETTINGS.contains(&directive.name.as_str()) {
            found.entry(directive.name.clone()).or_insert_with(|| setting(directive));
        }
    }
    for (name, default) in SETTINGS.iter().filter(|_| module.protocol != Protocol::Stream) {
        if let Some(default) = default {
            found.entry(module.key(name)).or_insert_with(|| Setting { value: (*default).into(), at: None });
        }
    }
    // `Connection ""` is what makes kept-alive connections to an upstream work at all.
    let header = |one: &&&Directive| one.arg(0).is_some_and(|name| name.eq_ignore_ascii_case("connection"));
    let mut key = module.key("set_header");
    if let Some(one) = scope.nearest(&key).iter().find(header) {
        let value = one.arg(1).unwrap_or_default().to_owned();
        key.push_str(" Connection");
        found.insert(key, Setting { value: value.into(), at: Some(one.place()) });
    }
    found
}
