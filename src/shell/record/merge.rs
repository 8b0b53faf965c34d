//! What a flood of log lines costs a recording: the batches of a second become one for each log.
//!
//! Few batches are left as they are, so that a recording tells to the millisecond what came before what. Nothing is lost by it: figures are
//! added up, and of each group the first and the last line stay.

use std::{collections::HashMap, mem};

use crate::{
    model::{LogBatch, LogCount, Observation},
    sys::Stamped,
};

/// Batches of one log that are written one by one, of those that are written at one time.
const FEW: usize = 8;

/// Bytes of text in an observation, as far as it is one that can be large and comes often.
pub(super) fn bytes(observation: &Observation) -> usize {
    let Observation::Log(batch) = observation else { return 0 };
    batch.counts.iter().map(LogCount::bytes).sum()
}

/// The batches of each log that came often become its last one. The order of what is left stays.
pub(super) fn floods(observations: Vec<Stamped>) -> impl Iterator<Item = Stamped> {
    let of = |batch: &LogBatch| (batch.source.clone(), batch.lookback);
    let mut left: HashMap<(String, bool), usize> = HashMap::new();
    for stamped in &observations {
        if let Observation::Log(batch) = &stamped.observation {
            *left.entry(of(batch)).or_default() += 1;
        }
    }
    left.retain(|_, batches| *batches > FEW);
    let mut merged: HashMap<(String, bool), Merged> = HashMap::new();
    observations.into_iter().filter_map(move |mut stamped| {
        if let Observation::Log(batch) = &mut stamped.observation
            && let Some(left) = left.get_mut(&of(batch))
        {
            let merged = merged.entry(of(batch)).or_default();
            merged.add(mem::take(&mut batch.counts), batch.dropped);
            *left -= 1;
            if *left > 0 {
                return None;
            }
            (batch.counts, batch.dropped) = (merged.counts.drain(..).flatten().collect(), merged.dropped);
        }
        Some(stamped)
    })
}

#[derive(Default)]
struct Merged {
    /// In the order in which they came last: of several that came at one time the last is the newest.
    counts: Vec<Option<LogCount>>,
    /// Place in `counts` by second and group.
    index: HashMap<(Option<i64>, String), usize>,
    dropped: u64,
}

impl Merged {
    fn add(&mut self, counts: Vec<LogCount>, dropped: u64) {
        self.dropped += dropped;
        for count in counts {
            let before = self.index.insert((count.second, count.key.clone()), self.counts.len());
            let known = before.and_then(|at| self.counts[at].take());
            self.counts.push(Some(match known {
                Some(known) => LogCount {
                    count: known.count.saturating_add(count.count),
                    later: [known.later, count.later].concat(),
                    last: Some(count.last.unwrap_or(count.first)),
                    ..known
                },
                None => count,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogFormat, SourceKind, Stage, Stamp};

    fn batch(ms: u64, source: &str, key: &str, number: u64) -> Stamped {
        let line = format!("{key} {number}");
        let count = LogCount { second: Some(7), key: key.to_owned(), count: 2, first: line, ..LogCount::default() };
        let batch = LogBatch {
            source: source.to_owned(),
            kind: SourceKind::Error,
            format: LogFormat::Plain,
            counts: vec![count],
            lookback: false,
            dropped: 1,
        };
        Stamped { at: Stamp { run_ms: ms, wall_ms: 0 }, observation: Observation::Log(batch) }
    }

    #[test]
    fn a_flood_becomes_one_batch_and_keeps_its_figures_and_its_order() {
        let done = Stamped { at: Stamp { run_ms: 500, wall_ms: 0 }, observation: Observation::Done(Stage::Load) };
        let mut all: Vec<Stamped> = (0..40).map(|n| batch(n * 20, "a.log", if n % 2 == 0 { "x" } else { "y" }, n)).collect();
        all.insert(25, done.clone());
        all.insert(3, batch(50, "b.log", "z", 0));
        let all: Vec<Stamped> = floods(all).collect();
        let [calm, before, flood] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((calm, before), (&batch(50, "b.log", "z", 0), &done));
        assert_eq!(flood.at.run_ms, 39 * 20);
        let Observation::Log(batch) = &flood.observation else { panic!("{flood:?}") };
        assert_eq!(batch.dropped, 40);
        let told: Vec<_> = batch.counts.iter().map(|c| (c.key.as_str(), c.count, c.first.as_str(), c.last.as_deref())).collect();
        assert_eq!(told, [("x", 40, "x 0", Some("x 38")), ("y", 40, "y 1", Some("y 39"))]);
    }

    #[test]
    fn few_stay_as_they_are() {
        let before: Vec<Stamped> = (0..FEW as u64).map(|n| batch(n, "a.log", "x", n)).collect();
        assert_eq!(floods(before.clone()).collect::<Vec<_>>(), before);
    }
}
