//! Processes that are not this host's: in a container, or in another network namespace, where addresses mean something else.

use std::path::Path;

use crate::{
    model::{BlindSpot, Command, ProcessInfo},
    sys::Root,
};

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
    let status = root.text(format!("/proc/{pid}/status")).unwrap_or_default();
    let pid_spaces =
        status.lines().find_map(|line| line.strip_prefix("NSpid:")).map_or(1, |ids| ids.split_ascii_whitespace().count());
    let root_of = |path: String| root.stat(Path::new(&path)).ok().map(|info| info.id);
    let (ours, theirs) = (root_of("/".to_owned()), root_of(format!("/proc/{pid}/root")));
    // A service's own mount namespace (PrivateTmp) has the same root; a container's has another.
    if pid_spaces > 1 || (theirs.is_some() && theirs != ours) {
        let reason = "it runs in a container: its files and addresses are not this host's".to_owned();
        let remedy =
            "run as root: sudo why502; or copy why502 into the container (docker cp, kubectl cp) and run it there".to_owned();
        return Some(Elsewhere { spot: BlindSpot { source, reason, remedy }, same_files: false });
    }
    let net = root.readlink(Path::new("/proc/self/ns/net")).ok()?;
    let net = net.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse::<u64>().ok()?;
    let mounts = |of: &str| root.readlink(Path::new(&format!("/proc/{of}/ns/mnt"))).ok();
    (process.net_ns? != net).then(|| Elsewhere {
        spot: BlindSpot {
            source,
            reason: "it runs in another network namespace: its addresses are not this host's".to_owned(),
            remedy: Command::new(["nsenter", "--target", &pid.to_string(), "--net", "why502"])
                .map_or_else(String::new, |command| format!("run it there: {command}")),
        },
        same_files: mounts("self") == mounts(&pid.to_string()),
    })
}
