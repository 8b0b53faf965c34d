//! ICMP echo requests: by a datagram socket where the administrator lets us (icmp(7) ping_group_range), else by a raw one.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{Protocol, RecvFlags, SendFlags, SocketType, connect, ipproto, recv, send, sockopt},
};
use tokio::io::Interest;

use super::{QUOTED_BYTES, quoting, registered, set_ttl, socket};
use crate::{
    model::{Icmp, IcmpMeaning},
    sys::Stopwatch,
};

/// Bytes of the largest answer that is read: more than any Ethernet frame but a jumbo one's.
const READ_BYTES: usize = 10 << 10;
/// Bytes of an ICMP header with identifier and sequence number.
const HEADER_BYTES: usize = 8;

/// How long a message in the queue of errors may lie there unseen.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Bytes of the whole packet, with the IP header.
    pub bytes: u32,
    /// Hops that it may take. `None`: the host's default.
    pub ttl: Option<u8>,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Echoes {
    /// Milliseconds from request to answer, by the request's place in the list.
    pub back: BTreeMap<usize, f64>,
    /// How many hops the answers may still have taken. `None`: only a raw socket tells.
    pub ttl: Option<u8>,
    /// What an ICMP message said of a request.
    pub icmp: Option<Icmp>,
    /// The hops at which requests came to the end of their time to live, by the request's place in the list.
    pub expired: BTreeMap<usize, IpAddr>,
    /// How many could not be sent at all: the packet was too large for the device, or a local rule forbade it.
    pub unsent: u32,
}

/// Sends echo requests, so far apart, and takes the answers until `within` after the last. They may not be fragmented, and no
/// learnt path MTU holds for them. An error: such a socket is not to be had.
pub async fn echo(
    to: IpAddr,
    requests: &[Echo],
    apart: Duration,
    within: Duration,
    is_local: &(impl Fn(IpAddr) -> bool + Sync),
) -> io::Result<Echoes> {
    let (fd, raw) = open(to)?;
    let fd = registered(fd, Interest::READABLE)?;
    let watch = Stopwatch::start();
    let mark = mark();
    let mut echoes = Echoes::default();
    let mut sent_ms = BTreeMap::new();
    for (place, request) in requests.iter().enumerate() {
        if let Some(ttl) = request.ttl {
            set_ttl(fd.get_ref(), to, ttl)?;
        }
        let sequence = u16::try_from(place).unwrap_or(u16::MAX);
        match send(fd.get_ref(), &packet(to, request.bytes, mark, sequence), SendFlags::empty()) {
            Ok(_) => {
                sent_ms.insert(place, watch.ms());
            }
            // An error of the packet before is told by the call for this one; again.
            Err(_) => match send(fd.get_ref(), &packet(to, request.bytes, mark, sequence), SendFlags::empty()) {
                Ok(_) => {
                    sent_ms.insert(place, watch.ms());
                }
                Err(_) => echoes.unsent += 1,
            },
        }
        let wait = if place + 1 == requests.len() { within } else { apart };
        let all = place + 1 == requests.len();
        let until = watch.ms() + wait.as_secs_f64() * 1e3;
        loop {
            let left = Duration::from_secs_f64(((until - watch.ms()) / 1e3).max(0.0));
            if left.is_zero() || all && echoes.back.len() + echoes.expired.len() >= sent_ms.len() {
                break;
            }
            // A message in the queue of errors alone wakes nobody who waits for answers.
            let ready = tokio::time::timeout(left.min(LOOK_AGAIN), fd.readable()).await;
            take(fd.get_ref(), raw, to, mark, &sent_ms, watch.ms(), &mut echoes, is_local);
            if let Ok(ready) = ready {
                ready?.clear_ready();
            }
        }
    }
    take(fd.get_ref(), raw, to, mark, &sent_ms, watch.ms(), &mut echoes, is_local);
    Ok(echoes)
}

fn protocol(ip: IpAddr) -> Protocol {
    if ip.is_ipv4() { ipproto::ICMP } else { ipproto::ICMPV6 }
}

/// A socket, and whether it is a raw one.
fn open(to: IpAddr) -> io::Result<(OwnedFd, bool)> {
    let (fd, raw) = match socket(to, SocketType::DGRAM, Some(protocol(to))) {
        Ok(fd) => (fd, false),
        Err(refused) => (socket(to, SocketType::RAW, Some(protocol(to))).map_err(|_| refused)?, true),
    };
    if to.is_ipv4() {
        sockopt::set_ip_mtu_discover(&fd, sockopt::Ipv4PathMtuDiscovery::PROBE)?;
    } else {
        sockopt::set_ipv6_mtu_discover(&fd, sockopt::Ipv6PathMtuDiscovery::PROBE)?;
    }
    // Only answers of this host are handed to us (raw(7)).
    connect(&fd, &SocketAddr::new(to, 0))?;
    Ok((fd, raw))
}

