//! php-fpm's own log: `[20-Nov-2026 23:36:49] WARNING: [pool www] child 172 exited on signal 11 ...` (sapi/fpm/fpm/zlog.c); by
//! syslog `[WARNING] [pool www] ...`.
//!
//! With `log_level = debug` the second has its fraction, and the place in the source stands behind the level: `[20-Nov-2026
//! 23:36:49.123456] WARNING: pid 811, fpm_children_bury(), line 252: [pool www] ...`; the fpm of PHP 5.2 wrote `Nov 20 23:36:49.123456
//! [WARNING] fpm_children_bury(), line 215: ...`.
//!
//! Script and request stand behind what fpm says: `[pool www] child 783, execution timed out (3.3 sec), terminating: script
//! '/srv/slow.php'`. What a worker wrote is read as PHP's own words.

use super::{Carried, Dialect, Entry, Level, LineTime, TimeShape, php, trace::first_line};

/// fpm's words for levels (zlog.c, `level_names`).
const LEVELS: [&str; 5] = ["DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"];
/// What a worker wrote, as fpm hands it on (fpm_stdio.c, `catch_workers_output`).
const SAID: [&str; 2] = [" said into stderr: \"", " said into stdout: \""];

/// Reads a line of php-fpm.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = first_line(carried.text);
    let (time, level, said) = match text.strip_prefix('[').and_then(|text| TimeShape::Php.leading(text)) {
        Some((time, rest)) => {
            let (level, said) = unfractioned(rest).strip_prefix("] ")?.split_once(": ")?;
            (Some(time), level, placeless(said))
        }
        None if carried.program.is_some_and(|program| program.contains("fpm")) => {
            let (level, said) = text.strip_prefix('[')?.split_once("] ")?;
            (None, level, said)
        }
        None => old(text).or_else(|| bare(text))?,
    };
    if !LEVELS.contains(&level) {
        return None;
    }
    let entry = Entry { dialect: Dialect::PhpFpm, time, level: Level::parse(level), ..Entry::default() };
    if let Some((at, words)) = SAID.iter().find_map(|said_by| said.split_once(said_by)) {
        let words = words.strip_suffix('"').unwrap_or(words);
        let pid = at.rsplit(' ').next().and_then(|pid| pid.parse().ok());
        return Some(match php::message(words) {
            Some((level, message)) => Entry { dialect: Dialect::Php, level: Some(level), pid, message: message.into(), ..entry },
            None => Entry { pid, message: said.into(), ..entry },
        });
    }
    Some(match of_script(said) {
        Some((message, request)) => Entry { message: message.into(), request: Some(request.into()), ..entry },
        None => Entry { message: said.into(), ..entry },
    })
}

