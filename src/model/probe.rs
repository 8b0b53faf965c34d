//! A probe to be made, and what it found.

use serde::{Deserialize, Serialize};

use super::{Address, Identity, Outcome, Protocol, Subject};

/// The request that a probe sends. Only safe methods are ever sent (RFC 9110 section 9.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path, without the query that the user's own request had.
    pub path: String,
    /// The Host header.
    pub host: String,
    /// CGI parameters for FastCGI, uwsgi and SCGI, in order: `SCRIPT_FILENAME` and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
}

/// One probe, as planned: what to try, against what, as whom, for how long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProbeJob {
    /// Id of the probe in `probe::ALL`.
    pub probe: String,
    /// What the result is about.
    pub subject: Subject,
    /// The upstreams that the request can reach, for a probe through the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Subject>,
    /// Where it goes.
    pub address: Address,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The request; `None` where only the connection is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<HttpRequest>,
    /// The TLS server name; `None`: no SNI is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// As whom: the gateway's own user. `None`: as whoever runs this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Milliseconds for the connection.
    pub connect_ms: u64,
    /// Milliseconds for the whole exchange.
    pub total_ms: u64,
    /// Bytes that the gateway takes as a response header. `None`: no limit of the gateway's is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_limit: Option<u32>,
}

impl ProbeJob {
    /// A short name for a column: `http://127.0.0.1:8000/cart`.
    pub fn label(&self) -> String {
        let path = self.request.as_ref().map_or("", |request| request.path.as_str());
        match &self.address {
            Address::Unix(_) if path.is_empty() || path == "/" => format!("{}", self.address),
            Address::Unix(_) => format!("{}:{path}", self.address),
            Address::Tcp(_) | Address::Name(..) => format!("{}://{}{path}", self.protocol.scheme(), self.address),
        }
    }
}

/// Milliseconds of each phase; `None`: the phase was not reached or does not exist here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// Resolving the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<f64>,
    /// Connecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    /// From the request's last byte to the response's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    /// From begin to end.
    pub total: f64,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The probe as planned.
    pub job: ProbeJob,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub phases: Phases,
    /// One line more for a person: the address tried, the alert, the first bytes. Foreign text: sanitise before showing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Who produced the answer, as its `Server` header and error page tell: `nginx`, `apache`, `haproxy`, `caddy`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emitter: Option<String>,
    /// Bytes of the response header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_bytes: Option<u32>,
    /// As whom it was really made: the gateway's user, or nobody else than ourselves.
    #[serde(default)]
    pub as_gateway: bool,
}

/// All probes that are to be made from now on, until another plan replaces this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePlan {
    /// Counts up with each change of `jobs`.
    pub number: u64,
    /// What to try. A job that the plan before had keeps its results.
    pub jobs: Vec<ProbeJob>,
    /// Milliseconds from the begin of one round to the begin of the next.
    pub period_ms: u64,
    /// Counts up when all jobs are to be made now, whenever they were made last.
    #[serde(default)]
    pub asked: u64,
}
