//! Apache httpd's error log: `[Fri Nov 20 23:36:34.397346 2026] [proxy:error] [pid 178:tid 212] (111)Connection refused: [client
//! 10.0.0.1:54816] AH00957: message, referer: ...` (`log_error_core` in server/log.c; `ErrorLogFormat`, httpd manual, core), that
//! of 2.2 (`[time] [error] [client 10.0.0.1] message`), and what httpd says on stderr before it has a log (`AH00526: Syntax error
//! on line 3 of ...`).
//!
//! The message is the error of the system or of APR, the number and the text: `(111)Connection refused: AH00957: http: attempt to
//! connect to 127.0.0.1:9099 (127.0.0.1:9099) failed`. What a client chose is not in it: paths of requests are `<path>`, the
//! referer is cut off. `client: ` stands before what mod_ssl says of the connection of a client, as the same words are also said
//! of connections to upstreams.

use std::borrow::Cow;

use super::{Carried, Dialect, Entry, Level, LineTime, TimeShape, terse::unheaded};

/// What it says on stderr without a number (server/config.c; ld.so(8) speaks for a program that it could not start).
const OWN: [&str; 6] = [
    "apache2: Syntax error on line ",
    "httpd: Syntax error on line ",
    "apache2: error while loading shared libraries: ",
    "httpd: error while loading shared libraries: ",
    "apache2: Could not open configuration file ",
    "httpd: Could not open configuration file ",
];
/// How 2.2 worded, without a number, what has one since 2.4 (modules/proxy and server/mpm of both).
const OF_2_2: [(&str, &str); 23] = [
    ("server reached MaxClients setting", "AH00484: "),
    ("server reached MaxRequestWorkers setting", "AH00484: "),
    ("proxy: error reading status line from remote server ", "AH01102: "),
    ("proxy: pass request body failed to ", "AH01084: "),
    ("proxy: Error reading from remote server", "AH00898: "),
    ("proxy: DNS lookup failure for: ", "AH00898: "),
    ("proxy: Error during SSL Handshake with remote server", "AH00898: "),
    ("proxy: HTTP: disabled connection for (", "AH00940: "),
    ("proxy: AJP: disabled connection for (", "AH00940: "),
    ("proxy: No protocol handler was valid for the URL ", "AH01144: "),
    ("proxy: BALANCER: (balancer://", "AH01170: "),
    ("proxy: HTTP: attempt to connect to ", "AH00957: "),
    ("proxy: HTTPS: attempt to connect to ", "AH00957: "),
    ("proxy: AJP: attempt to connect to ", "AH00957: "),
    ("proxy: FCGI: attempt to connect to ", "AH00957: "),
    ("proxy: SCGI: attempt to connect to ", "AH00957: "),
    ("proxy: FCGI: disabled connection for (", "AH00940: "),
    ("proxy: FCGI: Failed to read FastCGI header", "AH01067: "),
    ("proxy: FCGI: Error dispatching request to ", "AH01075: "),
    ("proxy: read response failed from ", "AH00878: "),
    ("ajp_read_header: ajp_ilink_receive failed", "AH00992: "),
    ("ajp_ilink_receive() can't receive header", "AH01030: "),
    ("ap_proxy_connect_backend disabling worker for (", "AH00959: "),
];

/// How 2.2 and 2.4 say that a script ended without an answer (server/util_script.c, `ap_scan_script_header_err_core_ex`).
const SCRIPT_ENDED: [&str; 2] = ["Premature end of script headers", "End of script output before headers"];

/// Reads a line of Apache's error log.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text.trim_end();
    let Some(head) = head(text) else {
        // On stderr, before the log is open: only what has a number is its own for sure.
        // Its level may be left: `[error] server reached ...`, `[error] (111)Connection refused: proxy: ...`.
        let said = unheaded(text).said;
        let (_, rest) = system_error(said);
        let own = OWN.iter().any(|words| rest.starts_with(words)) || of_fcgid(rest);
        return (numbered(rest).is_some() || renumbered(rest).is_some() || own).then(|| entry("", None, None, said));
    };
    Some(Entry { time: head.time, level: head.level, pid: head.pid, ..said(head.module, head.text) })
}

/// What stands before the message.
struct Head<'a> {
    /// `None`: it was not pasted.
    time: Option<LineTime<'a>>,
    module: &'a str,
    level: Option<Level>,
    pid: Option<u32>,
    text: &'a str,
}

