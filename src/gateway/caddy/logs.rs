//! Where Caddy logs to: `log` of the global options and of sites, or `logging` of the JSON configuration.

use std::path::{Path, PathBuf};

use compact_str::CompactString;

use super::{super::Overrides, instance::Instance, tree::Directive, value::Value};
use crate::{
    model::{BlindSpot, LogFormat, LogSource, RunState, SourceKind},
    sys::{FileKind, Root},
};

/// Logs that are followed at most.
const LOGS: usize = 256;

/// A log as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// `file /path`, `stderr`, `discard`, `net`, ...
    pub output: String,
    /// The path.
    pub path: Option<PathBuf>,
    /// Whether only requests are written there.
    pub access: bool,
    /// Whether it is the default one, which gets the errors.
    pub default: bool,
}

/// Of a Caddyfile.
pub fn of_tree(tree: &[Directive]) -> Vec<Configured> {
    let mut out = Vec::new();
    for block in tree {
        let global = block.name == "{";
        for log in block.children().iter().filter(|one| one.name == "log") {
            let Some(output) = log.children().iter().find(|one| one.name == "output") else { continue };
            // A logger of another name than `default` gets what it includes (httptype.go).
            let included = log.children().iter().filter(|one| one.name == "include").flat_map(|one| &one.args);
            let included: Vec<&CompactString> = included.collect();
            let default = global && log.arg(0).is_none_or(|name| name == "default");
            out.push(Configured {
                output: output.arg(0).unwrap_or_default().to_owned(),
                path: output.arg(1).filter(|_| output.arg(0) == Some("file")).map(PathBuf::from),
                access: !global || !included.is_empty() && included.iter().all(|name| name.starts_with("http.log.access")),
                default,
            });
        }
    }
    out
}

/// Of a JSON configuration.
pub fn of_value(value: &Value) -> Vec<Configured> {
    let one = |(name, log): &(String, Value)| {
        let writer = log.at("writer");
        let output = writer.at("output").text()?.to_owned();
        let included = log.at("include").texts();
        Some(Configured {
            path: writer.at("filename").text().map(PathBuf::from),
            output,
            access: !included.is_empty() && included.iter().all(|name| name.starts_with("http.log.access")),
            default: name == "default",
        })
    };
    value.at("logging").at("logs").members().iter().filter_map(one).collect()
}

/// All logs, those of the command line first, and what can't be followed.
pub fn logs(
    root: &Root,
    configured: &[Configured],
    instance: &Instance,
    overrides: &Overrides,
) -> (Vec<LogSource>, Vec<BlindSpot>) {
    let (mut out, mut blind): (Vec<LogSource>, Vec<BlindSpot>) = (Vec::new(), Vec::new());
    let mut push = |path: PathBuf, kind| {
        if out.len() < LOGS && !out.iter().any(|known| known.path == path) {
            // Lines of Caddy's are known by their shape, in either of its encodings.
            out.push(LogSource { path, kind, format: LogFormat::Plain });
        }
    };
    overrides.logs.iter().for_each(|path| push(path.clone(), SourceKind::Error));
    overrides.access_logs.iter().for_each(|path| push(path.clone(), SourceKind::Access));
    for log in configured {
        let path = log.path.as_ref().map(|path| Path::new("/").join(path));
        if let Some(path) = path.filter(|path| !path.to_string_lossy().contains('{')) {
            push(path, if log.access { SourceKind::Access } else { SourceKind::Error });
        } else if matches!(log.output.as_str(), "net" | "discard") && !log.access {
            let reason = if log.output == "net" { "its log goes over the network" } else { "its log is thrown away" };
            let remedy = "name the file that gets it with --log, or write: log { output file /var/log/caddy/caddy.log }".to_owned();
            blind.push(BlindSpot { source: format!("caddy log to {}", log.output), reason: reason.to_owned(), remedy });
        }
    }
    // Without a default of its own the log goes to standard error: a file, or what the journal keeps.
    let elsewhere = configured.iter().any(|log| log.default && !matches!(log.output.as_str(), "stderr" | "stdout"));
    if let RunState::Running { pid, .. } = instance.state
        && !elsewhere
        && let Ok(path) = root.readlink(Path::new(&format!("/proc/{pid}/fd/2")))
        && root.stat(&path).is_ok_and(|info| info.kind == FileKind::RegularFile)
    {
        push(path, SourceKind::Error);
    }
    (out, blind)
}
