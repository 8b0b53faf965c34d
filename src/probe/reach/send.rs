//! The parts of a look that send something, and what they add up to.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;

use super::{APART, HOPS, KNOCKS, WAIT};
use crate::{
    model::{Address, Icmp, IcmpMeaning, ProbeJob, Protocol, ReachView, RoundTrips, SentAgain},
    sys::{self, Echo, Echoes, Knock, Knocked, Manner, Sent, Sys},
};

/// A port on which hardly any host listens: discard (RFC 863). A reset from it shows that the host lives.
const CLOSED_PORT: u16 = 9;
/// Bytes of an ordinary echo request, as ping(8) sends it.
const PING_BYTES: u32 = 84;
/// Sizes that are tried on the way to the device's own: what common tunnels and access lines leave, down to what every link of
/// IPv6 must carry (RFC 8200 section 5).
const SIZES: [u32; 6] = [1492, 1450, 1420, 1400, 1380, 1280];
/// Packets of each size.
const EACH: u32 = 3;
/// Echo requests of the first look, beside the knocks: of 60 packets one in ten hits one for certain (0.9^60 is 0.2 %).
const PINGS: u32 = 2 * KNOCKS;
/// Those of each further one.
const PINGS_AGAIN: u32 = 60;
/// How often, and how far apart, the connections of this host are looked at while we try.
const SAMPLES: u32 = 10;
const SAMPLED_APART: Duration = Duration::from_millis(150);
/// The largest packet that is tried: a jumbo frame's.
const LARGEST: u32 = 9_000;
/// Bare acknowledgements.
const ACKNOWLEDGEMENTS: u16 = 3;

/// What was sent besides the knocks.
pub(super) struct Others {
    pub(super) pings: Option<RoundTrips>,
    pub(super) ping_ttl: Option<u8>,
    pub(super) hops: Vec<(u8, Option<IpAddr>)>,
    pub(super) icmp_hops: Vec<(u8, Option<IpAddr>)>,
    pub(super) other_port: Option<bool>,
    /// Whether a reset came for a marked connection to the port.
    pub(super) marked: bool,
    pub(super) reset_before: Option<(u8, IpAddr)>,
    pub(super) unseen: Vec<String>,
}

/// What is sent besides the knocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) pings: bool,
    pub(super) other_port: bool,
    pub(super) hops: bool,
    /// A reset came: whose is it? `Some(true)`: a raw socket hears from where it comes.
    pub(super) refused: Option<bool>,
    /// The address that the knocks come from, as the gateway's connections do.
    pub(super) source: Option<IpAddr>,
}

/// Echo requests, the hops, another port, all at once.
pub(super) async fn others(to: SocketAddr, ask: Ask, is_local: &(impl Fn(IpAddr) -> bool + Sync)) -> Others {
    let requests = vec![Echo { bytes: PING_BYTES, ttl: None }; PINGS as usize];
    let pings = async { if ask.pings { Some(sys::echo(to.ip(), &requests, APART / 2, WAIT, is_local).await) } else { None } };
    let port = if to.port() == CLOSED_PORT { CLOSED_PORT - 2 } else { CLOSED_PORT };
    let closed = Manner { from: ask.source, port: Some(port), marked: true, ..Manner::default() };
    let other = async { if ask.other_port { Some(sys::knock(to, closed, WAIT, is_local).await) } else { None } };
    let marked = Manner { from: ask.source, marked: true, ..Manner::default() };
    let marked = async { if ask.refused.is_some() { Some(sys::knock(to, marked, WAIT, is_local).await) } else { None } };
    let hops = async { if ask.hops && ask.refused.is_none() { trace(to, ask.source, is_local).await } else { Vec::new() } };
    let icmp_hops = async { if ask.hops { trace_echoes(to.ip(), is_local).await } else { Vec::new() } };
    let before =
        async { if ask.hops && ask.refused == Some(false) { reset_before(to, port, ask.source, is_local).await } else { None } };
    let (pings, other, marked, hops, icmp_hops, reset_before) = tokio::join!(pings, other, marked, hops, icmp_hops, before);
    let other_port = other.map(|other| answered(&other, to.ip()));
    let marked = marked.is_some_and(|marked| marked.came == Knocked::Refused && marked.icmp.is_none());
    let unseen = Vec::new();
    let mut others = Others { pings: None, ping_ttl: None, hops, icmp_hops, other_port, marked, reset_before, unseen };
    match pings {
        Some(Ok(echoes)) => {
            others.pings = Some(round_trips(PINGS, &echoes));
            others.ping_ttl = echoes.ttl;
        }
        Some(Err(error)) => others.unseen.push(format!("ping: {error} (net.ipv4.ping_group_range, or CAP_NET_RAW)")),
        None => {}
    }
    others
}

