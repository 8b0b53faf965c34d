//! Gateways that are recognised and read as far as simple patterns tell: lighttpd, Varnish, Squid, Traefik, Envoy.
//!
//! Of each it is known who runs, in which version, by which file, where it listens and which addresses its file names behind it: so its
//! listeners and its upstreams can be tried like those of the gateways that are read in full. Each product is a [`Product`] in one
//! table, with a reader of its files in a file beside this one.
//!
//! What must not be here: guesses. What decides by more than the path is a condition, and what is not understood is left out. Nothing
//! is run; their own tests are commands for a person.
//!
//! To add one: a static [`Product`] with its reader, and its line in `gateway::ALL`.

mod envoy;
mod lighttpd;
pub(super) mod live;
mod read;
mod squid;
mod traefik;
mod varnish;
mod vcl;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use futures_util::future::BoxFuture;

use self::read::{Input, Read};
use super::{Found, Kind, Overrides, abroad::elsewhere, look_off_thread, packages, site_of_operator, units::Unit};
use crate::{
    model::{BlindSpot, ConfigTest, Gateway, LiveState, LogFormat, LogSource, ProcessInfo, RunState, SourceKind},
    sys::{Processes, Root, Sys, Users},
};

/// lighttpd.
pub static LIGHTTPD: Product = Product {
    id: "lighttpd",
    programs: &["lighttpd"],
    packages: &["lighttpd"],
    binaries: &["/usr/sbin/lighttpd", "/usr/local/sbin/lighttpd"],
    option: "-f",
    configs: &["/etc/lighttpd/lighttpd.conf", "/usr/local/etc/lighttpd/lighttpd.conf"],
    logs: &[("/var/log/lighttpd/error.log", SourceKind::Error), ("/var/log/lighttpd/access.log", SourceKind::Access)],
    user: "www-data",
    test: &["lighttpd", "-tt", "-f", "{config}"],
    reload: &["systemctl", "reload", "lighttpd"],
    read: lighttpd::read,
    live: None,
};
/// Varnish.
pub static VARNISH: Product = Product {
    id: "varnish",
    programs: &["varnishd"],
    packages: &["varnish"],
    binaries: &["/usr/sbin/varnishd", "/usr/local/sbin/varnishd"],
    option: "-f",
    configs: &["/etc/varnish/default.vcl", "/usr/local/etc/varnish/default.vcl"],
    logs: &[("/var/log/varnish/varnishncsa.log", SourceKind::Access)],
    user: "vcache",
    test: &["varnishd", "-C", "-f", "{config}"],
    reload: &["varnishreload"],
    read: varnish::read,
    live: None,
};
/// Squid.
pub static SQUID: Product = Product {
    id: "squid",
    programs: &["squid"],
    packages: &["squid", "squid-openssl"],
    binaries: &["/usr/sbin/squid", "/usr/local/sbin/squid"],
    option: "-f",
    configs: &["/etc/squid/squid.conf", "/usr/local/etc/squid/squid.conf"],
    logs: &[("/var/log/squid/cache.log", SourceKind::Error), ("/var/log/squid/access.log", SourceKind::Access)],
    user: "proxy",
    test: &["squid", "-k", "parse", "-f", "{config}"],
    reload: &["squid", "-k", "reconfigure", "-f", "{config}"],
    read: squid::read,
    live: None,
};
/// Traefik.
pub static TRAEFIK: Product = Product {
    id: "traefik",
    programs: &["traefik"],
    packages: &["traefik"],
    binaries: &["/usr/local/bin/traefik", "/usr/bin/traefik"],
    option: "--configFile",
    configs: &["/etc/traefik/traefik.yml", "/etc/traefik/traefik.yaml", "/etc/traefik/traefik.toml"],
    logs: &[("/var/log/traefik/traefik.log", SourceKind::Error), ("/var/log/traefik/access.log", SourceKind::Access)],
    user: "root",
    test: &[],
    reload: &[],
    read: traefik::read,
    live: Some(live::traefik),
};
/// Envoy.
pub static ENVOY: Product = Product {
    id: "envoy",
    programs: &["envoy"],
    packages: &["envoy"],
    binaries: &["/usr/local/bin/envoy", "/usr/bin/envoy"],
    option: "-c",
    configs: &["/etc/envoy/envoy.yaml"],
    logs: &[("/var/log/envoy/envoy.log", SourceKind::Error), ("/var/log/envoy/access.log", SourceKind::Access)],
    user: "envoy",
    test: &["envoy", "--mode", "validate", "-c", "{config}"],
    reload: &[],
    read: envoy::read,
    live: Some(live::envoy),
};

