//! HTTP/1.1 by hand, because a library would hide what a gateway chokes on. Judged as nginx judges an upstream's answer
//! (`ngx_http_parse_status_line`, `ngx_http_parse_header_line`, `ngx_http_upstream_process_headers`), and noted where others differ.

use std::time::Duration;

use super::{emitter::maker, retry_after, sniff, wire::Conn};
use crate::model::{Flaw, Garbage, HAPROXY_LINES, HttpRequest, Outcome, Phase};

/// Bytes of a response header that are read when the gateway's own limit is not known: beyond every default (nginx 4 or 8 kB,
/// HAProxy 16 kB, Apache 8 kB a line, Envoy 60 kB).
pub(super) const HEAD_BYTES: usize = 64 << 10;
/// Bytes of a response header that are read at most, whatever the gateway takes.
pub(super) const HEAD_BYTES_MAX: usize = 1 << 20;
/// Bytes of a body that are read: enough for any error page and to see that a body flows.
pub(super) const BODY_BYTES: usize = 64 << 10;
/// Interim responses (RFC 9110 section 15.2) that are passed over.
const INTERIM: usize = 8;
/// Bytes after which it is clear that no status line comes: `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;
/// How long a peer that does not speak HTTP may take to say more of what it speaks.
const GREETING: Duration = Duration::from_millis(300);
/// A body that has moved within this time, in milliseconds, when the deadline came, is a slow body and no stuck one.
const MOVING_MS: f64 = 1000.0;

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) outcome: Option<Outcome>,
    pub(super) emitter: Option<String>,
    /// [`crate::model::ProbeReport::own_page`].
    pub(super) own_page: bool,
    /// [`crate::model::ProbeReport::flaws`].
    pub(super) flaws: Vec<Flaw>,
    pub(super) head_bytes: Option<u32>,
    /// [`crate::model::ProbeReport::retry_after_s`].
    pub(super) retry_after_s: Option<u64>,
    /// A line for a person.
    pub(super) note: Option<String>,
}

impl Answer {
    pub(super) fn of(outcome: Outcome) -> Self {
        Self { outcome: Some(outcome), ..Self::default() }
    }

    pub(super) fn noted(outcome: Outcome, note: String) -> Self {
        Self { outcome: Some(outcome), note: Some(note), ..Self::default() }
    }
}

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// With a status line.
    Http,
    /// With header lines, the status in one of them (RFC 3875 section 6).
    Cgi,
}

/// A response header.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    flaws: Vec<Flaw>,
}

/// The request as bytes. `Err`: why it may not be sent.
pub(super) fn request(request: &HttpRequest) -> Result<Vec<u8>, String> {
    check(request)?;
    let HttpRequest { method, path: _, query: _, host, headers, params: _ } = request;
    let mut text = format!("{method} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\n", request.target(), agent_of(request));
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("user-agent")) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let accepts = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept"));
    text.push_str(if accepts { "Connection: close\r\n\r\n" } else { "Accept: */*\r\nConnection: close\r\n\r\n" });
    Ok(text.into_bytes())
}

/// Our name in other people's logs.
pub(super) fn user_agent() -> String {
    format!("why502/{} {}", env!("CARGO_PKG_VERSION"), crate::model::logline::PROBE_MARK)
}

/// The User-Agent of a request: our own name, behind that of the browser that it is made as, so that the mark is always there.
pub(super) fn agent_of(request: &HttpRequest) -> String {
    let played = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
    played.map_or_else(user_agent, |(_, played)| format!("{played} {}", user_agent()))
}

/// Only safe methods, and nothing that would break out of the request line or the Host header.
pub(super) fn check(request: &HttpRequest) -> Result<(), String> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Err(format!("{} is no safe method", request.method));
    }
    let clean = |text: &str| !text.is_empty() && !text.bytes().any(|b| b <= b' ' || b == 0x7f);
    if !clean(&request.target()) || !request.path.starts_with('/') {
        return Err("the path cannot be sent as it is".to_owned());
    }
    let token = |name: &str| clean(name) && !name.contains(':');
    let line = |value: &str| !value.bytes().any(|b| b < b' ' || b == 0x7f);
    if !request.headers.iter().all(|(name, value)| token(name) && line(value)) {
        return Err("a header line cannot be sent as it is".to_owned());
    }
    if clean(&request.host) { Ok(()) } else { Err("the host name cannot be sent as it is".to_owned()) }
}

