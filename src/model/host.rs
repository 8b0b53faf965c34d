//! The host: who listens, who runs, how loaded it is. What is not known is `None`, never 0.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Address;

/// As whom a process acts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the user, from the host's own passwd file; the number where it has none.
    pub name: String,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A process, as /proc tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process id, as seen from here.
    pub pid: u32,
    /// Parent.
    pub ppid: u32,
    /// `comm`: at most 15 bytes, of the process's own choosing.
    pub name: String,
    /// Command line. Empty for kernel threads, and where it may not be read.
    pub argv: Vec<String>,
    /// Binary. `None`: may not be read.
    pub exe: Option<PathBuf>,
    /// Real, effective user and groups.
    pub identity: Identity,
    /// When it started, in seconds since the Unix epoch.
    pub started: Option<i64>,
    /// State letter of proc(5): `R`, `S`, `D`, `Z`, `T`.
    pub state: char,
    /// The path of its cgroup, of the unified or the name=systemd hierarchy.
    pub cgroup: Option<String>,
    /// Working directory. `None`: may not be read.
    pub cwd: Option<PathBuf>,
    /// Inode of its network namespace. `None`: may not be read.
    pub net_ns: Option<u64>,
}

impl ProcessInfo {
    /// The systemd service in whose cgroup it runs: `app.service`.
    pub fn unit(&self) -> Option<&str> {
        self.cgroup.as_deref()?.split('/').rev().find(|part| part.ends_with(".service"))
    }
}

/// The accept queue of a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may wait.
    pub limit: u32,
}

impl Queue {
    /// Linux accepts one more than the limit before it drops (`sk_acceptq_is_full` compares with `>`).
    pub fn full(self) -> bool {
        self.waiting >= self.limit.max(1)
    }
}

/// A listening stream socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// Whose. `None`: may not be told, or a socket that its owner passed on.
    pub owner: Option<ProcessInfo>,
    /// Its accept queue. `None`: the kernel did not tell.
    pub queue: Option<Queue>,
}

/// All listening sockets of the gateway's network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTable {
    /// The sockets. TCP over IPv4 and IPv6, and named unix stream sockets.
    pub listeners: Vec<Listener>,
    /// The host's own addresses, other than those that every host has.
    #[serde(default)]
    pub local: Vec<IpAddr>,
    /// Whether the owners of other users' sockets could be seen.
    pub owners_complete: bool,
    /// How often a connection was dropped because an accept queue was full, since boot (`TcpExt ListenOverflows`).
    pub overflows: Option<u64>,
}

/// Pressure stall information of one resource (Linux `Documentation/accounting/psi.rst`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// Share of the last 10 s in which some task waited, in percent.
    pub some: f32,
    /// Share of the last 10 s in which all tasks waited, in percent.
    pub full: f32,
}

/// Load of the host. All shares in percent, all sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostLoad {
    /// Online processors.
    pub cores: Option<u32>,
    /// Busy share of all processors since the sample before.
    pub cpu: Option<f32>,
    /// Share stolen by the hypervisor.
    pub steal: Option<f32>,
    /// Load averages over 1, 5, 15 minutes.
    pub load: Option<[f32; 3]>,
    /// Runnable tasks.
    pub runnable: Option<u32>,
    /// Total memory.
    pub mem_total: Option<u64>,
    /// Memory that new work can have without swapping (`MemAvailable`).
    pub mem_available: Option<u64>,
    /// Total swap.
    pub swap_total: Option<u64>,
    /// Used swap.
    pub swap_used: Option<u64>,
    /// CPU pressure.
    pub psi_cpu: Option<Pressure>,
    /// Memory pressure.
    pub psi_mem: Option<Pressure>,
    /// I/O pressure.
    pub psi_io: Option<Pressure>,
    /// Tasks killed for want of memory since boot (`/proc/vmstat` `oom_kill`).
    pub oom_kills: Option<u64>,
    /// File systems that gateway or logs live on: mount point, used share, used share of inodes.
    pub disks: Vec<(String, f32, Option<f32>)>,
    /// Open files of the whole system, and their limit.
    pub files: Option<(u64, u64)>,
    /// Connection tracking entries, and their limit.
    pub conntrack: Option<(u64, u64)>,
    /// Our own share of one processor since the sample before.
    pub self_cpu: Option<f32>,
    /// Our own resident memory.
    pub self_rss: Option<u64>,
}

impl ListenerTable {
    /// Whether this address is the host's own.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || self.local.contains(&ip)
    }

    /// The listener that takes a connection to this address: exactly there, or on any address with this port. A wildcard
    /// of IPv6 takes IPv4 too, unless the socket says otherwise, which the table does not tell (ipv6(7) IPV6_V6ONLY).
    pub fn taking(&self, address: &Address) -> Option<&Listener> {
        let exact = self.listeners.iter().find(|listener| listener.address == *address);
        exact.or_else(|| {
            let Address::Tcp(to) = address else { return None };
            self.listeners.iter().find(|listener| match &listener.address {
                Address::Tcp(at) => at.port() == to.port() && at.ip().is_unspecified() && (at.is_ipv6() || to.is_ipv4()),
                Address::Name(..) | Address::Unix(_) => false,
            })
        })
    }
}
