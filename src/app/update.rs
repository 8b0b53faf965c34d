//! `update`: one message in, the new state and what is to be done out.

use super::{Effect, Event, Msg, State, act::act, plan, sources, told, tries};
use crate::{
    diagnose::{self, assess, edited_since_load},
    model::{Gateway, Observation, ProbePlan, SourceKind, Stage, Verdict},
};

/// How long the plan waits for the logs' ends, in milliseconds of the run: they name the requests that fail, but may hang.
const LOGS_MS: u64 = 500;

/// How old the conclusions from the load of a host on which all is well may be, in milliseconds: of a round of its probes. They cost more than
/// all else that such a host has to bear for us.
const CALM_LAG_MS: u64 = 10_000;
/// The same of conclusions from logs, and from what goes on as it did: a line after a quiet second is concluded from at once, each of a flood
/// would cost more than its reading.
const LAG_MS: u64 = 1_000;

/// Takes one message in.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    state.now = state.now.max(event.at);
    match event.msg {
        Msg::Observed(late) if state.is_late(&late) => Vec::new(),
        Msg::Observed(observation) => {
            // Only these change what is to be probed at once; the rest waits for the tick that follows.
            let urgent = matches!(
                observation,
                Observation::Gateways(_)
                    | Observation::Listeners(_)
                    | Observation::Sources(_)
                    | Observation::Done(_)
                    | Observation::Answered { .. }
            );
            if let Some(mask) = &state.options.mask {
                mask.learn_from(&observation);
            }
            let lag = may_lag(state, &observation);
            state.scene.observe(event.at, observation);
            match lag {
                Some(lag) => state.lags = state.lags.into_iter().chain([state.assessed_ms.saturating_add(lag)]).min(),
                None => state.stale = true,
            }
            if urgent { adapt(state) } else { Vec::new() }
        }
        Msg::Catalog(catalog) => {
            state.catalog = Some(catalog);
            reassess(state)
        }
        Msg::Tick => {
            state.scene.now = state.scene.now.max(event.at);
            let due = state.lags.is_some_and(|by| by <= state.now.run_ms);
            if state.stale || due { reassess(state) } else { Vec::new() }
        }
        Msg::Told(answer) => {
            told::take(state, answer);
            Vec::new()
        }
        Msg::Act(action) => act(state, action),
    }
}

/// Whether an observation tells more than that everything goes on as it did.
pub fn is_news(state: &State, observation: &Observation) -> bool {
    match observation {
        Observation::Probe(report) => state.scene.history(&report.job).is_none_or(|known| known.last.outcome != report.outcome),
        Observation::Log(batch) => batch.lookback || batch.kind != SourceKind::Access || state.view.logs.lines,
        Observation::Load(_) => state.scene.loads.is_empty(),
        Observation::Services(_) => state.scene.services.is_empty(),
        Observation::Live(live) => state.scene.lives.iter().all(|known| !known.same_as(live)),
        Observation::Done(Stage::Probes { round, .. }) => *round <= 1,
        Observation::Done(stage) | Observation::Answered { stage, .. } => !state.scene.done.contains(stage),
        Observation::Run(_)
        | Observation::End
        | Observation::Operator(_)
        | Observation::Vantage(_)
        | Observation::Changes(_)
        | Observation::Life(_)
        | Observation::Upkeep(_)
        | Observation::Gateways(_)
        | Observation::Edited(_)
        | Observation::Workers(_)
        | Observation::Onset(_)
        | Observation::Listeners(_)
        | Observation::Sources(_)
        | Observation::Apps(_)
        | Observation::Blind(_)
        | Observation::Seen { .. }
        | Observation::Dropped { .. } => true,
    }
}

/// How old conclusions without this may be, in milliseconds. `None`: it is to be concluded from with the next frame. The panes show it at once
/// all the same.
fn may_lag(state: &State, observation: &Observation) -> Option<u64> {
    match observation {
        _ if state.options.limits.one_pass => None,
        Observation::Load(_) | Observation::Services(_) if state.assessment.verdict == Verdict::Ok => Some(CALM_LAG_MS),
        Observation::Log(batch) if !batch.lookback => Some(LAG_MS),
        _ if !is_news(state, observation) => Some(LAG_MS),
        _ => None,
    }
}

/// Draws the conclusions, and adapts what is probed and followed.
pub(super) fn reassess(state: &mut State) -> Vec<Effect> {
    let effects = adapt(state);
    if let Some(catalog) = state.catalog.clone() {
        (state.stale, state.lags, state.assessed_ms) = (false, None, state.now.run_ms);
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
        effects.push(Effect::Follow(state.ask(&[Stage::Logs], logs)));
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
    // A log may be read only when the first probes are under way.
    plan.served = plan.jobs.iter().any(|job| job.siblings.is_some()) && diagnose::told_to_serve(&state.scene);
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
        effects.push(Effect::Find(state.ask(&[Stage::Sources, Stage::Workers, Stage::Changes, Stage::Life], wish)));
    }
    let units = sources::units(&state.scene);
    if seen(state, Stage::Sources) && state.units.as_ref() != Some(&units) {
        state.units = Some(units.clone());
        effects.push(Effect::Journal(state.ask(&[Stage::Journal], units)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::Options,
        catalog::Catalog,
        diagnose,
        model::{FoundLog, ListenerTable, LogBatch, LogFormat, LogPlace, Stamp},
    };

    #[test]
    fn an_answer_to_the_question_before_is_none() {
        let mut state = State::new(Options::default(), "logs");
        let mut tell = |observation| {
            update(&mut state, Event { at: Stamp::default(), msg: Msg::Observed(observation) });
            state.scene.done.contains(&Stage::Logs)
        };
        let answer = |asked| Observation::Answered { stage: Stage::Logs, asked };
        let found = |path: &str| {
            let (place, kind, format) = (LogPlace::File(path.into()), SourceKind::App, LogFormat::Plain);
            Observation::Sources(vec![FoundLog { place, kind, format, why: String::new(), serves: Vec::new() }])
        };
        assert!(tell(answer(0)), "nothing was asked for");
        assert!(!tell(found("/var/log/app.log")), "this log has not been read");
        assert!(!tell(answer(0)), "told before anybody could know of the log, and heard after it");
        assert!(tell(answer(1)));
    }

    #[test]
    fn a_line_is_concluded_from_at_once_and_a_flood_once_a_second() {
        let mut state = State::new(Options::default(), "logs");
        let mut tell = |run_ms: u64, msg: Msg| {
            update(&mut state, Event { at: Stamp { run_ms, wall_ms: 0 }, msg });
            state.assessed_ms
        };
        let line = || {
            let (source, kind, format) = ("/var/log/nginx/error.log".to_owned(), SourceKind::Error, LogFormat::NginxError);
            Msg::Observed(Observation::Log(LogBatch { source, kind, format, counts: Vec::new(), lookback: false, dropped: 0 }))
        };
        let known = Catalog::with_own(&[], diagnose::fact_names).expect("the catalogue is whole").0;
        tell(0, Msg::Catalog(known.into()));
        tell(5_000, line());
        assert_eq!(tell(5_000, Msg::Tick), 5_000, "nothing came before");
        for at in [5_100, 5_400, 5_900] {
            tell(at, line());
            assert_eq!(tell(at, Msg::Tick), 5_000, "at {at} ms");
        }
        assert_eq!(tell(6_000, Msg::Tick), 6_000, "what came meanwhile does not wait for another line");
        tell(6_100, Msg::Observed(Observation::Listeners(ListenerTable::default())));
        assert_eq!(tell(6_100, Msg::Tick), 6_100, "what is no log does not wait");
    }
}
