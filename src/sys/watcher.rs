//! Being woken when a file or a name changes: inotify(7) where it tells everything. It tells only that something changed;
//! whoever is woken looks for himself, so that a lost or merged event loses nothing.
//!
//! One instance serves all; each open file is watched by itself, so that neither its rotation nor a busy neighbour in its
//! directory matters, and each name in its directory. The kernel merges events while nobody reads them, which is why they
//! are read with pauses: a log that is written 20,000 times a second would else wake us as often.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    fs::{
        Access,
        inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    },
    io::Errno,
};
use tokio::{io::unix::AsyncFd, sync::Notify, task::AbortHandle, time::Instant};

use super::{OpenFile, aside::aside};

/// The first pause after events were read. Each further one doubles it as long as they keep coming.
const PAUSE_FIRST: Duration = Duration::from_millis(4);
/// The longest.
const PAUSE_LAST: Duration = Duration::from_millis(32);
/// Bytes of events that are read at once: some hundreds.
const EVENT_BYTES: usize = 16 << 10;
/// How long adding watches may take: on a file system that hangs it hangs.
const DEADLINE: Duration = Duration::from_secs(1);
/// Directories above a name that are tried for one that exists, at most.
const ABOVE: usize = 16;
/// File systems of this host alone, by `f_type` (statfs(2), linux/magic.h): all that changes them is told. Not so nfs, cifs,
/// fuse and 9p, which others change, and overlay, where the file below a copy is another one.
const TELLING: [u32; 12] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
    0xF2F5_2010, // f2fs
    0x2FC1_2FC1, // zfs
    0xCA45_1A4E, // bcachefs
    0x3153_464A, // jfs
    0x3434,      // nilfs2
    0x5265_4973, // reiserfs
    0x4D44,      // vfat
];

/// Whether all changes of a file system of this type are told.
fn telling(kind: impl Into<i128>) -> bool {
    u32::try_from(kind.into() & 0xFFFF_FFFF).is_ok_and(|kind| TELLING.contains(&kind))
}

/// Watches files and names for whoever subscribes.
#[derive(Debug)]
pub struct Watcher {
    shared: Option<Arc<Shared>>,
    pump: Option<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    events: AsyncFd<OwnedFd>,
    table: Mutex<Table>,
}

/// Who is to be woken for what. A watch without name is of a file, or of a directory's own fate.
#[derive(Debug, Default)]
struct Table {
    watches: HashMap<i32, Vec<(u64, Option<OsString>)>>,
    subscribers: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

#[expect(
    deprecated,
    reason = "it is deprecated for types whose descriptor may change or be closed while registered; an OwnedFd has one, and its successor is unsafe to call"
)]
fn registered(events: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(events)
}

impl Watcher {
    /// On the current runtime. Where there is no inotify, nobody is ever woken.
    pub fn new() -> Self {
        let shared = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(io::Error::from)
            .and_then(registered)
            .map(|events| Arc::new(Shared { events, table: Mutex::default() }))
            .ok();
        let pump = shared.clone().map(|shared| tokio::spawn(async move { shared.pump().await }).abort_handle());
        Self { shared, pump }
    }

    /// That nobody is ever woken: for trees that lie anywhere.
    pub fn none() -> Self {
        Self { shared: None, pump: None }
    }

