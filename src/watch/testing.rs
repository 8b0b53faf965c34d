//! What the tests of the sources share: a receiver that waits for a condition, with a deadline.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::{
    model::{LogBatch, Observation},
    sys::{Clock, OUTBOX_CAPACITY, Outbox, Stamped},
};

/// Longer than anything that is waited for, on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(20);

/// The far end of an outbox.
pub(super) struct Inbox {
    receiver: mpsc::Receiver<Stamped>,
    /// All that was seen so far.
    pub(super) seen: Vec<Observation>,
}

/// A channel with its two ends.
pub(super) fn channel() -> (Outbox, Inbox) {
    channel_for(OUTBOX_CAPACITY)
}

/// A channel that holds so many observations until its sources wait.
pub(super) fn channel_for(observations: usize) -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(observations);
    (Outbox::new("test", Clock::system(), sender), Inbox { receiver, seen: Vec::new() })
}

impl Inbox {
    /// Receives until the condition holds over all that was seen.
    pub(super) async fn until(&mut self, what: &str, mut holds: impl FnMut(&[Observation]) -> bool) {
        let wait = async {
            while !holds(&self.seen) {
                self.seen.push(self.receiver.recv().await.expect("the source lives").observation);
            }
        };
        let seen = tokio::time::timeout(DEADLINE, wait).await.is_ok();
        assert!(seen, "never seen: {what}; seen: {:#?}", self.seen);
    }

    /// The batches among what was seen.
    pub(super) fn batches(&self) -> impl Iterator<Item = &LogBatch> {
        batches(&self.seen)
    }
}

/// The batches among observations.
pub(super) fn batches(seen: &[Observation]) -> impl Iterator<Item = &LogBatch> {
    seen.iter().filter_map(|observation| match observation {
        Observation::Log(batch) => Some(batch),
        _ => None,
    })
}
