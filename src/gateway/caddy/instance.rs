//! Instances of Caddy: running ones, and one that something says should run.

use std::path::{Path, PathBuf};

use super::{
    super::{Overrides, abroad::elsewhere, units::Unit},
    ID,
    environment::Environment,
    version,
};
use crate::{
    model::{BlindSpot, Identity, ProcessInfo, RunState},
    sys::{Root, Users},
};

/// Where a binary lies that no process tells of.
const BINARIES: &[&str] = &["/usr/bin/caddy", "/usr/local/bin/caddy", "/usr/sbin/caddy", "/opt/caddy/caddy"];
/// File names of binaries that are Caddy, or Caddy with more built in.
pub(super) const PROGRAMS: &[&str] = &["caddy", "caddy-custom", "frankenphp"];
/// Units of packages.
const UNITS: &[&str] = &["caddy.service", "caddy-api.service"];
/// The configuration of packages.
const CONFIG: &str = "/etc/caddy/Caddyfile";
/// Where packages make a home.
const HOME: &str = "/var/lib/caddy";
/// Commands that serve until they are ended.
const SERVING: &[&str] = &["run", "reverse-proxy", "file-server", "respond", "php-server", "docker-proxy"];

/// What the configuration is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A Caddyfile.
    Caddyfile,
    /// Caddy's own JSON.
    Json,
    /// None: the command line says it all, which is the same as this Caddyfile.
    Words(String),
    /// Another, which an adapter of this name reads.
    Foreign(String),
}

/// One Caddy with one configuration.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Whether it runs.
    pub state: RunState,
    /// As whom. `None`: unknown.
    pub identity: Option<Identity>,
    /// Its binary.
    pub binary: Option<PathBuf>,
    /// Its version.
    pub version: Option<String>,
    /// The main configuration file.
    pub config: PathBuf,
    /// What it is written in.
    pub form: Form,
    /// Its environment.
    pub environment: Environment,
    /// Its unit.
    pub unit: Option<String>,
    /// Where it keeps what it loaded last.
    pub autosave: Option<PathBuf>,
    /// What is greater after each load.
    pub generation: Option<u64>,
}

impl Instance {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        matches!(self.state, RunState::Running { .. })
    }
}

/// The instances, and what could not be told.
#[derive(Debug, Default)]
pub struct Instances {
    /// Running ones first.
    pub all: Vec<Instance>,
    /// Those elsewhere.
    pub blind: Vec<BlindSpot>,
    /// The processes of those elsewhere.
    pub abroad: Vec<u32>,
}

/// Finds them. `processes`: `None` where they could not be listed.
pub fn find(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides) -> Instances {
    let mut out = Instances::default();
    let mut abroad: Vec<(bool, PathBuf)> = Vec::new();
    for process in processes.unwrap_or_default().iter().filter(|process| is_caddy(process)) {
        let one = running(root, process);
        match elsewhere(root, ID, process) {
            Some(other) => {
                abroad.push((other.same_files, one.config));
                out.blind.push(other.spot);
                out.abroad.push(process.pid);
            }
            None => out.all.push(one),
        }
    }
    if let Some(config) = &overrides.config {
        let wanted = root.stat(config).ok().map(|info| info.id);
        let same =
            |one: &Instance| one.config == *config || wanted.is_some() && root.stat(&one.config).ok().map(|info| info.id) == wanted;
        out.all.retain(same);
        // A file of another gateway's is none of ours.
        if out.all.is_empty() && (overrides.kind.as_deref() == Some(ID) || looks_like_ours(config)) {
            out.all.extend(resting(root, Some(config), "it is named by --config, and no caddy that runs uses it".to_owned()));
        }
        return out;
    }
    // On any kernel process 1 is there to be seen, unless /proc is mounted with hidepid (proc(5)).
    let hidden = processes.is_none_or(|list| !list.iter().any(|process| process.pid == 1));
    if out.all.is_empty() && !hidden {
        let served = |one: &Instance| abroad.iter().any(|(same_files, config)| !same_files || *config == one.config);
        out.all.extend(idle(root).filter(|one| !served(one)));
    }
    out
}

/// Whether a file's name says that it is Caddy's.
fn looks_like_ours(config: &Path) -> bool {
    let name = config.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.contains("caddy")
}

fn is_caddy(process: &ProcessInfo) -> bool {
    let serves = process.argv.get(1).is_some_and(|command| SERVING.contains(&command.as_str()));
    PROGRAMS.contains(&process.program().as_ref()) && process.state != 'Z' && serves
}

/// The options of a command line: `--config x`, `--config=x`, `-c x`.
struct Options<'a>(&'a [String]);

impl<'a> Options<'a> {
    fn all(&self, names: &[&str]) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            if names.contains(&name) {
                found.extend(value.or_else(|| words.next().map(String::as_str)));
            }
        }
        found
    }

    fn last(&self, names: &[&str]) -> Option<&'a str> {
        self.all(names).pop()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }
}

