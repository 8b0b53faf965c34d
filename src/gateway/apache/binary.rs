//! What an Apache binary says of itself, without being run: what `apache2 -V` and `-l` print stands in it as strings.

use std::path::{Path, PathBuf};

use memchr::memmem;

use super::super::binaries::{Remembered, string_after};
use crate::sys::Root;

/// Bytes of a binary that are searched: distribution builds have 0.7 MB, one with everything linked in 10.
const BINARY_BYTES: u64 = 16 << 20;
/// Bytes of one string of it at most: a path.
const STRING_BYTES: usize = 4 << 10;

/// What was compiled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// `2.4.62`.
    pub version: Option<String>,
    /// What relative paths are relative to without any `ServerRoot` (`HTTPD_ROOT`).
    pub root: PathBuf,
    /// The configuration that is read without `-f`, below the root (`SERVER_CONFIG_FILE`).
    pub config: PathBuf,
    /// The error log without any `ErrorLog` (`DEFAULT_ERRORLOG`).
    pub error_log: String,
    /// Where the pid is written without any `PidFile` (`DEFAULT_PIDLOG`).
    pub pid: String,
    /// Modules linked in, by source file. `None`: the binary could not be read.
    pub modules: Option<Vec<String>>,
}

impl Build {
    /// A guess for a binary that may not be read, by where it lies.
    pub fn guessed(binary: Option<&Path>) -> Self {
        let name = binary.and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let text = binary.map(|path| path.display().to_string()).unwrap_or_default();
        let (root, config) = if name.starts_with("apache2") {
            ("/etc/apache2", "apache2.conf")
        } else if text.starts_with("/usr/local/apache2") {
            ("/usr/local/apache2", "conf/httpd.conf")
        } else {
            ("/etc/httpd", "conf/httpd.conf")
        };
        let pid = "logs/httpd.pid".to_owned();
        Self { version: None, root: root.into(), config: config.into(), error_log: "logs/error_log".to_owned(), pid, modules: None }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        // server/main.c, show_compile_settings: ` -D HTTPD_ROOT="/etc/apache2"`.
        let defined = |name: &str| {
            let text = string_after(bytes, format!(" -D {name}=\"").as_bytes(), STRING_BYTES)?;
            Some(text.split('"').next().unwrap_or_default().to_owned()).filter(|value| !value.is_empty())
        };
        let root = PathBuf::from(defined("HTTPD_ROOT")?);
        let config = defined("SERVER_CONFIG_FILE").unwrap_or_else(|| "conf/httpd.conf".to_owned());
        Some(Self {
            version: version(bytes),
            config: config.into(),
            error_log: defined("DEFAULT_ERRORLOG").unwrap_or_else(|| "logs/error_log".to_owned()),
            pid: defined("DEFAULT_PIDLOG").unwrap_or_else(|| "logs/httpd.pid".to_owned()),
            modules: Some(modules(bytes)),
            root,
        })
    }

    /// The absolute path of the configuration that is read without options.
    pub fn config_path(&self) -> PathBuf {
        self.root.join(&self.config)
    }
}

/// `Apache/2.4.62 (Debian)`: AP_SERVER_BASEVERSION; shorter ones are what `ServerTokens` shows.
fn version(bytes: &[u8]) -> Option<String> {
    memmem::find_iter(bytes, b"Apache/").find_map(|at| {
        let text = &bytes[at + b"Apache/".len()..];
        let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(text.len());
        let digits = std::str::from_utf8(text.get(..end.min(16))?).ok()?;
        (digits.split('.').filter(|part| !part.is_empty()).count() == 3).then(|| digits.to_owned())
    })
}

/// Strings like `mod_so.c`: each module's own structure has its source file's name.
fn modules(bytes: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = memmem::find_iter(bytes, b"mod_")
        .filter_map(|at| {
            let text = &bytes[at..];
            let end = text.iter().take(64).position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))?;
            let whole = at == 0 || bytes[at - 1] == 0 || bytes[at - 1] == b'/';
            (whole && text[end..].starts_with(b".c\0")).then(|| String::from_utf8_lossy(&text[..end + 2]).into_owned())
        })
        .collect();
    for mpm in ["event.c", "worker.c", "prefork.c"] {
        if memmem::find(bytes, format!("\0{mpm}\0").as_bytes()).is_some() {
            found.push(mpm.to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Builds by binary.
#[derive(Debug, Default)]
pub struct Builds(Remembered<Build>);

impl Builds {
    /// What the binary at a path says. `None`: it can't be read, or says nothing.
    pub fn of(&self, root: &Root, path: &Path) -> Option<Build> {
        self.0.of(root, path, || Some(Build::read(&root.read_at_most(path, BINARY_BYTES).ok()?.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_defaults_and_modules_are_found_between_other_bytes() {
        let mut bytes = vec![0xff; 5000];
        bytes.extend(b"\0Apache/2\0Apache/2.4\0Apache/2.4.62 (Debian)\0 -D HTTPD_ROOT=\"/etc/apache2\"\0 -D SERVER_CONFIG_FILE=\"apache2.conf\"\0xmod_no.c\0mod_so.c\0mod_log_config.c\0event.c\0\xfe");
        let build = Build::read(&bytes).expect("found");
        assert_eq!(build.version.as_deref(), Some("2.4.62"));
        assert_eq!(build.config_path(), Path::new("/etc/apache2/apache2.conf"));
        assert_eq!(build.modules.as_deref(), Some(&["event.c", "mod_log_config.c", "mod_so.c"].map(str::to_owned)[..]));
        assert_eq!(Build::read(b"no such thing"), None);
    }
}
