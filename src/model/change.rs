//! What was changed on the host lately, and how far back that was looked for.

use serde::{Deserialize, Serialize};

use super::Subject;

/// What kind of thing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The application's code or its own settings.
    Deploy,
    /// Packages were installed, upgraded or removed.
    Packages,
    /// The configuration of a gateway or of an application server.
    Config,
    /// A unit of systemd, a drop-in, or a file with its environment.
    Unit,
    /// How names become addresses: hosts, resolv.conf, nsswitch.conf.
    Names,
    /// A certificate or its key.
    Certificate,
    /// A job of cron or a timer ran, or its table was edited.
    Job,
    /// The host was started, or another kernel waits for that.
    Boot,
    /// Somebody logged in, or became another user.
    Login,
    /// The wall clock was set.
    Clock,
    /// Addresses or routes of the host.
    Network,
    /// A gateway or an application was started or reloaded.
    Start,
}

impl ChangeKind {
    /// The word on the screen and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Packages => "packages",
            Self::Config => "config",
            Self::Unit => "unit",
            Self::Names => "names",
            Self::Certificate => "certificate",
            Self::Job => "job",
            Self::Boot => "boot",
            Self::Login => "login",
            Self::Clock => "clock",
            Self::Network => "network",
            Self::Start => "start",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind.
    pub kind: ChangeKind,
    /// What, for a person, with foreign text in it: `upgraded php8.2-fpm 8.2.28 -> 8.2.29 and 3 more`.
    pub what: String,
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// Where it was seen: `/var/log/dpkg.log`, `time of /etc/hosts`.
    pub source: String,
    /// By whom, where that is written: `bob`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What it bears on: upstreams as the gateway names them, kinds of gateways. Empty: the host as a whole, or nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<Subject>,
    /// Nothing was there before it, or it was made with the host itself: an installation and not a change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
}

/// A place where changes were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesLooked {
    /// For what kind of them.
    pub kind: ChangeKind,
    /// Where: `/var/log/dpkg.log`, `/srv/shop`.
    pub place: String,
    /// The latest change that is known there, however old, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// What of it was not looked at, and why: `12,000 files beyond the first 1,500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// What was changed since a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// How far back was looked, in seconds since the Unix epoch.
    pub from: i64,
    /// The changes, oldest first.
    pub list: Vec<Change>,
    /// Where was looked.
    pub looked: Vec<ChangesLooked>,
    /// Changes that were left out because there were too many.
    #[serde(default)]
    pub dropped: u64,
}
