//! Lines of the logs of package managers.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::packages::{Action, Run, Step};
use crate::model::logline::LineTime;

/// Characters of a name or command that are kept.
const NAME_CHARS: usize = 80;

fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS).collect()
}

fn civil(text: &str, zone: &TimeZone) -> Option<i64> {
    let at = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    at.to_zoned(zone.clone()).ok().map(|at| at.timestamp().as_second())
}

/// `2026-11-21 02:17:40 upgrade php8.2-fpm:amd64 8.2.28-1 8.2.29-1` (dpkg(1), in local time).
pub(in crate::watch) fn dpkg(line: &str, zone: &TimeZone, _now: i64) -> Option<Step> {
    let (at, rest) = line.split_at_checked(19)?;
    let mut words = rest.split_ascii_whitespace();
    let action = match words.next()? {
        "install" => Action::Installed,
        "upgrade" => Action::Upgraded,
        "remove" | "purge" => Action::Removed,
        _ => return None,
    };
    let package = words.next()?.split(':').next()?;
    let (old, new) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let versions = match action {
        Action::Upgraded | Action::Downgraded => format!("{} -> {}", short(old), short(new)),
        Action::Installed => short(new),
        Action::Removed => short(old),
    };
    Some(Step { at: civil(at, zone)?, action, package: short(package), versions })
}

/// `2026-11-21T02:17:40+0000 SUBDEBUG Upgraded: nginx-1:1.20.1-14.el9.x86_64` (dnf's rpm log).
pub(in crate::watch) fn dnf(line: &str, zone: &TimeZone, now: i64) -> Option<Step> {
    let (time, rest) = LineTime::leading(line)?;
    let rest = rest.trim_start_matches('Z').trim_start();
    let (_, rest) = rest.split_once(' ')?;
    rpm(rest.trim_start(), time.second(zone, now)?)
}

/// `Nov 21 02:17:40 Updated: 1:nginx-1.20.1-10.el7.x86_64` (yum.conf(5) logfile).
pub(in crate::watch) fn yum(line: &str, zone: &TimeZone, now: i64) -> Option<Step> {
    let (time, rest) = LineTime::leading(line)?;
    rpm(rest.trim_start(), time.second(zone, now)?)
}

/// `Upgrade: nginx-1:1.20.1-14.el9.x86_64`
fn rpm(text: &str, at: i64) -> Option<Step> {
    let (action, name) = text.split_once(": ")?;
    let action = match action {
        "Installed" => Action::Installed,
        // What is upgraded is told with both its versions: `Upgrade` names the new one, `Upgraded` the old one, yum's `Updated` the new one.
        "Upgrade" | "Updated" => Action::Upgraded,
        "Downgrade" => Action::Downgraded,
        "Erase" | "Erased" | "Removed" => Action::Removed,
        _ => return None,
    };
    // `name-[epoch:]version-release.architecture`; yum writes the epoch in front.
    let name = name.trim();
    let name =
        name.split_once(':').filter(|(epoch, _)| epoch.bytes().all(|byte| byte.is_ascii_digit())).map_or(name, |(_, name)| name);
    let mut parts = name.rsplitn(3, '-');
    let (release, version, package) = (parts.next()?, parts.next()?, parts.next()?);
    let release = release.rsplit_once('.').map_or(release, |(release, _)| release);
    Some(Step { at, action, package: short(package), versions: short(&format!("{version}-{release}")) })
}

/// `2026-11-21 02:17:40|install|nginx|1.21.5-1|x86_64|root@gw1|repo|...` (zypper's history).
pub(in crate::watch) fn zypper(line: &str, zone: &TimeZone, _now: i64) -> Option<Step> {
    let mut fields = line.split('|');
    let at = civil(fields.next()?, zone)?;
    let action = match fields.next()?.trim() {
        "install" => Action::Installed,
        "remove" => Action::Removed,
        _ => return None,
    };
    let (package, version) = (fields.next()?, fields.next().unwrap_or_default());
    Some(Step { at, action, package: short(package), versions: short(version) })
}

/// `[2026-11-21T02:17:40+0000] [ALPM] upgraded nginx (1.26.1-1 -> 1.26.2-1)`
pub(in crate::watch) fn pacman(line: &str, _zone: &TimeZone, _now: i64) -> Option<Step> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] [ALPM] ")?;
    let at = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", stamp).ok()?.as_second();
    let (action, rest) = rest.split_once(' ')?;
    let action = match action {
        "installed" => Action::Installed,
        "upgraded" => Action::Upgraded,
        "downgraded" => Action::Downgraded,
        "removed" => Action::Removed,
        _ => return None,
    };
    let (package, versions) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Step { at, action, package: short(package), versions: short(versions.trim_matches(['(', ')'])) })
}

