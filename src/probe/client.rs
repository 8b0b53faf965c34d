//! The URL as an ordinary client sees it: a real HTTP library, with certificates verified by the host's own trust store.
//!
//! Only planned when the operator named a URL. Names are resolved by `sys`, proxies of the environment are not used, and
//! redirects are answers.

use std::{error::Error, io, net::SocketAddr, sync::Once, time::Duration};

use futures_util::future::BoxFuture;
use url::Url;

use super::{
    Probe,
    emitter::emitter,
    http1::{self, BODY_BYTES},
    report, tls,
    wire::outcome_of,
};
use crate::{
    model::{Address, Garbage, HttpRequest, NameFault, Outcome, Phase, ProbeJob, ProbeReport, TlsFault},
    sys::{Stopwatch, Sys},
};

/// Bytes of a response header that a client library takes: hyper's own bound is near (400 kB, 100 lines).
const HEADER_BYTES: u32 = 400 << 10;

/// The probe.
#[derive(Debug)]
pub(super) struct Client;

impl Probe for Client {
    fn id(&self) -> &'static str {
        "client"
    }

    fn title(&self) -> &'static str {
        "the URL as a client sees it"
    }

    fn emits(&self) -> &'static [&'static str] {
        Outcome::NAMES
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        true
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job))
    }
}

async fn run(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let watch = Stopwatch::start();
    let mut report = report(job, Outcome::Open);
    let work = Box::pin(attempt(sys, job, watch, &mut report));
    let done = tokio::time::timeout(Duration::from_millis(job.total_ms), work).await;
    report.outcome = match done {
        Ok(Ok(outcome) | Err(outcome)) => outcome,
        Err(_) if matches!(job.address, Address::Name(..)) && report.phases.resolve.is_none() => Outcome::Name(NameFault::Silent),
        Err(_) if report.phases.first_byte.is_some() => Outcome::Timeout(Phase::Body),
        Err(_) => Outcome::Timeout(Phase::Head),
    };
    report.phases.total = watch.ms();
    report
}

async fn attempt(sys: &Sys, job: &ProbeJob, watch: Stopwatch, report: &mut ProbeReport) -> Result<Outcome, Outcome> {
    let skipped = |why: &str| Outcome::Skipped(why.to_owned());
    let request = job.request.as_ref().ok_or_else(|| skipped("no request is planned"))?;
    http1::check(request).map_err(Outcome::Skipped)?;
    let url = url(job, request).ok_or_else(|| skipped("this is no URL"))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let addresses: Vec<SocketAddr> = match &job.address {
        Address::Tcp(at) => vec![*at],
        Address::Unix(_) => return Err(skipped("a client does not reach a unix socket")),
        Address::Name(name, port) => {
            let ips = sys.dns.lookup(name).await;
            report.phases.resolve = Some(watch.ms());
            let ips = ips.map_err(|error| {
                report.detail = error.to_string();
                Outcome::Name(error.fault)
            })?;
            ips.into_iter().map(|ip| (ip, *port).into()).collect()
        }
    };
    report.detail = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let client = client(&host, &addresses, job, url.scheme() == "https").map_err(|error| {
        report.detail = chain(&error);
        skipped("no client can be made: are there CA certificates on this host?")
    })?;
    let method = if request.method == "HEAD" { reqwest::Method::HEAD } else { reqwest::Method::GET };
    let sent = watch.ms();
    let mut response = client.request(method, url).send().await.map_err(|error| meaning(&error, Phase::Head, report))?;
    report.phases.first_byte = Some(watch.ms() - sent);
    let status = response.status().as_u16();
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    while body.len() < BODY_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES - body.len())]),
            Ok(None) => break,
            Err(error) => return Err(meaning(&error, Phase::Body, report)),
        }
    }
    report.emitter = emitter(status, &headers, &body);
    Ok(Outcome::Status(status))
}

/// The URL that was asked for, put together again.
fn url(job: &ProbeJob, request: &HttpRequest) -> Option<Url> {
    let mut url = Url::parse(&format!("{}://{}{}", job.protocol.scheme(), request.host, request.path)).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_port(job.address.port()).ok()?;
    Some(url)
}

fn client(host: &str, addresses: &[SocketAddr], job: &ProbeJob, tls: bool) -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that another part of the program has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_millis(job.connect_ms))
        .user_agent(http1::user_agent())
        .resolve_to_addrs(host, addresses);
    if !tls {
        // Without this, a host without CA certificates could not even be asked over plain HTTP.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// What an error of the library means, by the error that lies at its bottom.
fn meaning(error: &reqwest::Error, phase: Phase, report: &mut ProbeReport) -> Outcome {
    report.detail = chain(error);
    let phase = if error.is_connect() { Phase::Connect } else { phase };
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(here) = cause {
        if let Some(tls) = here.downcast_ref::<rustls::Error>() {
            return tls_meaning(tls);
        }
        let io = here.downcast_ref::<io::Error>();
        // What an io::Error wraps is not its source: it must be asked for.
        if let Some(inner) = io.and_then(io::Error::get_ref) {
            cause = Some(inner);
            continue;
        }
        if let Some(io) = io
            && (io.raw_os_error().is_some() || io.kind() == io::ErrorKind::UnexpectedEof)
        {
            return outcome_of(io, phase);
        }
        cause = here.source();
    }
    if error.is_timeout() {
        return Outcome::Timeout(phase);
    }
    // hyper's own words: its error type is not ours to name without depending on it.
    match &report.detail {
        text if text.contains("tls handshake eof") => Outcome::Closed(Phase::Tls),
        text if text.contains("end of file before message length reached") => Outcome::Closed(Phase::Body),
        text if text.contains("connection closed before message completed") => Outcome::Closed(phase),
        text if text.contains("message head is too large") => Outcome::HeaderTooBig { bytes: HEADER_BYTES, limit: HEADER_BYTES },
        text if text.contains("invalid HTTP version") || text.contains("invalid HTTP status") => {
            Outcome::Invalid(Garbage::StatusLine)
        }
        text if text.contains("chunk") => Outcome::Invalid(Garbage::Chunk),
        text if text.contains("invalid HTTP") => Outcome::Invalid(Garbage::Header(String::new())),
        _ => Outcome::Closed(phase),
    }
}

fn tls_meaning(error: &rustls::Error) -> Outcome {
    Outcome::Tls(match error {
        rustls::Error::InvalidMessage(_) => TlsFault::NotTls,
        other => tls::fault(other),
    })
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(here) = cause {
        text.push_str(": ");
        text.push_str(&here.to_string());
        cause = here.source();
    }
    text
}
