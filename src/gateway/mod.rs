//! Layer 2: gateways found on this host, and what their configuration says.
//!
//! A kind looks at the processes and at files below the root, and answers with [`Gateway`]s: plain data in which nginx's
//! `location`, Apache's `ProxyPass` and HAProxy's `use_backend` are the same [`Route`]. What can't be
//! read is a [`BlindSpot`] with the smallest remedy; what the gateway itself would refuse is a problem with its place.
//!
//! What must not be here: any verdict, any connection, any program that is run but by `Rights::config_test`, any write. Nothing here waits for a file on
//! the async threads: a look runs in [`off_thread`], under a deadline.
//!
//! A kind that can be asked about itself (a stats socket, a status page, an admin port) says so by `Kind::live`: it asks by
//! `Rights::ask_gateway`, which takes only the questions of `sys::AdminQuestion`, and gives a [`LiveState`] whose pools and
//! servers have the names of its [`Gateway::pools`]; everything after that (facts, causes) is the same for all kinds.
//!
//! To add a kind: one folder with a type that implements [`Kind`], one `mod` line, one line in [`ALL`], and a tree of it
//! below `tests/roots/`. Share [`glob`](crate::sys::glob) for includes; give every setting its place, every default `None`.

mod abroad;
mod apache;
mod binaries;
mod caddy;
mod directive;
mod fingerprint;
#[doc(hidden)]
pub mod foreign;
mod haproxy;
mod inside;
mod left_out;
mod missed;
mod nginx;
mod packages;
mod pattern;
mod reading;
mod recognised;
mod scope;
mod switch;
#[cfg(test)]
mod tests;
mod texts;
mod units;
mod watcher;
mod written;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::{
    model::{
        Address, BlindSpot, Command, ConfigTest, Gateway, KnownTest, LiveState, Place, Protocol, Resolution, Route, RouteChoice,
        Server, Site,
    },
    sys::{FileKind, Processes, Root, Sys, Users, aside},
};

pub use watcher::run;

/// How long one look at the files may take. Beyond it the file system hangs, and the screen says so instead of waiting.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);
/// Looks under way at once, at most: threads that a hanging file system holds, for ever perhaps. The tests are many hosts in one
/// process, and a paused clock runs on while one of them waits for the others.
const LOOKS_AT_ONCE: usize = if cfg!(test) { 256 } else { 4 };

/// All kinds, in the order in which they are looked for.
pub static ALL: &[&dyn Kind] = &[
    &nginx::NGINX,
    &apache::APACHE,
    &haproxy::HAPROXY,
    &caddy::CADDY,
    &recognised::LIGHTTPD,
    &recognised::VARNISH,
    &recognised::SQUID,
    &recognised::TRAEFIK,
    &recognised::ENVOY,
];

/// A kind of gateway.
pub trait Kind: Sync + fmt::Debug {
    /// Its name in options, observations and the catalogue: `nginx`.
    fn id(&self) -> &'static str;

    /// File names of its binary: what [`ProcessInfo::program`](crate::model::ProcessInfo::program) is of each of its processes, helpers and workers included.
    fn programs(&self) -> &'static [&'static str];

    /// Finds the gateways of this kind and reads their configuration. `None` for processes: they could not be listed, so
    /// nothing may be said to be stopped.
    fn look<'a>(&'a self, sys: &'a Sys, processes: Option<Processes>, overrides: &'a Overrides) -> BoxFuture<'a, Found>;

    /// Lets the gateway test its configuration itself, where that can change nothing. An error: why there is no result.
    fn test<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<ConfigTest, String>>;

    /// Asks a gateway that runs about itself, by `Rights::ask_gateway` and nothing else: its servers' health, its limits, where it
    /// connects. `None`: it offers no way to ask. An error: why there is no answer, with the least that would open it.
    fn live<'a>(&'a self, _: &'a Sys, _: &'a Gateway) -> BoxFuture<'a, Result<Option<LiveState>, BlindSpot>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Found {
    /// The gateways, running ones first.
    pub gateways: Vec<Gateway>,
    /// What could not be looked at and belongs to none of them.
    pub blind: Vec<BlindSpot>,
    /// Files and directories besides [`Gateway::files`] whose change calls for another look: pid files, directories that an
    /// include pattern names.
    pub watch: Vec<PathBuf>,
    /// Processes that are such a gateway in other namespaces, each with a blind spot that holds until they are read there.
    pub abroad: Vec<u32>,
}

