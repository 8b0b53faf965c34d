//! nginx's error log: `2026/11/20 02:17:41 [error] 811#811: *5 message, client: ..., server: ..., request: "...", ...`
//! (`ngx_log_error_core` in ngx_log.c, the tail by `ngx_http_log_error` in ngx_http_request.c and
//! `ngx_http_upstream_log_error` in ngx_http_upstream.c; for streams `ngx_stream_log_error`).

use super::{Carried, Dialect, Entry, Level, LineTime, TimeShape, request_line};

/// `2026/11/20 02:17:41`.
const TIME_BYTES: usize = 19;

/// `err_levels` in ngx_log.c.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
/// What nginx is doing with an upstream (`log->action` in its sources).
const DOING: [&str; 7] = [
    " while connecting to upstream",
    " while SSL handshaking to upstream",
    " while sending request to upstream",
    " while reading response header from upstream",
    " while reading upstream",
    " while proxying connection",
    " while proxying upgraded connection",
];
/// How messages begin that no other program words like this.
const BEGINS: [&str; 7] = [
    "upstream timed out (",
    "upstream prematurely closed ",
    "upstream sent ",
    "upstream server temporarily disabled",
    "no live upstreams",
    "no resolver defined to resolve ",
    "host not found in upstream ",
];
/// Messages whose beginning may have been cut off when a line was copied out of a terminal, in the order in which an end that fits several
/// is taken for one of them. Each is of the level `error`.
const OFTEN: [&str; 9] = [
    "upstream timed out (110: Connection timed out)",
    "connect() failed (111: Connection refused)",
    "connect() failed (113: No route to host)",
    "connect() failed (113: Host is unreachable)",
    "recv() failed (104: Connection reset by peer)",
    "upstream prematurely closed connection",
    "upstream sent too big header",
    "upstream sent invalid header",
    "no live upstreams",
];
/// Bytes of a message that must be left to know it by.
const LEFT_BYTES: usize = 6;
/// Errors of a connection that are logged as `error`; any other system error is `crit` (`ngx_connection_error` in ngx_connection.c):
/// Linux's ECONNABORTED, ECONNRESET, ENOTCONN, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, and ENETDOWN and ENETUNREACH.
const OF_CONNECTIONS: [u32; 9] = [103, 104, 107, 110, 111, 112, 113, 100, 101];

/// A line of nginx's error log. All texts are as logged: nginx does not escape what a client sent in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NginxErrorLine<'a> {
    /// `2026/11/20 02:17:41`, in the local time of the host, without zone; empty where it was lost ([`Self::unstamped`]).
    pub time: &'a str,
    /// `emerg` to `debug`.
    pub level: &'a str,
    /// The process.
    pub pid: Option<u32>,
    /// Number of the connection within the process.
    pub connection: Option<u64>,
    /// The message with what was being done: `connect() failed (111: Connection refused) while connecting to upstream`.
    pub message: &'a str,
    /// Address of the client.
    pub client: Option<&'a str>,
    /// First name of the server block; empty where it has none.
    pub server: Option<&'a str>,
    /// The request line.
    pub request: Option<&'a str>,
    /// The path of the request that nginx made itself for it: of a mirror, `auth_request`, SSI.
    pub subrequest: Option<&'a str>,
    /// The upstream with the path of the request: `http://127.0.0.1:8000/x`, `fastcgi://unix:/run/php.sock:`.
    pub upstream: Option<&'a str>,
    /// The Host header.
    pub host: Option<&'a str>,
    /// The Referer header.
    pub referrer: Option<&'a str>,
}

/// Reads a line of nginx's error log. Its message is `[level] message`: some signatures need the level.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let Some(line) = NginxErrorLine::parse(carried.text) else {
        return spoken(carried).or_else(|| NginxErrorLine::unstamped(carried.text).map(|line| entry(&line)));
    };
    Some(Entry { time: Some(LineTime { text: line.time, shape: TimeShape::Slashed }), ..entry(&line) })
}

