//! Facts about who listens where the gateway connects: `listen:...`. The hard one is `listen:elsewhere`: the application is
//! up, but on another address. A process that merely listens is not the application: exporters, databases and other sites'
//! applications listen too.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

mod abroad;

use foldhash::fast::RandomState;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{Scene, names::resolved, scope::SERVERS, upstream::failed_at},
    model::{Address, Fact, Gateway, Listener, ListenerTable, Order as _, Outcome, PICKED, Protocol, Server, Subject},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["listen:none", "listen:present", "listen:elsewhere", "listen:queue-full"].map(str::to_owned).into()
}

/// Other listeners that are tried for one dead upstream, at most.
const CANDIDATES: usize = 6;
/// From here on a listener is taken for the application that moved. Each sign below is worth what it would be to a person
/// who looks at `ss -ltnp`: one good sign or two weak ones are needed.
const RELATED: f64 = 0.5;

/// From here on two addresses have the same port, or sockets the same name.
const ALIKE: f64 = 0.6;

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let Some(table) = &scene.listeners else { return };
    let candidates = LazyCell::new(|| Candidates::of(scene, catalog));
    let mut told = 0;
    let mut seen: HashSet<&Address, RandomState> = HashSet::default();
    let probed = scene.probes.iter().next().is_some();
    // A path without a listener may have no socket, or one whose owner is gone: of those the logs themselves tell.
    let logged: Vec<Address> = failed_at(scene).into_iter().filter(|address| matches!(address.bare(), Address::Tcp(_))).collect();
    let configured = upstreams(scene.gateways.iter()).map(|server| &server.address);
    for upstream in logged.iter().chain(configured).filter(|address| seen.insert(*address)) {
        // Of a configuration with more servers than that those count which something is known of.
        told += 1;
        if told > SERVERS && !probed {
            break;
        }
        let subject = Subject(upstream.to_string());
        let known = || scene.probes_through(&subject).next().is_some() || scene.probes_about("upstream", &subject).next().is_some();
        if told > SERVERS && !known() {
            continue;
        }
        // A name stands for its addresses: it is told from here only where all of them are the host's own.
        let addresses = resolved(scene, upstream);
        if addresses.is_empty() || !addresses.iter().all(|address| table.covers(address)) || book.looked_at("listen", &[&subject]) {
            continue;
        }
        book.look("listen", &subject);
        let mut add = |name: &str, text: String, fields: BTreeMap<String, String>| {
            let (name, source) = (name.to_owned(), "socket table".to_owned());
            book.add(Fact { name, subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        };
        if let Some(listener) = addresses.iter().find_map(|address| table.taking(address)) {
            let fields = owner_fields(listener);
            add("listen:present", format!("{} listens on {}", owner(listener), listener.address), fields.clone());
            // Of a process that a signal has stopped, a full queue is what follows.
            let halted = scene.service(&subject).is_some_and(crate::model::ServiceLoad::halted);
            if let Some(queue) = listener.queue.filter(|queue| queue.full() && !halted) {
                let text = format!("the accept queue of {} is full: {} wait, {} may", listener.address, queue.waiting, queue.limit);
                add("listen:queue-full", text, fields);
            }
            continue;
        }
        // A socket in a volume that two containers share is seen under two paths, and only one of them is told.
        if upstream.place().is_some() && matches!(upstream.bare(), Address::Unix(_)) && !gone(scene, &subject) {
            continue;
        }
        let stands = if addresses == [upstream.clone()] { String::new() } else { format!(" ({})", list(&addresses)) };
        add("listen:none", format!("nothing listens on {upstream}{stands}"), BTreeMap::new());
        if let Some((listener, why)) = elsewhere(&candidates, catalog, table, upstream) {
            let mut fields = owner_fields(listener);
            fields.insert("why".to_owned(), why.clone());
            if let Some((said, remedy)) = abroad::words(table, upstream, listener) {
                fields.insert("abroad".to_owned(), said);
                fields.insert("abroad_remedy".to_owned(), remedy);
                // To write that address into the gateway's configuration would not help.
                let there = listener.address.place().unwrap_or("the host");
                add(
                    "listen:elsewhere",
                    format!("{} listens on {} of {there}: {why}", owner(listener), listener.address.bare()),
                    fields,
                );
                continue;
            }
            fields.insert("elsewhere".to_owned(), listener.address.to_string());
            add("listen:elsewhere", format!("{} listens on {}: {why}", owner(listener), listener.address), fields);
        }
    }
}

/// Whether the last try found nothing at the path, or nobody behind it.
fn gone(scene: &Scene, subject: &Subject) -> bool {
    let mut tried = scene.probes_of("upstream").filter(|history| history.last.job.subject == *subject);
    tried.any(|history| matches!(history.last.outcome, Outcome::NotFound | Outcome::Refused))
}

fn list(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Every server that some route reaches and that is not taken out on purpose.
fn upstreams<'a>(gateways: impl Iterator<Item = &'a Gateway>) -> impl Iterator<Item = &'a Server> {
    gateways.flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers)
}

