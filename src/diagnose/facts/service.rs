//! Facts about the services themselves: `service:...`. A gauge that is high is no cause of its own: a processor that is busy explains
//! requests that time out and no others, and a full disk one that this application writes to. What is fine is told as well, so that
//! its cause is ruled out by a figure and not by silence.

mod limits;

use std::collections::{BTreeMap, BTreeSet};

use super::{FactBook, load, probes};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene, symptom},
    model::{Fact, OwnerRole, PlaceUse, ServiceLoad, ServicePlace, Subject, text},
};

/// Milliseconds for which a look at a service counts: a request that waited for a processor is over when the next look comes.
const RECENT_MS: u64 = 20_000;
/// Share of the time in which its tasks could have run that they waited for a processor, in percent, from which on it is starved...
const STARVED: f32 = 75.0;
/// ...and of the time between two looks: one that hardly wants to run loses nothing.
const WAITED: f32 = 30.0;
/// Percent of the last 10 s in which something on the host waited for a processor (kernel `accounting/psi.rst`, `some`) below which
/// that was one stall: a second of want gives as much.
const STALL: f32 = 10.0;
/// Share of enforcement periods in which its limit stopped it, in percent, from which on that makes it late.
const THROTTLED: f32 = 50.0;
/// Share of a limit of memory, from which on each allocation has to be reclaimed for.
const MEMORY_FULL: f64 = 0.95;
/// Looks that find a process in the kernel's hands without any progress, from which on it hangs: some 2 s.
const STUCK_LOOKS: u32 = 3;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "service:stopped",
        "service:gateway-stopped",
        "service:starved",
        "service:throttled",
        "service:late-on-a-busy-host",
        "service:memory-full",
        "service:oom-killed",
        "service:oom-kills",
        "service:files-used-up",
        "service:gateway-files-used-up",
        "service:gateway-connections-used-up",
        "service:gateway-workers-used-up",
        "service:tasks-used-up",
        "service:user-tasks-used-up",
        "service:workers-busy",
        "service:disk-full",
        "service:disk-full-beside",
        "service:read-only",
        "service:stuck",
        "service:calm",
        "service:cpu-free",
        "service:memory-free",
        "service:disks-free",
        "service:limits-free",
    ]
    .map(str::to_owned)
    .into()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let suspects = suspects(scene);
    let late = late(scene, catalog, book);
    if late && let Some(fact) = ["load:steal", "load:cpu-saturated"].iter().find_map(|name| book.any(name)).cloned() {
        book.add(Fact { name: "service:late-on-a-busy-host".to_owned(), ..fact });
    }
    let services = scene.services();
    if services.is_empty() {
        return;
    }
    let mut maker = Maker { scene, book };
    maker.book.look("service", &Subject::host());
    for service in services {
        for subject in &service.serves {
            maker.book.look("service", subject);
        }
        maker.of_service(service);
        let suspect =
            service.role == OwnerRole::Gateway || suspects.is_empty() || service.serves.iter().any(|s| suspects.contains(s));
        if suspect {
            maker.of_host(service, late);
        }
    }
    maker.free(catalog);
}

/// The upstreams whose requests fail.
fn suspects(scene: &Scene) -> BTreeSet<Subject> {
    let fails = |history: &&ProbeHistory| probes::window(history).iter().any(|r| symptom::failed(&r.outcome));
    let through = scene.probes_of("gateway").filter(fails).flat_map(|history| history.last.job.upstreams.clone());
    let straight = scene
        .probes_of("upstream")
        .filter(|history| probes::window(history).iter().any(|result| result.outcome.serves() == Some(false)))
        .map(|history| history.last.job.subject.clone());
    through.chain(straight).collect()
}

/// Whether requests fail because something takes too long.
fn late(scene: &Scene, catalog: &Catalog, book: &FactBook) -> bool {
    const LATE: [&str; 3] = ["upstream-timeout", "gateway-timeout-too-short", "upstream-worker-timeout"];
    let by_probe = ["probe:upstream:timeout", "probe:upstream:connect-timeout", "probe:gateway:timeout", "time:slow", "time:late"];
    let told = |fact: &Fact| {
        let signature = fact.name.strip_prefix("log:").and_then(|id| catalog.signatures.by_id(id));
        signature.and_then(|signature| signature.causes.first()).is_some_and(|cause| LATE.contains(&cause.as_str()))
    };
    by_probe.iter().any(|name| book.any(name).is_some())
        || scene.probes_of("gateway").any(|history| {
            probes::window(history).iter().any(|result| matches!(result.outcome, crate::model::Outcome::Status(504)))
        })
        || book.facts.iter().any(told)
}

struct Maker<'a> {
    scene: &'a Scene,
    book: &'a mut FactBook,
}

