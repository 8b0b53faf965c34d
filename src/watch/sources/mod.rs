//! Which logs matter, found from what runs: what the gateway's processes and those behind it have open, what their settings name,
//! the output of their containers, and the journal of their units. Each comes with the reason why it was chosen.
//!
//! Nothing is followed here: `app/` decides, [`logs`](super::logs) and [`journal`](super::journal) do. A log that was found stays found
//! while its file is there: the last words of an application that has died are those that matter.
//!
//! What these programs are set to is read on the same way: `apps/`.
//!
//! To add a program whose settings are read: `settings/`, `apps/`. To add another way to find a log: a file here, and its line in
//! [`Finder::of_service`].

mod apps;
mod container;
mod host_logs;
mod opened;
pub(in crate::watch) mod service;
pub(in crate::watch) mod settings;
pub(in crate::watch) mod units;
mod usual;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::again::{Again, Pauses};
use crate::{
    model::{
        AppSettings, Asked, BlindSpot, FoundLog, LogFormat, LogOwner, LogPlace, Observation, Order as _, OwnerRole, SourceKind,
        SourceWish, Stage, Subject,
    },
    sys::{Outbox, Root, Sys, WrittenFiles, blocking, has_journal},
};
#[cfg(test)]
pub(super) use service::tests::process as testing_process;
pub(super) use service::{Service, services};
use settings::{Named, Settings};

/// How often it is looked again: an application that reopened its logs is seen by then. One that was started anew is a new wish.
const EVERY: Duration = Duration::from_secs(10);
/// The same after a look at which all was as before.
const CALM: Duration = Duration::from_secs(30);
/// How old a list of processes may be after a change, and so how often all of them are looked at, at most: the design's promise.
const FRESH: Duration = Duration::from_secs(10);
/// How old it may be while nothing has changed.
const STALE: Duration = Duration::from_mins(1);
/// How long one look at settings and files may take: a dead file system costs this much, and nobody else's time.
const LOOK: Duration = Duration::from_secs(3);
/// Logs that are found, at most; those with errors come before those with requests.
const FOUND: usize = 64;
/// Services of which it is told that nothing can be seen, at most.
const BLIND: usize = 16;

/// A file that may be a log that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    path: PathBuf,
    kind: SourceKind,
    format: LogFormat,
    why: String,
    serves: Vec<Subject>,
}

impl From<Candidate> for FoundLog {
    fn from(candidate: Candidate) -> Self {
        let Candidate { path, kind, format, why, serves } = candidate;
        Self { place: LogPlace::File(path), kind, format, why, serves }
    }
}

/// Looks for the logs of what the wish names, at each change of it and every [`EVERY`], or [`CALM`]. Tells all that is found when that
/// changes, and `Answered` of [`Stage::Sources`] after each first look for a wish.
pub async fn run(sys: Sys, wishes: watch::Receiver<Asked<SourceWish>>, outbox: Outbox, cancel: CancellationToken) {
    let mut teller = Teller { outbox, told: None, apps: Vec::new(), blind: BTreeMap::new() };
    let (mut pids, mut unsettled): (Vec<u32>, bool) = (Vec::new(), false);
    // Until something is wished for, nothing is looked at.
    let mut pauses = Pauses::new(sys.clock, wishes, cancel);
    if !pauses.begin(None).await {
        return;
    }
    let mut changed = true;
    loop {
        let Asked { number, what: wish } = pauses.wish();
        let gone = pids.iter().any(|pid| sys.root.stat(&PathBuf::from(format!("/proc/{pid}"))).is_err());
        let age = if changed || gone || unsettled { FRESH } else { STALE };
        let Some(look) = pauses.unless_over(look(&sys, &wish, age, &teller)).await else { return };
        (pids, unsettled) = (look.pids, look.unsettled);
        let calm = !changed && !gone && !unsettled && teller.told.as_ref() == Some(&look.found);
        if !teller.tell_apps(look.apps).await || !teller.tell(look.found, look.blind).await {
            return;
        }
        if changed && !teller.outbox.tell(Observation::Answered { stage: Stage::Sources, asked: number }).await {
            return;
        }
        changed = match pauses.rest(if calm { CALM } else { EVERY }).await {
            Again::Due => false,
            Again::Wished => true,
            Again::Over => return,
        };
    }
}

