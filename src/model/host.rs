//! The host: who listens, who runs, how loaded it is. What is not known is `None`, never 0.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

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
    /// The same in clock ticks since the host's boot (proc(5), stat, field 22): tells apart what started within one second.
    #[serde(default)]
    pub start_ticks: Option<u64>,
    /// State letter of proc(5): `R`, `S`, `D`, `Z`, `T`.
    pub state: char,
    /// The path of its cgroup, of the unified or the name=systemd hierarchy.
    pub cgroup: Option<String>,
    /// Working directory. `None`: may not be read.
    pub cwd: Option<PathBuf>,
    /// Inode of its network namespace. `None`: may not be read.
    pub net_ns: Option<u64>,
    /// Its threads. 0: not told.
    #[serde(default)]
    pub threads: u32,
}

impl ProcessInfo {
    /// The path of its binary. Of one that was replaced while it runs, /proc says `/usr/sbin/nginx (deleted)` (proc(5)).
    /// `None`: it may not be read.
    pub fn binary(&self) -> Option<PathBuf> {
        let exe = self.exe.as_ref()?.to_string_lossy();
        Some(PathBuf::from(exe.strip_suffix(" (deleted)").unwrap_or(&exe)))
    }

    /// The file name of its binary; where that may not be read, its `comm`, which anybody may call himself.
    pub fn program(&self) -> Cow<'_, str> {
        let Some(exe) = &self.exe else { return Cow::Borrowed(&self.name) };
        match exe.file_name().unwrap_or_default().to_string_lossy() {
            Cow::Borrowed(name) => Cow::Borrowed(name.strip_suffix(" (deleted)").unwrap_or(name)),
            Cow::Owned(name) => Cow::Owned(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned()),
        }
    }

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

/// Other namespaces of this host that were looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abroad {
    /// What they are called: [`Address::place`].
    pub place: String,
    /// Their own addresses, other than those that every host has.
    #[serde(default)]
    pub local: Vec<IpAddr>,
    /// Whether they are a container: its processes have their own files or process ids, too.
    #[serde(default)]
    pub container: bool,
}

/// Connections to an address of this host that its packet filter sends elsewhere: a published port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Redirect {
    /// What is asked for; unspecified: any address of this host's own.
    pub from: SocketAddr,
    /// Where it ends.
    pub to: SocketAddr,
    /// Whether it holds for 127.0.0.1, too.
    #[serde(default)]
    pub loopback: bool,
}

/// All listening sockets of this host's network namespace, and of others whose processes are seen here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTable {
    /// The sockets. TCP over IPv4 and IPv6, and named unix stream sockets.
    pub listeners: Vec<Listener>,
    /// The host's own addresses, other than those that every host has.
    #[serde(default)]
    pub local: Vec<IpAddr>,
    /// Other namespaces; the addresses of their sockets are [`Address::Inside`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abroad: Vec<Abroad>,
    /// Where the packet filter sends connections that this host makes to itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
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

/// What the network lost between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetLoss {
    /// TCP segments sent again, in percent of those sent. `None`: none were sent.
    pub retransmitted: Option<f32>,
    /// Packets that devices dropped, a second.
    pub dropped: f32,
    /// Packets that devices found broken, a second.
    pub errors: f32,
    /// Connections dropped because an accept queue was full, since the sample before (`TcpExt ListenOverflows`).
    pub overflows: u64,
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
    /// Tasks (processes and threads) of the whole system, and how many there may be.
    pub tasks: Option<(u64, u64)>,
    /// Tasks that wait for a disk or a file server and cannot be killed meanwhile (state D).
    pub blocked: Option<u32>,
    /// Memory of TCP sockets, and the most that they may have, in pages (`net.ipv4.tcp_mem`).
    pub tcp_mem: Option<(u64, u64)>,
    /// Pages swapped in and out a second, since the sample before.
    pub swapping: Option<f32>,
    /// What the network lost since the sample before.
    pub net: Option<NetLoss>,
    /// Our own share of one processor since the sample before.
    pub self_cpu: Option<f32>,
    /// Our own resident memory.
    pub self_rss: Option<u64>,
    /// How often we were woken a second, since the sample before.
    pub self_wakeups: Option<f32>,
    /// Milliseconds until the next sample: longer where the host has nothing to spare.
    pub pace_ms: Option<u64>,
}

