use serde_json::json;

use super::*;
use crate::{
    diagnose::{FactBook, upstream_of},
    model::{Gateway, LiveLimit, LogBatch, LogCount, LogFormat, Observation, ProbeReport, SourceKind, Stamp},
};

/// A HAProxy with one pool of these servers.
fn gateway(servers: &[(&str, &str)]) -> Gateway {
    let at = json!({"file": "/etc/haproxy/haproxy.cfg", "line": 9});
    let servers: Vec<_> =
        servers.iter().map(|(name, to)| json!({"name": name, "address": to, "role": "primary", "at": at})).collect();
    let route = json!({
        "pattern": "default_backend", "takes": "any", "sample_path": "/", "protocol": "http", "pool": "shop", "servers": servers,
        "host_header": null, "sni": null, "connect_ms": 5000, "read_ms": 50000, "header_limit": 15360, "at": at,
    });
    let gateway = json!({
        "kind": "haproxy", "version": "2.6", "state": {"running": {"pid": 7, "since": 1, "workers_since": 1}}, "binary": null,
        "identity": null, "config": "/etc/haproxy/haproxy.cfg", "files": [], "problems": [], "logs": [], "resolvers": [], "unit": null,
        "commands": {}, "blind": [],
        "pools": [{"name": "shop", "servers": servers, "at": at}],
        "sites": [{"names": [], "listens": [], "routes": [route], "choice": "first-match", "at": at}],
    });
    serde_json::from_value(gateway).expect("a gateway")
}

fn server(name: &str, address: &str, health: Health) -> LiveServer {
    LiveServer {
        pool: "shop".to_owned(),
        name: name.to_owned(),
        address: address.parse().ok(),
        host: None,
        role: crate::model::Role::Primary,
        health,
        check: Some(crate::model::LiveCheck { result: "L7STS".to_owned(), status: Some(404), detail: "Not Found".to_owned() }),
        for_s: Some(40),
        busy: 0,
        limit: None,
        queued: 0,
    }
}

fn live(servers: Vec<LiveServer>) -> LiveState {
    LiveState {
        kind: "haproxy".to_owned(),
        config: "/etc/haproxy/haproxy.cfg".into(),
        source: "/run/haproxy/admin.sock".to_owned(),
        servers,
        limits: Vec::new(),
        left_out: 0,
        requests: None,
        connects: None,
    }
}

/// What is said of these servers, where a request straight to `served` is answered.
fn facts(known: &[(&str, &str)], live: LiveState, served: Option<&str>) -> Vec<String> {
    let mut scene = Scene::default();
    let at = Stamp { run_ms: 10, wall_ms: 1_795_217_794_000 };
    scene.observe(at, Observation::Gateways(vec![gateway(known)]));
    scene.observe(at, Observation::Live(Box::new(live)));
    if let Some(served) = served {
        let report = json!({
            "job": {"probe": "upstream", "subject": served, "address": served, "protocol": "http", "connect_ms": 1, "total_ms": 1},
            "outcome": {"status": 200}, "phases": {"total": 1.0},
        });
        let report: ProbeReport = serde_json::from_value(report).expect("a report");
        scene.observe(at, Observation::Probe(Box::new(report)));
    }
    let mut book = FactBook::default();
    let catalog = Catalog::embedded().expect("the catalogue");
    produce(&scene, &catalog, &mut book);
    book.facts().iter().map(|fact| format!("{} {}", fact.name, fact.subject)).collect()
}

#[test]
fn a_check_is_refuted_by_an_answer_and_by_nothing_else() {
    let known = [("a1", "127.0.0.1:8000")];
    let down = || live(vec![server("a1", "127.0.0.1:8000", Health::Down)]);
    assert_eq!(facts(&known, down(), None), ["live:down 127.0.0.1:8000"]);
    let both = ["live:down 127.0.0.1:8000", "live:check-refuted 127.0.0.1:8000"];
    assert_eq!(facts(&known, down(), Some("127.0.0.1:8000")), both);
    // A handshake that fails says more than a look that accepts any certificate.
    let mut tls = down();
    tls.servers[0].check = Some(crate::model::LiveCheck { result: "L6RSP".to_owned(), ..Default::default() });
    assert_eq!(facts(&known, tls, Some("127.0.0.1:8000")), ["live:down 127.0.0.1:8000"]);
}

#[test]
fn what_is_taken_out_on_purpose_matters_where_it_was_the_last() {
    let known = [("a1", "127.0.0.1:8000"), ("a2", "127.0.0.1:8001")];
    let out = |other| live(vec![server("a1", "127.0.0.1:8000", Health::Disabled), server("a2", "127.0.0.1:8001", other)]);
    assert_eq!(facts(&known, out(Health::Down), None)[0], "live:disabled 127.0.0.1:8000");
    assert_eq!(facts(&known, out(Health::Up), None), ["live:up 127.0.0.1:8001"]);
}

