//! Requests that an address has taken and not begun to answer, as the kernel's own times of each connection tell (linux/tcp.h, struct
//! tcp_info): from the application's end where it is here, else from that of whoever asks it.
//!
//! Only connections on which nothing was answered yet count: one that is kept open (a WebSocket, a stream of events) has sent something.

use std::{net::SocketAddr, time::Duration};

use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags, nlas::Nla},
};

use super::{aside, dump};

/// How long a look may take before it is given up.
const DEADLINE: Duration = Duration::from_millis(500);
/// Parts of 32 KiB of one dump: some 5,000 connections of one port, which is all that the kernel lists here.
const PARTS: usize = 64;
/// Requests that are told.
const REQUESTS: usize = 1_024;
/// struct tcp_info: `tcpi_last_data_sent` and `tcpi_last_data_recv`, both in milliseconds since then; and the bytes acknowledged and
/// received since Linux 4.1.
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECV: usize = 52;
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;
/// A SYN or FIN counts as one byte; no request is that short.
const NOTHING: u64 = 1;
/// inet_diag.h, `idiag_state`: whoever asked has given up (TCP_CLOSE_WAIT of include/net/tcp_states.h).
const CLOSE_WAIT: u8 = 8;

/// A request without a byte of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    /// Milliseconds since its last byte came, or was sent.
    pub waited_ms: u32,
    /// Whether whoever asked has gone, and the application still holds the connection.
    pub given_up: bool,
}

/// The requests to this address that wait for the first byte of an answer. `None`: the kernel does not tell, or not in time.
pub async fn unanswered(to: SocketAddr) -> Option<Vec<Unanswered>> {
    let look = aside(move || {
        let there = read(to, true)?;
        // Of a connection within this host both ends are listed, and it is one request.
        if there.is_empty() { read(to, false) } else { Some(there) }
    });
    tokio::time::timeout(DEADLINE, look).await.ok()??
}

/// From the end of who answers, or of who asks.
fn read(to: SocketAddr, answers: bool) -> Option<Vec<Unanswered>> {
    let mut found = Vec::new();
    for (family, mut socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        // The kernel lists none of another port (net/ipv4/inet_diag.c).
        let port = if answers { &mut socket_id.source_port } else { &mut socket_id.destination_port };
        *port = to.port();
        let states = if answers { StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT } else { StateFlags::ESTABLISHED };
        let request = InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::INFO, states, socket_id };
        let mut keep = |message| {
            let SockDiagMessage::InetResponse(answer) = message else { return };
            let id = &answer.header.socket_id;
            let (ip, port) =
                if answers { (id.source_address, id.source_port) } else { (id.destination_address, id.destination_port) };
            let same = port == to.port() && ip.to_canonical() == to.ip().to_canonical();
            let info = answer.nlas.iter().find_map(|nla| match nla {
                Nla::TcpInfo(bytes) => Some(bytes.as_slice()),
                _ => None,
            });
            if let Some(waited_ms) = info.filter(|_| same && found.len() < REQUESTS).and_then(|info| waited(info, answers)) {
                found.push(Unanswered { waited_ms, given_up: answer.header.state == CLOSE_WAIT });
            }
        };
        if dump(SockDiagMessage::InetRequest(request), PARTS, &mut keep).is_err() && family == AF_INET {
            return None;
        }
    }
    Some(found)
}

/// Milliseconds that the request on this connection has waited. `None`: there is none, or its answer has begun.
fn waited(info: &[u8], answers: bool) -> Option<u32> {
    let (acked, received) = (long(info, BYTES_ACKED)?, long(info, BYTES_RECEIVED)?);
    let (asked, answered, at) = if answers { (received, acked, LAST_DATA_RECV) } else { (acked, received, LAST_DATA_SENT) };
    if asked <= NOTHING || answered > NOTHING {
        return None;
    }
    Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?))
}

fn long(info: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(info.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[tokio::test]
    async fn a_request_waits_until_its_answer_begins() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        let mut client = std::net::TcpStream::connect(at).expect("connect");
        assert_eq!(unanswered(at).await.expect("sock_diag"), [], "a connection is no request");
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("write");
        // In the accept queue it waits as well.
        let seen = unanswered(at).await.expect("sock_diag");
        assert!(matches!(seen[..], [Unanswered { given_up: false, .. }]), "once, though both ends are here: {seen:?}");
        assert_eq!(read(at, false).expect("sock_diag").len(), 1, "and from the other end");
        let (mut taken, _) = listener.accept().expect("accept");
        let mut asked = [0; 18];
        taken.read_exact(&mut asked).expect("the request");
        assert_eq!(unanswered(at).await.expect("sock_diag").len(), 1);
        taken.write_all(b"HTTP/1.0 200 OK\r\n").expect("write");
        let mut begun = [0; 17];
        client.read_exact(&mut begun).expect("an answer");
        assert_eq!(unanswered(at).await.expect("sock_diag"), []);
    }

    #[tokio::test]
    async fn one_whose_client_has_gone_is_still_held() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        let mut client = std::net::TcpStream::connect(at).expect("connect");
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("write");
        let (mut taken, _) = listener.accept().expect("accept");
        drop(client);
        let mut all = Vec::new();
        taken.read_to_end(&mut all).expect("the request, and its end");
        let seen = unanswered(at).await.expect("sock_diag");
        assert!(matches!(seen[..], [Unanswered { given_up: true, .. }]), "{seen:?}");
    }

    #[test]
    fn what_the_kernel_cuts_short_is_no_request() {
        assert_eq!((waited(&[], true), waited(&[1; 60], false)), (None, None));
    }
}
