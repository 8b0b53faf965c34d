//! TLS of an upstream as its gateway would speak it, and of the gateway's own listeners as a client would.
//!
//! `handshake` makes it with what the gateway offers and takes any certificate; `x509` judges the chain by the gateway's rules and
//! files (`store`). Where the handshake fails, it is found out why: another server name, a client certificate, and by hand-made
//! questions (`hello`) the versions and suites that the peer speaks. In the good case this is one connection.
//!
//! What must not be here: a refusal that only rustls makes. It is this program's limit, and told as that.

mod handshake;
pub(super) mod hello;
mod store;
mod suites;
mod us;
mod why;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::client::TlsStream;

pub(super) use self::handshake::{Seen, client_hello, fault};
use self::{
    handshake::handshake,
    us::Us,
    why::{before_certificate, client_certificate, other_certificate, refused},
};
use super::{
    Probe, report, sniff,
    wire::{First, Peer, Tap, outcome_of},
    x509::Cert,
};
use crate::{
    model::{Address, Outcome, Phase, ProbeJob, ProbeReport, TlsFault, TlsView, TrustVerdict, View},
    sys::{Stopwatch, Sys},
};

/// The TLS of an upstream.
pub(super) static UPSTREAM: Tls = Tls { id: "tls", title: "TLS as the gateway speaks it", edge: false };
/// The TLS of the gateway's own listener.
pub(super) static EDGE: Tls = Tls { id: "edge-tls", title: "the gateway's own certificate", edge: true };

/// How long one further question may take: who speaks TLS answers a ClientHello at once.
const ASK: Duration = Duration::from_millis(500);
/// How long a refusal after the handshake is waited for, where a client certificate was asked for: in TLS 1.3 the client is
/// done before the server has seen its certificate (RFC 8446 section 4.4.2).
const AFTERWARDS: Duration = Duration::from_millis(250);

/// A probe of TLS.
#[derive(Debug)]
pub(super) struct Tls {
    id: &'static str,
    title: &'static str,
    /// Whether it is the gateway's own listener: a certificate that a client would not trust is then worth a finding, and
    /// no failure of the request.
    edge: bool,
}

impl Probe for Tls {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn emits(&self) -> &'static [&'static str] {
        &[
            "open",
            "refused",
            "not-found",
            "denied",
            "queue-full",
            "no-local-port",
            "unreachable",
            "tls-closed",
            "connect-timeout",
            "tls-timeout",
            "not-tls",
            "tls-untrusted",
            "tls-failed",
            "unresolved",
            "os-error",
            "skipped",
        ]
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        false
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job, self.edge))
    }
}

/// A handshake as the gateway would make it, for a request that follows: the stream, or what the gateway would get instead.
pub(super) async fn as_gateway(
    sys: &Sys,
    job: &ProbeJob,
    tap: Tap,
    peer: &Peer,
    within: Duration,
) -> Result<(TlsStream<Tap>, Seen), Outcome> {
    let us = Us::of(sys, job).await;
    if !us.offer.speakable() {
        return Err(us.ask(peer, &Outcome::Open).await.unwrap_or_else(|answer| Us::meaning(&answer)));
    }
    let (stream, seen) = Box::pin(handshake(tap, &us.offer, within)).await;
    let outcome = match stream {
        Ok(stream) => match us.judge(sys, &seen.chain).await.0 {
            TrustVerdict::Refused(findings) if !findings.is_empty() => Outcome::Tls(TlsFault::Untrusted(findings[0].fault)),
            _ => return Ok((stream, seen)),
        },
        Err(outcome) => outcome,
    };
    if seen.asked
        && let Some(problem) = &us.client_problem
    {
        return Err(Outcome::Skipped(problem.clone()));
    }
    // Refused before a certificate came: perhaps only for what we can't offer.
    if seen.nothing() && job.trust.is_some() && before_certificate(&outcome) {
        return Err(us.ask(peer, &outcome).await.unwrap_or(outcome));
    }
    Err(outcome)
}

async fn run(sys: &Sys, job: &ProbeJob, edge: bool) -> ProbeReport {
    let watch = Stopwatch::start();
    let mut report = report(job, Outcome::Open);
    let mut view = TlsView { sni: job.sni.clone(), ..TlsView::default() };
    let work = Box::pin(attempt(sys, job, &mut report, &mut view));
    let done = tokio::time::timeout(Duration::from_millis(job.total_ms), work).await;
    report.outcome = match done {
        Ok(Ok(())) => match view.findings().first() {
            Some(finding) if !edge => Outcome::Tls(TlsFault::Untrusted(finding.fault)),
            Some(_) | None => Outcome::Open,
        },
        Ok(Err(outcome)) => outcome,
        Err(_) => Outcome::Timeout(Phase::Tls),
    };
    if let Some((_, text)) = &view.misfit {
        report.detail.clone_from(text);
    } else if let Some(finding) = view.findings().first() {
        report.detail.clone_from(&finding.text);
    }
    report.view = Some(View::Tls(Box::new(view)));
    report.phases.total = watch.ms();
    report
}

