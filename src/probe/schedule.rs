//! When probes are made: each job on its own period, none waiting for another, none overlapping itself, all within [`Rate`].

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use super::pace::Rate;
use super::{
    by_id, make,
    pace::Pace,
    patience::{LEAST, until_cut},
    report as report_of,
};
use crate::{
    model::{Observation, Order as _, Outcome, ProbeJob, ProbePlan, ProbeReport, Stage, Subject},
    sys::{Outbox, Sys},
};

/// How much longer than its own deadline a probe may take before it is given up: looks at other protocols, a child's start.
const GRACE: Duration = Duration::from_secs(3);
/// The shortest period: below it probes would be a load.
const PERIOD_MS: u64 = 100;
/// Longest sleep: nothing is due then, but a clock that jumps must not stop us for good.
const IDLE_MS: u64 = 3_600_000;

/// What is no short pause any more, in milliseconds.
const LONG_MS: u64 = 500;

/// A server that fails is tried so many times as often as one that is well, where that is seldom.
const FAILING_SHARE: u64 = 6;

/// Where one job stands.
#[derive(Debug)]
struct Job {
    what: Arc<ProbeJob>,
    /// Results since it was first planned.
    reports: u32,
    /// When it is due, in milliseconds of the run.
    due_ms: u64,
    /// When it was begun last, in milliseconds of the run.
    began_ms: u64,
    running: bool,
    /// Told that it is not made: saying it once is enough.
    skipped: bool,
    /// Its last result.
    last: Option<Outcome>,
    /// Ends the one under way.
    end: CancellationToken,
}

impl Job {
    /// Milliseconds from one begin to the next in rounds of this period.
    fn every_ms(&self, period_ms: u64) -> u64 {
        let every = at_least_ms(period_ms, &self.what);
        // One of the many servers of a pool that are tried seldom: whether it is back is asked more often.
        if self.failing() && self.what.probe == "upstream" { (every / FAILING_SHARE).max(period_ms) } else { every }
    }

    /// Whether its last result was no service.
    fn failing(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.serves() == Some(false))
    }

    /// Its place in the queue, least first: what fails is looked at twice as often where the rate does not suffice for all.
    fn turn(&self) -> (u32, u64) {
        (if self.failing() { self.reports / 2 } else { self.reports }, self.due_ms)
    }

    /// The round of which it has reported. What is made less often than rounds come holds none of them up.
    fn round(&self, period_ms: u64) -> u32 {
        let seldom = self.what.every_ms.is_some() || self.reports > 0 && self.every_ms(period_ms) > period_ms;
        if seldom { u32::MAX } else { self.reports }
    }
}

/// Milliseconds that an upstream took which is left alone for as long again: it has enough to do.
const SLOW_MS: f64 = 1_000.0;
/// Milliseconds that it is left alone for, at most.
const REST_MS: f64 = 60_000.0;
/// Periods that one is left alone for which says that it has enough: 429 or 503, or a full accept queue.
const REFUSED_PERIODS: u64 = 3;

/// Milliseconds that one is left alone for which asks for it (`Retry-After`), at most: a person who watches wants to see it mended.
const ASKED_MS: u64 = 600_000;

/// Milliseconds from the end of a probe to the next begin, at least: what suffers is asked less often.
fn back_off_ms(report: &ProbeReport, period_ms: u64) -> u64 {
    let took = report.phases.total;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 60,000")]
    let slow = if took >= SLOW_MS { took.min(REST_MS) as u64 } else { 0 };
    let slow = slow.max(report.retry_after_s.unwrap_or(0).saturating_mul(1_000).min(ASKED_MS));
    match report.outcome {
        Outcome::Status(429 | 503) | Outcome::QueueFull => slow.max(period_ms.saturating_mul(REFUSED_PERIODS)),
        _ => slow,
    }
}

