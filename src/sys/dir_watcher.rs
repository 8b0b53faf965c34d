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

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind};

/// Watches directories.
#[derive(Debug)]
pub struct DirWatcher {
    /// `None`: there is no inotify here.
    watcher: Option<Arc<Mutex<RecommendedWatcher>>>,
    watched: BTreeSet<PathBuf>,
    /// Files in them that are written to all the time.
    written: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl DirWatcher {
    /// Calls `wake` on a thread of its own, for every change and for an overflow of the queue.
    pub fn new(wake: impl Fn() + Send + 'static) -> Self {
        let written = Arc::<Mutex<BTreeSet<PathBuf>>>::default();
        let known = Arc::clone(&written);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(&event, &known.lock().unwrap_or_else(PoisonError::into_inner))) {
                wake();
            }
        });
        Self { watcher: watcher.ok().map(|watcher| Arc::new(Mutex::new(watcher))), watched: BTreeSet::new(), written }
    }

    /// Watches these directories, and no others. Those that can't be watched are tried again at the next call. Nobody waits
    /// for it: adding a watch on a file system that hangs would hang. `written`: files whose growth is no change, as logs.
    pub fn set(&mut self, dirs: BTreeSet<PathBuf>, written: BTreeSet<PathBuf>) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
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

/// Whether somebody changed something, and it is not one of these files that grew.
fn is_change(event: &Event, written: &BTreeSet<PathBuf>) -> bool {
    match event.kind {
        _ if event.need_rescan() => true,
        // inotify tells openings and closings too; our own reads would wake us for ever.
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Data(_)) => event.paths.is_empty() || event.paths.iter().any(|path| !written.contains(path)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, path::Path, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_write_wakes() {
        let dir = tempfile::tempdir().expect("directory");
        let (sender, mut woken) = tokio::sync::watch::channel(0u32);
        let mut watcher = DirWatcher::new(move || sender.send_modify(|count| *count += 1));
        watcher.set(BTreeSet::from([dir.path().to_owned()]), BTreeSet::new());
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

    /// The kernel's own events: an application whose log lies beside its configuration.
    #[test]
    fn a_log_that_grows_is_no_change_and_one_that_is_renamed_is() {
        let dir = tempfile::tempdir().expect("directory");
        let (tell, told) = std::sync::mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event| drop(tell.send(event))).expect("inotify");
        watcher.watch(dir.path(), RecursiveMode::NonRecursive).expect("watched");
        let (log, config) = (dir.path().join("access.log"), dir.path().join("nginx.conf"));
        let written = BTreeSet::from([log.clone()]);
        let changes = |end: &Path| {
            std::fs::write(end, "").expect("write");
            let mut changes = 0;
            loop {
                let event: Event = told.recv_timeout(Duration::from_secs(5)).expect("told").expect("an event");
                if event.paths.iter().any(|path| path == end) {
                    return changes;
                }
                changes += u32::from(is_change(&event, &written));
            }
        };
        std::fs::write(&log, "").expect("write");
        std::fs::write(&config, "").expect("write");
        changes(&dir.path().join("begin"));
        let mut lines = std::fs::File::options().append(true).open(&log).expect("log");
        lines.write_all(b"GET /").expect("write");
        assert_eq!(changes(&dir.path().join("1")), 0);
        let mut file = std::fs::File::options().append(true).open(&config).expect("file");
        file.write_all(b"# edited").expect("write");
        assert_eq!(changes(&dir.path().join("2")), 1);
        std::fs::rename(&log, dir.path().join("access.log.1")).expect("rename");
        assert!(changes(&dir.path().join("3")) > 0);
    }
}
