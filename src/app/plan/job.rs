//! From a target to probes of it: through the gateway, straight to a server, as a client.

use std::collections::BTreeSet;

use crate::model::{Address, HttpRequest, ProbeJob, Protocol, Route, SENDS_PROXY, Server, Subject};

use super::{PlanLimits, target::Target};

/// Milliseconds that any connection is waited for: longer than a lost SYN's first retry (1 s, RFC 6298), and than the 3 s after
/// which a host or router says that a neighbour does not answer (RFC 4861 section 10); shorter than a person's patience.
const CONNECT_MS: u64 = 3_300;

/// The request through the gateway.
///
/// `inner`: the same request at the gateways of this host behind it. Their servers are reached, too.
pub fn through_gateway(target: &Target<'_>, inner: &[Target<'_>], limits: PlanLimits) -> ProbeJob {
    let protocol = if target.tls { Protocol::Https } else { Protocol::Http };
    let routes = std::iter::once(target).chain(inner).flat_map(|target| &target.routes);
    let servers = routes.chain(target.before.iter().map(|(route, _)| route)).flat_map(|route| route.reachable());
    let mut upstreams: Vec<Subject> = Vec::new();
    let mut seen = BTreeSet::new();
    upstreams.extend(servers.filter(|server| seen.insert(&server.address)).map(|server| Subject(server.address.to_string())));
    let name = target.host.split(':').next().unwrap_or_default();
    let subject = Subject(format!("{}://{}{} at {}", protocol.scheme(), target.host, target.path, target.address));
    ProbeJob {
        upstreams,
        request: Some(request(&target.path, target.query.clone(), &target.host, Vec::new())),
        sni: (target.tls && name.parse::<std::net::IpAddr>().is_err()).then(|| name.to_owned()),
        ..ProbeJob::new("gateway", subject, target.address.clone(), protocol, limits.of(CONNECT_MS))
    }
}

fn request(path: &str, query: Option<String>, host: &str, params: Vec<(String, String)>) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), path: path.to_owned(), query, host: host.to_owned(), headers: Vec::new(), params }
}

/// The same request straight to one server, as the gateway would make it.
pub fn upstream(target: &Target<'_>, route: &Route, server: &Server, limits: PlanLimits) -> ProbeJob {
    // Where the path alone does not tell the route, the route's own sample is what reaches it.
    let before = target.before.iter().find(|(before, _)| std::ptr::eq(*before, route));
    let path = match before {
        Some((_, path)) => path,
        None if target.routes.iter().all(|other| (&other.at, &other.pattern) == (&route.at, &route.pattern)) => {
            target.path.as_str()
        }
        None => route.sample_path.as_str(),
    };
    let path = match route.rewrite.as_deref() {
        Some((from, to)) if path.starts_with(from.as_str()) => format!("{to}{}", &path[from.len()..]),
        _ => path.to_owned(),
    };
    // `ProxyPass /app http://app:8000`: what is left of `/app` is nothing, and no request line begins so.
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let query = target.query.clone().filter(|_| before.is_none());
    let host = route.host_header.as_deref().unwrap_or(&target.host);
    let subject = Subject(server.address.to_string());
    // Longer than the gateway waits, where that can be had: an answer that comes just too late is another cause.
    let times = limits.of(CONNECT_MS.min(route.connect_ms));
    let asked = target.host.split(':').next().unwrap_or_default();
    let (trust, sni) = route.trust.as_deref().map(|trust| trust.clone().asked_for(asked)).unzip();
    ProbeJob {
        request: (route.protocol != Protocol::Stream)
            .then(|| request(&path, query, host, params(&route.params, &route.sample_path, &path))),
        sni: route.sni.clone().or(sni.flatten()),
        trust: trust.map(Box::new),
        identity: target.gateway.identity.clone(),
        preamble: route.settings.contains_key(SENDS_PROXY),
        source: route.source,
        header_limit: route.header_limit,
        names: server.names.clone(),
        ..ProbeJob::new("upstream", subject, server.address.clone(), route.protocol, times)
    }
}

/// A route's parameters were made for its sample path: for another script of the same kind they name that one.
fn params(of_sample: &[(String, String)], sample: &str, path: &str) -> Vec<(String, String)> {
    let kind = |path: &str| path.rsplit_once('.').filter(|(_, kind)| !kind.contains('/')).map(|(_, kind)| kind.to_owned());
    let script = kind(sample).is_some() && kind(sample) == kind(path);
    let other = |value: &String| match value.strip_suffix(sample) {
        Some(before) if script => format!("{before}{path}"),
        _ => value.clone(),
    };
    of_sample.iter().map(|(name, value)| (name.clone(), other(value))).collect()
}

/// The URL as an ordinary client sees it.
pub fn client(url: &url::Url, limits: PlanLimits) -> Option<ProbeJob> {
    let host = url.host_str()?;
    let port = url.port_or_known_default()?;
    let protocol = if url.scheme() == "https" { Protocol::Https } else { Protocol::Http };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<std::net::IpAddr>();
    let address = ip.as_ref().map_or_else(|_| Address::Name(host.to_owned(), port), |ip| Address::Tcp((*ip, port).into()));
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Some(ProbeJob {
        request: Some(request(url.path(), url.query().map(str::to_owned), &authority, Vec::new())),
        sni: (protocol.tls() && ip.is_err()).then(|| host.to_owned()),
        ..ProbeJob::new("client", Subject(url.to_string()), address, protocol, limits.of(CONNECT_MS))
    })
}

/// The name of the URL, as a client on this host resolves it. `None`: it is an address.
pub fn public_name(client: &ProbeJob) -> Option<ProbeJob> {
    let named = matches!(client.address, Address::Name(..));
    named.then(|| ProbeJob { probe: "public-name".to_owned(), request: None, sni: None, ..client.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_name_the_script_that_is_asked_for() {
        let of_sample = [("SCRIPT_FILENAME", "/srv/www/index.php"), ("SCRIPT_NAME", "/index.php"), ("DOCUMENT_ROOT", "/srv/www")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let named = |path: &str| params(&of_sample, "/index.php", path).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        assert_eq!(named("/cart.php"), ["/srv/www/cart.php", "/cart.php", "/srv/www"]);
        // What a front controller answers has no script of its own.
        assert_eq!(named("/api/cart"), ["/srv/www/index.php", "/index.php", "/srv/www"]);
    }
}
