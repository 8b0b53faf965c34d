//! What systemd would start: the service whose unit's file names an address that a gateway connects to, or whose socket's does, and the
//! service of a running process; all have their log in the journal, or where `StandardError=` says.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::service::Service;
use crate::{
    model::{Address, Identity, OwnerRole, ProcessInfo, Subject},
    sys::Root,
};

/// Where units are, the strongest first (systemd.unit(5), table 1).
pub(in crate::watch) const PLACES: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Files that are read, at most: a full host has some 400.
const FILES: usize = 2_000;
/// Bytes of a unit's file that are read.
const UNIT_BYTES: u64 = 64 << 10;
/// Services that one address may lead to, at most.
const SERVICES: usize = 4;

/// A service by its unit's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::watch) struct Unit {
    /// `app.service`
    pub(in crate::watch) name: String,
    /// The file.
    pub(in crate::watch) file: PathBuf,
    /// `ExecStart=` as words, without a prefix that is systemd's.
    pub(in crate::watch) argv: Vec<String>,
    /// `WorkingDirectory=`
    pub(in crate::watch) cwd: Option<PathBuf>,
    /// Values of `Environment=` and of the files that `EnvironmentFile=` names: a port stands there as often.
    pub(in crate::watch) environment: Vec<String>,
    /// Files that its output is written to, with the name of the setting and its line.
    pub(in crate::watch) outputs: Vec<(PathBuf, String, usize)>,
    /// Of a socket: the service that it starts, the one of its own name unless `Service=` names another (systemd.socket(5)).
    starts: Option<String>,
}

