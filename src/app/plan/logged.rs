//! The requests that are tried because a log tells of their like that failed. What a visitor asked is asked again only where it does
//! no harm.

use crate::{
    diagnose::{self, Scene},
    model::{ANSWERS, Address, Gateway, NginxErrorLine, Order as _, Route, Site, SourceKind, logline, logline::Dialect},
};

use super::{
    entrance::{entrance, way_in},
    strangers::{serves_others, unrouted},
    target::{Target, of_one_rule},
};

/// Targets from failing requests that the gateway's logs name, latest first.
pub(super) fn logged<'a>(scene: &'a Scene, gateway: &'a Gateway) -> Vec<Target<'a>> {
    let mut groups: Vec<_> = scene
        .logs
        .values()
        .filter(|group| group.kind == SourceKind::Error && diagnose::wrote(scene, gateway, &group.source))
        // A request that is told with its status failed if that says so.
        .filter(|group| group.meaning.status.is_none_or(|status| status >= 500))
        .filter(|group| diagnose::upstream_of(scene, group).is_some() || group.meaning.status.is_some())
        // Who asks for a name that HAProxy has no rule for is often a stranger, and its log does not tell the name.
        .filter(|group| !unrouted(group) || !serves_others(scene, &group.source))
        .collect();
    groups.order_by_key(|group| std::cmp::Reverse(group.last_second()));
    groups
        .into_iter()
        .filter_map(|group| {
            let (path, host) = request_of(&group.last)?;
            let upstream = diagnose::upstream_of(scene, group);
            // No server was chosen where the log names a pool alone.
            let pool = group.meaning.upstream.as_deref();
            let uses = |route: &&Route| match &upstream {
                Some(address) => route.servers.iter().any(|server| server.address == *address),
                None => route.pool.as_deref() == pool && pool.is_some(),
            };
            let named = host.clone();
            let host = host.as_deref().unwrap_or("localhost");
            let by_name =
                || gateway.sites.iter().filter(|site| site.names.iter().any(|name| name == host) || gateway.sites.len() == 1);
            let known = by_name()
                .chain(&gateway.sites)
                .find_map(|site| Some((site, site.routes.iter().filter(uses).find(|route| reaches(site, route, &path))?)));
            let (site, route) = match known {
                Some((site, route)) => (site, Some(route)),
                // The files send nothing there any more, and the gateway still does.
                None if !gateway.routes().any(|(_, route)| uses(&route)) => {
                    let site = by_name().next().or_else(|| gateway.sites.iter().find(|site| takes_any_name(site)))?;
                    (site, site.route_for(&path))
                }
                None => return None,
            };
            let host = if named.is_some() { host } else { site.host().unwrap_or(host) };
            let listen = entrance(site)?;
            let address = way_in(gateway, site, listen);
            let again = |path: &str| route.is_none_or(|route| reaches(site, route, path));
            let path = still_failing(scene, &address, host, again).unwrap_or(path);
            // A condition that only a request tells may have sent it to any of them.
            let any = || site.routes.iter().filter(|_| upstream.is_none() && !unrouted(group)).collect();
            Some(Target {
                gateway,
                routes: route.map_or_else(any, |route| of_one_rule(site, route)),
                before: Vec::new(),
                address,
                tls: listen.tls,
                host: host.to_owned(),
                path,
                query: None,
            })
        })
        .collect()
}

/// Targets from requests that the gateway's access logs say were answered with an error, latest first: for gateways whose error
/// log names an upstream or a request, and not both (Apache httpd).
pub(super) fn answered<'a>(scene: &'a Scene, gateway: &'a Gateway) -> Vec<Target<'a>> {
    let from = scene.now.wall_s() - diagnose::LOG_WINDOW_S;
    let failing = scene.logs.values().filter(|group| {
        group.kind == SourceKind::Access
            && group.meaning.status.is_some_and(|status| status >= 500)
            && group.last_second().is_some_and(|last| last >= from)
            && diagnose::wrote(scene, gateway, &group.source)
    });
    let mut groups: Vec<_> = failing.collect();
    groups.order_by_key(|group| std::cmp::Reverse(group.last_second()));
    let target = |group: &diagnose::LogGroup| {
        let entry = logline::read(&group.last);
        let path = logline::safe_path(entry.request.as_deref()?)?;
        let named = |site: &&Site| site.names.iter().any(|name| entry.server.as_deref() == Some(name));
        let sites = || gateway.sites.iter().filter(named).chain(&gateway.sites);
        let leads = |site: &'a Site| site.route_for(&path).filter(|route| !route.servers.is_empty()).map(|route| (site, route));
        // What a site of that name is told to answer. One that takes what no other does fails strangers on purpose.
        let meant = |site: &&Site| gateway.sites.len() == 1 || site.host().is_some();
        let status = group.meaning.status.map_or_else(String::new, |status| status.to_string());
        let answers = |site: &'a Site| {
            let said = |route: &&Route| route.settings.get(ANSWERS).is_some_and(|said| said.value.contains(&status));
            site.route_for(&path).filter(said).map(|route| (site, route))
        };
        let (site, route) = sites().find_map(leads).or_else(|| sites().filter(meant).find_map(answers))?;
        let listen = entrance(site)?;
        let (address, host) = (way_in(gateway, site, listen), site.host().unwrap_or("localhost").to_owned());
        let path = still_failing(scene, &address, &host, |path| reaches(site, route, path)).unwrap_or(path);
        Some(Target {
            gateway,
            routes: of_one_rule(site, route),
            before: Vec::new(),
            address,
            tls: listen.tls,
            host,
            path,
            query: None,
        })
    };
    groups.into_iter().filter_map(target).collect()
}

/// Whether a site takes requests whatever name they have.
fn takes_any_name(site: &Site) -> bool {
    site.names.is_empty() || site.listens.iter().any(|listen| listen.default)
}

/// Path and host name of the request that a line is about, if it may be repeated.
fn request_of(line: &str) -> Option<(String, Option<String>)> {
    if let Some(line) = NginxErrorLine::parse(logline::carried(line).text) {
        return Some((logline::safe_path(line.request?)?, line.host.map(str::to_owned)));
    }
    let entry = logline::read(logline::carried(line).text);
    // HAProxy's site is its frontend; Caddy's is the name that was asked for.
    let host = entry.server.as_deref().filter(|_| entry.dialect == Dialect::Caddy);
    Some((logline::safe_path(entry.request.as_deref()?)?, host.map(|host| diagnose::without_port(host).to_owned())))
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
