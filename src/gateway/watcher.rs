//! The collector: looks at once, then again when something changed.

mod edits;
mod live;
mod own_test;
mod pulse;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use self::{
    live::{LIVE_CALM_MS, LIVE_SOURCE},
    pulse::{Glances, Pulse},
};
use super::{
    ALL, Found, Kind, Overrides, inside,
    missed::{last_words, leave_out_spare},
    off_thread,
    texts::Texts,
};
use crate::{
    model::{BlindSpot, ConfigTest, Gateway, LiveState, Observation, ProbePlan, ProcessInfo, RunState, Stage},
    sys::{DirWatcher, Outbox, Processes, Sys},
};

/// From one cheap check to the next: an edited file or a dead master is on the screen within this.
const PULSE: Duration = Duration::from_secs(2);
/// How long nothing may happen before an edit counts as complete: editors write a new file and rename it, and between two steps the
/// file is gone or cut short.
const SETTLE: Duration = Duration::from_millis(100);
/// Pauses of [`SETTLE`] that are made for one edit, at most.
const SETTLES: u32 = 10;
/// Events in a row that were no edit, after which the directories are looked at with the pulse alone: a log, or a document
/// root that is written all the time, lies beside the configuration.
const IDLE_WAKES: u32 = 20;
/// Milliseconds between two scans of all processes, at least (the host is already in trouble).
const SCAN_AT_MOST_MS: u64 = 10_000;
/// Milliseconds after which all processes are scanned again although nothing changed: a second instance leaves no trace in
/// the files of the first.
const SCAN_AT_LEAST_MS: u64 = 30_000;
/// Milliseconds after which everything is looked at again on a host on which all is well, although no file and no process of a gateway
/// changed: what neither tells is a unit file, or a user's id.
const LOOK_AT_LEAST_MS: u64 = 120_000;
/// How old a list of processes may be that is looked through because it is time, and not because something happened.
const LISTED: Duration = Duration::from_secs(10);

/// Finds gateways and tells of them, at once and whenever something about them changes, until cancelled or nobody listens. `stays`: until a
/// person leaves, who may edit; else the first pass may be all that is wanted. `looking`: is dropped after the first look. `plans`: tell whether all
/// is well.
pub async fn run(
    sys: Sys,
    overrides: Overrides,
    stays: bool,
    looking: oneshot::Sender<()>,
    plans: watch::Receiver<ProbePlan>,
    outbox: Outbox,
    cancel: CancellationToken,
) {
    let mut watcher = Watcher {
        sys,
        overrides,
        stays,
        looking: Some(looking),
        plans,
        outbox,
        processes: None,
        scanned_ms: 0,
        kin: Vec::new(),
        looked_ms: 0,
        told: None,
        tests: Tests::new(),
        tested_ms: 0,
        texts: None,
        lives: Vec::new(),
        asked_ms: 0,
        ask_again_ms: LIVE_CALM_MS,
        blind: BTreeSet::new(),
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = watcher.go() => {}
    }
}

/// Milliseconds after which a test that failed, or could not be made, is made again although no file changed.
const TEST_AGAIN_MS: u64 = 30_000;
/// The blind spot of a test that was not made.
const TEST_SOURCE: &str = "the gateway's own test";

/// Whether a blind spot does not come from a look at the files.
fn apart(source: &str) -> bool {
    ["process list", TEST_SOURCE].contains(&source) || source.ends_with(LIVE_SOURCE)
}

/// Results of tests, by [`identity`].
type Tests = BTreeMap<(PathBuf, Option<u32>), Result<ConfigTest, String>>;

/// Which configuration, and which process has it.
fn identity(gateway: &Gateway) -> (PathBuf, Option<u32>) {
    match gateway.state {
        RunState::Running { pid, .. } => (gateway.config.clone(), Some(pid)),
        RunState::Stopped { .. } => (gateway.config.clone(), None),
    }
}

/// A process and when it began, with its command line.
type Relative = (u32, Option<u64>, Vec<String>);

