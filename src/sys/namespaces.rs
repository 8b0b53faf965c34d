//! Other namespaces of this host (namespaces(7)): which there are, what they are called, and how a disposable child or thread of
//! ours gets into them.
//!
//! A container is no kernel object: it is known by its processes, whose network, mounts and root are not ours. It is named as
//! whoever looks after it does (docker, podman, the kubelet, lxc, `ip netns`, systemd), else by a process in it; one network
//! namespace has one name as long as we run, whoever asks.
//!
//! What must not be here: entering from a thread that lives on, or reading a file below another root by its plain path.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::{Clock, Root};
use crate::model::ProcessInfo;

mod name;

use name::Named;

/// Network namespaces that are told apart, at most: a node of a large cluster has some hundred pods.
const SPACES: usize = 256;
/// Processes of which it is known whose root they have, at most.
const ROOTS: usize = 1_024;
/// Processes of one network namespace that are looked at for one of its own, the lowest first.
const FOUNDERS: usize = 4;
/// Bytes of /proc/PID/stat: one line.
const STAT_BYTES: u64 = 4096;

/// A way into namespaces: a process that is in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The process.
    pub pid: u32,
    /// When it started, in clock ticks since boot (proc_pid_stat(5)): its number may be another's by now.
    pub started: u64,
    /// Whether its network is another than ours.
    pub net: bool,
    /// Whether its files are others than ours.
    pub files: bool,
}

/// Namespaces that are not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// What they are called: [`crate::model::Address::place`].
    pub place: String,
    /// Words before a command for a person to run it there.
    pub enter: Vec<String>,
    /// The way in.
    pub way: Way,
    /// Whether it is a container: files or process ids are its own, too.
    pub container: bool,
}

/// What is known of the namespaces of this host. Cheap to copy: all copies know the same.
#[derive(Debug, Clone, Default)]
pub struct Namespaces(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Our own network and mount namespace, and the identity of our root.
    own: Option<Own>,
    /// Names by the inode of the network namespace.
    nets: BTreeMap<u64, Named>,
    /// Ways in, by name.
    ways: BTreeMap<String, Way>,
    /// Processes with whether their root is another than ours.
    roots: BTreeMap<u32, KnownRoot>,
}

/// How long it is believed of a process that it has the root that it had, once it has run for so many seconds: a service takes another
/// one when it starts (chroot(2)).
const ROOT_HOLDS: Duration = Duration::from_mins(1);
const SETTLED_S: i64 = 30;

#[derive(Debug, Clone, Copy)]
struct KnownRoot {
    /// When the process started: its number may be another's by now.
    started: Option<u64>,
    at: Instant,
    another: bool,
}

#[derive(Debug, Clone, Copy)]
struct Own {
    net: Option<u64>,
    mounts: Option<u64>,
    root: Option<(u64, u64)>,
}

