//! Where nginx logs to, at all levels.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use compact_str::CompactString;

use super::{super::Overrides, instance::Instance, tree::Directive, vars::is_dynamic};
use crate::{
    model::{BlindSpot, LogFormat, LogSource, RunState, SourceKind},
    sys::{FileKind, Root},
};

/// The predefined format (ngx_http_log_module).
pub const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
                            \"$http_user_agent\"";
/// Logs that are followed at most: with one per vhost, the busiest hosts have hundreds.
const LOGS: usize = 256;

/// What was found.
#[derive(Debug, Default)]
pub struct Logs {
    /// The logs.
    pub sources: Vec<LogSource>,
    /// What can't be followed.
    pub blind: Vec<BlindSpot>,
}

struct Collector<'a> {
    instance: &'a Instance,
    root: &'a Root,
    formats: BTreeMap<&'a str, String>,
    seen: BTreeSet<PathBuf>,
    out: Logs,
}

/// All logs that a configuration names, those of the command line first.
pub fn logs(root: &Root, tree: &[Directive], instance: &Instance, overrides: &Overrides) -> Logs {
    let mut collector = Collector { instance, root, formats: formats(tree), seen: BTreeSet::new(), out: Logs::default() };
    let written = |path: &Path| {
        let shown = path.display().to_string();
        access_format(tree, &collector.formats, &shown).unwrap_or_else(|| COMBINED.to_owned())
    };
    let access: Vec<(PathBuf, String)> = overrides.access_logs.iter().map(|path| (path.clone(), written(path))).collect();
    for path in &overrides.logs {
        // It may be any program's; nginx's lines are known by their shape.
        collector.push(path.clone(), SourceKind::Error, LogFormat::Plain);
    }
    for (path, format) in access {
        collector.push(path, SourceKind::Access, LogFormat::NginxAccess(format));
    }
    if !tree.iter().any(|one| one.name == "error_log") {
        let default = instance.error_log.clone().unwrap_or_else(|| instance.build.error_log.clone());
        collector.error_log(&default, None);
    }
    collector.walk(tree);
    collector.default_access_log(tree);
    collector.out
}

/// `log_format` by name, of `http` and `stream`.
fn formats(tree: &[Directive]) -> BTreeMap<&str, String> {
    let mut formats = BTreeMap::from([("combined", COMBINED.to_owned())]);
    for block in tree.iter().filter(|one| one.name == "http" || one.name == "stream") {
        for format in block.children().iter().filter(|one| one.name == "log_format") {
            if let Some((name, parts)) = format.args.split_first() {
                let text: String = parts.iter().filter(|part| !part.starts_with("escape=")).map(CompactString::as_str).collect();
                formats.insert(name, text);
            }
        }
    }
    formats
}

/// The format in which the configuration writes to this path.
fn access_format(tree: &[Directive], formats: &BTreeMap<&str, String>, path: &str) -> Option<String> {
    tree.iter().find_map(|one| {
        if one.name == "access_log" && one.arg(0) == Some(path) {
            return formats.get(format_name(one)).cloned();
        }
        access_format(one.children(), formats, path)
    })
}

/// The second parameter, unless it is an option.
fn format_name(access_log: &Directive) -> &str {
    access_log.arg(1).filter(|arg| !arg.contains('=') && *arg != "gzip").unwrap_or("combined")
}

