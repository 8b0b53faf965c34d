//! Limits that a service is at: descriptors and connections of one of its processes, tasks of its cgroup and of its user.

use super::probes;
use crate::{
    diagnose::{
        ProbeHistory, Scene,
        in_flight::{gateway, worker_connections},
    },
    model::{Address, Listen, Outcome, OwnerRole, ServiceLoad, text},
};

/// Share of a limit of descriptors or connections that is used, for all that matters: connections come in bursts.
const FULL: f64 = 0.98;
/// Connections or descriptors of a gateway that one request takes which is passed on: the client's and the upstream's.
const PER_REQUEST: u64 = 2;
/// Tasks that are left of a limit when no new worker or thread pool can be had.
const TASKS_LEFT: u64 = 1;

/// A limit that is reached.
pub(super) struct Reached {
    /// The fact, without `service:`.
    pub(super) fact: &'static str,
    /// Whether it is about the host rather than about the service itself.
    pub(super) of_host: bool,
    /// The sentence.
    pub(super) text: String,
    /// What its remedies may name.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// All limits that this service is at.
pub(super) fn reached(scene: &Scene, service: &ServiceLoad) -> Vec<Reached> {
    [files(service), connections(scene, service), workers(scene, service), tasks(service), user_tasks(service)]
        .into_iter()
        .flatten()
        .collect()
}

fn used_up(used: u64, limit: u64) -> bool {
    limit > 0 && used as f64 >= limit as f64 * FULL
}

/// Whether a gateway can pass no further request on.
fn takes_no_request(used: u64, limit: u64) -> bool {
    used_up(used, limit) || limit.saturating_sub(used) < PER_REQUEST
}

fn no_task_left(used: u64, limit: u64) -> bool {
    limit.saturating_sub(used) <= TASKS_LEFT
}

fn of_process(fact: &'static str, setting: &str, text: String, used: u64, limit: u64) -> Reached {
    let fields =
        vec![("setting", setting.to_owned()), ("used", used.to_string()), ("limit", limit.to_string()), ("said", text.clone())];
    Reached { fact, of_host: false, text, fields }
}

fn files(service: &ServiceLoad) -> Option<Reached> {
    let gateway = service.role == OwnerRole::Gateway;
    let full = if gateway { takes_no_request } else { used_up };
    let files = service.files.as_ref().filter(|files| full(files.open, files.limit))?;
    let text = format!("pid {} of {} has {} of {} descriptors open", files.pid, service.title(), files.open, files.limit);
    let fact = if gateway { "gateway-files-used-up" } else { "files-used-up" };
    Some(of_process(fact, "open files (RLIMIT_NOFILE)", text, files.open, files.limit))
}

/// `worker_connections` of nginx bounds what one worker has, those to upstreams and those that listen included (ngx_core_module).
fn connections(scene: &Scene, service: &ServiceLoad) -> Option<Reached> {
    let limit = worker_connections(scene, service)?;
    let (pid, used) = service.sockets.filter(|(_, used)| takes_no_request(*used, limit))?;
    let text = format!("pid {pid} of {} has {used} of {limit} connections open", service.title());
    Some(of_process("gateway-connections-used-up", "worker_connections", text, used, limit))
}

/// `MaxRequestWorkers` of Apache bounds the requests that it works on; each waits for the rest of its request, for the server behind, or
/// for its client. Where all do, nothing more is accepted (server/mpm: `ap_queue_info_wait_for_idler`).
fn workers(scene: &Scene, service: &ServiceLoad) -> Option<Reached> {
    /// Connections of our own that it may hold, or that may wait: the request through it, the one straight to it, and their companions.
    const OURS: u64 = 6;
    let gateway = gateway(scene, service).filter(|gateway| gateway.kind == "apache")?;
    let number = |name: &str| gateway.settings.get(name)?.value.parse::<u64>().ok();
    let limit = number("MaxRequestWorkers").into_iter().chain(number("workers possible")).min()?;
    let taken = u64::from(service.accepted?);
    let table = scene.listeners.as_ref()?;
    let listens = || gateway.sites.iter().flat_map(|site| &site.listens);
    let queue = |listen: &Listen| Some(u64::from(table.taking(&listen.address)?.queue?.waiting));
    let waiting = listens().filter_map(queue).max().filter(|waiting| *waiting > 0)?;
    if taken < limit || taken.saturating_add(waiting) <= OURS {
        return None;
    }
    // Connections that are kept open hold no worker, and those that wait may wait for a moment: a request that nobody answers tells.
    let door = |at: &Address| table.taking(at).is_some_and(|taker| listens().any(|listen| listen.address == taker.address));
    let late = |history: &ProbeHistory| {
        door(history.last.peer.as_ref().unwrap_or(&history.last.job.address))
            && probes::window(history).iter().any(|result| matches!(result.outcome, Outcome::Timeout(_)))
    };
    let asked = ["gateway", "upstream"].into_iter().flat_map(|probe| scene.probes_of(probe));
    asked.into_iter().any(late).then(|| {
        let text = format!(
            "{} holds {taken} connections, as many as its {limit} workers (MaxRequestWorkers) can serve, and {waiting} more wait to be accepted",
            service.title()
        );
        of_process("gateway-workers-used-up", "MaxRequestWorkers", text, taken, limit)
    })
}

fn tasks(service: &ServiceLoad) -> Option<Reached> {
    let (used, limit) = service.tasks.filter(|(used, limit)| no_task_left(*used, *limit))?;
    let text = format!("{used} of {limit} tasks that the cgroup of {} may have (pids.max)", service.title());
    Some(Reached { fact: "tasks-used-up", of_host: true, fields: vec![("limit", text.clone())], text })
}

fn user_tasks(service: &ServiceLoad) -> Option<Reached> {
    let user = service.user_tasks.as_ref().filter(|user| no_task_left(user.used, user.limit))?;
    let text = format!(
        "user {} has {} of the {} tasks that he may have (RLIMIT_NPROC of {})",
        user.user,
        text::thousands(user.used),
        text::thousands(user.limit),
        service.title(),
    );
    let fields = vec![("limit", text.clone()), ("user", user.user.clone())];
    Some(Reached { fact: "user-tasks-used-up", of_host: true, text, fields })
}
