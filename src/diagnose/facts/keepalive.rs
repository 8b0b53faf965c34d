//! Facts about connections that are used again: `keepalive:...`. A race between the gateway, which is about to use an idle
//! connection, and the application, which is about to close it, breaks a request now and then, and only on reused
//! connections. It is proven by three things together: the application closes sooner than the gateway does, new connections
//! are served, and the gateway's log tells of requests that broke.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet},
};

use super::{FactBook, probes};
use crate::{
    catalog::{Catalog, Presence, Rank},
    diagnose::{LogGroup, ProbeHistory, Scene, symptom, upstream_of, wrote},
    model::{Address, Fact, Gateway, KeepaliveView, Reuse, Route, Share, Subject, View, text},
};

/// The cause whose signs in a log are meant.
const CAUSE: &str = "keepalive-race";
/// Seconds of the log that count: a race goes on as long as there are users, and an outage that is over is none.
const RECENT_S: i64 = 120;
/// Seconds around a line in which the application was gone: it was restarted, and its connections broke for that.
const RESTART_S: i64 = 3;
/// Requests on new connections that must have been served before it is said that only used ones break: of an application that
/// hangs up on a fifth of all requests, so many are served by chance in one of six cases.
const FRESH: usize = 8;
/// A share of failing requests from which on it is no race: one needs the luck of a few milliseconds.
const RACE_SHARE: f64 = 0.5;
/// Methods that a gateway does not repeat on another connection once they were sent (RFC 9110 section 9.2.2).
const NOT_REPEATED: &[&str] = &["POST", "PATCH", "LOCK"];

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["keepalive:short", "keepalive:long", "keepalive:race", "keepalive:suspect"].map(str::to_owned).into()
}

/// What the logs say of requests to an upstream that broke as they do on reused connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReuseBreaks {
    /// Lines in the last two minutes.
    pub lines: u64,
    /// Whether users saw it: a gateway repeats what is safe to repeat.
    pub seen: bool,
}

/// What the logs say of it. `None`: nothing.
pub fn reuse_breaks(scene: &Scene, catalog: &Catalog, upstream: &Subject) -> Option<ReuseBreaks> {
    let from = scene.now.wall_s() - RECENT_S;
    let gateways: Vec<&Gateway> = reaching(scene, upstream);
    // Texts of addresses lead back to the same address, and to no other.
    let wanted = upstream.0.parse::<Address>().ok().filter(|address| address.to_string() == upstream.0);
    let its = |address: &Address| wanted.as_ref() == Some(address);
    let of_gateways = |group: &&LogGroup| gateways.iter().any(|gateway| wrote(scene, gateway, &group.source));
    // Looked for when a line tells of one: most hosts have none.
    let gone = LazyCell::new(|| -> BTreeSet<i64> {
        let absent = scene.logs.values().filter(|group| {
            group.signature(&catalog.signatures).is_some_and(|signature| signature.presence == Some(Presence::Absent))
                && upstream_of(scene, group).is_none_or(|address| its(&address))
        });
        absent.flat_map(|group| group.seconds.iter().map(|(second, _)| *second)).collect()
    });
    let (mut lines, mut unrepeated) = (0, false);
    for group in scene.logs.values().filter(of_gateways) {
        let signature = group.signature(&catalog.signatures);
        if !signature.is_some_and(|known| known.rank != Rank::Context && known.causes.iter().any(|id| id == CAUSE)) {
            continue;
        }
        let ours = match upstream_of(scene, group) {
            Some(address) => its(&address),
            // It names no address: it may be any server's, so it must be the only one's.
            None => servers(&gateways) == 1,
        };
        if !ours {
            continue;
        }
        let restart =
            |second: i64| gone.range(second.saturating_sub(RESTART_S)..=second.saturating_add(RESTART_S)).next().is_some();
        let count: u64 = group
            .seconds
            .iter()
            .filter(|(second, _)| *second >= from && !restart(*second))
            .map(|(_, count)| u64::from(*count))
            .sum();
        lines += count;
        // The beginning of a request's line, or a member of JSON.
        let asked = |line: &String, word: &str| line.contains(&format!("\"{word} ")) || line.contains(&format!("\"{word}\""));
        unrepeated |= count > 0 && [&group.first, &group.last].iter().any(|line| NOT_REPEATED.iter().any(|word| asked(line, word)));
    }
    if lines == 0 {
        return None;
    }
    let mut access = scene.logs.values().filter(|group| group.is_request() && !group.ours() && of_gateways(group)).peekable();
    let unknown = access.peek().is_none();
    // Of those requests that are not repeated, if there are any; the key of a request begins with its status and method.
    let (mut all, mut posts) = (Share::default(), Share::default());
    for group in access {
        let (count, failed) = (group.since(from), group.meaning.status.is_some_and(|status| (500..600).contains(&status)));
        let post = group.key.split(' ').nth(1).is_some_and(|method| NOT_REPEATED.contains(&method));
        for share in std::iter::once(&mut all).chain(post.then_some(&mut posts)) {
            share.all += count;
            share.hits += if failed { count } else { 0 };
        }
    }
    let share = if posts.all > 0 { posts } else { all };
    if share.value().is_some_and(|share| share >= RACE_SHARE) {
        return None;
    }
    Some(ReuseBreaks { lines, seen: unrepeated || unknown || all.hits > 0 })
}

