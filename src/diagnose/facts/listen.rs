//! Facts about who listens where the gateway connects: `listen:...`. The hard one is `listen:elsewhere`: the application is
//! up, but on another address. A process that merely listens is not the application: exporters, databases and other sites'
//! applications listen too.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Address, Fact, Gateway, Listener, ListenerTable, Outcome, Protocol, Route, Server, Subject},
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

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let Some(table) = &scene.listeners else { return };
    for server in upstreams(scene) {
        let subject = Subject(server.address.to_string());
        let local = match &server.address {
            Address::Tcp(at) => table.is_local(at.ip()),
            Address::Unix(_) => true,
            Address::Name(..) => false,
        };
        if !local || book.looked_at("listen", &[&subject]) {
            continue;
        }
        book.look("listen", &subject);
        let mut add = |name: &str, text: String, fields: BTreeMap<String, String>| {
            let (name, source) = (name.to_owned(), "socket table".to_owned());
            book.add(Fact { name, subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        };
        if let Some(listener) = table.taking(&server.address) {
            let fields = owner_fields(listener);
            add("listen:present", format!("{} listens on {}", owner(listener), listener.address), fields.clone());
            if let Some(queue) = listener.queue.filter(|queue| queue.full()) {
                let text = format!("the accept queue of {} is full: {} wait, {} may", listener.address, queue.waiting, queue.limit);
                add("listen:queue-full", text, fields);
            }
            continue;
        }
        add("listen:none", format!("nothing listens on {}", server.address), BTreeMap::new());
        if let Some((listener, why)) = elsewhere(scene, catalog, table, &server.address) {
            let mut fields = owner_fields(listener);
            fields.insert("elsewhere".to_owned(), listener.address.to_string());
            fields.insert("why".to_owned(), why.clone());
            add("listen:elsewhere", format!("{} listens on {}: {why}", owner(listener), listener.address), fields);
        }
    }
}

/// Every server that some route reaches and that is not taken out on purpose.
fn upstreams(scene: &Scene) -> impl Iterator<Item = &Server> {
    scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers)
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

/// Listeners that could be the application of this dead upstream, likeliest first: not the gateway's own, not another route's,
/// not a program that never is one.
pub fn candidates<'a>(scene: &'a Scene, catalog: &Catalog, upstream: &Address) -> Vec<&'a Listener> {
    let Some(table) = &scene.listeners else { return Vec::new() };
    let claimed: BTreeSet<&Address> =
        upstreams(scene).map(|server| &server.address).filter(|address| *address != upstream).collect();
    let ours: BTreeSet<u16> = scene
        .gateways
        .iter()
        .flat_map(|g| &g.sites)
        .flat_map(|site| &site.listens)
        .filter_map(|listen| listen.address.port())
        .collect();
    let taken = |listener: &Listener| claimed.iter().any(|address| table.taking(address) == Some(listener));
    let possible = |listener: &&Listener| {
        let owner = listener.owner.as_ref();
        let never = owner.is_some_and(|process| catalog.services.never_the_application(process));
        let serves = owner.is_some_and(|process| catalog.services.may_be_an_application(process));
        let kin = kinship(upstream, &listener.address) > 0.0;
        match &listener.address {
            Address::Unix(_) => !never && (serves || kin) && !taken(listener),
            Address::Tcp(at) => !never && !ours.contains(&at.port()) && (owner.is_some() || kin) && !taken(listener),
            Address::Name(..) => false,
        }
    };
    let mut found: Vec<&Listener> = table.listeners.iter().filter(possible).collect();
    found.sort_by(|a, b| {
        kinship(upstream, &b.address).total_cmp(&kinship(upstream, &a.address)).then_with(|| a.address.cmp(&b.address))
    });
    found.truncate(CANDIDATES);
    found
}

/// How much two addresses look like the same application's, from 0 to 1.
fn kinship(configured: &Address, other: &Address) -> f64 {
    match (configured, other) {
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
        (Address::Tcp(_) | Address::Unix(_) | Address::Name(..), _) => 0.0,
    }
}

/// The name of a socket without digits and dots: `php7.4-fpm.sock` and `php8.2-fpm.sock` have the same.
fn stem(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().chars().filter(|c| c.is_alphabetic()).collect()
}

/// The listener that is the application of this dead upstream, and why it is thought so.
fn elsewhere<'a>(scene: &'a Scene, catalog: &Catalog, table: &ListenerTable, upstream: &Address) -> Option<(&'a Listener, String)> {
    let subject = Subject(upstream.to_string());
    let routes: Vec<&Route> = scene
        .gateways
        .iter()
        .flat_map(Gateway::routes)
        .map(|(_, route)| route)
        .filter(|route| route.servers.iter().any(|server| server.address == *upstream))
        .collect();
    let fastcgi = routes.iter().any(|route| route.protocol == Protocol::Fastcgi);
    let words: Vec<String> = scene
        .gateways
        .iter()
        .flat_map(Gateway::routes)
        .filter(|(_, route)| route.servers.iter().any(|server| server.address == *upstream))
        .flat_map(|(site, route)| site.host().into_iter().flat_map(|host| host.split('.')).chain(route.pool.as_deref()))
        .map(str::to_ascii_lowercase)
        .filter(|word| {
            word.len() > 3 && !["local", "localhost", "example", "test", "backend", "upstream", "server"].contains(&word.as_str())
        })
        .collect();
    let mut best: Option<(f64, &Listener, String)> = None;
    for listener in candidates(scene, catalog, upstream) {
        let mut score = kinship(upstream, &listener.address);
        let mut why = Vec::new();
        if score >= 0.6 {
            why.push(match listener.address {
                Address::Unix(_) => "a socket of the same name".to_owned(),
                Address::Tcp(_) | Address::Name(..) => "the same port on another address".to_owned(),
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
        let tried = scene
            .probes_of("candidate")
            .find(|history| history.last.job.subject == subject && table.taking(&history.last.job.address) == Some(listener));
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
