//! Being woken when something in a directory of configuration changes: inotify(7) where it works. It tells only that something
//! changed; whoever is woken looks for himself, so that a lost or merged event loses nothing, and whoever uses it polls as well:
//! NFS tells nothing of other hosts, and `max_user_watches` may be used up.
//!
//! For what changes seldom: each event wakes a thread. Logs have [`Watcher`](super::Watcher).

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Watches directories.
#[derive(Debug)]
pub struct DirWatcher {
    /// `None`: there is no inotify here.
    watcher: Option<Arc<Mutex<RecommendedWatcher>>>,
    watched: BTreeSet<PathBuf>,
}

impl DirWatcher {
    /// Calls `wake` on a thread of its own, for every change and for an overflow of the queue.
    pub fn new(wake: impl Fn() + Send + 'static) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // inotify tells openings and closings too; our own reads would wake us for ever.
            let reading = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)) && !event.need_rescan());
            if !reading {
                wake();
            }
        });
        Self { watcher: watcher.ok().map(|watcher| Arc::new(Mutex::new(watcher))), watched: BTreeSet::new() }
    }

    /// Watches these directories, and no others. Those that can't be watched are tried again at the next call. Nobody waits
    /// for it: adding a watch on a file system that hangs would hang.
    pub fn set(&mut self, dirs: BTreeSet<PathBuf>) {
        let Some(watcher) = &self.watcher else {
            return;
        };
        let gone: Vec<PathBuf> = self.watched.difference(&dirs).cloned().collect();
        let new: Vec<PathBuf> = dirs.difference(&self.watched).cloned().collect();
        self.watched = dirs;
        if gone.is_empty() && new.is_empty() {
            return;
        }
        let watcher = Arc::clone(watcher);
        tokio::task::spawn_blocking(move || {
            let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
            for dir in gone {
                // A directory that was removed is no longer watched anyway.
                let _ = watcher.unwatch(&dir);
            }
            for dir in new {
                // What can't be watched is polled.
                let _ = watcher.watch(&dir, RecursiveMode::NonRecursive);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_write_wakes() {
        let dir = tempfile::tempdir().expect("directory");
        let (sender, mut woken) = tokio::sync::watch::channel(0u32);
        let mut watcher = DirWatcher::new(move || sender.send_modify(|count| *count += 1));
        watcher.set(BTreeSet::from([dir.path().to_owned()]));
        // The watch is added aside: writes go on until one is noticed.
        let noticed = async {
            loop {
                std::fs::write(dir.path().join("f"), "x").expect("write");
                if tokio::time::timeout(Duration::from_millis(20), woken.changed()).await.is_ok() {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), noticed).await.expect("woken");
    }
}
