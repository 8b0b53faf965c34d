//! Who was there, when the host was started, and when its clock was set: wtmp(5), the log of sshd, sudo and su, and what the kernel
//! waits for a reboot for.

use std::path::Path;

use super::Looker;
use crate::model::{Change, ChangeKind, logline};

/// Logins and starts.
const WTMP: &str = "/var/log/wtmp";
/// Logs of who came in and who became whom, by distribution.
const AUTH: [&str; 2] = ["/var/log/auth.log", "/var/log/secure"];
/// Logs in which programs that set the clock write, where they are no part of the journal.
const SYSLOG: [&str; 2] = ["/var/log/syslog", "/var/log/messages"];
/// Bytes of one record, of which `ut_tv` is 32 bits wide where 32-bit programs share the file (glibc `bits/utmp.h`,
/// `__WORDSIZE_TIME64_COMPAT32`), and the offset of its seconds.
#[cfg(target_arch = "x86_64")]
const RECORD: (usize, usize, usize) = (384, 340, 4);
#[cfg(not(target_arch = "x86_64"))]
const RECORD: (usize, usize, usize) = (400, 344, 8);
/// Records at the end that are read.
const RECORDS: usize = 512;
/// Bytes of the fields of a record: type, line, user, host.
const USER: std::ops::Range<usize> = 44..76;
const HOST: std::ops::Range<usize> = 76..332;
/// Types of records (utmp(5)).
const BOOT_TIME: i16 = 2;
const NEW_TIME: i16 = 3;
const USER_PROCESS: i16 = 7;
/// A file that says which packages need a reboot (Debian's update-notifier).
const REBOOT: &str = "/var/run/reboot-required";

/// One record of wtmp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch) struct Record {
    kind: i16,
    at: i64,
    user: String,
    host: String,
}

/// Looks at all of them.
pub(super) fn look(looker: &mut Looker<'_>) {
    boot(looker);
    wtmp(looker);
    auth(looker);
    clock(looker);
}

fn boot(looker: &mut Looker<'_>) {
    let stat = looker.root.text("/proc/stat").unwrap_or_default();
    if let Some(at) = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok()) {
        looker.looked(ChangeKind::Boot, "/proc/stat", Some(at));
        let kernel = looker.root.text("/proc/sys/kernel/osrelease").unwrap_or_default();
        looker.add(host(ChangeKind::Boot, format!("the host was started, kernel {}", kernel.trim()), at, "/proc/stat", None));
    }
    if let Ok(info) = looker.root.stat(Path::new(REBOOT)) {
        let what = "an update waits for a reboot".to_owned();
        looker.add(host(ChangeKind::Boot, what, info.modified, "time of /var/run/reboot-required", None));
    }
}

fn host(kind: ChangeKind, what: String, at: i64, source: &str, by: Option<String>) -> Change {
    Change { kind, what, at, source: source.to_owned(), by, concerns: Vec::new(), first: false }
}

/// The records of whole ones; a last one that is cut is left out.
pub(in crate::watch) fn records(bytes: &[u8]) -> Vec<Record> {
    let (size, seconds, width) = RECORD;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let one = |record: &[u8]| {
        let kind = i16::from_le_bytes([*record.first()?, *record.get(1)?]);
        let time = record.get(seconds..seconds + width)?;
        let mut whole = [0; 8];
        whole[..width].copy_from_slice(time);
        // Of 32 bits there is no sign that would matter: times before 1970 are none.
        let at = i64::from_le_bytes(whole);
        Some(Record { kind, at, user: text(record.get(USER)?), host: text(record.get(HOST)?) })
    };
    bytes.chunks_exact(size).filter_map(one).collect()
}

fn wtmp(looker: &mut Looker<'_>) {
    let path = Path::new(WTMP);
    let Ok(info) = looker.root.stat(path) else { return };
    let size = RECORD.0 as u64;
    // Records begin at multiples of their size; a last one that is cut has no room at the end of what is read.
    let wanted = (RECORDS as u64 * size).min(info.size) / size * size + info.size % size;
    let Ok((bytes, _)) = looker.root.tail(path, wanted) else { return };
    let records = records(&bytes);
    looker.looked(ChangeKind::Login, WTMP, records.iter().map(|record| record.at).filter(|at| *at <= looker.now).max());
    let boot = looker.out.list.iter().find(|change| change.kind == ChangeKind::Boot).map(|change| change.at);
    for record in records {
        match record.kind {
            // The kernel's own time of it is the better one.
            BOOT_TIME if boot.is_none_or(|boot| (boot - record.at).abs() > 300) => {
                looker.add(host(ChangeKind::Boot, "the host was started".to_owned(), record.at, WTMP, None));
            }
            NEW_TIME => looker.add(host(ChangeKind::Clock, "the clock was set".to_owned(), record.at, WTMP, None)),
            USER_PROCESS => {
                let from = if record.host.is_empty() { String::new() } else { format!(" from {}", record.host) };
                let user = record.user.clone();
                looker.add(host(ChangeKind::Login, format!("{user} logged in{from}"), record.at, WTMP, Some(user)));
            }
            _ => {}
        }
    }
}

