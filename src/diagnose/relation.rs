//! Whether what the kernel or a supervisor tells of some process bears on the upstream that fails.
//!
//! On a host many things are killed and restarted. A line that names a process or unit is evidence for an upstream when that is who
//! listens there, or when it happened right before the failures began; else it is hardly more than a coincidence.

use super::{FactBook, scope::Scope, symptom};
use crate::{
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

/// What share of its weight a fact counts for this scope.
pub fn relevance(scene: &Scene, scope: &Scope<'_>, fact: &Fact, symptom: &symptom::View, book: &FactBook) -> f64 {
    if scene.excerpt() || fact.now || fact.subject != Subject::host() {
        return 1.0;
    }
    if in_another_cgroup(scene, scope, fact, book) {
        return STRANGER;
    }
    let field = |name: &str| fact.fields.get(name).map(String::as_str);
    let (process, unit) = (field("process"), field("unit"));
    if process.is_none() && unit.is_none() {
        return 1.0;
    }
    let address = scope.subject.0.parse().ok();
    let listening = scene.listeners.iter().zip(address.as_ref()).filter_map(|(table, address)| table.taking(address));
    let known = |listener: &Listener| {
        let owner = listener.owner.as_ref()?;
        let by_name = process.is_some_and(|process| short(&owner.name) == short(process));
        let by_unit = unit.is_some_and(|unit| owner.unit() == Some(unit));
        Some(by_name || by_unit)
    };
    if listening.into_iter().filter_map(known).any(|known| known) {
        return 1.0;
    }
    let in_time = symptom.told.since.is_some_and(|since| {
        let at = fact.at.wall_s();
        at >= since - BEFORE_S && at <= since + AFTER_S
    });
    if in_time { IN_TIME } else { STRANGER }
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
