//! Gateways in other namespaces: read with the files that they see, then told in words that hold on this host.
//!
//! A kind reads such a gateway as any other, below the root of its process: it knows nothing of all this. What it found is then
//! translated ([`translate`]): an address becomes one inside those namespaces, a path one below `/proc/PID/root`, and a command
//! one that a person can type on this host. To let another field of [`Gateway`] be translated: a line there.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Found, Kind, Overrides};
use crate::{
    model::{
        Address, BlindSpot, Command, ConfigTest, Gateway, Inside, LiveState, LogFormat, LogSource, Place, ProcessInfo, Reuse,
        Route, RunState, Server, Setting, SourceKind,
    },
    sys::{FileKind, Processes, Root, Space, Sys, local_addresses_of},
};

/// Commands that are run where the gateway is; the others are questions of this program's own, or `tail`.
const COMMANDS: &[&str] = &["test", "dump", "reload", "start", "status"];
/// Programs of this host by whose words a gateway is reached wherever it is.
const OF_HOST: &[&str] = &["kill", "systemctl", "journalctl"];
/// What a log is linked to that goes to a descriptor of the gateway's.
const STREAMS: &[(&str, u8)] = &[
    ("/dev/stdout", 1),
    ("/proc/self/fd/1", 1),
    ("/dev/fd/1", 1),
    ("/proc/1/fd/1", 1),
    ("/dev/stderr", 2),
    ("/proc/self/fd/2", 2),
    ("/dev/fd/2", 2),
    ("/proc/1/fd/2", 2),
];

/// Reads the gateway of this kind that a process in other namespaces is. `None`: it is none, or it has just ended.
pub async fn look(sys: &Sys, kind: &dyn Kind, pid: u32, processes: &Processes, overrides: &Overrides) -> Option<Found> {
    let process = processes.iter().find(|one| one.pid == pid)?;
    let (host, one, all) = (sys.clone(), process.clone(), Processes::clone(processes));
    let found = super::off_thread(move || {
        let space = host.namespaces.of(&host.root, &one, &all)?;
        let family = family(&one, &all);
        let inside = host.inside(&space.way, family.iter().map(|one| one.pid)).map_err(|error| error.to_string());
        let published = published(&host.root, &space, &all);
        Some((space, family, inside, published))
    });
    let (space, family, inside, published) = found.await.flatten()?;
    let inside = match inside {
        Ok(inside) => inside,
        Err(why) => {
            let source = format!("{}, process {pid}", kind.id());
            let reason = format!("it runs in {}, and its files may not be looked into: {why}", space.place);
            return Some(Found {
                blind: vec![BlindSpot { source, reason, remedy: "run as root: sudo why502".to_owned() }],
                ..Found::default()
            });
        }
    };
    // What the command line names is of this host.
    let overrides = Overrides { kind: overrides.kind.clone(), ..Overrides::default() };
    let mut found = kind.look(&inside, Some(Processes::new(family)), &overrides).await;
    found.gateways.retain(|gateway| matches!(gateway.state, RunState::Running { pid: of, .. } if of == pid));
    // Without the process 1 of this host among them, a kind thinks that processes are hidden.
    found.blind.clear();
    sys.namespaces.prefer(&space);
    let files = space.way.files;
    found.watch = found.watch.into_iter().map(|path| if files { below(pid, &path) } else { path }).collect();
    for gateway in &mut found.gateways {
        let by = |listen: &crate::model::Listen| listen.address.port();
        let ports: Vec<u16> = gateway.sites.iter().flat_map(|site| &site.listens).filter_map(by).collect();
        let published = published.iter().filter(|(_, port)| ports.contains(port)).cloned().collect();
        let (place, enter) = (space.place.clone(), space.enter.clone());
        translate(gateway, &inside.root, &space, pid, Inside { place, net: space.way.net, files, enter, published });
    }
    Some(found)
}

/// The system as it is seen where a gateway runs: for what it is asked to do itself.
pub fn seen_by(sys: &Sys, gateway: &Gateway) -> Option<Sys> {
    let (Some(inside), RunState::Running { pid, .. }) = (&gateway.inside, &gateway.state) else { return None };
    let way = sys.namespaces.way(&inside.place).filter(|way| way.pid == *pid)?;
    sys.inside(&way, [*pid]).ok()
}

