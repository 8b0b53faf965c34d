//! The kernel's log: who was killed for want of memory, what crashed, which table or disk is full.
//!
//! Records are told counted like any other log, those that were there when we began as a look back. Which of them matter is for
//! signatures; here only noise is left out: of what is no warning, all but what can be about trouble ([`TROUBLE`]), because a boot
//! alone leaves hundreds of such records. A warning or worse is never left out.

use std::{sync::LazyLock, time::Duration};

use jiff::tz::TimeZone;
use regex::bytes::Regex;
use tokio_util::sync::CancellationToken;

use super::logs::batch::Batcher;
use crate::{
    model::{BlindSpot, LogFormat, LogSource, Observation, SourceKind},
    sys::{KernelLog, KernelRead, Outbox, Sys},
};

/// The source's name in batches and blind spots.
pub const SOURCE: &str = "kernel";
/// How often it is read. The device can be waited for, but a killed process is also seen by other means, and sooner.
const EVERY: Duration = Duration::from_secs(2);
/// Records of one look, at most: the ring of a default kernel holds some 5,000 (`CONFIG_LOG_BUF_SHIFT` 17 to 20).
const RECORDS: usize = 20_000;

/// How far it is looked back, in microseconds: what broke a night shift's application is found, and the boot of a host that
/// runs for weeks is not told again.
const LOOK_BACK_US: i64 = 12 * 3600 * 1_000_000;
/// The least urgent level that is told whatever it says: `KERN_WARNING` (`include/linux/kern_levels.h`).
const WARNING: u16 = 4;
/// What records below a warning are about when they can matter to a request; as the kernel's sources spell it.
const TROUBLE: &[&str] = &[
    // mm/oom_kill.c, mm/memcontrol.c: what was killed, for which cgroup, and what became of it.
    "oom-kill",
    "oom_reaper",
    "ut of memory",
    // arch/*/mm/fault.c, arch/*/kernel/traps.c: a crash of a process is information.
    "segfault at",
    "traps: ",
    "unhandled ",
    // fs/coredump.c
    "ore dump",
    // net/netfilter/nf_conntrack_core.c, net/core/neighbour.c
    "table full",
    "table overflow",
    // net/ipv4/tcp_input.c, net/ipv4/tcp.c
    "SYN flooding",
    "too many orphaned sockets",
    // net/netfilter/nf_log_syslog.c: a rule that logs what it drops.
    " SRC=",
    // drivers/net, net/core: an interface that goes.
    "ink is down",
    "ink is Down",
    "NIC Link is",
    // fs/file_table.c, kernel/cgroup/pids.c
    "file-max limit",
    "fork rejected",
    // block, fs: disks that fail; net/sunrpc, fs/smb: servers that do not answer.
    "I/O error",
    "No space left",
    "not responding",
    "timed out",
    // security/apparmor, security/selinux: audit records are notices.
    "apparmor=\"DENIED\"",
    "avc:  denied",
];

