//! The rows of single services, the gateway and the applications behind it, and what each of their figures means.

use ratatui::style::Style;

use super::{Gauge, percent, share_of};
use crate::{
    diagnose::{Scene, in_flight},
    model::{OwnerRole, PlaceUse, ServiceLoad, ServicePlace, text as figures},
    ui::{Ui, doc::Doc},
};

/// Percent from which on a share is marked.
const HIGH: f64 = super::HIGH;
/// Looks that find a process in the kernel's hands, from which on it is said to hang.
const HANGS: u32 = 3;

/// What is wrong with a service at a glance, the worst first.
fn alarms(service: &ServiceLoad) -> Vec<String> {
    let mut out = Vec::new();
    if service.halted() {
        out.push("STOPPED".to_owned());
    }
    if service.stuck.iter().any(|stuck| stuck.looks >= HANGS) {
        out.push("HANGS".to_owned());
    }
    if let Some(kills @ 1..) = service.oom_kills_seen {
        out.push(format!("OOM {kills}"));
    }
    if let Some(share) = service.throttled.filter(|share| *share >= 50.0) {
        out.push(format!("throttled {share:.0}%"));
    }
    if let Some(share) = service.starved.filter(|share| *share >= 75.0 && service.waited.is_some_and(|waited| waited >= 30.0)) {
        out.push(format!("starved {share:.0}%"));
    }
    for place in &service.places {
        if full(place) {
            out.push(format!("full {}", place.mount.display()));
        } else if place.read_only && place.how == PlaceUse::Open {
            out.push(format!("read-only {}", place.mount.display()));
        }
    }
    out
}

fn full(place: &ServicePlace) -> bool {
    place.used.is_some_and(|used| used >= 99.5) || place.inodes.is_some_and(|inodes| inodes >= 99.5)
}

fn high(pair: Option<(u64, u64)>) -> bool {
    share_of(pair).is_some_and(|share| share >= HIGH)
}

fn files(service: &ServiceLoad) -> Option<(u64, u64)> {
    service.files.as_ref().map(|files| (files.open, files.limit))
}

fn user_tasks(service: &ServiceLoad) -> Option<(u64, u64)> {
    service.user_tasks.as_ref().map(|user| (user.used, user.limit))
}

/// One row of a service.
pub(super) fn gauge(scene: &Scene, service: &ServiceLoad) -> Gauge {
    let mut parts = alarms(service);
    let known = service.processes > 0;
    let under_way = in_flight(scene, service);
    let connections = under_way.and_then(|one| one.connections);
    let pressed = [service.memory_limit, files(service), service.tasks, user_tasks(service), connections].into_iter().any(high);
    let alarmed = !parts.is_empty() || pressed;
    parts.push(format!("cpu {}", percent(service.cpu.map(f64::from))));
    parts.push(match (service.memory, service.memory_limit) {
        (Some(used), Some((_, limit))) => format!("mem {}/{}", figures::bytes(used), figures::bytes(limit)),
        (Some(used), None) => format!("mem {}", figures::bytes(used)),
        (None, _) => "mem ?".to_owned(),
    });
    parts.push(files(service).map_or_else(|| "fd ?".to_owned(), |(open, limit)| format!("fd {open}/{limit}")));
    if let Some(taken) = service.accepted.filter(|taken| *taken > 0 && service.role == OwnerRole::Upstream) {
        let of = if service.workers > 0 { format!("/{}w", service.workers) } else { String::new() };
        parts.push(format!("conns {taken}{of}"));
    }
    if let Some(one) = under_way {
        parts.extend(
            one.requests.map(|requests| format!("reqs {requests}")).or(one.clients.map(|count| format!("clients {count}"))),
        );
        parts.extend(one.connections.map(|(used, limit)| format!("conns {used}/{limit}")));
    }
    if let Some((used, limit)) = user_tasks(service).filter(|tasks| high(Some(*tasks))) {
        parts.push(format!("user tasks {used}/{limit}"));
    }
    if let Some((used, limit)) = service.tasks.filter(|tasks| high(Some(*tasks))) {
        parts.push(format!("tasks {used}/{limit}"));
    }
    parts.push(format!("{} {}", service.name, service.pid));
    let role = match service.role {
        OwnerRole::Gateway => "gw",
        OwnerRole::Upstream => "app",
    };
    Gauge {
        key: format!("service\u{1f}{}", service.pid).into(),
        name: role,
        share: None,
        text: if known { parts.join("  ") } else { format!("?  {} {}", service.name, service.pid) },
        high: alarmed,
        known,
    }
}

