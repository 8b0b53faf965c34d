//! Where HAProxy's words go: to syslog, which writes them to a file of its choosing, or to the descriptors that it was started with.

use std::path::{Path, PathBuf};

use super::{super::Overrides, instance::Instance, load::Loaded};
use crate::{
    model::{BlindSpot, LogFormat, LogSource, RunState, SourceKind},
    sys::{FileKind, Root},
};

/// Where syslog daemons write HAProxy's lines, by the packages' own rules. Other places are found by those daemons' files.
const FILES: &[&str] = &["/var/log/haproxy.log", "/var/log/haproxy/haproxy.log", "/var/log/haproxy-access.log"];

/// The logs, and what of them can't be followed.
pub fn logs(root: &Root, loaded: &Loaded, instance: &Instance, overrides: &Overrides) -> (Vec<LogSource>, Vec<BlindSpot>) {
    let mut out: Vec<LogSource> = Vec::new();
    let mut blind = Vec::new();
    let mut push = |path: PathBuf, kind: SourceKind| {
        if !out.iter().any(|known| known.path == path) {
            out.push(LogSource { path, kind, format: LogFormat::Plain });
        }
    };
    overrides.logs.iter().for_each(|path| push(path.clone(), SourceKind::Error));
    overrides.access_logs.iter().for_each(|path| push(path.clone(), SourceKind::Access));
    let lines = loaded.sections.iter().flat_map(|section| &section.lines).filter(|line| line.word(0) == "log");
    let targets: Vec<&str> = lines.map(|line| line.word(1)).filter(|target| *target != "global" && !target.is_empty()).collect();
    let syslog = |target: &&str| !matches!(*target, "stdout" | "stderr" | "fd@1" | "fd@2") && !target.starts_with("ring@");
    if targets.iter().any(syslog) {
        FILES.iter().map(PathBuf::from).filter(|path| root.stat(path).is_ok()).for_each(|path| push(path, SourceKind::Error));
    }
    for number in targets.iter().filter_map(|target| match *target {
        "stdout" | "fd@1" => Some(1),
        "stderr" | "fd@2" => Some(2),
        _ => None,
    }) {
        let RunState::Running { pid, .. } = instance.state else { continue };
        let written = root.readlink(Path::new(&format!("/proc/{pid}/fd/{number}"))).ok();
        if let Some(path) = written.filter(|path| root.stat(path).is_ok_and(|info| info.kind == FileKind::RegularFile)) {
            push(path, SourceKind::Error);
        }
    }
    if targets.is_empty() {
        blind.push(BlindSpot {
            source: "HAProxy's log".to_owned(),
            reason: "no \"log\" line names where to log, so it logs nothing".to_owned(),
            remedy: "add \"log /dev/log local0\" to global and \"log global\" to defaults, and reload".to_owned(),
        });
    }
    (out, blind)
}
