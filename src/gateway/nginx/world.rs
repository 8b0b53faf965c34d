//! What all sites of one configuration share: pools, maps, defaults, bounds.

use std::{collections::HashMap, path::Path};

use super::{
    target::{Authority, address, authority},
    tree::{Directive, Problems},
};
use crate::model::{Pool, Role, Server, Setting};

/// Servers of one pool that are kept.
const SERVERS: usize = 256;
/// Servers of all routes together: a pool's are repeated in each route that names it.
const SERVERS_ALL: usize = 50_000;
/// Routes of one configuration that are kept.
const ROUTES: usize = 5_000;

/// Shared by all sites of `http`, or of `stream`.
#[derive(Debug)]
pub struct World<'a> {
    /// `map` blocks by the variable that they set.
    pub maps: HashMap<&'a str, &'a Directive>,
    /// `upstream` blocks.
    pub pools: Vec<Pool>,
    /// What relative paths are relative to.
    pub prefix: &'a Path,
    /// The version, for `$nginx_version`.
    pub version: Option<&'a str>,
    /// What nginx would refuse.
    pub problems: Problems,
    /// Whether routes were left out.
    pub full: bool,
    by_name: HashMap<String, usize>,
    routes_left: usize,
    servers_left: usize,
}

impl<'a> World<'a> {
    /// Of the block `http` or `stream`. `default_port`: of a server of a pool; `None`: it must name one.
    pub fn new(block: &'a [Directive], prefix: &'a Path, version: Option<&'a str>, default_port: Option<u16>) -> Self {
        let mut world = Self {
            maps: HashMap::new(),
            pools: Vec::new(),
            prefix,
            version,
            problems: Problems::default(),
            full: false,
            by_name: HashMap::new(),
            routes_left: ROUTES,
            servers_left: SERVERS_ALL,
        };
        for directive in block {
            match directive.name.as_str() {
                "map" => {
                    if let Some(name) = directive.arg(1).and_then(|arg| arg.strip_prefix('$')) {
                        world.maps.insert(name, directive);
                    }
                }
                "upstream" => world.pool(directive, default_port),
                _ => {}
            }
        }
        world
    }

    fn pool(&mut self, directive: &Directive, default_port: Option<u16>) {
        let Some(name) = directive.arg(0) else {
            return self.problems.add(directive.place(), "invalid number of arguments in \"upstream\" directive");
        };
        let mut pool =
            Pool { name: name.to_owned(), servers: Vec::new(), settings: std::collections::BTreeMap::new(), at: directive.place() };
        let mut dynamic = false;
        for one in directive.children() {
            if one.name == "server" {
                self.server(one, default_port, &mut pool);
            } else if one.block.is_none() {
                // Lua balancers, service discovery: the servers stand somewhere else.
                dynamic |= one.name == "balancer_by_lua_block" || one.name == "balancer_by_lua_file";
                let value = if one.name.ends_with("_by_lua_block") { "Lua".to_owned() } else { one.args.join(" ") };
                pool.settings.insert(one.name.clone(), Setting { value, at: Some(one.place()) });
            }
        }
        if pool.servers.is_empty() && !dynamic {
            self.problems.add(directive.place(), "no servers are inside upstream");
        }
        if self.by_name.insert(name.to_ascii_lowercase(), self.pools.len()).is_some() {
            self.problems.add(directive.place(), format!("duplicate upstream \"{name}\""));
        }
        self.pools.push(pool);
    }

    fn server(&mut self, directive: &Directive, default_port: Option<u16>, pool: &mut Pool) {
        let text = directive.arg(0).unwrap_or_default();
        let parsed = authority(text).and_then(|one| address(&one, default_port).ok_or_else(|| "no port".to_owned()));
        let address = match parsed {
            Ok(address) => address,
            Err(error) => return self.problems.add(directive.place(), format!("{error} in upstream \"{text}\"")),
        };
        let has = |flag: &str| directive.args.iter().skip(1).any(|arg| arg == flag);
        let role = if has("down") {
            Role::Down
        } else if has("backup") {
            Role::Backup
        } else {
            Role::Primary
        };
        for arg in directive.args.iter().skip(1) {
            let (key, value) = arg.split_once('=').unwrap_or((arg, "on"));
            if !matches!(key, "down" | "backup") {
                let setting = Setting { value: value.to_owned(), at: Some(directive.place()) };
                pool.settings.insert(format!("server {text} {key}"), setting);
            }
        }
        if pool.servers.len() < SERVERS {
            pool.servers.push(Server { address, role, at: directive.place() });
        }
    }

    /// The pool that a target names.
    pub fn pool_of(&self, target: &Authority) -> Option<&Pool> {
        match target {
            Authority::Host(name, _) => self.by_name.get(&name.to_ascii_lowercase()).and_then(|index| self.pools.get(*index)),
            Authority::Unix(_) => None,
        }
    }

    /// Whether another route with so many servers may be kept.
    pub fn room_for(&mut self, servers: usize) -> bool {
        if let (Some(routes), Some(servers)) = (self.routes_left.checked_sub(1), self.servers_left.checked_sub(servers)) {
            (self.routes_left, self.servers_left) = (routes, servers);
            return true;
        }
        self.full = true;
        false
    }
}
