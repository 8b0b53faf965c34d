//! What a supervisor's own log tells of one of its programs, line by line: for those that have no interface that we may ask.

use std::path::Path;

use crate::{model::ServiceLife, sys::Root};

/// Bytes at the end of such a log that are read.
const LOG_BYTES: u64 = 128 << 10;
/// Starts within so many seconds count as one loop of restarts.
const LOOP_S: i64 = 600;

/// The end of a log. `None`: it can't be read.
pub(super) fn end_of(root: &Root, path: &Path) -> Option<String> {
    root.tail(path, LOG_BYTES).ok().map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
}

/// One program, as the log tells it up to now.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) life: ServiceLife,
    starts: Vec<i64>,
}

impl Program {
    /// It is in this state, in systemd's words, since then.
    pub(super) fn state(&mut self, active: &str, sub: &str, at: Option<i64>) {
        (self.life.active, self.life.sub, self.life.since) = (active.to_owned(), sub.to_owned(), at);
    }

    /// It was started.
    pub(super) fn started(&mut self, at: Option<i64>) {
        self.state("activating", "start", at);
        self.starts.extend(at);
    }

    /// It ended by itself, and is to be started again.
    pub(super) fn ended(&mut self, at: Option<i64>) {
        self.state("activating", "auto-restart", at);
        self.life.ended = at;
    }

    /// Its manager starts it no more.
    pub(super) fn given_up(&mut self, at: Option<i64>) {
        self.state("failed", "failed", at);
        "start-limit-hit".clone_into(&mut self.life.result);
    }

    /// All that the log told, of a program of this name.
    pub(super) fn life(self, name: String, manager: &str, log: &str) -> ServiceLife {
        let again = self
            .starts
            .last()
            .map_or(0, |last| self.starts.iter().filter(|at| last.saturating_sub(**at) <= LOOP_S).count().saturating_sub(1));
        ServiceLife {
            unit: name,
            manager: manager.to_owned(),
            load: "loaded".to_owned(),
            source: log.to_owned(),
            restarts: u32::try_from(again).ok(),
            ..self.life
        }
    }
}
