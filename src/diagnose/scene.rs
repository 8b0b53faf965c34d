//! The scene: everything that was observed, folded into what is known now. Bounded, whatever comes.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use super::{LogGroup, Recent, Traffic, zone::Zones};
use crate::{
    catalog::Catalog,
    model::{
        BlindSpot, FoundLog, Gateway, HostLoad, ListenerTable, LogBatch, LogCount, LogOnset, Observation, Outcome, ProbeJob,
        ProbeReport, RunInfo, SourceKind, Stage, Stamp,
    },
};

/// Results that are kept of each probe: a minute of the fast cadence, and what a row on the screen shows.
pub const PROBE_RESULTS: usize = 30;
/// Probes that are kept; a plan holds far fewer, but plans change.
const PROBES: usize = 512;
/// Groups of log lines that are kept apart; the rest is counted together, and shown as such.
pub const LOG_GROUPS: usize = 2_000;
/// Seconds with lines that are kept of all groups together, and of one at least and at most: ten minutes each where there are
/// few, and never more than 2 MB.
const LOG_SECONDS: usize = 40_000;
const GROUP_SECONDS: (usize, usize) = (64, 600);
/// Samples of load that are kept: five minutes at one every 2 s.
const LOADS: usize = 150;
/// Logs whose onset is kept: as many as are followed.
const ONSETS: usize = 256;
/// The key of the group in which the lines are counted that found no room.
pub const OVERFLOW_KEY: &str = "(other lines)";

/// One result of a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// When it was told.
    pub at: Stamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Milliseconds from begin to end.
    pub ms: f64,
}

/// What a probe found so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeHistory {
    /// The last report, whole.
    pub last: ProbeReport,
    /// The last results, oldest first.
    pub results: VecDeque<ProbeResult>,
    /// Results since the run began.
    pub tries: u64,
}

/// Everything that is known now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// How this run was started.
    pub run: Option<RunInfo>,
    /// The stamp of the last message.
    pub now: Stamp,
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// Listening sockets. `None`: not looked at.
    pub listeners: Option<ListenerTable>,
    /// Probes by their job, in the order of the plan's first mention.
    pub probes: Vec<ProbeHistory>,
    /// Log groups by source and key.
    pub logs: BTreeMap<(String, String), LogGroup>,
    /// Logs that were found by what runs, with the reason why each was chosen.
    pub sources: Vec<FoundLog>,
    /// Since when what failed at the end of a log fails, by log, with the time at which it was told.
    pub onsets: BTreeMap<String, (Stamp, LogOnset)>,
    /// The latest lines, verbatim.
    pub recent: Recent,
    /// Requests by the gateways' access logs.
    pub traffic: Traffic,
    /// Load, oldest first.
    pub loads: VecDeque<(Stamp, HostLoad)>,
    /// What could not be looked at, by source.
    pub blind: BTreeMap<String, BlindSpot>,
    /// What was dropped, by collector.
    pub dropped: BTreeMap<String, u64>,
    /// What of the first pass is complete.
    pub done: BTreeSet<Stage>,
    /// Logs whose stamps are of another zone than the host's.
    pub zones: Zones,
    /// Groups whose signature was not looked for yet.
    unclassified: Vec<(String, String)>,
}

impl Scene {
    /// Takes one observation in.
    pub fn observe(&mut self, at: Stamp, observation: Observation) {
        self.now = self.now.max(at);
        match observation {
            Observation::Run(run) => self.run = Some(run),
            Observation::Gateways(gateways) => self.gateways = gateways,
            Observation::Listeners(table) => self.listeners = Some(table),
            Observation::Probe(report) => self.probe(at, *report),
            Observation::Sources(found) => self.sources = found,
            Observation::Log(batch) => self.log(at, batch),
            Observation::Onset(onset) => {
                if self.onsets.len() < ONSETS || self.onsets.contains_key(&onset.source) {
                    self.onsets.insert(onset.source.clone(), (at, onset));
                }
            }
            Observation::Load(load) => {
                if self.loads.len() == LOADS {
                    self.loads.pop_front();
                }
                self.loads.push_back((at, *load));
            }
            Observation::Blind(spot) => {
                self.blind.insert(spot.source.clone(), spot);
            }
            Observation::Seen { source } => {
                self.blind.remove(&source);
            }
            Observation::Dropped { collector, count } => *self.dropped.entry(collector).or_default() += count,
            Observation::End => {}
            Observation::Done(stage) => {
                if let Stage::Probes { plan, .. } = stage {
                    self.done.retain(|known| !matches!(known, Stage::Probes { plan: other, .. } if *other < plan));
                }
                self.done.insert(stage);
            }
        }
    }

