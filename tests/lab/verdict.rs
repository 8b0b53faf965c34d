//! What `check` said, held against the contract (DESIGN section 2) and against the scenario.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    host::Seen,
    scenario::{HEALTHY, Scenario, Way},
};

/// Causes of a ranking that a complaint shows.
const SHOWN: usize = 6;

/// A line of the table: one call of `check`.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    way: &'static str,
    first: String,
    confidence: String,
    /// Wall time in milliseconds.
    ms: u64,
    right: bool,
    /// Place of the first accepted cause, from 0; for a healthy host: 0 when no cause is named.
    place: Option<usize>,
    healthy: bool,
}

/// The table of all calls, by name.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by(|a, b| (&a.name, a.way).cmp(&(&b.name, b.way)));
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for row in &rows {
        let mark = if row.right { "ok   " } else { "WRONG" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{mark} {:width$} {:4} {:28} {:9} {:>5} ms", row.name, row.way, row.first, row.confidence, row.ms);
    }
    let mut times: Vec<_> = rows.iter().map(|row| row.ms).collect();
    times.sort_unstable();
    let right = rows.iter().filter(|row| row.right).count();
    let median = times.get(times.len() / 2).copied().unwrap_or(0);
    let longest = times.last().copied().unwrap_or(0);
    let _ = writeln!(out, "{right} of {} right; median {median} ms, longest {longest} ms", rows.len());
    let share = |count: usize, of: usize| format!("{count} of {of} ({:.0} %)", 100.0 * count as f64 / of.max(1) as f64);
    let (healthy, broken): (Vec<&Row>, Vec<&Row>) = rows.iter().copied().partition(|row| row.healthy);
    let count = |rows: &[&Row], which: fn(&Row) -> bool| rows.iter().filter(|row| which(row)).count();
    let _ = writeln!(
        out,
        "first place {}; first three {}; false alarms {}",
        share(count(&broken, |row| row.place == Some(0)), broken.len()),
        share(count(&broken, |row| row.place.is_some_and(|place| place < 3)), broken.len()),
        share(count(&healthy, |row| row.place.is_none()), healthy.len()),
    );
    out
}

/// What was said, with what is wrong with it.
pub(crate) fn judge(scenario: &Scenario, way: Way, seen: &Seen) -> (Row, Vec<String>) {
    let mut wrong = Vec::new();
    let result = seen.text(way, "result");
    let mut result = result.split_whitespace().map(|word| word.parse::<u64>().ok());
    let exit = result.next().flatten();
    let ms = result.next().flatten().unwrap_or(u64::MAX);
    let said: Value = serde_json::from_str(&seen.text(way, "json")).unwrap_or_else(|error| {
        wrong.push(format!("its output is not one JSON document: {error}"));
        Value::Null
    });

    if said.is_null() {
        wrong.push(format!("exit status {}", exit.map_or("unknown".to_owned(), |status| status.to_string())));
    } else {
        contract(&said, exit, &mut wrong);
        against(scenario, &said, &mut wrong);
        folded(&said, &seen.text(way, "folded"), &mut wrong);
    }
    if ms > scenario.within_ms {
        wrong.push(format!("it took {ms} ms of wall time, twice; {} are allowed", scenario.within_ms));
    }
    let took = said["took_ms"].as_f64().unwrap_or(f64::INFINITY);
    if !said.is_null() && took > scenario.within_ms as f64 {
        wrong.push(format!("took_ms is {took}; {} are allowed", scenario.within_ms));
    }
    for (file, what) in [("touched", "changed on the host"), ("left", "left running")] {
        let text = seen.text(way, file);
        if !text.trim().is_empty() {
            wrong.push(format!("{what}: {}", text.trim().replace('\n', ", ")));
        }
    }

    if !wrong.is_empty() {
        if !said.is_null() {
            wrong.push(ranking(scenario, &said));
        }
        let stderr = seen.text(way, "stderr");
        if !stderr.trim().is_empty() {
            let end = stderr.trim().lines().rev().take(5).collect::<Vec<_>>();
            wrong.push(format!("stderr: {}", end.into_iter().rev().collect::<Vec<_>>().join("\n        ")));
        }
        wrong.insert(0, format!("check --json{} is wrong:", if way == Way::Url { " URL" } else { "" }));
    }
    let first = &said["causes"][0];
    let row = Row {
        name: scenario.name.clone(),
        way: way.word(),
        first: first["id"].as_str().unwrap_or(if said.is_null() { "-" } else { "(none)" }).to_owned(),
        confidence: first["confidence"].as_str().unwrap_or("").to_owned(),
        ms,
        right: wrong.is_empty(),
        place: place(scenario, &said),
        healthy: scenario.healthy(),
    };
    (row, wrong)
}

