//! Connections, one attempt at a time, with the error number kept.

use std::{
    borrow::Cow,
    collections::VecDeque,
    ffi::OsStr,
    io,
    net::{IpAddr, SocketAddr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::Way;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream, UnixStream},
};

/// Why a connection was not made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing came within the deadline.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The source address that was asked for is none of the host's.
    #[error("the source address cannot be used: {0}")]
    Source(io::Error),
    /// The operating system said why.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A connection to an upstream or gateway.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Connects over TCP. Without Nagle's delay: the time to the first byte is measured (RFC 9293 section 3.7.4).
    pub async fn tcp(to: SocketAddr, within: Duration) -> Result<Self, ConnectError> {
        Self::tcp_from(to, None, within).await
    }

    /// The same, from one of the host's addresses. One of another family than the peer's is passed over.
    pub async fn tcp_from(to: SocketAddr, from: Option<IpAddr>, within: Duration) -> Result<Self, ConnectError> {
        if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind((from, 0).into()).map_err(ConnectError::Source)?;
            let stream = tokio::time::timeout(within, socket.connect(to)).await.map_err(|_| ConnectError::Timeout(within))??;
            return Self::made(stream);
        }
        Self::made(tokio::time::timeout(within, TcpStream::connect(to)).await.map_err(|_| ConnectError::Timeout(within))??)
    }

    fn made(stream: TcpStream) -> Result<Self, ConnectError> {
        stream.set_nodelay(true)?;
        remember(stream.local_addr()?);
        Ok(Self::Tcp(stream))
    }

    /// Connects over TCP in another network namespace: a socket stays in that in which it was made, so a thread of its own makes it
    /// there and ends.
    pub async fn tcp_in(way: &Way, to: SocketAddr, within: Duration) -> Result<Self, ConnectError> {
        let (way, (done, made)) = (way.clone(), tokio::sync::oneshot::channel());
        let connect = move || {
            let _ = done.send(way.enter_net().and_then(|()| std::net::TcpStream::connect_timeout(&to, within)));
        };
        std::thread::Builder::new().name("namespace".to_owned()).spawn(connect)?;
        let made = tokio::time::timeout(within, made).await.map_err(|_| ConnectError::Timeout(within))?;
        let stream = made.map_err(io::Error::other)??;
        stream.set_nonblocking(true)?;
        Self::made(TcpStream::from_std(stream)?)
    }

    /// Connects to a unix socket. A full listen queue is EAGAIN at once (unix(7)), as the gateway would see it.
    pub async fn unix(path: &Path, within: Duration) -> Result<Self, ConnectError> {
        let path = kernel_name(path);
        let connect = async |path: &Path| match tokio::time::timeout(within, UnixStream::connect(path)).await {
            Ok(made) => made.map_err(ConnectError::from),
            Err(_) => Err(ConnectError::Timeout(within)),
        };
        let made = match (connect(&path).await, padded(&path)) {
            // Nobody has that name; the padded one is another for the kernel, and the same for whoever wrote the configuration.
            (Err(ConnectError::Io(error)), Some(other)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                connect(&other).await.map_err(|_| ConnectError::Io(error))
            }
            (made, _) => made,
        };
        made.map(Self::Unix)
    }
}

/// Connections of this process whose own ends are known, at most: what was made in the seconds before a request stands in a log.
const OWN_ENDS: usize = 1024;
/// The own ends of the latest connections.
static OWN: Mutex<VecDeque<SocketAddr>> = Mutex::new(VecDeque::new());
/// Whether there is any: most who read logs without end have made none.
static CONNECTED: AtomicBool = AtomicBool::new(false);

fn remember(own: SocketAddr) {
    let mut ends = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if ends.len() >= OWN_ENDS {
        ends.pop_front();
    }
    ends.push_back(own);
    CONNECTED.store(true, Ordering::Release);
}

/// Whether this process has connected to anything.
pub fn has_connected() -> bool {
    CONNECTED.load(Ordering::Acquire)
}

/// Whether this process itself connected from there lately: by that a request is known as its own in a log that has the client's port.
pub fn connected_from(client: SocketAddr) -> bool {
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    OWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&client)
}

/// Bytes of `sun_path` (unix(7)).
pub(in crate::sys) const SUN_PATH: usize = 108;

/// An abstract name, without its first NUL byte, as configurations write it: HAProxy (`abns@`, configuration.txt section 4.2, bind) pads
/// names with NUL bytes to the end of the address, and the kernel takes all of these for part of the name.
pub(in crate::sys) fn without_padding(name: &[u8]) -> &[u8] {
    let padded = name.len() + 1 == SUN_PATH;
    let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if padded { &name[..end] } else { name }
}

/// The same abstract name with the padding that HAProxy gives it. `None`: it has a path, or no room for any.
fn padded(path: &Path) -> Option<PathBuf> {
    let mut name = path.as_os_str().as_bytes().strip_prefix(b"\0")?.to_vec();
    (name.len() + 1 < SUN_PATH).then_some(())?;
    name.insert(0, 0);
    name.resize(SUN_PATH, 0);
    Some(OsStr::from_bytes(&name).into())
}

/// The name as the kernel takes it: a leading `@`, as configurations and `ss` write Linux's abstract namespace, is a NUL byte
/// there (unix(7)).
fn kernel_name(path: &Path) -> Cow<'_, Path> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        None => Cow::Borrowed(path),
        Some(name) => Cow::Owned(OsStr::from_bytes(&[b"\0", name].concat()).into()),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
