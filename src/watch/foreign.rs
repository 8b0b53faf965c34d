//! What logs and the kernel's counters are read by, as functions of bytes: for `tests/fuzz`, by way of [`crate::shell::foreign`].

use futures_util::FutureExt as _;
use jiff::tz::TimeZone;

use super::{
    changes::{logins, packages_lines},
    kernel, load,
    paste::Paste,
    services::tasks,
};
use crate::{
    model::HostLoad,
    sys::{Root, Sys},
};

/// 2026-11-20, in seconds since the Unix epoch: a run gives the same on every day.
const NOW: i64 = 1_795_132_800;

/// Files of the kernel's that [`files`] reads, below a root of a test.
pub const FILES: &[&str] = &[
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/net/netstat",
    "/proc/net/snmp",
    "/proc/net/sockstat",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/stat",
    "/proc/sys/fs/file-nr",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/net/ipv4/tcp_mem",
    "/proc/vmstat",
];

/// Reads [`FILES`] below a root, whatever stands in them, twice as a run does: what was counted in between is told.
pub fn files(root: &Root) {
    let mut sampler = load::Sampler::new(Sys::new(root.clone(), false));
    for _ in 0..2 {
        let load = sampler.sample().now_or_never();
        let pressures = |load: &HostLoad| [load.psi_cpu, load.psi_mem, load.psi_io].into_iter().flatten();
        let numbers = load.iter().flat_map(|load| {
            let averages = load.load.into_iter().flatten();
            load.cpu.into_iter().chain(averages).chain(pressures(load).flat_map(|psi| [psi.some, psi.full]))
        });
        assert!(numbers.into_iter().all(f32::is_finite), "a figure that is none: {load:?}");
    }
    let text = root.text("/proc/stat").unwrap_or_default();
    let _ = (tasks::proc_stat(&text), tasks::schedstat(&text), tasks::open_files_limit(&text), tasks::user_tasks_limit(&text));
}

/// A paste, a file of any log, or the journal's export: in one piece and in many, which must say the same.
pub fn paste(bytes: &[u8]) {
    let read = |at_once: usize| {
        let mut paste = Paste::new(TimeZone::UTC, NOW);
        for piece in bytes.chunks(at_once) {
            paste.push(piece);
        }
        paste.finish()
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(7), "it depends on how it came");
    let lines = memchr::memchr_iter(b'\n', bytes).count() + 1;
    let counted: u64 = whole.iter().flat_map(|batch| &batch.counts).map(|count| u64::from(count.count)).sum();
    assert!(counted <= lines as u64, "{counted} of {lines} lines");
}

/// A record of the kernel's log.
pub fn kernel_record(bytes: &[u8]) {
    if let Some((level, _, message)) = kernel::parse(bytes) {
        assert!(level <= 7 && message.len() < bytes.len(), "level {level}");
        let _ = kernel::matters(level, message);
    }
}

/// What package managers and logins leave behind.
pub fn changes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        for read in [packages_lines::dpkg, packages_lines::dnf, packages_lines::yum, packages_lines::zypper, packages_lines::pacman]
        {
            let _ = read(line, &TimeZone::UTC, NOW);
        }
    }
    let _ = packages_lines::apt_runs(&text, &TimeZone::UTC, NOW);
    let _ = logins::records(bytes);
}