#[test]
fn a_server_has_the_name_that_the_file_has_and_the_address_that_runs() {
    // A name in the file: the address that it came from is one of many.
    let found = facts(&[("a1", "app.internal:8000")], live(vec![server("a1", "10.0.0.7:8000", Health::Down)]), None);
    assert_eq!(found, ["live:down app.internal:8000"]);
    // An address in the file that is not what runs: the file was edited since.
    let found = facts(&[("a1", "127.0.0.1:9000")], live(vec![server("a1", "127.0.0.1:8000", Health::Down)]), None);
    assert_eq!(found, ["live:down 127.0.0.1:8000"]);
}

#[test]
fn figures_that_move_are_no_news() {
    let state = || live(vec![LiveServer { limit: Some(10), ..server("a1", "127.0.0.1:8000", Health::Up) }]);
    let mut later = state();
    (later.servers[0].busy, later.servers[0].for_s) = (5, Some(90));
    assert!(state().same_as(&later));
    later.servers[0].busy = 10;
    assert!(!state().same_as(&later));
    assert!(!state().same_as(&live(vec![server("a1", "127.0.0.1:8000", Health::Down)])));
}

#[test]
fn a_limit_is_told_when_it_is_reached() {
    let with = |used| {
        let limits = vec![LiveLimit { name: "maxconn".to_owned(), used, limit: 100 }];
        facts(&[], LiveState { limits, ..live(Vec::new()) }, None)
    };
    assert_eq!(with(95), ["live:limit-reached haproxy"]);
    assert_eq!(with(50), ["live:within-limits haproxy"]);
}

#[test]
fn a_line_of_pool_and_server_is_about_an_address() {
    let mut scene = Scene::default();
    let at = Stamp { run_ms: 10, wall_ms: 1_795_217_794_000 };
    scene.observe(at, Observation::Gateways(vec![gateway(&[("a1", "127.0.0.1:9000")])]));
    let line = "Nov 20 23:36:35 gw1 haproxy[157]: 127.0.0.1:34332 [20/Nov/2026:23:36:34.395] www shop/a1 0/0/-1/-1/1001 503 217 - - SC-- 1/1/0/0/1 0/0 \"GET /x HTTP/1.1\"";
    let counts = vec![LogCount { key: "k".to_owned(), count: 1, first: line.to_owned(), ..LogCount::default() }];
    let source = "/var/log/haproxy.log".to_owned();
    let batch = LogBatch { source, kind: SourceKind::Error, format: LogFormat::Plain, counts, lookback: false, dropped: 0 };
    scene.observe(at, Observation::Log(batch));
    let told = |scene: &Scene| upstream_of(scene, scene.logs.values().next().expect("a group")).map(|address| address.to_string());
    assert_eq!(told(&scene).as_deref(), Some("127.0.0.1:9000"));
    // What runs goes before what is written: the line is of what runs.
    scene.observe(at, Observation::Live(Box::new(live(vec![server("a1", "127.0.0.1:8000", Health::Down)]))));
    assert_eq!(told(&scene).as_deref(), Some("127.0.0.1:8000"));
    // A gateway that stopped says nothing any more.
    scene.observe(at, Observation::Gateways(Vec::new()));
    assert_eq!(told(&scene), None);
}

#[test]
fn a_queue_that_is_empty_when_we_look_is_told_by_a_request_that_was_given_up() {
    let full = |ms: f64| {
        let mut scene = Scene::default();
        let at = Stamp { run_ms: 10, wall_ms: 1_795_217_794_000 };
        scene.observe(at, Observation::Gateways(vec![gateway(&[("a1", "127.0.0.1:8000")])]));
        let server = LiveServer { busy: 1, limit: Some(1), ..server("a1", "127.0.0.1:8000", Health::Unchecked) };
        scene.observe(at, Observation::Live(Box::new(live(vec![server]))));
        let report = json!({
            "job": {
                "probe": "gateway", "subject": "http://shop.test/", "address": "127.0.0.1:80", "protocol": "http", "connect_ms": 1,
                "total_ms": 1, "upstreams": ["127.0.0.1:8000"],
            },
            "outcome": {"status": 503}, "phases": {"total": ms},
        });
        let report: ProbeReport = serde_json::from_value(report).expect("a report");
        scene.observe(at, Observation::Probe(Box::new(report)));
        let mut book = FactBook::default();
        produce(&scene, &Catalog::embedded().expect("the catalogue"), &mut book);
        book.facts().iter().filter(|fact| fact.name == "live:server-full").map(|fact| fact.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(full(1004.0), ["shop/a1 has 1 of 1 requests that it may have, and one of ours was given up after 1.0 s"]);
    // At once: it is refused for another reason.
    assert_eq!(full(2.0), [""; 0]);
}