/// The gateways that have a route to it.
fn reaching<'a>(scene: &'a Scene, upstream: &Subject) -> Vec<&'a Gateway> {
    let Ok(address) = upstream.0.parse() else { return Vec::new() };
    let mut found: Vec<&Gateway> = scene.routes_to(&address).into_iter().map(|(gateway, ..)| gateway).collect();
    found.dedup_by(|a, b| std::ptr::eq(*a, *b));
    found
}

/// Different servers of these gateways.
fn servers(gateways: &[&Gateway]) -> usize {
    let all = gateways.iter().flat_map(|gateway| gateway.routes()).flat_map(|(_, route)| &route.servers);
    all.map(|server| &server.address).collect::<std::collections::BTreeSet<&Address>>().len()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    // Of several measurements of one upstream that counts which has seen its end, else the longest.
    let mut best: BTreeMap<&Subject, (&ProbeHistory, &KeepaliveView)> = BTreeMap::new();
    for history in scene.probes_of("keepalive") {
        let Some(View::Keepalive(view)) = &history.last.view else { continue };
        let worth = |view: &KeepaliveView| (view.closed_ms.is_some(), view.waited_ms);
        let known = best.entry(&history.last.job.subject).or_insert((history, view));
        if worth(view) > worth(known.1) {
            *known = (history, view);
        }
    }
    for (subject, (history, view)) in best {
        book.look("keepalive", subject);
        let Some((gateway, route)) = place(scene, subject) else { continue };
        let seen = Seen { gateway, route, view, breaks: reuse_breaks(scene, catalog, subject), fresh: fresh(scene, history) };
        for (name, text, fields) in facts(&seen, subject) {
            let source = "an idle connection".to_owned();
            book.add(Fact { name: name.to_owned(), subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        }
    }
}

/// What is known of one upstream.
struct Seen<'a> {
    gateway: &'a Gateway,
    route: &'a Route,
    view: &'a KeepaliveView,
    breaks: Option<ReuseBreaks>,
    /// Requests on new connections that were served, if all were.
    fresh: Option<usize>,
}

/// The first route to this upstream that keeps connections, else any.
fn place<'a>(scene: &'a Scene, upstream: &Subject) -> Option<(&'a Gateway, &'a Route)> {
    let places = scene.routes_to(&upstream.0.parse().ok()?);
    let kept = places.iter().find(|(.., route)| matches!(route.reuse, Reuse::Kept { .. }));
    kept.or_else(|| places.first()).map(|(gateway, _, route)| (*gateway, *route))
}

