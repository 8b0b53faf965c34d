//! What the kernel would do with a packet: route, device and neighbour, by rtnetlink(7). Only questions are asked.
//!
//! Of the protocol's many attributes a handful is read; the crate for all of them would be larger than the rest of the netlink
//! code of this program together.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use netlink_packet_core::{NLA_TYPE_MASK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::io::Errno;

use crate::model::{KernelRoute, Neighbour};

// linux/rtnetlink.h
const RTM_GETLINK: u16 = 18;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEIGH: u16 = 30;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_UID: u16 = 25;
const RTAX_MTU: u16 = 2;
/// The table that was looked up, and not always `main`.
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
const RTN_LOCAL: u8 = 2;
// linux/neighbour.h
const NDA_DST: u16 = 1;
// linux/if_link.h, linux/if.h
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_CARRIER: u16 = 33;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// A message of one answer; the kernel fills up to 32 KiB of a dump at a time (`NLMSG_GOODSIZE`).
const BUFFER_BYTES: usize = 64 << 10;
/// Parts of a dump of links that are read: a host with more devices than fit is full of containers, and none of them is wanted.
const PARTS: usize = 64;
/// Devices without a carrier that are named.
const DOWN: usize = 8;
/// Bytes of the netlink header: length, type, flags, sequence, port.
const HEADER_BYTES: usize = 16;

/// The route that a packet of this user to this address would take, with its device. Blocking, but the kernel answers within the call.
pub fn route_to(to: IpAddr, uid: Option<u32>) -> io::Result<KernelRoute> {
    let mut body = vec![family(to), prefix(to), 0, 0, 0, 0, 0, 0];
    body.extend(RTM_F_LOOKUP_TABLE.to_ne_bytes());
    attribute(&mut body, RTA_DST, &octets(to));
    if let Some(uid) = uid {
        attribute(&mut body, RTA_UID, &uid.to_ne_bytes());
    }
    let answer = match ask(RTM_GETROUTE, &body) {
        Ok(answer) => answer,
        Err(error) => {
            // A route that forbids is told as the error that connect gives (net/ipv4/fib_semantics.c, fib_props).
            let kind = match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NETUNREACH) => "none",
                Some(Errno::HOSTUNREACH) => "unreachable",
                Some(Errno::INVAL) => "blackhole",
                Some(Errno::ACCESS) => "prohibit",
                _ => return Err(error),
            };
            let down = links().unwrap_or_default().into_iter().filter(|link| !link.up).map(|link| link.name).take(DOWN).collect();
            return Ok(KernelRoute { kind: kind.to_owned(), down, ..KernelRoute::default() });
        }
    };
    let kind = if answer.get(7) == Some(&RTN_LOCAL) { "local" } else { "unicast" };
    let mut route = KernelRoute { kind: kind.to_owned(), ..KernelRoute::default() };
    let mut index = None;
    for (kind, value) in attributes(answer.get(12..).unwrap_or_default()) {
        match kind {
            RTA_OIF => index = number(value),
            RTA_GATEWAY => route.gateway = address(value),
            // struct rtvia: the family in two bytes, then the address.
            RTA_VIA => route.gateway = value.get(2..).and_then(address),
            RTA_PREFSRC => route.source = address(value),
            RTA_TABLE => route.table = number(value),
            RTA_METRICS => {
                let mtu = attributes(value).find(|(kind, _)| *kind == RTAX_MTU);
                route.mtu = mtu.and_then(|(_, value)| number(value));
            }
            _ => {}
        }
    }
    if let Some(link) = index.and_then(|index| link(index).ok().flatten()) {
        route.device = Some(link.name);
        route.link_up = Some(link.up);
        route.mtu = route.mtu.or(link.mtu);
        let next = route.gateway.unwrap_or(to);
        // Loopback has no neighbours.
        route.gateway = route.gateway.filter(|_| !link.loopback);
        if link.loopback && next.is_loopback() {
            route.link_up = Some(true);
        }
    }
    Ok(route)
}

