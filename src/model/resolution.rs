//! How a gateway turns the name of a server into addresses.

use serde::{Deserialize, Serialize};

/// Name servers of a gateway's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnResolvers {
    /// The servers as written: `127.0.0.53`, `10.0.0.2:5353`, `[::1]:53`, `dns.internal`.
    pub servers: Vec<String>,
    /// Whether one server at a time is asked, each in its turn, and what it says is final, be it that there is no such name (nginx).
    /// Else an address of any of them counts (HAProxy asks them all).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_turn: bool,
    /// Seconds for which an answer is kept, where the configuration says so instead of the answer's own TTL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_s: Option<u64>,
    /// Whether it asks for no IPv4 addresses (nginx: `ipv4=off`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_ipv4: bool,
    /// Whether it asks for no IPv6 addresses (nginx: `ipv6=off`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_ipv6: bool,
}

/// How, and when, a gateway turns the name of a server into addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// At start and reload, as the host does (getaddrinfo), and kept until the next: nginx's static names, HAProxy's without
    /// `resolvers`.
    #[default]
    AtStart,
    /// When it is first needed, as the host does, and kept as long as the worker lives: Apache's workers.
    AtFirstUse,
    /// For each connection, as the host does: Caddy.
    AtEachUse,
    /// At run time, by name servers of its own: no hosts file, no search domains. nginx's `resolver`, HAProxy's `resolvers`.
    ByServers(Box<OwnResolvers>),
}

impl Resolution {
    /// Whether the addresses outlive what the name servers say, until somebody reloads or restarts.
    pub fn kept(&self) -> bool {
        match self {
            Self::AtStart | Self::AtFirstUse => true,
            Self::AtEachUse | Self::ByServers(_) => false,
        }
    }

    /// Its own name servers; `None`: it asks as the host does.
    pub fn servers(&self) -> Option<&OwnResolvers> {
        match self {
            Self::ByServers(own) => Some(own),
            Self::AtStart | Self::AtFirstUse | Self::AtEachUse => None,
        }
    }

    /// Whether it is the ordinary case, which recordings leave out.
    pub fn is_default(&self) -> bool {
        *self == Self::AtStart
    }
}
