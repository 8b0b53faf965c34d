//! Instances of HAProxy: those that run, and one that something says should.
//!
//! With `-W` a master starts a worker with each load of the configuration, and old workers finish what they have; without it, the
//! process that a reload starts tells the one before to finish (`-sf`). Either way the youngest serves.

use std::path::{Path, PathBuf};

use super::{
    super::{Overrides, abroad::elsewhere},
    binary::Versions,
    lexer::Environment,
};
use crate::{
    model::{BlindSpot, Identity, OldWorker, ProcessInfo, RunState},
    sys::Root,
};

/// What its binary is called.
pub(super) const PROGRAM: &str = "haproxy";
/// Where a binary lies that no process tells of.
const BINARIES: &[&str] = &["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy", "/opt/haproxy/sbin/haproxy"];
/// The configuration that packages and images use.
const CONFIGS: &[&str] = &["/etc/haproxy/haproxy.cfg", "/usr/local/etc/haproxy/haproxy.cfg"];
/// Where units lie (systemd.unit(5)).
const UNITS: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Files that the unit reads variables from.
const ENVIRONMENTS: &[&str] = &["/etc/default/haproxy", "/etc/sysconfig/haproxy"];
/// Bytes of an environment that are read.
const ENVIRONMENT_BYTES: u64 = 256 << 10;

/// One HAProxy with one configuration.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Whether it runs.
    pub state: RunState,
    /// As whom it connects. `None`: it does not run.
    pub worker: Option<Identity>,
    /// Its binary.
    pub binary: Option<PathBuf>,
    /// Its version, where it runs.
    pub version: Option<String>,
    /// The configuration: files and directories, in order.
    pub configs: Vec<PathBuf>,
    /// The socket of the master (`-S`).
    pub master_socket: Option<PathBuf>,
    /// What the configuration's variables are.
    pub environment: Environment,
    /// Its unit.
    pub unit: Option<String>,
    /// Whether a master supervises it.
    pub mastered: bool,
    /// Processes of the configuration before the last reload (`-sf`).
    pub draining: Vec<OldWorker>,
    /// What is greater after each load.
    pub generation: Option<u64>,
}

/// The instances, and what could not be told.
#[derive(Debug, Default)]
pub struct Instances {
    /// Running ones first.
    pub all: Vec<Instance>,
    /// Those in other namespaces.
    pub blind: Vec<BlindSpot>,
    /// Their processes.
    pub abroad: Vec<u32>,
}

/// Finds them. `processes`: `None` where they could not be listed.
pub fn find(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides, versions: &Versions) -> Instances {
    let mut out = Instances::default();
    let list: Vec<&ProcessInfo> = processes.unwrap_or_default().iter().filter(|one| is_haproxy(one) && one.state != 'Z').collect();
    let is_child = |one: &ProcessInfo| list.iter().any(|other| other.pid == one.ppid);
    for lead in list.iter().filter(|one| !is_child(one)) {
        let arguments = Arguments::parse(&lead.argv);
        if arguments.ends_at_once || arguments.configs.is_empty() {
            continue;
        }
        if let Some(other) = elsewhere(root, "haproxy", lead) {
            out.blind.push(other.spot);
            out.abroad.push(lead.pid);
            continue;
        }
        let worker = list.iter().filter(|one| one.ppid == lead.pid).max_by_key(|one| (one.started, one.pid));
        let mut one = running(root, lead, worker.copied(), &arguments, versions);
        // A new worker has the old ones finish what they have, and each reload makes a new one.
        let old = list.iter().filter(|one| one.ppid == lead.pid && worker.is_some_and(|worker| worker.pid != one.pid));
        one.draining = old.map(|one| OldWorker { pid: one.pid, since: one.started }).collect();
        // Of those with one configuration the youngest serves; the others finish what they have.
        let since = |one: &Instance| match one.state {
            RunState::Running { pid, since, .. } => (since, pid),
            RunState::Stopped { .. } => (None, 0),
        };
        match out.all.iter_mut().find(|known| known.configs == one.configs) {
            Some(known) => {
                let mut old = one;
                if since(known) < since(&old) {
                    std::mem::swap(known, &mut old);
                }
                if let RunState::Running { pid, since, .. } = old.state {
                    known.draining.push(OldWorker { pid, since });
                }
                known.draining.append(&mut old.draining);
            }
            None => out.all.push(one),
        }
    }
    if let Some(config) = &overrides.config {
        let wanted = root.stat(config).ok().map(|info| info.id);
        let is = |path: &PathBuf| path == config || wanted.is_some() && root.stat(path).ok().map(|info| info.id) == wanted;
        out.all.retain(|one| one.configs.iter().any(is));
        if out.all.is_empty() && overrides.kind.as_deref() == Some(super::ID) {
            let why = "it is named by --config, and no HAProxy that runs uses it".to_owned();
            out.all.push(resting(root, vec![config.clone()], why));
        }
        return out;
    }
    let seen = processes.is_some_and(|list| list.iter().any(|process| process.pid == 1));
    if out.all.is_empty() && out.blind.is_empty() && seen {
        out.all.extend(idle(root));
    }
    out
}

