//! What other namespaces are called by those who look after them, and how a person gets in.

use std::path::Path;

use super::{FOUNDERS, Way, inode_of_file, pid_spaces};
use crate::{model::ProcessInfo, sys::Root};

/// Hexadecimal digits of a container's id (OCI runtimes of docker, containerd, podman, cri-o).
const ID_DIGITS: usize = 64;
/// Digits of it that are shown where there is no name: as many as `docker ps` shows.
const SHORT_ID: usize = 12;
/// Characters of a name at most.
const NAME_CHARS: usize = 128;
/// Bytes of a list of containers that are read.
const LIST_BYTES: u64 = 4 << 20;

/// What namespaces are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The name, with what it is of: `container web`.
    pub(super) place: String,
    /// Words before a command to run it there. Empty: by the process.
    pub(super) by: Vec<String>,
    /// Whether somebody has given that name, or it is only a process's.
    pub(super) given: bool,
}

impl Named {
    fn new(place: String, by: &[&str]) -> Self {
        Self { place, by: by.iter().map(|word| (*word).to_owned()).collect(), given: true }
    }

    /// Words before a command for a person to run it there.
    pub(super) fn enter(&self, way: &Way) -> Vec<String> {
        if !self.by.is_empty() {
            return self.by.clone();
        }
        let mut words = vec!["nsenter".to_owned(), "--target".to_owned(), way.pid.to_string()];
        words.extend(way.net.then(|| "--net".to_owned()));
        if way.files {
            words.extend(["--mount", "--pid", "--root", "--wd"].map(str::to_owned));
        }
        words.push("--".to_owned());
        words
    }
}

/// What a network namespace is called: by the first of its processes that has a name from somebody, or that `ip netns` gave it.
pub(super) fn of_net<'a>(root: &Root, net: u64, inside: &(impl Iterator<Item = &'a ProcessInfo> + Clone)) -> Named {
    let bound = Path::new("/run/netns");
    let names = root.list(bound).unwrap_or_default();
    let is = |name: &&std::ffi::OsString| inode_of_file(root, &bound.join(name)) == Some(net);
    if let Some(name) = names.iter().find(is).and_then(|name| plain(name.to_str()?)) {
        // Its processes may have files of their own all the same: they are asked for with the process.
        return Named::new(format!("netns {name}"), &[]);
    }
    let mut all = inside.clone().map(|process| of_process(root, process, "container"));
    let own = |process: &&ProcessInfo| pid_spaces(root, process.pid) > 1;
    let first = inside.clone().take(FOUNDERS).find(own).or_else(|| inside.clone().next());
    let what = |process: &ProcessInfo| if own(&process) { "container" } else { "network" };
    all.find(|named| named.given).or_else(|| first.map(|process| of_number(process, what(process)))).unwrap_or_else(|| Named {
        place: format!("netns {net}"),
        by: Vec::new(),
        given: false,
    })
}

/// What the surroundings of one process are called; `what` they are, where nobody has named them.
pub(super) fn of_process(root: &Root, process: &ProcessInfo, what: &str) -> Named {
    let cgroup = process.cgroup.as_deref().unwrap_or_default();
    container(root, cgroup)
        .or_else(|| machine(cgroup))
        .or_else(|| process.unit().and_then(plain).map(|unit| Named::new(unit.to_owned(), &[])))
        .unwrap_or_else(|| of_number(process, what))
}

fn of_number(process: &ProcessInfo, what: &str) -> Named {
    let name = plain(&process.name).unwrap_or("process");
    Named { place: format!("{what} of {name}, pid {}", process.pid), by: Vec::new(), given: false }
}

/// A name that can stand in an address and in a command.
fn plain(name: &str) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@:/-".contains(c);
    (!name.is_empty() && name.len() <= NAME_CHARS && !name.starts_with('-') && name.chars().all(allowed)).then_some(name)
}

/// A container by its id in the cgroup's path: `/docker/<id>`, `docker-<id>.scope`, `libpod-<id>.scope`,
/// `cri-containerd-<id>.scope`, `/kubepods/.../<id>`.
fn container(root: &Root, cgroup: &str) -> Option<Named> {
    let is_id = |id: &str| id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let part = cgroup.rsplit('/').find(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        part.rsplit(['-', ':']).next().is_some_and(is_id)
    })?;
    let id = part.strip_suffix(".scope").unwrap_or(part).rsplit(['-', ':']).next()?;
    let short = &id[..SHORT_ID];
    if cgroup.contains("kubepods") || part.starts_with("cri-containerd-") || part.starts_with("crio-") {
        return Some(
            of_pod(root, id)
                .unwrap_or_else(|| Named { given: false, ..Named::new(format!("container {short}"), &["crictl", "exec", short]) }),
        );
    }
    let by = if part.starts_with("libpod-") || cgroup.contains("/libpod") { "podman" } else { "docker" };
    let name = if by == "podman" { of_podman(root, id) } else { of_docker(root, id) };
    let name = name.as_deref().and_then(plain).unwrap_or(short);
    Some(Named::new(format!("container {name}"), &[by, "exec", name]))
}

