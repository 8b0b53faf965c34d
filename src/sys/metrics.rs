//! Memory, swap and load averages of the host, by sysinfo, which knows the differences between kernels (before Linux 3.14
//! there is no `MemAvailable`).
//!
//! Of sysinfo only what reads a fixed, small number of files below /proc is used. Its processors are not: /proc/stat is read for more than
//! their use, and the kernel counts all interrupts of the host for whoever reads it. Its disks are not: refreshing them asks
//! statvfs of every mount, and a network file system whose server is gone never answers (`gauges.rs` asks only those that live
//! on this host). Its processes are not either: their refresh raises our own limit of descriptors (`setrlimit`), and children
//! would inherit that. It knows no other root than `/`, no pressure, no steal, and no limits.

use sysinfo::System;

/// One look. What the host does not tell is `None`: sysinfo itself says 0 then.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostSample {
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Option<[f32; 3]>,
    /// Memory in bytes.
    pub mem_total: Option<u64>,
    /// Memory that new work can have without swapping, in bytes.
    pub mem_available: Option<u64>,
    /// Swap in bytes.
    pub swap_total: Option<u64>,
    /// Used swap in bytes.
    pub swap_used: Option<u64>,
}

/// Looks at the real host, again and again.
#[derive(Debug, Default)]
pub struct HostMetrics {
    /// `None`: not looked at yet.
    system: Option<System>,
}

impl HostMetrics {
    /// Looks now.
    pub fn sample(&mut self) -> HostSample {
        if self.system.is_none() {
            self.system = System::new().ok();
        }
        let Some(system) = &mut self.system else { return HostSample::default() };
        system.refresh_memory();
        let memory = (system.total_memory() > 0).then_some(&*system);
        HostSample {
            load: load_averages(),
            mem_total: memory.map(System::total_memory),
            mem_available: memory.map(System::available_memory),
            swap_total: memory.map(System::total_swap),
            swap_used: memory.map(System::used_swap),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a load average has two decimals")]
fn load_averages() -> Option<[f32; 3]> {
    let load = System::load_average().ok()?;
    Some([load.one as f32, load.five as f32, load.fifteen as f32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_what_the_kernel_says() {
        let mut metrics = HostMetrics::default();
        let first = metrics.sample();
        let text = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
        let kilobytes = |name: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(name)).expect("line");
            line.split_ascii_whitespace().nth(1).expect("figure").parse().expect("number")
        };
        assert_eq!(first.mem_total, Some(kilobytes("MemTotal:") * 1024));
        assert_eq!(first.swap_total, Some(kilobytes("SwapTotal:") * 1024));
        assert!(first.mem_available.is_some_and(|available| available > 0 && available < kilobytes("MemTotal:") * 1024));
        assert!(first.load.is_some());
    }
}