fn running(root: &Root, process: &ProcessInfo) -> Instance {
    let pid = process.pid;
    let mut environment = Environment::of_process(root, pid);
    let cwd = process.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
    for file in Options(&process.argv).all(&["--envfile"]) {
        environment.add_file(root, &cwd.join(file));
    }
    let autosave = autosave(&environment);
    let (config, form) = configuration(root, &process.argv, &cwd, autosave.as_deref(), &format!("/proc/{pid}/cmdline"));
    let binary = process.binary();
    let binary = binary.or_else(|| first_binary(root));
    let image = PathBuf::from(format!("/proc/{pid}/exe"));
    let version = version::of(root, &image).or_else(|| version::of(root, binary.as_deref()?));
    // What it loaded last is written down whenever that changes (caddy.go, unsyncedDecodeAndRun).
    let saved = autosave.as_ref().and_then(|path| root.stat(path).ok());
    let loaded = saved.map(|info| info.modified);
    let loaded = loaded.filter(|loaded| process.started.is_some_and(|started| *loaded >= started)).or(process.started);
    Instance {
        state: RunState::Running { pid, since: process.started, workers_since: loaded },
        identity: Some(process.identity.clone()),
        binary,
        version,
        config,
        form,
        environment,
        unit: process.unit().filter(|unit| Unit::is_of(root, unit, ID)).map(str::to_owned),
        autosave,
        generation: saved.and_then(|info| info.modified_order()),
    }
}

/// What a command line serves.
fn configuration(root: &Root, argv: &[String], cwd: &Path, autosave: Option<&Path>, cmdline: &str) -> (PathBuf, Form) {
    let options = Options(argv);
    let command = argv.get(1).map_or("", String::as_str);
    if command == "reverse-proxy" {
        let from = options.last(&["--from", "-f"]).unwrap_or("localhost");
        let to = options.all(&["--to", "-t"]).join(" ");
        let host =
            if options.has("--change-host-header") || options.has("-c") { "header_up Host {upstream_hostport}\n" } else { "" };
        let tls = if options.has("--insecure") { "transport http {\ntls_insecure_skip_verify\n}\n" } else { "" };
        return (cmdline.into(), Form::Words(format!("{from} {{\nreverse_proxy {to} {{\n{host}{tls}}}\n}}\n")));
    }
    if command != "run" {
        let listen = options.last(&["--listen", "-l"]).unwrap_or(":80");
        return (cmdline.into(), Form::Words(format!("{listen} {{\nfile_server\n}}\n")));
    }
    let there = |path: &Path| root.stat(path).is_ok();
    if let Some(saved) = autosave.filter(|saved| options.has("--resume") && there(saved)) {
        return (saved.to_owned(), Form::Json);
    }
    let adapter = options.last(&["--adapter", "-a"]);
    if let Some(config) = options.last(&["--config", "-c"]) {
        let path = cwd.join(config);
        let form = form(&path, adapter);
        return (path, form);
    }
    let beside = cwd.join("Caddyfile");
    match autosave {
        _ if there(&beside) => (beside, Form::Caddyfile),
        // It was started empty, and given its configuration by its admin API.
        Some(saved) if there(saved) => (saved.to_owned(), Form::Json),
        Some(_) | None => (cmdline.into(), Form::Words(String::new())),
    }
}

/// What a file is written in (cmd/main.go, loadConfigWithLogger).
fn form(path: &Path, adapter: Option<&str>) -> Form {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match adapter {
        Some("caddyfile") => Form::Caddyfile,
        Some(other) if other != "json" => Form::Foreign(other.to_owned()),
        None if name.starts_with("caddyfile") || ending == "caddyfile" => Form::Caddyfile,
        None if matches!(ending, "yaml" | "yml" | "conf") => Form::Foreign(String::new()),
        Some(_) | None => Form::Json,
    }
}

/// Where the configuration that was loaded last is kept (storage.go, AppConfigDir).
pub fn autosave(environment: &Environment) -> Option<PathBuf> {
    let dir = match environment.get("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(environment.get("HOME").filter(|home| !home.is_empty())?).join(".config"),
    };
    Some(dir.join("caddy/autosave.json"))
}

fn first_binary(root: &Root) -> Option<PathBuf> {
    BINARIES.iter().map(PathBuf::from).find(|path| root.stat(path).is_ok())
}

