//! What the cgroups of a service tell, of both versions (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/): use and limits, the tightest
//! limit on the way up, and how often it was enforced.

use std::path::{Path, PathBuf};

use crate::{
    model::Pressure,
    sys::{Root, mounts},
    watch::load::parse,
};

/// Groups above one that are looked at, at most.
const ABOVE: usize = 12;
/// From here on a limit of version 1 is none: the kernel writes a number near 2^63 (`PAGE_COUNTER_MAX`).
const UNLIMITED: u64 = 1 << 60;

/// Where a controller's tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    /// Where it is mounted.
    mount: PathBuf,
    /// What of it is seen there: a container sees its own part.
    root: PathBuf,
}

/// The trees of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trees {
    unified: Option<Tree>,
    /// Version 1, with the controllers' names.
    named: Vec<(Vec<String>, Tree)>,
}

impl Trees {
    /// By what is mounted; else, in a copied tree, by where it usually is.
    pub(super) fn of(root: &Root) -> Self {
        let mut trees = Self::default();
        for mount in mounts(root, None) {
            let tree = Tree { mount: mount.point.clone(), root: mount.root.clone() };
            match mount.kind.as_str() {
                "cgroup2" => trees.unified = Some(tree),
                "cgroup" => trees.named.push((mount.options.split(',').map(str::to_owned).collect(), tree)),
                _ => {}
            }
        }
        if trees == Self::default() {
            let tree = |path: &str| {
                let (mount, root) = (PathBuf::from(path), PathBuf::from("/"));
                Tree { mount, root }
            };
            let there = |path: &str| root.stat(Path::new(path)).is_ok();
            if there("/sys/fs/cgroup/cgroup.controllers") {
                trees.unified = Some(tree("/sys/fs/cgroup"));
            }
            for names in ["memory", "cpu", "cpu,cpuacct", "pids"] {
                let path = format!("/sys/fs/cgroup/{names}");
                if there(&path) {
                    trees.named.push((names.split(',').map(str::to_owned).collect(), tree(&path)));
                }
            }
        }
        trees
    }

    /// The groups of a process for a controller.
    fn groups(&self, controller: &str, text: &str) -> Levels {
        let of = |wanted: &dyn Fn(&str) -> bool| {
            let lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
            lines.into_iter().find(|(names, _)| wanted(names)).map(|(_, path)| path.to_owned())
        };
        let named = self.named.iter().find(|(names, _)| names.iter().any(|name| name == controller));
        let (tree, path, unified) = match named {
            Some((_, tree)) => (Some(tree), of(&|names| names.split(',').any(|name| name == controller)), false),
            None => (self.unified.as_ref(), of(&str::is_empty), true),
        };
        let nothing = Levels { dirs: Vec::new(), unified, own: false, path: path.clone() };
        let (Some(tree), Some(path)) = (tree, path) else { return nothing };
        // What lies outside of the part that is seen begins with `/..` (cgroup_namespaces(7)).
        let Ok(below) = Path::new(&path).strip_prefix(&tree.root) else { return nothing };
        if below.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return nothing;
        }
        let leaf = tree.mount.join(below);
        let own = leaf != tree.mount && own(&leaf);
        let dirs = leaf.ancestors().take_while(|level| level.starts_with(&tree.mount)).take(ABOVE).map(Path::to_owned).collect();
        Levels { dirs, unified, own, path: Some(path) }
    }
}

/// The groups of a process for a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Levels {
    /// Its own directory and those above it, the nearest first.
    dirs: Vec<PathBuf>,
    /// Whether they are of version 2.
    unified: bool,
    /// Whether the nearest is made for one service.
    own: bool,
    /// The path that the kernel gives the nearest.
    path: Option<String>,
}

/// How often a limit of processor time was enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Throttling {
    /// Enforcement periods in which something ran.
    pub(super) periods: u64,
    /// Those in which the limit was reached.
    pub(super) throttled: u64,
}

/// What the groups of a process tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Groups {
    /// The path of its own group, if it has one of its own.
    pub(super) own: Option<String>,
    /// The group whose memory it uses, by the path that the kernel gives it.
    pub(super) memory_group: Option<String>,
    /// Processors that it may use.
    pub(super) quota: Option<f32>,
    /// Since the group that has the limit was made.
    pub(super) throttling: Option<Throttling>,
    /// Pressure within its own group.
    pub(super) psi: [Option<Pressure>; 3],
    /// Memory of its own group, without what can be dropped.
    pub(super) memory: Option<u64>,
    /// The tightest limit of memory, with its use.
    pub(super) memory_limit: Option<(u64, u64)>,
    /// Swap of its own group.
    pub(super) swap: Option<u64>,
    /// Kills in its own group.
    pub(super) oom_kills: Option<u64>,
    /// Tasks and their tightest limit.
    pub(super) tasks: Option<(u64, u64)>,
}

