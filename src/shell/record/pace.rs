//! When the writer of a recording looks: woken once for what comes within a short time, and not at all where somebody is awake once a
//! second anyway.
//!
//! What must not be here: the channel and the thread. A message is sent before [`Pace::sent`] is told of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::write::WAITING;

/// Observations that wake the writer before its time.
const MANY: usize = WAITING / 4;

/// What sender and writer know of each other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Observations that were sent since it looked.
    sent: AtomicUsize,
    /// Bytes of log lines that wait.
    pub(super) bytes: AtomicUsize,
    /// Somebody tells of each second.
    paced: AtomicBool,
    /// Lines that it took in so far.
    taken: AtomicUsize,
    /// It gives the kernel what there is.
    gives: AtomicBool,
    /// It found nothing, and sleeps after one more look. Said before that look, and asked behind each message, so that one of both
    /// knows of the other.
    asleep: AtomicBool,
}

impl Pace {
    /// A message was sent. Whether the writer has to be woken for it.
    pub(super) fn sent(&self) -> bool {
        let many = self.sent.fetch_add(1, Ordering::SeqCst) + 1 == MANY;
        many || !self.paced() && self.asleep.swap(false, Ordering::SeqCst)
    }

    /// A second is over, as each from now on. Whether the writer has to be woken.
    pub(super) fn beat(&self) -> bool {
        self.paced.store(true, Ordering::Relaxed);
        self.sent.load(Ordering::SeqCst) > 0
    }

    /// Whether somebody tells of each second.
    pub(super) fn paced(&self) -> bool {
        self.paced.load(Ordering::Relaxed)
    }

    /// The writer found nothing. Whether it may sleep: else it looks once more.
    pub(super) fn sleeps(&self) -> bool {
        self.asleep.swap(true, Ordering::SeqCst)
    }

    /// The writer found something. Whether it waits for what comes with it.
    pub(super) fn lingers(&self) -> bool {
        self.asleep.store(false, Ordering::SeqCst);
        !self.paced() && self.sent.load(Ordering::SeqCst) < MANY
    }

    /// The writer takes what there is.
    pub(super) fn looks(&self) {
        self.sent.store(0, Ordering::SeqCst);
    }

    /// The writer took in a line.
    pub(super) fn took(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// How many it took in.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// The writer gives the kernel what there is, or is back from that.
    pub(super) fn gives(&self, gives: bool) {
        self.gives.store(gives, Ordering::Relaxed);
    }

    /// Whether it is the disk that the writer waits for, where it had taken in so many lines a while ago. The line of a large configuration
    /// takes its time to be made.
    pub(super) fn hangs(&self, taken: usize) -> bool {
        self.taken() == taken && self.gives.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_comes_between_the_last_look_and_the_sleep() {
        let pace = Pace::default();
        // Nothing was there; a message comes before the second look.
        assert!(!pace.sleeps());
        assert!(pace.sent(), "the writer is about to sleep");
        assert!(pace.lingers());
        pace.looks();
        // Nothing twice: it sleeps, and the next message wakes it, whatever was counted before.
        assert!(!pace.sleeps() && pace.sleeps());
        assert!(pace.sent() && !pace.sent());
        pace.looks();
        // A message that is counted only after it was taken in.
        assert!(!pace.sleeps());
        assert!(pace.sent());
        assert!(!pace.sleeps() && pace.sleeps());
        assert!(pace.sent(), "what was counted late keeps nobody asleep");
    }

    #[test]
    fn a_line_that_is_being_made_is_no_disk_that_hangs() {
        let pace = Pace::default();
        let taken = pace.taken();
        assert!(!pace.hangs(taken), "it is being made");
        pace.took();
        pace.gives(true);
        assert!(!pace.hangs(taken), "it was made meanwhile");
        assert!(pace.hangs(pace.taken()));
        pace.gives(false);
        assert!(!pace.hangs(pace.taken()), "the next one is being made");
    }

    #[test]
    fn who_is_awake_once_a_second_wakes_the_writer_then() {
        let pace = Pace::default();
        assert!(!pace.beat() && !pace.sleeps() && pace.sleeps());
        assert!(!pace.sent());
        assert!(pace.beat());
        assert!((0..MANY).any(|_| pace.sent()), "many do not wait");
    }
}
