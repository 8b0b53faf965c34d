//! gunicorn's error log: `[2026-11-20 23:36:30 +0000] [161] [INFO] message` (gunicorn/glogging.py, `error_fmt`), also that of
//! uvicorn's workers below it. With a trace the message is the exception, and behind it what was being done.

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, TimeShape,
    trace::{first_line, told},
};

/// Reads a line of gunicorn.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (time, rest) = TimeShape::Dashed.leading(carried.text.strip_prefix('[')?)?;
    let (pid, rest) = rest.strip_prefix("] [")?.split_once("] [")?;
    let pid = pid.parse().ok()?;
    let (level, said) = rest.split_once("] ")?;
    let level = Level::parse(level).filter(|_| level.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let line = first_line(said);
    // The path is a client's; gunicorn 20 writes it alone, later ones the method before it.
    let (doing, request) = match line.split_once("Error handling request ") {
        Some(("", request)) => ("Error handling request", Some(request)),
        Some(_) | None => (line, None),
    };
    let entry = Entry { dialect: Dialect::Gunicorn, time: Some(time), level: Some(level), pid: Some(pid), ..Entry::default() };
    if let Some((client, why)) = line.strip_prefix("Invalid request from ip=").and_then(|rest| rest.split_once(": ")) {
        return Some(Entry { message: invalid_request(why), client: Some(client.into()), ..entry });
    }
    Some(Entry { message: told(doing, said), request: request.map(Into::into), ..entry })
}

/// `Invalid HTTP request line: '\x16\x03\x01'` without what the client sent, but for the beginning of a TLS handshake.
fn invalid_request(why: &str) -> Cow<'_, str> {
    let (fault, sent) = why.split_once(": ").unwrap_or((why, ""));
    let fault = fault.split('\'').next().unwrap_or(fault).trim_end();
    let sent = sent.trim_start_matches(['b', '\'', '"']);
    let tls = sent.starts_with("\\x16\\x03");
    format!("Invalid request: {fault}{}", if tls { ": TLS" } else { "" }).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn lines_and_traces() {
        let entry = any("[2026-11-20 23:37:22 +0000] [161] [CRITICAL] WORKER TIMEOUT (pid:263)");
        assert_eq!((entry.dialect, entry.level, entry.pid), (Dialect::Gunicorn, Some(Level::Critical), Some(161)));
        assert_eq!(entry.message, "WORKER TIMEOUT (pid:263)");
        let entry = any(
            "[2026-11-21 05:14:47 +0000] [42] [ERROR] Exception in worker process\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 1, in <module>\n    import psycopg2x\nModuleNotFoundError: No module named 'psycopg2x'",
        );
        assert_eq!(entry.message, "ModuleNotFoundError: No module named 'psycopg2x' (Exception in worker process)");
        for (sent, message) in [
            ("\\x16\\x03\\x01\\x02", "Invalid request: Invalid HTTP request line: TLS"),
            ("hello", "Invalid request: Invalid HTTP request line"),
        ] {
            let line = format!(
                "[2026-11-21 05:40:42 +0000] [32] [WARNING] Invalid request from ip=127.0.0.1: Invalid HTTP request line: '{sent}'"
            );
            let entry = any(&line);
            assert_eq!((&*entry.message, entry.client.as_deref()), (message, Some("127.0.0.1")));
        }
        let entry = any("[2026-11-21 05:14:32 +0000] [11] [ERROR] Error handling request /boom?x (Exception in worker process)");
        assert_eq!(
            (&*entry.message, entry.request.as_deref()),
            ("Error handling request", Some("/boom?x (Exception in worker process)"))
        );
    }
}
