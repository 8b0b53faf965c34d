//! Workers of the application servers behind the gateways: how many are busy, and whether any is left. Asked of the server's own status
//! where it offers one; else told by what its processes wait for.
//!
//! Only servers that a gateway of this host connects to are asked, by questions that change nothing (`sys::AdminQuestion`). uvicorn
//! and node serve in one process that takes every connection, and gunicorn has no status page (statsd only): of the first two nothing
//! can be told, of gunicorn what its sync workers wait for.
//!
//! To add a program: a file here with a [`Reader`], and its line in [`READERS`]; how its status is opened stands in
//! `assets/services.toml`.

mod gunicorn;
mod php_fpm;
mod puma;
mod uwsgi;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    again::{Again, Pauses},
    sources::service::{self, Service},
};
use crate::{
    model::{Address, Asked, Observation, OwnerRole, ProcessInfo, SourceWish, Stage, Workers},
    sys::{Outbox, Sys, Wait, blocking},
};

/// How often they are asked while some are free, and while none is: as gateways are asked.
const CALM: Duration = Duration::from_secs(10);
const USED_UP: Duration = Duration::from_secs(2);
/// How old a list of processes may be.
const FRESH: Duration = Duration::from_secs(10);
/// How long the settings of one server may take to read: a dead file system costs this much, and nobody else's time.
const LOOK: Duration = Duration::from_secs(1);
/// How long one server may take in all; an answer has 700 ms.
const DEADLINE: Duration = Duration::from_millis(1_200);
/// Workers of one server that are looked at, at most.
const PROCESSES: usize = 1_024;
/// Pools and servers that are told of, at most.
const TOLD: usize = 64;

/// Looks at the workers of a service. A service of another program gives nothing.
type Reader = for<'a> fn(&'a Ask<'a>) -> BoxFuture<'a, Vec<Workers>>;

/// The programs whose workers are understood.
const READERS: &[Reader] = &[
    |ask| Box::pin(php_fpm::read(ask)),
    |ask| Box::pin(uwsgi::read(ask)),
    |ask| Box::pin(gunicorn::read(ask)),
    |ask| Box::pin(puma::read(ask)),
];

/// What a reader works with.
#[derive(Debug)]
struct Ask<'a> {
    sys: &'a Sys,
    /// The system as the server sees it: it may be in a container.
    there: Sys,
    service: Arc<Service>,
    /// Children of the master.
    children: Vec<&'a ProcessInfo>,
    /// Where gateways connect to.
    dialled: Arc<Vec<Address>>,
}

impl Ask<'_> {
    /// What is known before anything is asked.
    fn workers(&self, program: &str) -> Workers {
        let (program, pid, serves) = (program.to_owned(), self.service.lead.pid, self.service.serves.clone());
        Workers { program, pid, serves, ..Workers::default() }
    }

    /// Whether it may be asked itself: not when nothing may be sent, nor below another root.
    fn may_ask(&self) -> bool {
        self.there.probing && self.there.root.is_running()
    }

    /// Reads its settings where nothing waits for a file. `None`: they can't be read in time.
    async fn off_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce(&super::sources::settings::Settings<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (root, service, dialled) = (self.there.root.clone(), Arc::clone(&self.service), Arc::clone(&self.dialled));
        blocking(LOOK, move || read(&super::sources::settings::Settings { root: &root, service: &service, dialled: &dialled }))
            .await
    }

    /// How many of these processes wait in this way, and how many do not. `None`: one may not be seen.
    async fn idle_and_busy(&self, processes: &[&ProcessInfo], idle: Wait) -> Option<(u64, u64)> {
        let pids: Vec<u32> = processes.iter().take(PROCESSES).map(|process| process.pid).collect();
        let waits = self.sys.rights.waits(pids).await.ok()?;
        // One that has just ended is none; all unseen are a lack of rights.
        let seen: Vec<Wait> = waits.into_iter().flatten().collect();
        let waiting = seen.iter().filter(|wait| **wait == idle).count() as u64;
        (!seen.is_empty()).then(|| (waiting, seen.len() as u64 - waiting))
    }
}

/// Tells of the workers of all servers that the wish names, at each change of it and again and again, until cancelled.
pub async fn run(sys: Sys, wishes: watch::Receiver<Asked<SourceWish>>, outbox: Outbox, cancel: CancellationToken) {
    let mut told: Vec<Workers> = Vec::new();
    // Until something is wished for, nothing is looked at.
    let mut pauses = Pauses::new(sys.clock, wishes, cancel);
    if !pauses.begin(None).await {
        return;
    }
    let mut changed = true;
    loop {
        let Asked { number, what: wish } = pauses.wish();
        let Some(found) = pauses.unless_over(look(&sys, &wish)).await else { return };
        let news = found.len() != told.len() || found.iter().zip(&told).any(|(now, before)| !now.same_as(before));
        let again = if found.iter().any(Workers::used_up) { USED_UP } else { CALM };
        if news {
            told.clone_from(&found);
            if !outbox.tell(Observation::Workers(found)).await {
                return;
            }
        }
        if changed && !outbox.tell(Observation::Answered { stage: Stage::Workers, asked: number }).await {
            return;
        }
        changed = match pauses.rest(again).await {
            Again::Due => false,
            Again::Wished => true,
            Again::Over => return,
        };
    }
}

/// The system as a process sees it. `None`: it is in other namespaces, which may not be looked into.
fn seen_by(sys: &Sys, process: &ProcessInfo, all: &[ProcessInfo]) -> Option<Sys> {
    match sys.namespaces.of(&sys.root, process, all) {
        Some(space) => sys.inside(&space.way, [process.pid]).ok(),
        None => Some(sys.clone()),
    }
}

/// Looks at all of them, side by side: one that does not answer delays nobody.
async fn look(sys: &Sys, wish: &SourceWish) -> Vec<Workers> {
    let owners: Vec<_> = wish.owners.iter().filter(|owner| owner.role == OwnerRole::Upstream).cloned().collect();
    if owners.is_empty() {
        return Vec::new();
    }
    let Ok(processes) = sys.rights.recent_processes(FRESH).await else { return Vec::new() };
    let mut children: BTreeMap<u32, Vec<&ProcessInfo>> = BTreeMap::new();
    for process in processes.iter() {
        children.entry(process.ppid).or_default().push(process);
    }
    let dialled = Arc::new(wish.dialled.clone());
    let (host, list) = (sys.clone(), Arc::clone(&processes));
    let services = service::services(&processes, &owners);
    let leads: Vec<ProcessInfo> = services.iter().map(|service| service.lead.clone()).collect();
    // Of one that may not be looked into nothing is told.
    let there = blocking(LOOK, move || leads.iter().map(|lead| seen_by(&host, lead, &list)).collect::<Vec<_>>()).await;
    let asks: Vec<Ask<'_>> = services
        .into_iter()
        .zip(there.unwrap_or_default())
        .filter_map(|(service, there)| Some((service, there?)))
        .map(|(service, there)| Ask {
            sys,
            there,
            children: children.get(&service.lead.pid).cloned().unwrap_or_default(),
            service: Arc::new(service),
            dialled: Arc::clone(&dialled),
        })
        .collect();
    let of = async |ask: &Ask<'_>| {
        let read = async {
            let mut all = Vec::new();
            for reader in READERS {
                all.extend(reader(ask).await);
            }
            all
        };
        tokio::time::timeout(DEADLINE, read).await.unwrap_or_default()
    };
    let mut found: Vec<Workers> = futures_util::future::join_all(asks.iter().map(of)).await.into_iter().flatten().collect();
    found.truncate(TOLD);
    found
}
