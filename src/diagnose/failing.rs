//! Whom the failures hit: the paths, clients and upstreams of the failing requests, by the latest lines of the access logs.

use std::collections::BTreeMap;

use super::{LogGroup, Scene};
use crate::model::{Order as _, SourceKind, logline};

/// How many of each are told.
const TOP: usize = 5;
/// Lines that are looked at, the latest.
const LINES: usize = 500;

/// The commonest of the failing requests, each with how many of the lines it has, the commonest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failing {
    /// Lines that were looked at.
    pub lines: u64,
    /// Paths, without what follows a question mark.
    pub paths: Vec<(String, u64)>,
    /// What was asked for, with the method, and `?` for any query: `POST /cart`, `GET /export?`.
    pub requests: Vec<(String, u64)>,
    /// Addresses of clients.
    pub clients: Vec<(String, u64)>,
    /// Upstreams, by all lines and not only the latest.
    pub upstreams: Vec<(String, u64)>,
}

/// Of the failing requests that the logs tell.
pub fn failing(scene: &Scene) -> Failing {
    let fails = |group: &LogGroup| {
        let requests = matches!(group.kind, SourceKind::Access | SourceKind::Error);
        requests && !group.ours() && matches!(group.meaning.status, Some(500..=599))
    };
    let groups: BTreeMap<u64, &LogGroup> =
        scene.logs.values().filter(|group| fails(group)).map(|group| (group.number, group)).collect();
    let mut out = Failing::default();
    if groups.is_empty() {
        return out;
    }
    let mut upstreams: BTreeMap<String, u64> = BTreeMap::new();
    for group in groups.values() {
        if let Some(upstream) = &group.meaning.upstream {
            *upstreams.entry(upstream.clone()).or_default() += group.count;
        }
    }
    let (mut paths, mut requests, mut clients) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (_, line) in scene.recent.latest().filter(|(_, line)| groups.contains_key(&line.group)).take(LINES) {
        let weight = 1 + u64::from(line.more);
        out.lines += weight;
        if let Some((method, target)) = request_of(&line.text) {
            let (path, query) = target.split_once('?').map_or((target.as_str(), ""), |(path, _)| (path, "?"));
            *paths.entry(path.to_owned()).or_default() += weight;
            *requests.entry(format!("{method} {path}{query}")).or_default() += weight;
        }
        // nginx, Apache and whoever writes the common format begin with it.
        let first = line.text.split(' ').next().unwrap_or_default();
        if first.parse::<std::net::IpAddr>().is_ok() {
            *clients.entry(first.to_owned()).or_default() += weight;
        }
    }
    (out.paths, out.requests, out.clients, out.upstreams) = (top(paths), top(requests), top(clients), top(upstreams));
    out
}

/// Method and target of the request that a line of any log is about: quoted, as in the common format, or as the line is read whole.
pub fn request_of(line: &str) -> Option<(String, String)> {
    let quoted = || line.split('"').find_map(|part| logline::request_line(part).filter(|(_, target)| target.starts_with('/')));
    if let Some((method, target)) = logline::request_line(line).or_else(quoted) {
        return Some((method.to_owned(), target.to_owned()));
    }
    let entry = logline::read(logline::carried(line).text);
    logline::request_line(entry.request.as_deref()?).map(|(method, target)| (method.to_owned(), target.to_owned()))
}

fn top(counts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> = counts.into_iter().collect();
    all.order_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(TOP);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogBatch, LogCount, LogFormat, Observation, Stamp};

    #[test]
    fn what_fails_is_told_with_its_method_and_whether_it_has_a_query() {
        let mut scene = Scene::default();
        for (request, status) in [("POST /cart", 502), ("POST /cart", 502), ("GET /export?format=xlsx", 502), ("GET /cart", 200)] {
            let first =
                format!("10.0.0.9 - - [01/Jan/1970:00:00:00 +0000] \"{request} HTTP/1.1\" {status} 150 \"-\" \"Mozilla/5.0\"");
            let method = request.split(' ').next().unwrap_or_default();
            let count = LogCount { second: Some(0), key: format!("{status} {method}"), count: 1, first, ..LogCount::default() };
            let batch = LogBatch {
                source: "/var/log/nginx/access.log".to_owned(),
                kind: SourceKind::Access,
                format: LogFormat::Plain,
                counts: vec![count],
                lookback: false,
                dropped: 0,
            };
            scene.observe(Stamp::default(), Observation::Log(batch));
        }
        let told = failing(&scene);
        assert_eq!(told.requests, [("POST /cart".to_owned(), 2), ("GET /export?".to_owned(), 1)]);
        assert_eq!(told.paths, [("/cart".to_owned(), 2), ("/export".to_owned(), 1)]);
    }
}
