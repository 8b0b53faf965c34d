//! Messages without their head, as people paste them and as some formatters write them: known by how they begin, and by words
//! further in.
//!
//! It is asked last, and must know nothing that two programs could say: each line of [`SAID`] is worded by one alone. Messages whose
//! fields stand within their words are read by the reader of their program.

use super::{Carried, Dialect, Entry, Level, LineTime, trace::first_line};

/// How a message begins, what it has further in, and whose it is.
const SAID: &[(Dialect, &str, &str)] = &[
    // gunicorn/arbiter.py, gunicorn/sock.py.
    (Dialect::Gunicorn, "WORKER TIMEOUT (pid:", ""),
    (Dialect::Gunicorn, "Worker with pid ", " was terminated due to signal "),
    (Dialect::Gunicorn, "Worker (pid:", ") was sent SIG"),
    (Dialect::Gunicorn, "Worker (pid:", ") exited with code "),
    (Dialect::Gunicorn, "Connection in use: (", ""),
    (Dialect::Gunicorn, "Reason: Worker failed to boot.", ""),
    (Dialect::Gunicorn, "Reason: App failed to load.", ""),
    (Dialect::Gunicorn, "Autorestarting worker after current request.", ""),
    (Dialect::Gunicorn, "Worker exiting (pid: ", ""),
    (Dialect::Gunicorn, "Booting worker with pid: ", ""),
    (Dialect::Gunicorn, "gunicorn.errors.HaltServer: <HaltServer ", ""),
    // uvicorn/server.py, config.py, lifespan/on.py.
    (Dialect::Uvicorn, "[Errno ", "] error while attempting to bind on address "),
    (Dialect::Uvicorn, "Error loading ASGI app. ", ""),
    (Dialect::Uvicorn, "Application startup failed. Exiting.", ""),
    // pm2, lib/God.js.
    (Dialect::Node, "App [", "] exited with code ["),
    (Dialect::Node, "Script ", " had too many unstable restarts ("),
    // com.zaxxer.hikari.pool.HikariPool.
    (Dialect::Java, "HikariPool-", " - Connection is not available, request timed out"),
    // unicorn/http_server.rb.
    (Dialect::Ruby, "worker=", " timeout ("),
    (Dialect::Ruby, "reaped #<Process::Status: pid ", ""),
    // src/agent/Core of Passenger.
    (Dialect::Ruby, "Could not spawn process for application ", ""),
    (Dialect::Ruby, "Could not spawn process for group ", ""),
    (Dialect::Ruby, "Returning HTTP ", " due to: Request queue full ("),
    (Dialect::Ruby, "Request queue full (configured max. size: ", ""),
    (Dialect::Ruby, "Sending 502 response: application ", ""),
    (Dialect::Ruby, "App ", " output: Error: The application encountered the following error: "),
    // Exceptions by their classes.
    (Dialect::Ruby, "ActiveRecord::Connection", ""),
    (Dialect::Ruby, "PG::ConnectionBad", ""),
    (Dialect::Ruby, "Mysql2::Error::ConnectionError", ""),
    (Dialect::Ruby, "Redis::CannotConnectError", ""),
    (Dialect::Ruby, "Errno::E", ""),
    (Dialect::Ruby, "ActionView::Template::Error", ""),
    // PDOException (ext/pdo/pdo_dbh.c).
    (Dialect::Php, "SQLSTATE[", ""),
    // setroubleshootd, in the journal of Fedora and its relatives.
    (Dialect::Audit, "SELinux is preventing ", " access on the "),
    // execve(2) of an image for another processor, told by the entry point's shell or by runc.
    (Dialect::Container, "exec ", ": exec format error"),
];

/// Reads a message that is known by its words.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let head = unheaded(first_line(carried.text));
    let &(dialect, ..) =
        SAID.iter().find(|(_, begin, within)| head.said.strip_prefix(begin).is_some_and(|rest| rest.contains(within)))?;
    Some(Entry { dialect, time: head.time, level: head.level, message: head.said.trim_end().into(), ..Entry::default() })
}

/// What was left of a head, and what stands behind it.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) time: Option<LineTime<'a>>,
    pub(super) level: Option<Level>,
    pub(super) said: &'a str,
}

/// Takes off a time, a process and a level, with whatever stands between them: `[ERROR] `, `2026-11-20 23:36:34 ERROR `, `WARNING: `,
/// `ERROR -- : `, `[811] [CRITICAL] `.
pub(super) fn unheaded(text: &str) -> Head<'_> {
    const BETWEEN: [char; 7] = [']', ' ', ':', ',', '-', '|', '\t'];
    let text = text.trim_start();
    let mut head = Head { said: text, ..Head::default() };
    if let Some((time, rest)) = LineTime::leading(text.strip_prefix('[').unwrap_or(text)) {
        head.time = Some(time);
        head.said = rest.trim_start_matches(BETWEEN);
    }
    loop {
        let inner = head.said.strip_prefix('[');
        let word = inner.unwrap_or(head.said);
        let length = word.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (word, behind) = word.split_at(length);
        let process = inner.is_some() && length > 0 && word.bytes().all(|byte| byte.is_ascii_digit());
        let level = Level::parse(word).filter(|_| head.level.is_none());
        // A level without a mark is in capitals: the small word may begin a sentence.
        let marked = match inner {
            Some(_) => behind.starts_with(']'),
            None => {
                behind.starts_with(':') || word.bytes().all(|byte| byte.is_ascii_uppercase()) && behind.starts_with([' ', '\t'])
            }
        };
        if !marked || !process && level.is_none() {
            return head;
        }
        head.level = head.level.or(level);
        head.said = behind.trim_start_matches(BETWEEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn messages_are_known_behind_whatever_is_left_of_their_head() {
        for head in ["", "[CRITICAL] ", "[811] [CRITICAL] ", "2026-11-20 23:36:34 CRITICAL ", "[critical] "] {
            let line = format!("{head}WORKER TIMEOUT (pid:263)");
            let entry = any(&line);
            let level = (!head.is_empty()).then_some(Level::Critical);
            assert_eq!(
                (entry.dialect, &*entry.message, entry.level),
                (Dialect::Gunicorn, "WORKER TIMEOUT (pid:263)", level),
                "{line}"
            );
        }
        assert_eq!(any("ERROR -- : worker=2 PID:4711 timeout (61s > 60s), killing").dialect, Dialect::Ruby);
    }

    #[test]
    fn words_that_only_mention_one_are_nobodys() {
        for other in [
            "WORKER TIMEOUT",
            "we see WORKER TIMEOUT (pid:263) often",
            "Worker with pid of mine",
            "worker=2 is slow",
            "exec node server.js",
            "App [api:0] online",
            "critical WORKER TIMEOUT (pid:263)",
        ] {
            assert_eq!(any(other).dialect, Dialect::Plain, "{other}");
        }
    }
}
