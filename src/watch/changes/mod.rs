//! What was changed on the host in the last hours: packages, code, configuration, units, names, certificates, jobs, logins, the
//! host's own start. "What changed?" is the first question of every outage, and most of its answers are already written down.
//!
//! It looks once when it is known what matters, when that changes, and then once a minute; only the ends of logs are read, and only
//! the times of files. Nothing here judges: which change came right before the first failure is for `diagnose/`. No file of a
//! mount that may hang is asked about.
//!
//! To add a kind of change: a file here with a function that takes the [`Looker`], and its line in [`Looker::all`].

mod containers;
mod deploy;
mod files;
mod jobs;
pub(super) mod logins;
mod network;
mod packages;
pub(super) mod packages_lines;
mod tree;

use std::{collections::BTreeMap, path::Path, time::Duration};

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::network::Network;
use super::{
    again::{Again, Pauses},
    sources::{Service, services, units},
};
use crate::{
    model::{Asked, BlindSpot, Change, ChangeKind, Changes, ChangesLooked, Observation, Order as _, SourceWish, Stage, Subject},
    sys::{Mounts, Outbox, Root, Sys, blocking, zone},
};

/// How often it is looked again: a deploy is seen within a minute.
const EVERY: Duration = Duration::from_mins(1);
/// How often the addresses and routes are looked at meanwhile: what is seen of them only by comparing has no other time than that.
const NETWORK_LOOKS: u32 = 6;
/// How long the first look waits for what matters: a host without a gateway has changes, too.
const PATIENCE: Duration = Duration::from_secs(1);
/// How old a list of processes may be.
const FRESH: Duration = Duration::from_secs(10);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(3);
/// How long the journal of those who manage the network may take.
const JOURNAL: Duration = Duration::from_millis(500);
/// How far it is looked back, in seconds: a change of yesterday's evening shows when the load of the morning comes.
const BACK_S: i64 = 24 * 3600;
/// Changes that are told, at most, and of one kind: a talkative log must not push the others out.
const TOLD: usize = 200;
const TOLD_OF_KIND: usize = 40;
/// Bytes at the end of a log that are read: a day of most of them, and some 3 ms of work.
const LOG_BYTES: u64 = 256 << 10;
/// A stamp so many seconds ahead of our clock is none.
const AHEAD_S: i64 = 60;

/// Looks for as long as somebody listens. `Answered` of [`Stage::Changes`] comes after each first look for a wish.
pub async fn run(sys: Sys, wishes: watch::Receiver<Asked<SourceWish>>, outbox: Outbox, cancel: CancellationToken) {
    let mut told: Option<Changes> = None;
    let mut blind = false;
    let mut network = Network::default();
    let mut pauses = Pauses::new(sys.clock, wishes, cancel);
    if !pauses.begin(Some(PATIENCE)).await {
        return;
    }
    let mut fresh = true;
    loop {
        let Asked { number, what: wish } = pauses.wish();
        network.look(&sys.root, sys.clock.now().wall_s());
        let Some(look) = pauses.unless_over(look(&sys, wish, &mut network)).await else { return };
        let news = match look {
            Some(changes) if told.as_ref() == Some(&changes) => None,
            Some(changes) => {
                // How far back is no news; what was found is.
                let same = told.as_ref().is_some_and(|told| told.list == changes.list && told.looked == changes.looked);
                told = Some(changes.clone());
                (!same).then(|| Observation::Changes(Box::new(changes)))
            }
            None if blind => None,
            None => {
                blind = true;
                Some(Observation::Blind(BlindSpot {
                    source: "changes".to_owned(),
                    reason: "a file system does not answer".to_owned(),
                    remedy: "look whether a mount hangs: cat /proc/self/mountinfo".to_owned(),
                }))
            }
        };
        if let Some(news) = news
            && !outbox.tell(news).await
        {
            return;
        }
        if std::mem::take(&mut fresh) && !outbox.tell(Observation::Answered { stage: Stage::Changes, asked: number }).await {
            return;
        }
        for _ in 0..NETWORK_LOOKS {
            match pauses.rest(EVERY / NETWORK_LOOKS).await {
                Again::Due if network.look(&sys.root, sys.clock.now().wall_s()) => break,
                Again::Due => {}
                Again::Wished => {
                    fresh = true;
                    break;
                }
                Again::Over => return,
            }
        }
    }
}

