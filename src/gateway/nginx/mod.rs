//! nginx, and forks with its configuration and process titles (OpenResty, Tengine, Angie, freenginx).
//!
//! `instance` finds masters, or what says that there should be one; `binary` reads versions and compiled-in paths;
//! `load` makes one tree of all files (`lexer`, `tree`); `world`, `site` and `route` give it its meaning, with
//! `scope` for inheritance, `vars` for variables, `sample` for paths that lead into a location; `logs` finds logs; `test` lets
//! nginx itself say whether it would load what is on disk.
//!
//! What must not be here: running nginx bare, or judging what it is configured to do. A line that nginx would refuse is a
//! problem with nginx's own words; what we can't follow (Lua, variables) is said to be dynamic, never guessed.
//!
//! To follow another setting: a line in `route::SETTINGS`. To follow another `*_pass`: a line in `target::MODULES`.

mod answers;
pub(super) mod binary;
mod instance;
mod lexer;
mod limits;
mod listen;
mod live;
mod load;
mod logs;
mod names;
mod reuse;
mod route;
mod sample;
mod scope;
mod site;
mod target;
mod test;
mod tls;
mod tree;
mod units;
mod vars;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use compact_str::CompactString;
use futures_util::future::BoxFuture;

use self::{binary::Builds, instance::Instance, load::Loaded, scope::Scope, tree::Directive, world::World};
use super::{Found, Kind, Overrides, left_out, look_off_thread, site_of_operator, upstream_trust, written::beside};
use crate::{
    model::{
        BlindSpot, ConfigTest, Gateway, Identity, LiveState, LogSource, Place, ProcessInfo, RunState, Setting, Site, SourceKind,
    },
    sys::{Processes, Root, Sys, Users},
};

/// Its name.
const ID: &str = "nginx";

/// The kind.
pub static NGINX: Nginx = Nginx { builds: LazyLock::new(Arc::default) };

/// nginx.
#[derive(Debug)]
pub struct Nginx {
    builds: LazyLock<Arc<Builds>>,
}

impl Kind for Nginx {
    fn id(&self) -> &'static str {
        ID
    }

    fn programs(&self) -> &'static [&'static str] {
        instance::PROGRAMS
    }

    fn look<'a>(&'a self, sys: &'a Sys, processes: Option<Processes>, overrides: &'a Overrides) -> BoxFuture<'a, Found> {
        let (root, overrides, builds) = (sys.root.clone(), overrides.clone(), Arc::clone(&self.builds));
        Box::pin(look_off_thread(ID, move || look(&root, processes.as_deref().map(Vec::as_slice), &overrides, &builds)))
    }

    fn test<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<ConfigTest, String>> {
        Box::pin(test::test(sys, gateway))
    }

    fn live<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<Option<LiveState>, BlindSpot>> {
        Box::pin(live::live(sys, gateway))
    }
}

/// One look, on a thread that may block.
pub(super) fn look(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides, builds: &Builds) -> Found {
    let instances = instance::find(root, processes, overrides, builds);
    let mut found = Found { blind: instances.blind, abroad: instances.abroad, ..Found::default() };
    // The pid file's coming tells of a start, before any scan does.
    for instance in instances.all {
        let loaded = load::load(root, &instance.config, instance.globals.as_deref());
        let written = loaded.tree.iter().rev().find(|one| one.name == test::PID_FILE);
        let path = written.and_then(|one| one.arg(0)).map_or_else(|| instance.build.pid.clone(), |path| instance.prefix.join(path));
        let setting = Setting { value: path.to_string_lossy().into(), at: written.map(Directive::place) };
        found.watch.push(path);
        found.watch.extend(loaded.directories.iter().cloned());
        let mut gateway = gateway(root, instance, loaded, overrides);
        gateway.settings.insert(test::PID_FILE.to_owned(), setting);
        found.gateways.push(gateway);
    }
    found
}

