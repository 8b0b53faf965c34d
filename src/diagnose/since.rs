//! Since when what fails now fails.
//!
//! What was read of the logs tells it where it goes back far enough. Where it does not, the onset that was looked for in the
//! whole log does, as long as the failures have not paused since.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{LOG_WINDOW_S, LogGroup, OUTAGE_GAP_S, Scene, upstream_of};
use crate::{
    catalog::Catalog,
    model::{
        Address, LogOnset, Order as _, Outcome, SourceKind,
        logline::{Dialect, Level},
    },
};

/// When it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The second, since the Unix epoch.
    pub second: i64,
    /// How far that may be off, in seconds, where it is known.
    pub within_s: Option<u32>,
    /// Nothing older could be read: it began then, or before.
    pub earlier: bool,
}

/// When the failures that still go on began. `None`: none go on.
pub fn since(scene: &Scene) -> Option<Since> {
    let now = scene.now.wall_s();
    let own = own_error(scene);
    let fails = |group: &LogGroup| fails(group) || own.is_some() && group.kind != SourceKind::App && group.meaning.status == own;
    let mut rows: Vec<(i64, i64)> = scene
        .logs
        .values()
        .filter(|group| fails(group))
        .filter_map(|group| Some((group.last_second()?, group.row_began.or(group.first_second())?)))
        .collect();
    rows.order_by_key(|row| Reverse(*row));
    let (last, mut begin) = *rows.first()?;
    if now - last > OUTAGE_GAP_S {
        return None;
    }
    for (last, began) in rows {
        if last >= begin - OUTAGE_GAP_S {
            begin = begin.min(began);
        }
    }
    let read = Since { second: begin, within_s: None, earlier: false };
    Some(onset(scene, begin, now).map_or(read, |onset| told(onset, scene.zones.shift(&onset.source), begin)))
}

/// The error of the application that a client gets now: unlike a gateway's, some of these are nothing unusual, and only where they
/// are what fails now do the log's tell when that began.
fn own_error(scene: &Scene) -> Option<u16> {
    scene.probes_of("gateway").find_map(|history| match history.last.outcome {
        Outcome::Status(code @ (500 | 501 | 505..)) => Some(code),
        _ => None,
    })
}

/// Seconds in which a failure that a log tells of counts as going on.
const GOING_ON_S: i64 = 30;

/// Whether a gateway's log tells of requests that failed just now.
pub fn told_to_fail(scene: &Scene) -> bool {
    let from = scene.now.wall_s() - GOING_ON_S;
    scene.logs.values().any(|group| fails(group) && !group.ours() && group.last_second().is_some_and(|second| second >= from))
}

/// Seconds in which a request that hung says that they still do: gateways' limits are a minute at most as a rule.
const HANGS_S: i64 = 60;

/// The upstreams of which a log tells that requests hung there just now.
pub fn told_to_hang(scene: &Scene, catalog: &Catalog) -> BTreeSet<Address> {
    let from = scene.now.wall_s() - HANGS_S;
    let hangs = |group: &&LogGroup| {
        let signature = group.signature(&catalog.signatures);
        signature.and_then(|signature| signature.causes.first()).is_some_and(|cause| cause == "upstream-timeout")
    };
    let late = |group: &&LogGroup| group.last_second().is_some_and(|second| second >= from);
    scene.logs.values().filter(late).filter(hangs).filter_map(|group| upstream_of(scene, group)).collect()
}

/// Seconds in which a request that was served says that requests are served now.
const SERVED_S: i64 = 30;

/// Whether a gateway's log tells that somebody else was served just now, by whatever is behind it.
pub fn told_to_serve(scene: &Scene) -> bool {
    let from = scene.now.wall_s() - SERVED_S;
    // 499 is nginx's word for a client that did not wait, and 408 for one that asked too slowly.
    let serves = |group: &LogGroup| {
        group.kind == SourceKind::Access && matches!(group.meaning.status, Some(200..=407 | 409..=498)) && !group.ours()
    };
    scene.logs.values().any(|group| serves(group) && group.last_second().is_some_and(|second| second >= from))
}

/// The upstreams that the gateways' logs name in lines of failed requests, as long as these tell of now.
pub fn told_of(scene: &Scene) -> BTreeSet<Address> {
    let from = scene.now.wall_s() - LOG_WINDOW_S;
    let late = |group: &&LogGroup| group.last_second().is_some_and(|second| second >= from);
    scene.logs.values().filter(|group| fails(group)).filter(late).filter_map(|group| upstream_of(scene, group)).collect()
}

fn told(onset: &LogOnset, shift: i64, begin: i64) -> Since {
    let within_s = (!onset.earlier).then_some(onset.uncertainty_s);
    let second = onset.second + shift;
    // Of a log that is sick from its first line on, others may tell more.
    let second = if onset.earlier { second.min(begin) } else { second };
    Since { second, within_s, earlier: onset.earlier }
}