/// `node (pid 811, app.service)`.
fn owner(listener: &Listener) -> String {
    match &listener.owner {
        None => "a process that may not be seen".to_owned(),
        Some(process) => match process.unit() {
            Some(unit) => format!("{} (pid {}, {unit})", process.name, process.pid),
            None => format!("{} (pid {})", process.name, process.pid),
        },
    }
}

fn owner_fields(listener: &Listener) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    if let Some(process) = &listener.owner {
        fields.insert("process".to_owned(), process.name.clone());
        fields.insert("pid".to_owned(), process.pid.to_string());
        if let Some(unit) = process.unit() {
            fields.insert("unit".to_owned(), unit.to_owned());
        }
    }
    fields
}

/// Who could be the application of a dead upstream: what is the same for all of them is found once.
#[derive(Debug)]
pub struct Candidates<'a> {
    scene: &'a Scene,
    /// Listeners that may be an application by all that does not depend on the upstream, with whether they surely serve one.
    possible: Vec<(&'a Listener, bool)>,
    /// The configured servers by the listener that takes them, each with all addresses that it stands for.
    claimed: HashMap<*const Listener, Vec<Vec<Address>>>,
}

impl<'a> Candidates<'a> {
    /// Of all listeners of the host.
    pub fn of(scene: &'a Scene, catalog: &Catalog) -> Self {
        let Some(table) = &scene.listeners else {
            return Self { scene, possible: Vec::new(), claimed: HashMap::new() };
        };
        let ours: BTreeSet<u16> = scene
            .all_gateways()
            .flat_map(|g| &g.sites)
            .flat_map(|site| &site.listens)
            .filter_map(|listen| listen.address.port())
            .collect();
        let possible = |listener: &'a Listener| {
            let owner = listener.owner.as_ref();
            let never = owner.is_some_and(|process| catalog.services.never_the_application(process));
            let possible = match listener.address.bare() {
                Address::Unix(_) => !never,
                Address::Tcp(at) => !never && !ours.contains(&at.port()),
                Address::Name(..) | Address::Inside(..) => false,
            };
            let serves = match listener.address.bare() {
                Address::Unix(_) => owner.is_some_and(|process| catalog.services.may_be_an_application(process)),
                Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => owner.is_some(),
            };
            possible.then_some((listener, serves))
        };
        let mut claimed: HashMap<*const Listener, Vec<Vec<Address>>> = HashMap::new();
        let mut seen: HashSet<&Address, RandomState> = HashSet::default();
        let picked = scene.all_gateways().flat_map(|gateway| gateway.pools.iter());
        let picked = picked.filter(|pool| pool.settings.contains_key(PICKED)).flat_map(|pool| &pool.servers);
        for server in upstreams(scene.all_gateways()).chain(picked).filter(|server| seen.insert(&server.address)) {
            let addresses = resolved(scene, &server.address);
            for listener in addresses.iter().filter_map(|address| table.taking(address)) {
                let claims = claimed.entry(std::ptr::from_ref(listener)).or_default();
                if !claims.contains(&addresses) {
                    claims.push(addresses.clone());
                }
            }
        }
        Self { scene, possible: table.listeners.iter().filter_map(possible).collect(), claimed }
    }

    /// Of this one, likeliest first: not the gateway's own, not another route's, not a program that never is one.
    pub fn for_upstream(&self, upstream: &Address) -> Vec<&'a Listener> {
        let own = resolved(self.scene, upstream);
        let kinship = |listener: &Address| own.iter().map(|address| kinship(address, listener)).fold(0.0, f64::max);
        let taken = |listener: &'a Listener| {
            let claims = self.claimed.get(&std::ptr::from_ref(listener));
            // `localhost` stands for addresses of both families: where one of them is ours, it is the same application that is meant.
            let another = |claim: &Vec<Address>| !claim.iter().any(|address| own.contains(address));
            claims.is_some_and(|claims| claims.iter().any(another))
        };
        // In other namespaces thousands listen on the same few ports: there only the same port, or a socket of the same name, says
        // anything, and only where it is the only one.
        let home = self.scene.listeners.as_ref().map(|table| table.home(upstream));
        let place = home.as_ref().and_then(Address::place);
        let far = |listener: &Listener| listener.address.place() != place;
        let alike = |listener: &Listener| kinship(&listener.address) >= ALIKE;
        let places: BTreeSet<Option<&str>> = self
            .possible
            .iter()
            .filter(|(listener, _)| far(listener) && alike(listener))
            .map(|(listener, _)| listener.address.place())
            .collect();
        let may_be = self.possible.iter().filter(|(listener, serves)| {
            if far(listener) { alike(listener) && places.len() == 1 } else { *serves || kinship(&listener.address) > 0.0 }
        });
        let mut found: Vec<&Listener> = may_be.map(|(listener, _)| *listener).filter(|listener| !taken(listener)).collect();
        found.order_by(|a, b| kinship(&b.address).total_cmp(&kinship(&a.address)).then_with(|| a.address.cmp(&b.address)));
        found.truncate(CANDIDATES);
        found
    }
}

