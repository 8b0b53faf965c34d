//! How often those look who look again and again: by the pace of the probes, which is quick while something fails or has just changed.
//!
//! What must not be here: how often that is. To each its own.

use tokio::sync::watch;

use crate::model::ProbePlan;

/// The pace of the probes.
#[derive(Debug)]
pub(super) struct Pace {
    plans: watch::Receiver<ProbePlan>,
    /// Whether it was quick when that was asked, and what was asked for then: what changes during a look is not missed.
    told: (bool, u64),
    /// Somebody may still plan.
    open: bool,
}

impl Pace {
    /// By these plans.
    pub(super) fn new(plans: watch::Receiver<ProbePlan>) -> Self {
        Self { plans, told: (false, 0), open: true }
    }

    fn now(&mut self) -> (bool, u64) {
        let plan = self.plans.borrow_and_update();
        (plan.quick(), plan.asked)
    }

    /// Whether it is quick now.
    pub(super) fn quick(&mut self) -> bool {
        self.told = self.now();
        self.told.0
    }

    /// Waits until it is quick, where it was not when that was asked last: something begins to fail.
    pub(super) async fn quickens(&mut self) {
        self.until(|told, now| now.0 && !told.0).await;
    }

    /// The same, or until a round is asked for.
    pub(super) async fn hurried(&mut self) {
        self.until(|told, now| now.0 && !told.0 || now.1 != told.1).await;
    }

    async fn until(&mut self, enough: fn((bool, u64), (bool, u64)) -> bool) {
        while !enough(self.told, self.now()) {
            if !self.open {
                std::future::pending::<()>().await;
            }
            self.open = self.plans.changed().await.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_began_to_fail_during_a_look_is_not_missed() {
        let (plans, receiver) = watch::channel(ProbePlan { period_ms: ProbePlan::CALM_MS, ..ProbePlan::default() });
        let mut pace = Pace::new(receiver);
        assert!(!pace.quick() && pace.quickens().now_or_never().is_none() && pace.hurried().now_or_never().is_none());
        plans.send_modify(|plan| plan.asked += 1);
        assert!(pace.quickens().now_or_never().is_none() && pace.hurried().now_or_never().is_some());
        plans.send_modify(|plan| plan.period_ms = 2_000);
        assert!(pace.quickens().now_or_never().is_some());
        assert!(pace.quick() && pace.quickens().now_or_never().is_none() && pace.hurried().now_or_never().is_none());
        drop(plans);
        assert!(pace.hurried().now_or_never().is_none(), "nobody plans any more");
    }
}
