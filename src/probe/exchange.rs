//! One exchange as the gateway would have it: resolve, connect, handshake, send, read; the same for the gateway itself, an
//! upstream, and a listener that might be the upstream.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    Probe, fastcgi,
    http1::{self, Answer, Style},
    look, report, sniff, tls, uwsgi,
    wire::{Conn, Peer, Tap},
};
use crate::{
    model::{Address, Garbage, NameFault, Outcome, Phase, ProbeJob, ProbeReport, Protocol, TlsFault},
    sys::{Stopwatch, Sys},
};

/// The request through the gateway itself.
pub(super) static GATEWAY: Exchange = Exchange { id: "gateway", title: "the request through the gateway", looks: false };
/// The same request straight to an upstream.
pub(super) static UPSTREAM: Exchange = Exchange { id: "upstream", title: "the same request straight to the upstream", looks: true };
/// The same request to a listener that the configuration does not name.
pub(super) static CANDIDATE: Exchange = Exchange { id: "candidate", title: "the same request to another listener", looks: true };

/// Addresses of one name that are tried in turn, as a gateway would: the first that takes the connection is used.
const ADDRESSES: usize = 4;

/// A probe that makes an exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    id: &'static str,
    title: &'static str,
    /// Whether a peer that says nothing is looked at again. Not the gateway: what it speaks is known.
    looks: bool,
}

impl Probe for Exchange {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn emits(&self) -> &'static [&'static str] {
        Outcome::NAMES
    }

    fn sends_request(&self, job: &ProbeJob) -> bool {
        job.request.is_some()
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job, self.looks))
    }
}

/// What becomes known on the way.
struct Trace {
    watch: Stopwatch,
    report: ProbeReport,
    peer: Option<Peer>,
    notes: Vec<String>,
}

async fn run(sys: &Sys, job: &ProbeJob, looks: bool) -> ProbeReport {
    let report = report(job, Outcome::Open);
    let mut trace = Trace { watch: Stopwatch::start(), report, peer: None, notes: Vec::new() };
    let mut outcome = match attempt(sys, job, &mut trace).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    trace.report.phases.total = trace.watch.ms();
    if looks && let Some(peer) = &trace.peer {
        let (better, note) = look::again(job, peer, &outcome).await;
        outcome = better.unwrap_or(outcome);
        trace.notes.extend(note);
    }
    trace.report.outcome = outcome;
    trace.report.detail = trace.notes.join("; ");
    trace.report
}

/// What is said on the connection; `None`: nothing, the connection is all.
fn message(job: &ProbeJob) -> Result<Option<Vec<u8>>, String> {
    let Some(request) = &job.request else { return Ok(None) };
    match job.protocol {
        Protocol::Http | Protocol::Https => http1::request(request).map(Some),
        Protocol::Fastcgi => fastcgi::request(request).map(Some),
        Protocol::Uwsgi => uwsgi::request(request).map(Some),
        Protocol::Scgi => uwsgi::scgi(request).map(Some),
        Protocol::Grpc | Protocol::Grpcs | Protocol::Stream => Ok(None),
    }
}

async fn attempt(sys: &Sys, job: &ProbeJob, trace: &mut Trace) -> Result<Outcome, Outcome> {
    let total = Duration::from_millis(job.total_ms);
    let message = message(job).map_err(Outcome::Skipped)?;
    let (tap, first) = Tap::new(connect(sys, job, trace).await?);
    let begun = trace.watch.ms();
    let mut conn = if job.protocol.tls() {
        // As nginx does: proxy_connect_timeout holds for the handshake, too.
        let within = Duration::from_millis(job.connect_ms).min(trace.watch.left(total));
        let h2 = job.protocol == Protocol::Grpcs;
        let handshake = Box::pin(tls::handshake(tap, job.sni.as_deref(), h2, within)).await;
        let (stream, seen) = handshake.map_err(|outcome| no_handshake(outcome, &first.bytes(), trace))?;
        trace.report.phases.tls = Some(trace.watch.ms() - begun);
        trace.notes.push(format!("{}, {} certificates", seen.terms, seen.chain.len()));
        Conn::new(stream, trace.watch, total)
    } else {
        Conn::new(tap, trace.watch, total)
    };
    let Some(message) = message else { return Ok(Outcome::Open) };
    let unsent = conn.send(&message).await.err();
    let answer = answer(&mut conn, job).await;
    trace.report.phases.first_byte = conn.first_byte;
    trace.report.emitter = answer.emitter;
    trace.report.head_bytes = answer.head_bytes;
    trace.notes.extend(answer.note);
    let outcome = answer.outcome.unwrap_or(Outcome::Closed(Phase::Head));
    // A peer may answer and close before it has read the request: its answer counts for more than our failure to send.
    match (outcome, unsent) {
        (Outcome::Closed(Phase::Head) | Outcome::Reset(Phase::Head), Some(unsent)) => Err(unsent),
        (outcome, _) => Ok(outcome),
    }
}