/// Reads an answer: header, and the beginning of the body.
pub(super) async fn receive(conn: &mut Conn, style: Style, head_only: bool, header_limit: Option<u32>) -> Answer {
    let limit = header_limit.map_or(HEAD_BYTES, |limit| limit as usize).min(HEAD_BYTES_MAX);
    let cap = limit.clamp(HEAD_BYTES, HEAD_BYTES_MAX);
    let mut buf = Vec::new();
    let (mut scanned, mut interim) = (0, 0);
    loop {
        if style == Style::Http && !could_be_http(&buf) {
            return other(conn, buf).await;
        }
        if let Some(end) = head_end(&buf, scanned) {
            if end > limit {
                return too_big(end, limit);
            }
            let cgi = style == Style::Cgi && !buf.starts_with(b"HTTP/");
            let head = match parse_head(&buf[..end], if cgi { Style::Cgi } else { Style::Http }) {
                Ok(head) => head,
                Err(Garbage::Header(why)) => return Answer::noted(Outcome::Invalid(Garbage::Header(why.clone())), why),
                Err(garbage) => return Answer::noted(Outcome::Invalid(garbage), sniff::quote(&buf)),
            };
            let rest = buf.split_off(end);
            if (100..200).contains(&head.status) && head.status != 101 && interim < INTERIM {
                (buf, scanned, interim) = (rest, 0, interim + 1);
                continue;
            }
            return finish(conn, head, end, rest, head_only).await;
        }
        if buf.len() >= cap {
            return too_big(buf.len(), limit);
        }
        scanned = buf.len().saturating_sub(2);
        match conn.read(&mut buf, Phase::Head).await {
            Ok(0) | Err(_) if buf.len() > limit => return too_big(buf.len(), limit),
            Ok(0) if buf.is_empty() || style == Style::Cgi => return Answer::of(Outcome::Closed(Phase::Head)),
            Ok(0) => return Answer::noted(Outcome::Closed(Phase::Head), sniff::quote(&buf)),
            Ok(_) => {}
            Err(outcome) => return Answer::of(outcome),
        }
    }
}

fn too_big(bytes: usize, limit: usize) -> Answer {
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Answer {
        outcome: Some(Outcome::HeaderTooBig { bytes: number(bytes), limit: number(limit) }),
        head_bytes: Some(number(bytes)),
        ..Answer::default()
    }
}

fn could_be_http(buf: &[u8]) -> bool {
    let begin = b"HTTP/";
    let len = buf.len().min(begin.len());
    buf[..len] == begin[..len]
}

/// An answer that is no HTTP: waits a moment for enough of it to tell what it is.
async fn other(conn: &mut Conn, mut buf: Vec<u8>) -> Answer {
    while buf.len() < STATUS_LINE && sniff::speaks(&buf).is_none() {
        match conn.read_within(&mut buf, Phase::Head, GREETING).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    match sniff::speaks(&buf) {
        Some(name) => Answer::noted(Outcome::Speaks(name.to_owned()), sniff::quote(&buf)),
        None => Answer::noted(Outcome::Invalid(Garbage::StatusLine), sniff::quote(&buf)),
    }
}

/// Where the header ends: after the first empty line. Lines may end in a bare LF (RFC 9112 section 2.2).
pub(super) fn head_end(buf: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', buf.get(from..)?).map(|at| from + at).find_map(|at| match buf[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Parses a complete header.
pub(super) fn parse_head(bytes: &[u8], style: Style) -> Result<Head, Garbage> {
    let mut lines = bytes.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut status = None;
    if style == Style::Http {
        status = Some(status_line(lines.next().unwrap_or_default())?);
    }
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        headers.push(header_line(line).map_err(|why| Garbage::Header(format!("{why}: {}", excerpt(line))))?);
    }
    let all = |name: &str| {
        headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, v): &(String, String)| v.trim())
            .collect::<Vec<_>>()
    };
    let status = match status {
        Some(status) => status,
        None => cgi_status(&all("status"), !all("location").is_empty())?,
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    let length = match lengths[..] {
        [] => None,
        [one] => {
            Some(one.parse().map_err(|_| Garbage::Header(format!("Content-Length is no number: {}", excerpt(one.as_bytes()))))?)
        }
        // nginx refuses them since 1.23.0, equal or not; RFC 9112 section 6.3 lets a recipient do so.
        _ => return Err(Garbage::Header("Content-Length twice".to_owned())),
    };
    let chunked = match codings[..] {
        [] => false,
        [one] if one.eq_ignore_ascii_case("chunked") => true,
        [one] => return Err(Garbage::Header(format!("unknown Transfer-Encoding: {}", excerpt(one.as_bytes())))),
        _ => return Err(Garbage::Header("Transfer-Encoding twice".to_owned())),
    };
    if chunked && length.is_some() {
        return Err(Garbage::Header("Content-Length and Transfer-Encoding contradict each other".to_owned()));
    }
    let flaws = flaws(&headers);
    Ok(Head { status, headers, length, chunked, flaws })
}

