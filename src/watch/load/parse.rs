//! Readers of the kernel's gauges: proc(5), and `Documentation/accounting/psi.rst` for pressure.

use crate::model::Pressure;

/// Clock ticks per second in /proc/PID/stat: USER_HZ, 100 on every Linux architecture that we build for (time(7)).
const TICKS_PER_SECOND: f32 = 100.0;

/// Times of all processors since boot, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTicks {
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
pub(super) fn cpu_ticks(stat: &str) -> Option<CpuTicks> {
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
pub(super) fn cores(stat: &str) -> Option<u32> {
    let count =
        stat.lines().filter(|line| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    u32::try_from(count.count()).ok().filter(|count| *count > 0)
}

/// Runnable tasks, without the one that reads this.
pub(super) fn runnable(stat: &str) -> Option<u32> {
    named(stat, "procs_running").and_then(|count| u32::try_from(count.saturating_sub(1)).ok())
}

/// `name value` on a line.
pub(super) fn named(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `Name:   value kB` on a line, in bytes.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `0.20 0.18 0.12 1/80 11206`.
pub(super) fn averages(text: &str) -> Option<[f32; 3]> {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse().ok());
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full ...` but for the processor in older kernels.
pub(super) fn pressure(text: &str) -> Option<Pressure> {
    let of = |kind: &str| -> Option<f32> {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
    };
    Some(Pressure { some: of("some ")?, full: of("full ").unwrap_or(0.0) })
}

/// `allocated unused limit`. A kernel without limit says 2^63 - 1.
pub(super) fn files(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
    let (allocated, unused, limit) = (fields.next()??, fields.next()??, fields.next()??);
    Some((allocated.saturating_sub(unused), limit))
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
        for garbage in ["", "x", "some", "\u{fffd} \u{fffd}"] {
            assert_eq!((averages(garbage), pressure(garbage), files(garbage), own_ticks(garbage, 0)), (None, None, None, None));
        }
    }
}
