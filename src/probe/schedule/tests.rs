use std::net::SocketAddr;

use tokio::{sync::mpsc, time::Instant};

use super::*;
use crate::{
    model::{Address, HttpRequest, Protocol},
    probe::tests::lab,
    sys::{Clock, Root, Stamped},
};

/// A run of the schedule, and both its ends.
struct Bench {
    plans: watch::Sender<ProbePlan>,
    seen: mpsc::Receiver<Stamped>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn start(probing: bool) -> Self {
        let (sender, seen) = mpsc::channel(4096);
        let mut sys = Sys::new(Root::host(), probing);
        sys.clock = Clock::starting_at(0);
        let outbox = Outbox::new("probes", sys.clock, sender);
        let (plans, receiver) = watch::channel(ProbePlan {
            number: 0,
            jobs: Vec::new(),
            period_ms: 1_000_000,
            asked: 0,
            cut: Vec::new(),
            served: false,
        });
        let cancel = CancellationToken::new();
        let task = tokio::spawn(run(Rate::default(), sys, receiver, watch::channel(0).1, outbox, cancel.clone()));
        Self { plans, seen, cancel, task }
    }

    fn plan(&self, number: u64, jobs: &[ProbeJob], period_ms: u64) {
        self.plans
            .send(ProbePlan { number, jobs: jobs.to_vec(), period_ms, asked: 0, cut: Vec::new(), served: false })
            .expect("the schedule runs");
    }

    /// The next observation that is not about the empty plan before the first.
    async fn next(&mut self) -> Stamped {
        loop {
            let stamped = self.seen.recv().await.expect("the schedule runs");
            if !matches!(stamped.observation, Observation::Done(Stage::Probes { plan: 0, .. })) {
                return stamped;
            }
        }
    }

    /// Waits for this round; returns what was reported until then, each with its time in ms.
    async fn until(&mut self, plan: u64, round: u32) -> Vec<(u64, ProbeReport)> {
        let mut reports = Vec::new();
        loop {
            let stamped = self.next().await;
            match stamped.observation {
                Observation::Probe(report) => reports.push((stamped.at.run_ms, *report)),
                Observation::Done(stage) if stage == (Stage::Probes { plan, round }) => return reports,
                other => assert!(matches!(other, Observation::Done(_)), "{other:?}"),
            }
        }
    }
}

/// A job that costs nothing but a stat.
fn path(name: &str) -> ProbeJob {
    lab::job("socket-path", Address::Unix(format!("/why502-no-such/{name}").into()), Protocol::Http)
}

fn get(at: SocketAddr, path: &str) -> ProbeJob {
    let request = HttpRequest {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: None,
        host: "a".to_owned(),
        headers: Vec::new(),
        params: Vec::new(),
    };
    ProbeJob { request: Some(request), ..lab::job("upstream", Address::Tcp(at), Protocol::Http) }
}

#[tokio::test]
async fn an_empty_plan_is_done_at_once() {
    let mut bench = Bench::start(true);
    bench.plan(1, &[], 60_000);
    assert_eq!(bench.until(1, 1).await, []);
}

#[tokio::test]
async fn rounds_come_by_the_period_and_a_new_plan_keeps_what_is_known() {
    let mut bench = Bench::start(true);
    bench.plan(1, &[path("a"), path("b"), path("a")], 150);
    let first = bench.until(1, 1).await;
    assert_eq!(first.len(), 2, "the same job twice is one job");
    let second = bench.until(1, 2).await;
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|(ms, _)| *ms >= first[0].0 + 140), "{first:?} {second:?}");

    let began = Instant::now();
    bench.plan(2, &[path("b"), path("c")], 60_000);
    let new = bench.until(2, 1).await;
    assert!(new.iter().any(|(_, report)| report.job == path("c")), "the new job is made at once");
    assert!(!new.iter().any(|(_, report)| report.job == path("a")), "the old one no more");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn what_has_no_hope_ends_soon_and_the_rest_goes_on() {
    let stuck = || async { lab::serve(|mut stream| async move { lab::drain(&mut stream).await }).await };
    let (lost, slow) = (get(stuck().await, "/"), get(stuck().await, "/"));
    let long = |job: &ProbeJob| ProbeJob { total_ms: 60_000, ..job.clone() };
    let (lost, slow) = (long(&lost), long(&slow));
    let mut bench = Bench::start(true);
    let jobs = vec![lost.clone(), slow];
    bench.plan(1, &jobs, 1_000_000);
    // The plan learns of it while both are under way.
    let cut = vec![lost.subject.clone()];
    bench.plans.send(ProbePlan { number: 1, jobs, period_ms: 1_000_000, asked: 0, cut, served: false }).expect("the schedule runs");
    let Observation::Probe(report) = bench.next().await.observation else { panic!("a report comes first") };
    assert_eq!((&report.job, &report.outcome), (&lost, &Outcome::Timeout(crate::model::Phase::Head)));
    assert!((1_000.0..30_000.0).contains(&report.phases.total), "{:?}", report.phases);
    assert!(bench.seen.try_recv().is_err(), "the other one is still waited for");
}

