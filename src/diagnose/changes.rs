//! What was changed, against the moment when requests began to fail: which change can have broken what worked before it, and one
//! line of time with all that matters.
//!
//! A change is suspected when it lies between the last request that is known to have been served and the first that failed. What
//! never worked was broken by no change, and a change after which requests were served for long did not break them.

use super::{LogGroup, Scene, since};
use crate::{
    catalog::Catalog,
    model::{Address, Change, ChangeKind, CheckState, Gateway, Order as _, RunState, SourceKind, Subject},
};

/// Seconds after a change in which what runs from before it may still serve: a restart that comes at the end of a deploy, a queue.
const LINGERS_S: i64 = 120;
/// Seconds before the first failure in which a change is suspected though requests were served after it: what fills up takes its time.
const SLOW_S: i64 = 600;
/// Seconds by which a change may be stamped later than the first failure: files are written before or after the restart.
const AFTER_S: i64 = 5;
/// The same for a job: one that breaks something does so at once.
const JOB_S: i64 = 60;
/// Seconds of the line of time.
const SPAN_S: i64 = 24 * 3600;
/// Moments that are told, at most.
const MOMENTS: usize = 240;

/// What kind of thing a moment tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MomentKind {
    /// Something was changed.
    Change(ChangeKind),
    /// A process was killed or crashed, or its manager gave it up.
    Died,
    /// The first request that failed.
    Onset,
    /// Requests were served again, after failures that we saw.
    Served,
    /// This program began to look.
    Look,
    /// A configuration file was saved while we looked.
    Edit,
    /// A gateway loaded its configuration while we looked.
    Load,
    /// A probe began to tell something else.
    Turn,
    /// The operator noted, ticked or skipped something.
    Note,
}

impl MomentKind {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Change(kind) => kind.word(),
            Self::Died => "died",
            Self::Onset => "first failure",
            Self::Served => "served",
            Self::Look => "why502",
            Self::Edit => "edit",
            Self::Load => "load",
            Self::Turn => "probe",
            Self::Note => "note",
        }
    }

    /// Whether it is known because we looked while it happened, and no change of what was before.
    pub fn is_ours(self) -> bool {
        match self {
            Self::Change(_) | Self::Died | Self::Onset => false,
            Self::Served | Self::Look | Self::Edit | Self::Load | Self::Turn | Self::Note => true,
        }
    }
}

/// A moment on the line of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// What kind.
    pub kind: MomentKind,
    /// What happened, with foreign text in it.
    pub what: String,
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// Where it was seen.
    pub source: String,
    /// By whom.
    pub by: Option<String>,
    /// What it bears on; empty: the host.
    pub concerns: Vec<Subject>,
    /// Seconds before the first failure; negative: after it. `None`: nothing fails, or nobody knows since when.
    pub before: Option<i64>,
    /// Whether it can have broken what fails.
    pub suspect: bool,
    /// Whether it was there from the beginning: an installation.
    pub first: bool,
}

impl Moment {
    /// What tells it from the others.
    pub fn key(&self) -> String {
        format!("{}\u{1f}{}\u{1f}{}", self.at, self.kind.word(), self.what)
    }
}

/// When requests began to fail, where that is known to the second and not only that it was before something.
pub(super) fn onset(scene: &Scene) -> Option<i64> {
    since::since(scene).filter(|since| !since.earlier).map(|since| since.second)
}

/// The last second before this one in which a request is known to have been served to somebody.
fn served_before(scene: &Scene, onset: i64) -> Option<i64> {
    let served = |group: &&LogGroup| {
        matches!(group.kind, SourceKind::Access | SourceKind::Error)
            && !group.ours()
            && matches!(group.meaning.status, Some(200..=399))
    };
    let groups = scene.logs.values().filter(served);
    let seconds = groups.flat_map(|group| group.seconds.iter().map(|(second, _)| *second)).filter(|second| *second < onset);
    seconds.max().max(scene.traffic.served_before(onset))
}

