//! HAProxy writes no files: it sends to syslog, and a syslog daemon decides. Where that is rsyslog, the rule that names HAProxy names
//! the file (Debian's `/etc/rsyslog.d/49-haproxy.conf`).

use std::path::Path;

use super::{Named, Settings};
use crate::sys::glob;

/// rsyslog's own files (rsyslog.conf(5)).
const FILES: &[&str] = &["/etc/rsyslog.d/*.conf", "/etc/rsyslog.conf"];

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    if !settings.service.is("haproxy") {
        return Vec::new();
    }
    let mut out = Vec::new();
    for path in FILES.iter().flat_map(|pattern| glob::expand(settings.root, Path::new(pattern)).paths) {
        let text = settings.text(&path).unwrap_or_default();
        // Debian's rule is of two lines: `:programname, startswith, "haproxy" {` and the file; in others it is one.
        let mut about = false;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with(['#', '$']) {
                continue;
            }
            about = line.contains("haproxy") || about && !line.starts_with(['}', '&']);
            let word = line.split([' ', '\t', '"']).find(|word| word.trim_start_matches('-').starts_with("/var/"));
            if let Some(word) = word.filter(|_| about) {
                out.extend(settings.by_line("HAProxy's syslog", word.trim_start_matches('-'), &path, at + 1));
            }
        }
    }
    out
}