/// Modules of httpd that speak of upstreams, of the server itself, and of applications within: with its level each is known as
/// httpd's where the time is missing.
const MODULES: [&str; 9] = ["proxy", "core", "mpm_", "ssl", "lbmethod_", "cgi", "wsgi", "php", "fcgid"];

fn head(text: &str) -> Option<Head<'_>> {
    let inner = text.strip_prefix('[')?;
    let (time, told) = match TimeShape::Ctime.leading(inner) {
        Some((time, rest)) => (Some(time), rest.strip_prefix("] [")?),
        None => (None, inner),
    };
    let (told, rest) = told.split_once(']')?;
    let (module, level) = match told.split_once(':') {
        Some(both) => both,
        // Without a time, others write their level so, too.
        None => ("", time.map(|_| told)?),
    };
    let level = Some(Level::parse(level)?);
    if time.is_none() && !MODULES.iter().any(|known| module.starts_with(known)) {
        return None;
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !module.bytes().all(fits) {
        return None;
    }
    let mut rest = rest.trim_start();
    let mut pid = None;
    if let Some((process, after)) = rest.strip_prefix("[pid ").and_then(|rest| rest.split_once(']')) {
        pid = process.split(':').next().and_then(|pid| pid.parse().ok());
        rest = after.trim_start();
    }
    Some(Head { time, module, level, pid, text: source_file(rest) })
}

/// Behind `mod_proxy.c(2841): `, which stands there from the level debug on (`%F` of ErrorLogFormat).
fn source_file(text: &str) -> &str {
    let behind = text.split_once("): ").filter(|(before, _)| {
        before.split_once(".c(").is_some_and(|(file, line)| {
            file.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && line.bytes().all(|b| b.is_ascii_digit())
        })
    });
    behind.map_or(text, |(_, rest)| rest)
}

/// `(111)Connection refused: `, `(EAI 2)Name or service not known: ` and what stands behind it.
fn system_error(text: &str) -> (Option<&str>, &str) {
    let told = text.strip_prefix('(').and_then(|rest| rest.split_once(')')).filter(|(number, _)| {
        let digits = number.strip_prefix("EAI ").unwrap_or(number);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    match told.and_then(|(_, rest)| rest.find(": ")).map(|at| at + text.len() - told.map_or(0, |(_, rest)| rest.len())) {
        Some(end) => (Some(&text[..end]), &text[end + 2..]),
        None => (None, text),
    }
}

/// The message's number: `AH00957`.
fn numbered(text: &str) -> Option<&str> {
    let number = text.get(..7)?;
    let known = number.starts_with("AH") && number[2..].bytes().all(|b| b.is_ascii_digit()) && text[7..].starts_with(": ");
    known.then_some(number)
}

/// The number of a message of 2.2, and its words without `proxy: `.
fn renumbered(text: &str) -> Option<(&'static str, &str)> {
    let &(_, number) = OF_2_2.iter().find(|(words, _)| text.starts_with(words))?;
    let words = text.strip_prefix("proxy: ").unwrap_or(text);
    // What has a number of mod_proxy_fcgi's own names the module no more.
    let of_fcgi = words.strip_prefix("FCGI: ").filter(|_| matches!(number, "AH01067: " | "AH01075: "));
    Some((number, of_fcgi.unwrap_or(words)))
}

/// What mod_fcgid says of the program that it started (modules/fcgid/fcgid_bridge.c): it has numbers of its own nowhere.
fn of_fcgid(text: &str) -> bool {
    text.starts_with("mod_fcgid: ")
}

fn said<'a>(module: &str, text: &'a str) -> Entry<'a> {
    let (error, rest) = system_error(text);
    // The client, or the other end of a connection of our own, where httpd knows one.
    let peer = |name: &str| {
        let (peer, message) = rest.strip_prefix('[')?.strip_prefix(name)?.split_once(']')?;
        // Up to 2.2 the error of the system stood behind the client, and pastes lose the blank between them.
        let message = message.strip_prefix(' ').or_else(|| Some(message).filter(|message| message.starts_with('(')))?;
        Some((peer, message))
    };
    match (peer("client "), peer("remote ")) {
        (Some((client, message)), _) => Entry { client: Some(client.into()), ..entry(module, error, Some(message), text) },
        (None, Some((remote, message))) => {
            let entry = entry(module, error, None, message);
            Entry { upstream: entry.upstream.or(Some(remote.into())), ..entry }
        }
        (None, None) => entry(module, None, None, text),
    }
}