/// How long before the first failure each change was that can have broken what fails, with the change; the nearest first.
pub(super) fn suspects(scene: &Scene) -> Vec<(i64, &Change)> {
    let (Some(changes), Some(onset)) = (&scene.changes, onset(scene)) else { return Vec::new() };
    let Some(served) = served_before(scene, onset) else { return Vec::new() };
    let mut found: Vec<(i64, &Change)> = changes
        .list
        .iter()
        .filter(|change| !change.first && may_break(scene, change))
        .map(|change| (onset - change.at, change))
        .filter(|(before, change)| {
            let slow = if change.kind == ChangeKind::Job { JOB_S } else { SLOW_S };
            let nothing_between = change.kind != ChangeKind::Job && change.at >= served - LINGERS_S;
            *before >= -AFTER_S && (*before <= slow || nothing_between)
        })
        .collect();
    found.order_by_key(|(before, change)| (before.abs(), change.kind));
    found
}

/// Whether a change of this kind can break requests.
fn may_break(scene: &Scene, change: &Change) -> bool {
    match change.kind {
        ChangeKind::Deploy
        | ChangeKind::Packages
        | ChangeKind::Config
        | ChangeKind::Unit
        | ChangeKind::Certificate
        | ChangeKind::Job
        | ChangeKind::Boot
        | ChangeKind::Network => true,
        // Where the gateway connects to addresses, no name matters.
        ChangeKind::Names => {
            let servers = scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers);
            servers.map(|server| &server.address).any(|address| matches!(address, Address::Name(..)))
        }
        // Who came in has done nothing yet; what was done with another's rights may be what stopped a service.
        ChangeKind::Login => {
            [" stop ", " restart ", " kill ", " disable ", " reload "].iter().any(|verb| change.what.contains(verb))
        }
        ChangeKind::Clock | ChangeKind::Start => false,
    }
}

/// All that is known to have happened, oldest first.
pub fn moments(scene: &Scene, catalog: &Catalog) -> Vec<Moment> {
    let (now, onset) = (scene.now.wall_s(), onset(scene));
    let suspects = suspects(scene);
    let mut moments: Vec<Moment> = Vec::new();
    let moment = |kind, what: String, at: i64, source: &str| Moment {
        kind,
        what,
        at,
        source: source.to_owned(),
        by: None,
        concerns: Vec::new(),
        before: onset.map(|onset| onset - at),
        suspect: false,
        first: false,
    };
    for change in scene.changes.iter().flat_map(|changes| &changes.list) {
        moments.push(Moment {
            by: change.by.clone(),
            concerns: change.concerns.clone(),
            suspect: suspects.iter().any(|(_, suspect)| *suspect == change),
            first: change.first,
            ..moment(MomentKind::Change(change.kind), change.what.clone(), change.at, &change.source)
        });
    }
    let start = MomentKind::Change(ChangeKind::Start);
    for gateway in &scene.gateways {
        let RunState::Running { since, workers_since, pid } = gateway.state else { continue };
        let concerns = vec![scene.named(gateway)];
        if let Some(at) = since {
            let what = format!("{} ({pid}) was started", gateway.kind);
            moments.push(Moment { concerns: concerns.clone(), ..moment(start, what, at, "its process") });
        }
        if let Some(at) = workers_since.filter(|at| since.is_none_or(|since| at - since > 1)) {
            let what = format!("{} loaded its configuration", gateway.kind);
            moments.push(Moment { concerns, ..moment(start, what, at, "its workers") });
        }
    }
    for (subject, address) in upstreams(scene) {
        for owner in scene.owners.of(&address) {
            let Some(at) = owner.started else { continue };
            let what = format!("{} ({}) was started, which listens on {address}", owner.name, owner.pid);
            moments.push(Moment { concerns: vec![subject.clone()], ..moment(start, what, at, "its process") });
        }
    }
    for group in scene.logs.values().filter(|group| matches!(group.kind, SourceKind::Kernel | SourceKind::App)) {
        let Some(signature) = group.signature(&catalog.signatures) else { continue };
        let fatal = signature.causes.first().is_some_and(|cause| DEADLY.contains(&cause.as_str()));
        // Of a loop the first one tells when it began, and the last one that it goes on.
        let (first, last) = (group.first_second(), group.last_second());
        for at in [first, last.filter(|_| first != last)].into_iter().flatten().filter(|_| fatal) {
            let unit = group.meaning.fields.get("unit").or(group.meaning.fields.get("process"));
            let of = unit.map_or_else(String::new, |unit| format!(" ({unit})"));
            moments.push(moment(MomentKind::Died, format!("{}{of}", signature.explain), at, &group.source));
        }
    }
    for service in &scene.units {
        if let Some(at) = service.ended.filter(|_| !service.runs()).or(service.since.filter(|_| service.failed())) {
            let what = format!("{} ended: {}", service.unit, super::life::how(service));
            moments.push(Moment { concerns: service.serves.clone(), ..moment(MomentKind::Died, what, at, &service.source) });
        }
    }
    if let Some(at) = onset {
        moments.push(moment(MomentKind::Onset, "requests began to fail".to_owned(), at, "logs"));
    }
    moments.extend(seen(scene).into_iter().map(|(kind, at, what, source)| moment(kind, what, at, source)));
    moments.retain(|moment| moment.at <= now + AFTER_S && moment.at >= now.min(onset.unwrap_or(now)) - SPAN_S);
    moments.order_by(|a, b| (a.at, a.kind, &a.what).cmp(&(b.at, b.kind, &b.what)));
    moments.dedup_by(|a, b| (a.at, a.kind, &a.what) == (b.at, b.kind, &b.what));
    if moments.len() > MOMENTS {
        let near = onset.unwrap_or(now);
        // What somebody wrote goes last.
        moments.order_by_key(|moment| (!moment.suspect && moment.kind != MomentKind::Note, (moment.at - near).abs()));
        moments.truncate(MOMENTS);
        moments.order_by(|a, b| (a.at, a.kind, &a.what).cmp(&(b.at, b.kind, &b.what)));
    }
    moments
}

