//! The request as others see it: at the public address, by way of a proxy, and in another shape (guides B and C: without caches,
//! as another client, by another version of HTTP or IP).
//!
//! Of one target only, and seldom: they tell one view from another, not how often something fails.

use url::Url;

use crate::{
    diagnose::Scene,
    model::{Address, Gateway, ProbeJob, Protocol, Site, Subject},
};

use super::{super::Options, PlanLimits, entrance, job, target::Target};

/// Milliseconds between two tries of one of these, where nobody asked for it.
const EVERY_MS: u64 = 30_000;
/// Milliseconds that such a try may take: a view is worth less than a verdict in time.
const VIEW_MS: u64 = 3_000;
/// Public names that are tried where no URL was named.
const NAMES: usize = 3;
/// A request that took longer than this, in milliseconds, is not repeated in other shapes: what is slow has enough to do.
const QUICK_MS: f64 = 1_000.0;
/// The header of an ordinary browser.
const BROWSER: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-US,en;q=0.5"),
];
/// What asks every cache on the way for a fresh answer (RFC 9111 section 5.2.1.4); no cookie is ever sent.
const NO_CACHE: &[(&str, &str)] = &[("Cache-Control", "no-cache"), ("Pragma", "no-cache")];

/// What clients see: of the URL that was named, else of the names of the first targets.
pub fn clients(targets: &[Target<'_>], options: &Options) -> Vec<ProbeJob> {
    let mut jobs = Vec::new();
    if let Some(url) = &options.url {
        let client = job::client(url, options.limits);
        jobs.extend(client.iter().filter_map(job::public_name));
        jobs.extend(client);
    } else if options.upstreams.is_empty() {
        let mut known: Vec<&str> = Vec::new();
        for target in targets {
            if known.len() < NAMES && public(&target.host) && !known.contains(&target.host.as_str()) {
                known.push(&target.host);
                let url = Url::parse(&format!("{}://{}{}", scheme(target), target.host, target.path)).ok();
                let found = url.and_then(|url| job::client(&url, limits(options.limits)));
                jobs.extend(found.map(|job| ProbeJob { every_ms: Some(EVERY_MS), ..job }));
            }
        }
    }
    if let Some(via) = &options.via {
        let by_proxy =
            |job: &ProbeJob| ProbeJob { probe: "via".to_owned(), via: Some(via.to_string()), every_ms: None, ..job.clone() };
        let all: Vec<_> = jobs.iter().filter(|job| job.probe == "client").map(by_proxy).collect();
        jobs.extend(all);
    }
    jobs
}

fn limits(limits: PlanLimits) -> PlanLimits {
    PlanLimits { total_ms: limits.total_ms.min(VIEW_MS), ..limits }
}

/// How visitors come to the site of this target: by TLS where it is offered.
fn scheme(target: &Target<'_>) -> &'static str {
    let tls = site(target.gateway, &target.host).is_some_and(|site| site.listens.iter().any(|listen| listen.tls));
    if tls || target.tls { "https" } else { "http" }
}

fn site<'a>(gateway: &'a Gateway, host: &str) -> Option<&'a Site> {
    gateway.sites.iter().find(|site| site.names.iter().any(|name| name.eq_ignore_ascii_case(host)))
}

/// Whether this is a name that visitors could ask for.
fn public(host: &str) -> bool {
    /// The names of other people's documentation (RFC 2606 section 3), which stand in many a configuration.
    const NOT_OURS: &[&str] = &["example.com", "example.net", "example.org"];
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    let literal = host.parse::<std::net::IpAddr>().is_ok();
    let bare = host.strip_prefix("www.").unwrap_or(host);
    plain && host.contains('.') && !literal && !host.ends_with(".localhost") && !NOT_OURS.contains(&bare)
}

/// The request of this target in other shapes, once it is known to be quick.
pub fn shapes(scene: &Scene, target: &Target<'_>, through: &ProbeJob) -> Vec<ProbeJob> {
    let quick = |history: &crate::diagnose::ProbeHistory| history.results.back().is_some_and(|result| result.ms < QUICK_MS);
    if !scene.history(through).is_some_and(quick) {
        return Vec::new();
    }
    let total_ms = through.total_ms.min(VIEW_MS);
    let shape = |probe: &str| ProbeJob {
        probe: probe.to_owned(),
        subject: Subject(format!("{} ({probe})", through.subject)),
        upstreams: Vec::new(),
        total_ms,
        every_ms: Some(EVERY_MS),
        ..through.clone()
    };
    let with = |probe: &str, headers: &[(&str, &str)]| {
        let mut job = shape(probe);
        if let Some(request) = &mut job.request {
            request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        }
        job
    };
    let mut jobs = vec![with("no-cache", NO_CACHE), with("as-browser", BROWSER)];
    let listens = || target.gateway.sites.iter().flat_map(|site| &site.listens).filter(|listen| !listen.proxy_protocol);
    if let Some(listen) = listens().find(|listen| listen.tls) {
        let name = target.host.split(':').next().unwrap_or_default();
        let address = entrance::reachable(&listen.address);
        let sni = name.parse::<std::net::IpAddr>().is_err().then(|| name.to_owned());
        jobs.push(ProbeJob { address, protocol: Protocol::Grpcs, sni, ..shape("http2") });
    }
    let is_v4 = |address: &Address| matches!(address, Address::Tcp(at) if at.is_ipv4());
    let other = |address: &Address| {
        matches!(address, Address::Tcp(_)) && is_v4(address) != is_v4(&through.address) && address.port() == through.address.port()
    };
    if let Some(listen) = listens().find(|listen| other(&listen.address)) {
        jobs.push(ProbeJob { address: entrance::reachable(&listen.address), ..shape("other-family") });
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_visitors_could_ask_for_are_tried() {
        for name in ["shop.test", "www.shop.de", "api.shop.example.com"] {
            assert!(public(name), "{name}");
        }
        for name in ["localhost", "gw1", "10.0.0.1", "example.com", "www.example.com", "a b.c", "app.localhost", "shop.test:8080"] {
            assert!(!public(name), "{name}");
        }
    }
}
