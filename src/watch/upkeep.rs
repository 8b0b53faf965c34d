//! What a host does against the next outage: who watches it, what is backed up, rotated and updated.
//!
//! A look at small files of /etc and /var and at the names of what runs, once an hour: nothing here changes in an outage. What
//! is not readable is simply not found: the steps that use this ask a person wherever nothing was found.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    model::{ClockJob, Observation, Rotation, Updates, Upkeep},
    sys::{self, Outbox, Root, Sys},
};

/// How often it is looked.
const EVERY: Duration = Duration::from_hours(1);
/// How long one look may take: what hangs does not come back, and nobody waits for it.
const LOOK: Duration = Duration::from_secs(10);
/// How old the list of processes may be.
const PROCESSES_AGE: Duration = Duration::from_secs(30);
/// Bytes of one file that are read: crontabs and rules of logrotate are small.
const FILE_BYTES: u64 = 64 << 10;
/// Files of one folder that are looked at, jobs and names that are told.
const FILES: usize = 200;
const JOBS: usize = 500;
const PROGRAMS: usize = 1000;
/// Programs of one job.
const PROGRAMS_OF_JOB: usize = 20;

/// Where enabled timers are linked (systemd.unit(5)).
const TIMERS: &str = "/etc/systemd/system/timers.target.wants";
/// Where systemd notes when a persistent timer ran last (systemd.timer(5)).
const STAMPS: &str = "/var/lib/systemd/timers";
/// Folders and files of cron (cron(8)); of the first kind each file is a crontab with a user, of the second each is a script.
const CRONTABS: &[&str] = &["/etc/cron.d"];
const SCRIPTS: &[&str] = &["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"];
/// Crontabs of users, without the user's column.
const USER_CRONTABS: &[&str] = &["/var/spool/cron/crontabs", "/var/spool/cron"];
/// Where logrotate notes what it did (Debian, Red Hat).
const ROTATED: &[&str] = &["/var/lib/logrotate/status", "/var/lib/logrotate/logrotate.status"];
/// What is touched when lists of packages are fetched (apt, dnf, yum, apk).
const LISTS: &[&str] = &[
    "/var/lib/apt/periodic/update-success-stamp",
    "/var/lib/apt/lists/partial",
    "/var/cache/dnf",
    "/var/cache/yum",
    "/var/cache/apk",
];
/// What says how many packages wait (update-notifier).
const WAITING: &str = "/var/lib/update-notifier/updates-available";
/// What asks for a restart of the host, and the packages that do (Debian's reboot-required).
const REBOOT: [&str; 2] = ["/run/reboot-required", "/run/reboot-required.pkgs"];
/// Where apt is told to install updates by itself, and the timers by which dnf does.
const APT_CONF: &str = "/etc/apt/apt.conf.d";
const DNF_TIMERS: &[&str] = &["dnf-automatic.timer", "dnf-automatic-install.timer", "yum-cron.timer", "dnf5-automatic.timer"];

/// Runs it.
pub async fn run(sys: Sys, outbox: Outbox, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let processes = sys.rights.recent_processes(PROCESSES_AGE).await;
        let programs: BTreeSet<String> =
            processes.iter().flat_map(|all| all.iter()).map(|process| process.name.clone()).take(PROGRAMS).collect();
        let root = sys.root.clone();
        let Some(mut upkeep) = sys::blocking(LOOK, move || look(&root)).await else { continue };
        upkeep.programs = programs.into_iter().collect();
        if !outbox.tell(Observation::Upkeep(Box::new(upkeep))).await {
            return;
        }
    }
}

/// All that files tell.
fn look(root: &Root) -> Upkeep {
    let mut jobs = timers(root);
    for folder in CRONTABS {
        jobs.extend(files(root, folder).into_iter().filter_map(|file| crontab(root, file, true)));
    }
    jobs.extend(crontab(root, "/etc/crontab".into(), true));
    for folder in USER_CRONTABS {
        jobs.extend(files(root, folder).into_iter().filter_map(|file| crontab(root, file, false)));
    }
    for folder in SCRIPTS {
        jobs.extend(files(root, folder).into_iter().filter_map(|file| script(root, file)));
    }
    jobs.truncate(JOBS);
    let mut rules = files(root, "/etc/logrotate.d");
    rules.push("/etc/logrotate.conf".into());
    Upkeep {
        programs: Vec::new(),
        jobs,
        rotations: rules.into_iter().flat_map(|file| rotations(root, &file)).take(JOBS).collect(),
        rotated: ROTATED.iter().find_map(|path| modified(root, Path::new(path))),
        updates: updates(root),
    }
}

