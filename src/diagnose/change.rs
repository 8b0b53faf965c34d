//! What an edit means: the difference of two readings of a gateway's configuration, in words. Pure, and the same for all kinds, because
//! a [`Gateway`] is: sites, listeners, routes, pools, servers, settings.
//!
//! Places do not count as a difference, only what they say: a line that moved down changes nothing. To add a sentence: a comparison in
//! the function of its level.

mod pair;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{Address, Gateway, Order as _, Place, Pool, Role, Route, Server, Setting, Settings, Site};

/// Sentences about one edit, at most: who changes more at once reads the diff.
pub const WORDS: usize = 40;
/// Routes that are named where a setting changed for several.
const NAMED: usize = 3;

/// One thing that an edit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The sentence. Foreign text: sanitise before showing.
    pub text: String,
    /// The line that says so now, or that said it before.
    pub at: Option<Place>,
    /// Addresses that requests come to by it, and did not before.
    pub to: Vec<Address>,
}

/// What is different between two readings of one gateway's configuration, in the order of the new one.
pub fn changes(old: &Gateway, new: &Gateway) -> Vec<ConfigChange> {
    let mut out = Changes::default();
    for (place, problem) in new.problems.iter().filter(|(_, problem)| !old.problems.iter().any(|(_, known)| known == problem)) {
        out.say(format!("would not load: {problem}"), Some(place));
    }
    for (place, problem) in old.problems.iter().filter(|(_, problem)| !new.problems.iter().any(|(_, known)| known == problem)) {
        out.say(format!("mended: {problem}"), Some(place));
    }
    let (was, is) = (owner(old), owner(new));
    if was != is {
        out.say(format!("upstreams are connected to as {is} instead of {was}"), None);
    }
    if old.resolvers != new.resolvers {
        let told = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(" ") };
        out.say(format!("resolver {} \u{2192} {}", told(&old.resolvers), told(&new.resolvers)), None);
    }
    pools(&old.pools, &new.pools, &mut out);
    sites(old, new, &mut out);
    let mut list = out.list;
    list.extend(collapsed(out.settings));
    let more = list.len().saturating_sub(WORDS);
    if more > 0 {
        list.truncate(WORDS - 1);
        list.push(ConfigChange { text: format!("and {} more changes", more + 1), at: None, to: Vec::new() });
    }
    list
}

/// `shop.conf:14`: file and line as a person names them.
pub fn short(place: &Place) -> String {
    let name = place.file.file_name().map_or_else(|| place.file.display().to_string(), |name| name.to_string_lossy().into_owned());
    format!("{name}:{}", place.line)
}

/// Whose name the gateway bears towards upstreams.
fn owner(gateway: &Gateway) -> String {
    gateway.identity.as_ref().map_or_else(|| "?".to_owned(), |identity| identity.name.clone())
}

/// Name of a setting, value before and after, and where it stands: what changed for several routes at once.
type SettingKey = (String, Option<String>, Option<String>);

#[derive(Default)]
struct Changes {
    list: Vec<ConfigChange>,
    settings: BTreeMap<SettingKey, (Option<Place>, Vec<String>)>,
}

impl Changes {
    fn say(&mut self, text: String, at: Option<&Place>) {
        self.lead(text, at, Vec::new());
    }

    fn lead(&mut self, text: String, at: Option<&Place>, to: Vec<Address>) {
        self.list.push(ConfigChange { text, at: at.cloned(), to });
    }

    /// Settings of something that has a name.
    fn settings(&mut self, of: &str, old: &Settings, new: &Settings) {
        let names: BTreeSet<&str> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
        for name in names {
            let (was, is) = (old.get(name), new.get(name));
            let value = |setting: Option<&Setting>| setting.map(|setting| setting.value.to_string());
            if value(was) != value(is) {
                let at = is.and_then(|is| is.at.clone()).or_else(|| was.and_then(|was| was.at.clone()));
                let (_, all) = self.settings.entry((name.to_owned(), value(was), value(is))).or_insert_with(|| (at, Vec::new()));
                if !all.iter().any(|known| known == of) {
                    all.push(of.to_owned());
                }
            }
        }
    }
}

