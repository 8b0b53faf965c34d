//! The host's own packet filters: which rules meet the connection, and which of their counters rose while we knocked.

use super::{
    iptables, nft,
    rules::{Packet, Ruleset},
    walk,
};
use crate::{
    model::{Order as _, ProbeJob, ReachView},
    sys::{self, FilterRules, FilterTool, Sys},
};

/// What is listed now. What cannot be listed is told once.
pub(super) async fn listed(sys: &Sys, view: &mut ReachView) -> Vec<Ruleset> {
    match sys.rights.packet_filters().await {
        Ok(listings) => {
            view.rules_read = true;
            parsed(listings, view).await
        }
        Err(refusal) => {
            view.unseen.push(format!("the packet filter's rules: {refusal}"));
            Vec::new()
        }
    }
}

async fn parsed(listings: Vec<FilterRules>, view: &mut ReachView) -> Vec<Ruleset> {
    let read = |rules: &FilterRules| match rules.tool {
        FilterTool::Nft => nft::read(&rules.text),
        FilterTool::Iptables => Some(iptables::read(rules.tool.name(), &rules.text, false)),
        FilterTool::Ip6tables => Some(iptables::read(rules.tool.name(), &rules.text, true)),
    };
    // Some megabytes of rules take a while: not on the threads that everything else waits for.
    let read = tokio::task::spawn_blocking(move || listings.iter().map(read).collect::<Option<Vec<_>>>());
    if let Ok(Some(rulesets)) = read.await {
        return rulesets;
    }
    view.rules_read = false;
    view.unseen.push("the packet filter's rules: a listing that makes no sense".to_owned());
    Vec::new()
}

/// Compares the listing of before with that of now.
pub(super) async fn compare(sys: &Sys, job: &ProbeJob, before: &[Ruleset], view: &mut ReachView) {
    // Without a rule there is no second look.
    let hits = |rulesets: &[Ruleset], view: &ReachView| -> Vec<_> {
        rulesets.iter().flat_map(|rules| meeting(rules, job, view)).collect()
    };
    let then = hits(before, view);
    if then.is_empty() {
        return;
    }
    let now = listed(sys, view).await;
    let now = hits(&now, view);
    view.rules = walk::counted(&then, now);
    // Proof first: what counted, then what holds beyond doubt.
    view.rules.order_by_key(|hit| (std::cmp::Reverse(hit.counted.unwrap_or(0).min(1)), !hit.certain));
}

/// The rules that meet the connection's packets, and those that meet the answers.
fn meeting(ruleset: &Ruleset, job: &ProbeJob, view: &ReachView) -> Vec<(String, crate::model::RuleHit)> {
    let Some(to) = view.to else { return Vec::new() };
    let (uid, gid, _) = sys::ourselves();
    let identity = job.identity.as_ref();
    let route = view.route.as_ref();
    let device = route.and_then(|route| route.device.clone());
    let source = route.and_then(|route| route.source);
    let request = Packet {
        source,
        destination: Some(to.ip()),
        source_port: None,
        destination_port: Some(to.port()),
        device_in: device.clone().filter(|_| view.local),
        device_out: device.clone(),
        user: Some(identity.map_or(uid, |identity| identity.uid)),
        group: Some(identity.map_or(gid, |identity| identity.gid)),
        six: to.is_ipv6(),
        answer: false,
    };
    let answer = Packet {
        source: Some(to.ip()),
        destination: source,
        source_port: Some(to.port()),
        destination_port: None,
        device_in: device.clone(),
        device_out: device.filter(|_| view.local),
        user: None,
        group: None,
        six: to.is_ipv6(),
        answer: true,
    };
    let all = ["output", "postrouting", "prerouting", "input"];
    let (out, back) = if view.local { (&all[..], &all[..]) } else { (&all[..2], &all[2..]) };
    let mut found = walk::hits(ruleset, &request, out);
    found.extend(walk::hits(ruleset, &answer, back));
    found
}
