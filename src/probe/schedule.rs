//! When probes are made: each job on its own period, none waiting for another, none overlapping itself, all within [`Rate`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use super::pace::Rate;
use super::{by_id, make, pace::Pace, report as report_of};
use crate::{
    model::{Observation, Outcome, ProbeJob, ProbePlan, ProbeReport, Stage},
    sys::{Outbox, Sys},
};

/// How much longer than its own deadline a probe may take before it is given up: looks at other protocols, a child's start.
const GRACE: Duration = Duration::from_secs(3);
/// The shortest period: below it probes would be a load.
const PERIOD_MS: u64 = 100;
/// Longest sleep: nothing is due then, but a clock that jumps must not stop us for good.
const IDLE_MS: u64 = 3_600_000;

/// Where one job stands.
#[derive(Debug)]
struct Job {
    what: Arc<ProbeJob>,
    /// Results since it was first planned.
    reports: u32,
    /// When it is due, in milliseconds of the run.
    due_ms: u64,
    running: bool,
    /// Told that it is not made: saying it once is enough.
    skipped: bool,
}

/// Makes the probes of the current plan until cancelled, or until nobody plans or listens any more.
pub async fn run(rate: Rate, sys: Sys, mut plans: watch::Receiver<ProbePlan>, outbox: Outbox, cancel: CancellationToken) {
    let first = plans.borrow_and_update().clone();
    let mut schedule = Schedule::new(rate, sys.clone());
    schedule.replan(first);
    let mut running: JoinSet<ProbeReport> = JoinSet::new();
    let mut jobs: HashMap<tokio::task::Id, Arc<ProbeJob>> = HashMap::new();
    loop {
        for skipped in schedule.skip_due() {
            if !outbox.tell(Observation::Probe(Box::new(skipped))).await {
                return;
            }
        }
        if let Some(done) = schedule.round_done()
            && !outbox.tell(Observation::Done(done)).await
        {
            return;
        }
        let (ready, wait_ms) = schedule.ready();
        for job in ready {
            let sys = sys.clone();
            let started = Arc::clone(&job);
            let task = running.spawn(async move { bounded(&sys, &started).await });
            jobs.insert(task.id(), job);
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
                let plan = plans.borrow_and_update().clone();
                schedule.replan(plan);
            }
            Some(ended) = running.join_next_with_id() => {
                let (id, report) = match ended {
                    Ok((id, report)) => (id, Some(report)),
                    Err(error) => (error.id(), None),
                };
                let Some(job) = jobs.remove(&id) else { continue };
                // A panic is our own fault, and no reason to leave the job without an outcome.
                let report = report.unwrap_or_else(|| report_of(&job, Outcome::Skipped("the probe itself broke".to_owned())));
                if schedule.ended(&report)
                    && !outbox.tell(Observation::Probe(Box::new(report))).await
                {
                    return;
                }
            }
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
    }
}

/// A probe that cannot outlive its deadline by more than [`GRACE`].
async fn bounded(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let limit = Duration::from_millis(job.total_ms) + GRACE;
    let made = tokio::time::timeout(limit, make(sys, job)).await;
    made.unwrap_or_else(|_| {
        report_of(job, Outcome::Skipped(format!("the probe itself did not end within {} ms", limit.as_millis())))
    })
}

/// The state of all jobs; knows no tasks and sends nothing.
#[derive(Debug)]
struct Schedule {
    sys: Sys,
    pace: Pace,
    plan: u64,
    period_ms: u64,
    asked: u64,
    /// In the order of the plan.
    jobs: Vec<Job>,
    /// Jobs of earlier plans that still run: a job that comes back must not overlap itself.
    leaving: HashSet<Arc<ProbeJob>>,
    /// Rounds of this plan that were told.
    told: u32,
    /// When the next round of an empty plan is complete.
    empty_due_ms: u64,
}

impl Schedule {
    fn new(rate: Rate, sys: Sys) -> Self {
        let pace = Pace::new(rate);
        Self {
            sys,
            pace,
            plan: 0,
            period_ms: PERIOD_MS,
            asked: 0,
            jobs: Vec::new(),
            leaving: HashSet::new(),
            told: 0,
            empty_due_ms: 0,
        }
    }

    fn now_ms(&self) -> u64 {
        self.sys.clock.now().run_ms
    }

