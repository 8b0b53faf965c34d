//! Where a service writes to: the files that it has open for writing, where programs of its kind keep temporary files, where it works, and
//! what else it may write to. Each file system comes once, with the strongest reason.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    model::{OwnerRole, PlaceUse, ServiceLoad, ServicePlace},
    sys::{FileKind, Mount, Root, WrittenFiles, holder, mounts, space},
    watch::sources::service::Service,
};

/// File systems of one service, at most.
const PLACES: usize = 24;
/// Mounts on which nobody's application writes.
const NOT_DATA: &[&str] = &[
    "/boot",
    "/snap",
    "/run/user",
    "/run/credentials",
    "/run/lock",
    "/sys",
    "/proc",
    "/efi",
    "/var/lib/snapd",
    "/run/netns",
    "/media",
];
/// Where programs keep temporary files, bodies, sessions and caches as their packages set them up.
const USUAL: &[(&str, &[&str])] = &[
    ("nginx", &["/var/lib/nginx", "/var/cache/nginx", "/var/log/nginx"]),
    ("openresty", &["/usr/local/openresty/nginx"]),
    ("apache2", &["/var/log/apache2", "/var/cache/apache2", "/tmp"]),
    ("httpd", &["/var/log/httpd", "/tmp"]),
    ("haproxy", &["/var/log"]),
    ("caddy", &["/var/lib/caddy", "/var/log/caddy"]),
    ("lighttpd", &["/var/cache/lighttpd", "/var/tmp", "/var/log/lighttpd"]),
    ("varnishd", &["/var/lib/varnish"]),
    ("squid", &["/var/spool/squid", "/var/log/squid"]),
    ("php-fpm", &["/var/lib/php/sessions", "/var/lib/php/session", "/tmp", "/var/log"]),
    ("uwsgi", &["/tmp", "/var/log/uwsgi"]),
    ("gunicorn", &["/tmp", "/var/tmp"]),
    ("puma", &["/tmp"]),
    ("node", &["/tmp"]),
    ("java", &["/tmp"]),
];

/// The places of a service, as far as its process may be looked into. `foreign`: it sees other mounts. Nothing is asked how full it is here.
pub(super) fn of(root: &Root, service: &Service, foreign: bool, written: &[WrittenFiles]) -> Vec<ServicePlace> {
    let all = mounts(root, Some(service.lead.pid));
    let inside = |path: &Path| {
        let below = path.strip_prefix("/").unwrap_or(path);
        if foreign { PathBuf::from(format!("/proc/{}/root", service.lead.pid)).join(below) } else { path.to_owned() }
    };
    let mut found: Vec<ServicePlace> = Vec::new();
    let mut add = |path: &Path, how: PlaceUse| {
        let Some(mount) = holder(&all, path) else { return };
        if let Some(known) = found.iter_mut().find(|known| known.mount == mount.point) {
            if known.how > how {
                (known.how, known.path) = (how, path.to_owned());
            }
        } else if found.len() < PLACES {
            found.push(ServicePlace {
                path: path.to_owned(),
                how,
                mount: mount.point.clone(),
                kind: mount.kind.clone(),
                read_only: mount.read_only,
                ..ServicePlace::default()
            });
        }
    };
    let members = || service.members.iter().map(|member| member.pid);
    for file in written.iter().filter(|files| members().any(|pid| pid == files.pid)).flat_map(|files| &files.files) {
        if file.info.is_some_and(|info| info.kind == FileKind::RegularFile) {
            add(&file.path, PlaceUse::Open);
        }
    }
    let usual = USUAL.iter().filter(|(program, _)| service.is(program)).flat_map(|(_, paths)| *paths).map(Path::new);
    for path in usual.filter(|path| root.stat(&inside(path)).is_ok()) {
        add(path, PlaceUse::Usual);
    }
    if service.role == OwnerRole::Upstream {
        if let Some(cwd) = service.lead.cwd.as_deref().filter(|cwd| *cwd != Path::new("/")) {
            add(cwd, PlaceUse::Usual);
        }
        for mount in all.iter().filter(|mount| data(mount)) {
            // A host's own mounts are asked for their mode only where that cannot hang.
            if may_write(root, &inside(&mount.point), service) {
                add(&mount.point, PlaceUse::May);
            }
        }
    }
    found
}

/// Whether applications keep data on mounts like this.
fn data(mount: &Mount) -> bool {
    let system = NOT_DATA.iter().any(|path| mount.point.starts_with(path));
    mount.local() && !mount.read_only && mount.kind != "overlay" && !system && mount.point != Path::new("/dev")
}

/// Whether a directory is the service's own: its user's, its group's, or everybody's. A service of root's may write anywhere, which says
/// nothing.
fn may_write(root: &Root, dir: &Path, service: &Service) -> bool {
    let Ok(info) = root.stat(dir) else { return false };
    // Workers have other rights than their master.
    let whose = service.members.iter().map(|member| &member.identity).find(|identity| identity.uid != 0);
    let Some(identity) = whose else { return false };
    let group = info.gid == identity.gid || identity.groups.contains(&info.gid);
    let may = |bit: u32| info.mode & bit != 0;
    info.uid == identity.uid && may(0o200) || group && may(0o020) || may(0o002)
}

/// Where to ask how full a place is. `None`: it may hang, or nobody can write there anyway.
fn asked(root: &Root, pid: u32, foreign: &BTreeSet<u32>, place: &ServicePlace) -> Option<PathBuf> {
    let mount = Mount {
        point: place.mount.clone(),
        root: PathBuf::from("/"),
        kind: place.kind.clone(),
        read_only: place.read_only,
        options: String::new(),
    };
    if !root.is_host() || place.read_only || !mount.local() {
        return None;
    }
    let below = place.mount.strip_prefix("/").unwrap_or(&place.mount);
    Some(if foreign.contains(&pid) { PathBuf::from(format!("/proc/{pid}/root")).join(below) } else { place.mount.clone() })
}
/// How full the places are: each file system is asked once. `foreign`: the services that see other mounts.
pub(super) async fn fill(root: &Root, foreign: &BTreeSet<u32>, loads: &mut [ServiceLoad]) {
    let mut paths = Vec::new();
    for load in loads.iter() {
        for place in &load.places {
            if let Some(path) = asked(root, load.pid, foreign, place)
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        }
    }
    let Some(found) = space(root, paths.clone()).await else { return };
    for load in loads {
        let pid = load.pid;
        for place in &mut load.places {
            let Some(path) = asked(root, pid, foreign, place) else { continue };
            let told = paths.iter().position(|known| *known == path).and_then(|at| found.get(at)).and_then(Option::as_ref);
            if let Some(told) = told {
                (place.used, place.free, place.inodes) = (Some(told.used), Some(told.free), told.inodes);
            }
        }
    }
}
