//! Caddy 2: a Caddyfile, its own JSON, or a command line (`caddy reverse-proxy`).
//!
//! `instance` finds processes, or what says that there should be one; `version` reads the binary; `lexer`, `environment` and `tree`
//! make one tree of a Caddyfile and its imports, `site`, `matcher`, `walk` and `directive` give it its meaning; `value` and `json`
//! do the same for JSON; both end in `proxy`. `logs` finds logs, `test` lets Caddy itself say whether it would load what is on
//! disk, `live` asks its admin port what it runs,
//! `loaded` tells when that came by the admin port, too.
//!
//! What must not be here: running caddy bare (even `caddy validate` makes keys and logs), or judging what it is configured to do.
//! What a plug-in adds is kept and not understood; what a placeholder decides is said to be dynamic.
//!
//! To follow another setting of a proxy: a line in `directive::SETTINGS` or `TRANSPORT`. To follow another directive: an arm in
//! `walk::Walk::directive`, and its place in `walk::ORDER`.

mod certificates;
mod check;
mod directive;
pub(super) mod environment;
mod instance;
mod json;
mod lexer;
pub(super) mod live;
mod loaded;
mod logs;
mod matcher;
mod proxy;
mod site;
mod test;
mod tree;
mod units;
mod value;
mod version;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use futures_util::future::BoxFuture;

use self::{
    instance::{Form, Instance},
    logs::Configured,
    site::Options,
    value::Value,
    walk::Walk,
};
use super::{Found, Kind, Overrides, denied, look_off_thread, site_of_operator, upstream_trust, written::beside};
use crate::{
    model::{
        BlindSpot, CACHE, CACHE_STALE, ConfigTest, Gateway, LiveState, LogSource, Place, ProcessInfo, RunState, Setting, Site,
        SourceKind,
    },
    sys::{FileError, Processes, Root, Sys},
};

/// Its name.
const ID: &str = "caddy";
/// Bytes of a JSON configuration at most.
const JSON_BYTES: u64 = 64 << 20;

/// The kind.
pub static CADDY: Caddy = Caddy;

/// Caddy.
#[derive(Debug)]
pub struct Caddy;

impl Kind for Caddy {
    fn id(&self) -> &'static str {
        ID
    }

    fn programs(&self) -> &'static [&'static str] {
        instance::PROGRAMS
    }

    fn look<'a>(&'a self, sys: &'a Sys, processes: Option<Processes>, overrides: &'a Overrides) -> BoxFuture<'a, Found> {
        let (root, overrides) = (sys.root.clone(), overrides.clone());
        Box::pin(look_off_thread(ID, move || look(&root, processes.as_deref().map(Vec::as_slice), &overrides)))
    }

    fn test<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<ConfigTest, String>> {
        Box::pin(test::test(sys, gateway))
    }

    fn live<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<Option<LiveState>, BlindSpot>> {
        Box::pin(live::live(sys, gateway))
    }
}

/// One look, on a thread that may block.
pub(super) fn look(root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides) -> Found {
    let instances = instance::find(root, processes, overrides);
    let mut found = Found { blind: instances.blind, abroad: instances.abroad, ..Found::default() };
    for mut instance in instances.all {
        let mut read = self::read(root, &instance);
        if let Some(other) = loaded::by_api(root, &instance, &read) {
            let watch = std::mem::take(&mut read.watch);
            found.watch.extend(read.files.iter().map(|(file, _)| file.clone()).chain(watch));
            (read, instance) = (self::read(root, &other), other);
        }
        found.watch.extend(read.watch.iter().cloned());
        // A reload writes it anew.
        found.watch.extend(instance.autosave.iter().filter(|_| instance.runs()).cloned());
        found.gateways.push(gateway(root, instance, read, overrides));
    }
    found
}

/// What a configuration says, whatever it is written in.
#[derive(Debug, Default)]
struct Read {
    sites: Vec<Site>,
    files: Vec<(std::path::PathBuf, Option<i64>)>,
    /// Certificates and keys that it names.
    certificates: BTreeSet<std::path::PathBuf>,
    problems: Vec<(Place, String)>,
    blind: Vec<BlindSpot>,
    watch: Vec<std::path::PathBuf>,
    logs: Vec<Configured>,
    options: Option<Options>,
    settings: BTreeMap<String, Setting>,
    full: bool,
}

fn read(root: &Root, instance: &Instance) -> Read {
    let config = instance.config.as_path();
    match &instance.form {
        Form::Caddyfile => {
            let loaded = tree::load(root, config, &instance.environment);
            let mut read = meaning(&loaded.tree, instance);
            read.files = loaded.files;
            read.problems.splice(0..0, loaded.problems);
            read.blind = loaded.blind;
            read.watch = loaded.directories;
            read
        }
        Form::Words(text) => meaning(&tree::of_text(config, text), instance),
        Form::Json => match root.read_at_most(config, JSON_BYTES) {
            Ok((bytes, _)) => {
                let modified = root.stat(config).ok().map(|info| info.modified);
                let mut read = of_json(&String::from_utf8_lossy(&bytes), instance);
                read.files = vec![(config.to_owned(), modified)];
                read
            }
            Err(error) => unread(root, config, &error),
        },
        Form::Foreign(adapter) => {
            let of = if adapter.is_empty() { String::new() } else { format!(" by the adapter {adapter}") };
            let reason = format!("it is written in a form that is not read here{of}");
            let remedy = "name the addresses behind it with --upstream".to_owned();
            Read { blind: vec![BlindSpot { source: config.display().to_string(), reason, remedy }], ..Read::default() }
        }
    }
}

