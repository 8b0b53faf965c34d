//! What is probed: from what is known to a plan of probes. Pure; the same scene gives the same plan.
//!
//! Targets are taken from the URL that the operator named, then from failing requests in the logs, then one per route that
//! reaches an upstream (DESIGN section 2). For each: the request through the gateway, and the same request straight to each
//! server behind it. A dead upstream brings its candidates: listeners that may be the application on another address.

use std::collections::BTreeSet;

use crate::{
    catalog::Catalog,
    diagnose::{self, Scene},
    model::{
        Address, Gateway, HttpRequest, Listen, NginxErrorLine, Outcome, ProbeJob, ProbePlan, Protocol, Role, Route, Server, Site,
        SourceKind, Subject, logline,
    },
};

use super::Options;

/// Milliseconds between rounds while everything is served.
pub const CALM_PERIOD_MS: u64 = 10_000;
/// Milliseconds between rounds while something fails.
pub const FAILING_PERIOD_MS: u64 = 2_000;
/// Milliseconds that any connection is waited for: longer than a lost SYN's first retry (1 s, RFC 6298), and shorter than a
/// person's patience.
const CONNECT_MS: u64 = 3_000;

/// Milliseconds that an exchange with a listener may take which is only perhaps the application: one that is up answers its
/// first page in less, and a stranger must not hold the verdict up.
const CANDIDATE_MS: u64 = 1_000;

/// Bounds of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimits {
    /// Requests through the gateway, at most.
    pub targets: usize,
    /// Upstream servers probed, at most.
    pub upstreams: usize,
    /// Milliseconds that any exchange may take: what is still pending then is an outcome.
    pub total_ms: u64,
    /// Milliseconds between rounds; `None`: by whether something fails.
    pub period_ms: Option<u64>,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self { targets: 12, upstreams: 64, total_ms: 10_000, period_ms: None }
    }
}

/// A request to be tried.
struct Target<'a> {
    gateway: &'a Gateway,
    /// The routes that it can take: one, or all of its site where the path alone does not tell, as with nginx's `index` and
    /// `try_files`, which send `/` on to another location.
    routes: Vec<&'a Route>,
    /// Where the gateway is asked.
    address: Address,
    tls: bool,
    host: String,
    path: String,
}

impl<'a> Target<'a> {
    /// The servers that the request can reach, but for spare and disabled ones.
    fn servers(&self) -> impl Iterator<Item = (&'a Route, &'a Server)> {
        let servers = self.routes.clone().into_iter().flat_map(|route| route.servers.iter().map(move |server| (route, server)));
        servers.filter(|(_, server)| server.role == Role::Primary)
    }
}

/// All probes to be made from now on.
pub fn plan(scene: &Scene, options: &Options, catalog: &Catalog) -> ProbePlan {
    let targets = targets(scene, options);
    let mut jobs = Vec::new();
    let mut add = |job: ProbeJob| {
        if !jobs.contains(&job) {
            jobs.push(job);
        }
    };
    if let Some(url) = &options.url {
        client(url, options.limits).into_iter().for_each(&mut add);
    }
    let mut upstreams: BTreeSet<(&Address, &str)> = BTreeSet::new();
    for target in &targets {
        add(through_gateway(target, options.limits));
        for (route, server) in target.servers() {
            if upstreams.len() >= options.limits.upstreams {
                break;
            }
            upstreams.insert((&server.address, &target.path));
            straight(target, route, server, options.limits).into_iter().for_each(&mut add);
        }
    }
    for target in &targets {
        for (route, server) in target.servers().filter(|(_, server)| is_dead(scene, &server.address)) {
            for listener in diagnose::candidates(scene, catalog, &server.address) {
                let mut job = upstream(target, route, server, options.limits);
                "candidate".clone_into(&mut job.probe);
                job.address = reachable(&listener.address);
                job.total_ms = job.total_ms.min(CANDIDATE_MS);
                add(job);
            }
        }
    }
    let failing =
        scene.probes.iter().any(|history| diagnose::window(history).iter().any(|result| diagnose::failed(&result.outcome)));
    let period = options.limits.period_ms.unwrap_or(if failing { FAILING_PERIOD_MS } else { CALM_PERIOD_MS });
    ProbePlan { number: 0, jobs, period_ms: period, asked: 0 }
}

