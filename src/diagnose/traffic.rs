//! How many requests the gateway answers and how many of them fail, over hours: what an outage is compared with.

use std::collections::BTreeMap;

/// Seconds that one cell counts.
pub const CELL_S: i64 = 10;
/// Cells that are kept: six hours.
const CELLS: usize = 2_160;
/// Seconds that count as now.
const NOW_S: i64 = 60;
/// Seconds before an outage that count as what is usual.
const USUAL_S: i64 = 15 * 60;
/// Seconds below which nothing can be said about what is usual.
const USUAL_LEAST_S: i64 = 60;

/// Requests by when they were answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// All requests, and those answered with 5xx, by the number of the cell since the Unix epoch.
    cells: BTreeMap<i64, (u64, u64)>,
}

/// Requests over a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// How many.
    pub requests: u64,
    /// Those that were answered with 5xx.
    pub failed: u64,
    /// Over so many seconds.
    pub seconds: i64,
}

impl Flow {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds.max(1) as f64
    }

    /// Failed requests per second.
    pub fn failed_rate(&self) -> f64 {
        self.failed as f64 / self.seconds.max(1) as f64
    }

    /// The share that failed. `None`: there was no request.
    pub fn share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failed as f64 / self.requests as f64)
    }
}

impl Traffic {
    /// Counts requests that were answered with this status.
    pub fn take(&mut self, second: i64, status: u16, count: u64) {
        let (requests, failed) = self.cells.entry(second.div_euclid(CELL_S)).or_default();
        *requests = requests.saturating_add(count);
        if (500..600).contains(&status) {
            *failed = failed.saturating_add(count);
        }
        if self.cells.len() > CELLS {
            self.cells.pop_first();
        }
    }

    /// Those up to this second.
    pub fn until(&self, second: i64) -> Self {
        Self { cells: self.cells.range(..=second.div_euclid(CELL_S)).map(|(cell, count)| (*cell, *count)).collect() }
    }

    /// Requests from one cell up to another, the second one not included.
    fn between(&self, from: i64, to: i64) -> Flow {
        let from = from.max(self.cells.keys().next().copied().unwrap_or(to)).min(to);
        let mut flow = Flow { seconds: (to - from).max(0) * CELL_S, ..Flow::default() };
        for (requests, failed) in self.cells.range(from..to).map(|(_, cell)| cell) {
            flow.requests = flow.requests.saturating_add(*requests);
            flow.failed = flow.failed.saturating_add(*failed);
        }
        flow
    }

    /// Requests of the last minute, by whole cells, of an outage that began within it since then. `None`: nothing is known of it.
    pub fn now(&self, now: i64, since: Option<i64>) -> Option<Flow> {
        let cell = now.div_euclid(CELL_S);
        let begun = since.filter(|since| *since <= now).map_or(i64::MIN, |since| since.div_euclid(CELL_S).saturating_add(1));
        let flow = self.between((cell - NOW_S / CELL_S).max(begun), cell);
        // At first nothing but the cell that is not over yet is known.
        let flow = if flow.seconds == 0 { self.between(cell, cell + 1) } else { flow };
        (flow.seconds > 0).then_some(flow)
    }

    /// Requests of the quarter of an hour before this second. `None`: too little of it is known.
    pub fn before(&self, second: i64) -> Option<Flow> {
        let cell = second.div_euclid(CELL_S);
        let flow = self.between(cell - USUAL_S / CELL_S, cell);
        (flow.seconds >= USUAL_LEAST_S).then_some(flow)
    }

    /// Requests of the minute before this second, and of the quarter of an hour before that minute. `None`: too little is known.
    pub fn rise(&self, second: i64) -> Option<(Flow, Flow)> {
        let cell = second.div_euclid(CELL_S);
        let minute = cell.saturating_sub(NOW_S / CELL_S);
        let usual = self.between(minute.saturating_sub(USUAL_S / CELL_S), minute);
        (usual.seconds >= USUAL_LEAST_S).then(|| (self.between(minute, cell), usual))
    }

    /// The last second of the cells before the one of this second in which a request was served. `None`: none was, as far as is known.
    pub fn served_before(&self, second: i64) -> Option<i64> {
        let cells = self.cells.range(..second.div_euclid(CELL_S)).rev();
        cells
            .into_iter()
            .find(|(_, (requests, failed))| requests > failed)
            .map(|(cell, _)| cell.saturating_mul(CELL_S) + CELL_S - 1)
    }

    /// Failed requests, counted by steps of so many seconds that end with the one in which `now` is, oldest first.
    pub fn failed(&self, now: i64, steps: usize, step_s: i64) -> Vec<u64> {
        let mut counts = vec![0_u64; steps];
        let last = now.div_euclid(step_s);
        for (cell, (_, failed)) in self.cells.iter().rev() {
            let back = last.saturating_sub(cell.saturating_mul(CELL_S).div_euclid(step_s));
            if let Some(at) = usize::try_from(back).ok().and_then(|back| steps.checked_sub(1)?.checked_sub(back)) {
                counts[at] = counts[at].saturating_add(*failed);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_and_now_are_told_apart() {
        let mut traffic = Traffic::default();
        for second in 1_000..1_600 {
            traffic.take(second, 200, 20);
        }
        for second in 1_600..1_700 {
            traffic.take(second, 502, 5);
            traffic.take(second, 404, 5);
        }
        let before = traffic.before(1_605).expect("ten minutes are known");
        assert_eq!((before.requests, before.failed, before.seconds), (12_000, 0, 600));
        let now = traffic.now(1_699, None).expect("it is known");
        assert_eq!((now.requests, now.failed, now.seconds), (600, 300, 60));
        assert_eq!((now.rate(), now.failed_rate(), now.share()), (10.0, 5.0, Some(0.5)));
        let outage = traffic.now(1_629, Some(1_605)).expect("it is known");
        assert_eq!(
            (outage.requests, outage.failed, outage.seconds),
            (100, 50, 10),
            "of the minute only what is part of the outage"
        );
        assert_eq!(traffic.failed(1_699, 4, 50), [0, 0, 250, 250]);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let mut traffic = Traffic::default();
        assert_eq!((traffic.now(5_000, None), traffic.before(5_000)), (None, None));
        traffic.take(5_000, 502, 3);
        assert_eq!(traffic.now(5_004, Some(5_000)).map(|flow| flow.requests), Some(3));
        assert_eq!(traffic.before(5_001), None, "the outage is as old as what is known");
    }

    #[test]
    fn any_stamp_is_bounded() {
        let mut traffic = Traffic::default();
        for second in [i64::MIN, i64::MAX, 0, -1] {
            traffic.take(second, 500, u64::MAX);
            traffic.take(second, 500, u64::MAX);
        }
        for second in 0..1_000_000 {
            traffic.take(second * CELL_S, 200, 1);
        }
        assert!(traffic.cells.len() <= CELLS);
        for now in [0, 9_999_990, i64::MAX] {
            traffic.now(now, Some(i64::MIN));
            traffic.now(now, Some(now));
            traffic.before(now);
        }
        traffic.failed(0, 10, 60);
    }
}
