//! The way of an observation from its collector to `update`: one bounded channel.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc;

use super::Clock;
use crate::model::{Observation, Stamp};

/// Observations under way at most. A log batch is the largest of them, at some 64 kB, so a full channel is some 64 MB at the
/// very worst and far below 1 MB in practice; 1,024 of them are more than a screen can take in a second.
pub const OUTBOX_CAPACITY: usize = 1024;

/// An observation with the time at which it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped {
    /// When.
    pub at: Stamp,
    /// What.
    pub observation: Observation,
}

/// A collector's end of the channel.
#[derive(Debug, Clone)]
pub struct Outbox {
    collector: &'static str,
    clock: Clock,
    sender: mpsc::Sender<Stamped>,
    dropped: Arc<AtomicU64>,
}

impl Outbox {
    /// The end for one collector.
    pub fn new(collector: &'static str, clock: Clock, sender: mpsc::Sender<Stamped>) -> Self {
        Self { collector, clock, sender, dropped: Arc::default() }
    }

    /// An end of the same channel for another collector.
    pub fn named(&self, collector: &'static str) -> Self {
        Self::new(collector, self.clock, self.sender.clone())
    }

    /// Sends what must not be lost, waiting for room: the collector waits, never the screen. `false`: nobody listens
    /// any more, and the collector should end.
    pub async fn tell(&self, observation: Observation) -> bool {
        let at = self.clock.now();
        self.confess(at);
        self.sender.send(Stamped { at, observation }).await.is_ok()
    }

    /// Sends what may be lost when there is more of it than can be taken; a loss is counted and told with the next
    /// message that gets through. `false`: nobody listens any more.
    pub fn offer(&self, observation: Observation) -> bool {
        let at = self.clock.now();
        self.confess(at);
        match self.sender.try_send(Stamped { at, observation }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// Tells what was dropped, if there is room for saying so.
    fn confess(&self, at: Stamp) {
        let count = self.dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            let observation = Observation::Dropped { collector: self.collector.to_owned(), count };
            if self.sender.try_send(Stamped { at, observation }).is_err() {
                self.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stage;

    #[tokio::test]
    async fn what_does_not_fit_is_counted_and_told() {
        let (sender, mut receiver) = mpsc::channel(2);
        let outbox = Outbox::new("logs", Clock::starting_at(0), sender);
        for _ in 0..5 {
            assert!(outbox.offer(Observation::Done(Stage::Load)));
        }
        receiver.recv().await.expect("first");
        receiver.recv().await.expect("second");
        assert!(outbox.tell(Observation::Done(Stage::Logs)).await);
        let told = receiver.recv().await.expect("the loss comes before what follows it").observation;
        assert_eq!(told, Observation::Dropped { collector: "logs".to_owned(), count: 3 });
        drop(receiver);
        assert!(!outbox.offer(Observation::Done(Stage::Load)));
    }
}
