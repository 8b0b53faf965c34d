//! How long does an upstream keep an idle connection? One request, answered in full, and then nothing but listening: it is the
//! only way to know, for few servers tell, and those that do close a little later than they say.
//!
//! Passive after its one request: a second one would keep the connection alive. The job's `total_ms` bounds request and wait
//! together.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use super::{
    Probe,
    http1::{self, Head, Style},
    report, tls,
    wire::{Conn, Peer},
};
use crate::{
    model::{Address, HttpRequest, KeepaliveView, Outcome, Phase, ProbeJob, ProbeReport, Protocol, View},
    sys::{Stopwatch, Stream, Sys},
};

/// How long the request itself may take: a page that is slower is no page to measure with.
const REQUEST: Duration = Duration::from_secs(3);
/// Milliseconds from one measurement of the same upstream to the next: what is measured is a setting, and seldom changes.
const EVERY_MS: u64 = 60_000;

/// The probe.
#[derive(Debug)]
pub(super) struct Keepalive;

impl Probe for Keepalive {
    fn id(&self) -> &'static str {
        "keepalive"
    }

    fn title(&self) -> &'static str {
        "how long the upstream keeps an idle connection"
    }

    fn emits(&self) -> &'static [&'static str] {
        Outcome::NAMES
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        true
    }

    fn rest_ms(&self) -> u64 {
        EVERY_MS
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job))
    }
}

async fn run(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let watch = Stopwatch::start();
    let mut report = report(job, Outcome::Open);
    report.outcome = match Box::pin(measure(sys, job, watch, &mut report)).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    report.phases.total = watch.ms();
    report
}

async fn measure(sys: &Sys, job: &ProbeJob, watch: Stopwatch, report: &mut ProbeReport) -> Result<Outcome, Outcome> {
    let total = Duration::from_millis(job.total_ms);
    let skipped = |why: &str| Outcome::Skipped(why.to_owned());
    let request = job.request.as_ref().ok_or_else(|| skipped("no request is planned"))?;
    let mut conn = dial(sys, job, watch, total).await?;
    conn.send(&message(request).map_err(Outcome::Skipped)?).await?;
    let answered = tokio::time::timeout(REQUEST.min(watch.left(total)), answer(&mut conn)).await;
    let head = answered.map_err(|_| Outcome::Timeout(Phase::Head))??;
    report.phases.first_byte = conn.first_byte;
    let mut view = KeepaliveView { kept: keeps(&head), announced_ms: announced(&head), ..KeepaliveView::default() };
    if view.kept {
        let begun = watch.ms();
        let mut said = Vec::new();
        // Nothing is owed to us: what comes now is a farewell, such as a 408, or the end.
        let end = loop {
            match conn.read(&mut said, Phase::Body).await {
                Ok(1..) if said.len() < http1::HEAD_BYTES => {}
                other => break other,
            }
        };
        let waited = ms(watch.ms() - begun);
        view.waited_ms = waited;
        view.reset = matches!(end, Err(Outcome::Reset(_)));
        view.closed_ms = (!matches!(end, Err(Outcome::Timeout(_)))).then_some(waited);
    }
    report.detail = told(&view);
    report.view = Some(View::Keepalive(Box::new(view)));
    Ok(Outcome::Status(head.status))
}

