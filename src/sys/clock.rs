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

/// The slots of tokio's timer, in milliseconds (tokio/src/runtime/time/wheel): 64 of 1 ms, then 64 of 64 ms. What is due at the begin of one
/// of the longer slots is done when that slot is opened; what is due in the middle of it takes a second wake-up. They count from the
/// start of the runtime, so a run's clock is best started right before it.
const GRAIN_MS: u64 = 64;

/// The next begin of a slot.
fn grained(ms: u64) -> Duration {
    Duration::from_millis(ms.checked_next_multiple_of(GRAIN_MS).unwrap_or(ms))
}

/// Gives the stamps of one run. Its steady part is tokio's clock, which tests pause.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    /// Wall clock at `began` in milliseconds since the epoch, where the wall clock is not to be asked again.
    fixed_wall_ms: Option<i64>,
    /// What the run's clock showed at `began`, in milliseconds: not 0 where it goes on with a recording.
    base_ms: u64,
}

impl Clock {
    /// The host's clocks, beginning now.
    pub fn system() -> Self {
        Self { began: Instant::now(), fixed_wall_ms: None, base_ms: 0 }
    }

    /// The same clock, but that this is what a clock on the wall shows now: of a tree of files whose host does not run.
    pub fn showing(self, wall_ms: i64) -> Self {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(0);
        Self { fixed_wall_ms: Some(wall_ms.saturating_sub(passed)), ..self }
    }

    /// The same clock, but that this much of its run is over already: one that goes on with a recording.
    pub fn continuing(self, run_ms: u64) -> Self {
        Self { base_ms: run_ms, ..self }
    }

    /// A clock whose wall time began at `wall_ms` and follows tokio's clock: for tests.
    pub fn starting_at(wall_ms: i64) -> Self {
        Self { began: Instant::now(), fixed_wall_ms: Some(wall_ms), base_ms: 0 }
    }

    /// The next moment at which this run is a whole number of `every` old, but not within half of it: a look that took its time is not
    /// followed by the next at once.
    pub fn beat(&self, every: Duration) -> Instant {
        let step = every.as_millis().max(1);
        let soon = self.began.elapsed().as_millis() + step / 2;
        let next = (soon / step + 1).saturating_mul(step);
        self.began + grained(u64::try_from(next).unwrap_or(u64::MAX >> 1))
    }

    /// One grain of the timer behind [`Clock::beat`]: when those that look are through, for who shows what they saw.
    pub fn behind(&self, every: Duration) -> Instant {
        self.beat(every) + Duration::from_millis(GRAIN_MS)
    }

    /// The first moment of the timer's grain at which so many milliseconds have passed: for what need not be to the millisecond.
    pub fn about(&self, ms: u64) -> Instant {
        let age = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began + grained(age.saturating_add(ms))
    }

    /// The moment after so much time.
    pub fn after(&self, time: Duration) -> Instant {
        self.began + self.began.elapsed() + time
    }

    /// Waits for [`Clock::beat`]. Who looks again and again does so on the beat: what wakes a processor costs more than what it does then,
    /// and so all that look are woken together.
    pub async fn rest(&self, every: Duration) {
        tokio::time::sleep_until(self.beat(every)).await;
    }

    /// Now.
    pub fn now(&self) -> Stamp {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let run_ms = self.base_ms.saturating_add(passed);
        let asked = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        let wall_ms = self.fixed_wall_ms.map_or_else(asked, |wall| wall.saturating_add_unsigned(passed));
        Stamp { run_ms, wall_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_looks_again_is_woken_with_the_others() {
        let clock = Clock::system();
        let every = Duration::from_secs(2);
        let mut woken = Vec::new();
        for took_ms in [130, 0, 900, 1_100, 5_000] {
            tokio::time::sleep(Duration::from_millis(took_ms)).await;
            clock.rest(every).await;
            woken.push(clock.now().run_ms);
        }
        // Whole seconds, on the timer's grain; one that ended within a second of the next has that left out.
        assert_eq!(woken, [2_048, 4_032, 6_016, 10_048, 18_048]);
    }
}
