//! `update`: one message in, the new state and what is to be done out.

use super::{Effect, Event, Msg, State, act::act, plan, sources, told, tries};
use crate::{
    diagnose::{assess, edited_since_load},
    model::{Gateway, Observation, ProbePlan, Stage, Verdict},
};

/// How long the plan waits for the logs' ends, in milliseconds of the run: they name the requests that fail, but may hang.
const LOGS_MS: u64 = 500;

/// How old the conclusions from the load of a host on which all is well may be, in milliseconds: of a round of its probes. They cost more than
/// all else that such a host has to bear for us.
const LAG_MS: u64 = 10_000;

/// Takes one message in.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    state.now = state.now.max(event.at);
    match event.msg {
        Msg::Observed(observation) => {
            // Only these change what is to be probed at once; the rest waits for the tick that follows.
            let urgent = matches!(
                observation,
                Observation::Gateways(_) | Observation::Listeners(_) | Observation::Sources(_) | Observation::Done(_)
            );
            if let Some(mask) = &state.options.mask {
                mask.learn_from(&observation);
            }
            // Of a host on which all is well; the panes show it at once all the same.
            let can_wait = matches!(observation, Observation::Load(_) | Observation::Services(_))
                && state.assessment.verdict == Verdict::Ok
                && !state.options.limits.one_pass;
            state.scene.observe(event.at, observation);
            if can_wait {
                state.lags = true;
            } else {
                state.stale = true;
            }
            if urgent { adapt(state) } else { Vec::new() }
        }
        Msg::Catalog(catalog) => {
            state.catalog = Some(catalog);
            reassess(state)
        }
        Msg::Tick => {
            state.scene.now = state.scene.now.max(event.at);
            let waited = state.now.run_ms.saturating_sub(state.assessed_ms) >= LAG_MS;
            if state.stale || state.lags && waited { reassess(state) } else { Vec::new() }
        }
        Msg::Told(answer) => {
            told::take(state, answer);
            Vec::new()
        }
        Msg::Act(action) => act(state, action),
    }
}

/// Draws the conclusions, and adapts what is probed and followed.
pub(super) fn reassess(state: &mut State) -> Vec<Effect> {
    let effects = adapt(state);
    if let Some(catalog) = state.catalog.clone() {
        (state.stale, state.lags, state.assessed_ms) = (false, false, state.now.run_ms);
        state.assessment = assess(&state.scene, &catalog);
    }
    effects
}

/// Adapts what is probed and followed to what was seen. The conclusions are drawn when somebody looks, with the tick: that takes
/// longer, and at the start these messages come by the dozen.
fn adapt(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    effects.extend(find(state));
    let logs = sources::logs(&state.scene);
    if logs != state.following && state.scene.done.contains(&Stage::Gateways) || state.following.is_empty() && !logs.is_empty() {
        state.following.clone_from(&logs);
        // What was said of no logs at all does not hold for these.
        state.scene.done.remove(&Stage::Logs);
        effects.push(Effect::Follow(logs));
    }
    let Some(catalog) = state.catalog.clone() else { return effects };
    state.scene.classify(&catalog);
    // Without the listeners no candidate can be told from a stranger, so the plan waits for these looks.
    let seen = |stage: Stage| state.scene.done.contains(&stage);
    let logs = seen(Stage::Logs) || state.now.run_ms > LOGS_MS;
    if seen(Stage::Gateways) && seen(Stage::Listeners) && logs {
        let mut plan = plan::plan(&state.scene, &state.options, &catalog);
        plan::keep_patience(&mut plan, &state.plan);
        let loaded = !state.scene.gateways.iter().any(|gateway| edited_since_load(gateway).is_some());
        state.scene.probes.supersede(&plan.jobs, loaded);
        if plan.jobs != state.plan.jobs || plan.period_ms != state.plan.period_ms || state.plan.number == 0 {
            // All is served again: what is asked for seldom must not show the outage for half a minute more.
            let calm = state.plan.number > 0 && plan.period_ms > state.plan.period_ms;
            (plan.number, plan.asked) = (state.plan.number + 1, state.plan.asked + u64::from(calm));
            state.plan = plan;
            state.planned_ms.get_or_insert(state.now.run_ms);
        }
        let wanted = wanted(state);
        if state.probing.as_ref() != Some(&wanted) {
            state.probing = Some(wanted.clone());
            effects.push(Effect::Probe(wanted));
        }
    }
    effects
}

