//! Where servers stand in the configurations: from an address to the routes that lead there, without a look through all.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use crate::model::{Address, Gateway, Route, Server, Site};

/// The places of all servers of some gateways. Small, because a large configuration names a pool in thousands of routes.
#[derive(Debug, Clone, Default)]
pub struct Places {
    hasher: RandomState,
    /// By the address' hash, then in the order of the configuration.
    all: Vec<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    hash: u64,
    gateway: u32,
    site: u32,
    route: u32,
    server: u32,
}

impl Places {
    /// The places of these gateways' servers.
    pub fn of(gateways: &[Gateway]) -> Self {
        let hasher = RandomState::default();
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut all = Vec::new();
        for (gateway, known) in gateways.iter().enumerate() {
            for (site, known) in known.sites.iter().enumerate() {
                for (route, known) in known.routes.iter().enumerate() {
                    all.extend(known.servers.iter().enumerate().map(|(server, known)| Place {
                        hash: hasher.hash_one(&known.address),
                        gateway: number(gateway),
                        site: number(site),
                        route: number(route),
                        server: number(server),
                    }));
                }
            }
        }
        all.sort_unstable();
        all.shrink_to_fit();
        Self { hasher, all }
    }

    /// The routes that lead to this address, in the order of the configuration, each once.
    pub fn routes<'a>(&self, gateways: &'a [Gateway], address: &Address) -> Vec<(&'a Gateway, &'a Site, &'a Route)> {
        let hash = self.hasher.hash_one(address);
        let from = self.all.partition_point(|place| place.hash < hash);
        let of_hash = self.all[from..].iter().take_while(|place| place.hash == hash);
        let mut found: Vec<(&Gateway, &Site, &Route)> = of_hash
            .filter_map(|place| place.find(gateways))
            .filter(|(.., server)| server.address == *address)
            .map(|(gateway, site, route, _)| (gateway, site, route))
            .collect();
        found.dedup_by(|a, b| std::ptr::eq(a.2, b.2));
        found
    }
}

impl Place {
    fn find<'a>(&self, gateways: &'a [Gateway]) -> Option<(&'a Gateway, &'a Site, &'a Route, &'a Server)> {
        let gateway = gateways.get(self.gateway as usize)?;
        let site = gateway.sites.get(self.site as usize)?;
        let route = site.routes.get(self.route as usize)?;
        Some((gateway, site, route, route.servers.get(self.server as usize)?))
    }
}

/// What they are follows from the gateways, which are compared.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
