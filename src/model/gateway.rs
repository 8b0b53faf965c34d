//! What is known of a gateway: its process and what its configuration says.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{
    Address, BlindSpot, ConfigTest, Identity, Inside, LogSource, OldWorker, PathMatch, Protocol, Resolution, Reuse, RouteChoice,
    Settings, Shared, TrustSettings,
};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the gateway names it: below the root that is looked at.
    #[serde(with = "super::shared::path")]
    pub file: Arc<PathBuf>,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A value in force and where it was written; `None` for the gateway's own default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The value, as written.
    pub value: CompactString,
    /// Where it stands.
    pub at: Option<Place>,
}

/// Whether the gateway runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It runs.
    Running {
        /// The master process, or the only one.
        pid: u32,
        /// When it started, in seconds since the Unix epoch.
        since: Option<i64>,
        /// When the processes that now serve requests started: later than `since` after a reload.
        workers_since: Option<i64>,
    },
    /// It does not run, but something says that it should: a binary with a configuration, an enabled unit, recent logs.
    Stopped {
        /// What says so.
        why_expected: String,
    },
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listen {
    /// Address as configured; `0.0.0.0` and `[::]` for any.
    pub address: Address,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whether the PROXY protocol is expected before the request.
    pub proxy_protocol: bool,
    /// Whether this site takes the requests whose name no site of this address has.
    #[serde(default)]
    pub default: bool,
    /// Where it is configured.
    pub at: Place,
}

/// What a server of a pool is there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Serves.
    #[default]
    Primary,
    /// Serves when no primary does.
    Backup,
    /// Taken out on purpose.
    Down,
}

/// One server behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Server {
    /// What the gateway's logs and its live state call it within its pool. `None`: they name the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<CompactString>,
    /// Where the gateway connects.
    pub address: Address,
    /// What for.
    pub role: Role,
    /// How its name becomes an address, where it is known by one.
    #[serde(default, skip_serializing_if = "Resolution::is_default")]
    pub names: Resolution,
    /// Where it is written.
    pub at: Place,
}

impl Server {
    /// An ordinary one: it serves, has no name of its own, and its address is found at start.
    pub fn new(address: Address, at: Place) -> Self {
        Self { name: None, address, role: Role::Primary, names: Resolution::default(), at }
    }
}

/// A named group of servers: nginx `upstream`, HAProxy `backend`, Apache `Proxy balancer://`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its servers.
    pub servers: Vec<Server>,
    /// What else is set in it: `keepalive`, `zone`, `next_upstream`.
    #[serde(default)]
    pub settings: Settings,
    /// Where it begins.
    pub at: Place,
}

/// Key in [`Route::settings`]: the gateway sends a header of the PROXY protocol before everything else.
pub const SENDS_PROXY: &str = "sends-proxy";
/// Key in [`Pool::settings`]: requests pick the pool by a variable, so that it may be in use though no route leads there.
pub const PICKED: &str = "picked-by-request";
/// Key in [`Route::settings`] of what a route needs and does not have, so that each request fails although the configuration loads.
pub const LACKS: &str = "lacks";
/// Key in [`Route::settings`] of what would help, in the gateway's own words.
pub const LACKS_CURE: &str = "lacks-cure";

