//! The URL as an ordinary client sees it: a real HTTP library, with certificates verified by the host's own trust store.
//!
//! Only planned when the operator named a URL. Names are resolved by `sys`, proxies of the environment are not used, and
//! redirects are answers.

use std::{error::Error, io, net::SocketAddr, sync::Once, time::Duration};

use futures_util::future::BoxFuture;
use url::Url;

use super::{
    Probe,
    emitter::maker,
    http1::{self, BODY_BYTES},
    patience, report, retry_after, tls,
    wire::outcome_of,
};
use crate::{
    model::{Address, Garbage, HttpRequest, NameFault, Outcome, Phase, ProbeJob, ProbeReport, TlsFault},
    sys::{ConnectError, Stopwatch, Stream, Sys},
};

/// Bytes of a response header that a client library takes: hyper's own bound is near (400 kB, 100 lines).
const HEADER_BYTES: u32 = 400 << 10;

/// As whoever has a browser on this host.
pub(super) static CLIENT: Client = Client { id: "client", title: "the URL as a client sees it" };
/// The same by way of the proxy that the operator named.
pub(super) static VIA: Client = Client { id: "via", title: "the URL by way of a proxy" };

/// The probe.
#[derive(Debug)]
pub(super) struct Client {
    id: &'static str,
    title: &'static str,
}

impl Probe for Client {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &'static str {
        self.title
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
    let work = tokio::time::timeout(Duration::from_millis(job.total_ms), work);
    let done = tokio::select! {
        biased;
        done = work => done,
        told = patience::others_hang(job.siblings.as_deref()) => {
            report.detail = if report.detail.is_empty() { told } else { format!("{}; {told}", report.detail) };
            Ok(Err(Outcome::Timeout(if report.phases.first_byte.is_some() { Phase::Body } else { Phase::Head })))
        }
    };
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
        Address::Unix(_) | Address::Inside(..) => {
            return Err(skipped("a client does not reach a unix socket, or another namespace"));
        }
        // The proxy resolves it, perhaps otherwise than we would.
        Address::Name(..) if job.via.as_ref().is_some_and(|via| !via.starts_with("socks5:")) => Vec::new(),
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
    report.peer = addresses.first().filter(|_| job.via.is_none()).map(|at| Address::Tcp(*at));
    report.detail = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let proxy = proxy(sys, job).await.inspect_err(|outcome| {
        report.proxy_fault = Some(format!("its name does not resolve ({outcome})"));
    })?;
    if let Some(at) = proxy_at(job, proxy.as_ref()) {
        // The library tells only that there is no connection; who listens there is worth knowing.
        if let Err(error) = Stream::tcp(at, Duration::from_millis(job.connect_ms)).await {
            let outcome = match error {
                ConnectError::Timeout(_) => Outcome::Timeout(Phase::Connect),
                ConnectError::Io(error) | ConnectError::Source(error) => outcome_of(&error, Phase::Connect),
            };
            report.proxy_fault = Some(format!("it does not take connections at {at} ({outcome})"));
            report.detail = format!("the proxy {at}: {outcome}");
            return Err(outcome);
        }
    }
    let client = client(&host, &addresses, proxy, job, url.scheme() == "https").map_err(|error| {
        report.detail = chain(&error);
        skipped("no client can be made: are there CA certificates on this host?")
    })?;
    let method = if request.method == "HEAD" { reqwest::Method::HEAD } else { reqwest::Method::GET };
    let sent = watch.ms();
    let mut wanted = client.request(method, url).header("User-Agent", http1::agent_of(request));
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("user-agent")) {
        wanted = wanted.header(name, value);
    }
    let mut response = wanted.send().await.map_err(|error| meaning(&error, Phase::Head, report))?;
    report.phases.first_byte = Some(watch.ms() - sent);
    report.peer = response.remote_addr().filter(|_| job.via.is_none()).map(Address::Tcp).or(report.peer.take());
    let status = response.status().as_u16();
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let named = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str());
    report.retry_after_s = retry_after::seconds(status, named);
    if status == 407 && job.via.is_some() {
        report.proxy_fault = Some("it wants to know who asks (407)".to_owned());
    }
    let mut body = Vec::new();
    while body.len() < BODY_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES - body.len())]),
            Ok(None) => break,
            Err(error) => return Err(meaning(&error, Phase::Body, report)),
        }
    }
    if let Some(maker) = maker(status, &headers, &body) {
        (report.emitter, report.own_page) = (Some(maker.name), maker.own_page);
    }
    Ok(Outcome::Status(status))
}

