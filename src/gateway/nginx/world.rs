//! What all sites of one configuration share: pools, maps, defaults, bounds.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use foldhash::fast::RandomState;

use super::{
    answers, names,
    scope::Scope,
    target::{Authority, address, authority},
    tree::{Directive, Problems},
    vars::Variables,
};
use crate::{
    gateway::switch::Switch,
    model::{PICKED, Pool, Role, Server, Setting, Settings},
    sys::Root,
};

/// Servers of one pool that are kept.
const SERVERS: usize = 2_048;
/// Servers of all routes together: a pool's are repeated in each route that names it.
const SERVERS_ALL: usize = 50_000;
/// Routes of one configuration that are kept.
const ROUTES: usize = 25_000;
/// Files that conditions ask for, which are watched.
const TESTED: usize = 64;

/// Shared by all sites of `http`, or of `stream`.
#[derive(Debug)]
pub struct World<'a> {
    /// `map` blocks by the variable that they set.
    pub maps: HashMap<&'a str, &'a Directive>,
    /// `upstream` blocks.
    pub pools: Vec<Pool>,
    /// What relative paths are relative to.
    pub prefix: &'a Path,
    /// What the files of TLS are relative to: the folder of the main file (ngx_conf_full_name with conf_prefix).
    pub config_dir: PathBuf,
    /// The version, for `$nginx_version`.
    pub version: Option<&'a str>,
    /// Whether its OpenSSL speaks TLS 1.0 and 1.1 only where the security level is 0 (SSL_CTX_set_security_level(3), since 3.0).
    pub no_old_tls: bool,
    /// What nginx would refuse.
    pub problems: Problems,
    /// Whether routes were left out.
    pub full: bool,
    /// Servers that were left out, by their pool.
    pub left_out: Vec<(String, usize)>,
    /// Where files are that a condition asks for. `None`: it can't be told whether they are there.
    pub root: Option<&'a Root>,
    /// Files that a condition asks for with each request.
    pub tested: Vec<PathBuf>,
    by_name: HashMap<String, usize, RandomState>,
    routes_left: usize,
    servers_left: usize,
}

/// Names of hosts and pools are compared without case.
pub fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

impl<'a> World<'a> {
    /// Of the block `http` or `stream`. `default_port`: of a server of a pool; `None`: it must name one.
    pub fn new(block: &'a [Directive], prefix: &'a Path, version: Option<&'a str>, default_port: Option<u16>) -> Self {
        let mut world = Self {
            maps: HashMap::new(),
            pools: Vec::new(),
            prefix,
            config_dir: prefix.to_owned(),
            version,
            no_old_tls: false,
            problems: Problems::default(),
            full: false,
            left_out: Vec::new(),
            root: None,
            tested: Vec::new(),
            by_name: HashMap::default(),
            routes_left: ROUTES,
            servers_left: SERVERS_ALL,
        };
        let resolver = block.iter().find(|one| one.name == "resolver");
        // `map` and `split_clients` give the name of a pool, with or without a scheme.
        let picks = block.iter().filter(|one| matches!(one.name.as_str(), "map" | "split_clients"));
        let picked: HashSet<&str> = picks
            .flat_map(Directive::children)
            .filter_map(|entry| entry.arg(0))
            .map(|value| value.rsplit("//").next().unwrap_or(value))
            .collect();
        for directive in block {
            match directive.name.as_str() {
                "map" => {
                    if let Some(name) = directive.arg(1).and_then(|arg| arg.strip_prefix('$')) {
                        world.maps.insert(name, directive);
                    }
                }
                "upstream" => world.pool(directive, default_port, resolver, &picked),
                _ => {}
            }
        }
        world
    }

