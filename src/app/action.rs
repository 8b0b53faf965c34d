//! What a person can ask for. Keys become actions in `ui/keymap.rs`; this is the whole vocabulary.

use std::path::PathBuf;

use super::{LogAction, Paper, Prompt};
use crate::model::{CheckState, Deed};

/// What becomes of papers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// This one goes to the terminal's clipboard.
    Copy(Paper),
    /// All of them go to files.
    Export,
}

/// What lies over the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The keys, and what they do here and now.
    Help,
    /// A paper that can be handed over, before it is.
    Paper(Paper),
    /// What was seen from elsewhere, beside what is seen here.
    Compare,
    /// The checklist one step at a time: the next that is not settled, explained.
    Guide,
    /// The explanation of a row: of the pane with this id, the row with this key.
    Explain {
        /// The pane's id.
        pane: &'static str,
        /// The row's key.
        key: String,
    },
}

/// An intent. Everything a key can do is one of these, so that a test can do it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Leave. `keep`: leave the last screen on the terminal.
    Quit {
        /// Whether the screen stays.
        keep: bool,
    },
    /// Stop in the background, as Ctrl-Z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Move the focus to the pane with this id.
    Focus(&'static str),
    /// The focused pane alone, or all.
    Zoom,
    /// Select the row with this key in the pane with this id.
    Select {
        /// The pane's id.
        pane: &'static str,
        /// The row's key.
        key: String,
    },
    /// A click on the row with this key in the pane with this id: it is selected, and the focus moves there.
    Click {
        /// The pane's id.
        pane: &'static str,
        /// The row's key.
        key: String,
        /// Column and line of the click.
        at: (u16, u16),
    },
    /// Show this over the panes.
    Open(Overlay),
    /// Scroll what lies over the panes, to this line.
    Scroll(u16),
    /// One level back: overlay, zoom.
    Back,
    /// Hold the view still while collection goes on, or let it run again.
    Freeze,
    /// Copy this text to the terminal's clipboard; the second word says what it is.
    Copy {
        /// The text.
        text: String,
        /// What it is, for the message.
        what: &'static str,
    },
    /// UTC or the host's own zone.
    Zone,
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// A step of the checklist done by hand, or skipped, or back to what evidence says (`None`).
    Tick {
        /// The step's id.
        step: String,
        /// The state.
        state: Option<CheckState>,
        /// Why.
        reason: Option<String>,
    },
    /// Look at the logs in another way.
    Logs(LogAction),
    /// Type this in the last line of the screen.
    Type(Prompt),
    /// What was typed holds. `select`: the row of the focused pane in which it is found.
    Answer {
        /// The row's key.
        select: Option<String>,
    },
    /// This was pasted: what somebody elsewhere saw, or a piece of what is being typed.
    Pasted(String),
    /// Start another round of probes now.
    ProbeNow,
    /// Stop all probing, or go on.
    Probing,
    /// Note this.
    Deed(Deed),
    /// What a command asks for, or why it could not be understood.
    Command(Result<Box<Self>, String>),
    /// Hand papers over.
    Hand(Hand),
    /// Open the operator's own editor.
    Edit {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
    },
    /// Look at everything as it was at this second since the Unix epoch. `None`: now.
    LookBack(Option<i64>),
    /// Show a recording so many times faster than it happened; 0: hold it.
    Speed(u32),
    /// Heal what is broken in the demo.
    Heal,
}
