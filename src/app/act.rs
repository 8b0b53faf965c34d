//! What a person wants, carried out on the state.

use super::{
    Action, Ask, Effect, LogAction, Overlay, PATTERN_CHARS, Prompt, State,
    update::{reassess, wanted},
};
use crate::model::{CheckState, Deed, Observation, Vantage, text::printable};

/// Id of the pane that shows the logs.
const LOGS: &str = "logs";

/// Holds the lines still.
fn hold(state: &mut State) {
    if state.view.logs.lines && state.view.logs.held.is_none() {
        let held = state.shown().0.recent.clone();
        state.view.logs.held = Some(Box::new(held));
    }
}

/// How the logs are to be looked at, and what of the focused pane.
fn look(state: &mut State, action: LogAction) {
    let focus = state.view.focus;
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
            let filters = if focus == LOGS { &mut logs.filters } else { state.view.narrow.entry(focus).or_default() };
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        LogAction::Clear if focus != LOGS => {
            state.view.narrow.remove(focus);
            logs.search = None;
        }
        LogAction::Clear => {
            logs.filters.clear();
            (logs.search, logs.level, logs.window_s, logs.source) = (None, None, None, None);
        }
    }
}

/// What somebody elsewhere saw was pasted; or a piece of what is being typed.
fn pasted(state: &mut State, text: &str) -> Vec<Effect> {
    if let Some(seen) = Vantage::parse(text) {
        state.view.prompt = None;
        state.view.message = Some((state.now, format!("what {} saw is compared with what is seen here", printable(&seen.host))));
        (state.view.overlay, state.view.scroll) = (Some(Overlay::Compare), 0);
        return vec![Effect::Vantage(Box::new(seen))];
    }
    if let Some(prompt) = &mut state.view.prompt {
        let line = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control());
        let room = PATTERN_CHARS.saturating_sub(prompt.text.chars().count());
        let typed = prompt.text.chars().chain(line.take(room)).collect();
        *prompt = Prompt { about: prompt.about.take(), ..Prompt::new(prompt.ask, typed) };
    } else {
        let words = "what was pasted is not what why502 check --json prints; nothing was done with it";
        state.view.message = Some((state.now, words.to_owned()));
    }
    Vec::new()
}

/// What was typed holds from now on.
fn answer(state: &mut State, select: Option<String>) -> Vec<Effect> {
    let Some(prompt) = state.view.prompt.take() else { return Vec::new() };
    if prompt.ask == Ask::Vantage {
        if prompt.text.trim().is_empty() {
            return Vec::new();
        }
        state.view.message = Some((state.now, format!("reading {}", printable(prompt.text.trim()))));
        (state.view.overlay, state.view.scroll) = (Some(Overlay::Compare), 0);
        return vec![Effect::ReadVantage(prompt.text.trim().to_owned())];
    }
    if prompt.bad() {
        state.view.message = Some((state.now, format!("no regular expression, or too large a one: {}", prompt.text)));
        return Vec::new();
    }
    let text = Some(prompt.text.trim().to_owned()).filter(|text| !text.is_empty());
    match prompt.ask {
        Ask::Find => {
            if prompt.pattern.is_some() {
                state.view.logs.search = prompt.pattern;
            }
            if let Some(key) = select {
                if state.view.focus == LOGS {
                    hold(state);
                }
                state.view.selected.insert(state.view.focus, key);
            }
        }
        Ask::Only | Ask::Hide => {
            if let Some(filter) = prompt.filter() {
                look(state, LogAction::Filter(filter));
            }
        }
        Ask::Note => {
            if let Some(text) = text {
                return deed(state, Deed::Note { text, step: prompt.about });
            }
        }
        Ask::Skip => {
            if let Some(step) = prompt.about {
                return deed(state, Deed::Step { step, state: Some(CheckState::Skipped), reason: text });
            }
        }
        Ask::Vantage | Ask::Command => {}
    }
    Vec::new()
}

/// What the operator did by hand: it is known from now on, and recorded.
fn deed(state: &mut State, deed: Deed) -> Vec<Effect> {
    state.scene.observe(state.now, Observation::Operator(deed.clone()));
    state.stale = true;
    let mut effects = reassess(state);
    effects.push(Effect::Keep(deed));
    effects
}

/// What the person wants.
pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    let view = &mut state.view;
    view.clicked = None;
    match action {
        Action::Quit { keep } => return vec![Effect::Quit(keep)],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::ProbeNow => {
            state.plan.asked += 1;
            state.plan.number += 1;
            let wanted = wanted(state);
            state.probing = Some(wanted.clone());
            return vec![Effect::Probe(wanted)];
        }
        Action::Probing => {
            state.paused = !state.paused;
            let word = if state.paused { "probing is stopped: nothing is sent until you let it go on" } else { "probing goes on" };
            view.message = Some((state.now, word.to_owned()));
            let wanted = wanted(state);
            state.probing = Some(wanted.clone());
            return vec![Effect::Probe(wanted)];
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
        Action::Click { pane, key, at } => {
            view.focus = pane;
            let effects = act(state, Action::Select { pane, key });
            state.view.clicked = Some(at);
            return effects;
        }
        Action::Open(overlay) => {
            view.overlay = Some(overlay);
            view.scroll = 0;
        }
        Action::Scroll(lines) => view.scroll = lines,
        Action::Back => {
            if view.prompt.take().is_none() && view.overlay.take().is_none() {
                if view.zoom {
                    view.zoom = false;
                } else if view.past.take().is_some() | view.going.take().is_some() {
                    view.frozen = None;
                }
            }
        }
        Action::Logs(action) => look(state, action),
        Action::Type(prompt) => view.prompt = Some(prompt),
        Action::Answer { select } => return answer(state, select),
        Action::Pasted(text) => return pasted(state, &text),
        Action::Freeze => {
            view.going = None;
            view.past = None;
            view.frozen = match view.frozen.take() {
                Some(_) => None,
                None => Some(Box::new((state.scene.clone(), state.assessment.clone()))),
            };
        }
        Action::Deed(told) => return deed(state, told),
        Action::Command(asked) => {
            view.prompt = None;
            match asked {
                Ok(action) => return act(state, *action),
                Err(why) => view.message = Some((state.now, why)),
            }
        }
        Action::Speed(speed) => {
            state.options.speed = Some(speed);
            let how = if speed == 0 {
                "the recording is held: > goes on".to_owned()
            } else {
                format!("{speed} times as fast as it happened")
            };
            view.message = Some((state.now, how));
            return vec![Effect::Speed(speed)];
        }
        Action::Hand(hand) => return vec![Effect::Hand(hand)],
        Action::Edit { file, line } => {
            // What comes of it is told there.
            (view.overlay, view.focus) = (None, "config");
            return vec![Effect::Edit { file, line }];
        }
        Action::LookBack(to) => return super::past::look(state, to),
        Action::Zone => view.local_time = !view.local_time,
        Action::Mouse(on) => {
            view.mouse = on;
            let word = if on {
                "the mouse is taken; with Shift the terminal's own selection works"
            } else {
                "the mouse is the terminal's again"
            };
            view.message = Some((state.now, word.to_owned()));
            return vec![Effect::Mouse(on)];
        }
        Action::Tick { step, state: ticked, reason } => return deed(state, Deed::Step { step, state: ticked, reason }),
    }
    Vec::new()
}