async fn attempt(sys: &Sys, job: &ProbeJob, report: &mut ProbeReport, view: &mut TlsView) -> Result<(), Outcome> {
    let watch = Stopwatch::start();
    let (peer, tap, first) = connect(sys, job).await?;
    report.phases.connect = Some(watch.ms());
    let us = Us::of(sys, job).await;
    let within = Duration::from_millis(job.connect_ms);
    let begun = watch.ms();
    let (stream, seen) = if us.offer.speakable() {
        Box::pin(handshake(tap, &us.offer, within)).await
    } else {
        drop(tap);
        let answer = us.ask(&peer, &Outcome::Open).await;
        (Err(answer.unwrap_or_else(|answer| Us::meaning(&answer))), Seen::default())
    };
    report.phases.tls = stream.is_ok().then(|| watch.ms() - begun);
    view.take(&seen, &us);
    if !seen.chain.is_empty() {
        (view.verdict, view.judged_by) = us.judge(sys, &seen.chain).await;
    } else if seen.unreadable {
        view.verdict = TrustVerdict::Unknown("its certificate can't be read here".to_owned());
    }
    let outcome = match stream {
        Ok(stream) => {
            report.detail = seen.terms();
            let afterwards = if seen.asked { Box::pin(after_handshake(stream)).await } else { None };
            match afterwards {
                None => {
                    if matches!(view.verdict, TrustVerdict::Refused(_)) {
                        Box::pin(other_certificate(sys, job, &us, &peer, view)).await;
                    }
                    return Ok(());
                }
                Some(outcome) => outcome,
            }
        }
        Err(outcome) => outcome,
    };
    let bytes = first.bytes();
    if !bytes.is_empty() && sniff::speaks(&bytes) != Some("tls") {
        report.detail = sniff::quote(&bytes);
        return Err(Outcome::Tls(TlsFault::NotTls));
    }
    if seen.asked {
        return Err(client_certificate(outcome, &us, view));
    }
    if seen.nothing() && before_certificate(&outcome) {
        return Err(Box::pin(refused(job, &us, &peer, outcome, view)).await);
    }
    Err(outcome)
}

/// A connection to the job's address, or to the first of its name.
async fn connect(sys: &Sys, job: &ProbeJob) -> Result<(Peer, Tap, First), Outcome> {
    let peer = match &job.address {
        Address::Unix(path) => Peer::Unix(path.clone()),
        Address::Inside(..) => return Err(super::inside()),
        Address::Tcp(at) => Peer::Tcp(*at, job.source),
        Address::Name(host, port) => {
            let found = sys.dns.resolve(host, &job.names).await.map_err(|error| Outcome::Name(error.fault))?;
            let first = found.into_iter().next().ok_or(Outcome::Name(crate::model::NameFault::NoData))?;
            Peer::Tcp((first, *port).into(), job.source)
        }
    };
    let stream = peer.connect(Duration::from_millis(job.connect_ms)).await?;
    let (tap, first) = Tap::new(stream);
    Ok((peer, tap, first))
}

/// What comes after a handshake in which a client certificate was asked for. `None`: nothing, so it is well.
async fn after_handshake(mut stream: TlsStream<Tap>) -> Option<Outcome> {
    let mut byte = [0; 1];
    match tokio::time::timeout(AFTERWARDS, stream.read(&mut byte)).await {
        Err(_) | Ok(Ok(1..)) => None,
        Ok(Ok(0)) => Some(Outcome::Closed(Phase::Tls)),
        Ok(Err(error)) => Some(outcome_of(&error, Phase::Tls)),
    }
}

/// Takes over what a handshake showed.
trait Take {
    fn take(&mut self, seen: &Seen, us: &Us);
}

impl Take for TlsView {
    fn take(&mut self, seen: &Seen, us: &Us) {
        self.version = seen.version;
        self.suite.clone_from(&seen.suite);
        self.alpn.clone_from(&seen.alpn);
        self.chain = seen.chain.iter().map(Cert::view).collect();
        self.more_certs = seen.more_certs;
        self.client_cert_asked = seen.asked;
        let own = us.offer.client.as_ref().and_then(|client| Cert::read(client.cert.first()?));
        self.client_cert = own.map(|cert| cert.subject.to_string());
    }
}

#[cfg(test)]
mod tests;
