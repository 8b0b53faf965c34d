//! Advice: what ought to be mended in the configuration, be it that no request fails for it. It never raises the verdict.
//!
//! What a finding is called, why it matters and what to do about it is data: `assets/findings/`. Here is decided what is found: by a
//! rule, or by the facts and causes that its block names. What is nearest to the failing request comes first.
//!
//! To add a finding: its block there, and, where no fact tells it, a rule in [`RULES`]. A rule looks at what is near
//! ([`Look::spots`]) and at what was seen, never at every server of every configuration.

mod application;
mod gateway;
mod limit;
mod named;
mod pool;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use super::{FactBook, Scene, facts, nested::Map, symptom, wording};
use crate::{
    catalog::{Catalog, FindingSpec},
    model::{Address, Cause, Confidence, Finding, Gateway, Listen, Order as _, Place, Role, Route, Server, Setting, Site, Subject},
};

/// Findings that are listed, at most.
const LISTED: usize = 20;
/// Of one kind so many are listed by themselves, the nearest; the rest is counted.
const OF_ONE_KIND: usize = 3;
/// Routes that rules look at, at most: those of the failing request, then those of its site, then others.
const ROUTES: usize = 300;

/// A rule, by the id of its finding.
type Rule = for<'a> fn(&Look<'a>) -> Vec<Found<'a>>;

/// All rules.
const RULES: &[(&str, Rule)] = &[
    ("nothing-listens", upstream::nothing_listens),
    ("no-resolver", upstream::no_resolver),
    ("module-missing", upstream::module_missing),
    ("resolved-once", upstream::resolved_once),
    ("answer-kept-long", upstream::answer_kept_long),
    ("host-is-pool-name", upstream::host_is_pool_name),
    ("upstream-not-verified", upstream::not_verified),
    ("timeout-below-application", application::timeout_below),
    ("timeout-above-outer", application::timeout_above_outer),
    ("keepalive-outlives-upstream", application::keepalive),
    ("single-server", pool::single_server),
    ("no-failover", pool::no_failover),
    ("only-backup-serves", pool::only_backup),
    ("server-held-down", pool::held_down),
    ("server-out", pool::out),
    ("header-near-limit", limit::header),
    ("limit-near", limit::near),
    ("files-below-connections", limit::files),
    ("workers-beyond-limit", limit::workers),
    ("no-timeouts", gateway::no_timeouts),
    ("log-not-reopened", gateway::log_not_reopened),
    ("log-lacks-upstream", gateway::log_lacks_upstream),
];

/// The ids of all findings that a rule makes.
pub fn ids() -> Vec<&'static str> {
    RULES.iter().map(|(id, _)| *id).collect()
}

/// How near something is to the failing request, or to what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    /// The request goes there.
    Request,
    /// It is of the same site.
    Site,
    /// It is of the same gateway, or the gateway itself.
    Gateway,
    /// It is somewhere else.
    Elsewhere,
}

/// A route with its site and gateway.
#[derive(Debug, Clone, Copy)]
struct Spot<'a> {
    gateway: &'a Gateway,
    route: &'a Route,
    near: Near,
}

/// Something found.
#[derive(Debug)]
struct Found<'a> {
    near: Near,
    /// The gateway that it is about: whose words the remedy is in.
    gateway: Option<&'a Gateway>,
    text: String,
    at: Option<Place>,
    fields: Vec<(&'static str, String)>,
    /// Which server it is about.
    subject: Option<Subject>,
}

impl<'a> Found<'a> {
    /// About a server, or what else stands at this place, of a route.
    fn of(spot: &Spot<'a>, at: &Place, text: String) -> Self {
        Self { near: spot.near, gateway: Some(spot.gateway), text, at: Some(at.clone()), fields: Vec::new(), subject: None }
    }

    /// With a value that the remedy names.
    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((key, value.into()));
        self
    }

    /// It is about this server.
    fn about(mut self, server: &Address) -> Self {
        self.subject = Some(Subject(server.to_string()));
        self
    }
}

/// What rules look at.
struct Look<'a> {
    scene: &'a Scene,
    catalog: &'a Catalog,
    book: &'a FactBook,
    causes: &'a [Cause],
    map: &'a Map<'a>,
    /// Routes that have servers, the nearest first.
    spots: Vec<Spot<'a>>,
}

