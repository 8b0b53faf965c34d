//! What one probe found: a closed set, so that every rule about outcomes is an exhaustive match.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::TrustFault;

/// The step of an exchange at which something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Resolving the name.
    Resolve,
    /// Connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the first byte or the end of the response header.
    Head,
    /// Reading the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Send => "sending the request",
            Self::Head => "waiting for the response header",
            Self::Body => "reading the body",
        })
    }
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFault {
    /// The peer answered the ClientHello with something that is no TLS record.
    NotTls,
    /// The peer sent this alert.
    Alert(String),
    /// The gateway would not trust the certificate, for this reason first; the handshake itself succeeds.
    Untrusted(TrustFault),
    /// The handshake failed in another way.
    Other(String),
}

/// Why a name did not resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameFault {
    /// The name does not exist.
    NxDomain,
    /// The name exists, without an address.
    NoData,
    /// The name server failed or refused.
    ServFail,
    /// No name server answered in time.
    Silent,
    /// No name server is configured.
    NoServer,
}

/// Why an answer is no valid response.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Garbage {
    /// The first bytes are no status line.
    StatusLine,
    /// A header line is malformed, or lengths contradict each other.
    Header(String),
    /// The chunked coding is broken.
    Chunk,
    /// A FastCGI, uwsgi or SCGI answer breaks its own framing.
    Framing(String),
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A valid response with this status.
    Status(u16),
    /// The connection was made (and the handshake, with TLS), and no more was asked for.
    Open,
    /// ECONNREFUSED: nothing listens, or a filter rejects with a reset.
    Refused,
    /// ENOENT: the socket's path, or the file, does not exist.
    NotFound,
    /// EACCES or EPERM.
    Denied,
    /// EAGAIN on a unix socket: its listen queue is full (unix(7)).
    QueueFull,
    /// EADDRNOTAVAIL: no local port is left towards this address.
    NoLocalPort,
    /// The source address that the gateway connects from is none of the host's.
    NoSource,
    /// ENETUNREACH, EHOSTUNREACH, EHOSTDOWN.
    Unreachable,
    /// The peer closed in this phase, before the answer was complete.
    Closed(Phase),
    /// ECONNRESET or EPIPE in this phase.
    Reset(Phase),
    /// Nothing more came within the deadline.
    Timeout(Phase),
    /// The TLS handshake failed.
    Tls(TlsFault),
    /// The peer speaks this instead: `tls`, `http/2`, `http/1`, `fastcgi`, `ssh`, `smtp`, `redis`, ...
    Speaks(String),
    /// No valid response.
    Invalid(Garbage),
    /// The response header is larger than the gateway's buffer for it.
    HeaderTooBig {
        /// Bytes seen when reading stopped, at least.
        bytes: u32,
        /// The gateway's buffer in bytes.
        limit: u32,
    },
    /// The name did not resolve.
    Name(NameFault),
    /// Another error of the operating system.
    Os(i32),
    /// The probe could not be made here.
    Skipped(String),
}

