//! Small packets towards one address, with all that comes back: a TCP connection that is closed at once ([`knock()`]), an ICMP echo
//! ([`echo()`]), and, with the right to raw sockets, a bare acknowledgement ([`bare_ack`]).
//!
//! Nothing here decides how many are sent, or what an answer means. Every call ends within the time that it is given.

mod echo;
mod knock;
mod raw;

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};

use tokio::io::{Interest, unix::AsyncFd};

pub use echo::{Echo, Echoes, echo};
pub use knock::{Knock, Knocked, MARK, Manner, knock};
pub use raw::{Ear, Heard, bare_ack};

use crate::model::Icmp;

/// Bytes of the original packet that an error of the queue carries back: the number of an echo request stands within the first eight.
const QUOTED_BYTES: usize = 256;
/// Bytes of control messages: struct sock_extended_err with an address takes 44.
const CONTROL_BYTES: usize = 256;
/// ip(7): who made an error. SO_EE_ORIGIN_LOCAL, _ICMP, _ICMP6.
const ORIGIN_ICMP: [u8; 2] = [2, 3];

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// A socket that never blocks, does not outlive an exec, and queues ICMP errors (ip(7) IP_RECVERR).
fn socket(ip: IpAddr, kind: SocketType, protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let fd = socket_with(family(ip), kind, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, protocol)?;
    if ip.is_ipv4() {
        setsockopt(&fd, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&fd, sockopt::Ipv6RecvErr, &true)?;
    }
    Ok(fd)
}

/// The descriptor, with the runtime told to watch it.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe to call; the descriptor is owned here and lives as long as the registration"
)]
fn registered(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

/// Sets how many hops packets may take.
fn set_ttl(fd: &OwnedFd, ip: IpAddr, ttl: u8) -> io::Result<()> {
    if ip.is_ipv4() {
        rustix::net::sockopt::set_ip_ttl(fd, ttl.into())?;
    } else {
        rustix::net::sockopt::set_ipv6_unicast_hops(fd, Some(ttl))?;
    }
    Ok(())
}

/// The next ICMP message in a socket's queue of errors. `local`: the host's own addresses.
fn queued(fd: &OwnedFd, is_local: &impl Fn(IpAddr) -> bool) -> Option<Icmp> {
    quoting(fd, &mut [0; QUOTED_BYTES], is_local)
}

/// The same, with what it quotes of our own packet behind the IP header, as far as that goes.
fn quoting(fd: &OwnedFd, quoted: &mut [u8; QUOTED_BYTES], is_local: &impl Fn(IpAddr) -> bool) -> Option<Icmp> {
    let mut parts = [IoSliceMut::new(quoted)];
    let mut control = [0; CONTROL_BYTES];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|one| {
        let (error, from) = match one {
            ControlMessageOwned::Ipv4RecvErr(error, from) => {
                (error, from.map(|from| IpAddr::from(from.sin_addr.s_addr.to_ne_bytes())))
            }
            ControlMessageOwned::Ipv6RecvErr(error, from) => (error, from.map(|from| IpAddr::from(from.sin6_addr.s6_addr))),
            _ => return None,
        };
        let from = from.map(|from| from.to_canonical()).filter(|from| !from.is_unspecified());
        let local = from.is_some_and(is_local);
        ORIGIN_ICMP.contains(&error.ee_origin).then_some(Icmp { from, kind: error.ee_type, code: error.ee_code, local })
    })
}

/// The same address with another port.
fn with_port(to: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(to.ip(), port)
}