    /// Takes a new plan: jobs that both have keep their results and their pace, others are due now.
    fn replan(&mut self, plan: ProbePlan) {
        let now = self.now_ms();
        if self.plan != plan.number {
            (self.plan, self.told) = (plan.number, 0);
        }
        self.period_ms = plan.period_ms.max(PERIOD_MS);
        self.empty_due_ms = now;
        let again = std::mem::replace(&mut self.asked, plan.asked) != plan.asked;
        let mut before: HashMap<Arc<ProbeJob>, Job> = self.jobs.drain(..).map(|job| (Arc::clone(&job.what), job)).collect();
        let mut seen: HashSet<ProbeJob> = HashSet::new();
        for wanted in plan.jobs {
            // The same job twice is one job.
            if !seen.insert(wanted.clone()) {
                continue;
            }
            let kept = before.remove(&wanted).map(|mut job| {
                job.due_ms = if again { now } else { job.due_ms.min(now + self.period_ms) };
                job
            });
            let fresh = || {
                let running = self.leaving.remove(&wanted);
                Job { what: Arc::new(wanted), reports: 0, due_ms: now, running, skipped: false }
            };
            let job = kept.unwrap_or_else(fresh);
            self.jobs.push(job);
        }
        self.leaving.extend(before.into_values().filter(|job| job.running).map(|job| job.what));
    }

    /// Jobs that are due but not made, as probing is off. They count as reported in each round, and say so once.
    fn skip_due(&mut self) -> Vec<ProbeReport> {
        let now = self.now_ms();
        let (probing, period) = (self.sys.probing, self.period_ms);
        let mut out = Vec::new();
        for job in &mut self.jobs {
            let made = probing || by_id(&job.what.probe).is_some_and(super::Probe::only_reads);
            if made || job.due_ms > now {
                continue;
            }
            job.reports = job.reports.saturating_add(1);
            job.due_ms = now + period;
            if !job.skipped {
                job.skipped = true;
                out.push(report_of(&job.what, Outcome::Skipped("probing is off".to_owned())));
            }
        }
        out
    }

    /// The jobs that start now, and how long to sleep then. Those with the fewest results first, so that a new job of a
    /// large plan does not wait behind repetitions.
    fn ready(&mut self) -> (Vec<Arc<ProbeJob>>, u64) {
        let now = self.now_ms();
        let mut order: Vec<usize> = (0..self.jobs.len()).filter(|index| !self.jobs[*index].running).collect();
        order.sort_by_key(|index| (self.jobs[*index].reports, self.jobs[*index].due_ms));
        let mut wait = if self.jobs.is_empty() { self.empty_due_ms.saturating_sub(now).max(1) } else { IDLE_MS };
        let mut ready = Vec::new();
        for index in order {
            let job = &mut self.jobs[index];
            if job.due_ms > now {
                wait = wait.min(job.due_ms - now);
                continue;
            }
            let request = by_id(&job.what.probe).is_some_and(|probe| probe.sends_request(&job.what));
            if let Err(ms) = self.pace.take(request, &job.what.address.to_string(), now) {
                wait = wait.min(ms.max(1));
                continue;
            }
            job.running = true;
            job.due_ms = now + self.period_ms;
            ready.push(Arc::clone(&job.what));
        }
        (ready, wait)
    }

    /// A probe has ended: whether anybody still wants its report. What began under an earlier plan holds as well, if the job
    /// is still planned.
    fn ended(&mut self, report: &ProbeReport) -> bool {
        self.leaving.remove(&report.job);
        let now = self.now_ms();
        let period = self.period_ms;
        let Some(job) = self.jobs.iter_mut().find(|job| *job.what == report.job) else { return false };
        job.running = false;
        job.reports = job.reports.saturating_add(1);
        // It was longer under way than a period: the next begin is that of a round, not at once.
        if job.due_ms <= now {
            job.due_ms += (now - job.due_ms) / period * period + period;
        }
        true
    }

    /// The rounds of this plan that are complete now and were not told.
    fn round_done(&mut self) -> Option<Stage> {
        let now = self.now_ms();
        let round = match self.jobs.iter().map(|job| job.reports).min() {
            Some(round) => round,
            // Nothing is to be done: a round of it is complete at each period.
            None if now >= self.empty_due_ms => {
                self.empty_due_ms = now + self.period_ms;
                self.told.saturating_add(1)
            }
            None => self.told,
        };
        if round <= self.told {
            return None;
        }
        self.told = round;
        Some(Stage::Probes { plan: self.plan, round })
    }
}

#[cfg(test)]
mod tests;
