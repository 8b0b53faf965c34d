//! pm2's applications, by its log and pid files: each daemon is known by its title, which names its home (pm2: lib/God.js,
//! lib/God/ForkMode.js).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;

use super::told::{Program, end_of};
use crate::{
    model::{ProcessInfo, ServiceExit, ServiceLife, logline::LineTime},
    sys::{Root, zone},
};

/// Daemons, one for each user, and applications that are told, at most.
const DAEMONS: usize = 8;
const APPLICATIONS: usize = 64;

/// All applications of all daemons that run.
pub(super) fn applications(root: &Root, processes: &[ProcessInfo], now: i64) -> Vec<ServiceLife> {
    let zone = zone(root);
    let homes = processes.iter().filter_map(|process| home(process.argv.first()?)).take(DAEMONS);
    let of = |home: PathBuf| {
        let path = home.join("pm2.log");
        let text = end_of(root, &path).unwrap_or_default();
        let mut lives = told(&text, &path.display().to_string(), &zone, now);
        for (life, file) in &mut lives {
            let pid = root.text(home.join("pids").join(file)).ok();
            life.pid = pid.and_then(|pid| pid.trim().parse().ok()).filter(|_| life.runs());
        }
        lives.into_iter().map(|(life, _)| life)
    };
    homes.flat_map(of).collect()
}

/// `PM2 v5.3.0: God Daemon (/root/.pm2)`.
fn home(title: &str) -> Option<PathBuf> {
    let (head, rest) = title.split_once(": God Daemon (")?;
    let home = Path::new(rest.split_once(')')?.0);
    (head.starts_with("PM2 v") && home.is_absolute()).then(|| home.to_owned())
}

/// The applications of a log, each with the name of its pid file.
fn told(text: &str, path: &str, zone: &TimeZone, now: i64) -> Vec<(ServiceLife, String)> {
    let mut all: BTreeMap<(String, String), Program> = BTreeMap::new();
    for line in text.lines() {
        // `2026-11-21T02:17:40: PM2 log: App [shop:0] exited with code [1] via signal [SIGINT]`
        let Some((_, said)) = line.split_once("PM2 ") else { continue };
        let bracket = said.split_once("App [").or_else(|| said.split_once("App name:")).map(|(_, rest)| rest);
        let at = LineTime::leading(line).and_then(|(time, _)| time.second(zone, now));
        let Some((name, rest)) = bracket.and_then(|rest| rest.split_once([']', ' '])) else {
            // `PM2 | Script /srv/shop/app.js had too many unstable restarts (16). Stopped. "errored"`
            if said.contains("too many unstable restarts")
                && let Some(program) =
                    all.values_mut().filter(|program| !program.life.runs()).max_by_key(|program| program.life.since)
            {
                program.given_up(at);
            }
            continue;
        };
        let Some((name, id)) = name.rsplit_once(':').filter(|(name, _)| !name.is_empty()) else { continue };
        let key = (name.to_owned(), id.trim_start_matches("id:").to_owned());
        if all.len() >= APPLICATIONS && !all.contains_key(&key) {
            continue;
        }
        let program = all.entry(key).or_default();
        if rest.contains("starting in") {
            program.started(at);
        } else if rest.contains("online") {
            program.state("active", "running", at);
        } else if let Some((_, code)) = rest.split_once("exited with code [") {
            program.ended(at);
            // A process that a signal ended has no code of its own, and pm2 tells SIGINT of all others.
            let number = code.split(']').next().and_then(|code| code.parse::<i32>().ok());
            let signal = code.split_once("signal [").and_then(|(_, name)| super::signal(name.split(']').next()?));
            program.life.exit = match (number, signal) {
                (Some(0), Some(signal)) if signal != SIGINT => Some(ServiceExit::Signal(signal)),
                (number, _) => number.map(ServiceExit::Status),
            };
        } else if rest.contains("stopped") {
            program.state("inactive", "dead", at);
        }
    }
    let done = |((name, id), program): ((String, String), Program)| {
        let file = format!("{}-{id}.pid", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        (program.life(name, "pm2", path), file)
    };
    all.into_iter().map(done).collect()
}

/// signal(7).
const SIGINT: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-21T02:10:00: PM2 log: App [shop:0] starting in -fork mode-
2026-11-21T02:10:00: PM2 log: App [shop:0] online
2026-11-21T02:10:01: PM2 log: App [mail:1] starting in -cluster mode-
2026-11-21T02:10:01: PM2 log: App [mail:1] online
2026-11-21T02:17:40: PM2 log: App [shop:0] exited with code [1] via signal [SIGINT]
2026-11-21T02:17:40: PM2 log: App [shop:0] starting in -fork mode-
2026-11-21T02:17:40: PM2 log: App [shop:0] online
2026-11-21T02:17:41: PM2 log: App [shop:0] exited with code [1] via signal [SIGINT]
";

    #[test]
    fn a_log_tells_how_applications_live_and_end() {
        let now = 1_795_227_600;
        let of = |text: &str| told(text, "/root/.pm2/pm2.log", &TimeZone::UTC, now);
        let lives = of(LOG);
        let [(mail, file), (shop, _)] = lives.as_slice() else { panic!("two applications: {lives:?}") };
        assert!(mail.runs() && mail.restarts == Some(0) && file == "mail-1.pid");
        assert!(shop.restarts_now());
        assert_eq!((shop.exit, shop.restarts), (Some(ServiceExit::Status(1)), Some(1)));
        let killed = of("2026-11-21T02:17:41: PM2 log: App [shop:0] exited with code [0] via signal [SIGKILL]\n");
        assert_eq!(killed[0].0.exit, Some(ServiceExit::Signal(9)));
        let gone = of(&format!(
            "{LOG}2026-11-21T02:17:42: PM2 log: Script /srv/shop/app.js had too many unstable restarts (16). Stopped. \"errored\"\n"
        ));
        assert!(gone[1].0.failed() && gone[0].0.runs());
        assert!(of("PM2 App [\nPM2 log: App [:] x\nPM2 log: App [a] online\n\u{1b}[2J").is_empty());
    }

    #[test]
    fn the_daemon_names_its_home() {
        assert_eq!(home("PM2 v5.3.0: God Daemon (/home/bob/.pm2)"), Some("/home/bob/.pm2".into()));
        assert_eq!(home("node /srv/app.js"), None);
        assert_eq!(home("PM2 v5.3.0: God Daemon (../..)"), None);
    }
}