fn meaning(tree: &[tree::Directive], instance: &Instance) -> Read {
    let options = Options::of(tree);
    let mut walk = Walk::new(tree, &instance.environment);
    let sites = site::sites(tree, &options, &instance.environment, &mut walk);
    let logs = logs::of_tree(tree);
    let settings = cache(tree);
    let certificates = certificates::of_tree(tree);
    Read {
        sites,
        problems: walk.problems,
        full: walk.full,
        logs,
        options: Some(options),
        certificates,
        settings,
        ..Read::default()
    }
}

/// The cache of a module that is built in (cache-handler): `cache` with `stale` for how long an old answer stands in.
fn cache(tree: &[tree::Directive]) -> BTreeMap<String, Setting> {
    fn anywhere(tree: &[tree::Directive], out: &mut BTreeMap<String, Setting>) {
        for one in tree {
            if one.name == "cache" {
                out.entry(CACHE.to_owned()).or_insert_with(|| Setting { value: one.words().into(), at: Some(one.place()) });
                if let Some(stale) = one.children().iter().find(|part| part.name == "stale") {
                    out.entry(CACHE_STALE.to_owned())
                        .or_insert_with(|| Setting { value: stale.words().into(), at: Some(stale.place()) });
                }
            } else {
                anywhere(one.children(), out);
            }
        }
    }
    let mut out = BTreeMap::new();
    anywhere(tree, &mut out);
    out
}

fn of_json(text: &str, instance: &Instance) -> Read {
    match Value::parse(text) {
        Ok(value) => {
            let meaning = json::read(&value, &instance.config, &instance.environment);
            let (logs, options) = (logs::of_value(&value), Some(json::options(&value)));
            let certificates = certificates::of_value(&value);
            let json::Meaning { sites, problems, full } = meaning;
            Read { sites, certificates, problems, logs, options, full, ..Read::default() }
        }
        Err(line) => {
            let at = Place { file: instance.config.clone().into(), line };
            Read { problems: vec![(at, "is no JSON from here on".to_owned())], ..Read::default() }
        }
    }
}

fn unread(root: &Root, config: &Path, error: &FileError) -> Read {
    if error.denied() {
        return Read { blind: vec![denied(root, config, "configuration")], ..Read::default() };
    }
    let at = Place { file: config.to_owned().into(), line: 1 };
    Read { problems: vec![(at, format!("{} {}: {}", error.operation, config.display(), error.source))], ..Read::default() }
}

/// What an instance and its configuration say together.
fn gateway(root: &Root, instance: Instance, read: Read, overrides: &Overrides) -> Gateway {
    let Read { mut sites, mut files, problems, mut blind, logs: configured, full, options, mut certificates, settings, .. } = read;
    certificates.extend(upstream_trust(&sites));
    files.extend(beside(root, certificates));
    if full {
        blind.push(BlindSpot {
            source: "further routes".to_owned(),
            reason: "the configuration has more routes with upstreams than are kept".to_owned(),
            remedy: "name the URL that fails, or the part that matters with --config".to_owned(),
        });
    }
    sites.extend(site_of_operator(overrides, &instance.config));
    let (logs, more) = logs::logs(root, &configured, &instance, overrides);
    blind.extend(more);
    let options = options.unwrap_or_else(|| Options::of(&[]));
    Gateway {
        kind: ID.to_owned(),
        version: instance.version.clone(),
        commands: commands(&instance, &logs, &options),
        identity: instance.identity,
        settings,
        resolvers: Vec::new(),
        state: instance.state,
        binary: instance.binary,
        config: instance.config,
        files,
        problems,
        test: None,
        tested: None,
        per_request: Vec::new(),
        draining: Vec::new(),
        generation: instance.generation,
        sites: sites.into(),
        pools: Vec::new().into(),
        logs,
        unit: instance.unit,
        blind,
        inside: None,
    }
}

/// What a person types, and what `test` and `live` need.
fn commands(instance: &Instance, logs: &[LogSource], options: &Options) -> BTreeMap<String, Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let config = instance.config.display().to_string();
    let binary = instance.binary.as_ref().map_or_else(|| ID.to_owned(), |path| path.display().to_string());
    let plain = binary == "/usr/bin/caddy" || binary == "/usr/local/bin/caddy";
    let name = if plain { ID.to_owned() } else { binary.clone() };
    let mut commands = BTreeMap::new();
    let adapter: &[&str] = if instance.form == Form::Caddyfile { &["--adapter", "caddyfile"] } else { &[] };
    let with = |name: &str, command: &str| [words(&[name, command, "--config", &config]), words(adapter)].concat();
    if matches!(instance.form, Form::Caddyfile | Form::Json) {
        commands.insert("test".to_owned(), with(&name, "validate"));
        commands.insert("start".to_owned(), with(&name, "start"));
        // Without it a configuration whose text is as it was is not loaded anew, and with it no certificate is.
        commands.insert("reload".to_owned(), [with(&name, "reload"), words(&["--force"])].concat());
        if instance.form == Form::Caddyfile {
            commands.insert("dump".to_owned(), with(&name, "adapt"));
        }
        if instance.binary.is_some() {
            commands.insert(test::COMMAND.to_owned(), with(&binary, "validate"));
        }
    }
    if let Some(unit) = &instance.unit {
        commands.extend(super::units::commands(unit));
    }
    if let Some(log) = logs.iter().find(|log| log.kind == SourceKind::Error) {
        commands.insert("log".to_owned(), words(&["tail", "-n", "50", &log.path.display().to_string()]));
    }
    // To reload what does not run starts nothing.
    if matches!(instance.state, RunState::Stopped { .. }) {
        commands.remove("reload");
    } else if let Some(admin) = options.admin.as_ref().and_then(|listen| live::url(listen)) {
        commands.insert(live::COMMAND.to_owned(), words(&["curl", "-sS", &admin]));
    }
    commands
}

#[cfg(test)]
mod tests;