/// Those of gateways, in the order of the list.
fn kin(processes: &[ProcessInfo]) -> Vec<Relative> {
    let is_one = |process: &&ProcessInfo| ALL.iter().any(|kind| kind.programs().contains(&process.program().as_ref()));
    processes.iter().filter(is_one).map(|process| (process.pid, process.start_ticks, process.argv.clone())).collect()
}

/// Gateways of one kind in other namespaces that are read, at most: an ingress has some per node, and each look costs a thread's time.
const ABROAD: usize = 16;

/// Nobody listens any more.
struct Deaf;

struct Watcher {
    sys: Sys,
    overrides: Overrides,
    stays: bool,
    /// As long as the first look is not over.
    looking: Option<oneshot::Sender<()>>,
    plans: watch::Receiver<ProbePlan>,
    outbox: Outbox,
    /// As of the last scan. `None`: they could not be listed.
    processes: Option<Processes>,
    /// When the last scan was made, in milliseconds of this run.
    scanned_ms: u64,
    /// The gateways' processes at the last look, and when that was.
    kin: Vec<Relative>,
    looked_ms: u64,
    /// What was told last.
    told: Option<Vec<Gateway>>,
    /// What the gateways' own tests said of their files as they are.
    tests: Tests,
    /// When they were made, in milliseconds of this run.
    tested_ms: u64,
    /// The texts as found, and as they are. `None`: a first pass is not complete, and may be all that is wanted; or they are
    /// with a thread that hangs.
    texts: Option<Texts>,
    /// What the gateways said of themselves last.
    lives: Vec<LiveState>,
    /// When they were asked, and after how many milliseconds they are asked again.
    asked_ms: u64,
    ask_again_ms: u64,
    /// Sources of the blind spots that were told and hold.
    blind: BTreeSet<String>,
}

impl Watcher {
    async fn go(&mut self) {
        // The receiver's end is the only failure here, and it ends the run like a cancellation.
        let _: Result<(), Deaf> = self.follow().await;
    }

    async fn follow(&mut self) -> Result<(), Deaf> {
        self.scan(true).await?;
        let began = self.sys.clock.now().wall_s();
        let mut watch = self.look().await?;
        self.tell(Observation::Done(Stage::Gateways)).await?;
        self.looking = None;
        // A test takes its time, and whoever stays may edit meanwhile.
        let mut pulse = if self.stays { Some(self.first_texts(&mut watch, began).await?) } else { None };
        self.live().await?;
        self.tell(Observation::Done(Stage::Live)).await?;
        self.test().await?;
        self.tell(Observation::Done(Stage::ConfigTest)).await?;
        let mut pulse = Arc::new(match pulse.take() {
            Some(pulse) => pulse,
            None => self.first_texts(&mut watch, began).await?,
        });
        // An edit is seen at once where the kernel tells of it, else with the next pulse.
        let (edit, mut edits) = tokio::sync::watch::channel(());
        let mut directories = DirWatcher::new(move || edit.send_modify(|()| ()));
        self.watch(&mut directories, &watch).await;
        let (mut idle, mut glances) = (0, Glances::default());
        // A change of processes that was seen too soon after the last scan.
        let mut due = false;
        loop {
            let now = tokio::select! {
                () = self.sys.clock.rest(PULSE) => {
                    idle = 0;
                    glances.look(&self.sys.root, self.told.as_deref().unwrap_or_default(), &watch, &pulse).await;
                    None
                }
                Some(found) = glances.found() => Some(found),
                Ok(()) = edits.changed(), if idle < IDLE_WAKES => {
                    idle += 1;
                    for _ in 0..SETTLES {
                        edits.mark_unchanged();
                        tokio::time::sleep(SETTLE).await;
                        if !edits.has_changed().unwrap_or(false) {
                            break;
                        }
                    }
                    // What was seen before it settled is no news any more.
                    glances = Glances::default();
                    edits.mark_unchanged();
                    // A check that hangs says nothing; the look itself will tell.
                    let Some(now) = self.pulse(&watch).await else { continue };
                    Some(now)
                }
            };
            let edited = now.as_ref().is_some_and(|now| now.files != pulse.files);
            if edited {
                idle = 0;
            }
            if self.sys.clock.now().run_ms.saturating_sub(self.asked_ms) >= self.ask_again_ms {
                self.live().await?;
            }
            // A pid file stands among the files, so an edit may be a start.
            let replaced = now.as_ref().is_some_and(|now| now.masters != pulse.masters);
            due |= replaced || edited;
            if let Some(now) = now {
                if replaced {
                    self.family(&now).await;
                }
                pulse = Arc::new(now);
            }
            let age = self.sys.clock.now().run_ms.saturating_sub(self.scanned_ms);
            // What is known to be here says by its pid file when it starts; the scan is saved for that moment.
            let known = self.told.as_ref().is_some_and(|told| !told.is_empty());
            let scan = age >= if due || !known { SCAN_AT_MOST_MS } else { SCAN_AT_LEAST_MS };
            // What was seen before the scan, or by it, is to be looked at.
            let other = scan && {
                self.scan(due).await?;
                std::mem::take(&mut due) || !self.is_as_it_was()
            };
            // A failure may have been mended where no file of the configuration tells: a certificate, a name.
            let failed = self.tests.values().any(|test| !matches!(test, Ok(test) if test.passed));
            let now_ms = self.sys.clock.now().run_ms;
            if edited || failed && scan && now_ms.saturating_sub(self.tested_ms) >= TEST_AGAIN_MS {
                self.tests.clear();
            }
            if other || edited || replaced {
                watch = self.look().await?;
                self.watch(&mut directories, &watch).await;
                self.test().await?;
                // The new look may have found other files. What changed since it began is found by the pulse after.
                if let Some(fresh) = self.pulse(&watch).await {
                    pulse = Arc::new(fresh.since(&pulse));
                }
                glances = Glances::default();
            }
        }
    }

