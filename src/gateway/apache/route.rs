//! One proxied request's way to a [`Route`]: where it goes, and all that is in force there.

use std::collections::BTreeMap;

use super::{
    lacks::lacks,
    scope::Scope,
    target::{Parameters, Target, milliseconds},
    tls,
    tree::Directive,
    world::World,
};
use crate::model::{LACKS, LACKS_CURE, PathMatch, Protocol, Resolution, Reuse, Route, Server, Setting};

/// Milliseconds of `Timeout` where none is set; Debian's own configuration sets 300 s.
const TIMEOUT_MS: u64 = 60_000;

/// Settings that bear on a failing request, with Apache's own default where it matters.
const SETTINGS: &[(&str, Option<&str>)] = &[
    ("Timeout", Some("60")),
    ("ProxyTimeout", None),
    ("ProxyPreserveHost", Some("Off")),
    ("ProxyErrorOverride", None),
    ("ProxyIOBufferSize", None),
    ("ProxyReceiveBufferSize", None),
    ("ProxyBadHeader", None),
    ("ProxyFCGIBackendType", None),
    ("ProxyFCGISetEnvIf", None),
    ("SSLProxyEngine", None),
    ("SSLProxyVerify", None),
    ("SSLProxyVerifyDepth", None),
    ("SSLProxyCACertificateFile", None),
    ("SSLProxyCACertificatePath", None),
    ("SSLProxyCheckPeerName", None),
    ("SSLProxyCheckPeerCN", None),
    ("SSLProxyCheckPeerExpire", None),
    ("SSLProxyMachineCertificateFile", None),
    ("SSLProxyProtocol", None),
    ("SSLProxyCipherSuite", None),
    ("LimitRequestFieldSize", None),
    ("LimitRequestFields", None),
    ("LimitRequestLine", None),
    ("LimitRequestBody", None),
    ("MaxRequestWorkers", None),
    ("MaxClients", None),
    ("ServerLimit", None),
    ("ThreadsPerChild", None),
    ("ErrorDocument", None),
    ("FallbackResource", None),
];

/// A place in a site, with what a request that gets there is like.
#[derive(Debug, Clone)]
pub struct Here<'a> {
    /// As written.
    pub pattern: String,
    /// The paths of requests that get here.
    pub takes: PathMatch,
    /// A path that leads here.
    pub sample: String,
    /// The part of the path that the target's replaces. `None`: the whole path is appended, or nothing is known.
    pub prefix: Option<String>,
    /// What is in force.
    pub scope: Scope<'a>,
    /// Where files are.
    pub documents: String,
    /// A name that a request here can carry.
    pub host: Option<String>,
}

/// The routes to a target: one for each way in which a balancer's members are spoken to. None where Apache would refuse it, which is
/// noted, or where there are too many.
pub fn route(world: &mut World<'_>, here: &Here<'_>, url: &str, words: Parameters, at: &Directive) -> Vec<Route> {
    let balancer = Target::parse(url).ok().and_then(|target| target.balancer);
    let known = balancer.and_then(|name| world.balancers.get(&name));
    let mut protocols: Vec<Protocol> = Vec::new();
    for target in known.iter().flat_map(|known| &known.targets) {
        if !protocols.contains(&target.protocol) {
            protocols.push(target.protocol);
        }
    }
    if protocols.len() < 2 {
        return one(world, here, url, words, at, None).into_iter().collect();
    }
    protocols.into_iter().filter_map(|protocol| one(world, here, url, words.clone(), at, Some(protocol))).collect()
}