fn timers(root: &Root) -> Vec<ClockJob> {
    let job = |file: PathBuf| {
        let name = file.file_name()?.to_str()?.to_owned();
        let last = modified(root, &Path::new(STAMPS).join(format!("stamp-{name}")));
        Some(ClockJob { name, programs: Vec::new(), file, last })
    };
    files(root, TIMERS).into_iter().filter_map(job).collect()
}

/// A crontab: the programs of its lines. `user`: whether a column names the user (crontab(5)).
fn crontab(root: &Root, file: PathBuf, user: bool) -> Option<ClockJob> {
    let text = text(root, &file)?;
    let name = file.file_name()?.to_str()?.to_owned();
    let commands = text.lines().map(str::trim).filter(|line| line.starts_with(|c: char| c.is_ascii_digit() || "*@".contains(c)));
    let programs = commands.flat_map(|line| {
        let times = if line.starts_with('@') { 1 } else { 5 };
        programs_of(line.split_whitespace().skip(times + usize::from(user)))
    });
    Some(ClockJob { name, programs: some_of(programs), file, last: None })
}

fn script(root: &Root, file: PathBuf) -> Option<ClockJob> {
    let text = text(root, &file)?;
    let name = file.file_name()?.to_str()?.to_owned();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let programs = some_of(lines.flat_map(|line| programs_of(line.split_whitespace())));
    Some(ClockJob { name, programs, file, last: None })
}

/// The names of programs in a command: its first word, those behind `;`, `|`, `&&`, and all that stand with a path. Arguments are
/// not told: they may be secrets.
fn programs_of<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut first = true;
    let mut programs = Vec::new();
    for word in words {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c));
        if (first || bare.starts_with('/')) && !bare.contains('=') {
            programs.extend(bare.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned));
        }
        first =
            matches!(word, "&&" | "||" | "|" | ";" | "then" | "do" | "if" | "!" | "exec" | "sudo" | "nice") || word.ends_with(';');
    }
    programs
}

fn some_of(programs: impl Iterator<Item = String>) -> Vec<String> {
    programs.collect::<BTreeSet<_>>().into_iter().take(PROGRAMS_OF_JOB).collect()
}

/// The paths of a rule of logrotate: what stands before its brace (logrotate.conf(5)).
fn rotations(root: &Root, file: &Path) -> Vec<Rotation> {
    let text = text(root, file).unwrap_or_default();
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (before, opens) = line.split_once('{').map_or((line, false), |(before, _)| (before, true));
        if !inside && !line.starts_with("include") {
            let words = before.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            let paths = words.filter(|word| word.starts_with('/'));
            found.extend(paths.map(|pattern| Rotation { pattern: pattern.to_owned(), file: file.to_owned() }));
        }
        inside = (inside || opens) && !line.ends_with('}');
    }
    found
}

fn updates(root: &Root) -> Updates {
    let number = |text: String| text.split_whitespace().find_map(|word| word.parse().ok());
    let reboot = modified(root, Path::new(REBOOT[0])).map(|_| {
        let packages = text(root, Path::new(REBOOT[1])).unwrap_or_default();
        packages.lines().take(FILES).collect::<BTreeSet<_>>().into_iter().take(PROGRAMS_OF_JOB).collect::<Vec<_>>().join(", ")
    });
    // apt.conf(5): the last one that says it counts, and the files are read in the order of their names.
    let says = |file: &PathBuf| {
        let text = text(root, file)?;
        let line = text.lines().map(str::trim).rfind(|line| line.starts_with("APT::Periodic::Unattended-Upgrade "))?;
        Some(!line.contains("\"0\""))
    };
    let mut files = files(root, APT_CONF);
    files.sort();
    let apt = files.into_iter().rev().find_map(|file| says(&file).map(|on| (file, on))).filter(|(_, on)| *on).map(|(file, _)| file);
    let dnf = || DNF_TIMERS.iter().map(|name| Path::new(TIMERS).join(name)).find(|path| root.lstat(path).is_ok());
    Updates {
        waiting: text(root, Path::new(WAITING)).and_then(number),
        lists: LISTS.iter().find_map(|path| modified(root, Path::new(path))),
        reboot,
        unattended: apt.or_else(dnf),
    }
}

