//! Layer 2: gateways found on this host, and what their configuration says.
//!
//! A kind looks at the processes and at files below the root, and answers with [`Gateway`]s: plain data in which nginx's
//! `location`, Apache's `ProxyPass` and HAProxy's `use_backend` are the same [`Route`](crate::model::Route). What can't be
//! read is a [`BlindSpot`] with the smallest remedy; what the gateway itself would refuse is a problem with its place.
//!
//! What must not be here: any verdict, any connection, any program that is run but by `Rights::config_test`, any write. Nothing here waits for a file on
//! the async threads: a look runs in [`off_thread`], under a deadline.
//!
//! To add a kind: one folder with a type that implements [`Kind`], one `mod` line, one line in [`ALL`], and a tree of it
//! below `tests/roots/`. Share [`glob`](crate::sys::glob) for includes; give every setting its place, every default `None`.

mod nginx;
mod watcher;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::{
    model::{Address, BlindSpot, Command, ConfigTest, Gateway, ProcessInfo},
    sys::{FileKind, Root, Sys, Users},
};

pub use watcher::run;

/// How long one look at the files may take. Beyond it the file system hangs, and the screen says so instead of waiting.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);
/// Looks under way at once, at most: threads that a hanging file system holds, for ever perhaps.
const LOOKS_AT_ONCE: usize = 4;

/// All kinds, in the order in which they are looked for.
pub static ALL: &[&dyn Kind] = &[&nginx::NGINX];

/// A kind of gateway.
pub trait Kind: Sync + fmt::Debug {
    /// Its name in options, observations and the catalogue: `nginx`.
    fn id(&self) -> &'static str;

    /// Finds the gateways of this kind and reads their configuration. `None` for processes: they could not be listed, so
    /// nothing may be said to be stopped.
    fn look<'a>(&'a self, sys: &'a Sys, processes: Option<&'a [ProcessInfo]>, overrides: &'a Overrides) -> BoxFuture<'a, Found>;

    /// Lets the gateway test its configuration itself, where that can change nothing. An error: why there is no result.
    fn test<'a>(&'a self, sys: &'a Sys, gateway: &'a Gateway) -> BoxFuture<'a, Result<ConfigTest, String>>;
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
}

/// Runs file work on a thread that nothing waits for longer than [`LOOK_DEADLINE`]. `None`: it took longer, or panicked.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    static LOOKS: Semaphore = Semaphore::const_new(LOOKS_AT_ONCE);
    let bounded = async {
        let permit = LOOKS.acquire().await.ok()?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        task.await.ok()
    };
    tokio::time::timeout(LOOK_DEADLINE, bounded).await.ok().flatten()
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
