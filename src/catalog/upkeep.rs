//! Programs by whose names a host shows what it does against the next outage, from `assets/upkeep.toml`.

use serde::Deserialize;

/// Characters of a process's name that the kernel keeps (proc(5), comm).
const COMM: usize = 15;

/// Lists of program names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UpkeepPrograms {
    monitors: Vec<String>,
    backups: Vec<String>,
    databases: Vec<String>,
    not_backups: Vec<String>,
}

impl UpkeepPrograms {
    /// Whether a program of this name watches hosts or sites.
    pub fn monitors(&self, name: &str) -> bool {
        any(&self.monitors, name)
    }

    /// Whether a program of this name makes backups.
    pub fn backs_up(&self, name: &str) -> bool {
        any(&self.backups, name)
    }

    /// Whether a program of this name is a database.
    pub fn keeps_data(&self, name: &str) -> bool {
        any(&self.databases, name)
    }

    /// Whether a job of this name, a timer's or a script's, says itself that it makes backups.
    pub fn job_backs_up(&self, job: &str) -> bool {
        !any(&self.not_backups, job) && (any(&self.backups, job) || job.to_ascii_lowercase().contains("backup"))
    }
}

fn any(list: &[String], name: &str) -> bool {
    list.iter().any(|known| {
        let kept = known.get(..COMM.min(known.len())).unwrap_or(known);
        name == kept || name.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '.', ':']))
    })
}
