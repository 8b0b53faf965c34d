//! HTTP/2 (RFC 9113), over TLS or with prior knowledge, by the h2 crate: framing and HPACK are no place for a hand of our own. What a
//! peer says that is no HTTP/2 is told by its first bytes, below the library.
//!
//! Never a POST, as gRPC would have it: a GET is answered by every server of HTTP/2, be it with 405 or 415, and changes nothing.

use std::time::Duration;

use h2::{
    Reason,
    client::{Builder, SendRequest},
};
use http::{Request, Version};

use super::{
    emitter::maker,
    http1::{self, Answer, BODY_BYTES, HEAD_BYTES},
    retry_after, sniff,
    wire::{Duplex, First, outcome_of},
};
use crate::{
    model::{Garbage, HttpRequest, Outcome, Phase},
    sys::Stopwatch,
};

/// How a connection begins, with an empty SETTINGS frame (RFC 9113 section 3.4): what nothing but HTTP/2 answers with SETTINGS.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// Bytes of a body that may be on their way at once (RFC 9113 section 5.2): as many as are read, and the protocol's default.
const WINDOW: u32 = 64 << 10;

/// What is known of the connection.
pub(super) struct Line<'a> {
    /// The first bytes of the peer, where they are in the clear.
    pub(super) first: &'a First,
    /// Whether TLS lies below.
    pub(super) tls: bool,
    pub(super) watch: Stopwatch,
    /// Of the whole exchange.
    pub(super) total: Duration,
}

/// Makes the request: the answer, and the milliseconds from the request to its first byte.
pub(super) async fn exchange(
    io: impl Duplex + 'static,
    request: &HttpRequest,
    header_limit: Option<u32>,
    line: &Line<'_>,
) -> (Answer, Option<f64>) {
    let mut first_byte = None;
    let work = Box::pin(converse(io, request, header_limit, line, &mut first_byte));
    let answer = match tokio::time::timeout(line.watch.left(line.total), work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(fault)) => fault.answer(line),
        Err(_) => Fault::Late.answer(line),
    };
    (answer, first_byte)
}

/// Why there is no answer.
enum Fault {
    /// Not ours to send.
    Unsent(String),
    Library(h2::Error, Phase),
    Late,
}

impl Fault {
    fn answer(self, line: &Line<'_>) -> Answer {
        let first = line.first.bytes();
        // Below TLS the first bytes are the handshake's.
        let speaks = if line.tls { None } else { sniff::speaks(&first) };
        if let Some(other) = speaks.filter(|name| *name != "http/2") {
            return Answer::noted(Outcome::Speaks(other.to_owned()), sniff::quote(&first));
        }
        let http2 = line.tls || speaks.is_some();
        match self {
            Self::Unsent(why) => Answer::of(Outcome::Skipped(why)),
            Self::Late if first.is_empty() || http2 => Answer::of(Outcome::Timeout(Phase::Head)),
            Self::Late => Answer::noted(Outcome::Invalid(Garbage::Framing("no HTTP/2 frame".to_owned())), sniff::quote(&first)),
            Self::Library(error, phase) => refused(&error, phase, http2 || first.is_empty(), &first),
        }
    }
}

/// What an error of the library means. `http2`: the peer has said nothing that is no HTTP/2.
fn refused(error: &h2::Error, phase: Phase, http2: bool, first: &[u8]) -> Answer {
    if let Some(io) = error.get_io() {
        return Answer::of(outcome_of(io, phase));
    }
    let reason = error.reason();
    if reason == Some(Reason::HTTP_1_1_REQUIRED) {
        return Answer::noted(Outcome::Speaks("http/1".to_owned()), "it resets the stream with HTTP_1_1_REQUIRED".to_owned());
    }
    let code = reason.map_or_else(|| error.to_string(), |reason| format!("{reason:?}"));
    match (error.is_go_away(), error.is_reset(), error.is_remote()) {
        (true, _, true) => Answer::noted(Outcome::Closed(phase), format!("it goes away (GOAWAY {code})")),
        (_, true, true) => Answer::noted(Outcome::Reset(phase), format!("it resets the stream (RST_STREAM {code})")),
        _ if http2 => Answer::noted(Outcome::Invalid(Garbage::Framing(format!("HTTP/2: {error}"))), error.to_string()),
        _ => Answer::noted(Outcome::Invalid(Garbage::Framing("no HTTP/2 frame".to_owned())), sniff::quote(first)),
    }
}

