//! Facts from probes: `probe:<probe>:<outcome>`.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, ProbeResult, Scene},
    model::{Address, Fact, Outcome, ProbeJob, ProbeReport, Protocol, Share, View},
};

/// Probes by id. The planner plans these; `probe::ALL` makes them; a test holds the two together.
pub const PROBES: &[&str] = &[
    "client",
    "via",
    "gateway",
    "upstream",
    "candidate",
    "address",
    "check",
    "no-cache",
    "as-browser",
    "http2",
    "other-family",
    "socket-path",
    "name",
    "resolvers",
    "keepalive",
    "public-name",
    "tls",
    "edge-tls",
    "reach",
];
/// Results that count at most: what was before is history.
const WINDOW: usize = 10;
/// So many equal results in a row say how things are now, whatever was before: after a repair the old failures must go.
const SETTLED: usize = 4;
/// So many, where results went to and fro before: of a fault that breaks a fifth of the requests, four served ones in a row are
/// no news.
const SETTLED_MIXED: usize = 8;
/// Results that count at most of what goes to and fro: a share needs more of them.
const WINDOW_MIXED: usize = 20;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    PROBES.iter().flat_map(|probe| Outcome::NAMES.iter().map(move |outcome| format!("probe:{probe}:{outcome}"))).collect()
}

/// The results of a probe that say how things are now.
pub fn window(history: &ProbeHistory) -> Vec<&ProbeResult> {
    let last = history.results.back().map(|result| result.outcome.name());
    let run = history.results.iter().rev().take_while(|result| Some(result.outcome.name()) == last).count();
    let names: Vec<&str> = history.results.iter().rev().take(WINDOW_MIXED).map(|result| result.outcome.name()).collect();
    // Broken, then mended, is one change; two and more are chance.
    let mixed = names.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1;
    let (settled, window) = if mixed { (SETTLED_MIXED, WINDOW_MIXED) } else { (SETTLED, WINDOW) };
    let count = if run >= settled { run.min(window) } else { window };
    history.results.iter().rev().take(count).collect()
}

/// The field that tells how many milliseconds a probe waited in vain.
pub const WAITED_MS: &str = "waited_ms";

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for history in &scene.probes {
        let job = &history.last.job;
        let results: Vec<&ProbeResult> =
            window(history).into_iter().filter(|result| !matches!(result.outcome, Outcome::Skipped(_))).collect();
        if results.is_empty() {
            continue;
        }
        book.look(&format!("probe:{}", job.probe), &job.subject);
        let mut counts: BTreeMap<&str, (usize, &ProbeResult)> = BTreeMap::new();
        for result in &results {
            counts.entry(result.outcome.name()).or_insert((0, result)).0 += 1;
        }
        for (outcome, (count, latest)) in counts {
            let name = format!("probe:{}:{outcome}", job.probe);
            // Several requests can go to one upstream: the first that shows an outcome speaks for it.
            if book.find(&name, &[&job.subject]).is_some() {
                continue;
            }
            book.add(Fact {
                name,
                subject: job.subject.clone(),
                now: true,
                at: latest.at,
                text: sentence(&history.last, &latest.outcome, count, results.len()),
                source: if history.last.as_gateway {
                    format!("probe as {}", job.identity.as_ref().map_or("the gateway", |identity| identity.name.as_str()))
                } else {
                    "probe".to_owned()
                },
                fields: fields(&history.last, latest, count, results.len()),
            });
        }
    }
}

/// One sentence about what a probe found; what came of it first, because columns are narrow.
fn sentence(report: &ProbeReport, outcome: &Outcome, count: usize, tries: usize) -> String {
    let job = &report.job;
    let what = match (job.probe.as_str(), &job.request) {
        ("gateway", Some(request)) => format!("{} {} through the gateway (Host: {})", request.method, job.label(), request.host),
        ("no-cache", _) => format!("{} without caches and cookies", job.label()),
        ("as-browser", _) => format!("{} as a browser", job.label()),
        ("http2", _) => format!("{} by HTTP/2", job.label()),
        ("other-family", _) => format!("{} by the other version of IP", job.label()),
        ("via", _) => format!("{} by way of {}", job.label(), job.via.as_deref().unwrap_or("a proxy")),
        ("client", _) => format!("{} as a client sees it", job.label()),
        ("socket-path", _) if !report.detail.is_empty() => return report.detail.clone(),
        ("name", _) => format!("the name of {}", job.address),
        ("tls", _) => format!("TLS with {}", job.address),
        ("edge-tls", _) => format!("TLS of the gateway's own {}", job.address),
        (_, Some(request)) => format!("{} {}", request.method, job.label()),
        (_, None) => job.label(),
    };
    let found = match outcome {
        Outcome::Status(code) => format!("{code}"),
        Outcome::Open => "connected".to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::NotFound => "no such socket".to_owned(),
        Outcome::Denied => "permission denied".to_owned(),
        Outcome::QueueFull => "listen queue full".to_owned(),
        Outcome::NoLocalPort => "no local port left".to_owned(),
        Outcome::NoSource => "the source address is none of this host's".to_owned(),
        Outcome::Unreachable => "unreachable".to_owned(),
        Outcome::Closed(phase) => format!("closed while {phase}"),
        Outcome::Reset(phase) => format!("reset while {phase}"),
        Outcome::Timeout(phase) => {
            // It may have been cut short, as others hang there for longer.
            let waited =
                if report.outcome == *outcome { report.phases.total.min(job.total_ms as f64) } else { job.total_ms as f64 };
            format!("nothing within {waited:.0} ms while {phase}")
        }
        Outcome::Name(_) if job.probe == "name" => format!("does not resolve ({outcome})"),
        Outcome::Tls(_)
        | Outcome::Speaks(_)
        | Outcome::Invalid(_)
        | Outcome::HeaderTooBig { .. }
        | Outcome::Name(_)
        | Outcome::Os(_) => outcome.to_string(),
        Outcome::Skipped(why) => format!("not tried, {why}"),
    };
    // The detail says more than the outcome's own word, or it is left out.
    let told = report.outcome == *outcome && !report.detail.is_empty() && report.detail != format!("{} {outcome}", job.address);
    let detail = if told { format!(" ({})", report.detail) } else { String::new() };
    let share = Share { hits: count as u64, all: tries as u64 };
    format!("{found}, {share}: {what}{detail}")
}