fn is_haproxy(process: &ProcessInfo) -> bool {
    let called = || process.argv.first().and_then(|program| Path::new(program).file_name()).is_some_and(|name| name == PROGRAM);
    process.program() == PROGRAM && (process.exe.is_some() || called())
}

/// The command line (`init_args` in src/haproxy.c).
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    configs: Vec<String>,
    directory: Option<String>,
    master_socket: Option<String>,
    mastered: bool,
    ends_at_once: bool,
}

impl Arguments {
    fn parse(argv: &[String]) -> Self {
        let mut out = Self::default();
        let mut words = argv.iter().skip(1).peekable();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix('-') else {
                // What stands behind a `-f FILE` may be more files.
                out.configs.push(word.clone());
                continue;
            };
            match option {
                "-" => out.configs.extend(words.by_ref().cloned()),
                "f" => out.configs.extend(words.next().cloned()),
                "C" => out.directory = words.next().cloned(),
                "S" => {
                    let socket = words.next().cloned();
                    out.master_socket = socket.map(|text| text.split(',').next().unwrap_or_default().to_owned());
                }
                "W" | "Ws" => out.mastered = true,
                "c" | "v" | "vv" | "h" => out.ends_at_once = true,
                // Each is followed by a value.
                "m" | "n" | "N" | "L" | "p" | "x" => {
                    words.next();
                }
                "sf" | "st" => while words.next_if(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).is_some() {},
                _ => {}
            }
        }
        out
    }
}

fn running(root: &Root, lead: &ProcessInfo, worker: Option<&ProcessInfo>, arguments: &Arguments, versions: &Versions) -> Instance {
    let of_exe = lead.binary();
    let of_title = lead.argv.first().map(PathBuf::from).filter(|path| path.is_absolute());
    let binary = of_exe.or(of_title).or_else(|| first_binary(root));
    let image = PathBuf::from(format!("/proc/{}/exe", lead.pid));
    let version = versions.of(root, &image).or_else(|| versions.of(root, binary.as_deref()?));
    let cwd = lead.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
    let base = arguments.directory.as_ref().map_or(cwd.clone(), |directory| cwd.join(directory));
    let serving = worker.unwrap_or(lead);
    let unit = lead.unit().filter(|unit| unit.contains("haproxy") || unit_names_it(root, unit));
    Instance {
        state: RunState::Running { pid: lead.pid, since: lead.started, workers_since: serving.started },
        generation: serving.start_ticks,
        worker: Some(serving.identity.clone()),
        binary,
        version,
        configs: arguments.configs.iter().map(|config| base.join(config)).collect(),
        master_socket: arguments.master_socket.as_ref().map(PathBuf::from).filter(|path| path.is_absolute()),
        environment: environment_of(root, lead.pid),
        unit: unit.map(str::to_owned),
        mastered: arguments.mastered || worker.is_some(),
        draining: Vec::new(),
    }
}

