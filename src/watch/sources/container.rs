//! The output of containers: docker's json-file and the kubelet's files, by the container's id in a process's cgroup.

use std::path::{Path, PathBuf};

use super::{Candidate, service::Service};
use crate::{
    model::{LogFormat, OwnerRole, SourceKind},
    sys::Root,
};

/// Hexadecimal digits of a container's id (OCI runtimes of docker, containerd, podman, cri-o).
const ID_DIGITS: usize = 64;

/// The id in a cgroup's path: `/docker/<id>`, `docker-<id>.scope`, `cri-containerd-<id>.scope`, `libpod-<id>.scope`.
fn id(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        (id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    })
}

/// The log of the container that a service runs in.
pub(super) fn log(root: &Root, service: &Service) -> Option<Candidate> {
    let id = id(service.lead.cgroup.as_deref()?)?;
    let docker = PathBuf::from(format!("/var/lib/docker/containers/{id}/{id}-json.log"));
    let podman = PathBuf::from(format!("/var/lib/containers/storage/overlay-containers/{id}/userdata/ctr.log"));
    let kubelet = || {
        // `POD_NAMESPACE_CONTAINER-ID.log`
        let dir = Path::new("/var/log/containers");
        let of_it = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(&format!("-{id}.log"));
        root.list(dir).unwrap_or_default().into_iter().find(of_it).map(|name| dir.join(name))
    };
    // What may not be looked at is told by whoever follows it.
    let there = |path: &PathBuf| root.stat(path).map_or_else(|error| error.denied(), |_| true);
    let path = kubelet().or_else(|| [docker, podman].into_iter().find(there))?;
    let kind = match service.role {
        OwnerRole::Gateway => SourceKind::Error,
        OwnerRole::Upstream => SourceKind::App,
    };
    let why = format!("output of the container of {}", service.name());
    Some(Candidate { path, kind, format: LogFormat::Plain, why, serves: service.serves.clone() })
}

#[cfg(test)]
mod tests {
    use super::{super::service::tests::service, *};

    #[test]
    fn a_cgroup_leads_to_the_containers_log() {
        let hex = "0123456789abcdef".repeat(4);
        let dir = tempfile::tempdir().expect("directory");
        let log_path = format!("/var/lib/docker/containers/{hex}/{hex}-json.log");
        let file = dir.path().join(log_path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().expect("parent")).expect("directories");
        std::fs::write(&file, "{}").expect("file");
        let mut service = service(&["node", "app.js"]);
        for cgroup in [format!("/docker/{hex}"), format!("/system.slice/docker-{hex}.scope"), format!("/docker/{hex}/init")] {
            service.lead.cgroup = Some(cgroup);
            let found = log(&Root::below(dir.path()), &service).expect("its log");
            assert_eq!(
                (found.path.to_string_lossy().into_owned(), found.why.as_str()),
                (log_path.clone(), "output of the container of node (811)")
            );
        }
        for other in ["/system.slice/app.service", "/docker/abc", "/"] {
            service.lead.cgroup = Some(other.to_owned());
            assert_eq!(log(&Root::below(dir.path()), &service), None, "{other}");
        }
    }
}