/// The group whose memory the process of this /proc/PID/cgroup uses, by the path that the kernel gives it.
pub(super) fn memory_group(trees: &Trees, text: &str) -> Option<String> {
    trees.groups("memory", text).path
}

/// The groups of the process whose /proc/PID/cgroup this is.
pub(super) fn of(root: &Root, trees: &Trees, text: &str) -> Groups {
    let read = |dir: &Path, name: &str| root.text(dir.join(name)).ok();
    let number = |dir: &Path, name: &str| read(dir, name).and_then(|text| text.trim().parse::<u64>().ok());
    let mut out = Groups::default();

    let cpu = trees.groups("cpu", text);
    for dir in &cpu.dirs {
        let quota = if cpu.unified {
            read(dir, "cpu.max").and_then(|text| quota(&text))
        } else {
            let both = number(dir, "cpu.cfs_quota_us").zip(number(dir, "cpu.cfs_period_us"));
            both.filter(|(_, period)| *period > 0).map(|(quota, period)| quota as f32 / period as f32)
        };
        if let Some(quota) = quota.filter(|quota| out.quota.is_none_or(|tightest| *quota < tightest)) {
            out.quota = Some(quota);
            out.throttling = read(dir, "cpu.stat").and_then(|text| {
                let (periods, throttled) = (parse::named(&text, "nr_periods")?, parse::named(&text, "nr_throttled")?);
                Some(Throttling { periods, throttled })
            });
        }
    }

    let memory = trees.groups("memory", text);
    let unified = memory.unified;
    out.memory_group.clone_from(&memory.path);
    let droppable = if unified { "inactive_file" } else { "total_inactive_file" };
    let used = |dir: &Path| {
        let used = number(dir, if unified { "memory.current" } else { "memory.usage_in_bytes" })?;
        let droppable = read(dir, "memory.stat").and_then(|text| parse::named(&text, droppable)).unwrap_or(0);
        Some(used.saturating_sub(droppable))
    };
    for dir in &memory.dirs {
        let limit = if unified {
            // Above `high` its tasks are made to wait and reclaim, which is as bad.
            [number(dir, "memory.max"), number(dir, "memory.high")].into_iter().flatten().min()
        } else {
            number(dir, "memory.limit_in_bytes").filter(|limit| *limit < UNLIMITED)
        };
        let Some((used, limit)) = used(dir).zip(limit.filter(|limit| *limit > 0)) else { continue };
        let share = |(used, limit): (u64, u64)| used as f64 / limit as f64;
        if out.memory_limit.is_none_or(|tightest| share((used, limit)) > share(tightest)) {
            out.memory_limit = Some((used, limit));
        }
    }
    if let Some(leaf) = memory.dirs.first().filter(|_| memory.own) {
        out.own = leaf.to_str().map(str::to_owned);
        out.memory = used(leaf);
        out.swap = if unified { number(leaf, "memory.swap.current") } else { None };
        let kills = if unified { "memory.events" } else { "memory.oom_control" };
        out.oom_kills = read(leaf, kills).and_then(|text| parse::named(&text, "oom_kill"));
        if unified {
            out.psi = ["cpu.pressure", "memory.pressure", "io.pressure"]
                .map(|name| read(leaf, name).and_then(|text| parse::pressure(&text)));
        }
    }

    for dir in &trees.groups("pids", text).dirs {
        let Some((used, limit)) = number(dir, "pids.current").zip(number(dir, "pids.max")) else { continue };
        let left = |(used, limit): (u64, u64)| limit.saturating_sub(used);
        if out.tasks.is_none_or(|tightest| left((used, limit)) < left(tightest)) {
            out.tasks = Some((used, limit));
        }
    }
    out
}

/// Whether a group is made for one service, so that its figures are the service's own: not a slice, or a login.
fn own(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let slice = name.rsplit_once('.').is_some_and(|(_, kind)| kind == "slice");
    !(slice || name == "init.scope" || name.starts_with("session-") || name.starts_with("user@"))
}

/// `max 100000`, `50000 100000`: processors.
fn quota(text: &str) -> Option<f32> {
    let mut fields = text.split_ascii_whitespace();
    let (quota, period) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    (period > 0).then(|| quota as f32 / period as f32)
}

#[cfg(test)]
mod tests;