/// What of the plan is to be made from now on. Where one pass is all, what was made often enough is not made again: the host
/// is in trouble, and the rate is there for what is still open.
pub(super) fn wanted(state: &State) -> ProbePlan {
    let mut plan = state.plan.clone();
    if state.paused {
        plan.jobs.clear();
    }
    if state.options.limits.one_pass {
        plan.jobs.retain(|job| !tries::made(state, job));
    }
    plan.cut = plan::hopeless(&state.scene, &plan.jobs);
    plan
}

/// What logs are looked for by, and whose journal is read, where that has changed.
fn find(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    let seen = |state: &State, stage: Stage| state.scene.done.contains(&stage);
    if !(seen(state, Stage::Gateways) && seen(state, Stage::Listeners)) {
        return effects;
    }
    // A large configuration takes its time to go through, and few messages change it.
    let changed = state.wished != Some(state.scene.layout);
    state.wished = Some(state.scene.layout);
    let wish = changed.then(|| sources::wish(&state.scene, &state.options));
    if let Some(wish) = wish.filter(|wish| state.wish.as_ref() != Some(wish)) {
        state.wish = Some(wish.clone());
        for stage in [Stage::Sources, Stage::Workers, Stage::Changes, Stage::Life] {
            state.scene.done.remove(&stage);
        }
        effects.push(Effect::Find(wish));
    }
    let units = sources::units(&state.scene);
    if seen(state, Stage::Sources) && state.units.as_ref() != Some(&units) {
        state.units = Some(units.clone());
        state.scene.done.remove(&Stage::Journal);
        effects.push(Effect::Journal(units));
    }
    effects
}

/// Whether everything was looked at once, so that a verdict can be given. By the conclusions that were drawn last.
pub fn first_pass_complete(state: &State) -> bool {
    let done = |stage: &Stage| state.scene.done.contains(stage);
    if state.catalog.is_none() || ![Stage::Gateways, Stage::Listeners, Stage::Logs, Stage::Load].iter().all(done) {
        return false;
    }
    // Why a gateway does not run is what its test says.
    let patience = if state.scene.gateways.iter().all(Gateway::running) { CONFIG_TEST_MS } else { CONFIG_TEST_DOWN_MS };
    if !done(&Stage::ConfigTest) && state.now.run_ms < patience {
        return false;
    }
    // A recording of a version that did not look for logs has none of these.
    let found = done(&Stage::Sources) && done(&Stage::Journal);
    if !found && state.now.run_ms < SOURCES_MS {
        return false;
    }
    let asked = done(&Stage::Changes) && done(&Stage::Life);
    if !asked && state.now.run_ms < CHANGES_MS {
        return false;
    }
    if !done(&Stage::Workers) && state.now.run_ms < WORKERS_MS {
        return false;
    }
    // What fails may fail for want of what only two looks tell.
    let failing = state.assessment.symptom.share.is_some_and(|share| share > 0.0);
    if failing && !done(&Stage::Services) && state.now.run_ms < SERVICES_MS {
        return false;
    }
    state.plan.number > 0 && state.plan.jobs.iter().all(|job| tries::enough(state, job))
}

/// How long a first pass waits for the gateways' own tests, in milliseconds of the run: they load every file and certificate,
/// and what they find is seldom the cause.
const CONFIG_TEST_MS: u64 = 1_000;
/// The same where a gateway does not run.
const CONFIG_TEST_DOWN_MS: u64 = 5_000;

/// How long a first pass waits for the logs that are found by what runs, in milliseconds of the run.
const SOURCES_MS: u64 = 2_000;

/// How long a first pass waits for what was changed and for the managers of services, in milliseconds of the run.
const CHANGES_MS: u64 = 1_000;
/// How long a first pass waits for what application servers say of their workers, in milliseconds of the run: one whose workers are
/// all busy may not answer at all.
const WORKERS_MS: u64 = 1_500;
/// How long a first pass waits for the second look at the services, in milliseconds of the run, where something fails.
const SERVICES_MS: u64 = 1_500;