/// `of_client`: the message behind the client's address.
fn entry<'a>(module: &str, error: Option<&'a str>, of_client: Option<&'a str>, text: &'a str) -> Entry<'a> {
    let whole = of_client.unwrap_or(text);
    // A referer may hold anything, this text too: it ends the message wherever it stands first.
    let message = whole.split_once(", referer: ").map_or(whole, |(message, _)| message);
    let applications = of_client.is_some() && is_applications(module, message);
    let message = if of_client.is_none() || applications { message } else { before_request(message) };
    let upstream = if applications { None } else { upstream(message) };
    let mut shown = Cow::Borrowed(message);
    if of_client.is_some() && !applications && message.contains(" /") {
        let words = message.split(' ').map(|word| if word.starts_with('/') { "<path>" } else { word });
        shown = words.collect::<Vec<_>>().join(" ").into();
    }
    let (of_system, words) = system_error(&shown);
    if let Some((number, words)) = renumbered(words) {
        let of_system = of_system.map(|told| format!("{told}: ")).unwrap_or_default();
        shown = format!("{of_system}{number}{words}").into();
    }
    if module == "ssl" && of_client.is_some() {
        shown = format!("client: {shown}").into();
    }
    if let Some(error) = error {
        shown = format!("{error}: {shown}").into();
    }
    Entry { dialect: Dialect::ApacheError, upstream, message: shown, ..Entry::default() }
}

/// Whether an application said it: AH01071 by FastCGI, AH01215 by CGI, mod_php and mod_wsgi without number. Its paths are its own,
/// and its words may be a client's.
fn is_applications(module: &str, message: &str) -> bool {
    module.starts_with("php") || module == "wsgi" || matches!(numbered(message), Some("AH01071" | "AH01215"))
}

/// A message about a client's request up to where what was asked for, or a header of the answer, is quoted.
fn before_request(message: &str) -> &str {
    const ENDS: [&str; 5] = [" returned by /", " Bad response header: ", " in request ", " (server ", " from "];
    // The script is of the client's choosing (server/util_script.c): `Premature end of script headers: index.php`.
    if let Some(end) = SCRIPT_ENDED.iter().find(|words| message.starts_with(**words)) {
        return &message[..end.len()];
    }
    // AH01097: `pass request body failed to 10.0.0.5:80 (app) from 203.0.113.9 ()`.
    let ends = ENDS.iter().filter(|words| **words != " from " || message.starts_with("AH01097"));
    let end = ends.filter_map(|words| message.find(words)).min().unwrap_or(message.len());
    &message[..end]
}

/// The upstream that a message names.
fn upstream(message: &str) -> Option<Cow<'_, str>> {
    // What stands before it, and what ends it.
    const NAMED: [(&str, &[char]); 15] = [
        ("Health check DISABLING ", &[' ']),
        ("Health check ENABLING ", &[' ']),
        ("attempt to connect to Unix domain socket ", &[' ']),
        ("attempt to connect to ", &[' ']),
        ("from remote server ", &[' ', ',']),
        ("disabling worker for (", &[')']),
        ("disabled connection for (", &[')']),
        ("failed to acquire connection for (", &[')']),
        ("Forcing worker (", &[')']),
        ("pass request body failed to ", &[' ']),
        ("failed to enable ssl support for ", &[' ']),
        ("read response failed from ", &[' ']),
        ("cping/cpong failed to ", &[' ']),
        ("DNS lookup failure for: ", &[' ']),
        ("failed to make connection to backend: ", &[' ']),
    ];
    let (before, rest, ends) = NAMED.iter().find_map(|(before, ends)| Some((*before, message.split_once(before)?.1, *ends)))?;
    let name = rest.split(ends).next().unwrap_or(rest);
    let name = name.split_once("://").map_or(name, |(_, name)| name.trim_end_matches('/'));
    // A host alone names no upstream: the line before has its address.
    let bare = before.starts_with("failed to make") && !name.contains(':');
    // AH00898: `Error reading from remote server returned by /path`.
    let unnamed = bare || name.is_empty() || name == "returned";
    match before.ends_with("socket ") {
        true => Some(format!("unix:{name}").into()),
        false if unnamed => None,
        false => Some(name.into()),
    }
}

#[cfg(test)]
mod tests;
