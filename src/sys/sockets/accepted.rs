//! Connections that applications have accepted on the sockets that they listen on, and still hold: what their workers are busy with, as
//! far as a connection stands for a request.

use std::{collections::BTreeMap, time::Duration};

use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
    unix::{self, UnixRequest, nlas::UnixDiagName},
};

use super::{aside, dump, tcp};
use crate::model::Address;

/// How long the look may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(1);
/// Ports of which each is asked for by itself. The kernel then lists none of another (net/ipv4/inet_diag.c), but walks over all of its
/// connections each time; of more ports at once, all are listed and looked through here.
const PORTS: usize = 4;
/// Parts of 32 KiB of one dump: some 25,000 connections. A busier host is told of in part, and costs no more.
const PARTS: usize = 64;

/// How many connections each of these listeners has handed to its application. A connection that waits to be accepted has no descriptor
/// yet, and so no inode; it is not counted. `None`: the kernel does not tell, or not in time.
pub async fn accepted(listeners: Vec<Address>) -> Option<BTreeMap<Address, u32>> {
    let look = aside(move || read(&listeners));
    tokio::time::timeout(DEADLINE, look).await.ok()??
}

fn read(listeners: &[Address]) -> Option<BTreeMap<Address, u32>> {
    let mut found: BTreeMap<Address, u32> = listeners.iter().map(|address| (address.clone(), 0)).collect();
    let mut count = |local: &Address| {
        let exact = found.contains_key(local);
        let key = match local {
            _ if exact => Some(local.clone()),
            Address::Tcp(at) => {
                let wildcard =
                    |known: &&Address| matches!(known, Address::Tcp(to) if to.ip().is_unspecified() && to.port() == at.port());
                listeners.iter().find(wildcard).cloned()
            }
            Address::Unix(_) | Address::Name(..) | Address::Inside(..) => None,
        };
        if let Some(held) = key.and_then(|key| found.get_mut(&key)) {
            *held = held.saturating_add(1);
        }
    };
    let mut ports: Vec<u16> =
        listeners.iter().filter(|address| matches!(address, Address::Tcp(_))).filter_map(Address::port).collect();
    ports.sort_unstable();
    ports.dedup();
    if ports.len() > PORTS {
        // The kernel's own word for any.
        ports = vec![0];
    }
    for port in ports {
        for (family, id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let socket_id = SocketId { source_port: port, ..id };
            let request = SockDiagMessage::InetRequest(InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: ExtensionFlags::empty(),
                // A client that hung up leaves its worker in the middle of the work.
                states: StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT,
                socket_id,
            });
            let mut keep = |message| {
                if let SockDiagMessage::InetResponse(answer) = message
                    && answer.header.inode != 0
                {
                    let id = &answer.header.socket_id;
                    count(&tcp(id.source_address, id.source_port));
                }
            };
            if dump(request, PARTS, &mut keep).is_err() && family == AF_INET {
                return None;
            }
        }
    }
    if listeners.iter().any(|address| matches!(address, Address::Unix(_))) {
        let request = SockDiagMessage::UnixRequest(UnixRequest {
            state_flags: unix::StateFlags::ESTABLISHED,
            inode: 0,
            show_flags: unix::ShowFlags::NAME,
            cookie: [0xff; 8],
        });
        // What was accepted bears its listener's name.
        let mut keep = |message| {
            if let SockDiagMessage::UnixResponse(answer) = message
                && answer.header.kind == SOCK_STREAM
                && let Some(UnixDiagName::Pathname(path)) = answer.name()
            {
                count(&Address::Unix(path.into()));
            }
        };
        dump(request, PARTS, &mut keep).ok()?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_accepted_is_told_from_what_waits() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("a.sock");
        let local = std::os::unix::net::UnixListener::bind(&path).expect("listener");
        let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(at).expect("connect")).collect();
        let others: Vec<_> = (0..2).map(|_| std::os::unix::net::UnixStream::connect(&path).expect("connect")).collect();
        let held = (listener.accept().expect("accept"), local.accept().expect("accept"));
        let any = Address::Tcp(([0, 0, 0, 0], at.port()).into());
        let found = accepted(vec![Address::Tcp(at), Address::Unix(path.clone())]).await.expect("sock_diag");
        assert_eq!(found, BTreeMap::from([(Address::Tcp(at), 1), (Address::Unix(path), 1)]));
        assert_eq!(accepted(vec![any.clone()]).await.expect("sock_diag"), BTreeMap::from([(any, 1)]));
        drop((clients, others, held));
    }
}
