//! Facts about health checks that nobody tells the result of: `check:...`. Where the gateway answers for a server by itself, and
//! that server answers us, its check may be what fails; whether it does is seen by making it.

use std::collections::BTreeMap;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{LogGroup, ProbeHistory, Scene, upstream::address_of, upstream_of, wrote},
    model::{
        Fact, Gateway, HEALTH_CHECK, HEALTH_CHECK_BODY, HEALTH_CHECK_EXPECTS, Health, LiveServer, Outcome, Role, Route, Server,
        Subject, expects, logline,
    },
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["check:fails", "check:unconfirmed"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    for gateway in &scene.gateways {
        let checked = |route: &&Route| route.settings.contains_key(HEALTH_CHECK);
        for route in gateway.routes().map(|(_, route)| route).filter(checked) {
            for server in route.servers.iter().filter(|server| server.role == Role::Primary) {
                about(scene, catalog, (gateway, route, server), book);
            }
        }
    }
}

/// Whether the gateway itself says that the server gets requests, or gets none for another reason than its check.
fn told_otherwise(scene: &Scene, gateway: &Gateway, route: &Route, server: &Server) -> bool {
    let told = |live: &&LiveServer| {
        live.pool == route.pool.as_deref().unwrap_or_default() && address_of(gateway, live).as_ref() == Some(&server.address)
    };
    let lives = scene.lives.iter().filter(|live| live.is_of(gateway));
    // Who calls a server unchecked may not tell what its checks find (Caddy's admin API).
    lives.flat_map(|live| &live.servers).find(told).is_some_and(|live| match live.health {
        Health::Up | Health::Disabled | Health::Draining | Health::Unresolved => true,
        Health::Down | Health::Unchecked => false,
    })
}

fn about(scene: &Scene, catalog: &Catalog, (gateway, route, server): (&Gateway, &Route, &Server), book: &mut FactBook) {
    let subject = Subject(server.address.to_string());
    if book.looked_at("check", &[&subject]) {
        return;
    }
    book.look("check", &subject);
    let own = scene.probes_through(&subject);
    let Some(through) = own.filter(|history| is_of_gateway(gateway, history)).find(|history| last(history).is_some()) else {
        return;
    };
    let mut straight = scene.probes_about("upstream", &subject).peekable();
    let Some(label) = straight.peek().map(|history| history.last.job.label()) else { return };
    if !straight.all(|history| probes::window(history).iter().all(|result| result.outcome.serves() == Some(true))) {
        return;
    }
    if told_otherwise(scene, gateway, route, server) {
        return;
    }
    let mut fields = BTreeMap::new();
    if let Some(pool) = &route.pool {
        let name = server.name.as_ref().map_or_else(|| subject.0.clone(), ToString::to_string);
        fields.insert("server".to_owned(), format!("{pool}/{name}"));
    }
    let status = last(through).map_or_else(String::new, ToString::to_string);
    let said = format!("{} itself answers {status}, and {label} is answered by {subject}", gateway.kind);
    let made = made(scene, gateway, route, &subject);
    let (name, text, source) = if let Some((check, source)) = made.or_else(|| logged(scene, catalog, gateway, route, server)) {
        let text = format!("{said}; its check fails: {check}");
        fields.insert("check".to_owned(), check);
        ("check:fails", text, source)
    } else {
        let text = format!("{said}, which it checks by {}{}", route.settings[HEALTH_CHECK].value, wanted(gateway, route));
        ("check:unconfirmed", text, "probe".to_owned())
    };
    let name = name.to_owned();
    book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
}

/// What the check, made again, came to, and who says so. `None`: it was not made, or passes as far as its status tells.
fn made(scene: &Scene, gateway: &Gateway, route: &Route, subject: &Subject) -> Option<(String, String)> {
    scene.probes_about("check", subject).find_map(|history| {
        let outcome = &history.results.back()?.outcome;
        let words = route.settings.get(HEALTH_CHECK_EXPECTS).map(|setting| setting.value.as_str());
        let passes = match outcome {
            Outcome::Open | Outcome::Skipped(_) => true,
            Outcome::Status(status) => expects(words, *status).unwrap_or(true),
            _ => false,
        };
        let job = &history.last.job;
        let method = job.request.as_ref().map_or_else(String::new, |request| format!("{} ", request.method));
        let check = format!("{method}{} gives {outcome}{}", job.label(), wanted(gateway, route));
        (!passes).then(|| (check, "probe".to_owned()))
    })
}

/// What the check wants, with the place where it is written.
fn wanted(gateway: &Gateway, route: &Route) -> String {
    let (expects, body) = (route.settings.get(HEALTH_CHECK_EXPECTS), route.settings.get(HEALTH_CHECK_BODY));
    let connects = route.settings.get(HEALTH_CHECK).is_none_or(|setting| setting.value == "connect");
    let status = match (expects, gateway.kind.as_str()) {
        (Some(status), _) => status.value.as_str(),
        (None, "caddy") => "2xx",
        (None, _) => "2xx or 3xx",
    };
    let words = match body {
        _ if connects => String::new(),
        Some(body) => format!(", and {} wants {status} and a body with `{}`", gateway.kind, body.value),
        None => format!(", and {} wants {status}", gateway.kind),
    };
    let settings = [expects, body, route.settings.get(HEALTH_CHECK)];
    let place = settings.into_iter().flatten().find_map(|setting| setting.at.as_ref());
    place.map_or_else(|| words.clone(), |at| format!("{words}, by {at}"))
}

