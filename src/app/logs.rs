//! How the logs are looked at: groups or lines, what is left out, what is searched, whether the newest stays in view.

use super::Pattern;
use crate::{diagnose::Recent, model::logline::Level};

/// How the logs are looked at.
#[derive(Debug, Clone, Default)]
pub struct LogView {
    /// Single lines instead of groups.
    pub lines: bool,
    /// The lines as they were when the person left the newest one. `None`: the newest stays in view.
    pub held: Option<Box<Recent>>,
    /// The row that is selected in the other view, of groups or of lines.
    pub aside: Option<String>,
    /// What is searched.
    pub search: Option<Pattern>,
    /// What else is left out; all of them hold.
    pub filters: Vec<LogFilter>,
    /// Lines below this level are left out; those that tell no level stay.
    pub level: Option<Level>,
    /// Lines older than so many seconds are left out.
    pub window_s: Option<i64>,
    /// The one log that is looked at.
    pub source: Option<SourcePick>,
}

impl LogView {
    /// Whether anything is left out or marked.
    pub fn narrowed(&self) -> bool {
        self.search.is_some()
            || !self.filters.is_empty()
            || self.level.is_some()
            || self.window_s.is_some()
            || self.source.is_some()
    }
}

/// What is shown, or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// What it is about.
    pub about: FilterBy,
    /// Whether that is left out; else all others are.
    pub hide: bool,
}

/// What a filter is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterBy {
    /// Lines with this text.
    Text(Pattern),
    /// The group of this source with this key.
    Group(String, String),
    /// The row with this key, of another pane than the logs.
    Row(String),
}

/// A log that was picked, and the one with which picking began: when its turn comes again, all are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePick {
    /// [`crate::model::LogSource::id`] of the one that is looked at.
    pub chosen: String,
    /// Of the first that was.
    pub begun: String,
}

/// What can be asked for of the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogAction {
    /// Groups or lines.
    Lines,
    /// Keep the newest line in view, or hold still.
    Follow(bool),
    /// From this level on.
    Level(Option<Level>),
    /// Of the last so many seconds.
    Window(Option<i64>),
    /// Of this log only.
    Source(Option<SourcePick>),
    /// Show or hide more.
    Filter(LogFilter),
    /// Take all filters and the search off.
    Clear,
}

/// The levels that can be asked for, in the order in which they come; all comes first.
pub const LEVELS: [Level; 4] = [Level::Notice, Level::Warning, Level::Error, Level::Critical];
/// The times that can be asked for, in seconds, in the order in which they come; all comes first.
pub const WINDOWS_S: [i64; 3] = [15 * 60, 5 * 60, 60];

/// The next of a list, around all of it and nothing.
pub fn next_of<T: Copy + PartialEq>(all: &[T], now: Option<T>) -> Option<T> {
    match now {
        None => all.first().copied(),
        Some(now) => all.iter().position(|one| *one == now).and_then(|at| all.get(at + 1)).copied(),
    }
}

/// What is typed in the last line of the screen, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// For what.
    pub ask: Ask,
    /// What was typed so far.
    pub text: String,
    /// The same, compiled. `None`: nothing yet, or no pattern.
    pub pattern: Option<Pattern>,
    /// The step of the checklist that it is about.
    pub about: Option<String>,
    /// Which of the commands that are offered is picked.
    pub pick: usize,
}

/// What a text is typed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To find it.
    Find,
    /// To see only what has it.
    Only,
    /// To hide what has it.
    Hide,
    /// The name of a file that holds what somebody elsewhere saw.
    Vantage,
    /// To note it.
    Note,
    /// To say why a step is skipped.
    Skip,
    /// To do what it names.
    Command,
}

impl Ask {
    /// Whether it is compared with other texts.
    pub fn compares(self) -> bool {
        match self {
            Self::Find | Self::Only | Self::Hide => true,
            Self::Vantage | Self::Note | Self::Skip | Self::Command => false,
        }
    }
}

impl Prompt {
    /// With so much typed.
    pub fn new(ask: Ask, text: String) -> Self {
        Self { ask, pattern: Pattern::new(&text).filter(|_| ask.compares()), text, about: None, pick: 0 }
    }

    /// About a step of the checklist, with nothing typed.
    pub fn about(ask: Ask, step: String) -> Self {
        Self { about: Some(step), ..Self::new(ask, String::new()) }
    }

    /// Whether what was typed is no pattern.
    pub fn bad(&self) -> bool {
        self.ask.compares() && self.pattern.is_none() && !matches!(self.text.as_str(), "" | "~")
    }

    /// The filter that it would be.
    pub fn filter(&self) -> Option<LogFilter> {
        let hide = match self.ask {
            Ask::Find | Ask::Vantage | Ask::Note | Ask::Skip | Ask::Command => return None,
            Ask::Only => false,
            Ask::Hide => true,
        };
        Some(LogFilter { about: FilterBy::Text(self.pattern.clone()?), hide })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_go_around() {
        let mut seen = Vec::new();
        let mut now = None;
        for _ in 0..4 {
            now = next_of(&WINDOWS_S, now);
            seen.push(now);
        }
        assert_eq!(seen, [Some(900), Some(300), Some(60), None]);
    }

    #[test]
    fn what_is_typed_is_a_filter_as_soon_as_it_is_a_pattern() {
        assert_eq!(Prompt::new(Ask::Only, String::new()).filter(), None);
        assert!(Prompt::new(Ask::Hide, "~(".into()).bad());
        let filter = Prompt::new(Ask::Hide, "health".into()).filter().expect("a filter");
        assert!(filter.hide);
        assert_eq!(Prompt::new(Ask::Find, "x".into()).filter(), None, "a search leaves nothing out");
    }
}
