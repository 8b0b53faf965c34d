//! Route, neighbour, host, and the hops between.

use std::net::IpAddr;

use super::Told;
use crate::model::{IcmpMeaning, Neighbour};

impl Told<'_> {
    pub(super) fn route(&mut self) {
        let view = self.view;
        let Some(route) = &view.route else { return };
        let host = self.host_name();
        match route.kind.as_str() {
            "none" => {
                let down = if route.down.is_empty() {
                    String::new()
                } else {
                    format!("; down or without a carrier: {}", route.down.join(", "))
                };
                self.add("reach:no-route", format!("this host has no route to {host}{down}"), "kernel routes", []);
            }
            kind @ ("unreachable" | "blackhole" | "prohibit") => {
                self.add(
                    "reach:route-forbids",
                    format!("a route of the kind {kind} stands for {host}"),
                    "kernel routes",
                    [("route", kind.to_owned())],
                );
            }
            _ => {}
        }
        let device = route.device.clone().unwrap_or_default();
        if route.link_up == Some(false) && view.knocks.back == 0 {
            self.add(
                "reach:link-down",
                format!("the way to {host} goes over {device}, which is down or has no carrier"),
                "kernel links",
                [("device", device.clone())],
            );
        }
        if let Some(neighbour) = view.neighbour.as_ref().filter(|neighbour| neighbour.silent() && view.knocks.back == 0) {
            let next = neighbour.address;
            let (who, reason) = if Some(next) == self.ip() {
                (
                    format!(
                        "{next} does not answer when asked for its hardware address on {device}: it is off, or not on this network"
                    ),
                    "host-down",
                )
            } else {
                (
                    format!(
                        "the router {next} on the way to {host} does not answer when asked for its hardware address on {device}"
                    ),
                    "neighbour",
                )
            };
            self.add(
                "reach:neighbour-silent",
                format!("{who} ({})", neighbour.state),
                "kernel neighbours",
                [("reason", reason.to_owned()), ("next", next.to_string())],
            );
        }
        if let Some((entries, limit)) = view.neighbours.filter(|(entries, limit)| *limit > 0 && entries >= limit) {
            self.add(
                "reach:neighbour-table-full",
                format!("the neighbour table holds {entries} entries, and {limit} fit"),
                "/proc",
                [],
            );
        }
    }

    /// `unreachable`: the request itself was told that there is no way, which here can only be a router's word.
    pub(super) fn host(&mut self, unreachable: bool) {
        let view = self.view;
        let host = self.host_name();
        if view.local {
            return;
        }
        if self.host_lives() {
            let how = match view.pings {
                Some(pings) if pings.back > 0 => {
                    let ms = pings.min_ms.map_or_else(String::new, |ms| format!(", {ms:.1} ms"));
                    format!("{} of {} pings came back{ms}", pings.back, pings.sent)
                }
                _ => "it answers on another port".to_owned(),
            };
            self.add("reach:host-answers", format!("{host} answers: {how}"), "probe", []);
        }
        if view.knocks.sent > 0 && view.knocks.back == view.knocks.sent && self.worse_as_gateway().is_none() {
            self.add(
                "reach:passes",
                format!("{} of {} connections to {} stood at once", view.knocks.back, view.knocks.sent, self.subject.0),
                "probe",
                [],
            );
        }
        if let Some(icmp) = view.icmp.as_ref().filter(|icmp| !icmp.local && view.knocks.back == 0) {
            let by = icmp.from.map_or_else(|| "a router".to_owned(), |from| from.to_string());
            let fields = [("by", by.clone()), ("icmp", icmp.name().to_owned())];
            match icmp.meaning() {
                IcmpMeaning::Filtered => {
                    self.add(
                        "reach:prohibited",
                        format!("{by} rejects connections to {}: {}", self.subject.0, icmp.name()),
                        "probe",
                        fields,
                    );
                }
                // A host that answers can be reached: who says otherwise is a filter.
                IcmpMeaning::Unreachable if self.host_lives() => {
                    let text = format!(
                        "{by} says of {} that it is unreachable ({}), and yet the host answers",
                        self.subject.0,
                        icmp.name()
                    );
                    self.add("reach:prohibited", text, "probe", fields);
                }
                IcmpMeaning::Unreachable => {
                    self.add("reach:icmp-unreachable", format!("{by} says of {host}: {}", icmp.name()), "probe", fields);
                }
                IcmpMeaning::Expired | IcmpMeaning::TooBig | IcmpMeaning::Other => {}
            }
        }
        if unreachable && self.silent() && self.host_lives() {
            let text = format!(
                "requests to {} get the word that there is no way, and yet the host answers: a filter rejects them",
                self.subject.0
            );
            self.add("reach:prohibited", text, "probe", []);
        }
        let asked = view.neighbour.as_ref().is_some_and(Neighbour::silent);
        if self.silent() && !self.host_lives() && !asked && unreachable {
            let text = format!(
                "a router says that {host} cannot be reached, and nothing comes back from it: no connection, no ping, no reset"
            );
            self.add("reach:icmp-unreachable", text, "probe", [("icmp", "host unreachable".to_owned())]);
        } else if self.silent() && !self.host_lives() && !asked {
            self.add(
                "reach:host-silent",
                format!("nothing at all comes back from {host}: no connection, no ping, no reset"),
                "probe",
                [],
            );
        }
    }

    pub(super) fn path(&mut self) {
        let view = self.view;
        let words = |hops: &[(u8, Option<IpAddr>)]| {
            let one = |(ttl, from): &(u8, Option<IpAddr>)| {
                format!("{ttl} {}", from.map_or_else(|| "*".to_owned(), |from| from.to_string()))
            };
            hops.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        // Where TCP gets no farther than this and ICMP does, it is a filter that ends the way, not the way.
        let icmp = match view.icmp_hops.last() {
            Some((_, from)) if *from == self.ip() && from.is_some() && view.knocks.back == 0 => {
                format!("; ICMP comes through: {}", words(&view.icmp_hops))
            }
            _ => String::new(),
        };
        let Some((_, last)) = view.hops.last() else { return };
        if *last == self.ip() {
            self.add("reach:traced", format!("the way is {}", words(&view.hops)), "probe", []);
        } else if let Some(last) = last
            && view.knocks.back == 0
        {
            self.add(
                "reach:way-ends",
                format!("the last that answers TCP on the way is {last}: {}{icmp}", words(&view.hops)),
                "probe",
                [("last", last.to_string())],
            );
        }
    }
}
