//! Findings about a gateway itself.

use super::{Found, Look, Near};
use crate::model::{LogFormat, SourceKind};

/// Longer than anybody waits, in milliseconds: nothing is set.
const NEVER_MS: u64 = 86_400_000;

/// HAProxy without a time-out for its servers, which it warns of itself; Caddy has none by design.
pub(super) fn no_timeouts<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let open = look.spots.iter().filter(|spot| spot.gateway.kind == "haproxy" && spot.route.read_ms >= NEVER_MS);
    open.map(|spot| {
        let name = spot.route.pool.as_deref().unwrap_or("this backend");
        let at = spot.gateway.pools.iter().find(|pool| pool.name == name).map_or(&spot.route.at, |pool| &pool.at);
        Found::of(spot, at, format!("{name} waits for an answer without an end: `timeout server` is not set"))
    })
    .collect()
}

/// Only while something fails, for that is when it is missed: every distribution's own format is like that.
pub(super) fn log_lacks_upstream<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    if look.causes.is_empty() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for gateway in look.scene.gateways.iter().filter(|gateway| look.nearness(gateway) == Near::Gateway) {
        let silent = |format: &LogFormat| matches!(format, LogFormat::NginxAccess(text) if !text.contains("$upstream_"));
        let access: Vec<_> = gateway.logs.iter().filter(|log| log.kind == SourceKind::Access).collect();
        if let Some(log) = access.first().filter(|_| access.iter().all(|log| silent(&log.format))) {
            let text = format!("{} names no upstream in its lines: neither address nor status nor time", log.path.display());
            let near = Near::Elsewhere;
            all.push(Found { near, gateway: Some(gateway), text, at: None, fields: Vec::new(), subject: None });
        }
    }
    all
}