/// One of them. `only`: to the members that are spoken to like this.
fn one(
    world: &mut World<'_>,
    here: &Here<'_>,
    url: &str,
    words: Parameters,
    at: &Directive,
    only: Option<Protocol>,
) -> Option<Route> {
    let target = match Target::parse(url) {
        Ok(target) => target,
        Err(error) => {
            world.problems.add(at.place(), format!("{} {error}", at.name));
            return None;
        }
    };
    let mut scope = here.scope.clone();
    let mut own = Parameters::new();
    if let Some(section) = world.section_of(url) {
        scope = scope.within(section.children());
        for set in section.children().iter().filter(|one| one.name == "proxyset") {
            own.extend(super::target::parameters(&set.args(), set));
        }
    }
    own.extend(words);
    let (mut pool, mut servers, mut protocol, mut upstream) = (None, Vec::new(), target.protocol, target.clone());
    if let Some(name) = &target.balancer {
        protocol = world.protocol(name);
        if let Some(known) = world.balancers.get(name) {
            let mut of_first = known.first.clone();
            if let Some(only) = only {
                let members = || known.pool.servers.iter().zip(&known.targets).filter(|(_, target)| target.protocol == only);
                servers.extend(members().map(|(server, _)| server.clone()));
                of_first = members().next().map(|(_, target)| target.clone());
                protocol = only;
            } else {
                servers.clone_from(&known.pool.servers);
            }
            upstream = of_first.unwrap_or(upstream);
            // What stands at the member counts for its connections; what stands at the balancer is about choosing.
            let of_balancer =
                ["timeout", "maxattempts", "stickysession", "lbmethod", "nofailover", "failonstatus", "failontimeout"];
            own.retain(|key, _| of_balancer.contains(&key.as_str()));
            own.remove("timeout");
            own.extend(
                known.member.iter().filter(|(key, _)| *key != "status" && *key != "route").map(|(k, v)| (k.clone(), v.clone())),
            );
        }
        pool = Some(name.clone());
    } else if let Some(address) = target.address.clone() {
        servers.push(Server { names: Resolution::AtFirstUse, ..Server::new(address, at.place()) });
    }
    if !world.room_for(servers.len()) {
        return None;
    }
    let time = |key: &str| own.get(key).and_then(|setting| milliseconds(&setting.value));
    let of_scope = |name: &str| scope.value(name).and_then(|value| milliseconds(&value));
    let read_ms = time("timeout").or_else(|| of_scope("proxytimeout")).or_else(|| of_scope("timeout")).unwrap_or(TIMEOUT_MS);
    let http = matches!(protocol, Protocol::Http | Protocol::Https | Protocol::Grpc | Protocol::Grpcs);
    let preserved = scope.on("proxypreservehost");
    // Whose certificate is asked for: the worker's host, or the client's Host where that is handed on.
    let asked = if preserved { here.host.clone() } else { Some(upstream.host.clone()) };
    let dynamic = servers.is_empty() && pool.is_none();
    let reuse = reuse(&scope, &own, protocol, at);
    let connect_ms = time("connectiontimeout").unwrap_or(read_ms);
    let mut settings = settings(&scope, own);
    if let Some((mut lack, cure)) = lacks(&world.modules, &scope, &target, protocol) {
        // A handler that nobody has is none: the file itself is handed out.
        if at.name == "sethandler" && lack.contains("not loaded") {
            lack.push_str("; a handler without its module hands out the file itself, source and all");
        }
        settings.insert(LACKS.to_owned(), Setting { value: lack.into(), at: Some(at.place()) });
        settings.insert(LACKS_CURE.to_owned(), Setting { value: cure.into(), at: None });
    }
    Some(Route {
        pattern: here.pattern.clone(),
        takes: Some(if upstream.websocket { PathMatch::Condition("Upgrade: websocket".to_owned()) } else { here.takes.clone() }),
        sample_path: here.sample.clone(),
        protocol,
        pool,
        rewrite: rewrite(here, &target, protocol).map(Box::new),
        host_header: (http && !preserved).then(|| upstream.authority.clone()).filter(|host| !host.is_empty()),
        sni: asked.clone().filter(|host| protocol.tls() && is_name(host)),
        trust: protocol.tls().then(|| Box::new(tls::trust(&scope, world.base, asked.as_deref()))),
        params: if http { Vec::new() } else { params(here, &target) },
        connect_ms,
        read_ms,
        // Its limit is one of each header line (responsefieldsize), none of all together.
        header_limit: None,
        source: scope.value("proxysourceaddress").and_then(|address| address.parse().ok()),
        reuse,
        settings: settings.into(),
        dynamic: dynamic.then(|| url.to_owned()),
        servers,
        at: at.place(),
    })
}

