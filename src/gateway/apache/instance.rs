//! Instances of Apache: running masters, and those that something says should run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    super::{Overrides, abroad::elsewhere},
    binary::{Build, Builds},
    environment,
};
use crate::{
    model::{BlindSpot, Identity, OldWorker, ProcessInfo, RunState},
    sys::Root,
};

/// Where a binary lies that no process tells of.
const BINARIES: &[&str] =
    &["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd", "/usr/local/sbin/httpd", "/opt/apache2/bin/httpd"];
/// File names of binaries that are Apache. OpenBSD's `httpd` runs on no Linux; busybox's has `busybox` for its binary.
pub(super) const PROGRAMS: &[&str] =
    &["apache2", "httpd", "httpd.worker", "httpd.event", "httpd2", "httpd-prefork", "httpd-event", "httpd-worker"];
/// Units of distributions.
const UNIT_NAMES: &[&str] = &["apache2.service", "httpd.service"];
/// Where an enabled unit is linked, and where units lie (systemd.unit(5)).
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants";
const UNITS: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Logs by which a gateway is known to have run here.
const LOGS: &[&str] =
    &["/var/log/apache2/error.log", "/var/log/httpd/error_log", "/var/log/apache2/access.log", "/var/log/httpd/access_log"];

/// One Apache with one configuration.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Whether it runs. When its configuration was loaded last is not known yet.
    pub state: RunState,
    /// As whom the children run. `None`: there are none, the configuration has to tell.
    pub worker: Option<Identity>,
    /// As whom the master runs. `None`: there is none.
    pub master: Option<Identity>,
    /// Its binary.
    pub binary: Option<PathBuf>,
    /// What was compiled in.
    pub build: Build,
    /// Its command line options.
    pub arguments: Arguments,
    /// What relative paths are relative to, unless `ServerRoot` says otherwise.
    pub root: PathBuf,
    /// The main configuration file.
    pub config: PathBuf,
    /// Its unit.
    pub unit: Option<String>,
    /// Its environment.
    pub environment: HashMap<String, String>,
    /// The file that tells the environment, where no process does.
    pub script: Option<PathBuf>,
    /// The children, until it is known when the configuration was loaded; then those that are older.
    pub draining: Vec<OldWorker>,
    /// What is greater after each load.
    pub generation: Option<u64>,
}

impl Instance {
    /// Whether it was started with the compiled-in paths, so that a plain `apachectl` means it.
    pub fn plain(&self) -> bool {
        self.config == self.build.config_path() && self.arguments.before.is_empty() && self.arguments.after.is_empty()
    }
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

/// The command line options of httpd (server/main.c).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// `-f`.
    pub config: Option<String>,
    /// `-d`.
    pub root: Option<String>,
    /// `-D`.
    pub defines: Vec<String>,
    /// `-C`: directives before the file.
    pub before: Vec<String>,
    /// `-c`: directives after it.
    pub after: Vec<String>,
    /// `-t`, `-v`, `-k stop` and the like.
    ends_at_once: bool,
}

impl Arguments {
    fn of(argv: &[String]) -> Self {
        let mut found = Self::default();
        let mut words = argv.iter().skip(1);
        while let Some(word) = words.next() {
            let Some(options) = word.strip_prefix('-') else { continue };
            let mut letters = options.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    'D' | 'C' | 'c' | 'd' | 'f' | 'e' | 'E' | 'k' => {
                        let attached = letters.as_str();
                        let value =
                            if attached.is_empty() { words.next().cloned().unwrap_or_default() } else { attached.to_owned() };
                        match letter {
                            'D' => found.defines.push(value),
                            'C' => found.before.push(value),
                            'c' => found.after.push(value),
                            'd' => found.root = Some(value),
                            'f' => found.config = Some(value),
                            // `-k start` is how it is started; the others send a signal and end.
                            'k' => found.ends_at_once |= value != "start",
                            _ => {}
                        }
                        break;
                    }
                    't' | 'v' | 'V' | 'l' | 'L' | 'h' | '?' | 'S' | 'M' => found.ends_at_once = true,
                    _ => {}
                }
            }
        }
        found
    }

    /// The options again, as words: all but the binary.
    pub fn words(&self) -> Vec<String> {
        let with = |letter: &str, values: &[String]| -> Vec<String> {
            values.iter().flat_map(|value| [letter.to_owned(), value.clone()]).collect()
        };
        // FOREGROUND and the like say how it runs, not what it reads; a test is none of it.
        let defines: Vec<String> = self.defines.clone();
        [
            with("-d", self.root.as_slice()),
            with("-f", self.config.as_slice()),
            with("-D", &defines),
            with("-C", &self.before),
            with("-c", &self.after),
        ]
        .concat()
    }
}