/// A part of a site that is passed to an upstream: nginx `location`, Apache `ProxyPass`, HAProxy `use_backend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The pattern as written: `/api/`, `~ \.php$`.
    pub pattern: String,
    /// The paths that it takes. `None`: `pattern` tells, in nginx's words.
    #[serde(default)]
    pub takes: Option<PathMatch>,
    /// A path that a request can have to get here.
    pub sample_path: String,
    /// What is spoken to the upstream.
    pub protocol: Protocol,
    /// Name of the pool in [`Gateway::pools`], when one is named.
    pub pool: Option<String>,
    /// The servers: those of the pool, or the one that is named directly.
    pub servers: Vec<Server>,
    /// How the path changes on its way: this prefix of it is replaced by that text.
    #[serde(default)]
    pub rewrite: Option<Box<(String, String)>>,
    /// The Host header that the upstream sees. `None`: the client's.
    pub host_header: Option<String>,
    /// The TLS server name that the upstream sees. `None`: none is sent.
    pub sni: Option<String>,
    /// How it speaks TLS to the upstream. `None`: it does not, or it is not known how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Box<TrustSettings>>,
    /// CGI parameters with a static value, and `SCRIPT_FILENAME` for the sample path, for FastCGI, uwsgi and SCGI.
    #[serde(default)]
    pub params: Vec<(String, String)>,
    /// Milliseconds that the gateway waits for the connection.
    pub connect_ms: u64,
    /// Milliseconds that the gateway waits between two reads of the answer. `u64::MAX`: for ever.
    pub read_ms: u64,
    /// Bytes that the gateway takes as a response header.
    pub header_limit: Option<u32>,
    /// The address that the gateway connects from. `None`: as the kernel chooses.
    #[serde(default)]
    pub source: Option<std::net::IpAddr>,
    /// Whether connections to the upstream are used again.
    #[serde(default)]
    pub reuse: Reuse,
    /// The settings that bear on a failing request, with their places: time-outs, buffers, `next_upstream`, trust.
    #[serde(default)]
    pub settings: Settings,
    /// What is passed to the upstream is decided when a request comes: a variable that the file alone does not tell.
    #[serde(default)]
    pub dynamic: Option<String>,
    /// Where the upstream is named.
    pub at: Place,
}

impl Route {
    /// One that takes every path and has nothing set: each kind says what differs.
    pub fn new(protocol: Protocol, at: Place) -> Self {
        Self {
            pattern: "/".to_owned(),
            takes: Some(PathMatch::Any),
            sample_path: "/".to_owned(),
            protocol,
            pool: None,
            servers: Vec::new(),
            rewrite: None,
            host_header: None,
            sni: None,
            trust: None,
            params: Vec::new(),
            connect_ms: Self::TIMEOUT_MS,
            read_ms: Self::TIMEOUT_MS,
            header_limit: None,
            source: None,
            reuse: Reuse::Unknown,
            settings: Settings::default(),
            dynamic: None,
            at,
        }
    }

    /// Milliseconds that an upstream is waited for where nothing else is known: as long as nginx and Apache httpd would.
    pub const TIMEOUT_MS: u64 = 60_000;
}

/// A virtual host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its names, as written; empty or `_` for the default.
    pub names: Vec<String>,
    /// Where it listens.
    pub listens: Vec<Listen>,
    /// What it passes on.
    pub routes: Vec<Route>,
    /// How it chooses among them.
    #[serde(default)]
    pub choice: RouteChoice,
    /// Where it begins.
    pub at: Place,
}

impl Site {
    /// The same in no more room than it needs: there may be 20,000 of them.
    #[must_use]
    pub fn compact(mut self) -> Self {
        self.names.shrink_to_fit();
        self.listens.shrink_to_fit();
        self.routes.shrink_to_fit();
        for route in &mut self.routes {
            route.servers.shrink_to_fit();
            route.params.shrink_to_fit();
        }
        self
    }

    /// A name that a request can carry: the first that is neither a pattern nor a placeholder.
    pub fn host(&self) -> Option<&str> {
        self.names
            .iter()
            .map(|name| name.strip_prefix('.').unwrap_or(name))
            .find(|name| !name.is_empty() && *name != "_" && !name.starts_with('~') && !name.contains('*') && !name.contains('$'))
    }
}

/// [`Gateway::settings`]: by what it stores answers, where its kind has no such setting for each route.
pub const CACHE: &str = "cache";
/// [`Gateway::settings`]: by what a stored answer that is too old stands in while the upstream fails.
pub const CACHE_STALE: &str = "cache stale";

/// How keys in [`Gateway::settings`] begin of the names of sites that are written and not loaded: `left out shop.test`.
pub const LEFT_OUT: &str = "left out";

