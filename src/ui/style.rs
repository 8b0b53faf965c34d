//! Semantic tokens to styles, in the terminal's own 16 colours.
//!
//! No background is ever painted: the person's own choice of light or dark stays readable (lnav#1402, k9s#1290). Bright
//! black is not used either, because several palettes make it the background's colour. A colour never says anything
//! that a sign or a word does not say too.
//!
//! To add a token: a field here, and its value in [`Styles::colour`] and [`Styles::mono`].

use ratatui::style::{Color, Modifier, Style};

use crate::model::{CheckState, Confidence, HopState, Verdict};

/// A style for each meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Styles {
    /// Ordinary text.
    pub text: Style,
    /// Something that works.
    pub good: Style,
    /// Something that is broken.
    pub bad: Style,
    /// Something to look at: a share fails, a limit is near, a view is held still.
    pub warn: Style,
    /// Something that is not known.
    pub unknown: Style,
    /// What matters less than its neighbours.
    pub quiet: Style,
    /// Titles and the first word of a row.
    pub strong: Style,
    /// The rule above a pane.
    pub rule: Style,
    /// The rule above the pane that has the focus.
    pub focus: Style,
    /// The selected row of the pane that has the focus.
    pub select: Style,
    /// What a search found. Underlined, because a selected row is reversed already.
    pub find: Style,
    /// The name of a key.
    pub key: Style,
    /// A command to copy.
    pub command: Style,
}

impl Styles {
    /// Sixteen colours, as the terminal's own palette has them.
    pub const fn colour() -> Self {
        let plain = Style::new();
        Self {
            text: plain,
            good: plain.fg(Color::Green),
            bad: plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            warn: plain.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            unknown: plain.fg(Color::Magenta),
            quiet: plain.add_modifier(Modifier::DIM),
            strong: plain.add_modifier(Modifier::BOLD),
            rule: plain.fg(Color::Blue),
            focus: plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
            select: plain.add_modifier(Modifier::REVERSED),
            find: plain.fg(Color::Yellow).add_modifier(Modifier::BOLD).add_modifier(Modifier::UNDERLINED),
            key: plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
            command: plain.fg(Color::Cyan),
        }
    }

    /// No colours: `NO_COLOR`, or a terminal that has none.
    pub const fn mono() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let dim = plain.add_modifier(Modifier::DIM);
        Self {
            text: plain,
            good: plain,
            bad: bold,
            warn: bold,
            unknown: plain,
            quiet: dim,
            strong: bold,
            rule: plain,
            focus: bold,
            select: plain.add_modifier(Modifier::REVERSED),
            find: bold.add_modifier(Modifier::UNDERLINED),
            key: bold,
            command: plain,
        }
    }

    /// The style of a verdict.
    pub fn verdict(&self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Ok => self.good,
            Verdict::Warning => self.warn,
            Verdict::Critical => self.bad,
            Verdict::Unknown => self.unknown,
        }
    }

    /// The style of a confidence's word.
    pub fn confidence(&self, confidence: Confidence) -> Style {
        match confidence {
            Confidence::Confirmed => self.bad,
            Confidence::Likely => self.warn,
            Confidence::Possible => self.text,
        }
    }

    /// The style of a step's sign.
    pub fn check(&self, state: CheckState) -> Style {
        match state {
            CheckState::Pass | CheckState::Done => self.good,
            CheckState::Fail => self.bad,
            CheckState::Unknown => self.unknown,
            CheckState::NotApplicable | CheckState::Skipped => self.quiet,
        }
    }

    /// The style of a hop.
    pub fn hop(&self, state: HopState) -> Style {
        match state {
            HopState::Good => self.good,
            HopState::Broken => self.bad,
            HopState::Shows => self.warn,
            HopState::Unknown => self.unknown,
        }
    }
}
