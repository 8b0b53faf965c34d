//! Layer 4: the program without a terminal and without a host: `(State, Msg) -> (State, Effects)`.
//!
//! [`update()`] is pure. It knows no clock (time comes with messages), no terminal and no socket; what has to be done comes
//! back as [`Effect`]s, which only `shell/` carries out. The console, `check`, `replay` and the tests are this
//! function fed from different ends.
//!
//! To add an intent of the user: a variant of [`Action`] and its arm in `update.rs`. To add something that is probed:
//! `plan.rs`.

mod act;
mod action;
mod logs;
pub mod papers;
mod past;
mod pattern;
mod plan;
mod sources;
mod state;
mod told;
mod tries;
mod update;

use std::sync::Arc;

pub use action::{Action, Hand, Overlay};
pub use logs::{Ask, FilterBy, LEVELS, LogAction, LogFilter, LogView, Prompt, SourcePick, WINDOWS_S, next_of};
pub use papers::Paper;
pub use past::Tense;
pub use pattern::{PATTERN_CHARS, Pattern};
pub use plan::{PlanLimits, plan};
pub use state::{Demo, Options, State, View};
pub use told::{Recording, Told};
pub use update::{first_pass_complete, is_news, update};

use crate::{
    catalog::Catalog,
    model::{Asked, Deed, LogSource, Observation, ProbePlan, SourceKind, SourceWish, Stamp, Vantage},
};

/// Everything that can happen.
#[derive(Debug, Clone)]
pub enum Msg {
    /// A collector saw something, or a recording says that one did.
    Observed(Observation),
    /// The person did something.
    Act(Action),
    /// The knowledge is read and its patterns are compiled.
    Catalog(Arc<Catalog>),
    /// What was asked of `shell/` is done, or cannot be.
    Told(Told),
    /// Time passes.
    Tick,
}

/// What `shell/` is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Probe by this plan from now on.
    Probe(ProbePlan),
    /// Look for the logs that matter by these from now on.
    Find(Asked<SourceWish>),
    /// Follow these logs from now on.
    Follow(Asked<Vec<LogSource>>),
    /// Follow the journal of these units from now on; each with whose words they are.
    Journal(Asked<Vec<(String, SourceKind)>>),
    /// Put this on the terminal's clipboard.
    Copy(String),
    /// Somebody elsewhere saw this.
    Vantage(Box<Vantage>),
    /// Read from this file what somebody elsewhere saw.
    ReadVantage(String),
    /// Heal what is broken in the demo.
    Heal,
    /// Record this.
    Keep(Deed),
    /// Hand papers over.
    Hand(Hand),
    /// Open the operator's own editor at this line, and take the terminal again when it has ended.
    Edit {
        /// The file.
        file: std::path::PathBuf,
        /// The line, from 1.
        line: u32,
    },
    /// Find out what was known at this second since the Unix epoch.
    LookBack(i64),
    /// Show the recording so many times faster than it happened; 0: hold it.
    Speed(u32),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Draw everything anew.
    Redraw,
    /// Stop in the background.
    Suspend,
    /// Leave; `true`: with the last screen left on the terminal.
    Quit(bool),
}

/// A message with its time.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it happened.
    pub at: Stamp,
    /// What happened.
    pub msg: Msg,
}