/// What happened while we looked: kind, when, what, and where it was seen.
fn seen(scene: &Scene) -> Vec<(MomentKind, i64, String, &'static str)> {
    let mut all = Vec::new();
    if let Some(began) = scene.began.filter(|_| !scene.excerpt()) {
        all.push((MomentKind::Look, began.wall_s(), "began to look".to_owned(), "this program"));
    }
    for edit in &scene.watch.edits {
        let words: Vec<&str> = edit.words.iter().map(|word| word.text.as_str()).collect();
        let what = if words.is_empty() { String::new() } else { format!(": {}", words.join("; ")) };
        all.push((MomentKind::Edit, edit.saved(), format!("{} saved{what}", edit.what.file.display()), "config watch"));
    }
    for load in &scene.watch.loads {
        let how = if load.restart { "was started anew" } else { "reloaded" };
        all.push((MomentKind::Load, load.at, format!("{} {how}: what is on disk was taken", load.kind), "its processes"));
    }
    for flip in scene.flips.all() {
        let more = if flip.more == 0 { String::new() } else { format!(", and {} more turns soon after", flip.more) };
        let what = format!("{} {}: {} -> {}{more}", flip.probe, flip.subject, flip.from, flip.to);
        all.push((MomentKind::Turn, flip.at.wall_s(), what, "probes"));
    }
    for note in &scene.operator.notes {
        let about = note.step.as_ref().map_or_else(String::new, |step| format!(" ({step})"));
        all.push((MomentKind::Note, note.at.wall_s(), format!("{}{about}", note.text), "operator"));
    }
    for (step, ticked) in &scene.operator.steps {
        let word = if ticked.state == CheckState::Done { "done by hand" } else { "skipped" };
        let reason = ticked.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        all.push((MomentKind::Note, ticked.at.wall_s(), format!("step {step} {word}{reason}"), "operator"));
    }
    all
}

/// Causes of which a line of the kernel or of a service's manager says that something died.
const DEADLY: &[&str] =
    &["upstream-oom-killed", "upstream-crashing", "gateway-crashing", "upstream-worker-timeout", "upstream-down"];

/// The upstreams of all gateways where somebody listened since we look, with the address that each is on this host.
pub(super) fn upstreams(scene: &Scene) -> Vec<(Subject, Address)> {
    if scene.owners.is_empty() {
        return Vec::new();
    }
    let servers = scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers);
    // A large configuration has many servers, and few of them are on this host.
    let mut found: Vec<(Subject, Address)> = servers
        .filter_map(|server| {
            let taking = scene.listeners.as_ref().and_then(|table| table.taking(&server.address));
            let address = taking.map_or(&server.address, |listener| &listener.address);
            (!scene.owners.of(address).is_empty()).then(|| (Subject(server.address.to_string()), address.clone()))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
