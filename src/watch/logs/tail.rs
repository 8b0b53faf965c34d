//! The task of one log: looks when something is told of it, and from time to time, and tells what it found.

use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::tz::TimeZone;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    First,
    batch::Batcher,
    follow::{Follower, Sight},
    onset,
    places::places,
    remedy,
};
use crate::{
    model::{BlindSpot, LogBatch, LogSource, Observation},
    sys::{Clock, Outbox, Subscription, Sys, Watch},
};

/// How often a log is looked at where not all that changes it is told: overlay and network file systems.
const POLL: Duration = Duration::from_secs(1);
/// The same, where nothing came for some time, and for how long, in milliseconds.
const POLL_QUIET: Duration = Duration::from_secs(2);
const QUIET_MS: u64 = 10_000;
/// The same, shortly after something came.
const POLL_BUSY: Duration = Duration::from_millis(200);
/// How long after something came, in milliseconds.
const BUSY_MS: u64 = 5_000;
/// How often a log is looked at though nothing is told of it, on the beat of
/// the run.
const SAFETY: Duration = Duration::from_secs(10);
/// The same of one whose changes are not told, in milliseconds: polls only compare what stat(2) tells.
const SAFETY_MS: u64 = 10_000;
/// How long an event may take to follow what a look found without one: behind the pauses of the watcher.
const LATE: Duration = Duration::from_millis(200);
/// Batches of few lines that are told at once, before further ones wait for each other.
const CREDIT: u32 = 5;
/// Groups of lines that are told for one of them: a flood of hundreds of groups is told five times a second, of which the screen shows four.
const CREDIT_GROUPS: usize = 128;
/// How long lines wait to be told together, in milliseconds, and how long it takes to earn one credit.
const FLUSH_MS: u64 = 40;
/// The first pause after a look that found lines. Each further one doubles it, so that a flood is taken in large pieces, and
/// a line that comes alone is told at once.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
/// The longest pause of a flood.
const PAUSE_LAST: Duration = Duration::from_millis(80);

/// What the task of one log works with.
pub(super) struct Tail {
    pub(super) sys: Sys,
    pub(super) source: LogSource,
    pub(super) zone: TimeZone,
    pub(super) outbox: Outbox,
    pub(super) cancel: CancellationToken,
    pub(super) woken: Subscription,
}

impl Tail {
    /// Follows until it is cancelled; says once, by `ready`, that the end of the file was read or can't be. `false`: nobody
    /// listens any more.
    pub(super) async fn run(self, ready: mpsc::Sender<First>) -> bool {
        let cancel = self.cancel.clone();
        tokio::select! {
            () = cancel.cancelled() => true,
            listening = self.follow(ready) => listening,
        }
    }

