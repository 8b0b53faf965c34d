//! What /proc/PID tells of the processes of a service (proc(5), Documentation/scheduler/sched-stats.rst).

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt as _, path::PathBuf};

use crate::{
    model::ProcessInfo,
    sys::{Root, descriptors},
};

/// Threads of one service whose waiting for a processor is followed, at most.
pub(super) const THREADS: usize = 256;
/// Processes of one service that are looked into, at most.
const PROCESSES: usize = 48;
/// Descriptors that are counted one by one, at most, where the kernel does not tell how many there are.
const NAMES: usize = 20_000;
/// The same of those that are told apart: some 2 ms of work.
const SOCKETS: u64 = 2_000;

/// Of /proc/PID/stat, what is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch) struct ProcStat {
    /// `R`, `S`, `D`, `T`, ...
    pub(super) state: char,
    /// Time on processors, in ticks.
    pub(super) ticks: u64,
    /// Threads.
    pub(super) threads: u64,
    /// When it started, in ticks since boot: tells it from a later process with the same id.
    pub(super) started: u64,
    /// Resident memory in pages.
    pub(super) pages: u64,
}

/// `pid (name) state ppid ...`, with the name, which may hold blanks and parentheses.
pub(in crate::watch) fn proc_stat(text: &str) -> Option<(String, ProcStat)> {
    let (front, fields) = text.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let fields: Vec<&str> = fields.take(21).collect();
    // Counted from 0 behind the state, which is field 3: utime is field 14.
    let at = |field: usize| fields.get(field - 4)?.parse::<u64>().ok();
    let ticks = at(14)?.saturating_add(at(15)?);
    Some((name, ProcStat { state, ticks, threads: at(20)?, started: at(22)?, pages: at(24)? }))
}

/// These processes and the children that their master has by now: the list of all processes is older than a worker that was just
/// started (proc_pid_task_tid_children(5)). The master comes first.
pub(super) fn with_children(root: &Root, lead: u32, members: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut pids = vec![lead];
    let text = root.text(format!("/proc/{lead}/task/{lead}/children")).unwrap_or_default();
    let children = text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    for pid in members.chain(children) {
        if pids.len() < PROCESSES && !pids.contains(&pid) {
            pids.push(pid);
        }
    }
    pids
}

/// Nanoseconds that a thread has run, and has waited for a processor although it could have run.
pub(in crate::watch) type Scheduled = (u64, u64);

/// `run wait slices`.
pub(in crate::watch) fn schedstat(text: &str) -> Option<Scheduled> {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
    Some((fields.next()??, fields.next()??))
}

