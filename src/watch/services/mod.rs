//! How loaded the gateways and the applications behind them are, each for itself: what a person reads off `top`, `systemctl status`,
//! `systemd-cgtop`, `lsof` and `df` for exactly these processes.
//!
//! Whose they are is wished for by `app/`, as for logs. Processes are taken from the shared list, which is at most 10 s old; only those
//! of a service are looked into, every 2 s while something fails and every 10 s while nothing does, and half as often where the host
//! has nothing to spare. What is seldom to change (places, limits) is looked at every 30 s.
//!
//! What must not be here: what a figure means for the outage. To add one: its field in [`ServiceLoad`] with its unit, its reader in
//! `tasks.rs` (of a process) or `cgroup.rs`, and its line in [`one`].

mod cgroup;
mod members;
mod places;
pub(super) mod tasks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    load::parse,
    pace::Pace,
    sources::service::{self, Service},
};
use crate::{
    model::{
        Address, Asked, FileUse, Identity, LogOwner, Observation, OwnerRole, ProbePlan, ServiceLoad, ServicePlace, SourceWish,
        Stage, StuckProcess, UserTasks,
    },
    sys::{Outbox, Root, Sys, accepted, blocking, same_mounts},
};
use cgroup::{Throttling, Trees};
use members::{limits, rivals, shared, without_supervisor};
use tasks::Scheduled;

/// Services that are looked at, at most; gateways first.
const SERVICES: usize = 16;
/// Time between two looks while something fails.
const FAILING: Duration = Duration::from_secs(2);
/// Time between two looks while nothing does.
const CALM: Duration = Duration::from_secs(10);
/// Time from the first look for a wish to the second, which is what rates take.
const SECOND: Duration = Duration::from_millis(400);
/// How old the list of processes may be: the promise of the design.
const PROCESSES: Duration = Duration::from_secs(10);
/// Milliseconds for which places and limits of descriptors are taken for known.
const SELDOM_MS: u64 = 30_000;
/// How long the look at all services may take.
const LOOK: Duration = Duration::from_secs(1);
/// Share of the last 10 s in which tasks waited for a processor or memory, in percent, from which on the host has nothing to spare.
const PRESSED: f32 = 50.0;
/// The same, from which on it is looked whose tasks wait.
const CONTENDED: f32 = 5.0;
/// Milliseconds between two looks for the second to tell a rate.
const RATE_MS: u64 = 100;
/// Clock ticks per second in /proc/PID/stat: USER_HZ, 100 on every Linux architecture that we build for (time(7)).
const TICK_MS: f32 = 10.0;

/// Looks at the services of what is wished for, at each change of it and then by the pace of the probes. Tells what it sees anew each
/// time, and `Done(Stage::Services)` once, after the second look.
pub async fn run(
    sys: Sys,
    mut wishes: watch::Receiver<Asked<SourceWish>>,
    plans: watch::Receiver<ProbePlan>,
    outbox: Outbox,
    cancel: CancellationToken,
) {
    // Until something is wished for, nothing is looked at.
    tokio::select! {
        () = cancel.cancelled() => return,
        wished = wishes.changed() => if wished.is_err() { return },
    }
    let mut sampler = Sampler::new(sys);
    let mut probing = Pace::new(plans);
    let (mut wishing, mut rounds) = (true, 0_u32);
    loop {
        let wish = wishes.borrow_and_update().what.clone();
        let failing = probing.quick();
        let look = tokio::select! {
            () = cancel.cancelled() => return,
            look = sampler.look(&wish, failing) => look,
        };
        rounds = rounds.saturating_add(1);
        if let Some(services) = look
            && !outbox.pass(Observation::Services(services), rounds <= 2).await
        {
            return;
        }
        if rounds == 2 && !outbox.tell(Observation::Done(Stage::Services)).await {
            return;
        }
        let pause = if sampler.looks < 2 { SECOND } else { pace(failing, sampler.pressed) };
        let clock = sampler.sys.clock;
        // The second look is the first's other half; those after it are made with all others.
        let second = sampler.looks < 2;
        let next = async move { if second { tokio::time::sleep(pause).await } else { clock.rest(pause).await } };
        tokio::pin!(next);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = &mut next => break,
                news = wishes.changed(), if wishing => {
                    wishing = news.is_ok();
                    if wishing {
                        sampler.looks = 0;
                        break;
                    }
                }
                // Something begins to fail: the next look need not wait for its turn.
                () = probing.quickens() => break,
            }
        }
    }
}