/// docker writes `"Name":"/web"` into the container's own file.
fn of_docker(root: &Root, id: &str) -> Option<String> {
    let path = format!("/var/lib/docker/containers/{id}/config.v2.json");
    let (bytes, _) = root.read_at_most(Path::new(&path), LIST_BYTES).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    Some(value.get("Name")?.as_str()?.trim_start_matches('/').to_owned())
}

/// podman has one list of all.
fn of_podman(root: &Root, id: &str) -> Option<String> {
    let path = Path::new("/var/lib/containers/storage/overlay-containers/containers.json");
    let (bytes, _) = root.read_at_most(path, LIST_BYTES).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let one = value.as_array()?.iter().find(|one| one.get("id").and_then(|id| id.as_str()) == Some(id))?;
    Some(one.get("names")?.get(0)?.as_str()?.to_owned())
}

/// The kubelet links `POD_NAMESPACE_CONTAINER-ID.log` to each container's output.
fn of_pod(root: &Root, id: &str) -> Option<Named> {
    let names = root.list(Path::new("/var/log/containers")).unwrap_or_default();
    let log = names.iter().filter_map(|name| name.to_str()).find_map(|name| name.strip_suffix(&format!("-{id}.log")))?;
    let mut parts = log.splitn(3, '_');
    let (pod, space, container) = (plain(parts.next()?)?, plain(parts.next()?)?, plain(parts.next()?)?);
    let by = ["kubectl", "exec", "-n", space, pod, "-c", container, "--"];
    Some(Named::new(format!("pod {pod}/{container}"), &by))
}

/// LXC's payload cgroup, or the scope of a machine of systemd-nspawn.
fn machine(cgroup: &str) -> Option<Named> {
    let mut parts = cgroup.split('/').peekable();
    while let Some(part) = parts.next() {
        let lxc = part.strip_prefix("lxc.payload.").or_else(|| parts.peek().copied().filter(|_| part == "lxc"));
        if let Some(name) = lxc.and_then(plain) {
            return Some(Named::new(format!("container {name}"), &["lxc-attach", "-n", name, "--"]));
        }
        // systemd escapes what is special in a unit's name (systemd.unit(5)).
        let machine = part.strip_prefix("machine-").and_then(|part| part.strip_suffix(".scope"));
        let machine = machine.or_else(|| part.strip_prefix("systemd-nspawn@").and_then(|part| part.strip_suffix(".service")));
        if let Some(name) = machine.map(|name| name.replace(r"\x2d", "-")) {
            return plain(&name).map(|name| Named::new(format!("machine {name}"), &[]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Root, String) {
        let dir = tempfile::tempdir().expect("directory");
        let id = "0123456789abcdef".repeat(4);
        let file = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
            std::fs::write(path, text).expect("file");
        };
        file(&format!("var/lib/docker/containers/{id}/config.v2.json"), r#"{"ID":"x","Name":"/web"}"#);
        file(
            "var/lib/containers/storage/overlay-containers/containers.json",
            &format!(r#"[{{"id":"y"}},{{"id":"{id}","names":["shop-edge"]}}]"#),
        );
        file(&format!("var/log/containers/shop-7d4_prod_nginx-{id}.log"), "");
        let root = Root::below(dir.path());
        (dir, root, id)
    }

    #[test]
    fn a_cgroup_leads_to_the_name_that_people_use() {
        let (_dir, root, id) = tree();
        let of = |cgroup: &str| container(&root, cgroup).or_else(|| machine(cgroup)).map(|named| (named.place, named.by.join(" ")));
        let is = |place: &str, by: &str| Some((place.to_owned(), by.to_owned()));
        assert_eq!(of(&format!("/docker/{id}")), is("container web", "docker exec web"));
        assert_eq!(of(&format!("/system.slice/docker-{id}.scope")), is("container web", "docker exec web"));
        assert_eq!(of(&format!("/machine.slice/libpod-{id}.scope/container")), is("container shop-edge", "podman exec shop-edge"));
        let pod = is("pod shop-7d4/nginx", "kubectl exec -n prod shop-7d4 -c nginx --");
        assert_eq!(of(&format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope")), pod);
        let other = "f".repeat(64);
        assert_eq!(of(&format!("/docker/{other}")), is("container ffffffffffff", "docker exec ffffffffffff"));
        assert_eq!(of(&format!("/kubepods/besteffort/pod1/{other}")), is("container ffffffffffff", "crictl exec ffffffffffff"));
        assert_eq!(of("/lxc.payload.web1/system.slice/nginx.service"), is("container web1", "lxc-attach -n web1 --"));
        assert_eq!(of(r"/machine.slice/machine-web\x2d1.scope/payload"), is("machine web-1", ""));
        assert_eq!(of("/system.slice/nginx.service"), None);
    }

    #[test]
    fn a_hostile_name_enters_no_command() {
        for name in ["", "-rf", "a b", "a)", "a\n", "$(x)", &"x".repeat(200)] {
            assert_eq!(plain(name), None, "{name:?}");
        }
        assert_eq!(plain("shop_web-1.prod"), Some("shop_web-1.prod"));
    }
}
