//! The clock of a run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::Stamp;

/// Measures from one moment on, by tokio's clock, finer than stamps are: a connection on loopback takes 50 µs.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the begin.
    pub fn ms(self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }

    /// What is left of a time that began with this watch; zero when it is over.
    pub fn left(self, of: Duration) -> Duration {
        of.saturating_sub(self.0.elapsed())
    }
}

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
