//! Readers of the kernel's gauges: proc(5), and `Documentation/accounting/psi.rst` for pressure.

use crate::model::{HostLoad, NetLoss, Pressure};

/// Clock ticks per second in /proc/PID/stat: USER_HZ, 100 on every Linux architecture that we build for (time(7)).
const TICKS_PER_SECOND: f32 = 100.0;

/// Times of all processors since boot, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch) struct CpuTicks {
    all: u64,
    idle: u64,
    steal: u64,
}

impl CpuTicks {
    /// Busy and stolen share since the sample before, in percent.
    pub(super) fn since(&self, before: &Self) -> (Option<f32>, Option<f32>) {
        let passed = self.all.saturating_sub(before.all);
        let share = |now: u64, before: u64| {
            (passed > 0).then(|| (now.saturating_sub(before) as f32 * 100.0 / passed as f32).clamp(0.0, 100.0))
        };
        (share(self.idle, before.idle).map(|idle| 100.0 - idle), share(self.steal, before.steal))
    }
}

/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest times are in user and nice already. A
/// processor that waits for I/O is idle: what waits is told by the pressure.
pub(in crate::watch) fn cpu_ticks(stat: &str) -> Option<CpuTicks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
    let ticks = fields.map(str::parse).collect::<Result<Vec<u64>, _>>().ok().filter(|ticks| ticks.len() >= 4)?;
    let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
    Some(CpuTicks {
        all: ticks.iter().fold(0, |sum, ticks| sum.saturating_add(*ticks)),
        idle: at(3).saturating_add(at(4)),
        steal: at(7),
    })
}