/// One sentence for each setting, whatever number of routes it holds for.
fn collapsed(settings: BTreeMap<SettingKey, (Option<Place>, Vec<String>)>) -> impl Iterator<Item = ConfigChange> {
    settings.into_iter().map(|((name, was, is), (at, of))| {
        let whose =
            if of.len() > NAMED { format!("{} and {} others", of[..NAMED].join(", "), of.len() - NAMED) } else { of.join(", ") };
        let told = |value: Option<String>| value.unwrap_or_else(|| "the default".to_owned());
        let text = format!("{name} of {whose}: {} \u{2192} {}", told(was), told(is));
        ConfigChange { text, at, to: Vec::new() }
    })
}

/// Pairs of equal keys, then those that are only on one side. Of equal keys the first comes with the first.
fn paired<'a, T, K: Ord>(old: &'a [T], new: &'a [T], key: impl Fn(&T) -> K) -> (Vec<(&'a T, &'a T)>, Vec<&'a T>, Vec<&'a T>) {
    let mut left: BTreeMap<K, VecDeque<(usize, &T)>> = BTreeMap::new();
    for (index, one) in old.iter().enumerate() {
        left.entry(key(one)).or_default().push_back((index, one));
    }
    let (mut both, mut added) = (Vec::new(), Vec::new());
    for one in new {
        match left.get_mut(&key(one)).and_then(VecDeque::pop_front) {
            Some((_, known)) => both.push((known, one)),
            None => added.push(one),
        }
    }
    let mut gone: Vec<(usize, &T)> = left.into_values().flatten().collect();
    gone.order_by_key(|(index, _)| *index);
    (both, gone.into_iter().map(|(_, one)| one).collect(), added)
}

/// How a server is named: its own name beside the address, where it has one.
fn server_name(server: &Server) -> String {
    match &server.name {
        Some(name) if *name != server.address.to_string() => format!("{name} ({})", server.address),
        _ => server.address.to_string(),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Primary => "serves",
        Role::Backup => "is a spare, and serves when no other does",
        Role::Down => "is taken out of service",
    }
}

fn pools(old: &[Pool], new: &[Pool], out: &mut Changes) {
    let (both, gone, added) = paired(old, new, |pool| pool.name.clone());
    for pool in added {
        let to: Vec<Address> = pool.servers.iter().map(|server| server.address.clone()).collect();
        out.lead(format!("new pool {} with {}", pool.name, listed(&to)), Some(&pool.at), to);
    }
    for pool in gone {
        out.say(format!("pool {} removed", pool.name), Some(&pool.at));
    }
    for (was, is) in both {
        servers(&format!(" of pool {}", is.name), &was.servers, &is.servers, out);
        out.settings(&format!("pool {}", is.name), &was.settings, &is.settings);
    }
}

