//! How loaded the host is, every 2 s while something fails, half as often while nothing does, and less often where it has nothing to spare. Of the real host, sysinfo tells what it knows; the rest, and all of another root, is read
//! from the files below the root's /proc. What a kernel does not tell stays `None`.
//!
//! To add a gauge: a field of [`HostLoad`] with its unit, its reader in `parse.rs`, and its line in [`Sampler::sample`].

use std::{ffi::OsString, path::Path, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::{
    model::{HostLoad, Observation, ProbePlan, Stage},
    sys::{HostMetrics, Outbox, Sys, disk_use},
};

pub(super) mod parse;

use parse::{Counters, CpuTicks, OwnTicks};

/// How often a sample is taken while something fails.
const EVERY: Duration = Duration::from_secs(2);
/// How often while nothing does: of all that is done then, this costs the most.
const CALM: Duration = Duration::from_secs(4);
/// Samples at the start that are taken as if something failed.
const AT_FIRST: u32 = 3;
/// How often it is where the host has nothing to spare: reading the kernel's files takes its locks, too.
const SELDOM: Duration = Duration::from_secs(5);
/// Share of the last 10 s in which tasks waited, in percent, from which on the host has nothing to spare: of a processor, and of memory.
const PRESSED: (f32, f32) = (50.0, 20.0);
/// The same of the time that a kernel without pressure tells: busy processors.
const BUSY: f32 = 95.0;
/// How often our own wake-ups are counted, in samples: a file for each thread.
const OWN_EVERY: u32 = 3;
/// Threads of ours whose wake-ups are counted, at most.
const OWN_THREADS: usize = 64;
/// Whose file systems matter: what gateways and applications write to.
const PLACES: [&str; 5] = ["/", "/var/log", "/var/lib", "/run", "/tmp"];
/// How often the file systems are asked, in samples: they fill slowly.
const DISKS_EVERY: u32 = 5;
/// Samples until file systems that gave no answer are asked again: the thread that hangs there stays.
const DISKS_REST: u32 = 300;

/// Tells a sample at once and then again and again; shares of time come with the second, because they are taken between two.
pub async fn run(sys: Sys, plans: watch::Receiver<ProbePlan>, outbox: Outbox, cancel: CancellationToken) {
    let (mut sampler, mut probing) = (Sampler::new(sys), Pace::new(plans));
    let clock = sampler.sys.clock;
    let mut samples = 0_u32;
    loop {
        let mut load = tokio::select! {
            () = cancel.cancelled() => return,
            load = sampler.sample() => load,
        };
        // Whoever has just come wants to know how it goes.
        let quick = probing.quick() || samples < AT_FIRST;
        let pause = pace(&load, quick);
        load.pace_ms = Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let observation = Observation::Load(Box::new(load));
        // The first is waited for by the first pass; a later one is soon followed by a newer.
        let listening = if samples == 0 {
            outbox.tell(observation).await && outbox.tell(Observation::Done(Stage::Load)).await
        } else {
            outbox.offer(observation)
        };
        if !listening {
            return;
        }
        samples = samples.saturating_add(1);
        let rested = async {
            tokio::select! {
                () = clock.rest(pause) => {}
                // Shares of time need some to be taken of: the next beat is soon enough.
                () = probing.hurried(), if pause == CALM => clock.rest(EVERY).await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = rested => {}
        }
    }
}

/// Time to the next sample. `quick`: something fails, or has just changed.
fn pace(load: &HostLoad, quick: bool) -> Duration {
    let pressed = match (load.psi_cpu, load.psi_mem) {
        (None, None) => load.cpu.is_some_and(|cpu| cpu >= BUSY),
        (cpu, memory) => cpu.is_some_and(|psi| psi.some >= PRESSED.0) || memory.is_some_and(|psi| psi.some >= PRESSED.1),
    };
    match (pressed, quick) {
        (true, _) => SELDOM,
        (false, true) => EVERY,
        (false, false) => CALM,
    }
}

pub(super) struct Sampler {
    sys: Sys,
    metrics: HostMetrics,
    cpu: Option<CpuTicks>,
    own: Option<OwnTicks>,
    counters: Option<Counters>,
    /// How often our threads were woken until then, in milliseconds of the run.
    wakeups_at: Option<(u64, u64)>,
    wakeups_rate: Option<f32>,
    /// Samples until that is counted again.
    wakeups_in: u32,
    disks: Vec<(String, f32, Option<f32>)>,
    /// Samples until the file systems are asked.
    disks_in: u32,
}

impl Sampler {
    pub(super) fn new(sys: Sys) -> Self {
        Self {
            sys,
            metrics: HostMetrics::default(),
            cpu: None,
            own: None,
            counters: None,
            wakeups_at: None,
            wakeups_rate: None,
            wakeups_in: 0,
            disks: Vec::new(),
            disks_in: 0,
        }
    }

    pub(super) async fn sample(&mut self) -> HostLoad {
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
            load.blocked = parse::named(&stat, "procs_blocked").and_then(|count| u32::try_from(count).ok());
        }
        if self.sys.root.is_host() {
            let host = self.metrics.sample();
            load.load = host.load;
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
        let vmstat = text("/proc/vmstat").unwrap_or_default();
        load.oom_kills = parse::named(&vmstat, "oom_kill");
        let most = number("/proc/sys/kernel/pid_max").into_iter().chain(number("/proc/sys/kernel/threads-max")).min();
        load.tasks = text("/proc/loadavg").and_then(|text| parse::tasks(&text)).zip(most);
        let pages = text("/proc/net/sockstat").and_then(|text| parse::tcp_pages(&text));
        load.tcp_mem =
            pages.zip(text("/proc/sys/net/ipv4/tcp_mem").and_then(|text| text.split_ascii_whitespace().nth(2)?.parse().ok()));
        load.files = text("/proc/sys/fs/file-nr").and_then(|text| parse::files(&text));
        load.conntrack =
            number("/proc/sys/net/netfilter/nf_conntrack_count").zip(number("/proc/sys/net/netfilter/nf_conntrack_max"));
        let now = Counters {
            at_ms: self.sys.clock.now().run_ms,
            swapped: parse::named(&vmstat, "pswpin")
                .zip(parse::named(&vmstat, "pswpout"))
                .map(|(read, wrote)| read.saturating_add(wrote)),
            net: parse::net(
                &text("/proc/net/snmp").unwrap_or_default(),
                &text("/proc/net/netstat").unwrap_or_default(),
                &text("/proc/net/dev").unwrap_or_default(),
            ),
        };
        if let Some(before) = &self.counters {
            now.since(before, &mut load);
        }
        self.counters = Some(now);
        if self.sys.root.is_host() {
            load.self_rss = text("/proc/self/status").and_then(|text| parse::kilobytes(&text, "VmRSS"));
            let at_ms = self.sys.clock.now().run_ms;
            let own = text("/proc/self/stat").and_then(|text| parse::own_ticks(&text, at_ms));
            if let (Some(before), Some(now)) = (&self.own, &own) {
                load.self_cpu = now.since(before);
            }
            self.own = own;
            load.self_wakeups = self.wakeups_a_second();
            self.look_at_disks().await;
            load.disks.clone_from(&self.disks);
        }
        load
    }

    /// The rate of the last [`OWN_EVERY`] samples.
    fn wakeups_a_second(&mut self) -> Option<f32> {
        if let Some(left) = self.wakeups_in.checked_sub(1) {
            self.wakeups_in = left;
            return self.wakeups_rate;
        }
        self.wakeups_in = OWN_EVERY - 1;
        let now = self.wakeups().map(|count| (count, self.sys.clock.now().run_ms));
        self.wakeups_rate = now.zip(self.wakeups_at).and_then(|((count, at_ms), (before, before_ms))| {
            let passed = at_ms.checked_sub(before_ms).filter(|passed| *passed > 0)?;
            parse::a_second(count, before, passed)
        });
        self.wakeups_at = now;
        self.wakeups_rate
    }

    /// How often our threads were given a processor: with little to do, that is how often they were woken.
    fn wakeups(&self) -> Option<u64> {
        let dir = Path::new("/proc/self/task");
        let count = |name: OsString| {
            let text = self.sys.root.text(dir.join(name).join("schedstat")).ok()?;
            text.split_ascii_whitespace().nth(2)?.parse::<u64>().ok()
        };
        let threads = self.sys.root.list(dir).ok()?;
        threads.into_iter().take(OWN_THREADS).map(count).try_fold(0_u64, |sum, count| Some(sum.saturating_add(count?)))
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
mod tests;
