//! Connections, one attempt at a time, with the error number kept.

use std::{
    borrow::Cow,
    ffi::OsStr,
    io,
    net::SocketAddr,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// Why a connection was not made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing came within the deadline.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
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
        let stream = tokio::time::timeout(within, TcpStream::connect(to)).await.map_err(|_| ConnectError::Timeout(within))??;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Connects to a unix socket. A full listen queue is EAGAIN at once (unix(7)), as the gateway would see it.
    pub async fn unix(path: &Path, within: Duration) -> Result<Self, ConnectError> {
        let path = kernel_name(path);
        let stream =
            tokio::time::timeout(within, UnixStream::connect(&path)).await.map_err(|_| ConnectError::Timeout(within))??;
        Ok(Self::Unix(stream))
    }
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