    async fn follow(mut self, ready: mpsc::Sender<First>) -> bool {
        let mut follower = Follower::new(self.sys.clone(), self.source.path.clone());
        let mut batcher = Batcher::new(self.source.clone(), self.zone.clone());
        let mut sight: Option<Sight> = None;
        let mut files = Vec::new();
        let mut pace = Pace::default();
        let mut pause = PAUSE_FIRST;
        let mut first = Some(ready);
        let mut told = Told::No;
        loop {
            batcher.at(self.sys.clock.now().wall_s());
            let looked = follower.look(&mut batcher).await;
            let released = batcher.looked();
            if first.is_some() && !looked.more {
                // What was there when we began is told whole, with the entry that may still be written.
                batcher.release();
            }
            let changed = sight.as_ref() != Some(&looked.sight);
            if changed {
                let news = self.news(sight.as_ref(), &looked.sight);
                sight = Some(looked.sight);
                if let Some(news) = news
                    && !self.outbox.tell(news).await
                {
                    return false;
                }
            }
            let now = self.sys.clock.now().run_ms;
            let ripe = batcher.pending() && (first.is_some() && !looked.more || pace.may_tell(now, batcher.groups()));
            let batches = if ripe { batcher.all() } else { batcher.full() };
            if !self.tell(batches).await {
                return false;
            }
            if looked.progress {
                pace.came_ms = Some(now);
            }
            if looked.more {
                if let Some(ready) = &first {
                    // Where it can't be said, there is enough to hear already.
                    let _ = ready.try_send(First::GoesOn);
                }
                tokio::task::yield_now().await;
                continue;
            }
            // What is open, and where a name leads, may have become other.
            let open = follower.files();
            let ids: Vec<_> = open.iter().map(|(id, _)| *id).collect();
            let seen = sight == Some(Sight::Open);
            let another = changed || ids != files;
            let watching = if another || !seen || !follower.placed() || told == Told::Nothing {
                files = ids;
                let names = places(&self.sys.root, &self.source.path);
                self.woken.watch(names, open, true).await
            } else {
                Watch { all: pace.trusted, moved: false }
            };
            pace.trusted = watching.all;
            if another || watching.moved {
                // What came before it was watched was told to nobody.
                told = Told::Something;
                continue;
            }
            if let Some(ready) = first.take() {
                if seen && !self.onset().await {
                    return false;
                }
                // The one who waits may have given up, or be gone with everything else.
                let _ = ready.send(First::Ended(self.source.path.clone())).await;
            }
            if looked.progress && told == Told::Nothing && pace.trusted {
                // Something came, and nobody was told: unless he is just now, this file system can't be trusted.
                pace.distrusted |= tokio::time::timeout(LATE, self.woken.changed()).await.is_err();
            }
            let paused = (looked.progress || released).then(|| self.sys.clock.after(pause));
            // Where all changes are told, what comes during the pause is told, too: a line that comes alone needs nobody who gets up for
            // the end of it.
            let all_told = pace.trusted && !pace.distrusted && !released;
            told = if paused.is_none() || all_told {
                self.rest(&pace, &follower, batcher.pending() || batcher.is_open()).await
            } else {
                Told::Something
            };
            match paused.filter(|end| self.sys.clock.after(Duration::ZERO) < *end) {
                Some(end) => {
                    tokio::time::sleep_until(end).await;
                    // What was told until now is read by the next look.
                    let _ = self.woken.changed().now_or_never();
                    pause = (pause * 2).min(PAUSE_LAST);
                }
                None => pause = PAUSE_FIRST,
            }
        }
    }

    /// Waits until it is to be looked again. `pending`: lines wait to be told.
    async fn rest(&self, pace: &Pace, follower: &Follower, pending: bool) -> Told {
        let began = self.sys.clock.now().run_ms;
        loop {
            let now = self.sys.clock.now().run_ms;
            let wait = pace.wait(&self.sys.clock, now, pending, follower.due(now));
            if tokio::time::timeout_at(wait.until, self.woken.changed()).await.is_ok() {
                return Told::Something;
            }
            match wait.why {
                Why::Safety => return Told::Nothing,
                Why::Asked => return Told::No,
                Why::Poll => {}
            }
            // Most polls of most logs find nothing, and a look takes several calls for that.
            if self.sys.clock.now().run_ms.saturating_sub(began) >= SAFETY_MS || !follower.as_it_was().await {
                return Told::No;
            }
        }
    }