fn entry<'a>(line: &NginxErrorLine<'a>) -> Entry<'a> {
    if line.is_mirrors() {
        let message = format!("[{}] of a copy of the request, {}", line.level, line.message).into();
        let level = Some(Level::Notice);
        return Entry { dialect: Dialect::NginxError, level, pid: line.pid, message, ..Entry::default() };
    }
    Entry {
        dialect: Dialect::NginxError,
        time: None,
        level: Level::parse(line.level),
        program: None,
        pid: line.pid,
        message: format!("[{}] {}", line.level, line.message).into(),
        upstream: line.upstream_address().map(Into::into),
        server: line.server.map(Into::into),
        client: line.client.map(Into::into),
        request: line.request.map(Into::into),
        status: None,
    }
}

/// What nginx says to who started it, before it has a log: `nginx: [emerg] bind() to 0.0.0.0:80 failed (98: ...)`
/// (`ngx_log_stderr`), and the outcome of `nginx -t`, which is given a level here.
fn spoken<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = match carried.text.strip_prefix("nginx: ") {
        Some(text) => text,
        // Some carriers take the name for their own.
        None if carried.program == Some("nginx") => carried.text,
        None => return None,
    };
    let (level, message) = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((level, _)) => (Level::parse(level)?, text.into()),
        None if text.ends_with(" test failed") => (Level::Emergency, format!("[emerg] {text}").into()),
        None if text.ends_with(" syntax is ok") || text.ends_with(" test is successful") => {
            (Level::Notice, format!("[notice] {text}").into())
        }
        None => return None,
    };
    Some(Entry { dialect: Dialect::NginxError, level: Some(level), message, ..Entry::default() })
}

/// The end of a line whose beginning is missing: `imed out (110: Connection timed out) while reading response header from upstream, client:
/// ...`. The rest of a line that a terminal wrapped is the same, so that no line is told to begin so.
pub(super) fn cut_message(text: &str) -> Option<Entry<'_>> {
    let line = NginxErrorLine::tail(text);
    let doing = DOING.iter().find(|doing| line.message.ends_with(**doing) && line.client.is_some())?;
    let left = &line.message[..line.message.len() - doing.len()];
    let whole = OFTEN.iter().find(|message| left.len() >= LEFT_BYTES && message.ends_with(left))?;
    Some(Entry { message: format!("[error] {whole}{doing}").into(), ..entry(&NginxErrorLine { level: "error", ..line }) })
}

