//! What all sites of one configuration share: balancers, `<Proxy>` sections, bounds.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use super::{
    modules::Modules,
    target::{Parameters, Target, parameters},
    tree::{Directive, Problems},
};
use crate::{
    model::{Pool, Protocol, Resolution, Role, Server, Settings},
    sys::Root,
};

/// Servers of one balancer that are kept.
const SERVERS: usize = 2_048;
/// Servers of all routes together: a balancer's are repeated in each route that names it.
const SERVERS_ALL: usize = 50_000;
/// Routes of one configuration that are kept: 20,000 virtual hosts have one each.
const ROUTES: usize = 25_000;

/// A balancer, with what its members have in common.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// As the model has it, but for its settings.
    pub pool: Pool,
    /// What is set in it.
    pub settings: Parameters,
    /// What its members speak, and the Host that they see, by the first of them.
    pub first: Option<Target>,
    /// What each of its servers speaks, and where it is: as many as the pool has, in its order.
    pub targets: Vec<Target>,
    /// Parameters of its first member, which its others mostly share.
    pub member: Parameters,
    /// Members beyond those that are kept.
    pub left_out: usize,
}

/// Shared by all sites.
#[derive(Debug)]
pub struct World<'a> {
    /// Where files are looked for.
    pub root: &'a Root,
    /// What relative paths are relative to.
    pub base: &'a Path,
    /// `<Proxy "URL">`: its content by the URL, without the slash at its end.
    pub proxies: HashMap<String, &'a Directive>,
    /// Balancers by name.
    pub balancers: BTreeMap<String, Balancer>,
    /// What Apache would refuse.
    pub problems: Problems,
    /// The `.htaccess` files that count, whether they are there or not.
    pub per_request: Vec<PathBuf>,
    /// Whether routes were left out.
    pub full: bool,
    /// The modules that are there.
    pub modules: Modules,
    routes_left: usize,
    servers_left: usize,
}

impl<'a> World<'a> {
    /// Of the main server and its virtual hosts: each level's directives.
    pub fn new(root: &'a Root, base: &'a Path, levels: impl Iterator<Item = &'a [Directive]>) -> Self {
        let mut world = Self {
            root,
            base,
            proxies: HashMap::new(),
            balancers: BTreeMap::new(),
            problems: Problems::default(),
            per_request: Vec::new(),
            full: false,
            modules: Modules::default(),
            routes_left: ROUTES,
            servers_left: SERVERS_ALL,
        };
        for level in levels {
            for directive in level {
                match directive.name.as_str() {
                    "proxy" => {
                        let url = directive.first();
                        if let Ok(Target { balancer: Some(name), .. }) = Target::parse(&url) {
                            world.section(&name, directive);
                        }
                        world.proxies.insert(url.trim_end_matches('/').to_owned(), directive);
                    }
                    "balancermember" => world.member(None, directive),
                    "proxyset" => {
                        if let Ok(Target { balancer: Some(name), .. }) = Target::parse(&directive.first()) {
                            world.balancer(&name, directive).settings.extend(parameters(&directive.args()[1..], directive));
                        }
                    }
                    _ => {}
                }
            }
        }
        world
    }

    fn balancer(&mut self, name: &str, at: &Directive) -> &mut Balancer {
        self.balancers.entry(name.to_owned()).or_insert_with(|| Balancer {
            pool: Pool { name: name.to_owned(), servers: Vec::new(), settings: Settings::default(), at: at.place() },
            settings: Parameters::new(),
            first: None,
            targets: Vec::new(),
            member: Parameters::new(),
            left_out: 0,
        })
    }

    /// `<Proxy "balancer://name">`.
    fn section(&mut self, name: &str, directive: &'a Directive) {
        self.balancer(name, directive);
        for one in directive.children() {
            match one.name.as_str() {
                "balancermember" => self.member(Some(name), one),
                "proxyset" => {
                    let set = parameters(&one.args(), one);
                    self.balancer(name, one).settings.extend(set);
                }
                _ => {}
            }
        }
    }

    /// `BalancerMember [balancer://name] URL key=value...`
    fn member(&mut self, section: Option<&str>, directive: &Directive) {
        let args = directive.args();
        let named = args.first().filter(|arg| arg.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("balancer:")));
        let in_front = named.is_some();
        let name = match (named.and_then(|url| Target::parse(url).ok()?.balancer), section) {
            (Some(name), _) => name,
            (None, Some(name)) => name.to_owned(),
            (None, None) => {
                return self
                    .problems
                    .add(directive.place(), "BalancerMember must define balancer name when outside <Proxy > section");
            }
        };
        let rest = if in_front { args.get(1..) } else { args.get(..) }.unwrap_or_default();
        let Some((url, words)) = rest.split_first() else {
            return self.problems.add(directive.place(), "BalancerMember must define remote proxy server");
        };
        let target = match Target::parse(url) {
            Ok(target) => target,
            Err(error) => return self.problems.add(directive.place(), format!("BalancerMember {error}")),
        };
        let own = parameters(words, directive);
        let role = role(&own);
        let place = directive.place();
        let balancer = self.balancer(&name, directive);
        if balancer.pool.servers.len() >= SERVERS {
            balancer.left_out += 1;
        } else if let Some(address) = target.address.clone() {
            for (key, setting) in &own {
                balancer.settings.insert(format!("member {address} {key}"), setting.clone());
            }
            balancer.targets.push(target.clone());
            balancer.pool.servers.push(Server {
                name: Some(url.trim_end_matches('/').into()),
                address,
                role,
                names: Resolution::AtFirstUse,
                at: place,
            });
        }
        if balancer.first.is_none() {
            balancer.first = Some(target);
            balancer.member = own;
        }
    }

    /// What `<Proxy "URL">` says of a worker: the section of the URL itself, or of the server that it is on.
    pub fn section_of(&self, url: &str) -> Option<&'a Directive> {
        let whole = url.trim_end_matches('/');
        if let Some(found) = self.proxies.get(whole) {
            return Some(found);
        }
        let after = whole.find("://").map_or(0, |at| at + 3);
        let server = whole[after..].find('/').map(|at| &whole[..after + at])?;
        self.proxies.get(server).copied()
    }

    /// Whether another route of so many servers may be kept.
    pub fn room_for(&mut self, servers: usize) -> bool {
        let room = self.routes_left > 0 && self.servers_left >= servers;
        if room {
            self.routes_left -= 1;
            self.servers_left -= servers;
        } else {
            self.full = true;
        }
        room
    }

    /// The protocol of a balancer's members.
    pub fn protocol(&self, balancer: &str) -> Protocol {
        let first = self.balancers.get(balancer).and_then(|known| known.first.as_ref());
        first.map_or(Protocol::Http, |target| target.protocol)
    }
}

/// What a member is there for: `status=+H` a standby, `+D`, `+S` and `+N` taken out, `+R` a spare; `lbset=1` serves when all of the set
/// before fail (mod_proxy, BalancerMember).
fn role(own: &Parameters) -> Role {
    let status = own.get("status").map_or("", |setting| setting.value.as_str());
    let mut set = true;
    let mut role = Role::Primary;
    for letter in status.chars() {
        match letter {
            '+' => set = true,
            '-' => set = false,
            'D' | 'd' | 'S' | 's' | 'N' | 'n' if set => role = Role::Down,
            'H' | 'h' | 'R' | 'r' if set && role == Role::Primary => role = Role::Backup,
            _ => {}
        }
    }
    let later = own.get("lbset").and_then(|setting| setting.value.parse::<u32>().ok()).is_some_and(|set| set > 0);
    if later && role == Role::Primary { Role::Backup } else { role }
}
