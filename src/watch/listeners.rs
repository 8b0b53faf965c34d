//! Who listens where, and how full the accept queues are.
//!
//! The sockets are asked for every 2 s while something fails and every 4 s while nothing does, which costs three netlink dumps. Whose
//! they are takes a walk over the descriptors of all processes, so that is done only when a socket has appeared whose owner is unknown
//! or an owner has gone, and at most every 10 s.
//!
//! A socket in another network namespace is not reachable under the address that it shows: its address is one inside of that
//! ([`Address::Inside`]), and so is that of a socket whose path leads elsewhere for us than for its owner. Where all processes are
//! in our namespaces, that costs a comparison of numbers that the scan of processes has read anyway.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

mod abroad;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::{
    model::{Address, BlindSpot, Listener, ListenerTable, Observation, Order as _, ProbePlan, ProcessInfo, Stage},
    sys::{LISTENERS, ListeningSocket, Outbox, Sys, listen_overflows, listening, local_addresses, of_a_console},
};

/// How often the sockets are read while something fails: as often as probes are made.
const EVERY: Duration = Duration::from_secs(2);
/// How often while nothing does.
const CALM: Duration = Duration::from_secs(4);
/// How often all processes are looked into at most, in milliseconds: the promise of the design.
const OWNERS_EVERY_MS: u64 = 10_000;
/// How long a socket without any owner (the kernel's own, or hidden from us) is not asked about again, in milliseconds.
const OWNERLESS_MS: u64 = 60_000;

/// The least time between two looks, however often one is asked for.
const REST: Duration = Duration::from_millis(250);

/// [`BlindSpot::source`] of the sockets.
pub const SOCKETS: &str = "listening sockets";
/// [`BlindSpot::source`] of their owners.
pub const OWNERS: &str = "owners of listening sockets";

/// Tells the table at first, and then each time something of interest about it changes. What begins to fail has it looked at once.
pub async fn run(sys: Sys, plans: watch::Receiver<ProbePlan>, outbox: Outbox, cancel: CancellationToken) {
    let (mut watcher, mut pace) = (Watcher::new(sys), Pace::new(plans));
    let clock = watcher.sys.clock;
    let mut first = true;
    loop {
        let pause = if pace.quick() { EVERY } else { CALM };
        let mut hurried = false;
        tokio::select! {
            () = cancel.cancelled() => return,
            () = std::future::ready(()), if first => {}
            () = clock.rest(pause), if !first => {}
            () = pace.hurried(), if !first => hurried = true,
        }
        let told = tokio::select! {
            () = cancel.cancelled() => return,
            told = watcher.look() => told,
        };
        for observation in told {
            if !outbox.tell(observation).await {
                return;
            }
        }
        if std::mem::take(&mut first) && !outbox.tell(Observation::Done(Stage::Listeners)).await {
            return;
        }
        if hurried {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(REST) => {}
            }
        }
    }
}

/// Whether what is looked at seldom is due, by when it was looked at last.
fn rested(last_ms: Option<u64>, now_ms: u64) -> bool {
    last_ms.is_none_or(|last| now_ms.saturating_sub(last) >= OWNERS_EVERY_MS)
}

struct Watcher {
    sys: Sys,
    /// Whose each socket is; `None`: nobody's that we can see, looked for at that time (run_ms).
    owners: BTreeMap<u64, (Option<ProcessInfo>, u64)>,
    owners_complete: bool,
    /// When all processes were looked into last, on the clock of this run.
    scanned_ms: Option<u64>,
    told: Option<ListenerTable>,
    addresses: Vec<IpAddr>,
    /// When they were asked for last, on the clock of this run.
    addresses_ms: Option<u64>,
    /// When the processes were looked at for their namespaces.
    listed_ms: Option<u64>,
    /// Sockets that are not reached under the address that they show.
    abroad: abroad::Watched,
    /// The blind spots that were told, by source, with their reason.
    blind: BTreeMap<&'static str, String>,
}

