//! Apache httpd 2.4, in the layouts of Debian, RHEL, Alpine and of builds of one's own.
//!
//! `instance` finds masters, or what says that there should be one; `binary` reads version and compiled-in paths; `environment`
//! the variables that configurations name. `load` makes one tree of all files (`lines`, `tree`), by the conditions that Apache
//! decides while it reads (`condition`, `modules`). `vhost`, `site` and `route` give it its meaning, with `scope` for inheritance,
//! `world` for balancers, `target` for URLs, `pattern`, `rewrite`, `files` and `htaccess` for what takes a path; `logs` finds logs;
//! `test` lets
//! Apache itself say whether it would load what is on disk, `live` what it thinks of its upstreams.
//!
//! What must not be here: running Apache bare, `apachectl` (a shell script), or judging what is configured. A line that Apache
//! would refuse is a problem in its own words; what we can't follow (expressions, maps) is said to be dynamic, never guessed.
//!
//! To follow another setting: a line in `route::SETTINGS`. Another scheme: a line in `target::SCHEMES`.

mod balancer;
pub(super) mod binary;
mod condition;
mod environment;
mod files;
mod htaccess;
mod instance;
mod lacks;
mod limits;
mod lines;
pub(super) mod live;
mod load;
mod logs;
mod modules;
mod pattern;
mod rewrite;
mod route;
mod scope;
mod site;
mod target;
mod test;
mod tls;
mod tree;
mod vhost;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use futures_util::future::BoxFuture;

use self::{
    binary::Builds,
    instance::Instance,
    load::{Loaded, Start},
    modules::Modules,
    scope::Scope,
    world::World,
};
use super::{Found, Kind, Overrides, left_out, look_off_thread, servers_left_out, site_of_operator, written::beside};
use crate::{
    model::{BlindSpot, ConfigTest, Gateway, Identity, LiveState, LogSource, OldWorker, Pool, ProcessInfo, RunState, SourceKind},
    sys::{Processes, Root, Sys, Users},
};

/// Its name.
const ID: &str = "apache";
/// Where the script lies that a person types instead of the binary: Debian's reads the environment first.
const SCRIPTS: &[&str] = &["/usr/sbin/apachectl", "/usr/bin/apachectl", "/usr/local/apache2/bin/apachectl"];

/// The kind.
pub static APACHE: Apache = Apache { builds: LazyLock::new(Arc::default) };

/// Apache httpd.
#[derive(Debug)]
pub struct Apache {
    builds: LazyLock<Arc<Builds>>,
}

impl Kind for Apache {
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
    for mut instance in instances.all {
        let start = start(&instance);
        let loaded = load::load(root, &instance.config, start.clone());
        let pid_file = loaded.tree.iter().rev().find(|one| one.name == "pidfile").map(tree::Directive::first);
        let pid_file = loaded.root.join(pid_file.unwrap_or_else(|| instance.build.pid.clone()));
        loaded_since(root, &mut instance, &pid_file);
        // Its coming tells of a start, before any scan does.
        found.watch.push(pid_file);
        found.watch.extend(loaded.directories.iter().cloned());
        found.gateways.push(gateway(root, instance, loaded, &start, overrides));
    }
    found
}

/// What its configuration is read with.
fn start(instance: &Instance) -> Start {
    Start {
        root: instance.root.clone(),
        defines: instance.arguments.defines.clone(),
        before: instance.arguments.before.clone(),
        after: instance.arguments.after.clone(),
        environment: instance.environment.clone(),
        modules: Modules::linked(instance.build.modules.as_deref()),
        version: instance.build.version.clone(),
    }
}

/// Directives that name a file that is read with the configuration (mod_ssl).
const READ_AT_LOAD: &[&str] = &[
    "sslcertificatefile",
    "sslcertificatekeyfile",
    "sslcertificatechainfile",
    "sslcacertificatefile",
    "sslcarevocationfile",
    "sslproxycacertificatefile",
    "sslproxycarevocationfile",
    "sslproxymachinecertificatefile",
];

fn named_files(tree: &[tree::Directive], base: &Path, out: &mut BTreeSet<PathBuf>) {
    for directive in tree {
        if READ_AT_LOAD.contains(&directive.name.as_str()) && !directive.first().is_empty() {
            out.insert(base.join(directive.first()));
        }
        named_files(directive.children(), base, out);
    }
}

/// Seconds by which the start of a process may be told too early: it is made of two figures that are cut to seconds (proc(5)).
const START_S: i64 = 1;