/// What is known of a product.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Its name: [`Kind::id`].
    id: &'static str,
    /// File names of its binary.
    programs: &'static [&'static str],
    /// Its package, by which its version is known.
    packages: &'static [&'static str],
    /// Where its binary lies.
    binaries: &'static [&'static str],
    /// The option that names its configuration.
    option: &'static str,
    /// Where that is without the option; the first that is there.
    configs: &'static [&'static str],
    /// Where it logs to unless its configuration says otherwise.
    logs: &'static [(&'static str, SourceKind)],
    /// As whom it connects, where no process tells.
    user: &'static str,
    /// Its own test, with `{config}` for the file.
    test: &'static [&'static str],
    /// How it is reloaded.
    reload: &'static [&'static str],
    /// Reads its files.
    read: fn(&Input<'_>) -> Read,
    /// How what it says of its servers is read.
    live: Option<live::Reader>,
}

impl Kind for Product {
    fn id(&self) -> &'static str {
        self.id
    }

    fn programs(&self) -> &'static [&'static str] {
        self.programs
    }

    fn look<'a>(&'a self, sys: &'a Sys, processes: Option<Processes>, overrides: &'a Overrides) -> BoxFuture<'a, Found> {
        Box::pin(async move {
            let (root, overrides) = (sys.root.clone(), overrides.clone());
            // A reader is a plain function of static data: the thread may keep it.
            let product = *self;
            look_off_thread(product.id, move || product.find(&root, processes.as_deref().map(Vec::as_slice), &overrides)).await
        })
    }

    fn test<'a>(&'a self, _: &'a Sys, _: &'a Gateway) -> BoxFuture<'a, Result<ConfigTest, String>> {
        Box::pin(std::future::ready(Err(format!("{} is not asked to test its configuration itself", self.id))))
    }

    fn live<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<Option<LiveState>, BlindSpot>> {
        Box::pin(live::live(sys, gateway, self.live))
    }
}

impl Product {
    fn is_one(&self, process: &ProcessInfo) -> bool {
        self.programs.contains(&process.program().as_ref()) && process.state != 'Z'
    }

    pub(super) fn find(&self, root: &Root, processes: Option<&[ProcessInfo]>, overrides: &Overrides) -> Found {
        let mut found = Found::default();
        let mut elsewhere_runs = false;
        let all: Vec<&ProcessInfo> = processes.unwrap_or_default().iter().filter(|process| self.is_one(process)).collect();
        for master in all.iter().filter(|one| !all.iter().any(|other| other.pid == one.ppid)) {
            if let Some(other) = elsewhere(root, self.id, master) {
                elsewhere_runs = true;
                found.blind.push(other.spot);
                found.abroad.push(master.pid);
                continue;
            }
            let worker = all.iter().rfind(|one| one.ppid == master.pid).unwrap_or(master);
            let gateway = self.running(root, master, worker, overrides, &mut found.watch);
            found.gateways.push(gateway);
        }
        if let Some(config) = &overrides.config {
            found.gateways.retain(|gateway| gateway.config == *config);
            if found.gateways.is_empty() && overrides.kind.as_deref() == Some(self.id) {
                let why = format!("it is named by --config, and no {} that runs uses it", self.id);
                found.gateways.push(self.stopped(root, config, why, overrides, &mut found.watch));
            }
            return found;
        }
        // On any kernel process 1 is there to be seen, unless /proc is mounted with hidepid (proc(5)).
        let hidden = processes.is_none_or(|list| !list.iter().any(|process| process.pid == 1));
        if found.gateways.is_empty() && !elsewhere_runs && !hidden {
            found.gateways.extend(self.idle(root, overrides, &mut found.watch));
        }
        found
    }

    /// One that an enabled unit or its own logs say should run: a cache that is merely installed is not missed.
    fn idle(&self, root: &Root, overrides: &Overrides, watch: &mut Vec<PathBuf>) -> Option<Gateway> {
        let config = self.configs.iter().map(Path::new).find(|path| root.stat(path).is_ok())?;
        let unit = self.unit(root).filter(|unit| unit.enabled);
        let logged = self.logs.iter().find(|(path, _)| root.stat(Path::new(path)).is_ok_and(|info| info.size > 0));
        let why = match (unit, logged) {
            (Some(unit), _) => format!("{} is enabled, with {}", unit.name, config.display()),
            (None, Some((log, _))) => format!("{} is there, and {log}", config.display()),
            (None, None) => return None,
        };
        Some(self.stopped(root, config, why, overrides, watch))
    }

    fn unit(&self, root: &Root) -> Option<Unit> {
        Unit::read(root, &format!("{}.service", self.id))
    }

