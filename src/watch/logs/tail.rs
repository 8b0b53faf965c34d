//! The task of one log: looks when it is woken and at least every second, and tells what it found.

use std::{path::PathBuf, time::Duration};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    batch::Batcher,
    follow::{Follower, Sight},
    remedy,
};
use crate::{
    model::{BlindSpot, LogBatch, LogSource, Observation},
    sys::{Outbox, Sys},
};

/// How often a file is looked at when nothing wakes us: overlay and network file systems do not.
const POLL: Duration = Duration::from_secs(1);
/// How long lines wait to be told together, in milliseconds, once the first of a burst has been told.
const FLUSH_MS: u64 = 100;
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
    pub(super) woken: watch::Receiver<()>,
}

impl Tail {
    /// Follows until it is cancelled; says once, by `ready`, that the end of the file was read or can't be. `false`: nobody
    /// listens any more.
    pub(super) async fn run(self, ready: mpsc::Sender<PathBuf>) -> bool {
        let cancel = self.cancel.clone();
        tokio::select! {
            () = cancel.cancelled() => true,
            listening = self.follow(ready) => listening,
        }
    }

    async fn follow(mut self, ready: mpsc::Sender<PathBuf>) -> bool {
        let mut follower = Follower::new(self.sys.clone(), self.source.path.clone());
        let mut batcher = Batcher::new(self.source.clone(), self.zone.clone());
        let mut sight: Option<Sight> = None;
        let mut flushed: Option<u64> = None;
        let mut pause = PAUSE_FIRST;
        let mut first = Some(ready);
        loop {
            self.woken.borrow_and_update();
            batcher.at(self.sys.clock.now().wall_s());
            let looked = follower.look(&mut batcher).await;
            batcher.looked();
            if sight.as_ref() != Some(&looked.sight) {
                let news = self.news(sight.as_ref(), &looked.sight);
                sight = Some(looked.sight);
                if let Some(news) = news
                    && !self.outbox.tell(news).await
                {
                    return false;
                }
            }
            let now = self.sys.clock.now().run_ms;
            let due = flushed.is_none_or(|flushed| now.saturating_sub(flushed) >= FLUSH_MS);
            let ripe = due || (first.is_some() && !looked.more);
            if first.is_some() && !looked.more {
                // What was there when we began is told whole, with the entry that may still be written.
                batcher.release();
            }
            let batches = if ripe { batcher.all() } else { batcher.full() };
            if ripe && !batches.is_empty() {
                flushed = Some(now);
            }
            if !self.tell(batches).await {
                return false;
            }
            if looked.more {
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(ready) = first.take() {
                // The one who waits may have given up, or be gone with everything else.
                let _ = ready.send(self.source.path.clone()).await;
            }
            if looked.progress {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LAST);
            } else {
                pause = PAUSE_FIRST;
                let flush = Duration::from_millis(FLUSH_MS);
                self.woken_or(if batcher.pending() { flush } else { POLL }).await;
            }
        }
    }

    /// Waits for a change in one of the directories, or as long as this. Without a watcher it is only the time.
    async fn woken_or(&mut self, at_most: Duration) {
        // Elapsed, or the watcher is gone: both mean that it is time to look.
        if let Ok(Err(_gone)) = tokio::time::timeout(at_most, self.woken.changed()).await {
            tokio::time::sleep(at_most).await;
        }
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
