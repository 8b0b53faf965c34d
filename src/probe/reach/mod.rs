//! The way to an upstream whose plain probe failed: route, neighbour, echo, small connections, hops, path MTU, local rules.
//!
//! It is planned only for what fails, and makes at most [`CONNECTS`] bare connections, all to the upstream's own address: no other
//! host is asked. What it sees is told as it is; which cause it speaks for, `diagnose/facts/reach.rs` says.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};

use super::{Probe, report, wire};
use crate::{
    model::{Address, IcmpMeaning, NameFault, Outcome, Phase, ProbeJob, ProbeReport, ReachView, RoundTrips, View},
    sys::{self, Manner, Stopwatch, Sys},
};

mod filters;
pub(super) mod iptables;
pub(super) mod nft;
pub(super) mod rules;
mod send;
#[cfg(test)]
mod tests;
pub(super) mod walk;

/// Small connections by which a share is told from an accident: with 20 a loss of one in ten is seen.
const KNOCKS: u32 = 20;
/// So many more where the first was refused at once, or goes to this host itself: there is no loss to be measured.
const KNOCKS_REFUSED: u32 = 3;
/// Hops that are looked for.
const HOPS: u8 = 10;
/// So often it is tried again where something was lost: the second time only where pings were lost and no connection yet, which
/// may be somebody's limit of ICMP. Of 60 connections one in ten hits one for certain (0.9^60 is 0.2 %, of 40 it is 1.5 %).
const AGAIN: u32 = 2;
/// Bare connections of one look, at most: knocks, those that are tried again, hops, another port, and one as the gateway's user.
/// A reset takes fewer knocks, and the hops of two ports.
const CONNECTS: u32 = (1 + AGAIN) * KNOCKS + HOPS as u32 + 2;
/// Between two of them: 50 a second (DESIGN promise 3).
const APART: Duration = Duration::from_millis(20);
/// How long an answer is waited for: longer than any round trip on a sound network, and shorter than the first repetition of a
/// lost SYN (1 s, RFC 6298 section 2), so that what was lost is not taken for slow.
const WAIT: Duration = Duration::from_millis(700);
/// How long where nothing at all answers: a router tells that a host is unreachable after 3 s of asking for its hardware address
/// (RFC 4861 section 10, and Linux's arp(7) mcast_solicit and retrans_time).
const PATIENCE: Duration = Duration::from_millis(3_300);

/// From one look to the next, in milliseconds.
const REST_MS: u64 = 5_000;

/// The probe.
#[derive(Debug)]
pub(super) struct Reach;

impl Probe for Reach {
    fn id(&self) -> &'static str {
        "reach"
    }

    fn title(&self) -> &'static str {
        "the way to the upstream's address"
    }

    fn emits(&self) -> &'static [&'static str] {
        &["open", "refused", "denied", "no-local-port", "unreachable", "connect-timeout", "unresolved", "os-error", "skipped"]
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        false
    }

    fn connects(&self) -> u32 {
        CONNECTS
    }

    fn as_ourselves(&self) -> bool {
        true
    }

    fn rest_ms(&self) -> u64 {
        REST_MS
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job))
    }
}

async fn run(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let watch = Stopwatch::start();
    let to = match address(sys, job).await {
        Ok(to) => to,
        Err(outcome) => return report(job, outcome),
    };
    let view = look(sys, job, to).await;
    let mut report = report(job, outcome(&view));
    report.detail = detail(&view);
    report.phases.connect = view.knocks.min_ms;
    report.phases.total = watch.ms();
    report.view = Some(View::Reach(Box::new(view)));
    report
}

async fn address(sys: &Sys, job: &ProbeJob) -> Result<SocketAddr, Outcome> {
    match &job.address {
        Address::Tcp(to) => Ok(*to),
        Address::Unix(_) => Err(Outcome::Skipped("a unix socket is on this host".to_owned())),
        Address::Inside(..) => Err(super::inside()),
        Address::Name(name, port) => {
            let found = tokio::time::timeout(Duration::from_millis(job.total_ms), sys.dns.resolve(name, &job.names)).await;
            let ips = found.map_err(|_| Outcome::Name(NameFault::Silent))?.map_err(|error| Outcome::Name(error.fault))?;
            ips.first().map(|ip| SocketAddr::new(*ip, *port)).ok_or(Outcome::Name(NameFault::NoData))
        }
    }
}