    fn binary(&self, root: &Root) -> Option<PathBuf> {
        self.binaries.iter().map(PathBuf::from).find(|path| root.stat(path).is_ok())
    }

    fn running(
        &self,
        root: &Root,
        master: &ProcessInfo,
        worker: &ProcessInfo,
        overrides: &Overrides,
        watch: &mut Vec<PathBuf>,
    ) -> Gateway {
        let cwd = master.cwd.clone().unwrap_or_else(|| PathBuf::from("/"));
        let named = read::option(&master.argv, self.option).map(|path| cwd.join(path));
        let config = named.or_else(|| self.default(root)).unwrap_or_else(|| format!("/proc/{}/cmdline", master.pid).into());
        // Most of them read their files again without a new process, so when that was is not known.
        let state = RunState::Running { pid: master.pid, since: master.started, workers_since: None };
        let binary = master.binary();
        let unit = master.unit().filter(|unit| Unit::is_of(root, unit, self.id)).map(str::to_owned);
        let mut gateway = self.gateway(root, config, &master.argv, state, overrides, watch);
        gateway.identity = Some(worker.identity.clone());
        gateway.binary = binary.or(gateway.binary);
        gateway.unit = unit;
        if let Some(unit) = &gateway.unit {
            // How it reads its files again is not known of each of them.
            let known = super::units::commands(unit).into_iter().filter(|(what, _)| matches!(what.as_str(), "log" | "status"));
            gateway.commands.extend(known);
        }
        gateway
    }

    fn stopped(
        &self,
        root: &Root,
        config: &Path,
        why_expected: String,
        overrides: &Overrides,
        watch: &mut Vec<PathBuf>,
    ) -> Gateway {
        let unit = self.unit(root);
        let argv = unit.as_ref().map(|unit| unit.argv.clone()).unwrap_or_default();
        let mut gateway = self.gateway(root, config.to_owned(), &argv, RunState::Stopped { why_expected }, overrides, watch);
        gateway.commands.remove("reload");
        let start: Vec<String> = match &unit {
            Some(_) => words(&["systemctl", "start", self.id]),
            None => gateway.binary.iter().map(|path| path.display().to_string()).collect(),
        };
        gateway.commands.insert("start".to_owned(), start);
        gateway.unit = unit.map(|unit| unit.name);
        gateway
    }

    fn default(&self, root: &Root) -> Option<PathBuf> {
        self.configs.iter().map(PathBuf::from).find(|path| root.stat(path).is_ok())
    }

    fn gateway(
        &self,
        root: &Root,
        config: PathBuf,
        argv: &[String],
        state: RunState,
        overrides: &Overrides,
        watch: &mut Vec<PathBuf>,
    ) -> Gateway {
        let mut read = (self.read)(&Input { root, config: &config, argv });
        read.sites.extend(site_of_operator(overrides, &config));
        watch.append(&mut read.watch);
        let source = |path: PathBuf, kind| LogSource { path, kind, format: LogFormat::Plain };
        let mut logs: Vec<LogSource> = Vec::new();
        logs.extend(overrides.logs.iter().map(|path| source(path.clone(), SourceKind::Error)));
        logs.extend(overrides.access_logs.iter().map(|path| source(path.clone(), SourceKind::Access)));
        logs.extend(read.logs);
        for (path, kind) in self.logs {
            let path = PathBuf::from(path);
            if !logs.iter().any(|log| log.kind == *kind) && root.stat(&path).is_ok() {
                logs.push(source(path, *kind));
            }
        }
        let filled = |template: &[&str]| -> Vec<String> {
            template.iter().map(|word| word.replace("{config}", &config.display().to_string())).collect()
        };
        let mut commands: BTreeMap<String, Vec<String>> = [("test", filled(self.test)), ("reload", filled(self.reload))]
            .into_iter()
            .filter(|(_, words)| !words.is_empty())
            .map(|(name, words)| (name.to_owned(), words))
            .collect();
        commands.extend(read.admin.map(|(at, path)| (live::PAGE.to_owned(), vec![at.to_string(), path.to_owned()])));
        Gateway {
            kind: self.id.to_owned(),
            version: self.packages.iter().find_map(|package| packages::version(root, package)),
            state,
            binary: self.binary(root),
            identity: Users::read(root).identity(root, self.user),
            config,
            files: read.files,
            problems: read.problems,
            sites: read.sites.into(),
            pools: Vec::new().into(),
            logs,
            settings: std::collections::BTreeMap::new(),
            resolvers: Vec::new(),
            unit: None,
            test: None,
            tested: None,
            per_request: Vec::new(),
            draining: Vec::new(),
            generation: None,
            commands,
            blind: read.blind,
            inside: None,
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
