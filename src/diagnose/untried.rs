//! What nobody tried, and is never shown as fine: servers of a pool, as a large one is not tried as a whole at once.

use std::collections::BTreeSet;

use super::Scene;
use crate::model::{BlindSpot, Gateway, Place, Role, Subject};

/// Pools that are told of, at most.
const TOLD: usize = 8;

/// Pools of which some servers were tried, and not all.
pub fn untried(scene: &Scene) -> Vec<BlindSpot> {
    let mut seen: BTreeSet<(Option<&str>, &Place)> = BTreeSet::new();
    let mut found = Vec::new();
    for (_, route) in scene.gateways.iter().flat_map(Gateway::routes) {
        let Some(first) = route.servers.first().filter(|_| route.servers.len() > 1) else { continue };
        if found.len() >= TOLD || !seen.insert((route.pool.as_deref(), &first.at)) {
            continue;
        }
        let all: BTreeSet<Subject> = route
            .servers
            .iter()
            .filter(|server| server.role == Role::Primary)
            .map(|server| Subject(server.address.to_string()))
            .collect();
        let tried = all.iter().filter(|subject| scene.probes_about("upstream", subject).next().is_some()).count();
        if tried > 0 && tried < all.len() {
            let name = route.pool.as_deref().unwrap_or("a route");
            found.push(BlindSpot {
                source: format!("servers of {name}"),
                reason: format!("{tried} of {} were tried so far, those first that the logs name as failing", all.len()),
                remedy: "let the console run: it tries all of them in turn; or name one with --upstream".to_owned(),
            });
        }
    }
    found
}
