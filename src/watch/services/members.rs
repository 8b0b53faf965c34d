//! Who belongs to a service, who shares its cgroup, and who else wants processors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    LOOK,
    cgroup::{self, Trees},
    tasks,
};
use crate::{
    model::{Address, Identity, Order as _, ProcessInfo},
    sys::{Root, blocking, descriptors, listening},
    watch::sources::service::Service,
};

/// Programs that are told as rivals for processors, at most.
const RIVALS: usize = 3;
/// Descriptors of a master among which listening sockets are looked for, at most.
const DOORS: usize = 1_000;

/// The programs besides these services that have most processes which run or want to.
pub(super) fn rivals(processes: &[ProcessInfo], services: &[Service]) -> Vec<(String, u32)> {
    let own: BTreeSet<u32> = services.iter().flat_map(|service| &service.members).map(|member| member.pid).collect();
    let us = std::process::id();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for process in processes.iter().filter(|process| process.state == 'R' && process.pid != us && !own.contains(&process.pid)) {
        *counts.entry(&process.name).or_default() += 1;
    }
    let mut rivals: Vec<(String, u32)> = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    rivals.order_by_key(|(_, count)| std::cmp::Reverse(*count));
    rivals.truncate(RIVALS);
    rivals
}

/// Who supervises a service is looked at for its logs, but is no part of its load.
pub(super) fn without_supervisor(service: &mut Service) {
    let mut own = BTreeSet::from([service.lead.pid]);
    service.members.retain(|member| {
        let belongs = own.contains(&member.pid) || own.contains(&member.ppid);
        if belongs {
            own.insert(member.pid);
        }
        belongs
    });
}

/// Groups that more than one of these services is in, or we ourselves: those of a container or a login. Their figures are nobody's own.
pub(super) fn shared(root: &Root, trees: &Trees, services: &[Service]) -> BTreeSet<String> {
    let group = |who: &str| root.text(format!("/proc/{who}/cgroup")).ok().and_then(|text| cgroup::memory_group(trees, &text));
    let mut known = BTreeSet::from_iter(root.is_host().then(|| group("self")).flatten());
    let of = services.iter().filter_map(|service| group(&service.lead.pid.to_string()));
    of.filter(|group| !known.insert(group.clone())).collect()
}

/// The limits of descriptors of the processes of a service.
pub(super) fn limits(root: &Root, service: &Service) -> BTreeMap<u32, u64> {
    let limit = |pid: u32| Some((pid, tasks::open_files_limit(&root.text(format!("/proc/{pid}/limits")).ok()?)?));
    service.members.iter().filter_map(|member| limit(member.pid)).collect()
}

/// The user as whom the workers of a service run, and the limit of his tasks. `None`: he has none, or all run as root, whom it does not
/// bind (setrlimit(2), RLIMIT_NPROC).
pub(super) fn bound_user(root: &Root, service: &Service) -> Option<(Identity, u64)> {
    let worker = service.members.iter().rev().find(|member| member.identity.uid != 0)?;
    let limits = root.text(format!("/proc/{}/limits", worker.pid)).ok()?;
    Some((worker.identity.clone(), tasks::user_tasks_limit(&limits)?))
}

/// Where these gateways listen, by their masters: the sockets that listen and that the master holds.
pub(super) async fn doors(root: &Root, masters: Vec<u32>) -> BTreeMap<u32, Vec<Address>> {
    let Ok(sockets) = listening(root).await else { return BTreeMap::new() };
    let root = root.clone();
    let look = move || {
        let inode = |(_, link): &(u32, PathBuf)| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok();
        let of = |list: Vec<(u32, PathBuf)>| {
            let inodes: BTreeSet<u64> = list.iter().filter_map(inode).collect();
            sockets.iter().filter(|socket| inodes.contains(&socket.inode)).map(|socket| socket.address.clone()).collect()
        };
        let all = descriptors(&root, &masters, DOORS);
        masters.into_iter().zip(all).map(|(pid, list)| (pid, of(list.unwrap_or_default()))).collect()
    };
    blocking(LOOK, look).await.unwrap_or_default()
}