/// What kind of a mix-up it is to speak as this job does to a peer that speaks this: the reasons of `protocol-mismatch`.
fn mismatch(job: &ProbeJob, peer: &str) -> &'static str {
    if job.preamble { "proxy-protocol" } else { mixed_up(job.protocol, peer) }
}

/// The same of a gateway that speaks this protocol.
pub(super) fn mixed_up(used: Protocol, peer: &str) -> &'static str {
    match (used, peer) {
        (_, "proxy-protocol") => "proxy-protocol",
        (Protocol::Http | Protocol::Fastcgi | Protocol::Uwsgi | Protocol::Scgi | Protocol::Grpc, "tls") => "plain-to-tls",
        (Protocol::Https, "http/1") => "tls-to-plain",
        (Protocol::Http | Protocol::Https, "fastcgi") => "http-to-fastcgi",
        (Protocol::Http | Protocol::Https, "http/2") | (Protocol::Grpc | Protocol::Grpcs, "http/1") => "http-version",
        (Protocol::Http | Protocol::Https, "uwsgi") => "http-to-uwsgi",
        (Protocol::Fastcgi, "http/1" | "http/2") => "fastcgi-to-http",
        (Protocol::Uwsgi, "http/1" | "http/2") => "uwsgi-to-http",
        _ => "other",
    }
}

/// What stands before a request as PROXY protocol (haproxy's proxy-protocol.txt), in words.
const PREAMBLE: &str = "the PROXY protocol";

/// What a sentence or command about it can use.
fn fields(report: &ProbeReport, latest: &ProbeResult, count: usize, tries: usize) -> BTreeMap<String, String> {
    let (job, outcome) = (&report.job, &latest.outcome);
    let mut fields: BTreeMap<String, String> = [
        ("address", job.address.to_string()),
        ("label", job.label()),
        ("outcome", outcome.to_string()),
        ("count", count.to_string()),
        ("tries", tries.to_string()),
        ("scheme", if job.preamble { PREAMBLE } else { job.protocol.called() }.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let mut set = |key: &str, value: String| fields.insert(key.to_owned(), value);
    if !report.detail.is_empty() {
        set("detail", report.detail.clone());
    }
    if let Some(View::Path(way)) = &report.view
        && let Some(closed) = way.parts.last().filter(|_| way.lacks == Some('x'))
    {
        set("closed_dir", closed.path.display().to_string());
        set("closed_mode", format!("{} {}", closed.mode, closed.owner));
    }
    match job.address.bare() {
        Address::Inside(..) => {}
        Address::Unix(path) => {
            set("socket", path.display().to_string());
        }
        Address::Tcp(at) => {
            set("port", at.port().to_string());
        }
        Address::Name(host, port) => {
            set("name", host.clone());
            set("port", port.to_string());
        }
    }
    match outcome {
        Outcome::Speaks(what) => {
            set("peer", what.clone());
            set("mismatch", mismatch(job, what).to_owned());
            if job.preamble {
                set("preamble", PREAMBLE.to_owned());
            } else if what == "proxy-protocol" {
                set("preamble_missing", PREAMBLE.to_owned());
            }
        }
        Outcome::HeaderTooBig { bytes, limit } => {
            set("bytes", bytes.to_string());
            set("limit", limit.to_string());
        }
        Outcome::Status(code) => {
            set("status", code.to_string());
        }
        Outcome::Timeout(_) => {
            set(WAITED_MS, latest.ms.floor().to_string());
        }
        Outcome::Open
        | Outcome::Refused
        | Outcome::NotFound
        | Outcome::Denied
        | Outcome::QueueFull
        | Outcome::NoLocalPort
        | Outcome::NoSource
        | Outcome::Unreachable
        | Outcome::Closed(_)
        | Outcome::Reset(_)
        | Outcome::Tls(_)
        | Outcome::Invalid(_)
        | Outcome::Name(_)
        | Outcome::Os(_)
        | Outcome::Skipped(_) => {}
    }
    if let Some(identity) = &job.identity {
        set("user", identity.name.clone());
    }
    if let Some(emitter) = &report.emitter {
        set("emitter", emitter.clone());
    }
    fields
}