/// A cgroup's unit may be a login session's or a container runtime's: to reload that would be bad advice.
fn unit_names_it(root: &Root, unit: &str) -> bool {
    UNITS.iter().any(|dir| root.text(Path::new(dir).join(unit)).is_ok_and(|text| text.contains("haproxy")))
}

/// The environment of a process, as far as it may be read.
fn environment_of(root: &Root, pid: u32) -> Environment {
    let path = PathBuf::from(format!("/proc/{pid}/environ"));
    let (bytes, _) = root.read_at_most(&path, ENVIRONMENT_BYTES).unwrap_or_default();
    let variable = |entry: &[u8]| {
        let text = String::from_utf8_lossy(entry);
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    bytes.split(|byte| *byte == 0).filter_map(variable).collect()
}

fn first_binary(root: &Root) -> Option<PathBuf> {
    BINARIES.iter().map(PathBuf::from).find(|path| root.stat(path).is_ok())
}

fn unit_of(root: &Root) -> Option<String> {
    UNITS.iter().any(|dir| root.lstat(&Path::new(dir).join("haproxy.service")).is_ok()).then(|| "haproxy.service".to_owned())
}

/// One that does not run.
fn resting(root: &Root, configs: Vec<PathBuf>, why_expected: String) -> Instance {
    let binary = first_binary(root);
    Instance {
        state: RunState::Stopped { why_expected },
        worker: None,
        version: None,
        binary,
        configs,
        master_socket: None,
        environment: unit_environment(root),
        unit: unit_of(root),
        mastered: false,
        draining: Vec::new(),
        generation: None,
    }
}

/// `NAME="value"` lines of the files that the unit reads (systemd.exec(5), EnvironmentFile=).
fn unit_environment(root: &Root) -> Environment {
    let mut out = Environment::new();
    for path in ENVIRONMENTS {
        for line in root.text(path).unwrap_or_default().lines().filter(|line| !line.trim_start().starts_with('#')) {
            if let Some((name, value)) = line.trim().trim_start_matches("export ").split_once('=') {
                out.insert(name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned());
            }
        }
    }
    out
}

/// What is installed and configured, whether or not it has anything to serve: the caller looks into the configuration.
fn idle(root: &Root) -> Option<Instance> {
    let environment = unit_environment(root);
    let named = environment.get("CONFIG").map(PathBuf::from);
    let config = named.into_iter().chain(CONFIGS.iter().map(PathBuf::from)).find(|path| root.stat(path).is_ok())?;
    let binary = first_binary(root)?;
    // RHEL's unit reads a directory besides.
    let directory = PathBuf::from("/etc/haproxy/conf.d");
    let unit = UNITS.iter().find_map(|dir| root.text(Path::new(dir).join("haproxy.service")).ok()).unwrap_or_default();
    let also = (unit.contains("/etc/haproxy/conf.d") && root.stat(&directory).is_ok()).then_some(directory);
    let enabled = root.lstat(Path::new("/etc/systemd/system/multi-user.target.wants/haproxy.service")).is_ok();
    let also_enabled = if enabled { ", and haproxy.service is enabled" } else { "" };
    let why = format!("{} and {} are there{also_enabled}", binary.display(), config.display());
    Some(resting(root, std::iter::once(config).chain(also).collect(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_tells_files_and_sockets() {
        let of = |text: &str| Arguments::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let found = of(
            "/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/conf.d -p /run/haproxy.pid -S /run/m.sock,mode,600 -sf 12 13 -x sockpair@3",
        );
        assert_eq!(found.configs, ["/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d"]);
        assert_eq!((found.master_socket.as_deref(), found.mastered, found.ends_at_once), (Some("/run/m.sock"), true, false));
        assert_eq!(of("haproxy -D -C /srv -f a.cfg -- b.cfg c.cfg").configs, ["a.cfg", "b.cfg", "c.cfg"]);
        assert!(of("haproxy -c -f a.cfg").ends_at_once);
    }
}
