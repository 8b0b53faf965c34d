//! Single files that decide how a request goes: configurations of gateways and application servers, units, certificates, how names
//! become addresses. Of each the time is looked at, and nothing else.

use std::path::{Path, PathBuf};

use super::Looker;
use crate::{
    model::{Change, ChangeKind, Subject},
    watch::sources::units::{PLACES as UNIT_PLACES, Unit},
};

/// How names become addresses.
const NAMES: [&str; 4] = ["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf"];
/// Settings of application servers, in directories: php-fpm, uwsgi, supervisord, the host's own filters.
const SETTINGS: [&str; 8] = [
    "/etc/php-fpm.d",
    "/etc/php",
    "/etc/uwsgi/apps-enabled",
    "/etc/supervisor/conf.d",
    "/etc/gunicorn.d",
    "/etc/tomcat9",
    "/etc/nftables.d",
    "/etc/iptables",
];
/// Single files of the same kind.
const SETTING_FILES: [&str; 5] =
    ["/etc/nftables.conf", "/etc/php-fpm.conf", "/etc/supervisord.conf", "/etc/sysctl.conf", "/etc/security/limits.conf"];
/// Directories within each other of these, and names in all of them, that are looked at.
const SETTINGS_DEPTH: usize = 4;
const SETTINGS_NAMES: usize = 400;
/// Seconds by which what a container's runtime or an installer writes at the start may be off from it.
const START_S: i64 = 3;
/// Ends of names of certificates and keys among the files that a configuration names.
const CERTIFICATES: [&str; 5] = ["pem", "crt", "cer", "key", "p12"];

/// Looks at all of them.
pub(super) fn look(looker: &mut Looker<'_>, units: &[Unit]) {
    names(looker);
    configs(looker);
    settings(looker);
    of_units(looker, units);
}

/// When the first process started, which in a container is when its runtime wrote hosts and resolv.conf.
fn started(looker: &Looker<'_>) -> Option<i64> {
    // Its directory is made when it is first asked for; its stat file tells (proc(5), field 22), in hundredths since the boot.
    let stat = looker.root.text("/proc/1/stat").ok()?;
    let ticks: i64 = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let boot =
        looker.root.text("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok())?;
    boot.checked_add(ticks / 100)
}

fn names(looker: &mut Looker<'_>) {
    let started = started(looker);
    for path in NAMES.map(Path::new) {
        let Ok(info) = looker.root.stat(path) else { continue };
        looker.looked(ChangeKind::Names, path.display().to_string(), Some(info.modified));
        looker.add(Change {
            kind: ChangeKind::Names,
            what: format!("{} was changed", path.display()),
            at: info.modified,
            source: format!("time of {}", path.display()),
            by: None,
            concerns: Vec::new(),
            first: started.is_some_and(|started| (info.modified - started).abs() <= START_S),
        });
    }
}

/// The files that gateways' configurations consist of.
fn configs(looker: &mut Looker<'_>) {
    let mut newest: Vec<(Subject, i64)> = Vec::new();
    for (path, gateway) in looker.wish.configs.iter().filter(|(path, _)| looker.mounts.answers(path)) {
        let Ok(info) = looker.root.stat(path) else { continue };
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let kind = if CERTIFICATES.contains(&end) { ChangeKind::Certificate } else { ChangeKind::Config };
        match newest.iter_mut().find(|(known, _)| known == gateway) {
            Some((_, at)) => *at = info.modified.max(*at),
            None => newest.push((gateway.clone(), info.modified)),
        }
        let change = changed(kind, path, info.modified, vec![gateway.clone()]);
        if looker.within(change.at) {
            looker.out.list.push(change);
        }
    }
    for (gateway, at) in newest {
        looker.looked(ChangeKind::Config, format!("the configuration of {gateway}"), Some(at));
    }
}

fn changed(kind: ChangeKind, path: &Path, at: i64, concerns: Vec<Subject>) -> Change {
    let path = path.display();
    Change { kind, what: format!("{path} was changed"), at, source: format!("time of {path}"), by: None, concerns, first: false }
}

/// What is there below these directories, as far as names are left.
fn below(looker: &Looker<'_>, dir: &Path, depth: usize, left: &mut usize, found: &mut Vec<(PathBuf, i64)>) {
    if depth == 0 || !looker.mounts.answers(dir) {
        return;
    }
    for name in looker.root.list_at_most(dir, *left).unwrap_or_default() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = dir.join(name);
        match looker.root.stat(&path) {
            Ok(info) if info.kind == crate::sys::FileKind::Directory => below(looker, &path, depth - 1, left, found),
            Ok(info) if info.kind == crate::sys::FileKind::RegularFile => found.push((path, info.modified)),
            Ok(_) | Err(_) => {}
        }
    }
}

