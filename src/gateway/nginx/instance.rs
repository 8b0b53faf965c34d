//! Instances of nginx: running masters, and those that something says should run.

use std::path::{Path, PathBuf};

use super::{
    super::{Overrides, abroad::elsewhere},
    binary::{Build, Builds},
};
use crate::{
    model::{BlindSpot, Identity, OldWorker, ProcessInfo, RunState},
    sys::Root,
};

/// Where a binary lies that no process tells of.
const BINARIES: &[&str] = &[
    "/usr/sbin/nginx",
    "/usr/bin/nginx",
    "/usr/local/nginx/sbin/nginx",
    "/usr/local/sbin/nginx",
    "/usr/local/openresty/nginx/sbin/nginx",
];
/// File names of binaries that are nginx or forks with its configuration and process titles.
pub(super) const PROGRAMS: &[&str] = &["nginx", "nginx-debug", "openresty", "tengine", "angie", "freenginx"];
/// Where an enabled unit is linked, and where units lie (systemd.unit(5)).
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants";
const UNITS: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// What nginx makes of argv (ngx_setproctitle): all arguments in one string after it.
const MASTER: &str = "nginx: master process ";
const WORKER: &str = "nginx: worker process";
/// What a worker calls itself while it only finishes what it has (ngx_worker_process_cycle).
const LEAVING: &str = "nginx: worker process is shutting down";

/// One nginx with one configuration.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Whether it runs.
    pub state: RunState,
    /// As whom the workers run. `None`: there are none, the configuration has to tell.
    pub worker: Option<Identity>,
    /// As whom the master runs. `None`: there is none.
    pub master: Option<Identity>,
    /// Its binary.
    pub binary: Option<PathBuf>,
    /// What was compiled in.
    pub build: Build,
    /// The main configuration file.
    pub config: PathBuf,
    /// What other relative paths are relative to.
    pub prefix: PathBuf,
    /// What `-g` says.
    pub globals: Option<String>,
    /// What `-e` says.
    pub error_log: Option<String>,
    /// Its unit.
    pub unit: Option<String>,
    /// Workers of the configuration before the last reload.
    pub draining: Vec<OldWorker>,
    /// What is greater after each load.
    pub generation: Option<u64>,
    /// Whether it was started with the compiled-in paths, so that a plain `nginx -t` means it.
    pub plain: bool,
}

/// The instances, and what could not be told.
#[derive(Debug, Default)]
pub struct Instances {
    /// Running ones first.
    pub all: Vec<Instance>,
    /// Masters elsewhere, hidden processes.
    pub blind: Vec<BlindSpot>,
    /// The processes of those elsewhere.
    pub abroad: Vec<u32>,
}

/// Finds them. `processes`: `None` where they could not be listed.
pub fn find(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides, builds: &Builds) -> Instances {
    let mut out = Instances::default();
    let list = processes.unwrap_or_default();
    // Masters elsewhere: whether they see our files, and their configuration.
    let mut abroad: Vec<(bool, PathBuf)> = Vec::new();
    let mut masters: Vec<&ProcessInfo> = list.iter().filter(|process| is_master(process, list)).collect();
    // Between fork and ngx_setproctitle a worker bears its master's title; it has no children.
    let titled = masters.clone();
    masters.retain(|one| !titled.iter().any(|other| other.pid == one.ppid) || list.iter().any(|child| child.ppid == one.pid));
    for master in &masters {
        // During an upgrade (USR2) the new master is a child of the old one, and it is the one that stays.
        if masters.iter().any(|other| other.ppid == master.pid) {
            continue;
        }
        let one = running(root, master, list, builds);
        match elsewhere(root, "nginx", master) {
            Some(other) => {
                abroad.push((other.same_files, one.config));
                out.blind.push(other.spot);
                out.abroad.push(master.pid);
            }
            None => out.all.push(one),
        }
    }
    if let Some(config) = &overrides.config {
        let wanted = root.stat(config).ok().map(|info| info.id);
        out.all
            .retain(|one| one.config == *config || (wanted.is_some() && root.stat(&one.config).ok().map(|info| info.id) == wanted));
        if out.all.is_empty() {
            let why = "it is named by --config, and no nginx that runs uses it".to_owned();
            out.all.push(resting(root, builds, first_binary(root), Some(config), why));
        }
        return out;
    }
    // On any kernel process 1 is there to be seen, unless /proc is mounted with hidepid (proc(5)).
    let hidden = processes.is_none_or(|list| !list.iter().any(|process| process.pid == 1));
    if out.all.is_empty() {
        // What serves from another network namespace by this very configuration is not stopped; and beside a container that
        // serves, an installed binary alone says nothing.
        let served = |one: &(Instance, bool)| {
            abroad.iter().any(|(same_files, config)| if *same_files { *config == one.0.config } else { !one.1 })
        };
        match idle(root, builds).filter(|one| !served(one)).map(|(one, _)| one) {
            Some(one) if hidden => unseen(root, one, &mut out),
            Some(one) => out.all.push(one),
            None => {}
        }
    }
    out
}