    /// Somebody who wants to be woken.
    pub fn subscribe(&self) -> Subscription {
        let wake = Arc::new(Notify::new());
        let id = self.shared.as_ref().map_or(0, |shared| {
            let mut table = shared.table();
            table.next += 1;
            let id = table.next;
            table.subscribers.insert(id, Arc::clone(&wake));
            id
        });
        Subscription { shared: self.shared.clone(), id, wake, held: BTreeMap::new(), all: false }
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(pump) = &self.pump {
            pump.abort();
        }
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pump(&self) {
        let (mut pause, mut taken) = (PAUSE_FIRST, None::<Instant>);
        loop {
            if self.events.readable().await.is_err() {
                return;
            }
            // Only what comes soon after the last waits: an event by itself would else wake us twice, for it and for the end of a pause.
            pause = match taken.map(|taken| taken + pause) {
                Some(end) if Instant::now() < end => {
                    tokio::time::sleep_until(end).await;
                    (pause * 2).min(PAUSE_LAST)
                }
                Some(_) | None => PAUSE_FIRST,
            };
            // Still so: nothing was read since.
            let Ok(mut ready) = self.events.readable().await else { return };
            if self.take().is_err() {
                return;
            }
            taken = Some(Instant::now());
            ready.clear_ready();
        }
    }

    /// Reads all events that are there, and wakes whom they concern.
    fn take(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = inotify::Reader::new(self.events.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| std::ffi::OsStr::from_bytes(name.to_bytes()));
                    self.table().wake(event.wd(), name, event.events());
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Table {
    fn wake(&mut self, watch: i32, name: Option<&std::ffi::OsStr>, events: ReadFlags) {
        let known = self.watches.get(&watch);
        // What is not known was added a moment ago, and may concern anybody; so may what did not fit the kernel's queue.
        let anybody = events.contains(ReadFlags::QUEUE_OVERFLOW) || known.is_none() && !events.contains(ReadFlags::IGNORED);
        if anybody {
            self.subscribers.values().for_each(|wake| wake.notify_one());
            return;
        }
        for (subscriber, wanted) in known.into_iter().flatten() {
            if name.is_none() || wanted.as_deref() == name {
                self.subscribers.get(subscriber).into_iter().for_each(|wake| wake.notify_one());
            }
        }
        if events.contains(ReadFlags::IGNORED) {
            self.watches.remove(&watch);
        }
    }
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    /// A name in a directory, or in the nearest one above it that exists.
    Name(PathBuf),
    /// An open file, by device and inode.
    File((u64, u64)),
}

/// How somebody is watching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// Every change is told; else look from time to time.
    pub all: bool,
    /// Something is watched that was not before: what happened to it until now was told to nobody.
    pub moved: bool,
}

/// Somebody who is woken. Dropping it ends that.
#[derive(Debug)]
pub struct Subscription {
    shared: Option<Arc<Shared>>,
    id: u64,
    wake: Arc<Notify>,
    held: BTreeMap<Watched, (i32, bool)>,
    /// Whether all that was asked for is watched.
    all: bool,
}

impl Subscription {
    /// Watches these names and these open files (with device and inode), and no others. `fresh`: names were replaced, so that
    /// their directories may be others now.
    pub async fn watch(&mut self, names: Vec<PathBuf>, files: Vec<((u64, u64), OpenFile)>, fresh: bool) -> Watch {
        let Some(shared) = self.shared.clone() else { return Watch::default() };
        let mut wanted: Vec<(Watched, Option<OpenFile>)> = names.into_iter().map(|name| (Watched::Name(name), None)).collect();
        wanted.extend(files.into_iter().map(|(id, file)| (Watched::File(id), Some(file))));
        let same = wanted.len() == self.held.len() && wanted.iter().all(|(what, _)| self.held.contains_key(what));
        if same && !fresh {
            return Watch { all: self.all, moved: false };
        }
        let before: Vec<i32> = self.held.values().map(|(watch, _)| *watch).collect();
        let id = self.id;
        let held = std::mem::take(&mut self.held);
        let work = aside(move || {
            let mut now = BTreeMap::new();
            let mut all = true;
            for (what, file) in wanted {
                // The new ones first: a watch that stays must not be gone in between.
                let known = held.get(&what).filter(|_| matches!(what, Watched::File(_))).copied();
                match known.map_or_else(|| shared.add(id, &what, file.as_ref()), Ok) {
                    Ok((watch, told)) => {
                        all &= told;
                        now.insert(what, (watch, told));
                    }
                    Err(_) => all = false,
                }
            }
            let stays: Vec<i32> = now.values().map(|(watch, _)| *watch).collect();
            for (watch, _) in held.into_values().filter(|(watch, _)| !stays.contains(watch)) {
                shared.remove(id, watch);
            }
            (now, all)
        });
        // Those of a call that hangs are lost, and with them the trust.
        (self.held, self.all) = match tokio::time::timeout(DEADLINE, work).await {
            Ok(Some(done)) => done,
            Ok(None) | Err(_) => (BTreeMap::new(), false),
        };
        let moved = self.held.values().any(|(watch, _)| !before.contains(watch));
        Watch { all: self.all, moved }
    }

    /// Waits until something changed.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        shared.table().subscribers.remove(&self.id);
        for (watch, _) in self.held.values() {
            // Removing a watch touches no file system.
            shared.remove(self.id, *watch);
        }
    }
}

impl Shared {
    fn add(&self, subscriber: u64, what: &Watched, file: Option<&OpenFile>) -> Result<(i32, bool), Errno> {
        match (what, file) {
            (Watched::File(_), Some(file)) => {
                let flags = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
                // The file itself, whatever its name is by now: a magic link (proc_pid_fd(5)).
                let path = format!("/proc/self/fd/{}", file.descriptor().as_raw_fd());
                let watch = inotify::add_watch(self.events.get_ref(), path, flags)?;
                self.note(watch, subscriber, None);
                let told = rustix::fs::fstatfs(file.descriptor()).is_ok_and(|stat| telling(stat.f_type));
                Ok((watch, told))
            }
            (Watched::Name(path), _) => self.add_name(subscriber, path),
            (Watched::File(_), None) => Err(Errno::BADF),
        }
    }

    fn add_name(&self, subscriber: u64, path: &Path) -> Result<(i32, bool), Errno> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut here = path;
        let mut told = true;
        for _ in 0..ABOVE {
            let (Some(dir), Some(name)) = (here.parent(), here.file_name()) else { break };
            match inotify::add_watch(self.events.get_ref(), dir, flags) {
                Ok(watch) => {
                    self.note(watch, subscriber, Some(name.to_owned()));
                    return Ok((watch, told && rustix::fs::statfs(dir).is_ok_and(|stat| telling(stat.f_type))));
                }
                // It comes into being, or may be listed one day: both is told of its name.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                // One that may be entered, but not listed, tells nothing of what is in it.
                Err(Errno::ACCESS) => told &= rustix::fs::access(dir, Access::EXEC_OK).is_err(),
                Err(error) => return Err(error),
            }
            here = dir;
        }
        Err(Errno::NOENT)
    }

    fn note(&self, watch: i32, subscriber: u64, name: Option<OsString>) {
        let mut table = self.table();
        let who = table.watches.entry(watch).or_default();
        let entry = (subscriber, name);
        if !who.contains(&entry) {
            who.push(entry);
        }
    }

    fn remove(&self, subscriber: u64, watch: i32) {
        let mut table = self.table();
        let Some(who) = table.watches.get_mut(&watch) else { return };
        who.retain(|(id, _)| *id != subscriber);
        if who.is_empty() {
            table.watches.remove(&watch);
            // The file may be gone, and its watch with it.
            let _ = inotify::remove_watch(self.events.get_ref(), watch);
        }
    }
}

#[cfg(test)]
mod tests;