/// The URL that was asked for, put together again.
fn url(job: &ProbeJob, request: &HttpRequest) -> Option<Url> {
    let mut url = Url::parse(&format!("{}://{}{}", job.protocol.scheme(), request.host, request.target())).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_port(job.address.port()).ok()?;
    Some(url)
}

/// The proxy's name with its addresses, by our own resolver.
async fn proxy(sys: &Sys, job: &ProbeJob) -> Result<Option<(String, Vec<SocketAddr>)>, Outcome> {
    let Some(via) = job.via.as_ref().and_then(|via| Url::parse(via).ok()) else { return Ok(None) };
    let Some(url::Host::Domain(name)) = via.host() else { return Ok(None) };
    let port = via.port().unwrap_or(if via.scheme() == "http" { 80 } else { 1080 });
    let ips = sys.dns.lookup(name).await.map_err(|error| Outcome::Name(error.fault))?;
    Ok(Some((name.to_owned(), ips.into_iter().map(|ip| (ip, port).into()).collect())))
}

/// Where the proxy is.
fn proxy_at(job: &ProbeJob, resolved: Option<&(String, Vec<SocketAddr>)>) -> Option<SocketAddr> {
    let via = Url::parse(job.via.as_ref()?).ok()?;
    let port = via.port().unwrap_or(if via.scheme() == "http" { 80 } else { 1080 });
    match via.host()? {
        url::Host::Ipv4(ip) => Some((ip, port).into()),
        url::Host::Ipv6(ip) => Some((ip, port).into()),
        url::Host::Domain(_) => resolved?.1.first().copied(),
    }
}

/// What a SOCKS proxy said, where that is the fault (RFC 1928 sections 3 and 6), in the words of the library (hyper-util).
fn socks_fault(chain: &str) -> Option<(&'static str, Outcome)> {
    const SAID: &[(&str, &str, Outcome)] = &[
        ("does not support user/pass", "it wants a name and a password", Outcome::Denied),
        ("credentials not accepted", "it does not accept the name and password", Outcome::Denied),
        ("no acceptable", "it accepts none of the ways to say who asks", Outcome::Denied),
        ("connection not allowed", "its rules forbid the way", Outcome::Denied),
        ("network unreachable", "it has no route to the site", Outcome::Unreachable),
        ("host unreachable", "it does not reach the site's host", Outcome::Unreachable),
        ("connection refused", "the site refuses its connection", Outcome::Refused),
        ("TTL expired", "its packets to the site expire on the way", Outcome::Unreachable),
        ("general server failure", "it fails, and does not say why", Outcome::Closed(Phase::Connect)),
    ];
    let rest = chain.split_once("SOCKS error: ")?.1.to_ascii_lowercase();
    let known = SAID.iter().find(|(said, ..)| rest.contains(&said.to_ascii_lowercase()));
    Some(known.map_or(("it does not speak SOCKS as it should", Outcome::Closed(Phase::Connect)), |(_, means, outcome)| {
        (*means, outcome.clone())
    }))
}

fn client(
    host: &str,
    addresses: &[SocketAddr],
    proxy: Option<(String, Vec<SocketAddr>)>,
    job: &ProbeJob,
    tls: bool,
) -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that another part of the program has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_millis(job.connect_ms));
    if !addresses.is_empty() {
        builder = builder.resolve_to_addrs(host, addresses);
    }
    if let Some((name, addresses)) = proxy {
        builder = builder.resolve_to_addrs(&name, &addresses);
    }
    if let Some(via) = &job.via {
        builder = builder.proxy(reqwest::Proxy::all(via.as_str())?);
    }
    if !tls {
        // Without this, a host without CA certificates could not even be asked over plain HTTP.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// What an error of the library means, by the error that lies at its bottom.
fn meaning(error: &reqwest::Error, phase: Phase, report: &mut ProbeReport) -> Outcome {
    report.detail = chain(error);
    if let Some((fault, outcome)) = socks_fault(&report.detail) {
        report.proxy_fault = Some(fault.to_owned());
        return outcome;
    }
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
