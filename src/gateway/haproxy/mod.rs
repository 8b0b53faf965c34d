//! HAProxy, 2.0 and later.
//!
//! `instance` finds processes, or what says that there should be one; `binary` reads the version; `load` makes sections of all
//! files (`lexer`, `condition`); `proxy` gives a section what it has from its defaults; `server` and `backend` tell where requests
//! go, `listen`, `acl`, `map` and `site` who takes which; `logs` finds logs, `live` asks the stats socket, `test` lets HAProxy itself
//! say whether it would load what is on disk.
//!
//! What must not be here: running HAProxy bare, a command on its socket that changes anything, or judging what it is configured to
//! do. A line that it would refuse is a problem with its own words, where we know it; words that we do not know are kept.
//!
//! To follow another parameter of a server: its place in `server::VALUED` if it has a value, and in `server::TOLD`. To follow another
//! setting of a proxy: `Proxy::settings`. To follow another condition: `acl::test`.

mod acl;
mod answers;
mod backend;
pub(super) mod binary;
mod condition;
mod instance;
mod lexer;
mod listen;
pub(super) mod live;
mod load;
mod logs;
mod map;
mod names;
mod proxy;
mod server;
mod site;
mod test;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use futures_util::future::BoxFuture;

use self::{binary::Versions, instance::Instance, load::Loaded};
use super::{Found, Kind, Overrides, look_off_thread, servers_left_out, site_of_operator, written::beside};
use crate::{
    model::{BlindSpot, CACHE, ConfigTest, Gateway, Identity, LiveState, LogSource, ProcessInfo, RunState, Setting},
    sys::{Processes, Root, Sys, Users},
};

/// Its name.
pub(super) const ID: &str = "haproxy";

/// The kind.
pub static HAPROXY: Haproxy = Haproxy { versions: LazyLock::new(Arc::default) };

/// HAProxy.
#[derive(Debug)]
pub struct Haproxy {
    versions: LazyLock<Arc<Versions>>,
}

impl Kind for Haproxy {
    fn id(&self) -> &'static str {
        ID
    }

    fn programs(&self) -> &'static [&'static str] {
        &[instance::PROGRAM]
    }

    fn look<'a>(&'a self, sys: &'a Sys, processes: Option<Processes>, overrides: &'a Overrides) -> BoxFuture<'a, Found> {
        let (root, overrides, versions) = (sys.root.clone(), overrides.clone(), Arc::clone(&self.versions));
        Box::pin(look_off_thread(ID, move || look(&root, processes.as_deref().map(Vec::as_slice), &overrides, &versions)))
    }

    fn test<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<ConfigTest, String>> {
        Box::pin(test::test(sys, gateway))
    }

    fn live<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<Option<LiveState>, BlindSpot>> {
        Box::pin(live::live(sys, gateway))
    }
}

/// One look, on a thread that may block.
pub(super) fn look(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides, versions: &Versions) -> Found {
    let instances = instance::find(root, processes, overrides, versions);
    let mut found = Found { blind: instances.blind, abroad: instances.abroad, ..Found::default() };
    for instance in instances.all {
        // That of one that rests stands in a binary of megabytes, and most who have such a binary do not use it.
        let (known, binary) = (instance.version.clone(), instance.binary.clone());
        let version = || known.clone().or_else(|| versions.of(root, binary.as_deref()?));
        let loaded = load::load(root, &instance.configs, &instance.environment, &version);
        found.watch.extend(loaded.directories.iter().map(|dir| dir.join("x")));
        let pid = loaded.global_value("pidfile").map_or_else(|| Path::new("/run/haproxy.pid"), Path::new);
        found.watch.push(pid.to_owned());
        let stopped = matches!(instance.state, RunState::Stopped { .. });
        let gateway = gateway(root, instance, &loaded, overrides);
        // The packages' own file serves nobody: whoever installed HAProxy does not use it.
        if !(stopped && gateway.sites.is_empty() && gateway.problems.is_empty() && overrides.config.is_none()) {
            found.gateways.push(Gateway { version: version(), ..gateway });
        }
    }
    found
}