fn round_trips(sent: u32, echoes: &Echoes) -> RoundTrips {
    let times = || echoes.back.values().copied();
    RoundTrips {
        sent: sent - echoes.unsent.min(sent),
        back: u32::try_from(echoes.back.len()).unwrap_or(sent),
        min_ms: times().reduce(f64::min),
        max_ms: times().reduce(f64::max),
    }
}

/// Where something was lost: as many connections again, and more echo requests, so that a share of a tenth is told from an accident.
pub(super) async fn again(
    to: SocketAddr,
    source: Option<IpAddr>,
    view: &mut ReachView,
    is_local: &(impl Fn(IpAddr) -> bool + Sync),
) {
    let requests = vec![Echo { bytes: PING_BYTES, ttl: None }; PINGS_AGAIN as usize];
    let pinged = view.pings.is_some_and(|pings| pings.back > 0);
    let pings = async { if pinged { sys::echo(to.ip(), &requests, APART / 2, WAIT, is_local).await.ok() } else { None } };
    let knocks = join_all((0..KNOCKS).map(|place| async move {
        tokio::time::sleep(APART * place).await;
        sys::knock(to, Manner { from: source, ..Manner::default() }, WAIT, is_local).await
    }));
    let (pings, knocks) = tokio::join!(pings, knocks);
    tally(view, &knocks);
    if let (Some(echoes), Some(before)) = (pings, &mut view.pings) {
        let more = round_trips(PINGS_AGAIN, &echoes);
        before.sent += more.sent;
        before.back += more.back;
        before.min_ms = before.min_ms.into_iter().chain(more.min_ms).reduce(f64::min);
        before.max_ms = before.max_ms.into_iter().chain(more.max_ms).reduce(f64::max);
    }
}

/// Looks again and again at what the open connections to the address have sent, and ends never: whoever waits for something else drops it.
pub(super) async fn sample(to: SocketAddr, sent: &mut Option<BTreeMap<u16, Sent>>) -> Infallible {
    for _ in 0..SAMPLES {
        if let Some(now) = sys::sent_to(to).await {
            // What was closed since has its last word said.
            sent.get_or_insert_default().extend(now);
        }
        tokio::time::sleep(SAMPLED_APART).await;
    }
    std::future::pending().await
}

/// What they add up to.
pub(super) fn sent_again(sent: &BTreeMap<u16, Sent>, job: &ProbeJob) -> SentAgain {
    let gateways = job.identity.as_ref().map(|identity| identity.uid);
    let mut sum = SentAgain::default();
    for one in sent.values() {
        sum.connections += 1;
        sum.hit += u32::from(one.again > 0);
        sum.segments += u64::from(one.segments);
        sum.again += u64::from(one.again);
        if Some(one.uid) == gateways {
            sum.gateways += 1;
            sum.gateways_again += u64::from(one.again);
        }
    }
    sum
}

/// Whether the host itself answered: by a connection, a reset, or an ICMP message of its own.
fn answered(knock: &Knock, host: IpAddr) -> bool {
    match knock.came {
        Knocked::Open => true,
        Knocked::Refused => knock.icmp.as_ref().is_none_or(|icmp| icmp.from == Some(host)),
        Knocked::Errno(_) => knock.icmp.as_ref().is_some_and(|icmp| icmp.from == Some(host)),
        Knocked::Silent => false,
    }
}

/// Connections whose packets may take one hop, two, and so on.
async fn knocks_by_hop(
    to: SocketAddr,
    from: Option<IpAddr>,
    port: Option<u16>,
    is_local: &(impl Fn(IpAddr) -> bool + Sync),
) -> Vec<(u8, Knock)> {
    join_all((1..=HOPS).map(|ttl| async move {
        tokio::time::sleep(APART * u32::from(ttl)).await;
        (ttl, sys::knock(to, Manner { from, port, ttl: Some(ttl), marked: false }, WAIT, is_local).await)
    }))
    .await
}

/// The message of the router at which a knock's packet came to its end.
fn expired(knock: &Knock) -> Option<&Icmp> {
    knock.icmp.as_ref().filter(|icmp| icmp.meaning() == IcmpMeaning::Expired)
}