#[tokio::test]
async fn a_stuck_job_delays_nobody_and_never_overlaps_itself() {
    let open = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let stuck = lab::serve(move |mut stream| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            lab::drain(&mut stream).await;
            now.fetch_sub(1, SeqCst);
        }
    })
    .await;
    let mut bench = Bench::start(true);
    let mut slow = get(stuck, "/");
    slow.probe = "gateway".to_owned(); // no second looks: one connection at a time is counted
    slow.total_ms = 500;
    bench.plan(1, &[slow.clone(), path("a")], 100);
    let reports = bench.until(1, 2).await;
    let quick = reports.iter().filter(|(_, report)| report.job == path("a")).count();
    assert!(quick >= 5, "the quick one went on: {quick}");
    assert_eq!(reports.iter().filter(|(_, report)| report.job == slow).count(), 2);
    assert!(reports.iter().filter(|(_, report)| report.job == slow).all(|(_, report)| report.outcome.name() == "timeout"));
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 1, "one connection at a time");
}

#[tokio::test]
async fn requests_are_capped_over_a_large_plan() {
    let at = lab::answering(lab::GOOD).await;
    let jobs: Vec<ProbeJob> = (0..24).map(|n| get(at, &format!("/{n}"))).collect();
    let mut bench = Bench::start(true);
    bench.plan(1, &jobs, 60_000);
    let reports = bench.until(1, 1).await;
    let first = reports[0].0;
    let burst = reports.iter().filter(|(ms, _)| *ms < first + 800).count();
    assert_eq!(burst, 20, "the first burst");
    let last = reports.last().expect("reports").0;
    assert!((3900..6000).contains(&(last - first)), "then one a second to one upstream: {} ms", last - first);
}

#[tokio::test]
async fn with_probing_off_each_job_says_so_once_and_paths_are_still_read() {
    let mut bench = Bench::start(false);
    let at = "127.0.0.1:1".parse().expect("address");
    bench.plan(1, &[get(at, "/"), path("a")], 100);
    let reports = bench.until(1, 3).await;
    let skipped: Vec<_> = reports.iter().filter(|(_, report)| report.job == get(at, "/")).collect();
    assert!(skipped.len() == 1 && matches!(skipped[0].1.outcome, Outcome::Skipped(_)), "{skipped:?}");
    assert!(reports.iter().filter(|(_, report)| report.job == path("a")).all(|(_, report)| report.outcome == Outcome::NotFound));
}

#[tokio::test]
async fn a_round_can_be_asked_for() {
    let mut bench = Bench::start(true);
    bench.plan(1, &[path("a"), path("b")], 600_000);
    bench.until(1, 1).await;
    bench.plans.send_modify(|plan| plan.asked += 1);
    assert_eq!(bench.until(1, 2).await.len(), 2, "long before the period is over");
}

#[tokio::test]
async fn it_ends_when_told_and_when_nobody_listens() {
    let bench = Bench::start(true);
    bench.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), bench.task).await.expect("ends").expect("without panic");
    let mut bench = Bench::start(true);
    bench.seen.close();
    bench.plan(1, &[path("a")], 100);
    tokio::time::timeout(Duration::from_secs(5), bench.task).await.expect("ends").expect("without panic");
}

/// The cadence over an hour, on a paused clock: nothing but arithmetic, so it can be exact.
#[tokio::test(start_paused = true)]
async fn an_hour_keeps_cadence_and_caps() {
    let sys = Sys { clock: Clock::starting_at(0), ..Sys::new(Root::host(), true) };
    let mut schedule = Schedule::new(Rate::default(), sys);
    let addresses: Vec<SocketAddr> = (1..=4).map(|n| SocketAddr::from(([127, 0, 0, 1], n))).collect();
    let jobs: Vec<ProbeJob> = addresses.iter().flat_map(|at| [get(*at, "/a"), get(*at, "/b")]).collect();
    schedule.replan(ProbePlan { number: 1, jobs, period_ms: 2000, asked: 0, cut: Vec::new(), served: false });
    let mut starts: Vec<(u64, Arc<ProbeJob>)> = Vec::new();
    while schedule.now_ms() < 3_600_000 {
        let (ready, wait_ms) = schedule.ready();
        let idle = ready.is_empty();
        for (job, _) in ready {
            assert!(!starts.iter().rev().take(8).any(|(ms, before)| *before == job && schedule.now_ms() - ms < 2000), "too early");
            starts.push((schedule.now_ms(), Arc::clone(&job)));
            schedule.ended(&report_of(&job, Outcome::Open));
        }
        if idle {
            tokio::time::advance(Duration::from_millis(wait_ms)).await;
        }
    }
    // Two requests per upstream every 2 s are what one upstream may get: 4 a second in all, below the cap of 5.
    assert!((14_300..=14_440).contains(&starts.len()), "{}", starts.len());
    for window in starts.windows(26) {
        assert!(window[25].0 - window[0].0 >= 1000, "at most 25 within a second: a burst of 20 and 5 more");
    }
}

#[test]
fn what_suffers_is_left_alone_for_a_while() {
    let mut report = report_of(&path("a"), Outcome::Status(200));
    let rest = |report: &ProbeReport| back_off_ms(report, 2_000);
    assert_eq!(rest(&report), 0);
    report.phases.total = 4_000.0;
    assert_eq!(rest(&report), 4_000, "as long as it took");
    report.phases.total = f64::INFINITY;
    assert_eq!(rest(&report), 60_000);
    report.phases.total = 1.0;
    for outcome in [Outcome::Status(503), Outcome::Status(429), Outcome::QueueFull] {
        report.outcome = outcome;
        assert_eq!(rest(&report), 6_000);
    }
    report.retry_after_s = Some(120);
    assert_eq!(rest(&report), 120_000, "as long as it asks for");
    report.retry_after_s = Some(86_400);
    assert_eq!(rest(&report), 600_000);
}
