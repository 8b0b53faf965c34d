//! What an edit names is tried before it is loaded: whoever mends a configuration wants to know what is there.

use super::{
    PlanLimits,
    entrance::{entrance, way_in},
    job,
    target::Target,
};
use crate::{
    diagnose::Scene,
    model::{Address, ProbeJob},
};

/// Addresses of edits that are tried, at most, the newest first.
const ADDRESSES: usize = 8;

/// A request to each address that an edit brought in, as the route that names it would make it.
pub fn upstreams(scene: &Scene, limits: PlanLimits) -> Vec<ProbeJob> {
    let mut jobs: Vec<ProbeJob> = Vec::new();
    let words = scene.watch.edits.iter().rev().flat_map(|edit| edit.words.iter().rev());
    let mut addresses: Vec<&Address> = Vec::new();
    for address in words.flat_map(|word| &word.to) {
        if addresses.len() < ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    for address in addresses {
        let routes = scene.gateways.iter().flat_map(|gateway| gateway.routes().map(move |(site, route)| (gateway, site, route)));
        let named =
            routes.flat_map(|(gateway, site, route)| route.servers.iter().map(move |server| (gateway, site, route, server)));
        let known = named.into_iter().find_map(|(gateway, site, route, server)| {
            (server.address == *address).then_some((gateway, site, route, server, entrance(site)?))
        });
        let Some((gateway, site, route, server, listen)) = known else { continue };
        let target = Target {
            gateway,
            routes: vec![route],
            before: Vec::new(),
            address: way_in(gateway, site, listen),
            tls: listen.tls,
            host: site.host().unwrap_or("localhost").to_owned(),
            path: route.sample_path.clone(),
            query: None,
        };
        jobs.push(job::upstream(&target, route, server, limits));
    }
    jobs
}