impl<'a> Look<'a> {
    fn new(
        scene: &'a Scene,
        catalog: &'a Catalog,
        book: &'a FactBook,
        causes: &'a [Cause],
        symptom: &symptom::View,
        map: &'a Map<'a>,
    ) -> Self {
        let shown = scene.probes_of("gateway").find(|history| Some(&history.last.job.subject) == symptom.subject.as_ref());
        let upstreams = shown.iter().flat_map(|history| &history.last.job.upstreams);
        let wanted: BTreeSet<Address> = upstreams.filter_map(|subject| subject.0.parse().ok()).collect();
        let mut by_distance: BTreeMap<Near, Vec<Spot<'a>>> = BTreeMap::new();
        for gateway in &scene.gateways {
            let here = |route: &Route| route.servers.iter().any(|server| wanted.contains(&server.address));
            let ours = gateway.routes().any(|(_, route)| here(route));
            for site in &gateway.sites {
                let of_site = site.routes.iter().any(here);
                for route in site.routes.iter().filter(|route| !route.servers.is_empty()) {
                    let near = match (here(route), of_site, ours) {
                        (true, ..) => Near::Request,
                        (_, true, _) => Near::Site,
                        (.., true) => Near::Gateway,
                        _ => Near::Elsewhere,
                    };
                    let known = by_distance.entry(near).or_default();
                    if known.len() < ROUTES {
                        known.push(Spot { gateway, route, near });
                    }
                }
            }
        }
        let spots = by_distance.into_values().flatten().take(ROUTES).collect();
        Self { scene, catalog, book, causes, map, spots }
    }

    /// The nearest route to this server, with it.
    fn server(&self, subject: &Subject) -> Option<(Spot<'a>, &'a Server)> {
        let address: Address = subject.0.parse().ok()?;
        self.spots.iter().find_map(|spot| {
            let server = spot.route.servers.iter().find(|server| server.address == address)?;
            Some((*spot, server))
        })
    }

    /// The setting of this id in `assets/settings.toml` that is in force on a route.
    fn setting(&self, id: &str, route: &'a Route) -> Option<(&'a str, &'a Setting)> {
        self.catalog.setting(id)?.of(&route.settings)
    }

    /// Where that setting is written; where the route is, if it is the gateway's own default.
    fn place(&self, id: &str, route: &'a Route) -> &'a Place {
        self.setting(id, route).and_then(|(_, setting)| setting.at.as_ref()).unwrap_or(&route.at)
    }

    /// `proxy_read_timeout 60s`.
    fn written(&self, id: &str, route: &'a Route) -> String {
        match self.setting(id, route) {
            Some((name, setting)) => format!("{name} {}", setting.value),
            None => "its default".to_owned(),
        }
    }

    /// How near a gateway is.
    fn nearness(&self, gateway: &Gateway) -> Near {
        let of = self.spots.iter().find(|spot| std::ptr::eq(spot.gateway, gateway)).map(|spot| spot.near);
        of.map_or(Near::Elsewhere, |near| near.max(Near::Gateway))
    }

    /// What facts of these names tell, each about the nearest server that it can be about.
    fn of_facts(&self, spec: &FindingSpec) -> Vec<Found<'a>> {
        let facts = self.book.facts().iter().filter(|fact| spec.facts.contains(&fact.name));
        let facts = facts.filter(|fact| !listener(self.scene, &fact.subject).is_some_and(inner));
        facts
            .map(|fact| {
                let known = self.server(&fact.subject);
                let gateway = self.scene.gateways.iter().find(|gateway| self.scene.named(gateway) == fact.subject);
                let at = known
                    .map(|(_, server)| server.at.clone())
                    .or_else(|| listener(self.scene, &fact.subject).map(|listen| listen.at.clone()));
                let file = || fact.fields.get("file").map(|file| Place { file: std::path::PathBuf::from(file).into(), line: 1 });
                let at = at.or_else(file);
                Found {
                    near: known.map_or(Near::Gateway, |(spot, _)| spot.near),
                    gateway: known.map(|(spot, _)| spot.gateway).or(gateway).or(self.scene.gateways.first()),
                    text: fact.text.clone(),
                    at,
                    fields: Vec::new(),
                    subject: known.map(|_| fact.subject.clone()),
                }
            })
            .collect()
    }

    /// Where the servers are written that causes of these ids are about.
    fn of_causes(&self, spec: &FindingSpec) -> Vec<Found<'a>> {
        let likely = self.causes.iter().filter(|cause| cause.confidence >= Confidence::Likely && spec.causes.contains(&cause.id));
        likely
            .filter_map(|cause| {
                let (spot, server) = self.server(&cause.subject)?;
                Some(Found::of(&spot, &server.at, cause.summary.clone()).about(&server.address))
            })
            .collect()
    }
}

