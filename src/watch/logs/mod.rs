//! The logs: each is read from its end, then followed through everything that rotation does to it.
//!
//! One task per log ([`tail`]) drives one [`follow::Follower`], which turns a path into lines; [`join`] keeps the
//! lines of one entry together, [`normalise`] finds the group that it belongs to and its second, and [`batch`] counts equal ones. What is told is counts of groups per second with the
//! first and last line verbatim: no signature is applied here, so a recording can be read with better ones later.
//!
//! To add a format: its reader in `model/logline`, a variant of [`LogFormat`](crate::model::LogFormat), and an arm in
//! `normalise.rs` that says which parts of a line make its group.

pub mod batch;
mod follow;
pub(in crate::watch) mod join;
pub(super) mod lines;
mod memo;
pub mod normalise;
pub mod onset;
mod places;
mod reading;
mod remedy;
mod rotated;
pub(super) mod skeleton;
mod stamps;
mod tail;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Asked, BlindSpot, LogSource, Observation, Stage},
    sys::{Outbox, Sys, Watcher, zone},
};

/// Logs that are followed, at most. A gateway with a log per site can have hundreds; beyond this the host would notice us.
pub const SOURCES: usize = 128;
/// How long the first pass waits for a file that does not answer, while none does.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// How far the first read of a log is.
enum First {
    /// It answers, and there is more. How much is read is bounded.
    GoesOn,
    /// Its end was read, or can't be.
    Ended(PathBuf),
}

/// Follows these logs, and others when the list changes. Tells `Answered` of [`Stage::Logs`] when the ends of all that are listed have
/// been read (at once, where none is), and again after each change of the list.
pub async fn run(sys: Sys, mut sources: watch::Receiver<Asked<Vec<LogSource>>>, outbox: Outbox, cancel: CancellationToken) {
    let mut manager = Manager {
        zone: zone(&sys.root),
        // Another root's tree may be a copy, or lie anywhere: it is only polled.
        watcher: if sys.root.is_host() { Watcher::new() } else { Watcher::none() },
        outbox,
        sys,
        running: BTreeMap::new(),
        tasks: JoinSet::new(),
        overfull: false,
    };
    let (ready_sender, mut ready) = mpsc::channel::<First>(SOURCES);
    let mut waiting = BTreeSet::new();
    let mut asked = 0;
    let mut changed = true;
    let mut open = true;
    loop {
        if std::mem::take(&mut changed) {
            let wanted;
            Asked { number: asked, what: wanted } = sources.borrow_and_update().clone();
            let Some(new) = manager.set(wanted, &cancel, &ready_sender).await else {
                break;
            };
            // Those of the list before that are still being read are waited for, too.
            waiting.retain(|path| manager.running.contains_key(path));
            waiting.extend(new);
            if waiting.is_empty() && !manager.answer(asked).await {
                break;
            }
        }
        tokio::select! {
            // A list that is new comes before the end of the one before, which nobody asks for any more.
            biased;
            () = cancel.cancelled() => break,
            news = sources.changed(), if open => {
                // Nobody will change the list any more: what is listed is followed on.
                open = news.is_ok();
                changed = open;
            }
            Some(first) = ready.recv() => {
                // With either, those that are silent are waited for anew: a host that is busy reads slowly.
                if let First::Ended(path) = first && waiting.remove(&path) && waiting.is_empty() && !manager.answer(asked).await {
                    break;
                }
            }
            () = tokio::time::sleep(FIRST_LOOK), if !waiting.is_empty() => {
                for path in std::mem::take(&mut waiting) {
                    let blind = remedy::silent(&path);
                    if !manager.outbox.tell(Observation::Blind(blind)).await {
                        return;
                    }
                }
                if !manager.answer(asked).await {
                    break;
                }
            }
            Some(ended) = manager.tasks.join_next(), if !manager.tasks.is_empty() => {
                // `false`: it ended because nobody listens. A task that was stopped ends too, and that is fine.
                if matches!(ended, Ok(false)) {
                    break;
                }
            }
        }
    }
    // The tasks end by their tokens; those that hang in a file system are left behind.
    for (_, stop) in manager.running.into_values() {
        stop.cancel();
    }
}

struct Manager {
    sys: Sys,
    zone: jiff::tz::TimeZone,
    watcher: Watcher,
    outbox: Outbox,
    running: BTreeMap<PathBuf, (LogSource, CancellationToken)>,
    tasks: JoinSet<bool>,
    overfull: bool,
}

impl Manager {
    /// Starts what is new and stops what is gone. Gives the new paths; `None`: nobody listens.
    async fn set(
        &mut self,
        wanted: Vec<LogSource>,
        cancel: &CancellationToken,
        ready: &mpsc::Sender<First>,
    ) -> Option<BTreeSet<PathBuf>> {
        // One file is read once, however often it is named: the first format counts.
        let mut by_path: BTreeMap<PathBuf, LogSource> = BTreeMap::new();
        let mut left_out = 0usize;
        for source in wanted {
            if by_path.len() < SOURCES || by_path.contains_key(&source.path) {
                by_path.entry(source.path.clone()).or_insert(source);
            } else {
                left_out += 1;
            }
        }
        self.running.retain(|path, (source, stop)| {
            let stays = by_path.get(path) == Some(source);
            if !stays {
                stop.cancel();
            }
            stays
        });
        let mut new = BTreeSet::new();
        for (path, source) in by_path {
            if self.running.contains_key(&path) {
                continue;
            }
            let stop = cancel.child_token();
            self.running.insert(path.clone(), (source.clone(), stop.clone()));
            new.insert(path);
            let tail = tail::Tail {
                sys: self.sys.clone(),
                source,
                zone: self.zone.clone(),
                outbox: self.outbox.clone(),
                cancel: stop,
                woken: self.watcher.subscribe(),
            };
            self.tasks.spawn(tail.run(ready.clone()));
        }
        self.crowd(left_out).await.then_some(new)
    }

    /// Tells that the ends of all that was asked for were read. `false`: nobody listens.
    async fn answer(&self, asked: u64) -> bool {
        self.outbox.tell(Observation::Answered { stage: Stage::Logs, asked }).await
    }

    /// Tells of logs that are too many.
    async fn crowd(&mut self, left_out: usize) -> bool {
        const CROWD: &str = "further logs";
        let was = std::mem::replace(&mut self.overfull, left_out > 0);
        if left_out > 0 {
            let reason = format!("{left_out} logs are not followed: {SOURCES} at once at most");
            let remedy = "name those that matter with --log".to_owned();
            self.outbox.tell(Observation::Blind(BlindSpot { source: CROWD.to_owned(), reason, remedy })).await
        } else {
            !was || self.outbox.tell(Observation::Seen { source: CROWD.to_owned() }).await
        }
    }
}

#[cfg(test)]
mod tests;