/// The service of a row.
pub(super) fn of<'a>(services: &'a [ServiceLoad], key: &str) -> Option<&'a ServiceLoad> {
    let pid: u32 = key.strip_prefix("service\u{1f}")?.parse().ok()?;
    services.iter().find(|service| service.pid == pid)
}

/// How a figure stands: a suspect, fine, or not known.
enum Stand {
    Suspect,
    Fine,
    Unknown,
}

/// Everything about a service: what is used, what waits, what failed, each with its limit and where it was read.
pub(super) fn explain(doc: &mut Doc<'_>, ui: &Ui, scene: &Scene, service: &ServiceLoad, late: &[String]) {
    let group = service.cgroup.clone().unwrap_or_default();
    let serves: Vec<&str> = service.serves.iter().map(|subject| subject.0.as_str()).collect();
    doc.field("serves", &serves.join(", "));
    doc.field("processes", &format!("{} looked at, {} of them below the master", service.processes, service.workers));
    if group.is_empty() {
        doc.field("cgroup", "none of its own: figures are sums over its processes");
    } else {
        doc.field("cgroup", &group);
    }
    doc.heading("Used, waiting, failed");
    let mut say = |stand: Stand, text: String, source: &str| {
        let (sign, style): (&str, Style) = match stand {
            Stand::Suspect => ("!", ui.styles.bad),
            Stand::Fine => ("+", ui.styles.good),
            Stand::Unknown => ("?", ui.styles.unknown),
        };
        doc.item(sign, style, &text, source);
    };
    let stand = |suspect: bool| if suspect { Stand::Suspect } else { Stand::Fine };
    match service.cpu {
        Some(cpu) => {
            let quota = service
                .quota
                .map_or_else(|| "no limit of its own".to_owned(), |quota| format!("at most {quota:.2} processors by its cgroup"));
            say(Stand::Fine, format!("processor: {cpu:.0} % of one; {quota}"), "/proc/PID/stat");
        }
        None => say(Stand::Unknown, "processor: not known yet".to_owned(), "/proc/PID/stat"),
    }
    if service.quota.is_some() {
        match service.throttled {
            Some(share) => {
                let text = format!("throttling: stopped at its limit in {share:.0} % of the periods");
                say(stand(share >= 50.0), text, "cpu.stat");
            }
            None => say(Stand::Unknown, "throttling: not known yet, or it did not run".to_owned(), "cpu.stat"),
        }
    }
    match service.starved {
        Some(share) => {
            let hungry = share >= 75.0 && service.waited.is_some_and(|waited| waited >= 30.0);
            let text = format!("run queue: of the time in which it could run, it waited {share:.0} % for a processor");
            say(stand(hungry), text, "/proc/PID/task/TID/schedstat");
            if !service.rivals.is_empty() {
                let list: Vec<String> = service.rivals.iter().map(|(name, count)| format!("{count} x {name}")).collect();
                say(stand(hungry), format!("others that wanted to run: {}", list.join(", ")), "/proc/PID/stat");
            }
        }
        None => say(
            Stand::Fine,
            "run queue: hardly anybody on this host waits for a processor, or it did not want to run".to_owned(),
            "/proc/pressure/cpu",
        ),
    }
    match service.memory {
        Some(used) => {
            let limit = service.memory_limit.map_or_else(
                || "; no limit of its own".to_owned(),
                |(used, limit)| format!("; its tightest limit is at {} of {}", figures::bytes(used), figures::bytes(limit)),
            );
            let swap = service
                .swap
                .filter(|swap| *swap > 0)
                .map_or_else(String::new, |swap| format!(", {} in swap", figures::bytes(swap)));
            let text = format!("memory: {} without droppable cache{swap}{limit}", figures::bytes(used));
            say(stand(high(service.memory_limit)), text, "memory.current, /proc/PID/stat");
        }
        None => say(Stand::Unknown, "memory: not known".to_owned(), "/proc/PID/stat"),
    }
    match (service.oom_kills, service.oom_kills_seen) {
        (Some(all), seen) => {
            let seen = seen.unwrap_or(0);
            say(
                stand(seen > 0),
                format!("kills for memory: {seen} since we look, {all} since its cgroup was made"),
                "memory.events",
            );
        }
        (None, _) => {
            say(Stand::Unknown, "kills for memory: it has no cgroup of its own that counts them".to_owned(), "memory.events");
        }
    }
    for (name, psi) in [("processor", service.psi_cpu), ("memory", service.psi_mem), ("disk", service.psi_io)] {
        if let Some(psi) = psi {
            let text =
                format!("pressure, {name}: some task waited {:.1} % of the last 10 s, all of them {:.1} %", psi.some, psi.full);
            say(stand(psi.some >= super::PRESSED), text, "its cgroup");
        }
    }
    match files(service) {
        Some((open, limit)) => {
            let pid = service.files.as_ref().map_or(service.pid, |files| files.pid);
            let text = format!("descriptors: {open} of {limit}, of pid {pid}, which is nearest to its limit");
            say(stand(high(Some((open, limit)))), text, "/proc/PID/fd, limits");
        }
        None => say(Stand::Unknown, "descriptors: its processes may not be looked into (run as root)".to_owned(), "/proc/PID/fd"),
    }
    match service.tasks {
        Some((used, limit)) => say(stand(high(Some((used, limit)))), format!("tasks: {used} of {limit} of its cgroup"), "pids.max"),
        None => say(Stand::Fine, "tasks: its cgroup has no limit".to_owned(), "pids.max"),
    }
    if let Some(user) = &service.user_tasks {
        let text = format!("tasks of user {}: {} of {} (RLIMIT_NPROC)", user.user, user.used, user.limit);
        say(stand(high(user_tasks(service))), text, "/proc/PID/status, limits");
    }
    let under_way = in_flight(scene, service);
    if let Some(one) = under_way {
        match one.requests {
            Some(count) => say(Stand::Fine, format!("requests under way: {count}"), "its own status"),
            None => say(Stand::Unknown, "requests under way: it has no status page that answers here".to_owned(), "its own status"),
        }
        if let Some((used, limit)) = one.connections {
            let text = format!("connections of its fullest worker: {used} of {limit} (worker_connections)");
            say(stand(high(one.connections)), text, "/proc/PID/fd");
        }
    }
    match service.accepted {
        Some(count) if under_way.is_some() => {
            say(Stand::Fine, format!("connections of clients that it has taken and not closed: {count}"), "sock_diag");
        }
        None if under_way.is_some() => say(Stand::Unknown, "connections of clients: not known".to_owned(), "sock_diag"),
        Some(count) => {
            let text = format!("connections that it has taken and not closed: {count}, with {} workers", service.workers.max(1));
            say(Stand::Fine, text, "sock_diag");
        }
        None => say(Stand::Unknown, "connections that it has taken: counted while something fails".to_owned(), "sock_diag"),
    }
    if service.stopped.is_empty() {
        say(Stand::Fine, "signals: nobody has stopped it".to_owned(), "/proc/PID/stat");
    } else {
        let pids: Vec<String> = service.stopped.iter().map(ToString::to_string).collect();
        say(stand(service.halted()), format!("signals: stopped (state T): {}", pids.join(", ")), "/proc/PID/stat");
    }
    if service.stuck.is_empty() {
        say(Stand::Fine, "storage: no process of it hangs in the kernel".to_owned(), "/proc/PID/stat");
    }
    for stuck in &service.stuck {
        let place = if stuck.wchan.is_empty() { String::new() } else { format!(" in {}", stuck.wchan) };
        let text = format!("storage: pid {} waits in the kernel (state D){place}, for {} looks", stuck.pid, stuck.looks);
        say(stand(stuck.looks >= HANGS), text, "/proc/PID/stat, wchan");
    }
    if service.places.is_empty() {
        say(Stand::Unknown, "disks: where it writes to is not known".to_owned(), "/proc/PID/fd");
    }
    for place in &service.places {
        let how = match place.how {
            PlaceUse::Open => "open for writing",
            PlaceUse::Usual => "written as a rule",
            PlaceUse::May => "it may write there",
        };
        let source = format!("{how}: {}", place.path.display());
        let mount = place.mount.display();
        match (place.used, place.read_only) {
            (_, true) => say(stand(place.how == PlaceUse::Open), format!("disk {mount} ({}): read-only", place.kind), &source),
            (Some(used), false) => {
                let inodes = percent(place.inodes.map(f64::from));
                say(stand(full(place)), format!("disk {mount} ({}): {used:.0} % used, inodes {inodes}", place.kind), &source);
            }
            (None, false) => {
                let text = format!("disk {mount} ({}): not asked, because it may hang, or it did not answer", place.kind);
                say(Stand::Unknown, text, &source);
            }
        }
    }
    if !late.is_empty() {
        doc.heading("What was concluded from it");
        for text in late {
            doc.text(text);
        }
    }
}
