//! One connection under deadlines: what it said first is kept, and every error becomes an outcome.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::patience;
use crate::{
    model::{Address, Outcome, Phase, TlsFault},
    sys::{ConnectError, Stopwatch, Stream},
};

/// Bytes taken by one read: what a response header usually fits in, and little enough for a hundred probes at once.
const READ_BYTES: usize = 16 << 10;
/// First bytes of the peer that are kept in the clear, to tell what it speaks.
const FIRST_BYTES: usize = 64;

/// Where a connection leads, with all names resolved.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// From an address of ours, or as the kernel chooses.
    Tcp(SocketAddr, Option<IpAddr>),
    Unix(PathBuf),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(at, _) => at.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Peer {
    /// The same as the model has it.
    pub(super) fn address(&self) -> Address {
        match self {
            Self::Tcp(at, _) => Address::Tcp(*at),
            Self::Unix(path) => Address::Unix(path.clone()),
        }
    }

    /// Connects; an error is the outcome that it means.
    pub(super) async fn connect(&self, within: Duration) -> Result<Stream, Outcome> {
        let connected = async {
            match self {
                Self::Tcp(at, from) => Stream::tcp_from(*at, *from, within).await,
                Self::Unix(path) => Stream::unix(path, within).await,
            }
        };
        let stream = tokio::select! {
            biased;
            stream = connected => stream,
            () = patience::cut() => return Err(Outcome::Timeout(Phase::Connect)),
        };
        stream.map_err(|error| match error {
            ConnectError::Timeout(_) => Outcome::Timeout(Phase::Connect),
            ConnectError::Source(_) => Outcome::NoSource,
            // EAGAIN has this meaning on unix sockets only (unix(7)).
            ConnectError::Io(error) if matches!(self, Self::Unix(_)) && error.kind() == io::ErrorKind::WouldBlock => {
                Outcome::QueueFull
            }
            ConnectError::Io(error) => outcome_of(&error, Phase::Connect),
        })
    }
}

/// What an error of the operating system, or of the TLS layer above it, means in this phase (connect(2), unix(7), ip(7)).
pub(super) fn outcome_of(error: &io::Error, phase: Phase) -> Outcome {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Outcome::Tls(super::tls::fault(tls));
    }
    let Some(errno) = error.raw_os_error() else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Outcome::Closed(phase),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Outcome::Reset(phase),
            io::ErrorKind::TimedOut => Outcome::Timeout(phase),
            // What std says of a unix socket's path of more than 107 bytes, or with a NUL byte in it.
            io::ErrorKind::InvalidInput => Outcome::Os(Errno::NAMETOOLONG.raw_os_error()),
            _ if phase == Phase::Tls => Outcome::Tls(TlsFault::Other(error.to_string())),
            _ => Outcome::Os(0),
        };
    };
    match Errno::from_raw_os_error(errno) {
        Errno::CONNREFUSED => Outcome::Refused,
        Errno::NOENT | Errno::NOTDIR => Outcome::NotFound,
        Errno::ACCESS | Errno::PERM => Outcome::Denied,
        Errno::ADDRNOTAVAIL => Outcome::NoLocalPort,
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETDOWN => Outcome::Unreachable,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Outcome::Reset(phase),
        Errno::TIMEDOUT => Outcome::Timeout(phase),
        _ => Outcome::Os(errno),
    }
}

/// The first bytes that came, shared with whoever wants to know after the connection is gone.
#[derive(Debug, Clone, Default)]
pub(super) struct First(Arc<Mutex<Vec<u8>>>);

impl First {
    /// A copy of them.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST_BYTES.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
    }
}

/// A stream whose first received bytes are kept, below any TLS.
#[derive(Debug)]
pub(super) struct Tap {
    inner: Stream,
    first: First,
}

impl Tap {
    pub(super) fn new(inner: Stream) -> (Self, First) {
        let first = First::default();
        (Self { inner, first: first.clone() }, first)
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.first.keep(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Plain or encrypted.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection with one deadline over all that is done on it.
pub(super) struct Conn {
    io: Box<dyn Duplex>,
    watch: Stopwatch,
    total: Duration,
    /// When the last byte of the request was sent, in milliseconds of `watch`.
    sent: f64,
    /// When bytes last came, in milliseconds of `watch`.
    pub(super) heard: f64,
    /// From the request's last byte to the response's first, in milliseconds.
    pub(super) first_byte: Option<f64>,
}

impl Conn {
    pub(super) fn new(io: impl Duplex + 'static, watch: Stopwatch, total: Duration) -> Self {
        let now = watch.ms();
        Self { io: Box::new(io), watch, total, sent: now, heard: now, first_byte: None }
    }

    /// Milliseconds since anything came.
    pub(super) fn silent_ms(&self) -> f64 {
        self.watch.ms() - self.heard
    }

    /// Sends all of it.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        let work = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        let result = tokio::time::timeout(self.watch.left(self.total), work).await;
        self.sent = self.watch.ms();
        match result {
            Err(_) => Err(Outcome::Timeout(Phase::Send)),
            Ok(result) => result.map_err(|error| outcome_of(&error, Phase::Send)),
        }
    }

    /// Reads what comes next to the end of `buf`; 0: the peer closed.
    pub(super) async fn read(&mut self, buf: &mut Vec<u8>, phase: Phase) -> Result<usize, Outcome> {
        let left = self.watch.left(self.total);
        self.read_within(buf, phase, left).await
    }

    /// [`Conn::read`] with a time of its own, within the deadline.
    pub(super) async fn read_within(&mut self, buf: &mut Vec<u8>, phase: Phase, within: Duration) -> Result<usize, Outcome> {
        let within = within.min(self.watch.left(self.total));
        // A peer that always has more would never let the timer be polled: look at the clock first.
        if within.is_zero() {
            return Err(Outcome::Timeout(phase));
        }
        let mut chunk = (&mut self.io).take(READ_BYTES as u64);
        buf.reserve(READ_BYTES);
        let read = tokio::select! {
            biased;
            read = tokio::time::timeout(within, chunk.read_buf(buf)) => read,
            () = patience::cut() => return Err(Outcome::Timeout(phase)),
        };
        match read {
            Err(_) => Err(Outcome::Timeout(phase)),
            // A TLS peer that closes without close_notify: for HTTP/1.0 answers this is common, and the length decides.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Ok(Err(error)) => Err(outcome_of(&error, phase)),
            Ok(Ok(count)) => {
                if count > 0 {
                    self.heard = self.watch.ms();
                    self.first_byte.get_or_insert(self.heard - self.sent);
                }
                Ok(count)
            }
        }
    }
}