/// Whether a process belongs to nginx, as far as its files tell. A title alone is a claim of anybody's.
fn is_nginx(process: &ProcessInfo) -> bool {
    let titled = || process.exe.is_none() && process.argv.first().is_some_and(|title| title.starts_with("nginx: "));
    PROGRAMS.contains(&process.program().as_ref()) || titled()
}

fn is_master(process: &ProcessInfo, all: &[ProcessInfo]) -> bool {
    if !is_nginx(process) || process.state == 'Z' {
        return false;
    }
    let Some(title) = process.argv.first() else { return false };
    if title.starts_with(MASTER) {
        return true;
    }
    // With `master_process off` the title stays; so does that of `nginx -t` and `nginx -s reload`, which end at once.
    let parent = all.iter().find(|other| other.pid == process.ppid);
    let named = Path::new(title).file_name().is_some_and(|name| PROGRAMS.contains(&name.to_string_lossy().as_ref()));
    named && !Arguments::of(process).ends_at_once && !parent.is_some_and(is_nginx)
}

/// The command line options of nginx (ngx_get_options).
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    program: String,
    config: Option<String>,
    prefix: Option<String>,
    globals: Option<String>,
    error_log: Option<String>,
    /// `-t`, `-s`, `-v` and the like.
    ends_at_once: bool,
}

impl Arguments {
    fn of(process: &ProcessInfo) -> Self {
        match process.argv.first().and_then(|title| title.strip_prefix(MASTER)) {
            Some(joined) => Self::parse(&joined.split(' ').map(str::to_owned).collect::<Vec<_>>(), true),
            None => Self::parse(&process.argv, false),
        }
    }

    /// `joined`: the words were one string, so a parameter of several words has come apart.
    fn parse(words: &[String], joined: bool) -> Self {
        let mut found = Self { program: words.first().cloned().unwrap_or_default(), ..Self::default() };
        let mut words = words.iter().skip(1).peekable();
        while let Some(word) = words.next() {
            let Some(options) = word.strip_prefix('-') else { continue };
            let mut letters = options.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    'c' | 'p' | 'g' | 'e' | 's' => {
                        let mut value = letters.as_str().to_owned();
                        if value.is_empty() {
                            value = words.next().cloned().unwrap_or_default();
                        }
                        // `-g daemon off;` has blanks; it goes on to the next option.
                        while let Some(more) = words.next_if(|next| joined && letter == 'g' && !next.starts_with('-')) {
                            value.push(' ');
                            value.push_str(more);
                        }
                        match letter {
                            'c' => found.config = Some(value),
                            'p' => found.prefix = Some(value),
                            'g' => found.globals = Some(value),
                            'e' => found.error_log = Some(value),
                            _ => found.ends_at_once = true,
                        }
                        break;
                    }
                    't' | 'T' | 'v' | 'V' | 'h' | '?' => found.ends_at_once = true,
                    _ => {}
                }
            }
        }
        found
    }
}

fn running(root: &Root, master: &ProcessInfo, all: &[ProcessInfo], builds: &Builds) -> Instance {
    let arguments = Arguments::of(master);
    let of_exe = master.binary();
    let of_title = Some(PathBuf::from(&arguments.program)).filter(|path| path.is_absolute());
    let binary = of_exe.or(of_title).or_else(|| first_binary(root));
    // The process' own image first: after an upgrade of the package the file of that name is another one.
    let image = PathBuf::from(format!("/proc/{}/exe", master.pid));
    let build = builds.of(root, &image).or_else(|| builds.of(root, binary.as_deref()?));
    let build = build.unwrap_or_else(|| Build::guessed(binary.as_deref()));
    let cwd = master.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
    let prefix = arguments.prefix.as_ref().map_or_else(|| build.prefix.clone(), |prefix| cwd.join(prefix));
    let compiled = build.config.strip_prefix(&build.prefix).map_or_else(|_| build.config.clone(), |relative| prefix.join(relative));
    let config = arguments.config.as_ref().map_or(compiled, |config| prefix.join(config));
    let workers: Vec<&ProcessInfo> = all
        .iter()
        .filter(|one| one.ppid == master.pid && one.state != 'Z')
        // "nginx: worker process is shutting down" still serves what it has, by the configuration before.
        .filter(|one| one.argv.first().is_some_and(|title| title.trim_end() == WORKER))
        .collect();
    let leaving = |one: &&ProcessInfo| {
        one.ppid == master.pid && one.state != 'Z' && one.argv.first().is_some_and(|title| title.starts_with(LEAVING))
    };
    let draining = all.iter().filter(leaving).map(|one| OldWorker { pid: one.pid, since: one.started }).collect();
    let plain = config == build.config && prefix == build.prefix && binary.as_deref().is_some_and(in_path);
    Instance {
        state: RunState::Running {
            pid: master.pid,
            since: master.started,
            workers_since: workers.iter().filter_map(|worker| worker.started).min(),
        },
        generation: workers.iter().filter_map(|worker| worker.start_ticks).min(),
        worker: workers.first().map(|worker| worker.identity.clone()),
        master: Some(master.identity.clone()),
        unit: master.unit().filter(|unit| is_unit_of_nginx(root, unit)).map(str::to_owned),
        binary,
        build,
        config,
        prefix,
        globals: arguments.globals,
        error_log: arguments.error_log,
        draining,
        plain,
    }
}

