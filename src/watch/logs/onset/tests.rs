//! Logs of any size that are in no file: their lines are made when they are read.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and shares of made logs: small and positive")]

use std::{fs, io::Write as _, path::Path, time::SystemTime};

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

use super::*;
use crate::{
    model::{COMBINED, LogFormat},
    sys::Root,
};

/// 2026-11-20T02:17:41Z.
const THEN: i64 = 1_795_141_061;
/// Bytes of a line.
const LINE: u64 = 256;

/// So long, so many lines a second, such a share of them failed.
#[derive(Debug, Clone, Copy)]
struct Phase {
    seconds: i64,
    rate: f64,
    share: f64,
}

const fn phase(seconds: i64, rate: f64, share: f64) -> Phase {
    Phase { seconds, rate, share }
}

/// A log of phases, the last of which ends at `end`.
struct Virtual {
    phases: Vec<(u64, i64, Phase)>,
    lines: u64,
    access: bool,
    zone: TimeZone,
    reads: u64,
}

impl Virtual {
    fn new(access: bool, end: i64, phases: &[Phase]) -> Self {
        let mut begin = end - phases.iter().map(|phase| phase.seconds).sum::<i64>();
        let mut lines = 0;
        let phases = phases.iter().map(|phase| {
            let all = (lines, begin, *phase);
            // A log of errors has the failures alone.
            let share = if access { 1.0 } else { phase.share };
            lines += (phase.seconds as f64 * phase.rate * share) as u64;
            begin += phase.seconds;
            all
        });
        Self { phases: phases.collect(), lines, access, zone: TimeZone::UTC, reads: 0 }
    }

    /// When the line was written, and whether it tells of a failure.
    fn at(&self, line: u64) -> (i64, bool) {
        let (first, begin, phase) = self.phases.iter().rev().find(|(first, ..)| *first <= line).expect("a phase");
        let rate = phase.rate * if self.access { 1.0 } else { phase.share };
        let noise = line.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        (begin + ((line - first) as f64 / rate) as i64, (noise as f64) < phase.share * f64::from(1 << 24) || !self.access)
    }

    fn text(&self, line: u64) -> String {
        let (second, sick) = self.at(line);
        let time = Timestamp::from_second(second).expect("a time").to_zoned(self.zone.clone());
        let mut text = if self.access {
            let status = if sick { 502 } else { 200 };
            format!("192.0.2.1 - - [{}] \"GET /{line} HTTP/1.1\" {status} 150 \"-\" \"", time.strftime("%d/%b/%Y:%H:%M:%S %z"))
        } else {
            format!(
                "{} [error] 7#7: *{line} connect() failed (111: Connection refused) while connecting to upstream, client: ::1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:9/\", host: \"",
                time.strftime("%Y/%m/%d %H:%M:%S")
            )
        };
        text.push_str(&"x".repeat(usize::try_from(LINE).expect("small") - 2 - text.len()));
        text.push_str("\"\n");
        text
    }

    fn source(&self) -> LogSource {
        let (kind, format) = if self.access {
            (SourceKind::Access, LogFormat::NginxAccess(COMBINED.to_owned()))
        } else {
            (SourceKind::Error, LogFormat::NginxError)
        };
        LogSource { path: "/var/log/nginx/a.log".into(), kind, format }
    }

    fn find(&mut self, now: i64) -> Option<LogOnset> {
        let source = self.source();
        let mut judge = Judge::new(&source.format, self.zone.clone(), now)?;
        in_probe(self, &mut judge, &source, now, None).map(|begin| begin.onset)
    }
}

impl Probe for Virtual {
    fn size(&self) -> u64 {
        self.lines * LINE
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let end = (offset + bytes.len() as u64).min(self.size());
        let (mut at, mut filled) = (offset, 0);
        while at < end {
            let line = self.text(at / LINE);
            let from = usize::try_from(at % LINE).expect("small");
            let take = usize::try_from((LINE - at % LINE).min(end - at)).expect("small");
            bytes[filled..filled + take].copy_from_slice(&line.as_bytes()[from..from + take]);
            (at, filled) = (at + take as u64, filled + take);
        }
        self.reads += 1;
        Ok(filled)
    }
}

