//! What is configured for the request that matters, value by value, each with the line that says so: the gateway's side, and that
//! of the application which it connects to.
//!
//! To add a value: its block in `assets/settings.toml`, or a line in [`route_values`] where no setting of one name tells it.

use super::{Scene, facts::span, symptom};
use crate::{
    catalog::Catalog,
    model::{Address, AppSettings, Configured, Gateway, Place, Resolution, Reuse, Role, Route, Server, Site, Subject},
};

/// Routes that are told of for one server, at most: of a pool that a thousand sites use, the first.
const ROUTES: usize = 1;

/// What is configured for the requests to this server. Empty: no file names it.
pub fn configured(scene: &Scene, catalog: &Catalog, upstream: &Subject) -> Vec<Configured> {
    let mut out = Vec::new();
    let address = Address::try_from(upstream.0.clone()).ok();
    for (gateway, site, route) in address.iter().flat_map(|address| scene.routes_to(address)).take(ROUTES) {
        if let Some(server) = route.servers.iter().find(|server| Some(&server.address) == address.as_ref()) {
            route_values(catalog, gateway, site, route, server, &mut out);
        }
    }
    for app in scene.apps.iter().filter(|app| app.serves.contains(upstream)) {
        application_values(app, &mut out);
    }
    out
}

/// The server that all is about: that of the first cause, else one that the request which is shown goes to.
pub fn in_question(scene: &Scene, causes: &[crate::model::Cause], shown: &symptom::View) -> Option<Subject> {
    let known = |subject: &Subject| {
        let address = Address::try_from(subject.0.clone());
        address.is_ok_and(|address| !scene.routes_to(&address).is_empty())
    };
    let history = scene.probes_of("gateway").find(|history| Some(&history.last.job.subject) == shown.subject.as_ref());
    let reached = history.iter().flat_map(|history| &history.last.job.upstreams);
    causes.iter().map(|cause| &cause.subject).chain(reached).find(|subject| known(subject)).cloned()
}

fn route_values(catalog: &Catalog, gateway: &Gateway, site: &Site, route: &Route, server: &Server, out: &mut Vec<Configured>) {
    let mut add = |what: &str, value: String, setting: &str, at: Option<&Place>| {
        let (what, setting) = (what.to_owned(), setting.to_owned());
        out.push(Configured { of: gateway.kind.clone(), what, value, setting, at: at.map(ToString::to_string) });
    };
    add("site", site.host().unwrap_or("any name").to_owned(), "", Some(&site.at));
    add("route", route.pattern.clone(), "", Some(&route.at));
    let role = match server.role {
        Role::Primary => "",
        Role::Backup => ", a spare",
        Role::Down => ", taken out",
    };
    add("connects to", format!("{}{role}", server.address), server.name.as_deref().unwrap_or_default(), Some(&server.at));
    if let Some(pool) = &route.pool {
        let at = gateway.pools.iter().find(|known| known.name == *pool).map(|pool| &pool.at);
        let servers = route.servers.len();
        add("pool", format!("{pool}, {servers} server{}", if servers == 1 { "" } else { "s" }), "", at);
    }
    add("speaks", route.protocol.scheme().to_owned(), "", Some(&route.at));
    if let Some(host) = &route.host_header {
        add("Host header", host.clone(), "", None);
    }
    if matches!(server.address, Address::Name(..)) {
        let how = match &server.names {
            Resolution::AtStart => "at start".to_owned(),
            Resolution::AtFirstUse => "when first used".to_owned(),
            Resolution::AtEachUse => "for each connection".to_owned(),
            Resolution::ByServers(own) => format!("by {}", own.servers.join(" ")),
        };
        add("resolves names", how, "", None);
    }
    for spec in &catalog.settings {
        if let Some((name, setting)) = spec.of(&route.settings) {
            let value = if setting.value.is_empty() { "on".to_owned() } else { setting.value.to_string() };
            add(&spec.title, value, name, setting.at.as_ref());
        }
    }
    // What a kind has no setting for, or leaves to its own default.
    let told = |id: &str| catalog.setting(id).is_some_and(|spec| spec.of(&route.settings).is_some());
    if !told("connect-timeout") {
        add("waits for the connection", span(route.connect_ms), "", None);
    }
    if !told("answer-timeout") {
        add("waits for the answer", span(route.read_ms), "", None);
    }
    if let Some(limit) = route.header_limit.filter(|_| !told("header-limit")) {
        add("header takes", format!("{limit} bytes"), "", None);
    }
    match &route.reuse {
        Reuse::Unknown => {}
        Reuse::SameClient => add("keeps connections", "for further requests of the same client only".to_owned(), "", None),
        Reuse::Never => add("keeps connections", "no: one for each request".to_owned(), "", None),
        Reuse::Kept { idle_ms, at } => {
            add("keeps idle ones for", idle_ms.map_or_else(|| "ever".to_owned(), span), "", at.as_ref());
        }
    }
    if let Some(trust) = &route.trust {
        let how = match (&trust.unclear, trust.verify) {
            (Some(unclear), _) => format!("not known: {unclear}"),
            (None, true) if trust.of_request => "yes, for the name of the request".to_owned(),
            (None, true) => format!("yes, for {}", trust.name.as_deref().unwrap_or("any name")),
            (None, false) => "no".to_owned(),
        };
        add("verifies certificates", how, "", None);
    }
}

fn application_values(app: &AppSettings, out: &mut Vec<Configured>) {
    let mut add = |what: &str, value: String, setting: &str, at: Option<String>| {
        let (what, setting) = (what.to_owned(), setting.to_owned());
        out.push(Configured { of: app.kind.clone(), what, value, setting, at });
    };
    add("application", app.title(), "", None);
    if !app.user.is_empty() {
        add("runs as", app.user.clone(), "", None);
    }
    if let Some(limit) = &app.request_limit {
        add("a request may take", span(limit.ms), &limit.name, Some(limit.from.clone()));
    }
    match &app.keepalive {
        Some(keeps) if keeps.ms == 0 => add("keeps connections", "no: it closes each".to_owned(), "", None),
        Some(keeps) => add("keeps idle ones for", span(keeps.ms), &keeps.name, Some(keeps.from.clone())),
        None => {}
    }
    let told = [&app.request_limit, &app.keepalive].map(|time| time.as_ref().map(|time| time.name.clone()));
    for (name, setting) in app.settings.iter().filter(|(name, _)| !told.contains(&Some((*name).clone()))) {
        add(name, setting.value.clone(), "", Some(setting.from.clone()));
    }
}