/// What other gateways than nginx refuse.
fn flaws(headers: &[(String, String)]) -> Vec<Flaw> {
    // RFC 9110 section 5.6.2.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let control = |b: u8| (b < b' ' && b != b'\t') || b == 0x7f;
    let shown = |(name, value): &(String, String)| excerpt(format!("{name}:{value}").as_bytes());
    let name = headers.iter().find(|(name, _)| !name.bytes().all(token)).map(|line| Flaw::NameOfNoToken(shown(line)));
    let value = headers.iter().find(|(_, value)| value.bytes().any(control)).map(|line| Flaw::ControlInValue(shown(line)));
    let many = (headers.len() > HAPROXY_LINES).then_some(Flaw::ManyLines(headers.len()));
    name.into_iter().chain(value).chain(many).collect()
}

fn status_line(line: &[u8]) -> Result<u16, Garbage> {
    let mut none = [];
    let mut response = httparse::Response::new(&mut none);
    let whole = [line, b"\r\n\r\n"].concat();
    match (response.parse(&whole), response.code) {
        (Ok(_), Some(code @ 100..)) => Ok(code),
        _ => Err(Garbage::StatusLine),
    }
}

/// As nginx takes a header line of an upstream since 1.21.1: any name without blanks and control characters, any value
/// without NUL. A line without a colon passes nginx, but neither HAProxy nor Apache.
fn header_line(line: &[u8]) -> Result<(String, String), &'static str> {
    let colon = memchr::memchr(b':', line);
    if colon.is_none() && matches!(line.first(), Some(b' ' | b'\t')) {
        return Err("a folded line");
    }
    let colon = colon.ok_or("a line without a colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() {
        return Err("a line without a name");
    }
    // RFC 9112 section 5.2; nginx since 1.21.1.
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err("a folded line");
    }
    if name.iter().any(|b| *b <= b' ' || *b == 0x7f) {
        return Err("a blank or control character in a name");
    }
    if value.contains(&0) {
        return Err("a NUL byte in a value");
    }
    // sw_almost_done of ngx_http_parse_header_line: after CR comes LF, or nothing.
    if value.contains(&b'\r') {
        return Err("a carriage return in a value");
    }
    Ok((String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(value).into_owned()))
}

/// The status of a CGI answer (RFC 3875 section 6.3.3): 200, or 302 with a Location, unless it says otherwise.
fn cgi_status(lines: &[&str], location: bool) -> Result<u16, Garbage> {
    let Some(line) = lines.first() else { return Ok(if location { 302 } else { 200 }) };
    let code = line.get(..3).and_then(|code| code.parse().ok()).filter(|code| (100..=999).contains(code));
    code.ok_or_else(|| Garbage::Header(format!("Status is no number: {}", excerpt(line.as_bytes()))))
}