/// Time from one look to the next.
fn pace(failing: bool, pressed: bool) -> Duration {
    let pace = if failing { FAILING } else { CALM };
    if pressed { pace * 2 } else { pace }
}

/// What is remembered of a service from one look to the next.
#[derive(Debug, Default)]
struct Before {
    at_ms: Option<u64>,
    /// Ticks of each process, with its start.
    ticks: BTreeMap<u32, (u64, u64)>,
    threads: Option<BTreeMap<u32, Scheduled>>,
    throttling: Option<Throttling>,
    /// Kills at the first look.
    oom_kills: Option<u64>,
    /// Looks in a row that found a process in state D, with its ticks.
    stuck: BTreeMap<u32, (u32, u64)>,
    /// Since when the master is seen stopped.
    stopped_ms: Option<u64>,
    /// Limits of descriptors, and where it writes to; looked at then.
    seldom_ms: Option<u64>,
    limits: BTreeMap<u32, u64>,
    /// The user of its workers, and the limit of his tasks.
    user: Option<(Identity, u64)>,
    places: Vec<ServicePlace>,
    /// Whether it sees other mounts than we do.
    foreign: bool,
    sockets: tasks::Sockets,
}

struct Sampler {
    sys: Sys,
    trees: Option<Trees>,
    /// By the master's id and start.
    before: BTreeMap<(u32, Option<i64>), Before>,
    /// Looks since the wish changed.
    looks: u32,
    /// Whether the host had nothing to spare at the last look.
    pressed: bool,
    page: u64,
    /// Where the gateways listen, by their masters; looked at seldom.
    doors: BTreeMap<u32, Vec<Address>>,
}

impl Sampler {
    fn new(sys: Sys) -> Self {
        let page = rustix::param::page_size() as u64;
        Self { sys, trees: None, before: BTreeMap::new(), looks: 0, pressed: false, page, doors: BTreeMap::new() }
    }

