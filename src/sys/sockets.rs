//! Listening sockets of this network namespace: by sock_diag(7), or from /proc/net where that is missing and below another
//! root. Only what the kernel says; whose a socket is, [`Rights`](super::Rights) tells.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM, SockDiagMessage,
    inet::{self, ExtensionFlags, InetRequest, SocketId},
    unix::{
        self, UnixRequest,
        nlas::{Nla, UnixDiagName},
    },
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::AsyncReadExt as _;

use super::{
    FileError, Root, Stopwatch, Way,
    aside::aside,
    broker::{self, Task},
};
use crate::model::{Address, Queue};

mod accepted;
mod losses;
mod peers;
pub(super) mod procfs;
mod towards;
mod unanswered;

pub use accepted::accepted;
pub use losses::{Sent, sent_to};
pub use towards::towards;
pub use unanswered::{Unanswered, unanswered};

pub use peers::{Connection, connections_to};

/// Sockets that are told, at most. A host with more has one per container or test, and nobody reads them.
pub const LISTENERS: usize = 10_000;
/// Bytes of a list of them that comes from another process: each has an address, a path at most.
const TOLD_BYTES: u64 = 4 << 20;
/// How long one look may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(2);
/// The kernel fills dumps up to 32 KiB at a time (`NLMSG_GOODSIZE`, `netlink_dump`); a shorter buffer would cut them.
const BUFFER_BYTES: usize = 64 << 10;
/// Dumps end; this many parts of one are some 500 MB, and mean that something is wrong.
const PARTS: usize = 16_384;

/// Milliseconds in which the kernel tells of the sockets of most hosts.
const SHORT_MS: f64 = 2.0;
/// Whether it told of them within that time when it was asked last. The first question may have the kernel load a module for the answer.
static SHORT: AtomicBool = AtomicBool::new(false);

/// A listening stream socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListeningSocket {
    /// Where.
    pub address: Address,
    /// Its inode in sockfs, by which descriptors name it.
    pub inode: u64,
    /// Its accept queue. `None`: not told.
    pub queue: Option<Queue>,
}

/// Why the sockets could not be read.
#[derive(Debug, Error)]
pub enum SocketsError {
    /// Neither sock_diag nor /proc/net.
    #[error(transparent)]
    File(#[from] FileError),
    /// It took too long.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Slow,
    /// The look itself failed.
    #[error("reading the sockets failed: {0}")]
    Failed(String),
}

/// All listening TCP sockets and bound unix stream sockets, at most [`LISTENERS`]. The host's own are those of our network
/// namespace; below another root, those of the process that its /proc/net stands for.
pub async fn listening(root: &Root) -> Result<Vec<ListeningSocket>, SocketsError> {
    // Three short answers of the kernel need no other thread to be woken for them, once they are known to be short.
    if root.is_host() && SHORT.load(Ordering::Relaxed) {
        let watch = Stopwatch::start();
        if let Ok(mut found) = by_netlink() {
            SHORT.store(watch.ms() < SHORT_MS, Ordering::Relaxed);
            found.truncate(LISTENERS);
            return Ok(found);
        }
    }
    let root = root.clone();
    let look = aside(move || {
        let watch = Stopwatch::start();
        let mut found = match root.is_host().then(by_netlink) {
            Some(Ok(found)) => {
                SHORT.store(watch.ms() < SHORT_MS, Ordering::Relaxed);
                found
            }
            // An old or locked-down kernel: the text files tell less, but the same sockets.
            Some(Err(_)) | None => procfs::read(&root)?,
        };
        found.truncate(LISTENERS);
        Ok(found)
    });
    match tokio::time::timeout(DEADLINE, look).await {
        Ok(Some(found)) => found,
        Ok(None) => Err(SocketsError::Failed("the look itself broke".to_owned())),
        Err(_) => Err(SocketsError::Slow),
    }
}

/// How often a connection was dropped because an accept queue was full, since boot.
pub fn listen_overflows(root: &Root) -> Option<u64> {
    procfs::overflows(&root.text("/proc/net/netstat").ok()?)
}

/// The host's own addresses besides loopback's: local routes of /proc/net/fib_trie, and /proc/net/if_inet6.
pub fn local_addresses(root: &Root) -> Vec<IpAddr> {
    addresses(root, "/proc/net")
}

/// Those of the network namespace of a process.
pub fn local_addresses_of(root: &Root, pid: u32) -> Vec<IpAddr> {
    addresses(root, &format!("/proc/{pid}/net"))
}

fn addresses(root: &Root, dir: &str) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    let text = |name: &str| root.text(format!("{dir}/{name}")).unwrap_or_default();
    let (trie, six) = (text("fib_trie"), text("if_inet6"));
    let mut leaf = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(leaf.filter(|ip| !ip.is_loopback()).map(IpAddr::V4));
        }
    }
    for digits in six.lines().filter_map(|line| line.split_ascii_whitespace().next()) {
        let ip = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32).map(Ipv6Addr::from);
        found.extend(ip.filter(|ip| !ip.is_loopback()).map(IpAddr::V6));
    }
    found.into_iter().collect()
}

