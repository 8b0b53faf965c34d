//! The way to one address: route, neighbour, what came back of small packets, and which local rules meet them. Only what was
//! seen; what it means is for `diagnose/facts/reach.rs`.

mod lines;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::model::Outcome;

/// The way to one address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReachView {
    /// Where it was tried; a name's first address. `None`: the name did not resolve.
    pub to: Option<SocketAddr>,
    /// Whether the address is the host's own.
    pub local: bool,
    /// What the kernel would do with a packet to it.
    pub route: Option<KernelRoute>,
    /// What it knows of the next hop's hardware address. `None`: nothing, or it has no such thing (loopback, tunnels).
    pub neighbour: Option<Neighbour>,
    /// Small TCP connections to the port.
    pub knocks: RoundTrips,
    /// How many of them were refused at once, by a reset.
    pub refused: u32,
    /// How many the kernel itself refused, and with which error number.
    pub errno: Option<i32>,
    /// What an ICMP message said in answer to one of them.
    pub icmp: Option<Icmp>,
    /// Echo requests to the host. `None`: they could not be sent.
    pub pings: Option<RoundTrips>,
    /// Echo requests of several sizes that may not be fragmented: bytes of the whole packet, sent, back.
    pub sizes: Vec<(u32, u32, u32)>,
    /// Whether another, most likely closed port of the host answered, by whatever.
    pub other_port: Option<bool>,
    /// Whether a bare acknowledgement to the port was answered by a reset, as any host does that no filter keeps it from.
    pub bare_ack: Option<bool>,
    /// Hops away, by the reset of the port and by what else the host itself sent: a reset from nearer is another's.
    pub reset_hops: Option<(u8, u8)>,
    /// The same by packets with a short time to live, for where no raw socket may be had: with so many hops a packet to the port
    /// brought a reset, while one to another port of the host came to its end at this router.
    pub reset_before: Option<(u8, IpAddr)>,
    /// Whether the reset of the port bore the type of service of the packet that it answered, where one of another port of the host
    /// did: what the host's own TCP answers bears it, what a packet filter makes does not. `None`: it cannot be told.
    pub reset_by_tcp: Option<bool>,
    /// Whether one and the same socket of this host listened there before and after a connection that was reset.
    pub listens: Option<bool>,
    /// The way of TCP to the port, hop by hop: the time to live, who answered.
    pub hops: Vec<(u8, Option<IpAddr>)>,
    /// The way of ICMP echo requests to the host.
    pub icmp_hops: Vec<(u8, Option<IpAddr>)>,
    /// What open connections of this host to the address had to send again. `None`: the kernel does not tell.
    pub sockets: Option<SentAgain>,
    /// The same small connection as the gateway's user: name, and what came of it. `None`: that is ourselves, or could not be had.
    pub as_gateway: Option<(String, Outcome)>,
    /// Local rules that drop or reject such packets, or may.
    pub rules: Vec<RuleHit>,
    /// Whether the local rules could be read.
    pub rules_read: bool,
    /// Local ports towards the address. `None`: not looked at.
    pub ports: Option<PortUse>,
    /// Tracked connections and their limit.
    pub conntrack: Option<(u64, u64)>,
    /// Entries of the neighbour table and its hard limit (arp(7) gc_thresh3).
    pub neighbours: Option<(u64, u64)>,
    /// TCP segments that the host sent while we looked, and how many of these it repeated.
    pub segments: Option<(u64, u64)>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// So many were sent, so many came back, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundTrips {
    /// Sent.
    pub sent: u32,
    /// Answered in time.
    pub back: u32,
    /// The shortest round trip in milliseconds.
    pub min_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

/// What the kernel does with a packet to an address (ip-route(8)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelRoute {
    /// `unicast`, `local`, `none`, `unreachable`, `blackhole`, `prohibit`.
    pub kind: String,
    /// The device's name.
    pub device: Option<String>,
    /// Whether the device is up and has a carrier. `None`: not told.
    pub link_up: Option<bool>,
    /// The device's or route's largest packet in bytes.
    pub mtu: Option<u32>,
    /// The next hop; `None`: the address itself is on the link.
    pub gateway: Option<IpAddr>,
    /// The source address that would be taken.
    pub source: Option<IpAddr>,
    /// The table that decided; 254 is `main`.
    pub table: Option<u32>,
    /// Devices of the host that are down or without a carrier, where there is no route.
    pub down: Vec<String>,
}

