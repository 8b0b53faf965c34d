//! A second look at a peer that said nothing: which protocol would it have answered?
//!
//! A server that gets another protocol than its own often just closes, which looks like a crash. One more connection per
//! candidate protocol tells them apart: a greeting that runs nothing where the protocol has one, else the same request in
//! that protocol. Each look is told in the report's detail, and what it found holds for [`HOLDS`]: a mix-up does not heal
//! by itself, and the looks are requests that the caps have not counted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    fastcgi,
    http1::{self, Answer},
    http2, sniff, tls, uwsgi,
    wire::{Conn, Peer},
};
use crate::{
    model::{Garbage, Outcome, Phase, ProbeJob, Protocol, TlsFault},
    sys::Stopwatch,
};

/// How long one look may take: a server that speaks the protocol answers its greeting at once.
const LOOK: Duration = Duration::from_millis(400);

/// Looks at once: one by one, a peer that is silent to each would cost the sum of the deadlines; all together they overflow the
/// listen queue of a small server (Python's has five places), which drops what it would have answered.
const AT_ONCE: usize = 2;

/// How long what a look found holds: a probe's period while all is well.
const HOLDS: Duration = Duration::from_secs(10);
/// Looks that are remembered: those of a large pool.
const KEPT: usize = 2048;
/// How a connection begins that a proxy with this protocol passes on.
pub(super) const PROXY_HEADER: &[u8] = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n";
/// PostgreSQL's question for TLS (its documentation, "Message Formats", SSLRequest): length 8, and a number that is no version. Since
/// version 3 of its protocol it takes `GET ` for a length, and closes without a word.
const POSTGRESQL_SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A protocol to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    Http,
    Tls,
    Fastcgi,
    Http2,
    Uwsgi,
    Scgi,
    Proxy,
    /// HTTP/1 without the header of the PROXY protocol that the gateway sends.
    Bare,
    Postgresql,
}

impl Try {
    fn name(self) -> &'static str {
        match self {
            Self::Http | Self::Bare => "http/1",
            Self::Tls => "tls",
            Self::Fastcgi => "fastcgi",
            Self::Http2 => "http/2",
            Self::Uwsgi => "uwsgi",
            Self::Scgi => "scgi",
            Self::Proxy => "proxy-protocol",
            Self::Postgresql => "postgresql",
        }
    }

    fn greeting(self, job: &ProbeJob) -> Option<Vec<u8>> {
        match self {
            Self::Http | Self::Bare => http1::request(job.request.as_ref()?).ok(),
            Self::Tls => tls::client_hello(job.sni.as_deref()),
            Self::Fastcgi => fastcgi::question().ok(),
            Self::Http2 => Some(http2::PREFACE.to_vec()),
            Self::Scgi => uwsgi::scgi(job.request.as_ref()?).ok(),
            // uwsgi has a ping, but only where its plugin is loaded: Debian's is not.
            Self::Uwsgi => uwsgi::request(job.request.as_ref()?).ok(),
            // haproxy's proxy-protocol.txt section 2.1; UNKNOWN is not taken by all.
            Self::Proxy => Some([PROXY_HEADER, &http1::request(job.request.as_ref()?).ok()?].concat()),
            Self::Postgresql => Some(POSTGRESQL_SSL_REQUEST.to_vec()),
        }
    }

    fn answered_by(self, first: &[u8]) -> bool {
        match self {
            Self::Http | Self::Tls | Self::Fastcgi | Self::Http2 => sniff::speaks(first) == Some(self.name()),
            // An HTTP server would call either a bad request.
            Self::Scgi if first.starts_with(b"Status: ") || first.starts_with(b"Content-") => true,
            // Willing or not: one byte, and it waits for what follows.
            Self::Postgresql => matches!(first, b"S" | b"N"),
            Self::Uwsgi | Self::Scgi | Self::Proxy | Self::Bare => {
                first.starts_with(b"HTTP/1.") && first.get(9..12).is_some_and(|code| code != b"400")
            }
        }
    }
}

/// What to try after this outcome of speaking this protocol. Where bytes came that are known, they have told what the peer speaks.
fn candidates(job: &ProbeJob, outcome: &Outcome) -> &'static [Try] {
    if job.preamble {
        return without_preamble(job.protocol, outcome);
    }
    let protocol = job.protocol;
    let gone = matches!(outcome, Outcome::Closed(Phase::Send | Phase::Head) | Outcome::Reset(Phase::Send | Phase::Head));
    let silent = matches!(outcome, Outcome::Timeout(Phase::Head));
    let tls = matches!(outcome, Outcome::Closed(Phase::Tls) | Outcome::Reset(Phase::Tls) | Outcome::Timeout(Phase::Tls));
    match protocol {
        Protocol::Http if gone => &[Try::Tls, Try::Fastcgi, Try::Http2, Try::Uwsgi, Try::Scgi, Try::Proxy, Try::Postgresql],
        // uwsgi takes `GET ` for the size of a packet, and waits for the rest of it.
        Protocol::Http if silent => &[Try::Uwsgi],
        Protocol::Grpc if gone || silent || matches!(outcome, Outcome::Invalid(Garbage::Framing(_))) => {
            &[Try::Http, Try::Tls, Try::Fastcgi]
        }
        // An HTTP server may answer what it takes for HTTP/0.9 with a bare page.
        Protocol::Fastcgi if gone || silent || matches!(outcome, Outcome::Invalid(Garbage::Framing(_))) => {
            &[Try::Http, Try::Uwsgi, Try::Scgi]
        }
        // An HTTP server answers a packet with 400 or waits for the end of a line; a uwsgi or SCGI one never answers HTTP.
        Protocol::Uwsgi if gone || silent || *outcome == Outcome::Status(400) => &[Try::Http, Try::Fastcgi, Try::Scgi],
        Protocol::Scgi if gone || silent || *outcome == Outcome::Status(400) => &[Try::Http, Try::Fastcgi, Try::Uwsgi],
        // An HTTP server takes the ping for the begin of a line, and waits for its end.
        Protocol::Ajp if gone || silent => &[Try::Http, Try::Tls],
        Protocol::Https | Protocol::Grpcs if tls => &[Try::Http, Try::Fastcgi],
        Protocol::Http
        | Protocol::Https
        | Protocol::Fastcgi
        | Protocol::Uwsgi
        | Protocol::Scgi
        | Protocol::Ajp
        | Protocol::Grpc
        | Protocol::Grpcs
        | Protocol::Stream => &[],
    }
}

