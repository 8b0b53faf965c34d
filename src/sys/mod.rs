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

mod access;
mod clock;
mod dns;
mod files;
mod gauges;
mod kmsg;
mod net;
mod outbox;
mod processes;
mod rights;
mod sockets;
mod tail;
mod watcher;
mod zone;

pub use access::{Groups, Obstacle, OwnIds, obstacle, own_ids};
pub use clock::Clock;
pub use dns::{Dns, NameError};
pub use files::{FILE_BYTES, FileError, FileInfo, FileKind, Root};
pub use gauges::{DiskUse, disk_use};
pub use kmsg::{KernelLog, KernelRead};
pub use net::{ConnectError, Stream};
pub use outbox::{OUTBOX_CAPACITY, Outbox, Stamped};
pub use processes::{SocketOwners, Users};
pub use rights::{PROBE_AS_MODE, Refusal, Rights};
pub use sockets::{LISTENERS, ListeningSocket, SocketsError, listen_overflows, listening};
pub use tail::{OpenFile, stat_aside};
pub use watcher::DirWatcher;
pub use zone::zone;

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
