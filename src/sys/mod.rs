//! Layer 1: the only door to clock, files, programs, names and sockets.
//!
//! Everything above asks for these things here, so that tests can pause the clock and look at another root, and so that
//! what needs rights stands in one place: [`Rights`], a closed set of typed, read-only, asynchronous requests. It runs
//! in this process today; it is the seam at which a small privileged broker will be cut off, so nothing that a request
//! or reply carries may be borrowed or tied to this process.
//!
//! What must not be here: any meaning. A failed read is an error with operation and subject; what it says about a 502 is
//! for `diagnose/`. Nothing here writes to the host.
//!
//! To add a right: a variant of `rights::Request` with its reply, and its arm in `rights::serve`.

use std::time::Duration;

mod access;
mod clock;
mod config_test;
mod dir_watcher;
mod dns;
mod files;
mod gauges;
pub mod glob;
mod identity;
mod journal;
mod kmsg;
mod metrics;
mod net;
mod outbox;
mod processes;
mod rights;
mod sockets;
mod tail;
mod watcher;
mod written;
mod zone;

pub use access::{Groups, Obstacle, OwnIds, obstacle, own_ids};
pub use clock::{Clock, Stopwatch};
pub use config_test::{CONFIG_TEST_MODE, ConfigTestJob, ConfigTested, NOT_MADE, serve as serve_config_test};
pub use dir_watcher::DirWatcher;
pub use dns::{Dns, NameError};
pub use files::{FILE_BYTES, FileError, FileInfo, FileKind, Root};
pub use gauges::{DiskUse, disk_use};
pub use identity::{assume, can_assume, die_with_parent, is_ours, ourselves};
pub use journal::{JOURNAL_UNITS, JOURNALS, JournalQuery, JournalStream, has_journal};
pub use kmsg::{KernelLog, KernelRead};
pub use metrics::{HostMetrics, HostSample};
pub use net::{ConnectError, Stream};
pub use outbox::{OUTBOX_CAPACITY, Outbox, Stamped};
pub use processes::{SocketOwners, Users};
pub use rights::{PROBE_AS_MODE, Refusal, Rights};
pub use sockets::{LISTENERS, ListeningSocket, SocketsError, listen_overflows, listening, local_addresses};
pub use tail::{OpenFile, stat_aside};
pub use watcher::{Subscription, Watch, Watcher};
pub use written::{WrittenFile, WrittenFiles};
pub use zone::zone;

/// Calls that may hang, under way at once, at most: a dead NFS server must not cost a thread per question.
const BLOCKING_CALLS: usize = 8;
static BLOCKING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(BLOCKING_CALLS);

/// Runs what may hang (a stat, a read on a dead file system) where nothing waits for it: `None` when it did not end
/// `within` this time, or when too many such calls hang already.
pub async fn blocking<T: Send + 'static>(within: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let run = async {
        let permit = BLOCKING.acquire().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let result = call();
            // Given back only now: a call that hangs keeps its place.
            drop(permit);
            result
        })
        .await
        .ok()
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
    /// Whether anything may be sent at all (`--no-probe`, `--root`).
    pub probing: bool,
}

impl Sys {
    /// The real host, or the tree below `root`.
    pub fn new(root: Root, probing: bool) -> Self {
        let clock = Clock::system();
        let rights = Rights::in_process(root.clone());
        let probing = probing && root.is_host();
        Self { clock, rights, dns: Dns::new(root.clone()), root, probing }
    }
}
