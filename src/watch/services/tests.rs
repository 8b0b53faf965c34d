use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{
    model::{
        OwnerRole,
        PlaceUse::{May, Open, Usual},
        Subject,
    },
    sys::Root,
    watch::testing::channel,
};

/// A tree with a /proc that the test writes.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().expect("directory") };
        host.write("proc/stat", "cpu  1 1 1 1\ncpu0 1 1 1 1\nbtime 1000\nprocs_running 40\nprocs_blocked 0\n");
        host
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.dir.path().join(path);
        std::fs::create_dir_all(file.parent().expect("parent")).expect("directory");
        std::fs::write(file, text).expect("file");
    }

    /// A process in this state that has used so many ticks.
    fn process(&self, pid: u32, ppid: u32, name: &str, state: char, ticks: u64) {
        let stat = format!("{pid} ({name}) {state} {ppid} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 500 0 100 0");
        self.write(&format!("proc/{pid}/stat"), &stat);
        self.write(&format!("proc/{pid}/status"), "Name:\tx\nUid:\t33\t33\t33\t33\nGid:\t33\t33\t33\t33\nGroups:\t33 \n");
        self.write(&format!("proc/{pid}/cmdline"), &format!("{name}\0"));
        self.write(&format!("proc/{pid}/cgroup"), "0::/system.slice/app.service\n");
        self.write(
            &format!("proc/{pid}/limits"),
            "Max processes             6                    6                    processes \nMax open files            4                    4096                 files     \n",
        );
        for fd in 0..3 {
            self.write(&format!("proc/{pid}/fd/{fd}"), "");
        }
    }

    fn thread(&self, pid: u32, tid: u32, run_ms: u64, wait_ms: u64) {
        self.write(&format!("proc/{pid}/task/{tid}/schedstat"), &format!("{} {} 9\n", run_ms * 1_000_000, wait_ms * 1_000_000));
    }

    fn sys(&self) -> Sys {
        Sys::new(Root::below(self.dir.path()), false)
    }
}

fn wish(pids: &[u32]) -> SourceWish {
    let owner = |pid: &u32| LogOwner { pid: *pid, role: OwnerRole::Upstream, serves: vec![Subject("127.0.0.1:8000".into())] };
    SourceWish { owners: pids.iter().map(owner).collect(), ..SourceWish::default() }
}

/// Two looks with something in between.
async fn twice(host: &Host, between: impl FnOnce(&Host)) -> (ServiceLoad, ServiceLoad) {
    let mut sampler = Sampler::new(host.sys());
    let first = sampler.look(&wish(&[811]), true).await.expect("a look").remove(0);
    between(host);
    // Rates take time: that of the run's own clock.
    tokio::time::sleep(Duration::from_millis(RATE_MS + 50)).await;
    (first, sampler.look(&wish(&[811]), true).await.expect("a look").remove(0))
}

#[tokio::test]
async fn a_master_and_its_workers_are_one_service_with_figures_of_its_own() {
    let host = Host::new();
    for (pid, ppid) in [(811, 1), (812, 811), (813, 811)] {
        host.process(pid, ppid, "php-fpm) x", 'S', 10);
    }
    host.process(900, 1, "other", 'R', 10);
    host.thread(812, 812, 100, 100);
    let group = "sys/fs/cgroup/system.slice/app.service";
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    host.write(&format!("{group}/cpu.max"), "20000 100000\n");
    host.write(&format!("{group}/cpu.stat"), "nr_periods 10\nnr_throttled 5\n");
    host.write(&format!("{group}/memory.events"), "oom_kill 2\n");
    let (first, second) = twice(&host, |host| {
        host.process(812, 811, "php-fpm) x", 'R', 15);
        host.thread(812, 812, 110, 190);
        host.write(&format!("{group}/cpu.stat"), "nr_periods 20\nnr_throttled 14\n");
        host.write(&format!("{group}/memory.events"), "oom_kill 3\n");
    })
    .await;
    assert_eq!((first.pid, first.processes, first.workers, first.unit.as_deref()), (811, 3, 2, Some("app.service")));
    assert_eq!((first.cpu, first.starved, first.throttled), (None, None, None), "one look has no rates");
    assert_eq!((first.oom_kills, first.oom_kills_seen), (Some(2), Some(0)));
    assert_eq!(first.files, Some(FileUse { pid: 811, open: 3, limit: 4 }));
    assert!(second.cpu.is_some_and(|cpu| cpu > 0.0), "{second:?}");
    let rounded = |share: Option<f32>| share.map(f32::round);
    assert_eq!((rounded(second.starved), rounded(second.throttled), second.oom_kills_seen), (Some(90.0), Some(90.0), Some(1)));
}

