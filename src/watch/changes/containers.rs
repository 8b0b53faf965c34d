//! Starts of containers: by the first process in each one's cgroup, whatever engine runs it, with the name that docker gives it.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::Looker;
use crate::model::{Change, ChangeKind, Order as _, ProcessInfo, Subject};

/// Containers that are told, at most.
const CONTAINERS: usize = 64;
/// Bytes of docker's own file on a container that are read.
const STATE_BYTES: u64 = 256 << 10;
/// Digits of a container's id that a person sees.
const SHORT: usize = 12;

/// The engine and the id of a container, by the path of a cgroup: `/docker/ID`, `docker-ID.scope`, `libpod-ID.scope`,
/// `cri-containerd-ID.scope`, `crio-ID.scope`, `/kubepods/.../ID`.
fn container(cgroup: &str) -> Option<(&'static str, &str)> {
    let parts: Vec<&str> = cgroup.split('/').collect();
    parts.iter().enumerate().rev().find_map(|(at, part)| {
        let name = part.strip_suffix(".scope").unwrap_or(part);
        let (engine, id) = [("docker", "docker-"), ("podman", "libpod-"), ("containerd", "cri-containerd-"), ("cri-o", "crio-")]
            .iter()
            .find_map(|(engine, prefix)| Some((*engine, name.strip_prefix(prefix)?)))
            .or_else(|| match parts.get(at.checked_sub(1)?)? {
                &"docker" => Some(("docker", name)),
                &"libpod_parent" => Some(("podman", name)),
                pod if pod.contains("pod") => Some(("containerd", name)),
                _ => None,
            })?;
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some((engine, id))
    })
}

/// Looks at the containers that run.
pub(super) fn look(looker: &mut Looker<'_>, processes: &[ProcessInfo]) {
    let mut first: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut pids: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for process in processes {
        let Some((key, started)) = process.cgroup.as_deref().and_then(container).zip(process.started) else { continue };
        let at = first.entry(key).or_insert(started);
        *at = started.min(*at);
        pids.entry(key.1).or_default().push(process.pid);
    }
    if first.is_empty() {
        return;
    }
    looker.looked(ChangeKind::Start, "containers", first.values().max().copied());
    let mut found: Vec<_> = first.into_iter().collect();
    found.order_by_key(|(_, at)| std::cmp::Reverse(*at));
    for ((engine, id), at) in found.into_iter().take(CONTAINERS) {
        let short = id.get(..SHORT).unwrap_or(id);
        let name = docker_name(looker, id).map_or_else(|| short.to_owned(), |name| format!("{name} ({short})"));
        let own = pids.get(id).map_or(&[][..], Vec::as_slice);
        let mut concerns: Vec<Subject> = Vec::new();
        for service in &looker.services {
            if own.contains(&service.lead.pid) {
                concerns.extend(service.serves.iter().cloned());
            }
        }
        looker.add(Change {
            kind: ChangeKind::Start,
            what: format!("container {name} was started"),
            at,
            source: format!("{engine}: its first process"),
            by: None,
            concerns,
            first: false,
        });
    }
}

/// `{"Name": "/shop", ...}`, of which the slash is docker's own. `None`: it may not be read, or is another engine's.
fn docker_name(looker: &Looker<'_>, id: &str) -> Option<String> {
    let path = format!("/var/lib/docker/containers/{id}/config.v2.json");
    let (bytes, _) = looker.root.read_at_most(Path::new(&path), STATE_BYTES).ok()?;
    let state: Value = serde_json::from_slice(&bytes).ok()?;
    Some(state.get("Name")?.as_str()?.trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_their_cgroups() {
        let id = "3f".repeat(32);
        for (path, engine) in [
            (format!("/docker/{id}"), "docker"),
            (format!("/system.slice/docker-{id}.scope"), "docker"),
            (format!("/machine.slice/libpod-{id}.scope/container"), "podman"),
            (format!("/kubepods.slice/kubepods-pod7.slice/cri-containerd-{id}.scope"), "containerd"),
            (format!("/kubepods/burstable/pod12/{id}"), "containerd"),
        ] {
            assert_eq!(container(&path), Some((engine, id.as_str())), "{path}");
        }
        for path in ["/", "", "/system.slice/docker.service", "/docker/short", "/user.slice/user-0.slice"] {
            assert_eq!(container(path), None, "{path}");
        }
    }
}
