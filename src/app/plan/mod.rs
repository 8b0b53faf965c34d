//! What is probed: from what is known to a plan of probes. Pure; the same scene gives the same plan.
//!
//! Targets are taken from the URL that the operator named, then from failing requests in the logs, then one per route that
//! reaches an upstream (DESIGN section 2). For each: the request through the gateway, and the same request straight to each
//! server behind it (`target`, `job`), and what tells more of that server (`companion`). A dead upstream brings its candidates: listeners that may be the application on another address.

mod before;
mod companion;
mod edited;
mod entrance;
mod inner;
mod job;
mod keepalive;
mod logged;
mod patience;
mod strangers;
mod target;
mod views;

use std::{
    cell::LazyCell,
    collections::{BTreeSet, HashSet},
};

use crate::{
    catalog::Catalog,
    diagnose::{self, Scene, nested::Entrances},
    model::{Address, Order as _, Outcome, ProbeJob, ProbePlan, Protocol, Route, Subject},
};

pub use patience::{hopeless, keep_patience};

use super::Options;

/// Milliseconds between rounds while something fails.
pub const FAILING_PERIOD_MS: u64 = 2_000;
/// Milliseconds that an exchange with a listener may take which is only perhaps the application: one that is up answers its
/// first page in less, and a stranger must not hold the verdict up.
const CANDIDATE_MS: u64 = 1_000;

/// Failing upstreams the way to which is looked at: each look makes some thirty connections, and a pool that fails as a whole fails
/// for one reason.
const WAYS: usize = 4;

/// Sites whose own certificate is looked at besides the request, at most: a handshake each.
const EDGES: usize = 3;

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
    /// Whether somebody waits for a verdict of one pass: what takes long is then only looked at where something asks for it.
    pub one_pass: bool,
}

impl PlanLimits {
    /// Milliseconds for a connection that is waited for so long at most, and for the whole exchange.
    fn of(self, connect_ms: u64) -> (u64, u64) {
        (connect_ms.min(self.total_ms), self.total_ms)
    }
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self { targets: 12, upstreams: 2_048, total_ms: 10_000, period_ms: None, one_pass: false }
    }
}

/// Upstream servers that are asked for a page, each; of the others of a large pool it is seen whether they take connections. The
/// first burst of requests has room for these and for the requests through the gateway.
const ASKED: usize = 12;

/// Upstream servers that are connected to in each round; those behind them in turn, a few at a time, and those that fail more
/// often: a thousand that are well need no fifty connections a second for ever.
const OFTEN: usize = 128;
/// Milliseconds between two tries of one of the others.
const SELDOM_MS: u64 = 60_000;
/// Dead servers for which the application is looked for elsewhere: each brings a handful of requests, and a pool that moved has
/// moved as a whole.
const LOOKED_FOR: usize = 12;

