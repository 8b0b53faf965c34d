//! `update`: one message in, the new state and what is to be done out.

use super::{Action, Ask, Effect, Event, LogAction, Msg, State, plan, sources};
use crate::{
    diagnose::{PROBE_RESULTS, ProbeResult, assess, failed},
    model::{Observation, ProbeJob, Stage},
};

/// How long the plan waits for the logs' ends, in milliseconds of the run: they name the requests that fail, but may hang.
const LOGS_MS: u64 = 500;

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
            state.scene.observe(event.at, observation);
            state.stale = true;
            if urgent { reassess(state) } else { Vec::new() }
        }
        Msg::Catalog(catalog) => {
            state.catalog = Some(catalog);
            state.stale = true;
            reassess(state)
        }
        Msg::Tick => {
            state.scene.now = state.scene.now.max(event.at);
            if state.stale { reassess(state) } else { Vec::new() }
        }
        Msg::Act(action) => act(state, action),
    }
}

/// Draws the conclusions, and adapts what is probed and followed to them.
fn reassess(state: &mut State) -> Vec<Effect> {
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
    state.stale = false;
    state.scene.classify(&catalog);
    let assessment = assess(&state.scene, &catalog, &state.ticked);
    state.assessment = assessment;
    // Without the listeners no candidate can be told from a stranger, so the plan waits for these looks.
    let seen = |stage: Stage| state.scene.done.contains(&stage);
    let logs = seen(Stage::Logs) || state.now.run_ms > LOGS_MS;
    if seen(Stage::Gateways) && seen(Stage::Listeners) && logs {
        let mut plan = plan::plan(&state.scene, &state.options, &catalog);
        if plan.jobs != state.plan.jobs || plan.period_ms != state.plan.period_ms || state.plan.number == 0 {
            (plan.number, plan.asked) = (state.plan.number + 1, state.plan.asked);
            state.plan = plan.clone();
            effects.push(Effect::Probe(plan));
        }
    }
    effects
}

