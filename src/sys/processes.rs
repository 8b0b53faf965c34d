//! /proc/PID of all processes, as far as it may be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{FileError, Root, acting, peek::Entry};
use crate::model::{Identity, ProcessInfo};

/// Processes looked at in one scan, at most: beyond it the host has another problem, and we must not be a second one.
const PROCESSES: usize = 40_000;
/// Bytes of a command line that are read: enough for a JVM's class path to be told from its main class.
const CMDLINE_BYTES: u64 = 16 << 10;
/// Clock ticks per second in /proc/PID/stat: USER_HZ, 100 on every Linux architecture that we build for (time(7)).
const TICKS_PER_SECOND: u64 = 100;

/// Which process holds which socket.
#[derive(Debug, Clone, Default)]
pub struct SocketOwners {
    /// Inode of the socket to the lowest pid that holds it: the master where workers share it.
    pub by_inode: BTreeMap<u64, u32>,
    /// Whether every process could be looked into.
    pub complete: bool,
}

/// Names of users, from the passwd file below the root. The name service is never asked: it may hang, and getpwuid does not
/// work in a static binary.
#[derive(Debug, Clone, Default)]
pub struct Users(BTreeMap<u32, (String, u32)>);

impl Users {
    /// Reads `/etc/passwd`; an unreadable one gives no names.
    pub fn read(root: &Root) -> Self {
        let text = root.text("/etc/passwd").unwrap_or_default();
        let mut users = BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            let (name, uid, gid) =
                (fields.next(), fields.nth(1).and_then(|f| f.parse().ok()), fields.next().and_then(|f| f.parse().ok()));
            if let (Some(name), Some(uid), Some(gid)) = (name, uid, gid) {
                users.entry(uid).or_insert_with(|| (name.to_owned(), gid));
            }
        }
        Self(users)
    }

    /// The name of a user id, or the number.
    pub fn name(&self, uid: u32) -> String {
        self.0.get(&uid).map_or_else(|| uid.to_string(), |(name, _)| name.clone())
    }

    /// The user of this name with the groups that a login would give it (`/etc/group`).
    pub fn identity(&self, root: &Root, name: &str) -> Option<Identity> {
        let (uid, (_, gid)) = self.0.iter().find(|(_, (known, _))| known == name)?;
        let text = root.text("/etc/group").unwrap_or_default();
        let member = |line: &str| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse::<u32>().ok()?;
            fields.next()?.split(',').any(|user| user.trim() == name).then_some(gid)
        };
        let mut groups: BTreeSet<u32> = text.lines().filter_map(member).collect();
        groups.insert(*gid);
        Some(Identity { name: name.to_owned(), uid: *uid, gid: *gid, groups: groups.into_iter().collect() })
    }
}

/// All processes below the root's /proc.
pub(super) fn all(root: &Root) -> Result<Vec<ProcessInfo>, FileError> {
    let users = Users::read(root);
    let boot = boot_time(root);
    let mut found = Vec::new();
    for pids in pids(root)?.chunks(TOGETHER) {
        whole(root, pids, &users, boot, &mut found);
    }
    Ok(found)
}

/// These processes and their children. An error: the kernel does not list children.
pub(super) fn family(root: &Root, pids: &[u32]) -> Result<Vec<ProcessInfo>, FileError> {
    let users = Users::read(root);
    let boot = boot_time(root);
    let mut all = BTreeSet::new();
    for pid in pids {
        let children = root.text(format!("/proc/{pid}/task/{pid}/children"))?;
        all.insert(*pid);
        all.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()).take(PROCESSES));
    }
    let (all, mut found) = (Vec::from_iter(all), Vec::new());
    whole(root, &all, &users, boot, &mut found);
    Ok(found)
}

/// Which process holds which socket.
pub(super) fn socket_owners(root: &Root) -> Result<SocketOwners, FileError> {
    let mut owners = SocketOwners { complete: true, ..SocketOwners::default() };
    for pids in pids(root)?.chunks(TOGETHER) {
        for (pid, list) in pids.iter().zip(descriptors(root, pids, usize::MAX)) {
            match list {
                Ok(list) => {
                    for (_, target) in list {
                        if let Some(inode) =
                            target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
                        {
                            owners.by_inode.entry(inode).or_insert(*pid);
                        }
                    }
                }
                // A process that ended meanwhile hides nothing.
                Err(error) if error.not_found() => {}
                Err(_) => owners.complete = false,
            }
        }
    }
    Ok(owners)
}

