//! Layer 1: the only door to clock, files, programs, names and sockets.
//!
//! Everything above asks for these things here, so that tests can pause the clock and look at another root, and so that
//! what needs rights stands in one place: [`Rights`], a closed set of typed, read-only, asynchronous requests. It runs
//! in this process and, for what needs rights that this process gives up, in the broker: nothing that a request or reply carries
//! may be borrowed or tied to this process.
//!
//! What must not be here: any meaning. A failed read is an error with operation and subject; what it says about a 502 is
//! for `diagnose/`. Nothing here writes to the host.
//!
//! To add a right: a variant of `rights::Request` with its reply, and its arm in `rights::serve`.

use std::time::Duration;

mod access;
mod acl;
mod admin;
mod aside;
mod broker;
mod clock;
mod config_test;
mod confine;
mod dbus;
mod dir_watcher;
mod dns;
mod editor;
mod files;
#[doc(hidden)]
pub mod foreign;
mod gauges;
pub mod glob;
mod helper;
mod identity;
mod instances;
mod journal;
mod kmsg;
mod metrics;
mod mounts;
mod namespaces;
mod net;
mod operator;
mod outbox;
mod packet_filters;
mod packets;
mod peek;
mod processes;
mod rights;
mod route;
mod services;
mod sockets;
mod tail;
mod terminal;
mod waits;
mod watcher;
mod written;
mod zone;

pub use access::{Groups, Ids, Obstacle, SEARCH, Stop, WRITE, obstacle, own_ids, walk, walk_seen};
pub use acl::{Acl, Ruling};
pub use admin::AdminQuestion;
pub use aside::{aside, left, within};
pub use broker::{BROKER_MODE, begin as begin_broker, end as end_broker, go_on as broker_goes_on, serve_broker};
pub use clock::{Clock, Stopwatch};
pub use config_test::{CONFIG_TEST_MODE, ConfigTestJob, ConfigTested, NOT_MADE, serve as serve_config_test};
pub use confine::{Confined, Keep, confine, die_first};
pub use dir_watcher::DirWatcher;
pub use dns::{Dns, NameError};
pub use editor::Editor;
pub use files::{FILE_BYTES, FileError, FileInfo, FileKind, Root};
pub use gauges::{DiskUse, disk_use, space};
pub use identity::{acting, assume, can_assume, die_with_parent, is_ours, ourselves};
pub use instances::{Others, instances, of_a_console};
pub use journal::{JOURNAL_UNITS, JOURNALS, JournalQuery, JournalStream, has_journal};
pub use kmsg::{KernelLog, KernelRead};
pub use metrics::{HostMetrics, HostSample};
pub use mounts::{Mount, Mounts, holder, mounts, processes_are_hidden};
pub use namespaces::{Namespaces, Space, Way, own_net, pid_spaces, same_mounts, same_root};
pub use net::{ConnectError, Stream, connected_from, has_connected};
pub use operator::Operator;
pub use outbox::{Bell, Inbox, OUTBOX_CAPACITY, Outbox, Stamped};
pub use packet_filters::{FilterRules, FilterTool};
pub use packets::{Ear, Echo, Echoes, Heard, Knock, Knocked, MARK, Manner, bare_ack, echo, knock};
pub use processes::{SocketOwners, Users, descriptors};
pub use rights::{Errand, PROBE_AS_MODE, Processes, Refusal, Rights};
pub use route::{neighbour_of, route_to};
pub use services::SERVICE_UNITS;
pub use sockets::{
    Connection, LISTENERS, ListeningSocket, Sent, SocketsError, Unanswered, accepted, connections_to, listen_overflows, listening,
    listening_in, local_addresses, local_addresses_of, sent_to, towards, unanswered,
};
pub use tail::{Look, OpenFile, stat_aside};
pub use terminal::terminal_again;
pub use waits::Wait;
pub use watcher::{Subscription, Watch, Watcher};
pub use written::{WrittenFile, WrittenFiles};
pub use zone::{operators_zone, zone};

/// Calls that may hang, under way at once, at most: a dead NFS server must not cost a thread per question. The tests are many hosts in
/// one process, and a paused clock runs on while one of them waits for the others.
const BLOCKING_CALLS: usize = if cfg!(test) { 256 } else { 8 };
static BLOCKING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(BLOCKING_CALLS);

/// Runs what may hang (a stat, a read on a dead file system) where nothing waits for it: `None` when it did not end
/// `within` this time, or when too many such calls hang already.
pub async fn blocking<T: Send + 'static>(within: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let run = async {
        let permit = BLOCKING.acquire().await.ok()?;
        aside(move || {
            let result = call();
            // Given back only now: a call that hangs keeps its place.
            drop(permit);
            result
        })
        .await
    };
    tokio::time::timeout(within, run).await.ok().flatten()
}

/// What a collector is given: the clock, the file tree and the rights of this run.
#[derive(Debug, Clone)]
pub struct Sys {
    /// The clock.
    pub clock: Clock,
    /// The root below which /proc, /etc and /var are looked at.
    pub root: Root,
    /// What needs more than an ordinary user's rights.
    pub rights: Rights,
    /// Names to addresses.
    pub dns: Dns,
    /// Other namespaces of this host.
    pub namespaces: Namespaces,
    /// Whether anything may be sent at all (`--no-probe`, `--root`).
    pub probing: bool,
}

impl Sys {
    /// The real host, or the tree below `root`.
    pub fn new(root: Root, probing: bool) -> Self {
        let clock = Clock::system();
        let rights = Rights::in_process(root.clone());
        let probing = probing && root.is_host();
        Self { clock, rights, dns: Dns::new(root.clone()), root, namespaces: Namespaces::default(), probing }
    }

    /// The same system as it is seen in other namespaces: with the files that a process there sees, and what /proc tells here of
    /// these processes. An error: it ended, or may not be looked into.
    pub fn inside(&self, way: &Way, pids: impl IntoIterator<Item = u32>) -> std::io::Result<Self> {
        let root = Root::of(way, pids)?;
        let rights = self.rights.inside(root.clone(), way.clone());
        Ok(Self { rights, dns: Dns::new(root.clone()), root, ..self.clone() })
    }
}
