//! Facts about the host's load: `load:...`. Only what is beyond doubt; the finer reading comes with the sources for it.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Fact, Subject, text},
};

/// Share of the last 10 s in which some task waited for a processor, in percent, from which on the host is short of them.
const CPU_PRESSURE: f32 = 60.0;
/// Share of memory that is left, in percent, below which the kernel begins to reclaim in earnest.
const MEMORY_LEFT: f64 = 3.0;
/// Share of a disk in use, in percent, from which on writes fail for ordinary users (ext4 keeps 5 % for root).
const DISK_USED: f32 = 99.0;
/// Share of the system's open files, in percent.
const FILES_USED: f64 = 95.0;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["load:cpu-saturated", "load:memory-exhausted", "load:disk-full", "load:files-exhausted", "load:calm"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let Some(load) = scene.load() else { return };
    book.look("load", &Subject::host());
    let mut found = Vec::new();
    if let Some(pressure) = load.psi_cpu.filter(|psi| psi.some >= CPU_PRESSURE) {
        found.push(("load:cpu-saturated", format!("tasks waited for a processor during {:.0} % of the last 10 s", pressure.some)));
    }
    if let (Some(total), Some(available)) = (load.mem_total.filter(|total| *total > 0), load.mem_available) {
        let left = available as f64 * 100.0 / total as f64;
        if left < MEMORY_LEFT {
            let text = format!("{} of {} memory are left ({left:.1} %)", text::bytes(available), text::bytes(total));
            found.push(("load:memory-exhausted", text));
        }
    }
    if let Some((mount, used, _)) =
        load.disks.iter().find(|(_, used, inodes)| *used >= DISK_USED || inodes.is_some_and(|i| i >= DISK_USED))
    {
        found.push(("load:disk-full", format!("{mount} is full: {used:.0} % used")));
    }
    if let Some((open, limit)) = load.files.filter(|(open, limit)| *limit > 0 && *open as f64 * 100.0 / *limit as f64 >= FILES_USED)
    {
        found.push(("load:files-exhausted", format!("{open} of {limit} files are open on the whole system")));
    }
    if found.is_empty() {
        let cpu = load.cpu.map_or_else(|| "unknown".to_owned(), |cpu| format!("{cpu:.0} %"));
        found.push(("load:calm", format!("cpu {cpu}, and neither memory, disks nor descriptors are short")));
    }
    for (name, text) in found {
        let (name, source, subject) = (name.to_owned(), "/proc".to_owned(), Subject::host());
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields: BTreeMap::new() });
    }
}