impl ListenerTable {
    /// Whether this address is the host's own.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || self.local.contains(&ip)
    }

    /// The address where a connection to this one ends, as far as namespaces of this host are known: that of another container
    /// belongs to it, and that of the host, asked for in a container, is the host's.
    pub fn home(&self, address: &Address) -> Address {
        let redirected = self.redirected(address);
        let address = redirected.as_ref().unwrap_or(address);
        let (place, Address::Tcp(to)) = (address.place(), address.bare()) else { return address.clone() };
        let ip = to.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            return address.clone();
        }
        let own = match place {
            None => self.local.contains(&ip),
            Some(place) => self.abroad.iter().any(|known| known.place == place && known.local.contains(&ip)),
        };
        if own {
            return address.clone();
        }
        if place.is_some() && self.local.contains(&ip) {
            return address.inside(None);
        }
        // Two networks of containers may have the same addresses: then it is not known which is meant.
        let mut others = self.abroad.iter().filter(|known| known.container && known.local.contains(&ip));
        match (others.next(), others.next()) {
            (Some(one), None) => address.inside(Some(&one.place)),
            _ => address.clone(),
        }
    }

    /// Where the packet filter sends a connection to an address of this host's own. `None`: it leaves it alone. What a container asks
    /// the host for comes in by an interface, which is none of 127.0.0.1.
    fn redirected(&self, address: &Address) -> Option<Address> {
        let Address::Tcp(to) = address.bare() else { return None };
        let ip = to.ip();
        let meant = |rule: &&Redirect| {
            let asked = rule.from.ip();
            let here = if ip.is_loopback() { rule.loopback && address.place().is_none() } else { self.local.contains(&ip) };
            rule.from.port() == to.port() && here && (asked == ip || asked.is_unspecified() && asked.is_ipv4() == ip.is_ipv4())
        };
        self.redirects.iter().find(meant).map(|rule| Address::Tcp(rule.to))
    }

    /// Addresses of this host whose connections end at this one of other namespaces.
    pub fn leading_to<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let own = address.place().and_then(|place| self.abroad.iter().find(|known| known.place == place));
        let ends = move |rule: &&Redirect| {
            let there = own.is_some_and(|own| own.local.contains(&rule.to.ip()));
            let open = matches!(address.bare(), Address::Tcp(at) if at.ip().is_unspecified() || at.ip() == rule.to.ip());
            there && open && address.port() == Some(rule.to.port())
        };
        self.redirects.iter().filter(ends).filter_map(|rule| {
            let any = rule.from.ip().is_unspecified();
            let first = || self.local.iter().find(|ip| ip.is_ipv4() == rule.from.is_ipv4()).copied();
            let ip = if any && !rule.loopback { first()? } else { rule.from.ip() };
            Some(SocketAddr::new(ip, rule.from.port()))
        })
    }

    /// Whether it would be seen here if somebody listened at this address: it is this host's own, or one of namespaces that were
    /// looked into.
    pub fn covers(&self, address: &Address) -> bool {
        let home = self.home(address);
        let looked_into = |place: &str| self.abroad.iter().find(|known| known.place == place);
        match (home.place(), home.bare()) {
            (None, Address::Tcp(at)) => self.is_local(at.ip()),
            // Sockets with a path are listed by the network that they were made in; whose path it is, their owners tell.
            (_, Address::Unix(_)) => true,
            (Some(place), Address::Tcp(at)) => {
                let ip = at.ip();
                looked_into(place).is_some_and(|known| ip.is_loopback() || ip.is_unspecified() || known.local.contains(&ip))
            }
            (_, Address::Name(..) | Address::Inside(..)) => false,
        }
    }

    /// The listener that takes a connection to this address: exactly there, or on any address with this port. A wildcard
    /// of IPv6 takes IPv4 too, unless the socket says otherwise, which the table does not tell (ipv6(7) IPV6_V6ONLY).
    pub fn taking(&self, address: &Address) -> Option<&Listener> {
        let home = self.home(address);
        // A slash at the end asks for a directory, which no socket is (path_resolution(7)); as paths the two are equal.
        if matches!(home.bare(), Address::Unix(path) if path.as_os_str().as_encoded_bytes().ends_with(b"/")) {
            return None;
        }
        let exact = self.listeners.iter().find(|listener| listener.address == home);
        exact.or_else(|| {
            let Address::Tcp(to) = home.bare() else { return None };
            let there = |listener: &&Listener| listener.address.place() == home.place();
            self.listeners.iter().filter(there).find(|listener| match listener.address.bare() {
                Address::Tcp(at) => at.port() == to.port() && at.ip().is_unspecified() && (at.is_ipv6() || to.is_ipv4()),
                Address::Name(..) | Address::Unix(_) | Address::Inside(..) => false,
            })
        })
    }
}
