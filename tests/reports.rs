//! What `check` says: the JSON of the contract, the first line for a pager, Markdown that nothing foreign can bend.

mod common;

use common::{hostile::hostile, incident::Incident};
use serde_json::Value;
use why502::{
    catalog::{Catalog, is_field},
    model::{CheckState, Deed, Observation, Outcome, Verdict},
    report,
};

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
        "configured",
        "timeline",
        "traffic",
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

/// An incident with all that a report tells: notes, a skipped step, a turn of a probe.
fn worked_on() -> Incident {
    let mut incident = Incident::broken();
    let deed = |deed| Observation::Operator(deed);
    incident.observe(deed(Deed::Note { text: "asked dev about token=hunter2hunter2".into(), step: None }));
    incident.observe(deed(Deed::Note { text: "seen on two browsers".into(), step: Some("other-client".into()) }));
    let step = incident.state.assessment.steps[3].id.clone();
    incident.observe(deed(Deed::Step { step, state: Some(CheckState::Skipped), reason: Some("no second device".into()) }));
    incident.rounds(2, |_| Outcome::Status(200));
    incident
}

#[test]
fn a_report_tells_what_was_done_and_no_secret() {
    let state = worked_on().state;
    for text in [report::markdown(&state, 1830), report::html(&state, 1830)] {
        for words in ["asked dev", "no second device", "skipped at 2026-11-20T", "Ruled out", "Checklist", "why502: began to look"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
    insta::assert_snapshot!("report-worked-on-markdown", report::markdown(&state, 1830));
    insta::assert_snapshot!("ticket-broken", report::ticket(&Incident::broken().state));
}

#[test]
fn the_html_needs_nothing_and_nothing_foreign_is_markup() {
    let html = report::html(&hostile("<script>alert(1)</script> <img src=x onerror=1> \" onload=\"x ' &amp; \u{1b}[2J"), 1);
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("\" onload=\"x"), "{html}");
    assert!(html.contains("&lt;script&gt;") && html.contains("default-src 'none'"));
    // Each tag that is opened is one of ours, and is closed.
    let tag = regex::Regex::new("<(/?)([a-zA-Z0-9]+)([^<>]*)>").expect("a pattern");
    let mut open: Vec<String> = Vec::new();
    for found in tag.captures_iter(html.strip_prefix("<!DOCTYPE html>").expect("a document type")) {
        let name = found[2].to_owned();
        let ours =
            ["html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "h4", "p", "dl", "dt", "dd", "ul", "ol", "li"];
        let more = ["table", "tr", "th", "td", "pre", "span", "svg", "rect"];
        assert!(ours.contains(&name.as_str()) || more.contains(&name.as_str()), "{name}");
        assert!(!found[3].contains("http") || name == "meta", "{}", &found[0]);
        match &found[1] {
            "/" => assert_eq!(open.pop().as_ref(), Some(&name), "closed in order"),
            _ if name == "meta" || found[3].ends_with('/') => {}
            _ => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_handbook_has_a_page_for_each_cause_that_a_person_can_read() {
    let catalog = Catalog::embedded().expect("the embedded catalogue is sound");
    let handbook = report::Handbook::new(&catalog);
    for cause in &catalog.causes {
        assert!(handbook.contents().contains(&format!("  {} ", cause.id)), "{}", cause.id);
        let page = handbook.page(&cause.id).expect("a page");
        for heading in ["What it is", "To remove it", "To see that it is gone", "To keep it away", "To read more"] {
            assert!(page.contains(&format!("\n{heading}")), "{}: no {heading}", cause.id);
        }
        assert!(page.contains("\nWhat speaks for it") || page.contains("\nLog lines that tell of it"), "{}: no evidence", cause.id);
        for line in page.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
            assert!(line.len() <= 100 && !line.ends_with(' '), "{}: {line:?}", cause.id);
            // The braces of a gateway's own configuration hold more than a name.
            let field = line.split('{').skip(1).filter_map(|rest| rest.split_once('}')).any(|(name, _)| is_field(name));
            assert!(!field || line.contains("%{"), "what an incident would fill in: {line}");
        }
    }
    assert!(handbook.page("upstream").expect_err("no cause").to_string().contains("upstream-down"));
    insta::assert_snapshot!(handbook.page("upstream-socket-permission").expect("a page"));
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let label = r#"[a-z_]+="(?:[^"\\]|\\["\\n])*""#;
    let sample = regex::Regex::new(&format!(r"^[a-z0-9_]+(\{{{label}(,{label})*\}})? [0-9.]+$")).expect("a pattern");
    for state in [Incident::broken().state, hostile("a\\b\"} 1\n# x{c=\"")] {
        let text = report::metrics(&state, 1830);
        assert!(text.ends_with('\n') && text.contains("\nwhy502_check_duration_seconds 1.83\n"));
        let mut typed = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                typed = rest.strip_suffix(" gauge").expect("a gauge");
            } else if !line.starts_with("# HELP ") {
                let name = line.split(['{', ' ']).next().expect("a name");
                assert_eq!(name, typed, "{line}");
                assert!(sample.is_match(line), "{line}");
            }
        }
    }
    insta::assert_snapshot!(report::metrics(&Incident::broken().state, 1830));
}
