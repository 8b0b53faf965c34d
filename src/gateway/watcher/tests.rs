use std::path::Path;

use tokio::sync::mpsc;

use super::*;
use crate::sys::{Root, Stamped};

const CONF: &str = "events {} http { server { listen 80; location / { proxy_pass http://127.0.0.1:PORT; } } }";

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    /// A tree with an installed nginx and process 1.
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().expect("temporary directory") };
        host.write(
            "usr/sbin/nginx",
            "nginx version: nginx/1.22.1\n\0configure arguments: --conf-path=/etc/nginx/nginx.conf --pid-path=/run/nginx.pid\0",
        );
        host.write("etc/nginx/nginx.conf", &CONF.replace("PORT", "8000"));
        host.write("run/nginx.pid", "");
        host.process(1, 0, "/sbin/init");
        host
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("file");
    }

    fn process(&self, pid: u32, ppid: u32, title: &str) {
        let dir = format!("proc/{pid}");
        self.write(&format!("{dir}/stat"), &format!("{pid} (nginx) S {ppid} 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0"));
        self.write(&format!("{dir}/status"), "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0\n");
        self.write(&format!("{dir}/cmdline"), &format!("{title}\0"));
        self.write("proc/stat", "btime 1000\n");
    }

    fn start(&self) {
        self.process(70, 1, "nginx: master process /usr/sbin/nginx");
        self.process(71, 70, "nginx: worker process");
        self.write("run/nginx.pid", "70\n");
    }

    fn run(&self) -> (mpsc::Receiver<Stamped>, CancellationToken, tokio::task::JoinHandle<()>) {
        self.run_with(64)
    }

    /// So many observations are told before the first is taken.
    fn run_with(&self, capacity: usize) -> (mpsc::Receiver<Stamped>, CancellationToken, tokio::task::JoinHandle<()>) {
        self.run_while(capacity, &ProbePlan::default())
    }

    /// With this plan of probes all the while.
    fn run_while(
        &self,
        capacity: usize,
        plan: &ProbePlan,
    ) -> (mpsc::Receiver<Stamped>, CancellationToken, tokio::task::JoinHandle<()>) {
        let sys = Sys::new(Root::below(self.dir.path()), false);
        let (sender, receiver) = mpsc::channel(capacity);
        let cancel = CancellationToken::new();
        let outbox = Outbox::new("gateway", sys.clock, sender);
        let (looking, plans) = (tokio::sync::oneshot::channel().0, watch::channel(plan.clone()).1);
        (receiver, cancel.clone(), tokio::spawn(run(sys, Overrides::default(), true, looking, plans, outbox, cancel)))
    }
}

async fn next(receiver: &mut mpsc::Receiver<Stamped>) -> Stamped {
    tokio::time::timeout(Duration::from_mins(2), receiver.recv()).await.expect("told in time").expect("still running")
}

fn gateways(stamped: Stamped) -> Vec<Gateway> {
    match stamped.observation {
        Observation::Gateways(list) => list,
        other => panic!("not gateways: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_told_within_two_seconds_and_nothing_twice() {
    let host = Host::new();
    host.start();
    let (mut receiver, cancel, task) = host.run();
    let first = gateways(next(&mut receiver).await);
    assert!(first[0].running() && first[0].version.as_deref() == Some("1.22.1"));
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::Gateways));
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::Live));
    // Below another root there is no test to be made, and that is known at once.
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::ConfigTest));
    // Nothing changes for a minute, with two scans in it: nothing is told.
    assert!(tokio::time::timeout(Duration::from_secs(61), next(&mut receiver)).await.is_err());
    let begin = tokio::time::Instant::now();
    host.write("etc/nginx/nginx.conf", &CONF.replace("PORT", "18080"));
    let Observation::Edited(edits) = next(&mut receiver).await.observation else { panic!("the edit first") };
    assert_eq!(edits.iter().map(|edit| edit.diff.len()).collect::<Vec<_>>(), [5]);
    let edited = gateways(next(&mut receiver).await);
    assert!(begin.elapsed() <= PULSE, "{:?}", begin.elapsed());
    assert_eq!(edited[0].sites[0].routes[0].servers[0].address.port(), Some(18080));
    cancel.cancel();
    task.await.expect("ends when cancelled");
}