/// Tells our requests from another program's: raw sockets get everybody's answers.
fn mark() -> [u8; 8] {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id()).to_ne_bytes()
}

/// An echo request (RFC 792, RFC 4443 section 4.1): type, code, checksum, identifier, sequence, our mark, and padding.
fn packet(to: IpAddr, bytes: u32, mark: [u8; 8], sequence: u16) -> Vec<u8> {
    let header: u32 = if to.is_ipv4() { 20 } else { 40 };
    let length = usize::try_from(bytes.saturating_sub(header)).unwrap_or_default().clamp(HEADER_BYTES + mark.len(), READ_BYTES);
    let mut packet = vec![if to.is_ipv4() { 8 } else { 128 }, 0, 0, 0, mark[0], mark[1]];
    packet.extend(sequence.to_be_bytes());
    packet.extend(mark);
    packet.resize(length, 0x55);
    // The kernel makes ICMPv6's, and that of datagram sockets.
    let sum = super::raw::checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[expect(clippy::too_many_arguments, reason = "the state of one loop that is left only here")]
fn take(
    fd: &OwnedFd,
    raw: bool,
    to: IpAddr,
    mark: [u8; 8],
    sent_ms: &BTreeMap<usize, f64>,
    now_ms: f64,
    echoes: &mut Echoes,
    is_local: &impl Fn(IpAddr) -> bool,
) {
    let mut buffer = [0; READ_BYTES];
    // Bounded: whoever floods us with echo replies must not hold us here.
    for _ in 0..64 {
        let bytes = match recv(fd, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((_, length)) => &buffer[..length.min(READ_BYTES)],
            Err(Errno::AGAIN) => {
                if said(fd, sent_ms, echoes, is_local) {
                    continue;
                }
                return;
            }
            // An error that is told once: that of a request, whose message lies in the queue.
            Err(_) => {
                said(fd, sent_ms, echoes, is_local);
                continue;
            }
        };
        // A raw socket of IPv4 hands over the IP header, too (raw(7)).
        let header = if raw && to.is_ipv4() { bytes.first().map_or(0, |first| usize::from(first & 0xf) * 4) } else { 0 };
        let Some(icmp) = bytes.get(header..) else { continue };
        let answer = if to.is_ipv4() { 0 } else { 129 };
        if icmp.first() != Some(&answer) || icmp.get(HEADER_BYTES..HEADER_BYTES + mark.len()) != Some(&mark[..]) {
            continue;
        }
        let Some(sequence) = icmp.get(6..8).and_then(|two| Some(u16::from_be_bytes(two.try_into().ok()?))) else { continue };
        let place = usize::from(sequence);
        if let Some(sent) = sent_ms.get(&place) {
            echoes.back.entry(place).or_insert(now_ms - sent);
        }
        if header > 0 {
            echoes.ttl = bytes.get(8).copied();
        }
    }
}

/// Takes the next ICMP message about a request. `false`: there is none.
fn said(fd: &OwnedFd, sent_ms: &BTreeMap<usize, f64>, echoes: &mut Echoes, is_local: &impl Fn(IpAddr) -> bool) -> bool {
    let mut quoted = [0; QUOTED_BYTES];
    let Some(icmp) = quoting(fd, &mut quoted, is_local) else { return false };
    if icmp.meaning() != IcmpMeaning::Expired {
        echoes.icmp = Some(icmp);
        return true;
    }
    // Another program's message would have another number, or none that was sent here.
    let place = usize::from(u16::from_be_bytes([quoted[6], quoted[7]]));
    if let Some(from) = icmp.from.filter(|_| matches!(quoted[0], 8 | 128) && sent_ms.contains_key(&place)) {
        echoes.expired.entry(place).or_insert(from);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_answers_all_sizes() {
        let requests: Vec<Echo> = [28, 84, 1500, 9000].map(|bytes| Echo { bytes, ttl: None }).into();
        let apart = Duration::from_millis(1);
        let echoes = echo([127, 0, 0, 1].into(), &requests, apart, Duration::from_secs(5), &|_| true).await;
        match echoes {
            Ok(echoes) => {
                assert_eq!(echoes.back.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
                assert!(echoes.back.values().all(|ms| (0.0..5_000.0).contains(ms)), "{echoes:?}");
            }
            // Neither the group nor the right: that is said, and nothing hangs.
            Err(error) => assert!(matches!(error.kind(), io::ErrorKind::PermissionDenied), "{error}"),
        }
    }
}
