//! One exchange as the gateway would have it: resolve, connect, handshake, send, read; the same for the gateway itself, an
//! upstream, and a listener that might be the upstream.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use super::{
    Probe, ajp, fastcgi,
    http1::{self, Answer, Style},
    http2, look, patience, report, sniff, tls, uwsgi,
    wire::{Conn, First, Peer, Tap},
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

/// The same request to one address of the upstream's name, or to one that it had.
pub(super) static ADDRESS: Exchange =
    Exchange { id: "address", title: "the same request to one address of the name", looks: false };

/// The request by which the gateway checks an upstream, or no more than a connection.
pub(super) static CHECK: Exchange = Exchange { id: "check", title: "the gateway's own health check", looks: false };

/// The request through the gateway with everything that a cache or a session could keep left out.
pub(super) static NO_CACHE: Exchange = Exchange { id: "no-cache", title: "the request without caches and cookies", looks: false };
/// The request through the gateway with a browser's header.
pub(super) static BROWSER: Exchange = Exchange { id: "as-browser", title: "the request as a browser makes it", looks: false };
/// The request through the gateway by HTTP/2.
pub(super) static HTTP2: Exchange = Exchange { id: "http2", title: "the request by HTTP/2", looks: false };
/// The request through the gateway by IPv6 where the others go by IPv4, or the reverse.
pub(super) static OTHER_FAMILY: Exchange =
    Exchange { id: "other-family", title: "the request by the other version of IP", looks: false };

/// The alert of a server that speaks none of the protocols offered by ALPN.
const NO_COMMON_PROTOCOL: &str = "no_application_protocol";

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
    /// The first bytes of the peer, in the clear.
    first: Option<First>,
    notes: Vec<String>,
}

async fn run(sys: &Sys, job: &ProbeJob, looks: bool) -> ProbeReport {
    let report = report(job, Outcome::Open);
    let mut trace = Trace { watch: Stopwatch::start(), report, peer: None, first: None, notes: Vec::new() };
    let mut outcome = match attempt(sys, job, &mut trace, looks).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    trace.report.phases.total = trace.watch.ms();
    // Who began to answer in the protocol that was spoken has told that it speaks it.
    let begun = job.protocol == Protocol::Http
        && !job.preamble
        && trace.first.as_ref().is_some_and(|first| first.bytes().starts_with(b"HTTP/1."));
    if looks
        && !begun
        && !patience::is_cut()
        && let Some(peer) = &trace.peer
    {
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
        // A request would need the connector's secret and its packet size; the ping asks for neither.
        Protocol::Ajp => Ok(Some(ajp::CPING.to_vec())),
        // Not bytes that could be sent as they are: `http2` has the whole exchange.
        Protocol::Grpc | Protocol::Grpcs | Protocol::Stream => Ok(None),
    }
}