/// The descriptors of these processes, at most so many of each, and what they point to.
pub fn descriptors(root: &Root, pids: &[u32], most: usize) -> Vec<Result<Vec<(u32, PathBuf)>, FileError>> {
    let numbers = |pid: &u32| -> Result<Vec<u32>, FileError> {
        let names = root.list(Path::new(&format!("/proc/{pid}/fd")))?;
        Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).take(most).collect())
    };
    let lists: Vec<_> = pids.iter().map(numbers).collect();
    let entries = |list: &[u32]| list.iter().copied().map(Entry::Descriptor).collect();
    let wanted: Vec<_> = pids.iter().zip(&lists).filter_map(|(pid, list)| Some((*pid, entries(list.as_ref().ok()?)))).collect();
    let mut links = root.links(&wanted).into_iter();
    let mut led = |pid: u32, list: Vec<u32>| {
        let count = list.len();
        let led: Vec<_> = list.into_iter().zip(links.by_ref()).filter_map(|(number, link)| Some((number, link?))).collect();
        // Who may list them need not be shown where they lead.
        let denied = count > 0 && led.is_empty();
        if denied { Err(FileError::denied_to(&format!("/proc/{pid}/fd"))) } else { Ok(led) }
    };
    pids.iter().zip(lists).map(|(pid, list)| list.and_then(|list| led(*pid, list))).collect()
}

