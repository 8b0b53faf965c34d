//! How many connections and files a worker of nginx may have (ngx_core_module).

use std::{collections::BTreeMap, path::PathBuf};

use super::tree::Directive;
use crate::{
    model::{RunState, Setting},
    sys::Root,
};

/// `worker_connections` where none is set.
const CONNECTIONS: &str = "512";

/// The settings; `open files` is what the master that runs may open, which its workers inherit.
pub fn settings(root: &Root, tree: &[Directive], state: &RunState) -> BTreeMap<String, Setting> {
    let mut out = BTreeMap::new();
    let events = tree.iter().filter(|one| one.name == "events").flat_map(Directive::children);
    for one in tree.iter().chain(events) {
        let told = matches!(one.name.as_str(), "worker_connections" | "worker_rlimit_nofile" | "worker_processes");
        if let Some(value) = one.arg(0).filter(|_| told) {
            out.insert(one.name.to_string(), Setting { value: value.into(), at: Some(one.place()) });
        }
    }
    zones(tree, &mut out);
    out.entry("worker_connections".to_owned()).or_insert_with(|| Setting { value: CONNECTIONS.into(), at: None });
    if let RunState::Running { pid, .. } = state
        && let Some(files) = open_files(root, *pid)
    {
        out.insert("open files".to_owned(), Setting { value: files.to_string().into(), at: None });
    }
    out
}

/// What zones limit, and where requests are held to them: `limit_req_zone all`, `limit_req all`; of one zone the first place of each.
fn zones(block: &[Directive], out: &mut BTreeMap<String, Setting>) {
    for one in block {
        let mut named = one.args.iter().filter_map(|arg| arg.strip_prefix("zone="));
        let zone = match one.name.as_str() {
            "limit_req" => named.next(),
            "limit_req_zone" | "limit_conn_zone" => named.next().and_then(|zone| zone.split(':').next()),
            "limit_conn" => one.arg(0),
            _ => None,
        };
        if let Some(zone) = zone {
            let written =
                std::iter::once(one.name.as_str()).chain(one.args.iter().map(AsRef::as_ref)).collect::<Vec<_>>().join(" ");
            let setting = Setting { value: written.into(), at: Some(one.place()) };
            out.entry(format!("{} {zone}", one.name)).or_insert(setting);
        }
        zones(one.children(), out);
    }
}

/// The soft limit of open files of a process (proc_pid_limits(5)).
fn open_files(root: &Root, pid: u32) -> Option<u64> {
    let text = root.text(PathBuf::from(format!("/proc/{pid}/limits"))).ok()?;
    let line = text.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_is_read_of_a_process() {
        let files = open_files(&Root::host(), std::process::id());
        assert!(files.is_some_and(|files| files > 2), "{files:?}");
    }
}