/// What the kernel knows of a neighbour on a link (ip-neighbour(8)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address: the next hop's.
    pub address: IpAddr,
    /// `reachable`, `stale`, `delay`, `probe`, `failed`, `incomplete`, `permanent`, `noarp`, `none`.
    pub state: String,
}

impl Neighbour {
    /// Whether it was asked for and did not answer.
    pub fn silent(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "incomplete")
    }
}

/// An ICMP message about one of our packets (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Icmp {
    /// Who sent it.
    pub from: Option<IpAddr>,
    /// Its type; ICMPv6's own numbers where the address is one of IPv6.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Whether this host made it itself.
    pub local: bool,
}

/// What an ICMP message means for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpMeaning {
    /// A filter says no. A host without a listener answers TCP by a reset, so "port unreachable" is a filter's word, too.
    Filtered,
    /// The network or the host cannot be reached from there.
    Unreachable,
    /// The packet's time to live ended there.
    Expired,
    /// The packet is too big for a link.
    TooBig,
    /// Something else.
    Other,
}

impl Icmp {
    /// What it means.
    pub fn meaning(&self) -> IcmpMeaning {
        let six = self.from.is_some_and(|from| from.is_ipv6());
        match (six, self.kind, self.code) {
            (false, 3, 4) | (true, 2, _) => IcmpMeaning::TooBig,
            // Protocol and port unreachable; network, host and communication administratively prohibited; precedence cut-off.
            (false, 3, 2 | 3 | 9 | 10 | 13 | 15) | (true, 1, 1 | 4 | 5 | 6) => IcmpMeaning::Filtered,
            (false, 3, _) | (true, 1, _) => IcmpMeaning::Unreachable,
            (false, 11, _) | (true, 3, _) => IcmpMeaning::Expired,
            _ => IcmpMeaning::Other,
        }
    }

    /// Its name, as tcpdump and traceroute give it.
    pub fn name(&self) -> &'static str {
        let six = self.from.is_some_and(|from| from.is_ipv6());
        match (six, self.kind, self.code) {
            (false, 3, 0) | (true, 1, 0) => "network unreachable",
            (false, 3, 1) | (true, 1, 3) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 4) | (true, 2, _) => "packet too big",
            (false, 3, 9) => "network administratively prohibited",
            (false, 3, 10) => "host administratively prohibited",
            (false, 3, 13) | (true, 1, 1) => "communication administratively prohibited",
            (true, 1, 5) => "source address failed policy",
            (true, 1, 6) => "reject route",
            (false, 11, _) | (true, 3, _) => "time to live exceeded",
            _ => "ICMP",
        }
    }
}

/// [`RuleHit::verdict`] of a rule that sends connections elsewhere (DNAT).
pub const REWRITE: &str = "rewrite";

/// A local rule that drops or rejects packets of the connection, or sends them elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleHit {
    /// The tool that lists it: `nft`, `iptables`, `ip6tables`.
    pub tool: String,
    /// Where it stands: `inet filter output`, `filter OUTPUT`; with its handle where it has one.
    pub chain: String,
    /// The rule, as its tool writes it, or nearly. Foreign text: sanitise before showing.
    pub text: String,
    /// `drop`, [`REWRITE`], or `reject` with its kind: `reject tcp reset`.
    pub verdict: String,
    /// Whether it meets our packets (`false`) or their answers.
    pub answers: bool,
    /// Whether all that it asks for holds beyond doubt; else it may.
    pub certain: bool,
    /// The owner whose packets it asks for.
    pub owner: Option<u32>,
    /// Packets that it counted while we looked. `None`: it counts none.
    pub counted: Option<u64>,
}

/// What the open connections of a host to one address and port sent, and had to send again (tcp(7) TCP_INFO).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SentAgain {
    /// Connections.
    pub connections: u32,
    /// How many of these had to send something again.
    pub hit: u32,
    /// Segments that they sent.
    pub segments: u64,
    /// How many of the segments were sent again.
    pub again: u64,
    /// How many of the connections are the gateway's user's.
    pub gateways: u32,
    /// Segments that the gateway's connections sent again.
    pub gateways_again: u64,
}

/// Local ports towards one address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUse {
    /// Ports that the kernel may take (ip(7) ip_local_port_range), less those that it must not.
    pub range: u32,
    /// How many of these connections to it hold.
    pub held: u32,
    /// How many of the held ones only wait out their end (TIME_WAIT).
    pub waiting: u32,
}