/// All listening sockets of another network namespace.
pub async fn listening_in(way: &Way) -> Result<Vec<ListeningSocket>, SocketsError> {
    if !broker::brokered() {
        return entered(way).await;
    }
    let asked = async {
        let mut started = broker::start(Task::Listening(way.clone()))?;
        let mut told = Vec::new();
        started.output()?.take(TOLD_BYTES).read_to_end(&mut told).await?;
        started.running.ended().await?;
        io::Result::Ok(serde_json::from_slice(&told)?)
    };
    let told = tokio::time::timeout(DEADLINE, asked).await.map_err(|_| SocketsError::Slow)?;
    told.map_err(|error| SocketsError::Failed(error.to_string()))
}

/// The same by this process, in a thread that enters it and ends there.
pub(super) async fn entered(way: &Way) -> Result<Vec<ListeningSocket>, SocketsError> {
    let (way, (done, answer)) = (way.clone(), tokio::sync::oneshot::channel());
    let look = move || {
        let _ = done.send(way.enter_net().and_then(|()| by_netlink()));
    };
    // None of the pool's: a thread stays where it is, and would serve others from there.
    std::thread::Builder::new()
        .name("namespace".to_owned())
        .spawn(look)
        .map_err(|error| SocketsError::Failed(error.to_string()))?;
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(Ok(mut found))) => {
            found.truncate(LISTENERS);
            Ok(found)
        }
        Ok(Ok(Err(error))) => Err(SocketsError::Failed(error.to_string())),
        Ok(Err(_)) => Err(SocketsError::Failed("the look ended without an answer".to_owned())),
        Err(_) => Err(SocketsError::Slow),
    }
}

fn by_netlink() -> io::Result<Vec<ListeningSocket>> {
    let mut found = Vec::new();
    for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        let request = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: inet::StateFlags::LISTEN,
            socket_id,
        });
        match dump(request, PARTS, &mut |message| found.extend(listener(message))) {
            Ok(()) => {}
            // A kernel without IPv6 has no such family to ask for.
            Err(error) if family == AF_INET6 && error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
    }
    let request = SockDiagMessage::UnixRequest(UnixRequest {
        state_flags: unix::StateFlags::LISTEN,
        inode: 0,
        show_flags: unix::ShowFlags::NAME | unix::ShowFlags::RQLEN,
        cookie: [0xff; 8],
    });
    dump(request, PARTS, &mut |message| found.extend(listener(message)))?;
    Ok(found)
}

/// Asks, and takes all parts of the answer. The kernel fills the next part of a dump within the receive call that takes the
/// part before (`netlink_recvmsg`), so an empty socket means that no more will come, and waiting is never needed.
fn dump(request: SockDiagMessage, parts: usize, found: &mut dyn FnMut(SockDiagMessage)) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut packet = vec![0; message.buffer_len()];
    message.serialize(&mut packet);
    socket.send(&packet, 0)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    for _ in 0..parts {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        if take(&buffer, found)? {
            return Ok(());
        }
    }
    Err(io::Error::other("a dump without end"))
}

