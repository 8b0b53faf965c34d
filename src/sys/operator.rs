//! Who started the program: the person, also under sudo, and where that person's own files are (XDG Base Directory Specification).

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::Root;

/// The directory of ours in each of the person's.
const DIR: &str = "why502";

/// The person at the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// User and group, where the program runs as somebody else: as root, under sudo or doas.
    pub other: Option<(u32, u32)>,
    home: Option<PathBuf>,
    /// What the environment names instead of `~/.config` and `~/.local/state`.
    config: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl Operator {
    /// As the environment tells. An error says why it is not known.
    pub fn here() -> Result<Self, String> {
        let root = rustix::process::geteuid().is_root();
        let passwd = || Root::host().text("/etc/passwd").unwrap_or_default();
        Self::of(root, |name| std::env::var_os(name).filter(|value| !value.is_empty()), passwd)
    }

    /// With another environment than ours, for tests.
    pub fn of(root: bool, env: impl Fn(&str) -> Option<OsString>, passwd: impl Fn() -> String) -> Result<Self, String> {
        // sudo(8): SUDO_UID and SUDO_GID are those of the user who invoked it; doas(1) tells the name.
        let text = |name| env(name).and_then(|value| value.into_string().ok());
        let Some(who) = text("SUDO_UID").or_else(|| text("DOAS_USER")).filter(|_| root) else { return Ok(Self::own(&env)) };
        let passwd = passwd();
        // passwd(5): name, password, user, group, comment, home, shell.
        let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let entry = entries.find(|fields| fields.len() >= 6 && (fields[2] == who || fields[0] == who));
        let known = entry.and_then(|fields| Some((fields[2].parse().ok()?, fields[3].parse().ok()?, PathBuf::from(fields[5]))));
        match known {
            Some((0, ..)) => Ok(Self::own(&env)),
            Some((uid, gid, home)) if home.is_absolute() => {
                let gid = text("SUDO_GID").and_then(|gid| gid.parse().ok()).unwrap_or(gid);
                Ok(Self { other: Some((uid, gid)), home: Some(home), config: None, state: None })
            }
            Some(_) | None => Err(format!("the home of user {who}, who started it, is not known")),
        }
    }

    fn own(env: &impl Fn(&str) -> Option<OsString>) -> Self {
        let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            other: None,
            home: absolute("HOME").filter(|home| home != Path::new("/")),
            config: absolute("XDG_CONFIG_HOME"),
            state: absolute("XDG_STATE_HOME"),
        }
    }

    /// The directory of the person's settings. `None`: there is no home.
    pub fn config_dir(&self) -> Option<PathBuf> {
        let dir = self.config.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))?;
        Some(dir.join(DIR))
    }

    /// The directory of what the person's programs keep: one that is theirs, and the names below it. `None`: there is no home.
    pub fn state_dir(&self) -> Option<(PathBuf, Vec<OsString>)> {
        match (&self.state, &self.home) {
            (Some(state), _) => Some((state.clone(), vec![DIR.into()])),
            (None, Some(home)) => Some((home.clone(), [".local", "state", DIR].map(OsString::from).into())),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(root: bool, env: &[(&str, &str)]) -> Result<Option<PathBuf>, String> {
        let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        let passwd = || "root:x:0:0::/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\nodd:x:7:7::relative:/bin/sh\n".to_owned();
        Operator::of(root, find, passwd).map(|operator| operator.config_dir())
    }

    #[test]
    fn settings_are_those_of_the_person_also_under_sudo() {
        let (home, dir) = (("HOME", "/root"), |path: &str| Ok(Some(path.into())));
        assert_eq!(of(true, &[home]), dir("/root/.config/why502"));
        assert_eq!(of(true, &[home, ("XDG_CONFIG_HOME", "/c")]), dir("/c/why502"));
        assert_eq!(of(true, &[home, ("XDG_CONFIG_HOME", "/c"), ("SUDO_UID", "1000")]), dir("/home/ann/.config/why502"));
        assert_eq!(of(true, &[home, ("DOAS_USER", "ann")]), dir("/home/ann/.config/why502"));
        assert_eq!(of(true, &[home, ("SUDO_UID", "0")]), dir("/root/.config/why502"));
        // Who is not root did not become so by sudo.
        assert_eq!(of(false, &[("HOME", "/home/ann"), ("SUDO_UID", "7")]), dir("/home/ann/.config/why502"));
        assert!(of(true, &[home, ("SUDO_UID", "7")]).is_err());
        assert!(of(true, &[home, ("SUDO_UID", "99")]).is_err());
        assert_eq!(of(false, &[]), Ok(None));
    }
}
