//! uwsgi. Most of its lines have no shape of their own (core/logging.c writes what it is given): they are known by how they begin,
//! by the program's name before them, or by the stamp of `--log-date`, `Sat Nov 21 05:16:23 2026 - `.
//!
//! A request, `[pid: 177|app: 0|req: 1/1] 127.0.0.1 () {24 vars in 252 bytes} [...] GET /x => generated 0 bytes in 0 msecs (HTTP/1.1
//! 500) ...`, says `uwsgi 500 GET`. Where a line names a request behind its own words, the message ends before it.

use super::{Carried, Dialect, Entry, TimeShape, trace::first_line};

/// How uwsgi's own lines begin, where nothing else tells that they are its.
const BEGINNINGS: &[&str] = &[
    "DAMN ! worker ",
    "*** HARAKIRI ON ",
    "HARAKIRI ",
    "uWSGI listen queue of socket ",
    "!!! uWSGI process ",
    "*** uWSGI ",
    "*** Starting uWSGI ",
    "*** no app loaded.",
    "*** no python application found, check your startup logs for errors ***",
    "--- no python application found, check your startup logs for errors ---",
    "invalid request block size: ",
    "invalid uwsgi request ",
    "worker respawning too fast !!!",
    "OOPS ! failed loading app",
    "OOOPS ",
    "unable to load app ",
    "SIGPIPE: writing to a closed pipe/socket/fd",
    "SIGINT/SIGTERM received...",
    "SIGINT/SIGQUIT received...",
    "uwsgi_response_",
    "uwsgi_proto_",
    "Respawned uWSGI worker ",
    "spawned uWSGI ",
    "gracefully (RE)spawned uWSGI ",
    "...gracefully killing workers...",
    "...brutally killing workers...",
    "...The work of process ",
    "probably another instance of uWSGI ",
    "goodbye to uWSGI.",
    "chain reload starting",
    "binary reloading uWSGI",
    "WSGI app ",
    "Listen queue size is greater than the system max ",
];
/// What uwsgi puts before the request that a line is about.
const BEFORE_REQUEST: [&str; 3] = [" on request ", " during ", " - "];

/// Reads a line of uwsgi.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let stamped = TimeShape::Ctime.leading(carried.text).and_then(|(time, rest)| Some((time, rest.strip_prefix(" - ")?)));
    let (time, text) = stamped.map_or((None, carried.text), |(time, text)| (Some(time), text));
    let entry = Entry { dialect: Dialect::Uwsgi, time, ..Entry::default() };
    let line = first_line(text);
    if let Some(found) = request(line) {
        return Some(Entry { time: entry.time.or(found.time), dialect: Dialect::Uwsgi, ..found });
    }
    let named = carried.program.is_some_and(|program| program.starts_with("uwsgi"));
    // `bind(): Address already in use [core/socket.c line 769]`: uwsgi_error() names its source.
    let source = || line.ends_with(']') && line.rsplit_once(" [").is_some_and(|(_, at)| at.contains(".c line "));
    let own = time.is_some() || named || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning)) || source();
    if !own || super::trace::of(text).is_some() {
        return None;
    }
    if let Some(message) = block_size(line) {
        return Some(Entry { message: message.into(), ..entry });
    }
    let of_client = line.starts_with("SIGPIPE") || line.starts_with("uwsgi_response_") || line.starts_with("HARAKIRI [core ");
    let cut = BEFORE_REQUEST.iter().filter(|_| of_client).find_map(|before| line.split_once(before));
    let (message, request) = cut.map_or((line, None), |(message, request)| (message, Some(request)));
    Some(Entry { message: message.trim_end().into(), request: request.map(Into::into), ..entry })
}