#[tokio::test]
async fn a_stopped_and_a_hanging_process_are_told_and_for_how_long() {
    let host = Host::new();
    host.process(811, 1, "app", 'T', 10);
    let (first, second) = twice(&host, |_| ()).await;
    assert!(first.halted() && first.stopped_ms == Some(0) && second.stopped_ms.is_some_and(|ms| ms > 0), "{second:?}");
    let host = Host::new();
    host.process(811, 1, "app", 'D', 10);
    host.write("proc/811/wchan", "rpc_wait_bit_killable");
    let (_, second) = twice(&host, |_| ()).await;
    let stuck = StuckProcess { pid: 811, name: "app".into(), wchan: "rpc_wait_bit_killable".into(), looks: 2 };
    assert_eq!(second.stuck, [stuck]);
    assert!(!second.halted());
    let (_, second) = twice(&host, |host| host.process(811, 1, "app", 'D', 11)).await;
    assert_eq!(second.stuck[0].looks, 1, "it got on meanwhile");
}

#[tokio::test]
async fn of_workers_that_are_stopped_some_still_answer() {
    let host = Host::new();
    host.process(811, 1, "app", 'T', 10);
    host.process(812, 811, "app", 'T', 10);
    host.process(813, 811, "app", 'S', 10);
    let (_, second) = twice(&host, |_| ()).await;
    assert!(!second.halted());
    let (_, second) = twice(&host, |host| host.process(813, 811, "app", 'T', 10)).await;
    assert!(second.halted());
}

#[tokio::test]
async fn counters_that_go_back_and_files_that_vanish_tell_nothing() {
    let host = Host::new();
    host.process(811, 1, "app", 'S', 1000);
    host.thread(811, 811, 500, 500);
    let group = "sys/fs/cgroup/system.slice/app.service";
    host.write("sys/fs/cgroup/cgroup.controllers", "cpu\n");
    host.write(&format!("{group}/cpu.max"), "20000 100000\n");
    host.write(&format!("{group}/cpu.stat"), "nr_periods 10\nnr_throttled 5\n");
    let (_, second) = twice(&host, |host| {
        host.process(811, 1, "app", 'S', 10);
        host.thread(811, 811, 5, 5);
        host.write(&format!("{group}/cpu.stat"), "nr_periods 1\nnr_throttled 1\n");
    })
    .await;
    assert_eq!((second.cpu, second.starved, second.throttled), (Some(0.0), None, None));
    let (_, second) = twice(&host, |host| std::fs::remove_dir_all(host.dir.path().join("proc/811")).expect("it was there")).await;
    assert_eq!((second.processes, second.cpu, second.memory, &second.files), (0, None, None, &None), "{second:?}");
}

#[tokio::test]
async fn our_own_service_is_seen_where_it_writes() {
    let dir = tempfile::tempdir().expect("directory");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(dir.path().join("app.log")).expect("file");
    let mut sampler = Sampler::new(Sys::new(Root::host(), false));
    let load = sampler.look(&wish(&[std::process::id()]), true).await.expect("a look").remove(0);
    let held = load.places.iter().any(|place| place.how == Open && place.used.is_some());
    assert!(held && load.memory.is_some_and(|memory| memory > 1 << 20) && load.accepted == Some(0), "{load:#?}");
    assert!(load.files.as_ref().is_some_and(|files| files.open >= 3 && files.limit > files.open));
    drop(file);
}

#[tokio::test]
async fn the_second_look_comes_soon_and_then_by_the_pace_of_the_probes() {
    let host = Host::new();
    host.process(811, 1, "app", 'S', 10);
    let (outbox, mut inbox) = channel();
    let (wishes, wishes_in) = watch::channel(Asked::default());
    let (_plans, plans_in) =
        watch::channel(ProbePlan { number: 1, jobs: Vec::new(), period_ms: 10_000, asked: 0, cut: Vec::new(), served: false });
    let cancel = CancellationToken::new();
    tokio::spawn(run(host.sys(), wishes_in, plans_in, outbox, cancel.clone()));
    wishes.send(Asked { number: 1, what: wish(&[811]) }).expect("it listens");
    inbox.until("the second look", |seen| seen.contains(&Observation::Done(Stage::Services))).await;
    let looks = |seen: &[Observation]| seen.iter().filter(|one| matches!(one, Observation::Services(_))).count();
    assert_eq!(looks(&inbox.seen), 2);
    wishes.send(Asked { number: 2, what: wish(&[811, 812]) }).expect("it listens");
    inbox.until("a third", |seen| looks(seen) == 3).await;
    cancel.cancel();
}

#[test]
fn the_pace_follows_what_fails_and_what_the_host_can_spare() {
    let of = |failing, pressed| pace(failing, pressed).as_secs();
    assert_eq!([of(true, false), of(true, true), of(false, false), of(false, true)], [2, 4, 10, 20]);
}

