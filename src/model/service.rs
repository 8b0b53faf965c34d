//! How loaded the gateway and the applications behind it are, each for itself: what its processes, its cgroup and the places that it
//! writes to tell. What is not known is `None`, never 0.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{OwnerRole, Pressure, Subject};

/// Descriptors of the process of a service that is nearest to its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUse {
    /// The process.
    pub pid: u32,
    /// How many it has open.
    pub open: u64,
    /// How many it may have (`RLIMIT_NOFILE`, the soft one).
    pub limit: u64,
}

/// Tasks of a user and their limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserTasks {
    /// His name.
    pub user: String,
    /// Processes and threads of his.
    pub used: u64,
    /// How many he may have before the next one is refused.
    pub limit: u64,
}

/// A process that waits in the kernel and cannot be killed meanwhile (state D of proc(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckProcess {
    /// The process.
    pub pid: u32,
    /// Its name: foreign text.
    pub name: String,
    /// Where in the kernel it waits. Empty: may not be told.
    #[serde(default)]
    pub wchan: String,
    /// Looks in a row that found it so, without any time on a processor in between.
    pub looks: u32,
}

/// How a place is known to be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceUse {
    /// A file there is open for writing.
    Open,
    /// Programs of its kind keep temporary files, bodies or sessions there, or it works there.
    Usual,
    /// It may write there.
    #[default]
    May,
}

/// A file system that a service writes to, or may.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServicePlace {
    /// What is written there: a file or a directory.
    pub path: PathBuf,
    /// How that is known.
    pub how: PlaceUse,
    /// Where its file system is mounted.
    pub mount: PathBuf,
    /// Its type: `ext4`, `tmpfs`.
    pub kind: String,
    /// Used share in percent, as df counts. `None`: it was not asked, because it may hang, or gave no answer.
    pub used: Option<f32>,
    /// Bytes that an ordinary user can still write there.
    pub free: Option<u64>,
    /// Used share of inodes in percent. `None`: unknown, or it has no fixed number of them.
    pub inodes: Option<f32>,
    /// Whether it is read-only as a whole: the file system, and not only this mount of it.
    pub read_only: bool,
}

/// How loaded one service is: a master with its workers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceLoad {
    /// What it is to the request.
    pub role: OwnerRole,
    /// The upstreams that it is, or the gateway's kind.
    pub serves: Vec<Subject>,
    /// The master's name: foreign text.
    pub name: String,
    /// The master.
    pub pid: u32,
    /// Its unit: `app.service`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The path of a cgroup that is its own, so that the cgroup's figures are its. `None`: it shares one, and figures are sums over its
    /// processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The path of the cgroup whose memory it uses, as the kernel's log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_group: Option<String>,
    /// Processes that were looked at.
    pub processes: u32,
    /// Processes below the master.
    pub workers: u32,
    /// Share of one processor since the look before, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f32>,
    /// Of the time since the look before in which its tasks could have run, the share that they waited for a processor, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starved: Option<f32>,
    /// How long they waited in that time, summed over tasks, in percent of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited: Option<f32>,
    /// Other programs whose processes ran or wanted to when all processes were looked at last, with how many of them: foreign text. Only
    /// where tasks wait for a processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<(String, u32)>,
    /// Processors that its cgroup, or one above it, may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<f32>,
    /// Share of the enforcement periods since the look before in which that limit stopped it, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<f32>,
    /// Pressure within its cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi_cpu: Option<Pressure>,
    /// Pressure within its cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi_mem: Option<Pressure>,
    /// Pressure within its cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi_io: Option<Pressure>,
    /// Memory: of its cgroup without what can be dropped at once, else resident memory summed over its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The tightest limit of memory: use and limit of that cgroup, in bytes; use without what can be dropped at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<(u64, u64)>,
    /// What of it is swapped out, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<u64>,
    /// Tasks of its cgroup killed for want of memory, since the cgroup was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Those of them since we look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills_seen: Option<u64>,
    /// Tasks (processes and threads) and their limit, of the cgroup that is nearest to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<(u64, u64)>,
    /// The user as whom its workers run, the tasks of that user on the whole host, and how many he may have (`RLIMIT_NPROC`, the soft one).
    /// `None`: there is no such limit, or the user is root, whom it does not bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_tasks: Option<UserTasks>,
    /// Of a gateway: sockets of the process that has most of them, which is what a limit of connections per worker counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<(u32, u64)>,
    /// Descriptors of the process that is nearest to its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FileUse>,
    /// Processes that a signal has stopped (state T).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<u32>,
    /// Milliseconds for which we see the master stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_ms: Option<u64>,
    /// Processes that hang in the kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<StuckProcess>,
    /// Connections that it has accepted and not closed, on the sockets that it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u32>,
    /// Where it writes to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<ServicePlace>,
}

impl ServiceLoad {
    /// `gunicorn (pid 811, app.service)`: foreign text.
    pub fn title(&self) -> String {
        match &self.unit {
            Some(unit) => format!("{} (pid {}, {unit})", self.name, self.pid),
            None => format!("{} (pid {})", self.name, self.pid),
        }
    }

    /// Whether no process of it can answer, because a signal has stopped those that would.
    pub fn halted(&self) -> bool {
        let serving = if self.workers > 0 { self.workers } else { 1 };
        let stopped = u32::try_from(self.stopped.iter().filter(|pid| **pid != self.pid || self.workers == 0).count());
        stopped.is_ok_and(|stopped| stopped >= serving) && !self.stopped.is_empty()
    }
}