impl Watcher {
    fn new(sys: Sys) -> Self {
        Self {
            sys,
            owners: BTreeMap::new(),
            owners_complete: false,
            scanned_ms: None,
            told: None,
            addresses: Vec::new(),
            addresses_ms: None,
            listed_ms: None,
            abroad: abroad::Watched::default(),
            blind: BTreeMap::new(),
        }
    }

    async fn look(&mut self) -> Vec<Observation> {
        let mut out = Vec::new();
        let mut sockets = match listening(&self.sys.root).await {
            Ok(sockets) => sockets,
            Err(error) => {
                // No table at all: an empty one would say that nobody listens.
                self.hidden(&mut out, SOCKETS, error.to_string(), "run it where /proc/net can be read");
                return out;
            }
        };
        if sockets.len() >= LISTENERS {
            self.hidden(
                &mut out,
                SOCKETS,
                format!("there are more than {LISTENERS}; the rest is not listed"),
                "look with: ss -lntp",
            );
        } else {
            self.visible(&mut out, SOCKETS);
        }
        sockets.retain(|socket| !matches!(&socket.address, Address::Unix(path) if of_a_console(path)));
        self.find_namespaces().await;
        sockets.extend(self.abroad.sockets(&self.sys).await);
        self.find_owners(&sockets, &mut out).await;
        let inodes: Vec<u64> = sockets.iter().map(|socket| socket.inode).collect();
        let mut listeners: Vec<Listener> = sockets
            .into_iter()
            .map(|socket| Listener {
                owner: self.owners.get(&socket.inode).and_then(|(owner, _)| owner.clone()),
                address: socket.address,
                queue: socket.queue,
            })
            .collect();
        self.abroad.paths(&self.sys, &mut listeners, &inodes).await;
        // The kernel lists by hash: sorted, so that equal tables are equal. SO_REUSEPORT gives several of one address.
        listeners
            .order_by(|a, b| (&a.address, a.owner.as_ref().map(|o| o.pid)).cmp(&(&b.address, b.owner.as_ref().map(|o| o.pid))));
        let table = ListenerTable {
            listeners,
            local: self.local_addresses(),
            abroad: self.abroad.table(),
            redirects: self.abroad.redirects(),
            owners_complete: self.owners_complete,
            overflows: listen_overflows(&self.sys.root),
        };
        if self.told.as_ref().is_none_or(|told| worth_telling(told, &table)) {
            out.push(Observation::Listeners(table.clone()));
            self.told = Some(table);
        }
        out
    }

    /// The addresses of this host. They change seldom, and the kernel prints its whole table of routes for them.
    fn local_addresses(&mut self) -> Vec<IpAddr> {
        let now = self.sys.clock.now().run_ms;
        if rested(self.addresses_ms, now) {
            (self.addresses, self.addresses_ms) = (local_addresses(&self.sys.root), Some(now));
        }
        self.addresses.clone()
    }

    /// Looks which namespaces there are, by the processes.
    async fn find_namespaces(&mut self) {
        let now = self.sys.clock.now().run_ms;
        let rested = rested(self.listed_ms, now);
        if !rested || !self.sys.root.is_host() {
            return;
        }
        if let Ok(processes) = self.sys.rights.recent_processes(Duration::from_millis(OWNERS_EVERY_MS)).await {
            self.listed_ms = Some(now);
            self.abroad.processes(&self.sys, &processes).await;
        }
    }

