//! Which logs are looked for, and which of those that were found are followed. Pure, as all of `app/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::Options;
use crate::{
    diagnose::Scene,
    model::{Address, FoundLog, Gateway, Listener, LogOwner, LogSource, OwnerRole, RunState, SourceKind, SourceWish, Subject},
};

/// Logs that are followed, at most: what the collector itself follows at once.
const FOLLOWED: usize = 128;
/// Logs of applications among them, at most; the gateway's come first.
const FOUND: usize = 64;
/// Units whose journal is followed, at most.
const UNITS: usize = 32;
/// Addresses at which nobody listens whose logs are looked for, at most: each is looked for among units and pools.
const OWNERLESS: usize = 64;
/// Upstreams that one process is, at most: more are a host of sites, and a line of its log is about any of them.
const SERVES: usize = 8;
/// Programs that are gateways themselves: one that listens here beside those that are known has logs that matter, as it may stand
/// before them.
const GATEWAYS: &[&str] =
    &["apache2", "httpd", "haproxy", "caddy", "traefik", "envoy", "varnishd", "lighttpd", "squid", "nginx", "openresty"];

/// What logs are looked for by: gateways that run, and whoever listens where they connect to.
pub fn wish(scene: &Scene, options: &Options) -> SourceWish {
    let mut owners: BTreeMap<u32, LogOwner> = BTreeMap::new();
    for gateway in &scene.gateways {
        if let RunState::Running { pid, .. } = gateway.state {
            let serves = vec![scene.named(gateway)];
            owners.insert(pid, LogOwner { pid, role: OwnerRole::Gateway, serves });
        }
    }
    let dialled: BTreeSet<&Address> = scene
        .gateways
        .iter()
        .flat_map(Gateway::routes)
        .flat_map(|(_, route)| &route.servers)
        .map(|server| &server.address)
        .collect();
    let listeners = scene.listeners.as_ref();
    let mut ownerless = Vec::new();
    let mut local = Vec::new();
    for address in dialled {
        let at = local_form(address);
        let ours = match &at {
            Address::Tcp(_) | Address::Inside(..) => listeners.is_none_or(|table| table.covers(&at)),
            Address::Unix(_) => true,
            Address::Name(..) => false,
        };
        let taking: Vec<&Listener> = match &at {
            // A name of this host's own is known by its port; one of another host has no listener here.
            Address::Name(_, port) => listeners.map_or_else(Vec::new, |table| {
                let here = |listener: &&Listener| listener.address.place().is_none() && listener.address.port() == Some(*port);
                table.listeners.iter().filter(here).collect()
            }),
            Address::Tcp(_) | Address::Unix(_) | Address::Inside(..) => {
                listeners.and_then(|table| table.taking(&at)).filter(|_| ours).into_iter().collect()
            }
        };
        let known: Vec<u32> = taking.iter().filter_map(|listener| Some(listener.owner.as_ref()?.pid)).collect();
        if ours && known.is_empty() && ownerless.len() < OWNERLESS {
            ownerless.push(address.clone());
        }
        if ours || !known.is_empty() {
            local.push(address.clone());
        }
        for pid in known {
            let owner = owners.entry(pid).or_insert(LogOwner { pid, role: OwnerRole::Upstream, serves: Vec::new() });
            if owner.serves.len() < SERVES {
                owner.serves.push(Subject(address.to_string()));
            }
        }
    }
    // The demo is a host of its own.
    if options.demo.is_none() {
        let others = listeners.into_iter().flat_map(|table| &table.listeners).filter_map(|listener| listener.owner.as_ref());
        for owner in others.filter(|owner| GATEWAYS.contains(&owner.name.as_str())) {
            let pid = owner.pid;
            let serves = vec![Subject(owner.name.clone())];
            owners.entry(pid).or_insert(LogOwner { pid, role: OwnerRole::Gateway, serves });
        }
    }
    let unit = |gateway: &Gateway| {
        let name = gateway.unit.clone().unwrap_or_else(|| format!("{}.service", gateway.kind));
        (name, scene.named(gateway))
    };
    let units: BTreeSet<(String, Subject)> =
        scene.gateways.iter().filter(|gateway| gateway.unit.is_some() || !gateway.running()).map(unit).collect();
    let known = configured(scene).into_iter().map(|log| log.path).collect();
    SourceWish {
        owners: owners.into_values().collect(),
        ownerless,
        dialled: local,
        units: units.into_iter().collect(),
        known,
        configs: configs(scene),
        scripts: scripts(scene),
    }
}

