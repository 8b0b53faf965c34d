//! Whether what the kernel or a supervisor tells of some process bears on the upstream that fails.
//!
//! On a host many things are killed and restarted. A line that names a process or unit is evidence for an upstream when that is who
//! listens there, or when it happened right before the failures began; else it is hardly more than a coincidence.

use super::{FactBook, facts::WAITED_MS, rank::Held, scope::Scope, symptom};
use crate::{
    catalog::{About, Catalog, Rank},
    diagnose::Scene,
    model::{Fact, Listener, Protocol, Subject, logline::Writer},
};

/// Seconds before the first failure in which what happened can be its cause: a queue or a cache may bridge as much.
const BEFORE_S: i64 = 120;
/// Seconds after it: lines of two writers are not in order to the second.
const AFTER_S: i64 = 10;
/// What a kill right before the failures counts, of somebody who is not known.
const IN_TIME: f64 = 0.8;
/// What it counts at another time.
pub const STRANGER: f64 = 0.15;
/// Bytes of a process's name that the kernel keeps (`TASK_COMM_LEN` without its end).
const COMM_BYTES: usize = 15;
/// Zones differ by multiples of so many seconds: the lines of an excerpt may be of two clocks (a container's is mostly in UTC).
const ZONE_STEP_S: i64 = 900;
/// What the names of the kernel's facts begin with.
const OF_KERNEL: &str = "log:kernel-";

/// What facts are seen by.
#[derive(Debug)]
pub struct Sight<'a> {
    pub scene: &'a Scene,
    pub catalog: &'a Catalog,
    pub book: &'a FactBook,
    pub symptom: &'a symptom::View,
    /// Of an excerpt: the second of its last line that tells of a failure, the kernel's and those about the host apart.
    failed: Option<i64>,
}

impl<'a> Sight<'a> {
    /// Of everything.
    pub fn new(scene: &'a Scene, catalog: &'a Catalog, book: &'a FactBook, symptom: &'a symptom::View) -> Self {
        let told = book.lines(catalog).filter(|(fact, signature)| {
            signature.rank != Rank::Context && signature.about != About::Host && !fact.name.starts_with(OF_KERNEL)
        });
        let failed = if scene.excerpt() { told.map(|(fact, _)| fact.at.wall_s()).max() } else { None };
        Self { scene, catalog, book, symptom, failed }
    }
}

/// What share of its weight a fact counts for this scope.
pub fn relevance(sight: &Sight<'_>, scope: &Scope<'_>, fact: &Fact) -> f64 {
    let &Sight { scene, catalog, book, symptom, .. } = sight;
    let field = |name: &str| fact.fields.get(name).map(String::as_str);
    let (process, unit) = (field("process"), field("unit"));
    let of_kernel = fact.name.starts_with(OF_KERNEL);
    if of_kernel && !fact.now {
        let bystander = process.is_some_and(|process| catalog.services.is_bystander(process));
        if bystander && scope.about != About::Host || of_another_listener(scope, field("address")) {
            return STRANGER;
        }
    }
    if scene.excerpt() {
        let too_late = |failed: i64| fact.at.wall_s() > failed + BEFORE_S && !of_another_zone(fact.at.wall_s() - failed);
        let strange = of_kernel && (sight.failed.is_some_and(too_late) || in_no_related_cgroup(sight, field("cgroup")));
        return if strange { STRANGER } else { 1.0 };
    }
    if fact.now || fact.subject != Subject::host() {
        return 1.0;
    }
    if in_another_cgroup(scene, scope, fact, book) {
        return STRANGER;
    }
    let in_time = || {
        let at = fact.at.wall_s();
        let near = symptom.told.since.is_some_and(|since| at >= since - BEFORE_S && at <= since + AFTER_S);
        if near { IN_TIME } else { STRANGER }
    };
    if process.is_none() && unit.is_none() {
        // A limit of one service says nothing of another.
        return match field("cgroup") {
            Some(cgroup) if of_kernel && !of_a_known_service(scene, cgroup) => in_time(),
            Some(_) | None => 1.0,
        };
    }
    let address = scope.subject.0.parse().ok();
    let listening = scene.listeners.iter().zip(address.as_ref()).filter_map(|(table, address)| table.taking(address));
    let known = |listener: &Listener| {
        let owner = listener.owner.as_ref()?;
        let by_name = process.is_some_and(|process| short(&owner.name) == short(process));
        let by_unit = unit.is_some_and(|unit| owner.unit() == Some(unit));
        Some(by_name || by_unit)
    };
    if listening.into_iter().filter_map(known).any(|known| known) { 1.0 } else { in_time() }
}

/// Whether a line of the kernel names a listener (`127.0.0.1:8000`, or `8000` as older kernels write it) on another port than this
/// upstream's.
fn of_another_listener(scope: &Scope<'_>, named: Option<&str>) -> bool {
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let own = scope.subject.0.contains(':').then(|| port(&scope.subject.0)).flatten();
    named.and_then(port).zip(own).is_some_and(|(named, own)| named != own)
}