impl Maker<'_> {
    fn add(&mut self, name: &str, subject: &Subject, service: &ServiceLoad, text: String, more: &[(&str, String)]) {
        let name = format!("service:{name}");
        if self.book.find(&name, &[subject]).is_some() {
            return;
        }
        let mut fields =
            BTreeMap::from([("pid".to_owned(), service.pid.to_string()), ("process".to_owned(), service.name.clone())]);
        if let Some(unit) = &service.unit {
            fields.insert("unit".to_owned(), unit.clone());
        }
        fields.insert("detail".to_owned(), text.clone());
        fields.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let (subject, at, source) = (subject.clone(), self.scene.now, "/proc and cgroup".to_owned());
        self.book.add(Fact { name, subject, now: true, at, text, source, fields });
    }

    /// What is about the service itself.
    fn of_service(&mut self, service: &ServiceLoad) {
        let title = service.title();
        let mut calm = true;
        let gateway = service.role == OwnerRole::Gateway;
        let mut tell = |maker: &mut Self, name: &str, text: &str, more: &[(&str, String)]| {
            calm = false;
            for subject in &service.serves {
                maker.add(name, subject, service, text.to_owned(), more);
            }
        };
        if service.halted() {
            let pids: Vec<String> = service.stopped.iter().map(ToString::to_string).collect();
            let long = match service.stopped_ms {
                Some(ms) if ms >= 1_000 => {
                    format!(" for at least {}", text::duration(i64::try_from(ms / 1_000).unwrap_or(i64::MAX)))
                }
                Some(_) | None => String::new(),
            };
            let which = if pids.len() == 1 { format!("pid {}", pids[0]) } else { format!("{} processes", pids.len()) };
            let text = format!("{title} is stopped by a signal{long} (state T, {which}): it takes connections and answers none");
            let name = if gateway { "gateway-stopped" } else { "stopped" };
            tell(self, name, &text, &[("stopped", pids[0].clone()), ("stopped_text", text.clone())]);
        }
        for limit in limits::reached(self.scene, service).iter().filter(|limit| !limit.of_host) {
            tell(self, limit.fact, &limit.text, &limit.fields);
        }
        if let Some((taken, waiting)) = self.busy(service) {
            let workers = service.workers;
            let text = format!(
                "all {workers} workers of {title} hold a connection ({taken} of them), and {waiting} more wait to be accepted"
            );
            tell(self, "workers-busy", &text, &[("said", text.clone())]);
        }
        let place = service.cgroup.as_deref().unwrap_or_default();
        match (service.oom_kills_seen, service.oom_kills) {
            (Some(seen @ 1..), _) => {
                let limit =
                    service.memory_limit.map_or_else(String::new, |(_, limit)| format!(", whose limit is {}", text::bytes(limit)));
                let text = format!("the kernel killed {seen} tasks of {title} for memory since we look{limit} ({place})");
                tell(self, "oom-killed", &text, &[]);
            }
            (_, Some(kills @ 1..)) => {
                let text = format!("the kernel has killed {kills} tasks of {title} for memory since its cgroup was made ({place})");
                tell(self, "oom-kills", &text, &[]);
            }
            _ => {}
        }
        if calm {
            let text = format!("{title}: {}", told(service));
            for subject in &service.serves {
                self.add("calm", subject, service, text.clone(), &[]);
            }
        }
    }

    /// Connections that a service holds and that wait for it, where each of its workers holds one.
    fn busy(&self, service: &ServiceLoad) -> Option<(u32, u32)> {
        let taken = service.accepted.filter(|taken| service.workers > 0 && *taken >= service.workers && !service.halted())?;
        let table = self.scene.listeners.as_ref()?;
        let queue = |subject: &Subject| table.taking(&subject.0.parse().ok()?)?.queue;
        let waiting = service.serves.iter().filter_map(queue).map(|queue| queue.waiting).max()?;
        (waiting > 0 && service.role == OwnerRole::Upstream).then_some((taken, waiting))
    }

    /// What is about the host or the cgroup, as far as this service suffers from it.
    fn of_host(&mut self, service: &ServiceLoad, late: bool) {
        let host = Subject::host();
        let title = service.title();
        // Who is at a limit of his own is late for that.
        let reached = limits::reached(self.scene, service);
        let limited = service.halted() || !reached.is_empty();
        if late && !limited {
            self.of_time(service, &title);
        }
        if let Some((used, limit)) = service.memory_limit.filter(|(used, limit)| *used as f64 >= *limit as f64 * MEMORY_FULL) {
            let text = format!("{title} uses {} of the {} that its cgroup may have", text::bytes(used), text::bytes(limit));
            self.add("memory-full", &host, service, text, &[]);
        }
        for limit in reached.into_iter().filter(|limit| limit.of_host) {
            self.add(limit.fact, &host, service, limit.text, &limit.fields);
        }
        for place in &service.places {
            let reason = match place.how {
                PlaceUse::Open => format!("has {} open there", place.path.display()),
                PlaceUse::Usual => format!("writes to {}", place.path.display()),
                PlaceUse::May => "may write there".to_owned(),
            };
            let mount = place.mount.display();
            if let Some(full) = full(place) {
                let text = format!("{full} on {mount} ({}), and {title} {reason}", place.kind);
                let name = if place.how == PlaceUse::May { "disk-full-beside" } else { "disk-full" };
                self.add(name, &host, service, text, &[("mount", mount.to_string())]);
            }
            if place.read_only && writable_kind(place) && place.how != PlaceUse::May {
                let text = format!("{mount} ({}) is read-only, and {title} {reason}", place.kind);
                self.add("read-only", &host, service, text, &[("device", mount.to_string())]);
            }
        }
    }

    /// What makes a service late.
    fn of_time(&mut self, service: &ServiceLoad, title: &str) {
        let host = Subject::host();
        let now = self.scene.now.run_ms;
        let recent = self.scene.services.iter().filter(|(at, _)| now.saturating_sub(at.run_ms) <= RECENT_MS);
        let looks: Vec<&ServiceLoad> =
            recent.flat_map(|(_, services)| services.iter().filter(|other| other.pid == service.pid)).collect();
        let throttled = looks.iter().filter_map(|look| Some((look.throttled?, look.quota))).max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((share, quota)) = throttled.filter(|(share, _)| *share >= THROTTLED) {
            let quota = quota.map_or_else(String::new, |quota| format!(" of {quota:.2} processors"));
            let text = format!("the cgroup of {title} was stopped at its limit{quota} in {share:.0} % of the periods");
            let unit = service.unit.iter().map(|unit| ("limited_unit", unit.clone())).collect::<Vec<_>>();
            self.add("throttled", &host, service, text, &unit);
        }
        let starved = looks.iter().filter_map(|look| Some((look.starved?, look.waited?))).filter(|(_, waited)| *waited >= WAITED);
        let starved = starved.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share >= STARVED);
        let stall = self.scene.load().and_then(|load| load.psi_cpu).is_some_and(|psi| psi.some < STALL);
        if let Some((share, _)) = starved.filter(|_| !stall && !self.others_in_time(service)) {
            let text = format!(
                "{title} could run and waited for a processor {share:.0} % of the time{}{}",
                busy(self.scene),
                rivals(service)
            );
            self.add("starved", &host, service, text, &[]);
        }
        if let Some(stuck) = service.stuck.iter().find(|stuck| stuck.looks >= STUCK_LOOKS) {
            let place = if stuck.wchan.is_empty() { String::new() } else { format!(" in {}", stuck.wchan) };
            let text =
                format!("pid {} of {title} hangs in the kernel{place} (state D): what it waits for does not answer", stuck.pid);
            self.add("stuck", &host, service, text.clone(), &[("device", text)]);
        }
    }

    /// Whether one server is late and another is not, and this service is none that is late: want of a processor would make all late
    /// that stand behind it.
    fn others_in_time(&self, service: &ServiceLoad) -> bool {
        let late = |subject: &Subject| self.book.find("probe:upstream:timeout", &[subject]).is_some();
        let straight = || self.scene.probes_of("upstream").filter(|history| history.last.job.request.is_some());
        let served = |history: &&ProbeHistory| probes::window(history).iter().all(|result| result.outcome.serves() == Some(true));
        !service.serves.iter().any(late)
            && straight().any(|history| late(&history.last.job.subject))
            && straight().filter(served).any(|history| !late(&history.last.job.subject))
    }

    /// What was looked at and is fine, where no log says otherwise.
    fn free(&mut self, catalog: &Catalog) {
        let Some(service) = self.scene.services().iter().max_by_key(|service| service.role) else { return };
        let host = Subject::host();
        let told = |book: &FactBook, cause: &str| {
            let says = |fact: &Fact| {
                let signature = fact.name.strip_prefix("log:").and_then(|id| catalog.signatures.by_id(id));
                signature.is_some_and(|signature| signature.causes.iter().any(|id| id == cause))
            };
            book.facts.iter().any(says)
        };
        let none = |book: &FactBook, names: &[&str]| names.iter().all(|name| book.any(name).is_none());
        let Some(load) = self.scene.load() else { return };
        if let Some(psi) = load.psi_cpu.filter(|psi| psi.some < load::CPU_FREE)
            && none(self.book, &["service:starved", "service:throttled", "load:steal"])
            && !told(self.book, "host-cpu-saturated")
        {
            let text = format!("tasks waited for a processor during {:.0} % of the last 10 s only", psi.some);
            self.add("cpu-free", &host, service, text, &[]);
        }
        if let Some((total, available)) =
            load.mem_total.zip(load.mem_available).filter(|(total, left)| left.saturating_mul(10) > *total)
            && none(self.book, &["service:memory-full", "service:oom-killed", "service:oom-kills", "load:thrashing"])
            && !told(self.book, "host-memory-exhausted")
        {
            let text =
                format!("{} of {} memory are left, and no cgroup is at its limit", text::bytes(available), text::bytes(total));
            self.add("memory-free", &host, service, text, &[]);
        }
        let places: Vec<&ServicePlace> = self.scene.services().iter().flat_map(|service| &service.places).collect();
        let asked: BTreeSet<&std::path::Path> =
            places.iter().filter(|place| place.used.is_some()).map(|place| place.mount.as_path()).collect();
        let unasked = places.iter().any(|place| place.used.is_none() && !place.read_only);
        if !asked.is_empty()
            && !unasked
            && none(self.book, &["service:disk-full", "service:disk-full-beside", "service:read-only", "load:disk-full"])
            && !told(self.book, "disk-full")
        {
            let fullest = places.iter().filter_map(|place| place.used).fold(0.0, f32::max);
            let list: Vec<String> = asked.iter().take(4).map(|mount| mount.display().to_string()).collect();
            let text = format!("there is room on {} ({fullest:.0} % used at most)", list.join(", "));
            self.add("disks-free", &host, service, text, &[]);
        }
        if let (Some(files), Some(tasks)) = (load.files, load.tasks)
            && none(
                self.book,
                &[
                    "service:tasks-used-up",
                    "service:user-tasks-used-up",
                    "load:files-exhausted",
                    "load:tasks-exhausted",
                    "load:socket-memory",
                ],
            )
            && !told(self.book, "host-limits")
        {
            let of = |(used, limit): (u64, u64)| format!("{} of {}", text::thousands(used), text::thousands(limit));
            let limit = if files.1 > u64::from(u32::MAX) { text::thousands(files.0) } else { of(files) };
            self.add("limits-free", &host, service, format!("{limit} files and {} tasks of the system are in use", of(tasks)), &[]);
        }
    }
}

