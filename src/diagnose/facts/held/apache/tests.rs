use serde_json::json;

use super::*;
use crate::model::{LogBatch, LogCount, LogFormat, Observation, SourceKind, Stamp};

const LOG: &str = "/var/log/apache2/error.log";
const NOW_S: i64 = 1_795_217_794;

/// What is said of a server that answers us and that Apache does not ask: its log has these lines, so many seconds old, and `retry`.
fn told(retry: Option<&str>, lines: &[(i64, &str)], straight: u16, through: u16) -> Vec<String> {
    let at = json!({"file": "/etc/apache2/shop.conf", "line": 9});
    let mut settings = json!({});
    if let Some(retry) = retry {
        settings["retry"] = json!({"value": retry, "at": at});
    }
    let servers = json!([{"address": "127.0.0.1:8000", "role": "primary", "at": at}]);
    let route = json!({
        "pattern": "/", "takes": "any", "sample_path": "/", "protocol": "http", "pool": null, "servers": servers, "host_header": null,
        "sni": null, "connect_ms": 5000, "read_ms": 50000, "header_limit": null, "at": at, "settings": settings,
    });
    let gateway = json!({
        "kind": "apache", "version": "2.4.62", "state": {"running": {"pid": 7, "since": 1, "workers_since": 1}}, "binary": null,
        "identity": null, "config": "/etc/apache2/apache2.conf", "files": [], "problems": [],
        "logs": [{"path": LOG, "kind": "error", "format": "plain"}], "resolvers": [], "unit": null, "commands": {}, "blind": [],
        "pools": [], "sites": [{"names": [], "listens": [], "routes": [route], "choice": "first-match", "at": at}],
    });
    let probe = |probe: &str, at: &str, upstreams: &[&str], status: u16| {
        let report = json!({
            "job": {"probe": probe, "subject": at, "upstreams": upstreams, "address": at, "protocol": "http", "connect_ms": 1, "total_ms": 1},
            "outcome": {"status": status}, "phases": {"total": 1.0},
        });
        Observation::Probe(serde_json::from_value(report).expect("a report"))
    };
    let mut scene = Scene::default();
    let now = Stamp { run_ms: 10, wall_ms: NOW_S * 1_000 };
    scene.observe(now, Observation::Gateways(vec![serde_json::from_value(gateway).expect("a gateway")]));
    for (age, line) in lines {
        let line = format!("[Fri Nov 20 23:36:34.397346 2026] [proxy:error] [pid 178:tid 212] {line}");
        let count = LogCount { second: Some(NOW_S - age), key: line.clone(), count: 1, first: line, ..LogCount::default() };
        let (source, kind, format) = (LOG.to_owned(), SourceKind::Error, LogFormat::Plain);
        let batch = LogBatch { source, kind, format, counts: vec![count], lookback: true, dropped: 0 };
        scene.observe(now, Observation::Log(batch));
    }
    let catalog = Catalog::embedded().expect("the catalogue");
    scene.classify(&catalog);
    scene.observe(now, probe("upstream", "127.0.0.1:8000", &[], straight));
    scene.observe(now, probe("gateway", "127.0.0.1:80", &["127.0.0.1:8000"], through));
    let mut book = FactBook::default();
    produce(&scene, &catalog, &mut book);
    book.facts().iter().map(|fact| fact.text.clone()).collect()
}

const FAILED: &str = "AH00959: ap_proxy_connect_backend disabling worker for (127.0.0.1:8000) for 300s";
const LEFT_OUT: &str = "AH00940: HTTP: disabled connection for (127.0.0.1:8000)";

#[test]
fn a_server_that_is_back_is_left_out_for_the_rest_of_its_time() {
    let found = told(Some("300"), &[(40, FAILED), (1, LEFT_OUT)], 200, 503);
    assert_eq!(found.len(), 1, "{found:?}");
    let whole = "and is not asked again for 5m00s (retry=300 at /etc/apache2/shop.conf:9), of which 4m20s are left";
    assert!(found[0].contains("answers 503 without asking 127.0.0.1:8000") && found[0].ends_with(whole), "{found:?}");
    let loaded = told(Some("5"), &[(40, FAILED), (1, LEFT_OUT)], 200, 503);
    assert!(loaded[0].contains("retry=300, as it was loaded"), "{loaded:?}");
    let unsaid = told(None, &[(1, LEFT_OUT)], 200, 503);
    assert!(
        unsaid[0].ends_with("it failed before, and is not asked again for 1m00s after that (retry=60, by default)"),
        "{unsaid:?}"
    );
}

#[test]
fn who_does_not_serve_or_is_asked_is_not_left_out_wrongly() {
    for (retry, lines, straight, through) in [
        (Some("300"), &[(40, FAILED), (1, LEFT_OUT)][..], 502, 503),
        (Some("300"), &[(40, FAILED), (1, LEFT_OUT)], 200, 200),
        (Some("300"), &[(40, FAILED)], 200, 503),
        (Some("0"), &[(1, LEFT_OUT)], 200, 503),
        (Some("300"), &[(1, "AH00940: HTTP: disabled connection for (127.0.0.1:9000)")], 200, 503),
    ] {
        assert_eq!(told(retry, lines, straight, through), Vec::<String>::new(), "{lines:?} {straight} {through}");
    }
}