/// All threads of these processes, as far as they fit; `None`: this kernel does not count.
pub(super) fn threads(root: &Root, pids: &[u32]) -> Option<BTreeMap<u32, Scheduled>> {
    let mut found = BTreeMap::new();
    for pid in pids {
        let dir = PathBuf::from(format!("/proc/{pid}/task"));
        let Ok(names) = root.list(&dir) else { continue };
        for name in names {
            if found.len() >= THREADS {
                return Some(found);
            }
            let told = root.text(dir.join(&name).join("schedstat")).ok().and_then(|text| schedstat(&text));
            if let (Some(tid), Some(told)) = (name.to_str().and_then(|name| name.parse().ok()), told) {
                found.insert(tid, told);
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Time that these threads ran and waited between two looks, in nanoseconds. A thread that is new has done all of it since; counters
/// that went back (a new thread with an old id) count for nothing.
pub(super) fn between(before: &BTreeMap<u32, Scheduled>, now: &BTreeMap<u32, Scheduled>) -> Scheduled {
    let whole = before.len() < THREADS;
    now.iter().fold((0, 0), |(ran, waited), (tid, (run, wait))| {
        let (run, wait) = match before.get(tid) {
            Some((old_run, old_wait)) => (run.saturating_sub(*old_run), wait.saturating_sub(*old_wait)),
            None if whole => (*run, *wait),
            None => (0, 0),
        };
        (ran.saturating_add(run), waited.saturating_add(wait))
    })
}

/// `Max open files            1024                 4096                 files`: the soft limit. `None`: unlimited, or not told.
pub(in crate::watch) fn open_files_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// `Max processes             63432                63432                processes`: the soft limit. `None`: unlimited, or not told; or so
/// low that it is no shortage but a vow: HAProxy takes from itself the right to start anything (haproxy.c, RLIMIT_NPROC 0).
pub(in crate::watch) fn user_tasks_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes"))?;
    line.split_ascii_whitespace().next()?.parse().ok().filter(|limit| *limit > 1)
}

/// Tasks of each user, by his number.
pub(super) fn of_users(processes: &[ProcessInfo]) -> BTreeMap<u32, u64> {
    let mut found: BTreeMap<u32, u64> = BTreeMap::new();
    for process in processes {
        *found.entry(process.identity.uid).or_default() += u64::from(process.threads.max(1));
    }
    found
}

/// Descriptors of processes with how many of them are sockets, as they were when that was counted.
pub(super) type Sockets = BTreeMap<u32, (u64, u64)>;

/// How many sockets these processes have open. Those that may not be looked into are left out. One with as many descriptors as `before` is
/// not counted again: they come and go with its connections. More of them than are counted one by one count as sockets: of a process that has
/// so many, hardly any is something else.
pub(super) fn sockets(root: &Root, pids: &[u32], before: &mut Sockets) -> Vec<(u32, u64)> {
    let (mut found, mut unknown) = (Sockets::new(), Vec::new());
    for (pid, open) in pids.iter().filter_map(|pid| Some((*pid, open_files(root, *pid)?))) {
        match before.get(&pid).filter(|(before, _)| *before == open) {
            Some(known) => drop(found.insert(pid, *known)),
            None if open > SOCKETS => drop(found.insert(pid, (open, open))),
            None => unknown.push((pid, open)),
        }
    }
    let socket = |(_, link): &&(u32, PathBuf)| link.as_os_str().as_bytes().starts_with(b"socket:");
    let pids: Vec<u32> = unknown.iter().map(|(pid, _)| *pid).collect();
    let lists = descriptors(root, &pids, NAMES).into_iter();
    let counts = unknown.iter().zip(lists).filter_map(|((pid, open), list)| Some((*pid, (*open, list.ok()?))));
    found.extend(counts.map(|(pid, (open, list))| (pid, (open, list.iter().filter(socket).count() as u64))));
    *before = found;
    before.iter().map(|(pid, (_, sockets))| (*pid, *sockets)).collect()
}

/// How many descriptors a process has open. `None`: it may not be looked into.
pub(super) fn open_files(root: &Root, pid: u32) -> Option<u64> {
    let dir = PathBuf::from(format!("/proc/{pid}/fd"));
    // Since Linux 6.2 the size of the directory is their number; before, and in a copied tree, it is something else.
    let told = root.is_host().then(|| root.stat(&dir).ok()).flatten().map(|info| info.size).filter(|size| *size > 0);
    match told {
        Some(count) => Some(count),
        None => root.list(&dir).ok().map(|names| names.len().min(NAMES) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_the_kernel_writes_them() {
        let text = "811 (a) b (c)) T 1 811 811 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 12345 9000000 77 18446744073709551615 1";
        let found = proc_stat(text).expect("stat");
        assert_eq!(found.0, "a) b (c)");
        assert_eq!(found.1, ProcStat { state: 'T', ticks: 200, threads: 3, started: 12_345, pages: 77 });
        for cut in 0..text.len() - 24 {
            // Cut anywhere it is no process, or the same one, but never a panic.
            assert!(proc_stat(&text[..cut]).is_none_or(|(_, half)| half.state == 'T'), "{cut}");
        }
        assert_eq!(schedstat("12 34 5\n"), Some((12, 34)));
        assert_eq!((schedstat("12"), schedstat("x y z"), schedstat("")), (None, None, None));
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n";
        assert_eq!(open_files_limit(limits), Some(1024));
        assert_eq!(open_files_limit("Max open files            unlimited            unlimited            files\n"), None);
        assert_eq!(open_files_limit(""), None);
    }

    #[test]
    fn threads_that_come_and_counters_that_go_back() {
        let before = BTreeMap::from([(1, (100, 100)), (2, (500, 500))]);
        let now = BTreeMap::from([(1, (150, 400)), (2, (10, 10)), (3, (5, 45))]);
        assert_eq!(between(&before, &now), (55, 345));
        assert_eq!(between(&now, &now), (0, 0));
    }

    #[test]
    fn our_own_threads_and_descriptors_are_seen() {
        let (root, me) = (Root::host(), std::process::id());
        let text = std::fs::read_to_string("/proc/self/stat").expect("stat");
        assert!(proc_stat(&text).is_some_and(|(_, stat)| stat.threads > 0 && stat.pages > 0));
        let before = open_files(&root, me).expect("count");
        let _held: Vec<_> = (0..50).map(|_| std::fs::File::open("/proc/self/stat").expect("file")).collect();
        assert!(open_files(&root, me).expect("count") >= before + 25, "they are counted, whatever other tests close meanwhile");
        assert!(threads(&root, &[me]).is_some_and(|found| !found.is_empty()));
    }
}