    /// Keeps the texts as they are from now on, and the pulse by which a change is seen. What was written since the look began may not be
    /// what was looked at: then it is looked at once more.
    async fn first_texts(&mut self, watch: &mut Vec<PathBuf>, began: i64) -> Result<Pulse, Deaf> {
        let edits = self.begin().await;
        if !edits.is_empty() {
            self.tell(Observation::Edited(edits)).await?;
        }
        let pulse = self.pulse(watch).await.unwrap_or_default();
        if pulse.written_since(began) {
            *watch = self.look().await?;
        }
        Ok(pulse)
    }

    /// Lists all processes: anew, where it is known that they are others by now, else as somebody listed them a moment ago.
    async fn scan(&mut self, anew: bool) -> Result<(), Deaf> {
        const SOURCE: &str = "process list";
        self.scanned_ms = self.sys.clock.now().run_ms;
        // What is let go of need not be copied when it is brought up to date.
        self.processes = None;
        let listed = if anew { self.sys.rights.processes().await } else { self.sys.rights.recent_processes(LISTED).await };
        match listed {
            Ok(list) => {
                self.processes = Some(list);
                self.seen(SOURCE).await
            }
            Err(refusal) => {
                self.processes = None;
                let remedy = "run where /proc is mounted, or name the configuration with --config".to_owned();
                self.spot(BlindSpot { source: SOURCE.to_owned(), reason: refusal.to_string(), remedy }).await
            }
        }
    }

    /// Whether a look would find what the last one found: all is well, and the same processes run. In other namespaces files may have
    /// changed that are not seen from here.
    fn is_as_it_was(&self) -> bool {
        let told = self.told.as_deref().unwrap_or_default();
        !self.plans.borrow().quick()
            && self.blind.is_empty()
            && !told.is_empty()
            && told.iter().all(|gateway| gateway.inside.is_none())
            && self.tests.values().all(|test| matches!(test, Ok(test) if test.passed))
            && self.sys.clock.now().run_ms.saturating_sub(self.looked_ms) < LOOK_AT_LEAST_MS
            && self.processes.as_ref().is_some_and(|processes| kin(processes) == self.kin)
    }

