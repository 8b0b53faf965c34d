//! The scene: everything that was observed, folded into what is known now. Bounded, whatever comes.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use super::{
    ConfigWatch, Flips, Histories, LogGroup, Operator, ProbeHistory, Recent, Traffic, beside, group::Known, owners::Owners,
    places::Places, recovery::Track, zone::Zones,
};
use crate::{
    catalog::Catalog,
    model::{
        Address, AppSettings, BlindSpot, Changes, FoundLog, Gateway, HostLoad, ListenerTable, LiveState, LogBatch, LogCount,
        LogOnset, LogSource, Observation, ProbeJob, Route, RunInfo, RunState, ServiceLife, ServiceLoad, Site, SourceKind, Stage,
        Stamp, Subject, Upkeep, Vantage, Workers,
    },
};

/// Groups of log lines that are kept apart; the rest is counted together, and shown as such.
pub const LOG_GROUPS: usize = 2_000;
/// Seconds with lines that are kept of all groups together, and of one at least and at most: ten minutes each where there are
/// few, and never more than 2 MB.
const LOG_SECONDS: usize = 40_000;
const GROUP_SECONDS: (usize, usize) = (64, 600);
/// Seconds before the end of the logs of a copied tree that count as now: as many as requests count in (`symptom.rs`).
const ENDS_S: i64 = 60;
/// Looks at services that are kept: some 20 s of the fast cadence.
const LOOKS: usize = 10;
/// Samples of load that are kept: five minutes at one every 2 s.
const LOADS: usize = 150;
/// Logs whose onset is kept: as many as are followed.
const ONSETS: usize = 256;
/// Gateways whose live state is kept: more than a host runs.
const LIVES: usize = 16;
/// Application servers whose workers are kept: more than a host runs.
const WORKERS: usize = 256;
/// Sources that may say of themselves that they can be read: a handful does.
const HEARD: usize = 64;
/// Views from elsewhere that are kept.
const VANTAGES: usize = 16;
/// The key of the group in which the lines are counted that found no room.
pub const OVERFLOW_KEY: &str = "(other lines)";