/// What an instance and its configuration say together.
fn gateway(root: &Root, instance: Instance, loaded: &Loaded, overrides: &Overrides) -> Gateway {
    let around = backend::around(loaded);
    let (mut backends, mut problems) = backend::backends(loaded, &around);
    let built = site::sites(loaded, &backends, root);
    problems.extend(built.problems);
    let mut sites = built.all;
    let config = instance.configs.first().cloned().unwrap_or_default();
    sites.extend(site_of_operator(overrides, &config));
    let mut pools = Vec::with_capacity(backends.len());
    let mut left_out = Vec::new();
    // In the order in which they were read; of two of one name the first counts.
    for section in &loaded.sections {
        if let Some(backend) = backends.remove(section.name.as_str()).filter(|_| proxy::Proxy::of(loaded, section).is_back()) {
            left_out.extend((backend.left_out > 0).then(|| servers_left_out(&section.name, backend.left_out)));
            pools.push(backend.into_pool());
        }
    }
    let (logs, mut blind) = logs::logs(root, loaded, &instance, overrides);
    blind.extend(left_out);
    if built.cut {
        blind.push(BlindSpot {
            source: "further frontends".to_owned(),
            reason: "the configuration has more rules and names than are followed".to_owned(),
            remedy: "name the URL that fails, or the part that matters with --config".to_owned(),
        });
    }
    let mut commands = commands(&instance, &logs);
    commands.extend(live::ways(loaded, &instance));
    let limits = loaded.global().filter(|line| line.word(0) == "maxconn");
    let mut limits: std::collections::BTreeMap<_, _> =
        limits.map(|line| ("maxconn".to_owned(), Setting { value: line.word(1).into(), at: Some(line.place()) })).collect();
    // It never gives what is too old (configuration.txt, 6).
    let mut lines = loaded.sections.iter().flat_map(|section| &section.lines);
    if let Some(line) = lines.find(|line| line.is(&["http-request", "cache-use"])) {
        limits.insert(
            CACHE.to_owned(),
            Setting { value: format!("http-request cache-use {}", line.word(2)).into(), at: Some(line.place()) },
        );
    }
    let identity = identity(root, &instance, loaded);
    let resolvers = loaded.of("resolvers").flat_map(|section| &section.lines).filter(|line| line.word(0) == "nameserver");
    let mut resolvers: Vec<String> = resolvers.map(|line| line.word(2).to_owned()).collect();
    resolvers.dedup();
    let mut all_problems = loaded.problems.clone();
    all_problems.extend(problems);
    blind.extend(loaded.blind.iter().cloned());
    Gateway {
        kind: ID.to_owned(),
        version: instance.version,
        state: instance.state,
        binary: instance.binary,
        identity,
        config,
        files: loaded.files.iter().cloned().chain(beside(root, named_files(loaded))).collect(),
        problems: all_problems,
        sites: sites.into(),
        pools: pools.into(),
        logs,
        settings: limits,
        resolvers,
        unit: instance.unit,
        draining: instance.draining,
        generation: instance.generation,
        test: None,
        tested: None,
        per_request: Vec::new(),
        commands,
        blind,
        inside: None,
    }
}

/// Files that are read when the configuration is: certificates and lists of them. With each the setting that a relative path stands
/// below (configuration.txt, 5.1 and 5.2).
const READ_AT_LOAD: &[(&str, &str)] =
    &[("crt", "crt-base"), ("ca-file", "ca-base"), ("ca-verify-file", "ca-base"), ("crl-file", "ca-base"), ("crt-list", "")];

fn named_files(loaded: &Loaded) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let lines = loaded.sections.iter().flat_map(|section| &section.lines);
    for line in lines.filter(|line| ["bind", "server", "default-server"].contains(&line.word(0))) {
        for (word, path) in line.words().zip(line.words().skip(1)) {
            // `@system-ca`, and what is kept under a name instead of in a file (`@store/name`).
            let named = READ_AT_LOAD.iter().find(|(name, _)| *name == word && !path.is_empty() && !path.starts_with('@'));
            if let Some((_, base)) = named {
                out.insert(Path::new(loaded.global_value(base).unwrap_or("/")).join(path));
            }
        }
    }
    out
}

/// As whom upstreams are connected to: the worker's own identity, else what `user` or `uid` says.
fn identity(root: &Root, instance: &Instance, loaded: &Loaded) -> Option<Identity> {
    if let Some(worker) = &instance.worker {
        return Some(worker.clone());
    }
    let users = Users::read(root);
    let by_id = loaded.global_value("uid").and_then(|uid| uid.parse().ok()).map(|uid| users.name(uid));
    users.identity(root, loaded.global_value("user").or(by_id.as_deref()).unwrap_or("root"))
}

/// What a person types.
fn commands(instance: &Instance, logs: &[LogSource]) -> BTreeMap<String, Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let binary = instance.binary.as_ref().map_or_else(|| ID.to_owned(), |path| path.display().to_string());
    let files: Vec<String> = instance.configs.iter().flat_map(|path| ["-f".to_owned(), path.display().to_string()]).collect();
    let with = |first: &str, more: &[String]| [vec![first.to_owned()], more.to_vec()].concat();
    let test = [words(&["-c"]), files.clone()].concat();
    let mut commands = BTreeMap::from([("test".to_owned(), with(ID, &test)), ("start".to_owned(), with(&binary, &files))]);
    match (&instance.unit, &instance.state) {
        (Some(unit), state) => {
            commands.extend(super::units::commands(unit));
            if matches!(state, RunState::Stopped { .. }) {
                commands.remove("reload");
            }
        }
        (None, RunState::Running { pid, .. }) if instance.mastered => {
            commands.insert("reload".to_owned(), words(&["kill", "-USR2", &pid.to_string()]));
        }
        (None, RunState::Running { pid, .. }) => {
            let more = [files.clone(), words(&["-D", "-sf", &pid.to_string()])].concat();
            commands.insert("reload".to_owned(), with(&binary, &more));
        }
        (None, RunState::Stopped { .. }) => {}
    }
    if let Some(log) = logs.first() {
        commands.insert("log".to_owned(), words(&["tail", "-n", "50", &log.path.display().to_string()]));
    }
    if instance.binary.is_some() {
        commands.insert(test::COMMAND.to_owned(), with(&binary, &test));
    }
    commands
}

#[cfg(test)]
mod tests;