/// Whether nothing takes connections there.
fn is_dead(scene: &Scene, address: &Address) -> bool {
    let subject = Subject(address.to_string());
    scene
        .probes_of("upstream")
        .filter(|history| history.last.job.subject == subject)
        .any(|history| matches!(history.last.outcome, Outcome::Refused | Outcome::NotFound))
}

/// The targets, those that are known to fail first.
fn targets<'a>(scene: &'a Scene, options: &Options) -> Vec<Target<'a>> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    let mut add = |target: Target<'a>| {
        let same = |known: &Target<'_>| known.address == target.address && known.host == target.host && known.path == target.path;
        if targets.len() < options.limits.targets && !targets.iter().any(same) {
            targets.push(target);
        }
    };
    if let Some(url) = &options.url {
        named(scene, url).into_iter().for_each(&mut add);
    }
    if !options.upstreams.is_empty() {
        return targets;
    }
    for gateway in &scene.gateways {
        logged(scene, gateway).into_iter().for_each(&mut add);
    }
    if options.url.is_none() {
        for gateway in &scene.gateways {
            for (site, route) in gateway.routes() {
                let Some(listen) = entrance(site) else { continue };
                add(Target {
                    gateway,
                    routes: vec![route],
                    address: reachable(&listen.address),
                    tls: listen.tls,
                    host: site.host().unwrap_or("localhost").to_owned(),
                    path: route.sample_path.clone(),
                });
            }
        }
    }
    targets
}

/// The target of the URL that the operator named: the site of that name, or the default one.
fn named<'a>(scene: &'a Scene, url: &url::Url) -> Option<Target<'a>> {
    let host = url.host_str()?;
    let tls = url.scheme() == "https";
    let port = url.port_or_known_default()?;
    let gateway = scene.gateways.first()?;
    let on_port = |site: &&Site| site.listens.iter().any(|listen| listen.address.port() == Some(port) && listen.tls == tls);
    let by_name = |site: &&Site| site.names.iter().any(|name| name.eq_ignore_ascii_case(host));
    let is_default = |site: &&Site| site.listens.iter().any(|listen| listen.address.port() == Some(port) && listen.default);
    let sites = || scene.gateways.iter().flat_map(|gateway| &gateway.sites).filter(on_port);
    let site = sites().find(by_name).or_else(|| sites().find(is_default)).or_else(|| sites().next());
    let listen = site.and_then(|site| site.listens.iter().find(|listen| listen.address.port() == Some(port)));
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Some(Target {
        gateway,
        routes: site.map_or_else(Vec::new, |site| match site.route_for(url.path()) {
            Some(route) => vec![route],
            None => site.routes.iter().collect(),
        }),
        address: listen.map_or_else(|| Address::Tcp(([127, 0, 0, 1], port).into()), |listen| reachable(&listen.address)),
        tls,
        host: authority,
        path: url.path().to_owned(),
    })
}

