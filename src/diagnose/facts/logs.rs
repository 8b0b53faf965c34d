//! Facts from log lines: `log:<signature>`.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::{About, Catalog},
    diagnose::{LogGroup, Scene},
    model::{Address, Fact, NginxErrorLine, RunState, SourceKind, Stamp, Subject, text},
};

/// A line older than this many seconds says nothing about what fails now. Fifteen minutes are what the first failing requests
/// of an outage need to be found by, and less than what an outage before the last one needs to be forgotten.
pub const LOG_WINDOW_S: i64 = 15 * 60;

/// The names.
pub fn names(catalog: &Catalog) -> Vec<String> {
    catalog.signatures.all().map(|signature| format!("log:{}", signature.id)).collect()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let now = scene.now.wall_s();
    for group in scene.logs.values() {
        book.look("log", &Subject(group.source.clone()));
        let Some(signature) = catalog.signatures.of(&group.format, &group.first) else { continue };
        // In an excerpt everything counts: somebody chose it.
        let recent = if scene.excerpt() { group.count } else { group.since(now - LOG_WINDOW_S) };
        if recent == 0 {
            continue;
        }
        let name = format!("log:{}", signature.id);
        let subject = match signature.about {
            About::Upstream => {
                upstream_of(&group.last).map_or_else(|| gateway_of(scene, group), |address| Subject(address.to_string()))
            }
            About::Gateway => gateway_of(scene, group),
            About::Host => Subject::host(),
        };
        let last = group.last_second().unwrap_or(now);
        if signature.of_load && loaded_since(scene, group).is_some_and(|loaded| loaded > last) {
            continue;
        }
        let at = Stamp { run_ms: group.seen.run_ms, wall_ms: last * 1000 };
        let lines = if recent == 1 { "1 line".to_owned() } else { format!("{} lines", text::thousands(recent)) };
        let text = format!("{}, {lines}, last {} ago", signature.explain, text::duration(now - last));
        let fields = BTreeMap::from([("count".to_owned(), recent.to_string()), ("line".to_owned(), group.last.clone())]);
        match book.facts.iter_mut().find(|fact| fact.name == name && fact.subject == subject) {
            Some(known) if known.at >= at => {}
            Some(known) => (known.at, known.text, known.fields) = (at, text, fields),
            None => book.add(Fact { name, subject, now: false, at, text, source: group.source.clone(), fields }),
        }
    }
}

/// The gateway whose log this is, else the log itself.
fn gateway_of(scene: &Scene, group: &LogGroup) -> Subject {
    let owns = |gateway: &&crate::model::Gateway| gateway.logs.iter().any(|log| log.id() == group.source);
    let kind = scene.gateways.iter().find(owns).map(|gateway| gateway.kind.clone());
    Subject(kind.unwrap_or_else(|| match group.kind {
        SourceKind::Kernel => "host".to_owned(),
        SourceKind::Error | SourceKind::Access | SourceKind::App => group.source.clone(),
    }))
}

/// When the gateway whose log this is last loaded its configuration, in seconds since the Unix epoch.
fn loaded_since(scene: &Scene, group: &LogGroup) -> Option<i64> {
    scene.gateways.iter().filter(|gateway| gateway.logs.iter().any(|log| log.id() == group.source)).find_map(
        |gateway| match gateway.state {
            RunState::Running { workers_since, .. } => workers_since,
            RunState::Stopped { .. } => None,
        },
    )
}

/// The upstream that an nginx error line names; `None` for the name of a pool too.
pub fn upstream_of(line: &str) -> Option<Address> {
    NginxErrorLine::parse(line)?.upstream_address()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_of_an_error_line() {
        let of = |value: &str| {
            upstream_of(&format!("2026/11/20 02:17:41 [error] 8#8: *1 x, client: ::1, server: a, request: \"GET / HTTP/1.1\", upstream: \"{value}\", host: \"a\"")).map(|a| a.to_string())
        };
        assert_eq!(of("http://127.0.0.1:8000/cart").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(of("fastcgi://unix:/run/php/php8.2-fpm.sock:").as_deref(), Some("unix:/run/php/php8.2-fpm.sock"));
        assert_eq!(of("http://unix:/run/app.sock:/a:b").as_deref(), Some("unix:/run/app.sock"));
        assert_eq!(of("http://[::1]:80/").as_deref(), Some("[::1]:80"));
        assert_eq!(of("http://pool/"), None);
        assert_eq!(upstream_of("no upstream here"), None);
    }
}
