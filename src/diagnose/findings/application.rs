//! Findings about a gateway and what is behind it, held against each other: their time-outs, and how long they keep connections.

use super::{Found, Look, Spot, span};
use crate::{
    diagnose::Scene,
    model::{AppSettings, Protocol, Reuse, Subject},
};

/// Differences below this many milliseconds are none: both ends count from another moment.
const MARGIN_MS: u64 = 1_000;

/// What is known of the application behind an upstream.
fn application<'a>(scene: &'a Scene, upstream: &Subject) -> Option<&'a AppSettings> {
    scene.apps.iter().find(|app| app.serves.contains(upstream))
}

/// The gateway gives up while the application, by its own settings, would go on.
pub(super) fn timeout_below<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    for app in &look.scene.apps {
        let Some(limit) = &app.request_limit else { continue };
        for subject in &app.serves {
            let Some((spot, server)) = look.server(subject) else { continue };
            if spot.route.read_ms.saturating_add(MARGIN_MS) > limit.ms {
                continue;
            }
            let own = span(spot.route.read_ms);
            let text = format!(
                "{} waits {own} for {} ({}), which lets a request take {} ({} of {})",
                spot.gateway.kind,
                server.address,
                look.written("answer-timeout", spot.route),
                span(limit.ms),
                limit.shown(),
                app.title()
            );
            let found = Found::of(&spot, look.place("answer-timeout", spot.route), text).about(&server.address);
            all.push(found.with("app_limit", span(limit.ms)).with("app_setting", limit.name.clone()).with("limit", own));
        }
    }
    all
}

/// A gateway behind a gateway that was told to wait longer than the one in front of it does.
pub(super) fn timeout_above_outer<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    for (server, gateway, route) in &look.map.inner {
        let Some((spot, _)) = look.server(&Subject(server.address.to_string())) else { continue };
        // A default that nobody wrote is not held against anybody.
        let written = look.setting("answer-timeout", route).and_then(|(_, setting)| setting.at.as_ref());
        let Some(at) = written.filter(|_| !std::ptr::eq(*gateway, spot.gateway)) else { continue };
        if route.read_ms == u64::MAX || route.read_ms <= spot.route.read_ms.saturating_add(MARGIN_MS) {
            continue;
        }
        let (outer, own) = (span(spot.route.read_ms), span(route.read_ms));
        let text = format!(
            "{} waits {own} for its upstream, and {} in front of it gives up after {outer} ({})",
            gateway.kind,
            spot.gateway.kind,
            look.written("answer-timeout", spot.route)
        );
        all.push(Found { gateway: Some(gateway), ..Found::of(&spot, at, text).with("limit", outer) });
    }
    all
}

/// The gateway uses connections for longer than the upstream keeps them: as measured, else by the application's settings.
pub(super) fn keepalive<'a>(look: &Look<'a>) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    let measured = look.book.facts().iter().filter(|fact| fact.name == "keepalive:short");
    let mut told: Vec<&Subject> = Vec::new();
    for fact in measured {
        let Some((spot, server)) = look.server(&fact.subject) else { continue };
        told.push(&fact.subject);
        let broke = ["keepalive:race", "keepalive:suspect"].iter().any(|name| look.book.find(name, &[&fact.subject]).is_some());
        if !chosen(look, &spot) && !broke {
            continue;
        }
        let idle = fact.fields.get("idle").cloned().unwrap_or_default();
        let found = Found::of(&spot, look.place("keep-alive", spot.route), fact.text.clone()).about(&server.address);
        all.push(found.with("idle", idle).with("app_setting", setting(look, &fact.subject)));
    }
    for app in &look.scene.apps {
        let Some(keeps) = app.keepalive.as_ref().filter(|keeps| keeps.ms > 0) else { continue };
        for subject in app.serves.iter().filter(|subject| !told.contains(subject)) {
            // A measurement that saw otherwise is believed before any setting.
            if look.book.find("keepalive:long", &[subject]).is_some() {
                continue;
            }
            let Some((spot, server)) = look.server(subject) else { continue };
            let Reuse::Kept { idle_ms, at } = &spot.route.reuse else { continue };
            let longer = idle_ms.is_none_or(|idle| idle > keeps.ms);
            if !longer || !chosen(look, &spot) || !matches!(spot.route.protocol, Protocol::Http | Protocol::Https) {
                continue;
            }
            let own = idle_ms.map_or_else(|| "without a limit".to_owned(), span);
            let text = format!(
                "{} keeps idle connections to {} for {own}, and {} closes them after {} ({})",
                spot.gateway.kind,
                server.address,
                app.title(),
                span(keeps.ms),
                keeps.shown()
            );
            let at = at.as_ref().unwrap_or_else(|| look.place("keep-alive", spot.route));
            let found = Found::of(&spot, at, text).about(&server.address);
            all.push(found.with("idle", span(keeps.ms)).with("app_setting", keeps.name.clone()));
        }
    }
    all
}

/// Whether somebody chose to keep connections: what Apache and Caddy do by themselves breaks seldom, and is no choice of anybody's.
fn chosen(look: &Look<'_>, spot: &Spot<'_>) -> bool {
    let route = spot.route;
    let pool = spot.gateway.pools.iter().find(|pool| Some(&pool.name) == route.pool.as_ref());
    let written = look.setting("keep-alive", route).is_some_and(|(_, setting)| setting.at.is_some());
    written
        || matches!(route.reuse, Reuse::Kept { at: Some(_), .. })
        || pool.is_some_and(|pool| pool.settings.contains_key("keepalive"))
}

/// What the application's own setting is called.
fn setting(look: &Look<'_>, upstream: &Subject) -> String {
    let known = application(look.scene, upstream).and_then(|app| app.keepalive.as_ref());
    known.map_or_else(|| "keep-alive time of the application".to_owned(), |keeps| keeps.name.clone())
}
