//! Processes that are not this host's: in a container, or in another network namespace, where addresses mean something else.

use crate::{
    model::{BlindSpot, Command, ProcessInfo},
    sys::{Root, own_net, pid_spaces, same_mounts, same_root},
};

/// Gateways that enter their chroot themselves, once they have read their configuration and opened their logs (`chroot` of HAProxy and
/// Squid, `server.chroot` of lighttpd): another root below our own mounts is no container's.
const CHROOT_THEMSELVES: &[&str] = &["haproxy", "lighttpd", "squid"];

/// Why a process is not this host's.
#[derive(Debug)]
pub struct Elsewhere {
    /// What a person can do about it.
    pub spot: BlindSpot,
    /// Whether it sees the same files as we do.
    pub same_files: bool,
}

/// Why a gateway of this kind is not this host's: its addresses, and perhaps its files, mean something else there.
pub fn elsewhere(root: &Root, kind: &str, process: &ProcessInfo) -> Option<Elsewhere> {
    if !root.is_host() {
        return None;
    }
    let pid = process.pid;
    let source = format!("{kind}, process {pid}");
    // Asked for only where it matters: it may take the broker.
    let same_files = || same_mounts(root, pid) == Some(true);
    let own_chroot = || CHROOT_THEMSELVES.contains(&kind) && same_files();
    // A service's own mount namespace (PrivateTmp) has the same root; a container's has another.
    if pid_spaces(root, pid) > 1 || same_root(root, pid) == Some(false) && !own_chroot() {
        let reason = "it runs in a container: its files and addresses are not this host's".to_owned();
        let remedy =
            "run as root: sudo why502; or copy why502 into the container (docker cp, kubectl cp) and run it there".to_owned();
        return Some(Elsewhere { spot: BlindSpot { source, reason, remedy }, same_files: false });
    }
    (process.net_ns? != own_net(root)?).then(|| Elsewhere {
        spot: BlindSpot {
            source,
            reason: "it runs in another network namespace: its addresses are not this host's".to_owned(),
            remedy: Command::new(["nsenter", "--target", &pid.to_string(), "--net", "why502"])
                .map_or_else(String::new, |command| format!("run it there: {command}")),
        },
        same_files: same_files(),
    })
}
