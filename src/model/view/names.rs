//! What the hosts file, the name servers of the host and those of the gateway say of one name.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{NameFault, Resolution};

/// A line of /etc/hosts that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsLine {
    /// The address that it gives.
    pub ip: IpAddr,
    /// The line, from 1.
    pub line: u32,
}

/// Whose name server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerOf {
    /// One of /etc/resolv.conf.
    Host,
    /// One of the gateway's own configuration.
    Gateway,
}

/// What one name server says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerAnswer {
    /// Where it was asked: `127.0.0.53:53`; as written where that is no address.
    pub server: String,
    /// Whose it is.
    pub of: ServerOf,
    /// The name that was asked for last: the name itself, or with a search domain. Foreign text where a server's search list is.
    pub asked: String,
    /// Its addresses, IPv4 first.
    #[serde(default)]
    pub ips: Vec<IpAddr>,
    /// Names on the way (CNAME), the last being the one that has the addresses. Foreign text: sanitise before showing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// The least time to live of its records, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Why it gave no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<NameFault>,
    /// The fault in words: `REFUSED`, `nothing listens there`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Whether an answer did not fit a UDP packet, so that TCP was needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Records that were left out, as the answer had too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// To how many of so many questions it answered so. `None`: it was asked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<(u32, u32)>,
    /// Milliseconds until the last of its answers.
    pub ms: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A connection of the gateway's user to the upstream's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSeen {
    /// The address that it leads to.
    pub ip: IpAddr,
    /// Connections that are open or being opened.
    pub open: u32,
    /// Connections that were closed within the last minute; the kernel no longer tells whose they were.
    pub closed: u32,
}

/// What there is to know of one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NamesView {
    /// The name.
    pub name: String,
    /// How the gateway resolves it.
    #[serde(default)]
    pub resolution: Resolution,
    /// What /etc/hosts says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostsLine>,
    /// The modules of the line `hosts:` of /etc/nsswitch.conf, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Search domains of /etc/resolv.conf that the host appends to this name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// What each name server says: those of the host, then the gateway's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerAnswer>,
    /// The addresses that the gateway would get now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// Where they come from: `/etc/hosts:7`, `127.0.0.53:53`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Modules that come before what answered, and that cannot be asked from here: the host itself may see it otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<String>,
    /// Where connections of the gateway's user to this port lead. `None`: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<PeerSeen>>,
}

impl ServerAnswer {
    /// Whether it gave an answer, be it that there is no such name; a silent one gave none.
    pub fn answered(&self) -> bool {
        !matches!(self.fault, Some(NameFault::Silent | NameFault::NoServer))
    }

    /// What it says, in a few words, and how often.
    pub fn words(&self) -> String {
        let share = self.share.map_or_else(String::new, |(times, of)| format!(", {times} of {of} times"));
        self.said() + &share
    }

    /// What it says, in a few words.
    pub fn said(&self) -> String {
        if self.fault.is_some() {
            return self.error.clone();
        }
        let mut words = some(&self.ips);
        if let Some(ttl) = self.ttl {
            words.push_str(&format!(", TTL {ttl} s"));
        }
        if let Some(last) = self.chain.last() {
            words.push_str(&format!(", by CNAME {last}"));
        }
        if self.truncated {
            words.push_str(", truncated, by TCP");
        }
        words
    }
}

impl NamesView {
    /// The servers that the gateway asks.
    pub fn decisive(&self) -> impl Iterator<Item = &ServerAnswer> {
        let of = if self.resolution.servers().is_some() { ServerOf::Gateway } else { ServerOf::Host };
        self.servers.iter().filter(move |answer| answer.of == of)
    }

    /// Every address that anybody gives for it now.
    pub fn known(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.ips.clone();
        for ip in self.hosts.iter().map(|line| line.ip).chain(self.servers.iter().flat_map(|answer| answer.ips.iter().copied())) {
            if !all.contains(&ip) {
                all.push(ip);
            }
        }
        all
    }