impl<'a> NginxErrorLine<'a> {
    /// Reads a line. `None`: it does not begin as nginx begins a line (a continuation, another program's output).
    pub fn parse(line: &'a str) -> Option<Self> {
        let time = line.get(..TIME_BYTES)?;
        let shape = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'/',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        };
        if !time.bytes().enumerate().all(shape) {
            return None;
        }
        let (level, rest) = line.get(TIME_BYTES..)?.strip_prefix(" [")?.split_once("] ")?;
        if !LEVELS.contains(&level) {
            return None;
        }
        let (process, rest) = rest.split_once(": ")?;
        let pid = process.split_once('#')?.0.parse().ok();
        let (connection, rest) = connection(rest);
        Some(Self { time, level, pid, connection, ..Self::tail(rest) })
    }

    /// Reads what is left of a line whose time was not pasted, or was kept elsewhere (the `message` of a log shipper): level,
    /// process and connection may be missing, too. A missing level is the one that nginx gives to such a message. `None`: others
    /// could have said the same.
    pub fn unstamped(line: &'a str) -> Option<Self> {
        let mut rest = line.trim();
        let mut level = None;
        if let Some((word, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            match LEVELS.into_iter().find(|known| *known == word) {
                Some(known) => (level, rest) = (Some(known), after),
                None if of_lua(rest) => {}
                None => return None,
            }
        }
        let number = |text: &str| text.parse::<u32>().ok();
        let process = rest.split_once(": ").and_then(|(process, after)| {
            let (pid, tid) = process.split_once('#')?;
            Some((number(pid)?, number(tid)?, after))
        });
        if let Some((_, _, after)) = process {
            rest = after;
        }
        let (connection, rest) = connection(rest);
        let line = Self::tail(rest);
        if process.is_none() && !is_nginxs(&line) {
            return None;
        }
        let level = level.unwrap_or_else(|| level_of(line.message));
        Some(Self { level, pid: process.map(|(pid, ..)| pid), connection, ..line })
    }

    /// Splits the message from the fields behind it. From the left, each field up to where the next can begin: what
    /// stands further right (request, host, referrer) is of the client's choosing and must not replace what nginx wrote.
    fn tail(text: &'a str) -> Self {
        let mut line = Self { message: text, ..Self::default() };
        // A message without client is the master's, or of no connection: it has no fields.
        let Some((message, rest)) = text.split_once(", client: ") else {
            // The cache manager, health checks and resolvers log `, upstream: ` without a client.
            if let Some((message, rest)) = text.split_once(", upstream: \"") {
                line.message = message;
                line.upstream = rest.split_once('"').map(|(upstream, _)| upstream);
            }
            return line;
        };
        line.message = message;
        let (client, mut rest) = rest.split_once(", ").unwrap_or((rest, ""));
        line.client = Some(client);
        if let Some(after) = rest.strip_prefix("server: ") {
            let (server, after) = after.split_once(", ").unwrap_or((after, ""));
            line.server = Some(server);
            rest = after;
        }
        while let Some((name, after)) = rest.split_once(": \"") {
            // Streams log byte counts without quotes at the end: what is no field of ours ends the line.
            let (value, next) = quoted(after);
            match name {
                "request" if line.request.is_none() => line.request = Some(value),
                "subrequest" if line.subrequest.is_none() => line.subrequest = Some(value),
                "upstream" if line.upstream.is_none() => line.upstream = Some(value),
                "host" if line.host.is_none() => line.host = Some(value),
                "referrer" if line.referrer.is_none() => line.referrer = Some(value),
                _ => break,
            }
            rest = next;
        }
        line
    }

    /// Whether it is about a copy of the request, whose answer nobody waits for (ngx_http_mirror_module): by the path that everybody names so.
    fn is_mirrors(&self) -> bool {
        let part = |part: &str| part.trim_start_matches(['_', '@']).starts_with("mirror");
        self.subrequest.is_some_and(|path| path.split('/').any(part))
    }

    /// Method and target of the request.
    pub fn method_and_target(&self) -> Option<(&'a str, &'a str)> {
        request_line(self.request?)
    }

    /// The upstream without the path of the request: `http://127.0.0.1:8000`, `fastcgi://unix:/run/php.sock:`,
    /// `http://name-of-a-pool`.
    pub fn upstream_base(&self) -> Option<&'a str> {
        let upstream = self.upstream?;
        let start = upstream.find("://").map_or(0, |at| at + 3);
        let authority = upstream.get(start..)?;
        let end = if authority.starts_with("unix:") {
            // `unix:/run/app.sock:/path`: nginx ends the socket's path with a colon. One logged for a stream has none.
            authority.get(5..)?.find(':').map_or(authority.len(), |at| at + 6)
        } else {
            authority.find('/').unwrap_or(authority.len())
        };
        upstream.get(..start + end)
    }

    /// The upstream's address alone: `127.0.0.1:8000`, `unix:/run/php.sock`, `name-of-a-pool`.
    pub fn upstream_address(&self) -> Option<&'a str> {
        let base = self.upstream_base()?;
        let address = base.split_once("://").map_or(base, |(_, address)| address);
        Some(if address.starts_with("unix:") { address.strip_suffix(':').unwrap_or(address) } else { address })
    }
}