/// What stands behind the fraction of a second, where there is one (zlog.c, `zlog_print_time`).
fn unfractioned(rest: &str) -> &str {
    rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A message without the place in the source that stands before it: `pid 811, fpm_children_bury(), line 252: ` (zlog.c, `vzlog`), of
/// the fpm of PHP 5.2 without the process.
fn placeless(said: &str) -> &str {
    let placed = said.strip_prefix("pid ").and_then(|rest| rest.split_once(", ")).map_or(said, |(_, rest)| rest);
    let behind = placed.strip_prefix("fpm_").or_else(|| placed.strip_prefix("zlog_")).and_then(|rest| rest.split_once("(), line "));
    match behind.and_then(|(_, rest)| rest.split_once(": ")) {
        Some((line, behind)) if line.bytes().all(|byte| byte.is_ascii_digit()) => behind,
        Some(_) | None => said,
    }
}

/// `Nov 20 23:36:49.123456 [WARNING] fpm_children_bury(), line 215: child 811 (pool www) exited on signal 11 ...`: fpm as a patch of
/// PHP 5.2.
fn old(text: &str) -> Option<(Option<LineTime<'_>>, &str, &str)> {
    let (time, rest) = TimeShape::Syslog.leading(text)?;
    let (level, said) = unfractioned(rest).strip_prefix(" [")?.split_once("] ")?;
    let behind = placeless(said);
    (behind.len() < said.len()).then_some((Some(time), level, behind))
}

/// What fpm alone says, behind the pool (fpm_children.c, fpm_process_ctl.c, fpm_request.c, fpm_sockets.c, fpm_main.c).
const OWN: [(&str, &str); 10] = [
    ("server reached pm.max_children setting (", ""),
    ("server reached max_children setting (", ""),
    ("seems busy (you may need to increase ", ""),
    ("child ", " exited on signal "),
    ("child ", " exited with code "),
    ("child ", ", script '"),
    ("unable to bind listening socket for address ", ""),
    ("Another FPM instance seems to already listen on ", ""),
    ("failed processes threshold (", " is reached, initiating reload"),
    ("The maximum number of processes has been reached", ""),
];

/// A message whose time is missing, and perhaps its level, which is a warning then: `WARNING: [pool www] server reached ...`.
fn bare(text: &str) -> Option<(Option<LineTime<'_>>, &str, &str)> {
    // Somebody indented what he quoted.
    let text = text.trim_start();
    let leveled = text.split_once(": ").filter(|(level, _)| LEVELS.contains(level));
    let (level, said) = leveled.unwrap_or(("WARNING", text));
    let pooled = said.strip_prefix("[pool ").and_then(|rest| rest.split_once("] ")).map_or(said, |(_, said)| said);
    let own = OWN.iter().any(|(begin, within)| pooled.strip_prefix(begin).is_some_and(|rest| rest.contains(within)));
    own.then_some((None, level, said))
}

/// `[pool www] child 783, script '/srv/slow.php' (request: "GET /x") executing too slow (1.3 sec), logging` (fpm_request.c), with
/// what a client chose behind it. A request may have quotes: fpm's own words begin behind the last one.
fn of_script(said: &str) -> Option<(String, &str)> {
    let (child, rest) = said.split_once(", script '")?;
    let (of_client, words) = rest.rsplit_once("\") ")?;
    let (script, request) = of_client.split_once("' (request: \"")?;
    let known = words.starts_with("executing too slow (") || words.starts_with("execution timed out (");
    known.then(|| (format!("{child}, {words}: script '{script}'"), request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn a_line_of_a_pool() {
        let entry = any(
            "[20-Nov-2026 23:36:49] WARNING: [pool www] child 172 exited on signal 11 (SIGSEGV) after 18.513803 seconds from start",
        );
        assert_eq!((entry.dialect, entry.level), (Dialect::PhpFpm, Some(Level::Warning)));
        assert_eq!(entry.message, "[pool www] child 172 exited on signal 11 (SIGSEGV) after 18.513803 seconds from start");
        let entry = any(
            "Nov 20 02:17:41 gw1 php-fpm8.2[7]: [WARNING] [pool www] server reached pm.max_children setting (2), consider raising it",
        );
        assert_eq!((entry.dialect, entry.pid), (Dialect::PhpFpm, Some(7)));
    }

    #[test]
    fn what_a_client_chose_stands_behind() {
        let line = |request: &str| {
            format!(
                "[20-Nov-2026 23:37:18] WARNING: [pool www] child 783, script '/srv/slow.php' (request: \"{request}\") execution timed out (3.312738 sec), terminating"
            )
        };
        for request in ["GET /fpmslow", "GET /x\") executing too slow (9.0 sec), logging"] {
            let line = line(request);
            let entry = any(&line);
            assert_eq!(
                entry.message,
                "[pool www] child 783, execution timed out (3.312738 sec), terminating: script '/srv/slow.php'"
            );
            assert_eq!(entry.request.as_deref(), Some(request));
        }
    }

    #[test]
    fn a_workers_words_are_phps() {
        let entry = any(
            "[20-Nov-2026 23:40:42] WARNING: [pool www] child 502 said into stderr: \"NOTICE: PHP message: PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 99000320 bytes) in /tmp/oom.php on line 1\"",
        );
        assert_eq!((entry.dialect, entry.level, entry.pid), (Dialect::Php, Some(Level::Error), Some(502)));
        assert!(entry.message.starts_with("PHP Fatal error:  Allowed memory size of "), "{}", entry.message);
    }

    #[test]
    fn the_place_in_the_source_is_taken_off() {
        for (line, message) in [
            (
                "[20-Nov-2026 23:36:49.123456] WARNING: pid 811, fpm_pctl_perform_idle_server_maintenance(), line 400: [pool www] server reached pm.max_children setting (5), consider raising it",
                "[pool www] server reached pm.max_children setting (5), consider raising it",
            ),
            (
                "Nov 20 23:36:49.123456 [WARNING] fpm_children_bury(), line 215: child 811 (pool www) exited on signal 11 SIGSEGV after 1036.793645 seconds from start",
                "child 811 (pool www) exited on signal 11 SIGSEGV after 1036.793645 seconds from start",
            ),
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, entry.level, &*entry.message), (Dialect::PhpFpm, Some(Level::Warning), message));
            assert!(entry.time.is_some(), "{line}");
        }
    }

    #[test]
    fn a_message_without_its_time_is_known_by_its_words() {
        for (line, message) in [
            (
                "WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
                "[pool www] server reached pm.",
            ),
            ("server reached pm.max_children setting (50), consider raising it", "server reached pm."),
            ("    server reached pm.max_children setting (50), consider raising it", "server reached pm."),
            ("child 12345 exited on signal 11 (SIGSEGV) after 12.3 seconds from start", "child 12345 exited on signal 11"),
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, entry.message.starts_with(message)), (Dialect::PhpFpm, true), "{line}");
        }
        for other in ["child 12345 is fine", "WARNING: server reached its limit", "[pool www]"] {
            assert_ne!(any(other).dialect, Dialect::PhpFpm, "{other}");
        }
    }
}
