//! What a host does against the next outage, as far as its files and processes tell.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What was found. What these names mean is for the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upkeep {
    /// Names of the programs that run, each once.
    pub programs: Vec<String>,
    /// Jobs that run by the clock.
    pub jobs: Vec<ClockJob>,
    /// What is rotated.
    pub rotations: Vec<Rotation>,
    /// When logs were rotated last, in seconds since the Unix epoch: logrotate's own note.
    pub rotated: Option<i64>,
    /// Packages.
    pub updates: Updates,
}

/// A job that runs by the clock: a timer of systemd, a line or script of cron.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockJob {
    /// What it is called: the timer, the script.
    pub name: String,
    /// Names of the programs that it runs, as far as its file says.
    pub programs: Vec<String>,
    /// Where it is written.
    pub file: PathBuf,
    /// When it ran last, in seconds since the Unix epoch, where a stamp says so (systemd.timer(5), Persistent=).
    pub last: Option<i64>,
}

/// A pattern of logrotate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The paths: `/var/log/nginx/*.log`.
    pub pattern: String,
    /// The file that says so.
    pub file: PathBuf,
}

/// What is known of updates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Updates {
    /// Packages that wait, where the host counts them itself.
    pub waiting: Option<u32>,
    /// When the lists of packages were fetched last, in seconds since the Unix epoch.
    pub lists: Option<i64>,
    /// Whether a restart of the host is asked for, and by which packages.
    pub reboot: Option<String>,
    /// The file that says that updates install themselves.
    pub unattended: Option<PathBuf>,
}
