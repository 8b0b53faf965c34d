//! Jobs of cron and timers: when they ran, by cron's log and the stamps of timers, and when their tables were edited. A job that runs
//! each minute explains nothing; of each only the last run is told, with how often it ran.

use std::{collections::BTreeMap, path::Path};

use super::Looker;
use crate::model::{Change, ChangeKind, Order as _, logline};

/// Where cron's words are, by distribution.
const LOGS: [&str; 4] = ["/var/log/cron.log", "/var/log/cron", "/var/log/syslog", "/var/log/messages"];
/// Tables of jobs: files, and directories of them.
const TABLES: [&str; 8] = [
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
    "/etc/anacrontab",
];
/// Stamps of timers that are persistent (systemd.timer(5)): `stamp-logrotate.timer`.
const STAMPS: &str = "/var/lib/systemd/timers";
/// Jobs that are told, at most, the latest first.
const JOBS: usize = 12;
/// Runs in what is looked at from which on a job is a heartbeat, and explains nothing: more than one an hour.
const OFTEN: usize = 25;
/// Characters of a command that are told: what is run, and not what is told to it.
const COMMAND_CHARS: usize = 60;
/// Names in a directory that are looked at.
const NAMES: usize = 64;

/// Looks at all of them.
pub(super) fn look(looker: &mut Looker<'_>) {
    ran(looker);
    timers(looker);
    tables(looker);
}

/// The program that a job runs, without what it is told: passwords stand in crontabs.
fn program(command: &str) -> String {
    let words = command.split_ascii_whitespace().filter(|word| !word.contains('='));
    let skip = ["cd", "test", "[", "&&", "||", "nice", "ionice", "flock", "sh", "bash", "/bin/sh", "-c", "root"];
    let word = words
        .clone()
        .find(|word| word.len() > 1 && word.starts_with('/') && !word.ends_with("/sh"))
        .or_else(|| words.clone().find(|word| !skip.contains(word)));
    word.unwrap_or("a job").trim_matches(['(', ')', ';', '"', '\'']).chars().take(COMMAND_CHARS).collect()
}

fn ran(looker: &mut Looker<'_>) {
    let mut jobs: BTreeMap<String, (usize, i64, String, &str)> = BTreeMap::new();
    for path in LOGS {
        let Some(text) = looker.end_of(Path::new(path)) else { continue };
        let mut any = None;
        for line in text.lines().filter(|line| line.contains("CMD (")) {
            let carried = logline::carried(line);
            let Some(at) = carried.time.and_then(|time| time.second(&looker.zone, looker.now)) else { continue };
            // `(root) CMD (   cd / && run-parts --report /etc/cron.hourly)`
            let Some((user, command)) = carried.text.split_once(" CMD (") else { continue };
            any = any.max(Some(at));
            if !looker.within(at) {
                continue;
            }
            let user = user.trim_matches(['(', ')']).to_owned();
            let job = jobs.entry(program(command.trim_end_matches(')'))).or_insert((0, at, user, path));
            job.0 += 1;
            job.1 = job.1.max(at);
        }
        if any.is_some() {
            looker.looked(ChangeKind::Job, path, any);
        }
    }
    let mut jobs: Vec<_> = jobs.into_iter().filter(|(_, (runs, ..))| *runs < OFTEN).collect();
    jobs.order_by_key(|(_, (_, at, ..))| std::cmp::Reverse(*at));
    for (program, (runs, at, user, path)) in jobs.into_iter().take(JOBS) {
        let often = if runs == 1 { "once".to_owned() } else { format!("{runs} times") };
        let back = (looker.now - looker.from) / 3600;
        looker.add(Change {
            kind: ChangeKind::Job,
            what: format!("cron ran {program} ({often} in {back} h)"),
            at,
            source: path.to_owned(),
            by: Some(user),
            concerns: Vec::new(),
            first: false,
        });
    }
}

fn timers(looker: &mut Looker<'_>) {
    for name in looker.root.list_at_most(Path::new(STAMPS), NAMES).unwrap_or_default() {
        let Some(timer) = name.to_str().and_then(|name| name.strip_prefix("stamp-")) else { continue };
        let Ok(info) = looker.root.stat(&Path::new(STAMPS).join(&name)) else { continue };
        let what = format!("{timer} went off");
        let (at, source) = (info.modified, "stamps of systemd's timers".to_owned());
        looker.add(Change { kind: ChangeKind::Job, what, at, source, by: None, concerns: Vec::new(), first: false });
    }
}

fn tables(looker: &mut Looker<'_>) {
    for table in TABLES.map(Path::new) {
        let names = looker.root.list_at_most(table, NAMES).unwrap_or_default();
        let files = std::iter::once(table.to_owned()).chain(names.into_iter().map(|name| table.join(name)));
        for path in files {
            let Ok(info) = looker.root.stat(&path) else { continue };
            if info.kind == crate::sys::FileKind::RegularFile {
                looker.add(Change {
                    kind: ChangeKind::Job,
                    what: format!("{} was changed", path.display()),
                    at: info.modified,
                    source: format!("time of {}", path.display()),
                    by: None,
                    concerns: Vec::new(),
                    first: false,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_job_only_its_program_is_told() {
        for (command, told) in [
            ("/usr/local/bin/backup --password hunter2", "/usr/local/bin/backup"),
            ("   cd / && run-parts --report /etc/cron.hourly", "/etc/cron.hourly"),
            ("TOKEN=abc /opt/x/job", "/opt/x/job"),
            ("certbot -q renew", "certbot"),
            ("", "a job"),
        ] {
            assert_eq!(program(command), told, "{command}");
        }
    }
}