#[tokio::test(start_paused = true)]
async fn an_edit_while_the_gateway_tests_its_configuration_is_one() {
    let host = Host::new();
    host.start();
    let (mut receiver, _cancel, _task) = host.run_with(1);
    assert!(gateways(next(&mut receiver).await)[0].running());
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::Gateways));
    // The word that the gateway was asked waits to be taken, and that its test is done waits behind it.
    while receiver.is_empty() {
        tokio::task::yield_now().await;
    }
    host.write("etc/nginx/nginx.conf", &CONF.replace("PORT", "18080"));
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::Live));
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::ConfigTest));
    let Observation::Edited(edits) = next(&mut receiver).await.observation else { panic!("the edit first") };
    assert_eq!(edits.iter().map(|edit| edit.diff.len()).collect::<Vec<_>>(), [5]);
    assert_eq!(gateways(next(&mut receiver).await)[0].sites[0].routes[0].servers[0].address.port(), Some(18080));
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_a_start_are_seen() {
    let host = Host::new();
    host.start();
    let (mut receiver, _cancel, task) = host.run();
    assert!(gateways(next(&mut receiver).await)[0].running());
    for _ in [Stage::Gateways, Stage::Live, Stage::ConfigTest] {
        next(&mut receiver).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let begin = tokio::time::Instant::now();
    std::fs::remove_dir_all(host.dir.path().join("proc/70")).expect("ended");
    std::fs::remove_dir_all(host.dir.path().join("proc/71")).expect("ended");
    std::fs::remove_file(host.dir.path().join("run/nginx.pid")).expect("removed, as nginx does when it ends");
    assert!(!gateways(next(&mut receiver).await)[0].running());
    assert!(begin.elapsed() <= PULSE, "{:?}", begin.elapsed());
    let begin = tokio::time::Instant::now();
    host.start();
    assert!(gateways(next(&mut receiver).await)[0].running());
    assert!(begin.elapsed() <= Duration::from_millis(SCAN_AT_MOST_MS) + PULSE, "{:?}", begin.elapsed());
    drop(receiver);
    // Nobody listens: it ends with the next thing it has to tell.
    host.write("etc/nginx/nginx.conf", &CONF.replace("PORT", "18080"));
    tokio::time::timeout(Duration::from_mins(1), task).await.expect("ends").expect("without panic");
}

/// A site that is written and not enabled leaves no trace in the files that are loaded, and in the processes.
#[tokio::test(start_paused = true)]
async fn on_a_calm_host_a_look_is_made_where_other_gateways_run_and_else_seldom() {
    for (period_ms, least, most) in [(ProbePlan::CALM_MS, 60, 150), (2_000, 0, 60)] {
        let host = Host::new();
        host.start();
        let (mut receiver, _cancel, _task) = host.run_while(64, &ProbePlan { period_ms, ..ProbePlan::default() });
        let left_out = |gateways: &[Gateway]| gateways[0].settings.keys().any(|name| name.ends_with("late.example"));
        assert!(!left_out(&gateways(next(&mut receiver).await)));
        for _ in [Stage::Gateways, Stage::Live, Stage::ConfigTest] {
            next(&mut receiver).await;
        }
        let begin = tokio::time::Instant::now();
        host.write("etc/nginx/sites-available/late", "server {\n  server_name late.example;\n}\n");
        let told = gateways(tokio::time::timeout(Duration::from_mins(5), receiver.recv()).await.expect("in time").expect("runs"));
        assert!(left_out(&told));
        let after = begin.elapsed().as_secs();
        assert!((least..most).contains(&after), "{after} s with a period of {period_ms} ms");
        host.write("etc/nginx/other.conf", &CONF.replace("PORT", "9090"));
        host.process(90, 1, "nginx: master process /usr/sbin/nginx -c /etc/nginx/other.conf");
        let begin = tokio::time::Instant::now();
        assert_eq!(gateways(next(&mut receiver).await).len(), 2);
        assert!(begin.elapsed() <= Duration::from_millis(SCAN_AT_LEAST_MS) + PULSE, "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn no_process_list_is_a_blind_spot_and_the_stage_is_done() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut receiver, _cancel, _task) = Host { dir }.run();
    let Observation::Blind(spot) = next(&mut receiver).await.observation else { panic!("a blind spot first") };
    assert_eq!(spot.source, "process list");
    assert_eq!(gateways(next(&mut receiver).await), []);
    assert_eq!(next(&mut receiver).await.observation, Observation::Done(Stage::Gateways));
}

#[tokio::test]
async fn what_hangs_is_given_up() {
    tokio::time::pause();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    // The clock stands still while a blocking thread runs, so this one ends by itself at the end of the test.
    let answer = off_thread(move || wait.recv_timeout(Duration::from_millis(10)).is_ok()).await;
    assert_eq!(answer, Some(false));
    drop(release);
    assert_eq!(off_thread(|| assert!(Path::new("/").is_relative())).await, None, "a panic is no answer");
}
