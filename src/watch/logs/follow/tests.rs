mod random;

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::{
    sys::Root,
    watch::logs::reading::{BEHIND_BYTES, LOOKBACK_BYTES, UNFINISHED_MS},
};

/// Lines, whether they were there before, and how many were passed over.
#[derive(Debug, Default)]
struct Seen {
    lines: Vec<(String, bool)>,
    longest: u64,
    dropped: u64,
}

impl Sink for Seen {
    fn line(&mut self, line: &[u8], length: u64, lookback: bool) {
        self.longest = self.longest.max(length);
        self.lines.push((String::from_utf8_lossy(line).into_owned(), lookback));
    }
    fn dropped(&mut self, lines: u64) {
        self.dropped += lines;
    }
}

/// A file that is followed by hand, look by look: no test has to wait.
struct Bench {
    dir: tempfile::TempDir,
    follower: Follower,
    seen: Seen,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let follower = Follower::new(Sys::new(Root::host(), false), dir.path().join("log"));
        Self { dir, follower, seen: Seen::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).expect("open");
        file.write_all(text.as_bytes()).expect("write");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    fn now(&self) -> u64 {
        self.follower.sys.clock.now().run_ms
    }

    /// Looks until nothing is left to be read.
    async fn look(&mut self) -> Sight {
        loop {
            let looked = self.follower.look(&mut self.seen).await;
            if !looked.more {
                return looked.sight;
            }
        }
    }

    /// What came since this was asked last.
    fn came(&mut self) -> Vec<String> {
        self.seen.lines.drain(..).map(|(line, _)| line).collect()
    }

    async fn looks(&mut self, expected: &[&str]) {
        self.look().await;
        assert_eq!(self.came(), expected);
    }
}

#[tokio::test]
async fn rename_and_create_loses_nothing_also_not_what_is_written_late() {
    let mut bench = Bench::new();
    bench.append("log", "1\n");
    bench.looks(&["1"]).await;
    bench.append("log", "2\n");
    bench.rename("log", "log.1");
    bench.append("log.1", "3\n");
    bench.append("log", "new 1\n");
    bench.looks(&["2", "3", "new 1"]).await;
    bench.append("log.1", "4\n");
    bench.append("log", "new 2\n");
    bench.looks(&["4", "new 2"]).await;
    bench.rename("log", "log.2");
    bench.append("log.2", "new 3\n");
    // No successor yet.
    bench.looks(&["new 3"]).await;
    bench.append("log", "newer\n");
    bench.looks(&["newer"]).await;
}

#[tokio::test]
async fn copytruncate_and_truncate_and_regrow() {
    let mut bench = Bench::new();
    bench.append("log", "first line\nsecond line\n");
    bench.looks(&["first line", "second line"]).await;
    fs::copy(bench.path("log"), bench.path("log.1")).expect("copy");
    File::options().write(true).open(bench.path("log")).expect("open").set_len(0).expect("truncate");
    bench.looks(&[]).await;
    bench.append("log", "3\n");
    bench.looks(&["3"]).await;
    // Truncated and grown beyond the old place between two looks.
    fs::write(bench.path("log"), "a\nb\nc\nd\n").expect("write");
    bench.looks(&["a", "b", "c", "d"]).await;
    // And to the very same size.
    fs::write(bench.path("log"), "e\nf\ng\nh\n").expect("write");
    bench.looks(&["e", "f", "g", "h"]).await;
}

#[tokio::test]
async fn a_writer_that_does_not_append_leaves_zeros_that_are_no_text() {
    let mut bench = Bench::new();
    let mut writer = File::create(bench.path("log")).expect("create");
    writer.write_all(b"before\n").expect("write");
    bench.looks(&["before"]).await;
    File::options().write(true).open(bench.path("log")).expect("open").set_len(0).expect("truncate");
    bench.looks(&[]).await;
    writer.write_all(b"after\n").expect("write");
    bench.looks(&["after"]).await;
}

#[tokio::test]
async fn deleted_and_created_again_and_late_creation() {
    let mut bench = Bench::new();
    assert_eq!(bench.look().await, Sight::Missing);
    let mut writer = File::create(bench.path("log")).expect("create");
    writer.write_all(b"1\n").expect("write");
    assert_eq!(bench.look().await, Sight::Open);
    // It was created after we began: no look back.
    assert_eq!(bench.seen.lines, [("1".to_owned(), false)]);
    bench.came();
    fs::remove_file(bench.path("log")).expect("remove");
    writer.write_all(b"2\n").expect("write");
    bench.looks(&["2"]).await;
    writer.write_all(b"3\n").expect("write");
    bench.append("log", "new\n");
    bench.looks(&["3", "new"]).await;
}

