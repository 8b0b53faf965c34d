//! systemd's units, as far as they tell that a gateway should run, and how.

use std::path::{Path, PathBuf};

use crate::sys::Root;

/// Where an enabled unit is linked, and where units lie (systemd.unit(5)).
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants";
const PLACES: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// A service's unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `caddy.service`
    pub name: String,
    /// Whether it is started with the host.
    pub enabled: bool,
    /// `ExecStart=` as words.
    pub argv: Vec<String>,
    /// `User=`
    pub user: Option<String>,
    /// `Environment=`
    pub environment: Vec<(String, String)>,
    /// `EnvironmentFile=`
    pub environment_files: Vec<PathBuf>,
    /// `WorkingDirectory=`
    pub cwd: Option<PathBuf>,
}

impl Unit {
    /// The unit of this name. `None`: there is none.
    pub fn read(root: &Root, name: &str) -> Option<Self> {
        let text = PLACES.iter().find_map(|place| root.text(Path::new(place).join(name)).ok())?;
        let enabled = root.lstat(&Path::new(ENABLED).join(name)).is_ok();
        let mut unit = Self { name: name.to_owned(), enabled, ..Self::default() };
        let mut lines = text.lines();
        while let Some(first) = lines.next() {
            // A backslash at the end goes on in the next line (systemd.syntax(7)).
            let mut line = first.trim().to_owned();
            while line.ends_with('\\') {
                line.pop();
                line.push_str(lines.next().unwrap_or_default().trim());
            }
            unit.line(&line);
        }
        Some(unit)
    }

    fn line(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        let value = value.trim();
        match key.trim() {
            "ExecStart" if !value.is_empty() => {
                self.argv = shlex::split(value.trim_start_matches(['-', '@', ':', '+', '!'])).unwrap_or_default();
            }
            "User" => self.user = Some(value.to_owned()).filter(|user| !user.is_empty()),
            "WorkingDirectory" => self.cwd = Some(PathBuf::from(value.trim_start_matches('-'))).filter(|path| path.is_absolute()),
            "Environment" => {
                let pairs = shlex::split(value).unwrap_or_default();
                self.environment.extend(
                    pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())),
                );
            }
            "EnvironmentFile" => self.environment_files.push(value.trim_start_matches('-').into()),
            _ => {}
        }
    }

    /// Whether a unit of this name has a file that names this program: a cgroup's unit may be a login session's or a container
    /// runtime's, and to reload that would be bad advice.
    pub fn is_of(root: &Root, unit: &str, program: &str) -> bool {
        unit.contains(program)
            || PLACES.iter().any(|place| root.text(Path::new(place).join(unit)).is_ok_and(|text| text.contains(program)))
    }
}

/// What a person types to reload, start and look at a unit.
pub fn commands(unit: &str) -> [(String, Vec<String>); 4] {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    [
        ("reload", &["systemctl", "reload", name][..]),
        ("start", &["systemctl", "start", name]),
        ("status", &["systemctl", "status", name]),
        ("log", &["journalctl", "-u", name, "-n", "50", "--no-pager"]),
    ]
    .map(|(what, words)| (what.to_owned(), words.iter().map(|word| (*word).to_owned()).collect()))
}
