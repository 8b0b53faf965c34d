//! The kernel's log: who was killed for want of memory, what crashed, which table or disk is full.
//!
//! All records are told, counted like any other log, those that were there when we began as a look back. Which of them matter
//! is for signatures.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::MissedTickBehavior;
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

/// Tells what the ring holds, then what comes.
pub async fn run(sys: Sys, outbox: Outbox, cancel: CancellationToken) {
    let mut log = None;
    let mut first = true;
    let mut told: Option<BlindSpot> = None;
    let source = LogSource { path: "/dev/kmsg".into(), kind: SourceKind::Kernel, format: LogFormat::Kernel };
    let mut batcher = Batcher::named(SOURCE.to_owned(), source, TimeZone::UTC);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
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
                    if let Some((us, message)) = parse(&record) {
                        let second = booted.map(|booted| booted.saturating_add_unsigned(us).div_euclid(1_000_000));
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
            None if told.take().is_some() => outbox.tell(Observation::Seen { source: SOURCE.to_owned() }).await,
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

/// Microseconds since boot and message of a record: `6,1234,5678901,-,caller=T1;message\n KEY=value\n`. Bytes that are not
/// printable are `\x..` in it already.
fn parse(record: &[u8]) -> Option<(u64, &[u8])> {
    let semicolon = memchr::memchr(b';', record)?;
    let (head, message) = record.split_at_checked(semicolon)?;
    let us = std::str::from_utf8(head).ok()?.split(',').nth(2)?.parse().ok()?;
    let message = message.get(1..)?;
    let end = memchr::memchr(b'\n', message).unwrap_or(message.len());
    message.get(..end).filter(|message| !message.is_empty()).map(|message| (us, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sys::Root,
        watch::testing::{batches, channel},
    };

    #[test]
    fn records_as_the_kernel_writes_them() {
        assert_eq!(
            parse(b"6,1,5678901,-;Out of memory: Killed process 7 (a;b)\n SUBSYSTEM=x\n"),
            Some((5_678_901, &b"Out of memory: Killed process 7 (a;b)"[..]))
        );
        assert_eq!(parse(b"6,1,5,-,caller=T1;x"), Some((5, &b"x"[..])));
        for other in [&b""[..], b";", b"6,1;x", b"6,1,x,-;y", b"6,1,5,-;", b"6,1,5,-;\n", b"\xff,\xff,\xff;x"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn the_ring_is_told_as_a_look_back_or_a_blind_spot() {
        let (outbox, mut inbox) = channel();
        let cancel = CancellationToken::new();
        let sys = Sys::new(Root::host(), false);
        let now = sys.clock.now().wall_s();
        tokio::spawn(run(sys, outbox, cancel.clone()));
        inbox.until("lines or a blind spot", |seen| !seen.is_empty()).await;
        if let Observation::Blind(blind) = &inbox.seen[0] {
            assert!(blind.source == SOURCE && !blind.remedy.is_empty());
        } else {
            let batch = batches(&inbox.seen).next().expect("a batch");
            assert!(batch.lookback && batch.source == SOURCE && batch.format == LogFormat::Kernel);
            assert!(batch.counts.iter().all(|count| count.second.is_some_and(|second| second <= now + 60)));
        }
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
