//! How often each probe is made before one pass has its verdict: a share needs more than an anecdote, and a host that is in
//! trouble no more than that.

use super::State;
use crate::{
    diagnose::{self, ProbeHistory, ProbeResult, failed},
    model::{Confidence, Outcome, ProbeJob, Subject},
};

/// How long the line about a failing request may take from the gateway's answer to here, in milliseconds: a batch of lines
/// waits up to 100 ms for more.
const LOG_LAG_MS: u64 = 150;
/// How often an upstream is tried when it may be restarting: with the rounds of `check`, a second, in which a supervisor has
/// started it again.
const UNSETTLED: u64 = 10;
/// How often something is tried of which some tries fail and some do not: a share of a fifth is seen with 90 %.
const MIXED: u64 = 10;
/// How often something is tried that is served, where a log tells of failures that nothing explains.
const DOUBTED: u64 = 10;
/// The same where another failure of others' requests decides: they come twice a second where few do.
const ALMOST_TOLD: u64 = 20;
/// How often a request is tried that is served, where a server behind it fails: each of three has its turn twice.
const PARTIAL: u64 = 6;
/// Requests of a plan from which on each one that is served is made once: the rate does not suffice for more without a wait.
const MANY: usize = 10;
/// Probes of a plan from which on a server that is only connected to is tried once.
const POOL: usize = 40;
/// No more tries are wanted for a share after so many milliseconds of the run: the rate is bounded, and so is patience.
const SHARE_MS: u64 = 2_500;
/// How long one pass waits for what clients see of names that nobody asked for, in milliseconds since the first plan: they may not
/// even resolve here.
const CLIENT_MS: u64 = 600;
/// The same for the request in other shapes: where that matters, the first shape fails, and more is waited for anyhow.
const SHAPES_MS: u64 = 300;
/// The same for the certificate of the gateway's own listener: it is here, and shows it at once unless the host is in trouble.
const EDGE_MS: u64 = 2_000;
/// How long a probe is repeated, in milliseconds: a person has called it an outage by then.
const SPENT_MS: f64 = 1_500.0;
/// A failure that took so many milliseconds is no chance: another try would cost a person more than it tells.
const SLOW_MS: f64 = 1_000.0;

/// Whether a job has the results that a verdict needs.
pub fn enough(state: &State, job: &ProbeJob) -> bool {
    with_results(state, job, true)
}

/// Whether a job has been made as often as a verdict needs, though its last result may not have been told in the logs yet.
pub fn made(state: &State, job: &ProbeJob) -> bool {
    with_results(state, job, false)
}

fn with_results(state: &State, job: &ProbeJob, told: bool) -> bool {
    // Another view of the same is worth a moment, and no more.
    let patience = match job.probe.as_str() {
        "client" => CLIENT_MS,
        "edge-tls" => EDGE_MS,
        _ => SHAPES_MS,
    };
    let planned = state.planned_ms.unwrap_or(state.now.run_ms);
    if told && job.every_ms.is_some() && state.now.run_ms.saturating_sub(planned) > patience {
        return true;
    }
    let off = state.scene.run.as_ref().is_some_and(|run| !run.probing);
    state.scene.history(job).is_some_and(|history| {
        // What is not made at all is said once, and nothing more comes of it.
        if off && matches!(history.last.outcome, Outcome::Skipped(_)) {
            return true;
        }
        let fails = history.results.iter().any(|result| failed(&result.outcome));
        let wanted = wanted(state, history, fails);
        // What takes seconds, each time anew, is no accident after the first of them.
        let mut spent = 0.0;
        let slow = history.results.iter().position(|result| {
            spent += result.ms;
            spent >= SPENT_MS
        });
        let wanted = slow.map_or(wanted, |slow| wanted.min(slow as u64 + 1));
        // What the gateway writes about our request is told a moment after its answer.
        let lag = if told && fails && job.probe == "gateway" { LOG_LAG_MS } else { 0 };
        let since = |result: &ProbeResult| state.now.run_ms.saturating_sub(result.at.run_ms);
        let last_wanted = usize::try_from(wanted - 1).ok().and_then(|index| history.results.get(index));
        last_wanted.is_some_and(|result| since(result) >= lag) || history.tries > diagnose::PROBE_RESULTS as u64
    })
}

fn wanted(state: &State, history: &ProbeHistory, fails: bool) -> u64 {
    let job = &history.last.job;
    let named = |id: &str| state.assessment.causes.iter().any(|cause| cause.id == id);
    let probe = job.probe.as_str();
    if fails && history.results.iter().any(|result| failed(&result.outcome) && result.ms >= SLOW_MS) {
        return 1;
    }
    // It is not made again while one pass waits.
    if job.every_ms.is_some() {
        return 1;
    }
    // It has asked to be left alone for longer than one pass waits.
    if history.last.retry_after_s.is_some_and(|seconds| seconds > 0) {
        return 1;
    }
    // Dead, or dying again and again? Only more looks tell.
    if probe == "upstream" && named("upstream-crashing") && (named("upstream-down") || named("upstream-socket-missing")) {
        return UNSETTLED;
    }
    // That only used connections break is said only where enough new ones were tried.
    if probe == "upstream" && !fails && named("keepalive-race") {
        return DOUBTED;
    }
    // What a client sees needs more than one look, and more of them when it fails; what only explains it is looked at once
    // more to see whether it holds.
    let base = match (probe, fails) {
        // One of many of a pool: the share that is wanted is that of the pool.
        ("upstream", true) if job.request.is_none() && state.plan.jobs.len() > POOL => 1,
        ("gateway", true) => 3,
        ("gateway", false) if state.plan.jobs.iter().filter(|job| job.request.is_some()).count() > MANY => 1,
        ("gateway", false) | ("upstream" | "client", true) => 2,
        _ => 1,
    };
    if state.now.run_ms > SHARE_MS {
        return base;
    }
    if fails && history.results.iter().any(|result| !failed(&result.outcome)) {
        return MIXED;
    }
    if probe != "gateway" && probe != "upstream" {
        return base;
    }
    // Which server has its turn is chance: of a pool of which some serve, all tries may have met another.
    if !fails && behind(state, &job.upstreams, true) || fails && behind(state, &job.upstreams, false) {
        return PARTIAL;
    }
    // What fails without a cause, or is told to, is tried again: chance may have hidden it from the probe that would tell.
    let explained = state.assessment.causes.iter().any(|cause| cause.confidence >= Confidence::Likely);
    let failing = || state.scene.probes_of("gateway").any(|other| other.results.iter().any(|result| failed(&result.outcome)));
    let told = || diagnose::told_to_fail(&state.scene) || diagnose::may_go_on(&state.scene);
    match !explained && (failing() || told()) {
        true if probe == "gateway" && diagnose::one_more_tells(&state.scene) => ALMOST_TOLD,
        true => DOUBTED,
        false => base,
    }
}

/// Whether one of several servers fails, or serves: how many requests it breaks is what is asked then.
fn behind(state: &State, upstreams: &[Subject], fails: bool) -> bool {
    let so = |upstream: &Subject| {
        let mut of = state.scene.probes_about("upstream", upstream);
        of.any(|history| history.results.back().is_some_and(|result| failed(&result.outcome) == fails))
    };
    upstreams.len() > 1 && upstreams.iter().any(so)
}