/// Whether connections are kept: those of a worker of HTTP or AJP are, without an end unless `ttl=` says one; those of FastCGI only by
/// `enablereuse=on`; a rule's or a handler's own target has no worker, and none is kept (ap_proxy_define_worker, `reverse`).
fn reuse(scope: &Scope<'_>, own: &Parameters, protocol: Protocol, at: &Directive) -> Reuse {
    let flag = |key: &str| own.get(key).map(|setting| setting.value.eq_ignore_ascii_case("on"));
    // Each request on a connection of its own, as the manual advises against resets (mod_proxy_http, "Request Bodies").
    let told = ["proxy-nokeepalive", "proxy-initial-not-pooled", "force-proxy-request-1.0"];
    let never = scope.all("setenv").any(|one| told.contains(&one.first().as_str()));
    let by_worker = matches!(at.name.as_str(), "proxypass" | "proxypassmatch" | "jkmount");
    let by_default = by_worker && matches!(protocol, Protocol::Http | Protocol::Https | Protocol::Ajp);
    let kept = match (flag("disablereuse"), flag("enablereuse")) {
        (Some(true), _) => false,
        (_, Some(enabled)) => enabled,
        (_, None) => by_default,
    };
    if never || !kept {
        return Reuse::Never;
    }
    let ttl = own.get("ttl");
    let idle_ms = ttl.and_then(|setting| milliseconds(&setting.value));
    Reuse::Kept { idle_ms, at: ttl.and_then(|setting| setting.at.clone()) }
}

/// A TLS server name is never an IP address (mod_ssl, `ssl_io_filter_handshake`).
fn is_name(host: &str) -> bool {
    !host.is_empty() && host.parse::<std::net::IpAddr>().is_err()
}

/// How the path changes on its way. CGI-like protocols get the client's own path; only the file's name changes.
fn rewrite(here: &Here<'_>, target: &Target, protocol: Protocol) -> Option<(String, String)> {
    if !matches!(protocol, Protocol::Http | Protocol::Https | Protocol::Grpc | Protocol::Grpcs) {
        return None;
    }
    let prefix = here.prefix.clone()?;
    let path = target.path.split('?').next().unwrap_or_default();
    // `http://app:80/x/$1`: what `^/prefix/(.*)` matched goes behind it.
    let path = path.strip_suffix("$1").unwrap_or(path);
    if path.contains(['$', '%']) || path == prefix {
        return None;
    }
    Some((prefix, path.to_owned()))
}

/// What mod_proxy_fcgi, _uwsgi and _scgi tell of the file.
fn params(here: &Here<'_>, target: &Target) -> Vec<(String, String)> {
    let root = here.documents.trim_end_matches('/').to_owned();
    let path = target.path.as_str();
    let file = match (&here.prefix, path) {
        // `SetHandler`: the file is what the path was mapped to.
        (_, "" | "/") => format!("{root}{}", here.sample),
        (Some(prefix), _) if !path.contains('%') => {
            let rest = here.sample.strip_prefix(prefix.as_str()).unwrap_or_default();
            match path.strip_suffix("$1") {
                Some(head) => format!("{head}{rest}"),
                None => format!("{path}{rest}"),
            }
        }
        (_, _) => format!("{root}{}", here.sample),
    };
    vec![("SCRIPT_FILENAME".to_owned(), file), ("SCRIPT_NAME".to_owned(), here.sample.clone()), ("DOCUMENT_ROOT".to_owned(), root)]
}

fn settings(scope: &Scope<'_>, own: Parameters) -> BTreeMap<String, Setting> {
    let mut found: BTreeMap<String, Setting> = BTreeMap::new();
    // What is set is far less than what could be.
    for directive in scope.in_force() {
        if let Some((name, _)) = SETTINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&directive.name)) {
            found.entry((*name).to_owned()).or_insert_with(|| directive.setting());
        }
    }
    for (name, default) in SETTINGS {
        if let Some(default) = default {
            found.entry((*name).to_owned()).or_insert_with(|| Setting { value: (*default).into(), at: None });
        }
    }
    // A worker's words are lower case, and none of these.
    found.extend(own);
    found
}
