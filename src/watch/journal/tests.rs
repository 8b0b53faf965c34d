use std::{
    io::Write as _,
    path::Path,
    process::{Command as Program, Stdio},
};

use super::*;
use crate::{
    sys::Root,
    watch::testing::{batches, channel},
};

/// Writes a real journal of these entries below a root, by systemd's own program. `false`: it is not installed here, which it must
/// be in CI: a test that does nothing there looks green and is worth nothing.
fn journal(root: &Path, name: &str, export: &[u8]) -> bool {
    const REMOTE: &str = "/usr/lib/systemd/systemd-journal-remote";
    let id = "0123456789abcdef0123456789abcdef";
    let dir = root.join("var/log/journal").join(id);
    std::fs::create_dir_all(&dir).expect("directory");
    let output = format!("--output={}", dir.join(name).display());
    let child = Program::new(REMOTE).arg(output).arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let installed = child.is_ok() && std::path::Path::new("/usr/bin/journalctl").is_file();
    assert!(installed || std::env::var("CI").as_deref() != Ok("true"), "this needs systemd-journal-remote and journalctl");
    let (Ok(mut child), true) = (child, installed) else { return false };
    child.stdin.take().expect("stdin").write_all(export).expect("entries");
    assert!(child.wait().expect("its end").success());
    true
}

fn entry(at_s: i64, unit: &str, identifier: &str, message: &[u8]) -> Vec<u8> {
    let head = format!(
        "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={at_s}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_PID=811\nPRIORITY=3\nSYSLOG_IDENTIFIER={identifier}\n_SYSTEMD_UNIT={unit}\nMESSAGE\n",
        at_s * 1_000_000
    );
    [head.as_bytes(), &(message.len() as u64).to_le_bytes(), message, b"\n\n"].concat()
}

#[tokio::test]
async fn a_real_journal_comes_out_entry_by_entry_and_only_of_the_units_that_were_asked_for() {
    let dir = tempfile::tempdir().expect("directory");
    let entries = [
        entry(1_763_605_061, "app.service", "gunicorn", b"[CRITICAL] WORKER TIMEOUT (pid:812)"),
        entry(1_763_605_062, "app.service", "gunicorn", b"Traceback:\n  boom \xff"),
        entry(1_763_605_063, "other.service", "other", b"nothing of ours"),
        entry(1_763_605_064, "nginx.service", "nginx", b"emerg"),
    ];
    if !journal(dir.path(), "system.journal", &entries.concat()) {
        return;
    }
    let (outbox, mut inbox) = channel();
    let (units, wanted) = watch::channel(Asked::default());
    let cancel = CancellationToken::new();
    tokio::spawn(run(Sys::new(Root::below(dir.path()), false), wanted, outbox, cancel.clone()));
    let what = vec![("app.service".to_owned(), SourceKind::App), ("nginx.service".to_owned(), SourceKind::Error)];
    units.send_replace(Asked { number: 3, what });
    inbox.until("the past", |seen| seen.contains(&Observation::Answered { stage: Stage::Journal, asked: 3 })).await;
    let lines: Vec<_> = inbox
        .batches()
        .flat_map(|batch| batch.counts.iter().map(|count| (batch.source.clone(), count.first.clone(), count.second, count.count)))
        .collect();
    let app = "journal:app.service".to_owned();
    assert_eq!(
        lines,
        [
            (
                app.clone(),
                "2025-11-20T02:17:41.000000Z gunicorn[811]: [CRITICAL] WORKER TIMEOUT (pid:812)".to_owned(),
                Some(1_763_605_061),
                1
            ),
            (app, "2025-11-20T02:17:42.000000Z gunicorn[811]: Traceback:\n  boom \u{fffd}".to_owned(), Some(1_763_605_062), 1),
            (
                "journal:nginx.service".to_owned(),
                "2025-11-20T02:17:44.000000Z nginx[811]: emerg".to_owned(),
                Some(1_763_605_064),
                1
            ),
        ]
    );
    assert!(inbox.batches().all(|batch| batch.lookback));
    assert!(!inbox.seen.iter().any(|one| matches!(one, Observation::Blind(_))), "{:?}", inbox.seen);

    // What comes then is live, and what was told is not told again.
    let now = Sys::new(Root::host(), false).clock.now().wall_s() + 1;
    let more = [entry(now, "app.service", "gunicorn", b"it goes on"), entry(1_763_605_061, "app.service", "gunicorn", b"old")];
    assert!(journal(dir.path(), "system@1.journal", &more.concat()));
    let live = |seen: &[Observation]| {
        batches(seen).filter(|batch| !batch.lookback).flat_map(|batch| batch.counts.clone()).collect::<Vec<_>>()
    };
    inbox.until("a live entry", |seen| !live(seen).is_empty()).await;
    let lines = live(&inbox.seen);
    assert_eq!((lines.len(), lines[0].first.ends_with("gunicorn[811]: it goes on")), (1, true), "{lines:?}");
    cancel.cancel();
}

#[tokio::test]
async fn no_unit_is_done_at_once() {
    let (outbox, mut inbox) = channel();
    let (units, wanted) = watch::channel(Asked::default());
    let cancel = CancellationToken::new();
    tokio::spawn(run(Sys::new(Root::host(), false), wanted, outbox, cancel.clone()));
    units.send_replace(Asked { number: 3, what: Vec::new() });
    inbox.until("its end", |seen| seen.contains(&Observation::Answered { stage: Stage::Journal, asked: 3 })).await;
    assert_eq!(inbox.seen.len(), 1);
    cancel.cancel();
}
