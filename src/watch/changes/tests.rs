use std::{fs, path::PathBuf};

use super::*;
use crate::model::{LogOwner, OwnerRole, ProcessInfo};

/// 2026-11-21T02:20:00Z.
const NOW: i64 = 1_795_227_600;

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("directory"))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// A file of this time.
    fn file(&self, path: &str, text: &str, modified: i64) -> &Self {
        let at = self.at(path);
        fs::create_dir_all(at.parent().expect("parent")).expect("directories");
        fs::write(&at, text).expect("file");
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(modified).expect("after 1970"));
        fs::File::options().write(true).open(&at).expect("file").set_modified(modified).expect("time");
        self
    }

    fn look(&self, wish: &SourceWish, processes: &[ProcessInfo]) -> Changes {
        let root = Root::below(self.0.path());
        Looker::new(&root, wish, services(processes, &wish.owners), NOW).all()
    }
}

/// An application that runs in a directory, and the wish that names it.
fn application(argv: &[&str], cwd: &str) -> (SourceWish, Vec<ProcessInfo>) {
    let process = ProcessInfo { cwd: Some(cwd.into()), ..super::super::sources::testing_process(811, 1, argv) };
    let owner = LogOwner { pid: 811, role: OwnerRole::Upstream, serves: vec![Subject("127.0.0.1:8000".into())] };
    (SourceWish { owners: vec![owner], ..SourceWish::default() }, vec![process])
}

fn whats(changes: &Changes, kind: ChangeKind) -> Vec<&str> {
    changes.list.iter().filter(|change| change.kind == kind).map(|change| change.what.as_str()).collect()
}

#[test]
fn files_of_a_deploy_are_told_together_and_data_is_none() {
    let host = Host::new();
    host.file("/srv/shop/app.py", "x", NOW - 100).file("/srv/shop/views.py", "x", NOW - 130).file(
        "/srv/shop/old.py",
        "x",
        NOW - 90_000,
    );
    host.file("/srv/shop/logs/app.log", "x", NOW - 1).file("/srv/shop/shop.sqlite3", "x", NOW - 1).file(
        "/srv/shop/lib/node_modules/a.js",
        "x",
        NOW - 5,
    );
    let (wish, processes) = application(&["python3", "app.py"], "/srv/shop");
    let changes = host.look(&wish, &processes);
    assert_eq!(whats(&changes, ChangeKind::Deploy), ["/srv/shop: 2 files were changed, the last app.py"]);
    let deploy = &changes.list[0];
    assert_eq!((deploy.at, deploy.first, &deploy.concerns[..]), (NOW - 100, false, &[Subject("127.0.0.1:8000".into())][..]));
}

#[test]
fn an_interpreter_of_a_user_is_no_code_of_the_application() {
    let host = Host::new();
    host.file("srv/shop/app.py", "", NOW - 9_000).file("home/app/.pyenv/versions/3.12.1/bin/python3", "", NOW - 60);
    host.file("home/app/.pyenv/versions/3.12.1/lib/os.py", "", NOW - 60);
    let (wish, mut processes) = application(&["/home/app/.pyenv/versions/3.12.1/bin/python3", "app.py"], "/srv/shop");
    for process in &mut processes {
        process.exe = Some("/home/app/.pyenv/versions/3.12.1/bin/python3".into());
    }
    let places: Vec<String> = host.look(&wish, &processes).looked.into_iter().map(|looked| looked.place).collect();
    assert!(places.contains(&"/srv/shop".to_owned()) && !places.iter().any(|place| place.contains("pyenv")), "{places:?}");
}

#[test]
fn what_was_just_installed_is_no_change_and_what_is_old_is_not_told() {
    let host = Host::new();
    host.file("/srv/shop/app.py", "x", NOW - 100).file("/srv/shop/b.py", "x", NOW - 101);
    let (wish, processes) = application(&["python3", "app.py"], "/srv/shop");
    assert!(host.look(&wish, &processes).list.iter().all(|change| change.first));
    let host = Host::new();
    host.file("/srv/shop/app.py", "x", NOW - 90_000).file("/srv/shop/b.py", "x", NOW - 200_000).file(
        "/srv/shop/c.py",
        "x",
        NOW + 9_000,
    );
    let changes = host.look(&wish, &processes);
    assert_eq!(changes.list, []);
    let looked = changes.looked.iter().find(|looked| looked.kind == ChangeKind::Deploy).expect("it was looked at");
    assert_eq!((looked.newest, looked.left_out.as_deref()), (Some(NOW - 90_000), Some("1 files are ahead of the clock")));
}

#[test]
fn git_and_the_link_to_a_release_tell_more_than_times() {
    let host = Host::new();
    let (a, b) = ("a".repeat(40), "3f2a1c0".to_owned() + &"b".repeat(33));
    let log = format!(
        "{} {a} Ann <ann@x> {} +0000\tclone: from git@x\n{a} {b} Bob Ho <bob@x> {} +0100\tcheckout: moving from v1 to v2\ngarbage\n",
        "0".repeat(40),
        NOW - 90_000,
        NOW - 159
    );
    host.file("/srv/shop/.git/logs/HEAD", &log, NOW - 159).file("/srv/shop/app.py", "x", NOW - 158).file(
        "/srv/shop/b.py",
        "x",
        NOW - 99_000,
    );
    let (wish, processes) = application(&["gunicorn", "app:app"], "/srv/shop");
    let changes = host.look(&wish, &processes);
    assert_eq!(whats(&changes, ChangeKind::Deploy), ["/srv/shop: git checkout: moving from v1 to v2 (3f2a1c0)"]);
    assert_eq!(changes.list[0].by.as_deref(), Some("Bob Ho"));

    let host = Host::new();
    host.file("/srv/shop/releases/1/app.py", "x", NOW - 99_000).file("/srv/shop/releases/2/app.py", "x", NOW - 98_000);
    std::os::unix::fs::symlink("releases/2", host.at("/srv/shop/current")).expect("link");
    let (wish, processes) = application(&["gunicorn", "app:app"], "/srv/shop/releases/1");
    let root = Root::below(host.0.path());
    // A link's own time can't be set here: it is the test's own.
    let now = root.lstat("/srv/shop/current".as_ref()).expect("link").modified;
    let changes = Looker::new(&root, &wish, services(&processes, &wish.owners), now).all();
    assert_eq!(whats(&changes, ChangeKind::Deploy), ["/srv/shop: current -> 2"]);
}

