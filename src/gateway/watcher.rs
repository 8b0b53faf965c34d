//! The collector: looks at once, then again when something changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{ALL, Found, Overrides, off_thread};
use crate::{
    model::{BlindSpot, Command, ConfigTest, Gateway, Observation, ProcessInfo, RunState, Stage},
    sys::{DirWatcher, FileInfo, Outbox, Root, Sys},
};

/// From one cheap check to the next: an edited file or a dead master is on the screen within this.
const PULSE: Duration = Duration::from_secs(2);
/// How long an edit may take from its first event to its last: editors write a new file and rename it.
const SETTLE: Duration = Duration::from_millis(100);
/// Directories that are watched, at most: those of an included file each.
const DIRECTORIES: usize = 128;
/// Milliseconds between two scans of all processes, at least (the host is already in trouble).
const SCAN_AT_MOST_MS: u64 = 10_000;
/// Milliseconds after which all processes are scanned again although nothing changed: a second instance leaves no trace in
/// the files of the first.
const SCAN_AT_LEAST_MS: u64 = 30_000;
/// Files whose time of modification is asked for every two seconds, at most; changes of the rest wait for the next scan.
const PULSE_FILES: usize = 1000;

/// Finds gateways and tells of them, at once and whenever something about them changes, until cancelled or nobody listens.
pub async fn run(sys: Sys, overrides: Overrides, outbox: Outbox, cancel: CancellationToken) {
    let mut watcher = Watcher {
        sys,
        overrides,
        outbox,
        processes: None,
        scanned_ms: 0,
        told: None,
        tests: Tests::new(),
        tested_ms: 0,
        blind: BTreeSet::new(),
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = watcher.go() => {}
    }
}

/// How long a gateway's own test may take in all: a configuration of thousands of certificates takes a second or two.
const TEST_DEADLINE: Duration = Duration::from_secs(5);
/// Milliseconds after which a test that failed, or could not be made, is made again although no file changed.
const TEST_AGAIN_MS: u64 = 30_000;
/// The blind spot of a test that was not made.
const TEST_SOURCE: &str = "the gateway's own test";
/// Blind spots that do not come from a look at the files.
const APART: &[&str] = &["process list", TEST_SOURCE];

/// Results of tests, by [`identity`].
type Tests = BTreeMap<(PathBuf, Option<u32>), Result<ConfigTest, String>>;

/// Which configuration, and which process has it.
fn identity(gateway: &Gateway) -> (PathBuf, Option<u32>) {
    match gateway.state {
        RunState::Running { pid, .. } => (gateway.config.clone(), Some(pid)),
        RunState::Stopped { .. } => (gateway.config.clone(), None),
    }
}

/// Nobody listens any more.
struct Deaf;

struct Watcher {
    sys: Sys,
    overrides: Overrides,
    outbox: Outbox,
    /// As of the last scan. `None`: they could not be listed.
    processes: Option<Vec<ProcessInfo>>,
    /// When the last scan was made, in milliseconds of this run.
    scanned_ms: u64,
    /// What was told last.
    told: Option<Vec<Gateway>>,
    /// What the gateways' own tests said of their files as they are.
    tests: Tests,
    /// When they were made, in milliseconds of this run.
    tested_ms: u64,
    /// Sources of the blind spots that were told and hold.
    blind: BTreeSet<String>,
}

/// What may be asked for every two seconds, and tells that something changed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pulse {
    files: Vec<(PathBuf, Option<FileInfo>)>,
    /// Running gateways with their children: a reload or a crash replaces workers, an end leaves none.
    masters: Vec<(u32, Option<String>)>,
}

/// The directories of the configuration. Where pid files and sockets are, too much happens that is none of ours.
fn configured(watch: &[PathBuf]) -> BTreeSet<PathBuf> {
    let busy = ["/run", "/var/run", "/proc", "/dev", "/tmp", "/var/log"].map(Path::new);
    let parents = watch.iter().filter_map(|path| path.parent());
    parents.filter(|dir| !busy.contains(dir)).take(DIRECTORIES).map(Path::to_owned).collect()
}

impl Watcher {
    async fn go(&mut self) {
        // The receiver's end is the only failure here, and it ends the run like a cancellation.
        let _: Result<(), Deaf> = self.follow().await;
    }

    async fn follow(&mut self) -> Result<(), Deaf> {
        self.scan().await?;
        let mut watch = self.look().await?;
        self.tell(Observation::Done(Stage::Gateways)).await?;
        self.test().await?;
        self.tell(Observation::Done(Stage::ConfigTest)).await?;
        let mut pulse = self.pulse(&watch).await.unwrap_or_default();
        // An edit is seen at once where the kernel tells of it, else with the next pulse.
        let (edit, mut edits) = tokio::sync::watch::channel(());
        let mut directories = DirWatcher::new(move || edit.send_modify(|()| ()));
        // A change of processes that was seen too soon after the last scan.
        let mut due = false;
        loop {
            directories.set(configured(&watch));
            tokio::select! {
                () = tokio::time::sleep(PULSE) => {}
                Ok(()) = edits.changed() => tokio::time::sleep(SETTLE).await,
            }
            edits.mark_unchanged();
            // A check that hangs says nothing; the look itself will tell.
            let Some(now) = self.pulse(&watch).await else { continue };
            let edited = now.files != pulse.files;
            // A pid file stands among the files, so an edit may be a start.
            due |= now.masters != pulse.masters || edited;
            pulse = now;
            let age = self.sys.clock.now().run_ms.saturating_sub(self.scanned_ms);
            // What is known to be here says by its pid file when it starts; the scan is saved for that moment.
            let known = self.told.as_ref().is_some_and(|told| !told.is_empty());
            let scan = age >= if due || !known { SCAN_AT_MOST_MS } else { SCAN_AT_LEAST_MS };
            if scan {
                self.scan().await?;
                due = false;
            }
            // A failure may have been mended where no file of the configuration tells: a certificate, a name.
            let failed = self.tests.values().any(|test| !matches!(test, Ok(test) if test.passed));
            let now_ms = self.sys.clock.now().run_ms;
            if edited || failed && scan && now_ms.saturating_sub(self.tested_ms) >= TEST_AGAIN_MS {
                self.tests.clear();
            }
            if scan || edited {
                watch = self.look().await?;
                self.test().await?;
                // The new look may have found other files; what changed between the two is found by the one after.
                if let Some(fresh) = self.pulse(&watch).await {
                    pulse = fresh;
                }
            }
        }
    }

