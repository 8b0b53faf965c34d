//! One small TCP connection, closed as soon as it stands, with the error number and the ICMP message that ended it.
//!
//! The kernel hands the ICMP message to the socket that asked for it while its SYN is under way (`tcp_v4_err`), so no right is
//! needed to learn which hop said what; with a short time to live it is a traceroute over TCP.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        SocketType, bind, connect, ipproto,
        sockopt::{set_ip_tos, socket_error},
    },
};
use tokio::io::Interest;

use super::{queued, registered, set_ttl, socket, with_port};
use crate::{model::Icmp, sys::Stopwatch};

/// A type of service that hardly anything else asks for: "low delay" of RFC 1349, ip(7) IPTOS_LOWDELAY. Linux answers with that of the
/// packet that it answers (net/ipv4/tcp_ipv4.c, `tcp_v4_send_reset`), and its packet filter with none (nf_reject_ipv4.c,
/// `nf_reject_iphdr_put`): so a host's own reset is told from that of a filter on it.
pub const MARK: u8 = 0x10;

/// What came of a knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knocked {
    /// The connection stood.
    Open,
    /// A reset came.
    Refused,
    /// The kernel gave another error number.
    Errno(i32),
    /// Nothing came in time.
    Silent,
}

/// A knock.
#[derive(Debug, Clone, PartialEq)]
pub struct Knock {
    /// What came of it.
    pub came: Knocked,
    /// The ICMP message that came for it.
    pub icmp: Option<Icmp>,
    /// From the begin to what came, in milliseconds.
    pub ms: f64,
}

/// In which way a knock is another than any program's connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// The address that it comes from, where that is of the same family. `None`: as the kernel chooses.
    pub from: Option<IpAddr>,
    /// Another port than that of the address.
    pub port: Option<u16>,
    /// How many hops the packets may take. `None`: the host's default.
    pub ttl: Option<u8>,
    /// Whether IPv4 packets carry [`MARK`].
    pub marked: bool,
}

/// Knocks once.
pub async fn knock(to: SocketAddr, how: Manner, within: Duration, is_local: &(impl Fn(IpAddr) -> bool + Sync)) -> Knock {
    let watch = Stopwatch::start();
    let to = how.port.map_or(to, |port| with_port(to, port));
    let (came, icmp) = match attempt(to, how, within, is_local).await {
        Ok(found) => found,
        Err(error) => (of_errno(error.raw_os_error().unwrap_or_default()), None),
    };
    Knock { came, icmp, ms: watch.ms() }
}

fn of_errno(errno: i32) -> Knocked {
    if errno == Errno::CONNREFUSED.raw_os_error() { Knocked::Refused } else { Knocked::Errno(errno) }
}

async fn attempt(
    to: SocketAddr,
    how: Manner,
    within: Duration,
    is_local: &(impl Fn(IpAddr) -> bool + Sync),
) -> io::Result<(Knocked, Option<Icmp>)> {
    let fd = socket(to.ip(), SocketType::STREAM, Some(ipproto::TCP))?;
    if let Some(ttl) = how.ttl {
        set_ttl(&fd, to.ip(), ttl)?;
    }
    if how.marked && to.is_ipv4() {
        set_ip_tos(&fd, MARK)?;
    }
    if let Some(from) = how.from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        bind(&fd, &SocketAddr::new(from, 0))?;
    }
    match connect(&fd, &to) {
        Ok(()) => return Ok((Knocked::Open, None)),
        Err(Errno::INPROGRESS) => {}
        // A local rule that rejects is heard of within the call.
        Err(errno) => return Ok((of_errno(errno.raw_os_error()), queued(&fd, is_local))),
    }
    let fd = registered(fd, Interest::WRITABLE)?;
    if tokio::time::timeout(within, fd.writable()).await.is_err() {
        return Ok((Knocked::Silent, queued(fd.get_ref(), is_local)));
    }
    // In this order: who takes the message from the queue clears the error (net/core/skbuff.c, sock_dequeue_err_skb).
    let came = match socket_error(fd.get_ref())? {
        Ok(()) => Knocked::Open,
        Err(errno) => of_errno(errno.raw_os_error()),
    };
    Ok((came, queued(fd.get_ref(), is_local)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_listener_opens_and_a_closed_port_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        assert_eq!(knock(at, Manner::default(), SOON, &|_| true).await.came, Knocked::Open);
        let source = "127.0.0.77".parse().ok();
        let _from = knock(at, Manner { from: source, ..Manner::default() }, SOON, &|_| true).await;
        // The connection is closed, and nothing was said on it.
        let (mut stream, _) = listener.accept().expect("a connection");
        assert_eq!(std::io::Read::read(&mut stream, &mut [0; 8]).expect("an end"), 0);
        let (_, peer) = listener.accept().expect("another connection");
        assert_eq!(Some(peer.ip()), source);
        drop((stream, listener));
        let knock = knock(at, Manner { ttl: Some(3), marked: true, ..Manner::default() }, SOON, &|_| true).await;
        assert_eq!((knock.came, knock.icmp), (Knocked::Refused, None));
    }

    #[tokio::test]
    async fn silence_ends_in_time() {
        // A queue of one that is full: the next SYN is dropped.
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, SocketType::STREAM, None).expect("socket");
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
        rustix::net::listen(&socket, 0).expect("listen");
        let at = SocketAddr::try_from(rustix::net::getsockname(&socket).expect("name")).expect("address");
        let within = Duration::from_millis(150);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(tokio::time::timeout(within, tokio::net::TcpStream::connect(at)).await);
        }
        assert_eq!(knock(at, Manner::default(), within, &|_| true).await.came, Knocked::Silent);
    }
}
