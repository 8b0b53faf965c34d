//! Tomcat: `catalina.out`, and the `catalina` and `localhost` logs of the latest day, below `catalina.base/logs`. Spring Boot:
//! `logging.file.name`.

use std::path::{Path, PathBuf};

use super::{Named, Settings, file};
use crate::model::LogPlace;

/// Logs of one day each, of which the latest is the one that is written (`org.apache.juli.FileHandler`).
const DAILY: &[&str] = &["catalina.", "localhost."];

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    let argv = &settings.service.lead.argv;
    let property = |names: &[&str]| argv.iter().find_map(|arg| names.iter().find_map(|name| arg.strip_prefix(name)));
    let named =
        |path: PathBuf, why: &str| Named { place: LogPlace::File(path), why: format!("{why} of {}", settings.service.name()) };
    let mut out = Vec::new();
    if let Some(path) = property(&["-Dlogging.file.name=", "--logging.file.name=", "-Dlogging.file="]).and_then(file) {
        out.push(named(settings.path(path), "logging.file.name"));
    }
    let Some(base) = property(&["-Dcatalina.base="]) else { return out };
    let logs = settings.path(Path::new(base).join("logs"));
    out.push(named(logs.join("catalina.out"), "catalina.base"));
    let names = settings.root.list(&logs).unwrap_or_default();
    for prefix in DAILY {
        // `catalina.2026-11-20.log`: the names sort as the days do.
        let daily = |name: &&std::ffi::OsString| {
            let name = name.to_string_lossy();
            name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".log")).is_some_and(|day| day.starts_with("20"))
        };
        out.extend(names.iter().filter(daily).max().map(|name| named(logs.join(name), "catalina.base")));
    }
    out
}
