//! Sockets that are not reached under the address that they show: in other network namespaces, and by a path that is another for
//! their owner.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use crate::{
    model::{Abroad, Address, Listener, Order as _, ProcessInfo, Redirect},
    sys::{self, ListeningSocket, Root, Space, Sys, listening_in, local_addresses_of},
};

/// Network namespaces whose sockets are read at each look: a thread and three dumps each.
const AT_EACH_LOOK: usize = 8;
/// Milliseconds between two looks into more than those.
const OTHERWISE_MS: u64 = 10_000;
/// Network namespaces that are looked into, at most.
const NETS: usize = 128;
/// How long the files about namespaces may take.
const FILES: Duration = Duration::from_secs(1);

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Watched {
    spaces: Vec<Space>,
    sockets: Vec<ListeningSocket>,
    table: Vec<Abroad>,
    redirects: Vec<Redirect>,
    read_ms: Option<u64>,
    /// By the inode of a socket with a path, where its owner's files are: `None`, ours.
    paths: BTreeMap<u64, Option<String>>,
}

impl Watched {
    /// The namespaces that were looked into, with their addresses.
    pub(super) fn table(&self) -> Vec<Abroad> {
        self.table.clone()
    }

    /// Published ports of theirs that no process of this host listens for.
    pub(super) fn redirects(&self) -> Vec<Redirect> {
        self.redirects.clone()
    }

    /// The processes were listed anew: which namespaces are there now?
    pub(super) async fn processes(&mut self, sys: &Sys, all: &Arc<Vec<ProcessInfo>>) {
        let (host, list) = (sys.clone(), Arc::clone(all));
        let found = sys::blocking(FILES, move || {
            let spaces: Vec<Space> = host.namespaces.nets(&host.root, &list).into_iter().take(NETS).collect();
            spaces.into_iter().map(|space| (local_addresses_of(&host.root, space.way.pid), space)).collect::<Vec<_>>()
        });
        let Some(found) = found.await else { return };
        self.read_ms = None;
        self.table = Vec::new();
        self.spaces = Vec::new();
        for (local, space) in found {
            sys.namespaces.offer(&space);
            self.table.push(Abroad { place: space.place.clone(), local, container: space.container });
            self.spaces.push(space);
        }
        self.table.order_by(|a, b| a.place.cmp(&b.place));
        // The tools that list the rules cost some milliseconds each, and without containers there is nothing to be led to. Who may not
        // list them knows of none, as before.
        self.redirects = if self.spaces.is_empty() { Vec::new() } else { sys.rights.redirects().await.unwrap_or_default() };
    }

    /// The sockets in other network namespaces. A namespace that may not be entered has none to tell of, and is no longer known.
    pub(super) async fn sockets(&mut self, sys: &Sys) -> Vec<ListeningSocket> {
        let now = sys.clock.now().run_ms;
        let due = self.read_ms.is_none_or(|read| now.saturating_sub(read) >= OTHERWISE_MS);
        if self.spaces.is_empty() || !due && self.spaces.len() > AT_EACH_LOOK {
            return self.sockets.clone();
        }
        self.read_ms = Some(now);
        let mut found = Vec::new();
        let mut closed = BTreeSet::new();
        for some in self.spaces.chunks(AT_EACH_LOOK) {
            let looks = some.iter().map(|space| listening_in(&space.way));
            for (space, sockets) in some.iter().zip(futures_util::future::join_all(looks).await) {
                match sockets {
                    Ok(sockets) => found.extend(sockets.into_iter().map(|socket| of_space(socket, space))),
                    Err(_) => drop(closed.insert(space.place.clone())),
                }
            }
        }
        self.table.retain(|known| !closed.contains(&known.place));
        self.sockets = found;
        self.sockets.clone()
    }

    /// Gives those the place of their owner whose path leads elsewhere for us: a service may have a `/tmp` of its own.
    pub(super) async fn paths(&mut self, sys: &Sys, listeners: &mut [Listener], inodes: &[u64]) {
        let mut unknown = Vec::new();
        for (listener, inode) in listeners.iter().zip(inodes) {
            if let (Address::Unix(path), Some(owner)) = (&listener.address, &listener.owner)
                && path.is_absolute()
                && !self.paths.contains_key(inode)
            {
                unknown.push((*inode, path.clone(), owner.clone()));
            }
        }
        self.paths.retain(|inode, _| inodes.contains(inode));
        if !unknown.is_empty() {
            let host = sys.clone();
            let found = sys::blocking(FILES, move || {
                let place = |path: &Path, owner: &ProcessInfo| {
                    let space = host.namespaces.mounts(&host.root, owner).filter(|_| !same_socket(&host.root, owner.pid, path))?;
                    host.namespaces.offer(&space);
                    Some(space.place)
                };
                unknown.into_iter().map(|(inode, path, owner)| (inode, place(&path, &owner))).collect::<Vec<_>>()
            });
            self.paths.extend(found.await.into_iter().flatten());
        }
        for (listener, inode) in listeners.iter_mut().zip(inodes) {
            if let (Some(Some(place)), Address::Unix(_)) = (self.paths.get(inode), &listener.address) {
                listener.address = listener.address.inside(Some(place));
            }
        }
    }
}

/// A socket of a namespace with the address by which it is known here. A path is another only where the files are (unix(7)).
fn of_space(socket: ListeningSocket, space: &Space) -> ListeningSocket {
    let abstract_name = |path: &Path| path.as_os_str().as_encoded_bytes().starts_with(b"@");
    let inside = match &socket.address {
        Address::Tcp(_) => true,
        Address::Unix(path) => space.way.files || abstract_name(path),
        Address::Name(..) | Address::Inside(..) => false,
    };
    let address = if inside { socket.address.inside(Some(&space.place)) } else { socket.address };
    ListeningSocket { address, ..socket }
}

/// Whether a path leads to the same file for a process as for us.
fn same_socket(root: &Root, pid: u32, path: &Path) -> bool {
    let id = |path: &Path| root.stat(path).ok().map(|info| info.id);
    let theirs = path.strip_prefix("/").ok().and_then(|rest| id(&Path::new(&format!("/proc/{pid}/root")).join(rest)));
    // One that is gone for its owner, too, is nobody's.
    theirs.is_none() || theirs == id(path)
}
