//! What a gateway that runs says of itself: whom of the servers behind it it holds for up, what its checks said, how much of its
//! limits is used, and where it really connects. The same for HAProxy's stats socket, Apache's balancer-manager and Caddy's
//! admin port.

use std::{collections::BTreeSet, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Address, Gateway, Role};
use crate::model::Order as _;

/// What a gateway thinks of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It gets requests, and a check says that it may.
    Up,
    /// It gets requests, and no check is made.
    Unchecked,
    /// It gets none: a check, or requests that failed, say that it is down.
    Down,
    /// It gets none: somebody took it out on purpose.
    Disabled,
    /// It gets none that are new: somebody is taking it out.
    Draining,
    /// It gets none: its name has no address.
    Unresolved,
}

impl Health {
    /// Whether new requests go there.
    pub fn serves(self) -> bool {
        match self {
            Self::Up | Self::Unchecked => true,
            Self::Down | Self::Disabled | Self::Draining | Self::Unresolved => false,
        }
    }
}

/// The result of a gateway's last check of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCheck {
    /// Its result in the gateway's own words: `L7STS`, `L4CON`. Foreign text, as all of this.
    pub result: String,
    /// The status that was answered, where it came that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What else was told: `Connection refused`, `Not Found`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A server as the gateway sees it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveServer {
    /// The pool that it belongs to, as in [`Pool::name`](super::Pool::name).
    pub pool: String,
    /// Its own name, as in [`Server::name`](super::Server::name); empty where the gateway gives it none.
    pub name: String,
    /// Where the gateway connects now. `None`: it does not tell, or the name has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The host name that `address` came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What for. Those that are taken out on purpose are told by `health`.
    pub role: Role,
    /// What the gateway thinks of it.
    pub health: Health,
    /// The last check. `None`: none is made, or none is done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<LiveCheck>,
    /// Seconds since `health` changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
    /// Requests under way there.
    #[serde(default)]
    pub busy: u64,
    /// Requests that may be under way there at once. `None`: there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Requests that wait for it.
    #[serde(default)]
    pub queued: u64,
}

/// A limit of the gateway's own, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveLimit {
    /// The setting that makes it, with its place: `maxconn`, `maxconn of frontend www`, `MaxRequestWorkers`.
    pub name: String,
    /// How much is used now.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
}

/// What one gateway says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveState {
    /// [`Gateway::kind`].
    pub kind: String,
    /// [`Gateway::config`]: of several instances, which.
    pub config: PathBuf,
    /// Where it was asked: `/run/haproxy/admin.sock`.
    pub source: String,
    /// The servers; of very many, those that don't serve first.
    pub servers: Vec<LiveServer>,
    /// Its limits.
    #[serde(default)]
    pub limits: Vec<LiveLimit>,
    /// Requests under way in the gateway, without the one that asks; for HAProxy sessions. `None`: it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Servers that were left out because there were too many.
    #[serde(default)]
    pub left_out: u64,
    /// All addresses to which the configuration that runs sends requests, whatever the files say by now. `None`: it does not tell,
    /// or requests decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connects: Option<BTreeSet<Address>>,
}

impl LiveState {
    /// Servers that are kept.
    const SERVERS: usize = 2_000;

    /// What this gateway told there of its servers and limits, and of nothing else yet; of too many servers those that don't serve are
    /// kept first.
    pub fn new(gateway: &Gateway, source: String, mut servers: Vec<LiveServer>, limits: Vec<LiveLimit>) -> Self {
        let left_out = servers.len().saturating_sub(Self::SERVERS) as u64;
        servers.order_by_key(|server| server.health.serves());
        servers.truncate(Self::SERVERS);
        let (kind, config) = (gateway.kind.clone(), gateway.config.clone());
        Self { kind, config, source, servers, limits, requests: None, left_out, connects: None }
    }

    /// Whether this is of that gateway.
    pub fn is_of(&self, gateway: &Gateway) -> bool {
        self.kind == gateway.kind && self.config == gateway.config
    }

    /// Whether a person would call `other` news after this: figures that move all the time are none.
    pub fn same_as(&self, other: &Self) -> bool {
        let full = |used: u64, limit: u64| used.saturating_mul(10) >= limit.saturating_mul(9);
        let servers = |state: &Self| -> Vec<LiveServer> {
            let still = |server: &LiveServer| LiveServer {
                for_s: None,
                busy: u64::from(server.limit.is_some_and(|limit| full(server.busy, limit))),
                queued: u64::from(server.queued > 0),
                ..server.clone()
            };
            state.servers.iter().map(still).collect()
        };
        let limits = |state: &Self| -> Vec<(String, u64, bool)> {
            state.limits.iter().map(|limit| (limit.name.clone(), limit.limit, full(limit.used, limit.limit))).collect()
        };
        self.is_same_gateway(other)
            && self.source == other.source
            && self.connects == other.connects
            && limits(self) == limits(other)
            && servers(self) == servers(other)
    }

    /// Whether both are of one gateway.
    pub fn is_same_gateway(&self, other: &Self) -> bool {
        self.kind == other.kind && self.config == other.config
    }

    /// The server of this pool and name.
    pub fn server(&self, pool: &str, name: &str) -> Option<&LiveServer> {
        self.servers.iter().find(|server| server.pool == pool && server.name == name)
    }

    /// Whether a pool has a server that gets requests.
    pub fn pool_serves(&self, pool: &str) -> bool {
        self.servers.iter().any(|server| server.pool == pool && server.health.serves())
    }
}