/// Whether a shell finds this binary by its name alone.
fn in_path(binary: &Path) -> bool {
    binary
        .parent()
        .is_some_and(|dir| ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].iter().any(|bin| dir == Path::new(bin)))
}

/// A cgroup's unit may be a login session's or a container runtime's: to reload that would be bad advice.
fn is_unit_of_nginx(root: &Root, unit: &str) -> bool {
    let named = |text: &str| PROGRAMS.iter().any(|name| text.contains(name));
    named(unit) || UNITS.iter().any(|dir| root.text(Path::new(dir).join(unit)).is_ok_and(|text| named(&text)))
}

fn first_binary(root: &Root) -> Option<PathBuf> {
    BINARIES.iter().map(PathBuf::from).find(|path| root.stat(path).is_ok())
}

/// An instance that does not run.
fn resting(root: &Root, builds: &Builds, binary: Option<PathBuf>, config: Option<&Path>, why_expected: String) -> Instance {
    let build = binary.as_deref().and_then(|path| builds.of(root, path)).unwrap_or_else(|| Build::guessed(binary.as_deref()));
    let config = config.map_or_else(|| build.config.clone(), Path::to_owned);
    let unit = ["nginx.service", "openresty.service"]
        .iter()
        .find(|unit| UNITS.iter().any(|dir| root.lstat(&Path::new(dir).join(unit)).is_ok()));
    Instance {
        state: RunState::Stopped { why_expected },
        worker: None,
        master: None,
        plain: config == build.config && binary.as_deref().is_some_and(in_path),
        prefix: build.prefix.clone(),
        config,
        unit: unit.map(|unit| (*unit).to_owned()),
        binary,
        build,
        globals: None,
        error_log: None,
        draining: Vec::new(),
        generation: None,
    }
}

/// An instance that something says should run, and whether an enabled unit is among what says so.
fn idle(root: &Root, builds: &Builds) -> Option<(Instance, bool)> {
    let binary = first_binary(root);
    let there = |path: &Path| root.stat(path).is_ok();
    let enabled = ["nginx.service", "openresty.service"].iter().find(|unit| root.lstat(&Path::new(ENABLED).join(unit)).is_ok());
    let one = resting(root, builds, binary, None, String::new());
    let logs = || there(Path::new("/var/log/nginx/error.log")) || there(Path::new("/var/log/nginx/access.log"));
    let why_expected = if let Some(binary) = &one.binary
        && there(&one.config)
    {
        let also = enabled.map(|unit| format!(", and {unit} is enabled")).unwrap_or_default();
        format!("{} and {} are there{also}", binary.display(), one.config.display())
    } else if let Some(unit) = enabled.filter(|_| there(&one.config) || logs()) {
        format!("{unit} is enabled, with {}", if there(&one.config) { one.config.display().to_string() } else { "logs".to_owned() })
    } else {
        return None;
    };
    Some((Instance { state: RunState::Stopped { why_expected }, ..one }, enabled.is_some()))
}

/// An installed nginx where processes can't be seen: its pid file tells whether it runs, and nothing tells that it doesn't.
fn unseen(root: &Root, one: Instance, out: &mut Instances) {
    out.blind.push(BlindSpot {
        source: "nginx processes".to_owned(),
        reason: "other users' processes are hidden here".to_owned(),
        remedy: "run as root, or as a member of the group that /proc is mounted with (gid=, proc(5))".to_owned(),
    });
    let written = root.text(&one.build.pid).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = written {
        let since = root.stat(&one.build.pid).ok().map(|info| info.modified);
        out.all.push(Instance { state: RunState::Running { pid, since, workers_since: None }, ..one });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_the_title() {
        let of = |title: &str| Arguments::parse(&title.split(' ').map(str::to_owned).collect::<Vec<_>>(), true);
        let found = of("/usr/sbin/nginx -p /srv/www -c conf/site.conf -g daemon on; master_process on;");
        assert_eq!((found.config.as_deref(), found.prefix.as_deref()), (Some("conf/site.conf"), Some("/srv/www")));
        assert_eq!(found.globals.as_deref(), Some("daemon on; master_process on;"));
        assert_eq!(of("nginx -g daemon off; -c/etc/x.conf").config.as_deref(), Some("/etc/x.conf"));
        assert_eq!(of("nginx -qc /x").config.as_deref(), Some("/x"));
        assert!(of("nginx -t").ends_at_once && of("nginx -s reload").ends_at_once && !of("nginx -c /t").ends_at_once);
    }
}