/// One look. `None`: it did not end in time.
async fn look(sys: &Sys, wish: SourceWish, network: &mut Network) -> Option<Changes> {
    let processes = sys.rights.recent_processes(FRESH).await.ok();
    // A journal that does not answer is none.
    let _ = tokio::time::timeout(JOURNAL, network.ask(&sys.root, &sys.rights)).await;
    let known = network.clone();
    let (root, now) = (sys.root.clone(), sys.clock.now().wall_s());
    blocking(LOOK, move || {
        let processes = processes.as_deref().map_or(&[][..], Vec::as_slice);
        let services = services(processes, &wish.owners);
        let mut looker = Looker::new(&root, &wish, services, now);
        known.tell(&mut looker);
        containers::look(&mut looker, processes);
        looker.all()
    })
    .await
}

/// One look at everything.
struct Looker<'a> {
    root: &'a Root,
    mounts: Mounts,
    wish: &'a SourceWish,
    services: Vec<Service>,
    zone: TimeZone,
    now: i64,
    from: i64,
    out: Changes,
}

impl<'a> Looker<'a> {
    fn new(root: &'a Root, wish: &'a SourceWish, services: Vec<Service>, now: i64) -> Self {
        let from = now.saturating_sub(BACK_S);
        let out = Changes { from, ..Changes::default() };
        Self { root, mounts: Mounts::read(root), wish, services, zone: zone(root), now, from, out }
    }

    fn all(mut self) -> Changes {
        let units = units::by_address(self.root, &self.wish.ownerless);
        packages::look(&mut self);
        deploy::look(&mut self, &units);
        files::look(&mut self, &units);
        jobs::look(&mut self);
        logins::look(&mut self);
        network::look(&mut self);
        self.told()
    }

    /// What is told of all that was found: the latest of each kind.
    fn told(self) -> Changes {
        let mut out = self.out;
        out.list.order_by(|a, b| (b.at, a.kind, &a.what).cmp(&(a.at, b.kind, &b.what)));
        out.list.dedup();
        let mut of_kind: BTreeMap<ChangeKind, usize> = BTreeMap::new();
        let found = out.list.len();
        out.list.retain(|change| {
            let count = of_kind.entry(change.kind).or_default();
            *count += 1;
            *count <= TOLD_OF_KIND
        });
        out.list.truncate(TOLD);
        out.list.reverse();
        out.dropped = (found - out.list.len()) as u64;
        out
    }

    /// Whether this time is within what is looked at.
    fn within(&self, at: i64) -> bool {
        at >= self.from && at <= self.now.saturating_add(AHEAD_S)
    }

    fn add(&mut self, change: Change) {
        if self.within(change.at) {
            self.out.list.push(change);
        }
    }

    fn looked(&mut self, kind: ChangeKind, place: impl Into<String>, newest: Option<i64>) {
        self.out.looked.push(ChangesLooked { kind, place: place.into(), newest, left_out: None });
    }

    /// The end of a log, as text, without the line that was cut. `None`: it can't be read, or is not there.
    fn end_of(&self, path: &Path) -> Option<String> {
        let answers = self.mounts.answers(path);
        let (bytes, cut) = answers.then(|| self.root.tail(path, LOG_BYTES).ok()).flatten()?;
        let begin = if cut { memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1) } else { 0 };
        Some(String::from_utf8_lossy(&bytes[begin..]).into_owned())
    }

    /// What upstreams and gateways are whose program has one of these names in its own.
    fn named(&self, is: impl Fn(&str) -> bool) -> Vec<Subject> {
        let mut found: Vec<Subject> = Vec::new();
        for service in &self.services {
            let words = std::iter::once(&service.lead.name).chain(service.lead.argv.iter().take(2));
            let mut bases = words.map(|word| word.rsplit('/').next().unwrap_or_default());
            if bases.any(&is) {
                found.extend(service.serves.iter().cloned());
            }
        }
        let gateways = self.wish.configs.iter().map(|(_, gateway)| gateway).filter(|gateway| is(&gateway.0));
        found.extend(gateways.cloned());
        found.sort();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests;