/// Place of the first accepted cause; for a healthy host: 0 when no cause is named.
fn place(scenario: &Scenario, said: &Value) -> Option<usize> {
    if scenario.healthy() {
        return (!said.is_null() && causes(said).next().is_none()).then_some(0);
    }
    causes(said).position(|cause| scenario.cause.iter().any(|id| cause["id"] == **id))
}

/// A recording of the run says the same as the run: the whole ranking with its evidence.
fn folded(said: &Value, folded: &str, wrong: &mut Vec<String>) {
    let Ok(folded) = serde_json::from_str::<Value>(folded) else {
        wrong.push(format!("its recording cannot be read: {}", folded.trim()));
        return;
    };
    for key in ["verdict", "causes", "hops"] {
        if said[key] != folded[key] {
            wrong.push(format!("its recording says another {key}: {:.300}", folded[key].to_string()));
        }
    }
}

/// What holds for every output.
fn contract(said: &Value, exit: Option<u64>, wrong: &mut Vec<String>) {
    if said["schema"] != "why502/1" {
        wrong.push(format!("schema is {}", said["schema"]));
    }
    let status = match said["verdict"].as_str() {
        Some("ok") => Some(0),
        Some("warning") => Some(1),
        Some("critical") => Some(2),
        Some("unknown") => Some(3),
        _ => None,
    };
    if status.is_none() || status != exit {
        wrong.push(format!("verdict {} with exit status {exit:?}", said["verdict"]));
    }
    for (key, right) in [
        ("at", said["at"].is_string()),
        ("host", said["host"] == "gw1"),
        ("target", said["target"].is_object()),
        ("symptom", said["symptom"].is_object()),
        ("causes", said["causes"].is_array()),
        ("findings", said["findings"].is_array()),
        ("ruled_out", said["ruled_out"].is_array()),
        ("blind_spots", said["blind_spots"].is_array()),
        ("hops", said["hops"].as_array().is_some_and(|hops| !hops.is_empty())),
        ("checklist", said["checklist"].as_array().is_some_and(|steps| !steps.is_empty())),
    ] {
        if !right {
            wrong.push(format!("{key} is not as the contract has it: {:.200}", said[key].to_string()));
        }
    }
    for cause in causes(said) {
        let id = cause["id"].as_str().unwrap_or("?");
        if !matches!(cause["confidence"].as_str(), Some("confirmed" | "likely" | "possible")) {
            wrong.push(format!("{id} has confidence {}", cause["confidence"]));
        }
        if !cause["score"].as_f64().is_some_and(|score| (0.0..=1.0).contains(&score)) {
            wrong.push(format!("{id} has score {}", cause["score"]));
        }
        for key in ["summary", "subject"] {
            if cause[key].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("{id} has no {key}"));
            }
        }
        for key in ["for", "fix", "verify"] {
            if cause[key].as_array().is_none_or(Vec::is_empty) {
                wrong.push(format!("{id} has nothing under `{key}`"));
            }
        }
        if list(&said["ruled_out"]).any(|out| out["id"] == cause["id"]) {
            wrong.push(format!("{id} is named as a cause and as ruled out"));
        }
    }
}

/// What holds for this scenario.
fn against(scenario: &Scenario, said: &Value, wrong: &mut Vec<String>) {
    let right = said["verdict"].as_str().is_some_and(|verdict| scenario.verdict().split('|').any(|one| one == verdict));
    if !right {
        wrong.push(format!("verdict is {}, expected {}", said["verdict"], scenario.verdict()));
    }
    advice(scenario, said, wrong);
    steps(scenario, said, wrong);
    if scenario.healthy() {
        if causes(said).next().is_some() {
            wrong.push("nothing is wrong here, and causes are named".to_owned());
        }
        return;
    }
    let first = &said["causes"][0];
    if !scenario.cause.iter().any(|id| first["id"] == **id) {
        wrong.push(format!("first cause is {}, expected {}", first["id"], scenario.cause.join(" or ")));
    }
    if let Some(subject) = &scenario.subject
        && first["subject"] != **subject
    {
        wrong.push(format!("its subject is {}, expected {subject}", first["subject"]));
    }
    if let Some(reason) = &scenario.reason
        && first["reason"] != **reason
    {
        wrong.push(format!("its reason is {}, expected {reason}", first["reason"]));
    }
    let words = format!("{} {}", first["summary"], first["for"]);
    for word in scenario.says.iter().filter(|word| !words.contains(*word)) {
        wrong.push(format!("neither its summary nor its evidence says {word}"));
    }
    let first_red = || list(&said["hops"]).find(|hop| hop["state"] == "broken").and_then(|hop| hop["name"].as_str());
    if let Some(broken) = &scenario.broken
        && !first_red().is_some_and(|red| broken.split('|').any(|one| one == red))
    {
        wrong.push(format!(
            "the first red hop is {}, expected {broken}: {:.900}",
            first_red().unwrap_or("none"),
            said["hops"].to_string()
        ));
    }
    let advice = format!("{} {}", first["mitigate"], first["fix"]);
    for word in scenario.fixes.iter().filter(|word| !advice.contains(*word)) {
        wrong.push(format!("its advice does not say {word}"));
    }
    let seen = first["verify"].to_string();
    for word in scenario.verifies.iter().filter(|word| !seen.contains(*word)) {
        wrong.push(format!("how to see that it is gone does not say {word}: {seen:.300}"));
    }
    let words = format!("{} {advice} {seen}", first["summary"]);
    for word in scenario.no_words.iter().filter(|word| words.contains(*word)) {
        wrong.push(format!("its summary or advice says {word}"));
    }
    for (expected, key) in [(&scenario.about, "url"), (&scenario.unasked, "unasked")] {
        let told = said["target"][key].as_str();
        if expected.as_ref().is_some_and(|one| !one.split('|').any(|one| told == Some(one))) {
            wrong.push(format!("its {key} is {}, expected {}", said["target"][key], expected.as_deref().unwrap_or_default()));
        }
    }
    for id in scenario.also.iter().filter(|id| !causes(said).any(|cause| cause["id"] == ***id)) {
        wrong.push(format!("{id} is not among the causes"));
    }
    for id in scenario.absent.iter().filter(|id| causes(said).any(|cause| cause["id"] == ***id)) {
        wrong.push(format!("{id} is among the causes"));
    }
}

