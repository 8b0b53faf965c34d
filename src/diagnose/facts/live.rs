//! Facts from what gateways say of themselves: `live:...`. A gateway that holds a server for down tells no more than that it does;
//! together with our own request straight to that server it tells whether the check is right.

use std::collections::BTreeMap;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeResult, Scene, upstream::address_of},
    model::{Address, Fact, Gateway, Health, LiveServer, LiveState, Outcome, Subject, text},
};

/// A limit is reached, for all that matters, when this share of it is used: one moment's figure misses the peaks.
const REACHED: f64 = 0.9;

/// Milliseconds from which on an answer of 503 was waited for in a queue.
const QUEUED_MS: f64 = 500.0;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "live:up",
        "live:down",
        "live:check-refuted",
        "live:handshake-refused",
        "live:disabled",
        "live:unresolved",
        "live:queued",
        "live:server-full",
        "live:limit-reached",
        "live:within-limits",
    ]
    .map(str::to_owned)
    .into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for gateway in &scene.gateways {
        let Some(live) = scene.lives.iter().find(|live| live.is_of(gateway)) else { continue };
        let subject = scene.named(gateway);
        book.look("live", &subject);
        limits(scene, gateway, live, &subject, book);
        for server in &live.servers {
            about(scene, gateway, live, server, book);
        }
    }
}

fn about(scene: &Scene, gateway: &Gateway, live: &LiveState, server: &LiveServer, book: &mut FactBook) {
    let Some(address) = address_of(gateway, server) else { return };
    let subject = Subject(address.to_string());
    book.look("live", &subject);
    let name = format!("{}/{}", server.pool, server.name);
    let check = server.check.as_ref().map(|check| {
        let status = check.status.map_or_else(String::new, |status| format!(" {status}"));
        let detail = if check.detail.is_empty() { String::new() } else { format!(" ({})", check.detail) };
        format!("{}{status}{detail}", check.result)
    });
    let since = server.for_s.and_then(|for_s| i64::try_from(for_s).ok());
    let since = since.map_or_else(String::new, |for_s| format!(" for {}", text::duration(for_s)));
    let mut fields = BTreeMap::from([("server".to_owned(), name.clone()), ("pool".to_owned(), server.pool.clone())]);
    if let Some(check) = &check {
        fields.insert("check".to_owned(), check.clone());
    }
    let kind = &gateway.kind;
    let mut add = |fact: &str, text: String| {
        let (name, source) = (format!("live:{fact}"), live.source.clone());
        if book.find(&name, &[&subject]).is_none() {
            let (subject, fields) = (subject.clone(), fields.clone());
            book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
        }
    };
    // Where another server of the pool gets the requests, one that is out is no reason for a failure.
    let alone = !live.pool_serves(&server.pool);
    match server.health {
        Health::Up => add("up", format!("{kind} holds {name} for up{since}")),
        Health::Down => {
            let why = check.as_ref().map_or_else(String::new, |check| format!(", its check says {check}"));
            add("down", format!("{kind} holds {name} for down{since}{why}"));
            let handshake = server.check.as_ref().is_some_and(|check| check.result.starts_with("L6"));
            if let Some(label) = served_directly(scene, &subject) {
                // A look that accepts any certificate tells nothing of a gateway that does not.
                if handshake {
                    if verifies(scene, gateway, &address) {
                        add(
                            "handshake-refused",
                            format!(
                                "{kind} holds {name} for down{since}{why}, and {label} is answered to whoever verifies nothing"
                            ),
                        );
                    }
                    return;
                }
                add("check-refuted", format!("{kind} holds {name} for down{since}{why}, and {label} is answered"));
            }
        }
        Health::Disabled if alone => {
            add("disabled", format!("{name} was taken out on purpose{since}, and no other server of {} is left", server.pool));
        }
        Health::Draining if alone => {
            add("disabled", format!("{name} is drained{since}, and no other server of {} is left", server.pool));
        }
        // A moment's figures tell nothing of a server that nobody checks.
        Health::Unchecked | Health::Disabled | Health::Draining => {}
        Health::Unresolved => {
            let host = server.host.as_deref().unwrap_or(&server.name);
            add("unresolved", format!("{kind} holds {name} for down{since}, because {host} has no address"));
        }
    }
    if server.queued > 0 {
        add("queued", format!("{} requests wait for {name}", text::thousands(server.queued)));
    }
}