/// The onset of the row of failures that began at `begin`, as far as that was read: one that was found while they went on, of
/// a log in which they still do. A share of requests tells more than the number of errors, and many more than few.
fn onset(scene: &Scene, begin: i64, now: i64) -> Option<&LogOnset> {
    let recent = |onset: &LogOnset| {
        // Apache answers 500 where a name does not resolve: what the share of its requests tells holds for that, too.
        let failed = |group: &LogGroup| group.kind == SourceKind::Access && matches!(group.meaning.status, Some(500..=599));
        let groups = scene.logs.values().filter(|group| group.source == onset.source && (fails(group) || failed(group)));
        groups.map(|group| group.since(now - OUTAGE_GAP_S)).sum::<u64>()
    };
    scene
        .onsets
        .values()
        .filter(|(found, _)| begin <= found.wall_s())
        .map(|(_, onset)| (onset, recent(onset)))
        .filter(|(_, recent)| *recent > 0)
        .min_by_key(|(onset, recent)| (onset.earlier, onset.kind != SourceKind::Access, Reverse(*recent), onset.second))
        .map(|(onset, _)| onset)
}

/// Whether its lines tell of requests that failed at the gateway.
fn fails(group: &LogGroup) -> bool {
    match group.kind {
        SourceKind::Access => matches!(group.meaning.status, Some(502..=504)),
        SourceKind::Error if group.meaning.status.is_some() => matches!(group.meaning.status, Some(502..=504)),
        SourceKind::Error => match group.meaning.dialect {
            // Missing files and refused clients are errors too.
            Dialect::NginxError => group.last.contains("upstream"),
            _other => group.last.contains("upstream") || group.meaning.level.is_some_and(|level| level >= Level::Error),
        },
        SourceKind::App | SourceKind::Kernel => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{COMBINED, LogBatch, LogCount, LogFormat, Observation, OnsetMeasure, Stamp};

    /// 2026-11-20T02:17:41Z.
    const BEGIN: i64 = 1_795_141_061;

    fn at(second: i64) -> Stamp {
        Stamp { run_ms: 0, wall_ms: second * 1000 }
    }

    /// Takes in failing requests of these seconds.
    fn fail(scene: &mut Scene, seconds: impl Iterator<Item = i64>) {
        for second in seconds {
            let key = "502 GET up=127.0.0.1:8000 ups=502".to_owned();
            let counts =
                vec![LogCount { second: Some(second), key: key.clone(), count: 1, later: Vec::new(), first: key, last: None }];
            let format = LogFormat::NginxAccess(COMBINED.to_owned());
            let batch =
                LogBatch { source: "access.log".into(), kind: SourceKind::Access, format, counts, lookback: false, dropped: 0 };
            scene.observe(at(second), Observation::Log(batch));
        }
    }

    fn found(scene: &mut Scene, when: i64, second: i64, earlier: bool) {
        let (source, kind, measure) = ("access.log".into(), SourceKind::Access, OnsetMeasure::Share);
        let onset = LogOnset {
            source,
            kind,
            second,
            uncertainty_s: 2,
            earlier,
            measure,
            before: None,
            now: 0.9,
            read_bytes: 1,
            found_in: None,
        };
        scene.observe(at(when), Observation::Onset(onset));
    }

    #[test]
    fn an_outage_that_goes_on_for_an_hour_has_not_begun_ten_minutes_ago() {
        let mut scene = Scene::default();
        fail(&mut scene, BEGIN..BEGIN + 3600);
        assert_eq!(since(&scene).map(|since| since.second), Some(BEGIN));
        scene.now = at(BEGIN + 3600 + OUTAGE_GAP_S + 1);
        assert_eq!(since(&scene), None, "it is over");
    }

    #[test]
    fn what_was_found_further_back_counts_until_the_failures_pause() {
        let mut scene = Scene::default();
        let start = BEGIN + 7200;
        fail(&mut scene, start - 60..start);
        found(&mut scene, start, BEGIN, false);
        assert_eq!(since(&scene), Some(Since { second: BEGIN, within_s: Some(2), earlier: false }));
        fail(&mut scene, start..start + 1000);
        assert_eq!(since(&scene).map(|since| since.second), Some(BEGIN));
        // It was over, and came again while we looked.
        fail(&mut scene, start + 2000..start + 2010);
        assert_eq!(since(&scene), Some(Since { second: start + 2000, within_s: None, earlier: false }));
    }

    #[test]
    fn of_a_log_that_is_sick_from_its_first_line_on_it_is_said_that_it_began_before() {
        let mut scene = Scene::default();
        fail(&mut scene, BEGIN + 3000..BEGIN + 3600);
        found(&mut scene, BEGIN + 3600, BEGIN, true);
        assert_eq!(since(&scene), Some(Since { second: BEGIN, within_s: None, earlier: true }));
    }
}
