//! What an application behind a gateway is set to: by its command line, its files, or its program's own defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Place, Subject};

/// What says so, where it is an option of the program's command line: [`AppSetting::from`].
pub const COMMAND_LINE: &str = "command line";
/// What says so, where nobody does: the program's own default.
pub const DEFAULT: &str = "default";

/// A setting of an application server, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSetting {
    /// The value, as written.
    pub value: String,
    /// What says so: `command line`, `default`, `/etc/php/8.2/fpm/pool.d/www.conf:12`.
    pub from: String,
}

impl AppSetting {
    /// Of a line of a file.
    pub fn at(value: &str, at: &Place) -> Self {
        Self { value: value.to_owned(), from: at.to_string() }
    }
}

/// A time that an application has for something, by its own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppTime {
    /// What it is called there: `--timeout`, `request_terminate_timeout`.
    pub name: String,
    /// Milliseconds; 0 for no connection that is kept at all.
    pub ms: u64,
    /// What says so, as in [`AppSetting::from`].
    pub from: String,
}

impl AppTime {
    /// `--timeout, command line`
    pub fn shown(&self) -> String {
        format!("{}, {}", self.name, self.from)
    }
}

/// The application that serves some upstreams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppSettings {
    /// The program: `gunicorn`, `php-fpm`; of php-fpm with the pool: `php-fpm pool www`.
    pub kind: String,
    /// Its master. `None`: it does not run.
    pub pid: Option<u32>,
    /// The unit of systemd that it runs in.
    pub unit: Option<String>,
    /// As whom it runs. Empty: not known.
    pub user: String,
    /// The upstreams that it is.
    pub serves: Vec<Subject>,
    /// What it is set to, by its own names.
    pub settings: BTreeMap<String, AppSetting>,
    /// How long it lets one request take before it kills who works on it. `None`: without a limit, or not known.
    pub request_limit: Option<AppTime>,
    /// How long it keeps an idle connection. `None`: not known, or for ever.
    pub keepalive: Option<AppTime>,
}

impl AppSettings {
    /// `gunicorn (pid 811, app.service)`
    pub fn title(&self) -> String {
        let kind = &self.kind;
        match (self.pid, &self.unit) {
            (Some(pid), Some(unit)) => format!("{kind} (pid {pid}, {unit})"),
            (Some(pid), None) => format!("{kind} (pid {pid})"),
            (None, Some(unit)) => format!("{kind} of {unit}, which does not run"),
            (None, None) => format!("{kind}, which does not run"),
        }
    }
}
