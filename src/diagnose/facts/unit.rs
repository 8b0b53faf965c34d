//! Facts about services as who manages them tells it: `life:unit-...`, and about who listens since we look: `life:restarted`.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{Scene, changes, life::how},
    model::{Fact, OwnerRole, ServiceLife, Subject, text},
};

/// Seconds around the first failure in which a service that ended may be what fails, though nobody knows whose it is.
const BEFORE_S: i64 = 120;
const AFTER_S: i64 = 10;
/// Restarts from which on a service that has just started is in a loop, and how long ago that may be, in seconds.
const LOOP_RESTARTS: u32 = 2;
const LOOP_S: i64 = 60;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "life:unit-failed",
        "life:unit-oom",
        "life:unit-watchdog",
        "life:unit-restarting",
        "life:unit-stopped",
        "life:unit-runs",
        "life:unit-near",
        "life:gateway-unit-failed",
        "life:gateway-unit-stopped",
        "life:restarted",
    ]
    .map(str::to_owned)
    .into()
}

/// What the state of an application's unit means.
fn name(service: &ServiceLife, now: i64) -> &'static str {
    let young = service.since.is_some_and(|since| now - since <= LOOP_S);
    let again = service.restarts.is_some_and(|restarts| restarts >= LOOP_RESTARTS);
    match (service.active.as_str(), service.result.as_str()) {
        _ if service.runs() && !(again && young) => "life:unit-runs",
        (_, "oom-kill") => "life:unit-oom",
        (_, "watchdog") => "life:unit-watchdog",
        _ if service.restarts_now() || again && young => "life:unit-restarting",
        ("failed", _) => "life:unit-failed",
        _ => "life:unit-stopped",
    }
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let now = scene.now.wall_s();
    let onset = changes::onset(scene);
    for service in &scene.units {
        let ended = service.ended.max(service.since);
        let ago = ended.map_or_else(String::new, |ended| format!(" {} ago", text::duration(now - ended)));
        let word = match service.active.as_str() {
            "failed" => "failed",
            "inactive" => "was stopped",
            "activating" if service.restarts_now() => "is started again and again, the last time",
            other => other,
        };
        let disabled = match service.enabled.as_str() {
            "disabled" => ", and it is not enabled: the host would not start it",
            "masked" => ", and it is masked: nothing can start it",
            _ => "",
        };
        let said = format!("{} {word}{ago}: {}{disabled}", service.unit, how(service));
        let mut fields = BTreeMap::from([("unit".to_owned(), service.unit.clone()), ("unit_said".to_owned(), said.clone())]);
        if service.failed() && service.load != "masked" {
            fields.insert("failed_unit".to_owned(), service.unit.clone());
        } else if service.load != "masked" {
            fields.insert("stopped_unit".to_owned(), service.unit.clone());
        }
        let fact = |name: &str, subject: Subject, text: String| Fact {
            name: name.to_owned(),
            subject,
            now: true,
            at: scene.now,
            text,
            source: service.source.clone(),
            fields: fields.clone(),
        };
        match service.role {
            Some(OwnerRole::Upstream) => {
                for subject in &service.serves {
                    book.look("life", subject);
                    let name = name(service, now);
                    let since = service.since.map_or_else(String::new, |since| format!(" since {}", text::duration(now - since)));
                    let text = if name == "life:unit-runs" { format!("{} runs{since}", service.unit) } else { said.clone() };
                    let mut fact = fact(name, subject.clone(), text);
                    if name == "life:unit-runs" {
                        // What runs is neither started nor stopped, and says nothing of itself.
                        fact.fields.retain(|key, _| key == "unit");
                    }
                    book.add(fact);
                }
            }
            Some(OwnerRole::Gateway) if !service.runs() => {
                let name = if service.failed() { "life:gateway-unit-failed" } else { "life:gateway-unit-stopped" };
                for subject in &service.serves {
                    book.add(fact(name, subject.clone(), said.clone()));
                }
            }
            Some(OwnerRole::Gateway) => {}
            None => {
                let near = onset.zip(ended).is_some_and(|(onset, ended)| (onset - BEFORE_S..=onset + AFTER_S).contains(&ended));
                if service.failed() && near && book.any("life:unit-near").is_none() {
                    book.add(fact("life:unit-near", Subject::host(), said.clone()));
                }
            }
        }
    }
    for (subject, address) in changes::upstreams(scene) {
        let successors: Vec<_> = scene.owners.successors(&address).collect();
        let Some(last) = successors.last() else { continue };
        let times = match successors.len() {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        let text = format!("another process listens on {subject} since we look: {} ({}), restarted {times}", last.name, last.pid);
        let fields = BTreeMap::from([("process".to_owned(), last.name.clone())]);
        let source = "listening sockets".to_owned();
        book.add(Fact { name: "life:restarted".to_owned(), subject, now: true, at: scene.now, text, source, fields });
    }
}
