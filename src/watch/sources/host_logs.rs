//! Files in which the host itself writes what its kernel says.
//!
//! Where auditd runs, the kernel gives it what SELinux denies, and nothing of that is in the kernel's own ring (auditd(8)). Of a copied tree
//! there is no ring at all: what syslog kept of it is read.

use std::path::PathBuf;

use super::{Candidate, Finder};
use crate::model::{LogFormat, SourceKind};

/// auditd's (auditd.conf(5)).
const AUDIT: &str = "/var/log/audit/audit.log";
/// syslog's: of Red Hat and Alpine, and of Debian.
const SYSLOG: &[&str] = &["/var/log/messages", "/var/log/syslog"];

/// Adds those that are there.
pub(super) fn add(finder: &mut Finder<'_>) {
    one(finder, AUDIT, "what the kernel's audit denies");
    if finder.root.is_copy() {
        for path in SYSLOG {
            one(finder, path, "what the host's kernel and units said");
        }
    }
}

fn one(finder: &mut Finder<'_>, path: &str, why: &str) {
    let (kind, format) = (SourceKind::Kernel, LogFormat::Plain);
    finder.add(Candidate { path: PathBuf::from(path), kind, format, why: why.to_owned(), serves: Vec::new() });
}
