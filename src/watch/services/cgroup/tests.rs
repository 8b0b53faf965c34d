use super::*;

/// A tree with these files; `/proc/811/cgroup` is what the text is given for.
fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("directory");
    for (path, text) in files {
        let file = dir.path().join(path);
        std::fs::create_dir_all(file.parent().expect("parent")).expect("directory");
        std::fs::write(file, text).expect("file");
    }
    let root = Root::below(dir.path());
    (dir, root)
}

const V2: &str = "sys/fs/cgroup/system.slice/app.service";

#[test]
fn version_two_with_a_limit_of_its_own_and_a_tighter_one_above() {
    let files = [
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
        (&*format!("{V2}/cpu.max"), "max 100000\n"),
        (&*format!("{V2}/memory.max"), "536870912\n"),
        (&*format!("{V2}/memory.high"), "max\n"),
        (&*format!("{V2}/memory.current"), "300000000\n"),
        (&*format!("{V2}/memory.stat"), "anon 1\ninactive_file 100000000\nactive_file 5\n"),
        (&*format!("{V2}/memory.swap.current"), "4096\n"),
        (&*format!("{V2}/memory.events"), "low 0\nhigh 0\nmax 4\noom 2\noom_kill 2\noom_group_kill 0\n"),
        (
            &*format!("{V2}/memory.pressure"),
            "some avg10=12.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0.00 avg300=0.00 total=1\n",
        ),
        (&*format!("{V2}/pids.current"), "11\n"),
        (&*format!("{V2}/pids.max"), "max\n"),
        ("sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/system.slice/cpu.stat", "usage_usec 9\nnr_periods 50\nnr_throttled 40\nthrottled_usec 9\n"),
        ("sys/fs/cgroup/system.slice/pids.current", "20\n"),
        ("sys/fs/cgroup/system.slice/pids.max", "20\n"),
    ];
    let (_dir, root) = root(&files);
    let found = of(&root, &Trees::of(&root), "0::/system.slice/app.service\n");
    assert_eq!(found.own.as_deref(), Some("/sys/fs/cgroup/system.slice/app.service"));
    assert_eq!((found.quota, found.throttling), (Some(1.5), Some(Throttling { periods: 50, throttled: 40 })));
    assert_eq!((found.memory, found.memory_limit), (Some(200_000_000), Some((200_000_000, 536_870_912))), "page cache is no use");
    assert_eq!((found.swap, found.oom_kills, found.tasks), (Some(4096), Some(2), Some((20, 20))));
    assert_eq!(found.psi, [None, Some(Pressure { some: 12.5, full: 3.0 }), None]);
}

#[test]
fn version_one_has_a_tree_for_each_controller() {
    let files = [
        (
            "proc/self/mountinfo",
            "30 1 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n31 1 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             32 1 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n33 1 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        ),
        ("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "20000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/app/cpu.stat", "nr_periods 7\nnr_throttled 7\nthrottled_time 1\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "67108864\n"),
        ("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "67100000\n"),
        ("sys/fs/cgroup/memory/app/memory.stat", "inactive_file 1\ntotal_inactive_file 100000\n"),
        ("sys/fs/cgroup/memory/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
    ];
    let (_dir, root) = root(&files);
    let text = "9:name=systemd:/\n4:memory:/docker/abc/app\n2:cpu,cpuacct:/app\n1:pids:/\n0::/\n";
    let found = of(&root, &Trees::of(&root), text);
    assert_eq!((found.quota, found.throttling), (Some(0.2), Some(Throttling { periods: 7, throttled: 7 })));
    assert_eq!((found.memory_limit, found.oom_kills, found.tasks), (Some((67_000_000, 67_108_864)), Some(3), None));
    assert_eq!(found.own.as_deref(), Some("/sys/fs/cgroup/memory/app"));
}

#[test]
fn what_is_shared_or_out_of_sight_is_nobodys_own() {
    let files = [
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
        ("sys/fs/cgroup/user.slice/session-3.scope/memory.events", "oom_kill 9\n"),
        ("sys/fs/cgroup/memory.events", "oom_kill 9\n"),
    ];
    let (_dir, root) = root(&files);
    let trees = Trees::of(&root);
    for path in ["/user.slice/session-3.scope", "/", "/../../x", "/system.slice", "/a/../..", ""] {
        let found = of(&root, &trees, &format!("0::{path}\n"));
        assert_eq!((found.own, found.oom_kills), (None, None), "{path}");
    }
    let nothing = Groups { memory_group: Some(String::new()), ..Groups::default() };
    assert_eq!(of(&root, &trees, "garbage\n\u{fffd}:\n::\n"), nothing);
    let unknown = Groups { memory_group: Some("/system.slice/app.service".into()), ..Groups::default() };
    assert_eq!(of(&root, &Trees::default(), "0::/system.slice/app.service\n"), unknown);
}

#[test]
fn quotas() {
    assert_eq!((quota("max 100000\n"), quota("50000 100000\n"), quota("1 0"), quota("")), (None, Some(0.5), None, None));
}