/// What to try where a header of the PROXY protocol went first: who does not expect it hangs up, calls it a bad request, or answers it as
/// HTTP/0.9, with a page and no header.
fn without_preamble(protocol: Protocol, outcome: &Outcome) -> &'static [Try] {
    let doubtful = match outcome {
        Outcome::Closed(Phase::Send | Phase::Head)
        | Outcome::Reset(Phase::Send | Phase::Head)
        | Outcome::Timeout(Phase::Head)
        | Outcome::Invalid(_) => true,
        other => *other == Outcome::Status(400),
    };
    if doubtful && protocol == Protocol::Http { &[Try::Bare] } else { &[] }
}

/// Looks again, where that can tell more: a better outcome, if there is one, and what was tried.
pub(super) async fn again(job: &ProbeJob, peer: &Peer, outcome: &Outcome) -> (Option<Outcome>, Option<String>) {
    let candidates = candidates(job, outcome);
    if candidates.is_empty() {
        return (None, None);
    }
    let key = (peer.to_string(), job.protocol, job.preamble, outcome.clone());
    let known = remembered(&key);
    let found = if let Some(found) = known { found } else { first_answered(candidates, job, peer).await };
    remember(key, known, found);
    if let Some(candidate) = found {
        let better = if job.tls() { Outcome::Tls(TlsFault::NotTls) } else { Outcome::Speaks(candidate.name().to_owned()) };
        return (Some(better), Some(format!("after {outcome}, it answered {}", candidate.name())));
    }
    let tried: Vec<_> = candidates.iter().map(|candidate| candidate.name()).collect();
    let note = Some(format!("no answer to {} either", tried.join(", ")));
    (None, note)
}

/// The first of these protocols that the peer answers.
async fn first_answered(candidates: &[Try], job: &ProbeJob, peer: &Peer) -> Option<Try> {
    for some in candidates.chunks(AT_ONCE) {
        let asked = some.iter().map(|candidate| answers(*candidate, job, peer));
        let answered = futures_util::future::join_all(asked).await;
        if let Some((found, _)) = some.iter().zip(answered).find(|(_, answered)| *answered) {
            return Some(*found);
        }
    }
    None
}

/// How long a server of FastCGI, uwsgi or SCGI may be silent before it is asked whether it speaks those at all: longer than most
/// pages take, and much less than a gateway waits.
const SILENCE: Duration = Duration::from_secs(2);

/// Waits for an answer. One that is long in coming from a server that should speak FastCGI, uwsgi or SCGI may never come, as an
/// HTTP server waits for the end of a line: it is looked at again meanwhile, and an answer in another protocol ends the wait.
pub(super) async fn meanwhile(job: &ProbeJob, peer: &Peer, waiting: impl Future<Output = Answer>) -> Answer {
    if !matches!(job.protocol, Protocol::Fastcgi | Protocol::Uwsgi | Protocol::Scgi) {
        return waiting.await;
    }
    let mut waiting = Box::pin(waiting);
    let look = async {
        tokio::time::sleep(SILENCE).await;
        again(job, peer, &Outcome::Timeout(Phase::Head)).await
    };
    tokio::select! {
        answer = &mut waiting => answer,
        (better, note) = look => match better {
            Some(outcome) => Answer { outcome: Some(outcome), note, ..Answer::default() },
            None => waiting.await,
        },
    }
}

/// What a look was for, and what it found.
type Key = (String, Protocol, bool, Outcome);
type Found = Option<Try>;
static MEMORY: Mutex<Option<HashMap<Key, (Stopwatch, Found)>>> = Mutex::new(None);

/// What a look that is not old found. `None`: there was none.
fn remembered(key: &Key) -> Option<Found> {
    let memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (when, found) = memory.as_ref()?.get(key)?;
    (!when.left(HOLDS).is_zero()).then_some(*found)
}

/// Keeps what a fresh look found.
fn remember(key: Key, known: Option<Found>, found: Found) {
    if known.is_some() {
        return;
    }
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = memory.get_or_insert_default();
    if memory.len() >= KEPT {
        memory.retain(|_, (when, _)| !when.left(HOLDS).is_zero());
    }
    if memory.len() < KEPT {
        memory.insert(key, (Stopwatch::start(), found));
    }
}

async fn answers(candidate: Try, job: &ProbeJob, peer: &Peer) -> bool {
    let Some(greeting) = candidate.greeting(job) else { return false };
    let Ok(stream) = peer.connect(LOOK).await else { return false };
    let mut conn = Conn::new(stream, Stopwatch::start(), LOOK);
    let _ = conn.send(&greeting).await;
    let mut first = Vec::new();
    loop {
        let more = conn.read(&mut first, Phase::Head).await;
        if candidate.answered_by(&first) {
            return true;
        }
        // No greeting is longer than this: what has not been recognised by then is something else.
        if first.len() > 64 || !matches!(more, Ok(1..)) {
            return false;
        }
    }
}
