//! What a cause can be about: an upstream, a gateway, the host, each with everything that bears on it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;

use super::{FactBook, LogGroup, ProbeHistory, Scene, facts, nested::Entrances, symptom, upstream::address_of};
use crate::{
    catalog::About,
    model::{Address, Gateway, Health, Outcome, Role, Route, Site, SourceKind, Subject, logline::Writer},
};

/// Servers that a cause can be about although no probe and no log tells of them, at most: the first of a configuration.
pub const SERVERS: usize = 2_048;

/// What a cause can be about, with everything that bears on it.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The subject itself.
    pub subject: Subject,
    /// URLs of the requests that pass here, and for an upstream its gateway and the host.
    pub wider: Vec<Subject>,
    /// The gateway in question.
    pub gateway: Option<&'a Gateway>,
    /// The route by which a request fails that reaches an upstream; where none is known, the first that reaches it.
    pub route: Option<(&'a Site, &'a Route)>,
    /// What kind of subject it is.
    pub about: About,
}

impl Scope<'_> {
    /// All subjects whose facts bear on it.
    pub fn subjects(&self) -> Vec<&Subject> {
        std::iter::once(&self.subject).chain(&self.wider).collect()
    }

    /// Whether something fails that this could be the cause of. `failed`: whom gateways name in their logs, by [`super::upstream::failed_at`].
    pub fn fails(&self, scene: &Scene, symptom: &symptom::View, failed: &BTreeSet<Subject>) -> bool {
        if scene.excerpt() {
            return true;
        }
        if self.about != About::Upstream {
            return symptom.failing;
        }
        let through: Vec<_> = scene.probes_through(&self.subject).collect();
        if through.is_empty() && scene.probes_about("upstream", &self.subject).next().is_none() {
            // Whom only a request tells is asked for by no probe: what the gateway says of it is all that is known.
            return symptom.failing && failed.contains(&self.subject);
        }
        if through.iter().any(|history| facts::window(history).iter().any(|result| symptom::fails(scene, history, &result.outcome)))
        {
            return true;
        }
        // The gateway serves every request that could go there. A dead server of a pool is a fault all the same; a direct probe
        // that fails where the only server serves the gateway is a defect of the probe.
        // That a spare serves in its stead is what the spare is for.
        let alone = self.route.is_none_or(|(_, route)| {
            let of = |role: Role| route.servers.iter().filter(move |server| server.role == role);
            let stood_in =
                of(Role::Primary).any(|server| server.address.to_string() == self.subject.0) && of(Role::Backup).next().is_some();
            of(Role::Primary).count() < 2 && !stood_in
        });
        if !through.is_empty() && alone {
            let met = symptom.failing && (symptom.subject.is_none() || symptom.users) || self.now_and_then(scene);
            let meets = self.hidden(scene) || failed.contains(&self.subject) && self.refused(scene);
            if met || !meets {
                return met;
            }
        }
        let mut straight = scene.probes_about("upstream", &self.subject);
        straight.any(|history| facts::window(history).iter().any(|r| r.outcome.serves() == Some(false)))
    }
}

impl Scope<'_> {
    /// Whether the gateway itself met the upstream's failure since we look, and answered something else: a stale page, a sorry page.
    fn hidden(&self, scene: &Scene) -> bool {
        let met = |group: &LogGroup| {
            let fault = group.kind == SourceKind::Error && group.meaning.signature.is_some() && group.live > 0;
            fault && group.upstream().is_some_and(|address| address.to_string() == self.subject.0)
        };
        // Whom it holds for down it does not ask: what it answers is none of the application's.
        let held = scene.gateways.iter().any(|gateway| {
            let lives = scene.lives.iter().filter(|live| live.is_of(gateway));
            let mut down = lives.flat_map(|live| &live.servers).filter(|server| server.health == Health::Down);
            down.any(|server| address_of(gateway, server).is_some_and(|address| address.to_string() == self.subject.0))
        });
        held || scene.logs.values().any(met)
    }

    /// Whether nobody takes connections there now. Where the gateway has just met that too, what it serves us is of somebody else: a page of
    /// its own, or of another site than the one whose requests fail.
    fn refused(&self, scene: &Scene) -> bool {
        let mut straight = scene.probes_about("upstream", &self.subject).peekable();
        let refused = |history: &ProbeHistory| history.results.back().is_some_and(|result| result.outcome == Outcome::Refused);
        straight.peek().is_some() && straight.all(refused)
    }

    /// Whether requests straight to the upstream fail now and then: that is no defect of the probe, which others pass.
    fn now_and_then(&self, scene: &Scene) -> bool {
        scene.probes_about("upstream", &self.subject).any(|history| {
            let serves: BTreeSet<bool> = facts::window(history).iter().filter_map(|result| result.outcome.serves()).collect();
            serves.len() == 2
        })
    }
}

