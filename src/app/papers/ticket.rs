//! The ticket for the hosting provider (guides B and C, "contact the hosting provider"): what somebody who sees neither this host nor
//! its logs needs to look on the other side. Times in UTC, addresses and ports, the way there, how to repeat it.

use super::State;
use crate::{
    diagnose::{ProbeHistory, by_hand, failed},
    model::{Address, Block, Document, HopState, Item, Order as _, ProbeJob, Protocol, View, document::safe, rfc3339},
};

/// Servers that are told of, at most.
const SERVERS: usize = 5;
/// Tries of each that are listed, the latest.
const TRIES: usize = 8;
/// Results that count as now: the latest of each probe.
const LATEST: usize = 5;

/// Whether a probe fails now.
fn fails(history: &ProbeHistory) -> bool {
    history.results.iter().rev().take(LATEST).any(|result| failed(&result.outcome))
}

/// The servers behind the gateway that fail; where none does, the requests through it that do.
fn about(state: &State) -> Vec<&ProbeHistory> {
    let scene = state.shown().0;
    let of = |kind: &'static str| scene.probes_of(kind).filter(|history| fails(history)).collect::<Vec<_>>();
    let first = state.shown().1.causes.first().map(|cause| cause.subject.clone());
    let mut found = of("upstream");
    if found.is_empty() {
        found = of("public");
    }
    if found.is_empty() {
        found = of("gateway");
    }
    found.order_by_key(|history| Some(&history.last.job.subject) != first.as_ref());
    found.truncate(SERVERS);
    found
}

fn port_of(address: &Address) -> String {
    address.port().map_or_else(|| "-".to_owned(), |port| port.to_string())
}

/// The source address towards a server: as configured, else as the kernel chooses it.
fn source(state: &State, job: &ProbeJob) -> String {
    let view = state.shown().0.probes_about("reach", &job.subject).find_map(|history| match &history.last.view {
        Some(View::Reach(reach)) => reach.route.as_ref().and_then(|route| route.source),
        Some(View::Names(_) | View::Tls(_) | View::Keepalive(_) | View::Path(_)) | None => None,
    });
    job.source.or(view).map_or_else(|| "as the kernel chooses".to_owned(), |source| source.to_string())
}

/// The ticket.
pub fn ticket(state: &State) -> Document {
    let (scene, assessment) = state.shown();
    let symptom = &assessment.symptom;
    let host = scene.run.as_ref().map_or("", |run| run.host.as_str());
    let url = assessment.url.as_deref().unwrap_or("our site");
    let what = if symptom.words.is_empty() { "requests fail".to_owned() } else { symptom.words.clone() };
    let mut document = Document::new(format!("{what} on {url}, seen from {host}"));
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut field = |name: &str, value: String| fields.push((name.to_owned(), value));
    field("Now", format!("{} (all times are UTC)", scene.now.utc()));
    if let Some(since) = symptom.since {
        field("Since", symptom.since_words(&rfc3339(since)));
    }
    if let Some(share) = symptom.share_words() {
        field("Failing", share);
    }
    field("URL", url.to_owned());
    field("Seen from", host.to_owned());
    document.blocks.push(Block::Fields(fields));
    if let Some(cause) = assessment.causes.first() {
        document.section("What we found");
        document.blocks.push(Block::Text(format!("{} ({}, {})", cause.summary, cause.id, cause.confidence.word())));
        let items = cause.evidence_for.iter().map(|evidence| Item {
            text: evidence.text.clone(),
            source: evidence.source.clone(),
            ..Item::default()
        });
        document.blocks.push(Block::List(items.collect()));
    }
    let about = about(state);
    if !about.is_empty() {
        connections(state, &mut document, &about);
        let mut told: Vec<&Address> = Vec::new();
        for history in &about {
            if !told.contains(&&history.last.job.address) {
                told.push(&history.last.job.address);
                the_way(state, &mut document, history);
            }
        }
        document.section("To repeat it");
        let steps = about.iter().filter_map(|history| {
            let command = by_hand(&history.last.job, &scene.gateways)?;
            Some((format!("{} on {host}:", history.last.job.label()), Some(safe(&command.to_string()))))
        });
        let from_outside = assessment.url.as_deref().and_then(|url| {
            let words = ["curl", "-sS", "-v", "-o", "/dev/null", "-w", "%{http_code} %{remote_ip} %{time_total}\\n", url];
            crate::model::Command::new(words)
        });
        let outside = from_outside.map(|command| ("from anywhere:".to_owned(), Some(safe(&command.to_string()))));
        document.blocks.push(Block::Steps(steps.chain(outside).collect()));
    }
    let good = assessment.hops.iter().filter(|hop| hop.state == HopState::Good);
    let good = good.map(|hop| Item::plain(format!("{} {}: {}", hop.name, hop.target, hop.outcome)));
    let out = assessment.ruled_out.iter().map(|out| Item::plain(format!("{}: {}", out.id, out.because)));
    document.list("What we have excluded on our side", good.chain(out));
    document.section("What we ask you");
    document.blocks.push(Block::List(vec![
        Item::plain("Do the connections above reach your side? Please look for them in flow logs, firewalls and load balancers at these times."),
        Item::plain("Was anything changed, restarted, blocked or limited on your side shortly before it began?"),
        Item::plain("Please trace the way back from the target to the source address above, over TCP: routes are often not the same both ways."),
    ]));
    document
}

