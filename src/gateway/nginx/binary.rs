//! What an nginx binary says of itself, without being run: `nginx -V` prints two strings that stand in it.

use std::path::{Path, PathBuf};

use super::super::binaries::{Remembered, string_after};
use crate::sys::Root;

/// Bytes of a binary that are searched: distribution builds have 1 to 5 MB, OpenResty with everything linked in 15.
const BINARY_BYTES: u64 = 16 << 20;
/// Bytes of the configure arguments at most: Debian's have 1.5 kB.
const ARGUMENT_BYTES: usize = 16 << 10;

/// What was compiled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// `1.22.1`.
    pub version: Option<String>,
    /// What relative paths are relative to (`--prefix`).
    pub prefix: PathBuf,
    /// The configuration that is read without `-c` (`--conf-path`).
    pub config: PathBuf,
    /// The error log without any `error_log` (`--error-log-path`).
    pub error_log: String,
    /// The access log without any `access_log` (`--http-log-path`).
    pub access_log: String,
    /// Where the pid is written (`--pid-path`).
    pub pid: PathBuf,
    /// The user without any `user` (`--user`).
    pub user: String,
    /// The major version of the OpenSSL that it was built with: 3. `None`: another library, or not told.
    pub openssl: Option<u32>,
}

impl Build {
    /// Of configure arguments; what they don't name is auto/options' default. Paths become absolute.
    fn configured(version: Option<String>, arguments: &str) -> Self {
        // The arguments are shell words; a value with blanks stands in quotes.
        let words = shlex::split(arguments).unwrap_or_default();
        let of =
            |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')).filter(|value| !value.is_empty());
        let prefix = PathBuf::from(of("--prefix").unwrap_or("/usr/local/nginx"));
        Self {
            version,
            config: prefix.join(of("--conf-path").unwrap_or("conf/nginx.conf")),
            error_log: of("--error-log-path").unwrap_or("logs/error.log").to_owned(),
            access_log: of("--http-log-path").unwrap_or("logs/access.log").to_owned(),
            pid: prefix.join(of("--pid-path").unwrap_or("logs/nginx.pid")),
            user: of("--user").unwrap_or("nobody").to_owned(),
            openssl: None,
            prefix,
        }
    }

    /// A guess for a binary that may not be read, by where it lies.
    pub fn guessed(binary: Option<&Path>) -> Self {
        let text = binary.map(|path| path.display().to_string()).unwrap_or_default();
        let arguments = if text.starts_with("/usr/local/openresty") {
            "--prefix=/usr/local/openresty/nginx"
        } else if text.starts_with("/usr/local/nginx") {
            "--prefix=/usr/local/nginx"
        } else {
            // What Debian, RHEL, Alpine and nginx.org agree on.
            "--prefix=/etc/nginx --conf-path=/etc/nginx/nginx.conf --error-log-path=/var/log/nginx/error.log \
             --http-log-path=/var/log/nginx/access.log --pid-path=/run/nginx.pid --user=nginx"
        };
        Self::configured(None, arguments)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        // src/core/nginx.c: "nginx version: nginx/1.22.1", with OpenResty's or Tengine's own name instead of the second.
        let version = string_after(bytes, b"nginx version: ", ARGUMENT_BYTES).and_then(|text| {
            let digits = text.split('/').nth(1)?;
            let end = digits.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-').unwrap_or(digits.len());
            Some(digits[..end].to_owned()).filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        });
        let arguments = string_after(bytes, b"configure arguments:", ARGUMENT_BYTES);
        // The same file: "built with OpenSSL 3.0.17 1 Jul 2025".
        let openssl =
            string_after(bytes, b"built with OpenSSL ", ARGUMENT_BYTES).and_then(|text| text.split('.').next()?.parse().ok());
        (version.is_some() || arguments.is_some())
            .then(|| Self { openssl, ..Self::configured(version, arguments.as_deref().unwrap_or_default()) })
    }
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
    fn version_and_defaults_are_found_between_other_bytes() {
        let mut bytes = vec![0xff; 5000];
        bytes.extend(b"\0nginx version: nginx/1.22.1\n\0configure arguments: --with-cc-opt='-g -O2 --prefix=/no' --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --error-log-path=stderr\0\xfe\0built with OpenSSL 3.0.17 1 Jul 2025\n\0");
        let build = Build::read(&bytes).expect("found");
        assert_eq!((build.version.as_deref(), build.openssl), (Some("1.22.1"), Some(3)));
        assert_eq!(
            (build.prefix.as_path(), build.config.as_path()),
            (Path::new("/usr/share/nginx"), Path::new("/etc/nginx/nginx.conf"))
        );
        assert_eq!((build.error_log.as_str(), build.access_log.as_str()), ("stderr", "logs/access.log"));
        assert_eq!(Build::read(b"nginx version: openresty/1.21.4.1\0").expect("found").version.as_deref(), Some("1.21.4.1"));
        assert_eq!(Build::read(b"no such thing"), None);
    }
}