    /// Looks for gateways of all kinds, and tells what is new.
    async fn look(&mut self) -> Result<Vec<PathBuf>, Deaf> {
        self.looked_ms = self.sys.clock.now().run_ms;
        self.kin = self.processes.as_ref().map(|processes| kin(processes)).unwrap_or_default();
        let mut all = Found::default();
        let mut elsewhere: Vec<Gateway> = Vec::new();
        let wanted = |id: &str| self.overrides.kind.as_deref().is_none_or(|kind| kind == id);
        // Together: one thread looks for one after the other, and nobody is woken in between.
        let kinds = ALL.iter().filter(|kind| wanted(kind.id()));
        let looks = kinds.map(async |kind| (kind, kind.look(&self.sys, self.processes.clone(), &self.overrides).await));
        for (kind, mut found) in futures_util::future::join_all(looks).await {
            self.abroad(*kind, &mut found, &mut elsewhere).await;
            all.gateways.extend(found.gateways);
            all.blind.extend(found.blind);
            all.watch.extend(found.watch);
        }
        let fresh: BTreeSet<String> = all.blind.iter().map(|spot| spot.source.clone()).collect();
        let gone: Vec<String> = self.blind.iter().filter(|source| !fresh.contains(*source) && !apart(source)).cloned().collect();
        for source in gone {
            self.seen(&source).await?;
        }
        for spot in all.blind {
            self.spot(spot).await?;
        }
        all.gateways.extend(elsewhere);
        if all.gateways.len() > 1 {
            let (root, gateways) = (self.sys.root.clone(), all.gateways.clone());
            let words = off_thread(move || last_words(&root, &gateways)).await.unwrap_or_default();
            leave_out_spare(&mut all.gateways, &words, self.sys.clock.now().wall_s());
        }
        let edits = self.edits(&all.gateways).await;
        if !edits.is_empty() {
            self.tests.clear();
            self.tell(Observation::Edited(edits)).await?;
        }
        for gateway in &mut all.gateways {
            gateway.test = self.tests.get(&identity(gateway)).and_then(|test| test.clone().ok());
        }
        self.gateways(all.gateways).await?;
        Ok(all.watch)
    }

    /// Reads those of a kind that run in other namespaces. What the command line names is one of this host's.
    async fn abroad(&self, kind: &dyn Kind, found: &mut Found, elsewhere: &mut Vec<Gateway>) {
        let Some(processes) = &self.processes else { return };
        for gateway in &mut found.gateways {
            inside::private_paths(&self.sys, gateway, processes).await;
        }
        if self.overrides.config.is_some() {
            return;
        }
        for pid in std::mem::take(&mut found.abroad).into_iter().take(ABROAD) {
            let Some(one) = inside::look(&self.sys, kind, pid, processes, &self.overrides).await else { continue };
            if !one.gateways.is_empty() || !one.blind.is_empty() {
                found.blind.retain(|spot| spot.source != format!("{}, process {pid}", kind.id()));
            }
            elsewhere.extend(one.gateways);
            found.blind.extend(one.blind);
            found.watch.extend(one.watch);
        }
    }

    /// Tells of the gateways, where something about them is new.
    async fn gateways(&mut self, gateways: Vec<Gateway>) -> Result<(), Deaf> {
        if self.told.as_ref() != Some(&gateways) {
            self.tell(Observation::Gateways(gateways.clone())).await?;
            self.told = Some(gateways);
        }
        Ok(())
    }

    /// The system as a gateway sees it that is to be asked. `None`: it is in other namespaces, and they can't be entered.
    fn seen_by(&self, gateway: &Gateway) -> Option<Sys> {
        if gateway.inside.is_none() { Some(self.sys.clone()) } else { inside::seen_by(&self.sys, gateway) }
    }

    async fn pulse(&self, watch: &[PathBuf]) -> Option<Pulse> {
        Pulse::take(&self.sys.root, self.told.as_deref().unwrap_or_default(), watch).await
    }

    async fn spot(&mut self, spot: BlindSpot) -> Result<(), Deaf> {
        if self.blind.insert(spot.source.clone()) { self.tell(Observation::Blind(spot)).await } else { Ok(()) }
    }

    async fn seen(&mut self, source: &str) -> Result<(), Deaf> {
        if self.blind.remove(source) { self.tell(Observation::Seen { source: source.to_owned() }).await } else { Ok(()) }
    }

    async fn tell(&self, observation: Observation) -> Result<(), Deaf> {
        if self.outbox.tell(observation).await { Ok(()) } else { Err(Deaf) }
    }
}

#[cfg(test)]
mod tests;