/// How much two addresses look like the same application's, from 0 to 1.
fn kinship(configured: &Address, other: &Address) -> f64 {
    match (configured.bare(), other.bare()) {
        (Address::Tcp(a), Address::Tcp(b)) if a.port() == b.port() => 0.9,
        (Address::Tcp(a), Address::Tcp(b)) => {
            let (a, b) = (a.port().to_string(), b.port().to_string());
            // 8000 -> 8080, 8001, 18000: the neighbouring ports that people choose.
            let neighbours = a.len() == b.len() && a.get(..2) == b.get(..2);
            if neighbours || b.ends_with(&a) || a.ends_with(&b) { 0.2 } else { 0.0 }
        }
        (Address::Unix(a), Address::Unix(b)) => {
            let same_name = a.file_name() == b.file_name();
            let same_stem = stem(a) == stem(b) && !stem(a).is_empty();
            if same_name || same_stem && a.parent() == b.parent() {
                0.8
            } else if same_stem {
                0.6
            } else if a.parent() == b.parent() && a.parent() != Some(Path::new("/run")) {
                0.3
            } else {
                0.0
            }
        }
        (Address::Tcp(_) | Address::Unix(_) | Address::Name(..) | Address::Inside(..), _) => 0.0,
    }
}

/// The name of a socket without digits and dots: `php7.4-fpm.sock` and `php8.2-fpm.sock` have the same.
fn stem(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().chars().filter(|c| c.is_alphabetic()).collect()
}

/// The listener that is the application of this dead upstream, and why it is thought so.
fn elsewhere<'a>(
    candidates: &Candidates<'a>,
    catalog: &Catalog,
    table: &ListenerTable,
    upstream: &Address,
) -> Option<(&'a Listener, String)> {
    let scene = candidates.scene;
    let subject = Subject(upstream.to_string());
    let routes = scene.routes_to(upstream);
    let fastcgi = routes.iter().any(|(.., route)| route.protocol == Protocol::Fastcgi);
    let mut said = BTreeSet::new();
    let words: Vec<String> = routes
        .into_iter()
        .flat_map(|(_, site, route)| site.host().into_iter().flat_map(|host| host.split('.')).chain(route.pool.as_deref()))
        .filter(|word| said.insert(*word))
        .map(str::to_ascii_lowercase)
        .filter(|word| {
            word.len() > 3 && !["local", "localhost", "example", "test", "backend", "upstream", "server"].contains(&word.as_str())
        })
        .collect();
    let own = resolved(scene, upstream);
    let mut best: Option<(f64, &Listener, String)> = None;
    for listener in candidates.for_upstream(upstream) {
        let mut score = own.iter().map(|address| kinship(address, &listener.address)).fold(0.0, f64::max);
        let mut why = Vec::new();
        if score >= ALIKE {
            why.push(match listener.address.bare() {
                Address::Unix(_) if own.contains(&listener.address) => "the same path, without the slash at its end".to_owned(),
                Address::Unix(_) => "a socket of the same name".to_owned(),
                Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => "the same port on another address".to_owned(),
            });
        }
        if let Some(process) = &listener.owner {
            let php = process.name.starts_with("php-fpm");
            if fastcgi && php {
                score += 0.5;
                why.push("php-fpm, which is what this location needs".to_owned());
            } else if catalog.services.application_server(process) {
                score += 0.3;
                why.push(format!("{}, which serves applications", process.name));
            } else if catalog.services.may_be_an_application(process) {
                score += 0.15;
            }
            let said = |word: &String| {
                let cwd = process.cwd.as_deref().unwrap_or(Path::new("")).to_string_lossy().to_ascii_lowercase();
                cwd.contains(word.as_str()) || process.argv.iter().any(|arg| arg.to_ascii_lowercase().contains(word.as_str()))
            };
            if let Some(word) = words.iter().find(|word| said(word)) {
                score += 0.3;
                why.push(format!("its command line or directory names {word}"));
            }
        }
        let tried =
            scene.probes_about("candidate", &subject).find(|history| table.taking(&history.last.job.address) == Some(listener));
        if let Some(history) = tried {
            let path = history.last.job.request.as_ref().map_or("/", |request| request.path.as_str());
            match probes::window(history).first().map(|result| &result.outcome) {
                Some(Outcome::Status(status @ 200..=399)) => {
                    score += if path == "/" { 0.3 } else { 0.5 };
                    why.push(format!("it answers {status} to GET {path}"));
                }
                // A protected application answers these to whoever has not logged in.
                Some(Outcome::Status(401 | 403)) => score += 0.1,
                // It does not know the path, or answers with an error: it may be anything.
                Some(Outcome::Status(_)) => score -= 0.3,
                Some(Outcome::Open) | None => {}
                // It does not even speak the protocol.
                Some(_) => score -= 0.6,
            }
        }
        if score >= RELATED && best.as_ref().is_none_or(|(known, ..)| score > *known) {
            best =
                Some((score, listener, if why.is_empty() { "it looks like the application".to_owned() } else { why.join(", ") }));
        }
    }
    best.map(|(_, listener, why)| (listener, why))
}