/// Bytes that are there.
struct Bytes(Vec<u8>);

impl Probe for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(usize::try_from(offset).expect("small")..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

#[track_caller]
fn close(onset: &LogOnset, truth: i64) {
    let off = onset.second.abs_diff(truth);
    assert!(off <= u64::from(onset.uncertainty_s), "{off} s off, the truth is {truth}: {onset:#?}");
}

#[test]
fn in_ten_gigabytes_of_requests_the_second_is_found_by_reading_a_thousandth() {
    // Eight days at 60 requests a second; the last 13 minutes fail.
    let mut log = Virtual::new(true, THEN + 800, &[phase(8 * 86_400, 61.0, 0.002), phase(800, 60.0, 0.97)]);
    assert!(log.size() > 10 << 30, "{}", log.size());
    let onset = log.find(THEN + 800).expect("an onset");
    close(&onset, THEN);
    assert!(onset.uncertainty_s <= 2 && !onset.earlier, "{onset:#?}");
    assert!(onset.before.expect("known") < 0.05 && onset.now > 0.9, "{onset:#?}");
    assert!(onset.read_bytes < 10 << 20 && log.reads < 500, "{onset:#?}, {} reads", log.reads);
}

#[test]
fn in_ten_gigabytes_of_errors_too() {
    // An error log has nearly nothing until it breaks: years of it, and an outage of five days.
    let mut log = Virtual::new(false, THEN + 5 * 86_400, &[phase(400 * 86_400, 1.0, 0.01), phase(5 * 86_400, 100.0, 1.0)]);
    assert!(log.size() > 10 << 30, "{}", log.size());
    let onset = log.find(THEN + 5 * 86_400).expect("an onset");
    close(&onset, THEN);
    assert!(onset.uncertainty_s <= 2 && onset.before.expect("known") < 0.1 && onset.now > 50.0, "{onset:#?}");
    assert!(onset.read_bytes < 16 << 20, "{onset:#?}");
}

#[test]
fn an_outage_that_is_over_and_one_before_this_one_are_other_outages() {
    for access in [true, false] {
        let healthy = phase(900, 50.0, 0.0005);
        let phases = [phase(86_400, 50.0, 0.0005), phase(7200, 50.0, 0.9), healthy, phase(7200, 50.0, 0.9), healthy];
        assert_eq!(Virtual::new(access, THEN, &phases).find(THEN), None, "it is over");
        let mut again = [&phases[..], &[phase(300, 50.0, 0.9)]].concat();
        let onset = Virtual::new(access, THEN + 300, &again).find(THEN + 300).expect("an onset");
        close(&onset, THEN);
        // Also where this outage is much longer than the pause before it.
        again.push(phase(5 * 3600, 50.0, 0.9));
        let onset = Virtual::new(access, THEN + 300 + 5 * 3600, &again).find(THEN + 300 + 5 * 3600).expect("an onset");
        close(&onset, THEN);
    }
}

#[test]
fn a_healthy_log_and_an_empty_one_have_no_onset() {
    let healthy = [phase(86_400, 20.0, 0.000_5)];
    for (access, phases) in [(true, &healthy[..]), (false, &healthy), (true, &[]), (false, &[])] {
        assert_eq!(Virtual::new(access, THEN, phases).find(THEN), None);
    }
    // A log that nobody writes any more.
    assert_eq!(Virtual::new(false, THEN, &[phase(600, 20.0, 1.0)]).find(THEN + 86_400), None);
}

#[test]
fn where_all_of_it_is_sick_it_began_before() {
    for access in [true, false] {
        let onset = Virtual::new(access, THEN + 7200, &[phase(7200, 50.0, 0.8)]).find(THEN + 7200).expect("an onset");
        assert!(onset.earlier && onset.second == THEN && onset.before.is_none(), "{onset:#?}");
    }
}

#[test]
fn a_part_of_the_requests_and_a_slow_begin() {
    let one_in_twelve = [phase(86_400, 80.0, 0.001), phase(3600, 80.0, 0.08)];
    close(&Virtual::new(true, THEN + 3600, &one_in_twelve).find(THEN + 3600).expect("an onset"), THEN);
    // Failures grow over ten minutes: it began when they did.
    let grows = [phase(86_400, 40.0, 0.001), phase(300, 40.0, 0.3), phase(300, 40.0, 0.6), phase(1800, 40.0, 0.98)];
    close(&Virtual::new(true, THEN + 2400, &grows).find(THEN + 2400).expect("an onset"), THEN);
    // Few visitors at night, when it began.
    let night = [phase(86_400, 1.0, 0.001), phase(6 * 3600, 3.0, 1.0), phase(3600, 30.0, 1.0)];
    for access in [true, false] {
        close(&Virtual::new(access, THEN + 7 * 3600, &night).find(THEN + 7 * 3600).expect("an onset"), THEN);
    }
    // The one sick window at the begin has four failures of two minutes and some of a second: by itself it tells too low a rate.
    let few = [phase(7303, 41.333_510_31, 0.001), phase(31_027, 41.333_510_31, 0.312_019_071_8)];
    close(&Virtual::new(false, THEN + 31_027, &few).find(THEN + 31_027).expect("an onset"), THEN);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn whatever_was_before_the_last_pause_the_begin_is_found(
        access in any::<bool>(),
        before in proptest::collection::vec((600i64..20_000, 1.0f64..80.0, any::<bool>()), 0..8),
        pause in 900i64..40_000,
        last in 20i64..60_000,
        rate in 2.0f64..100.0,
        share in 0.3f64..1.0,
    ) {
        let mut phases: Vec<Phase> = before.iter().map(|(seconds, rate, sick)| phase(*seconds, *rate, if *sick { 0.9 } else { 0.001 })).collect();
        phases.extend([phase(pause, rate, 0.001), phase(last, rate, share)]);
        let onset = Virtual::new(access, THEN + last, &phases).find(THEN + last).expect("an onset");
        let off = onset.second.abs_diff(THEN);
        // Chance makes the first failures late, seldom by more than a few.
        let chance = (4.0 / (rate * share)).ceil() as u64;
        prop_assert!(off <= u64::from(onset.uncertainty_s) + chance, "{off} s off: {onset:#?}, {phases:?}");
        prop_assert!(onset.read_bytes < 24 << 20, "{onset:#?}");
    }
}

/// Lines of an error log, at these seconds.
fn errors(zone: &TimeZone, seconds: impl IntoIterator<Item = i64>) -> Vec<u8> {
    let mut log = Virtual::new(false, THEN, &[]);
    log.zone = zone.clone();
    let mut text = String::new();
    for second in seconds {
        log.phases = vec![(0, second, phase(1, 1.0, 1.0))];
        text.push_str(&log.text(0));
    }
    text.into_bytes()
}

fn in_bytes(bytes: Vec<u8>, zone: &TimeZone, now: i64) -> Option<LogOnset> {
    let source = Virtual::new(false, THEN, &[]).source();
    let mut judge = Judge::new(&source.format, zone.clone(), now)?;
    in_probe(&mut Bytes(bytes), &mut judge, &source, now, None).map(|begin| begin.onset)
}

#[test]
fn long_lines_lines_without_stamp_holes_and_stamps_that_go_back() {
    let mut log = errors(&TimeZone::UTC, [THEN - 90_000, THEN - 80_000]);
    for step in 0..6000 {
        // The stamps of workers that write at once go back a little, and many are equal.
        let second = THEN + step / 10 - if step % 7 == 3 { 2.min(step / 10) } else { 0 };
        log.extend(errors(&TimeZone::UTC, [second]));
        if step % 500 == 250 {
            log.extend(vec![b'y'; 300 << 10]);
            log.push(b'\n');
        }
        if step % 3 == 0 {
            log.extend(b"\tat com.example.Shop.cart(Shop.java:42)\n\0\0\xff\xfe\n");
        }
    }
    close(&in_bytes(log.clone(), &TimeZone::UTC, THEN + 600).expect("an onset"), THEN);
    // No line end at all, and nothing but noise.
    assert_eq!(in_bytes(vec![b'x'; 3 << 20], &TimeZone::UTC, THEN), None);
    assert_eq!(in_bytes(b"\n\n\xff\n".repeat(100_000), &TimeZone::UTC, THEN), None);
    // The end is in the middle of a huge line.
    log.extend(vec![b'z'; 700 << 10]);
    close(&in_bytes(log, &TimeZone::UTC, THEN + 600).expect("an onset"), THEN);
}

#[test]
fn over_midnight_new_year_and_the_change_of_clocks() {
    let berlin = TimeZone::get("Europe/Berlin").expect("the zone");
    for (begin, zone) in [
        ("2026-12-31T23:50:00Z", TimeZone::UTC),
        ("2026-12-31T22:50:00Z", berlin.clone()),
        // Clocks go forward at 01:00Z; what is 02:30 does not exist.
        ("2026-03-29T00:45:00Z", berlin.clone()),
        // Clocks go back at 01:00Z: 02:20 is at 00:20Z and at 01:20Z.
        ("2026-10-25T00:20:00Z", berlin.clone()),
        ("2026-10-25T01:20:00Z", berlin),
    ] {
        let begin: Timestamp = begin.parse().expect("a time");
        let begin = begin.as_second();
        let log = errors(&zone, [begin - 200_000, begin - 90_000].into_iter().chain((0..4 * 3600).map(|second| begin + second)));
        let onset = in_bytes(log, &zone, begin + 4 * 3600).expect("an onset");
        close(&onset, begin);
        assert!(onset.uncertainty_s < 60, "{onset:#?}");
    }
}

#[test]
fn a_container_that_writes_in_utc_on_a_host_in_berlin() {
    let berlin = TimeZone::get("Europe/Berlin").expect("the zone");
    let log = errors(&TimeZone::UTC, [THEN - 90_000, THEN - 80_000].into_iter().chain(THEN..THEN + 600));
    let source = Virtual::new(false, THEN, &[]).source();
    let now = THEN + 600;
    let mut judge = Judge::new(&source.format, berlin, now).expect("a judge");
    let mut find = |written| in_probe(&mut Bytes(log.clone()), &mut judge, &source, now, written);
    // Told in the log's own time, as its lines are; where they belong is found when more of them come.
    close(&find(Some(now)).expect("an onset").onset, THEN - 3600);
    // A log that ended an hour ago did.
    assert!(find(Some(now - 3600)).is_none());
}

proptest! {
    #[test]
    fn a_place_in_time_is_the_first_line_that_is_not_before_it(
        steps in proptest::collection::vec((0i64..50, 0usize..3, prop_oneof![9 => Just(0usize), 1 => Just(9000)]), 1..400),
        wanted in -10i64..5000,
    ) {
        let (mut log, mut second, mut truth) = (Vec::new(), THEN, None);
        for (step, junk, long) in steps {
            second += step;
            if truth.is_none() && second >= THEN + wanted {
                truth = Some(log.len() as u64);
            }
            log.extend(errors(&TimeZone::UTC, [second]));
            for _ in 0..junk {
                log.extend(b"  no stamp");
                log.extend(vec![b' '; long]);
                log.push(b'\n');
            }
        }
        let size = log.len() as u64;
        let mut judge = Judge::new(&LogFormat::NginxError, TimeZone::UTC, THEN + 100_000).expect("a judge");
        prop_assert_eq!(seek::place_of(&mut Bytes(log), &mut judge, THEN + wanted), Some(truth.unwrap_or(size)));
    }
}

/// Writes these seconds of errors to a file, packed by the real gzip where the name ends so, with the time of its last line.
fn put(dir: &Path, name: &str, seconds: std::ops::Range<i64>) {
    let path = dir.join(name.trim_end_matches(".gz"));
    let end = seconds.end;
    fs::write(&path, errors(&TimeZone::UTC, seconds)).expect("write");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(end).expect("after 1970"));
    fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(modified)).expect("time");
    if name.strip_suffix(".gz").is_some() {
        let packed = std::process::Command::new("gzip").arg("-f").arg(&path).status().expect("gzip runs");
        assert!(packed.success());
    }
}

