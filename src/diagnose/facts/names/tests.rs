use serde_json::{Value, json};

use super::*;
use crate::model::{LogBatch, LogCount, LogFormat, LogSource, Observation, Outcome, ProbeReport, SourceKind, Stamp};

const NOW_S: i64 = 1_800_000_000;
const NAME: &str = "app.internal:8000";
const LOG: &str = "/var/log/nginx/error.log";

fn at(ms: u64) -> Stamp {
    Stamp { run_ms: ms, wall_ms: NOW_S * 1000 + i64::try_from(ms).expect("small") }
}

/// A scene with a gateway that resolves the name so, and a request through it with this outcome.
fn scene(resolution: &Value, outcome: &Outcome) -> Scene {
    let mut scene = Scene::default();
    let place = json!({"file": "/etc/nginx/nginx.conf", "line": 4});
    let route = json!({
        "pattern": "/", "sample_path": "/", "protocol": "http", "pool": null, "host_header": null, "sni": null,
        "servers": [{"address": NAME, "role": "primary", "names": resolution, "at": place}],
        "connect_ms": 60000, "read_ms": 60000, "header_limit": 4096, "at": place,
    });
    let gateway = json!({
        "kind": "nginx", "version": "1.22.1", "state": {"running": {"pid": 1, "since": NOW_S - 900, "workers_since": NOW_S - 600}},
        "binary": null, "identity": null, "config": "/etc/nginx/nginx.conf", "files": [], "problems": [], "pools": [], "resolvers": [],
        "sites": [{"names": [], "listens": [], "routes": [route], "at": place}],
        "logs": [LogSource { path: LOG.into(), kind: SourceKind::Error, format: LogFormat::NginxError }],
        "unit": null, "commands": {}, "blind": [],
    });
    let gateway: Gateway = serde_json::from_value(gateway).expect("a gateway");
    scene.observe(at(0), Observation::Gateways(vec![gateway]));
    probe(&mut scene, "gateway", "http://shop.test/ at 127.0.0.1:80", "127.0.0.1:80", outcome, &Value::Null);
    scene
}

fn probe(scene: &mut Scene, probe: &str, subject: &str, address: &str, outcome: &Outcome, view: &Value) {
    let report = json!({
        "job": {
            "probe": probe, "subject": subject, "upstreams": if probe == "gateway" { vec![NAME] } else { vec![] }, "address": address,
            "protocol": "http", "connect_ms": 1000, "total_ms": 2000,
        },
        "outcome": outcome, "phases": {"total": 1.0}, "view": view,
    });
    let report: ProbeReport = serde_json::from_value(report).expect("a report");
    scene.observe(at(1000), Observation::Probe(Box::new(report)));
}

/// What servers say: `("10.0.0.1:53", "gateway", &["10.0.0.21"])`; no addresses: NXDOMAIN, or silence where the server is `silent`.
fn view(scene: &mut Scene, resolution: &Value, servers: &[(&str, &str, &[&str])], more: &Value) {
    let answers: Vec<Value> = servers
        .iter()
        .map(|(server, of, ips)| {
            let (fault, error) = match (ips.is_empty(), server.starts_with("silent")) {
                (false, _) => (Value::Null, ""),
                (true, false) => (json!("nx-domain"), "NXDOMAIN"),
                (true, true) => (json!("silent"), "no answer within 1000 ms"),
            };
            json!({"server": server, "of": of, "asked": "app.internal", "ips": ips, "fault": fault, "error": error, "ms": 1.0})
        })
        .collect();
    let ips = servers.iter().map(|(.., ips)| *ips).find(|ips| !ips.is_empty()).unwrap_or_default();
    let mut view = json!({"name": "app.internal", "resolution": resolution, "servers": answers, "ips": ips, "by": servers[0].0});
    view.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let outcome = if view["ips"] == json!([]) { Outcome::Name(NameFault::NxDomain) } else { Outcome::Open };
    probe(scene, "name", NAME, NAME, &outcome, &json!({"names": view}));
}

/// A request to one address.
fn address(scene: &mut Scene, ip: &str, outcome: &Outcome) {
    probe(scene, "address", NAME, &format!("{ip}:8000"), outcome, &Value::Null);
}