/// Files of configurations that are looked at for changes, at most: those of a host with a few hundred sites.
const CONFIGS: usize = 1_000;
/// Directories of scripts, at most.
const SCRIPTS: usize = 32;

/// The files of all configurations.
fn configs(scene: &Scene) -> Vec<(PathBuf, Subject)> {
    let of = |gateway: &Gateway| {
        let kind = scene.named(gateway);
        gateway.files.iter().map(move |(path, _)| (path.clone(), kind.clone())).collect::<Vec<_>>()
    };
    let mut files: Vec<_> = scene.gateways.iter().flat_map(of).take(CONFIGS).collect();
    files.sort();
    files.dedup();
    files
}

/// Where the scripts lie that FastCGI is told to run.
fn scripts(scene: &Scene) -> Vec<(PathBuf, Subject)> {
    let mut found = BTreeSet::new();
    for (_, route) in scene.gateways.iter().flat_map(Gateway::routes) {
        let script = route.params.iter().find(|(name, _)| name == "SCRIPT_FILENAME").map(|(_, value)| PathBuf::from(value));
        let Some(dir) = script.as_deref().and_then(std::path::Path::parent).filter(|dir| dir.is_absolute()) else { continue };
        found.extend(route.servers.iter().map(|server| (dir.to_owned(), Subject(server.address.to_string()))));
    }
    found.into_iter().take(SCRIPTS).collect()
}

/// `localhost` is this host whatever a resolver says (RFC 6761 section 6.3).
fn local_form(address: &Address) -> Address {
    match address {
        Address::Name(name, port) if name.eq_ignore_ascii_case("localhost") => Address::Tcp(([127, 0, 0, 1], *port).into()),
        other => other.clone(),
    }
}

/// The logs that gateways' configurations and the operator name.
fn configured(scene: &Scene) -> Vec<LogSource> {
    let mut logs: Vec<LogSource> = Vec::new();
    for log in scene.gateways.iter().flat_map(|gateway| &gateway.logs) {
        if !logs.iter().any(|known| known.path == log.path) {
            logs.push(log.clone());
        }
    }
    logs
}

/// All logs that are to be followed: those of the gateways first, then what was found by what runs.
pub fn logs(scene: &Scene) -> Vec<LogSource> {
    let mut logs = configured(scene);
    logs.truncate(FOLLOWED);
    let room = FOUND.min(FOLLOWED - logs.len());
    let found: Vec<LogSource> = scene
        .sources
        .iter()
        .filter_map(FoundLog::file)
        .filter(|log| !logs.iter().any(|known| known.path == log.path))
        .take(room)
        .collect();
    logs.extend(found);
    logs
}

/// The units whose journal is to be followed, each with whose words they are.
pub fn units(scene: &Scene) -> Vec<(String, SourceKind)> {
    let unit = |log: &FoundLog| Some((log.unit()?.to_owned(), log.kind));
    scene.sources.iter().filter_map(unit).take(UNITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogFormat, LogPlace};

    #[test]
    fn what_was_found_is_followed_behind_the_rest_and_within_bounds() {
        let found =
            |place| FoundLog { place, kind: SourceKind::App, format: LogFormat::Plain, why: String::new(), serves: Vec::new() };
        let file = |at: usize| found(LogPlace::File(format!("/var/log/app/{at}.log").into()));
        let mut sources: Vec<FoundLog> = (0..200).map(file).collect();
        sources.push(found(LogPlace::Journal("app.service".into())));
        let mut scene = Scene::default();
        scene.sources = sources;
        assert_eq!(logs(&scene).len(), FOUND);
        assert_eq!(units(&scene), [("app.service".to_owned(), SourceKind::App)]);
    }

    #[test]
    fn localhost_is_here() {
        let here = local_form(&Address::Name("LocalHost".into(), 80));
        assert_eq!(here, Address::Tcp(([127, 0, 0, 1], 80).into()));
        assert_eq!(local_form(&Address::Name("app".into(), 80)), Address::Name("app".into(), 80));
    }
}