async fn converse(
    io: impl Duplex + 'static,
    request: &HttpRequest,
    header_limit: Option<u32>,
    line: &Line<'_>,
    first_byte: &mut Option<f64>,
) -> Result<Answer, Fault> {
    let wanted = wanted(request, line.tls).map_err(Fault::Unsent)?;
    let limit = header_limit.unwrap_or(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX));
    let mut builder = Builder::new();
    builder.enable_push(false).initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    builder.max_header_list_size(limit.max(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX)));
    let head = |error| Fault::Library(error, Phase::Head);
    let (sender, connection) = builder.handshake::<_, &'static [u8]>(io).await.map_err(head)?;
    let mut talk = Box::pin(talk(sender, wanted, line, first_byte));
    let mut connection = Box::pin(connection);
    let (status, headers, body) = tokio::select! {
        biased;
        said = &mut talk => said?,
        // A connection that is gone ends the talk: with what came until then, or with why.
        ended = &mut connection => match (talk.await, ended) {
            (Ok(said), _) => said,
            (Err(_), Err(error)) => return Err(head(error)),
            (Err(fault), Ok(())) => return Err(fault),
        },
    };
    let bytes = headers.iter().fold(0_usize, |sum, (name, value)| sum + name.len() + value.len() + 4);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let maker = maker(status, &headers, &body);
    let own_page = maker.as_ref().is_some_and(|maker| maker.own_page);
    let grpc = headers.iter().find(|(name, _)| name == "grpc-status").map(|(_, value)| format!("HTTP/2, grpc-status {value}"));
    Ok(Answer {
        outcome: Some(Outcome::Status(status)),
        emitter: maker.map(|maker| maker.name),
        own_page,
        head_bytes: Some(bytes),
        retry_after_s: retry_after::seconds(status, |wanted| {
            headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
        }),
        note: Some(grpc.unwrap_or_else(|| "HTTP/2".to_owned())),
        ..Answer::default()
    })
}

fn wanted(request: &HttpRequest, tls: bool) -> Result<Request<()>, String> {
    http1::check(request)?;
    let uri = format!("{}://{}{}", if tls { "https" } else { "http" }, request.host, request.target());
    let mut wanted = Request::builder().version(Version::HTTP_2).method(request.method.as_str()).uri(uri);
    wanted = wanted.header("user-agent", http1::agent_of(request)).header("accept", "*/*");
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("user-agent")) {
        wanted = wanted.header(name.as_str(), value.as_str());
    }
    wanted.body(()).map_err(|error| error.to_string())
}

/// Status, header lines and the beginning of the body.
type Said = (u16, Vec<(String, String)>, Vec<u8>);

async fn talk(
    sender: SendRequest<&'static [u8]>,
    wanted: Request<()>,
    line: &Line<'_>,
    first_byte: &mut Option<f64>,
) -> Result<Said, Fault> {
    let head = |error| Fault::Library(error, Phase::Head);
    let mut sender = sender.ready().await.map_err(head)?;
    let sent = line.watch.ms();
    let (response, _) = sender.send_request(wanted, true).map_err(head)?;
    let (parts, mut stream) = response.await.map_err(head)?.into_parts();
    *first_byte = Some(line.watch.ms() - sent);
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut body = Vec::new();
    // No more than the window is let through, so no more is ever held. A gRPC stream need not end: what is there will do.
    while body.len() < BODY_BYTES && parts.status.as_u16() >= 400 {
        match stream.data().await {
            Some(Ok(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES - body.len())]),
            Some(Err(error)) => return Err(Fault::Library(error, Phase::Body)),
            None => break,
        }
    }
    Ok((parts.status.as_u16(), headers, body))
}
