//! Whether what the kernel or a supervisor tells of some process bears on the upstream that fails.
//!
//! On a host many things are killed and restarted. A line that names a process or unit is evidence for an upstream when that is who
//! listens there, or when it happened right before the failures began; else it is hardly more than a coincidence.

use super::{scope::Scope, symptom};
use crate::{
    diagnose::Scene,
    model::{Fact, Listener, Subject},
};

/// Seconds before the first failure in which what happened can be its cause: a queue or a cache may bridge as much.
const BEFORE_S: i64 = 120;
/// Seconds after it: lines of two writers are not in order to the second.
const AFTER_S: i64 = 10;
/// What a kill right before the failures counts, of somebody who is not known.
const IN_TIME: f64 = 0.8;
/// What it counts at another time.
const STRANGER: f64 = 0.15;
/// Bytes of a process's name that the kernel keeps (`TASK_COMM_LEN` without its end).
const COMM_BYTES: usize = 15;

/// What share of its weight a fact counts for this scope.
pub fn relevance(scene: &Scene, scope: &Scope<'_>, fact: &Fact, symptom: &symptom::View) -> f64 {
    if scene.excerpt() || fact.now || fact.subject != Subject::host() {
        return 1.0;
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

fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(COMM_BYTES)]
}
