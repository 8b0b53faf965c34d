//! Looking back: the panes show what was known at a moment of the past, and say so.
//!
//! What was known while this program ran is made anew from the recording, by the same fold; `shell/` has it. Of the time before,
//! there are only the ends of the logs, what was changed and how many requests failed: what is known now of that time, and nothing
//! is concluded from it.

use super::{Effect, State};
use crate::{
    diagnose::{Assessment, Scene, assess},
    model::{BlindSpot, Verdict},
};

/// Before, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tense {
    /// Before the cursor.
    Before,
    /// After it.
    After,
}

/// Seconds of a step by the clock.
const STEP_S: i64 = 60;

impl State {
    /// Whether the past is looked at, or will be in a moment.
    pub fn looks_back(&self) -> bool {
        self.view.past.is_some() || self.view.going.is_some()
    }

    /// The second that is looked at.
    pub fn cursor(&self) -> i64 {
        self.view.going.or(self.view.past).unwrap_or_else(|| self.now.wall_s())
    }

    /// The next moment on the line of time. `None`: there is none; after the last one is now.
    pub fn moment(&self, tense: Tense) -> Option<i64> {
        let times = self.assessment.moments.iter().filter(|moment| !moment.first).map(|moment| moment.at);
        match tense {
            Tense::Before => times.filter(|at| *at < self.cursor()).max(),
            Tense::After => times.filter(|at| *at > self.cursor()).min().filter(|at| *at < self.now.wall_s()),
        }
    }

    /// A minute before or after. `None`: now.
    pub fn minute(&self, tense: Tense) -> Option<i64> {
        match tense {
            Tense::Before => Some(self.cursor() - STEP_S),
            Tense::After => Some(self.cursor() + STEP_S).filter(|at| *at < self.now.wall_s()),
        }
    }
}

/// Goes to a second of the past, or back to now.
pub(super) fn look(state: &mut State, to: Option<i64>) -> Vec<Effect> {
    let view = &mut state.view;
    let Some(to) = to.filter(|to| *to < state.now.wall_s()) else {
        (view.past, view.going, view.frozen) = (None, None, None);
        return Vec::new();
    };
    match state.scene.began {
        Some(began) if to >= began.wall_s() => {
            view.going = Some(to);
            vec![Effect::LookBack(to)]
        }
        _ => {
            let scene = state.scene.before(to);
            let source = "everything but logs, changes and requests".to_owned();
            let reason = "this program did not run then".to_owned();
            let remedy = "go on in time to where it did".to_owned();
            let moments = state.assessment.moments.iter().filter(|moment| moment.at <= to).cloned().collect();
            let assessment = Assessment {
                verdict: Verdict::Unknown,
                headline: "before this program ran: what logs and changes tell of that time, and no conclusions".to_owned(),
                moments,
                blind: vec![BlindSpot { source, reason, remedy }],
                ..Assessment::default()
            };
            show(state, to, scene, assessment);
            Vec::new()
        }
    }
}

fn show(state: &mut State, to: i64, scene: Scene, assessment: Assessment) {
    state.view.frozen = Some(Box::new((scene, assessment)));
    (state.view.past, state.view.going) = (Some(to), None);
    // What is held still is of now.
    state.view.logs.held = None;
}

/// What was known then is there.
pub(super) fn arrived(state: &mut State, to: i64, found: Result<Box<Scene>, String>) {
    // The person has gone on meanwhile.
    if state.view.going != Some(to) {
        return;
    }
    match (found, state.catalog.clone()) {
        (Ok(mut scene), Some(catalog)) => {
            scene.classify(&catalog);
            let assessment = assess(&scene, &catalog);
            show(state, to, *scene, assessment);
        }
        (Ok(_), None) => state.view.going = None,
        (Err(why), _) => {
            state.view.going = None;
            state.view.message = Some((state.now, why));
        }
    }
}
