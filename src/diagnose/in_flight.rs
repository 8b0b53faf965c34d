//! What is under way in a gateway: requests as it says itself, else its clients' connections, and the connections of its fullest worker
//! against what a worker may have.

use super::Scene;
use crate::model::{Gateway, OwnerRole, RunState, ServiceLoad};

/// What is under way in one gateway. What is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// Requests, by its own status page or socket; of HAProxy sessions.
    pub requests: Option<u64>,
    /// Connections of clients that it has accepted and not closed, by sock_diag(7).
    pub clients: Option<u32>,
    /// Connections of the worker that has most, and how many one may have.
    pub connections: Option<(u64, u64)>,
}

/// Of this service. `None`: it is no gateway.
pub fn in_flight(scene: &Scene, service: &ServiceLoad) -> Option<InFlight> {
    if service.role != OwnerRole::Gateway {
        return None;
    }
    let gateway = gateway(scene, service);
    let live = gateway.and_then(|gateway| scene.lives.iter().find(|live| live.is_of(gateway)));
    let limit = worker_connections(scene, service);
    Some(InFlight {
        requests: live.and_then(|live| live.requests),
        clients: service.accepted,
        connections: service.sockets.map(|(_, used)| used).zip(limit),
    })
}

/// How many connections a worker of this gateway may have, those to upstreams and those that listen included (nginx: ngx_core_module).
/// `None`: it has no such limit.
pub(super) fn worker_connections(scene: &Scene, service: &ServiceLoad) -> Option<u64> {
    gateway(scene, service)?.settings.get("worker_connections")?.value.parse().ok()
}

/// The gateway that this service is.
pub(super) fn gateway<'a>(scene: &'a Scene, service: &ServiceLoad) -> Option<&'a Gateway> {
    let runs = |state: &RunState| matches!(state, RunState::Running { pid, .. } if *pid == service.pid);
    scene.gateways.iter().find(|gateway| service.role == OwnerRole::Gateway && runs(&gateway.state))
}
