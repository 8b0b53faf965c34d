//! What a look at the way is worth as facts.

use std::net::IpAddr;

use super::*;
use crate::model::{Icmp, KernelRoute, Neighbour, Observation, PortUse, ProbeReport, RoundTrips, RuleHit};

const UPSTREAM: &str = "10.0.2.21:8000";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A host behind a router, of which nothing has come back yet.
fn silence() -> ReachView {
    ReachView {
        to: Some(UPSTREAM.parse().expect("an address")),
        route: Some(KernelRoute {
            kind: "unicast".to_owned(),
            device: Some("eth0".to_owned()),
            link_up: Some(true),
            mtu: Some(1500),
            gateway: Some(ip("10.0.1.1")),
            source: Some(ip("10.0.1.10")),
            ..KernelRoute::default()
        }),
        neighbour: Some(Neighbour { address: ip("10.0.1.1"), state: "reachable".to_owned() }),
        knocks: share(20, 0),
        pings: Some(share(20, 0)),
        other_port: Some(false),
        bare_ack: Some(false),
        rules_read: true,
        ..ReachView::default()
    }
}

fn share(sent: u32, back: u32) -> RoundTrips {
    RoundTrips { sent, back, ..RoundTrips::default() }
}

fn report(probe: &str, outcome: Outcome, view: Option<ReachView>) -> ProbeReport {
    let job = serde_json::json!({
        "probe": probe, "subject": UPSTREAM, "address": UPSTREAM, "protocol": "stream", "connect_ms": 1_000, "total_ms": 1_000
    });
    let whole = serde_json::json!({"job": job, "outcome": "open", "phases": {"total": 1.0}});
    let report: ProbeReport = serde_json::from_value(whole).expect("a report");
    ProbeReport { outcome, view: view.map(|view| View::Reach(Box::new(view))), ..report }
}

/// The names of the facts of these reports, each a second after the one before.
fn facts(reports: Vec<ProbeReport>) -> Vec<String> {
    let mut scene = Scene::default();
    for (second, report) in (1..).zip(reports) {
        let at = Stamp { run_ms: second * 1_000, wall_ms: 1_795_000_000_000 };
        scene.observe(at, Observation::Probe(Box::new(report)));
    }
    let mut book = FactBook::default();
    let catalog = Catalog::embedded().expect("the catalogue");
    produce(&scene, &catalog, &mut book);
    assert!(book.facts().iter().all(|fact| NAMES.contains(&fact.name.as_str()) && fact.now && fact.fields.contains_key("told")));
    book.facts().iter().map(|fact| fact.name.trim_start_matches("reach:").to_owned()).collect()
}

fn of(view: ReachView) -> Vec<String> {
    facts(vec![report("reach", Outcome::Timeout(Phase::Connect), Some(view))])
}

fn rule(verdict: &str, certain: bool, counted: Option<u64>) -> RuleHit {
    RuleHit {
        tool: "nft".to_owned(),
        chain: "inet filter output".to_owned(),
        text: format!("tcp dport 8000 {verdict}"),
        verdict: verdict.to_owned(),
        answers: false,
        certain,
        owner: None,
        counted,
    }
}

#[test]
fn silence_is_told_apart_by_what_else_answers() {
    assert_eq!(of(silence()), ["host-silent", "no-rule"]);
    let alive = ReachView { pings: Some(share(20, 20)), ..silence() };
    assert_eq!(of(alive.clone()), ["host-answers", "no-rule", "port-dropped"]);
    let unprivileged = ReachView { bare_ack: None, ..alive.clone() };
    assert_eq!(of(unprivileged), ["host-answers", "no-rule", "port-silent"], "without raw sockets it is less than proof");
    let full = ReachView { bare_ack: Some(true), ..alive };
    assert_eq!(of(full), ["host-answers", "no-rule", "queue-full"]);
    let off = ReachView { neighbour: Some(Neighbour { address: ip("10.0.1.1"), state: "failed".to_owned() }), ..silence() };
    assert_eq!(of(off), ["neighbour-silent", "no-rule"]);
    let unread = ReachView { rules_read: false, ..silence() };
    assert_eq!(of(unread), ["host-silent"], "rules that were not read are not said to be none");
}