/// What an instance and its configuration say together.
fn gateway(root: &Root, instance: Instance, loaded: Loaded, overrides: &Overrides) -> Gateway {
    let Loaded { tree, mut files, mut problems, mut blind, complete, .. } = loaded;
    let main = Scope::new(&tree);
    let version = instance.build.version.as_deref();
    // Only root may bind ports below 1024: ngx_http_core_module's default depends on who starts it.
    let as_root = instance.master.as_ref().is_none_or(|master| master.uid == 0);
    let (mut sites, mut pools, mut per_request, mut left_out) = (Vec::new(), Vec::new(), Vec::new(), false);
    for block in tree.iter().filter(|one| matches!(one.name.as_str(), "http" | "stream") && one.block.is_some()) {
        let http = block.name == "http";
        let mut world = World::new(block.children(), &instance.prefix, version, http.then_some(80));
        if let Some(folder) = instance.config.parent() {
            folder.clone_into(&mut world.config_dir);
        }
        world.no_old_tls = no_old_tls(root, &instance);
        world.root = Some(root);
        sites.extend(if http {
            let mut of_http = site::http(&mut world, &main, block.children(), if as_root { 80 } else { 8000 });
            names::share(&mut of_http);
            names::note_unresolvable(&mut of_http);
            of_http
        } else {
            site::stream(&mut world, &main, block.children())
        });
        left_out |= world.full;
        blind.extend(world.left_out.iter().map(|(pool, count)| crate::gateway::servers_left_out(pool, *count)));
        pools.extend(world.pools);
        per_request.extend(world.tested);
        world.problems.0.into_iter().for_each(|(place, what)| problems.add(place, what));
    }
    if left_out {
        blind.push(BlindSpot {
            source: "further locations".to_owned(),
            reason: "the configuration has more locations with upstreams than are kept".to_owned(),
            remedy: "name the URL that fails, or the part that matters with --config".to_owned(),
        });
    }
    let at = Place { file: instance.config.clone().into(), line: 1 };
    sites.extend(site_of_operator(overrides, &instance.config));
    // What is named by hand may be one site's file, which has none.
    if complete && !tree.iter().any(|one| one.name == "events") && overrides.config.as_ref() != Some(&instance.config) {
        problems.add(at, "no \"events\" section in configuration");
    }
    let folder = instance.config.parent().unwrap_or(Path::new("/"));
    files.extend(files_beside(root, &sites, &tree, folder));
    let logs = logs::logs(root, &tree, &instance, overrides);
    blind.extend(logs.blind);
    let mut commands = commands(&instance, &logs.sources, overrides);
    commands.extend(live::way(root, &tree));
    let (identity, mut settings, resolvers) =
        (identity(root, &instance, &main), limits::settings(root, &tree, &instance.state), resolvers(&tree));
    left_out::note(root, folder, &["server_name"], &files, &mut settings);
    // What was read of 20,000 servers goes before what it means is laid down for good, which is a copy.
    drop(main);
    drop(tree);
    Gateway {
        kind: ID.to_owned(),
        version: instance.build.version.clone(),
        identity,
        commands,
        settings,
        resolvers,
        state: instance.state,
        binary: instance.binary,
        config: instance.config,
        files,
        problems: problems.0,
        test: None,
        tested: None,
        per_request,
        draining: instance.draining,
        generation: instance.generation,
        sites: sites.into(),
        pools: pools.into(),
        logs: logs.sources,
        unit: instance.unit,
        blind,
        inside: None,
    }
}

/// Directives that name a file that is read with the configuration. One with a variable in it is read with each request.
const READ_AT_LOAD: &[&str] = &[
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_trusted_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_password_file",
];

/// Certificates, keys and lists: those of the sites, and those that upstreams' certificates are judged by.
fn files_beside(root: &Root, sites: &[Site], tree: &[Directive], folder: &Path) -> Vec<(PathBuf, Option<i64>)> {
    let mut all: BTreeSet<PathBuf> = upstream_trust(sites).collect();
    named_files(tree, folder, &mut all);
    beside(root, all)
}