    /// All services of the wish. `None`: they could not be looked at in time.
    async fn look(&mut self, wish: &SourceWish, failing: bool) -> Option<Vec<ServiceLoad>> {
        self.looks = self.looks.saturating_add(1);
        let processes = self.sys.rights.recent_processes(PROCESSES).await.unwrap_or_else(|_| Arc::new(Vec::new()));
        let mut owners: Vec<LogOwner> = wish.owners.clone();
        owners.extend(service::by_address(&processes, &wish.ownerless));
        let mut services = service::services(&processes, &owners);
        services.truncate(SERVICES);
        for service in &mut services {
            without_supervisor(service);
        }
        let now = self.sys.clock.now().run_ms;
        let seldom: Vec<u32> = services
            .iter()
            .filter(|service| self.before.get(&key(service)).is_none_or(|before| !before.knows_seldom(now)))
            .flat_map(|service| service.members.iter().take(4).map(|member| member.pid))
            .collect();
        let again = !seldom.is_empty();
        let written = if seldom.is_empty() { Vec::new() } else { self.sys.rights.written(seldom).await.unwrap_or_default() };
        let listeners: BTreeSet<Address> =
            services.iter().flat_map(|service| &service.serves).filter_map(|subject| subject.0.parse().ok()).collect();
        let gateways: Vec<u32> = services.iter().filter(|one| one.role == OwnerRole::Gateway).map(|one| one.lead.pid).collect();
        if again {
            self.doors = members::doors(&self.sys.root, gateways).await;
        }
        let asked = listeners.into_iter().filter(|_| failing).chain(self.doors.values().flatten().cloned());
        let held = if self.sys.root.is_host() { accepted(asked.collect()).await } else { None };

        let (root, trees, page) = (self.sys.root.clone(), self.trees.take(), self.page);
        let mut memory = std::mem::take(&mut self.before);
        // Reading /proc of a process whose memory is being torn down, or below a copied tree on a dead server, can take its time.
        let rivals = rivals(&processes, &services);
        let users = tasks::of_users(&processes);
        let done = blocking(LOOK, move || {
            let trees = trees.unwrap_or_else(|| Trees::of(&root));
            let psi = root.text("/proc/pressure/cpu").ok().and_then(|text| parse::pressure(&text));
            let runnable = root.text("/proc/stat").ok().and_then(|text| Some((parse::runnable(&text)?, parse::cores(&text)?)));
            let contended = match psi {
                Some(psi) => psi.some >= CONTENDED,
                None => runnable.is_some_and(|(tasks, cores)| tasks > cores),
            };
            let short = root.text("/proc/pressure/memory").ok().and_then(|text| parse::pressure(&text));
            let pressed = psi.into_iter().chain(short).any(|psi| psi.some >= PRESSED);
            let shared = shared(&root, &trees, &services);
            let mut kept = BTreeMap::new();
            let mut loads = Vec::new();
            for service in &services {
                let mut before = memory.remove(&key(service)).unwrap_or_default();
                if !before.knows_seldom(now) {
                    before.seldom_ms = Some(now);
                    before.limits = limits(&root, service);
                    before.user = members::bound_user(&root, service);
                    before.foreign = same_mounts(&root, service.lead.pid) == Some(false);
                    before.places = places::of(&root, service, before.foreign, &written);
                }
                loads.push(one(
                    &Look { root: &root, trees: &trees, service, now, page, contended, shared: &shared, users: &users },
                    &mut before,
                ));
                if let Some(load) = loads.last_mut().filter(|_| contended) {
                    load.rivals.clone_from(&rivals);
                }
                kept.insert(key(service), before);
            }
            (trees, kept, loads, pressed)
        })
        .await;
        let (trees, kept, mut loads, pressed) = done?;
        (self.trees, self.before, self.pressed) = (Some(trees), kept, pressed);
        for load in &mut loads {
            let served = load.serves.iter().filter_map(|subject| subject.0.parse::<Address>().ok());
            let listens: Vec<Address> = match load.role {
                OwnerRole::Gateway => self.doors.get(&load.pid).cloned().unwrap_or_default(),
                OwnerRole::Upstream => served.filter(|_| failing).collect(),
            };
            let of = |held: &BTreeMap<Address, u32>| listens.iter().filter_map(|address| held.get(address)).sum();
            load.accepted = held.as_ref().filter(|_| !listens.is_empty()).map(of);
        }
        let foreign = self.before.iter().filter(|(_, before)| before.foreign).map(|((pid, _), _)| *pid).collect();
        places::fill(&self.sys.root, &foreign, &mut loads).await;
        Some(loads)
    }
}

impl Before {
    fn knows_seldom(&self, now: u64) -> bool {
        self.seldom_ms.is_some_and(|at| now.saturating_sub(at) < SELDOM_MS)
    }
}

fn key(service: &Service) -> (u32, Option<i64>) {
    (service.lead.pid, service.lead.started)
}

/// One look at one service.
struct Look<'a> {
    root: &'a Root,
    trees: &'a Trees,
    service: &'a Service,
    now: u64,
    page: u64,
    /// Whether tasks of this host wait for processors at all.
    contended: bool,
    /// Groups that more than one service is in.
    shared: &'a BTreeSet<String>,
    /// Tasks of each user.
    users: &'a BTreeMap<u32, u64>,
}