/// What somebody did with another's rights, and who came by key: the program only, and what it was to do with a service.
fn auth(looker: &mut Looker<'_>) {
    for path in AUTH {
        let Some(text) = looker.end_of(Path::new(path)) else { continue };
        for line in text.lines().filter(|line| line.contains("COMMAND=") || line.contains("]: Accepted ")) {
            let carried = logline::carried(line);
            let Some(at) = carried.time.and_then(|time| time.second(&looker.zone, looker.now)) else { continue };
            let (what, by) = if let Some((head, command)) = carried.text.split_once("COMMAND=") {
                let user = head.split(':').next().unwrap_or_default().trim();
                // sudo wrote `sudo: bob : TTY=...`; with its tag taken off the user stands first.
                let user = if user == "sudo" { head.split(':').nth(1).unwrap_or_default().trim() } else { user };
                (format!("{user} ran {} with sudo", deed(command)), user.to_owned())
            } else {
                let mut words = carried.text.split_ascii_whitespace().skip_while(|word| *word != "for");
                let Some(user) = words.nth(1) else { continue };
                let from = words.nth(1).unwrap_or("?");
                (format!("{user} logged in from {from}"), user.to_owned())
            };
            looker.add(host(ChangeKind::Login, what, at, path, Some(by)));
        }
    }
}

/// A command without what may be secret: `systemctl restart app`, else the program alone.
fn deed(command: &str) -> String {
    const PLAIN: &[&str] = &[
        "systemctl",
        "service",
        "kill",
        "killall",
        "pkill",
        "nginx",
        "apachectl",
        "apt",
        "apt-get",
        "dnf",
        "docker",
        "supervisorctl",
    ];
    let mut words = command.split_ascii_whitespace();
    let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let rest: Vec<&str> = words.take(4).filter(|word| !word.contains('=') && word.len() < 60).collect();
    if PLAIN.contains(&program) && !rest.is_empty() { format!("{program} {}", rest.join(" ")) } else { program.to_owned() }
}

/// Steps of the clock, by the programs that make them: chronyd, ntpd, systemd-timesyncd.
fn clock(looker: &mut Looker<'_>) {
    for path in SYSLOG {
        let Some(text) = looker.end_of(Path::new(path)) else { continue };
        for line in text.lines() {
            let said = [
                "System clock wrong by",
                "System clock was stepped by",
                "time stepped by",
                "Changed time by",
                "Time has been changed",
            ];
            let Some(word) = said.into_iter().find(|word| line.contains(word)) else { continue };
            let carried = logline::carried(line);
            let Some(at) = carried.time.and_then(|time| time.second(&looker.zone, looker.now)) else { continue };
            let by = carried.text.split_once(word).map_or("", |(_, rest)| rest.trim());
            let by: String = by.chars().take(40).collect();
            looker.add(host(ChangeKind::Clock, format!("the clock was set: {word} {by}"), at, path, None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: i16, at: i64, user: &str, host: &str) -> Vec<u8> {
        let (size, seconds, width) = RECORD;
        let mut bytes = vec![0; size];
        bytes[..2].copy_from_slice(&kind.to_le_bytes());
        bytes[USER.start..USER.start + user.len()].copy_from_slice(user.as_bytes());
        bytes[HOST.start..HOST.start + host.len()].copy_from_slice(host.as_bytes());
        bytes[seconds..seconds + width].copy_from_slice(&at.to_le_bytes()[..width]);
        bytes
    }

    #[test]
    fn records_of_wtmp_are_read_and_a_cut_one_is_not() {
        let mut bytes = record(USER_PROCESS, 1_795_227_460, "bob", "10.0.0.5");
        bytes.extend(record(BOOT_TIME, 1_795_000_000, "reboot", "6.1.0-18-amd64"));
        bytes.extend([7; 100]);
        let read = records(&bytes);
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].at, read[0].user.as_str(), read[0].host.as_str()), (1_795_227_460, "bob", "10.0.0.5"));
        assert_eq!(records(&[0xff; 3000]).len(), 3000 / RECORD.0, "garbage is read as what it is, and nothing panics");
    }

    #[test]
    fn of_a_command_nothing_secret_is_told() {
        assert_eq!(deed("/usr/bin/systemctl restart app"), "systemctl restart app");
        assert_eq!(deed("/usr/bin/mysql -phunter2"), "mysql");
        assert_eq!(deed("/usr/bin/kill -9 811"), "kill -9 811");
        assert_eq!(deed(""), "");
    }
}
