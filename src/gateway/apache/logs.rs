//! Where Apache logs to: `ErrorLog`, `CustomLog`, `TransferLog` of the main server and of each virtual host.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{super::Overrides, instance::Instance, tree::Directive};
use crate::{
    model::{BlindSpot, LogFormat, LogSource, RunState, SourceKind},
    sys::{FileKind, Root},
};

/// Logs that are followed at most: with two per virtual host, the busiest hosts have hundreds.
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
    base: &'a Path,
    seen: BTreeSet<PathBuf>,
    out: Logs,
}

/// All logs that a configuration names, those of the command line first.
pub fn logs(root: &Root, tree: &[Directive], base: &Path, instance: &Instance, overrides: &Overrides) -> Logs {
    let mut collector = Collector { instance, root, base, seen: BTreeSet::new(), out: Logs::default() };
    for path in &overrides.logs {
        collector.push(path.clone(), SourceKind::Error);
    }
    for path in &overrides.access_logs {
        collector.push(path.clone(), SourceKind::Access);
    }
    if !tree.iter().any(|one| one.name == "errorlog") {
        collector.error_log(&instance.build.error_log);
    }
    collector.level(tree);
    for host in tree.iter().filter(|one| one.name == "virtualhost") {
        collector.level(host.children());
    }
    collector.out
}

impl Collector<'_> {
    fn level(&mut self, level: &[Directive]) {
        // Of several in one level the last counts.
        if let Some(one) = level.iter().rev().find(|one| one.name == "errorlog") {
            self.error_log(&one.first());
        }
        if let Some(one) = level.iter().rev().find(|one| one.name == "loglevel") {
            // Failed upstream connections are logged at `error`; `ssl:info` is of one module.
            let level = one.args().into_iter().find(|word| !word.contains(':')).map(|word| word.to_ascii_lowercase());
            if let Some(level @ ("crit" | "alert" | "emerg")) = level.as_deref() {
                let reason = format!("LogLevel is {level}: failed upstream connections, logged at error, are left out");
                self.blind(&format!("errors below {level}"), &reason, "set LogLevel to warn");
            }
        }
        for one in level.iter().filter(|one| matches!(one.name.as_str(), "customlog" | "transferlog" | "globallog")) {
            self.access_log(&one.first());
        }
    }

    fn error_log(&mut self, target: &str) {
        match target {
            "" => {}
            "/dev/stderr" | "/dev/stdout" | "/proc/self/fd/1" | "/proc/self/fd/2" => self.descriptor(target, SourceKind::Error),
            "/dev/null" => self.blind("ErrorLog", "errors are thrown away: ErrorLog /dev/null", "name a file in ErrorLog"),
            _ if target.starts_with('|') => self.piped(target, SourceKind::Error),
            _ if target == "syslog" || target.starts_with("syslog:") => {
                self.blind(target, "errors go to syslog", "name the file that syslog writes with --log");
            }
            // `ErrorLog systemd:`, of a provider module.
            _ if target.starts_with("journald") || target.starts_with("systemd") => {
                self.blind(target, "errors go to the journal", "read them with journalctl, or name a file in ErrorLog");
            }
            path => self.push(self.base.join(path), SourceKind::Error),
        }
    }

    fn access_log(&mut self, target: &str) {
        match target {
            "" | "/dev/null" => {}
            "/dev/stderr" | "/dev/stdout" | "/proc/self/fd/1" | "/proc/self/fd/2" => self.descriptor(target, SourceKind::Access),
            _ if target.starts_with('|') => self.piped(target, SourceKind::Access),
            _ if target.starts_with("syslog") => {
                self.blind(target, "requests are logged to syslog", "name the file that syslog writes with --access-log");
            }
            path => self.push(self.base.join(path), SourceKind::Access),
        }
    }

    /// A log that goes to a program. What rotatelogs writes without a time in its name is a file like any other.
    fn piped(&mut self, target: &str, kind: SourceKind) {
        let words = super::lines::words(target.trim_start_matches(['|', '$']).trim());
        let rotates = words.first().is_some_and(|program| program.ends_with("rotatelogs"));
        let file = words.iter().skip(1).find(|word| word.starts_with('/'));
        if let Some(path) = file.filter(|path| rotates && !path.contains('%') && self.root.stat(Path::new(path)).is_ok()) {
            return self.push(PathBuf::from(path), kind);
        }
        let option = if kind == SourceKind::Error { "--log" } else { "--access-log" };
        let program = words.first().map_or("a program", String::as_str).to_owned();
        self.blind(target, &format!("it is piped to {program}"), &format!("name the file that it writes with {option}"));
    }

    /// A log that goes where the master's descriptor points: a file, or the journal.
    fn descriptor(&mut self, target: &str, kind: SourceKind) {
        let number = if target.ends_with('1') || target.ends_with("stdout") { 1 } else { 2 };
        if let RunState::Running { pid, .. } = self.instance.state
            && let Ok(path) = self.root.readlink(Path::new(&format!("/proc/{pid}/fd/{number}")))
            && self.root.stat(&path).is_ok_and(|info| info.kind == FileKind::RegularFile)
        {
            return self.push(path, kind);
        }
        let remedy = match &self.instance.unit {
            Some(unit) => format!("read them with: journalctl -u {unit}, or name a file in ErrorLog and CustomLog"),
            None => "name a file in ErrorLog and CustomLog".to_owned(),
        };
        self.blind(target, "it is the standard output or error of apache", &remedy);
    }

    fn push(&mut self, path: PathBuf, kind: SourceKind) {
        if self.out.sources.len() >= LOGS {
            let reason = format!("there are more than {LOGS} logs");
            return self.blind("further logs", &reason, "name those that matter with --log and --access-log");
        }
        // Images link logs to descriptors of whoever opens them.
        if let Ok(link) = self.root.readlink(&path)
            && matches!(link.to_str(), Some("/dev/stderr" | "/dev/stdout" | "/proc/self/fd/2" | "/proc/self/fd/1"))
        {
            return self.descriptor(&link.display().to_string(), kind);
        }
        if self.seen.insert(path.clone()) {
            // Both kinds are known by the shape of their lines.
            self.out.sources.push(LogSource { path, kind, format: LogFormat::Plain });
        }
    }

    fn blind(&mut self, source: &str, reason: &str, remedy: &str) {
        let spot = BlindSpot { source: source.to_owned(), reason: reason.to_owned(), remedy: remedy.to_owned() };
        if self.out.blind.len() < LOGS && !self.out.blind.contains(&spot) {
            self.out.blind.push(spot);
        }
    }
}
