//! What the collector does about edits: texts, directories, and the processes that a reload replaces.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Pulse, Texts, Watcher, off_thread};
use crate::{
    model::{ConfigEdit, Gateway, Order as _},
    sys::{DirWatcher, Processes, Root},
};

/// Directories that are watched, at most: those of an included file each.
const DIRECTORIES: usize = 128;
/// The directories of the configuration. Where pid files and sockets are, too much happens that is none of ours.
fn configured(root: &Root, gateways: &[Gateway], watch: &[PathBuf]) -> BTreeSet<PathBuf> {
    let busy = ["/run", "/var/run", "/proc", "/dev", "/tmp", "/var/log"].map(Path::new);
    let all = Texts::directories(root, gateways, watch);
    all.into_iter().filter(|dir| !busy.contains(&dir.as_path())).take(DIRECTORIES).collect()
}

impl Watcher {
    /// Looks at the processes of the gateways anew, and at no others: a reload has replaced some of them.
    pub(super) async fn family(&mut self, pulse: &Pulse) {
        let masters: Vec<u32> = pulse.masters.iter().filter(|(_, children)| children.is_some()).map(|(pid, _)| *pid).collect();
        let (Some(known), Ok(fresh)) = (&mut self.processes, self.sys.rights.family(masters.clone()).await) else { return };
        let known = Processes::make_mut(known);
        known.retain(|one| !masters.contains(&one.pid) && !masters.contains(&one.ppid));
        known.extend(fresh);
        known.order_by_key(|one| one.pid);
    }

    /// Keeps the texts as they are from now on; what was saved since the gateways' files were looked at.
    pub(super) async fn begin(&mut self) -> Vec<ConfigEdit> {
        self.texts = Some(Texts::default());
        let gateways = self.told.clone().unwrap_or_default();
        self.edits(&gateways).await
    }

    /// What changed in the texts since the last call.
    pub(super) async fn edits(&mut self, gateways: &[Gateway]) -> Vec<ConfigEdit> {
        let Some(mut texts) = self.texts.take() else { return Vec::new() };
        let (root, gateways) = (self.sys.root.clone(), gateways.to_vec());
        let done = off_thread(move || {
            let edits = texts.compare(&root, &gateways);
            (texts, edits)
        });
        // Where a file system hangs, what is found later is as found.
        let (texts, edits) = done.await.unwrap_or_default();
        self.texts = Some(texts);
        edits
    }

    /// Has the directories of the configuration watched.
    pub(super) async fn watch(&self, directories: &mut DirWatcher, watch: &[PathBuf]) {
        let (root, gateways, watch) = (self.sys.root.clone(), self.told.clone().unwrap_or_default(), watch.to_vec());
        if let Some(dirs) = off_thread(move || configured(&root, &gateways, &watch)).await {
            let logs = self.told.iter().flatten().flat_map(|gateway| &gateway.logs);
            directories.set(dirs, logs.map(|log| log.path.clone()).collect());
        }
    }
}