#[test]
fn an_upgrade_is_one_change_that_bears_on_who_runs_it() {
    let host = Host::new();
    host.file(
        "/var/log/dpkg.log",
        "2026-11-14 02:17:40 upgrade nginx:amd64 1 2\n2026-11-21 02:17:40 upgrade libxml2:amd64 1 2\n2026-11-21 02:17:41 status x\n\
         2026-11-21 02:17:42 upgrade php8.2-fpm:amd64 8.2.28 8.2.29\n2026-11-21 02:17:42 upgrade php8.2-cli:amd64 8.2.28 8.2.29\n",
        NOW,
    );
    host.file(
        "/var/log/apt/history.log",
        "Start-Date: 2026-11-21  02:17:39\nCommandline: /usr/bin/unattended-upgrade\nEnd-Date: 2026-11-21  02:17:43\n",
        NOW,
    );
    let (wish, processes) = application(&["php-fpm8.2"], "/");
    let changes = host.look(&wish, &processes);
    let packages: Vec<_> = changes.list.iter().filter(|change| change.kind == ChangeKind::Packages).collect();
    assert_eq!(packages.len(), 1, "that of last week is none");
    assert_eq!(packages[0].what, "upgraded php8.2-cli 8.2.28 -> 8.2.29 and 2 more, by unattended-upgrade");
    assert_eq!((packages[0].at, packages[0].concerns.len()), (NOW - 138, 1));
}

#[test]
fn jobs_logins_and_files_are_told() {
    let host = Host::new();
    let syslog = "Nov 21 01:00:01 gw1 CRON[99]: (root) CMD (/usr/local/bin/backup --password hunter2)\n".to_owned()
        + &"Nov 21 02:00:01 gw1 CRON[98]: (root) CMD (/usr/bin/heartbeat)\n".repeat(100)
        + "Nov 21 02:10:00 gw1 chronyd[7]: System clock was stepped by 3599.998 seconds\n";
    host.file("/var/log/syslog", &syslog, NOW);
    host.file(
        "/var/log/auth.log",
        "Nov 21 02:19:00 gw1 sudo:      bob : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/systemctl restart app\n",
        NOW,
    );
    host.file("/etc/hosts", "x", NOW - 300).file("/etc/resolv.conf", "x", NOW - 900_000).file(
        "/etc/nginx/sites-enabled/shop",
        "x",
        NOW - 60,
    );
    let mut wish = SourceWish::default();
    wish.configs.push(("/etc/nginx/sites-enabled/shop".into(), Subject("nginx".into())));
    let changes = host.look(&wish, &[]);
    assert_eq!(whats(&changes, ChangeKind::Job), ["cron ran /usr/local/bin/backup (once in 24 h)"]);
    assert_eq!(whats(&changes, ChangeKind::Login), ["bob ran systemctl restart app with sudo"]);
    assert_eq!(whats(&changes, ChangeKind::Names), ["/etc/hosts was changed"]);
    assert_eq!(whats(&changes, ChangeKind::Config), ["/etc/nginx/sites-enabled/shop was changed"]);
    assert_eq!(whats(&changes, ChangeKind::Clock).len(), 1);
    let times: Vec<i64> = changes.list.iter().map(|change| change.at).collect();
    assert!(times.is_sorted());
}

#[test]
fn whatever_lies_there_is_survived_and_bounded() {
    let host = Host::new();
    for path in [
        "/var/log/dpkg.log",
        "/var/log/syslog",
        "/var/log/auth.log",
        "/var/log/wtmp",
        "/var/log/pacman.log",
        "/var/log/apt/history.log",
        "/srv/shop/.git/logs/HEAD",
    ] {
        let at = host.at(path);
        fs::create_dir_all(at.parent().expect("parent")).expect("directories");
        fs::write(at, b"\xff\xfe\0 \x1b[2J CMD ( COMMAND= > \t\n9999-99-99 99:99:99 upgrade\n\n\n".repeat(20_000)).expect("file");
    }
    let fifo = host.at("/etc/hosts");
    fs::create_dir_all(fifo.parent().expect("parent")).expect("directories");
    rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("fifo");
    for number in 0..4_000 {
        fs::write(host.at("/srv/shop").join(format!("f{number}.py")), "").expect("file");
    }
    let (wish, processes) = application(&["python3", "app.py"], "/srv/shop");
    let changes = host.look(&wish, &processes);
    assert!(changes.list.len() <= TOLD);
    let looked = changes.looked.iter().find(|looked| looked.kind == ChangeKind::Deploy).expect("it was looked at");
    assert_eq!(looked.left_out.as_deref().map(|why| why.starts_with("there are more files")), Some(true));
}
