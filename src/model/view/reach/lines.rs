//! The way to an address in words, for the explanation of a probe.

use std::fmt::Display;

use super::{KernelRoute, ReachView, RoundTrips, SentAgain};

impl ReachView {
    /// For a person, line by line, in the order in which a packet goes. Foreign text: sanitise before showing.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |what: &str, text: String| lines.push(format!("{what}: {text}"));
        if let Some(to) = self.to {
            say("to", if self.local { format!("{to}, an address of this host") } else { to.to_string() });
        }
        if let Some(route) = &self.route {
            say("route", route.words());
        }
        if let Some(neighbour) = &self.neighbour {
            say("next hop", format!("{} is {}", neighbour.address, neighbour.state));
        }
        if self.rules_read && self.rules.is_empty() {
            say("local filters", "none meets these packets".to_owned());
        }
        for rule in &self.rules {
            let whom = if rule.answers { "the answers" } else { "these packets" };
            let sure = if rule.certain { "meets" } else { "may meet" };
            let counted = rule.counted.map_or_else(String::new, |counted| format!(", {counted} counted while we looked"));
            say("local filter", format!("{} {}: {} ({sure} {whom}: {}{counted})", rule.tool, rule.chain, rule.text, rule.verdict));
        }
        if self.knocks.sent > 0 {
            let refused = if self.refused > 0 { format!(", {} refused by a reset", self.refused) } else { String::new() };
            say("connections", format!("{}{refused}", self.knocks.words()));
        }
        if let Some((user, outcome)) = &self.as_gateway {
            say("the same as", format!("{user}: {outcome}"));
        }
        if let Some(icmp) = &self.icmp {
            let from = if icmp.local { "this host itself".to_owned() } else { or_unknown(icmp.from) };
            say("ICMP", format!("{} (type {}, code {}) from {from}", icmp.name(), icmp.kind, icmp.code));
        }
        if let Some(pings) = &self.pings {
            say("ping", pings.words());
        }
        for (bytes, sent, back) in &self.sizes {
            say("whole packets", format!("of {bytes} bytes: {back} of {sent} came back"));
        }
        if let Some((reset, host)) = self.reset_hops {
            say("distance", format!("the reset comes from {reset} hops away, the host answers from {host}"));
        }
        if let Some((hops, by)) = self.reset_before {
            say("distance", format!("with {hops} hops left the port's reset comes, and a packet to another port ends at {by}"));
        }
        if let Some(by_tcp) = self.reset_by_tcp {
            let whose = if by_tcp { "the host's own TCP makes it" } else { "the host's own TCP does not make it" };
            say("the reset", format!("{whose}, by its type of service"));
        }
        if self.listens == Some(true) {
            say("the reset", "one and the same socket of this host listened there all the while".to_owned());
        }
        for (what, hops) in [("TCP hop", &self.hops), ("ICMP hop", &self.icmp_hops)] {
            for (ttl, hop) in hops {
                say(what, format!("{ttl}  {}", hop.map_or_else(|| "*".to_owned(), |hop| hop.to_string())));
            }
        }
        if let Some(ports) = self.ports {
            say("local ports", format!("{} of {} held, {} of them in TIME_WAIT", ports.held, ports.range, ports.waiting));
        }
        for (what, used) in [("tracked connections", self.conntrack), ("neighbour table", self.neighbours)] {
            if let Some((used, limit)) = used {
                say(what, format!("{used} of {limit}"));
            }
        }
        if let Some(sockets) = self.sockets.filter(|sockets| sockets.connections > 0) {
            let SentAgain { connections, hit, segments, again, gateways, gateways_again } = sockets;
            say(
                "open connections",
                format!(
                    "{connections}, {gateways} of them the gateway's; {again} of {segments} segments sent again, on {hit} of them; {gateways_again} by the gateway"
                ),
            );
        }
        if let Some((sent, repeated)) = self.segments.filter(|(_, repeated)| *repeated > 0) {
            say("TCP", format!("{repeated} of {sent} segments of this host were sent again"));
        }
        for what in &self.unseen {
            say("not seen", what.clone());
        }
        lines
    }
}

impl KernelRoute {
    fn words(&self) -> String {
        let mut words = match self.kind.as_str() {
            "none" => "there is none".to_owned(),
            kind => kind.to_owned(),
        };
        let mut add = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                words.push_str(&format!(" {what} {value}"));
            }
        };
        add("via", self.gateway.map(|gateway| gateway.to_string()));
        add("dev", self.device.clone());
        add("src", self.source.map(|source| source.to_string()));
        add("mtu", self.mtu.map(|mtu| mtu.to_string()));
        if self.link_up == Some(false) {
            words.push_str(", and the link is down");
        }
        for device in &self.down {
            words.push_str(&format!(", {device} is down"));
        }
        words
    }
}

impl RoundTrips {
    fn words(&self) -> String {
        let times = match (self.min_ms, self.max_ms) {
            (Some(min), Some(max)) => format!(" in {min:.1} to {max:.1} ms"),
            _ => String::new(),
        };
        format!("{} of {} answered{times}", self.back, self.sent)
    }
}

fn or_unknown(value: Option<impl Display>) -> String {
    value.map_or_else(|| "nobody knows whom".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Icmp, RuleHit};

    #[test]
    fn the_way_is_told_in_the_order_of_a_packet() {
        let view = ReachView {
            to: Some(([10, 0, 2, 21], 8000).into()),
            route: Some(KernelRoute {
                kind: "unicast".to_owned(),
                device: Some("eth0".to_owned()),
                gateway: Some([10, 0, 1, 1].into()),
                source: Some([10, 0, 1, 10].into()),
                ..KernelRoute::default()
            }),
            rules: vec![RuleHit {
                tool: "nft".to_owned(),
                chain: "inet filter output".to_owned(),
                text: "tcp dport 8000 drop".to_owned(),
                verdict: "drop".to_owned(),
                answers: false,
                certain: true,
                owner: None,
                counted: Some(3),
            }],
            rules_read: true,
            knocks: RoundTrips { sent: 4, back: 0, ..RoundTrips::default() },
            icmp: Some(Icmp { from: Some([10, 0, 1, 1].into()), kind: 3, code: 13, local: false }),
            pings: Some(RoundTrips { sent: 3, back: 3, min_ms: Some(0.21), max_ms: Some(0.46) }),
            hops: vec![(1, Some([10, 0, 1, 1].into())), (2, None)],
            ..ReachView::default()
        };
        assert_eq!(
            view.lines(),
            [
                "to: 10.0.2.21:8000",
                "route: unicast via 10.0.1.1 dev eth0 src 10.0.1.10",
                "local filter: nft inet filter output: tcp dport 8000 drop (meets these packets: drop, 3 counted while we looked)",
                "connections: 0 of 4 answered",
                "ICMP: communication administratively prohibited (type 3, code 13) from 10.0.1.1",
                "ping: 3 of 3 answered in 0.2 to 0.5 ms",
                "TCP hop: 1  10.0.1.1",
                "TCP hop: 2  *",
            ]
        );
        assert!(ReachView::default().lines().is_empty(), "what was not looked at is not told");
    }
}