    /// Looks for the owners of sockets that are new, and of those whose owner has gone.
    async fn find_owners(&mut self, sockets: &[ListeningSocket], out: &mut Vec<Observation>) {
        let now = self.sys.clock.now().run_ms;
        let here: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
        self.owners.retain(|inode, _| here.contains(inode));
        let gone: BTreeSet<u32> = self
            .owners
            .values()
            .filter_map(|(owner, _)| owner.as_ref().map(|owner| owner.pid))
            .collect::<BTreeSet<u32>>()
            .into_iter()
            .filter(|pid| self.sys.root.stat(&PathBuf::from(format!("/proc/{pid}"))).is_err())
            .collect();
        let due = |inode: &u64| match self.owners.get(inode) {
            None => true,
            Some((Some(owner), _)) => gone.contains(&owner.pid),
            Some((None, asked)) => now.saturating_sub(*asked) >= OWNERLESS_MS,
        };
        let rested = rested(self.scanned_ms, now);
        if !rested || (self.scanned_ms.is_some() && !here.iter().any(due)) {
            // Until the next look a process that has ended owns nothing.
            for (owner, _) in self.owners.values_mut() {
                if owner.as_ref().is_some_and(|owner| gone.contains(&owner.pid)) {
                    *owner = None;
                }
            }
            return;
        }
        self.scanned_ms = Some(now);
        let (owners, processes) = match (self.sys.rights.socket_owners().await, self.sys.rights.processes().await) {
            (Ok(owners), Ok(processes)) => (owners, processes),
            (Err(refusal), _) | (_, Err(refusal)) => {
                self.owners_complete = false;
                self.hidden(out, OWNERS, refusal.to_string(), "run it where /proc can be read");
                return;
            }
        };
        let by_pid: BTreeMap<u32, &ProcessInfo> = processes.iter().map(|process| (process.pid, process)).collect();
        for inode in here {
            let owner = owners.by_inode.get(&inode).and_then(|pid| by_pid.get(pid)).map(|process| (*process).clone());
            self.owners.insert(inode, (owner, now));
        }
        self.owners_complete = owners.complete;
        if owners.complete {
            self.visible(out, OWNERS);
        } else {
            self.hidden(out, OWNERS, "processes of other users could not be looked into".to_owned(), "run it as root: sudo why502");
        }
    }

    fn hidden(&mut self, out: &mut Vec<Observation>, source: &'static str, reason: String, remedy: &str) {
        if self.blind.insert(source, reason.clone()).as_ref() != Some(&reason) {
            out.push(Observation::Blind(BlindSpot { source: source.to_owned(), reason, remedy: remedy.to_owned() }));
        }
    }

    fn visible(&mut self, out: &mut Vec<Observation>, source: &'static str) {
        if self.blind.remove(source).is_some() {
            out.push(Observation::Seen { source: source.to_owned() });
        }
    }
}