/// A line of nginx's error log about a connection to this address.
fn refused(scene: &mut Scene, ip: &str, second: i64) {
    let clock = clock_of(second);
    let line = format!(
        "2027/01/15 {clock} [error] 8#8: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: , request: \"GET / HTTP/1.1\", upstream: \"http://{ip}:8000/\", host: \"shop.test\""
    );
    let count =
        LogCount { second: Some(second), key: format!("refused {ip}"), count: 1, first: line, last: None, later: Vec::new() };
    let batch = LogBatch {
        source: LOG.to_owned(),
        kind: SourceKind::Error,
        format: LogFormat::NginxError,
        counts: vec![count],
        lookback: false,
        dropped: 0,
    };
    scene.observe(at(1100), Observation::Log(batch));
}

fn found(scene: &Scene) -> BTreeMap<String, Fact> {
    let mut book = FactBook::default();
    let catalog = Catalog::embedded().expect("the catalogue");
    produce(scene, &catalog, &mut book);
    book.facts().iter().cloned().map(|fact| (fact.name.clone(), fact)).collect()
}

fn own() -> Value {
    json!({"by-servers": {"servers": ["10.0.0.1", "10.0.0.2"], "in_turn": true}})
}

const BAD: Outcome = Outcome::Status(502);
const GOOD: Outcome = Outcome::Status(200);

#[test]
fn an_address_that_the_gateway_uses_and_the_name_has_no_more_is_stale() {
    let fixed = json!("at-start");
    let mut scene = scene(&fixed, &BAD);
    view(&mut scene, &fixed, &[("10.0.0.1:53", "host", &["10.9.0.22"])], &json!({}));
    probe(&mut scene, "upstream", NAME, NAME, &GOOD, &Value::Null);
    assert!(!found(&scene).contains_key("names:stale"), "nobody says where the gateway connects");
    refused(&mut scene, "10.9.0.22", NOW_S + 1);
    assert!(!found(&scene).contains_key("names:stale"), "the current address");
    refused(&mut scene, "10.9.0.20", NOW_S - 30);
    assert!(!found(&scene).contains_key("names:stale"), "a line of before our own failing request");
    refused(&mut scene, "10.9.0.21", NOW_S + 1);
    let facts = found(&scene);
    let fact = facts.get("names:stale").expect("stale");
    assert!(fact.text.contains("10.9.0.21:8000") && fact.text.contains("10.9.0.22:8000"), "{}", fact.text);
    assert!(fact.fields["lasting"].contains("resolver"));
    // The current address does not serve either: then to follow the name would mend nothing.
    address(&mut scene, "10.9.0.22", &Outcome::Refused);
    assert!(!found(&scene).contains_key("names:stale"));
}

#[test]
fn a_closed_connection_counts_only_where_its_end_serves_worse() {
    let fixed = json!("at-start");
    let mut scene = scene(&fixed, &Outcome::Status(503));
    let peers = json!({"peers": [{"ip": "10.9.0.21", "open": 0, "closed": 3}]});
    view(&mut scene, &fixed, &[("10.0.0.1:53", "host", &["10.9.0.22"])], &peers);
    address(&mut scene, "10.9.0.22", &GOOD);
    assert!(!found(&scene).contains_key("names:stale"), "it may be anybody's");
    address(&mut scene, "10.9.0.21", &Outcome::Status(503));
    assert!(found(&scene).contains_key("names:stale"));
    address(&mut scene, "10.9.0.21", &GOOD);
    assert!(!found(&scene).contains_key("names:stale"), "it serves as well");
}

#[test]
fn round_robin_is_no_disagreement_and_two_worlds_are() {
    let mut scene = scene(&own(), &BAD);
    let turns: [(&str, &str, &[&str]); 2] =
        [("10.0.0.1:53", "gateway", &["10.9.0.21", "10.9.0.22"]), ("10.0.0.2:53", "gateway", &["10.9.0.22", "10.9.0.23"])];
    view(&mut scene, &own(), &turns, &json!({}));
    let facts = found(&scene);
    assert!(facts.contains_key("names:agree") && !facts.contains_key("names:disagree"));
    let worlds: [(&str, &str, &[&str]); 2] =
        [("10.0.0.1:53", "gateway", &["10.9.0.21"]), ("10.0.0.2:53", "gateway", &["10.9.0.22"])];
    view(&mut scene, &own(), &worlds, &json!({}));
    let facts = found(&scene);
    assert!(facts.contains_key("names:disagree") && !facts.contains_key("names:disagree-fails"), "which is wrong is not known yet");
    address(&mut scene, "10.9.0.21", &GOOD);
    address(&mut scene, "10.9.0.22", &Outcome::Refused);
    let facts = found(&scene);
    assert_eq!(facts["names:disagree-fails"].fields["wrong"], "10.0.0.2:53");
}

