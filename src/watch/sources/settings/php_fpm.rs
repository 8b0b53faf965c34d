//! php-fpm: `error_log` of the master, and of each pool `slowlog` and the `error_log` that is set for its scripts
//! (php-fpm.conf, <https://www.php.net/manual/en/install.fpm.configuration.php>).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Named, Settings, assignments, file};
use crate::{
    model::Address,
    sys::{Root, glob},
};

/// Where distributions put the configuration, for a master that does not tell it or does not run.
const PLACES: &[&str] =
    &["/etc/php/*/fpm/php-fpm.conf", "/etc/php-fpm.conf", "/etc/php*/php-fpm.conf", "/usr/local/etc/php-fpm.conf"];
/// What a relative log is relative to unless `--prefix` says otherwise: PHP_LOCALSTATEDIR of every distribution.
const LOCAL_STATE: &str = "/var";
/// Settings of a pool that bear on a failing request.
const TOLD: &[&str] = &[
    "user",
    "group",
    "listen",
    "listen.owner",
    "listen.group",
    "listen.mode",
    "listen.acl_users",
    "listen.acl_groups",
    "listen.allowed_clients",
    "listen.backlog",
    "pm",
    "pm.max_children",
    "pm.start_servers",
    "pm.min_spare_servers",
    "pm.max_spare_servers",
    "pm.process_idle_timeout",
    "pm.max_requests",
    "pm.status_path",
    "ping.path",
    "request_terminate_timeout",
    "request_slowlog_timeout",
    "php_admin_value[max_execution_time]",
    "php_value[max_execution_time]",
    "php_admin_value[memory_limit]",
];
/// Files that are read, at most: a pool for each site of a shared host.
const FILES: usize = 256;

/// Settings of a pool that are kept besides its logs.
const KEPT: &[&str] = &["pm.max_children", "pm.status_path", "pm.status_listen", "ping.path", "prefix", "chroot"];

/// A section of a file: `[global]`, or the name of a pool.
#[derive(Debug, Default)]
pub(in crate::watch) struct Section {
    pub(in crate::watch) name: String,
    pub(in crate::watch) listen: Option<String>,
    /// Other settings that are known by their name: `pm.status_path`.
    pub(in crate::watch) settings: BTreeMap<&'static str, String>,
    /// What bears on a failing request: setting, value, file, line.
    pub(in crate::watch) told: Vec<(String, String, PathBuf, usize)>,
    /// Setting, value, file, line.
    logs: Vec<(String, String, PathBuf, usize)>,
}

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    if !settings.service.is("php-fpm") {
        return Vec::new();
    }
    of_service(settings).iter().flat_map(|main| of(settings, main, false)).collect()
}

/// The pools of a master.
pub(in crate::watch) fn all_pools(settings: &Settings<'_>) -> Vec<Section> {
    of_service(settings).iter().flat_map(|main| sections(settings, main)).filter(|section| section.name != "global").collect()
}

/// The configurations that a master may run with.
fn of_service(settings: &Settings<'_>) -> Vec<PathBuf> {
    // The master's title tells it: `php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)`.
    let title = settings.service.lead.argv.first().and_then(|title| title.trim_end().rsplit_once('(')?.1.strip_suffix(')'));
    let main = settings.service.option(&["-y", "--fpm-config"]).or(title).map(|path| settings.path(path));
    main.map_or_else(|| mains(settings.root), |main| vec![main])
}

/// The pools of a master, those that gateways connect to.
pub(in crate::watch) fn pools(settings: &Settings<'_>) -> Vec<Section> {
    let sections = of_service(settings).into_iter().flat_map(|main| sections(settings, &main));
    sections.filter(|section| section.listen.as_deref().is_some_and(|listen| dialled(listen, settings.dialled))).collect()
}

/// The configurations that are installed.
fn mains(root: &Root) -> Vec<PathBuf> {
    PLACES.iter().flat_map(|pattern| glob::expand(root, Path::new(pattern)).paths).collect()
}

/// The logs of pools that are configured to listen on one of the addresses that gateways connect to, whether they run or not.
pub(in crate::watch::sources) fn by_address(settings: &Settings<'_>) -> Vec<Named> {
    mains(settings.root).iter().flat_map(|main| of(settings, main, true)).collect()
}

/// Of one configuration. `strict`: nothing, where no pool of it is connected to.
fn of(settings: &Settings<'_>, main: &Path, strict: bool) -> Vec<Named> {
    let sections = sections(settings, main);
    let wanted = |section: &&Section| section.listen.as_deref().is_some_and(|listen| dialled(listen, settings.dialled));
    let any = sections.iter().any(|section| wanted(&section));
    if strict && !any {
        return Vec::new();
    }
    let mut out = Vec::new();
    for section in sections.iter().filter(|section| section.name == "global" || !any || wanted(section)) {
        for (setting, value, at, line) in &section.logs {
            let value = value.replace("$pool", &section.name);
            let Some(value) = file(&value) else { continue };
            let prefix = settings.service.option(&["-p", "--prefix"]).unwrap_or(LOCAL_STATE);
            let absolute = Path::new(prefix).join(value);
            out.extend(settings.by_line(setting, &absolute.to_string_lossy(), at, *line));
        }
    }
    out
}

/// Whether a pool that listens there is one that a gateway connects to.
pub(in crate::watch) fn dialled(listen: &str, dialled: &[Address]) -> bool {
    let listen = listen.trim_matches(['"', '\'']);
    let port: Option<u16> = listen.rsplit(':').next().and_then(|port| port.parse().ok());
    dialled.iter().any(|address| match address.bare() {
        Address::Unix(path) => path.as_os_str() == listen,
        Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => {
            !listen.starts_with('/') && port.is_some() && address.port() == port
        }
    })
}

/// All sections, of the file and of what it includes.
fn sections(settings: &Settings<'_>, main: &Path) -> Vec<Section> {
    let mut out: Vec<Section> = vec![Section { name: "global".to_owned(), ..Section::default() }];
    let mut files = vec![main.to_owned()];
    let mut at = 0;
    while let Some(path) = files.get(at).cloned().filter(|_| at < FILES) {
        at += 1;
        let Some(text) = settings.text(&path) else { continue };
        let mut current = 0;
        for (line, text) in text.lines().enumerate() {
            let Some(name) = text.trim().strip_prefix('[').and_then(|text| text.split(']').next()) else {
                let Some((_, key, value)) = assignments(text).next() else { continue };
                let value = value.split(" ;").next().unwrap_or_default().trim();
                if TOLD.contains(&key) && out[current].told.len() < TOLD.len() {
                    out[current].told.push((key.to_owned(), value.to_owned(), path.clone(), line + 1));
                }
                match key {
                    "include" => files.extend(glob::expand(settings.root, &settings.path(value)).paths),
                    "listen" => out[current].listen = Some(value.to_owned()),
                    "error_log" | "slowlog" | "php_admin_value[error_log]" | "php_value[error_log]" => {
                        out[current].logs.push((key.to_owned(), value.to_owned(), path.clone(), line + 1));
                    }
                    _ => {
                        let kept = KEPT.iter().find(|name| **name == key);
                        out[current].settings.extend(kept.map(|name| (*name, value.trim_matches(['"', '\'']).to_owned())));
                    }
                }
                continue;
            };
            current = out.iter().position(|section| section.name == name).unwrap_or_else(|| {
                out.push(Section { name: name.to_owned(), ..Section::default() });
                out.len() - 1
            });
        }
    }
    out
}