#[test]
fn a_place_is_told_by_its_strongest_reason() {
    let host = Host::new();
    host.process(811, 1, "nginx", 'S', 1);
    let line = |id: u32, point: &str, kind: &str, options: &str| format!("{id} 1 8:{id} / {point} rw - {kind} dev {options}\n");
    let table = [
        line(1, "/", "ext4", "rw"),
        line(2, "/var/lib", "xfs", "ro"),
        line(3, "/srv/nfs", "nfs4", "rw"),
        line(4, "/snap/x", "squashfs", "ro"),
        line(5, "/data", "ext4", "rw"),
    ];
    host.write("proc/811/mountinfo", &table.concat());
    host.write("var/lib/nginx/x", "");
    host.write("data/x", "");
    std::fs::set_permissions(host.dir.path().join("data"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("mode");
    let root = Root::below(host.dir.path());
    let mut service = crate::watch::sources::service::tests::service(&["nginx"]);
    let places = places::of(&root, &service, false, &[]);
    let told: Vec<_> = places.iter().map(|place| (place.mount.to_str().expect("path"), place.how, place.read_only)).collect();
    assert_eq!(told, [("/var/lib", Usual, true), ("/data", May, false)]);
    service.lead.cwd = Some(Path::new("/data/releases/7").into());
    let places = places::of(&root, &service, false, &[]);
    assert_eq!(places.iter().find(|place| place.mount == Path::new("/data")).map(|place| place.how), Some(Usual));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_kernel_says_nothing_panics(text in "[ -~\n\u{e9}\u{1b}]{0,300}", tail in "(-?[0-9]{0,22} ?){0,30}") {
        let stat = format!("7 ({text}) S {tail}");
        for text in [text.as_str(), tail.as_str(), stat.as_str()] {
            tasks::proc_stat(text);
            tasks::schedstat(text);
            tasks::open_files_limit(text);
            parse::pressure(text);
            parse::named(text, "nr_periods");
            parse::tasks(text);
            parse::tcp_pages(text);
            parse::net(text, text, text);
            parse::cpu_ticks(text);
        }
    }

    #[test]
    fn any_counters_at_any_clock_give_shares_or_nothing(
        before in any::<(u64, u64, u64)>(), now in any::<(u64, u64, u64)>(), at in any::<(u32, u32)>(),
    ) {
        let net = |c: (u64, u64, u64)| parse::net(
            &format!("Tcp: OutSegs RetransSegs\nTcp: {} {}\n", c.0, c.1),
            &format!("TcpExt: ListenOverflows\nTcpExt: {}\n", c.2),
            &format!(" eth0: 0 0 {} {} 0 0 0 0 0 0 {} {} 0 0 0 0\n", c.0, c.1, c.2, c.0),
        );
        let sample = |c: (u64, u64, u64), at: u32| parse::Counters { at_ms: at.into(), swapped: Some(c.0), net: net(c) };
        let mut load = crate::model::HostLoad::default();
        sample(now, at.1).since(&sample(before, at.0), &mut load);
        for value in [load.swapping, load.net.map(|net| net.dropped)].into_iter().flatten() {
            prop_assert!(value >= 0.0 && value.is_finite());
        }
        let share = load.net.and_then(|net| net.retransmitted);
        prop_assert!(share.is_none_or(|share| (0.0..=100.0).contains(&share)));
    }
}

#[tokio::test]
async fn tasks_of_the_user_and_sockets_of_a_gateway_are_counted() {
    let host = Host::new();
    // Two of the same user, with one thread each, of which only one is the application's.
    host.process(811, 1, "app", 'S', 10);
    host.process(900, 1, "else", 'S', 10);
    let (load, _) = twice(&host, |_| {}).await;
    let user = load.user_tasks.expect("a limit");
    assert_eq!((user.used, user.limit, load.sockets), (2, 6, None));
    for (fd, to) in [("7", "socket:[811]"), ("8", "socket:[812]"), ("9", "/var/log/x")] {
        std::os::unix::fs::symlink(to, host.dir.path().join("proc/811/fd").join(fd)).expect("link");
    }
    let (root, mut before) = (host.sys().root, BTreeMap::new());
    assert_eq!(tasks::sockets(&root, &[811, 812], &mut before), [(811, 2)]);
    assert_eq!(tasks::sockets(&root, &[811, 812], &mut before), [(811, 2)], "nothing came or went");
    std::os::unix::fs::symlink("socket:[813]", host.dir.path().join("proc/811/fd/10")).expect("link");
    assert_eq!(tasks::sockets(&root, &[811, 812], &mut before), [(811, 3)]);
    // As an old kernel writes it, and as none does.
    assert_eq!(tasks::user_tasks_limit("Max processes             unlimited            unlimited            processes"), None);
    assert_eq!((tasks::user_tasks_limit("Max processes"), tasks::user_tasks_limit("")), (None, None));
    // HAProxy takes the right to start anything from itself.
    assert_eq!(tasks::user_tasks_limit("Max processes             0                    0                    processes"), None);
}