/// Process ids, lowest first.
fn pids(root: &Root) -> Result<Vec<u32>, FileError> {
    let mut pids: Vec<u32> =
        root.list(Path::new("/proc"))?.into_iter().filter_map(|name| name.to_str()?.parse().ok()).take(PROCESSES).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// When the host was started, in seconds since the Unix epoch.
fn boot_time(root: &Root) -> Option<u64> {
    root.text("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// Processes that are looked into by one request.
const TOGETHER: usize = 256;
/// Processes from which on even their command lines are as they were: those that show their state there tell it late. And how old in
/// seconds one must be to be known: by then it has become the user, and has executed the program, that it is to be.
const MANY: usize = 500;
const SETTLED_S: i64 = 30;
/// Every so many scans each process is read whole again all the same.
const WHOLE_EVERY: u32 = 8;

/// All processes, where an earlier list of them is known: of one that is settled only its one line is read and, where there are few, its
/// command line; the rest only now and then. On a host of 10,000 processes seven files of each would cost a tenth of a processor.
pub(super) fn again(root: &Root, before: Arc<Vec<ProcessInfo>>, scan: u32, now_s: i64) -> Result<Vec<ProcessInfo>, FileError> {
    let few = before.len() < MANY;
    let (users, boot) = (Users::read(root), boot_time(root));
    let same = |known: ProcessInfo| -> Option<ProcessInfo> {
        if known.pid.wrapping_add(scan).is_multiple_of(WHOLE_EVERY) {
            return None;
        }
        known.started.filter(|started| now_s.saturating_sub(*started) >= SETTLED_S)?;
        let line = Line::read(root, known.pid)?;
        let is = line.name == known.name && line.ppid == known.ppid && line.started == known.start_ticks;
        // nginx, gunicorn and PostgreSQL write there what they are at (setproctitle(3)).
        let is = is && (!few || arguments(root, &PathBuf::from(format!("/proc/{}", known.pid))) == known.argv);
        is.then_some(ProcessInfo { state: line.state, threads: line.threads, ..known })
    };
    let pids = pids(root)?;
    let mut now = Vec::with_capacity(pids.len());
    // Both in the order of the ids. A list that nobody else holds is taken apart, so that there are never two of it.
    let mut known = Arc::unwrap_or_clone(before).into_iter().peekable();
    let mut fresh = Vec::new();
    for pids in pids.chunks(TOGETHER) {
        let from = now.len();
        for pid in pids {
            while known.next_if(|known| known.pid < *pid).is_some() {}
            match known.next_if(|known| known.pid == *pid).and_then(same) {
                Some(known) => now.push(known),
                None => fresh.push(*pid),
            }
        }
        if !fresh.is_empty() {
            whole(root, &fresh, &users, boot, &mut now);
            fresh.clear();
            now.get_mut(from..).unwrap_or_default().sort_unstable_by_key(|process| process.pid);
        }
    }
    Ok(now)
}

/// Of /proc/PID/stat, what is looked at.
struct Line {
    name: String,
    state: char,
    ppid: u32,
    threads: u32,
    /// In ticks since boot.
    started: Option<u64>,
}

impl Line {
    fn read(root: &Root, pid: u32) -> Option<Self> {
        let stat = root.text(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold blanks and parentheses itself: the last one ends it (proc(5)).
        let (open, close) = (stat.find('(')?, stat.rfind(')')?);
        let name = stat.get(open + 1..close)?.to_owned();
        let mut fields = stat.get(close + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let ppid = fields.next()?.parse().ok()?;
        let threads = fields.nth(15).and_then(|count| count.parse().ok()).unwrap_or(0);
        let started = fields.nth(1).and_then(|ticks| ticks.parse().ok());
        Some(Self { name, state, ppid, threads, started })
    }

    /// In seconds since the Unix epoch.
    fn started_s(&self, boot: Option<u64>) -> Option<i64> {
        boot.zip(self.started).and_then(|(boot, ticks)| i64::try_from(boot + ticks / TICKS_PER_SECOND).ok())
    }
}

/// The links of a process that are read, in this order.
const LINKS: [Entry; 3] = [Entry::Exe, Entry::Cwd, Entry::Net];

/// These processes, read whole. Those that have ended meanwhile, or whose files make no sense, are left out.
fn whole(root: &Root, pids: &[u32], users: &Users, boot: Option<u64>, found: &mut Vec<ProcessInfo>) {
    let wanted: Vec<_> = pids.iter().map(|pid| (*pid, LINKS.to_vec())).collect();
    let mut links = root.links(&wanted).into_iter();
    for pid in pids {
        let links = [links.next().flatten(), links.next().flatten(), links.next().flatten()];
        found.extend(one(root, *pid, links, users, boot));
    }
}

fn one(root: &Root, pid: u32, [exe, cwd, net_ns]: [Option<PathBuf>; 3], users: &Users, boot: Option<u64>) -> Option<ProcessInfo> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let line = Line::read(root, pid)?;
    let started = line.started_s(boot);
    let status = root.text(dir.join("status")).unwrap_or_default();
    let identity = acting(&status)?;
    let argv = arguments(root, &dir);
    Some(ProcessInfo {
        pid,
        ppid: line.ppid,
        name: line.name,
        argv,
        exe,
        identity: Identity { name: users.name(identity.uid), ..identity },
        start_ticks: line.started,
        started,
        state: line.state,
        cgroup: root.text(dir.join("cgroup")).ok().and_then(|text| cgroup(&text)),
        cwd,
        net_ns: net_ns.and_then(|link| link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()),
        threads: line.threads,
    })
}

/// The command line of the process of this directory.
fn arguments(root: &Root, dir: &Path) -> Vec<String> {
    let (cmdline, _) = root.read_at_most(&dir.join("cmdline"), CMDLINE_BYTES).unwrap_or_default();
    let argv = cmdline.split(|byte| *byte == 0).filter(|arg| !arg.is_empty());
    argv.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// The path in the unified hierarchy (`0::/path`), else in systemd's own, else the longest of the others (cgroups(7)).
fn cgroup(text: &str) -> Option<String> {
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
    let of = |controller: &str| lines.iter().find(|(name, path)| *name == controller && *path != "/").map(|(_, path)| *path);
    of("")
        .or_else(|| of("name=systemd"))
        .or_else(|| lines.iter().map(|(_, path)| *path).max_by_key(|path| path.len()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_and_missing_files_are_survived() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let proc = dir.path().join("proc");
        for (pid, stat) in [("7", "7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"), ("8", "garbage"), ("9", "")] {
            std::fs::create_dir_all(proc.join(pid)).expect("directory");
            std::fs::write(proc.join(pid).join("stat"), stat).expect("file");
            std::fs::write(proc.join(pid).join("status"), "Name:\tx\nUid:\t0\t33\t0\t0\nGid:\t0\t33\t0\t0\nGroups:\t4 33 \n")
                .expect("file");
        }
        std::fs::write(proc.join("stat"), "cpu 1\nbtime 1000\n").expect("file");
        let found = all(&Root::below(dir.path())).expect("scan");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].ppid, found[0].state, found[0].started), ("a) b (c)", 1, 'S', Some(1005)));
        assert_eq!((found[0].identity.uid, &found[0].identity.groups[..], found[0].exe.as_ref()), (33, &[4, 33][..], None));
    }

    /// Of many that are settled one line is read; one that became another is read whole.
    #[test]
    fn of_many_processes_what_is_known_is_not_read_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let proc = dir.path().join("proc");
        let write = |pid: u32, name: &str, uid: u32| {
            std::fs::create_dir_all(proc.join(pid.to_string())).expect("directory");
            let at = proc.join(pid.to_string());
            std::fs::write(at.join("stat"), format!("{pid} ({name}) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 500 0 0"))
                .expect("file");
            std::fs::write(at.join("status"), format!("Uid:\t{uid}\t{uid}\t0\t0\nGid:\t0\t33\t0\t0\n")).expect("file");
        };
        std::fs::create_dir_all(&proc).expect("directory");
        std::fs::write(proc.join("stat"), "btime 1000\n").expect("file");
        let count = u32::try_from(MANY).expect("small") + 100;
        (1..=count).for_each(|pid| write(pid, "app", 33));
        let root = Root::below(dir.path());
        let before = all(&root).expect("scan");
        write(9, "app", 34);
        write(10, "other", 34);
        write(11, "app", 34);
        // The scan that reads the last of them whole.
        let scan = WHOLE_EVERY - 11 % WHOLE_EVERY;
        let found = again(&root, Arc::new(before.clone()), scan, 1_005 + SETTLED_S).expect("scan");
        let uid = |pid: u32| found.iter().find(|process| process.pid == pid).expect("listed").identity.uid;
        assert_eq!((found.len(), uid(9), uid(10), uid(11)), (before.len(), 33, 34, 34));
        // Some ended.
        (20..40).for_each(|pid| std::fs::remove_dir_all(proc.join(pid.to_string())).expect("directory"));
        let left = again(&root, Arc::new(found.clone()), scan, 1_005 + SETTLED_S).expect("scan");
        assert_eq!((left.len(), left.iter().any(|process| (20..40).contains(&process.pid))), (before.len() - 20, false));
        assert!(found.iter().all(|process| process.threads == 3));
        let young = again(&root, Arc::new(before), scan, 1_006).expect("scan");
        assert_eq!(young.iter().find(|process| process.pid == 9).expect("listed").identity.uid, 34, "it may still change");
    }

    /// nginx says in its command line that a worker goes, php-fpm that it serves.
    #[test]
    fn of_few_processes_a_new_command_line_is_seen_at_once() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = dir.path().join("proc/8");
        std::fs::create_dir_all(&at).expect("directory");
        std::fs::write(dir.path().join("proc/stat"), "btime 1000\n").expect("file");
        std::fs::write(at.join("stat"), "8 (nginx) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 500 0 0").expect("file");
        std::fs::write(at.join("status"), "Uid:\t33\t33\t0\t0\nGid:\t0\t33\t0\t0\n").expect("file");
        std::fs::write(at.join("cmdline"), "nginx: worker process\0").expect("file");
        let root = Root::below(dir.path());
        let before = all(&root).expect("scan");
        std::fs::write(at.join("cmdline"), "nginx: worker process is shutting down\0").expect("file");
        let found = again(&root, Arc::new(before), 1, 1_005 + SETTLED_S).expect("scan");
        assert_eq!(found[0].argv, ["nginx: worker process is shutting down"]);
    }

    #[test]
    fn we_see_ourselves() {
        let me = std::process::id();
        let found = all(&Root::host()).expect("scan");
        let mine = found.iter().find(|process| process.pid == me).expect("our own process");
        assert!(mine.exe.is_some() && mine.net_ns.is_some() && !mine.argv.is_empty());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let owners = socket_owners(&Root::host()).expect("owners");
        assert!(owners.by_inode.values().any(|pid| *pid == me));
        drop(listener);
    }

    #[test]
    fn the_cgroup_is_that_of_systemd_where_there_are_several() {
        assert_eq!(cgroup("0::/system.slice/app.service\n").as_deref(), Some("/system.slice/app.service"));
        assert_eq!(
            cgroup("2:memory:/\n1:name=systemd:/system.slice/a.service\n0::/\n").as_deref(),
            Some("/system.slice/a.service")
        );
    }
}