/// What a service uses, for a person who wants to know that it is fine.
fn told(service: &ServiceLoad) -> String {
    let mut parts = Vec::new();
    if let Some(cpu) = service.cpu {
        parts.push(format!("cpu {cpu:.0} %"));
    }
    if let Some(memory) = service.memory {
        let limit = service.memory_limit.map_or_else(String::new, |(_, limit)| format!(" of {}", text::bytes(limit)));
        parts.push(format!("memory {}{limit}", text::bytes(memory)));
    }
    if let Some(files) = &service.files {
        parts.push(format!("{} of {} descriptors", files.open, files.limit));
    }
    if let Some((used, limit)) = service.tasks {
        parts.push(format!("{used} of {limit} tasks"));
    }
    if parts.is_empty() { "not known".to_owned() } else { parts.join(", ") }
}

/// ` while all 2 processors were busy`.
fn busy(scene: &Scene) -> String {
    let load = scene.load();
    match load.and_then(|load| load.cpu.zip(load.cores)) {
        Some((cpu, cores)) if cpu >= 80.0 => format!(", while {cpu:.0} % of {cores} processors were busy"),
        Some(_) | None => String::new(),
    }
}

/// `; 24 x bash and 2 x rustc want to run, too`.
fn rivals(service: &ServiceLoad) -> String {
    let list: Vec<String> = service.rivals.iter().map(|(name, count)| format!("{count} x {name}")).collect();
    if list.is_empty() { String::new() } else { format!("; {} wanted to run, too", list.join(", ")) }
}

/// Bytes below which a disk is full for whoever writes a log line or a temporary file, where hardly anything is left of it.
const LITTLE: u64 = 4 << 20;

/// What is full there.
fn full(place: &ServicePlace) -> Option<String> {
    if place.inodes.is_some_and(|inodes| inodes >= 99.9) {
        return Some("no inode is left".to_owned());
    }
    let used = place.used?;
    (used >= 99.95 || used >= 99.0 && place.free.is_some_and(|free| free < LITTLE)).then(|| "no space is left".to_owned())
}

/// Whether a file system of this type is written to unless something is wrong: not so images of software.
fn writable_kind(place: &ServicePlace) -> bool {
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs", "bcachefs", "tmpfs", "vfat"].contains(&place.kind.as_str())
}

#[cfg(test)]
mod tests;
