//! supervisord's programs, by its own log: what it started, what entered which state, how it exited (supervisor/process.py,
//! `change_state`, `finish`, `give_up`). Its socket would tell the same, and needs its rights.

use std::{collections::BTreeMap, path::Path};

use jiff::tz::TimeZone;

use super::told::{Program, end_of};
use crate::{
    model::{ServiceExit, ServiceLife, logline::LineTime},
    sys::{Root, zone},
};

/// Where its log is, as Debian, RHEL and pip set it up.
const LOGS: [&str; 4] = [
    "/var/log/supervisor/supervisord.log",
    "/var/log/supervisord.log",
    "/var/log/supervisord/supervisord.log",
    "/tmp/supervisord.log",
];
/// Programs that are told, at most.
const PROGRAMS: usize = 64;

/// All programs of which the log tells.
pub(super) fn programs(root: &Root, now: i64) -> Vec<ServiceLife> {
    let zone = zone(root);
    let read = |path: &&'static str| end_of(root, Path::new(path)).map(|text| (*path, text));
    let Some((path, text)) = LOGS.iter().find_map(read) else { return Vec::new() };
    told(&text, path, &zone, now)
}

fn told(text: &str, path: &str, zone: &TimeZone, now: i64) -> Vec<ServiceLife> {
    let mut programs: BTreeMap<String, Program> = BTreeMap::new();
    for line in text.lines() {
        // `2026-11-21 02:17:40,123 INFO exited: app (exit status 1; not expected)`
        let Some((_, said)) = line.split_once(" INFO ").or_else(|| line.split_once(" WARN ")) else { continue };
        let Some((event, rest)) = said.split_once(": ") else { continue };
        let at = LineTime::leading(line).and_then(|(time, _)| time.second(zone, now));
        let name = match event {
            "spawned" => rest.split('\'').nth(1),
            "success" | "exited" | "stopped" | "gave up" | "spawnerr" => rest.split([' ', ',']).next(),
            _ => continue,
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        if programs.len() >= PROGRAMS && !programs.contains_key(name) {
            continue;
        }
        let program = programs.entry(name.to_owned()).or_default();
        match event {
            "spawned" => {
                program.started(at);
                program.life.pid = rest.rsplit(' ').next().and_then(|pid| pid.parse().ok());
            }
            "success" => program.state("active", "running", at),
            "stopped" => program.state("inactive", "dead", at),
            "gave up" => program.given_up(at),
            // `exited` may be followed by the next `spawned` at once.
            _ => program.ended(at),
        }
        if matches!(event, "exited" | "stopped" | "gave up") {
            program.life.pid = None;
        }
        if let Some(exit) = exit(rest) {
            program.life.exit = Some(exit);
        }
    }
    programs.into_iter().map(|(name, program)| program.life(name, "supervisord", path)).collect()
}

/// `(exit status 1; not expected)`, `(terminated by SIGKILL; not expected)` (supervisor/options.py, `decode_wait_status`).
fn exit(rest: &str) -> Option<ServiceExit> {
    if let Some((_, status)) = rest.split_once("(exit status ") {
        return status.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().map(ServiceExit::Status);
    }
    let (_, name) = rest.split_once("(terminated by ")?;
    let name = name.split([')', ';', ' ']).next()?;
    super::signal(name)
        .map(|signal| if rest.contains("core dumped") { ServiceExit::Dumped(signal) } else { ServiceExit::Signal(signal) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-21 02:10:00,001 INFO supervisord started with pid 7
2026-11-21 02:10:01,002 INFO spawned: 'shop' with pid 811
2026-11-21 02:10:02,003 INFO success: shop entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)
2026-11-21 02:10:02,003 INFO spawned: 'mail' with pid 812
2026-11-21 02:10:03,003 INFO success: mail entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)
2026-11-21 02:17:40,123 INFO exited: shop (terminated by SIGKILL; not expected)
2026-11-21 02:17:41,124 INFO spawned: 'shop' with pid 900
2026-11-21 02:17:41,200 INFO exited: shop (exit status 1; not expected)
2026-11-21 02:17:43,125 INFO spawned: 'shop' with pid 901
2026-11-21 02:17:43,200 INFO exited: shop (exit status 3; not expected)
";

    #[test]
    fn a_log_tells_how_programs_live_and_end() {
        let now = 1_795_227_600;
        let lives = told(LOG, "/var/log/supervisor/supervisord.log", &TimeZone::UTC, now);
        let [mail, shop] = lives.as_slice() else { panic!("two programs: {lives:?}") };
        assert!(mail.runs() && mail.pid == Some(812) && mail.restarts == Some(0));
        assert!(shop.restarts_now() && !shop.runs());
        assert_eq!((shop.exit, shop.restarts, shop.ended), (Some(ServiceExit::Status(3)), Some(2), Some(1_795_227_463)));
        let given_up =
            format!("{LOG}2026-11-21 02:17:44,1 INFO gave up: shop entered FATAL state, too many start retries too quickly\n");
        let lives = told(&given_up, "x", &TimeZone::UTC, now);
        assert!(lives[1].failed() && lives[1].result == "start-limit-hit");
        let stopped = format!("{LOG}2026-11-21 02:17:44,1 INFO stopped: mail (terminated by SIGTERM)\n");
        let lives = told(&stopped, "x", &TimeZone::UTC, now);
        assert_eq!((lives[0].active.as_str(), lives[0].exit), ("inactive", Some(ServiceExit::Signal(15))));
        assert!(told("\u{1b}[2J INFO spawned: \n INFO exited: \nINFO\n", "x", &TimeZone::UTC, now).is_empty());
    }
}