impl Namespaces {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self, root: &Root) -> Own {
        *self.known().own.get_or_insert_with(|| Own {
            net: own_net(root),
            mounts: inode(root, "/proc/self/ns/mnt"),
            root: root.stat(Path::new("/")).ok().map(|info| info.id),
        })
    }

    /// The namespaces of a process, where its network or its root is another than ours. `None`: it is this host's, or it may not
    /// be told.
    pub fn of(&self, root: &Root, process: &ProcessInfo, all: &[ProcessInfo]) -> Option<Space> {
        if !root.is_host() {
            return None;
        }
        let own = self.own(root);
        let files = self.root_is_another(root, process, own);
        let net = process.net_ns.filter(|net| own.net.is_some_and(|own| own != *net));
        if net.is_none() && !files {
            return None;
        }
        // Containers of one pod share a network: each is entered by its own name.
        let of_process = name::of_process(root, process, "container");
        let named = net.map_or_else(|| of_process.clone(), |net| self.name_of_net(root, net, all));
        let way = Way { pid: process.pid, started: started(process.pid)?, net: net.is_some(), files };
        let container = files || pid_spaces(root, process.pid) > 1;
        let enter = if of_process.given { of_process.enter(&way) } else { named.enter(&way) };
        Some(Space { enter, place: named.place, way, container })
    }

    /// Whether a process has another root than we have.
    fn root_is_another(&self, root: &Root, process: &ProcessInfo, own: Own) -> bool {
        let same = |known: &&KnownRoot| known.started == process.start_ticks && known.at.elapsed() < ROOT_HOLDS;
        if let Some(known) = self.known().roots.get(&process.pid).filter(same) {
            return known.another;
        }
        let theirs = root.stat(Path::new(&format!("/proc/{}/root", process.pid))).ok().map(|info| info.id);
        let another = theirs.is_some() && theirs != own.root;
        let now_s = Clock::system().now().wall_s();
        if theirs.is_some() && process.started.is_some_and(|started| now_s.saturating_sub(started) >= SETTLED_S) {
            let mut known = self.known();
            if known.roots.len() >= ROOTS {
                known.roots.clear();
            }
            known.roots.insert(process.pid, KnownRoot { started: process.start_ticks, at: Instant::now(), another });
        }
        another
    }

    /// One way into each other network namespace that a process here is in, by the lowest process that has files or process ids of its
    /// own, too: whoever made a container may have entered its network alone.
    pub fn nets(&self, root: &Root, all: &[ProcessInfo]) -> Vec<Space> {
        let own = self.own(root);
        let Some(own_net) = own.net.filter(|_| root.is_host()) else { return Vec::new() };
        let mut nets: BTreeMap<u64, Vec<&ProcessInfo>> = BTreeMap::new();
        for process in all {
            let Some(net) = process.net_ns.filter(|net| *net != own_net) else { continue };
            if nets.len() < SPACES || nets.contains_key(&net) {
                nets.entry(net).or_default().push(process);
            }
        }
        let one = |inside: Vec<&ProcessInfo>| {
            let mut spaces: Vec<Space> = Vec::new();
            for process in inside.into_iter().take(FOUNDERS) {
                spaces.extend(self.of(root, process, all));
                if spaces.last().is_some_and(|space| space.container) {
                    break;
                }
            }
            let own = spaces.iter().position(|space| space.container).unwrap_or(0);
            spaces.into_iter().nth(own)
        };
        nets.into_values().filter_map(one).collect()
    }

    /// What the mounts of a process are called, where they are not ours: a service may have a `/tmp` of its own (systemd.exec(5),
    /// PrivateTmp=).
    pub fn mounts(&self, root: &Root, process: &ProcessInfo) -> Option<Space> {
        let own = self.own(root).mounts.filter(|_| root.is_host())?;
        let theirs = inode(root, &format!("/proc/{}/ns/mnt", process.pid))?;
        (theirs != own).then_some(())?;
        let named = name::of_process(root, process, "mounts");
        let way = Way { pid: process.pid, started: started(process.pid)?, net: false, files: true };
        Some(Space { enter: named.enter(&way), place: named.place, way, container: false })
    }

    fn name_of_net(&self, root: &Root, net: u64, all: &[ProcessInfo]) -> Named {
        if let Some(known) = self.known().nets.get(&net) {
            return known.clone();
        }
        let named = name::of_net(root, net, &all.iter().filter(|process| process.net_ns == Some(net)));
        let mut known = self.known();
        // Somebody else may have named it meanwhile: it keeps that name.
        if let Some(known) = known.nets.get(&net) {
            return known.clone();
        }
        // Two that would be called the same are told apart by their number.
        let taken = known.nets.values().any(|other| other.place == named.place);
        let named = if taken { Named { place: format!("{}, {net}", named.place), ..named } } else { named };
        if known.nets.len() < SPACES {
            known.nets.insert(net, named.clone());
        }
        named
    }

    /// Takes a way in by this process from now on: that of a gateway before any other.
    pub fn prefer(&self, space: &Space) {
        let mut known = self.known();
        if known.ways.len() < 2 * SPACES || known.ways.contains_key(&space.place) {
            known.ways.insert(space.place.clone(), space.way.clone());
        }
    }

    /// Takes a way in by this process, where there is none that still leads there.
    pub fn offer(&self, space: &Space) {
        let there = self.way(&space.place).is_some_and(|way| started(way.pid) == Some(way.started));
        if !there {
            self.prefer(space);
        }
    }

    /// The way into namespaces of this name.
    pub fn way(&self, place: &str) -> Option<Way> {
        self.known().ways.get(place).cloned()
    }
}

impl Root {
    /// The tree that a process sees which is in other namespaces. An error: it ended, or may not be looked into.
    pub fn of(way: &Way, pids: impl IntoIterator<Item = u32>) -> io::Result<Self> {
        let root = Self::of_process(way.pid, way.open()?, pids.into_iter().collect());
        root.list(Path::new("/")).map_err(|error| error.source)?;
        Ok(root)
    }
}

