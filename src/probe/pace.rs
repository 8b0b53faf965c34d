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
    /// What we may send when we are alone, and what now.
    whole: Rate,
    rate: Rate,
    requests: Option<Bucket>,
    connects: Option<Bucket>,
    upstreams: HashMap<String, Bucket>,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { whole: rate, rate, requests: None, connects: None, upstreams: HashMap::new() }
    }

    /// So many others send as much as we do: together no more than one alone would.
    pub(super) fn share(&mut self, others: u8) {
        let part = |whole: f64| whole / (f64::from(others) + 1.0);
        let Rate { requests, per_upstream, burst, connects } = self.whole;
        self.rate = Rate {
            requests: part(requests),
            per_upstream: part(per_upstream),
            // Below one, nothing would ever be sent.
            burst: part(burst).max(1.0),
            connects: part(connects).max(1.0),
        };
    }

    /// Takes what one probe needs, all or nothing: a request, or so many bare connections. `Err`: milliseconds until it is worth
    /// asking again.
    pub(super) fn take(&mut self, request: bool, bare: u32, address: &str, now_ms: u64) -> Result<(), u64> {
        let Rate { requests, per_upstream, burst, connects } = self.rate;
        if !request {
            let bucket = self.connects.get_or_insert_with(|| Bucket::full(connects, now_ms));
            let wait = bucket.wait(connects, connects, now_ms);
            // What costs more than one is begun with one, and leaves a debt that those who follow wait for.
            if wait == 0 {
                bucket.tokens -= f64::from(bare.saturating_sub(1));
            }
            return Self::spend(wait, &mut [bucket]);
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
            .filter(|(ms, a)| pace.take(request, 1, a, *ms).is_ok())
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
    fn a_probe_of_many_connections_is_paid_for_by_those_that_follow() {
        let mut pace = Pace::new(Rate::default());
        assert!(pace.take(false, 150, "a", 0).is_ok());
        let wait = pace.take(false, 1, "b", 0).expect_err("a debt of 100 and one more");
        assert!((2_000..=2_040).contains(&wait), "{wait}");
        assert!(pace.take(false, 1, "b", wait).is_ok());
    }

    #[test]
    fn the_wait_that_is_told_is_enough_and_no_longer() {
        let mut pace = Pace::new(Rate::requests(0.5));
        while pace.take(true, 1, "a", 0).is_ok() {}
        let wait = pace.take(true, 1, "a", 0).expect_err("used up");
        assert_eq!(wait, 2000);
        assert!(pace.take(true, 1, "a", wait - 1).is_err() && pace.take(true, 1, "a", wait).is_ok());
    }

    #[test]
    fn two_send_no_more_than_one() {
        let mut shared = Pace::new(Rate::default());
        shared.share(1);
        let sent = through(&mut shared, true, &["a", "b", "c", "d"], 10);
        assert!((34..=35).contains(&sent), "10 at once, then 2.5/s: {sent}");
        shared.share(0);
        assert_eq!(shared.rate, Rate::default());
    }

    #[test]
    fn no_rate_stops_or_breaks_it() {
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let rate = Rate::requests(odd);
            assert!(rate.requests > 0.0 && rate.per_upstream > 0.0 && rate.requests.is_finite(), "{odd}");
            assert!(Pace::new(rate).take(true, 1, "a", 0).is_ok(), "{odd}: the first request is never refused");
        }
        let sent = through(&mut Pace::new(Rate::requests(1.0)), true, &["a", "b", "c", "d"], 10);
        assert!((13..=14).contains(&sent), "4 at once, then 1/s: {sent}");
        assert_eq!(Rate::requests(5.0), Rate::default());
    }
}