/// Targets from failing requests that the gateway's error log names, latest first.
fn logged<'a>(scene: &'a Scene, gateway: &'a Gateway) -> Vec<Target<'a>> {
    let mut groups: Vec<_> = scene
        .logs
        .values()
        .filter(|group| group.kind == SourceKind::Error && gateway.logs.iter().any(|log| log.id() == group.source))
        .filter(|group| group.upstream().is_some())
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.last_second()));
    groups
        .into_iter()
        .filter_map(|group| {
            let line = NginxErrorLine::parse(logline::carried(&group.last).text)?;
            let path = safe_path(line.request?)?;
            let upstream = group.upstream();
            let host = line.host.unwrap_or("localhost");
            let uses = |route: &&Route| route.servers.iter().any(|server| Some(&server.address) == upstream.as_ref());
            let (site, route) = gateway
                .sites
                .iter()
                .filter(|site| site.names.iter().any(|name| name == host) || gateway.sites.len() == 1)
                .chain(&gateway.sites)
                .find_map(|site| Some((site, site.routes.iter().filter(uses).find(|route| reaches(site, route, &path))?)))?;
            let listen = entrance(site)?;
            let address = reachable(&listen.address);
            let path = still_failing(scene, &address, host, |path| reaches(site, route, path)).unwrap_or(path);
            Some(Target { gateway, routes: vec![route], address, tls: listen.tls, host: host.to_owned(), path })
        })
        .collect()
}

/// The path of a request to this host and route that failed when it was last tried. It is asked for again before any other
/// of its kind: visitors name another with each request, and a failure that nobody repeats would never be seen to end.
fn still_failing(scene: &Scene, address: &Address, host: &str, reaches: impl Fn(&str) -> bool) -> Option<String> {
    scene.probes_of("gateway").find_map(|history| {
        let job = &history.last.job;
        let request = job.request.as_ref().filter(|request| request.host == host && reaches(&request.path))?;
        let fails = diagnose::window(history).iter().any(|result| diagnose::failed(&result.outcome));
        (fails && job.address == *address).then(|| request.path.clone())
    })
}

/// Whether a request for this path comes to this route.
fn reaches(site: &Site, route: &Route, path: &str) -> bool {
    site.route_for(path).is_some_and(|found| found.at == route.at)
}

/// The path of a request line that can be repeated without harm: GET or HEAD, no query, nothing that looks like an action.
fn safe_path(request: &str) -> Option<String> {
    /// Words in paths of requests that do something, although by GET.
    const ACTIONS: &[&str] = &[
        "logout",
        "signout",
        "delete",
        "remove",
        "unsubscribe",
        "confirm",
        "activate",
        "pay",
        "purge",
        "reset",
        "cancel",
        "checkout",
        "send",
        "token",
        "cron",
        "admin",
        "upload",
        "install",
        "restart",
        "shutdown",
    ];
    let mut words = request.split(' ');
    if !matches!(words.next()?, "GET" | "HEAD") {
        return None;
    }
    let path = words.next()?.split(['?', '#']).next()?;
    let lower = path.to_ascii_lowercase();
    let harmless = path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic());
    (harmless && !ACTIONS.iter().any(|action| lower.contains(action))).then(|| path.to_owned())
}

/// Where a site is asked: plain HTTP before TLS, TCP before unix, never where the PROXY protocol is expected.
fn entrance(site: &Site) -> Option<&Listen> {
    let rank = |listen: &&Listen| (listen.proxy_protocol, listen.tls, matches!(listen.address, Address::Unix(_)));
    site.listens.iter().min_by_key(rank).filter(|listen| !listen.proxy_protocol)
}

/// Any address means loopback here.
fn reachable(address: &Address) -> Address {
    match address {
        Address::Tcp(at) if at.ip().is_unspecified() && at.is_ipv4() => Address::Tcp(([127, 0, 0, 1], at.port()).into()),
        Address::Tcp(at) if at.ip().is_unspecified() => Address::Tcp((std::net::Ipv6Addr::LOCALHOST, at.port()).into()),
        other => other.clone(),
    }
}

