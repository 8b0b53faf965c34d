//! Facts about servers that a gateway does not ask although they serve, where it says no more than that none is left: `held:...`.
//! Open source nginx counts failures of real requests (`max_fails` within `fail_timeout`), and connections (`max_conns`), for itself;
//! nothing but its log tells that it does (nginx.org: ngx_http_upstream_module, server). Apache counts failures likewise (`apache`).

mod apache;

use std::collections::BTreeMap;

use super::{FactBook, LOG_WINDOW_S, probes};
use crate::{
    catalog::Catalog,
    diagnose::{LogGroup, Scene, wrote},
    model::{Address, Fact, Gateway, Outcome, Pool, Role, Server, Settings, Subject},
};

/// The signature of a log that says that no server of a pool is left.
const NONE_LEFT: &str = "nginx-no-live-upstreams";

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["held:failed-before", "held:full"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    apache::produce(scene, catalog, book);
    let from = scene.now.wall_s() - LOG_WINDOW_S;
    let says = |group: &&LogGroup| group.signature(&catalog.signatures).is_some_and(|signature| signature.id == NONE_LEFT);
    for group in scene.logs.values().filter(|group| group.since(from) > 0).filter(says) {
        let Some(pool) = group.meaning.upstream.as_deref() else { continue };
        let writes = |gateway: &&Gateway| wrote(scene, gateway, &group.source);
        for gateway in scene.gateways.iter().filter(writes) {
            for pool in gateway.pools.iter().filter(|known| known.name == pool) {
                about(scene, gateway, pool, group, book);
            }
            for pool in of_name(gateway, pool) {
                about(scene, gateway, &pool, group, book);
            }
        }
    }
}

/// The pools that nginx makes of a name in `proxy_pass`: a server for each of its addresses (nginx.org: ngx_http_proxy_module, proxy_pass).
/// Its log has their name without the port.
fn of_name(gateway: &Gateway, name: &str) -> Vec<Pool> {
    let mut found: Vec<Pool> = Vec::new();
    for server in gateway.routes().flat_map(|(_, route)| &route.servers) {
        let named = matches!(server.address.bare(), Address::Name(known, _) if known == name);
        let of_pool =
            || gateway.pools.iter().chain(&found).flat_map(|pool| &pool.servers).any(|known| known.address == server.address);
        if named && !of_pool() {
            let (servers, at) = (vec![server.clone()], server.at.clone());
            found.push(Pool { name: name.to_owned(), servers, settings: Settings::default(), at });
        }
    }
    found
}

/// One pool of which its gateway says that no server is left.
fn about(scene: &Scene, gateway: &Gateway, pool: &Pool, group: &LogGroup, book: &mut FactBook) {
    let asked = || pool.servers.iter().filter(|server| server.role == Role::Primary);
    for server in asked() {
        book.look("held", &Subject(server.address.to_string()));
    }
    // The servers of the file need not be those that it asks.
    let other = book.find("conf:edited-since-load", &[&scene.named(gateway)]).is_some();
    if other || asked().next().is_none() || !asked().all(|server| serves(scene, server)) {
        return;
    }
    let through = asked().flat_map(|server| scene.probes_through(&Subject(server.address.to_string())).collect::<Vec<_>>());
    let failing = through
        .into_iter()
        .any(|history| probes::window(history).iter().any(|result| matches!(result.outcome, Outcome::Status(502..=504))));
    if !failing {
        return;
    }
    let setting = |server: &Server, key: &str| {
        // `server 127.0.0.1:8001 max_fails`, as gateway/nginx keeps it.
        let mut of = pool.settings.iter().filter_map(|(name, setting)| {
            let (server, name) = name.strip_prefix("server ")?.split_once(' ')?;
            (name == key).then_some((server, setting))
        });
        of.find(|(written, _)| same(written, server)).map(|(_, setting)| setting.clone())
    };
    let (kind, name) = (&gateway.kind, &pool.name);
    let mut add = |name: &str, subject: Subject, text: String, fields: [(&str, String); 2]| {
        let fields: BTreeMap<_, _> = fields.map(|(key, value)| (key.to_owned(), value)).into();
        if book.find(name, &[&subject]).is_none() {
            let (name, source) = (name.to_owned(), group.source.clone());
            book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
        }
    };
    for server in asked() {
        let address = server.address.to_string();
        if let Some(most) = setting(server, "max_conns") {
            let place = most.at.map_or_else(String::new, |at| format!(" ({at})"));
            let line = format!("max_conns={} of {address}{place} is used up", most.value);
            let text = format!("no server of {name} is left for {kind}, while {address} serves: {line}");
            add("held:full", scene.named(gateway), text, [("line", line.clone()), ("setting", "max_conns".to_owned())]);
            continue;
        }
        let fails = setting(server, "max_fails").map_or_else(|| "1".to_owned(), |setting| setting.value.to_string());
        // 0: never left out. A pool of one address is asked always, whatever it did; that a name has several, the line itself proves.
        let one = asked().count() < 2 && !matches!(server.address.bare(), Address::Name(..));
        if fails == "0" || one {
            continue;
        }
        let pause = setting(server, "fail_timeout").map_or_else(|| "10s".to_owned(), |setting| setting.value.to_string());
        let text =
            format!("{kind} asks no server of {name}: {address} serves, and is left out for {pause} after {fails} failed requests");
        let held = format!("it failed before, and is not asked again for {pause} (max_fails={fails} fail_timeout={pause})");
        add("held:failed-before", Subject(address.clone()), text, [("server", format!("{name}/{address}")), ("held", held)]);
    }
}

/// Whether a server of this name in the configuration is this one.
fn same(written: &str, server: &Server) -> bool {
    let address = server.address.to_string();
    address == written || address.strip_suffix(":80") == Some(written)
}

/// Whether requests straight to it were made, and all are answered.
fn serves(scene: &Scene, server: &Server) -> bool {
    let mut tried = false;
    for history in scene.probes_about("upstream", &Subject(server.address.to_string())) {
        tried = true;
        if !probes::window(history).iter().all(|result| result.outcome.serves() == Some(true)) {
            return false;
        }
    }
    tried
}
