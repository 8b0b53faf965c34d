//! Requests of strangers, which tell nothing of the sites of a gateway.

use crate::{
    diagnose::{LogGroup, Scene},
    model::logline::{self, Dialect},
};

/// Whether a line tells of a request that no rule of HAProxy's took.
pub fn unrouted(group: &LogGroup) -> bool {
    let entry = logline::read(logline::carried(&group.last).text);
    entry.dialect == Dialect::Haproxy && entry.message.ends_with(" unrouted")
}

/// Whether a log tells of requests that were served.
pub fn serves_others(scene: &Scene, source: &str) -> bool {
    scene.logs.values().any(|group| group.source == source && group.meaning.status.is_some_and(|status| status < 500))
}
