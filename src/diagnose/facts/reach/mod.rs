//! Facts about the way to an upstream: `reach:...`. A filter is told from an absent host, an absent host from a missing route, a lossy
//! network from a busy application, each by what came back of small packets and by what the kernel itself knows.

use std::{collections::BTreeMap, net::IpAddr};

mod filter;
mod loss;
#[cfg(test)]
mod tests;
mod way;

use super::{FactBook, window};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene},
    model::{Fact, Outcome, Phase, ReachView, Stamp, Subject, View, text},
};

/// Every name that is made here.
const NAMES: &[&str] = &[
    "reach:no-route",
    "reach:route-forbids",
    "reach:link-down",
    "reach:neighbour-silent",
    "reach:neighbour-table-full",
    "reach:icmp-unreachable",
    "reach:host-silent",
    "reach:host-answers",
    "reach:passes",
    "reach:rule",
    "reach:rewritten",
    "reach:no-rule",
    "reach:rejected-here",
    "reach:prohibited",
    "reach:port-dropped",
    "reach:port-silent",
    "reach:other-reset",
    "reach:refused-by-host",
    "reach:filter-reset",
    "reach:passed-on",
    "reach:user-blocked",
    "reach:queue-full",
    "reach:lossy",
    "reach:connects-lost",
    "reach:sent-again",
    "reach:mtu-black-hole",
    "reach:way-ends",
    "reach:traced",
    "reach:ports-exhausted",
    "reach:ports-free",
    "reach:conntrack-full",
];

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}

/// Share of tracked connections from which on the table is full: entries go and come while it is counted.
const TRACKED: f64 = 0.98;

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    if let Some((count, limit)) = scene.load().and_then(|load| load.conntrack).or_else(|| last_conntrack(scene)) {
        book.look("reach", &Subject::host());
        if limit > 0 && count as f64 >= limit as f64 * TRACKED {
            let text = format!(
                "{} of {} connections that the kernel can track are in its table",
                text::thousands(count),
                text::thousands(limit)
            );
            let fields = [("count", count.to_string()), ("limit", limit.to_string())];
            book.add(fact("reach:conntrack-full", &Subject::host(), scene.now, text, "/proc", fields));
        }
    }
    for history in scene.probes_of("reach") {
        let subject = &history.last.job.subject;
        let Some(View::Reach(view)) = &history.last.view else { continue };
        let Some(at) = history.results.back().map(|result| result.at) else { continue };
        if book.looked_at("reach", &[subject]) || over(scene, subject, at, view) {
            continue;
        }
        book.look("reach", subject);
        let mut told = Told { view, subject, at, book };
        told.route();
        told.host(unreachable(scene, subject));
        told.filters();
        told.losses(stalls(scene, subject));
        told.ports();
        told.path();
    }
}

fn last_conntrack(scene: &Scene) -> Option<(u64, u64)> {
    let views = scene.probes_of("reach").filter_map(|history| match &history.last.view {
        Some(View::Reach(view)) => view.conntrack,
        _ => None,
    });
    views.last()
}

/// Milliseconds for which loss that was seen is held for what goes on, whatever gets through: nine of ten requests do where one of ten
/// packets is lost. While something fails, the next look is made long before.
const LOSS_HOLDS_MS: u64 = 30_000;

/// Whether the upstream answered a request after this look was made, and nothing failed since.
fn over(scene: &Scene, subject: &Subject, at: Stamp, view: &ReachView) -> bool {
    let in_part = view.knocks.back > 0 && view.knocks.back < view.knocks.sent;
    if in_part && scene.now.run_ms.saturating_sub(at.run_ms) < LOSS_HOLDS_MS {
        return false;
    }
    let straight: Vec<&ProbeHistory> = concerning(scene, subject).collect();
    let serves = |history: &&ProbeHistory| {
        let last = history.results.back();
        last.is_some_and(|last| last.at > at && last.outcome.serves() == Some(true))
            && window(history).iter().all(|result| result.outcome.serves() != Some(false))
    };
    !straight.is_empty() && straight.iter().all(serves)
}

/// Requests straight to it, and those through a gateway that can reach it.
fn concerning<'a>(scene: &'a Scene, subject: &Subject) -> impl Iterator<Item = &'a ProbeHistory> {
    scene.probes_about("upstream", subject).chain(scene.probes_through(subject))
}

/// Whether requests to it were begun and came to no end.
fn stalls(scene: &Scene, subject: &Subject) -> bool {
    let stalled = |outcome: &Outcome| {
        matches!(outcome, Outcome::Timeout(Phase::Head | Phase::Body | Phase::Send | Phase::Tls) | Outcome::Status(504))
    };
    concerning(scene, subject).any(|history| window(history).iter().any(|result| stalled(&result.outcome)))
}

/// Whether a request straight to it got the word that there is no way.
fn unreachable(scene: &Scene, subject: &Subject) -> bool {
    scene
        .probes_about("upstream", subject)
        .any(|history| window(history).iter().any(|result| result.outcome == Outcome::Unreachable))
}

fn fact<const N: usize>(name: &str, subject: &Subject, at: Stamp, text: String, source: &str, fields: [(&str, String); N]) -> Fact {
    let mut fields: BTreeMap<String, String> = fields.map(|(key, value)| (key.to_owned(), value)).into();
    fields.insert("told".to_owned(), text.clone());
    Fact { name: name.to_owned(), subject: subject.clone(), now: true, at, text, source: source.to_owned(), fields }
}

struct Told<'a> {
    view: &'a ReachView,
    subject: &'a Subject,
    at: Stamp,
    book: &'a mut FactBook,
}

impl Told<'_> {
    fn add<const N: usize>(&mut self, name: &str, text: String, source: &str, fields: [(&str, String); N]) {
        let mut fact = fact(name, self.subject, self.at, text, source, fields);
        if let Some(ip) = self.ip() {
            fact.fields.entry("ip".to_owned()).or_insert_with(|| ip.to_string());
        }
        self.book.add(fact);
    }

    fn ip(&self) -> Option<IpAddr> {
        self.view.to.map(|to| to.ip())
    }

    fn host_name(&self) -> String {
        self.ip().map_or_else(|| self.subject.0.clone(), |ip| ip.to_string())
    }

    /// Nothing at all came for any of our connections.
    fn silent(&self) -> bool {
        let view = self.view;
        view.knocks.sent > 0 && view.knocks.back == 0 && view.refused == 0 && view.errno.is_none() && view.icmp.is_none()
    }

    /// What came of the gateway's own user, where that is worse than what came of us.
    fn worse_as_gateway(&self) -> Option<(&str, &Outcome)> {
        let (user, outcome) = self.view.as_gateway.as_ref()?;
        (self.view.knocks.back == self.view.knocks.sent && self.view.knocks.sent > 0 && outcome.serves() == Some(false))
            .then_some((user.as_str(), outcome))
    }

    /// Whether the host itself answered something.
    fn host_lives(&self) -> bool {
        let view = self.view;
        let own_icmp = view.icmp.as_ref().is_some_and(|icmp| icmp.from.is_some() && icmp.from == self.ip());
        view.pings.is_some_and(|pings| pings.back > 0) || view.other_port == Some(true) || view.bare_ack == Some(true) || own_icmp
    }
}