    /// Line by line, for a screen. Foreign text: sanitise before showing.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.push(match &self.resolution {
            Resolution::AtStart => "the gateway asks as the host does, at its start and reload".to_owned(),
            Resolution::AtFirstUse => "the gateway asks as the host does, once for each worker".to_owned(),
            Resolution::AtEachUse => "the gateway asks as the host does, for each connection".to_owned(),
            Resolution::ByServers(own) => {
                let kept = own.kept_s.map_or_else(String::new, |kept| format!(", keeps an answer for {kept} s"));
                format!("the gateway asks {}{kept}: no hosts file, no search domains", own.servers.join(" "))
            }
        });
        if !self.by.is_empty() {
            lines.push(format!("so it would get {} from {}", some(&self.ips), self.by));
        }
        lines.extend(self.hosts.iter().map(|line| format!("/etc/hosts:{} says {}", line.line, line.ip)));
        for answer in &self.servers {
            let asked =
                if answer.asked.eq_ignore_ascii_case(&self.name) { String::new() } else { format!(" for {}", answer.asked) };
            let whose = match answer.of {
                ServerOf::Host => "/etc/resolv.conf",
                ServerOf::Gateway => "gateway",
            };
            lines.push(format!("{} ({whose}){asked}: {}, {:.1} ms", answer.server, answer.words(), answer.ms));
        }
        if !self.unsure.is_empty() {
            lines.push(format!("cannot be asked from here: {}", self.unsure.join(" ")));
        }
        for peer in self.peers.iter().flatten() {
            lines.push(format!("connections to {}: {} open, {} just closed", peer.ip, peer.open, peer.closed));
        }
        lines
    }
}

/// Addresses that are named in a sentence, at most.
const NAMED: usize = 4;

/// Some addresses, in words.
fn some(ips: &[IpAddr]) -> String {
    let mut shown: Vec<String> = ips.iter().take(NAMED).map(ToString::to_string).collect();
    if ips.len() > NAMED {
        shown.push(format!("and {} more", ips.len() - NAMED));
    }
    if shown.is_empty() { "no address".to_owned() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_every_server_and_what_decides() {
        let answer = |server: &str, of, ips: &[&str], fault: Option<NameFault>| ServerAnswer {
            server: server.to_owned(),
            of,
            asked: "app".to_owned(),
            ips: ips.iter().map(|ip| ip.parse().expect("ip")).collect(),
            chain: Vec::new(),
            ttl: Some(30).filter(|_| fault.is_none()),
            fault,
            error: fault.map_or_else(String::new, |_| "NXDOMAIN".to_owned()),
            truncated: false,
            left_out: 0,
            share: None,
            ms: 1.25,
        };
        let own = super::super::super::OwnResolvers { servers: vec!["10.0.0.2".to_owned()], kept_s: Some(5), ..Default::default() };
        let view = NamesView {
            name: "app".to_owned(),
            resolution: Resolution::ByServers(Box::new(own)),
            hosts: vec![HostsLine { ip: "10.0.0.9".parse().expect("ip"), line: 7 }],
            servers: vec![
                answer("127.0.0.1:53", ServerOf::Host, &["10.0.0.1"], None),
                answer("10.0.0.2:53", ServerOf::Gateway, &[], Some(NameFault::NxDomain)),
            ],
            ..NamesView::default()
        };
        let lines = view.lines().join("\n");
        for words in [
            "keeps an answer for 5 s",
            "/etc/hosts:7 says 10.0.0.9",
            "127.0.0.1:53 (/etc/resolv.conf): 10.0.0.1, TTL 30 s",
            "10.0.0.2:53 (gateway): NXDOMAIN",
        ] {
            assert!(lines.contains(words), "{words} in\n{lines}");
        }
        assert_eq!(view.decisive().map(|answer| answer.server.as_str()).collect::<Vec<_>>(), ["10.0.0.2:53"]);
        assert_eq!(view.known().len(), 2);
    }
}