/// The settings of application servers. They bear on those whose program they are named after.
fn settings(looker: &mut Looker<'_>) {
    let (mut left, mut found) = (SETTINGS_NAMES, Vec::new());
    for dir in SETTINGS {
        below(looker, Path::new(dir), SETTINGS_DEPTH, &mut left, &mut found);
    }
    for file in SETTING_FILES.map(Path::new) {
        found.extend(looker.root.stat(file).ok().map(|info| (file.to_owned(), info.modified)));
    }
    found.retain(|(_, at)| looker.within(*at));
    for (path, at) in found {
        let of =
            ["php", "uwsgi", "supervisor", "gunicorn", "tomcat"].into_iter().find(|name| path.to_string_lossy().contains(name));
        let concerns = of.map_or_else(Vec::new, |name| looker.named(|program| program.starts_with(name)));
        looker.add(changed(ChangeKind::Config, &path, at, concerns));
    }
}

/// The units of the services that matter, their drop-ins, and the files with their environment.
fn of_units(looker: &mut Looker<'_>, ownerless: &[Unit]) {
    let mut wanted: Vec<(String, Vec<Subject>)> = Vec::new();
    for service in &looker.services {
        if let Some(unit) = service.lead.unit() {
            wanted.push((unit.to_owned(), service.serves.clone()));
        }
    }
    for unit in ownerless {
        let named = looker.wish.ownerless.iter().filter(|address| unit.names(address));
        wanted.push((unit.name.clone(), named.map(|address| Subject(address.to_string())).collect()));
    }
    wanted.extend(looker.wish.units.iter().map(|(unit, gateway)| (unit.clone(), vec![gateway.clone()])));
    wanted.sort();
    wanted.dedup();
    for (unit, concerns) in wanted {
        let mut files = Vec::new();
        for place in UNIT_PLACES {
            let file = Path::new(place).join(&unit);
            let dropins = Path::new(place).join(format!("{unit}.d"));
            for path in std::iter::once(file)
                .chain(looker.root.list_at_most(&dropins, 16).unwrap_or_default().into_iter().map(|name| dropins.join(name)))
            {
                if let Ok(info) = looker.root.stat(&path) {
                    files.extend(environment(looker, &path));
                    files.push((path, info.modified));
                }
            }
        }
        let newest = files.iter().map(|(_, at)| *at).max();
        if newest.is_some() {
            looker.looked(ChangeKind::Unit, unit.clone(), newest);
        }
        for (path, at) in files {
            looker.add(changed(ChangeKind::Unit, &path, at, concerns.clone()));
        }
    }
}

/// The files that a unit's file names by `EnvironmentFile=`, with their times.
fn environment(looker: &Looker<'_>, unit: &Path) -> Vec<(PathBuf, i64)> {
    const UNIT_BYTES: u64 = 64 << 10;
    let (bytes, _) = looker.root.read_at_most(unit, UNIT_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let named = text.lines().filter_map(|line| line.trim().strip_prefix("EnvironmentFile="));
    let files = named.map(|value| PathBuf::from(value.trim().trim_start_matches('-'))).filter(|path| path.is_absolute()).take(8);
    files
        .filter(|path| looker.mounts.answers(path))
        .filter_map(|path| Some((looker.root.stat(&path).ok()?.modified, path)))
        .map(|(at, path)| (path, at))
        .collect()
}