/// `*5 `, the number of a connection.
fn connection(text: &str) -> (Option<u64>, &str) {
    let behind = text.strip_prefix('*').and_then(|rest| rest.split_once(' '));
    match behind.and_then(|(number, rest)| Some((number.parse().ok()?, rest))) {
        Some((number, rest)) => (Some(number), rest),
        None => (None, text),
    }
}

/// Whether it is known by its words alone as nginx's.
fn is_nginxs(line: &NginxErrorLine<'_>) -> bool {
    let message = line.message;
    // A whole line behind words that are not nginx's ends like this, too.
    let whole = || LEVELS.iter().any(|level| message.contains(&format!(" [{level}] ")));
    // What somebody put before it is no part of it, and the rest of a line that was wrapped is no line.
    let first = message.split(' ').next().unwrap_or_default();
    let own = first.ends_with("()") || ["upstream", "no", "peer", "client", "an", "FastCGI", "[lua]"].contains(&first);
    own && DOING.iter().any(|doing| message.ends_with(doing)) && !whole()
        || BEGINS.iter().any(|begin| message.starts_with(begin))
        || message.contains(" worker_connections are not enough")
        || message.contains(" could not be resolved (") && system_error(message).is_some()
        || message.starts_with("worker process ") && message.contains(" exited on signal ")
        || of_system_call(message)
        || of_lua(message)
}

/// `[lua] balancer.lua:250: execute(): text`: how ngx.log puts the place before what a program of ngx_lua says (ngx_http_lua_log.c).
fn of_lua(message: &str) -> bool {
    let place = message.strip_prefix("[lua] ").and_then(|rest| rest.split_once(".lua:"));
    place.is_some_and(|(file, rest)| {
        let number = rest.split(':').next().unwrap_or_default();
        !file.contains(' ') && !number.is_empty() && number.len() < rest.len() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// `connect() to unix:/run/app.sock failed (2: No such file or directory)`: the name of the call comes first (`ngx_log_error_core`
/// adds the error's number and text in parentheses, and nobody else writes the number like this behind the name of a call).
fn of_system_call(message: &str) -> bool {
    let call = message.split_once("() ").is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    });
    call && message.contains("failed (") && system_error(message).is_some()
}

/// The number in ` (111: Connection refused)`.
fn system_error(message: &str) -> Option<u32> {
    message.match_indices(" (").find_map(|(at, open)| message.get(at + open.len()..)?.split_once(": ")?.0.parse().ok())
}

/// The level at which nginx logs a message.
fn level_of(message: &str) -> &'static str {
    // ngx_conf_log_error: ` in /etc/nginx/nginx.conf:12`.
    let of_configuration = message
        .rsplit_once(':')
        .is_some_and(|(before, line)| !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit()) && before.contains(" in /"));
    if of_configuration || message.starts_with("bind() to ") {
        return "emerg";
    }
    if message.contains(" worker_connections are not enough") {
        return "alert";
    }
    let system = of_system_call(message).then(|| system_error(message)).flatten();
    if system.is_some_and(|number| !OF_CONNECTIONS.contains(&number)) { "crit" } else { "error" }
}

/// A value that is not escaped, up to the quote that ends it: the one before the next field, or the last on the line.
fn quoted(text: &str) -> (&str, &str) {
    const NEXT: [&str; 6] =
        ["\", upstream: \"", "\", host: \"", "\", referrer: \"", "\", subrequest: \"", "\", bytes ", "\", request: \""];
    let ends = memchr::memchr_iter(b'"', text.as_bytes());
    for end in ends {
        let after = text.get(end..).unwrap_or_default();
        if after.len() == 1 || NEXT.iter().any(|next| after.starts_with(next)) {
            return (text.get(..end).unwrap_or_default(), after.get(3..).unwrap_or_default());
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests;