/// Servers of a pool, or of a route that names its own. `of`: whose.
fn servers(of: &str, old: &[Server], new: &[Server], out: &mut Changes) {
    let (mut both, gone, added) = paired(old, new, |server| (server.name.clone(), server.address.clone()));
    // The same name with another address: the server moved.
    let (mut gone, mut fresh): (Vec<&Server>, Vec<&Server>) = (gone, Vec::new());
    for server in added {
        let same = |known: &&Server| known.name.is_some() && known.name == server.name;
        match gone.iter().position(same) {
            Some(at) => {
                let was = gone.remove(at);
                let name = server.name.clone().unwrap_or_default();
                let text = format!("server {name}{of} is now {} instead of {}", server.address, was.address);
                out.lead(text, Some(&server.at), vec![server.address.clone()]);
                both.push((was, server));
            }
            None => fresh.push(server),
        }
    }
    if let ([was], [is], true) = (gone.as_slice(), fresh.as_slice(), both.is_empty()) {
        let text = format!("the server{of} is now {} instead of {}", is.address, was.address);
        out.lead(text, Some(&is.at), vec![is.address.clone()]);
        both.push((was, is));
        (gone, fresh) = (Vec::new(), Vec::new());
    }
    for server in fresh {
        let as_what = match server.role {
            Role::Primary => String::new(),
            Role::Backup => ", as a spare".to_owned(),
            Role::Down => ", out of service".to_owned(),
        };
        let text = format!("server {}{of} added{as_what}", server_name(server));
        out.lead(text, Some(&server.at), vec![server.address.clone()]);
    }
    for server in gone {
        out.say(format!("server {}{of} removed", server_name(server)), Some(&server.at));
    }
    for (was, is) in both {
        if was.role != is.role {
            out.say(format!("server {}{of} {}", server_name(is), role(is.role)), Some(&is.at));
        }
        if was.names != is.names {
            out.say(format!("the name of server {}{of} is resolved in another way", server_name(is)), Some(&is.at));
        }
    }
}

fn listed(addresses: &[Address]) -> String {
    let mut all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    all.dedup();
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    match (all.is_empty(), more) {
        (true, _) => "no server".to_owned(),
        (false, 0) => all.join(", "),
        (false, more) => format!("{} and {more} more", all.join(", ")),
    }
}

/// What a person calls a site: its first name, or where it listens.
fn site_name(site: &Site) -> String {
    let name = site.names.iter().find(|name| !name.is_empty() && *name != "_");
    name.cloned().or_else(|| site.listens.first().map(|listen| listen.address.to_string())).unwrap_or_default()
}

/// What a person calls a route: `shop.test/api/`.
fn route_name(site: &Site, route: &Route) -> String {
    let site = site_name(site);
    match (site.is_empty(), route.pattern.starts_with('/')) {
        (true, _) => route.pattern.clone(),
        (false, true) => format!("{site}{}", route.pattern),
        (false, false) => format!("{site} {}", route.pattern),
    }
}

fn sites(old: &Gateway, new: &Gateway, out: &mut Changes) {
    let doors = |site: &Site| site.listens.iter().map(|listen| (listen.address.clone(), listen.tls)).collect::<Vec<_>>();
    let (mut both, gone, added) = paired(&old.sites, &new.sites, |site| (site.names.clone(), doors(site)));
    let mut gone = gone;
    let mut fresh = Vec::new();
    for site in added {
        // The same names at other doors, else other names at the same place of the files.
        let named = |known: &&Site| known.names == site.names && !site.names.is_empty();
        let placed = |known: &&Site| known.at.file == site.at.file && (doors(known) == doors(site) || known.at == site.at);
        match gone.iter().position(named).or_else(|| gone.iter().position(placed)) {
            Some(at) => both.push((gone.remove(at), site)),
            None => fresh.push(site),
        }
    }
    for site in fresh {
        let doors: Vec<Address> = site.listens.iter().map(|listen| listen.address.clone()).collect();
        let at = if doors.is_empty() { String::new() } else { format!(" on {}", listed(&doors)) };
        out.say(format!("new site {}{at}", site_name(site)), Some(&site.at));
        for route in &site.routes {
            new_route(site, route, out);
        }
    }
    for site in gone {
        out.say(format!("site {} removed", site_name(site)), Some(&site.at));
    }
    for (was, is) in both {
        pair::site(was, is, out);
    }
}

fn new_route(site: &Site, route: &Route, out: &mut Changes) {
    let to: Vec<Address> = route.servers.iter().map(|server| server.address.clone()).collect();
    let target = route.pool.as_ref().map_or_else(|| listed(&to), |pool| format!("pool {pool}"));
    out.lead(format!("{} goes to {target}, which is new", route_name(site, route)), Some(&route.at), to);
}
