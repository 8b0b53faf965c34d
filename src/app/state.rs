//! The state: what is known, what is concluded, what is looked at. No behaviour.

use std::{collections::BTreeMap, sync::Arc};

use super::{LogFilter, LogView, Overlay, PlanLimits, Prompt, Recording};
use crate::{
    catalog::Catalog,
    diagnose::{Assessment, Scene},
    model::{Address, Asked, LogSource, Observation, ProbePlan, SourceKind, SourceWish, Stage, Stamp, secrets::Mask},
};

/// How this run was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The URL that the operator named.
    pub url: Option<url::Url>,
    /// The proxy by which the URL is tried, too.
    pub via: Option<url::Url>,
    /// Upstreams that the operator named.
    pub upstreams: Vec<Address>,
    /// Bounds of the probe plan.
    pub limits: PlanLimits,
    /// Whether the operator's editor may be opened: on a real host, not over a recording or another root.
    pub edits: bool,
    /// How many times faster than it happened a recording is shown. `None`: this is no replay.
    pub speed: Option<u32>,
    /// What addresses and names of hosts are replaced by in all that is handed over. `None`: they stay.
    pub mask: Option<Arc<Mask>>,
    /// The demo that is looked at. `None`: a real host, or a recording.
    pub demo: Option<Demo>,
}

/// What a person has to know of the demo.
#[derive(Debug, Clone)]
pub struct Demo {
    /// What is broken.
    pub fault: String,
    /// What the key does that heals it: `starts the application`.
    pub heal: String,
}

/// What the person looks at.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Id of the focused pane.
    pub focus: &'static str,
    /// Whether it is shown alone.
    pub zoom: bool,
    /// The selected row of each pane, by its key; a key that is gone means the first row.
    pub selected: BTreeMap<&'static str, String>,
    /// What lies over the panes.
    pub overlay: Option<Overlay>,
    /// Lines that the overlay is scrolled by.
    pub scroll: u16,
    /// What is shown while the view is held still: scene and assessment of that moment.
    pub frozen: Option<Box<(Scene, Assessment)>>,
    /// The second of the past that `frozen` is of. `None`: it is held still as it was, or nothing is.
    pub past: Option<i64>,
    /// The second of the past that is being looked up.
    pub going: Option<i64>,
    /// How the logs are looked at.
    pub logs: LogView,
    /// What is left out of each other pane; all of them hold.
    pub narrow: BTreeMap<&'static str, Vec<LogFilter>>,
    /// Column and line of the click that was the last thing that was done.
    pub clicked: Option<(u16, u16)>,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// What is being typed in the last line of the screen.
    pub prompt: Option<Prompt>,
    /// Whether times are shown in the host's own zone instead of UTC.
    pub local_time: bool,
    /// A word to the person, and when it was said.
    pub message: Option<(Stamp, String)>,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// How this run was asked for.
    pub options: Options,
    /// The time of the last message.
    pub now: Stamp,
    /// What is known.
    pub scene: Scene,
    /// What is concluded from it.
    pub assessment: Assessment,
    /// The knowledge. `None`: its patterns are still being compiled.
    pub catalog: Option<Arc<Catalog>>,
    /// What is looked at.
    pub view: View,
    /// When the first plan was made, in milliseconds of the run.
    pub planned_ms: Option<u64>,
    /// The plan of probes that is in force.
    pub plan: ProbePlan,
    /// Whether the person has stopped all probing.
    pub paused: bool,
    /// What of it was asked for last: in one pass, what was made often enough is left out.
    pub probing: Option<ProbePlan>,
    /// The logs that are followed.
    pub following: Vec<LogSource>,
    /// What logs are looked for by. `None`: not known yet.
    pub wish: Option<SourceWish>,
    /// The [`Scene::layout`] that this was found by.
    pub wished: Option<u64>,
    /// The number of what was asked for last, of each part of the first pass that is looked at anew when it is asked for.
    pub asked: BTreeMap<Stage, u64>,
    /// The units whose journal is followed. `None`: not known yet.
    pub units: Option<Vec<(String, SourceKind)>>,
    /// Whether this run is recorded.
    pub recording: Recording,
    /// Bytes that went to the terminal a second, lately. `None`: not known.
    pub terminal_bytes: Option<u64>,
    /// Whether something was observed since the last assessment.
    pub stale: bool,
    /// By when conclusions are to be drawn from what was seen and can wait for a while, in milliseconds of the run.
    pub lags: Option<u64>,
    /// When the conclusions were drawn last, in milliseconds of the run.
    pub assessed_ms: u64,
}

impl State {
    /// A state in which nothing is known; `focus`: the pane that has the focus at first.
    pub fn new(options: Options, focus: &'static str) -> Self {
        Self { options, view: View { focus, ..View::default() }, stale: true, ..Self::default() }
    }

    /// Asks for these parts of the first pass anew: what was said of them does not hold for this.
    pub(super) fn ask<T>(&mut self, stages: &[Stage], what: T) -> Asked<T> {
        let number = self.asked.values().max().map_or(1, |last| last + 1);
        for stage in stages {
            self.scene.done.remove(stage);
            self.asked.insert(*stage, number);
        }
        Asked { number, what }
    }

    /// Whether this answers a question that has been replaced by another one since. What another version recorded may have asked
    /// otherwise, so a replay takes all.
    pub(super) fn is_late(&self, observation: &Observation) -> bool {
        matches!(observation, Observation::Answered { stage, asked } if self.asked.get(stage).is_some_and(|last| asked < last))
            && self.options.speed.is_none()
    }

    /// The time for which it is shown.
    pub fn shown_now(&self) -> Stamp {
        if self.view.past.is_some() { self.shown().0.now } else { self.now }
    }

    /// A text as it is handed over: without addresses, where they are to be hidden.
    pub fn handed_over(&self, text: String) -> String {
        self.options.mask.as_ref().and_then(|mask| mask.text(&text)).unwrap_or(text)
    }

    /// What is to be shown: what is known now, or what was when the view was frozen.
    pub fn shown(&self) -> (&Scene, &Assessment) {
        self.view.frozen.as_deref().map_or((&self.scene, &self.assessment), |(scene, assessment)| (scene, assessment))
    }
}