async fn attempt(sys: &Sys, job: &ProbeJob, trace: &mut Trace, looks: bool) -> Result<Outcome, Outcome> {
    let total = Duration::from_millis(job.total_ms);
    let message = message(job).map_err(Outcome::Skipped)?;
    let mut stream = connect(sys, job, trace).await?;
    if job.preamble && job.request.is_some() {
        // What a new connection's buffer takes at once; who has hung up already is found out by what follows.
        let _ = stream.write_all(look::PROXY_HEADER).await;
    }
    let (tap, first) = Tap::new(stream);
    trace.first = Some(first.clone());
    let begun = trace.watch.ms();
    let mut conn = if let Some(peer) = trace.peer.clone().filter(|_| job.tls()) {
        // As nginx does: proxy_connect_timeout holds for the handshake, too.
        let within = Duration::from_millis(job.connect_ms).min(trace.watch.left(total));
        let handshake = Box::pin(tls::as_gateway(sys, job, tap, &peer, within)).await;
        let (stream, seen) = handshake.map_err(|outcome| match outcome {
            // RFC 7301 section 3.2: it has no protocol in common with who offers HTTP/2 alone. nginx and Go say so since 2021.
            Outcome::Tls(TlsFault::Alert(alert)) if job.protocol == Protocol::Grpcs && alert == NO_COMMON_PROTOCOL => {
                trace.notes.push(format!("it does not agree to HTTP/2 (alert {alert})"));
                Outcome::Speaks("http/1".to_owned())
            }
            outcome => no_handshake(outcome, &first.bytes(), trace),
        })?;
        trace.report.phases.tls = Some(trace.watch.ms() - begun);
        trace.notes.push(seen.terms());
        if let (Protocol::Grpcs, Some(request)) = (job.protocol, &job.request) {
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                trace.notes.push("it does not agree to HTTP/2 (ALPN)".to_owned());
                return Ok(Outcome::Speaks("http/1".to_owned()));
            }
            let line = http2::Line { first: &first, tls: true, watch: trace.watch, total };
            let (answer, first_byte) = Box::pin(http2::exchange(stream, request, job.header_limit, &line)).await;
            return Ok(taken(answer, first_byte, trace));
        }
        Conn::new(stream, trace.watch, total)
    } else if let (Protocol::Grpc, Some(request)) = (job.protocol, &job.request) {
        let line = http2::Line { first: &first, tls: false, watch: trace.watch, total };
        let (answer, first_byte) = Box::pin(http2::exchange(tap, request, job.header_limit, &line)).await;
        return Ok(taken(answer, first_byte, trace));
    } else {
        Conn::new(tap, trace.watch, total)
    };
    let Some(message) = message else { return Ok(Outcome::Open) };
    let unsent = conn.send(&message).await.err();
    let answer = {
        let waiting = answer(&mut conn, job);
        let waiting = async {
            match trace.peer.as_ref().filter(|_| looks) {
                Some(peer) => look::meanwhile(job, peer, waiting).await,
                None => waiting.await,
            }
        };
        tokio::select! {
            biased;
            answer = waiting => answer,
            note = silent(&first, job) => Answer::noted(Outcome::Timeout(Phase::Head), note),
        }
    };
    let outcome = taken(answer, conn.first_byte, trace);
    // A peer may answer and close before it has read the request: its answer counts for more than our failure to send.
    match (outcome, unsent) {
        (Outcome::Closed(Phase::Head) | Outcome::Reset(Phase::Head), Some(unsent)) => Err(unsent),
        (outcome, _) => Ok(outcome),
    }
}

/// Ends when not a byte has come, and others hang as well.
async fn silent(first: &First, job: &ProbeJob) -> String {
    let told = patience::others_hang(job.siblings.as_deref()).await;
    // Of TLS the handshake came, and what is in it is not seen here.
    if job.tls() || first.bytes().is_empty() { told } else { std::future::pending().await }
}

/// Takes over what an answer tells.
fn taken(answer: Answer, first_byte: Option<f64>, trace: &mut Trace) -> Outcome {
    trace.report.phases.first_byte = first_byte;
    trace.report.emitter = answer.emitter;
    trace.report.own_page = answer.own_page;
    trace.report.head_bytes = answer.head_bytes;
    trace.report.retry_after_s = answer.retry_after_s;
    trace.notes.extend(answer.retry_after_s.map(|seconds| format!("it asks to be left alone for {seconds} s (Retry-After)")));
    trace.notes.extend(answer.flaws.iter().map(ToString::to_string));
    trace.report.flaws = answer.flaws;
    trace.notes.extend(answer.note);
    answer.outcome.unwrap_or(Outcome::Closed(Phase::Head))
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
        Protocol::Ajp => ajp::receive(conn).await,
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
        Address::Tcp(at) => vec![Peer::Tcp(*at, job.source)],
        Address::Inside(..) => return Err(super::inside()),
        Address::Name(host, port) => resolve(sys, host, *port, job, trace).await?,
    };
    let begun = trace.watch.ms();
    let mut failed = None;
    for peer in peers {
        trace.report.peer = Some(peer.address());
        let within = Duration::from_millis(job.connect_ms).min(trace.watch.left(total));
        match peer.connect(within).await {
            Ok(stream) => {
                trace.report.phases.connect = Some(trace.watch.ms() - begun);
                // A name may have several.
                if matches!(job.address, Address::Name(..)) {
                    trace.notes.push(peer.to_string());
                }
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

async fn resolve(sys: &Sys, host: &str, port: u16, job: &ProbeJob, trace: &mut Trace) -> Result<Vec<Peer>, Outcome> {
    let total = Duration::from_millis(job.total_ms);
    let found = tokio::time::timeout(trace.watch.left(total), sys.dns.resolve(host, &job.names)).await;
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
            Ok(ips.into_iter().take(ADDRESSES).map(|ip| Peer::Tcp((ip, port).into(), job.source)).collect())
        }
    }
}
