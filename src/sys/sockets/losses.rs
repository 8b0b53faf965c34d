//! What the connections of this network namespace to one address had to send again: TCP's own measure of the loss on the way, for each
//! connection (linux/tcp.h, struct tcp_info).

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags, nlas::Nla},
};

use super::{aside, dump};

/// How long a look may take before it is given up.
const DEADLINE: Duration = Duration::from_millis(500);
/// Parts of 32 KiB of one dump: some 5,000 connections to one port, which is all that the kernel lists here.
const PARTS: usize = 64;
/// Connections that are kept.
const CONNECTIONS: usize = 8_192;
/// struct tcp_info: where `tcpi_total_retrans` and `tcpi_segs_out` stand, the latter since Linux 4.2.
const TOTAL_RETRANS: usize = 100;
const SEGS_OUT: usize = 136;

/// What one connection has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The user whose it is.
    pub uid: u32,
    /// Segments, with those that were sent again.
    pub segments: u32,
    /// Segments that were sent again.
    pub again: u32,
}

/// What each open connection to this address has sent so far, by its own port. Those that are still being opened are left out: what a
/// full listen queue or a filter swallows is no loss of the network. `None`: the kernel does not tell, or not in time.
pub async fn sent_to(to: SocketAddr) -> Option<BTreeMap<u16, Sent>> {
    let look = aside(move || read(to));
    tokio::time::timeout(DEADLINE, look).await.ok()??
}

fn read(to: SocketAddr) -> Option<BTreeMap<u16, Sent>> {
    let mut found = BTreeMap::new();
    for (family, mut socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        // The kernel lists none of another port (net/ipv4/inet_diag.c).
        socket_id.destination_port = to.port();
        let request = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::ESTABLISHED | StateFlags::FIN_WAIT1 | StateFlags::CLOSE_WAIT | StateFlags::LAST_ACK,
            socket_id,
        });
        let mut keep = |message| {
            let SockDiagMessage::InetResponse(answer) = message else { return };
            let id = &answer.header.socket_id;
            let same = id.destination_port == to.port() && id.destination_address.to_canonical() == to.ip().to_canonical();
            if !same || found.len() >= CONNECTIONS {
                return;
            }
            let info = answer.nlas.iter().find_map(|nla| match nla {
                Nla::TcpInfo(bytes) => Some(bytes.as_slice()),
                _ => None,
            });
            if let Some((again, segments)) = info.and_then(|info| number(info, TOTAL_RETRANS).zip(number(info, SEGS_OUT))) {
                found.insert(id.source_port, Sent { uid: answer.header.uid, segments, again });
            }
        };
        if dump(request, PARTS, &mut keep).is_err() && family == AF_INET {
            return None;
        }
    }
    Some(found)
}

fn number(info: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn what_a_connection_has_sent_is_told_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        assert_eq!(sent_to(at).await.expect("sock_diag"), BTreeMap::new());
        let mut client = std::net::TcpStream::connect(at).expect("connect");
        client.write_all(b"x").expect("write");
        let uid = rustix::process::geteuid().as_raw();
        let port = client.local_addr().expect("address").port();
        let sent = sent_to(at).await.expect("sock_diag");
        assert_eq!(sent.keys().copied().collect::<Vec<_>>(), [port], "and not the other end, which listens there");
        // SYN, ACK, one byte; loopback loses nothing.
        assert!(sent[&port].uid == uid && sent[&port].segments >= 3 && sent[&port].again == 0, "{sent:?}");
    }
}