/// Everything that is known now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// How this run was started.
    pub run: Option<RunInfo>,
    /// When it was started: the first of them, where a recording was resumed.
    pub began: Option<Stamp>,
    /// The stamp of the last message.
    pub now: Stamp,
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// Further instances of the kind that serves the named URL, which no request for it comes to.
    pub beside: Vec<Gateway>,
    /// Logs that are theirs alone.
    apart: BTreeSet<String>,
    /// Where their servers stand.
    places: Places,
    /// Counts up with each change of gateways or listeners.
    pub layout: u64,
    /// Their configuration while somebody works on it.
    pub watch: ConfigWatch,
    /// What gateways that run say of themselves.
    pub lives: Vec<LiveState>,
    /// What application servers say of their workers.
    pub workers: Vec<Workers>,
    /// Listening sockets. `None`: not looked at.
    pub listeners: Option<ListenerTable>,
    /// Probes by their job, in the order of the plan's first mention.
    pub probes: Histories,
    /// When they began to tell something else.
    pub flips: Flips,
    /// What the operator said and did by hand.
    pub operator: Operator,
    /// What became of failures of requests through a gateway.
    pub(super) track: Track,
    /// Log groups by source and key.
    pub logs: BTreeMap<(String, String), LogGroup>,
    /// Logs that were found by what runs, with the reason why each was chosen.
    pub sources: Vec<FoundLog>,
    /// What the applications behind gateways are set to.
    pub apps: Vec<AppSettings>,
    /// Since when what failed at the end of a log fails, by log, with the time at which it was told.
    pub onsets: BTreeMap<String, (Stamp, LogOnset)>,
    /// The latest lines, verbatim.
    pub recent: Recent,
    /// Requests by the gateways' access logs.
    pub traffic: Traffic,
    /// What was changed lately. `None`: it was not looked for.
    pub changes: Option<Changes>,
    /// The services that matter, as their managers tell them.
    pub units: Vec<ServiceLife>,
    /// Who listened where since we look.
    pub owners: Owners,
    /// Load, oldest first.
    pub loads: VecDeque<(Stamp, HostLoad)>,
    /// How loaded gateways and the applications behind them are, each for itself: the latest looks, oldest first.
    pub services: VecDeque<(Stamp, Vec<ServiceLoad>)>,
    /// What could not be looked at, by source.
    pub blind: BTreeMap<String, BlindSpot>,
    /// Sources that say of themselves that they can be read, whether or not they tell anything.
    pub heard: BTreeSet<String>,
    /// What was seen from elsewhere.
    pub vantages: Vec<Vantage>,
    /// What the host does against the next outage.
    pub upkeep: Option<Upkeep>,
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
            Observation::Run(run) => self.run(at, run),
            Observation::Gateways(gateways) => {
                let (gateways, others) = beside::part(self.run.as_ref().and_then(|run| run.url.as_deref()), gateways);
                self.set_aside(others, &gateways);
                // What a gateway said that is gone or stopped does not hold any more.
                self.lives.retain(|live| gateways.iter().any(|gateway| gateway.running() && live.is_of(gateway)));
                self.layout += 1;
                self.places = Places::of(&gateways);
                self.watch.gateways(&self.gateways, &gateways);
                self.gateways = gateways;
            }
            Observation::Edited(mut edits) => {
                edits.retain(|edit| !self.beside.iter().any(|other| (&other.kind, &other.config) == (&edit.kind, &edit.config)));
                self.watch.edited(at, edits);
            }
            Observation::Live(state) => self.live(*state),
            Observation::Workers(workers) => {
                self.workers = workers;
                self.workers.truncate(WORKERS);
            }
            Observation::Listeners(table) => {
                self.layout += 1;
                self.owners.take(at, &table);
                self.listeners = Some(table);
            }
            Observation::Probe(report) => {
                self.flips.take(at, &self.probes, &report);
                self.track.take(at, &report);
                self.probes.take(at, *report);
            }
            Observation::Operator(deed) => self.operator.take(at, deed),
            Observation::Changes(changes) => self.changes = Some(*changes),
            Observation::Life(units) => self.units = units,
            Observation::Sources(found) => self.sources = found,
            Observation::Apps(apps) => self.apps = apps,
            Observation::Log(batch) if self.apart.contains(&batch.source) => {}
            Observation::Log(batch) => self.log(at, batch),
            Observation::Onset(onset) => {
                if self.apart.contains(&onset.source) {
                    return;
                }
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
            Observation::Services(services) => {
                if self.services.len() == LOOKS {
                    self.services.pop_front();
                }
                self.services.push_back((at, services));
            }
            Observation::Blind(spot) => {
                self.blind.insert(spot.source.clone(), spot);
            }
            Observation::Seen { source } => {
                self.blind.remove(&source);
                if self.heard.len() < HEARD {
                    self.heard.insert(source);
                }
            }
            Observation::Dropped { collector, count } => *self.dropped.entry(collector).or_default() += count,
            Observation::Vantage(seen) => {
                // Who looks again has seen it anew.
                self.vantages.retain(|known| known.host != seen.host);
                if self.vantages.len() < VANTAGES {
                    self.vantages.push(*seen);
                }
            }
            Observation::Upkeep(seen) => self.upkeep = Some(*seen),
            Observation::End => {}
            Observation::Done(stage) | Observation::Answered { stage, .. } => {
                if let Stage::Probes { plan, .. } = stage {
                    self.done.retain(|known| !matches!(known, Stage::Probes { plan: other, .. } if *other < plan));
                }
                self.done.insert(stage);
            }
        }
    }

    /// A run begins. Of one that a recording resumes, what happened stays; what was seen of the host is looked at anew, the ends of
    /// logs too, which would be counted twice otherwise.
    fn run(&mut self, at: Stamp, run: RunInfo) {
        if self.run.is_some() {
            let before = std::mem::take(self);
            self.resume(before);
            self.now = at;
        }
        self.began = self.began.or(Some(at));
        self.run = Some(run);
    }

    /// Takes over from a run before this one what happened in it.
    pub fn resume(&mut self, before: Self) {
        (self.began, self.watch, self.flips, self.operator) = (before.began, before.watch, before.flips, before.operator);
    }

    /// What logs and changes tell of the time up to this second, without anything that was looked at since.
    pub fn before(&self, second: i64) -> Self {
        let mut scene = Self {
            run: self.run.clone(),
            now: Stamp { run_ms: self.now.run_ms, wall_ms: second.saturating_mul(1000) },
            sources: self.sources.clone(),
            recent: self.recent.until(second),
            traffic: self.traffic.until(second),
            changes: self.changes.clone(),
            ..Self::default()
        };
        for (key, group) in &self.logs {
            if let Some(group) = group.until(second) {
                scene.logs.insert(key.clone(), group);
            }
        }
        if let Some(changes) = &mut scene.changes {
            changes.list.retain(|change| change.at <= second);
        }
        scene
    }

    /// Finds the signatures of the groups that are new since the last call: a group's lines are alike, so once is enough.
    pub fn classify(&mut self, catalog: &Catalog) {
        let mut known = Known::new();
        for key in std::mem::take(&mut self.unclassified) {
            if let Some(group) = self.logs.get_mut(&key) {
                group.classify(&catalog.signatures, &mut known);
            }
        }
    }

    /// The latest sample of load.
    pub fn load(&self) -> Option<&HostLoad> {
        self.loads.back().map(|(_, load)| load)
    }

    /// The services as they were seen last.
    pub fn services(&self) -> &[ServiceLoad] {
        self.services.back().map_or(&[], |(_, services)| services)
    }

    /// The service that is this upstream, or this gateway.
    pub fn service(&self, subject: &Subject) -> Option<&ServiceLoad> {
        self.services().iter().find(|service| service.serves.contains(subject))
    }

    /// Whether all that is known is an excerpt of logs.
    pub fn excerpt(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.excerpt)
    }

    /// Whether all this is of a tree of files whose host does not run here: nothing was tried, and its logs end now.
    pub fn copied(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.copied)
    }

    /// All results of the probes of one kind.
    pub fn probes_of(&self, probe: &str) -> impl Iterator<Item = &ProbeHistory> + use<'_> {
        self.probes.of_kind(probe)
    }

    /// All results of the probes of one kind about one subject.
    pub fn probes_about<'a>(&'a self, probe: &'a str, subject: &Subject) -> impl Iterator<Item = &'a ProbeHistory> + use<'a> {
        self.probes.about(probe, subject)
    }

    /// All results of requests through a gateway that can reach this server.
    pub fn probes_through(&self, upstream: &Subject) -> impl Iterator<Item = &ProbeHistory> + use<'_> {
        self.probes.through(upstream)
    }

    /// The routes that lead to this address, in the order of the configurations.
    pub fn routes_to(&self, address: &Address) -> Vec<(&Gateway, &Site, &Route)> {
        self.places.routes(&self.gateways, address)
    }

    /// What a gateway is called as the subject of a fact: its kind, and where several of that kind are there, what tells them apart.
    pub fn named(&self, gateway: &Gateway) -> Subject {
        let mut alike =
            self.all_gateways().filter(|other| other.kind == gateway.kind && !beside::same_instance(other, gateway)).peekable();
        if alike.peek().is_none() {
            return Subject(gateway.kind.clone());
        }
        let apart = match gateway.state {
            RunState::Running { pid, .. } if alike.any(|other| other.config == gateway.config) => format!("process {pid}"),
            RunState::Running { .. } | RunState::Stopped { .. } => gateway.config.display().to_string(),
        };
        Subject(format!("{} ({apart})", gateway.kind))
    }

    /// The history of one job.
    pub fn history(&self, job: &ProbeJob) -> Option<&ProbeHistory> {
        self.probes.of(job)
    }

    /// Gateways that the named URL does not concern: what was read of their logs before this was known is none of its evidence.
    fn set_aside(&mut self, others: Vec<Gateway>, concerned: &[Gateway]) {
        let ids = |all: &[Gateway]| all.iter().flat_map(|one| &one.logs).map(LogSource::id).collect::<BTreeSet<String>>();
        self.apart = &ids(&others) - &ids(concerned);
        if !self.apart.is_empty() {
            self.logs.retain(|(source, _), _| !self.apart.contains(source));
            self.onsets.retain(|source, _| !self.apart.contains(source));
        }
        self.beside = others;
    }

    /// All gateways of the host, those too that the named URL does not concern.
    pub fn all_gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.gateways.iter().chain(&self.beside)
    }

    fn live(&mut self, state: LiveState) {
        self.lives.retain(|known| !known.is_same_gateway(&state));
        if self.lives.len() < LIVES {
            self.lives.push(state);
        }
    }

    fn log(&mut self, at: Stamp, mut batch: LogBatch) {
        if batch.dropped > 0 {
            *self.dropped.entry(batch.source.clone()).or_default() += batch.dropped;
        }
        let stamps = |count: &LogCount| count.later.iter().map(|(second, _)| *second).max().max(count.second);
        let newest = batch.counts.iter().filter_map(stamps).max();
        let copied = self.copied();
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
            let latest = count.later.iter().map(|(second, _)| *second).max().unwrap_or(second).max(second);
            // Where nothing will come any more, what came last is what fails now.
            let lookback = batch.lookback && !(copied && at.wall_s() - latest <= ENDS_S);
            let later: u32 = count.later.iter().fold(0, |sum, (_, lines)| sum.saturating_add(*lines));
            if let (SourceKind::Access | SourceKind::Error, Some(status), false) = (batch.kind, group.meaning.status, group.ours())
            {
                self.traffic.take(second, status, u64::from(count.count.saturating_sub(later)));
                for (second, lines) in &count.later {
                    self.traffic.take(*second, status, u64::from(*lines));
                }
            }
            // First and last are there verbatim; those between are counted.
            let between = count.count.saturating_sub(1 + u32::from(count.last.is_some()));
            self.recent.take(&batch.source, group.number, second, &count.first, between);
            if let Some(last) = &count.last {
                self.recent.take(&batch.source, group.number, latest, last, 0);
            }
            group.take(count, lookback, at, seconds);
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