    /// Finds the signatures of the groups that are new since the last call: a group's lines are alike, so once is enough.
    pub fn classify(&mut self, catalog: &Catalog) {
        for key in std::mem::take(&mut self.unclassified) {
            if let Some(group) = self.logs.get_mut(&key) {
                group.classify(&catalog.signatures);
            }
        }
    }

    /// The latest sample of load.
    pub fn load(&self) -> Option<&HostLoad> {
        self.loads.back().map(|(_, load)| load)
    }

    /// Whether all that is known is an excerpt of logs.
    pub fn excerpt(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.excerpt)
    }

    /// All results of the probes of one kind.
    pub fn probes_of<'a>(&'a self, probe: &'a str) -> impl Iterator<Item = &'a ProbeHistory> {
        self.probes.iter().filter(move |history| history.last.job.probe == probe)
    }

    /// The history of one job.
    pub fn history(&self, job: &ProbeJob) -> Option<&ProbeHistory> {
        self.probes.iter().find(|history| history.last.job == *job)
    }

    fn probe(&mut self, at: Stamp, report: ProbeReport) {
        let result = ProbeResult { at, outcome: report.outcome.clone(), ms: report.phases.total };
        if let Some(history) = self.probes.iter_mut().find(|history| history.last.job == report.job) {
            if history.results.len() == PROBE_RESULTS {
                history.results.pop_front();
            }
            history.results.push_back(result);
            history.tries += 1;
            history.last = report;
        } else {
            if self.probes.len() == PROBES {
                self.probes.remove(0);
            }
            self.probes.push(ProbeHistory { last: report, results: VecDeque::from([result]), tries: 1 });
        }
    }

    fn log(&mut self, at: Stamp, mut batch: LogBatch) {
        if batch.dropped > 0 {
            *self.dropped.entry(batch.source.clone()).or_default() += batch.dropped;
        }
        let stamps = |count: &LogCount| count.later.iter().map(|(second, _)| *second).max().max(count.second);
        let newest = batch.counts.iter().filter_map(stamps).max();
        let seconds = (LOG_SECONDS / self.logs.len().max(1)).clamp(GROUP_SECONDS.0, GROUP_SECONDS.1);
        for mut count in std::mem::take(&mut batch.counts) {
            let shift = self.zones.shift(&batch.source);
            count.second = count.second.map(|second| second + shift);
            count.later.iter_mut().for_each(|(second, _)| *second += shift);
            let mut key = (batch.source.clone(), count.key.clone());
            if self.logs.len() >= LOG_GROUPS && !self.logs.contains_key(&key) {
                OVERFLOW_KEY.clone_into(&mut key.1);
            }
            let number = self.logs.len() as u64 + 1;
            let group = match self.logs.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    self.unclassified.push(new.key().clone());
                    let group = LogGroup { number, ..LogGroup::new(&batch, new.key().1.clone(), &count.first, at) };
                    new.insert(group)
                }
            };
            // Without a stamp of its own a line is from when it came.
            let second = count.second.unwrap_or_else(|| at.wall_s());
            let later: u32 = count.later.iter().fold(0, |sum, (_, lines)| sum.saturating_add(*lines));
            if let (SourceKind::Access, Some(status)) = (batch.kind, group.meaning.status) {
                self.traffic.take(second, status, u64::from(count.count.saturating_sub(later)));
                for (second, lines) in &count.later {
                    self.traffic.take(*second, status, u64::from(*lines));
                }
            }
            // First and last are there verbatim; those between are counted.
            let between = count.count.saturating_sub(1 + u32::from(count.last.is_some()));
            self.recent.take(&batch.source, group.number, second, &count.first, between);
            if let Some(last) = &count.last {
                let second = count.later.iter().map(|(second, _)| *second).max().unwrap_or(second).max(second);
                self.recent.take(&batch.source, group.number, second, last, 0);
            }
            group.take(count, batch.lookback, at, seconds);
        }
        let stamped = newest.filter(|_| !batch.lookback).map(|second| second + self.zones.shift(&batch.source));
        if let Some(shift) = stamped.and_then(|second| self.zones.witness(&batch.source, second, at.wall_s())) {
            for group in self.logs.values_mut().filter(|group| group.source == batch.source) {
                group.seconds.iter_mut().for_each(|(second, _)| *second += shift);
                group.row_began = group.row_began.map(|second| second + shift);
            }
            self.recent.shift(&batch.source, shift);
        }
    }
}