/// Everything that a cause of this kind can be about.
pub fn scopes<'a>(scene: &'a Scene, book: &FactBook, about: About) -> Vec<Scope<'a>> {
    let url = |history: &ProbeHistory| history.last.job.subject.clone();
    let urls = |upstream: Option<&Subject>| -> Vec<Subject> {
        match upstream {
            Some(upstream) => scene.probes_through(upstream).map(url).collect(),
            None => scene.probes_of("gateway").map(url).collect(),
        }
    };
    match about {
        // What gateways and applications say of the host bears on it: a full disk is seen by who writes.
        About::Host => {
            let told: BTreeSet<Subject> = if scene.excerpt() {
                scene.logs.values().map(|group| Subject(group.source.clone())).collect()
            } else {
                scene.gateways.iter().map(|gateway| scene.named(gateway)).collect()
            };
            let wider = urls(None).into_iter().chain(told).collect();
            vec![Scope { subject: Subject::host(), wider, gateway: None, route: None, about }]
        }
        // Of an excerpt no gateway is known, but the log that its lines come from.
        About::Gateway if scene.excerpt() => {
            let written = |group: &&crate::diagnose::LogGroup| group.meaning.dialect.writer() == Writer::Gateway;
            let source = |group: &crate::diagnose::LogGroup| Subject(group.source.clone());
            let sources: BTreeSet<Subject> = scene.logs.values().filter(written).map(source).collect();
            // What a gateway says on a terminal has no shape of its own, and an application may speak of the gateway.
            let others: BTreeSet<Subject> = scene.logs.values().map(source).filter(|other| !sources.contains(other)).collect();
            let wider = || others.iter().cloned().chain([Subject::host()]).collect();
            let subjects = if sources.is_empty() { BTreeSet::from([Subject("the gateway".to_owned())]) } else { sources };
            subjects.into_iter().map(|subject| Scope { subject, wider: wider(), gateway: None, route: None, about }).collect()
        }
        About::Gateway => scene
            .gateways
            .iter()
            .map(|gateway| {
                let wider = urls(None).into_iter().chain([Subject::host()]).collect();
                Scope { subject: scene.named(gateway), wider, gateway: Some(gateway), route: None, about }
            })
            .collect(),
        About::Upstream => {
            let applications = applications(scene);
            let failing = failing_routes(scene);
            let mut scopes: BTreeMap<Subject, Scope<'a>> = BTreeMap::new();
            // A large configuration names its servers in route after route.
            let mut seen: HashSet<&Address, RandomState> = HashSet::default();
            for gateway in &scene.gateways {
                for (site, route) in gateway.routes() {
                    for server in route.reachable() {
                        if seen.len() >= SERVERS || !seen.insert(&server.address) {
                            continue;
                        }
                        let subject = Subject(server.address.to_string());
                        let (gateway, place) = failing.get(&server.address).copied().unwrap_or((gateway, (site, route)));
                        scopes.entry(subject.clone()).or_insert_with(|| Scope {
                            wider: urls(Some(&subject))
                                .into_iter()
                                .chain([scene.named(gateway), Subject::host()])
                                .chain(applications.iter().cloned())
                                .collect(),
                            subject,
                            gateway: Some(gateway),
                            route: Some(place),
                            about,
                        });
                    }
                }
            }
            // Upstreams that only a log or a probe names: a configuration that was edited since, a name's addresses.
            let named =
                book.facts().iter().filter(|fact| fact.name.starts_with("log:") || fact.name.starts_with("probe:upstream:"));
            for fact in named {
                if scopes.contains_key(&fact.subject) {
                    continue;
                }
                let Ok(address) = fact.subject.0.parse::<Address>() else { continue };
                // Beyond the servers above it may be any of the configuration.
                let place = (seen.len() >= SERVERS).then(|| scene.routes_to(&address).first().copied()).flatten();
                let gateway = place.map(|(gateway, ..)| scene.named(gateway));
                let scope = Scope {
                    subject: fact.subject.clone(),
                    wider: urls(Some(&fact.subject))
                        .into_iter()
                        .chain(gateway)
                        .chain([Subject::host()])
                        .chain(applications.iter().cloned())
                        .collect(),
                    gateway: place.map(|(gateway, ..)| gateway).or(scene.gateways.first()),
                    route: place.map(|(_, site, route)| (site, route)),
                    about,
                };
                scopes.insert(fact.subject.clone(), scope);
            }
            if scene.excerpt() {
                return of_excerpt(scene, book);
            }
            scopes.into_values().collect()
        }
    }
}

