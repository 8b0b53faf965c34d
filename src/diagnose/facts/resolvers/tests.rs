use serde_json::{Value, json};

use super::*;
use crate::model::{Observation, ProbeReport, Stamp};

const NAME: &str = "app.internal:8000";

fn at(ms: u64) -> Stamp {
    Stamp { run_ms: ms, wall_ms: 1_800_000_000_000 }
}

fn observe(scene: &mut Scene, probe: &str, address: &str, outcome: &Value, resolution: &Value, view: &Value) {
    let report = json!({
        "job": {
            "probe": probe, "subject": if probe == "gateway" { "http://shop.test/" } else { NAME },
            "upstreams": if probe == "gateway" { vec![NAME] } else { vec![] }, "address": address, "protocol": "http",
            "connect_ms": 1000, "total_ms": 2000, "names": resolution,
        },
        "outcome": outcome, "phases": {"total": 1.0}, "view": view,
    });
    let report: ProbeReport = serde_json::from_value(report).expect("a report");
    scene.observe(at(1_000), Observation::Probe(Box::new(report)));
}

/// An answer: the server, its addresses (none: silence), how often of twenty.
type Said<'a> = (&'a str, &'a [&'a str], u32);

/// The facts, where requests end so and these addresses serve or do not.
fn facts(status: u16, in_turn: bool, said: &[Said<'_>], addresses: &[(&str, u16)]) -> Vec<String> {
    let mut scene = Scene::default();
    let resolution = json!({"by-servers": {"servers": ["10.0.0.1", "10.0.0.2"], "in_turn": in_turn}});
    let answers: Vec<Value> = said
        .iter()
        .map(|(server, ips, times)| {
            let fault = if ips.is_empty() { json!("silent") } else { Value::Null };
            let share = [*times, 20];
            json!({"server": server, "of": "gateway", "asked": "app.internal", "ips": ips, "fault": fault, "share": share, "ms": 1.0})
        })
        .collect();
    let ips: Vec<&str> = said.iter().flat_map(|(_, ips, _)| ips.iter().copied()).collect();
    let view = json!({"names": {"name": "app.internal", "resolution": resolution, "servers": answers, "ips": ips}});
    observe(&mut scene, "gateway", "127.0.0.1:80", &json!({"status": status}), &json!("at-each-use"), &Value::Null);
    for (ip, status) in addresses {
        let outcome = if *status == 0 { json!("refused") } else { json!({"status": status}) };
        observe(&mut scene, "address", &format!("{ip}:8000"), &outcome, &json!("at-each-use"), &Value::Null);
    }
    observe(&mut scene, "resolvers", NAME, &json!("open"), &resolution, &view);
    let mut book = FactBook::default();
    produce(&scene, &Catalog::embedded().expect("the catalogue"), &mut book);
    book.facts().iter().map(|fact| fact.name.trim_start_matches("resolvers:").to_owned()).collect()
}

#[test]
fn one_that_falters_beside_one_that_does_not_breaks_a_share() {
    let one: &[Said<'_>] = &[("10.0.0.1:53", &["10.1.0.1"], 20), ("10.0.0.2:53", &[], 20)];
    assert_eq!(facts(502, true, one, &[]), ["one-falters"]);
    assert_eq!(facts(200, true, one, &[]), [] as [&str; 0], "while everything is served it is nobody's trouble");
    assert_eq!(facts(502, false, one, &[]), [] as [&str; 0], "where all are asked at once, one is enough");
    let both: &[Said<'_>] = &[("10.0.0.1:53", &["10.1.0.1"], 14), ("10.0.0.1:53", &[], 6), ("10.0.0.2:53", &[], 20)];
    assert_eq!(facts(502, false, both, &[]), ["all-falter"]);
    let lost: &[Said<'_>] = &[("10.0.0.1:53", &["10.1.0.1"], 19), ("10.0.0.1:53", &[], 1)];
    assert_eq!(facts(502, true, lost, &[]), [] as [&str; 0], "one lost packet is neither");
}

#[test]
fn an_address_that_is_given_at_times_is_a_lie_where_nothing_serves_there() {
    let said: &[Said<'_>] = &[("10.0.0.1:53", &["10.1.0.1"], 15), ("10.0.0.1:53", &["10.1.0.9"], 5)];
    assert_eq!(facts(502, true, said, &[("10.1.0.1", 200), ("10.1.0.9", 0)]), ["lies-at-times"]);
    assert_eq!(facts(502, true, said, &[("10.1.0.1", 200), ("10.1.0.9", 200)]), ["steady"], "both serve: round robin");
    assert_eq!(facts(502, true, said, &[]), ["steady"], "what was not tried is not said to be dead");
}
