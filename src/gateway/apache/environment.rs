//! The environment that `${NAME}` in a configuration means: of the process that runs, else of Debian's `envvars`, which is a
//! shell script and is read as data, never run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::sys::Root;

/// Bytes of an environment that are read.
const BYTES: u64 = 256 << 10;
/// Variables that are kept: a shell's has a hundred.
const VARIABLES: usize = 2_000;

/// Variables that a test of the configuration gets where no process has them: those that configurations of Debian name.
pub const OF_TEST: &str = "APACHE_";

/// The environment of a process. `None`: it may not be read.
pub fn of_process(root: &Root, pid: u32) -> Option<HashMap<String, String>> {
    let (bytes, _) = root.read_at_most(Path::new(&format!("/proc/{pid}/environ")), BYTES).ok()?;
    let pair = |entry: &[u8]| {
        let text = String::from_utf8_lossy(entry).into_owned();
        text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let found: HashMap<String, String> = bytes.split(|byte| *byte == 0).filter_map(pair).take(VARIABLES).collect();
    (!found.is_empty()).then_some(found)
}

/// What `envvars` beside a configuration says, and where it stands. `None`: there is none that may be read.
pub fn of_script(root: &Root, config: &Path) -> Option<(PathBuf, HashMap<String, String>)> {
    let dir = config.parent()?;
    // A build of one's own has it in bin/ (support/envvars-std).
    let place = [dir.join("envvars"), dir.join("../bin/envvars")].into_iter().find(|path| root.stat(path).is_ok())?;
    let text = root.text(&place).ok()?;
    // Several instances of Debian: /etc/apache2-NAME has SUFFIX=-NAME.
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let suffix = name.strip_prefix("apache2-").map_or_else(String::new, |name| format!("-{name}"));
    Some((place, script(&text, &suffix)))
}

/// Plain assignments of a shell script, with the variables that they name.
fn script(text: &str, suffix: &str) -> HashMap<String, String> {
    let mut known = HashMap::from([("SUFFIX".to_owned(), suffix.to_owned())]);
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        // `: ${APACHE_RUN_USER:=www-data}`: a default.
        let assigned = line.strip_prefix(": ${").and_then(|rest| rest.strip_suffix('}')?.split_once(":="));
        let Some((name, value)) = assigned.or_else(|| line.split_once('=')) else { continue };
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || name == "SUFFIX" || known.len() >= VARIABLES {
            continue;
        }
        let value = value.split(" #").next().unwrap_or_default().trim();
        let bare = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        let value = match bare {
            Some(literal) => literal.to_owned(),
            None => filled(value.trim_matches('"'), &known),
        };
        // What a command would tell is not known.
        if !value.contains(['`', '$']) {
            known.insert(name.to_owned(), value);
        }
    }
    known
}

/// `$NAME`, `${NAME}` and `${NAME:-default}`.
fn filled(text: &str, known: &HashMap<String, String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(inner) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            let (name, default) = inner.0.split_once(":-").unwrap_or((inner.0, ""));
            out.push_str(known.get(name).map_or(default, String::as_str));
            rest = inner.1;
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        if end == 0 {
            // `$(command)`: kept, so that it is known not to be known.
            out.push('$');
        }
        out.push_str(known.get(&after[..end]).map_or("", String::as_str));
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_script_is_read_as_data() {
        let text = "unset HOME\nif [ \"${APACHE_CONFDIR##/etc/apache2-}\" != \"${APACHE_CONFDIR}\" ] ; then\n\
                    \tSUFFIX=\"-${APACHE_CONFDIR##/etc/apache2-}\"\nelse\n\tSUFFIX=\nfi\nexport APACHE_RUN_USER=www-data\n\
                    export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\nexport LANG=C\n: ${APACHE_X:=y}\nexport HOST=$(hostname)\n\
                    export Q='a $b'\nexport D=\"${NOPE:-d}\" # comment\n";
        let known = script(text, "-b");
        let of = |name: &str| known.get(name).map(String::as_str);
        assert_eq!(of("APACHE_RUN_USER"), Some("www-data"));
        assert_eq!(of("APACHE_LOG_DIR"), Some("/var/log/apache2-b"));
        assert_eq!((of("APACHE_X"), of("HOST"), of("D")), (Some("y"), None, Some("d")));
        assert!(script(&"$".repeat(5000), "").len() == 1);
    }
}