#[test]
fn who_says_that_it_is_unreachable_decides() {
    let said = |from: &str, code| Some(Icmp { from: Some(ip(from)), kind: 3, code, local: false });
    let view = |icmp| ReachView { icmp, errno: Some(113), ..silence() };
    assert_eq!(of(view(said("10.0.1.1", 1))), ["icmp-unreachable", "no-rule"]);
    assert_eq!(of(view(said("10.0.1.1", 13))), ["prohibited", "no-rule"]);
    assert_eq!(of(view(said("10.0.2.21", 1))), ["host-answers", "prohibited", "no-rule"], "a host that says so itself is there");
    let pinged = ReachView { pings: Some(share(20, 19)), ..view(said("10.0.1.1", 1)) };
    assert_eq!(of(pinged), ["host-answers", "prohibited", "no-rule"]);
    let here = ReachView { icmp: Some(Icmp { from: Some(ip("10.0.1.10")), kind: 3, code: 9, local: true }), ..silence() };
    assert!(of(here).contains(&"rejected-here".to_owned()));
    // The request itself was told, and our own small packets were not: messages are limited.
    let told =
        vec![report("upstream", Outcome::Unreachable, None), report("reach", Outcome::Timeout(Phase::Connect), Some(silence()))];
    assert_eq!(facts(told), ["icmp-unreachable", "no-rule"]);
}

#[test]
fn a_rule_counts_only_when_it_explains_what_came() {
    let with = |rule: RuleHit, view: ReachView| of(ReachView { rules: vec![rule], ..view });
    assert_eq!(with(rule("drop", true, None), silence()), ["host-silent", "rule"]);
    assert_eq!(with(rule("drop", false, None), silence()), ["host-silent", "no-rule"], "it may meet them, and counted nothing");
    assert_eq!(with(rule("drop", false, Some(4)), silence()), ["host-silent", "rule"]);
    let refused = ReachView { refused: 20, ..silence() };
    assert_eq!(with(rule("drop", true, Some(9)), refused.clone()), ["no-rule"], "what is dropped is not refused");
    assert_eq!(with(rule("reject tcp reset", true, None), refused), ["rule"]);
    let open = ReachView { knocks: share(20, 20), ..silence() };
    assert_eq!(with(rule("drop", true, None), open.clone()), ["passes", "no-rule"]);
    let owner = RuleHit { owner: Some(33), ..rule("drop", true, None) };
    let user = Some(("www-data".to_owned(), Outcome::Timeout(Phase::Connect)));
    let worse = ReachView { as_gateway: user, ..open };
    assert_eq!(with(owner, worse.clone()), ["rule", "user-blocked"]);
    assert_eq!(of(worse), ["no-rule", "user-blocked"], "no rule that we know, and yet www-data is kept out");
}

#[test]
fn a_reset_is_the_hosts_own_when_it_comes_from_as_far() {
    let reset = |hops| of(ReachView { refused: 4, reset_hops: hops, other_port: Some(true), ..silence() });
    assert!(reset(Some((1, 1))).contains(&"refused-by-host".to_owned()));
    assert!(reset(Some((0, 1))).contains(&"other-reset".to_owned()));
    assert!(reset(Some((0, 0))).contains(&"other-reset".to_owned()), "behind a router nothing is 0 hops away");
    let unknown = reset(None);
    assert!(!unknown.contains(&"refused-by-host".to_owned()) && !unknown.contains(&"other-reset".to_owned()), "{unknown:?}");
}

#[test]
fn whose_reset_it_is_is_told_by_more_than_the_distance() {
    let with = |view: ReachView| of(ReachView { refused: 4, other_port: Some(true), ..view });
    let has = |facts: &[String], name: &str| facts.iter().any(|fact| fact == name);
    let as_far = || ReachView { reset_hops: Some((1, 1)), ..silence() };
    let by_filter = with(ReachView { reset_by_tcp: Some(false), ..as_far() });
    assert!(has(&by_filter, "filter-reset") && !has(&by_filter, "refused-by-host"), "{by_filter:?}");
    assert!(has(&with(ReachView { reset_by_tcp: Some(true), ..as_far() }), "refused-by-host"));
    let behind = with(ReachView { reset_hops: Some((2, 1)), ..silence() });
    assert!(
        has(&behind, "passed-on") && !has(&behind, "other-reset"),
        "what is farther than the host is no filter before it: {behind:?}"
    );
    let unprivileged = with(ReachView { reset_before: Some((2, ip("10.0.1.1"))), ..silence() });
    assert!(has(&unprivileged, "other-reset"), "{unprivileged:?}");
}

#[test]
fn a_listener_of_this_host_that_is_reset_is_filtered() {
    let with = |listens| of(ReachView { local: true, refused: 4, rules_read: false, listens, ..silence() });
    let has = |facts: &[String]| facts.iter().any(|fact| fact == "rejected-here");
    assert!(has(&with(Some(true))), "the rules may not be read, and yet nobody else resets it");
    assert!(!has(&with(Some(false))), "an application that is just being started again");
    assert!(!has(&with(None)));
}