/// Whether the gateway verifies the certificate of this server.
fn verifies(scene: &Scene, gateway: &Gateway, address: &Address) -> bool {
    let all = scene.routes_to(address).into_iter();
    all.filter(|(known, ..)| std::ptr::eq(*known, gateway))
        .any(|(.., route)| route.trust.as_ref().is_some_and(|trust| trust.verify))
}

/// The request straight to this server that is answered well, if all that were made are.
fn served_directly(scene: &Scene, subject: &Subject) -> Option<String> {
    let of = scene.probes_about("upstream", subject);
    let mut label = None;
    for history in of {
        if !probes::window(history).iter().all(|result| result.outcome.serves() == Some(true)) {
            return None;
        }
        label.get_or_insert_with(|| history.last.job.label());
    }
    label
}

fn limits(scene: &Scene, gateway: &Gateway, live: &LiveState, subject: &Subject, book: &mut FactBook) {
    let mut add = |name: &str, text: String, fields: BTreeMap<String, String>| {
        let (name, source) = (format!("live:{name}"), live.source.clone());
        book.add(Fact { name, subject: subject.clone(), now: true, at: scene.now, text, source, fields });
    };
    let used = |used: u64, limit: u64| limit > 0 && used as f64 >= limit as f64 * REACHED;
    let fields = |name: &str, used: u64, limit: u64| {
        let values = [("setting", name.to_owned()), ("used", used.to_string()), ("limit", limit.to_string())];
        values.map(|(key, value)| (key.to_owned(), value)).into()
    };
    match live.limits.iter().find(|limit| used(limit.used, limit.limit)) {
        Some(limit) => {
            let text = format!("{} of {} of {} are used", limit.used, limit.limit, limit.name);
            add("limit-reached", text, fields(&limit.name, limit.used, limit.limit));
        }
        None if !live.limits.is_empty() => {
            let shares = live.limits.iter().map(|limit| format!("{}: {} of {}", limit.name, limit.used, limit.limit));
            add("within-limits", shares.take(3).collect::<Vec<_>>().join(", "), BTreeMap::new());
        }
        None => {}
    }
    let full = |server: &LiveServer| server.limit.is_some_and(|limit| server.busy >= limit && limit > 0);
    let mut waited_for = live.servers.iter().filter(|server| full(server)).filter_map(|server| {
        let waiting = if server.queued > 0 {
            format!("{} wait", server.queued)
        } else {
            format!("one of ours was given up after {:.1} s", given_up_after(scene, gateway, server)? / 1000.0)
        };
        Some((server, waiting))
    });
    if let Some((server, waiting)) = waited_for.next() {
        let (name, limit) = (format!("{}/{}", server.pool, server.name), server.limit.unwrap_or_default());
        let text = format!("{name} has {} of {limit} requests that it may have, and {waiting}", server.busy);
        add("server-full", text, fields(&format!("maxconn of {name}"), server.busy, limit));
    }
}

/// After how many milliseconds a request of ours to this server was answered 503, where that is no refusal at once: at the moment of a look
/// the queue may be empty, as all who were in it were given up.
fn given_up_after(scene: &Scene, gateway: &Gateway, server: &LiveServer) -> Option<f64> {
    let subject = Subject(address_of(gateway, server)?.to_string());
    let given_up = |result: &ProbeResult| result.outcome == Outcome::Status(503) && result.ms >= QUEUED_MS;
    scene
        .probes_through(&subject)
        .filter_map(|history| history.results.back())
        .find(|result| given_up(result))
        .map(|result| result.ms)
}

#[cfg(test)]
mod tests;
