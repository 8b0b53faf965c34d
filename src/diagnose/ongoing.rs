//! Requests of others that go on to fail while our own are served: what we ask for is one page, without cookies, by GET.
//!
//! Only an access log tells of them, and what it has of before we looked may be over. Nothing here says what is broken.

use std::collections::BTreeMap;

use super::{LogGroup, Scene};
use crate::model::{Share, SourceKind, logline};

/// Seconds of the logs that are looked at.
const NOW_S: i64 = 60;
/// Requests of one kind that must have failed.
const FAILURES: u64 = 3;
/// Requests of others of which they must be so many, as a share: less is what a busy site has in its best hours.
const SHARE: f64 = 0.02;
/// Seconds without a failure after which it is over, whatever the pauses were before.
const QUIET_S: i64 = 10;
/// Pauses between failures, on an average, that may have passed since the last one.
const PAUSES: i64 = 3;
/// What a server says of a method or a version that it does not know (RFC 9110 sections 15.6.2 and 15.6.6): scanners ask so.
const STRANGE: &[u16] = &[501, 505];
/// From here on a kind of request fails as a whole: one that is served ends that.
const WHOLE: f64 = 0.9;
/// What is so unlikely is no chance: so many served in a row, of those that fail by chance.
const CHANCE: f64 = 0.05;
/// Requests of other kinds that must have been served meanwhile, to tell a fault of this kind from an outage of all that may be over.
const MEANWHILE: u64 = 3;

/// The requests of one kind: of a method and a path, with or without a query, which a page may fail by.
#[derive(Debug, Default)]
struct Kind {
    /// Requests, and those that failed, by second.
    seconds: BTreeMap<i64, Share>,
    statuses: BTreeMap<u16, u64>,
}

impl Kind {
    fn all(&self) -> Share {
        self.seconds.values().fold(Share::default(), |sum, one| Share { hits: sum.hits + one.hits, all: sum.all + one.all })
    }

    /// Its first and last second with a failure.
    fn failed(&self) -> Option<(i64, i64)> {
        let mut failed = self.seconds.iter().filter(|(_, share)| share.hits > 0).map(|(second, _)| *second);
        let first = failed.next()?;
        Some((first, failed.next_back().unwrap_or(first)))
    }

    /// Those that were served in these seconds, the first and the last among them.
    fn served(&self, from: i64, to: i64) -> u64 {
        if from > to { 0 } else { self.seconds.range(from..=to).map(|(_, share)| share.all - share.hits).sum() }
    }
}

/// The share of the latest requests of others that are of a kind which fails now, and its commonest status. `None`: none is.
pub fn ongoing(scene: &Scene) -> Option<(Share, u16)> {
    let now = scene.now.wall_s();
    let requests: BTreeMap<u64, (&LogGroup, u16)> = scene
        .logs
        .values()
        .filter(|group| matches!(group.kind, SourceKind::Access | SourceKind::Error) && !group.ours())
        .filter_map(|group| Some((group.number, (group, group.meaning.status?))))
        .collect();
    if !requests.values().any(|(_, status)| *status >= 500) {
        return None;
    }
    let mut kinds: BTreeMap<(String, String, bool), Kind> = BTreeMap::new();
    for (_, line) in scene.recent.latest().take_while(|(_, line)| line.second > now - NOW_S) {
        let Some((_, status)) = requests.get(&line.group) else { continue };
        let quoted = || line.text.split('"').find_map(|part| logline::request_line(part).filter(|(_, path)| path.starts_with('/')));
        let Some((method, path)) = logline::request_line(&line.text).or_else(quoted) else { continue };
        let (path, query) = path.split_once('?').map_or((path, false), |(path, _)| (path, true));
        let kind = kinds.entry((method.to_owned(), path.to_owned(), query)).or_default();
        let (share, count) = (kind.seconds.entry(line.second).or_default(), 1 + u64::from(line.more));
        share.all += count;
        if *status >= 500 && !STRANGE.contains(status) {
            share.hits += count;
            *kind.statuses.entry(*status).or_default() += count;
        }
    }
    let asked = |(method, path, query): &(String, String, bool)| {
        let mut paths = scene.probes_of("gateway").filter_map(|history| history.last.job.request.as_ref());
        method == "GET" && !query && paths.any(|request| request.path == *path)
    };
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    let mut failing = Share { hits: 0, all: kinds.values().map(|kind| kind.all().all).sum() };
    for (name, kind) in &kinds {
        let others = |from, to| kinds.iter().filter(|(other, _)| *other != name).map(|(_, other)| other.served(from, to)).sum();
        if goes_on(kind, now, asked(name), others) {
            failing.hits += kind.all().hits;
            kind.statuses.iter().for_each(|(status, count)| *statuses.entry(*status).or_default() += count);
        }
    }
    let (status, _) = statuses.into_iter().max_by_key(|(status, count)| (*count, *status))?;
    failing.value().filter(|share| *share >= SHARE).map(|_| (failing, status))
}

/// Whether requests of this kind fail now. `asked`: whether we ask for it, and are served. `others`: those of other kinds that were
/// served from one second to another.
fn goes_on(kind: &Kind, now: i64, asked: bool, others: impl Fn(i64, i64) -> u64) -> bool {
    let (all, Some((first, last))) = (kind.all(), kind.failed()) else { return false };
    let Some(share) = all.value().filter(|_| all.hits >= FAILURES) else { return false };
    let pause = (last - first) / i64::try_from(all.hits).unwrap_or(i64::MAX).max(1);
    if now - last > QUIET_S.max(pause.saturating_mul(PAUSES)) {
        return false;
    }
    let after = kind.served(last + 1, now);
    if share >= WHOLE {
        after == 0 && !asked && others(first, last) >= MEANWHILE
    } else {
        // Served ones before the first failure were of a time when nothing failed.
        let meanwhile = kind.served(first, last);
        let by_chance = all.hits as f64 / (all.hits + meanwhile) as f64;
        meanwhile > 0 && (1.0 - by_chance).powf(after as f64) >= CHANCE
    }
}