/// By which route the requests that fail reach each server, where their paths tell: others to the same server may have other limits.
fn failing_routes(scene: &Scene) -> HashMap<&Address, (&Gateway, (&Site, &Route)), RandomState> {
    let mut routes = HashMap::default();
    let mut fails = scene.probes_of("gateway").filter(|history| symptom::own_failures(scene, history).hits > 0).peekable();
    if fails.peek().is_none() {
        return routes;
    }
    let entrances = Entrances::of(scene);
    for job in fails.map(|history| &history.last.job) {
        let Some(request) = &job.request else { continue };
        let Some(entrance) = entrances.taking(&job.address, &request.host) else { continue };
        let Some(route) = entrance.site.route_for(&request.path) else { continue };
        for server in route.reachable() {
            routes.entry(&server.address).or_insert((entrance.gateway, (entrance.site, route)));
        }
    }
    routes
}

/// Logs of applications: what they tell may be of any upstream.
fn applications(scene: &Scene) -> BTreeSet<Subject> {
    let of_application = scene.logs.values().filter(|group| group.kind == crate::model::SourceKind::App);
    of_application.map(|group| Subject(group.source.clone())).collect()
}

/// What an excerpt can be about: the upstreams that its lines name, each with everything that is said without naming one: by the
/// application, its supervisor, the kernel. Where no line names an upstream, it is the application, whoever it is.
fn of_excerpt<'a>(scene: &'a Scene, book: &FactBook) -> Vec<Scope<'a>> {
    let sources: BTreeSet<Subject> = scene.logs.values().map(|group| Subject(group.source.clone())).collect();
    let others: Vec<Subject> = sources.iter().cloned().chain([Subject::host()]).collect();
    let scope =
        |subject: Subject, wider: Vec<Subject>| Scope { subject, wider, gateway: None, route: None, about: About::Upstream };
    let named: BTreeSet<&Subject> =
        book.facts().iter().map(|fact| &fact.subject).filter(|subject| !others.contains(subject)).collect();
    if !named.is_empty() {
        return named.into_iter().map(|subject| scope(subject.clone(), others.clone())).collect();
    }
    let who = ["unit", "container", "service"];
    let told: BTreeSet<&String> =
        book.facts().iter().flat_map(|fact| who.iter().filter_map(|field| fact.fields.get(*field))).collect();
    // Of several that are told it may be any.
    let name = told.first().filter(|_| told.len() == 1).map_or("the upstream", |name| name.as_str());
    vec![scope(Subject(name.to_owned()), others)]
}
