//! The configuration while somebody works on it: each save with its meaning, its test, and the load that took it; and whether what runs
//! is what is on disk.
//!
//! [`ConfigWatch`] is a fold over the stream, so a recording gives the same. What it says of a load is told by the start of processes and by the
//! times of files, to the second: never guessed.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
};

use super::{ConfigChange, Scene, change::changes, wrote};
use crate::{
    catalog::Catalog,
    model::{ConfigEdit, ConfigTest, Gateway, Order as _, RunState, Stamp, WayBack},
};

/// Edits that are kept: who saves more often than this in one incident looks at the last ones.
const EDITS: usize = 100;
/// Loads that are kept.
const LOADS: usize = 50;
/// Files whose time as found is kept.
const FILES: usize = 4_000;
/// Seconds by which the start of a process may be told too early: it is made of two figures that are cut to seconds (proc(5)).
const START_S: i64 = 1;
/// Seconds from a save until it is noticed, at most: a pulse, and what a loaded host adds. A file that is older when it is noticed
/// was brought here with its time.
const NOTICED_S: i64 = 10;

/// One file of one save.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// A number of its own, from 1 in the order of time.
    pub number: u64,
    /// When it was noticed.
    pub at: Stamp,
    /// What became of the file.
    pub what: ConfigEdit,
    /// What it means.
    pub words: Vec<ConfigChange>,
    /// What the gateway's own test said after it. `None`: it was not, or could not be, made.
    pub test: Option<ConfigTest>,
    /// When what it wrote was loaded, in seconds since the Unix epoch. `None`: it was not.
    pub taken: Option<i64>,
}

impl Edit {
    /// When it was saved, in seconds since the Unix epoch, as far as can be told.
    pub fn saved(&self) -> i64 {
        let noticed = self.at.wall_s();
        self.what.modified.filter(|modified| (0..=NOTICED_S).contains(&(noticed - modified))).unwrap_or(noticed)
    }

    fn is_of(&self, gateway: &Gateway) -> bool {
        self.what.kind == gateway.kind && self.what.config == gateway.config
    }
}

/// A load that was seen to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The gateway's kind.
    pub kind: String,
    /// Its main file.
    pub config: PathBuf,
    /// When, in seconds since the Unix epoch: the start of the processes that serve now.
    pub at: i64,
    /// Whether the whole gateway started anew, rather than by a reload.
    pub restart: bool,
}

/// Which gateway: its kind and its main file.
type Key = (String, PathBuf);

/// What was seen of the configuration since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigWatch {
    /// The edits, oldest first.
    pub edits: VecDeque<Edit>,
    /// The loads, oldest first.
    pub loads: VecDeque<Load>,
    numbers: u64,
    /// When each file was modified as it was first seen.
    found: BTreeMap<(Key, PathBuf), Option<i64>>,
}

/// What runs of a gateway.
fn runs(gateway: &Gateway) -> Option<(u32, Option<i64>, Option<i64>)> {
    match gateway.state {
        RunState::Running { pid, since, workers_since } => Some((pid, since, workers_since.or(since))),
        RunState::Stopped { .. } => None,
    }
}

fn key(gateway: &Gateway) -> Key {
    (gateway.kind.clone(), gateway.config.clone())
}

impl ConfigWatch {
    /// Files were saved.
    pub(super) fn edited(&mut self, at: Stamp, edits: Vec<ConfigEdit>) {
        for what in edits {
            self.numbers += 1;
            if self.edits.len() == EDITS {
                self.edits.pop_front();
            }
            self.edits.push_back(Edit { number: self.numbers, at, what, words: Vec::new(), test: None, taken: None });
        }
    }

    /// The gateways are told anew.
    pub(super) fn gateways(&mut self, old: &[Gateway], new: &[Gateway]) {
        for gateway in new {
            let before = old.iter().find(|known| known.kind == gateway.kind && known.config == gateway.config);
            let Some(before) = before else {
                self.first_seen(gateway);
                continue;
            };
            let edited = self.edits.iter().any(|edit| edit.is_of(gateway));
            if edited {
                self.attach(before, gateway);
            }
            self.load(before, gateway);
        }
    }

    fn first_seen(&mut self, gateway: &Gateway) {
        for (path, modified) in &gateway.files {
            if self.found.len() < FILES {
                self.found.entry((key(gateway), path.clone())).or_insert(*modified);
            }
        }
    }

    /// What an edit means, and what the gateway says of it.
    fn attach(&mut self, before: &Gateway, gateway: &Gateway) {
        let Some(newest) = self.edits.iter().rfind(|edit| edit.is_of(gateway)).map(|edit| edit.at) else { return };
        // A save may hold several files; one of an earlier save has its words already.
        let mut batch: Vec<&mut Edit> = self.edits.iter_mut().filter(|edit| edit.is_of(gateway) && edit.at == newest).collect();
        for change in changes(before, gateway) {
            let at = batch.iter().position(|edit| change.at.as_ref().is_some_and(|at| *at.file == edit.what.file)).unwrap_or(0);
            if let Some(edit) = batch.get_mut(at) {
                edit.words.push(change);
            }
        }
        if gateway.test.is_some() {
            for edit in batch {
                edit.test.clone_from(&gateway.test);
            }
        }
    }

