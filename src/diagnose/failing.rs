//! Whom the failures hit: the paths, clients and upstreams of the failing requests, by the latest lines of the access logs.

use std::collections::BTreeMap;

use super::{LogGroup, Scene};
use crate::model::{SourceKind, logline};

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
    let (mut paths, mut clients) = (BTreeMap::new(), BTreeMap::new());
    for (_, line) in scene.recent.latest().filter(|(_, line)| groups.contains_key(&line.group)).take(LINES) {
        let weight = 1 + u64::from(line.more);
        out.lines += weight;
        // The common format quotes the request; others are read by what comes before the protocol.
        let quoted = || line.text.split('"').nth(1)?.split(' ').nth(1).filter(|path| path.starts_with('/'));
        if let Some(path) = logline::request_line(&line.text).map(|(_, path)| path).or_else(quoted) {
            *paths.entry(path.split('?').next().unwrap_or_default().to_owned()).or_default() += weight;
        }
        // nginx, Apache and whoever writes the common format begin with it.
        let first = line.text.split(' ').next().unwrap_or_default();
        if first.parse::<std::net::IpAddr>().is_ok() {
            *clients.entry(first.to_owned()).or_default() += weight;
        }
    }
    (out.paths, out.clients, out.upstreams) = (top(paths), top(clients), top(upstreams));
    out
}

fn top(counts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> = counts.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(TOP);
    all
}
