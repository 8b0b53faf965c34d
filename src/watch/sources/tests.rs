use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use super::*;
use crate::{
    model::LogOwner,
    watch::testing::{Inbox, channel},
};

/// A program that holds a log open, ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn writes_to(log: &std::path::Path) -> Program {
    let errors = std::fs::OpenOptions::new().append(true).create(true).open(log).expect("log");
    let child = Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn();
    Program(child.expect("sleep"))
}

fn found(inbox: &Inbox) -> Vec<FoundLog> {
    let last = inbox.seen.iter().rev().find_map(|observation| match observation {
        Observation::Sources(found) => Some(found.clone()),
        _ => None,
    });
    last.unwrap_or_default()
}

fn upstream(pid: u32) -> SourceWish {
    SourceWish {
        owners: vec![LogOwner { pid, role: OwnerRole::Upstream, serves: vec![Subject("127.0.0.1:8000".into())] }],
        ..SourceWish::default()
    }
}

#[tokio::test]
async fn a_programs_log_is_found_kept_after_its_death_and_told_once() {
    let dir = tempfile::tempdir().expect("directory");
    let log = dir.path().join("app.err");
    let program = writes_to(&log);
    let (outbox, mut inbox) = channel();
    let (wish, wishes) = watch::channel(Asked::default());
    let cancel = CancellationToken::new();
    tokio::spawn(run(Sys::new(Root::host(), false), wishes, outbox, cancel.clone()));
    wish.send_replace(Asked { number: 1, what: upstream(program.0.id()) });
    inbox.until("the first look", |seen| seen.contains(&Observation::Answered { stage: Stage::Sources, asked: 1 })).await;
    let first = found(&inbox);
    let files: Vec<_> = first.iter().filter_map(FoundLog::file).collect();
    assert_eq!((files.len(), &files[0].path, files[0].kind), (1, &log, SourceKind::App));
    assert_eq!(first[0].why, format!("open by sleep ({}) fd 2 (standard error)", program.0.id()));
    assert_eq!(first[0].serves, [Subject("127.0.0.1:8000".into())]);
    drop(program);
    wish.send_replace(Asked { number: 2, what: SourceWish::default() });
    inbox.until("the second look", |seen| seen.contains(&Observation::Answered { stage: Stage::Sources, asked: 2 })).await;
    assert_eq!(inbox.seen.iter().filter(|one| matches!(one, Observation::Sources(_))).count(), 1, "nothing has changed");
    assert!(found(&inbox).iter().any(|known| known.place == LogPlace::File(log.clone())));
    cancel.cancel();
}

#[tokio::test]
async fn errors_that_nobody_keeps_are_a_blind_spot_that_ends() {
    let child = Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let program = Program(child.expect("sleep"));
    let (outbox, mut inbox) = channel();
    let (wish, wishes) = watch::channel(Asked::default());
    let cancel = CancellationToken::new();
    tokio::spawn(run(Sys::new(Root::host(), false), wishes, outbox, cancel.clone()));
    wish.send_replace(Asked { number: 1, what: upstream(program.0.id()) });
    let name = format!("log of sleep ({})", program.0.id());
    inbox
        .until("a blind spot", |seen| {
            seen.iter()
                .any(|one| matches!(one, Observation::Blind(spot) if spot.source == name && spot.reason.contains("/dev/null")))
        })
        .await;
    wish.send_replace(Asked { number: 2, what: SourceWish::default() });
    inbox.until("its end", |seen| seen.contains(&Observation::Seen { source: name.clone() })).await;
    cancel.cancel();
}

#[tokio::test]
async fn what_is_down_is_found_by_its_unit_and_its_pool_and_by_what_it_would_write() {
    let dir = tempfile::tempdir().expect("directory");
    for (path, text) in [
        (
            "etc/systemd/system/app.service",
            "[Service]\nExecStart=/usr/bin/gunicorn -b 127.0.0.1:8000 --error-logfile /var/log/app.log a:b\nStandardError=append:/var/log/app.err\n",
        ),
        ("etc/php/8.2/fpm/php-fpm.conf", "[global]\nerror_log = /var/log/fpm.log\ninclude = /etc/php/8.2/fpm/pool.d/*.conf\n"),
        ("etc/php/8.2/fpm/pool.d/www.conf", "[www]\nlisten = /run/php.sock\nslowlog = /var/log/slow.log\n"),
        ("var/log/app.log", "x"),
        ("var/log/app.err", "x"),
        ("var/log/fpm.log", "x"),
        ("run/log/journal/0123/system.journal", ""),
    ] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        std::fs::File::create(path).expect("file").write_all(text.as_bytes()).expect("text");
    }
    let root = Root::below(dir.path());
    let ownerless = ["127.0.0.1:8000", "unix:/run/php.sock"].map(|address| address.parse().expect("address")).to_vec();
    let units = ["nginx.service", "ssh.service"].map(|unit| (unit.to_owned(), Subject("nginx".into()))).to_vec();
    let wish = SourceWish { ownerless, units, ..SourceWish::default() };
    let mut finder = Finder {
        root: &root,
        wish: &wish,
        written: &[],
        now_s: 0,
        journal: has_journal(&root),
        known: Vec::new(),
        out: Look::default(),
    };
    finder.all(&[], Vec::new());
    let shown: Vec<_> =
        finder.out.found.iter().map(|log| (log.file().map_or_else(String::new, |file| file.id()), log.why.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("/var/log/app.err".to_owned(), "StandardError in /etc/systemd/system/app.service:3"),
            ("/var/log/app.log".to_owned(), "--error-logfile of gunicorn of app.service"),
            (String::new(), "the unit of gunicorn of app.service"),
            ("/var/log/fpm.log".to_owned(), "error_log in /etc/php/8.2/fpm/php-fpm.conf:2"),
            (String::new(), "the gateway's unit"),
        ]
    );
}
