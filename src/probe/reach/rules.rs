//! Packet filter rules, as far as they bear on a TCP connection, and its packets. The tools' formats are read in `nft.rs` and
//! `iptables.rs` into what stands here; `walk.rs` follows a packet through them.

use std::net::IpAddr;

/// What a rule can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Family,
    Protocol,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    Out,
    In,
    User,
    Group,
    State,
}

/// What it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Numbers and addresses, both ends included.
    Range(u128, u128),
    /// A word; with `*` or `+` at its end any word that begins so.
    Text(String),
    /// Something that is not understood.
    Unknown,
}

impl Value {
    pub(super) fn number(number: u128) -> Self {
        Self::Range(number, number)
    }

    /// An address, or a network `10.0.0.0/8`.
    pub(super) fn network(text: &str) -> Self {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let Ok(ip) = address.parse::<IpAddr>() else { return Self::Unknown };
        let bits: u32 = if ip.is_ipv4() { 32 } else { 128 };
        let length = match length.map(|length| (length.parse::<u32>(), length.parse::<std::net::Ipv4Addr>())) {
            None => bits,
            Some((Ok(length), _)) if length <= bits => length,
            // iptables writes odd masks out.
            Some((_, Ok(mask))) => mask.to_bits().leading_ones(),
            Some(_) => return Self::Unknown,
        };
        let host = if length == 0 && bits == 128 { u128::MAX } else { (1_u128 << (bits - length)) - 1 };
        let low = value_of(ip) & !host;
        Self::Range(low, low | host)
    }
}

/// An address as a number.
pub(super) fn value_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// One thing that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Is {
        field: Field,
        values: Vec<Value>,
        negated: bool,
    },
    /// Of the TCP flags in `mask` exactly those in `set`.
    Flags {
        mask: u8,
        set: u8,
        negated: bool,
    },
    /// Chance, rates, marks, and whatever else is not understood.
    Unknown,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    /// With its kind: `tcp reset`.
    Reject(String),
    Jump(String),
    Goto(String),
    Return,
    /// Another destination from here on.
    Rewrite,
    /// Counts, logs, marks: the next rule follows.
    Continue,
    /// By the value of a field.
    Map(Field, Vec<(Vec<Value>, Verdict)>),
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Tells it from its neighbours in two listings.
    pub(super) key: String,
    pub(super) text: String,
    pub(super) tests: Vec<Test>,
    pub(super) verdict: Verdict,
    /// Packets that it counted.
    pub(super) packets: Option<u64>,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// Family and table: jumps stay within.
    pub(super) table: String,
    pub(super) name: String,
    /// Whether it sees IPv4 packets, and IPv6 ones.
    pub(super) families: (bool, bool),
    /// The hook in small letters, and its priority. `None`: only entered from others.
    pub(super) hook: Option<(String, i64)>,
    /// Whether it drops what comes to its end.
    pub(super) drops: bool,
    /// Packets that came to its end.
    pub(super) packets: Option<u64>,
    pub(super) rules: Vec<Rule>,
}

/// What one tool listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) struct Ruleset {
    pub(super) tool: &'static str,
    pub(super) chains: Vec<Chain>,
}

/// The first packet of a connection, or the answer to it. `None`: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct Packet {
    pub(in crate::probe) source: Option<IpAddr>,
    pub(in crate::probe) destination: Option<IpAddr>,
    pub(in crate::probe) source_port: Option<u16>,
    pub(in crate::probe) destination_port: Option<u16>,
    pub(in crate::probe) device_in: Option<String>,
    pub(in crate::probe) device_out: Option<String>,
    pub(in crate::probe) user: Option<u32>,
    pub(in crate::probe) group: Option<u32>,
    pub(in crate::probe) six: bool,
    /// The answer: SYN and ACK of an established connection, not a new one's SYN.
    pub(in crate::probe) answer: bool,
}
