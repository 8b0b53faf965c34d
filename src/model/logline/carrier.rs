//! What stands before a program's own line because something else carried it: syslog, journalctl, docker, compose, kubectl,
//! a container runtime's files, grep, tail, a prompt.
//!
//! Carriers are taken off from the left, one after the other, as long as one is known; the texts stay borrowed.
//! To add one: a function here that takes it off, and its line in [`CARRIERS`].

use std::borrow::Cow;

use super::{Level, LineTime, TimeShape};

/// Carriers around carriers, at most: kubectl around a container's syslog around the program is three.
const DEPTH: usize = 4;
/// Bytes of a name of a container, pod or file before a line, at most.
const NAME_BYTES: usize = 120;

/// A line without what carried it, and what that told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The program's own line.
    pub text: &'a str,
    /// When the carrier took it, where the line itself may have no stamp.
    pub time: Option<LineTime<'a>>,
    /// By syslog's priority.
    pub level: Option<Level>,
    /// The program's or the container's name.
    pub program: Option<&'a str>,
    /// The process.
    pub pid: Option<u32>,
}

type Carrier = for<'a> fn(Carried<'a>) -> Option<Carried<'a>>;

/// In the order in which they are tried.
const CARRIERS: &[Carrier] = &[syslog, localised, syslog_rfc5424, container_runtime, kubectl, compose, grep];

/// Takes all carriers off.
pub fn carried(line: &str) -> Carried<'_> {
    let mut carried = Carried { text: line, ..Carried::default() };
    for _ in 0..DEPTH {
        // Of nginx, whose lines come by the thousand: no carrier begins with its stamp.
        if TimeShape::Slashed.leading(carried.text).is_some() {
            break;
        }
        match CARRIERS.iter().find_map(|carrier| carrier(carried)) {
            Some(inner) => carried = inner,
            None => break,
        }
    }
    carried
}