/// All probes to be made from now on.
pub fn plan(scene: &Scene, options: &Options, catalog: &Catalog) -> ProbePlan {
    let targets = target::targets(scene, options);
    let mut jobs = Vec::new();
    let mut known: HashSet<ProbeJob> = HashSet::new();
    let mut add = |job: ProbeJob| {
        if known.insert(job.clone()) {
            jobs.push(job);
        }
    };
    let hanging = diagnose::told_to_hang(scene, catalog);
    let told = diagnose::told_of(scene);
    let routes: Vec<_> = targets.first().map(|target| target.routes.clone()).unwrap_or_default();
    let patience = patience::gateway(&hanging, &routes, options.limits);
    let clients = views::clients(&targets, options).into_iter();
    let clients = clients.map(|job| ProbeJob { total_ms: job.total_ms.min(patience), ..job });
    let clients = clients.map(|job| {
        let servers = routes.iter().flat_map(|route| &route.servers).map(|server| &server.address);
        ProbeJob { siblings: patience::siblings(scene, &job, servers), ..job }
    });
    // What nobody asked for stands behind all that tells of the failure itself.
    let (mut last, asked): (Vec<_>, Vec<_>) = clients.partition(|job| job.every_ms.is_some());
    asked.into_iter().for_each(&mut add);
    let entrances = Entrances::of(scene);
    let chains: Vec<_> = targets.iter().map(|target| (target, inner::inner(&entrances, target))).collect();
    let mut upstreams: BTreeSet<(&Address, &str)> = BTreeSet::new();
    let mut ways: BTreeSet<Subject> = BTreeSet::new();
    let (mut first, mut edges) = (true, 0);
    for (target, (inner, loops)) in &chains {
        let patience = patience::gateway(&hanging, &target.routes, options.limits);
        let through = ProbeJob { total_ms: patience, ..job::through_gateway(target, inner, options.limits) };
        let servers = std::iter::once(*target).chain(inner).flat_map(target::Target::servers).map(|(_, server)| &server.address);
        let through = ProbeJob { siblings: patience::siblings(scene, &through, servers), ..through };
        // What no file calls HTTP gets no request, unless somebody has named one. A location is HTTP's whatever stands behind it, as
        // memcached may.
        let raw = |route: &&Route| route.protocol == Protocol::Stream && !route.pattern.starts_with(['/', '=', '~', '^', '@']);
        let stream = !target.routes.is_empty() && target.routes.iter().all(raw);
        let through = if stream && options.url.is_none() {
            ProbeJob { protocol: Protocol::Stream, request: None, sni: None, ..through }
        } else {
            through
        };
        if std::mem::take(&mut first) {
            last.extend(views::shapes(scene, target, &through));
        }
        last.extend(companion::edge(&through));
        // A site that is asked in plain text may have a certificate all the same.
        if edges < EDGES
            && !through.tls()
            && let Some((listen, host)) = target.secure()
        {
            edges += 1;
            let (address, sni) = (entrance::reachable(&listen.address), Some(host.to_owned()));
            last.extend(companion::edge(&ProbeJob { protocol: Protocol::Https, address, sni, ..through.clone() }));
        }
        add(through);
        for target in std::iter::once(*target).chain(inner) {
            // What comes back here would only go round once more.
            let mut servers: Vec<_> = target.servers().filter(|(_, server)| !loops.contains(&&server.address)).collect();
            if servers.len() > ASKED {
                // Not all of them are asked, so those are which the logs name.
                servers.order_by_key(|(_, server)| !told.contains(&server.address));
            }
            for (route, server) in servers {
                if upstreams.len() >= options.limits.upstreams {
                    break;
                }
                upstreams.insert((&server.address, &target.path));
                let patience = patience::upstream(&hanging, route, &server.address, options.limits);
                let straight = ProbeJob { total_ms: patience, ..job::upstream(target, route, server, options.limits) };
                let siblings = patience::siblings(scene, &straight, std::iter::once(&server.address));
                let straight = ProbeJob { siblings, ..straight };
                // Of a large pool the first are asked, and of the rest it is seen whether somebody takes the connection.
                let asked = upstreams.len() <= ASKED;
                let seldom = options.limits.period_ms.is_none() && upstreams.len() > OFTEN;
                let every_ms = seldom.then_some(SELDOM_MS);
                let straight = if asked { straight } else { ProbeJob { request: None, every_ms, ..straight } };
                let companions = if asked { companion::companions(scene, target, server, &straight) } else { Vec::new() };
                let idle = asked.then(|| keepalive::job(scene, catalog, target, route, server, options.limits)).flatten();
                for job in std::iter::once(straight).chain(companions).chain(idle) {
                    let way = job.probe == "reach";
                    if !way || ways.len() < WAYS || ways.contains(&job.subject) {
                        ways.extend(way.then(|| job.subject.clone()));
                        add(job);
                    }
                }
            }
        }
    }
    let mut dead: BTreeSet<&Address> = BTreeSet::new();
    let candidates = LazyCell::new(|| diagnose::Candidates::of(scene, catalog));
    for target in chains.iter().flat_map(|(target, (inner, _))| std::iter::once(*target).chain(inner)) {
        for (route, server) in target.servers().filter(|(_, server)| is_dead(scene, &server.address)) {
            if dead.len() >= LOOKED_FOR && !dead.contains(&server.address) {
                continue;
            }
            dead.insert(&server.address);
            for listener in candidates.for_upstream(&server.address) {
                let mut job = job::upstream(target, route, server, options.limits);
                "candidate".clone_into(&mut job.probe);
                job.address = entrance::reachable(&listener.address);
                job.total_ms = job.total_ms.min(CANDIDATE_MS);
                add(job);
            }
        }
    }
    for target in &targets {
        for (route, server) in target.servers().filter(|(_, server)| matches!(server.address, Address::Name(..))) {
            let straight = job::upstream(target, route, server, options.limits);
            companion::addresses(scene, server, &straight).for_each(&mut add);
        }
    }
    last.into_iter().for_each(&mut add);
    for job in edited::upstreams(scene, options.limits) {
        if !jobs.iter().any(|known| known.probe == job.probe && known.subject == job.subject) {
            jobs.push(job);
        }
    }
    // Another view of the same may fail for ever: HTTP/2 that is not offered, a name that only visitors can resolve.
    let often = |history: &&diagnose::ProbeHistory| history.last.job.every_ms.is_none();
    let failing = scene
        .probes
        .iter()
        .filter(often)
        .any(|history| diagnose::window(history).iter().any(|result| diagnose::failed(&result.outcome)));
    let period = options.limits.period_ms.unwrap_or(if failing { FAILING_PERIOD_MS } else { ProbePlan::CALM_MS });
    ProbePlan { number: 0, jobs, period_ms: period, asked: 0, cut: Vec::new(), served: false }
}

/// Whether nothing takes connections there.
fn is_dead(scene: &Scene, address: &Address) -> bool {
    let subject = Subject(address.to_string());
    scene.probes_about("upstream", &subject).any(|history| matches!(history.last.outcome, Outcome::Refused | Outcome::NotFound))
}
