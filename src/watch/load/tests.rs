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
    tokio::spawn(run(Sys::new(Root::host(), false), plans(true).subscribe(), outbox, cancel.clone()));
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

/// A copied tree of a kernel, whose files the test changes between two samples.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("directory"));
        tree.write(files);
        tree
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let file = self.0.path().join(path);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("directory");
            std::fs::write(file, text).expect("file");
        }
    }

    /// What the second of two samples tells, with these files in between.
    async fn then(&self, files: &[(&str, &str)]) -> HostLoad {
        let mut sampler = Sampler::new(Sys::new(Root::below(self.0.path()), false));
        sampler.sample().await;
        self.write(files);
        tokio::time::sleep(Duration::from_millis(50)).await;
        sampler.sample().await
    }
}

#[tokio::test]
async fn a_hypervisor_that_takes_time_and_a_host_that_swaps() {
    let tree = Tree::new(&[
        ("proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\ncpu0 1\ncpu1 1\nprocs_running 9\nprocs_blocked 4\n"),
        ("proc/vmstat", "pswpin 1000\npswpout 5000\noom_kill 3\n"),
        (
            "proc/pressure/memory",
            "some avg10=71.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=40.00 avg60=0.00 avg300=0.00 total=1\n",
        ),
        ("proc/meminfo", "MemTotal: 2000 kB\nMemAvailable: 40 kB\nSwapTotal: 4000 kB\nSwapFree: 100 kB\n"),
        ("proc/loadavg", "80.50 40.00 20.00 9/31000 999\n"),
        ("proc/sys/kernel/pid_max", "32768\n"),
        ("proc/sys/kernel/threads-max", "125000\n"),
    ]);
    let load = tree
        .then(&[
            ("proc/stat", "cpu  110 0 110 720 0 0 0 160 0 0\ncpu0 1\ncpu1 1\nprocs_running 9\nprocs_blocked 4\n"),
            ("proc/vmstat", "pswpin 9000\npswpout 25000\noom_kill 3\n"),
        ])
        .await;
    assert_eq!((load.steal, load.cpu, load.cores, load.blocked), (Some(60.0), Some(80.0), Some(2), Some(4)));
    assert!(load.swapping.is_some_and(|pages| pages > 1_000.0), "{load:?}");
    assert_eq!((load.tasks, load.oom_kills), (Some((31_000, 32_768)), Some(3)));
    assert_eq!(pace(&load, true), SELDOM, "it has nothing to spare");
}

#[tokio::test]
async fn what_a_kernel_of_four_point_four_does_not_tell_is_unknown_and_not_zero() {
    let net = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
    let tree = Tree::new(&[
        ("proc/stat", "cpu  100 0 100 700 100\ncpu0 1\nbtime 5\nprocs_running 1\nprocs_blocked 0\n"),
        ("proc/vmstat", "nr_free_pages 1\npswpin 7\npswpout 7\n"),
        ("proc/net/dev", &format!("{net}  eth0: 1 1 5 7 0 0 0 0 1 1 0 3 0 0 0 0\n")),
        ("proc/net/snmp", "Tcp: RtoAlgorithm OutSegs RetransSegs\nTcp: 1 1000 10\n"),
        ("proc/net/sockstat", "sockets: used 290\nTCP: inuse 7 orphan 0 tw 1 alloc 9 mem 950\nUDP: inuse 1 mem 2\n"),
        ("proc/sys/net/ipv4/tcp_mem", "500\t700\t1000\n"),
    ]);
    let load = tree
        .then(&[
            ("proc/stat", "cpu  150 0 125 705 120\ncpu0 1\nbtime 5\nprocs_running 1\nprocs_blocked 0\n"),
            ("proc/net/dev", &format!("{net}  eth0: 1 1 5 9 0 0 0 0 1 1 0 3 0 0 0 0\n")),
            ("proc/net/snmp", "Tcp: RtoAlgorithm OutSegs RetransSegs\nTcp: 1 1100 30\n"),
        ])
        .await;
    assert_eq!((load.psi_cpu, load.psi_mem, load.oom_kills, load.conntrack, load.files), (None, None, None, None, None));
    assert_eq!((load.cpu, load.steal, load.swapping), (Some(75.0), Some(0.0), Some(0.0)));
    assert_eq!((load.tcp_mem, load.self_wakeups, load.disks.len()), (Some((950, 1000)), None, 0));
    let net = load.net.expect("counters");
    assert_eq!(net.retransmitted, Some(20.0));
    assert!(net.dropped > 0.0 && net.errors == 0.0 && net.overflows == 0, "{net:?}");
}

#[tokio::test]
async fn counters_that_go_back_tell_nothing() {
    let tree = Tree::new(&[
        ("proc/stat", "cpu  1000 0 1000 7000 0 0 0 100 0 0\ncpu0 1\n"),
        ("proc/vmstat", "pswpin 1000\npswpout 5000\n"),
        ("proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 4294967290 10\n"),
    ]);
    let load = tree
        .then(&[
            ("proc/stat", "cpu  10 0 10 70 0 0 0 1 0 0\ncpu0 1\n"),
            ("proc/vmstat", "pswpin 1\npswpout 5\n"),
            ("proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 4 10\n"),
        ])
        .await;
    assert_eq!((load.cpu, load.steal, load.swapping, load.net), (None, None, None, None));
}

/// Plans of probes: something fails, or nothing does.
fn plans(fails: bool) -> watch::Sender<ProbePlan> {
    watch::channel(ProbePlan { period_ms: if fails { 2_000 } else { 10_000 }, ..ProbePlan::default() }).0
}

#[tokio::test(start_paused = true)]
async fn under_pressure_it_samples_less_and_so_it_does_where_nothing_fails() {
    for (waiting, fails, samples_wanted) in [("0.00", true, 31), ("80.00", true, 13), ("0.00", false, 17), ("80.00", false, 13)] {
        let line = format!("some avg10={waiting} avg60=0.00 avg300=0.00 total=1\n");
        let tree = Tree::new(&[("proc/pressure/cpu", &line)]);
        let (outbox, mut inbox) = channel();
        let (cancel, plans) = (CancellationToken::new(), plans(fails));
        let task = tokio::spawn(run(Sys::new(Root::below(tree.0.path()), false), plans.subscribe(), outbox, cancel.clone()));
        tokio::time::sleep(Duration::from_millis(60_500)).await;
        cancel.cancel();
        task.await.expect("it ends");
        inbox.until("all that was told", |seen| samples(seen).len() >= samples_wanted).await;
        assert_eq!(samples(&inbox.seen).len(), samples_wanted, "in a minute, {waiting} % waiting, failing: {fails}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_begins_to_fail_is_looked_at_as_often_as_it_is_probed() {
    let tree = Tree::new(&[("proc/loadavg", "1.00 1.00 1.00 1/100 99\n")]);
    let (outbox, mut inbox) = channel();
    let (cancel, plans) = (CancellationToken::new(), plans(false));
    let task = tokio::spawn(run(Sys::new(Root::below(tree.0.path()), false), plans.subscribe(), outbox, cancel.clone()));
    // Behind a sample of a calm host.
    tokio::time::sleep(Duration::from_millis(12_500)).await;
    plans.send_modify(|plan| plan.period_ms = 2_000);
    tokio::time::sleep(Duration::from_secs(6)).await;
    cancel.cancel();
    task.await.expect("it ends");
    // At 0, 2, 4, 6 and 12 s, then at 14, 16 and 18.
    inbox.until("all that was told", |seen| samples(seen).len() >= 8).await;
    assert_eq!(samples(&inbox.seen).len(), 8);
}