    /// Lists all processes anew.
    async fn scan(&mut self) -> Result<(), Deaf> {
        const SOURCE: &str = "process list";
        self.scanned_ms = self.sys.clock.now().run_ms;
        match self.sys.rights.processes().await {
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

    /// Looks for gateways of all kinds, and tells what is new.
    async fn look(&mut self) -> Result<Vec<PathBuf>, Deaf> {
        let mut all = Found::default();
        let wanted = |id: &str| self.overrides.kind.as_deref().is_none_or(|kind| kind == id);
        for kind in ALL.iter().filter(|kind| wanted(kind.id())) {
            let found = kind.look(&self.sys, self.processes.as_deref(), &self.overrides).await;
            all.gateways.extend(found.gateways);
            all.blind.extend(found.blind);
            all.watch.extend(found.watch);
        }
        let fresh: BTreeSet<String> = all.blind.iter().map(|spot| spot.source.clone()).collect();
        let gone: Vec<String> =
            self.blind.iter().filter(|source| !fresh.contains(*source) && !APART.contains(&source.as_str())).cloned().collect();
        for source in gone {
            self.seen(&source).await?;
        }
        for spot in all.blind {
            self.spot(spot).await?;
        }
        for gateway in &mut all.gateways {
            gateway.test = self.tests.get(&identity(gateway)).and_then(|test| test.clone().ok());
        }
        self.gateways(all.gateways).await?;
        Ok(all.watch)
    }

    /// Tells of the gateways, where something about them is new.
    async fn gateways(&mut self, gateways: Vec<Gateway>) -> Result<(), Deaf> {
        if self.told.as_ref() != Some(&gateways) {
            self.tell(Observation::Gateways(gateways.clone())).await?;
            self.told = Some(gateways);
        }
        Ok(())
    }

    /// Lets those gateways test their configuration that have not done so since it changed, and tells what is new.
    async fn test(&mut self) -> Result<(), Deaf> {
        // Elsewhere the binary is none of this host's; and a test looks names up.
        if !self.sys.probing {
            return Ok(());
        }
        let mut gateways = self.told.clone().unwrap_or_default();
        for gateway in &mut gateways {
            let key = identity(gateway);
            if self.tests.contains_key(&key) {
                continue;
            }
            let Some(kind) = ALL.iter().find(|kind| kind.id() == gateway.kind) else { continue };
            self.tested_ms = self.sys.clock.now().run_ms;
            let made = tokio::time::timeout(TEST_DEADLINE, kind.test(&self.sys, gateway)).await;
            let test = made.unwrap_or_else(|_| Err(format!("it took longer than {} s", TEST_DEADLINE.as_secs())));
            gateway.test = test.clone().ok();
            match &test {
                Ok(_) if self.tests.values().any(Result::is_err) => {}
                Ok(_) => self.seen(TEST_SOURCE).await?,
                Err(why) => {
                    let command = gateway.commands.get("test").cloned().and_then(Command::new);
                    let remedy = command.map_or_else(String::new, |command| format!("run it by hand, as root: {command}"));
                    self.spot(BlindSpot { source: TEST_SOURCE.to_owned(), reason: why.clone(), remedy }).await?;
                }
            }
            self.tests.insert(key, test);
        }
        self.gateways(gateways).await
    }

    async fn pulse(&self, watch: &[PathBuf]) -> Option<Pulse> {
        let gateways = self.told.as_deref().unwrap_or_default();
        let files = gateways.iter().flat_map(|gateway| &gateway.files).map(|(path, _)| path).chain(watch);
        let files: Vec<PathBuf> = files.take(PULSE_FILES).cloned().collect();
        let pid = |gateway: &Gateway| match gateway.state {
            RunState::Running { pid, .. } => Some(pid),
            RunState::Stopped { .. } => None,
        };
        let pids: Vec<u32> = gateways.iter().filter_map(pid).collect();
        let root = self.sys.root.clone();
        off_thread(move || Pulse {
            files: files.into_iter().map(|path| (root.stat(&path).ok(), path)).map(|(info, path)| (path, info)).collect(),
            masters: pids.into_iter().map(|pid| (pid, children(&root, pid))).collect(),
        })
        .await
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

/// The children of a process, as its main thread lists them (proc(5), CONFIG_PROC_CHILDREN); empty where the kernel doesn't.
/// `None`: it ended.
fn children(root: &Root, pid: u32) -> Option<String> {
    // A zombie keeps its directory, but serves nobody: its command line is empty.
    let cmdline = root.text(format!("/proc/{pid}/cmdline")).ok()?;
    (!cmdline.is_empty()).then(|| root.text(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default())
}

#[cfg(test)]
mod tests;
