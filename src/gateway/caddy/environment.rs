//! Variables of the environment, which stand in a Caddyfile as `{$NAME}` or `{$NAME:default}` and are put in before it is
//! read, and as `{env.NAME}`, which is put in when the configuration is loaded.

use std::{collections::BTreeMap, path::Path};

use crate::sys::Root;

/// Bytes of a value that are put in.
const VALUE_BYTES: usize = 4096;
/// Bytes of a file with all variables put in.
const FILE_BYTES: usize = 32 << 20;

/// The environment of a Caddy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// That of a process, as far as it may be read (proc_pid_environ(5)).
    pub fn of_process(root: &Root, pid: u32) -> Self {
        let bytes = root.read(Path::new(&format!("/proc/{pid}/environ"))).map(|(bytes, _)| bytes).unwrap_or_default();
        let pairs = bytes.split(|byte| *byte == 0).filter_map(|entry| {
            let text = String::from_utf8_lossy(entry);
            let (name, value) = text.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Self(pairs.collect())
    }

    /// Adds the lines of a file of `NAME=value`, as `--envfile` and systemd's `EnvironmentFile=` read it.
    pub fn add_file(&mut self, root: &Root, path: &Path) {
        for line in root.text(path).unwrap_or_default().lines() {
            let line = line.trim().trim_start_matches("export ");
            if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) {
                self.set(name.trim(), value.trim().trim_matches(['"', '\'']));
            }
        }
    }

    /// Sets a variable that is not set yet: what a process has goes before any file (cmd/main.go, loadEnvFromFile).
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// A variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text of a file with `{$NAME}` and `{$NAME:default}` put in; what is not set and has no default becomes nothing.
    pub fn expand_file(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("{$") {
            let (head, tail) = rest.split_at(at);
            out.push_str(head);
            let inside = &tail[2..];
            let end = inside.find(['}', '\n']).filter(|end| inside[*end..].starts_with('}'));
            let Some(end) = end.filter(|end| *end > 0 && out.len() < FILE_BYTES) else {
                out.push_str("{$");
                rest = inside;
                continue;
            };
            let (name, default) = inside[..end].split_once(':').map_or((&inside[..end], None), |(name, value)| (name, Some(value)));
            let value = self.get(name).or(default).unwrap_or_default();
            let mut cut = value.len().min(VALUE_BYTES);
            while !value.is_char_boundary(cut) {
                cut -= 1;
            }
            out.push_str(&value[..cut]);
            rest = &inside[end + 1..];
        }
        out.push_str(rest);
        out
    }

    /// A word with `{env.NAME}` put in. `None`: a placeholder is left that only a request tells.
    pub fn expand(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((head, tail)) = rest.split_once('{') {
            let (inside, behind) = tail.split_once('}')?;
            out.push_str(head);
            out.push_str(self.get(inside.strip_prefix("env.")?).unwrap_or_default());
            rest = behind;
        }
        out.push_str(rest);
        (out.len() <= VALUE_BYTES).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_as_caddy_does() {
        let mut of = Environment::default();
        of.set("PORT", "9000");
        of.set("EMPTY", "");
        for (text, expected) in [
            ("a:{$PORT}", "a:9000"),
            ("{$NONE:b c} {$PORT:1}", "b c 9000"),
            ("{$NONE}x{$EMPTY:y}", "x"),
            ("{$", "{$"),
            ("{$}", "{$}"),
            ("{$A\n}", "{$A\n}"),
            ("{$H:http://x:1}", "http://x:1"),
        ] {
            assert_eq!(of.expand_file(text), expected, "{text}");
        }
        assert_eq!(of.expand("a:{env.PORT}").as_deref(), Some("a:9000"));
        assert_eq!(of.expand("{http.request.host}:80"), None);
        assert_eq!(of.expand("{open"), None);
    }
}