#[tokio::test]
async fn a_symlink_that_is_swapped() {
    let mut bench = Bench::new();
    bench.append("monday", "mo 1\n");
    bench.append("tuesday", "tu 1\n");
    symlink("monday", bench.path("log")).expect("symlink");
    bench.looks(&["mo 1"]).await;
    bench.append("monday", "mo 2\n");
    symlink("tuesday", bench.path("log.new")).expect("symlink");
    bench.rename("log.new", "log");
    bench.looks(&["mo 2", "tu 1"]).await;
    bench.append("tuesday", "tu 2\n");
    bench.looks(&["tu 2"]).await;
}

#[tokio::test]
async fn a_partial_line_waits_for_its_end_over_a_rotation_too() {
    let mut bench = Bench::new();
    bench.append("log", "one\ntw");
    bench.looks(&["one"]).await;
    bench.append("log", "o");
    bench.looks(&[]).await;
    bench.append("log", "\nthr");
    bench.looks(&["two"]).await;
    bench.rename("log", "log.1");
    bench.append("log", "next\n");
    bench.looks(&["next"]).await;
    bench.append("log.1", "ee\n");
    bench.looks(&["three"]).await;
}

#[tokio::test]
async fn what_is_no_log_is_said_and_a_log_in_its_place_is_read() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path("log")).expect("directory");
    assert!(matches!(bench.look().await, Sight::Other(reason) if reason.contains("is a directory")));
    fs::remove_dir(bench.path("log")).expect("remove");
    mknodat(CWD, bench.path("log"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("fifo");
    assert!(matches!(bench.look().await, Sight::Other(reason) if reason.contains("is a FIFO")));
    fs::remove_file(bench.path("log")).expect("remove");
    symlink("/dev/stdout", bench.path("log")).expect("symlink");
    assert_eq!(bench.look().await, Sight::Stream);
    fs::remove_file(bench.path("log")).expect("remove");
    bench.append("log", "text\n");
    assert_eq!(bench.look().await, Sight::Open);
    assert_eq!(bench.came(), ["text"]);
}

#[tokio::test]
async fn the_look_back_is_bounded_and_begins_with_a_whole_line() {
    let mut bench = Bench::new();
    // 64 bytes with the line end: the look back begins exactly where a line does.
    let line = |number: usize| format!("{number:0>63}\n");
    let count = 3 * usize::try_from(LOOKBACK_BYTES).expect("small") / 64;
    bench.append("log", &(0..count).map(line).collect::<String>());
    bench.look().await;
    assert!(bench.seen.lines.iter().all(|(line, lookback)| line.len() == 63 && *lookback));
    assert_eq!(bench.seen.lines.len() as u64, LOOKBACK_BYTES / 64);
    assert_eq!(bench.seen.lines.last().map(|(line, _)| line.clone()), Some(line(count - 1).trim().to_owned()));
    bench.came();
    bench.append("log", "live\n");
    bench.look().await;
    assert_eq!((&bench.seen.lines[..], bench.seen.dropped), (&[("live".to_owned(), false)][..], 0));
}

#[tokio::test]
async fn a_flood_is_cut_in_the_middle_and_every_line_of_it_counted() {
    let mut bench = Bench::new();
    bench.append("log", "first\n");
    bench.looks(&["first"]).await;
    let count = usize::try_from(BEHIND_BYTES).expect("small") / 50 * 2;
    let text: Vec<String> = (0..count).map(|number| format!("{number:0>49}")).collect();
    bench.append("log", &(text.join("\n") + "\n"));
    bench.look().await;
    assert!(bench.seen.dropped > 0);
    assert_eq!(bench.seen.lines.len() as u64 + bench.seen.dropped, count as u64);
    assert_eq!(bench.seen.lines.last().expect("lines").0, format!("{:0>49}", count - 1));
}

#[tokio::test]
async fn binary_noise_is_lines_too() {
    let mut bench = Bench::new();
    fs::write(bench.path("log"), b"a\r\n\xff\xfe\x1b[2J\n\0\0b\0c\n\n").expect("write");
    bench.looks(&["a", "\u{fffd}\u{fffd}\u{1b}[2J", "b\0c"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_words_of_a_dead_process_are_told_without_their_end() {
    let mut bench = Bench::new();
    bench.append("log", "one\nthe last wo");
    let mtime = std::time::SystemTime::now();
    File::options().append(true).open(bench.path("log")).and_then(|file| file.set_modified(mtime)).expect("time");
    bench.looks(&["one"]).await;
    tokio::time::advance(Duration::from_millis(UNFINISHED_MS - 500)).await;
    bench.looks(&[]).await;
    let now = bench.now();
    assert!(bench.follower.due(now).is_some_and(|due| due > now && due <= now + 1000), "it is to be looked at soon");
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.looks(&["the last wo"]).await;
    bench.looks(&[]).await;
    // Whoever is started in its place goes on behind them.
    bench.append("log", "started\n");
    bench.looks(&["started"]).await;
    bench.append("log", "slow");
    bench.looks(&[]).await;
    tokio::time::advance(Duration::from_millis(UNFINISHED_MS)).await;
    bench.looks(&["slow"]).await;
    bench.append("log", "\n");
    bench.looks(&[]).await;
}

#[tokio::test]
async fn a_line_that_was_left_unfinished_long_ago_is_told_at_once() {
    let mut bench = Bench::new();
    bench.append("log", "one\nkilled in the mid");
    let mtime = std::time::SystemTime::now() - Duration::from_mins(1);
    File::options().append(true).open(bench.path("log")).and_then(|file| file.set_modified(mtime)).expect("time");
    bench.look().await;
    bench.look().await;
    assert_eq!(bench.seen.lines, [("one".to_owned(), true), ("killed in the mid".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_renamed_file_is_followed_until_its_successor_is_written_to() {
    let mut bench = Bench::new();
    bench.append("log", "1\n");
    bench.looks(&["1"]).await;
    bench.rename("log", "log.1");
    bench.append("log", "");
    bench.looks(&[]).await;
    // A gateway that nobody told to reopen its logs.
    tokio::time::advance(Duration::from_millis(10 * LINGER_MS)).await;
    bench.looks(&[]).await;
    bench.append("log.1", "2\n");
    bench.looks(&["2"]).await;
    assert_eq!(bench.follower.files().len(), 2);
    tokio::time::advance(Duration::from_millis(1)).await;
    bench.append("log", "3\n");
    bench.looks(&["3"]).await;
    tokio::time::advance(Duration::from_millis(LINGER_MS)).await;
    bench.looks(&[]).await;
    bench.looks(&[]).await;
    assert_eq!(bench.follower.files().len(), 1, "its space is not held any more");
}

#[tokio::test(start_paused = true)]
async fn a_large_file_that_was_deleted_is_let_go() {
    let mut bench = Bench::new();
    let file = File::create(bench.path("log")).expect("create");
    file.set_len(100 << 20).expect("a file with a hole");
    bench.look().await;
    fs::remove_file(bench.path("log")).expect("remove");
    assert_eq!(bench.look().await, Sight::Open);
    tokio::time::advance(Duration::from_millis(LINGER_MS)).await;
    assert_eq!(bench.look().await, Sight::Missing);
    assert_eq!(bench.follower.files().len(), 0, "whoever deleted it wants its space");
}

#[tokio::test]
async fn a_line_of_a_gigabyte_is_told_by_its_beginning_and_length() {
    let mut bench = Bench::new();
    bench.append("log", "before\nit begins ");
    bench.looks(&["before"]).await;
    let file = File::options().append(true).open(bench.path("log")).expect("open");
    let step = BEHIND_BYTES / 2;
    for end in (1..=(1 << 30) / step).map(|part| part * step) {
        file.set_len(end).expect("a file with a hole");
        bench.look().await;
        assert!(bench.seen.lines.is_empty());
    }
    bench.append("log", "\nafter\n");
    bench.look().await;
    let [(line, _), (after, _)] = &bench.seen.lines[..] else { panic!("{} lines", bench.seen.lines.len()) };
    assert!(line.starts_with("it begins \0") && line.len() == crate::watch::logs::lines::LINE_BYTES);
    assert_eq!((after.as_str(), bench.seen.longest, bench.seen.dropped), ("after", (1 << 30) - 7, 0));
    // One that came while nobody looked.
    bench.came();
    file.set_len(2 << 30).expect("a file with a hole");
    bench.append("log", "\nend\n");
    bench.look().await;
    assert_eq!((bench.came(), bench.seen.dropped), (vec!["end".to_owned()], 1));
}

#[tokio::test]
async fn what_copytruncate_cut_off_is_read_from_the_copy() {
    let mut bench = Bench::new();
    bench.append("log", "1\n");
    bench.looks(&["1"]).await;
    fs::write(bench.path("log.1"), "another log of old\n").expect("write");
    bench.append("log", "2\nthr");
    bench.looks(&["2"]).await;
    bench.append("log", "ee\n4\n");
    fs::copy(bench.path("log"), bench.path("log.2")).expect("copy");
    File::options().write(true).open(bench.path("log")).expect("open").set_len(0).expect("truncate");
    bench.append("log", "5\n");
    bench.looks(&["5", "three", "4"]).await;
    bench.append("log", "6\n");
    bench.looks(&["6"]).await;
    // Not a copy, but another log that is longer.
    fs::write(bench.path("log.3"), "x\n".repeat(100)).expect("write");
    fs::write(bench.path("log"), "7\n").expect("write");
    bench.looks(&["7"]).await;
}
