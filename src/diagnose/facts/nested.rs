//! Facts about gateways behind gateways: a request that comes back by what the configurations of this host say (`loop:config`), and one
//! that was seen coming back by way of another host (`loop:seen`): our own request stands in this gateway's access log again, sent by
//! the very server that the gateway sends it to, or many times more often than it was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene, nested::Map, symptom, upstream::failed_at},
    model::{Address, Fact, Outcome, logline, text},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["loop:config", "loop:seen"].map(str::to_owned).into()
}

/// Whether a request ends as one does that goes round: connections run out, time runs out, or a header that grows with each round
/// (X-Forwarded-For) becomes too large.
fn runs_out(history: &ProbeHistory) -> bool {
    let ends = |outcome: &Outcome| matches!(outcome, Outcome::Status(400 | 414 | 431)) || symptom::failed(outcome);
    probes::window(history).iter().any(|result| ends(&result.outcome))
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    if scene.gateways.is_empty() {
        return;
    }
    let map = Map::of(scene);
    let failed = if map.loops.is_empty() { BTreeSet::new() } else { failed_at(scene) };
    for gateway in &scene.gateways {
        book.look("loop", &scene.named(gateway));
    }
    for (subject, found) in map.loops {
        book.look("loop", &subject);
        // The configuration may break the round in a way that is not read here. Then it is served.
        let mut through = scene.probes_through(&subject).peekable();
        // Where the round takes all that the host has, no request of ours ends in time, and the gateway's own log is all that tells.
        let runs_out = if through.peek().is_some() { through.any(runs_out) } else { failed.contains(&found.server.address) };
        if !runs_out {
            continue;
        }
        let round = match found.rounds {
            1 => "which is this very location again".to_owned(),
            rounds => format!("and comes back to the same location after {rounds} gateways"),
        };
        let text =
            format!("{} sends requests to {}, where {} listens, {round}", found.server.at, found.server.address, found.listen.at);
        let fields = BTreeMap::from([
            ("place".to_owned(), found.server.at.to_string()),
            ("listen_place".to_owned(), found.listen.at.to_string()),
            ("rounds".to_owned(), found.rounds.to_string()),
        ]);
        let (name, source) = ("loop:config".to_owned(), "configuration".to_owned());
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
    }
    seen(scene, book);
}

/// Latest lines that are looked through for our own requests.
const LINES: usize = 400;
/// Words of a line among which the client's address stands: behind a virtual host, a time, a program.
const WORDS: usize = 8;
/// So many lines in our own name for each request that we made are no chain of gateways any more.
const LINES_OF_ONE: u64 = 8;

/// A request of ours that came back by way of another host.
fn seen(scene: &Scene, book: &mut FactBook) {
    let Some(failing) = scene.probes_of("gateway").find(|history| runs_out(history)) else { return };
    let ours: Vec<(&str, &str)> = scene
        .recent
        .latest()
        .take(LINES)
        .filter(|(_, line)| logline::is_ours(line.text.as_bytes()))
        .map(|(source, line)| (source, &*line.text))
        .collect();
    let upstreams = || scene.probes_of("upstream").filter(|history| failing.last.job.upstreams.contains(&history.last.job.subject));
    let local = |ip: IpAddr| scene.listeners.as_ref().is_none_or(|table| table.is_local(ip));
    let sent_back = upstreams().find_map(|history| {
        let Address::Tcp(to) = history.last.peer.as_ref().unwrap_or(&history.last.job.address) else { return None };
        let (source, _) = ours.iter().find(|(_, line)| client(line) == Some(to.ip())).filter(|_| !local(to.ip()))?;
        let text = format!("our own request, which the gateway sends to {to}, came back to the gateway from {}", to.ip());
        Some((history.last.job.subject.clone(), (*source).to_owned(), text))
    });
    let found = sent_back.or_else(|| {
        let made: u64 = scene.probes.iter().filter(|history| history.last.job.request.is_some()).map(|history| history.tries).sum();
        let groups = scene.logs.values().filter(|group| group.ours());
        let most = groups.max_by_key(|group| group.live)?;
        let subject = upstreams().next()?.last.job.subject.clone();
        let text = format!(
            "of the {made} requests that were made from here, the gateway's access log has {}: each comes back again and again",
            text::thousands(most.live)
        );
        (most.live > made.max(1).saturating_mul(LINES_OF_ONE)).then(|| (subject, most.source.clone(), text))
    });
    if let Some((subject, source, text)) = found {
        book.look("loop", &subject);
        let name = "loop:seen".to_owned();
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields: BTreeMap::new() });
    }
}

/// Who sent the request of a line of an access log: the first address among its first words, or the one that JSON names.
fn client(line: &str) -> Option<IpAddr> {
    let named = ["\"remote_ip\":\"", "\"remote_addr\":\"", "\"client_ip\":\""];
    if let Some(rest) = named.iter().find_map(|name| line.split_once(name)).map(|(_, rest)| rest) {
        return rest.split('"').next()?.parse().ok();
    }
    let address = |word: &str| word.parse::<IpAddr>().ok().or_else(|| Some(word.parse::<SocketAddr>().ok()?.ip()));
    line.split(' ').take(WORDS).find_map(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_of_a_request_is_found_in_usual_formats() {
        let of = |line: &str| client(line).map(|ip| ip.to_string());
        for line in [
            "10.0.2.21 - - [21/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 502 157 \"-\" \"why502\"",
            "shop.test:80 10.0.2.21 - - [21/Nov/2026:12:00:00 +0000] \"GET /10.9.9.9 HTTP/1.1\" 502 157",
            "Nov 21 12:00:00 gw haproxy[12]: 10.0.2.21:51234 [21/Nov/2026:12:00:00.1] www shop/a1 0/0/0/-1/1 502",
            r#"{"level":"info","request":{"remote_ip":"10.0.2.21","client_ip":"10.0.0.9"},"status":502}"#,
        ] {
            assert_eq!(of(line).as_deref(), Some("10.0.2.21"), "{line}");
        }
        assert_eq!(of("no address at all"), None);
    }
}
