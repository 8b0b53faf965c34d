//! The way of an observation from its collector to `update`: one bounded channel.
//!
//! On a host on which all goes on as before, what says so need wake nobody: it waits in the channel for the next thing that is told, or for
//! whoever looks by himself (the console does once a second). So it is where the far end has a [`Bell`]; elsewhere each message wakes.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::AtomicWaker;
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

/// By what the far end of a channel is woken.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<AtomicWaker>);

/// A collector's end of the channel.
#[derive(Debug, Clone)]
pub struct Outbox {
    collector: &'static str,
    clock: Clock,
    sender: mpsc::Sender<Stamped>,
    /// `None`: each message wakes the far end.
    bell: Option<Bell>,
    dropped: Arc<AtomicU64>,
}

/// The far end.
#[derive(Debug)]
pub struct Inbox {
    receiver: mpsc::Receiver<Stamped>,
    bell: Option<Bell>,
}

impl Inbox {
    /// The end of a channel whose other ends ring this bell. `None`: each message wakes.
    pub fn new(receiver: mpsc::Receiver<Stamped>, bell: Option<Bell>) -> Self {
        Self { receiver, bell }
    }

    /// The next observation. `None`: there will be none any more, which is not told where there is a bell.
    pub async fn recv(&mut self) -> Option<Stamped> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Stamped>> {
        let Some(bell) = &self.bell else { return self.receiver.poll_recv(context) };
        let deaf = &mut Context::from_waker(Waker::noop());
        if let ready @ Poll::Ready(_) = self.receiver.poll_recv(deaf) {
            return ready;
        }
        bell.0.register(context.waker());
        // What was told in between has rung for nobody.
        self.receiver.poll_recv(deaf)
    }
}

impl Outbox {
    /// The end for one collector.
    pub fn new(collector: &'static str, clock: Clock, sender: mpsc::Sender<Stamped>) -> Self {
        Self { collector, clock, sender, bell: None, dropped: Arc::default() }
    }

    /// The same, but that the far end is woken by this bell only.
    pub fn ringing(self, bell: Option<Bell>) -> Self {
        Self { bell, ..self }
    }

    /// An end of the same channel for another collector.
    pub fn named(&self, collector: &'static str) -> Self {
        Self::new(collector, self.clock, self.sender.clone()).ringing(self.bell.clone())
    }

    fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.0.wake();
        }
    }

    /// Wakes the far end all the same before there is no room left.
    fn ring_if_crowded(&self) {
        if self.sender.capacity() < self.sender.max_capacity() / 2 {
            self.ring();
        }
    }

    /// Sends what must not be lost, waiting for room: the collector waits, never the screen. `false`: nobody listens
    /// any more, and the collector should end.
    pub async fn tell(&self, observation: Observation) -> bool {
        self.pass(observation, true).await
    }

    /// The same of what may be no `news`: where it says that all goes on as before, nobody is woken for it.
    pub async fn pass(&self, observation: Observation, news: bool) -> bool {
        let at = self.clock.now();
        self.confess(at);
        let listening = self.sender.send(Stamped { at, observation }).await.is_ok();
        if news {
            self.ring();
        } else {
            self.ring_if_crowded();
        }
        listening
    }

    /// Sends what may be lost when there is more of it than can be taken, and wakes nobody; a loss is counted and told with the
    /// next message that gets through. `false`: nobody listens any more.
    pub fn offer(&self, observation: Observation) -> bool {
        let at = self.clock.now();
        self.confess(at);
        match self.sender.try_send(Stamped { at, observation }) {
            Ok(()) => {
                self.ring_if_crowded();
                true
            }
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

    #[derive(Default)]
    struct Woken(AtomicU64);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn what_goes_on_as_before_wakes_nobody_and_keeps_its_place() {
        let (sender, receiver) = mpsc::channel(4);
        let bell = Bell::default();
        let outbox = Outbox::new("probes", Clock::starting_at(0), sender).ringing(Some(bell.clone()));
        let mut inbox = Inbox::new(receiver, Some(bell));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let wait = |inbox: &mut Inbox| inbox.poll(&mut Context::from_waker(&waker)).map(|seen| seen.expect("told").observation);
        let times = || woken.0.load(Ordering::Relaxed);

        assert_eq!(wait(&mut inbox), Poll::Pending);
        assert!(outbox.pass(Observation::Done(Stage::Load), false).await);
        assert_eq!(times(), 0, "nobody waits for it");
        assert!(outbox.tell(Observation::Done(Stage::Logs)).await);
        assert_eq!(times(), 1);
        assert_eq!(wait(&mut inbox), Poll::Ready(Observation::Done(Stage::Load)));
        assert_eq!(wait(&mut inbox), Poll::Ready(Observation::Done(Stage::Logs)));
        assert_eq!(wait(&mut inbox), Poll::Pending);
        // Before there is no room, whoever takes it out is woken for it.
        for _ in 0..3 {
            assert!(outbox.pass(Observation::Done(Stage::Load), false).await);
        }
        assert_eq!(times(), 2);
    }
}