impl Unit {
    fn parse(name: &str, file: &Path, text: &str) -> Self {
        let mut unit = Self {
            name: name.to_owned(),
            file: file.to_owned(),
            starts: name.strip_suffix(".socket").map(|stem| format!("{stem}.service")),
            ..Self::default()
        };
        let mut lines = text.lines().enumerate();
        while let Some((at, first)) = lines.next() {
            // A backslash at the end goes on in the next line (systemd.syntax(7)).
            let mut line = first.trim().to_owned();
            while line.ends_with('\\') {
                line.pop();
                let Some((_, next)) = lines.next() else { break };
                line.push(' ');
                line.push_str(next.trim());
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match key.trim() {
                "ExecStart" if !value.is_empty() => {
                    unit.argv = shlex::split(value.trim_start_matches(['-', '@', ':', '+', '!'])).unwrap_or_default();
                }
                "WorkingDirectory" => {
                    unit.cwd = Some(PathBuf::from(value.trim_start_matches('-'))).filter(|path| path.is_absolute());
                }
                "Environment" => unit.environment.extend(shlex::split(value).unwrap_or_default()),
                // A socket's own unit names what it hands on (systemd.socket(5)).
                "ListenStream" => unit.environment.push(value.to_owned()),
                "Service" if unit.starts.is_some() => unit.starts = Some(value.to_owned()),
                key @ ("StandardOutput" | "StandardError") => {
                    let file = ["append:", "file:", "truncate:"].iter().find_map(|how| value.strip_prefix(how));
                    unit.outputs
                        .extend(file.filter(|file| !file.contains('%')).map(|file| (PathBuf::from(file), key.to_owned(), at + 1)));
                }
                _ => {}
            }
        }
        unit
    }

    /// Whether it would listen there, as far as its command line tells.
    pub(in crate::watch) fn names(&self, address: &Address) -> bool {
        words_name(&self.argv, address) || words_name(&self.environment, address)
    }

    /// What would run.
    pub(in crate::watch) fn service(&self, role: OwnerRole, serves: Vec<Subject>) -> Service {
        let program = self.argv.first().map(|arg| arg.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default();
        let lead = ProcessInfo {
            pid: 0,
            ppid: 0,
            name: program,
            argv: self.argv.clone(),
            exe: None,
            identity: Identity { name: String::new(), uid: 0, gid: 0, groups: Vec::new() },
            started: None,
            start_ticks: None,
            state: 'X',
            cgroup: Some(format!("/system.slice/{}", self.name)),
            cwd: self.cwd.clone(),
            net_ns: None,
            threads: 1,
        };
        Service { role, members: vec![lead.clone()], lead, serves, runs: false }
    }
}

/// Whether a command line names this address.
pub(in crate::watch) fn words_name(argv: &[String], address: &Address) -> bool {
    argv.iter().any(|arg| match address.bare() {
        Address::Unix(path) => arg.contains(&*path.to_string_lossy()),
        Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => address.port().is_some_and(|port| names_port(arg, port)),
    })
}

/// Whether this word names a port: `:8000`, `--port=8000`, `8000`.
fn names_port(arg: &str, port: u16) -> bool {
    let digits = port.to_string();
    arg.match_indices(&digits).any(|(at, _)| {
        let before = arg[..at].chars().next_back();
        let behind = arg[at + digits.len()..].chars().next();
        matches!(before, None | Some(':' | '=' | ' ' | ',' | '\'' | '"'))
            && !behind.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
    })
}

/// The words of a file that `EnvironmentFile=` names (systemd.exec(5)).
fn environment(root: &Root, line: &str) -> Option<Vec<String>> {
    let path = line.trim().strip_prefix("EnvironmentFile=")?.trim().trim_start_matches('-');
    let (bytes, _) = Path::new(path).is_absolute().then(|| root.read_at_most(Path::new(path), UNIT_BYTES).ok())??;
    Some(String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect())
}

/// The services whose units name one of these addresses, or whose sockets' units do.
pub(in crate::watch) fn by_address(root: &Root, addresses: &[Address]) -> Vec<Unit> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    if addresses.is_empty() {
        return out;
    }
    let mut budget = FILES;
    for place in PLACES {
        for name in root.list(Path::new(place)).unwrap_or_default() {
            let Some(name) = name.to_str().filter(|name| name.ends_with(".service") || name.ends_with(".socket")) else { continue };
            // The first file of a name is the one that counts.
            if budget == 0 || !seen.insert(name.to_owned()) {
                continue;
            }
            budget -= 1;
            let Some(unit) = read(root, place, name).filter(|unit| addresses.iter().any(|address| unit.names(address))) else {
                continue;
            };
            out.extend(match unit.starts.clone() {
                None => Some(unit),
                Some(service) => started_by(root, unit, &service),
            });
            if out.len() >= SERVICES * addresses.len() {
                break;
            }
        }
    }
    let mut told = BTreeSet::new();
    out.retain(|unit: &Unit| told.insert(unit.name.clone()));
    out
}

fn read(root: &Root, place: &str, name: &str) -> Option<Unit> {
    let file = Path::new(place).join(name);
    let (bytes, _) = root.read_at_most(&file, UNIT_BYTES).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut unit = Unit::parse(name, &file, &text);
    unit.environment.extend(text.lines().filter_map(|line| environment(root, line)).flatten());
    Some(unit)
}

/// The service that a socket starts and hands its listener to, which it therefore listens at.
fn started_by(root: &Root, socket: Unit, service: &str) -> Option<Unit> {
    let mut unit = PLACES.iter().find_map(|place| read(root, place, service))?;
    unit.environment.extend(socket.environment);
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "[Service]\nWorkingDirectory=/srv/app\nExecStart=/usr/bin/gunicorn --bind 127.0.0.1:8000 \\\n  --error-logfile /var/log/app.log app:app\nStandardError=append:/var/log/app.err\n";

    #[test]
    fn the_unit_that_would_listen_is_found_by_its_command_line() {
        let dir = tempfile::tempdir().expect("directory");
        for (path, text) in [
            ("etc/systemd/system/app.service", APP),
            ("lib/systemd/system/app.service", "[Service]\nExecStart=/bin/old --port 8000\n"),
            ("lib/systemd/system/other.service", "[Service]\nExecStart=/bin/other --port=18000 -x 80001\n"),
            ("lib/systemd/system/noise.timer", "ExecStart=:8000"),
            ("lib/systemd/system/shop.service", "[Service]\nExecStart=/bin/shop\nEnvironmentFile=-/etc/default/shop\n"),
            ("lib/systemd/system/desk.service", "[Service]\nExecStart=/bin/desk\nEnvironment=\"PORT=8002\"\n"),
            ("etc/default/shop", "# PORT\nPORT=8001\n"),
            ("etc/systemd/system/till.socket", "[Socket]\nListenStream=/run/till.sock\nService=cash.service\n"),
            ("lib/systemd/system/cash.service", "[Service]\nExecStart=/bin/cash\n"),
            ("etc/systemd/system/cart.socket", "[Socket]\nListenStream=127.0.0.1:8003\n"),
            ("etc/systemd/system/cart.service", "[Service]\nExecStart=/bin/cart\n"),
            ("etc/systemd/system/lone.socket", "[Socket]\nListenStream=8004\n"),
        ] {
            std::fs::create_dir_all(dir.path().join(path).parent().expect("parent")).expect("directories");
            std::fs::write(dir.path().join(path), text).expect("file");
        }
        let found = by_address(&Root::below(dir.path()), &["127.0.0.1:8000".parse().expect("address")]);
        assert_eq!(found.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>(), ["app.service"]);
        for (port, unit) in [(8001, "shop.service"), (8002, "desk.service")] {
            let address: Address = format!("127.0.0.1:{port}").parse().expect("address");
            let found = by_address(&Root::below(dir.path()), &[address]);
            assert_eq!(found.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>(), [unit], "by its environment");
        }
        for (address, units) in
            [("unix:/run/till.sock", &["cash.service"][..]), ("127.0.0.1:8003", &["cart.service"]), ("127.0.0.1:8004", &[])]
        {
            let found = by_address(&Root::below(dir.path()), &[address.parse().expect("address")]);
            assert_eq!(found.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>(), units, "by its socket");
        }
        assert_eq!(found[0].outputs, [(PathBuf::from("/var/log/app.err"), "StandardError".to_owned(), 5)]);
        let service = found[0].service(OwnerRole::Upstream, Vec::new());
        assert_eq!(service.option(&["--error-logfile"]), Some("/var/log/app.log"));
        assert_eq!((service.name().as_str(), service.lead.unit()), ("gunicorn of app.service", Some("app.service")));
    }

    #[test]
    fn a_port_is_a_word_of_its_own() {
        for arg in ["127.0.0.1:8000", "--port=8000", "8000", "[::]:8000", "tcp://0.0.0.0:8000/x"] {
            assert!(names_port(arg, 8000), "{arg}");
        }
        for arg in ["18000", "80001", "8000.log", "v8000", "/run/8000ms"] {
            assert!(!names_port(arg, 8000), "{arg}");
        }
    }
}