/// Seconds for which a line about a check tells how it is now: Caddy checks every half minute unless it is told otherwise.
const LOGGED_S: i64 = 60;
/// The signature of a log that says that the answer to a check was not the right one.
const WRONG_ANSWER: &str = "go-health-status";

/// What the gateway's own log says that the check came to.
fn logged(scene: &Scene, catalog: &Catalog, gateway: &Gateway, route: &Route, server: &Server) -> Option<(String, String)> {
    let says = |group: &&LogGroup| group.signature(&catalog.signatures).is_some_and(|known| known.id == WRONG_ANSWER);
    let own = |group: &&LogGroup| wrote(scene, gateway, &group.source);
    let recent = |group: &&LogGroup| group.last_second().is_some_and(|last| scene.now.wall_s() - last <= LOGGED_S);
    let of_server = |group: &&LogGroup| upstream_of(scene, group).is_some_and(|address| address == server.address);
    let all = scene.logs.values().filter(says).filter(own).filter(recent).filter(of_server);
    let group = all.max_by_key(|group| group.last_second())?;
    let entry = logline::read(&group.last);
    let what = entry.message.split_once(": ").map_or(&*entry.message, |(_, what)| what).to_owned();
    Some((
        format!("{}, by its own word: {what}{}", route.settings[HEALTH_CHECK].value, wanted(gateway, route)),
        group.source.clone(),
    ))
}

/// What the request through the gateway came to, where that was an answer without a server.
fn last(history: &ProbeHistory) -> Option<&Outcome> {
    probes::window(history).into_iter().map(|result| &result.outcome).find(|outcome| matches!(outcome, Outcome::Status(503)))
}

/// Whether nobody else says that the answer is theirs.
fn is_of_gateway(gateway: &Gateway, history: &ProbeHistory) -> bool {
    history.last.emitter.as_ref().is_none_or(|emitter| *emitter == gateway.kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{LiveState, Observation, Stamp};

    /// What is said of a server that answers us, and to which its gateway, which tells this of it, passes nothing on.
    fn facts(health: Option<&str>) -> Vec<String> {
        let at = json!({"file": "/etc/haproxy/haproxy.cfg", "line": 9});
        let servers = json!([{"name": "a1", "address": "127.0.0.1:8000", "role": "primary", "at": at}]);
        let route = json!({
            "pattern": "default_backend", "takes": "any", "sample_path": "/", "protocol": "http", "pool": "shop", "servers": servers,
            "host_header": null, "sni": null, "connect_ms": 5000, "read_ms": 50000, "header_limit": 15360, "at": at,
            "settings": {"health-check": {"value": "connect", "at": at}},
        });
        let gateway = json!({
            "kind": "haproxy", "version": "2.6", "state": {"running": {"pid": 7, "since": 1, "workers_since": 1}}, "binary": null,
            "identity": null, "config": "/etc/haproxy/haproxy.cfg", "files": [], "problems": [], "logs": [], "resolvers": [],
            "unit": null, "commands": {}, "blind": [], "pools": [{"name": "shop", "servers": servers, "at": at}],
            "sites": [{"names": [], "listens": [], "routes": [route], "choice": "first-match", "at": at}],
        });
        let probe = |probe: &str, at: &str, upstreams: &[&str], status: u16| {
            let report = json!({
                "job": {"probe": probe, "subject": at, "upstreams": upstreams, "address": at, "protocol": "http",
                    "connect_ms": 1, "total_ms": 1},
                "outcome": {"status": status}, "phases": {"total": 1.0},
            });
            Observation::Probe(serde_json::from_value(report).expect("a report"))
        };
        let mut scene = Scene::default();
        let now = Stamp { run_ms: 10, wall_ms: 1_795_217_794_000 };
        scene.observe(now, Observation::Gateways(vec![serde_json::from_value(gateway).expect("a gateway")]));
        scene.observe(now, probe("upstream", "127.0.0.1:8000", &[], 200));
        scene.observe(now, probe("gateway", "127.0.0.1:80", &["127.0.0.1:8000"], 503));
        if let Some(health) = health {
            let live = json!({
                "kind": "haproxy", "config": "/etc/haproxy/haproxy.cfg", "source": "/run/haproxy/admin.sock",
                "servers": [{"pool": "shop", "name": "a1", "address": "127.0.0.1:8000", "role": "primary", "health": health}],
            });
            let live: LiveState = serde_json::from_value(live).expect("a state");
            scene.observe(now, Observation::Live(Box::new(live)));
        }
        let mut book = FactBook::default();
        produce(&scene, &Catalog::embedded().expect("the catalogue"), &mut book);
        book.facts().iter().map(|fact| fact.name.clone()).collect()
    }

    #[test]
    fn no_check_is_suspected_where_the_gateway_names_another_reason() {
        for unknown in [None, Some("down"), Some("unchecked")] {
            assert_eq!(facts(unknown), ["check:unconfirmed"], "{unknown:?}");
        }
        for told in ["up", "disabled", "draining", "unresolved"] {
            assert_eq!(facts(Some(told)), [""; 0], "{told}");
        }
    }
}