/// When what runs was loaded. Children come and go with the load of requests; but each start and each reload, graceful or not,
/// writes the pid file anew (`ap_log_pid`, called by every `ap_mpm_run`).
fn loaded_since(root: &Root, instance: &mut Instance, pid_file: &Path) {
    let RunState::Running { pid, since, workers_since } = &mut instance.state else { return };
    let written = root.text(pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let pid_file = root.stat(pid_file).ok();
    let when = pid_file.map(|info| info.modified);
    if written == Some(*pid)
        && let Some(when) = when.filter(|when| since.is_none_or(|since| *when >= since))
    {
        *workers_since = Some(when);
        instance.generation = pid_file.and_then(|info| info.modified_order());
    }
    // A graceful restart lets children finish what they have; those of the old generation are older than the load.
    let loaded = *workers_since;
    let older = |one: &OldWorker| one.since.zip(loaded).is_some_and(|(since, loaded)| since + START_S < loaded);
    instance.draining.retain(|one| older(one) && written == Some(*pid));
}

/// What an instance and its configuration say together.
fn gateway(root: &Root, instance: Instance, loaded: Loaded, start: &Start, overrides: &Overrides) -> Gateway {
    let Loaded { tree, mut files, mut problems, mut blind, root: base, modules, .. } = loaded;
    let start = Start { root: base.clone(), modules, ..start.clone() };
    let levels =
        std::iter::once(tree.as_slice()).chain(tree.iter().filter(|one| one.name == "virtualhost").map(tree::Directive::children));
    let mut world = World::new(root, &base, levels);
    world.modules.clone_from(&start.modules);
    let mut sites = site::sites(&mut world, &tree, &start);
    world.problems.0.into_iter().for_each(|(place, what)| problems.add(place, what));
    if world.full {
        blind.push(BlindSpot {
            source: "further virtual hosts".to_owned(),
            reason: "the configuration has more places with upstreams than are kept".to_owned(),
            remedy: "name the URL that fails, or the part that matters with --config".to_owned(),
        });
    }
    let short = world.balancers.values().filter(|balancer| balancer.left_out > 0);
    blind.extend(short.map(|balancer| servers_left_out(&balancer.pool.name, balancer.left_out)));
    sites.extend(site_of_operator(overrides, &instance.config));
    let logs = logs::logs(root, &tree, &base, &instance, overrides);
    blind.extend(logs.blind);
    // What the environment says is part of the configuration.
    files.extend(instance.script.iter().map(|path| (path.clone(), root.stat(path).ok().map(|info| info.modified))));
    let mut certificates = BTreeSet::new();
    named_files(&tree, &base, &mut certificates);
    files.extend(beside(root, certificates));
    let mut commands = commands(root, &instance, &logs.sources, overrides);
    commands.extend(live::ways(&tree, &sites, start.modules.has("mpm_prefork_module")));
    let pools: Vec<_> = world.balancers.into_values().map(|one| Pool { settings: one.settings.into(), ..one.pool }).collect();
    let mut settings = limits::settings(&tree, &start.modules);
    let folder = instance.config.parent().unwrap_or(Path::new("/"));
    left_out::note(root, folder, &["servername", "serveralias"], &files, &mut settings);
    Gateway {
        kind: ID.to_owned(),
        version: instance.build.version.clone(),
        identity: identity(root, &instance, &Scope::default().within(&tree)),
        commands,
        settings,
        resolvers: Vec::new(),
        state: instance.state,
        binary: instance.binary,
        config: instance.config,
        files,
        problems: problems.0,
        test: None,
        tested: None,
        per_request: world.per_request,
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

/// As whom upstreams are connected to: a child's own identity, else what `User` says to a master that is root.
fn identity(root: &Root, instance: &Instance, main: &Scope<'_>) -> Option<Identity> {
    if let Some(worker) = &instance.worker {
        return Some(worker.clone());
    }
    match &instance.master {
        Some(master) if master.uid != 0 => Some(master.clone()),
        Some(_) | None => {
            let name = main.value("user")?;
            let users = Users::read(root);
            let name = name.strip_prefix('#').and_then(|uid| uid.parse().ok()).map_or(name.clone(), |uid| users.name(uid));
            users.identity(root, &name)
        }
    }
}

/// What a person types.
fn commands(root: &Root, instance: &Instance, logs: &[LogSource], overrides: &Overrides) -> BTreeMap<String, Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let path = |path: &Path| path.display().to_string();
    let binary = instance.binary.as_deref().map_or_else(|| "httpd".to_owned(), path);
    let script = SCRIPTS.iter().any(|script| root.stat(Path::new(script)).is_ok());
    let base = if instance.plain() && script {
        words(&["apachectl"])
    } else {
        let mut all = vec![binary.clone()];
        if !instance.plain() {
            all.extend(["-d".to_owned(), path(&instance.root), "-f".to_owned(), path(&instance.config)]);
        }
        all
    };
    let with = |more: &[&str]| [base.clone(), words(more)].concat();
    let mut commands = BTreeMap::from([
        ("test".to_owned(), with(&["-t"])),
        ("dump".to_owned(), with(&["-S"])),
        ("reload".to_owned(), with(&["-k", "graceful"])),
        ("start".to_owned(), with(&["-k", "start"])),
    ]);
    if let Some(unit) = &instance.unit {
        commands.extend(super::units::commands(unit));
    }
    if let Some(log) = logs.iter().find(|log| log.kind == SourceKind::Error) {
        commands.insert("log".to_owned(), words(&["tail", "-n", "50", &log.path.display().to_string()]));
    }
    // What is named by hand may be one site's file, which is no configuration by itself.
    if instance.binary.is_some() && (instance.master.is_some() || overrides.config.as_ref() != Some(&instance.config)) {
        let mut all = vec![binary, "-t".to_owned()];
        all.extend(instance.arguments.words());
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