/// The listener of a probe, as far as one is known for its name.
fn listener<'a>(scene: &'a Scene, subject: &Subject) -> Option<&'a Listen> {
    let job = scene.probes.iter().map(|history| &history.last.job).find(|job| job.subject == *subject)?;
    let name = job.sni.as_deref()?;
    let mut sites = scene.gateways.iter().flat_map(|gateway| &gateway.sites);
    let site: &Site = sites.find(|site| site.names.iter().any(|known| known == name))?;
    site.listens.iter().find(|listen| listen.tls)
}

/// Whether only this host itself reaches a listener: its certificate is a matter between programs.
fn inner(listen: &Listen) -> bool {
    matches!(&listen.address, Address::Tcp(at) if at.ip().is_loopback())
}

/// The findings of a scene, the nearest first.
pub fn findings(
    scene: &Scene,
    catalog: &Catalog,
    book: &FactBook,
    causes: &[Cause],
    symptom: &symptom::View,
    map: &Map<'_>,
) -> Vec<Finding> {
    if scene.excerpt() {
        return Vec::new();
    }
    let look = Look::new(scene, catalog, book, causes, symptom, map);
    let mut all: Vec<(Near, usize, Finding)> = Vec::new();
    for (rank, spec) in catalog.findings.iter().enumerate() {
        let rule = RULES.iter().find(|(id, _)| *id == spec.id);
        let mut found = rule.map_or_else(Vec::new, |(_, rule)| rule(&look));
        found.extend(look.of_facts(spec));
        found.extend(look.of_causes(spec));
        found.order_by(|a, b| (a.near, &a.at, &a.text).cmp(&(b.near, &b.at, &b.text)));
        // One line of a file, or one server, is told once, in whatever many routes it stands.
        let mut seen = BTreeSet::new();
        found.retain(|one| seen.insert((one.at.clone(), if one.at.is_some() { String::new() } else { one.text.clone() })));
        let more = found.len().saturating_sub(OF_ONE_KIND);
        for (index, one) in found.into_iter().take(OF_ONE_KIND).enumerate() {
            let near = one.near;
            let mut finding = told(spec, one, scene, catalog, causes);
            if more > 0 && index + 1 == OF_ONE_KIND {
                finding.text.push_str(&format!("; and {more} more like it"));
            }
            all.push((near, rank, finding));
        }
    }
    all.order_by_key(|(near, rank, _)| (*near, *rank));
    all.into_iter().take(LISTED).map(|(.., finding)| finding).collect()
}

/// A finding with its remedy in words.
fn told(spec: &FindingSpec, one: Found<'_>, scene: &Scene, catalog: &Catalog, causes: &[Cause]) -> Finding {
    let mut fields: BTreeMap<String, String> = one.fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    if let Some(subject) = &one.subject {
        fields.entry("subject".to_owned()).or_insert_with(|| subject.0.clone());
        if let Ok(Address::Name(name, port)) = subject.0.parse() {
            fields.insert("name".to_owned(), name);
            fields.insert("port".to_owned(), port.to_string());
        }
    }
    let kind = one.gateway.map_or("", |gateway| gateway.kind.as_str());
    let fix = spec.remedies(kind).find_map(|text| wording::fill(text, &fields));
    let of_server = |cause: &&Cause| one.subject.as_ref() == Some(&cause.subject);
    let told_by = |cause: &&Cause| {
        spec.causes.contains(&cause.id)
            || catalog.cause(&cause.id).is_some_and(|known| known.evidence_for.iter().any(|fact| spec.facts.contains(&fact.fact)))
            || named::tells(&cause.id, &spec.id)
    };
    let about = |cause: &&Cause| {
        of_server(cause) || one.subject.is_none() && scene.gateways.iter().any(|gateway| scene.named(gateway) == cause.subject)
    };
    let cause = causes.iter().filter(told_by).find(about).map(|cause| cause.id.clone());
    Finding {
        id: spec.id.clone(),
        text: one.text,
        place: one.at.map_or_else(String::new, |at| at.to_string()),
        fix: fix.unwrap_or_else(|| spec.title.clone()),
        cause,
    }
}

/// Whether a server gets requests as long as it is well.
fn serves(server: &Server) -> bool {
    server.role == Role::Primary
}

/// `80 ms`, `5 s`, `2.1 s`.
fn span(ms: u64) -> String {
    facts::span(ms)
}

#[cfg(test)]
mod tests;
