//! What is cheap enough to be asked for every two seconds.

use std::{collections::BTreeMap, path::PathBuf};

use super::super::LOOK_DEADLINE;
use crate::{
    model::{Gateway, RunState},
    sys::{FileInfo, Root, blocking},
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
    pub fn since(mut self, earlier: Self) -> Self {
        let files: BTreeMap<PathBuf, Option<FileInfo>> = earlier.files.into_iter().collect();
        for (path, info) in &mut self.files {
            if let Some(known) = files.get(path) {
                *info = *known;
            }
        }
        let masters: BTreeMap<u32, Option<String>> = earlier.masters.into_iter().collect();
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
        let files =
            gateways.iter().flat_map(|gateway| gateway.files.iter().map(|(path, _)| path).chain(&gateway.per_request)).chain(watch);
        let files: Vec<PathBuf> = files.take(PULSE_FILES).cloned().collect();
        let pid = |gateway: &Gateway| match gateway.state {
            RunState::Running { pid, .. } => Some(pid),
            RunState::Stopped { .. } => None,
        };
        let pids: Vec<u32> = gateways.iter().filter_map(pid).collect();
        let root = root.clone();
        blocking(LOOK_DEADLINE, move || Self {
            files: files.into_iter().map(|path| (root.stat(&path).ok(), path)).map(|(info, path)| (path, info)).collect(),
            masters: pids.into_iter().map(|pid| (pid, children(&root, pid))).collect(),
        })
        .await
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