/// What logs are looked for by, and whose journal is read, where that has changed.
fn find(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    let seen = |state: &State, stage: Stage| state.scene.done.contains(&stage);
    if !(seen(state, Stage::Gateways) && seen(state, Stage::Listeners)) {
        return effects;
    }
    let wish = sources::wish(&state.scene, &state.options);
    if state.wish.as_ref() != Some(&wish) {
        state.wish = Some(wish.clone());
        state.scene.done.remove(&Stage::Sources);
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

/// Whether everything was looked at once, so that a verdict can be given.
pub fn first_pass_complete(state: &State) -> bool {
    let done = |stage: &Stage| state.scene.done.contains(stage);
    if state.catalog.is_none() || ![Stage::Gateways, Stage::Listeners, Stage::Logs, Stage::Load].iter().all(done) {
        return false;
    }
    if !done(&Stage::ConfigTest) && state.now.run_ms < CONFIG_TEST_MS {
        return false;
    }
    // A recording of a version that did not look for logs has none of these.
    let found = done(&Stage::Sources) && done(&Stage::Journal);
    if !found && state.now.run_ms < SOURCES_MS {
        return false;
    }
    // Dead, or dying again and again? Only more looks tell.
    let named = |id: &str| state.assessment.causes.iter().any(|cause| cause.id == id);
    let unsettled = named("upstream-crashing") && (named("upstream-down") || named("upstream-socket-missing"));
    let enough = |job: &ProbeJob| {
        state.scene.history(job).is_some_and(|history| {
            let fails = history.results.iter().any(|result| failed(&result.outcome));
            let wanted = if unsettled && job.probe == "upstream" { TRIES_UNSETTLED } else { tries_wanted(&job.probe, fails) };
            // What the gateway writes about our request is told a moment after its answer.
            let lag = if fails && job.probe == "gateway" { LOG_LAG_MS } else { 0 };
            let since = |result: &ProbeResult| state.now.run_ms.saturating_sub(result.at.run_ms);
            let wanted_result = usize::try_from(wanted - 1).ok().and_then(|index| history.results.get(index));
            wanted_result.is_some_and(|result| since(result) >= lag) || history.tries > PROBE_RESULTS as u64
        })
    };
    state.plan.number > 0 && state.plan.jobs.iter().all(enough)
}

/// How long a first pass waits for the gateways' own tests, in milliseconds of the run: they load every file and certificate,
/// and what they find is seldom the cause.
const CONFIG_TEST_MS: u64 = 1_000;

/// How long a first pass waits for the logs that are found by what runs, in milliseconds of the run.
const SOURCES_MS: u64 = 2_000;

/// How long the line about a failing request may take from the gateway's answer to here, in milliseconds: a batch of lines
/// waits up to 100 ms for more.
const LOG_LAG_MS: u64 = 150;

/// How often an upstream is tried before a first pass is complete when it may be restarting: with the rounds of `check`, a
/// second, in which a supervisor has started it again.
const TRIES_UNSETTLED: u64 = 10;

/// How often a probe is made at least before a first pass is complete: what a client sees needs more than an anecdote, and more
/// of it when it fails; what only explains it is looked at once more to see whether it holds.
fn tries_wanted(probe: &str, fails: bool) -> u64 {
    match (probe, fails) {
        ("gateway", true) => 3,
        ("gateway", false) | ("upstream", true) => 2,
        _ => 1,
    }
}

/// Id of the pane that shows the logs.
const LOGS: &str = "logs";

/// Holds the lines still.
fn hold(state: &mut State) {
    if state.view.logs.lines && state.view.logs.held.is_none() {
        let held = state.shown().0.recent.clone();
        state.view.logs.held = Some(Box::new(held));
    }
}

/// How the logs are to be looked at.
fn look(state: &mut State, action: LogAction) {
    let logs = &mut state.view.logs;
    match action {
        LogAction::Lines => {
            logs.lines = !logs.lines;
            logs.held = None;
            // Each view has its own selection; that of the lines is the newest one as long as it is followed.
            let aside = logs.aside.take().filter(|_| !logs.lines);
            logs.aside = state.view.selected.remove(LOGS);
            if let Some(aside) = aside {
                state.view.selected.insert(LOGS, aside);
            }
        }
        LogAction::Follow(true) => {
            logs.held = None;
            state.view.selected.remove(LOGS);
        }
        LogAction::Follow(false) => hold(state),
        LogAction::Level(level) => logs.level = level,
        LogAction::Window(window_s) => logs.window_s = window_s,
        LogAction::Source(source) => logs.source = source,
        LogAction::Filter(filter) => {
            if !logs.filters.contains(&filter) {
                logs.filters.push(filter);
            }
        }
        LogAction::Clear => {
            logs.filters.clear();
            (logs.search, logs.level, logs.window_s, logs.source) = (None, None, None, None);
        }
    }
}

/// What was typed holds from now on.
fn answer(state: &mut State, select: Option<String>) {
    let Some(prompt) = state.view.prompt.take() else { return };
    if prompt.bad() {
        state.view.message = Some((state.now, format!("no regular expression, or too large a one: {}", prompt.text)));
        return;
    }
    match prompt.ask {
        Ask::Find => {
            if prompt.pattern.is_some() {
                state.view.logs.search = prompt.pattern;
            }
            if let Some(key) = select {
                hold(state);
                state.view.selected.insert(LOGS, key);
            }
        }
        Ask::Only | Ask::Hide => {
            if let Some(filter) = prompt.filter() {
                look(state, LogAction::Filter(filter));
            }
        }
    }
}

/// What the person wants.
fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let view = &mut state.view;
    match action {
        Action::Quit { keep } => return vec![Effect::Quit(keep)],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::ProbeNow => {
            state.plan.asked += 1;
            state.plan.number += 1;
            return vec![Effect::Probe(state.plan.clone())];
        }
        Action::Heal => {
            let Some(demo) = &state.options.demo else { return Vec::new() };
            view.message = Some((state.now, format!("the demo heals itself: it {}", demo.heal)));
            return vec![Effect::Heal];
        }
        Action::Copy { text, what } => {
            view.message = Some((state.now, format!("{what} copied to the terminal's clipboard")));
            return vec![Effect::Copy(text)];
        }
        Action::Focus(pane) => view.focus = pane,
        Action::Zoom => view.zoom = !view.zoom,
        Action::Select { pane, key } => {
            if pane == LOGS {
                // Who has chosen a line wants to read it.
                hold(state);
            }
            state.view.selected.insert(pane, key);
        }
        Action::Open(overlay) => {
            view.overlay = Some(overlay);
            view.scroll = 0;
        }
        Action::Scroll(lines) => view.scroll = lines,
        Action::Back => {
            if view.prompt.take().is_none() && view.overlay.take().is_none() {
                view.zoom = false;
            }
        }
        Action::Logs(action) => look(state, action),
        Action::Type(prompt) => view.prompt = Some(prompt),
        Action::Answer { select } => answer(state, select),
        Action::Freeze => {
            view.frozen = match view.frozen.take() {
                Some(_) => None,
                None => Some(Box::new((state.scene.clone(), state.assessment.clone()))),
            };
        }
        Action::Zone => view.local_time = !view.local_time,
        Action::Tick { step, state: ticked } => {
            match ticked {
                Some(to) => state.ticked.insert(step, to),
                None => state.ticked.remove(&step),
            };
            return reassess(state);
        }
    }
    Vec::new()
}