/// Whole milliseconds.
fn ms(value: f64) -> u64 {
    Duration::try_from_secs_f64(value / 1e3).map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// What was seen, in words.
fn told(view: &KeepaliveView) -> String {
    match (view.kept, view.closed_ms) {
        (false, _) => "its answer ends the connection".to_owned(),
        (true, Some(ms)) => format!("closed an idle connection after {ms} ms"),
        (true, None) => format!("an idle connection is still open after {} ms", view.waited_ms),
    }
}

/// Connects, and makes the handshake where there is one.
async fn dial(sys: &Sys, job: &ProbeJob, watch: Stopwatch, total: Duration) -> Result<Conn, Outcome> {
    let within = Duration::from_millis(job.connect_ms).min(watch.left(total));
    let peer = match &job.address {
        Address::Tcp(at) => Peer::Tcp(*at, job.source),
        Address::Unix(path) => Peer::Unix(path.clone()),
        Address::Inside(..) => return Err(super::inside()),
        Address::Name(name, port) => {
            let ips = sys.dns.lookup(name).await.map_err(|error| Outcome::Name(error.fault))?;
            let ip = ips.into_iter().next().ok_or(Outcome::Name(crate::model::NameFault::NoData))?;
            Peer::Tcp((ip, *port).into(), job.source)
        }
    };
    let mut stream: Stream = peer.connect(within).await?;
    if job.preamble {
        // As in an exchange: who has hung up is found out by what follows.
        let _ = stream.write_all(super::look::PROXY_HEADER).await;
    }
    match job.protocol {
        Protocol::Http => Ok(Conn::new(stream, watch, total)),
        Protocol::Https => {
            let (tap, _) = super::wire::Tap::new(stream);
            let (stream, _) = Box::pin(tls::as_gateway(sys, job, tap, &peer, within)).await?;
            Ok(Conn::new(stream, watch, total))
        }
        Protocol::Fastcgi
        | Protocol::Uwsgi
        | Protocol::Scgi
        | Protocol::Ajp
        | Protocol::Grpc
        | Protocol::Grpcs
        | Protocol::Stream => Err(Outcome::Skipped(format!("kept connections of {} are not measured", job.protocol.scheme()))),
    }
}

/// The request as a gateway that keeps connections makes it.
fn message(request: &HttpRequest) -> Result<Vec<u8>, String> {
    // HTTP/1.0 servers keep a connection only when asked by this header, and HTTP/1.1 ones do not mind it.
    let text = String::from_utf8(http1::request(request)?).map_err(|error| error.to_string())?;
    Ok(text.replace("\r\nConnection: close\r\n", "\r\nConnection: keep-alive\r\n").into_bytes())
}

/// Reads one answer to its end.
async fn answer(conn: &mut Conn) -> Result<Head, Outcome> {
    let mut buf = Vec::new();
    loop {
        if let Some(end) = http1::head_end(&buf, 0) {
            let head = http1::parse_head(&buf[..end], Style::Http).map_err(Outcome::Invalid)?;
            let rest = buf.split_off(end);
            if (100..200).contains(&head.status) {
                buf = rest;
                continue;
            }
            if matches!(head.status, 204 | 304) || !keeps(&head) {
                return Ok(head);
            }
            let (broken, body) = http1::read_body(conn, &head, rest).await;
            if body.len() >= http1::BODY_BYTES {
                return Err(Outcome::Skipped("the page is too large to measure with".to_owned()));
            }
            return broken.map_or(Ok(head), Err);
        }
        if buf.len() > http1::HEAD_BYTES {
            return Err(Outcome::Skipped("the response header is too large to measure with".to_owned()));
        }
        if conn.read(&mut buf, Phase::Head).await? == 0 {
            return Err(Outcome::Closed(Phase::Head));
        }
    }
}

/// A header's values, in lower case.
fn values<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = String> + 'a {
    head.headers
        .iter()
        .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_ascii_lowercase())
}

/// Whether the connection outlives this answer (RFC 9112 section 9.3): its end must be told, and `close` not said.
fn keeps(head: &Head) -> bool {
    let bounded = head.chunked || head.length.is_some() || matches!(head.status, 204 | 304);
    bounded && !values(head, "connection").any(|value| value.split(',').any(|word| word.trim() == "close"))
}

/// What `Keep-Alive: timeout=5, max=100` promises, in milliseconds.
fn announced(head: &Head) -> Option<u64> {
    let value = values(head, "keep-alive").next()?;
    let seconds = value.split([',', ';']).find_map(|part| part.trim().strip_prefix("timeout=")?.trim().parse::<u64>().ok())?;
    seconds.checked_mul(1000)
}

#[cfg(test)]
mod tests;