    /// Whether it was loaded anew.
    fn load(&mut self, before: &Gateway, gateway: &Gateway) {
        let Some((pid, since, loaded)) = runs(gateway) else { return };
        let was = runs(before);
        let again = before.generation.zip(gateway.generation).is_some_and(|(old, new)| old < new);
        if !again && was.is_some_and(|(old_pid, _, old_loaded)| old_pid == pid && old_loaded >= loaded) {
            return;
        }
        let Some(loaded) = loaded else { return };
        // A worker that crashed is replaced, too; what started last then is not older than the others.
        let restart = was.is_none_or(|(old_pid, old_since, _)| old_pid != pid && old_since != since);
        if self.loads.len() == LOADS {
            self.loads.pop_front();
        }
        self.loads.push_back(Load { kind: gateway.kind.clone(), config: gateway.config.clone(), at: loaded, restart });
        for edit in self.edits.iter_mut().filter(|edit| edit.is_of(gateway) && edit.taken.is_none()) {
            if loaded + START_S >= edit.saved() {
                edit.taken = Some(loaded);
            }
        }
    }

    /// Whether a file holds what it held when it was loaded, although it was written since.
    fn as_loaded(&self, gateway: &Gateway, path: &PathBuf, loaded: i64) -> bool {
        let of_file = || self.edits.iter().filter(|edit| edit.is_of(gateway) && edit.what.file == *path);
        let found = self.found.get(&(key(gateway), path.clone())).copied().flatten();
        of_file().next_back().is_some_and(|edit| edit.what.back == WayBack::AsFound)
            && of_file().all(|edit| edit.taken.is_none())
            && found.is_some_and(|found| found <= loaded + START_S)
    }
}

/// Whether what runs of a gateway is what is on disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// When what runs was loaded, in seconds since the Unix epoch. `None`: it does not run, or it is not known.
    pub loaded: Option<i64>,
    /// Files that are younger than that, with their times, youngest first; those that are gone with the time at which that was noticed.
    pub newer: Vec<(PathBuf, i64)>,
    /// What was logged of a load that failed since, and when.
    pub failed: Option<(i64, String)>,
    /// Processes of an older configuration that finish what they began, and since when they do.
    pub draining: Option<(usize, i64)>,
    /// What proves that what runs differs: a fact's sentence.
    pub differs: Option<String>,
}

impl Standing {
    /// How a gateway stands.
    pub fn of(scene: &Scene, catalog: Option<&Catalog>, gateway: &Gateway) -> Self {
        let Some(loaded) = runs(gateway).and_then(|(_, _, loaded)| loaded) else { return Self::default() };
        let watch = &scene.watch;
        let mut newer: BTreeMap<&PathBuf, i64> = BTreeMap::new();
        for (path, modified) in &gateway.files {
            if let Some(modified) = modified.filter(|modified| *modified > loaded + START_S) {
                newer.insert(path, modified);
            }
        }
        // What ran was told before the edit was, so that it is older, however few the seconds between are.
        let waits = |edit: &&Edit| edit.is_of(gateway) && edit.taken.is_none() && !gateway.per_request.contains(&edit.what.file);
        for edit in watch.edits.iter().filter(waits) {
            let at = newer.entry(&edit.what.file).or_insert(i64::MIN);
            *at = edit.saved().max(*at);
        }
        let mut newer: Vec<(PathBuf, i64)> = newer
            .into_iter()
            .filter(|(path, _)| !watch.as_loaded(gateway, path, loaded))
            .map(|(path, at)| (path.clone(), at))
            .collect();
        newer.order_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let failed = newer.first().and_then(|(_, youngest)| refused(scene, catalog?, gateway, *youngest));
        let draining = (!gateway.draining.is_empty()).then_some((gateway.draining.len(), loaded));
        Self { loaded: Some(loaded), newer, failed, draining, differs: None }
    }

    /// Whether a reload is missing.
    pub fn reload_missing(&self) -> bool {
        !self.newer.is_empty()
    }
}

/// The last line in this gateway's logs that says that its configuration does not load, if it is not older than this second.
fn refused(scene: &Scene, catalog: &Catalog, gateway: &Gateway, from: i64) -> Option<(i64, String)> {
    const CAUSE: &str = "gateway-config-invalid";
    let ours = |source: &str| wrote(scene, gateway, source) || gateway.unit.as_deref().is_some_and(|unit| source.ends_with(unit));
    let groups = scene.logs.values().filter(|group| ours(&group.source));
    groups
        .filter_map(|group| {
            let signature = group.signature(&catalog.signatures)?;
            let last = group.last_second().filter(|last| last + START_S >= from)?;
            signature.causes.iter().any(|cause| cause == CAUSE).then(|| (last, group.last.clone()))
        })
        .max()
}

#[cfg(test)]
mod tests;