/// `<131>Nov 20 23:36:34 gw1 haproxy[17]: text` (RFC 3164), the same without priority (files of rsyslog, `journalctl`), with the
/// stamp of RFC 3339 (rsyslog, `journalctl -o short-iso`), with nginx's form without process number; with facility and severity behind the
/// host (`kern.err`), as busybox's syslogd has it on Alpine (sysklogd/syslogd.c).
fn syslog(outer: Carried<'_>) -> Option<Carried<'_>> {
    let (level, text) = priority(outer.text).unwrap_or((None, outer.text));
    let (time, rest) = TimeShape::Syslog.leading(text).or_else(|| TimeShape::Rfc3339.leading(text))?;
    // `docker events` has the kind of thing where syslog has the host.
    let rest = rest.strip_prefix(' ').filter(|rest| !rest.starts_with("container "))?;
    // HAProxy without `log-tag` host and nginx's syslog target with `nohostname` leave the host out.
    let (word, after) = rest.split_once(' ')?;
    let behind_host = || {
        let (tag, after) = after.split_once(' ').unwrap_or((after, ""));
        let graded = || {
            let level = severity(tag)?;
            let (tag, after) = after.split_once(' ').unwrap_or((after, ""));
            Some((program_tag(tag, after)?, Some(level)))
        };
        program_tag(tag, after).map(|found| (found, None)).or_else(graded)
    };
    let first = program_tag(word, after);
    let ((program, text), graded) = first.map(|found| (found, None)).or_else(behind_host)?;
    let level = level.or(graded);
    let (program, pid) = split_pid(program);
    // rsyslog and journalctl write an offset; `Z` is what programs write themselves, before words that are no host.
    if time.text.ends_with('Z') && first.is_none() && pid.is_none() {
        return None;
    }
    Some(Carried { text, time: Some(time), level: level.or(outer.level), program: Some(program), pid })
}

/// `août 09 13:47:03 gw1 systemd[1]: text`, `8月 09 ...`, `Okt 09 ...`: `journalctl` and `systemctl status` name the month in the
/// reader's language (strftime(3), %b). Which month it is, is not known here.
fn localised(outer: Carried<'_>) -> Option<Carried<'_>> {
    /// Bytes of a month's name, at most.
    const MONTH_BYTES: usize = 16;
    let mut words = outer.text.splitn(6, ' ').filter(|word| !word.is_empty());
    let month = words.next().filter(|month| month.len() <= MONTH_BYTES)?;
    if !month.chars().all(|c| c.is_alphanumeric() || c == '.') || !month.chars().any(char::is_alphabetic) {
        return None;
    }
    let (day, clock) = (words.next()?, words.next()?);
    let parts = clock.split(':').filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).count();
    let dated = day.trim_end_matches('.').parse::<u8>().is_ok_and(|day| (1..=31).contains(&day));
    if !dated || parts != 3 || clock.len() != 8 {
        return None;
    }
    let at = outer.text.find(clock)? + clock.len();
    let (_host, rest) = outer.text[at..].strip_prefix(' ')?.split_once(' ')?;
    let (tag, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let (program, text) = program_tag(tag, text)?;
    let (program, pid) = split_pid(program);
    (pid.is_some() || program == "kernel").then_some(Carried { text, program: Some(program), pid, ..outer })
}

/// `name[12]: text` or `name: text`; `systemd[1]:`, `kernel:`, `php-fpm8.2[7]:`, `(unit)[5]:`.
fn program_tag<'a>(word: &'a str, after: &'a str) -> Option<(&'a str, &'a str)> {
    let tag = word.strip_suffix(':')?;
    let name = tag.split('[').next().unwrap_or(tag);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./@()+:".contains(c);
    // A word of digits is a time, and an address is no program.
    let named = name.len() <= NAME_BYTES && name.chars().all(fits) && name.chars().any(|c| c.is_ascii_alphabetic());
    named.then_some((tag, after))
}

/// `kern.err`: facility and severity by their names (syslog.conf(5)).
fn severity(word: &str) -> Option<Level> {
    let (facility, severity) = word.split_once('.')?;
    let known = !facility.is_empty() && facility.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let number = match severity {
        "emerg" | "panic" => 0,
        "alert" => 1,
        "crit" => 2,
        "err" | "error" => 3,
        "warn" | "warning" => 4,
        "notice" => 5,
        "info" => 6,
        "debug" => 7,
        _ => return None,
    };
    Level::of_priority(number).filter(|_| known)
}

fn split_pid(tag: &str) -> (&str, Option<u32>) {
    match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        // What is no number is part of the name: `heroku[router]`, `app[web.1]`.
        Some((name, pid)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => (name, pid.parse().ok()),
        Some(_) | None => (tag, None),
    }
}

/// `<131>`: facility and severity (RFC 3164 section 4.1.1).
fn priority(text: &str) -> Option<(Option<Level>, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let number: u8 = number.parse().ok().filter(|number| *number <= 191)?;
    Some((Level::of_priority(number % 8), rest))
}

/// `<165>1 2026-11-20T23:36:34.003Z host app 811 ID47 - text` (RFC 5424), and the same without priority and version, as pages that show
/// a log leave them out: there the process and the structured data must have the shape that they have.
fn syslog_rfc5424(outer: Carried<'_>) -> Option<Carried<'_>> {
    let head = priority(outer.text).and_then(|(level, text)| Some((level, text.strip_prefix("1 ")?)));
    let (level, text) = head.unwrap_or((None, outer.text));
    let (time, rest) = TimeShape::Rfc3339.leading(text)?;
    let mut words = rest.strip_prefix(' ')?.splitn(5, ' ');
    let (_host, program, pid, _id) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let data = words.next()?;
    let process = pid.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = (process || pid == "-" && data.starts_with('[')) && (data.starts_with("- ") || data.starts_with('['));
    if head.is_none() && !(shaped && program.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))) {
        return None;
    }
    let text = match data.strip_prefix('-') {
        Some(text) => text,
        // Structured data ends with the bracket that no backslash escapes (section 6.3).
        None if data.starts_with('[') => data.split_once("] ").map(|(_, text)| text)?,
        // Heroku's drains leave it out (devcenter.heroku.com, "Log Drains").
        None => data,
    };
    let text = text.strip_prefix(' ').unwrap_or(text).trim_start_matches('\u{feff}');
    Some(Carried { text, time: Some(time), level, program: Some(program).filter(|name| *name != "-"), pid: pid.parse().ok() })
}

