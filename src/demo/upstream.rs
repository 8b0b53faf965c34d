//! One exchange with one server of the upstream, and what nginx says when it fails (src/http/ngx_http_upstream.c,
//! ngx_http_proxy_module.c).

use std::{fmt::Write as _, io, time::Duration};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{log::Level, request::Request, tls};
use crate::{
    model::{Address, Route},
    sys::{ConnectError, Stream},
};

/// Bytes of a response header at most where the configuration says nothing: one page (`proxy_buffer_size`).
const HEAD_BYTES: u32 = 4096;
/// Headers of a response at most.
const HEADERS: usize = 200;

/// A connection to an upstream, in TLS or not.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why there is no answer: the line for the error log, and the status for the client.
#[derive(Debug)]
pub(super) struct Failed {
    /// Level of the line.
    pub(super) level: Level,
    /// The line, up to the request's own part.
    pub(super) text: String,
    /// Status for the client.
    pub(super) status: u16,
}

impl Failed {
    fn bad(text: impl Into<String>) -> Self {
        Self { level: Level::Error, text: text.into(), status: 502 }
    }

    fn slow(phase: &str) -> Self {
        Self { level: Level::Error, text: format!("upstream timed out (110: Connection timed out) while {phase}"), status: 504 }
    }
}

/// A response header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Of HTTP/1.
    Http {
        /// Status.
        status: u16,
        /// Its words.
        reason: String,
        /// Headers.
        headers: Vec<(String, Vec<u8>)>,
    },
    /// Bytes that don't begin with a status line: nginx takes them for HTTP/0.9, all body, and says so in its log.
    None,
}

/// An answer whose header has come.
pub(super) struct Answer {
    /// The header.
    pub(super) head: Head,
    /// What of the body came along with it.
    pub(super) begun: Vec<u8>,
    /// Where the rest comes from.
    pub(super) wire: Box<dyn Wire>,
}

/// Connects, sends the request, and reads the header of the answer.
pub(super) async fn exchange(route: &Route, address: &Address, request: &Request) -> Result<Answer, Failed> {
    let stream = connect(route, address).await?;
    let mut wire: Box<dyn Wire> = if route.protocol.tls() { handshake(route, stream).await? } else { Box::new(stream) };
    let wait = Duration::from_millis(route.read_ms);
    let sent = tokio::time::timeout(wait, wire.write_all(&rendered(route, request))).await;
    match sent {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(Failed::bad(format!("writev() failed ({}) while sending request to upstream", words(&error))));
        }
        Err(_) => return Err(Failed::slow("sending request to upstream")),
    }
    let (head, begun) = read_head(&mut wire, wait, route.header_limit.unwrap_or(HEAD_BYTES)).await?;
    Ok(Answer { head, begun, wire })
}

async fn connect(route: &Route, address: &Address) -> Result<Stream, Failed> {
    let within = Duration::from_millis(route.connect_ms);
    let (to, connected) = match address {
        Address::Tcp(at) => (String::new(), Stream::tcp(*at, within).await),
        Address::Unix(path) => (format!("to {address} "), Stream::unix(path, within).await),
        Address::Inside(..) => return Err(Failed::bad(format!("{address} is not of this host"))),
        Address::Name(name, _) => return Err(Failed::bad(format!("{name} could not be resolved (3: Host not found)"))),
    };
    connected.map_err(|error| match error {
        ConnectError::Timeout(_) => Failed::slow("connecting to upstream"),
        ConnectError::Io(error) | ConnectError::Source(error) => {
            // ngx_event_connect_peer: ENOENT of a unix socket and whatever else is not an everyday failure is critical.
            let everyday = [11, 111, 104, 110, 113, 101];
            let level = if error.raw_os_error().is_some_and(|code| everyday.contains(&code)) { Level::Error } else { Level::Crit };
            let text = format!("connect() {to}failed ({}) while connecting to upstream", words(&error));
            Failed { level, text, status: 502 }
        }
    })
}

async fn handshake(route: &Route, stream: Stream) -> Result<Box<dyn Wire>, Failed> {
    const PHASE: &str = "SSL handshaking to upstream";
    let connector = tls::connector().map_err(|error| Failed::bad(format!("{error} while {PHASE}")))?;
    // Without a name in the configuration none is sent: an address is never one (RFC 6066 section 3).
    let name = route.sni.clone().and_then(|name| ServerName::try_from(name).ok());
    let name = name.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    // nginx has 60 s for it (`proxy_connect_timeout` again, in ngx_http_upstream_ssl_handshake).
    match tokio::time::timeout(Duration::from_millis(route.connect_ms), connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Failed::bad(format!("peer closed connection in SSL handshake while {PHASE}")))
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
            let what = "peer closed connection in SSL handshake (104: Connection reset by peer)";
            Err(Failed::bad(format!("{what} while {PHASE}")))
        }
        Ok(Err(error)) => Err(Failed::bad(format!("{} while {PHASE}", tls::openssl_words(&error)))),
        Err(_) => Err(Failed::slow(PHASE)),
    }
}