/// The steps whose state matters.
fn steps(scenario: &Scenario, said: &Value, wrong: &mut Vec<String>) {
    for (id, state) in &scenario.steps {
        match list(&said["checklist"]).find(|step| step["id"] == id.as_str()) {
            Some(step) if step["state"] == state.as_str() => {}
            Some(step) => wrong.push(format!("the step {id} is {}, not {state}: {}", step["state"], step["text"])),
            None => wrong.push(format!("no step {id}")),
        }
    }
}

/// The findings: each that is expected, with a place and a remedy; of a healthy host no other.
fn advice(scenario: &Scenario, said: &Value, wrong: &mut Vec<String>) {
    let all: Vec<&Value> = list(&said["findings"]).collect();
    let is = |finding: &Value, id: &str| finding["id"] == *id;
    for id in scenario.findings.iter().filter(|id| !all.iter().any(|one| is(one, id))) {
        wrong.push(format!("{id} is not among the findings"));
    }
    for id in scenario.no_findings.iter().filter(|id| all.iter().any(|one| is(one, id))) {
        wrong.push(format!("{id} is among the findings"));
    }
    let expected = |finding: &&&Value| scenario.findings.iter().any(|id| is(finding, id));
    let words: String = all.iter().filter(expected).map(ToString::to_string).collect();
    for word in scenario.advises.iter().filter(|word| !words.contains(*word)) {
        wrong.push(format!("no finding says {word}: {words}"));
    }
    for finding in &all {
        if ["id", "text", "fix"].iter().any(|key| finding[key].as_str().is_none_or(str::is_empty)) {
            wrong.push(format!("a finding without text or remedy: {finding}"));
        }
        if scenario.healthy() && !expected(&finding) && finding["id"] != "single-server" {
            wrong.push(format!("nothing is wrong here, and there is advice: {finding}"));
        }
    }
}

/// The ranking beside what was expected.
fn ranking(scenario: &Scenario, said: &Value) -> String {
    let mut out = String::from("ranking:");
    for (index, cause) in causes(said).take(SHOWN).enumerate() {
        let expected = cause["id"].as_str().is_some_and(|id| scenario.cause.iter().any(|accepted| accepted == id));
        let mark = match (expected, index) {
            (true, _) => "  ",
            (false, 0) => "- ",
            (false, _) => "? ",
        };
        let _ = write!(
            out,
            "\n  {mark}{}. {} ({}, {}) {}",
            index + 1,
            cause["id"].as_str().unwrap_or("?"),
            cause["confidence"].as_str().unwrap_or("?"),
            cause["score"],
            cause["summary"].as_str().unwrap_or("")
        );
    }
    let missing = |id: &&String| *id != HEALTHY && !causes(said).any(|cause| cause["id"] == ***id);
    for id in scenario.cause.iter().filter(missing) {
        let because = list(&said["ruled_out"]).find(|out| out["id"] == **id).and_then(|out| out["because"].as_str());
        let _ = write!(out, "\n  + {id}{}", because.map(|why| format!(": ruled out because {why}")).unwrap_or_default());
    }
    out
}

fn causes(said: &Value) -> impl Iterator<Item = &Value> {
    list(&said["causes"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