/// What one look gave.
#[derive(Debug, Default)]
struct Look {
    found: Vec<FoundLog>,
    blind: Vec<BlindSpot>,
    /// What the applications are set to.
    apps: Vec<AppSettings>,
    /// Processes whose end is a reason to look again.
    pids: Vec<u32>,
    /// Whether somebody was not found who may be found by another look at all processes.
    unsettled: bool,
}

async fn look(sys: &Sys, wish: &SourceWish, age: Duration, teller: &Teller) -> Look {
    let processes = sys.rights.recent_processes(age).await.unwrap_or_else(|_| Arc::new(Vec::new()));
    let mut owners = wish.owners.clone();
    owners.extend(service::by_address(&processes, &wish.ownerless));
    let known = |owner: &LogOwner| processes.iter().any(|process| process.pid == owner.pid);
    let unsettled = !wish.ownerless.is_empty() || !wish.owners.iter().all(known);
    let services = service::services(&processes, &owners);
    let pids: BTreeSet<u32> = services.iter().flat_map(|service| &service.members).map(|member| member.pid).collect();
    let written = sys.rights.written(pids.into_iter().collect()).await.unwrap_or_default();
    let leads: Vec<u32> = services.iter().map(|service| service.lead.pid).collect();
    let (root, wish, before) = (sys.root.clone(), wish.clone(), teller.told.clone().unwrap_or_default());
    let now_s = sys.clock.now().wall_s();
    let mut look = blocking(LOOK, move || {
        let mut finder = Finder {
            root: &root,
            wish: &wish,
            written: &written,
            now_s,
            journal: has_journal(&root),
            known: Vec::new(),
            out: Look::default(),
        };
        finder.all(&services, before);
        finder.out
    })
    .await
    .unwrap_or_else(|| Look {
        found: teller.told.clone().unwrap_or_default(),
        apps: teller.apps.clone(),
        blind: vec![BlindSpot {
            source: "settings of application servers".to_owned(),
            reason: "their file system does not answer".to_owned(),
            remedy: "look whether a mount hangs, and name logs with --log".to_owned(),
        }],
        ..Look::default()
    });
    look.pids = leads;
    look.unsettled = unsettled;
    look
}

/// Tells what has changed.
struct Teller {
    outbox: Outbox,
    told: Option<Vec<FoundLog>>,
    apps: Vec<AppSettings>,
    /// Blind spots that were told, by source, with their reason.
    blind: BTreeMap<String, String>,
}

impl Teller {
    /// `false`: nobody listens.
    async fn tell_apps(&mut self, apps: Vec<AppSettings>) -> bool {
        if self.apps == apps {
            return true;
        }
        self.apps.clone_from(&apps);
        self.outbox.tell(Observation::Apps(apps)).await
    }

    /// `false`: nobody listens.
    async fn tell(&mut self, found: Vec<FoundLog>, blind: Vec<BlindSpot>) -> bool {
        let here: BTreeMap<String, String> = blind.iter().map(|spot| (spot.source.clone(), spot.reason.clone())).collect();
        for source in self.blind.keys().filter(|source| !here.contains_key(*source)) {
            if !self.outbox.tell(Observation::Seen { source: source.clone() }).await {
                return false;
            }
        }
        for spot in blind {
            if self.blind.get(&spot.source) != Some(&spot.reason) && !self.outbox.tell(Observation::Blind(spot)).await {
                return false;
            }
        }
        self.blind = here;
        if self.told.as_ref() == Some(&found) {
            return true;
        }
        self.told = Some(found.clone());
        self.outbox.tell(Observation::Sources(found)).await
    }
}