/// A process and all that descend from it.
fn family(first: &ProcessInfo, all: &[ProcessInfo]) -> Vec<ProcessInfo> {
    let mut found = vec![first.clone()];
    let mut at = 0;
    while let Some(parent) = found.get(at).map(|one| one.pid) {
        let known = |one: &&ProcessInfo| one.ppid == parent && !found.iter().any(|known| known.pid == one.pid);
        let children: Vec<ProcessInfo> = all.iter().filter(known).cloned().collect();
        found.extend(children);
        at += 1;
    }
    found
}

/// Ports of the host that docker passes on to this network, by its own proxies: `docker-proxy -host-ip 0.0.0.0 -host-port 8080
/// -container-ip 172.17.0.2 -container-port 80`.
fn published(root: &Root, space: &Space, all: &[ProcessInfo]) -> Vec<(Address, u16)> {
    let proxies: Vec<&ProcessInfo> = all.iter().filter(|one| one.name == "docker-proxy").collect();
    if proxies.is_empty() || !space.way.net {
        return Vec::new();
    }
    let own = local_addresses_of(root, space.way.pid);
    let port = |proxy: &&ProcessInfo| {
        let value = |name: &str| proxy.argv.iter().skip_while(|word| *word != name).nth(1);
        let (at, there): (std::net::IpAddr, std::net::IpAddr) =
            (value("-host-ip")?.parse().ok()?, value("-container-ip")?.parse().ok()?);
        let at = Address::Tcp((at, value("-host-port")?.parse().ok()?).into());
        own.contains(&there).then_some((at, value("-container-port")?.parse().ok()?))
    };
    proxies.iter().filter_map(port).collect()
}

/// A path of a process as this host names it.
fn below(pid: u32, path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        // By these numbers, which are this host's, no process in there is meant.
        Ok(_) if path.starts_with(format!("/proc/{pid}")) => path.to_owned(),
        Ok(rest) => Path::new(&format!("/proc/{pid}/root")).join(rest),
        Err(_) => path.to_owned(),
    }
}

/// Tells what a gateway's own test said in this host's words.
pub fn translate_test(gateway: &Gateway, test: &mut ConfigTest) {
    if let (Some(Inside { files: true, .. }), RunState::Running { pid, .. }) = (&gateway.inside, &gateway.state)
        && let Some(at) = &mut test.at
    {
        at.file = Arc::new(below(*pid, &at.file));
    }
}

/// Tells a gateway in this host's words.
fn translate(gateway: &mut Gateway, root: &Root, space: &Space, pid: u32, inside: Inside) {
    let address = |address: &mut Address| {
        if inside.differs(address) {
            *address = address.inside(Some(&inside.place));
        }
    };
    let servers = |servers: &mut Vec<Server>| servers.iter_mut().for_each(|server| address(&mut server.address));
    let (mut sites, mut pools) = (gateway.sites.to_vec(), gateway.pools.to_vec());
    for site in &mut sites {
        site.listens.iter_mut().for_each(|listen| address(&mut listen.address));
        site.routes.iter_mut().for_each(|route| servers(&mut route.servers));
    }
    for pool in &mut pools {
        servers(&mut pool.servers);
    }
    (gateway.sites, gateway.pools) = (sites.into(), pools.into());
    streams(gateway, root, space, pid);
    commands(gateway, space, pid);
    // Of a service of this host with files of its own the name is that of its unit.
    let of_host = gateway.unit.as_ref() == Some(&space.place) || !space.container;
    gateway.unit = gateway.unit.take().filter(|_| of_host);
    if inside.files {
        Paths { pid, known: HashMap::new() }.gateway(gateway);
    }
    gateway.inside = Some(inside);
}

/// Tells what a gateway says of itself in this host's words.
pub fn translate_live(gateway: &Gateway, state: &mut LiveState) {
    state.servers.iter_mut().filter_map(|server| server.address.as_mut()).for_each(|address| *address = gateway.called(address));
    state.connects = state.connects.take().map(|all| all.iter().map(|address| gateway.called(address)).collect());
}

/// Paths of a gateway as this host names them. A file is named in many places, and kept once.
struct Paths {
    pid: u32,
    known: HashMap<Arc<PathBuf>, Arc<PathBuf>>,
}

