//! When probes began to tell something else: the gateway's answers and each upstream's, from good to bad and back, for the line of time.

use std::collections::VecDeque;

use super::Histories;
use crate::model::{Outcome, ProbeReport, Stamp};

/// Turns that are kept.
const FLIPS: usize = 200;
/// Seconds within which further turns of the same probe are counted and not told one by one: an intermittent fault turns all the time.
const SETTLES_S: i64 = 60;
/// Probes whose turns are told: what clients get, and what stands behind.
const TOLD: &[&str] = &["gateway", "public", "upstream"];

/// A probe that told something else than before.
#[derive(Debug, Clone, PartialEq)]
pub struct Flip {
    /// When.
    pub at: Stamp,
    /// Which probe: `gateway`, `upstream`.
    pub probe: String,
    /// What it is about.
    pub subject: String,
    /// What it told before.
    pub from: Outcome,
    /// What it tells since.
    pub to: Outcome,
    /// Whether that is good.
    pub good: bool,
    /// Further turns soon afterwards.
    pub more: u32,
}

/// All of them, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flips(VecDeque<Flip>);

impl Flips {
    /// Compares a report with the one before it.
    pub(super) fn take(&mut self, at: Stamp, known: &Histories, report: &ProbeReport) {
        if !TOLD.contains(&report.job.probe.as_str()) {
            return;
        }
        let Some(before) = known.of(&report.job).map(|history| &history.last.outcome) else { return };
        let (Some(was), Some(is)) = (before.serves(), report.outcome.serves()) else { return };
        if was == is {
            return;
        }
        let subject = report
            .job
            .request
            .as_ref()
            .filter(|_| report.job.probe != "upstream")
            .map_or_else(|| report.job.subject.to_string(), |request| format!("{}{}", request.host, request.path));
        let same = |flip: &&mut Flip| flip.probe == report.job.probe && flip.subject == subject;
        if let Some(last) = self.0.iter_mut().rev().find(same).filter(|last| at.wall_s() - last.at.wall_s() < SETTLES_S) {
            last.more = last.more.saturating_add(1);
            (last.to, last.good) = (report.outcome.clone(), is);
            return;
        }
        if self.0.len() == FLIPS {
            self.0.pop_front();
        }
        let (probe, from, to) = (report.job.probe.clone(), before.clone(), report.outcome.clone());
        self.0.push_back(Flip { at, probe, subject, from, to, good: is, more: 0 });
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Flip> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProbeJob, Protocol, Subject};

    #[test]
    fn a_turn_is_told_once_and_one_that_turns_all_the_time_is_counted() {
        let job = ProbeJob::new(
            "upstream",
            Subject("127.0.0.1:8000".to_owned()),
            "127.0.0.1:8000".parse().expect("an address"),
            Protocol::Http,
            (1, 1),
        );
        let (mut known, mut flips) = (Histories::default(), Flips::default());
        let refused = || Outcome::Refused;
        let outcomes = [refused(), refused(), Outcome::Status(200), Outcome::Skipped("rate".to_owned()), Outcome::Status(200)];
        let later = [refused(), Outcome::Status(200), refused()];
        for (second, outcome) in outcomes.into_iter().enumerate().chain((100..).zip(later)) {
            let at = Stamp { run_ms: second as u64 * 1000, wall_ms: i64::try_from(second).expect("small") * 1000 };
            let report = ProbeReport::new(job.clone(), outcome);
            flips.take(at, &known, &report);
            known.take(at, report);
        }
        let told: Vec<(i64, bool, u32)> = flips.all().map(|flip| (flip.at.wall_s(), flip.good, flip.more)).collect();
        assert_eq!(told, [(2, true, 0), (100, false, 2)]);
    }
}