#[test]
fn what_open_connections_send_again_counts_from_some_on() {
    let with = |again, segments| {
        let sockets = crate::model::SentAgain { connections: 4, hit: 2, segments, again, gateways: 3, gateways_again: again };
        of(ReachView { knocks: share(20, 20), pings: Some(share(20, 20)), sockets: Some(sockets), ..silence() })
    };
    let has = |facts: &[String]| facts.iter().any(|fact| fact == "sent-again");
    assert!(has(&with(12, 120)));
    assert!(!has(&with(2, 20)), "two are an accident");
    assert!(!has(&with(20, 20_000)), "a thousandth is no loss that anybody feels");
}

#[test]
fn a_tenth_is_told_by_pings_and_connections_together() {
    let with = |knocks, pings| of(ReachView { knocks, pings: Some(pings), ..silence() });
    let has = |facts: &[String]| facts.iter().any(|fact| fact == "lossy");
    assert!(has(&with(share(40, 37), share(80, 76))));
    assert!(!has(&with(share(40, 39), share(80, 79))), "two of 120");
    assert!(!has(&with(share(40, 40), share(80, 40))), "somebody limits pings");
}

#[test]
fn loss_is_held_for_a_while_whatever_gets_through() {
    let look =
        || report("reach", Outcome::Open, Some(ReachView { knocks: share(40, 36), pings: Some(share(80, 70)), ..silence() }));
    let well = || report("upstream", Outcome::Status(200), None);
    assert!(facts(vec![look(), well()]).contains(&"lossy".to_owned()), "nine of ten requests are served");
    let later = std::iter::once(look()).chain((0..40).map(|_| well())).collect();
    assert_eq!(facts(later), Vec::<String>::new(), "and not for ever");
}

#[test]
fn only_loss_that_reaches_the_end_counts() {
    let with = |knocks, pings: Option<RoundTrips>| of(ReachView { knocks, pings, ..silence() });
    let has = |facts: &[String], name: &str| facts.iter().any(|fact| fact == name);
    assert!(has(&with(share(20, 9), Some(share(20, 8))), "lossy"));
    assert!(has(&with(share(20, 17), Some(share(20, 16))), "lossy"));
    assert!(!has(&with(share(20, 20), Some(share(20, 8))), "lossy"), "pings that are limited, and connections that all stand");
    let busy = with(share(20, 9), Some(share(20, 20)));
    assert!(has(&busy, "connects-lost") && !has(&busy, "lossy"), "the network is sound, and a queue or a limit is not");
    assert!(!has(&with(share(20, 19), Some(share(20, 19))), "lossy"), "one of twenty is an accident");
    let few = |sizes| of(ReachView { knocks: share(40, 38), pings: Some(share(80, 78)), sizes, ..silence() });
    assert!(!has(&few(Vec::new()), "lossy"));
    let sizes = vec![(1500, 3, 2), (1492, 3, 1), (1450, 3, 3), (1420, 3, 3), (1400, 3, 3), (1380, 3, 3), (1280, 3, 2)];
    assert!(has(&few(sizes), "lossy"), "what was sent to learn the size is lost like the rest");
    let hole = vec![(1500, 3, 0), (1492, 3, 0), (1400, 3, 3), (1280, 3, 3)];
    assert!(!has(&few(hole), "lossy"), "too large is not lost");
    assert!(has(&with(share(20, 9), None), "connects-lost"), "without pings it cannot be told whose fault it is");
}

#[test]
fn a_small_path_mtu_matters_only_where_requests_stall() {
    let sizes = vec![(1500, 3, 0), (1492, 3, 0), (1400, 3, 3), (1280, 3, 3)];
    let view = ReachView { knocks: share(20, 20), pings: Some(share(20, 20)), sizes, ..silence() };
    let hole = |outcome| facts(vec![report("upstream", outcome, None), report("reach", Outcome::Open, Some(view.clone()))]);
    assert!(hole(Outcome::Timeout(Phase::Head)).contains(&"mtu-black-hole".to_owned()));
    assert!(!hole(Outcome::Refused).contains(&"mtu-black-hole".to_owned()));
}

#[test]
fn ports_are_used_up_or_they_are_not() {
    let with = |held| of(ReachView { errno: Some(99), ports: Some(PortUse { range: 40, held, waiting: 3 }), ..silence() });
    assert!(with(40).contains(&"ports-exhausted".to_owned()));
    assert!(with(2).contains(&"ports-free".to_owned()));
}

#[test]
fn what_is_over_is_not_told() {
    let look = || report("reach", Outcome::Timeout(Phase::Connect), Some(silence()));
    let well = || report("upstream", Outcome::Status(200), None);
    assert_ne!(facts(vec![look()]), Vec::<String>::new());
    assert_eq!(facts(vec![look(), well()]), Vec::<String>::new());
    assert_ne!(facts(vec![well(), look()]), Vec::<String>::new(), "what was well before the look proves nothing");
}