/// Whether the journal of a unit is that of one program: these hold whatever somebody started.
fn journal_of(unit: &str) -> bool {
    const HOLDERS: &[&str] = &["ssh", "sshd", "cron", "crond", "docker", "containerd", "atd", "screen"];
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    !HOLDERS.contains(&name) && !name.starts_with("user@") && !name.starts_with("getty@") && !name.starts_with("ssh@")
}

struct Finder<'a> {
    root: &'a Root,
    wish: &'a SourceWish,
    written: &'a [WrittenFiles],
    /// Now, in seconds since the Unix epoch.
    now_s: i64,
    /// Whether a journal is kept.
    journal: bool,
    /// Device and inode of what is found or followed already.
    known: Vec<(u64, u64)>,
    out: Look,
}

impl Finder<'_> {
    fn all(&mut self, services: &[Service], before: Vec<FoundLog>) {
        self.known = self.wish.known.iter().filter_map(|path| Some(self.root.stat(path).ok()?.id)).collect();
        for service in services {
            self.of_service(service);
        }
        let of = |service| Settings { root: self.root, service, dialled: &self.wish.dialled };
        self.out.apps = apps::apps(services.iter().map(of));
        let units = units::by_address(self.root, &self.wish.ownerless);
        for unit in &units {
            let named = self.wish.ownerless.iter().filter(|address| unit.names(address));
            let service = unit.service(OwnerRole::Upstream, named.map(|address| Subject(address.to_string())).collect());
            let outputs = unit.outputs.iter().map(|(path, setting, line)| Named {
                place: LogPlace::File(path.clone()),
                why: format!("{setting} in {}:{line}", unit.file.display()),
            });
            self.named(&service, outputs.collect());
            self.of_service(&service);
        }
        if !self.wish.ownerless.is_empty() {
            let nobody = units::Unit::default();
            for address in &self.wish.ownerless {
                let nobody = nobody.service(OwnerRole::Upstream, vec![Subject(address.to_string())]);
                let dialled = std::slice::from_ref(address);
                let pools = settings::php_fpm::by_address(&Settings { root: self.root, service: &nobody, dialled });
                self.named(&nobody, pools);
            }
            // Of several that are down it may be any's.
            let only = self.wish.ownerless.iter().filter(|_| self.wish.ownerless.len() == 1);
            let nobody = nobody.service(OwnerRole::Upstream, only.map(|address| Subject(address.to_string())).collect());
            self.named(&nobody, usual::logs(self.root, self.now_s));
        }
        let (wish, journal) = (self.wish, self.journal);
        for (unit, gateway) in wish.units.iter().filter(|(unit, _)| journal && journal_of(unit)) {
            self.add_unit(unit, SourceKind::Error, "the gateway's unit".to_owned(), vec![gateway.clone()]);
        }
        host_logs::add(self);
        for log in before {
            self.keep(log);
        }
        // Requests come last: where there are too many logs, errors matter more.
        let requests = |log: &FoundLog| matches!(&log.place, LogPlace::File(path) if path.to_string_lossy().contains("access"));
        self.out.found.order_by_key(requests);
        let left_out = self.out.found.len().saturating_sub(FOUND);
        self.out.found.truncate(FOUND);
        if left_out > 0 {
            self.out.blind.push(BlindSpot {
                source: "further logs of applications".to_owned(),
                reason: format!("{left_out} are not followed: {FOUND} at once at most"),
                remedy: "name those that matter with --log".to_owned(),
            });
        }
    }

    /// All logs of one service, in the order of their weight.
    fn of_service(&mut self, service: &Service) {
        let before = self.out.found.len();
        let opened = opened::logs(self.root, service, self.written, &mut self.known);
        self.out.found.extend(opened.into_iter().map(FoundLog::from));
        if let Some(output) = container::log(self.root, service) {
            self.add(output);
        }
        // In a container the same path is another file.
        let inside = self.root.seen_by(service.lead.pid).filter(|_| service.runs);
        let root = inside.as_ref().map_or(self.root, |(_, root)| root);
        let mut named = settings::logs(&Settings { root, service, dialled: &self.wish.dialled });
        for one in &mut named {
            if let (Some((at, _)), LogPlace::File(path)) = (&inside, &mut one.place) {
                *path = at.join(path.strip_prefix("/").unwrap_or(path));
            }
        }
        self.named(service, named);
        let unit = service.lead.unit().filter(|unit| self.journal && journal_of(unit)).map(str::to_owned);
        if let Some(unit) = &unit {
            self.unit(service, unit);
        }
        if service.runs && service.role == OwnerRole::Upstream && self.out.blind.len() < BLIND {
            self.blind(service, self.out.found.len() > before, unit.is_some());
        }
    }

    /// What can't be seen of a service.
    fn blind(&mut self, service: &Service, found: bool, journal: bool) {
        let denied = self.written.iter().find(|files| files.pid == service.lead.pid).is_some_and(|files| files.denied);
        let name = service.name();
        if denied {
            self.out.blind.push(BlindSpot {
                source: format!("open files of {name}"),
                reason: format!("it runs as {}: which logs it writes can't be seen", service.lead.identity.name),
                remedy: "run it as root: sudo why502".to_owned(),
            });
        } else if !found && !journal {
            self.out.blind.push(BlindSpot {
                source: format!("log of {name}"),
                reason: opened::lost(service, self.written).unwrap_or_else(|| "it has no log open".to_owned()),
                remedy: "start it with its errors in a file or the journal, or name its log with --log".to_owned(),
            });
        }
    }

    fn named(&mut self, service: &Service, named: Vec<Named>) {
        for Named { place, why } in named {
            match place {
                LogPlace::File(path) => {
                    let (kind, format) = opened::meaning(service.role, &service.lead, &path);
                    self.add(Candidate { path, kind, format, why, serves: service.serves.clone() });
                }
                LogPlace::Journal(unit) => self.unit(service, &unit),
            }
        }
    }

    /// Takes a file that exists and that is not found yet. One that may not be looked at is taken too: whoever follows it says which
    /// right is missing.
    fn add(&mut self, candidate: Candidate) {
        match self.root.stat(&candidate.path) {
            Ok(info) if self.known.contains(&info.id) || info.kind != crate::sys::FileKind::RegularFile => return,
            Ok(info) => self.known.push(info.id),
            Err(error) if error.denied() => {
                let same = |log: &FoundLog| matches!(&log.place, LogPlace::File(path) if *path == candidate.path);
                if self.out.found.iter().any(same) || self.wish.known.contains(&candidate.path) {
                    return;
                }
            }
            Err(_) => return,
        }
        self.out.found.push(candidate.into());
    }

    fn unit(&mut self, service: &Service, unit: &str) {
        let kind = match service.role {
            OwnerRole::Gateway => SourceKind::Error,
            OwnerRole::Upstream => SourceKind::App,
        };
        self.add_unit(unit, kind, format!("the unit of {}", service.name()), service.serves.clone());
    }

    fn add_unit(&mut self, unit: &str, kind: SourceKind, why: String, serves: Vec<Subject>) {
        if !self.out.found.iter().any(|log| log.unit() == Some(unit)) {
            let place = LogPlace::Journal(unit.to_owned());
            self.out.found.push(FoundLog { place, kind, format: LogFormat::Plain, why, serves });
        }
    }

    /// Keeps what an earlier look found, where it is there still.
    fn keep(&mut self, log: FoundLog) {
        let stays = match &log.place {
            LogPlace::Journal(unit) => self.journal && !self.out.found.iter().any(|known| known.unit() == Some(unit)),
            LogPlace::File(path) => match self.root.stat(path) {
                // What is read through a process is gone with it.
                Ok(info) => !path.starts_with("/proc") && !self.known.contains(&info.id),
                Err(error) => error.denied() && !self.out.found.iter().any(|known| known.place == log.place),
            },
        };
        if stays {
            if let LogPlace::File(path) = &log.place
                && let Ok(info) = self.root.stat(path)
            {
                self.known.push(info.id);
            }
            self.out.found.push(log);
        }
    }
}

#[cfg(test)]
mod tests;