impl Paths {
    fn path(&self, path: &mut PathBuf) {
        *path = below(self.pid, path);
    }

    fn place(&mut self, place: &mut Place) {
        let known = self.known.entry(Arc::clone(&place.file)).or_insert_with(|| Arc::new(below(self.pid, &place.file)));
        place.file = Arc::clone(known);
    }

    fn settings<'a>(&mut self, settings: impl Iterator<Item = &'a mut Setting>) {
        settings.filter_map(|setting| setting.at.as_mut()).for_each(|at| self.place(at));
    }

    fn servers(&mut self, servers: &mut [Server]) {
        for server in servers {
            self.place(&mut server.at);
        }
    }

    fn route(&mut self, route: &mut Route) {
        self.place(&mut route.at);
        self.settings(route.settings.values_mut());
        self.servers(&mut route.servers);
        if let Reuse::Kept { at: Some(at), .. } = &mut route.reuse {
            self.place(at);
        }
        if let Some(trust) = &mut route.trust {
            let named = [&mut trust.ca_file, &mut trust.ca_dir, &mut trust.crl_file, &mut trust.client_cert, &mut trust.client_key];
            named.into_iter().flatten().for_each(|path| self.path(path));
        }
    }

    fn gateway(&mut self, gateway: &mut Gateway) {
        self.path(&mut gateway.config);
        gateway.files.iter_mut().for_each(|(file, _)| self.path(file));
        gateway.logs.iter_mut().for_each(|log| self.path(&mut log.path));
        gateway.problems.iter_mut().for_each(|(at, _)| self.place(at));
        let (mut sites, mut pools) = (gateway.sites.to_vec(), gateway.pools.to_vec());
        for site in &mut sites {
            self.place(&mut site.at);
            site.listens.iter_mut().for_each(|listen| self.place(&mut listen.at));
            site.routes.iter_mut().for_each(|route| self.route(route));
        }
        for pool in &mut pools {
            self.place(&mut pool.at);
            self.servers(&mut pool.servers);
            self.settings(pool.settings.values_mut());
        }
        (gateway.sites, gateway.pools) = (sites.into(), pools.into());
    }
}

/// Logs that are links to a descriptor, as in the images of docker: where that leads to a file, it is followed by the descriptor,
/// for its name may mean nothing in there.
fn streams(gateway: &mut Gateway, root: &Root, space: &Space, pid: u32) {
    let host = Root::host();
    let descriptor = |number: u8| {
        let path = PathBuf::from(format!("/proc/{pid}/fd/{number}"));
        host.stat(&path).is_ok_and(|info| info.kind == FileKind::RegularFile).then_some(path)
    };
    let stream = |path: &Path| {
        let link = root.readlink(path).ok();
        let at = link.as_deref().unwrap_or(path).to_str()?;
        STREAMS.iter().find(|(name, _)| *name == at).map(|(_, number)| *number)
    };
    let output = |what: &str, number: u8| BlindSpot {
        source: format!("{what} of {} in {}", gateway.kind, space.place),
        reason: format!("it goes to descriptor {number} of process {pid}, which leads to no file"),
        remedy: told_by(space).map_or_else(
            || "name the file that it is written to with --log".to_owned(),
            |command| format!("read it with: {command}"),
        ),
    };
    let mut blind = Vec::new();
    let mut logs: Vec<LogSource> = Vec::new();
    for mut log in std::mem::take(&mut gateway.logs) {
        if let Some(number) = stream(&log.path) {
            let Some(path) = descriptor(number) else {
                let what = if log.kind == SourceKind::Access { "access log" } else { "error log" };
                blind.push(output(what, number));
                continue;
            };
            log.path = path;
        }
        if !logs.iter().any(|known| known.path == log.path) {
            logs.push(log);
        }
    }
    // What a kind said of its own standard error, it said as if that were this host's.
    let errors = gateway.blind.iter().position(|spot| STREAMS.iter().any(|(name, _)| spot.source.ends_with(name)));
    if let Some(at) = errors {
        let spot = gateway.blind.remove(at);
        let number = STREAMS.iter().find(|(name, _)| spot.source.ends_with(name)).map_or(2, |(_, number)| *number);
        match descriptor(number).filter(|path| !logs.iter().any(|known| known.path == *path)) {
            Some(path) => logs.push(LogSource { path, kind: SourceKind::Error, format: error_format(gateway) }),
            None => blind.push(output("error log", number)),
        }
    }
    gateway.logs = logs;
    gateway.blind.extend(blind);
}