#[test]
fn a_denial_of_one_hurts_who_asks_in_turn_and_not_who_takes_any_answer() {
    let servers: [(&str, &str, &[&str]); 2] = [("10.0.0.1:53", "gateway", &["10.9.0.21"]), ("10.0.0.2:53", "gateway", &[])];
    let any = json!({"by-servers": {"servers": ["10.0.0.1", "10.0.0.2"]}});
    for (resolution, hurts) in [(own(), true), (any, false)] {
        let mut scene = scene(&resolution, &GOOD);
        view(&mut scene, &resolution, &servers, &json!({}));
        probe(&mut scene, "upstream", NAME, NAME, &GOOD, &Value::Null);
        assert_eq!(found(&scene).contains_key("names:disagree-fails"), hurts, "{resolution}");
    }
    // Of the host's servers the first decides: that the second knows less is how many hosts are.
    let fixed = json!("at-start");
    let mut scene = scene(&fixed, &GOOD);
    let servers: [(&str, &str, &[&str]); 2] = [("10.0.0.1:53", "host", &["10.9.0.21"]), ("10.0.0.2:53", "host", &[])];
    view(&mut scene, &fixed, &servers, &json!({}));
    probe(&mut scene, "upstream", NAME, NAME, &GOOD, &Value::Null);
    assert!(!found(&scene).contains_key("names:disagree-fails"));
    // A silent one is no opinion.
    let servers: [(&str, &str, &[&str]); 2] = [("10.0.0.1:53", "host", &["10.9.0.21"]), ("silent:53", "host", &[])];
    view(&mut scene, &fixed, &servers, &json!({}));
    let facts = found(&scene);
    assert!(facts.contains_key("names:silent") && !facts.contains_key("names:disagree"));
}

#[test]
fn what_only_the_host_knows_is_told_with_the_reason() {
    let nobody: [(&str, &str, &[&str]); 1] = [("10.0.0.2:53", "gateway", &[])];
    let mut in_hosts = scene(&own(), &BAD);
    view(&mut in_hosts, &own(), &nobody, &json!({"hosts": [{"ip": "10.9.0.21", "line": 7}]}));
    assert!(found(&in_hosts)["names:hosts-only"].text.contains("/etc/hosts:7"));
    let mut by_host = scene(&own(), &BAD);
    let servers: [(&str, &str, &[&str]); 2] = [("10.0.0.1:53", "host", &["10.9.0.21"]), ("10.0.0.2:53", "gateway", &[])];
    view(&mut by_host, &own(), &servers, &json!({"ips": []}));
    assert!(found(&by_host)["names:host-knows"].text.contains("10.9.0.21"));
}

#[test]
fn a_line_of_the_hosts_file_is_wrong_only_where_it_leads_to_something_worse() {
    let fixed = json!("at-start");
    let mut scene = scene(&fixed, &BAD);
    let more = json!({"hosts": [{"ip": "10.9.0.21", "line": 7}], "ips": ["10.9.0.21"], "by": "/etc/hosts:7"});
    view(&mut scene, &fixed, &[("10.0.0.1:53", "host", &["10.9.0.22"])], &more);
    address(&mut scene, "10.9.0.21", &GOOD);
    address(&mut scene, "10.9.0.22", &GOOD);
    let facts = found(&scene);
    assert!(facts.contains_key("names:hosts-differ") && !facts.contains_key("names:hosts-dead"));
    address(&mut scene, "10.9.0.21", &Outcome::Unreachable);
    assert_eq!(found(&scene)["names:hosts-dead"].fields["hosts_line"], "/etc/hosts:7");
}