/// The way over TCP to the port itself.
async fn trace(to: SocketAddr, from: Option<IpAddr>, is_local: &(impl Fn(IpAddr) -> bool + Sync)) -> Vec<(u8, Option<IpAddr>)> {
    let mut hops = Vec::new();
    for (ttl, knock) in knocks_by_hop(to, from, None, is_local).await {
        match (knock.came, expired(&knock)) {
            (_, Some(icmp)) => hops.push((ttl, icmp.from)),
            (Knocked::Open | Knocked::Refused, None) => {
                hops.push((ttl, Some(to.ip())));
                break;
            }
            (Knocked::Errno(_) | Knocked::Silent, None) => hops.push((ttl, None)),
        }
    }
    up_to_the_last(hops)
}

/// The way of ICMP echo requests.
async fn trace_echoes(to: IpAddr, is_local: &(impl Fn(IpAddr) -> bool + Sync)) -> Vec<(u8, Option<IpAddr>)> {
    let requests: Vec<Echo> = (1..=HOPS).map(|ttl| Echo { bytes: PING_BYTES, ttl: Some(ttl) }).collect();
    // Without the right to a socket of echoes that is told by the ping beside this.
    let Ok(echoes) = sys::echo(to, &requests, APART, WAIT, is_local).await else { return Vec::new() };
    let mut hops = Vec::new();
    for (place, ttl) in (1..=HOPS).enumerate() {
        if echoes.back.contains_key(&place) {
            hops.push((ttl, Some(to)));
            break;
        }
        hops.push((ttl, echoes.expired.get(&place).copied()));
    }
    up_to_the_last(hops)
}

/// Behind the last that answered there is nothing to tell.
fn up_to_the_last(mut hops: Vec<(u8, Option<IpAddr>)>) -> Vec<(u8, Option<IpAddr>)> {
    while hops.last().is_some_and(|(_, from)| from.is_none()) {
        hops.pop();
    }
    hops
}

/// The least number of hops with which the port's reset came, where a packet to another port came to its end with as many, at this
/// router: whoever made the reset is on the way.
async fn reset_before(
    to: SocketAddr,
    other: u16,
    from: Option<IpAddr>,
    is_local: &(impl Fn(IpAddr) -> bool + Sync),
) -> Option<(u8, IpAddr)> {
    let (port, other) = tokio::join!(knocks_by_hop(to, from, None, is_local), knocks_by_hop(to, from, Some(other), is_local));
    let (ttl, _) = port.iter().find(|(_, knock)| knock.came == Knocked::Refused && knock.icmp.is_none())?;
    let (_, beside) = other.iter().find(|(of, _)| of == ttl)?;
    Some((*ttl, expired(beside)?.from?))
}