/// What is known of a neighbour on the device of a route. `None`: the kernel was never asked for it, or is too old to tell (before 5.0).
pub fn neighbour_of(to: IpAddr, route: &KernelRoute) -> Option<Neighbour> {
    let device = route.device.as_deref()?;
    let index = links().ok()?.into_iter().find(|link| link.name == device && !link.loopback)?.index;
    let next = route.gateway.unwrap_or(to);
    let mut body = vec![family(next), 0, 0, 0];
    body.extend(index.to_ne_bytes());
    body.extend([0; 4]);
    attribute(&mut body, NDA_DST, &octets(next));
    let answer = match ask(RTM_GETNEIGH, &body) {
        Ok(answer) => answer,
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {
            return Some(Neighbour { address: next, state: "none".to_owned() });
        }
        Err(_) => return None,
    };
    let state = answer.get(8..10).and_then(|two| Some(u16::from_ne_bytes(two.try_into().ok()?)))?;
    let word = match state {
        0x01 => "incomplete",
        0x02 => "reachable",
        0x04 => "stale",
        0x08 => "delay",
        0x10 => "probe",
        0x20 => "failed",
        0x40 => "noarp",
        0x80 => "permanent",
        _ => "none",
    };
    Some(Neighbour { address: next, state: word.to_owned() })
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    index: u32,
    name: String,
    mtu: Option<u32>,
    up: bool,
    loopback: bool,
}

fn link(index: u32) -> io::Result<Option<Link>> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend([0; 8]);
    Ok(read_link(&ask(RTM_GETLINK, &body)?))
}

fn links() -> io::Result<Vec<Link>> {
    let mut found = Vec::new();
    exchange(RTM_GETLINK, NLM_F_DUMP, &[0; 16], |body| found.extend(read_link(body)))?;
    Ok(found)
}

/// An ifinfomsg with its attributes.
pub(super) fn read_link(body: &[u8]) -> Option<Link> {
    let index = number(body.get(4..8)?)?;
    let flags = number(body.get(8..12)?)?;
    let mut link = Link { index, name: String::new(), mtu: None, up: flags & IFF_UP != 0, loopback: flags & IFF_LOOPBACK != 0 };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => {
                let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
                link.name = String::from_utf8_lossy(text).into_owned();
            }
            IFLA_MTU => link.mtu = number(value),
            IFLA_CARRIER => link.up &= value.first() != Some(&0),
            _ => {}
        }
    }
    Some(link)
}

fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn prefix(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.first_chunk().copied()?))
}

/// Appends an attribute (struct rtattr): length, type, value, padded to 4 bytes.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The attributes that follow a message's fixed part; what is cut or makes no sense ends them.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.first_chunk().copied()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.first_chunk().copied()?) & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Asks for one thing, and returns the answer behind its header.
fn ask(kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut answer = None;
    exchange(kind, 0, body, |body| {
        answer.get_or_insert_with(|| body.to_vec());
    })?;
    answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Sends a question and takes the messages of the answer. The kernel has answered when `send` returns, and fills the next part of a
/// dump within the call that takes the part before (`netlink_recvmsg`): nothing ever waits here.
fn exchange(kind: u16, flags: u16, body: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    let mut packet = length.to_ne_bytes().to_vec();
    packet.extend(kind.to_ne_bytes());
    packet.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    packet.extend([0; 8]);
    packet.extend(body);
    socket.send(&packet, 0)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    for _ in 0..PARTS {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut bytes = &buffer[..];
        while let Some(length) = number(bytes).map(|length| length as usize) {
            let Some(message) = bytes.get(HEADER_BYTES..length) else { break };
            match bytes.get(4..6).and_then(|two| Some(u16::from_ne_bytes(two.try_into().ok()?))) {
                Some(NLMSG_DONE) => return Ok(()),
                Some(NLMSG_ERROR) => {
                    // struct nlmsgerr: a negative error number; 0 acknowledges.
                    let errno = message.first_chunk().map_or(0, |four| i32::from_ne_bytes(*four));
                    return if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno.saturating_neg())) };
                }
                _ => take(message),
            }
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if flags & NLM_F_DUMP == 0 {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_ourselves_is_loopback_and_has_no_neighbour() {
        let to: IpAddr = Ipv4Addr::LOCALHOST.into();
        let route = route_to(to, Some(0)).expect("a route to loopback");
        assert_eq!((route.kind.as_str(), route.device.as_deref()), ("local", Some("lo")));
        assert_eq!((route.source, route.gateway, route.link_up), (Some(to), None, Some(true)));
        assert!(route.mtu.is_some_and(|mtu| mtu >= 1280), "{route:?}");
        assert_eq!(neighbour_of(to, &route), None);
    }

    #[test]
    fn what_the_kernel_would_never_send_is_survived() {
        for bytes in [&[][..], &[1], &[0; 8], &[0xff; 40], &[3, 0, 1, 0], &[8, 0, 4, 0, 1], &[4, 0, 1, 0, 4, 0, 2, 0]] {
            assert!(attributes(bytes).count() <= bytes.len());
            assert!(read_link(bytes).is_none_or(|link| link.name.is_empty()));
        }
        assert_eq!(attributes(&[8, 0, 4, 0x80, 7, 0, 0, 0]).collect::<Vec<_>>(), [(4, &[7, 0, 0, 0][..])]);
    }
}