/// The files of a folder that a program would take: no hidden ones.
fn files(root: &Root, folder: &str) -> Vec<PathBuf> {
    let names = root.list(Path::new(folder)).unwrap_or_default();
    let shown = names.into_iter().filter(|name| !name.as_encoded_bytes().starts_with(b"."));
    shown.take(FILES).map(|name| Path::new(folder).join(name)).collect()
}

fn text(root: &Root, path: &Path) -> Option<String> {
    let (bytes, _) = root.read_at_most(path, FILE_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// When a file was changed last, in seconds since the Unix epoch.
fn modified(root: &Root, path: &Path) -> Option<i64> {
    root.stat(path).ok().map(|info| info.modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Upkeep) {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            std::fs::write(path, text).expect("file");
        }
        let seen = look(&Root::below(dir.path()));
        (dir, seen)
    }

    #[test]
    fn jobs_are_told_with_the_programs_that_they_run_and_without_their_arguments() {
        let (_dir, seen) = host(&[
            ("etc/systemd/system/timers.target.wants/borgmatic.timer", ""),
            ("var/lib/systemd/timers/stamp-borgmatic.timer", ""),
            (
                "etc/crontab",
                "SHELL=/bin/sh\n# nightly\n0 3 * * * root cd /srv && /usr/bin/pg_dump --password=hunter2 shop | gzip\n",
            ),
            ("var/spool/cron/crontabs/shop", "@daily /home/shop/bin/restic backup -p s3cret\n"),
            ("etc/cron.daily/.placeholder", "echo hidden\n"),
            ("etc/cron.daily/dump", "#!/bin/sh\n# mysqldump is not run any more\ntest -x /usr/sbin/mariabackup || exit 0\n"),
        ]);
        let job = |name: &str| seen.jobs.iter().find(|job| job.name == name).unwrap_or_else(|| panic!("{name}: {:?}", seen.jobs));
        assert!(job("borgmatic.timer").last.is_some());
        assert!(job("crontab").programs.contains(&"pg_dump".to_owned()) && job("crontab").programs.contains(&"gzip".to_owned()));
        assert_eq!(job("shop").programs, ["restic"]);
        assert_eq!(job("dump").programs, ["exit", "mariabackup", "test"]);
        assert_eq!(seen.jobs.len(), 4);
        assert!(!format!("{seen:?}").contains("hunter2") && !format!("{seen:?}").contains("s3cret"));
    }

    #[test]
    fn rotation_and_updates() {
        let (_dir, seen) = host(&[
            ("etc/logrotate.conf", "weekly\ninclude /etc/logrotate.d\n"),
            (
                "etc/logrotate.d/nginx",
                "\"/var/log/nginx/*.log\" /srv/log/a.log\n{\n  postrotate\n    [ -f /run/nginx.pid ] && kill -USR1 1\n  endscript\n}\n",
            ),
            ("etc/logrotate.d/app", "/srv/app/log/*.log {\n  daily\n}\n"),
            ("etc/apt/apt.conf.d/20auto", "APT::Periodic::Unattended-Upgrade \"1\";\n"),
            ("var/lib/update-notifier/updates-available", "\n38 updates can be applied immediately.\n"),
            ("run/reboot-required", "*** System restart required ***\n"),
            ("run/reboot-required.pkgs", "linux-image\nlibc6\nlibc6\n"),
        ]);
        let patterns: Vec<&str> = seen.rotations.iter().map(|rule| rule.pattern.as_str()).collect();
        assert_eq!(BTreeSet::from_iter(patterns), BTreeSet::from(["/var/log/nginx/*.log", "/srv/log/a.log", "/srv/app/log/*.log"]));
        assert_eq!((seen.updates.waiting, seen.updates.reboot.as_deref()), (Some(38), Some("libc6, linux-image")));
        assert_eq!(seen.updates.unattended.as_deref(), Some(Path::new("/etc/apt/apt.conf.d/20auto")));
        let (_dir, off) = host(&[
            ("etc/apt/apt.conf.d/20auto", "APT::Periodic::Unattended-Upgrade \"1\";\n"),
            ("etc/apt/apt.conf.d/99off", "APT::Periodic::Unattended-Upgrade \"0\";\n"),
        ]);
        assert_eq!(off.updates.unattended, None, "the last one counts");
    }
}
