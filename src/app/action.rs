//! What a person can ask for. Keys become actions in `ui/keymap.rs`; this is the whole vocabulary.

use super::{LogAction, Prompt};
use crate::model::CheckState;

/// What lies over the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The keys, and what they do here and now.
    Help,
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
    /// A step of the checklist done by hand, or skipped, or back to what evidence says (`None`).
    Tick {
        /// The step's id.
        step: String,
        /// The state.
        state: Option<CheckState>,
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
    /// Start another round of probes now.
    ProbeNow,
    /// Heal what is broken in the demo.
    Heal,
}