async fn answer(conn: &mut Conn, job: &ProbeJob) -> Answer {
    let head_only = job.request.as_ref().is_some_and(|request| request.method == "HEAD");
    match job.protocol {
        Protocol::Http | Protocol::Https => http1::receive(conn, Style::Http, head_only, job.header_limit).await,
        Protocol::Uwsgi | Protocol::Scgi => {
            let mut answer = http1::receive(conn, Style::Cgi, head_only, job.header_limit).await;
            if answer.outcome == Some(Outcome::Invalid(Garbage::StatusLine)) {
                answer.outcome = Some(Outcome::Invalid(Garbage::Framing("no response header".to_owned())));
            }
            answer
        }
        Protocol::Fastcgi => fastcgi::receive(conn, job.header_limit).await,
        Protocol::Grpc | Protocol::Grpcs | Protocol::Stream => Answer::of(Outcome::Open),
    }
}

/// A handshake that failed: what the peer's first bytes add to it.
fn no_handshake(outcome: Outcome, first: &[u8], trace: &mut Trace) -> Outcome {
    match (first, sniff::speaks(first)) {
        ([], _) | (_, Some("tls")) => outcome,
        (first, name) => {
            trace
                .notes
                .push(name.map_or_else(|| sniff::quote(first), |name| format!("it answers in {name}, {}", sniff::quote(first))));
            Outcome::Tls(TlsFault::NotTls)
        }
    }
}

/// Connects to the job's address, or to the first address of its name that takes the connection.
async fn connect(sys: &Sys, job: &ProbeJob, trace: &mut Trace) -> Result<crate::sys::Stream, Outcome> {
    let total = Duration::from_millis(job.total_ms);
    let peers = match &job.address {
        Address::Unix(path) => vec![Peer::Unix(path.clone())],
        Address::Tcp(at) => vec![Peer::Tcp(*at)],
        Address::Name(host, port) => resolve(sys, host, *port, total, trace).await?,
    };
    let begun = trace.watch.ms();
    let mut failed = None;
    for peer in peers {
        let within = Duration::from_millis(job.connect_ms).min(trace.watch.left(total));
        match peer.connect(within).await {
            Ok(stream) => {
                trace.report.phases.connect = Some(trace.watch.ms() - begun);
                trace.notes.push(peer.to_string());
                trace.peer = Some(peer);
                return Ok(stream);
            }
            Err(outcome) => {
                trace.notes.push(format!("{peer} {outcome}"));
                failed.get_or_insert(outcome);
            }
        }
    }
    Err(failed.unwrap_or(Outcome::Timeout(Phase::Connect)))
}

async fn resolve(sys: &Sys, host: &str, port: u16, total: Duration, trace: &mut Trace) -> Result<Vec<Peer>, Outcome> {
    let found = tokio::time::timeout(trace.watch.left(total), sys.dns.lookup(host)).await;
    trace.report.phases.resolve = Some(trace.watch.ms());
    match found {
        // Not a timeout of the connection, which speaks of the upstream: here only name servers were asked.
        Err(_) => {
            trace.notes.push(format!("{host}: no answer of a name server within {} ms", total.as_millis()));
            Err(Outcome::Name(NameFault::Silent))
        }
        Ok(Err(error)) => {
            trace.notes.push(error.to_string());
            Err(Outcome::Name(error.fault))
        }
        Ok(Ok(ips)) => {
            if ips.len() > 1 {
                trace.notes.push(format!("{host} has {} addresses", ips.len()));
            }
            Ok(ips.into_iter().take(ADDRESSES).map(|ip| Peer::Tcp((ip, port).into())).collect())
        }
    }
}
