//! Packages that were installed, upgraded or removed, by the logs of dpkg, apt, dnf, yum, zypper, pacman and apk. Where a package
//! manager keeps no log, the time of its database tells that something happened.

use std::{collections::HashSet, path::Path};

use super::{Looker, packages_lines};
use crate::model::{Address, Change, ChangeKind, Order as _, Subject, text};

/// What was done to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::watch) enum Action {
    Installed,
    Upgraded,
    Downgraded,
    Removed,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Removed => "removed",
        }
    }
}

/// One line of a log of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch) struct Step {
    pub(super) at: i64,
    pub(super) action: Action,
    /// `php8.2-fpm`
    pub(super) package: String,
    /// `8.2.28 -> 8.2.29`; what is known of it.
    pub(super) versions: String,
}

/// A run of a package manager, as apt's history tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::watch) struct Run {
    pub(super) from: i64,
    pub(super) to: i64,
    /// `apt upgrade`, `unattended-upgrade`
    pub(super) command: String,
    pub(super) by: Option<String>,
}

/// A log, and how its lines are read.
type Log = (&'static str, fn(&str, &jiff::tz::TimeZone, i64) -> Option<Step>);

/// The logs, each with the one before its last rotation where that is not compressed.
const LOGS: &[Log] = &[
    ("/var/log/dpkg.log", packages_lines::dpkg),
    ("/var/log/dnf.rpm.log", packages_lines::dnf),
    ("/var/log/yum.log", packages_lines::yum),
    ("/var/log/zypp/history", packages_lines::zypper),
    ("/var/log/pacman.log", packages_lines::pacman),
];
/// Databases of package managers that keep no log.
const DATABASES: &[(&str, &str)] = &[
    ("/lib/apk/db/installed", "packages of apk were changed"),
    ("/var/lib/rpm/rpmdb.sqlite", "packages of rpm were changed"),
    ("/var/lib/rpm/Packages", "packages of rpm were changed"),
    ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "packages of rpm were changed"),
];
/// Seconds without a step that part two runs.
const PAUSE_S: i64 = 120;
/// Steps of one log, at most: an upgrade of a whole distribution has some 3,000.
const STEPS: usize = 20_000;
/// Packages that every server is linked with or run by: a change of them bears on all of them.
const COMMON: &[&str] = &["libc6", "glibc", "musl", "libssl", "openssl", "ca-certificates", "systemd", "libpcre", "zlib"];

/// Reads the logs.
pub(super) fn look(looker: &mut Looker<'_>) {
    let mut logged = false;
    let runs = runs(looker);
    for (path, read) in LOGS {
        let Some(mut text) = looker.end_of(Path::new(path)) else { continue };
        logged = true;
        let steps = |text: &str, looker: &Looker<'_>| -> Vec<Step> {
            text.lines().filter_map(|line| read(line, &looker.zone, looker.now)).take(STEPS).collect()
        };
        let mut found = steps(&text, looker);
        // It was rotated within the time that is looked at.
        if found.first().is_none_or(|first| first.at > looker.from)
            && let Some(before) = looker.end_of(Path::new(&format!("{path}.1")))
        {
            text = before;
            found.splice(0..0, steps(&text, looker));
        }
        let newest = found.iter().map(|step| step.at).filter(|at| *at <= looker.now + super::AHEAD_S).max();
        looker.looked(ChangeKind::Packages, *path, newest);
        found.retain(|step| looker.within(step.at));
        found.order_by_key(|step| step.at);
        while !found.is_empty() {
            let end = found.windows(2).position(|pair| pair[1].at - pair[0].at > PAUSE_S).map_or(found.len(), |at| at + 1);
            let run: Vec<Step> = found.drain(..end).collect();
            add(looker, &run, path, &runs);
        }
    }
    if logged {
        return;
    }
    for (path, what) in DATABASES {
        let Ok(info) = looker.root.stat(Path::new(path)) else { continue };
        looker.looked(ChangeKind::Packages, *path, Some(info.modified));
        looker.add(Change {
            kind: ChangeKind::Packages,
            what: (*what).to_owned(),
            at: info.modified,
            source: format!("time of {path}"),
            by: None,
            concerns: Vec::new(),
            first: false,
        });
    }
}