/// Makes the probes of the current plan until cancelled, or until nobody plans or listens any more.
///
/// `others`: how many others on this host send as much.
pub async fn run(
    rate: Rate,
    sys: Sys,
    mut plans: watch::Receiver<ProbePlan>,
    mut others: watch::Receiver<u8>,
    outbox: Outbox,
    cancel: CancellationToken,
) {
    let first = plans.borrow_and_update().clone();
    let mut schedule = Schedule::new(rate, sys.clone());
    schedule.replan(first);
    schedule.pace.share(*others.borrow_and_update());
    let mut running: JoinSet<ProbeReport> = JoinSet::new();
    let mut jobs: HashMap<tokio::task::Id, Arc<ProbeJob>> = HashMap::new();
    loop {
        for skipped in schedule.skip_due() {
            if !outbox.tell(Observation::Probe(Box::new(skipped))).await {
                return;
            }
        }
        if let Some(done) = schedule.round_done() {
            let first = matches!(done, Stage::Probes { round: ..=1, .. });
            if !outbox.pass(Observation::Done(done), first).await {
                return;
            }
        }
        let (ready, wait_ms) = schedule.ready();
        for (job, end) in ready {
            let sys = sys.clone();
            let (started, served) = (Arc::clone(&job), Arc::clone(&schedule.served));
            let task = running.spawn(async move { until_cut(end, served, &started, bounded(&sys, &started)).await });
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
            Ok(()) = others.changed() => schedule.pace.share(*others.borrow_and_update()),
            Some(ended) = running.join_next_with_id() => {
                let (id, report) = match ended {
                    Ok((id, report)) => (id, Some(report)),
                    Err(error) => (error.id(), None),
                };
                let Some(job) = jobs.remove(&id) else { continue };
                // A panic is our own fault, and no reason to leave the job without an outcome.
                let report = report.unwrap_or_else(|| report_of(&job, Outcome::Skipped("the probe itself broke".to_owned())));
                if let Some(ended) = schedule.ended(&report)
                    && !outbox.pass(Observation::Probe(Box::new(report)), ended == Ended::Otherwise).await
                {
                    return;
                }
            }
            () = schedule.wait(wait_ms) => {}
        }
    }
}

/// Milliseconds from the begin of one job to the begin of the next: the plan's, or what the job or its probe wants at least.
fn at_least_ms(plan_ms: u64, job: &ProbeJob) -> u64 {
    let rest = by_id(&job.probe).map_or(0, super::Probe::rest_ms);
    plan_ms.max(rest).max(job.every_ms.unwrap_or(0))
}

/// A probe that cannot outlive its deadline by more than [`GRACE`].
async fn bounded(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let limit = Duration::from_millis(job.total_ms) + GRACE;
    let made = tokio::time::timeout(limit, make(sys, job)).await;
    made.unwrap_or_else(|_| {
        report_of(job, Outcome::Skipped(format!("the probe itself did not end within {} ms", limit.as_millis())))
    })
}

