//! How long an exchange is waited for. What the gateway itself would no longer take is over a little later; where a log tells of
//! requests that hang right now, one that hangs as well needs no long proof.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
};

use crate::{
    diagnose::{self, Scene},
    model::{Address, OwnerRole, ProbeJob, ProbePlan, Queue, Route, ServiceLoad, Siblings, Subject},
};

use super::PlanLimits;

/// Milliseconds that an answer is waited for beyond the gateway's own limit, at least and at most, and as long as the limit between them: one
/// that comes then tells that the limit is too short, and none that the application hangs.
const BEYOND_MS: (u64, u64) = (1_000, 3_000);
/// Milliseconds that are waited at least: shorter limits are seen with the application still being started.
const LEAST_MS: u64 = 3_000;
/// Milliseconds that are waited where a log tells of requests that hang now, and the gateway's limit is no short one: ours only shows
/// that it still is so, and what answers at all answers in less.
const TOLD_MS: u64 = 1_000;
/// From here on a limit of the gateway's is not short: whether the application is just a little slower matters less then.
const SHORT_MS: u64 = 5_000;

/// Servers of which requests of others are looked at, at most.
const SIBLINGS: usize = 8;

/// For a request straight to a server.
pub fn upstream(hanging: &BTreeSet<Address>, route: &Route, server: &Address, limits: PlanLimits) -> u64 {
    let told = route.read_ms >= SHORT_MS && hanging.contains(server);
    let wait =
        if told { TOLD_MS } else { route.read_ms.saturating_add(route.read_ms.clamp(BEYOND_MS.0, BEYOND_MS.1)).max(LEAST_MS) };
    wait.min(limits.total_ms)
}

/// For a request through the gateway that can reach these servers.
pub fn gateway(hanging: &BTreeSet<Address>, routes: &[&Route], limits: PlanLimits) -> u64 {
    let long = |route: &&&Route| route.read_ms >= SHORT_MS;
    let mut servers = routes.iter().filter(long).flat_map(|route| &route.servers);
    let told = !hanging.is_empty() && servers.any(|server| hanging.contains(&server.address));
    if told { TOLD_MS.min(limits.total_ms) } else { limits.total_ms }
}

/// Whose requests, when they hang, make it needless to wait: those to the servers that answer this one, unless the gateway's log tells
/// that users are served, as the others may then be such that wait on purpose (long polling).
pub fn siblings<'a>(scene: &Scene, job: &ProbeJob, servers: impl Iterator<Item = &'a Address>) -> Option<Box<Siblings>> {
    let here = |address: &&Address| address.place() == job.address.place() || job.probe == "client" && address.place().is_none();
    let at: Vec<SocketAddr> = servers
        .filter(here)
        .filter_map(|address| match address.bare() {
            Address::Tcp(at) => Some(*at),
            Address::Unix(_) | Address::Name(..) | Address::Inside(..) => None,
        })
        .take(SIBLINGS)
        .collect();
    (!at.is_empty() && !diagnose::told_to_serve(scene)).then(|| Box::new(Siblings { at, waited_ms: job.total_ms }))
}

/// The subjects of those jobs of which no answer will come, whatever is still under way: a signal has stopped whoever would answer, or
/// nothing more is taken in, as the accept queue is full.
pub fn hopeless(scene: &Scene, jobs: &[ProbeJob]) -> Vec<Subject> {
    let table = scene.listeners.as_ref();
    let stopped = |subject: &Subject| scene.service(subject).is_some_and(ServiceLoad::halted);
    let full = |address: &Address| {
        table.and_then(|table| table.taking(address)).and_then(|listener| listener.queue).is_some_and(Queue::full)
    };
    let lost = |upstream: &Subject| stopped(upstream) || upstream.0.parse().is_ok_and(|address| full(&address));
    let gateway_stopped = |address: &Address| {
        let pid = table.and_then(|table| table.taking(address)).and_then(|listener| listener.owner.as_ref()).map(|owner| owner.pid);
        scene.services().iter().any(|service| service.role == OwnerRole::Gateway && service.halted() && Some(service.pid) == pid)
    };
    let none = |job: &&ProbeJob| match job.probe.as_str() {
        "upstream" => lost(&job.subject),
        _ if job.upstreams.is_empty() && job.probe != "client" => false,
        _ => gateway_stopped(&job.address) || !job.upstreams.is_empty() && job.upstreams.iter().all(lost),
    };
    let mut subjects: Vec<Subject> = jobs.iter().filter(none).map(|job| job.subject.clone()).collect();
    subjects.sort();
    subjects.dedup();
    subjects
}

/// A job that is under way keeps its patience: with another one it would be another job, and begin anew.
pub fn keep_patience(plan: &mut ProbePlan, before: &ProbePlan) {
    // Two plans of a large pool are alike but for a few jobs, so most have their like of before.
    let known: HashSet<&ProbeJob> = before.jobs.iter().collect();
    let mut of_subject: HashMap<&Subject, Vec<&ProbeJob>> = HashMap::new();
    for job in &before.jobs {
        of_subject.entry(&job.subject).or_default().push(job);
    }
    let same = |job: &ProbeJob, known: &ProbeJob| {
        let patience = (job.total_ms, job.siblings.clone());
        known.probe == job.probe && ProbeJob { total_ms: patience.0, siblings: patience.1, ..known.clone() } == *job
    };
    for job in plan.jobs.iter_mut().filter(|job| job.probe != "keepalive" && !known.contains(&**job)) {
        let mut like = of_subject.get(&job.subject).into_iter().flatten();
        if let Some(known) = like.find(|known| same(job, known)) {
            (job.total_ms, job.siblings) = (known.total_ms, known.siblings.clone());
        }
    }
}