/// Adds one run of the package manager.
fn add(looker: &mut Looker<'_>, steps: &[Step], path: &str, runs: &[Run]) {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return };
    let mut concerns = Vec::new();
    // What bears on a server of the request is named first.
    let weight = |(step, of_server): &(&Step, bool)| {
        let common = COMMON.iter().any(|common| step.package.starts_with(common));
        (!of_server, !common, step.package.clone())
    };
    let (mut named, mut known) = (Vec::new(), HashSet::new());
    for step in steps.iter().filter(|step| known.insert(step.package.as_str())) {
        let subjects = looker.named(|program| concerned(&step.package, program));
        named.push((step, !subjects.is_empty()));
        for subject in subjects {
            if !concerns.contains(&subject) {
                concerns.push(subject);
            }
        }
    }
    // A socket that is gone has nobody who could be asked; its name tells whose it was: `/run/php/php7.4-fpm.sock`.
    if named.iter().any(|(step, _)| step.package.starts_with("php")) {
        let sockets = looker.wish.ownerless.iter().filter(|address| matches!(address, Address::Unix(path) if of_php(path)));
        for subject in sockets.map(|address| Subject(address.to_string())) {
            if !concerns.contains(&subject) {
                concerns.push(subject);
            }
        }
    }
    named.sort_by_cached_key(weight);
    let Some((head, _)) = named.first() else { return };
    let versions = if head.versions.is_empty() { String::new() } else { format!(" {}", head.versions) };
    let more = match named.len() - 1 {
        0 => String::new(),
        more => format!(" and {} more", text::thousands(more as u64)),
    };
    let run = runs.iter().find(|run| first.at >= run.from - 1 && last.at <= run.to + 1);
    let how = run.filter(|run| !run.command.is_empty()).map_or_else(String::new, |run| format!(", by {}", run.command));
    looker.add(Change {
        kind: ChangeKind::Packages,
        what: format!("{} {}{versions}{more}{how}", head.action.word(), head.package),
        // Servers are restarted at the end.
        at: last.at,
        source: path.to_owned(),
        by: run.and_then(|run| run.by.clone()),
        concerns,
        first: false,
    });
}

/// Whether a socket is called as php-fpm's are.
fn of_php(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("php"))
}

/// Whether a package brings a program, or what it runs on: `php8.2-fpm` is `php-fpm8.2`, `nginx-common` is nginx.
fn concerned(package: &str, program: &str) -> bool {
    /// A program's name begins so, and packages with one of these beginnings bring it.
    const BROUGHT: &[(&str, &[&str])] = &[
        ("php-fpm", &["php"]),
        ("node", &["nodejs", "node"]),
        ("python", &["python3", "python3."]),
        ("gunicorn", &["gunicorn", "python3-gunicorn", "python3."]),
        ("uwsgi", &["uwsgi"]),
        ("java", &["openjdk", "java-", "temurin", "default-jre"]),
        ("puma", &["puma", "ruby"]),
        ("ruby", &["ruby"]),
        ("apache2", &["apache2", "libapache2"]),
        ("httpd", &["httpd", "mod_"]),
        ("apache", &["apache2", "httpd", "libapache2", "mod_"]),
        ("dotnet", &["dotnet", "aspnetcore"]),
    ];
    if program.is_empty() {
        return false;
    }
    let known = BROUGHT.iter().find(|(name, _)| program.starts_with(name)).map(|(_, packages)| *packages);
    match known {
        Some(packages) => packages.iter().any(|begin| package.starts_with(begin)),
        None => {
            program.len() > 2 && (package == program || package.strip_prefix(program).is_some_and(|rest| rest.starts_with('-')))
        }
    }
}

/// The runs of apt, by its history.
fn runs(looker: &Looker<'_>) -> Vec<Run> {
    let text = looker.end_of(Path::new("/var/log/apt/history.log")).unwrap_or_default();
    packages_lines::apt_runs(&text, &looker.zone, looker.now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_the_program_that_it_brings() {
        for (package, program) in [
            ("php8.2-fpm", "php-fpm8.2"),
            ("php8.2-opcache", "php-fpm8.2"),
            ("nginx", "nginx"),
            ("nginx-common", "nginx"),
            ("libapache2-mod-php8.2", "apache2"),
            ("nodejs", "node"),
            ("openjdk-17-jre-headless", "java"),
        ] {
            assert!(concerned(package, program), "{package} {program}");
        }
        for (package, program) in
            [("nginxtop", "nginx"), ("vim", "nginx"), ("php8.2-fpm", "nginx"), ("x", ""), ("node-ws", "nginx")]
        {
            assert!(!concerned(package, program), "{package} {program}");
        }
    }
}