/// Takes the messages of one part; `true`: it was the last.
pub(super) fn take(mut bytes: &[u8], found: &mut dyn FnMut(SockDiagMessage)) -> io::Result<bool> {
    while let Some(length) = bytes.first_chunk::<4>().map(|length| u32::from_ne_bytes(*length) as usize) {
        let Some(message) = bytes.get(..length).filter(|message| !message.is_empty()) else {
            break;
        };
        // One message that makes no sense (a name that is not ended) costs one socket, not the table.
        if let Ok(message) = NetlinkMessage::<SockDiagMessage>::deserialize(message) {
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(message) => found(message),
                _ => {}
            }
        }
        // Messages are aligned to 4 bytes (NLMSG_ALIGNTO).
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

pub(super) fn listener(message: SockDiagMessage) -> Option<ListeningSocket> {
    match message {
        SockDiagMessage::InetResponse(answer) => {
            let header = answer.header;
            Some(ListeningSocket {
                address: tcp(header.socket_id.source_address, header.socket_id.source_port),
                inode: header.inode.into(),
                queue: Some(Queue { waiting: header.recv_queue, limit: header.send_queue }),
            })
        }
        SockDiagMessage::UnixResponse(answer) if answer.header.kind == SOCK_STREAM => {
            let name = match answer.name()? {
                UnixDiagName::Pathname(path) => PathBuf::from(path),
                UnixDiagName::Abstract(name) => {
                    PathBuf::from(format!("@{}", String::from_utf8_lossy(super::net::without_padding(name))))
                }
            };
            let queue = answer.nlas.iter().find_map(|nla| match nla {
                Nla::ReceiveQueueLength(waiting, limit) => Some(Queue { waiting: *waiting, limit: *limit }),
                _ => None,
            });
            Some(ListeningSocket { address: Address::Unix(name), inode: answer.header.inode.into(), queue })
        }
        SockDiagMessage::UnixResponse(_) | SockDiagMessage::InetRequest(_) | SockDiagMessage::UnixRequest(_) => None,
    }
}

/// A v4 address that a v6 socket is bound to (`::ffff:127.0.0.1`, as Java does) is that v4 address.
fn tcp(ip: IpAddr, port: u16) -> Address {
    Address::Tcp((ip.to_canonical(), port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn real_listeners_are_seen_with_their_queues() {
        let four = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("a b.sock");
        let unix = std::os::unix::net::UnixListener::bind(&path).expect("listener");
        let waiting: Vec<_> =
            (0..3).map(|_| std::net::TcpStream::connect(four.local_addr().expect("address")).expect("connect")).collect();
        let _client = std::os::unix::net::UnixStream::connect(&path).expect("connect");
        let by_netlink = by_netlink().expect("sock_diag");
        let by_proc = procfs::read(&Root::host()).expect("/proc/net");
        let of =
            |table: &[ListeningSocket], address: &Address| table.iter().find(|l| l.address == *address).expect("listed").clone();
        let (four_at, unix_at) = (Address::Tcp(four.local_addr().expect("address")), Address::Unix(path));
        let seen = of(&by_netlink, &four_at);
        assert_eq!((seen.queue.map(|queue| queue.waiting), seen.inode), (Some(3), of(&by_proc, &four_at).inode));
        assert!(seen.queue.expect("queue").limit >= 128);
        let seen = of(&by_netlink, &unix_at);
        assert_eq!((seen.queue.map(|queue| queue.waiting), seen.inode), (Some(1), of(&by_proc, &unix_at).inode));
        // A connection is no listener.
        let from = Address::Tcp(waiting[0].local_addr().expect("address"));
        assert!(by_netlink.iter().chain(&by_proc).all(|listener| listener.address != from));
        drop((four, unix));
        let after = listening(&Root::host()).await.expect("sockets");
        assert!(after.iter().all(|listener| listener.address != four_at && listener.address != unix_at));
    }

    #[test]
    fn garbage_from_the_kernel_is_survived() {
        let mut found = Vec::new();
        for bytes in [&[][..], &[1], &[0; 64], &[0xff; 64], &[16, 0, 0, 0, 20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(!take(bytes, &mut |message| found.extend(listener(message))).expect("no error"));
        }
        assert!(found.is_empty());
    }
}
