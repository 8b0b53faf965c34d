//! Findings about a gateway itself.

use super::{Found, Look, Near};
use crate::{
    diagnose::wrote::opened,
    model::{Gateway, LogFormat, LogPlace, SourceKind},
};

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

/// A log that was renamed, and that the gateway was not told to open anew: under its name stands what nobody writes to.
pub(super) fn log_not_reopened<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let of_gateway = |gateway: &'a Gateway| {
        opened(look.scene, gateway).filter_map(move |log| {
            let LogPlace::File(path) = &log.place else { return None };
            let renamed = |known: &std::path::Path| {
                let name = |path: &std::path::Path| Some(path.file_name()?.to_str()?.to_owned());
                path != known
                    && path.parent() == known.parent()
                    && name(path).zip(name(known)).is_some_and(|(a, b)| a.starts_with(&b))
            };
            let written = gateway.logs.iter().find(|known| known.kind == log.kind && renamed(&known.path))?;
            let (kind, now, before) = (&gateway.kind, path.display(), written.path.display());
            let text = format!("{kind} still writes to {now}: {before} was renamed, and {kind} was not told to open its logs anew");
            let (near, fields) = (look.nearness(gateway), Vec::new());
            Some(Found { near, gateway: Some(gateway), text, at: None, fields, subject: None })
        })
    };
    look.scene.gateways.iter().filter(|gateway| gateway.running()).flat_map(of_gateway).collect()
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