fn one(look: &Look<'_>, before: &mut Before) -> ServiceLoad {
    let Look { root, service, now, .. } = *look;
    let lead = &service.lead;
    let mut load = ServiceLoad {
        role: service.role,
        serves: service.serves.clone(),
        name: lead.name.clone(),
        pid: lead.pid,
        unit: lead.unit().map(str::to_owned),
        places: before.places.clone(),
        ..ServiceLoad::default()
    };
    let passed = before.at_ms.map(|before| now.saturating_sub(before)).filter(|passed| *passed >= RATE_MS);
    let mut ticks = BTreeMap::new();
    let mut stuck = BTreeMap::new();
    let (mut pages, mut spent, mut known) = (0_u64, 0_u64, false);
    let pids = tasks::with_children(root, lead.pid, service.members.iter().map(|member| member.pid));
    for pid in pids.iter().copied() {
        let Some((name, stat)) = root.text(format!("/proc/{pid}/stat")).ok().and_then(|text| tasks::proc_stat(&text)) else {
            continue;
        };
        load.processes += 1;
        load.workers += u32::from(pid != lead.pid);
        pages = pages.saturating_add(stat.pages);
        if let Some((old, _)) = before.ticks.get(&pid).filter(|(_, started)| *started == stat.started) {
            (spent, known) = (spent.saturating_add(stat.ticks.saturating_sub(*old)), true);
        }
        ticks.insert(pid, (stat.ticks, stat.started));
        match stat.state {
            'T' => load.stopped.push(pid),
            'D' => {
                let again = before.stuck.get(&pid).filter(|(_, old)| *old == stat.ticks).map_or(0, |(looks, _)| *looks);
                stuck.insert(pid, (again + 1, stat.ticks));
                let wchan = root.text(format!("/proc/{pid}/wchan")).unwrap_or_default();
                let wchan = if wchan == "0" { String::new() } else { wchan };
                load.stuck.push(StuckProcess { pid, name, wchan, looks: again + 1 });
            }
            _ => {}
        }
        let open = before.limits.get(&pid).or(before.limits.get(&lead.pid)).zip(tasks::open_files(root, pid));
        if let Some((limit, open)) = open {
            let use_ = FileUse { pid, open, limit: *limit };
            let left = |files: &FileUse| files.limit.saturating_sub(files.open);
            if load.files.as_ref().is_none_or(|nearest| left(&use_) < left(nearest)) {
                load.files = Some(use_);
            }
        }
    }
    if service.role == OwnerRole::Gateway {
        load.sockets = tasks::sockets(root, &pids, &mut before.sockets).into_iter().max_by_key(|(_, count)| *count);
    }
    load.user_tasks = before.user.as_ref().map(|(user, limit)| UserTasks {
        user: user.name.clone(),
        used: look.users.get(&user.uid).copied().unwrap_or(0),
        limit: *limit,
    });
    load.cpu = passed.filter(|_| known).map(|passed| spent as f32 * TICK_MS * 100.0 / passed as f32);
    load.memory = (pages > 0).then(|| pages.saturating_mul(look.page));
    before.stopped_ms = load.halted().then(|| before.stopped_ms.unwrap_or(now));
    load.stopped_ms = before.stopped_ms.map(|since| now.saturating_sub(since));

    // Workers come and go; any process of it tells.
    let groups = pids.iter().find_map(|pid| root.text(format!("/proc/{pid}/cgroup")).ok());
    let mut groups = groups.map(|text| cgroup::of(root, look.trees, &text)).unwrap_or_default();
    if groups.memory_group.as_ref().is_some_and(|group| look.shared.contains(group)) {
        (groups.own, groups.oom_kills, groups.psi, groups.swap) = (None, None, [None; 3], None);
    }
    let rate = before.throttling.zip(groups.throttling).filter(|_| passed.is_some()).and_then(|(old, new)| {
        let periods = new.periods.checked_sub(old.periods).filter(|periods| *periods > 0)?;
        Some((new.throttled.saturating_sub(old.throttled) as f32 * 100.0 / periods as f32).min(100.0))
    });
    load.throttled = rate;
    load.quota = groups.quota;
    [load.psi_cpu, load.psi_mem, load.psi_io] = groups.psi;
    if groups.own.is_some() {
        load.memory = groups.memory.or(load.memory);
    }
    (load.memory_limit, load.swap, load.tasks) = (groups.memory_limit, groups.swap, groups.tasks);
    let first = before.oom_kills.get_or_insert_with(|| groups.oom_kills.unwrap_or(u64::MAX));
    load.oom_kills_seen = groups.oom_kills.map(|kills| kills.saturating_sub(*first));
    load.oom_kills = groups.oom_kills;
    load.cgroup = groups.own;
    load.memory_group = groups.memory_group;

    let threads = (look.contended || groups.quota.is_some()).then(|| tasks::threads(root, &pids)).flatten();
    if let (Some(old), Some(new), Some(passed)) = (&before.threads, &threads, passed) {
        let (ran, waited) = tasks::between(old, new);
        let could = ran.saturating_add(waited);
        load.starved = (could > 0).then(|| waited as f32 * 100.0 / could as f32);
        load.waited = Some(waited as f32 / 1e6 * 100.0 / passed as f32);
    }
    (before.at_ms, before.ticks, before.threads, before.throttling, before.stuck) =
        (Some(now), ticks, threads, groups.throttling, stuck);
    load
}

#[cfg(test)]
mod tests;
