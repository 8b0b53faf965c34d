//! Connections of this network namespace that lead to a port: where a gateway really connects, whatever its configuration says.

use std::{net::IpAddr, time::Duration};

use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};

use super::{aside, dump};

/// How long the look may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(1);
/// Parts of 32 KiB of one dump: some 25,000 connections. A busier host has its connections listed in part, and costs no more.
const PARTS: usize = 64;
/// Connections that are kept.
const CONNECTIONS: usize = 4_096;
/// `TCP_TIME_WAIT` (include/net/tcp_states.h).
const TIME_WAIT: u8 = 6;

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The address that it leads to.
    pub ip: IpAddr,
    /// The user whose it is. `None`: it is closed (TIME_WAIT), and the kernel no longer knows.
    pub uid: Option<u32>,
}

/// Connections to this port that are open, being opened, or were closed within the last minute. `None`: the kernel does not tell, or
/// not in time.
pub async fn connections_to(port: u16) -> Option<Vec<Connection>> {
    let look = aside(move || read(port));
    tokio::time::timeout(DEADLINE, look).await.ok()??
}

fn read(port: u16) -> Option<Vec<Connection>> {
    let mut found = Vec::new();
    let held = StateFlags::ESTABLISHED
        | StateFlags::SYN_SENT
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::TIME_WAIT
        | StateFlags::CLOSE_WAIT
        | StateFlags::LAST_ACK;
    let both = [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())];
    // The kernel lists none of another port (net/ipv4/inet_diag.c): a busy host has tens of thousands.
    let ways = both.iter().flat_map(|(family, id)| {
        let (to, from) = (SocketId { destination_port: port, ..id.clone() }, SocketId { source_port: port, ..id.clone() });
        [(*family, to, held.clone()), (*family, from, StateFlags::TIME_WAIT)]
    });
    for (family, socket_id, states) in ways {
        let leads = socket_id.destination_port == port;
        let request = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states,
            socket_id,
        });
        let mut keep = |message| {
            let SockDiagMessage::InetResponse(answer) = message else { return };
            let (id, closed) = (&answer.header.socket_id, answer.header.state == TIME_WAIT);
            // Whoever closed first keeps it: of a connection within this host that may be the end that was connected to.
            let ip = match (leads, id.destination_port == port, id.source_port == port) {
                (true, true, _) => id.destination_address,
                (false, false, true) if closed => id.source_address,
                (true | false, _, _) => return,
            };
            if found.len() < CONNECTIONS {
                found.push(Connection { ip: ip.to_canonical(), uid: (!closed).then_some(answer.header.uid) });
            }
        };
        let read = dump(request, PARTS, &mut keep);
        if read.is_err() && family == AF_INET {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_connection_is_seen_with_its_user() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        assert_eq!(connections_to(at.port()).await.expect("sock_diag"), []);
        let client = std::net::TcpStream::connect(at).expect("connect");
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(connections_to(at.port()).await.expect("sock_diag"), [Connection { ip: at.ip(), uid: Some(uid) }]);
        // Whoever closes first keeps it in TIME_WAIT.
        let (accepted, _) = listener.accept().expect("accept");
        drop(client);
        drop(accepted);
        let after = connections_to(at.port()).await.expect("sock_diag");
        assert!(after.iter().all(|connection| connection.uid.is_none()), "{after:?}");
    }
}
