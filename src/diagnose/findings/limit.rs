//! Findings about limits, and how near they are.

use super::{Found, Look};
use crate::diagnose::wording::nginx_module;
use crate::model::{Gateway, Place, RunState, text};

/// A share of a limit from which on it is worth a word. From 90 % on it is a fault (DESIGN section 2).
const NEAR: f64 = 0.75;
/// The share of what a gateway takes as a response header from which on one more cookie may be too much.
const HEADER_NEAR: f64 = 0.75;

/// A number by its setting of the gateway.
fn number<'a>(gateway: &'a Gateway, name: &str) -> Option<(u64, Option<&'a Place>)> {
    let setting = gateway.settings.get(name)?;
    Some((setting.value.parse().ok()?, setting.at.as_ref()))
}

/// Response headers that were seen, against what their gateway takes.
pub(super) fn header<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let seen = look.scene.probes_of("upstream").filter_map(|history| {
        let (bytes, job) = (history.last.head_bytes?, &history.last.job);
        let limit = job.header_limit.filter(|limit| f64::from(bytes) >= f64::from(*limit) * HEADER_NEAR)?;
        let (spot, server) = look.server(&job.subject)?;
        let text = format!(
            "{} answered with a header of {bytes} bytes; {} takes {limit} ({})",
            server.address,
            spot.gateway.kind,
            look.written("header-limit", spot.route)
        );
        let found = Found::of(&spot, look.place("header-limit", spot.route), text).about(&server.address);
        Some(found.with("module", nginx_module(spot.route.protocol).to_owned()))
    });
    seen.collect()
}

/// Limits that the gateway tells the use of.
pub(super) fn near<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    for live in &look.scene.lives {
        let Some(gateway) = look.scene.gateways.iter().find(|gateway| live.is_of(gateway)) else { continue };
        for limit in live.limits.iter().filter(|limit| limit.limit > 0 && limit.used as f64 >= limit.limit as f64 * NEAR) {
            let text = format!(
                "{} of {} of {} are used ({:.0} %)",
                text::thousands(limit.used),
                text::thousands(limit.limit),
                limit.name,
                limit.used as f64 * 100.0 / limit.limit as f64
            );
            let written = gateway.settings.get(limit.name.split(' ').next().unwrap_or_default());
            all.push(Found {
                near: look.nearness(gateway),
                gateway: Some(gateway),
                text,
                at: written.and_then(|setting| setting.at.clone()),
                fields: vec![("setting", limit.name.clone())],
                subject: None,
            });
        }
    }
    all
}

/// nginx: a worker may hold more connections than it may open files.
pub(super) fn files<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let short = look.scene.gateways.iter().filter_map(|gateway| {
        let (connections, at) = number(gateway, "worker_connections")?;
        let files = gateway.settings.get("worker_rlimit_nofile").or_else(|| gateway.settings.get("open files"))?;
        let limit: u64 = files.value.parse().ok().filter(|limit| *limit < connections)?;
        let text = format!("worker_connections is {connections}, and a worker may open {limit} files");
        let at = files.at.as_ref().or(at).cloned();
        Some(Found { near: look.nearness(gateway), gateway: Some(gateway), text, at, fields: Vec::new(), subject: None })
    });
    short.collect()
}

/// Apache: more workers than its processes can have threads.
pub(super) fn workers<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let beyond = look.scene.gateways.iter().filter_map(|gateway| {
        let (wanted, at) = number(gateway, "MaxRequestWorkers")?;
        let (limit, _) = number(gateway, "workers possible")?;
        if wanted <= limit || matches!(gateway.state, RunState::Stopped { .. }) {
            return None;
        }
        let text = format!("MaxRequestWorkers is {wanted}, and ServerLimit x ThreadsPerChild allows {limit}");
        let near = look.nearness(gateway);
        Some(Found { near, gateway: Some(gateway), text, at: at.cloned(), fields: Vec::new(), subject: None })
    });
    beyond.collect()
}