fn named_files(tree: &[Directive], folder: &Path, out: &mut BTreeSet<PathBuf>) {
    for directive in tree {
        if READ_AT_LOAD.contains(&directive.name.as_str())
            && let Some(path) = directive.arg(0)
            && !path.contains('$')
            && !["data:", "engine:", "store:"].iter().any(|scheme| path.starts_with(scheme))
        {
            out.insert(folder.join(path));
        }
        named_files(directive.children(), folder, out);
    }
}

/// Whether the OpenSSL of this instance refuses TLS 1.0 and 1.1 unless `proxy_ssl_ciphers` itself lowers the security level.
fn no_old_tls(root: &Root, instance: &Instance) -> bool {
    let lowered = |path: &str| root.text(path).is_ok_and(|text| text.contains("SECLEVEL=0"));
    instance.build.openssl.is_some_and(|major| major >= 3)
        && !["/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf"].into_iter().any(lowered)
}

/// As whom upstreams are connected to: a worker's own identity, else what `user` says to a master that is root.
fn identity(root: &Root, instance: &Instance, main: &Scope<'_>) -> Option<Identity> {
    if let Some(worker) = &instance.worker {
        return Some(worker.clone());
    }
    match &instance.master {
        Some(master) if master.uid != 0 => Some(master.clone()),
        Some(_) | None => {
            let name = main.value("user").unwrap_or(&instance.build.user);
            Users::read(root).identity(root, name)
        }
    }
}

/// Name servers of `resolver`, at any level, without its options.
fn resolvers(tree: &[Directive]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for directive in tree {
        if directive.name == "resolver" {
            let servers = directive.args.iter().filter(|arg| !arg.contains('=') && *arg != "off");
            let new: Vec<String> = servers.map(CompactString::to_string).filter(|server| !found.contains(server)).collect();
            found.extend(new);
        }
        let inner = resolvers(directive.children());
        found.extend(inner.into_iter().filter(|server| !found.contains(server)).collect::<Vec<_>>());
    }
    found
}

/// What a person types.
fn commands(instance: &Instance, logs: &[LogSource], overrides: &Overrides) -> BTreeMap<String, Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let binary = instance.binary.as_ref().map_or_else(|| ID.to_owned(), |path| path.display().to_string());
    let base = if instance.plain {
        words(&[ID])
    } else {
        let config = instance.config.display().to_string();
        let mut all = vec![binary, "-c".to_owned(), config];
        if instance.prefix != instance.build.prefix {
            all.extend(["-p".to_owned(), instance.prefix.display().to_string()]);
        }
        all
    };
    let with = |more: &[&str]| [base.clone(), words(more)].concat();
    let mut commands = BTreeMap::from([
        ("test".to_owned(), with(&["-t"])),
        ("dump".to_owned(), with(&["-T"])),
        ("reload".to_owned(), with(&["-s", "reload"])),
        ("start".to_owned(), base.clone()),
    ]);
    if let Some(unit) = &instance.unit {
        commands.extend(super::units::commands(unit));
    }
    if let Some(log) = logs.iter().find(|log| log.kind == SourceKind::Error) {
        commands.insert("log".to_owned(), words(&["tail", "-n", "50", &log.path.display().to_string()]));
    }
    // What is named by hand may be one site's file, which is no configuration by itself.
    if let Some(binary) = &instance.binary
        && (instance.master.is_some() || overrides.config.as_ref() != Some(&instance.config))
    {
        let path = |path: &Path| path.display().to_string();
        let mut all =
            vec![path(binary), "-t".to_owned(), "-c".to_owned(), path(&instance.config), "-p".to_owned(), path(&instance.prefix)];
        all.extend(instance.globals.iter().flat_map(|globals| ["-g".to_owned(), globals.clone()]));
        all.extend(instance.error_log.iter().flat_map(|log| ["-e".to_owned(), log.clone()]));
        commands.insert(test::COMMAND.to_owned(), all);
    }
    // To reload what does not run starts nothing.
    if matches!(instance.state, RunState::Stopped { .. }) {
        commands.remove("reload");
    }
    commands
}

#[cfg(test)]
mod tests;