/// A line's beginning, for a person.
fn excerpt(line: &[u8]) -> String {
    /// Enough to find the line in the application's code.
    const SHOWN: usize = 60;
    line[..line.len().min(SHOWN)].escape_ascii().to_string()
}

/// The header is good: reads on, and says who answered.
async fn finish(conn: &mut Conn, head: Head, head_bytes: usize, rest: Vec<u8>, head_only: bool) -> Answer {
    let named = |name: &str| head.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let streams = named("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
    let none = head_only || streams || matches!(head.status, 101 | 204 | 304);
    let (broken, body) = if none { (None, Vec::new()) } else { read_body(conn, &head, rest).await };
    let mut answer = judge(&head, &body);
    answer.head_bytes = u32::try_from(head_bytes).ok();
    if let Some(broken) = broken {
        answer.note = Some(format!("status {}, {} bytes of the body", head.status, body.len()));
        answer.outcome = Some(broken);
    }
    answer
}

/// The answer that a good header and the beginning of its body are.
pub(super) fn judge(head: &Head, body: &[u8]) -> Answer {
    let named =
        |name: &str| head.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    let other = if sniff::wanted_tls(head.status, body) { Some("tls") } else { sniff::called_by_http(body) };
    let outcome = other.map_or(Outcome::Status(head.status), |name| Outcome::Speaks(name.to_owned()));
    let maker = maker(head.status, &head.headers, body);
    let own_page = maker.as_ref().is_some_and(|maker| maker.own_page);
    Answer {
        outcome: Some(outcome),
        emitter: maker.map(|maker| maker.name),
        own_page,
        flaws: head.flaws.clone(),
        retry_after_s: retry_after::seconds(head.status, named),
        ..Answer::default()
    }
}

/// Reads the body as far as needed: what is wrong with it, and its beginning.
pub(super) async fn read_body(conn: &mut Conn, head: &Head, mut raw: Vec<u8>) -> (Option<Outcome>, Vec<u8>) {
    let mut chunks = Chunks::default();
    loop {
        let whole = match head.length {
            _ if head.chunked => match chunks.take(&raw) {
                Ok(whole) => whole,
                Err(()) => return (Some(Outcome::Invalid(Garbage::Chunk)), chunks.body),
            },
            Some(length) => raw.len() as u64 >= length,
            None => false,
        };
        let body = |raw: Vec<u8>, chunks: Chunks| if head.chunked { chunks.body } else { raw };
        if whole || raw.len() >= BODY_BYTES {
            return (None, body(raw, chunks));
        }
        match conn.read(&mut raw, Phase::Body).await {
            Ok(1..) => {}
            Ok(0) if head.length.is_none() && !head.chunked => return (None, raw),
            Ok(0) => return (Some(Outcome::Closed(Phase::Body)), body(raw, chunks)),
            Err(Outcome::Timeout(_)) if conn.silent_ms() < MOVING_MS => return (None, body(raw, chunks)),
            Err(outcome) => return (Some(outcome), body(raw, chunks)),
        }
    }
}

/// The chunked coding (RFC 9112 section 7.1), as far as it has come.
#[derive(Debug, Default)]
struct Chunks {
    /// Bytes of the raw body that are understood.
    at: usize,
    body: Vec<u8>,
}

impl Chunks {
    /// Goes on in `raw`, which has grown at its end; `true`: the last chunk and the trailer are there.
    fn take(&mut self, raw: &[u8]) -> Result<bool, ()> {
        loop {
            let rest = &raw[self.at..];
            let (line, size) = match httparse::parse_chunk_size(rest) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) => return Ok(false),
                Err(httparse::InvalidChunkSize) => return Err(()),
            };
            if size == 0 {
                return Ok(rest[line..].starts_with(b"\r\n") || head_end(rest, 0).is_some());
            }
            let Some(end) = usize::try_from(size).ok().and_then(|size| line.checked_add(size)) else { return Ok(false) };
            let Some(close) = rest.get(end..).and_then(|after| after.get(..2)) else { return Ok(false) };
            if close != b"\r\n" {
                return Err(());
            }
            self.body.extend_from_slice(&rest[line..end]);
            self.at += end + 2;
        }
    }
}

#[cfg(test)]
mod tests;
