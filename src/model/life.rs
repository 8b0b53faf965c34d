//! The life of a service, as its manager tells it: whether it runs, since when, how it ended, how often it was started again.

use serde::{Deserialize, Serialize};

use super::{OwnerRole, Subject};

/// How a process of a service ended (waitid(2), `si_code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceExit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// By this signal, with a dump of its memory.
    Dumped(i32),
}

/// A service as its manager tells it. What it did not tell is empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceLife {
    /// `app.service`, or the name of a supervisor's program.
    pub unit: String,
    /// Who manages it: `systemd`, `supervisord`, `runit`.
    pub manager: String,
    /// What it is to the request. `None`: nothing that is known; it is told because it has failed.
    pub role: Option<OwnerRole>,
    /// The upstreams that it serves, or the gateway that it is.
    pub serves: Vec<Subject>,
    /// `loaded`, `not-found`, `masked`, `bad-setting`.
    pub load: String,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`.
    pub active: String,
    /// `running`, `auto-restart`, `dead`, `failed`.
    pub sub: String,
    /// Why it failed: `success`, `exit-code`, `signal`, `core-dump`, `oom-kill`, `watchdog`, `timeout`, `start-limit-hit`, `resources`.
    pub result: String,
    /// How its main process ended the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ServiceExit>,
    /// How often it was started again since somebody started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// When it became as it is, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// When its main process ended the last time, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
    /// Its main process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether it is started with the host: `enabled`, `disabled`, `static`, `masked`.
    pub enabled: String,
    /// Whether its file was changed since its manager read it.
    pub stale: bool,
    /// Where this was told: `systemd (D-Bus)`, `systemctl show`.
    pub source: String,
}

impl ServiceLife {
    /// Whether it runs now.
    pub fn runs(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }

    /// Whether its manager starts it again and again.
    pub fn restarts_now(&self) -> bool {
        self.sub.starts_with("auto-restart") || self.sub == "BACKOFF"
    }

    /// Whether nobody will start it any more.
    pub fn failed(&self) -> bool {
        self.active == "failed"
    }
}
