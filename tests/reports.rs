//! What `check` says: the JSON of the contract, the first line for a pager, Markdown that nothing foreign can bend.

mod common;

use common::{hostile::hostile, incident::Incident};
use serde_json::Value;
use why502::{model::Verdict, report};

#[test]
fn the_json_is_the_contracts() {
    let json: Value = serde_json::from_str(&report::json(&Incident::broken().state, 1830)).expect("JSON");
    let keys: Vec<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted = vec![
        "schema",
        "at",
        "took_ms",
        "host",
        "target",
        "verdict",
        "symptom",
        "causes",
        "findings",
        "ruled_out",
        "blind_spots",
        "hops",
        "checklist",
    ];
    wanted.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(json["schema"], "why502/1");
    assert_eq!(json["took_ms"], 1830);
    assert_eq!(json["host"], "gw1.fra");
    assert_eq!(json["target"], serde_json::json!({"url": "http://shop.example.com/", "gateway": "nginx", "version": "1.22.1"}));
    assert_eq!(json["verdict"], "critical");
    assert_eq!(json["symptom"]["status"], 502);
    assert_eq!(json["symptom"]["share"], 1.0);
    assert_eq!(json["symptom"]["since"], "2026-11-20T02:17:38Z");
    let cause = &json["causes"][0];
    assert_eq!(cause["id"], "upstream-down");
    assert_eq!(cause["reason"], Value::Null);
    assert_eq!(cause["confidence"], "confirmed");
    assert_eq!(cause["subject"], "127.0.0.1:8000");
    assert!(cause["for"][0]["text"].is_string() && cause["for"][0]["source"].is_string());
    assert!(cause["fix"].as_array().expect("fix").iter().all(Value::is_string));
    for list in ["against", "unknown", "mitigate", "verify"] {
        assert!(cause[list].is_array(), "{list}");
    }
    let step = &json["checklist"][0];
    assert!(step["id"].is_string() && step["text"].is_string() && step["guides"][0].is_string());
    let states = ["pass", "fail", "unknown", "not-applicable", "done", "skipped"];
    assert!(
        json["checklist"].as_array().expect("steps").iter().all(|step| states.contains(&step["state"].as_str().expect("a word")))
    );
    assert!(json["hops"].as_array().expect("hops").iter().any(|hop| hop["outcome"] == "REFUSED"));
}

#[test]
fn a_healthy_stack_has_no_causes_and_nothing_known_is_unknown() {
    let json: Value = serde_json::from_str(&report::json(&Incident::healthy().state, 1)).expect("JSON");
    assert_eq!((&json["verdict"], &json["causes"]), (&Value::from("ok"), &serde_json::json!([])));
    let json: Value = serde_json::from_str(&report::json(&Incident::first_frame().state, 1)).expect("JSON");
    assert_eq!((&json["verdict"], &json["target"]["gateway"]), (&Value::from("unknown"), &Value::Null));
    assert_eq!(json["symptom"]["share"], Value::Null);
    let json: Value = serde_json::from_str(&report::json(&Incident::blind().state, 1)).expect("JSON");
    assert!(json["blind_spots"].as_array().expect("blind spots").iter().all(|spot| spot["remedy"] != ""));
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    let (one, other) = (Incident::flooded().state, Incident::flooded().state);
    assert_eq!(report::json(&one, 7), report::json(&other, 7));
    assert_eq!(report::text(&one, 7), report::text(&other, 7));
    assert_eq!(report::markdown(&one, 7), report::markdown(&other, 7));
}

#[test]
fn the_first_line_fits_a_pager_and_a_monitor() {
    let first = |state| report::text(&state, 1830).lines().next().expect("a line").to_owned();
    let broken = "CRITICAL - upstream-down 127.0.0.1:8000: nothing listens on 127.0.0.1:8000, where /etc/nginx/conf.d/shop.conf:14 \
                  sends requests | share=100%;;;0;100 tried=8 took=1.83s";
    assert_eq!(first(Incident::broken().state), broken);
    let healthy = "OK - http://shop.example.com/ is served; nothing fails | share=0%;;;0;100 tried=6 took=1.83s";
    assert_eq!(first(Incident::healthy().state), healthy);
    assert_eq!(first(Incident::first_frame().state), "UNKNOWN - nothing could be told | share=U tried=0 took=1.83s");
    let bent = first(hostile("a | share=0% \u{1b}[2J\nOK - fine |"));
    assert_eq!(bent.matches('|').count(), 1, "{bent}");
    let long = first(hostile(&"x".repeat(10_000)));
    assert!(long.len() < 400 && long.contains("... | share="), "{long}");
}

#[test]
fn exit_codes_are_those_of_a_monitoring_plugin() {
    let codes = [Verdict::Ok, Verdict::Warning, Verdict::Critical, Verdict::Unknown].map(report::exit_code);
    assert_eq!(codes, [0, 1, 2, 3]);
}

#[test]
fn reports_read_well() {
    insta::assert_snapshot!("report-broken-text", report::text(&Incident::broken().state, 1830));
    insta::assert_snapshot!("report-blind-text", report::text(&Incident::blind().state, 1830));
    insta::assert_snapshot!("report-broken-markdown", report::markdown(&Incident::broken().state, 1830));
}

#[test]
fn foreign_text_is_no_markup() {
    let markdown = report::markdown(&hostile("[x](http://evil.example) <script> **b** `c` | | # h @all"), 1);
    for bare in ["](http", "<script>", " **b**", "`c`", " @all"] {
        let escaped =
            markdown.lines().filter(|line| !line.trim_start().starts_with("sudo") && !line.trim_start().starts_with("curl"));
        assert!(!escaped.clone().any(|line| line.contains(bare)), "{bare}: {markdown}");
    }
}