/// What the operator said on the command line, which goes before what is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--gateway`: look for this kind only.
    pub kind: Option<String>,
    /// `--config`: the main configuration file.
    pub config: Option<PathBuf>,
    /// `--log`: error logs, besides those that the configuration names.
    pub logs: Vec<PathBuf>,
    /// `--access-log`: access logs, besides those that the configuration names.
    pub access_logs: Vec<PathBuf>,
    /// `--upstream`: addresses to be tried, besides those that the configuration names.
    pub upstreams: Vec<Address>,
    /// Tests that an earlier run made. `None`: those of earlier runs are of no use here.
    pub known_tests: Option<Vec<KnownTest>>,
}

/// Runs file work on a thread that nothing waits for longer than [`LOOK_DEADLINE`]. `None`: it took longer, or panicked.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    static LOOKS: Semaphore = Semaphore::const_new(LOOKS_AT_ONCE);
    let bounded = async {
        let permit = LOOKS.acquire().await.ok()?;
        let done = aside(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await
    };
    tokio::time::timeout(LOOK_DEADLINE, bounded).await.ok().flatten()
}

/// One look of a kind, off the async threads. What hangs is a blind spot.
async fn look_off_thread(kind: &str, look: impl FnOnce() -> Found + Send + 'static) -> Found {
    off_thread(look).await.unwrap_or_else(|| Found {
        blind: vec![BlindSpot {
            source: format!("{kind} configuration"),
            reason: format!("its files could not be read within {} s", LOOK_DEADLINE.as_secs()),
            remedy: "look for a hanging file system: cat /proc/self/mountinfo".to_owned(),
        }],
        ..Found::default()
    })
}

/// The blind spot of a file that we may not read, with the least that would open it.
fn denied(root: &Root, path: &Path, what: &str) -> BlindSpot {
    // The owner of /proc/self is our effective user (proc(5)): no system call of our own is needed for a name to show.
    let me = root.stat(Path::new("/proc/self")).map_or_else(|_| "USER".to_owned(), |it| Users::read(root).name(it.uid));
    // What can't even be looked up lies in a directory that we may not enter: the last that we can see is the one.
    let entry = path.ancestors().find(|one| root.stat(one).is_ok()).unwrap_or(path);
    let right = if root.stat(entry).is_ok_and(|info| info.kind == FileKind::Directory) { "rx" } else { "r" };
    let grant = Command::new(["setfacl", "-m", &format!("u:{me}:{right}"), &entry.display().to_string()]);
    let remedy = grant.map_or_else(|| "run as root".to_owned(), |command| format!("run as root, or as root: {command}"));
    BlindSpot { source: path.display().to_string(), reason: format!("{what}: permission denied"), remedy }
}

/// The blind spot of servers that a pool has beyond those that are kept.
fn servers_left_out(pool: &str, count: usize) -> BlindSpot {
    BlindSpot {
        source: format!("further servers of {pool}"),
        reason: format!("the pool has {count} servers more than are kept"),
        remedy: "name those that matter with --upstream".to_owned(),
    }
}

/// Files that upstreams' certificates are judged by, and what the gateway shows of itself there.
fn upstream_trust(sites: &[Site]) -> impl Iterator<Item = PathBuf> {
    let trusts = sites.iter().flat_map(|site| &site.routes).filter_map(|route| route.trust.as_ref());
    trusts.flat_map(|trust| [&trust.ca_file, &trust.crl_file, &trust.client_cert, &trust.client_key]).flatten().cloned()
}

/// The site of the command line's `--upstream`, if any: every kind adds it to its own.
fn site_of_operator(overrides: &Overrides, config: &Path) -> Option<Site> {
    if overrides.upstreams.is_empty() {
        return None;
    }
    let at = Place { file: config.to_owned().into(), line: 1 };
    let routes = routes_of_operator(&overrides.upstreams, &at);
    Some(Site { names: vec!["--upstream".to_owned()], listens: Vec::new(), routes, choice: RouteChoice::FirstMatch, at })
}

/// Routes of the command line's: addresses that the operator wants tried, whatever the configuration says.
fn routes_of_operator(addresses: &[Address], at: &Place) -> Vec<Route> {
    let route = |address: &Address| Route {
        pattern: "--upstream".to_owned(),
        servers: vec![Server { names: Resolution::AtEachUse, ..Server::new(address.clone(), at.clone()) }],
        ..Route::new(if address.port() == Some(443) { Protocol::Https } else { Protocol::Http }, at.clone())
    };
    addresses.iter().map(route).collect()
}
