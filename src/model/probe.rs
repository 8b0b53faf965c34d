//! A probe to be made, and what it found.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Address, Flaw, Identity, Outcome, Protocol, Resolution, Subject, TrustSettings, View};

/// The request that a probe sends. Only safe methods are ever sent (RFC 9110 section 9.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path: `/cart`.
    pub path: String,
    /// The query behind it, where the operator named one: `id=5`. What a log tells of is asked for without its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The Host header.
    pub host: String,
    /// Header lines besides those that every request has: `Cache-Control: no-cache`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// CGI parameters for FastCGI, uwsgi and SCGI, in order: `SCRIPT_FILENAME` and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
}

impl HttpRequest {
    /// Path and query, as they stand in the request line (RFC 9112 section 3.2.1).
    pub fn target(&self) -> Cow<'_, str> {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path).into(),
            None => self.path.as_str().into(),
        }
    }
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
    /// How the gateway speaks TLS there. `None`: it does not, or it is not known how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Box<TrustSettings>>,
    /// As whom: the gateway's own user. `None`: as whoever runs this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether a header of the PROXY protocol goes first, as the gateway sends one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preamble: bool,
    /// The address that it comes from, as the gateway's does. `None`: as the kernel chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<std::net::IpAddr>,
    /// Milliseconds for the connection.
    pub connect_ms: u64,
    /// Milliseconds for the whole exchange.
    pub total_ms: u64,
    /// Bytes that the gateway takes as a response header. `None`: no limit of the gateway's is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_limit: Option<u32>,
    /// How the gateway turns a name in `address` into addresses.
    #[serde(default, skip_serializing_if = "Resolution::is_default")]
    pub names: Resolution,
    /// The proxy that it goes by: `http://host:port` or `socks5://host:port`. `None`: straight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Milliseconds from one try to the next at least, where once in each period would be too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// Requests of others that hang make it needless to wait as long as they have. `None`: ours is waited for whatever they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siblings: Option<Box<Siblings>>,
}

/// Requests of others to the servers that answer ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Siblings {
    /// The servers, as they are called where the probe is made.
    pub at: Vec<std::net::SocketAddr>,
    /// Milliseconds for which one of them has waited without a byte of an answer, at least: as long as ours would be waited for.
    pub waited_ms: u64,
}

impl ProbeJob {
    /// A bare connection to this address, as ourselves, with these limits in milliseconds: who plans more says what differs.
    pub fn new(probe: &str, subject: Subject, address: Address, protocol: Protocol, (connect_ms, total_ms): (u64, u64)) -> Self {
        Self {
            probe: probe.to_owned(),
            subject,
            upstreams: Vec::new(),
            address,
            protocol,
            request: None,
            sni: None,
            trust: None,
            identity: None,
            preamble: false,
            source: None,
            connect_ms,
            total_ms,
            header_limit: None,
            names: Resolution::AtEachUse,
            via: None,
            every_ms: None,
            siblings: None,
        }
    }

    /// Whether the connection begins with a TLS handshake.
    pub fn tls(&self) -> bool {
        self.protocol.tls() || self.trust.is_some()
    }

    /// A short name for a column: `http://127.0.0.1:8000/cart`.
    pub fn label(&self) -> String {
        let path = self.request.as_ref().map_or("".into(), HttpRequest::target);
        match self.address.bare() {
            Address::Unix(_) if path.is_empty() || path == "/" => format!("{}", self.address),
            Address::Unix(_) => format!("{}:{path}", self.address),
            Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => {
                let inside = self.address.place().map_or_else(String::new, |place| format!(" (in {place})"));
                format!("{}://{}{path}{inside}", self.protocol.scheme(), self.address.bare())
            }
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
    /// The address that took the connection, or the last that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Address>,
    /// Whether `emitter` is told by the words of an error page: a gateway puts its `Server` header on what it passes on, too.
    #[serde(default)]
    pub own_page: bool,
    /// What is doubtful about the answer, though it is taken for one here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaws: Vec<Flaw>,
    /// Bytes of the response header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_bytes: Option<u32>,
    /// As whom it was really made: the gateway's user, or nobody else than ourselves.
    #[serde(default)]
    pub as_gateway: bool,
    /// Seconds for which it asks to be left alone (`Retry-After` of 429 and 503).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// What the proxy on the way did instead of passing the request on. `None`: it did, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_fault: Option<String>,
    /// What else it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

impl ProbeReport {
    /// A report with an outcome, and nothing else known yet.
    pub fn new(job: ProbeJob, outcome: Outcome) -> Self {
        Self {
            job,
            outcome,
            phases: Phases::default(),
            detail: String::new(),
            emitter: None,
            peer: None,
            own_page: false,
            flaws: Vec::new(),
            head_bytes: None,
            as_gateway: false,
            retry_after_s: None,
            proxy_fault: None,
            view: None,
        }
    }
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
    /// Subjects of jobs of which it is known otherwise that no answer will come: those under way end soon, as what they have come to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<Subject>,
    /// Whether a gateway's log tells that users are served now: that others wait tells nothing then, as some wait on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub served: bool,
}

impl ProbePlan {
    /// Milliseconds from one round to the next on a host on which all is well.
    pub const CALM_MS: u64 = 10_000;

    /// Whether probes are made quicker than on a good day: something fails, or has just changed, or nothing is known yet.
    pub fn quick(&self) -> bool {
        self.period_ms < Self::CALM_MS
    }
}
