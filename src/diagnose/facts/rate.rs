//! Facts about shares: `rate:...`. One request is an anecdote; so many of so many, with what that can tell, is a figure.

use std::collections::{BTreeMap, BTreeSet};

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{Scene, failing, symptom},
    model::{Fact, Place, Role, Share, Subject},
};

/// Failing servers of a pool that are named, at most.
const NAMED: usize = 8;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["rate:mixed", "rate:users", "rate:pool"].map(str::to_owned).into()
}

/// The facts: `mixed`, our own request through the gateway is served now and then; `users`, the share of the users' requests that
/// fail; `pool`, which servers of a pool fail while others serve.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let add = |book: &mut FactBook, name: &str, subject: &Subject, text: String, source: &str, fields| {
        if book.find(name, &[subject]).is_none() {
            let (name, source) = (name.to_owned(), source.to_owned());
            book.add(Fact { name, subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        }
    };
    for history in scene.probes_of("gateway") {
        let share = symptom::own_failures(scene, history);
        book.look("rate", &history.last.job.subject);
        if share.mixed() {
            let text = format!("{} fails {share} times: now and then, and not always", symptom::url_of(&history.last));
            let fields = BTreeMap::from([("share".to_owned(), share.to_string())]);
            add(book, "rate:mixed", &history.last.job.subject, text, "probe", fields);
        }
    }
    if let (Some((share, status)), Some(gateway)) = (symptom::users(scene), scene.gateways.first()) {
        // Which page fails, and by which method, is not what we ask for as a rule.
        let failing = failing(scene);
        let most = failing.requests.first().filter(|(_, lines)| lines * 2 > failing.lines);
        let most = most.map_or_else(String::new, |(request, _)| format!(", most of them {request}"));
        let text = format!("{share} of the users' requests fail now, {status} as a rule{most}");
        let fields = BTreeMap::from([("share".to_owned(), share.to_string())]);
        add(book, "rate:users", &scene.named(gateway), text, "access log", fields);
    }
    // Many routes lead to one pool, which is told of once.
    let mut seen: BTreeSet<(Option<&str>, &Place)> = BTreeSet::new();
    for (_, route) in scene.gateways.iter().flat_map(crate::model::Gateway::routes) {
        let Some(first) = route.servers.first().filter(|_| route.servers.len() > 1) else { continue };
        if !seen.insert((route.pool.as_deref(), &first.at)) {
            continue;
        }
        let servers: Vec<_> = route.servers.iter().filter(|server| server.role == Role::Primary).collect();
        let tried: Vec<(Subject, Share)> = servers
            .iter()
            .filter_map(|server| {
                let subject = Subject(server.address.to_string());
                let history = scene.probes_about("upstream", &subject).next()?;
                Some((subject, symptom::own_failures(scene, history)))
            })
            .filter(|(_, share)| share.all > 0)
            .collect();
        let failing: Vec<_> = tried.iter().filter(|(_, share)| share.hits > 0).collect();
        if servers.len() < 2 || failing.is_empty() || failing.len() == tried.len() {
            continue;
        }
        let name = route.pool.as_deref().unwrap_or("the pool");
        let whole = tried.len();
        let mut each: Vec<String> = failing.iter().take(NAMED).map(|(subject, share)| format!("{subject} {share}")).collect();
        if failing.len() > NAMED {
            each.push(format!("and {} more", failing.len() - NAMED));
        }
        let through = scene.probes_of("gateway").filter(|history| {
            let reached: BTreeSet<&Subject> = history.last.job.upstreams.iter().collect();
            failing.iter().all(|(subject, _)| reached.contains(subject))
        });
        let through = through.map(|history| symptom::failures(scene, history)).find(|share| share.hits > 0);
        let measured = through
            .map_or_else(|| "the others take over".to_owned(), |share| format!("{share} requests through the gateway failed"));
        let text = format!("{} of {whole} servers of {name} fail ({}); {measured}", failing.len(), each.join(", "));
        let fields = BTreeMap::from([("failing_servers".to_owned(), failing.len().to_string())]);
        for (subject, _) in &failing {
            add(book, "rate:pool", subject, text.clone(), "probes", fields.clone());
        }
    }
}