/// What a probe that ended tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// What the one before told.
    AsBefore,
    /// Something else, or it is the first.
    Otherwise,
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
    /// Subjects of which the plan says that no answer will come.
    hopeless: HashSet<Subject>,
    /// Whether users are known to be served.
    served: Arc<AtomicBool>,
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
            hopeless: HashSet::new(),
            served: Arc::default(),
            told: 0,
            empty_due_ms: 0,
        }
    }

    fn now_ms(&self) -> u64 {
        self.sys.clock.now().run_ms
    }

    /// Lets so much time pass; where it is much, a little more, so that what is due in one moment is woken for once.
    async fn wait(&self, ms: u64) {
        let clock = self.sys.clock;
        let until = if ms < LONG_MS { clock.after(Duration::from_millis(ms)) } else { clock.about(ms) };
        tokio::time::sleep_until(until).await;
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
        self.hopeless = plan.cut.into_iter().collect();
        self.served.store(plan.served, Ordering::Relaxed);
        for wanted in plan.jobs {
            // The same job twice is one job.
            if !seen.insert(wanted.clone()) {
                continue;
            }
            let kept = before.remove(&wanted).map(|mut job| {
                job.due_ms = if again { now } else { job.due_ms.min(now + job.every_ms(self.period_ms)) };
                job
            });
            let fresh = || {
                let running = self.leaving.remove(&wanted);
                let end = CancellationToken::new();
                let what = Arc::new(wanted);
                Job { what, reports: 0, due_ms: now, began_ms: now, running, skipped: false, last: None, end }
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

    /// Ends what is under way without hope, and tells how long until the next of these ends, in milliseconds.
    fn end_hopeless(&self) -> Option<u64> {
        let now = self.now_ms();
        let hopeless =
            self.jobs.iter().filter(|job| job.running && self.hopeless.contains(&job.what.subject) && !job.end.is_cancelled());
        let left = hopeless.filter_map(|job| {
            let left = (job.began_ms + u64::try_from(LEAST.as_millis()).unwrap_or(u64::MAX)).saturating_sub(now);
            if left == 0 {
                job.end.cancel();
            }
            (left > 0).then_some(left)
        });
        left.min()
    }

    /// The jobs that start now with what ends them early, and how long to sleep then. Those with the fewest results first, so that a new job of a
    /// large plan does not wait behind repetitions; what fails before the rest.
    fn ready(&mut self) -> (Vec<(Arc<ProbeJob>, CancellationToken)>, u64) {
        let now = self.now_ms();
        let mut order: Vec<usize> = (0..self.jobs.len()).filter(|index| !self.jobs[*index].running).collect();
        order.order_by_key(|index| self.jobs[*index].turn());
        let mut wait = if self.jobs.is_empty() { self.empty_due_ms.saturating_sub(now).max(1) } else { IDLE_MS };
        let mut ready = Vec::new();
        for index in order {
            let job = &mut self.jobs[index];
            if job.due_ms > now {
                wait = wait.min(job.due_ms - now);
                continue;
            }
            let probe = by_id(&job.what.probe);
            let request = probe.is_some_and(|probe| probe.sends_request(&job.what));
            let bare = probe.map_or(1, super::Probe::connects);
            if let Err(ms) = self.pace.take(request, bare, &job.what.address.to_string(), now) {
                wait = wait.min(ms.max(1));
                continue;
            }
            job.running = true;
            job.began_ms = now;
            job.due_ms = now + job.every_ms(self.period_ms);
            job.end = CancellationToken::new();
            ready.push((Arc::clone(&job.what), job.end.clone()));
        }
        // What has just begun may be of these, too.
        let wait = self.end_hopeless().map_or(wait, |left| wait.min(left));
        (ready, wait)
    }

    /// A probe has ended. `None`: nobody wants its report any more. What began under an earlier plan holds as well, if the job
    /// is still planned.
    fn ended(&mut self, report: &ProbeReport) -> Option<Ended> {
        self.leaving.remove(&report.job);
        let now = self.now_ms();
        let job = self.jobs.iter_mut().find(|job| *job.what == report.job)?;
        job.running = false;
        job.reports = job.reports.saturating_add(1);
        let as_before = job.last.as_ref() == Some(&report.outcome);
        job.last = Some(report.outcome.clone());
        let period = job.every_ms(self.period_ms);
        job.due_ms = job.due_ms.min(job.began_ms + period);
        // A measurement that only listens is no load.
        if report.job.probe != "keepalive" {
            job.due_ms = job.due_ms.max(now.saturating_add(back_off_ms(report, period)));
        }
        // It was longer under way than a period: the next begin is that of a round, not at once.
        if job.due_ms <= now {
            job.due_ms += (now - job.due_ms) / period * period + period;
        }
        Some(if as_before { Ended::AsBefore } else { Ended::Otherwise })
    }

    /// The rounds of this plan that are complete now and were not told.
    fn round_done(&mut self) -> Option<Stage> {
        let now = self.now_ms();
        let round = match self.jobs.iter().map(|job| job.round(self.period_ms)).min() {
            // Only of such as are made less often than rounds come: one is complete.
            Some(u32::MAX) => self.told.max(1),
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
