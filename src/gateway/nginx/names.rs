//! When and by whom nginx has names resolved (ngx_http_upstream_module, ngx_http_core_module: resolver).
//!
//! A static name is resolved at start and reload by getaddrinfo. A target with variables is resolved for each request by the
//! servers of `resolver` alone, as is a `server ... resolve` (since 1.27.3), unless an `upstream` of that name is there: also the
//! unnamed one that a static target of the same host and port makes (`ngx_http_upstream_init_request`).

use std::collections::HashSet;

use super::{scope::Scope, tree::Directive, units};
use crate::model::{Address, LACKS, LACKS_CURE, OwnResolvers, Resolution, Server, Setting, Site};

/// Servers of one `resolver` that are kept.
const SERVERS: usize = 16;

/// Of a target as written.
pub fn of_target(text: &str, scope: &Scope<'_>) -> Resolution {
    if text.contains('$') { by_resolver(scope.get("resolver")) } else { Resolution::AtStart }
}

/// Of a `server` in `upstream`. `resolver`: that of the block, or of `http`.
pub fn of_server(server: &Directive, resolver: Option<&Directive>) -> Resolution {
    let resolve = server.args.iter().skip(1).any(|arg| arg == "resolve");
    if resolve { by_resolver(resolver) } else { Resolution::AtStart }
}

/// The servers of a `resolver`; none where none is set, and then every request for a name fails.
fn by_resolver(resolver: Option<&Directive>) -> Resolution {
    let mut own = OwnResolvers { in_turn: true, ..OwnResolvers::default() };
    for arg in resolver.iter().flat_map(|resolver| &resolver.args) {
        match arg.split_once('=') {
            Some(("valid", time)) => own.kept_s = units::milliseconds(time).map(|ms| ms / 1000),
            Some(("ipv4", "off")) => own.no_ipv4 = true,
            Some(("ipv6", "off")) => own.no_ipv6 = true,
            None if arg != "off" && own.servers.len() < SERVERS => own.servers.push(arg.to_string()),
            Some(_) | None => {}
        }
    }
    Resolution::ByServers(Box::new(own))
}

/// Notes of each route that its name can't be resolved: nobody is set who would (`no resolver defined to resolve`).
pub fn note_unresolvable(sites: &mut [Site]) {
    let nobody = |server: &Server| {
        matches!(&server.names, Resolution::ByServers(own) if own.servers.is_empty()) && matches!(server.address, Address::Name(..))
    };
    for route in sites.iter_mut().flat_map(|site| &mut site.routes) {
        let Some(server) = route.servers.iter().find(|server| nobody(server)) else { continue };
        let value = format!("{} is a name in a variable, and no resolver is set", server.address);
        let at = Some(server.at.clone());
        route.settings.insert(LACKS.to_owned(), Setting { value: value.into(), at });
        let cure = "set `resolver`, or write the target without variables".to_owned();
        route.settings.insert(LACKS_CURE.to_owned(), Setting { value: cure.into(), at: None });
    }
}

/// A target of a variable that is the static target of another location too is what that one was resolved to at start.
pub fn share(sites: &mut [Site]) {
    let servers = |site: &Site| site.routes.iter().flat_map(|route| &route.servers).cloned().collect::<Vec<Server>>();
    let fixed: HashSet<Address> = sites
        .iter()
        .flat_map(servers)
        .filter(|server| server.names == Resolution::AtStart && matches!(server.address, Address::Name(..)))
        .map(|server| server.address)
        .collect();
    if fixed.is_empty() {
        return;
    }
    for server in sites.iter_mut().flat_map(|site| &mut site.routes).flat_map(|route| &mut route.servers) {
        if fixed.contains(&server.address) {
            server.names = Resolution::AtStart;
        }
    }
}
