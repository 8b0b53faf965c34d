//! What a cause can be about: an upstream, a gateway, the host, each with everything that bears on it.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactBook, Scene, facts, symptom};
use crate::{
    catalog::About,
    model::{Address, Gateway, Role, Route, Site, Subject, logline::Writer},
};

/// What a cause can be about, with everything that bears on it.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The subject itself.
    pub subject: Subject,
    /// URLs of the requests that pass here, and for an upstream its gateway and the host.
    pub wider: Vec<Subject>,
    /// The gateway in question.
    pub gateway: Option<&'a Gateway>,
    /// The first route that reaches an upstream.
    pub route: Option<(&'a Site, &'a Route)>,
    /// What kind of subject it is.
    pub about: About,
}

impl Scope<'_> {
    /// All subjects whose facts bear on it.
    pub fn subjects(&self) -> Vec<&Subject> {
        std::iter::once(&self.subject).chain(&self.wider).collect()
    }

    /// Whether something fails that this could be the cause of.
    pub fn fails(&self, scene: &Scene, symptom: &symptom::View) -> bool {
        if scene.excerpt() {
            return true;
        }
        if self.about != About::Upstream {
            return symptom.failing;
        }
        let through: Vec<_> =
            scene.probes_of("gateway").filter(|history| history.last.job.upstreams.contains(&self.subject)).collect();
        if through.iter().any(|history| facts::window(history).iter().any(|result| symptom::failed(&result.outcome))) {
            return true;
        }
        // The gateway serves every request that could go there. A dead server of a pool is a fault all the same; a direct probe
        // that fails where the only server serves the gateway is a defect of the probe.
        let alone =
            self.route.is_none_or(|(_, route)| route.servers.iter().filter(|server| server.role == Role::Primary).count() < 2);
        if !through.is_empty() && alone {
            return symptom.failing && symptom.subject.is_none();
        }
        scene.probes_of("upstream").any(|history| {
            history.last.job.subject == self.subject && facts::window(history).iter().any(|r| r.outcome.serves() == Some(false))
        })
    }
}

/// Everything that a cause of this kind can be about.
pub fn scopes<'a>(scene: &'a Scene, book: &FactBook, about: About) -> Vec<Scope<'a>> {
    let urls = |upstream: Option<&Subject>| -> Vec<Subject> {
        scene
            .probes_of("gateway")
            .filter(|history| upstream.is_none_or(|upstream| history.last.job.upstreams.contains(upstream)))
            .map(|history| history.last.job.subject.clone())
            .collect()
    };
    match about {
        // What gateways and applications say of the host bears on it: a full disk is seen by who writes.
        About::Host => {
            let told: BTreeSet<Subject> = if scene.excerpt() {
                scene.logs.values().map(|group| Subject(group.source.clone())).collect()
            } else {
                scene.gateways.iter().map(|gateway| Subject(gateway.kind.clone())).collect()
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
                Scope { subject: Subject(gateway.kind.clone()), wider, gateway: Some(gateway), route: None, about }
            })
            .collect(),
        About::Upstream => {
            let applications = applications(scene);
            let mut scopes: BTreeMap<Subject, Scope<'a>> = BTreeMap::new();
            for gateway in &scene.gateways {
                for (site, route) in gateway.routes() {
                    for server in route.servers.iter().filter(|server| server.role != Role::Down) {
                        let subject = Subject(server.address.to_string());
                        scopes.entry(subject.clone()).or_insert_with(|| Scope {
                            wider: urls(Some(&subject))
                                .into_iter()
                                .chain([Subject(gateway.kind.clone()), Subject::host()])
                                .chain(applications.iter().cloned())
                                .collect(),
                            subject,
                            gateway: Some(gateway),
                            route: Some((site, route)),
                            about,
                        });
                    }
                }
            }
            // Upstreams that only a log or a probe names: a configuration that was edited since, a name's addresses.
            let named = book.facts.iter().filter(|fact| fact.name.starts_with("log:") || fact.name.starts_with("probe:upstream:"));
            for fact in named.filter(|fact| fact.subject.0.parse::<Address>().is_ok()) {
                scopes.entry(fact.subject.clone()).or_insert_with(|| Scope {
                    subject: fact.subject.clone(),
                    wider: urls(Some(&fact.subject))
                        .into_iter()
                        .chain([Subject::host()])
                        .chain(applications.iter().cloned())
                        .collect(),
                    gateway: scene.gateways.first(),
                    route: None,
                    about,
                });
            }
            if scene.excerpt() {
                return of_excerpt(scene, book);
            }
            scopes.into_values().collect()
        }
    }
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
        book.facts.iter().map(|fact| &fact.subject).filter(|subject| !others.contains(subject)).collect();
    if !named.is_empty() {
        return named.into_iter().map(|subject| scope(subject.clone(), others.clone())).collect();
    }
    vec![scope(Subject("the upstream".to_owned()), others)]
}