/// Tells what the ring holds, then what comes.
pub async fn run(sys: Sys, outbox: Outbox, cancel: CancellationToken) {
    let began_us = sys.clock.now().wall_ms.saturating_mul(1000);
    let mut log = None;
    let mut first = true;
    let mut told: Option<BlindSpot> = None;
    let source = LogSource { path: "/dev/kmsg".into(), kind: SourceKind::Kernel, format: LogFormat::Kernel };
    let mut batcher = Batcher::named(SOURCE.to_owned(), source, TimeZone::UTC);
    let mut again = false;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sys.clock.rest(EVERY), if again => {}
            () = std::future::ready(()), if !again => again = true,
        }
        if log.is_none() {
            match KernelLog::open(&sys.root) {
                Ok(opened) => log = Some(opened),
                Err(error) => {
                    if !blind(&outbox, &mut told, &error.source.to_string()).await {
                        return;
                    }
                    continue;
                }
            }
        }
        let booted = booted_us(&sys);
        let mut fault = None;
        for _ in 0..RECORDS {
            match log.as_mut().map(KernelLog::read) {
                None | Some(Ok(KernelRead::End)) => break,
                Some(Ok(KernelRead::Overwritten)) => batcher.missed(1),
                Some(Ok(KernelRead::Record(record))) => {
                    if let Some((level, us, message)) = parse(&record)
                        && matters(level, message)
                    {
                        let at_us = booted.map(|booted| booted.saturating_add_unsigned(us));
                        if first && at_us.is_some_and(|at_us| at_us < began_us.saturating_sub(LOOK_BACK_US)) {
                            continue;
                        }
                        let second = at_us.map(|at_us| at_us.div_euclid(1_000_000));
                        batcher.add(message, message.len() as u64, first, second);
                    }
                }
                Some(Err(error)) => {
                    fault = Some(error.to_string());
                    break;
                }
            }
        }
        for batch in batcher.all() {
            if !outbox.tell(Observation::Log(batch)).await {
                return;
            }
        }
        let listening = match fault {
            Some(fault) => {
                // Opening tells no more than reading does (`dmesg_restrict` is asked at either): it is opened anew next time.
                log = None;
                blind(&outbox, &mut told, &fault).await
            }
            None if told.take().is_some() || first => outbox.tell(Observation::Seen { source: SOURCE.to_owned() }).await,
            None => true,
        };
        if !listening {
            return;
        }
        first = false;
    }
}

/// Tells once why it can't be read.
async fn blind(outbox: &Outbox, told: &mut Option<BlindSpot>, reason: &str) -> bool {
    let remedy = "run it as root: sudo why502, or look with: sudo dmesg -T".to_owned();
    let blind = BlindSpot { source: SOURCE.to_owned(), reason: reason.to_owned(), remedy };
    if told.as_ref() == Some(&blind) {
        return true;
    }
    *told = Some(blind.clone());
    outbox.tell(Observation::Blind(blind)).await
}