async fn history(dir: &Path, now: i64) -> (LogOnset, Older) {
    let source = LogSource { path: dir.join("error.log"), ..Virtual::new(false, THEN, &[]).source() };
    let sys = Sys::new(Root::host(), false);
    let begin = begin(&sys, &source, &TimeZone::UTC, now).await.expect("an onset");
    let older = older(&sys, &source, &TimeZone::UTC, now, &begin).await;
    (begin.onset, older)
}

#[tokio::test]
async fn the_begin_is_found_in_the_files_that_the_log_was_rotated_to() {
    for names in [["error.log.1", "error.log.2.gz"], ["error.log-20261121", "error.log-20261120.gz"]] {
        let dir = tempfile::tempdir().expect("directory");
        put(dir.path(), "error.log", THEN + 4000..THEN + 5000);
        put(dir.path(), names[0], THEN + 2000..THEN + 4000);
        put(dir.path(), names[1], THEN..THEN + 2000);
        put(dir.path(), "error.log.3.gz", THEN - 100_000..THEN - 99_000);
        let (first, older) = history(dir.path(), THEN + 5000).await;
        assert!(first.earlier && first.second == THEN + 4000, "{first:#?}");
        let onset = older.onset.clone().expect("more is known");
        assert!(!onset.earlier, "{onset:#?}");
        close(&onset, THEN);
        assert_eq!(older.blind, []);
    }
}