/// `invalid request block size: 4120 (max 4096)...skip` without the size, which is the client's, unless it is the first letters of
/// a method of HTTP, read as a number (proto/uwsgi.c).
fn block_size(line: &str) -> Option<String> {
    let (size, rest) = line.strip_prefix("invalid request block size: ")?.split_once(' ')?;
    let method = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"].iter().any(|method| {
        let letters = method.as_bytes();
        size.parse() == Ok(u32::from(letters[1]) + 256 * u32::from(letters[2]))
    });
    Some(format!("invalid request block size: {} {rest}", if method { size } else { "#" }))
}

/// A line of uwsgi's request log (core/logging.c, `uwsgi_log_verbose_format` default).
fn request(line: &str) -> Option<Entry<'_>> {
    let (pid, rest) = line.strip_prefix("[pid: ")?.split_once('|')?;
    let (_, rest) = rest.split_once("] ")?;
    let (client, rest) = rest.split_once(" (")?;
    let (_, rest) = rest.split_once("} [")?;
    let (stamp, rest) = rest.split_once("] ")?;
    // A target may hold anything: what uwsgi says of the answer is the last of its kind.
    let (request, rest) = rest.rsplit_once(" => generated ")?;
    let (_, status) = rest.split_once("(HTTP/")?;
    let status = status.split_once(')')?.0.rsplit(' ').next()?.parse().ok()?;
    let method = request.split(' ').next().unwrap_or_default();
    let known = (1..=16).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase());
    Some(Entry {
        time: TimeShape::Ctime.leading(stamp).map(|(time, _)| time),
        pid: pid.trim().parse().ok(),
        client: Some(client.into()).filter(|client: &std::borrow::Cow<'_, str>| !client.is_empty()),
        request: Some(request.into()),
        status: Some(status),
        message: format!("uwsgi {status:03} {}", if known { method } else { "-" }).into(),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn lines_with_and_without_a_stamp() {
        for line in [
            "*** HARAKIRI ON WORKER 1 (pid: 293, try: 1) ***",
            "Fri Nov 20 23:38:54 2026 - *** HARAKIRI ON WORKER 1 (pid: 293, try: 1) ***",
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, &*entry.message), (Dialect::Uwsgi, "*** HARAKIRI ON WORKER 1 (pid: 293, try: 1) ***"));
        }
        assert_eq!(any("bind(): Address already in use [core/socket.c line 769]").dialect, Dialect::Uwsgi);
        assert_eq!(any("bind(): Address already in use").dialect, Dialect::Plain);
        for (size, kept) in [("21573", "21573"), ("19525", "19525"), ("4120", "#")] {
            let line = format!("invalid request block size: {size} (max 4096)...skip");
            assert_eq!(any(&line).message, format!("invalid request block size: {kept} (max 4096)...skip"));
        }
        assert_eq!(any("Fri Nov 20 23:38:54 2026 something").dialect, Dialect::Plain);
    }

    #[test]
    fn requests() {
        let entry = any(
            "[pid: 177|app: 0|req: 1/1] 127.0.0.1 () {24 vars in 252 bytes} [Sat Nov 21 05:15:59 2026] GET /x => generated 9 bytes => generated 0 bytes in 0 msecs (HTTP/1.1 500) 0 headers in 0 bytes (0 switches on core 0)",
        );
        assert_eq!((entry.status, &*entry.message, entry.pid), (Some(500), "uwsgi 500 GET", Some(177)));
        assert_eq!(entry.request.as_deref(), Some("GET /x => generated 9 bytes"));
        assert!(entry.time.is_some());
        let entry = any(
            "SIGPIPE: writing to a closed pipe/socket/fd (probably the client disconnected) on request /slow (ip 127.0.0.1) !!!",
        );
        assert_eq!(entry.message, "SIGPIPE: writing to a closed pipe/socket/fd (probably the client disconnected)");
        let entry = any("HARAKIRI [core 0] 127.0.0.1 - GET /slow since 1795238181");
        assert_eq!(
            (&*entry.message, entry.request.as_deref()),
            ("HARAKIRI [core 0] 127.0.0.1", Some("GET /slow since 1795238181"))
        );
    }
}
