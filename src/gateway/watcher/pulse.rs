//! What is cheap enough to be asked for every two seconds.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Weak},
};

use tokio::sync::mpsc;

use super::super::LOOK_DEADLINE;
use crate::{
    model::{Gateway, RunState},
    sys::{FileInfo, Root, blocking, left},
};

/// Files whose time of modification is asked for every two seconds, at most; changes of the rest wait for the next scan.
const PULSE_FILES: usize = 1000;

/// What may be asked for every two seconds, and tells that something changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Files of the configuration, and what they are.
    pub files: Vec<(PathBuf, Option<FileInfo>)>,
    /// Running gateways with their children: a reload or a crash replaces workers, an end leaves none.
    pub masters: Vec<(u32, Option<String>)>,
}

impl Pulse {
    /// This one, with what an earlier one says of the same: so that a change between the two is still seen as one.
    pub fn since(mut self, earlier: &Self) -> Self {
        let files: BTreeMap<&PathBuf, Option<FileInfo>> = earlier.files.iter().map(|(path, info)| (path, *info)).collect();
        for (path, info) in &mut self.files {
            if let Some(known) = files.get(path) {
                *info = *known;
            }
        }
        let masters: BTreeMap<u32, &Option<String>> = earlier.masters.iter().map(|(pid, children)| (*pid, children)).collect();
        for (pid, children) in &mut self.masters {
            if let Some(known) = masters.get(pid) {
                children.clone_from(known);
            }
        }
        self
    }

    /// Whether one of the files was written or put in its place in this second of the Unix epoch or later.
    pub fn written_since(&self, second: i64) -> bool {
        self.files.iter().filter_map(|(_, info)| *info).any(|info| info.modified.max(info.changed) >= second)
    }

    /// How it is now. `None`: a file system hangs.
    pub async fn take(root: &Root, gateways: &[Gateway], watch: &[PathBuf]) -> Option<Self> {
        blocking(LOOK_DEADLINE, Self::look(root, gateways, watch)).await
    }

    /// What tells how it is, where it may hang.
    fn look(root: &Root, gateways: &[Gateway], watch: &[PathBuf]) -> impl FnOnce() -> Self + Send + 'static {
        let files =
            gateways.iter().flat_map(|gateway| gateway.files.iter().map(|(path, _)| path).chain(&gateway.per_request)).chain(watch);
        let files: Vec<PathBuf> = files.take(PULSE_FILES).cloned().collect();
        let pid = |gateway: &Gateway| match gateway.state {
            RunState::Running { pid, .. } => Some(pid),
            RunState::Stopped { .. } => None,
        };
        let pids: Vec<u32> = gateways.iter().filter_map(pid).collect();
        let root = root.clone();
        move || Self {
            files: files.into_iter().map(|path| (root.stat(&path).ok(), path)).map(|(info, path)| (path, info)).collect(),
            masters: pids.into_iter().map(|pid| (pid, children(&root, pid))).collect(),
        }
    }
}

/// Looks that nobody waits for, and that wake nobody as long as nothing changed.
#[derive(Debug)]
pub struct Glances {
    tell: mpsc::Sender<Pulse>,
    told: mpsc::Receiver<Pulse>,
    /// Goes when the last one is over: one that hangs is not followed by another.
    last: Weak<()>,
}

impl Default for Glances {
    fn default() -> Self {
        let (tell, told) = mpsc::channel(1);
        Self { tell, told, last: Weak::new() }
    }
}

impl Glances {
    /// Looks whether something is not as it was.
    pub async fn look(&mut self, root: &Root, gateways: &[Gateway], watch: &[PathBuf], was: &Arc<Pulse>) {
        if self.last.upgrade().is_some() {
            return;
        }
        let (look, was, tell) = (Pulse::look(root, gateways, watch), Arc::clone(was), self.tell.clone());
        let look = move || {
            let now = look();
            if now != *was {
                // One that was not taken in yet tells enough.
                let _ = tell.try_send(now);
            }
        };
        self.last = left(look).await;
    }

    /// Waits until one found something that is not as it was.
    pub async fn found(&mut self) -> Option<Pulse> {
        self.told.recv().await
    }
}

/// When a process began, and its children, as its main thread lists them (proc(5), CONFIG_PROC_CHILDREN; none where the kernel
/// doesn't).
/// `None`: it ended.
fn children(root: &Root, pid: u32) -> Option<String> {
    // A zombie keeps its directory, but serves nobody: its command line is empty.
    let cmdline = root.text(format!("/proc/{pid}/cmdline")).ok()?;
    // Another process may have its number by now; it cannot have its start (proc(5), stat, field 22).
    let stat = root.text(format!("/proc/{pid}/stat")).unwrap_or_default();
    let started = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)).unwrap_or_default();
    let children = || root.text(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    (!cmdline.is_empty()).then(|| format!("{started} {}", children()))
}
