//! When the logs of a copied tree end: what is "now" for a host that does not run here. Its files say what failed when they were taken, and
//! the time of today says nothing about them.
//!
//! What must not be here: what the lines mean, and where a gateway's logs are (its configuration has not been read yet).

use std::path::{Path, PathBuf};

use crate::{
    model::logline::{self, TimeShape},
    sys::{FileKind, Root, zone},
};

/// Where logs are.
const LOGS: &str = "/var/log";
/// Directories within each other that are looked into.
const DEPTH: usize = 3;
/// Files that are looked at, at most.
const FILES: usize = 400;
/// Bytes of the end of each.
const TAIL_BYTES: u64 = 16 << 10;
/// Lines from the end of each: the last may be one that follows another.
const LINES: usize = 20;
/// What is older and packed is not what a log ends with.
const PACKED: &[&str] = &["gz", "xz", "bz2", "zst", "journal"];
/// Seconds by which a stamp may lie ahead of our own clock: the other host's was not ours.
const AHEAD_S: i64 = 86_400;

/// The newest stamp of the logs below a root, and of these, in seconds since the Unix epoch. `None`: no line has one. `today`: the time of
/// our own clock, for stamps without a year.
pub fn newest(root: &Root, named: &[PathBuf], today: i64) -> Option<i64> {
    let zone = zone(root);
    let mut files = named.to_vec();
    collect(root, Path::new(LOGS), DEPTH, &mut files);
    let tail = |path: &PathBuf| Some(String::from_utf8_lossy(&root.tail(path, TAIL_BYTES).ok()?.0).into_owned());
    let texts: Vec<String> = files.iter().filter_map(tail).collect();
    let times = || texts.iter().flat_map(|text| text.lines().rev().take(LINES)).filter_map(|line| logline::read(line).time);
    let last = |dated: bool, before: i64| {
        let seconds = times().filter(|time| dated == has_year(time.shape)).filter_map(|time| time.second(&zone, before));
        seconds.filter(|second| *second <= before).max()
    };
    // A copy may be years old: which year a stamp without one is of is told by those that have one.
    let dated = last(true, today.saturating_add(AHEAD_S));
    dated.max(last(false, dated.unwrap_or(today).saturating_add(AHEAD_S)))
}

fn has_year(shape: TimeShape) -> bool {
    match shape {
        TimeShape::Syslog | TimeShape::Klog => false,
        TimeShape::Slashed
        | TimeShape::Ctime
        | TimeShape::Clf
        | TimeShape::Php
        | TimeShape::Dashed
        | TimeShape::Rfc3339
        | TimeShape::W3c
        | TimeShape::Epoch => true,
    }
}

fn collect(root: &Root, dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for name in root.list_at_most(dir, FILES).unwrap_or_default() {
        let path = dir.join(name);
        if found.len() >= FILES {
            return;
        }
        match root.lstat(&path).map(|info| info.kind) {
            Ok(FileKind::Directory) if depth > 1 => collect(root, &path, depth - 1, found),
            Ok(FileKind::RegularFile) => {
                let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
                if !PACKED.contains(&end) {
                    found.push(path);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_ends_with_its_newest_line_whatever_the_clock_of_today_shows() {
        let dir = tempfile::tempdir().expect("directory");
        let write = |path: &str, text: &str| {
            let at = dir.path().join(path);
            std::fs::create_dir_all(at.parent().expect("parent")).expect("directory");
            std::fs::write(at, text).expect("file");
        };
        let root = Root::below(dir.path());
        let today = 1_800_000_000;
        assert_eq!(newest(&root, &[], today), None);
        write("var/log/nginx/error.log", "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed\n  more of it\n");
        assert_eq!(newest(&root, &[], today), Some(1_795_141_061));
        write(
            "var/log/messages",
            "Nov 20 02:17:45 gw1 systemd[1]: app.service: Failed with result 'oom-kill'.\n\u{1b}[2J garbage\n",
        );
        assert_eq!(newest(&root, &[], today), Some(1_795_141_065));
        // Years ahead: a line that somebody made up.
        write("var/log/odd.log", "2036/11/20 02:17:41 [error] 811#811: *5 x\n");
        write("srv/app.log", "2026/11/20 02:17:50 [error] 811#811: *5 x\n");
        assert_eq!(newest(&root, &["/srv/app.log".into()], today), Some(1_795_141_070));
        // The same years later: the line without a year is not of today's.
        assert_eq!(newest(&root, &[], today + 3 * 365 * 86_400), Some(1_795_141_065));
    }
}