async fn look(sys: &Sys, job: &ProbeJob, to: SocketAddr) -> ReachView {
    let own = sys::local_addresses(&sys.root);
    let is_local = |ip: IpAddr| ip.is_loopback() || own.contains(&ip);
    let mut view = ReachView { to: Some(to), local: is_local(to.ip()), ..ReachView::default() };
    let uid = job.identity.as_ref().map(|identity| identity.uid);
    match sys::route_to(to.ip(), uid) {
        Ok(route) => view.route = Some(route),
        Err(error) => view.unseen.push(format!("the route: {error}")),
    }
    let routed = view.route.as_ref().is_none_or(|route| matches!(route.kind.as_str(), "unicast" | "local"));
    view.conntrack = send::pair(sys, "/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max");
    view.neighbours = send::neighbours(sys);
    let before = if routed { filters::listed(sys, &mut view).await } else { Vec::new() };
    let segments = send::segments(sys);

    let straight = Manner { from: job.source, ..Manner::default() };
    // The first tells what kind of an answer comes, and goes on waiting while others are sent.
    let mut first = Box::pin(sys::knock(to, straight, PATIENCE, &is_local));
    let early = tokio::time::timeout(WAIT / 2, &mut first).await.ok();
    let more = match &early {
        // Hosts tell by ICMP what they reject once a second to each other host (icmp(7) icmp_ratelimit): what we use up of that,
        // the gateway's own requests lack, and they wait instead of failing at once.
        Some(knock) if knock.icmp.is_some() || !routed => 0,
        Some(knock) if knock.came != sys::Knocked::Open => KNOCKS_REFUSED,
        _ if view.local => KNOCKS_REFUSED,
        _ => KNOCKS - 1,
    };
    let ear = sys::Ear::new(to.ip()).ok().filter(|_| !view.local);
    let is_local = &is_local;
    let knocks = join_all((0..more).map(|place| async move {
        tokio::time::sleep(APART * place).await;
        sys::knock(to, straight, WAIT, is_local).await
    }));
    let ask = send::Ask {
        pings: !view.local && routed,
        // A reset of a port that is closed is compared with the one that came.
        other_port: !view.local && routed && early.as_ref().is_none_or(|knock| knock.came == sys::Knocked::Refused),
        // Routers limit their ICMP messages, too.
        hops: routed
            && !view.local
            && early.as_ref().is_none_or(|knock| knock.icmp.is_none())
            && view.route.as_ref().is_some_and(|route| route.gateway.is_some()),
        refused: early.as_ref().filter(|knock| !view.local && knock.came == sys::Knocked::Refused).map(|_| ear.is_some()),
        source: job.source,
    };
    let others = send::others(to, ask, is_local);
    let mut sent = None;
    let together = async { tokio::join!(knocks, send::as_gateway(sys, job, to), others) };
    let (mut knocks, as_gateway, others) = tokio::select! {
        found = together => found,
        never = send::sample(to, &mut sent) => match never {},
    };
    knocks.extend(early.clone());
    match as_gateway {
        Ok(found) => view.as_gateway = found,
        Err(why) => view.unseen.push(format!("as the gateway's user: {why}")),
    }
    view.pings = others.pings;
    (view.hops, view.icmp_hops, view.reset_before) = (others.hops, others.icmp_hops, others.reset_before);
    view.other_port = others.other_port;
    view.unseen.extend(others.unseen);
    send::tally(&mut view, &knocks);
    if let Some(ear) = ear {
        let heard = ear.heard(to.port());
        view.reset_by_tcp = (others.marked && heard.reset.is_some() && heard.other_marked).then_some(heard.reset_marked);
        view.reset_hops =
            heard.reset.zip(heard.other.or(others.ping_ttl)).map(|(reset, other)| (send::hops(reset), send::hops(other)));
    }
    // By now the kernel has repeated the first one's SYN, which can bring what the many had to share: hosts and routers limit
    // their ICMP messages.
    let later = if early.is_none() { tokio::time::timeout(Duration::ZERO, &mut first).await.ok() } else { None };
    if let Some(later) = later.as_ref().filter(|later| later.icmp.is_some() && view.knocks.back == 0) {
        send::tally(&mut view, std::slice::from_ref(later));
    }
    if early.is_none() && later.is_none() && knocks.iter().all(|knock| knock.came == sys::Knocked::Silent) {
        view.knocks.sent += 1;
        if !view.local {
            view.bare_ack = send::bare_ack(to, &mut view).await;
        }
        view.neighbour = neighbour(&view);
        let nobody = view.pings.is_none_or(|pings| pings.back == 0) && view.other_port != Some(true) && view.bare_ack != Some(true);
        if nobody && !view.local && view.icmp.is_none() && !view.neighbour.as_ref().is_some_and(crate::model::Neighbour::silent) {
            let last = first.await;
            view.icmp = last.icmp;
            view.errno = view.errno.or(send::errno(last.came));
        }
    }
    let lost = |trips: RoundTrips| trips.back > 0 && trips.back < trips.sent;
    for time in 0..AGAIN {
        let (knocks, pings) = (lost(view.knocks), view.pings.is_some_and(lost));
        if view.local || view.knocks.back == 0 || !(pings || knocks) || time > 0 && knocks {
            break;
        }
        tokio::select! {
            () = send::again(to, job.source, &mut view, is_local) => {}
            never = send::sample(to, &mut sent) => match never {},
        }
    }
    if view.local && view.refused > 0 && view.refused == view.knocks.sent {
        view.listens = send::reset_though_it_listens(sys, to, job.source, is_local).await;
    }
    view.sockets = sent.filter(|_| !view.local).map(|sent| send::sent_again(&sent, job));
    if view.knocks.back > 0 && !view.local {
        view.sizes = send::sizes(to, &view, is_local).await;
    }
    view.segments =
        segments.zip(send::segments(sys)).map(|(then, now)| (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1)));
    if view.errno == Some(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error()) {
        view.ports = sys::towards(&sys.root, to).await;
    }
    view.neighbour = neighbour(&view);
    if routed {
        filters::compare(sys, job, &before, &mut view).await;
    }
    view
}