/// The request as nginx passes it on by default: HTTP/1.0, one per connection.
fn rendered(route: &Route, request: &Request) -> Vec<u8> {
    let host = route.host_header.clone().or_else(|| request.header("host")).unwrap_or_default();
    let mut bytes =
        format!("{} {} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n", request.method, target(route, request)).into_bytes();
    for (name, value) in &request.headers {
        // What belongs to this connection alone, and what is written anew (RFC 9110 section 7.6.1).
        let own =
            ["host", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"];
        if !own.iter().any(|one| name.eq_ignore_ascii_case(one)) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&request.body);
    bytes
}

/// The target as the upstream sees it.
pub(super) fn target(route: &Route, request: &Request) -> String {
    match route.rewrite.as_deref() {
        Some((from, to)) if request.target.starts_with(from.as_str()) => format!("{to}{}", &request.target[from.len()..]),
        Some(_) | None => request.target.clone(),
    }
}

async fn read_head(wire: &mut Box<dyn Wire>, wait: Duration, limit: u32) -> Result<(Head, Vec<u8>), Failed> {
    const PHASE: &str = "reading response header from upstream";
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(64);
    let mut bytes = Vec::new();
    loop {
        let mut part = vec![0; (limit - bytes.len()).min(16 << 10)];
        match tokio::time::timeout(wait, wire.read(&mut part)).await {
            Err(_) => return Err(Failed::slow(PHASE)),
            Ok(Ok(0)) => return Err(Failed::bad(format!("upstream prematurely closed connection while {PHASE}"))),
            Ok(Ok(count)) => bytes.extend_from_slice(&part[..count]),
            Ok(Err(error)) => return Err(Failed::bad(format!("recv() failed ({}) while {PHASE}", words(&error)))),
        }
        if let Some(found) = parse_head(&bytes)? {
            return Ok(found);
        }
        if bytes.len() >= limit {
            return Err(Failed::bad(format!("upstream sent too big header while {PHASE}")));
        }
    }
}

/// The header and what follows it. `None`: not all of it is there.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, Vec<u8>)>, Failed> {
    let start = b"HTTP/";
    let known = bytes.len().min(start.len());
    if bytes[..known] != start[..known] {
        return Ok(Some((Head::None, bytes.to_vec())));
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let headers = parsed.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
            let reason = parsed.reason.unwrap_or_default().to_owned();
            Ok(Some((Head::Http { status: parsed.code.unwrap_or(200), reason, headers }, bytes[length..].to_vec())))
        }
        Err(httparse::Error::Version | httparse::Error::Status | httparse::Error::Token) if !bytes.contains(&b'\n') => {
            Ok(Some((Head::None, bytes.to_vec())))
        }
        Err(_) => {
            let line = invalid_line(bytes);
            Err(Failed::bad(format!("upstream sent invalid header: \"{line}...\" while reading response header from upstream")))
        }
    }
}

/// The header line that is none, up to the byte that makes it so, as nginx shows it: `Bad\x20`.
fn invalid_line(bytes: &[u8]) -> String {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_!#$%&'*+.^`|~".contains(&byte);
    let mut found = String::new();
    for line in bytes.split(|byte| *byte == b'\n').skip(1) {
        let name = line.iter().take_while(|byte| token(**byte)).count();
        if name == 0 || line.get(name) != Some(&b':') {
            found.extend(line[..name].iter().map(|byte| char::from(*byte)));
            let odd = line.get(name).copied().unwrap_or(b'\n');
            let _ = write!(found, "\\x{odd:02x}");
            break;
        }
    }
    found
}

/// An error of the operating system as nginx prints it: number and text.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    error.raw_os_error().map_or_else(|| text.to_owned(), |code| format!("{code}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_header_is_shown_up_to_its_fault() {
        let Err(failed) = parse_head(b"HTTP/1.1 200 OK\r\nA: b\r\nTotal 42 items\r\n\r\nbody") else { panic!("that is no header") };
        assert_eq!(failed.text, "upstream sent invalid header: \"Total\\x20...\" while reading response header from upstream");
    }

    #[test]
    fn a_header_is_read_whatever_pieces_it_comes_in() {
        let whole = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
        for length in 1..whole.len() - 4 {
            assert!(parse_head(&whole[..length]).is_ok_and(|found| found.is_none()), "{length}");
        }
        let (head, begun) = parse_head(whole).ok().flatten().expect("whole");
        assert_eq!(head, Head::Http { status: 200, reason: "OK".to_owned(), headers: vec![("A".to_owned(), b"b".to_vec())] });
        assert_eq!(begun, b"body");
        assert_eq!(parse_head(b"\x15\x03").ok().flatten(), Some((Head::None, b"\x15\x03".to_vec())));
    }
}
