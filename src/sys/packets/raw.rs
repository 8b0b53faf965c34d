//! What only a raw socket tells (raw(7), capabilities(7) CAP_NET_RAW): from how far a TCP answer came, and whether a host answers a
//! bare acknowledgement.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with};
use tokio::io::Interest;

use super::registered;
use crate::sys::Stopwatch;

/// Bytes of a segment that are read: the IP header with options, and the TCP header.
const READ_BYTES: usize = 128;
/// Segments that are looked at in one go: a busy host's answers to others go by here, too.
const SEGMENTS: usize = 4_096;
/// TCP's flags (RFC 9293 section 3.1).
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const SYN: u8 = 0x02;

/// Hears the TCP segments that one IPv4 host sends us, from when it is made.
#[derive(Debug)]
pub struct Ear(OwnedFd);

/// What the segments of a host told. How many hops they may still have taken when they came here:
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Resets from the port in question.
    pub reset: Option<u8>,
    /// Anything else from the host: a reset of another port, or an acknowledged SYN.
    pub other: Option<u8>,
    /// Whether a reset from the port in question bore [`super::MARK`].
    pub reset_marked: bool,
    /// Whether a reset from another port did.
    pub other_marked: bool,
}

impl Ear {
    /// Hears from now on. An error: no right to raw sockets, or not IPv4, whose headers are the only ones handed over.
    pub fn new(host: IpAddr) -> io::Result<Self> {
        if !host.is_ipv4() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(ipproto::TCP))?;
        connect(&fd, &SocketAddr::new(host, 0))?;
        Ok(Self(fd))
    }

    /// What was heard so far.
    pub fn heard(&self, port: u16) -> Heard {
        let mut heard = Heard::default();
        let mut buffer = [0; READ_BYTES];
        for _ in 0..SEGMENTS {
            let Ok((_, length)) = recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) else { break };
            let bytes = &buffer[..length.min(READ_BYTES)];
            let Some((ttl, from, flags)) = read(bytes) else { continue };
            // The two lowest bits are of congestion (RFC 3168 section 5).
            let marked = bytes.get(1).is_some_and(|tos| tos & !3 == super::MARK);
            if from == port && flags & RST != 0 {
                heard.reset = Some(ttl);
                heard.reset_marked |= marked;
            } else if from != port && flags & RST != 0 {
                heard.other = Some(ttl);
                heard.other_marked |= marked;
            } else if flags & (SYN | ACK) == SYN | ACK {
                heard.other = Some(ttl);
            }
        }
        heard
    }
}

/// Time to live, source port and flags of a segment with its IPv4 header.
fn read(bytes: &[u8]) -> Option<(u8, u16, u8)> {
    let header = usize::from(bytes.first()? & 0xf) * 4;
    let from = u16::from_be_bytes(bytes.get(header..header + 2)?.try_into().ok()?);
    Some((*bytes.get(8)?, from, *bytes.get(header + 13)?))
}

/// Sends bare acknowledgements to a port, and tells whether a reset came back in time: RFC 9293 section 3.10.7 has a listener and a
/// closed port answer so, even when the listener's queue of connections is full and it ignores new ones. An error: no right.
pub async fn bare_ack(to: SocketAddr, source: IpAddr, tries: u16, within: Duration) -> io::Result<bool> {
    /// Ports that the kernel seldom takes itself (Linux's own range ends at 60,999): nobody else's connection is hit.
    const FROM: u16 = 64_321;
    let ear = Ear::new(to.ip())?;
    let fd = registered(ear.0, Interest::READABLE)?;
    let watch = Stopwatch::start();
    for attempt in 0..tries {
        send(fd.get_ref(), &acknowledgement(source, FROM + attempt, to), SendFlags::empty())?;
    }
    let mut buffer = [0; READ_BYTES];
    loop {
        let left = watch.left(within);
        if left.is_zero() {
            return Ok(false);
        }
        let Ok(ready) = tokio::time::timeout(left, fd.readable()).await else { return Ok(false) };
        let mut ready = ready?;
        for _ in 0..SEGMENTS {
            let Ok((_, length)) = recv(fd.get_ref(), &mut buffer[..], RecvFlags::DONTWAIT) else { break };
            let bytes = &buffer[..length.min(READ_BYTES)];
            let header = bytes.first().map_or(0, |first| usize::from(first & 0xf) * 4);
            let ours = bytes.get(header + 2..header + 4).and_then(|two| Some(u16::from_be_bytes(two.try_into().ok()?)));
            if let Some((_, from, flags)) = read(bytes)
                && from == to.port()
                && flags & RST != 0
                && ours.is_some_and(|port| (FROM..FROM + tries).contains(&port))
            {
                return Ok(true);
            }
        }
        ready.clear_ready();
    }
}

/// A TCP header with nothing but ACK set (RFC 9293 section 3.1).
fn acknowledgement(source: IpAddr, from: u16, to: SocketAddr) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20);
    segment.extend(from.to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    // Sequence and acknowledgement numbers of no connection.
    segment.extend([0x50, 0x2a, 0x50, 0x2a, 0x50, 0x2b, 0x50, 0x2b]);
    segment.extend([5 << 4, ACK, 4, 0, 0, 0, 0, 0]);
    // The pseudo header: addresses, protocol, length.
    let mut summed = Vec::new();
    for ip in [source, to.ip()] {
        if let IpAddr::V4(ip) = ip {
            summed.extend(ip.octets());
        }
    }
    summed.extend([0, 6, 0, 20]);
    summed.extend(&segment);
    let sum = checksum(&summed);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// The Internet checksum (RFC 1071).
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 1071 section 3: the sum of these is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        let packet = acknowledgement([10, 0, 0, 1].into(), 64_321, ([10, 0, 2, 21], 8000).into());
        assert_eq!(packet.len(), 20);
        assert_eq!(read(&[&[0x45; 20][..], &packet].concat()), Some((0x45, 64_321, ACK)));
        assert_eq!(read(&[0x45; 30]), None);
    }

    #[tokio::test]
    async fn a_listener_with_a_full_queue_answers_an_acknowledgement() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        match bare_ack(at, at.ip(), 3, Duration::from_secs(5)).await {
            Ok(answered) => assert!(answered),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}