/// The runs in apt's history: paragraphs with `Start-Date`, `Commandline`, `Requested-By`, `End-Date`.
pub(in crate::watch) fn apt_runs(text: &str, zone: &TimeZone, now: i64) -> Vec<Run> {
    let date = |text: &str| civil(&text.split_ascii_whitespace().collect::<Vec<_>>().join(" "), zone);
    let mut runs = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut run = Run { to: now, ..Run::default() };
        for line in paragraph.lines() {
            match line.split_once(": ") {
                Some(("Start-Date", at)) => run.from = date(at).unwrap_or(0),
                Some(("End-Date", at)) => run.to = date(at).unwrap_or(now),
                // The program and what it was to do; what it was told beyond that is nobody's business.
                Some(("Commandline", command)) => {
                    let mut words = command.split_ascii_whitespace();
                    let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                    let verb = words.find(|word| !word.starts_with('-') && !word.contains('='));
                    run.command = short(verb.map_or_else(|| program.to_owned(), |verb| format!("{program} {verb}")).as_str());
                }
                Some(("Requested-By", who)) => run.by = Some(short(who.split(' ').next().unwrap_or_default())),
                _ => {}
            }
        }
        if run.from > 0 {
            runs.push(run);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T02:17:40Z.
    const AT: i64 = 1_795_227_460;

    fn step(at: i64, action: Action, package: &str, versions: &str) -> Step {
        Step { at, action, package: package.into(), versions: versions.into() }
    }

    #[test]
    fn each_log_is_read() {
        let utc = TimeZone::UTC;
        let now = AT + 60;
        assert_eq!(
            dpkg("2026-11-21 02:17:40 upgrade php8.2-fpm:amd64 8.2.28-1~deb12u1 8.2.29-1~deb12u1", &utc, now),
            Some(step(AT, Action::Upgraded, "php8.2-fpm", "8.2.28-1~deb12u1 -> 8.2.29-1~deb12u1"))
        );
        for noise in [
            "2026-11-21 02:17:40 status half-configured php8.2-fpm:amd64 8.2.29-1",
            "2026-11-21 02:17:40 startup archives unpack",
            "2026-11-21 02:17:40 trigproc man-db:amd64 2.11.2-2 <none>",
            "garbage",
            "2026-99-99 02:17:40 upgrade x 1 2",
            "",
        ] {
            assert_eq!(dpkg(noise, &utc, now), None, "{noise}");
        }
        assert_eq!(
            dnf("2026-11-21T02:17:40+0000 SUBDEBUG Upgrade: nginx-core-2:1.20.1-14.el9.x86_64", &utc, now),
            Some(step(AT, Action::Upgraded, "nginx-core", "2:1.20.1-14.el9"))
        );
        assert_eq!(
            dnf("2026-11-21T02:17:40+0000 SUBDEBUG Upgraded: nginx-core-2:1.20.1-13.el9.x86_64", &utc, now),
            None,
            "its old version"
        );
        assert_eq!(
            yum("Nov 21 02:17:40 Updated: 1:nginx-1.20.1-10.el7.x86_64", &utc, now),
            Some(step(AT, Action::Upgraded, "nginx", "1.20.1-10.el7"))
        );
        assert_eq!(
            zypper("2026-11-21 02:17:40|install|nginx|1.21.5-1|x86_64|root@gw1|repo|abc|", &utc, now),
            Some(step(AT, Action::Installed, "nginx", "1.21.5-1"))
        );
        assert_eq!(
            pacman("[2026-11-21T02:17:40+0000] [ALPM] upgraded nginx (1.26.1-1 -> 1.26.2-1)", &utc, now),
            Some(step(AT, Action::Upgraded, "nginx", "1.26.1-1 -> 1.26.2-1"))
        );
    }

    #[test]
    fn a_run_of_apt_tells_who_and_how() {
        let text = "\nStart-Date: 2026-11-21  02:17:38\nCommandline: apt-get -y -o X=secret upgrade\nRequested-By: bob (1000)\n\
            Upgrade: php8.2-fpm:amd64 (8.2.28, 8.2.29)\nEnd-Date: 2026-11-21  02:17:45\n\nStart-Date: bad\n";
        let run = Run { from: AT - 2, to: AT + 5, command: "apt-get upgrade".into(), by: Some("bob".into()) };
        assert_eq!(apt_runs(text, &TimeZone::UTC, AT + 60), [run]);
    }
}