impl Outcome {
    /// The last word of the fact that a probe with this outcome yields: `probe:upstream:refused`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(200..=399) => "ok",
            Self::Status(400..=499) => "client-error",
            Self::Status(502..=504) => "bad-gateway",
            Self::Status(500..=599) => "server-error",
            Self::Status(_) => "odd-status",
            Self::Open => "open",
            Self::Refused => "refused",
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::QueueFull => "queue-full",
            Self::NoLocalPort => "no-local-port",
            Self::NoSource => "no-source",
            Self::Unreachable => "unreachable",
            Self::Closed(Phase::Tls) | Self::Reset(Phase::Tls) => "tls-closed",
            Self::Closed(Phase::Body) | Self::Reset(Phase::Body) => "truncated",
            Self::Closed(_) => "closed",
            Self::Reset(_) => "reset",
            Self::Timeout(Phase::Connect | Phase::Resolve) => "connect-timeout",
            Self::Timeout(Phase::Tls) => "tls-timeout",
            Self::Timeout(_) => "timeout",
            Self::Tls(TlsFault::NotTls) => "not-tls",
            Self::Tls(TlsFault::Untrusted(_)) => "tls-untrusted",
            Self::Tls(_) => "tls-failed",
            Self::Speaks(_) => "other-protocol",
            Self::Invalid(_) => "invalid",
            Self::HeaderTooBig { .. } => "header-too-big",
            Self::Name(_) => "unresolved",
            Self::Os(_) => "os-error",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Every word that [`Outcome::name`] can give.
    pub const NAMES: &'static [&'static str] = &[
        "ok",
        "client-error",
        "bad-gateway",
        "server-error",
        "odd-status",
        "open",
        "refused",
        "not-found",
        "denied",
        "queue-full",
        "no-local-port",
        "no-source",
        "unreachable",
        "tls-closed",
        "truncated",
        "closed",
        "reset",
        "connect-timeout",
        "tls-timeout",
        "timeout",
        "not-tls",
        "tls-untrusted",
        "tls-failed",
        "other-protocol",
        "invalid",
        "header-too-big",
        "unresolved",
        "os-error",
        "skipped",
    ];

    /// Whether a gateway that got this from its upstream could serve it to a client. `None`: cannot be told.
    pub fn serves(&self) -> Option<bool> {
        match self {
            Self::Status(502..=504) => Some(false),
            Self::Status(_) | Self::Open => Some(true),
            Self::Skipped(_) => None,
            _ => Some(false),
        }
    }
}

impl fmt::Display for Outcome {
    /// A word or two for a column: `502`, `REFUSED`, `closed early`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "{code}"),
            Self::Open => f.write_str("open"),
            Self::Refused => f.write_str("REFUSED"),
            Self::NotFound => f.write_str("NO SUCH SOCKET"),
            Self::Denied => f.write_str("DENIED"),
            Self::QueueFull => f.write_str("QUEUE FULL"),
            Self::NoLocalPort => f.write_str("NO LOCAL PORT"),
            Self::NoSource => f.write_str("NO SUCH SOURCE ADDRESS"),
            Self::Unreachable => f.write_str("UNREACHABLE"),
            Self::Closed(Phase::Body) | Self::Reset(Phase::Body) => f.write_str("TRUNCATED"),
            Self::Closed(_) => f.write_str("CLOSED EARLY"),
            Self::Reset(_) => f.write_str("RESET"),
            Self::Timeout(phase) => write!(f, "TIMEOUT {phase}"),
            Self::Tls(TlsFault::NotTls) => f.write_str("NOT TLS"),
            Self::Tls(TlsFault::Alert(alert)) => write!(f, "TLS ALERT {alert}"),
            Self::Tls(TlsFault::Untrusted(fault)) => write!(f, "UNTRUSTED {}", fault.word()),
            Self::Tls(TlsFault::Other(why)) => write!(f, "TLS {why}"),
            Self::Speaks(what) => write!(f, "SPEAKS {what}"),
            Self::Invalid(Garbage::StatusLine) => f.write_str("NOT HTTP"),
            Self::Invalid(Garbage::Header(_)) => f.write_str("BAD HEADER"),
            Self::Invalid(Garbage::Chunk) => f.write_str("BAD CHUNK"),
            Self::Invalid(Garbage::Framing(_)) => f.write_str("BAD FRAMING"),
            Self::HeaderTooBig { bytes, limit } => write!(f, "HEADER {bytes} > {limit}"),
            Self::Name(fault) => f.write_str(match fault {
                NameFault::NxDomain => "NXDOMAIN",
                NameFault::NoData => "NO ADDRESS",
                NameFault::ServFail => "SERVFAIL",
                NameFault::Silent => "DNS SILENT",
                NameFault::NoServer => "NO RESOLVER",
            }),
            Self::Os(errno) => write!(f, "errno {errno}"),
            Self::Skipped(_) => f.write_str("not tried"),
        }
    }
}