/// Finds them. `processes`: `None` where they could not be listed.
pub fn find(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides, builds: &Builds) -> Instances {
    let mut out = Instances::default();
    let list = processes.unwrap_or_default();
    // Masters elsewhere: whether they see our files, and their configuration.
    let mut abroad: Vec<(bool, PathBuf)> = Vec::new();
    for master in list.iter().filter(|process| is_master(process, list)) {
        let one = running(root, master, list, builds);
        match elsewhere(root, super::ID, master) {
            Some(other) => {
                abroad.push((other.same_files, one.config));
                out.blind.push(other.spot);
                out.abroad.push(master.pid);
            }
            None => out.all.push(one),
        }
    }
    if let Some(config) = &overrides.config {
        let id = |path: &Path| root.stat(path).ok().map(|info| info.id);
        out.all.retain(|one| one.config == *config || (id(config).is_some() && id(&one.config) == id(config)));
        // A file that is named for another kind is none of Apache's.
        let own = overrides.kind.as_deref() == Some(super::ID)
            || config.ancestors().any(|dir| PROGRAMS.iter().any(|name| dir.ends_with(name)));
        if out.all.is_empty() && own {
            let why = "it is named by --config, and no apache that runs uses it".to_owned();
            out.all.push(resting(root, builds, first_binary(root), Some(config), why));
        }
        return out;
    }
    // On any kernel process 1 is there to be seen, unless /proc is mounted with hidepid (proc(5)).
    let hidden = processes.is_none_or(|list| !list.iter().any(|process| process.pid == 1));
    if out.all.is_empty() {
        // What serves from another network namespace by this very configuration is not stopped; and beside a container that
        // serves, an installed binary alone says nothing.
        let served = |one: &Instance, enabled: bool| {
            abroad.iter().any(|(same_files, config)| if *same_files { *config == one.config } else { !enabled })
        };
        match idle(root, builds).filter(|(one, enabled)| !served(one, *enabled)).map(|(one, _)| one) {
            Some(_) if hidden => out.blind.push(BlindSpot {
                source: "apache processes".to_owned(),
                reason: "other users' processes are hidden here".to_owned(),
                remedy: "run as root, or as a member of the group that /proc is mounted with (gid=, proc(5))".to_owned(),
            }),
            Some(one) => out.all.push(one),
            None => {}
        }
    }
    out
}

/// Whether a process is Apache's, as far as its files tell.
fn is_apache(process: &ProcessInfo) -> bool {
    PROGRAMS.contains(&process.program().as_ref())
}

fn is_master(process: &ProcessInfo, all: &[ProcessInfo]) -> bool {
    let parent = all.iter().find(|other| other.pid == process.ppid);
    is_apache(process)
        && process.state != 'Z'
        && !process.argv.is_empty()
        && !parent.is_some_and(is_apache)
        && !Arguments::of(&process.argv).ends_at_once
}

fn running(root: &Root, master: &ProcessInfo, all: &[ProcessInfo], builds: &Builds) -> Instance {
    let arguments = Arguments::of(&master.argv);
    let of_exe = master.binary();
    let of_argv = master.argv.first().map(PathBuf::from).filter(|path| path.is_absolute());
    let binary = of_exe.or(of_argv).or_else(|| first_binary(root));
    // The process' own image first: after an upgrade of the package the file of that name is another one.
    let image = PathBuf::from(format!("/proc/{}/exe", master.pid));
    let build = builds.of(root, &image).or_else(|| builds.of(root, binary.as_deref()?));
    let build = build.unwrap_or_else(|| Build::guessed(binary.as_deref()));
    let server_root = arguments.root.as_ref().map_or_else(|| build.root.clone(), PathBuf::from);
    let config = server_root.join(arguments.config.as_ref().map_or_else(|| build.config.clone(), PathBuf::from));
    let workers: Vec<&ProcessInfo> =
        all.iter().filter(|one| one.ppid == master.pid && one.state != 'Z' && is_apache(one)).collect();
    // Piped logs and mod_cgid run as root beside the children.
    let worker = workers.iter().find(|one| one.identity.uid != 0).or_else(|| workers.first().filter(|_| master.identity.uid != 0));
    let of_script = environment::of_script(root, &config);
    let (environment, script) = match environment::of_process(root, master.pid) {
        Some(environment) => (environment, None),
        None => of_script.map(|(path, environment)| (environment, Some(path))).unwrap_or_default(),
    };
    let children = || workers.iter().filter(|one| one.identity.uid != 0 || master.identity.uid != 0);
    let draining = children().map(|one| OldWorker { pid: one.pid, since: one.started }).collect();
    Instance {
        state: RunState::Running {
            pid: master.pid,
            since: master.started,
            workers_since: children().filter_map(|one| one.started).min(),
        },
        generation: None,
        worker: worker.map(|worker| worker.identity.clone()),
        master: Some(master.identity.clone()),
        unit: master.unit().filter(|unit| is_unit_of_apache(root, unit)).map(str::to_owned),
        root: server_root,
        binary,
        build,
        arguments,
        config,
        environment,
        script,
        draining,
    }
}

