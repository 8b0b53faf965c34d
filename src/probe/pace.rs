//! How much may be sent: token buckets over everything, and per upstream (DESIGN.md, promise 3).

use std::collections::HashMap;

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests a second over everything.
    pub requests: f64,
    /// Requests a second to one address, after the first burst.
    pub per_upstream: f64,
    /// Requests that may come at once.
    pub burst: f64,
    /// Bare connections and lookups a second; as many may come at once.
    pub connects: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { requests: 5.0, per_upstream: 1.0, burst: 20.0, connects: 50.0 }
    }
}

impl Rate {
    /// So many requests a second over everything (`--rate`); at least one in 100 s, so that something happens at all.
    /// The burst, bare connections and the share of one address shrink with it, and never grow.
    pub fn requests(per_second: f64) -> Self {
        let requests = if per_second.is_finite() { per_second.max(0.01) } else { Self::default().requests };
        let default = Self::default();
        let share = (requests / default.requests).min(1.0);
        let (burst, connects) = ((default.burst * share).max(1.0), (default.connects * share).max(1.0));
        Self { requests, per_upstream: default.per_upstream.min(requests), burst, connects }
    }
}

/// A bucket that holds so many tokens at most and gets so many a second.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at_ms: u64,
}

impl Bucket {
    fn full(burst: f64, now_ms: u64) -> Self {
        Self { tokens: burst, at_ms: now_ms }
    }

    /// Milliseconds until a token is there; 0: it is.
    fn wait(&mut self, rate: f64, burst: f64, now_ms: u64) -> u64 {
        /// A token is whole from here on: sums of fractions do not reach 1 exactly.
        const WHOLE: f64 = 1.0 - 1e-6;
        /// Longer than any wait that matters; the caller looks again then.
        const LONG_MS: f64 = 3_600_000.0;
        let passed = now_ms.saturating_sub(self.at_ms) as f64 / 1e3;
        self.tokens = (self.tokens + passed * rate).min(burst);
        self.at_ms = now_ms;
        if self.tokens >= WHOLE {
            return 0;
        }
        let ms = ((1.0 - self.tokens) / rate * 1e3).ceil().clamp(1.0, LONG_MS);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=3,600,000 above")]
        let ms = ms as u64;
        ms
    }
}

/// All buckets of a run.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    requests: Option<Bucket>,
    connects: Option<Bucket>,
    upstreams: HashMap<String, Bucket>,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, requests: None, connects: None, upstreams: HashMap::new() }
    }

    /// Takes what one probe needs, all or nothing. `Err`: milliseconds until it is worth asking again.
    pub(super) fn take(&mut self, request: bool, address: &str, now_ms: u64) -> Result<(), u64> {
        let Rate { requests, per_upstream, burst, connects } = self.rate;
        if !request {
            let bucket = self.connects.get_or_insert_with(|| Bucket::full(connects, now_ms));
            return Self::spend(bucket.wait(connects, connects, now_ms), &mut [bucket]);
        }
        self.forget(now_ms);
        let all = self.requests.get_or_insert_with(|| Bucket::full(burst, now_ms));
        let one = self.upstreams.entry(address.to_owned()).or_insert_with(|| Bucket::full(burst, now_ms));
        let wait = all.wait(requests, burst, now_ms).max(one.wait(per_upstream, burst, now_ms));
        Self::spend(wait, &mut [all, one])
    }

    fn spend(wait: u64, buckets: &mut [&mut Bucket]) -> Result<(), u64> {
        if wait > 0 {
            return Err(wait);
        }
        for bucket in buckets {
            bucket.tokens -= 1.0;
        }
        Ok(())
    }

    /// Drops the buckets of addresses that are full again: a changing plan must not make them grow without bound.
    fn forget(&mut self, now_ms: u64) {
        /// Addresses of a large plan; looked through only beyond it.
        const KEPT: usize = 2048;
        if self.upstreams.len() > KEPT {
            let Rate { per_upstream, burst, .. } = self.rate;
            self.upstreams.retain(|_, bucket| {
                bucket.wait(per_upstream, burst, now_ms);
                bucket.tokens < burst
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these requests get through in so many seconds, asked for every 10 ms.
    fn through(pace: &mut Pace, request: bool, addresses: &[&str], seconds: u64) -> usize {
        (0..seconds * 100)
            .flat_map(|tick| addresses.iter().map(move |a| (tick * 10, *a)))
            .filter(|(ms, a)| pace.take(request, a, *ms).is_ok())
            .count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let one = through(&mut Pace::new(Rate::default()), true, &["a"], 10);
        assert!((29..=30).contains(&one), "20 at once, then 1/s to one upstream: {one}");
        let many = through(&mut Pace::new(Rate::default()), true, &["a", "b", "c", "d", "e", "f", "g", "h"], 10);
        assert!((69..=70).contains(&many), "20 at once, then 5/s over everything: {many}");
        let bare = through(&mut Pace::new(Rate::default()), false, &["a", "b"], 2);
        assert!((149..=150).contains(&bare), "50 at once, then 50/s: {bare}");
    }

    #[test]
    fn the_wait_that_is_told_is_enough_and_no_longer() {
        let mut pace = Pace::new(Rate::requests(0.5));
        while pace.take(true, "a", 0).is_ok() {}
        let wait = pace.take(true, "a", 0).expect_err("used up");
        assert_eq!(wait, 2000);
        assert!(pace.take(true, "a", wait - 1).is_err() && pace.take(true, "a", wait).is_ok());
    }

    #[test]
    fn no_rate_stops_or_breaks_it() {
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let rate = Rate::requests(odd);
            assert!(rate.requests > 0.0 && rate.per_upstream > 0.0 && rate.requests.is_finite(), "{odd}");
            assert!(Pace::new(rate).take(true, "a", 0).is_ok(), "{odd}: the first request is never refused");
        }
        let sent = through(&mut Pace::new(Rate::requests(1.0)), true, &["a", "b", "c", "d"], 10);
        assert!((13..=14).contains(&sent), "4 at once, then 1/s: {sent}");
        assert_eq!(Rate::requests(5.0), Rate::default());
    }
}