    /// Looks for the begin of what fails at the end of the log, first in the log itself; older files are looked into while the
    /// log is followed already.
    async fn onset(&self) -> bool {
        let now = self.sys.clock.now().wall_s();
        let Some(begin) = onset::begin(&self.sys, &self.source, &self.zone, now).await else { return true };
        if !self.outbox.tell(Observation::Onset(begin.onset.clone())).await {
            return false;
        }
        if begin.onset.earlier {
            let (sys, source, zone) = (self.sys.clone(), self.source.clone(), self.zone.clone());
            let (outbox, cancel) = (self.outbox.clone(), self.cancel.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    older = onset::older(&sys, &source, &zone, now, &begin) => {
                        let blind = older.blind.into_iter().map(Observation::Blind);
                        for news in blind.chain(older.onset.map(Observation::Onset)) {
                            if !outbox.tell(news).await {
                                return;
                            }
                        }
                    }
                }
            });
        }
        true
    }

    async fn tell(&self, batches: Vec<LogBatch>) -> bool {
        for batch in batches {
            if !self.outbox.tell(Observation::Log(batch)).await {
                return false;
            }
        }
        true
    }

    /// What a change of sight says.
    fn news(&self, before: Option<&Sight>, now: &Sight) -> Option<Observation> {
        let blind: Option<BlindSpot> = remedy::of(&self.sys, &self.source, now);
        match (blind, before) {
            (Some(blind), _) => Some(Observation::Blind(blind)),
            // Also at first: the first pass may have given it up as silent.
            (None, None) => (*now == Sight::Open).then(|| Observation::Seen { source: self.source.id() }),
            (None, Some(before)) => {
                remedy::of(&self.sys, &self.source, before).map(|_| Observation::Seen { source: self.source.id() })
            }
        }
    }
}

/// Why a look is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Something was told.
    Something,
    /// It was time: for lines that wait, or for a poll.
    No,
    /// Nothing was told for so long that it is looked at for safety.
    Nothing,
}

/// When to look and when to tell.
#[derive(Debug, Default)]
struct Pace {
    /// All changes are told, as far as the file system is known.
    trusted: bool,
    /// One was not.
    distrusted: bool,
    /// When something came last, on the clock of this run.
    came_ms: Option<u64>,
    /// Telling that was done in advance, in credits, and as of when.
    used: u32,
    as_of_ms: u64,
}

impl Pace {
    /// Whether lines of so many groups that wait may be told now: a few at once, many together, as what is told costs by its groups.
    fn may_tell(&mut self, now: u64, groups: usize) -> bool {
        let earned = now.saturating_sub(self.as_of_ms) / FLUSH_MS;
        self.used = self.used.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
        self.as_of_ms = if self.used == 0 { now } else { self.as_of_ms + earned * FLUSH_MS };
        let may = self.used < CREDIT;
        if may {
            self.used += u32::try_from(groups.div_ceil(CREDIT_GROUPS)).unwrap_or(CREDIT).clamp(1, CREDIT);
        }
        may
    }

    /// Until when to wait for news, and why to look then. `pending`: lines wait to be told. `due`: when to look in any case, on the clock
    /// of this run.
    fn wait(&self, clock: &Clock, now: u64, pending: bool, due: Option<u64>) -> Pause {
        let quiet_ms = self.came_ms.map(|came| now.saturating_sub(came));
        let in_ms = |ms: u64| clock.after(Duration::from_millis(ms));
        let regular = if self.trusted && !self.distrusted {
            Pause { until: clock.beat(SAFETY), why: Why::Safety }
        } else {
            let until = match quiet_ms {
                Some(ms) if ms < BUSY_MS => clock.after(POLL_BUSY),
                Some(ms) if ms < QUIET_MS => clock.beat(POLL),
                Some(_) | None => clock.beat(POLL_QUIET),
            };
            Pause { until, why: Why::Poll }
        };
        let due = due.map(|due| in_ms(due.saturating_sub(now).max(1)));
        let flush = pending.then(|| in_ms(FLUSH_MS));
        match due.into_iter().chain(flush).min() {
            Some(soon) if soon < regular.until => Pause { until: soon, why: Why::Asked },
            Some(_) | None => regular,
        }
    }
}

/// What ends a pause in which nothing is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It was long enough, though all changes are told.
    Safety,
    /// Changes are not told.
    Poll,
    /// Lines wait, or the file is due.
    Asked,
}

/// A pause.
#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    why: Why,
}