impl Way {
    /// The process's directory of /proc, made sure to be its own.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(format!("/proc/{}", self.pid), flags, Mode::empty())?;
        let mut text = String::new();
        File::from(rustix::fs::openat(&dir, "stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
            .take(STAT_BYTES)
            .read_to_string(&mut text)?;
        if start(&text) == Some(self.started) { Ok(dir) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Enters its network namespace, with the calling thread alone: that must end afterwards.
    pub(super) fn enter_net(&self) -> io::Result<()> {
        let dir = self.open()?;
        if self.net { join(&dir, "ns/net", CloneFlags::CLONE_NEWNET) } else { Ok(()) }
    }

    /// Enters its network namespace and, if `files`, sees the files that it sees. Only for a process with one thread
    /// (setns(2)).
    pub fn enter(&self, files: bool) -> io::Result<()> {
        let dir = self.open()?;
        if !rustix::process::geteuid().is_root() {
            // Who owns a rootless container may do there what root may; else the next call says what is missing.
            let _ = join(&dir, "ns/user", CloneFlags::CLONE_NEWUSER);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&dir, "root", flags, Mode::empty());
        if self.net {
            join(&dir, "ns/net", CloneFlags::CLONE_NEWNET)?;
        }
        if files && self.files {
            let root = root?;
            join(&dir, "ns/mnt", CloneFlags::CLONE_NEWNS)?;
            // Its root may be below that of the namespace (chroot(2)).
            rustix::process::fchdir(&root)?;
            rustix::process::chroot(".")?;
            rustix::process::chdir("/")?;
        }
        Ok(())
    }
}

fn join(dir: &OwnedFd, name: &str, kind: CloneFlags) -> io::Result<()> {
    let space = rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(setns(space, kind)?)
}

/// The number of a namespace, by its link in /proc.
fn inode(root: &Root, link: &str) -> Option<u64> {
    let text = root.readlink(Path::new(link)).ok()?;
    text.to_str()?.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// The number of the namespace that is bound to a file, as `ip netns` does (ip-netns(8)).
fn inode_of_file(root: &Root, path: &Path) -> Option<u64> {
    root.stat(path).ok().map(|info| info.id.1)
}

/// Whether a process sees the mounts that we see. `None`: that may not be told.
pub fn same_mounts(root: &Root, pid: u32) -> Option<bool> {
    let mounts = |who: &str| inode(root, &format!("/proc/{who}/ns/mnt"));
    Some(mounts("self")? == mounts(&pid.to_string())?)
}

/// Whether a process has the root that we have. `None`: that may not be told.
pub fn same_root(root: &Root, pid: u32) -> Option<bool> {
    let identity = |path: &str| root.stat(Path::new(path)).ok().map(|info| info.id);
    Some(identity("/")? == identity(&format!("/proc/{pid}/root"))?)
}

/// Our own network namespace, as [`ProcessInfo::net_ns`] tells a process's.
pub fn own_net(root: &Root) -> Option<u64> {
    inode(root, "/proc/self/ns/net")
}

/// In how many process id namespaces a process has a number, ours included (proc_pid_status(5)).
pub fn pid_spaces(root: &Root, pid: u32) -> usize {
    let status = root.text(PathBuf::from(format!("/proc/{pid}/status"))).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("NSpid:")).map_or(1, |ids| ids.split_ascii_whitespace().count())
}

/// When a process of this host started, in ticks since boot.
fn started(pid: u32) -> Option<u64> {
    start(&Root::host().text(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field of /proc/PID/stat; the name, the second, may hold anything.
pub(super) fn start(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> ProcessInfo {
        let pid = std::process::id();
        ProcessInfo {
            pid,
            ppid: 1,
            name: "us".to_owned(),
            argv: Vec::new(),
            exe: None,
            identity: crate::model::Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: Vec::new() },
            started: None,
            start_ticks: None,
            state: 'S',
            cgroup: None,
            cwd: None,
            net_ns: own_net(&Root::host()),
            threads: 1,
        }
    }

    #[test]
    fn what_is_ours_is_nothing_else() {
        let known = Namespaces::default();
        let me = us();
        assert_eq!(known.of(&Root::host(), &me, std::slice::from_ref(&me)), None);
        assert_eq!(known.mounts(&Root::host(), &me), None);
        assert_eq!((same_mounts(&Root::host(), me.pid), same_root(&Root::host(), me.pid)), (Some(true), Some(true)));
        assert_eq!((same_mounts(&Root::host(), 0), same_root(&Root::host(), 0)), (None, None));
        assert!(known.nets(&Root::host(), std::slice::from_ref(&me)).is_empty());
        let other = ProcessInfo { net_ns: Some(7), ..us() };
        let found = known.nets(&Root::host(), &[me, other.clone(), other]);
        assert_eq!(found.len(), 1);
        assert!(found[0].way.net && !found[0].way.files);
    }

    #[test]
    fn a_number_that_is_anothers_by_now_leads_nowhere() {
        let way =
            Way { pid: std::process::id(), started: started(std::process::id()).expect("our start"), net: false, files: false };
        assert!(way.open().is_ok());
        let other = Way { started: way.started + 1, ..way.clone() };
        assert!(other.open().is_err() && Root::of(&other, []).is_err());
        assert!(Root::of(&way, []).is_ok());
        assert_eq!(start("7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"), Some(500));
        assert_eq!(start("garbage"), None);
    }
}