/// One small connection as the gateway's user, where that is another than we.
pub(super) async fn as_gateway(
    sys: &Sys,
    job: &ProbeJob,
    to: SocketAddr,
) -> Result<Option<(String, crate::model::Outcome)>, String> {
    let Some(identity) = job.identity.as_ref().filter(|identity| !sys::is_ours(identity) && sys::can_assume()) else {
        return Ok(None);
    };
    let wait = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
    let bare = ProbeJob {
        probe: "upstream".to_owned(),
        address: Address::Tcp(to),
        protocol: Protocol::Stream,
        request: None,
        sni: None,
        connect_ms: wait,
        total_ms: wait,
        ..job.clone()
    };
    match sys.rights.probe_as(&bare, None).await {
        Ok(report) => Ok(Some((identity.name.clone(), report.outcome))),
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// Adds the knocks up.
pub(super) fn tally(view: &mut ReachView, knocks: &[Knock]) {
    for knock in knocks {
        view.knocks.sent += 1;
        match knock.came {
            Knocked::Open => {
                view.knocks.back += 1;
                view.knocks.min_ms = Some(view.knocks.min_ms.map_or(knock.ms, |ms| ms.min(knock.ms)));
                view.knocks.max_ms = Some(view.knocks.max_ms.map_or(knock.ms, |ms| ms.max(knock.ms)));
            }
            Knocked::Refused => view.refused += 1,
            Knocked::Errno(errno) => view.errno = Some(errno),
            Knocked::Silent => {}
        }
        if view.icmp.is_none() {
            view.icmp.clone_from(&knock.icmp);
        }
    }
}

/// Whether one socket of this host listens there before and after a connection that is reset: an application that is being started
/// again has another one. `None`: the connection was not reset, or the sockets could not be listed.
pub(super) async fn reset_though_it_listens(
    sys: &Sys,
    to: SocketAddr,
    source: Option<IpAddr>,
    is_local: &(impl Fn(IpAddr) -> bool + Sync),
) -> Option<bool> {
    let listening = || async {
        let all = sys::listening(&sys.root).await.ok()?;
        let takes = |address: &Address| {
            let any =
                SocketAddr::new(if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }, to.port());
            matches!(address, Address::Tcp(at) if *at == to || *at == any)
        };
        Some(all.into_iter().find(|socket| takes(&socket.address)).map(|socket| socket.inode))
    };
    let before = listening().await?;
    let knock = sys::knock(to, Manner { from: source, ..Manner::default() }, WAIT, is_local).await;
    let after = listening().await?;
    (knock.came == Knocked::Refused && knock.icmp.is_none()).then_some(before.is_some() && before == after)
}

/// The error number of a knock.
pub(super) fn errno(came: Knocked) -> Option<i32> {
    match came {
        Knocked::Errno(errno) => Some(errno),
        Knocked::Refused => Some(rustix::io::Errno::CONNREFUSED.raw_os_error()),
        Knocked::Open | Knocked::Silent => None,
    }
}

/// How many hops a packet has taken, by what is left of its time to live: systems begin with 64, 128 or 255.
pub(super) fn hops(left: u8) -> u8 {
    let begin = if left <= 64 {
        64
    } else if left <= 128 {
        128
    } else {
        255
    };
    begin - left
}

/// Whether bare acknowledgements are answered. An error becomes something that was not seen.
pub(super) async fn bare_ack(to: SocketAddr, view: &mut ReachView) -> Option<bool> {
    let source = view.route.as_ref().and_then(|route| route.source)?;
    match sys::bare_ack(to, source, ACKNOWLEDGEMENTS, WAIT / 2).await {
        Ok(answered) => Some(answered),
        Err(error) => {
            view.unseen.push(format!("a bare acknowledgement: {error} (CAP_NET_RAW)"));
            None
        }
    }
}

/// Echo requests of several sizes, where small ones come back.
pub(super) async fn sizes(to: SocketAddr, view: &ReachView, is_local: &(impl Fn(IpAddr) -> bool + Sync)) -> Vec<(u32, u32, u32)> {
    let sound = view.pings.is_some_and(|pings| pings.back * 10 >= pings.sent * 9);
    let Some(mtu) = view.route.as_ref().and_then(|route| route.mtu).filter(|_| sound) else { return Vec::new() };
    let largest = mtu.min(LARGEST);
    let sizes: Vec<u32> = std::iter::once(largest).chain(SIZES.into_iter().filter(|size| *size < largest)).collect();
    let requests: Vec<Echo> = (0..EACH).flat_map(|_| sizes.iter().map(|bytes| Echo { bytes: *bytes, ttl: None })).collect();
    let apart = Duration::from_millis(5);
    let Ok(echoes) = sys::echo(to.ip(), &requests, apart, WAIT / 2, is_local).await else { return Vec::new() };
    let back = |size: u32| echoes.back.keys().filter(|place| requests.get(**place).is_some_and(|one| one.bytes == size)).count();
    sizes.into_iter().map(|size| (size, EACH, u32::try_from(back(size)).unwrap_or(EACH))).collect()
}

/// Two numbers of two files.
pub(super) fn pair(sys: &Sys, one: &str, other: &str) -> Option<(u64, u64)> {
    let number = |path: &str| sys.root.text(path).ok()?.trim().parse::<u64>().ok();
    number(one).zip(number(other))
}

/// Entries of the IPv4 neighbour table, and its hard limit. The kernel's statistics are in hexadecimal, one line for each processor
/// with the same first figure.
pub(super) fn neighbours(sys: &Sys) -> Option<(u64, u64)> {
    let text = sys.root.text("/proc/net/stat/arp_cache").ok()?;
    let entries = u64::from_str_radix(text.lines().nth(1)?.split_ascii_whitespace().next()?, 16).ok()?;
    let limit = sys.root.text("/proc/sys/net/ipv4/neigh/default/gc_thresh3").ok()?.trim().parse().ok()?;
    Some((entries, limit))
}

/// TCP segments sent and repeated since boot (RFC 4022 tcpOutSegs, tcpRetransSegs).
pub(super) fn segments(sys: &Sys) -> Option<(u64, u64)> {
    let text = sys.root.text("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next()?.split_ascii_whitespace(), lines.next()?.split_ascii_whitespace());
    let of = |name: &str| names.clone().zip(values.clone()).find(|(known, _)| *known == name)?.1.parse().ok();
    Some((of("OutSegs")?, of("RetransSegs")?))
}
