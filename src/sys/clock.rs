//! The clock of a run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::Stamp;

/// Gives the stamps of one run. Its steady part is tokio's clock, which tests pause.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    /// Wall clock at `began` in milliseconds since the epoch, where the wall clock is not to be asked again.
    fixed_wall_ms: Option<i64>,
}

impl Clock {
    /// The host's clocks, beginning now.
    pub fn system() -> Self {
        Self { began: Instant::now(), fixed_wall_ms: None }
    }

    /// A clock whose wall time began at `wall_ms` and follows tokio's clock: for tests.
    pub fn starting_at(wall_ms: i64) -> Self {
        Self { began: Instant::now(), fixed_wall_ms: Some(wall_ms) }
    }

    /// Now.
    pub fn now(&self) -> Stamp {
        let run_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let asked = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        let wall_ms = self.fixed_wall_ms.map_or_else(asked, |wall| wall.saturating_add_unsigned(run_ms));
        Stamp { run_ms, wall_ms }
    }
}
