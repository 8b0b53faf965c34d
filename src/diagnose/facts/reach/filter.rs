//! Filters: this host's own, whose rules are known, and others', which are told by how they answer.

use super::Told;
use crate::model::{Outcome, Phase, REWRITE, RuleHit};

/// EPERM, EACCES: connect(2) says so for local rules.
const FORBIDDEN: [i32; 2] = [1, 13];

impl Told<'_> {
    pub(super) fn filters(&mut self) {
        let view = self.view;
        let met = |hit: &&RuleHit| hit.certain || hit.counted.is_some_and(|count| count > 0);
        let (rewrites, ends): (Vec<_>, Vec<_>) = view.rules.iter().partition(|hit| hit.verdict == REWRITE);
        let rule = ends.into_iter().find(|hit| met(hit) && self.consistent(hit));
        let rewrite = rewrites.into_iter().find(|hit| met(hit) && !hit.answers);
        if let Some(hit) = rewrite {
            let text = format!(
                "this host's own filter sends connections to {} elsewhere: {} {} has \"{}\"",
                self.subject.0, hit.tool, hit.chain, hit.text
            );
            self.add("reach:rewritten", text, "packet filter", [("rewrite", hit.text.clone())]);
        }
        if let Some(hit) = rule {
            let counted = match hit.counted {
                Some(count) if count > 0 => format!("; it counted {count} packets while we tried"),
                _ => String::new(),
            };
            let whose = if hit.answers { "the answers of" } else { "packets to" };
            let text = format!(
                "this host's own filter: {} {} has \"{}\", which meets {whose} {}{counted}",
                hit.tool, hit.chain, hit.text, self.subject.0
            );
            let verdict = if hit.verdict.starts_with("reject") { "rejects" } else { "drops" };
            let fields =
                [("rule", hit.text.clone()), ("chain", format!("{} {}", hit.tool, hit.chain)), ("verdict", verdict.to_owned())];
            self.add("reach:rule", text, "packet filter", fields);
        } else if view.rules_read && rewrite.is_none() {
            self.add(
                "reach:no-rule",
                format!("no rule of this host's own packet filter meets connections to {}", self.subject.0),
                "packet filter",
                [],
            );
        }
        let found = rule.is_some();
        if let Some((user, outcome)) = self.worse_as_gateway() {
            let text = format!("connections to {} stand for us, and not for {user}: {outcome}", self.subject.0);
            let fields = [("user", user.to_owned()), ("outcome", outcome.to_string())];
            self.add("reach:user-blocked", text, "probe", fields);
        }
        let local_icmp = view.icmp.as_ref().is_some_and(|icmp| icmp.local) && view.knocks.back == 0;
        let routed = view.route.as_ref().is_none_or(|route| matches!(route.kind.as_str(), "unicast" | "local"));
        let forbidden = view.errno.is_some_and(|errno| FORBIDDEN.contains(&errno));
        if !found && routed && (local_icmp || forbidden) {
            self.add("reach:rejected-here", format!("this host itself rejects connections to {}", self.subject.0), "probe", []);
        }
        // The kernel never resets a new connection to a socket that listens (RFC 9293 section 3.10.7.2): something before it does.
        if !found && view.local && view.listens == Some(true) && view.refused > 0 && view.knocks.back == 0 {
            let text = format!(
                "a process listens on {}, and this host resets connections to it: a filter of this host does",
                self.subject.0
            );
            self.add("reach:rejected-here", text, "probe and socket table", []);
        }
        if view.local {
            return;
        }
        if self.silent() && self.host_lives() && !found {
            match view.bare_ack {
                Some(true) => {
                    let text = format!(
                        "{} answers a bare acknowledgement, and not a new connection: its listen queue is full, or a filter lets in no new one",
                        self.subject.0
                    );
                    self.add("reach:queue-full", text, "probe", []);
                }
                Some(false) => {
                    let text = format!(
                        "the host answers, and of {} small connections and bare acknowledgements to {} none: they are dropped on the way or there",
                        view.knocks.sent, self.subject.0
                    );
                    self.add("reach:port-dropped", text, "probe", []);
                }
                None => {
                    let text = format!("the host answers, and of {} connections to {} none", view.knocks.sent, self.subject.0);
                    self.add("reach:port-silent", text, "probe", []);
                }
            }
        }
        if view.refused > 0 && view.knocks.back == 0 && !local_icmp && !found {
            let far = view.route.as_ref().is_some_and(|route| route.gateway.is_some());
            match view.reset_hops {
                _ if view.reset_before.is_some() => {
                    let (hops, by) = view.reset_before.map_or((0, String::new()), |(hops, by)| (hops, by.to_string()));
                    let text = format!(
                        "with {hops} hops left a packet to {} brings a reset, and one to another port comes to its end at {by}: the reset is made on the way",
                        self.subject.0
                    );
                    self.add("reach:other-reset", text, "probe", [("hops", hops.to_string())]);
                }
                Some((reset, host)) if reset > host => {
                    let text = format!(
                        "the reset for {} comes from {reset} hops away, the host itself is {host} away: it passes the port on, and what is behind it refuses",
                        self.subject.0
                    );
                    self.add("reach:passed-on", text, "probe", [("hops", reset.to_string())]);
                }
                Some((reset, host)) if reset < host => {
                    let text = format!(
                        "the reset for {} comes from {reset} hops away, the host itself is {host} away: another device rejects it",
                        self.subject.0
                    );
                    self.add("reach:other-reset", text, "probe", [("hops", reset.to_string())]);
                }
                Some((0, _)) if far => {
                    let text = format!(
                        "the reset for {} comes from this network's own router, and not from the host behind it",
                        self.subject.0
                    );
                    self.add("reach:other-reset", text, "probe", [("hops", "0".to_owned())]);
                }
                Some((_, host)) if view.reset_by_tcp == Some(false) => {
                    let text = format!(
                        "the reset for {} comes from as far as the host itself is, {host} routers away, and not from its TCP: that one answers with the type of service that it is asked with, as on another port, and this reset bears none, as a packet filter's does",
                        self.subject.0
                    );
                    self.add("reach:filter-reset", text, "probe", []);
                }
                Some((_, host)) => {
                    let text =
                        format!("the reset for {} comes from as far as the host itself is, {host} routers away", self.subject.0);
                    self.add("reach:refused-by-host", text, "probe", []);
                }
                None => {}
            }
        }
    }

    /// Whether what came of the connections is what this rule would make of them.
    pub(super) fn consistent(&self, hit: &RuleHit) -> bool {
        let view = self.view;
        let gateway = view.as_gateway.as_ref().map(|(_, outcome)| outcome);
        let reset = hit.verdict.contains("reset") || hit.verdict.contains("rst");
        let fits = |outcome: &Outcome| match (hit.verdict.as_str(), outcome) {
            ("drop", Outcome::Timeout(_)) => true,
            ("drop", _) => false,
            (_, Outcome::Refused) => reset || hit.verdict.contains("port-unreachable"),
            (_, Outcome::Unreachable | Outcome::Denied | Outcome::Os(_)) => !reset,
            // The reject message of an answer goes to the other side, and we wait.
            (_, Outcome::Timeout(_)) => hit.answers,
            _ => false,
        };
        // A rule that takes a part, by chance or by rate, and was seen to count.
        let part = !hit.certain && hit.counted.is_some_and(|count| count > 0) && view.knocks.back < view.knocks.sent;
        let all = if view.knocks.back > 0 {
            None
        } else if view.refused > 0 {
            Some(Outcome::Refused)
        } else if view.errno.is_some() {
            Some(Outcome::Unreachable)
        } else {
            Some(Outcome::Timeout(Phase::Connect))
        };
        let by_owner = hit.owner.is_some() && view.knocks.back > 0;
        gateway.filter(|outcome| outcome.serves() == Some(false)).is_some_and(fits)
            || !by_owner && (part || all.as_ref().is_some_and(fits))
    }
}
