//! Facts from log lines: `log:<signature>`.

use super::FactBook;
use crate::{
    catalog::{About, Catalog},
    diagnose::{LogGroup, Scene, upstream::loaded_since, upstream_of},
    model::{Address, Fact, Gateway, SourceKind, Stamp, Subject, text},
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
    let told_of =
        |id: &String| scene.logs.values().any(|group| group.meaning.signature.as_ref() == Some(id) && recent(scene, group) > 0);
    for group in scene.logs.values() {
        book.look("log", &Subject(group.source.clone()));
        let Some(signature) = group.signature(&catalog.signatures) else { continue };
        let recent = recent(scene, group);
        if recent == 0 || signature.restates.iter().any(told_of) {
            continue;
        }
        let name = format!("log:{}", signature.id);
        let subjects = match signature.about {
            About::Upstream => upstreams_of(scene, group),
            About::Gateway => vec![gateway_of(scene, group)],
            About::Host => vec![Subject::host()],
        };
        let last = group.last_second().unwrap_or(now);
        if signature.of_load && loaded_since(scene, group).is_some_and(|loaded| loaded > last) {
            continue;
        }
        let at = Stamp { run_ms: group.seen.run_ms, wall_ms: last * 1000 };
        let text = told(&signature.explain, recent, now - last);
        let mut fields = group.meaning.fields.clone();
        fields.extend([
            ("count".to_owned(), recent.to_string()),
            ("line".to_owned(), group.last.clone()),
            ("explain".to_owned(), signature.explain.clone()),
        ]);
        let fact = Fact { name, subject: Subject::host(), now: false, at, text, source: group.source.clone(), fields };
        for subject in subjects {
            let fact = Fact { subject, ..fact.clone() };
            match book.get_mut(&fact.name, &fact.subject) {
                Some(known) if known.at >= at => {}
                Some(known) => (known.at, known.text, known.fields) = (at, fact.text, fact.fields),
                None => book.add(fact),
            }
        }
    }
}

/// Lines of a group that say something about now. In an excerpt everything counts: somebody chose it.
pub(super) fn recent(scene: &Scene, group: &LogGroup) -> u64 {
    if scene.excerpt() { group.count } else { group.since(scene.now.wall_s() - LOG_WINDOW_S) }
}

/// So many lines that mean this, the last of them so many seconds old.
pub(super) fn told(what: &str, lines: u64, age_s: i64) -> String {
    let lines = if lines == 1 { "1 line".to_owned() } else { format!("{} lines", text::thousands(lines)) };
    format!("{what}, {lines}, last {} ago", text::duration(age_s))
}

/// The upstreams that the lines are about: the one that they name; those that write this log; or the log itself.
pub(super) fn upstreams_of(scene: &Scene, group: &LogGroup) -> Vec<Subject> {
    // What the line itself is about: the name that does not resolve, or where its program listens.
    let named = || ["name", "socket"].into_iter().find_map(|field| group.meaning.fields.get(field));
    match (upstream_of(scene, group), group.meaning.upstream.as_ref().or_else(named)) {
        // The kernel tells of the connections of all programs.
        (Some(address), _) if group.kind == SourceKind::Kernel && !scene.excerpt() && !is_configured(scene, &address) => Vec::new(),
        (Some(address), _) => vec![Subject(address.to_string())],
        // Of an excerpt no configuration is known that would tell the address of `backend/server`.
        (None, Some(name)) if scene.excerpt() => vec![Subject(name.clone())],
        (None, _) => {
            let log = scene.sources.iter().find(|log| log.is(&group.source)).filter(|log| !log.serves.is_empty());
            let Some(log) = log else { return vec![gateway_of(scene, group)] };
            // The kernel tells of all that listens on the host.
            let port =
                group.meaning.fields.get("address").filter(|_| group.kind == SourceKind::Kernel).map(|address| port_of(address));
            let meant = |upstream: &&Subject| port.is_none_or(|port| port_of(&upstream.0) == port);
            log.serves.iter().filter(meant).cloned().collect()
        }
    }
}