/// When the kernel's clock began, in microseconds since the Unix epoch. The clock of records stands still while the host
/// sleeps and drifts a little (`local_clock`); gateways do not sleep.
fn booted_us(sys: &Sys) -> Option<i64> {
    let text = sys.root.text("/proc/uptime").ok()?;
    let (whole, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let up_us =
        whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(hundredths.parse::<i64>().ok()?.checked_mul(10_000)?)?;
    sys.clock.now().wall_ms.checked_mul(1000)?.checked_sub(up_us)
}

/// Level, microseconds since boot and message of a record: `6,1234,5678901,-,caller=T1;message\n KEY=value\n`. The first number
/// is facility and level as in syslog(3), the level in its three lowest bits. Bytes that are not printable are `\x..` in it already.
pub(super) fn parse(record: &[u8]) -> Option<(u16, u64, &[u8])> {
    let semicolon = memchr::memchr(b';', record)?;
    let (head, message) = record.split_at_checked(semicolon)?;
    let mut head = std::str::from_utf8(head).ok()?.split(',');
    let (priority, us) = (head.next()?.parse::<u16>().ok()?, head.nth(1)?.parse().ok()?);
    let message = message.get(1..)?;
    let end = memchr::memchr(b'\n', message).unwrap_or(message.len());
    message.get(..end).filter(|message| !message.is_empty()).map(|message| (priority & 7, us, message))
}

/// Whether a record can be about trouble.
pub(super) fn matters(level: u16, message: &[u8]) -> bool {
    // One pass for all words: each `check` looks at thousands of records.
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let words: Vec<String> = TROUBLE.iter().map(|word| regex::escape(word)).collect();
        Regex::new(&words.join("|")).ok()
    });
    level <= WARNING || WORDS.as_ref().is_none_or(|words| words.is_match(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sys::Root, watch::testing::channel};

    #[test]
    fn records_as_the_kernel_writes_them() {
        assert_eq!(
            parse(b"6,1,5678901,-;Out of memory: Killed process 7 (a;b)\n SUBSYSTEM=x\n"),
            Some((6, 5_678_901, &b"Out of memory: Killed process 7 (a;b)"[..]))
        );
        assert_eq!(parse(b"28,1,5,-,caller=T1;x"), Some((4, 5, &b"x"[..])), "daemon.warning");
        for other in [&b""[..], b";", b"6,1;x", b"6,1,x,-;y", b"6,1,5,-;", b"6,1,5,-;\n", b"x,1,5,-;y", b"\xff,\xff,\xff;x"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_warning_is_never_left_out_and_a_boot_is() {
        for noise in [
            "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)",
            "BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable",
            "pci 0000:00:02.0: reg 0x10: [mem 0xfd000000-0xfdffffff pref]",
            "EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none.",
            "systemd[1]: Started Journal Service.",
            "IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready",
        ] {
            assert!(!matters(6, noise.as_bytes()), "{noise}");
            assert!(matters(WARNING, noise.as_bytes()) && matters(3, noise.as_bytes()), "{noise}");
        }
        for trouble in [
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/app",
            "node[4711]: segfault at 0 ip 00007f0e4a5c2b40 sp 00007ffd3f1e5a28 error 4 in libc.so.6[7f0e4a43a000+195000]",
            "traps: php-fpm8.2[99] general protection fault ip:55d5 sp:7ffc error:0",
            "TCP: request_sock_TCP: Possible SYN flooding on port 127.0.0.1:8000. Sending cookies.",
            "nf_conntrack: nf_conntrack: table full, dropping packet",
            "e1000e 0000:00:1f.6 eth0: NIC Link is Down",
            "virtio_net virtio0 eth0: Link is down",
            "cgroup: fork rejected by pids controller in /system.slice/app.service",
            "VFS: file-max limit 1024 reached",
            "audit: type=1400 audit(1.1:2): apparmor=\"DENIED\" operation=\"connect\" profile=\"nginx\"",
            "nfs: server srv not responding, still trying",
        ] {
            assert!(matters(6, trouble.as_bytes()), "{trouble}");
        }
    }

    // Paused: the ring is read without waiting, so when time goes on all of it was told.
    #[tokio::test(start_paused = true)]
    async fn the_ring_is_told_as_a_look_back_or_a_blind_spot() {
        let (outbox, mut inbox) = channel();
        let cancel = CancellationToken::new();
        let sys = Sys::new(Root::host(), false);
        let now = sys.clock.now().wall_s();
        tokio::spawn(run(sys, outbox, cancel.clone()));
        let _ = tokio::time::timeout(EVERY / 2, inbox.until("the end", |_| false)).await;
        for observation in &inbox.seen {
            match observation {
                Observation::Blind(blind) => assert!(blind.source == SOURCE && !blind.remedy.is_empty()),
                Observation::Log(batch) => {
                    assert!(batch.lookback && batch.source == SOURCE && batch.format == LogFormat::Kernel);
                    let span = now - LOOK_BACK_US / 1_000_000 - 60..=now + 60;
                    assert!(batch.counts.iter().all(|count| count.second.is_some_and(|second| span.contains(&second))));
                }
                Observation::Seen { source } => assert_eq!(source, SOURCE),
                other => panic!("{other:?}"),
            }
        }
        assert!(!inbox.seen.is_empty(), "whether it can be read is told, also where it holds no trouble");
        cancel.cancel();
    }

    #[tokio::test]
    async fn a_root_without_a_kernel_log_is_a_blind_spot() {
        let dir = tempfile::tempdir().expect("directory");
        let (outbox, mut inbox) = channel();
        let cancel = CancellationToken::new();
        tokio::spawn(run(Sys::new(Root::below(dir.path()), false), outbox, cancel.clone()));
        inbox.until("a blind spot", |seen| matches!(seen, [Observation::Blind(_)])).await;
        cancel.cancel();
    }
}
