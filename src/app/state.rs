//! The state: what is known, what is concluded, what is looked at. No behaviour.

use std::{collections::BTreeMap, sync::Arc};

use super::{LogView, Overlay, PlanLimits, Prompt};
use crate::{
    catalog::Catalog,
    diagnose::{Assessment, Scene},
    model::{Address, CheckState, LogSource, ProbePlan, SourceKind, SourceWish, Stamp},
};

/// How this run was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The URL that the operator named.
    pub url: Option<url::Url>,
    /// Upstreams that the operator named.
    pub upstreams: Vec<Address>,
    /// Bounds of the probe plan.
    pub limits: PlanLimits,
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
    /// How the logs are looked at.
    pub logs: LogView,
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
    /// The plan of probes that is in force.
    pub plan: ProbePlan,
    /// The logs that are followed.
    pub following: Vec<LogSource>,
    /// What logs are looked for by. `None`: not known yet.
    pub wish: Option<SourceWish>,
    /// The units whose journal is followed. `None`: not known yet.
    pub units: Option<Vec<(String, SourceKind)>>,
    /// Steps that a person ticked or skipped.
    pub ticked: BTreeMap<String, CheckState>,
    /// Whether something was observed since the last assessment.
    pub stale: bool,
}

impl State {
    /// A state in which nothing is known; `focus`: the pane that has the focus at first.
    pub fn new(options: Options, focus: &'static str) -> Self {
        Self { options, view: View { focus, ..View::default() }, stale: true, ..Self::default() }
    }

    /// What is to be shown: what is known now, or what was when the view was frozen.
    pub fn shown(&self) -> (&Scene, &Assessment) {
        self.view.frozen.as_deref().map_or((&self.scene, &self.assessment), |(scene, assessment)| (scene, assessment))
    }
}