/// Whether a gateway's configuration names this address as a server.
fn is_configured(scene: &Scene, address: &Address) -> bool {
    let routes = || scene.gateways.iter().flat_map(Gateway::routes).map(|(_, route)| route);
    routes().flat_map(|route| &route.servers).any(|server| server.address.bare() == address)
}

/// `8000` of `127.0.0.1:8000`, and of `8000` as older kernels write it.
fn port_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(_, port)| port)
}

/// The gateway whose log this is, else the log itself.
fn gateway_of(scene: &Scene, group: &LogGroup) -> Subject {
    let owns = |gateway: &&crate::model::Gateway| gateway.logs.iter().any(|log| log.is(&group.source));
    let configured = scene.gateways.iter().find(owns).map(|gateway| scene.named(gateway).0);
    let found = || {
        let gateways = scene.sources.iter().filter(|log| matches!(log.kind, SourceKind::Error | SourceKind::Access));
        gateways.filter(|log| log.is(&group.source)).find_map(|log| log.serves.first().map(|gateway| gateway.0.clone()))
    };
    let kind = configured.or_else(found);
    Subject(kind.unwrap_or_else(|| match group.kind {
        SourceKind::Kernel => "host".to_owned(),
        SourceKind::Error | SourceKind::Access | SourceKind::App => group.source.clone(),
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{FoundLog, LogBatch, LogCount, LogFormat, LogPlace, Observation};

    /// What is known where a log that serves these had this line in each of these seconds ago.
    pub fn told_by(kind: SourceKind, serves: Vec<Subject>, line: &str, ago: &[i64], catalog: &Catalog) -> Scene {
        let at = Stamp { run_ms: 10_000, wall_ms: 1_790_000_000_000 };
        let format = LogFormat::Plain;
        let place = LogPlace::File("/var/log/some.log".into());
        let source = FoundLog { place, kind, format: format.clone(), why: String::new(), serves };
        let counts = ago.iter().map(|ago| LogCount {
            second: Some(at.wall_s() - ago),
            key: line.to_owned(),
            count: 1,
            first: line.to_owned(),
            ..LogCount::default()
        });
        let batch = LogBatch { source: source.id(), kind, format, counts: counts.collect(), lookback: false, dropped: 0 };
        let mut scene = Scene::default();
        scene.observe(at, Observation::Sources(vec![source]));
        scene.observe(at, Observation::Log(batch));
        scene.classify(catalog);
        scene
    }

    #[test]
    fn what_a_filter_drops_is_an_upstreams_where_one_is_configured() {
        let catalog = Catalog::embedded().expect("the catalogue");
        let line = "[UFW BLOCK] IN=docker0 OUT= MAC=02:42 SRC=172.17.0.2 DST=172.17.0.1 LEN=60 PROTO=TCP SPT=41234 DPT=8000 WINDOW=64240 RES=0x00 SYN URGP=0";
        let scene = told_by(SourceKind::Kernel, vec![Subject("127.0.0.1:8000".to_owned())], line, &[5], &catalog);
        let group = scene.logs.values().next().expect("a group");
        assert_eq!(group.meaning.signature.as_deref(), Some("kernel-filter-bridge"));
        assert_eq!(upstreams_of(&scene, group), []);
    }

    #[test]
    fn a_listener_that_the_kernel_names_is_no_other() {
        let catalog = Catalog::embedded().expect("the embedded catalogue");
        let [meant, other] = ["127.0.0.1:8000", "127.0.0.1:9000"].map(|address| Subject(address.to_owned()));
        let line = "TCP: request_sock_TCP: Possible SYN flooding on port 127.0.0.1:8000. Sending cookies.";
        let scene = told_by(SourceKind::Kernel, vec![meant.clone(), other.clone()], line, &[0], &catalog);
        let mut book = FactBook::default();
        produce(&scene, &catalog, &mut book);
        let told: BTreeSet<&Subject> = book.facts().iter().map(|fact| &fact.subject).collect();
        assert_eq!(told, BTreeSet::from([&meant]), "and nothing of {other:?}");
    }
}