/// How many requests on new connections there were. `None`: some of them failed, or none was made.
fn fresh(scene: &Scene, of: &ProbeHistory) -> Option<usize> {
    let histories = scene.probes_about("upstream", &of.last.job.subject);
    let results: Vec<bool> = histories.flat_map(probes::window).map(|result| symptom::failed(&result.outcome)).collect();
    (!results.is_empty() && !results.contains(&true)).then_some(results.len())
}

type Made = (&'static str, String, BTreeMap<String, String>);

fn facts(seen: &Seen<'_>, subject: &Subject) -> Vec<Made> {
    let Seen { gateway, route, view, breaks, fresh } = seen;
    let mut out = Vec::new();
    if !view.kept {
        return out;
    }
    let (own_ms, at) = match &route.reuse {
        Reuse::Never | Reuse::SameClient => return out,
        Reuse::Unknown => (None, None),
        Reuse::Kept { idle_ms, at } => (*idle_ms, at.as_ref()),
    };
    let known = route.reuse != Reuse::Unknown;
    let place = at.map_or_else(String::new, |at| format!(" ({at})"));
    let own = match own_ms {
        Some(ms) => format!("{} uses it for {}{place}", gateway.kind, span(ms)),
        None if known => format!("{} uses it without a limit of its own{place}", gateway.kind),
        None => format!("how long {} uses it is not known", gateway.kind),
    };
    let mut fields = BTreeMap::from([("gateway_idle".to_owned(), own_ms.map_or_else(|| "ever".to_owned(), span))]);
    if let Some(at) = at {
        fields.insert("place".to_owned(), at.to_string());
    }
    // What it promises is not what it does, but the next best where there was no time to see.
    let closes_ms = view.closed_ms.or(view.announced_ms);
    let word = if view.closed_ms.is_some() { "closes" } else { "says that it closes" };
    let shorter = closes_ms.is_some_and(|closes| own_ms.is_none_or(|own| closes < own));
    let Some(closes) = closes_ms.filter(|_| shorter) else {
        let waited = view.waited_ms;
        if let Some(own) = own_ms.filter(|own| waited >= *own || closes_ms.is_some_and(|closes| closes >= *own)) {
            let text = format!(
                "{subject} keeps an idle connection for {} or more; {} lets go of it after {}",
                span(waited.max(own)),
                gateway.kind,
                span(own)
            );
            out.push(("keepalive:long", text, fields));
        } else if let Some(breaks) = breaks.filter(|breaks| breaks.seen && fresh.is_some()) {
            let text = format!(
                "requests broke on their way to {subject} ({} lines in two minutes) while new connections are served; it keeps an idle one for more than {}, {own}",
                text::thousands(breaks.lines),
                span(waited)
            );
            out.push(("keepalive:suspect", text, fields));
        }
        return out;
    };
    fields.insert("idle".to_owned(), span(closes));
    out.push(("keepalive:short", format!("{subject} {word} an idle connection after {}; {own}", span(closes)), fields.clone()));
    if let (Some(breaks), Some(fresh)) = (breaks.filter(|breaks| breaks.seen), fresh) {
        fields.insert("lines".to_owned(), text::thousands(breaks.lines));
        let text = format!(
            "{} of {fresh} requests on new connections were served, and {} on used ones broke in the last two minutes: {subject} {word} them after {} of silence",
            fresh,
            text::thousands(breaks.lines),
            span(closes)
        );
        let name = if known && view.closed_ms.is_some() && *fresh >= FRESH { "keepalive:race" } else { "keepalive:suspect" };
        out.push((name, text, fields));
    }
    out
}

/// `80 ms`, `5 s`, `2.1 s`.
pub fn span(ms: u64) -> String {
    match ms {
        u64::MAX => "ever".to_owned(),
        0..1_000 => format!("{ms} ms"),
        _ if ms % 1_000 < 50 => format!("{} s", ms / 1_000),
        _ => format!("{:.1} s", ms as f64 / 1e3),
    }
}