/// An instance that does not run, by the unit that would start it. `None`: there is neither binary nor unit.
fn resting(root: &Root, config: Option<&Path>, why_expected: String) -> Option<Instance> {
    let all = UNITS.iter().filter_map(|name| Unit::read(root, name));
    let mut unit: Option<Unit> = None;
    for one in all {
        if unit.as_ref().is_none_or(|known| one.enabled && !known.enabled) {
            unit = Some(one);
        }
    }
    let binary = first_binary(root);
    (binary.is_some() || unit.is_some()).then_some(())?;
    let mut environment = Environment::default();
    for (name, value) in unit.iter().flat_map(|unit| &unit.environment) {
        environment.set(name, value);
    }
    for file in unit.iter().flat_map(|unit| &unit.environment_files) {
        environment.add_file(root, file);
    }
    environment.set("HOME", HOME);
    let autosave = autosave(&environment);
    let argv = unit.as_ref().map(|unit| unit.argv.clone()).filter(|argv| argv.len() > 1);
    let cwd = unit.as_ref().and_then(|unit| unit.cwd.clone()).unwrap_or_else(|| PathBuf::from("/"));
    let argv = argv.unwrap_or_else(|| ["caddy", "run", "--config", CONFIG].map(str::to_owned).to_vec());
    let (path, written) = match config {
        Some(config) => (config.to_owned(), form(config, None)),
        None => configuration(root, &argv, &cwd, autosave.as_deref(), "/etc/caddy"),
    };
    let user = unit.as_ref().and_then(|unit| unit.user.clone()).unwrap_or_else(|| "caddy".to_owned());
    Some(Instance {
        state: RunState::Stopped { why_expected },
        identity: Users::read(root).identity(root, &user),
        version: binary.as_deref().and_then(|binary| version::of(root, binary)),
        binary,
        config: path,
        form: written,
        environment,
        unit: unit.map(|unit| unit.name),
        autosave,
        generation: None,
    })
}

/// An instance that something says should run.
fn idle(root: &Root) -> Option<Instance> {
    let one = resting(root, None, String::new())?;
    let there = |path: &Path| root.stat(path).is_ok();
    let enabled = one.unit.as_ref().is_some_and(|unit| Unit::read(root, unit).is_some_and(|unit| unit.enabled));
    let why_expected = match &one.binary {
        Some(binary) if there(&one.config) => {
            let also = one.unit.as_ref().filter(|_| enabled).map_or_else(String::new, |unit| format!(", and {unit} is enabled"));
            format!("{} and {} are there{also}", binary.display(), one.config.display())
        }
        Some(_) | None if enabled && there(&one.config) => {
            format!("{} is enabled, with {}", one.unit.as_deref().unwrap_or_default(), one.config.display())
        }
        Some(_) | None => return None,
    };
    Some(Instance { state: RunState::Stopped { why_expected }, ..one })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (String, Form) {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::create_dir_all(dir.path().join("srv")).expect("directory");
        std::fs::write(dir.path().join("srv/Caddyfile"), "").expect("file");
        std::fs::write(dir.path().join("saved.json"), "{}").expect("file");
        let argv = shlex::split(line).expect("words");
        let saved = Path::new("/saved.json");
        let (path, form) = configuration(&Root::below(dir.path()), &argv, Path::new("/srv"), Some(saved), "/proc/7/cmdline");
        (path.display().to_string(), form)
    }

    #[test]
    fn command_lines_tell_the_configuration() {
        assert_eq!(of("caddy run --environ --config /etc/caddy/Caddyfile"), ("/etc/caddy/Caddyfile".to_owned(), Form::Caddyfile));
        assert_eq!(of("caddy run"), ("/srv/Caddyfile".to_owned(), Form::Caddyfile));
        assert_eq!(of("caddy run -c x.json"), ("/srv/x.json".to_owned(), Form::Json));
        assert_eq!(of("caddy run --config=a.txt --adapter caddyfile"), ("/srv/a.txt".to_owned(), Form::Caddyfile));
        assert_eq!(of("caddy run --config x --adapter yaml").1, Form::Foreign("yaml".to_owned()));
        assert_eq!(of("caddy run --resume --config x"), ("/saved.json".to_owned(), Form::Json));
        let (path, form) = of("caddy reverse-proxy --from :80 --to 127.0.0.1:8000 --to=b:1 --insecure");
        assert_eq!(path, "/proc/7/cmdline");
        let Form::Words(text) = form else { panic!("{form:?}") };
        assert!(text.starts_with(":80 {\nreverse_proxy 127.0.0.1:8000 b:1 {") && text.contains("tls_insecure"), "{text}");
    }

    #[test]
    fn commands_that_end_at_once_are_no_gateway() {
        let process = |line: &str, exe: Option<&str>| ProcessInfo {
            pid: 7,
            ppid: 1,
            name: "caddy".to_owned(),
            argv: shlex::split(line).expect("words"),
            exe: exe.map(PathBuf::from),
            identity: Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: Vec::new() },
            started: None,
            start_ticks: None,
            state: 'S',
            cgroup: None,
            cwd: None,
            net_ns: None,
            threads: 1,
        };
        assert!(is_caddy(&process("caddy run", None)) && is_caddy(&process("x run", Some("/usr/bin/caddy (deleted)"))));
        assert!(!is_caddy(&process("caddy reload", None)) && !is_caddy(&process("caddy run", Some("/usr/bin/other"))));
    }
}