/// The five-tuples and the latest tries.
fn connections(state: &State, document: &mut Document, about: &[&ProbeHistory]) {
    document.section("Connections that fail");
    let head = ["protocol", "source", "source port", "target", "target port", "spoken"].map(str::to_owned).to_vec();
    let rows = about.iter().map(|history| {
        let job = &history.last.job;
        let unix = matches!(job.address.bare(), Address::Unix(_));
        let to = history.last.peer.as_ref().unwrap_or(&job.address);
        let target = match to.bare() {
            Address::Tcp(at) => at.ip().to_string(),
            Address::Name(name, _) => name.clone(),
            other => other.to_string(),
        };
        let spoken = if job.protocol == Protocol::Stream { "TCP alone".to_owned() } else { job.protocol.scheme().to_owned() };
        let protocol = if unix { "unix socket" } else { "TCP" };
        let source = if unix { "-".to_owned() } else { source(state, job) };
        let port = if unix { "-" } else { "another each time" };
        (false, vec![protocol.to_owned(), source, port.to_owned(), target, port_of(to), spoken])
    });
    // Several requests may go the same way.
    let mut ways: Vec<(bool, Vec<String>)> = Vec::new();
    for row in rows {
        if !ways.contains(&row) {
            ways.push(row);
        }
    }
    document.blocks.push(Block::Table(head, ways));
    let head = ["time (UTC)", "target", "outcome", "ms"].map(str::to_owned).to_vec();
    let mut rows: Vec<(i64, Vec<String>)> = Vec::new();
    for history in about {
        for result in history.results.iter().rev().take(TRIES) {
            let cells =
                vec![utc_ms(result.at.wall_ms), history.last.job.label(), result.outcome.to_string(), format!("{:.1}", result.ms)];
            rows.push((result.at.wall_ms, cells));
        }
    }
    rows.order_by_key(|(at, _)| *at);
    document.blocks.push(Block::Table(head, rows.into_iter().map(|(_, cells)| (false, cells)).collect()));
}

/// `2026-11-20T02:31:07.250Z`: flow logs are searched by it.
fn utc_ms(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms).map_or_else(|_| "?".to_owned(), |at| format!("{at:.3}"))
}

/// The way there as far as it was seen, and what would show the way back.
fn the_way(state: &State, document: &mut Document, history: &ProbeHistory) {
    let job = &history.last.job;
    let reach = state.shown().0.probes_about("reach", &job.subject).find_map(|history| match &history.last.view {
        Some(View::Reach(reach)) => Some(reach),
        Some(View::Names(_) | View::Tls(_) | View::Keepalive(_) | View::Path(_)) | None => None,
    });
    let remote = match job.address.bare() {
        Address::Tcp(at) => !at.ip().is_loopback(),
        Address::Name(..) => true,
        Address::Unix(_) | Address::Inside(..) => false,
    };
    if !remote {
        return;
    }
    let target = job.address.bare();
    let mut items: Vec<Item> = reach.map_or_else(Vec::new, |reach| reach.lines().into_iter().map(Item::plain).collect());
    if items.is_empty() {
        items.push(Item::plain("the way there was not looked at"));
    }
    let source = source(state, job);
    items.push(Item::plain(format!("the way back, from {target} to {source}: cannot be seen from here")));
    document.list(&format!("The way to {target}"), items);
    let name = match target {
        Address::Tcp(at) => at.ip().to_string(),
        Address::Name(name, _) => name.clone(),
        Address::Unix(_) | Address::Inside(..) => return,
    };
    let there = crate::model::Command::new(["mtr", "-n", "-r", "-c", "20", "-T", "-P", &port_of(target), &name]);
    let back = source.parse::<std::net::IpAddr>().ok();
    let back = back.and_then(|source| crate::model::Command::new(["mtr", "-n", "-r", "-c", "20", "-T", &source.to_string()]));
    let steps = [("the way there, here:", there), ("the way back, on your side:", back)];
    let steps = steps.into_iter().filter_map(|(text, command)| Some((text.to_owned(), Some(command?.to_string()))));
    document.blocks.push(Block::Steps(steps.collect()));
}