fn error_format(gateway: &Gateway) -> LogFormat {
    if gateway.kind == "nginx" { LogFormat::NginxError } else { LogFormat::Plain }
}

/// The command by which a runtime shows what a container wrote.
fn told_by(space: &Space) -> Option<Command> {
    let words: Vec<&str> = space.enter.iter().map(String::as_str).collect();
    match words.as_slice() {
        [by @ ("docker" | "podman"), "exec", name] => Command::new([by, "logs", "--tail", "50", name]),
        ["kubectl", "exec", which @ .., "--"] => Command::new([&["kubectl", "logs", "--tail=50"], which].concat()),
        ["crictl", "exec", id] => Command::new(["crictl", "logs", "--tail", "50", id]),
        _ => None,
    }
}

fn commands(gateway: &mut Gateway, space: &Space, pid: u32) {
    for (name, words) in &mut gateway.commands {
        let Some(program) = words.first().cloned() else { continue };
        // A unit in a container is its own service manager's.
        let of_host = OF_HOST.contains(&program.as_str())
            && (program == "kill" || !space.container || gateway.unit.as_ref() == Some(&space.place));
        if COMMANDS.contains(&name.as_str()) && !of_host {
            words.splice(0..0, space.enter.iter().cloned());
        } else if name == "log"
            && program == "tail"
            && space.way.files
            && let Some(last) = words.last_mut()
        {
            *last = below(pid, Path::new(last.as_str())).display().to_string();
        }
    }
}

/// Unix sockets of a gateway of this host whose service has a `/tmp` of its own (systemd.exec(5), PrivateTmp=): the same path is
/// another socket for it than for us.
pub async fn private_paths(sys: &Sys, gateway: &mut Gateway, processes: &[ProcessInfo]) {
    let RunState::Running { pid, .. } = gateway.state else { return };
    let pools = gateway.pools.iter().flat_map(|pool| &pool.servers);
    let all = gateway.sites.iter().flat_map(|site| &site.routes).flat_map(|route| &route.servers).chain(pools);
    let socket = |server: &Server| match &server.address {
        Address::Unix(path) if path.is_absolute() => Some(path.clone()),
        Address::Unix(_) | Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => None,
    };
    let sockets: std::collections::BTreeSet<PathBuf> = all.filter_map(socket).collect();
    let Some(process) = processes.iter().find(|one| one.pid == pid).filter(|_| !sockets.is_empty()).cloned() else { return };
    let host = sys.clone();
    let found = super::off_thread(move || {
        let space = host.namespaces.mounts(&host.root, &process)?;
        let own: Vec<PathBuf> = sockets.into_iter().filter(|path| !same_directory(&host.root, pid, path)).collect();
        Some((space, own))
    });
    let Some((space, own)) = found.await.flatten().filter(|(_, own)| !own.is_empty()) else { return };
    sys.namespaces.prefer(&space);
    let servers = |servers: &mut Vec<Server>| {
        for server in servers {
            if matches!(&server.address, Address::Unix(path) if own.contains(path)) {
                server.address = server.address.inside(Some(&space.place));
            }
        }
    };
    let (mut sites, mut pools) = (gateway.sites.to_vec(), gateway.pools.to_vec());
    sites.iter_mut().flat_map(|site| &mut site.routes).for_each(|route| servers(&mut route.servers));
    for pool in &mut pools {
        servers(&mut pool.servers);
    }
    (gateway.sites, gateway.pools) = (sites.into(), pools.into());
}

/// Whether the nearest directory of a path that is there is the same one for a process as for us.
fn same_directory(root: &Root, pid: u32, path: &Path) -> bool {
    let id = |path: &Path| root.stat(path).ok().map(|info| info.id);
    let near = path.ancestors().skip(1).find(|dir| dir.parent().is_some() && id(dir).is_some());
    near.is_none_or(|dir| id(dir) == id(&below(pid, dir)))
}

#[cfg(test)]
mod tests;
