//! Gateways of this host behind the one that is asked: the same request, as it comes to each.

use crate::{
    diagnose::nested::{self, Entrances, Way},
    model::{Address, Server},
};

use super::target::Target;

/// The request as it comes to each gateway of this host behind the target's, nearest first, and the addresses by which it
/// would come back to where it was.
pub fn inner<'a>(entrances: &Entrances<'a>, target: &Target<'a>) -> (Vec<Target<'a>>, Vec<&'a Address>) {
    let way = Way { host: target.host.clone(), path: target.path.clone() };
    let walk = nested::walk(entrances, &target.routes, target.routes.len() == 1, &way);
    let behind = |hop: nested::Hop<'a>| Target {
        gateway: hop.inner.gateway,
        address: address(hop.at),
        tls: hop.protocol.tls(),
        host: hop.way.host,
        path: hop.way.path,
        query: target.query.clone(),
        routes: hop.routes,
        before: Vec::new(),
    };
    (walk.hops.into_iter().map(behind).collect(), walk.loops.iter().map(|found| &found.server.address).collect())
}

fn address(server: &Server) -> Address {
    super::entrance::reachable(&server.address)
}
