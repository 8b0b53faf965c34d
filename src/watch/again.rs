//! The pause between two looks for what is wished for: it ends with the next beat of the run, or when something else is wished for.
//!
//! What must not be here: what is looked at. A collector that has further reasons to look again waits for itself.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Asked, SourceWish},
    sys::Clock,
};

/// Why a pause ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It is time.
    Due,
    /// Something else is wished for.
    Wished,
    /// The run is over.
    Over,
}

/// Pauses of one collector.
#[derive(Debug)]
pub(super) struct Pauses {
    /// What is wished for.
    pub(super) wishes: watch::Receiver<Asked<SourceWish>>,
    cancel: CancellationToken,
    clock: Clock,
    /// Somebody may still wish for something.
    open: bool,
}

impl Pauses {
    pub(super) fn new(clock: Clock, wishes: watch::Receiver<Asked<SourceWish>>, cancel: CancellationToken) -> Self {
        Self { wishes, cancel, clock, open: true }
    }

    /// Waits until something is wished for at all, for ever or this long. `false`: the run is over.
    pub(super) async fn begin(&mut self, patience: Option<Duration>) -> bool {
        let wished = async {
            match patience {
                Some(patience) => {
                    let _ = tokio::time::timeout(patience, self.wishes.changed()).await;
                    true
                }
                None => self.wishes.changed().await.is_ok(),
            }
        };
        tokio::select! {
            () = self.cancel.cancelled() => false,
            begun = wished => begun,
        }
    }

    /// What is wished for now.
    pub(super) fn wish(&mut self) -> Asked<SourceWish> {
        self.wishes.borrow_and_update().clone()
    }

    /// Does this, unless the run ends before: `None`.
    pub(super) async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.cancel.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Waits for the next look.
    pub(super) async fn rest(&mut self, every: Duration) -> Again {
        let due = self.clock.rest(every);
        tokio::pin!(due);
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return Again::Over,
                () = &mut due => return Again::Due,
                news = self.wishes.changed(), if self.open => {
                    self.open = news.is_ok();
                    if self.open {
                        return Again::Wished;
                    }
                }
            }
        }
    }
}
