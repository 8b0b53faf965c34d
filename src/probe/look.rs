//! A second look at a peer that said nothing: which protocol would it have answered?
//!
//! A server that gets another protocol than its own often just closes, which looks like a crash. One more connection per
//! candidate protocol, each with a greeting that runs nothing, tells them apart. Each look is told in the report's detail.

use std::time::Duration;

use super::{
    fastcgi, http1, sniff, tls, uwsgi,
    wire::{Conn, Peer},
};
use crate::{
    model::{Outcome, Phase, ProbeJob, Protocol, TlsFault},
    sys::Stopwatch,
};

/// How long one look may take: a server that speaks the protocol answers its greeting at once.
const LOOK: Duration = Duration::from_millis(400);

/// A protocol to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    Http,
    Tls,
    Fastcgi,
    Uwsgi,
}

impl Try {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http/1",
            Self::Tls => "tls",
            Self::Fastcgi => "fastcgi",
            Self::Uwsgi => "uwsgi",
        }
    }

    fn greeting(self, job: &ProbeJob) -> Option<Vec<u8>> {
        match self {
            Self::Http => http1::request(job.request.as_ref()?).ok(),
            Self::Tls => tls::client_hello(job.sni.as_deref()),
            Self::Fastcgi => fastcgi::question().ok(),
            Self::Uwsgi => Some(uwsgi::PING.to_vec()),
        }
    }

    fn answered_by(self, first: &[u8]) -> bool {
        match self {
            Self::Http | Self::Tls | Self::Fastcgi => sniff::speaks(first) == Some(self.name()),
            Self::Uwsgi => uwsgi::is_pong(first),
        }
    }
}

/// What to try after this outcome of speaking this protocol. Where bytes came, those bytes have told what the peer speaks.
fn candidates(protocol: Protocol, outcome: &Outcome) -> &'static [Try] {
    let gone = matches!(outcome, Outcome::Closed(Phase::Send | Phase::Head) | Outcome::Reset(Phase::Send | Phase::Head));
    let silent = matches!(outcome, Outcome::Timeout(Phase::Head));
    let tls = matches!(outcome, Outcome::Closed(Phase::Tls) | Outcome::Reset(Phase::Tls) | Outcome::Timeout(Phase::Tls));
    match protocol {
        Protocol::Http if gone => &[Try::Tls, Try::Fastcgi, Try::Uwsgi],
        // uwsgi takes `GET ` for the size of a packet, and waits for the rest of it.
        Protocol::Http if silent => &[Try::Uwsgi],
        Protocol::Fastcgi if gone || silent => &[Try::Http],
        // An HTTP server answers a packet with 400 or waits for the end of a line; a uwsgi or SCGI one never answers HTTP.
        Protocol::Uwsgi | Protocol::Scgi if gone || silent || *outcome == Outcome::Status(400) => &[Try::Http],
        Protocol::Https | Protocol::Grpcs if tls => &[Try::Http],
        Protocol::Http
        | Protocol::Https
        | Protocol::Fastcgi
        | Protocol::Uwsgi
        | Protocol::Scgi
        | Protocol::Grpc
        | Protocol::Grpcs
        | Protocol::Stream => &[],
    }
}

/// Looks again, where that can tell more: a better outcome, if there is one, and what was tried.
pub(super) async fn again(job: &ProbeJob, peer: &Peer, outcome: &Outcome) -> (Option<Outcome>, Option<String>) {
    let mut tried = Vec::new();
    for candidate in candidates(job.protocol, outcome) {
        tried.push(candidate.name());
        if answers(*candidate, job, peer).await {
            let better =
                if job.protocol.tls() { Outcome::Tls(TlsFault::NotTls) } else { Outcome::Speaks(candidate.name().to_owned()) };
            return (Some(better), Some(format!("after {outcome}, it answered {}", candidate.name())));
        }
    }
    let note = (!tried.is_empty()).then(|| format!("no answer to {} either", tried.join(", ")));
    (None, note)
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