/// Whether two times differ as the same time does in two zones.
fn of_another_zone(seconds: i64) -> bool {
    let off = seconds.rem_euclid(ZONE_STEP_S);
    seconds.abs() > ZONE_STEP_S && (off <= AFTER_S || off >= ZONE_STEP_S - AFTER_S)
}

/// Whether an excerpt tells of a limit of one cgroup, and of failures of which nothing else names it: `/system.slice/ci-runner.service`
/// beside a gateway that names a shop.
fn in_no_related_cgroup(sight: &Sight<'_>, cgroup: Option<&str>) -> bool {
    let Some(cgroup) = cgroup.filter(|_| sight.failed.is_some()) else { return false };
    let last = cgroup.rsplit('/').next().unwrap_or(cgroup);
    let name = last.split(['.', '@']).next().unwrap_or(last).to_ascii_lowercase();
    let others = sight.scene.logs.values().filter(|group| !group.last.contains(cgroup));
    !sight.catalog.services.may_serve(&name) && !others.into_iter().any(|group| group.last.to_ascii_lowercase().contains(&name))
}

/// Whether a cgroup that the kernel names is that of a service that was looked at, or is around or below it.
fn of_a_known_service(scene: &Scene, cgroup: &str) -> bool {
    let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let groups = scene.services().iter().flat_map(|service| service.cgroup.iter().chain(&service.memory_group));
    groups.filter(|own| own.len() > 1).any(|own| within(own, cgroup) || within(cgroup, own))
}

/// The milliseconds for which our own request waited in vain, where the gateway waits longer and nothing tells that it ever gave up: a page
/// that takes its time is served all the same.
pub fn cut_short(scope: &Scope<'_>, evidence: &[Held<'_>], symptom: &symptom::View) -> Option<u64> {
    let limit = scope.route.map(|(_, route)| route.read_ms).filter(|limit| *limit < u64::MAX)?;
    let told = |fact: &Fact| fact.name.starts_with("time:") || fact.name.starts_with("log:") && !fact.name.starts_with(OF_KERNEL);
    let gave_up = symptom.told.status.is_some_and(|status| status >= 500) || evidence.iter().any(|(.., fact)| told(fact));
    let waited = evidence.iter().filter_map(|(.., fact)| fact.fields.get(WAITED_MS)?.parse().ok()).max();
    waited.filter(|waited| !gave_up && *waited < limit)
}

/// Whether what an application says of somebody who spoke another protocol to it cannot be about the gateway, which does not speak that:
/// a monitor did, or our own look at what it speaks. `reason`: what the line would mean, `http-to-uwsgi`.
pub fn of_another_client(scene: &Scene, scope: &Scope<'_>, fact: &Fact, reason: Option<&str>) -> bool {
    let (Some((_, route)), Some(id)) = (scope.route, fact.name.strip_prefix("log:")) else { return false };
    let Some((spoken, _)) = reason.and_then(|reason| reason.split_once("-to-")) else { return false };
    let speaks = match (route.protocol, spoken) {
        // What is in a stream is the client's.
        (Protocol::Stream, _) => true,
        (protocol, "http") => matches!(protocol, Protocol::Http | Protocol::Https),
        (protocol, "tls") => protocol.tls(),
        (protocol, "plain") => !protocol.tls(),
        (protocol, "fastcgi") => protocol == Protocol::Fastcgi,
        (protocol, "uwsgi") => protocol == Protocol::Uwsgi,
        _ => true,
    };
    let by_application = || {
        let mut groups = scene.logs.values().filter(|group| group.meaning.signature.as_deref() == Some(id));
        groups.any(|group| group.meaning.dialect.writer() == Writer::Application)
    };
    !speaks && by_application()
}

/// Lines of a kill at the limit of a cgroup, of which only [`GROUP_KILL`] names the cgroup.
const OF_A_KILL: &[&str] = &["log:kernel-cgroup-oom-killed", "log:kernel-oom-invoked"];
/// The line of a kill that names the cgroup of who was killed.
const GROUP_KILL: &str = "log:kernel-oom-constraint-cgroup";
/// The same where the whole host was short of memory.
const HOST_KILL: &str = "log:kernel-oom-constraint-host";

/// Whether a kill was at the limit of a cgroup that this upstream, which runs, is not in: however alike the names are, it was another
/// service.
fn in_another_cgroup(scene: &Scene, scope: &Scope<'_>, fact: &Fact, book: &FactBook) -> bool {
    let told = match fact.name.as_str() {
        GROUP_KILL => Some(fact),
        name if OF_A_KILL.contains(&name) && book.any(HOST_KILL).is_none() => book.any(GROUP_KILL),
        _ => None,
    };
    let killed = told.and_then(|fact| fact.fields.get("cgroup"));
    let own = scene.service(&scope.subject).and_then(|service| service.memory_group.as_ref());
    killed.zip(own).is_some_and(|(killed, own)| killed != own)
}

fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(COMM_BYTES)]
}
