//! Facts about the host's load: `load:...`. Only what is beyond doubt; the finer reading comes with the sources for it.

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Fact, Subject, text},
};

/// Share of the last 10 s in which some task waited for a processor, in percent, from which on the host is short of them.
const CPU_PRESSURE: f32 = 60.0;
/// The same, below which nobody lacks a processor.
pub(super) const CPU_FREE: f32 = 20.0;
/// Busy share in percent, and tasks that could run for each processor, from which on a kernel without pressure tells the same.
const CPU_BUSY: (f32, u32) = (97.0, 3);
/// Share in percent that the hypervisor took, from which on it is felt.
const STEAL: f32 = 25.0;
/// Pages a second that are swapped in and out, and share of the last 10 s in which tasks waited for memory, in percent, from which on the
/// host does little else. Swap that is merely used is none.
const SWAPPING: (f32, f32) = (250.0, 20.0);
/// The same where the kernel tells no pressure: 20 MB a second.
const SWAPPING_ALONE: f32 = 5_000.0;
/// Share of all tasks that there may be, and of the memory that TCP may have, in percent.
const TASKS_USED: f64 = 97.0;
/// Share of memory that is left, in percent, below which the kernel begins to reclaim in earnest.
const MEMORY_LEFT: f64 = 3.0;
/// Share of a disk in use, in percent, from which on writes fail for ordinary users (ext4 keeps 5 % for root).
const DISK_USED: f32 = 99.5;
/// Share of the system's open files, in percent.
const FILES_USED: f64 = 95.0;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "load:cpu-saturated",
        "load:steal",
        "load:memory-exhausted",
        "load:thrashing",
        "load:disk-full",
        "load:files-exhausted",
        "load:tasks-exhausted",
        "load:socket-memory",
        "load:calm",
    ]
    .map(str::to_owned)
    .into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let Some(load) = scene.load() else { return };
    book.look("load", &Subject::host());
    let mut found = Vec::new();
    if let Some(pressure) = load.psi_cpu.filter(|psi| psi.some >= CPU_PRESSURE) {
        found.push(("load:cpu-saturated", format!("tasks waited for a processor during {:.0} % of the last 10 s", pressure.some)));
    }
    if let (None, Some(cpu), Some((runnable, cores))) = (load.psi_cpu, load.cpu, load.runnable.zip(load.cores))
        && cpu >= CPU_BUSY.0
        && runnable >= cores.saturating_mul(CPU_BUSY.1)
    {
        found
            .push(("load:cpu-saturated", format!("{runnable} tasks want to run on {cores} processors, which are {cpu:.0} % busy")));
    }
    if let Some(steal) = load.steal.filter(|steal| *steal >= STEAL) {
        found.push(("load:steal", format!("the hypervisor took {steal:.0} % of the processors' time (steal)")));
    }
    let waits = load.psi_mem.map(|psi| psi.some);
    if let Some(pages) = load.swapping.filter(|pages| match waits {
        Some(waits) => *pages >= SWAPPING.0 && waits >= SWAPPING.1,
        None => *pages >= SWAPPING_ALONE,
    }) {
        let waits = waits.map_or_else(String::new, |waits| format!(", and tasks waited for memory {waits:.0} % of the time"));
        found.push(("load:thrashing", format!("{pages:.0} pages a second are swapped{waits}")));
    }
    let most =
        |pair: Option<(u64, u64)>| pair.filter(|(used, limit)| *limit > 0 && *used as f64 * 100.0 / *limit as f64 >= TASKS_USED);
    if let Some((used, limit)) = most(load.tasks) {
        found.push(("load:tasks-exhausted", format!("{used} of {limit} tasks of the whole system exist")));
    }
    if let Some((used, limit)) = most(load.tcp_mem) {
        found.push(("load:socket-memory", format!("TCP uses {used} of the {limit} pages that it may (tcp_mem)")));
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
        let fields = ["detail", "limit"].map(|key| (key.to_owned(), text.clone())).into();
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
    }
}
