//! How loaded the host is, every 2 s. Of the real host, sysinfo tells what it knows; the rest, and all of another root, is read
//! from the files below the root's /proc. What a kernel does not tell stays `None`.
//!
//! To add a gauge: a field of [`HostLoad`] with its unit, its reader in `parse.rs`, and its line in [`Sampler::sample`].

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{HostLoad, Observation, Stage},
    sys::{HostMetrics, Outbox, Sys, disk_use},
};

mod parse;

use parse::{CpuTicks, OwnTicks};

/// How often a sample is taken.
const EVERY: Duration = Duration::from_secs(2);
/// Whose file systems matter: what gateways and applications write to.
const PLACES: [&str; 5] = ["/", "/var/log", "/var/lib", "/run", "/tmp"];
/// How often the file systems are asked, in samples: they fill slowly.
const DISKS_EVERY: u32 = 5;
/// Samples until file systems that gave no answer are asked again: the thread that hangs there stays.
const DISKS_REST: u32 = 300;

/// Tells a sample at once and then every 2 s; shares of time come with the second, because they are taken between two.
pub async fn run(sys: Sys, outbox: Outbox, cancel: CancellationToken) {
    let mut sampler = Sampler::new(sys);
    let mut first = true;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let load = tokio::select! {
            () = cancel.cancelled() => return,
            load = sampler.sample() => load,
        };
        let observation = Observation::Load(Box::new(load));
        // The first is waited for by the first pass; a later one is soon followed by a newer.
        let listening = if std::mem::take(&mut first) {
            outbox.tell(observation).await && outbox.tell(Observation::Done(Stage::Load)).await
        } else {
            outbox.offer(observation)
        };
        if !listening {
            return;
        }
    }
}

struct Sampler {
    sys: Sys,
    metrics: HostMetrics,
    cpu: Option<CpuTicks>,
    own: Option<OwnTicks>,
    disks: Vec<(String, f32, Option<f32>)>,
    /// Samples until the file systems are asked.
    disks_in: u32,
}

impl Sampler {
    fn new(sys: Sys) -> Self {
        Self { sys, metrics: HostMetrics::default(), cpu: None, own: None, disks: Vec::new(), disks_in: 0 }
    }

    async fn sample(&mut self) -> HostLoad {
        // What /proc and /sys hold is made by the kernel on the spot: reading it does not wait for a disk.
        let text = |path: &str| self.sys.root.text(path).ok();
        let number = |path: &str| text(path).and_then(|text| text.trim().parse::<u64>().ok());
        let mut load = HostLoad::default();
        if let Some(stat) = text("/proc/stat") {
            let now = parse::cpu_ticks(&stat);
            if let (Some(before), Some(now)) = (&self.cpu, &now) {
                (load.cpu, load.steal) = now.since(before);
            }
            self.cpu = now;
            load.cores = parse::cores(&stat);
            load.runnable = parse::runnable(&stat);
        }
        if self.sys.root.is_host() {
            let host = self.metrics.sample();
            (load.cpu, load.load) = (host.cpu, host.load);
            (load.mem_total, load.mem_available) = (host.mem_total, host.mem_available);
            (load.swap_total, load.swap_used) = (host.swap_total, host.swap_used);
        } else {
            load.load = text("/proc/loadavg").and_then(|text| parse::averages(&text));
            let meminfo = text("/proc/meminfo").unwrap_or_default();
            let bytes = |name: &str| parse::kilobytes(&meminfo, name);
            (load.mem_total, load.mem_available) = (bytes("MemTotal"), bytes("MemAvailable"));
            load.swap_total = bytes("SwapTotal");
            load.swap_used = load.swap_total.zip(bytes("SwapFree")).map(|(total, free)| total.saturating_sub(free));
        }
        load.psi_cpu = text("/proc/pressure/cpu").and_then(|text| parse::pressure(&text));
        load.psi_mem = text("/proc/pressure/memory").and_then(|text| parse::pressure(&text));
        load.psi_io = text("/proc/pressure/io").and_then(|text| parse::pressure(&text));
        load.oom_kills = text("/proc/vmstat").and_then(|text| parse::named(&text, "oom_kill"));
        load.files = text("/proc/sys/fs/file-nr").and_then(|text| parse::files(&text));
        load.conntrack =
            number("/proc/sys/net/netfilter/nf_conntrack_count").zip(number("/proc/sys/net/netfilter/nf_conntrack_max"));
        if self.sys.root.is_host() {
            load.self_rss = text("/proc/self/status").and_then(|text| parse::kilobytes(&text, "VmRSS"));
            let at_ms = self.sys.clock.now().run_ms;
            let own = text("/proc/self/stat").and_then(|text| parse::own_ticks(&text, at_ms));
            if let (Some(before), Some(now)) = (&self.own, &own) {
                load.self_cpu = now.since(before);
            }
            self.own = own;
            self.look_at_disks().await;
            load.disks.clone_from(&self.disks);
        }
        load
    }

    async fn look_at_disks(&mut self) {
        if let Some(left) = self.disks_in.checked_sub(1) {
            self.disks_in = left;
            return;
        }
        if let Some(found) = disk_use(&self.sys.root, &PLACES).await {
            self.disks = found.into_iter().map(|disk| (disk.mount, disk.used, disk.inodes)).collect();
            self.disks_in = DISKS_EVERY - 1;
        } else {
            // Not known any more.
            self.disks.clear();
            self.disks_in = DISKS_REST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sys::Root, watch::testing::channel};

    fn samples(seen: &[Observation]) -> Vec<&HostLoad> {
        seen.iter()
            .filter_map(|observation| match observation {
                Observation::Load(load) => Some(&**load),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn the_host_is_told_at_once_and_shares_of_time_with_the_second_sample() {
        let (outbox, mut inbox) = channel();
        let cancel = CancellationToken::new();
        tokio::spawn(run(Sys::new(Root::host(), false), outbox, cancel.clone()));
        inbox.until("the first sample", |seen| seen.contains(&Observation::Done(Stage::Load))).await;
        let load = samples(&inbox.seen)[0].clone();
        assert_eq!((load.cpu, load.self_cpu), (None, None));
        assert!(load.cores.is_some_and(|cores| cores > 0) && load.load.is_some() && load.files.is_some());
        assert!(load.mem_total.zip(load.mem_available).is_some_and(|(total, available)| total > available));
        assert!(load.self_rss.is_some_and(|rss| rss > 1 << 20) && !load.disks.is_empty());
        inbox.until("a second sample", |seen| samples(seen).len() == 2).await;
        let load = samples(&inbox.seen)[1];
        assert!(load.cpu.is_some_and(|cpu| (0.0..=100.0).contains(&cpu)) && load.self_cpu.is_some());
        cancel.cancel();
    }

    #[tokio::test]
    async fn of_another_root_only_its_own_files_are_told() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::create_dir(dir.path().join("proc")).expect("directory");
        std::fs::write(dir.path().join("proc/loadavg"), "8.50 4.00 2.00 3/400 999\n").expect("file");
        let load = Sampler::new(Sys::new(Root::below(dir.path()), false)).sample().await;
        assert_eq!(load, HostLoad { load: Some([8.5, 4.0, 2.0]), ..HostLoad::default() });
    }
}