#[tokio::test]
async fn what_is_packed_otherwise_or_damaged_is_told() {
    let dir = tempfile::tempdir().expect("directory");
    put(dir.path(), "error.log", THEN + 4000..THEN + 5000);
    put(dir.path(), "error.log.1", THEN + 2000..THEN + 4000);
    fs::write(dir.path().join("error.log.2.xz"), "xz").expect("write");
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(THEN).expect("after 1970"));
    let file = fs::File::options().append(true).open(dir.path().join("error.log.2.xz")).expect("open");
    file.set_modified(past).expect("time");
    let (_, older) = history(dir.path(), THEN + 5000).await;
    let onset = older.onset.clone().expect("more is known");
    assert!(onset.earlier && onset.second == THEN + 2000, "{onset:#?}");
    assert!(matches!(&older.blind[..], [spot] if spot.source.ends_with(".2.xz") && spot.remedy.contains("xzcat")), "{older:#?}");
    // Cut off in the middle: what is missing must not look like a pause.
    fs::remove_file(dir.path().join("error.log.2.xz")).expect("remove");
    put(dir.path(), "error.log.2.gz", THEN - 500..THEN + 2000);
    let packed = fs::read(dir.path().join("error.log.2.gz")).expect("read");
    let mut file = fs::File::create(dir.path().join("error.log.2.gz")).expect("create");
    file.write_all(&packed[..packed.len() / 2]).expect("write");
    file.set_modified(past).expect("time");
    let (_, older) = history(dir.path(), THEN + 5000).await;
    let onset = older.onset.clone().expect("more is known");
    assert!(onset.earlier && onset.second == THEN + 2000, "{onset:#?}");
    assert!(matches!(&older.blind[..], [spot] if spot.source.ends_with(".2.gz") && spot.reason.contains("damaged")), "{older:#?}");
}
