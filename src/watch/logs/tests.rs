//! The whole, with its tasks, its watcher and its channel.

use std::{fs, fs::OpenOptions, io::Write as _, path::Path};

use super::*;
use crate::{
    model::{LogFormat, SourceKind},
    sys::Root,
    watch::testing::{Inbox, batches, channel, channel_for},
};

fn source(path: &Path, kind: SourceKind, format: LogFormat) -> LogSource {
    LogSource { path: path.to_owned(), kind, format }
}

fn started(sources: Vec<LogSource>) -> (watch::Sender<Asked<Vec<LogSource>>>, Inbox, CancellationToken) {
    let (outbox, inbox) = channel();
    let (list, cancel) = started_for(outbox, sources);
    (list, inbox, cancel)
}

fn started_for(outbox: Outbox, sources: Vec<LogSource>) -> (watch::Sender<Asked<Vec<LogSource>>>, CancellationToken) {
    let (list, sources) = watch::channel(Asked { number: 0, what: sources });
    let cancel = CancellationToken::new();
    tokio::spawn(run(Sys::new(Root::host(), false), sources, outbox, cancel.clone()));
    (list, cancel)
}

/// What is told when the ends of all that was asked for by this number were read.
fn ends_read(asked: u64) -> Observation {
    Observation::Answered { stage: Stage::Logs, asked }
}

fn total(seen: &[Observation], part: &str) -> u32 {
    batches(seen).flat_map(|batch| &batch.counts).filter(|count| count.key.contains(part)).map(|count| count.count).sum()
}

const REFUSED: &str = "2026/11/20 23:36:34 [error] 174#174: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: lab.test, request: \"GET /refused HTTP/1.1\", upstream: \"http://127.0.0.1:9099/refused\", host: \"127.0.0.1:8081\"\n";

#[tokio::test]
async fn without_logs_the_stage_is_done_at_once() {
    let (list, mut inbox, cancel) = started(Vec::new());
    inbox.until("done", |seen| seen == [ends_read(0)]).await;
    let dir = tempfile::tempdir().expect("directory");
    fs::write(dir.path().join("error.log"), REFUSED).expect("write");
    list.send(Asked { number: 7, what: vec![source(&dir.path().join("error.log"), SourceKind::Error, LogFormat::NginxError)] })
        .expect("listening");
    inbox
        .until("done again, after the lines", |seen| matches!(seen, [.., Observation::Log(_), answer] if *answer == ends_read(7)))
        .await;
    cancel.cancel();
}

#[tokio::test]
async fn equal_lines_are_counted_and_new_ones_follow() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("error.log");
    fs::write(&path, REFUSED.repeat(5)).expect("write");
    let (_list, mut inbox, cancel) = started(vec![source(&path, SourceKind::Error, LogFormat::NginxError)]);
    inbox.until("done", |seen| seen.contains(&ends_read(0))).await;
    let batch = inbox.batches().next().expect("a batch").clone();
    assert!(batch.lookback && batch.dropped == 0 && batch.source == path.display().to_string());
    let [count] = &batch.counts[..] else { panic!("one group: {batch:#?}") };
    assert_eq!((count.count, count.first.as_str(), count.last.as_deref()), (5, REFUSED.trim_end(), Some(REFUSED.trim_end())));
    assert!(count.second.is_some());
    let mut file = OpenOptions::new().append(true).open(&path).expect("open");
    file.write_all(REFUSED.repeat(3).as_bytes()).expect("write");
    inbox.until("new lines", |seen| total(seen, "Connection refused") == 8).await;
    assert!(inbox.batches().skip(1).all(|batch| !batch.lookback));
    cancel.cancel();
}

#[tokio::test]
async fn a_log_that_is_not_there_is_said_and_read_when_it_comes() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("error.log");
    let access = source(&dir.path().join("access.log"), SourceKind::Access, LogFormat::NginxAccess(String::new()));
    let (_list, mut inbox, cancel) = started(vec![source(&path, SourceKind::Error, LogFormat::NginxError), access]);
    inbox.until("done", |seen| seen.contains(&ends_read(0))).await;
    let blind: Vec<_> = inbox.seen.iter().filter(|o| matches!(o, Observation::Blind(_))).collect();
    assert!(
        matches!(blind[..], [Observation::Blind(blind)] if blind.source == path.display().to_string() && blind.reason == "it does not exist")
    );
    fs::write(&path, REFUSED).expect("write");
    inbox.until("the line", |seen| total(seen, "Connection refused") == 1).await;
    assert!(inbox.seen.contains(&Observation::Seen { source: path.display().to_string() }));
    cancel.cancel();
}