    fn pool(&mut self, directive: &Directive, default_port: Option<u16>, resolver: Option<&Directive>, picked: &HashSet<&str>) {
        let Some(name) = directive.arg(0) else {
            return self.problems.add(directive.place(), "invalid number of arguments in \"upstream\" directive");
        };
        let mut pool = Pool { name: name.to_owned(), servers: Vec::new(), settings: Settings::default(), at: directive.place() };
        let mut settings = BTreeMap::new();
        let own = directive.children().iter().find(|one| one.name == "resolver");
        let (mut dynamic, mut left_out) = (false, 0);
        for one in directive.children() {
            if one.name == "server" {
                left_out += usize::from(!self.server(one, default_port, own.or(resolver), &mut pool, &mut settings));
            } else if one.block.is_none() {
                // Lua balancers, service discovery: the servers stand somewhere else.
                dynamic |= one.name == "balancer_by_lua_block" || one.name == "balancer_by_lua_file";
                let value = if one.name.ends_with("_by_lua_block") { "Lua".to_owned() } else { one.args.join(" ") };
                settings.insert(one.name.to_string(), Setting { value: value.into(), at: Some(one.place()) });
            }
        }
        if picked.contains(name) {
            settings.insert(PICKED.to_owned(), Setting { value: "map".into(), at: Some(directive.place()) });
        }
        if pool.servers.is_empty() && !dynamic {
            self.problems.add(directive.place(), "no servers are inside upstream");
        }
        if self.by_name.insert(name.to_ascii_lowercase(), self.pools.len()).is_some() {
            self.problems.add(directive.place(), format!("duplicate upstream \"{name}\""));
        }
        pool.settings = settings.into();
        pool.servers.shrink_to_fit();
        if left_out > 0 {
            self.left_out.push((pool.name.clone(), left_out));
        }
        self.pools.push(pool);
    }

    /// `false`: there is no room for it.
    fn server(
        &mut self,
        directive: &Directive,
        default_port: Option<u16>,
        resolver: Option<&Directive>,
        pool: &mut Pool,
        settings: &mut BTreeMap<String, Setting>,
    ) -> bool {
        let text = directive.arg(0).unwrap_or_default();
        let parsed = authority(text).and_then(|one| address(&one, default_port).ok_or_else(|| "no port".to_owned()));
        let address = match parsed {
            Ok(address) => address,
            Err(error) => {
                self.problems.add(directive.place(), format!("{error} in upstream \"{text}\""));
                return true;
            }
        };
        let has = |flag: &str| directive.args.iter().skip(1).any(|arg| arg == flag);
        let role = if has("down") {
            Role::Down
        } else if has("backup") {
            Role::Backup
        } else {
            Role::Primary
        };
        if pool.servers.len() >= SERVERS {
            return false;
        }
        for arg in directive.args.iter().skip(1) {
            let (key, value) = arg.split_once('=').unwrap_or((arg, "on"));
            if !matches!(key, "down" | "backup") {
                let setting = Setting { value: value.into(), at: Some(directive.place()) };
                settings.insert(format!("server {text} {key}"), setting);
            }
        }
        let names = names::of_server(directive, resolver);
        pool.servers.push(Server { name: None, address, role, names, at: directive.place() });
        true
    }

    /// The pool that a target names.
    pub fn pool_of(&self, target: &Authority) -> Option<&Pool> {
        match target {
            Authority::Host(name, _) => self.by_name.get(&*lower(name)).and_then(|index| self.pools.get(*index)),
            Authority::Unix(_) => None,
        }
    }

    /// How the condition of an `if` comes out, where files tell. They are asked for with each request, so their coming and going counts.
    pub fn holds(&mut self, condition: &Directive, root: &str) -> Option<Switch> {
        let known = |name: &str| matches!(name, "document_root" | "realpath_root").then(|| root.to_owned());
        let path = answers::tested(condition, |path| {
            Variables { scope: &Scope::new(&[]), maps: &HashMap::new(), known: &known }.expand(path)
        })?;
        if self.tested.len() < TESTED && !self.tested.contains(&path) {
            self.tested.push(path.clone());
        }
        answers::switch(condition, self.root?, &path)
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