impl Collector<'_> {
    fn walk(&mut self, block: &[Directive]) {
        for directive in block {
            match directive.name.as_str() {
                "error_log" => self.error_log(directive.arg(0).unwrap_or_default(), directive.arg(1)),
                "access_log" => self.access_log(directive),
                // Not the log of requests or of upstreams.
                "mail" => {}
                _ => self.walk(directive.children()),
            }
        }
    }

    fn error_log(&mut self, target: &str, level: Option<&str>) {
        // connect() and read errors of upstreams are logged at `error` (ngx_http_upstream.c).
        if let Some(level @ ("crit" | "alert" | "emerg")) = level {
            let reason =
                format!("the level of this error_log is {level}: failed upstream connections, logged at error, are left out");
            self.blind(&format!("errors below {level} in {target}"), &reason, "set the level of error_log to error or lower");
        }
        match target {
            "stderr" | "/dev/stderr" | "/dev/stdout" | "/proc/self/fd/2" | "/proc/self/fd/1" => self.descriptor(target),
            "/dev/null" => self.blind("error_log", "errors are thrown away: error_log /dev/null", "name a file in error_log"),
            _ if target.starts_with("syslog:") => {
                self.blind(target, "errors go to syslog", "name the file that syslog writes with --log");
            }
            _ if target.starts_with("memory:") => {
                self.blind(target, "errors go to the memory of nginx", "name a file in error_log");
            }
            "" => {}
            path => self.push(self.instance.prefix.join(path), SourceKind::Error, LogFormat::NginxError),
        }
    }

    /// A log that goes where the master's descriptor points: a file, or the journal.
    fn descriptor(&mut self, target: &str) {
        let number = if target.ends_with('1') || target.ends_with("stdout") { 1 } else { 2 };
        if let RunState::Running { pid, .. } = self.instance.state
            && let Ok(path) = self.root.readlink(Path::new(&format!("/proc/{pid}/fd/{number}")))
            && self.root.stat(&path).is_ok_and(|info| info.kind == FileKind::RegularFile)
        {
            return self.push(path, SourceKind::Error, LogFormat::NginxError);
        }
        let remedy = match &self.instance.unit {
            Some(unit) => format!("read them with: journalctl -u {unit}, or name a file in error_log"),
            None => "name a file in error_log, or the file they are written to with --log".to_owned(),
        };
        self.blind(&format!("error_log {target}"), "errors go to the standard error of nginx", &remedy);
    }

    fn access_log(&mut self, directive: &Directive) {
        let Some(target) = directive.arg(0) else { return };
        if target == "off" || target == "/dev/null" {
            return;
        }
        if target.starts_with("syslog:") {
            return self.blind(target, "requests are logged to syslog", "name the file that syslog writes with --access-log");
        }
        if is_dynamic(target) {
            return self.blind(target, "the file's name is made from the request", "name one of the files with --access-log");
        }
        if directive.args.iter().skip(1).any(|arg| arg == "gzip" || arg.starts_with("gzip=")) {
            return self.blind(target, "requests are logged compressed", "write the access_log without gzip");
        }
        if matches!(target, "/dev/stdout" | "/dev/stderr" | "/proc/self/fd/1" | "/proc/self/fd/2") {
            return self.blind(
                &format!("access_log {target}"),
                "requests are logged to the standard output of nginx",
                "name the file they are written to with --access-log",
            );
        }
        let format = self.formats.get(format_name(directive)).map_or(COMBINED, String::as_str).to_owned();
        self.push(self.instance.prefix.join(target), SourceKind::Access, LogFormat::NginxAccess(format));
    }

    /// Where `http` names none, the compiled-in log serves all servers that name none themselves.
    fn default_access_log(&mut self, tree: &[Directive]) {
        let names_one = |block: &Directive| block.children().iter().any(|one| one.name == "access_log");
        let http = tree.iter().find(|one| one.name == "http");
        let needed =
            http.is_some_and(|http| !names_one(http) && http.children().iter().any(|one| one.name == "server" && !names_one(one)));
        if needed {
            let path = self.instance.prefix.join(&self.instance.build.access_log);
            self.push(path, SourceKind::Access, LogFormat::NginxAccess(COMBINED.to_owned()));
        }
    }

    fn push(&mut self, path: PathBuf, kind: SourceKind, format: LogFormat) {
        if self.out.sources.len() >= LOGS {
            let reason = format!("there are more than {LOGS} logs");
            return self.blind("further logs", &reason, "name those that matter with --log and --access-log");
        }
        // Debian's and Docker's images link logs to descriptors of whoever opens them.
        if kind == SourceKind::Error
            && let Ok(link) = self.root.readlink(&path)
            && matches!(link.to_str(), Some("/dev/stderr" | "/dev/stdout" | "/proc/self/fd/2" | "/proc/self/fd/1"))
        {
            return self.descriptor(&link.display().to_string());
        }
        if self.seen.insert(path.clone()) {
            self.out.sources.push(LogSource { path, kind, format });
        }
    }

    fn blind(&mut self, source: &str, reason: &str, remedy: &str) {
        let spot = BlindSpot { source: source.to_owned(), reason: reason.to_owned(), remedy: remedy.to_owned() };
        if self.out.blind.len() < LOGS && !self.out.blind.contains(&spot) {
            self.out.blind.push(spot);
        }
    }
}
