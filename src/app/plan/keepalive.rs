//! Whether it is measured how long an upstream keeps idle connections: only where the gateway uses them again.

use crate::{
    catalog::Catalog,
    diagnose::{self, Scene},
    model::{ProbeJob, Reuse, Route, Server, Subject},
};

use super::{PlanLimits, job, target::Target};

/// Milliseconds that an idle connection is listened to for a verdict where a log tells of broken ones: longer than the
/// 5 s after which node, uvicorn and Apache close, and within what `check` has.
const SUSPECTED_MS: u64 = 6_500;
/// Milliseconds where none does: what closes so soon shows in passing.
const PASSING_MS: u64 = 60;
/// Milliseconds that are listened beyond the gateway's own limit, at most: what is longer than that can't race.
const BEYOND_MS: u64 = 2_000;
/// Milliseconds at most, where there is time: beyond the longest default of a gateway that is common (nginx 60 s, Apache's
/// application servers 75 s).
const LONGEST_MS: u64 = 80_000;

/// The measurement of one server. `None`: the gateway uses no connection twice, or new ones fail as well, which is another cause.
pub fn job(
    scene: &Scene,
    catalog: &Catalog,
    target: &Target<'_>,
    route: &Route,
    server: &Server,
    limits: PlanLimits,
) -> Option<ProbeJob> {
    let subject = Subject(server.address.to_string());
    let fresh_fail = scene
        .probes_about("upstream", &subject)
        .any(|history| diagnose::window(history).iter().any(|result| diagnose::failed(&result.outcome)));
    if fresh_fail || !matches!(route.protocol, crate::model::Protocol::Http | crate::model::Protocol::Https) {
        return None;
    }
    // Before the logs are looked through for what broke.
    let (known, own_ms) = match &route.reuse {
        Reuse::Never | Reuse::SameClient => return None,
        Reuse::Unknown => (false, None),
        Reuse::Kept { idle_ms, .. } => (true, *idle_ms),
    };
    let suspected = diagnose::reuse_breaks(scene, catalog, &subject).is_some();
    if !known && !suspected {
        return None;
    }
    // One pass has no time to wait for what nobody complains of.
    let patience = match (limits.one_pass, suspected) {
        (true, true) => SUSPECTED_MS,
        (true, false) => PASSING_MS,
        (false, _) => LONGEST_MS,
    };
    let mut job = job::upstream(target, route, server, limits);
    "keepalive".clone_into(&mut job.probe);
    job.total_ms = own_ms.map_or(patience, |own| patience.min(own.saturating_add(BEYOND_MS)));
    Some(job)
}