fn neighbour(view: &ReachView) -> Option<crate::model::Neighbour> {
    let (to, route) = (view.to?, view.route.as_ref()?);
    sys::neighbour_of(to.ip(), route)
}

/// What came of it in one word.
fn outcome(view: &ReachView) -> Outcome {
    if view.knocks.back > 0 {
        return Outcome::Open;
    }
    if view.refused > 0 {
        return Outcome::Refused;
    }
    match view.errno {
        Some(errno) => wire::outcome_of(&std::io::Error::from_raw_os_error(errno), Phase::Connect),
        None => Outcome::Timeout(Phase::Connect),
    }
}

/// One line for a person.
fn detail(view: &ReachView) -> String {
    let mut words = Vec::new();
    if let Some(route) = &view.route {
        let device = route.device.as_deref().map_or_else(String::new, |device| format!(" {device}"));
        let gateway = route.gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
        words.push(format!("route {}{device}{gateway}", route.kind));
    }
    if let Some(neighbour) = &view.neighbour {
        words.push(format!("neighbour {} {}", neighbour.address, neighbour.state));
    }
    words.push(format!("tcp {} of {}", view.knocks.back, view.knocks.sent));
    if let Some(pings) = view.pings {
        words.push(format!("ping {} of {}", pings.back, pings.sent));
    }
    if let Some(icmp) = view.icmp.as_ref().filter(|icmp| icmp.meaning() != IcmpMeaning::Expired) {
        let from = icmp.from.map_or_else(String::new, |from| format!(" from {from}"));
        words.push(format!("{}{from}", icmp.name()));
    }
    if let Some(rule) = view.rules.first() {
        words.push(format!("{} {}: {}", rule.tool, rule.chain, rule.text));
    }
    words.join(", ")
}