/// The request through the gateway.
fn through_gateway(target: &Target<'_>, limits: PlanLimits) -> ProbeJob {
    let protocol = if target.tls { Protocol::Https } else { Protocol::Http };
    let servers = target.routes.iter().flat_map(|route| &route.servers);
    let name = target.host.split(':').next().unwrap_or_default();
    ProbeJob {
        probe: "gateway".to_owned(),
        subject: Subject(format!("{}://{}{} at {}", protocol.scheme(), target.host, target.path, target.address)),
        upstreams: servers.filter(|server| server.role != Role::Down).map(|server| Subject(server.address.to_string())).collect(),
        address: target.address.clone(),
        protocol,
        request: Some(request(&target.path, &target.host, Vec::new())),
        sni: (target.tls && name.parse::<std::net::IpAddr>().is_err()).then(|| name.to_owned()),
        identity: None,
        connect_ms: CONNECT_MS.min(limits.total_ms),
        total_ms: limits.total_ms,
        header_limit: None,
    }
}

fn request(path: &str, host: &str, params: Vec<(String, String)>) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), path: path.to_owned(), host: host.to_owned(), params }
}

/// The same request straight to one server, as the gateway would make it.
fn upstream(target: &Target<'_>, route: &Route, server: &Server, limits: PlanLimits) -> ProbeJob {
    // Where the path alone does not tell the route, the route's own sample is what reaches it.
    let path = if target.routes.len() == 1 { &target.path } else { &route.sample_path };
    let path = match &route.rewrite {
        Some((from, to)) if path.starts_with(from.as_str()) => format!("{to}{}", &path[from.len()..]),
        _ => path.clone(),
    };
    let host = route.host_header.as_deref().unwrap_or(&target.host);
    ProbeJob {
        probe: "upstream".to_owned(),
        subject: Subject(server.address.to_string()),
        upstreams: Vec::new(),
        address: server.address.clone(),
        protocol: route.protocol,
        request: (route.protocol != Protocol::Stream).then(|| request(&path, host, route.params.clone())),
        sni: route.sni.clone(),
        identity: target.gateway.identity.clone(),
        connect_ms: CONNECT_MS.min(route.connect_ms).min(limits.total_ms),
        // Longer than the gateway waits, where that can be had: an answer that comes just too late is another cause.
        total_ms: limits.total_ms,
        header_limit: route.header_limit,
    }
}

/// The same request straight to one server, and what belongs to it.
fn straight(target: &Target<'_>, route: &Route, server: &Server, limits: PlanLimits) -> Vec<ProbeJob> {
    let upstream = upstream(target, route, server, limits);
    let companion = match &server.address {
        Address::Unix(_) => Some("socket-path"),
        Address::Name(..) => Some("name"),
        Address::Tcp(_) => None,
    };
    let companion = companion.map(|probe| ProbeJob { probe: probe.to_owned(), request: None, sni: None, ..upstream.clone() });
    std::iter::once(upstream).chain(companion).collect()
}

/// The URL as an ordinary client sees it.
fn client(url: &url::Url, limits: PlanLimits) -> Option<ProbeJob> {
    let host = url.host_str()?;
    let port = url.port_or_known_default()?;
    let protocol = if url.scheme() == "https" { Protocol::Https } else { Protocol::Http };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<std::net::IpAddr>();
    Some(ProbeJob {
        probe: "client".to_owned(),
        subject: Subject(url.to_string()),
        upstreams: Vec::new(),
        address: ip.as_ref().map_or_else(|_| Address::Name(host.to_owned(), port), |ip| Address::Tcp((*ip, port).into())),
        protocol,
        request: Some(request(
            url.path(),
            &url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            Vec::new(),
        )),
        sni: (protocol.tls() && ip.is_err()).then(|| host.to_owned()),
        identity: None,
        connect_ms: CONNECT_MS.min(limits.total_ms),
        total_ms: limits.total_ms,
        header_limit: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_requests_are_repeated() {
        assert_eq!(safe_path("GET /cart?id=5 HTTP/1.1").as_deref(), Some("/cart"));
        for request in
            ["POST /cart HTTP/1.1", "GET /user/Logout HTTP/1.1", "GET cart HTTP/1.1", "GET /a\u{1b}b HTTP/1.1", "", "GET"]
        {
            assert_eq!(safe_path(request), None, "{request}");
        }
    }
}