/// Whether a table says something that the one told last did not: sockets or owners changed, a connection waits or has
/// stopped waiting, or one was dropped.
fn worth_telling(told: &ListenerTable, table: &ListenerTable) -> bool {
    let same = |a: &Listener, b: &Listener| {
        let waits = |listener: &Listener| listener.queue.is_some_and(|queue| queue.waiting > 0);
        let limit = |listener: &Listener| listener.queue.map(|queue| queue.limit);
        a.address == b.address && a.owner == b.owner && limit(a) == limit(b) && !waits(a) && !waits(b)
    };
    told.owners_complete != table.owners_complete
        || told.abroad != table.abroad
        || told.redirects != table.redirects
        || told.overflows != table.overflows
        || told.listeners.len() != table.listeners.len()
        || !told.listeners.iter().zip(&table.listeners).all(|(a, b)| same(a, b))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{
        sys::Root,
        watch::testing::{Inbox, channel},
    };

    fn last(inbox: &[Observation]) -> Option<&ListenerTable> {
        inbox.iter().rev().find_map(|observation| match observation {
            Observation::Listeners(table) => Some(table),
            _ => None,
        })
    }

    fn started() -> (Inbox, watch::Sender<ProbePlan>, CancellationToken) {
        let (outbox, inbox) = channel();
        let (ask, plans) = watch::channel(ProbePlan::default());
        let cancel = CancellationToken::new();
        tokio::spawn(run(Sys::new(Root::host(), false), plans, outbox, cancel.clone()));
        (inbox, ask, cancel)
    }

    #[tokio::test]
    async fn the_socket_by_which_consoles_know_of_each_other_is_nothing_of_the_hosts() {
        use std::os::{linux::net::SocketAddrExt as _, unix::net};
        let bind = |name: String| {
            let address = net::SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
            (net::UnixListener::bind_addr(&address).expect("a listener"), Address::Unix(format!("@{name}").into()))
        };
        let (_ours, own) = bind(format!("why502-console-test-{}", std::process::id()));
        let (_theirs, other) = bind(format!("a-why502-console-test-{}", std::process::id()));
        let (mut inbox, _ask, cancel) = started();
        inbox.until("the first look", |seen| seen.contains(&Observation::Done(Stage::Listeners))).await;
        let told: Vec<&Address> = last(&inbox.seen).expect("a table").listeners.iter().map(|listener| &listener.address).collect();
        assert!(told.contains(&&other) && !told.contains(&&own), "{told:?}");
        cancel.cancel();
    }

    #[tokio::test]
    async fn a_listener_comes_with_its_owner_and_goes() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = Address::Tcp(socket.local_addr().expect("address"));
        let (mut inbox, ask, cancel) = started();
        inbox.until("the first look", |seen| seen.contains(&Observation::Done(Stage::Listeners))).await;
        let mine = |table: &ListenerTable| table.listeners.iter().find(|listener| listener.address == at).cloned();
        let listener = last(&inbox.seen).and_then(mine).expect("our listener");
        assert_eq!(listener.owner.map(|owner| owner.pid), Some(std::process::id()));
        let client = TcpStream::connect(socket.local_addr().expect("address")).expect("connect");
        ask.send_modify(|plan| plan.asked += 1);
        let waiting =
            |seen: &[Observation], count| last(seen).and_then(mine).and_then(|l| l.queue).is_some_and(|q| q.waiting == count);
        inbox.until("a waiting connection", |seen| waiting(seen, 1)).await;
        drop(socket.accept().expect("accept"));
        ask.send_modify(|plan| plan.asked += 1);
        inbox.until("an empty queue", |seen| waiting(seen, 0)).await;
        drop((client, socket));
        ask.send_modify(|plan| plan.asked += 1);
        inbox.until("the listener is gone", |seen| last(seen).is_some_and(|table| mine(table).is_none())).await;
        cancel.cancel();
    }

    #[tokio::test]
    async fn another_root_without_proc_is_a_blind_spot_and_no_empty_table() {
        let dir = tempfile::tempdir().expect("directory");
        let (outbox, mut inbox) = channel();
        let cancel = CancellationToken::new();
        let plans = watch::channel(ProbePlan::default()).1;
        tokio::spawn(run(Sys::new(Root::below(dir.path()), false), plans, outbox, cancel.clone()));
        inbox.until("the first look", |seen| seen.contains(&Observation::Done(Stage::Listeners))).await;
        assert!(matches!(&inbox.seen[0], Observation::Blind(blind) if blind.source == SOCKETS));
        assert_eq!(last(&inbox.seen), None);
        cancel.cancel();
    }

    #[test]
    fn a_quiet_table_is_told_once() {
        let listener = |waiting| Listener {
            address: "127.0.0.1:80".parse().expect("address"),
            owner: None,
            queue: Some(crate::model::Queue { waiting, limit: 128 }),
        };
        let table = |waiting, overflows| ListenerTable {
            redirects: Vec::new(),
            listeners: vec![listener(waiting)],
            local: vec![],
            abroad: vec![],
            owners_complete: true,
            overflows: Some(overflows),
        };
        assert!(!worth_telling(&table(0, 5), &table(0, 5)));
        assert!(worth_telling(&table(0, 5), &table(1, 5)));
        assert!(worth_telling(&table(1, 5), &table(0, 5)));
        assert!(worth_telling(&table(0, 5), &table(0, 6)));
        assert!(worth_telling(&table(0, 5), &ListenerTable { listeners: vec![], ..table(0, 5) }));
    }
}