/// `2026-11-20T23:36:34.123456789Z stderr F text`: files of containers by CRI (kubelet, pkg/kubelet/kuberuntime/logs);
/// `docker logs -t` has the stamp alone, behind which any line may stand, and so has what consoles of clouds let one copy, with a tab.
fn container_runtime(outer: Carried<'_>) -> Option<Carried<'_>> {
    let (time, rest) = TimeShape::Rfc3339.leading(outer.text)?;
    if let Some(text) = rest.strip_prefix('\t').filter(|text| LineTime::leading(text).is_some()) {
        return Some(Carried { text, time: Some(time), ..outer });
    }
    if !time.text.ends_with('Z') || !time.text.contains('.') {
        return None;
    }
    let rest = rest.strip_prefix(' ')?;
    let cri = ["stdout F ", "stderr F ", "stdout P ", "stderr P "].iter().find_map(|mark| rest.strip_prefix(mark));
    // Without CRI's mark it is a carrier only when a line of its own stands behind it.
    let text = cri.or_else(|| (LineTime::leading(rest).is_some() || rest.starts_with(['{', '['])).then_some(rest))?;
    Some(Carried { text, time: Some(time), ..outer })
}

/// `[pod/web-7c9/nginx] text`: `kubectl logs --prefix`.
fn kubectl(outer: Carried<'_>) -> Option<Carried<'_>> {
    let (name, text) = outer.text.strip_prefix("[pod/")?.split_once("] ")?;
    let container = name.rsplit('/').next().unwrap_or(name);
    (name.len() <= NAME_BYTES).then_some(Carried { text, program: Some(container), ..outer })
}

/// `web-1  | text`: docker compose. `web.1.x7k@node-3    | text`: `docker service logs`.
fn compose(outer: Carried<'_>) -> Option<Carried<'_>> {
    let (name, text) = outer.text.split_once("| ").or_else(|| outer.text.strip_suffix('|').map(|name| (name, "")))?;
    let name = name.strip_suffix(' ')?.trim_end_matches(' ');
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    // `0|web  | text`: pm2 puts the number of the process before its name.
    let number = name.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(of_pm2) = name[number..].strip_prefix('|').filter(|of_pm2| number > 0 && of_pm2.chars().all(fits)) {
        return Some(Carried { text, program: Some(of_pm2), ..outer });
    }
    // Compose numbers its containers (`web-1`, `web_1`); a word before a bar is anything.
    let named =
        name.len() <= NAME_BYTES && name.chars().all(fits) && name.contains(|c: char| c.is_ascii_digit() || "-_".contains(c));
    named.then_some(Carried { text, program: Some(name), ..outer })
}

/// `/var/log/nginx/error.log:12:text` of grep, with or without the number.
fn grep(outer: Carried<'_>) -> Option<Carried<'_>> {
    let (path, rest) = outer.text.split_once(':')?;
    let named = path.len() <= NAME_BYTES && !path.contains(' ') && (path.starts_with(['/', '.']) || path.contains(".log"));
    if !named {
        return None;
    }
    let number = rest.bytes().take_while(u8::is_ascii_digit).count();
    // A place in the code alone: Node names the line that threw so.
    if number == rest.len() {
        return None;
    }
    let text = if number > 0 { rest[number..].strip_prefix([':', '-']).unwrap_or(rest) } else { rest };
    // ``/srv/app.rb:3:in `require': ...`` is Ruby's own.
    (!text.starts_with("in ")).then_some(Carried { text, ..outer })
}

/// A line of docker's json-file driver, `{"log":"text\n","stream":"stderr","time":"..."}`: its text, to be read like any other.
pub fn docker_json(line: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        stream: &'a str,
    }
    if !line.starts_with("{\"log\":") {
        return None;
    }
    let record: Record<'_> = serde_json::from_str(line).ok()?;
    matches!(record.stream, "stdout" | "stderr").then_some(match record.log {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches('\n')),
        Cow::Owned(text) => Cow::Owned(text.trim_end_matches('\n').to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_are_taken_off() {
        for (line, text, program, pid) in [
            ("Nov 20 02:17:41 gw1 nginx: x y", "x y", Some("nginx"), None),
            ("<131>Nov 20 02:17:41 haproxy[17]: x", "x", Some("haproxy"), Some(17)),
            ("Nov 20 02:17:41 gw1 systemd[1]: app.service: Failed", "app.service: Failed", Some("systemd"), Some(1)),
            ("2026-11-20T23:36:34.123456+00:00 gw1 kernel: [ 12.5] x", "[ 12.5] x", Some("kernel"), None),
            ("2026-11-20T23:36:34+0000 gw1 php-fpm8.2[7]: x", "x", Some("php-fpm8.2"), Some(7)),
            ("<165>1 2026-11-20T23:36:34.003Z h app 811 ID47 - x", "x", Some("app"), Some(811)),
            ("<165>1 2026-11-20T23:36:34.003Z h app 811 - [a b=\"c\"] x", "x", Some("app"), Some(811)),
            ("2026-11-20T23:36:34+01:00 gw1 lighttpd 811 - [meta sequenceId=\"1\"] x", "x", Some("lighttpd"), Some(811)),
            ("2026-11-20T23:36:34+01:00 gw1 app 811 ID47 - x", "x", Some("app"), Some(811)),
            ("2026-11-20T23:36:34+00:00 heroku[router]: at=error", "at=error", Some("heroku[router]"), None),
            ("août 09 13:47:03 gw1 systemd[1]: x", "x", Some("systemd"), Some(1)),
            ("8月 09 13:47:03 gw1 kernel: [ 12.5] x", "[ 12.5] x", Some("kernel"), None),
            ("web-1  | x", "x", Some("web-1"), None),
            ("0|web    | x", "x", Some("web"), None),
            ("web.1.x7k2p@node-3    | x", "x", Some("web.1.x7k2p@node-3"), None),
            ("2026-11-20T23:36:34.123-07:00\tFri Nov 20 23:36:34 2026 - x", "Fri Nov 20 23:36:34 2026 - x", None, None),
            ("[pod/gw-7c9/nginx] 2026-11-20T23:36:34.123Z stderr F x", "x", Some("nginx"), None),
            ("/var/log/nginx/error.log:12:x", "x", None, None),
            ("error.log:x", "x", None, None),
        ] {
            let found = carried(line);
            assert_eq!((found.text, found.program, found.pid), (text, program, pid), "{line}");
        }
        assert_eq!(carried("<131>Nov 20 02:17:41 haproxy[17]: x").level, Some(Level::Error));
        let alpine = carried("Nov 20 02:17:41 gw1 kern.warn kernel: [93841.123456] x");
        assert_eq!((alpine.text, alpine.program, alpine.level), ("[93841.123456] x", Some("kernel"), Some(Level::Warning)));
        // A host with a dot in its name is no severity.
        assert_eq!(carried("Nov 20 02:17:41 gw1.fra kernel: x").program, Some("kernel"));
        assert_eq!(
            docker_json("{\"log\":\"a \\\"b\\\"\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-20T23:36:34.1Z\"}").as_deref(),
            Some("a \"b\"")
        );
    }

    #[test]
    fn a_line_that_nothing_carried_stays_whole() {
        for line in [
            "2026/11/20 23:36:34 [error] 1#1: x",
            "Traceback (most recent call last):",
            "Error: connect ECONNREFUSED 127.0.0.1:5432",
            "2026-11-20T23:36:34+01:00 ERROR web 12 of 40 - failed",
            "a | b",
            "10.0.0.1 - - [20/Nov/2026:23:36:34 +0000] \"GET / HTTP/1.1\" 502 1 \"-\" \"-\"",
            "",
        ] {
            assert_eq!(carried(line).text, line);
        }
    }
}
