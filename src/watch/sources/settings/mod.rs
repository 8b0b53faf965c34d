//! Logs by the settings of application servers: their command lines and configuration files say where they write, also when they
//! don't run.
//!
//! Files are only read, never executed: of a configuration that is a program (gunicorn's, puma's), an assignment of a plain
//! string is understood, and everything else is left to what the process has open.
//!
//! To add a program: a file here with a [`Reader`], and its line in [`READERS`].

mod gunicorn;
mod haproxy;
mod java;
pub(in crate::watch) mod php_fpm;
mod pm2;
mod puma;
mod uwsgi;

use std::path::{Path, PathBuf};

use super::service::Service;
use crate::{
    model::{Address, LogPlace, Place},
    sys::Root,
};

/// Bytes of a configuration file of an application server that are read.
const SETTINGS_BYTES: u64 = 256 << 10;
/// Logs that the settings of one service may name, at most.
const NAMED: usize = 16;

/// A log that a setting names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch::sources) struct Named {
    /// Where.
    pub(in crate::watch::sources) place: LogPlace,
    /// What says so: `error_log in /etc/php/8.2/fpm/php-fpm.conf:24`.
    pub(in crate::watch::sources) why: String,
}

/// Looks for what the settings of a service name. A service of another program gives nothing.
type Reader = fn(&Settings<'_>) -> Vec<Named>;

/// The programs whose settings are understood.
const READERS: &[Reader] = &[php_fpm::read, gunicorn::read, uwsgi::read, puma::read, pm2::read, java::read, haproxy::read];

/// What a reader works with.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch) struct Settings<'a> {
    /// The files of the host.
    pub(in crate::watch) root: &'a Root,
    /// Whose settings.
    pub(in crate::watch) service: &'a Service,
    /// Where gateways of this host connect to.
    pub(in crate::watch) dialled: &'a [Address],
}

impl Settings<'_> {
    /// A path as the service means it: from its working directory, and in its own file system where that is another than ours.
    pub(in crate::watch) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let start = self.service.lead.cwd.as_deref().unwrap_or(Path::new("/"));
        let inside = start.join(path);
        let own = PathBuf::from(format!("/proc/{}/root", self.service.lead.pid));
        let id = |path: &Path| self.root.stat(path).ok().map(|info| info.id);
        match (self.service.runs.then(|| id(&own)).flatten(), id(Path::new("/"))) {
            (Some(theirs), Some(ours)) if theirs != ours => own.join(inside.strip_prefix("/").unwrap_or(&inside)),
            _ => inside,
        }
    }

    /// The text of a settings file. `None`: it can't be read.
    pub(in crate::watch) fn text(&self, path: &Path) -> Option<String> {
        let (bytes, _) = self.root.read_at_most(path, SETTINGS_BYTES).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A log by an option of the command line. `None`: that names no file.
    fn by_option(&self, names: &[&str]) -> Option<Named> {
        let value = self.service.option(names)?;
        let path = file(value)?;
        Some(Named { place: LogPlace::File(self.path(path)), why: format!("{} of {}", names.first()?, self.service.name()) })
    }

    /// A log by a line of a file.
    fn by_line(&self, setting: &str, value: &str, file_of: &Path, line: usize) -> Option<Named> {
        let path = file(value)?;
        let at = Place { file: file_of.to_owned().into(), line: u32::try_from(line).unwrap_or(u32::MAX) };
        Some(Named { place: LogPlace::File(self.path(path)), why: format!("{setting} in {at}") })
    }
}

/// The file that a value names. `None`: a stream, syslog, a pattern that only the program can fill in, or nothing.
fn file(value: &str) -> Option<&str> {
    let value = value.trim().trim_matches(['"', '\'']).trim();
    let value = value.strip_prefix("file:").unwrap_or(value);
    let stream = matches!(value, "" | "-" | "syslog" | "stderr" | "stdout" | "stdio" | "none" | "off");
    let odd = value.contains(['%', '$', '\n', '\0', '|', '#', '{']) || value.starts_with("/dev/") || value.starts_with("/proc/");
    (!stream && !odd && value.len() <= 4096).then_some(value)
}

/// The lines of a file of `key = value` with their numbers from 1; comments are left out.
pub(in crate::watch) fn assignments(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    text.lines().enumerate().filter_map(|(at, line)| {
        let line = line.trim();
        let (key, value) = line.split_once('=')?;
        (!line.starts_with([';', '#'])).then(|| (at + 1, key.trim(), value.trim()))
    })
}

/// All logs that the settings of this service name.
pub(in crate::watch::sources) fn logs(settings: &Settings<'_>) -> Vec<Named> {
    let mut out: Vec<Named> = Vec::new();
    for named in READERS.iter().flat_map(|read| read(settings)) {
        if out.len() < NAMED && !out.iter().any(|known| known.place == named.place) {
            out.push(named);
        }
    }
    out
}

#[cfg(test)]
mod tests;