/// A gateway on this host: one instance with one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Its kind, the id of a member of `gateway::ALL`: `nginx`.
    pub kind: String,
    /// Its version, where it could be told.
    pub version: Option<String>,
    /// Whether it runs.
    pub state: RunState,
    /// Its binary.
    pub binary: Option<PathBuf>,
    /// As whom it connects to upstreams. `None`: unknown.
    pub identity: Option<Identity>,
    /// The main configuration file.
    pub config: PathBuf,
    /// All files read, with their time of modification in seconds since the Unix epoch.
    pub files: Vec<(PathBuf, Option<i64>)>,
    /// Files that are read with each request, so that no reload is needed: `.htaccess`, whether they are there or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_request: Vec<PathBuf>,
    /// What in the configuration could not be understood or would not load, with its place.
    pub problems: Vec<(Place, String)>,
    /// Its sites.
    pub sites: Shared<Site>,
    /// Its pools.
    pub pools: Shared<Pool>,
    /// Its logs.
    pub logs: Vec<LogSource>,
    /// Settings of the gateway as a whole that bear on a failing request, by its own names: `worker_connections`, `MaxRequestWorkers`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Setting>,
    /// Name servers that it asks itself, as configured. Empty: names are resolved once, at start.
    pub resolvers: Vec<String>,
    /// The service's unit, where the process belongs to one: `nginx.service`.
    pub unit: Option<String>,
    /// What its own test said of the files as they are now. `None`: it was not, or could not be, made.
    #[serde(default)]
    pub test: Option<ConfigTest>,
    /// What that test was made of, where it was made now and passed: by this it is known again. Nothing for a recording.
    #[serde(skip)]
    pub tested: Option<u64>,
    /// Arguments of the commands for a person: test, reload, start.
    pub commands: BTreeMap<String, Vec<String>>,
    /// What could not be looked at.
    pub blind: Vec<BlindSpot>,
    /// Processes of an older configuration that finish what they began: after a reload, while long requests last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<OldWorker>,
    /// What is greater after each load of the configuration: tells two loads within one second apart, for which the times are too
    /// coarse. Its unit is the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The namespaces in which it runs. `None`: this host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
}

impl Route {
    /// Whether every server of it was taken out on purpose, so that none is left.
    pub fn all_out(&self) -> bool {
        !self.servers.is_empty() && self.servers.iter().all(|server| server.role == Role::Down)
    }

    /// The servers that requests can come to; where all were taken out on purpose, those.
    pub fn reachable(&self) -> impl Iterator<Item = &Server> {
        let all_out = self.all_out();
        self.servers.iter().filter(move |server| all_out || server.role != Role::Down)
    }
}

impl Gateway {
    /// One of which nothing more is known.
    pub fn new(kind: &str, config: impl Into<PathBuf>, state: RunState) -> Self {
        Self {
            kind: kind.to_owned(),
            version: None,
            state,
            binary: None,
            identity: None,
            config: config.into(),
            files: Vec::new(),
            per_request: Vec::new(),
            problems: Vec::new(),
            sites: Shared::default(),
            pools: Shared::default(),
            logs: Vec::new(),
            settings: BTreeMap::new(),
            resolvers: Vec::new(),
            unit: None,
            test: None,
            tested: None,
            commands: BTreeMap::new(),
            blind: Vec::new(),
            draining: Vec::new(),
            generation: None,
            inside: None,
        }
    }

    /// What an address is called on this host that the gateway itself names, in its logs or to whoever asks it.
    pub fn called(&self, address: &Address) -> Address {
        let pools = self.pools.iter().flat_map(|pool| &pool.servers);
        let mut known = self.routes().flat_map(|(_, route)| &route.servers).chain(pools).map(|server| &server.address);
        if let Some(known) = known.find(|known| known.place().is_some() && known.bare() == address) {
            return known.clone();
        }
        match &self.inside {
            Some(inside) if inside.differs(address) => address.inside(Some(&inside.place)),
            Some(_) | None => address.clone(),
        }
    }

    /// Whether it runs.
    pub fn running(&self) -> bool {
        matches!(self.state, RunState::Running { .. })
    }

    /// Each route with its site.
    pub fn routes(&self) -> impl Iterator<Item = (&Site, &Route)> {
        self.sites.iter().flat_map(|site| site.routes.iter().map(move |route| (site, route)))
    }

    /// Its name with version: `nginx/1.22.1`.
    pub fn title(&self) -> String {
        self.version.as_ref().map_or_else(|| self.kind.clone(), |version| format!("{}/{version}", self.kind))
    }
}
