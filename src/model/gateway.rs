//! What is known of a gateway: its process and what its configuration says.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Address, BlindSpot, Identity, LogSource, Protocol};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the gateway names it: below the root that is looked at.
    pub file: PathBuf,
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
    pub value: String,
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
    /// Where the gateway connects.
    pub address: Address,
    /// What for.
    pub role: Role,
    /// Where it is written.
    pub at: Place,
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
    pub settings: BTreeMap<String, Setting>,
    /// Where it begins.
    pub at: Place,
}

/// A part of a site that is passed to an upstream: nginx `location`, Apache `ProxyPass`, HAProxy `use_backend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The pattern as written: `/api/`, `~ \.php$`.
    pub pattern: String,
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
    pub rewrite: Option<(String, String)>,
    /// The Host header that the upstream sees. `None`: the client's.
    pub host_header: Option<String>,
    /// The TLS server name that the upstream sees. `None`: none is sent.
    pub sni: Option<String>,
    /// CGI parameters with a static value, and `SCRIPT_FILENAME` for the sample path, for FastCGI, uwsgi and SCGI.
    #[serde(default)]
    pub params: Vec<(String, String)>,
    /// Milliseconds that the gateway waits for the connection.
    pub connect_ms: u64,
    /// Milliseconds that the gateway waits between two reads of the answer.
    pub read_ms: u64,
    /// Bytes that the gateway takes as a response header.
    pub header_limit: Option<u32>,
    /// The settings that bear on a failing request, with their places: time-outs, buffers, `next_upstream`, trust.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// What is passed to the upstream is decided when a request comes: a variable that the file alone does not tell.
    #[serde(default)]
    pub dynamic: Option<String>,
    /// Where the upstream is named.
    pub at: Place,
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
    /// Where it begins.
    pub at: Place,
}

impl Site {
    /// The route that a request for this path takes, as far as patterns tell: an exact one, else the first regular
    /// expression that matches unless the longest prefix forbids it by `^~`, else the longest prefix
    /// (ngx_http_core_module, "location").
    pub fn route_for(&self, path: &str) -> Option<&Route> {
        let prefix = |route: &Route| {
            let (modifier, text) = route.pattern.split_once(' ').unwrap_or(("", &route.pattern));
            (matches!(modifier, "" | "^~") && path.starts_with(text.trim())).then(|| text.trim().len())
        };
        if let Some(exact) =
            self.routes.iter().find(|route| route.pattern.strip_prefix("= ").is_some_and(|text| text.trim() == path))
        {
            return Some(exact);
        }
        let longest = self.routes.iter().filter_map(|route| Some((prefix(route)?, route))).max_by_key(|(length, _)| *length);
        let matches = |route: &&Route| {
            let pattern = match route.pattern.split_once(' ') {
                Some(("~", text)) => text.trim().to_owned(),
                Some(("~*", text)) => format!("(?i){}", text.trim()),
                _ => return false,
            };
            regex::Regex::new(&pattern).is_ok_and(|regex| regex.is_match(path))
        };
        if longest.is_none_or(|(_, route)| !route.pattern.starts_with("^~"))
            && let Some(found) = self.routes.iter().find(matches)
        {
            return Some(found);
        }
        longest.map(|(_, route)| route)
    }

    /// A name that a request can carry: the first that is neither a pattern nor a placeholder.
    pub fn host(&self) -> Option<&str> {
        self.names
            .iter()
            .map(|name| name.strip_prefix('.').unwrap_or(name))
            .find(|name| !name.is_empty() && *name != "_" && !name.starts_with('~') && !name.contains('*') && !name.contains('$'))
    }
}

/// What the gateway's own test said of its configuration on disk, for which files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTest {
    /// Whether it passed.
    pub passed: bool,
    /// What it said: the first error where it failed. Foreign text: sanitise before showing.
    pub message: String,
    /// Where the error is, as it names the place.
    #[serde(default)]
    pub at: Option<Place>,
}

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
    /// What in the configuration could not be understood or would not load, with its place.
    pub problems: Vec<(Place, String)>,
    /// Its sites.
    pub sites: Vec<Site>,
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Its logs.
    pub logs: Vec<LogSource>,
    /// Name servers that it asks itself, as configured. Empty: names are resolved once, at start.
    pub resolvers: Vec<String>,
    /// The service's unit, where the process belongs to one: `nginx.service`.
    pub unit: Option<String>,
    /// What its own test said of the files as they are now. `None`: it was not, or could not be, made.
    #[serde(default)]
    pub test: Option<ConfigTest>,
    /// Arguments of the commands for a person: test, reload, start.
    pub commands: BTreeMap<String, Vec<String>>,
    /// What could not be looked at.
    pub blind: Vec<BlindSpot>,
}

impl Gateway {
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