/// A cgroup's unit may be a login session's or a container runtime's: to reload that would be bad advice.
fn is_unit_of_apache(root: &Root, unit: &str) -> bool {
    let named = |text: &str| ["apache2", "httpd"].iter().any(|name| text.contains(name));
    named(unit) || UNITS.iter().any(|dir| root.text(Path::new(dir).join(unit)).is_ok_and(|text| named(&text)))
}

fn first_binary(root: &Root) -> Option<PathBuf> {
    BINARIES.iter().map(PathBuf::from).find(|path| root.stat(path).is_ok())
}

/// An instance that does not run.
fn resting(root: &Root, builds: &Builds, binary: Option<PathBuf>, config: Option<&Path>, why_expected: String) -> Instance {
    let build = binary.as_deref().and_then(|path| builds.of(root, path)).unwrap_or_else(|| Build::guessed(binary.as_deref()));
    let config = config.map_or_else(|| build.config_path(), Path::to_owned);
    let unit = UNIT_NAMES.iter().find(|unit| UNITS.iter().any(|dir| root.lstat(&Path::new(dir).join(unit)).is_ok()));
    let (script, environment) = environment::of_script(root, &config).map(|(path, known)| (Some(path), known)).unwrap_or_default();
    Instance {
        state: RunState::Stopped { why_expected },
        worker: None,
        master: None,
        root: build.root.clone(),
        unit: unit.map(|unit| (*unit).to_owned()),
        arguments: Arguments::default(),
        config,
        binary,
        build,
        environment,
        draining: Vec::new(),
        generation: None,
        script,
    }
}

/// An instance that something says should run, and whether an enabled unit is among what says so.
fn idle(root: &Root, builds: &Builds) -> Option<(Instance, bool)> {
    let there = |path: &Path| root.stat(path).is_ok();
    let enabled = UNIT_NAMES.iter().find(|unit| root.lstat(&Path::new(ENABLED).join(unit)).is_ok());
    let one = resting(root, builds, first_binary(root), None, String::new());
    let why_expected = if let Some(binary) = &one.binary
        && there(&one.config)
    {
        let also = enabled.map(|unit| format!(", and {unit} is enabled")).unwrap_or_default();
        format!("{} and {} are there{also}", binary.display(), one.config.display())
    } else if let Some(unit) = enabled.filter(|_| there(&one.config) || LOGS.iter().any(|log| there(Path::new(log)))) {
        format!("{unit} is enabled, with {}", if there(&one.config) { one.config.display().to_string() } else { "logs".to_owned() })
    } else {
        return None;
    };
    Some((Instance { state: RunState::Stopped { why_expected }, ..one }, enabled.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Arguments {
        Arguments::of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_as_httpd_reads_them() {
        let found = of("/usr/sbin/httpd -d /srv/www -f conf/a.conf -DFOREGROUND -D SSL -k start");
        assert_eq!((found.config.as_deref(), found.root.as_deref()), (Some("conf/a.conf"), Some("/srv/www")));
        assert_eq!(found.defines, ["FOREGROUND", "SSL"]);
        assert!(!found.ends_at_once);
        for line in ["apache2 -t", "apache2 -k graceful", "httpd -S", "httpd -D DUMP -t"] {
            assert!(of(line).ends_at_once, "{line}");
        }
        assert_eq!(found.words().join(" "), "-d /srv/www -f conf/a.conf -D FOREGROUND -D SSL");
    }
}