/// Processors that are online: one line `cpuN` each.
pub(in crate::watch) fn cores(stat: &str) -> Option<u32> {
    let count =
        stat.lines().filter(|line| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    u32::try_from(count.count()).ok().filter(|count| *count > 0)
}

/// Runnable tasks, without the one that reads this.
pub(in crate::watch) fn runnable(stat: &str) -> Option<u32> {
    named(stat, "procs_running").and_then(|count| u32::try_from(count.saturating_sub(1)).ok())
}

/// `name value` on a line.
pub(in crate::watch) fn named(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `Name:   value kB` on a line, in bytes.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A figure as the kernel prints it. What Rust reads besides (`inf`, `nan`, `1e99`) is none.
fn decimal(field: &str) -> Option<f32> {
    field.parse().ok().filter(|figure: &f32| figure.is_finite())
}

/// `0.20 0.18 0.12 1/80 11206`.
pub(super) fn averages(text: &str) -> Option<[f32; 3]> {
    let mut fields = text.split_ascii_whitespace().map(decimal);
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full ...` but for the processor in older kernels.
pub(in crate::watch) fn pressure(text: &str) -> Option<Pressure> {
    let of = |kind: &str| -> Option<f32> {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        decimal(line.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?)
    };
    Some(Pressure { some: of("some ")?, full: of("full ").unwrap_or(0.0) })
}

/// `allocated unused limit`. A kernel without limit says 2^63 - 1.
pub(super) fn files(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
    let (allocated, unused, limit) = (fields.next()??, fields.next()??, fields.next()??);
    Some((allocated.saturating_sub(unused), limit))
}

/// All tasks: the figure behind the slash of `0.20 0.18 0.12 1/80 11206`.
pub(in crate::watch) fn tasks(loadavg: &str) -> Option<u64> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// `TCP: inuse 1 orphan 0 tw 0 alloc 4 mem 26`: the last one.
pub(in crate::watch) fn tcp_pages(sockstat: &str) -> Option<u64> {
    let mut words = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?.split_ascii_whitespace();
    words.by_ref().find(|word| *word == "mem")?;
    words.next()?.parse().ok()
}

/// Counters of the network since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::watch) struct NetCounters {
    sent: u64,
    sent_again: u64,
    overflows: u64,
    dropped: u64,
    errors: u64,
}

/// The counters of /proc/net/snmp, netstat and dev. `None`: nothing is told at all.
pub(in crate::watch) fn net(snmp: &str, netstat: &str, dev: &str) -> Option<NetCounters> {
    let of = |text: &str, table: &str, name: &str| -> Option<u64> {
        // `Tcp: names` on one line, `Tcp: values` on the next.
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(table)?.strip_prefix(": "));
        let (names, values) = (lines.next()?, lines.next()?);
        let at = names.split(' ').position(|known| known == name)?;
        values.split(' ').nth(at)?.parse().ok()
    };
    let (sent, sent_again) = (of(snmp, "Tcp", "OutSegs"), of(snmp, "Tcp", "RetransSegs"));
    let overflows = of(netstat, "TcpExt", "ListenOverflows");
    // `eth0: bytes packets errs drop fifo frame compressed multicast` received, then the same sent.
    let mut devices = dev.lines().filter_map(|line| {
        let (_, figures) = line.split_once(':')?;
        let figures: Vec<u64> = figures.split_ascii_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        (figures.len() >= 12).then(|| (figures[2].saturating_add(figures[10]), figures[3].saturating_add(figures[11])))
    });
    if sent.is_none() && overflows.is_none() && devices.clone().next().is_none() {
        return None;
    }
    let (errors, dropped) =
        devices.by_ref().fold((0_u64, 0_u64), |sum, device| (sum.0.saturating_add(device.0), sum.1.saturating_add(device.1)));
    Some(NetCounters {
        sent: sent.unwrap_or(0),
        sent_again: sent_again.unwrap_or(0),
        overflows: overflows.unwrap_or(0),
        dropped,
        errors,
    })
}

/// What is counted since boot, or since we began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::watch) struct Counters {
    pub(in crate::watch) at_ms: u64,
    pub(in crate::watch) swapped: Option<u64>,
    pub(in crate::watch) net: Option<NetCounters>,
}

/// What a counter gained a second over so many milliseconds. `None`: it went back.
pub(super) fn a_second(now: u64, before: u64, passed_ms: u64) -> Option<f32> {
    now.checked_sub(before).map(|more| more as f32 * 1000.0 / passed_ms as f32)
}

impl Counters {
    /// Tells what came since the sample before. A counter that went back (a device that was taken out, a wrap) tells nothing.
    pub(in crate::watch) fn since(&self, before: &Self, load: &mut HostLoad) {
        let Some(passed) = self.at_ms.checked_sub(before.at_ms).filter(|passed| *passed > 0) else { return };
        let a_second = |now: u64, before: u64| a_second(now, before, passed);
        load.swapping = self.swapped.zip(before.swapped).and_then(|(now, before)| a_second(now, before));
        load.net = self.net.zip(before.net).and_then(|(now, before)| {
            let (sent, again) = (now.sent.checked_sub(before.sent)?, now.sent_again.checked_sub(before.sent_again)?);
            Some(NetLoss {
                retransmitted: (sent > 0).then(|| (again as f32 * 100.0 / sent as f32).min(100.0)),
                dropped: a_second(now.dropped, before.dropped)?,
                errors: a_second(now.errors, before.errors)?,
                overflows: now.overflows.checked_sub(before.overflows)?,
            })
        });
    }
}

/// Time that this process has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnTicks {
    ticks: u64,
    at_ms: u64,
}

impl OwnTicks {
    /// Share of one processor since the sample before, in percent.
    pub(super) fn since(&self, before: &Self) -> Option<f32> {
        let passed = self.at_ms.saturating_sub(before.at_ms);
        (passed > 0).then(|| self.ticks.saturating_sub(before.ticks) as f32 / TICKS_PER_SECOND * 100_000.0 / passed as f32)
    }
}

/// Fields 14 and 15 of /proc/PID/stat, in ticks; the name in parentheses may hold blanks and parentheses.
pub(super) fn own_ticks(stat: &str, at_ms: u64) -> Option<OwnTicks> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (user, system): (u64, u64) = (fields.nth(11)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(OwnTicks { ticks: user.saturating_add(system), at_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_time_are_taken_between_two_samples() {
        let before = cpu_ticks("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\n").expect("ticks");
        let now = cpu_ticks("cpu  150 0 125 705 100 0 0 20 0 0\ncpu0 1\ncpu1 1\n").expect("ticks");
        assert_eq!(now.since(&before), (Some(95.0), Some(20.0)));
        assert_eq!(before.since(&before), (None, None));
        assert_eq!(cpu_ticks("cpu  1 x\n"), None);
        let own = |ticks, at_ms| own_ticks(&format!("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 {ticks} 10 0 0 20 0 1"), at_ms);
        assert_eq!(own(60, 3000).expect("ticks").since(&own(50, 1000).expect("ticks")), Some(5.0));
    }

    #[test]
    fn the_kernels_files_are_read_and_foreign_ones_are_not() {
        assert_eq!((cores("cpu  1\ncpu0 1\ncpu1 1\nintr 1\n"), cores("")), (Some(2), None));
        assert_eq!(runnable("procs_running 3\n"), Some(2));
        assert_eq!(kilobytes("MemTotal:       16 kB\nMemAvailable: 8 kB\n", "MemAvailable"), Some(8192));
        assert_eq!(kilobytes("MemTotal: 18446744073709551615 kB\n", "MemTotal"), None);
        assert_eq!(averages("0.20 0.18 0.12 1/80 11206\n"), Some([0.2, 0.18, 0.12]));
        let psi = "some avg10=12.34 avg60=0.00 avg300=0.00 total=0\nfull avg10=1.50 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(pressure(psi), Some(Pressure { some: 12.34, full: 1.5 }));
        assert_eq!(pressure(psi.lines().next().expect("line")), Some(Pressure { some: 12.34, full: 0.0 }));
        assert_eq!(files("1024\t24\t9223372036854775807\n"), Some((1000, 9_223_372_036_854_775_807)));
        assert_eq!(named("oom_kill_x 5\noom_kill 7\n", "oom_kill"), Some(7));
        for garbage in ["", "x", "some", "\u{fffd} \u{fffd}", "287898 7391e42 30.06", "some avg10=inf"] {
            assert_eq!((averages(garbage), pressure(garbage), files(garbage), own_ticks(garbage, 0)), (None, None, None, None));
        }
    }
}