#[tokio::test]
async fn a_log_that_is_taken_off_the_list_is_not_followed() {
    let dir = tempfile::tempdir().expect("directory");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::write(&one, "one\n").expect("write");
    fs::write(&two, "two\n").expect("write");
    let plain = |path: &Path| source(path, SourceKind::App, LogFormat::Plain);
    let (list, mut inbox, cancel) = started(vec![plain(&one), plain(&two)]);
    inbox.until("done", |seen| seen.contains(&ends_read(0))).await;
    assert_eq!((total(&inbox.seen, "one"), total(&inbox.seen, "two")), (1, 1));
    list.send(Asked { number: 1, what: vec![plain(&two)] }).expect("listening");
    inbox.until("done again", |seen| seen.contains(&ends_read(1))).await;
    OpenOptions::new().append(true).open(&one).expect("open").write_all(b"one more\n").expect("write");
    OpenOptions::new().append(true).open(&two).expect("open").write_all(b"two more\n").expect("write");
    inbox.until("the line of the other", |seen| total(seen, "two more") == 1).await;
    assert_eq!(total(&inbox.seen, "one more"), 0);
    cancel.cancel();
}

#[tokio::test]
async fn logs_that_are_listed_later_do_not_end_the_wait_for_those_before() {
    let dir = tempfile::tempdir().expect("directory");
    let (long, short) = (dir.path().join("long"), dir.path().join("short"));
    // Many times what the channel takes: it is still being read when the other is through.
    let lines = 20_000;
    let word = |number: u32| number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>();
    let text: Vec<String> = (0..lines).map(|number| format!("long{}\n", word(number))).collect();
    fs::write(&long, text.concat()).expect("write");
    fs::write(&short, "short\n").expect("write");
    let plain = |path: &Path| source(path, SourceKind::App, LogFormat::Plain);
    let (outbox, mut inbox) = channel_for(1);
    let (list, cancel) = started_for(outbox, vec![plain(&long)]);
    inbox.until("its first lines", |seen| total(seen, "long") > 0).await;
    list.send(Asked { number: 1, what: vec![plain(&long), plain(&short)] }).expect("listening");
    inbox.until("done", |seen| seen.contains(&ends_read(1))).await;
    assert_eq!((total(&inbox.seen, "long"), total(&inbox.seen, "short")), (lines, 1));
    cancel.cancel();
}

#[tokio::test]
async fn many_different_lines_come_in_bounded_batches_and_none_is_lost() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("app.log");
    let word =
        |number: usize| format!("{}{}", char::from(b'a' + u8::try_from(number % 26).expect("small")), "x".repeat(number / 26 + 1));
    fs::write(&path, (0..2000).map(|number| word(number) + "\n").collect::<String>()).expect("write");
    let (_list, mut inbox, cancel) = started(vec![source(&path, SourceKind::App, LogFormat::Plain)]);
    inbox.until("done", |seen| seen.contains(&ends_read(0))).await;
    assert_eq!(total(&inbox.seen, ""), 2000);
    assert!(inbox.batches().count() >= 2000 / batch::COUNTS);
    for batch in inbox.batches() {
        let text: usize = batch.counts.iter().map(|count| count.first.len() + count.key.len()).sum();
        assert!(batch.counts.len() <= batch::COUNTS && text <= batch::BATCH_BYTES + 2 * batch::VERBATIM_BYTES);
    }
    cancel.cancel();
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_said_and_read_when_it_may() {
    // Root may read everything; this shows its worth only as another user.
    if crate::sys::own_ids().uid == 0 {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("error.log");
    fs::write(&path, REFUSED).expect("write");
    let mode = |bits| fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(bits)).expect("mode");
    mode(0);
    let (_list, mut inbox, cancel) = started(vec![source(&path, SourceKind::Error, LogFormat::NginxError)]);
    inbox.until("done", |seen| seen.contains(&ends_read(0))).await;
    assert!(
        matches!(&inbox.seen[0], Observation::Blind(blind) if blind.reason.contains("may not read it: mode 0000")),
        "{:?}",
        inbox.seen
    );
    mode(0o600);
    inbox.until("the line", |seen| total(seen, "Connection refused") == 1).await;
    assert!(inbox.seen.contains(&Observation::Seen { source: path.display().to_string() }));
    // It was there when we began.
    assert!(inbox.batches().all(|batch| batch.lookback));
    cancel.cancel();
}
