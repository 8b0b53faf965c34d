//! What the operator noted, ticked and skipped. Bounded, whatever comes: a recording may be anybody's.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{CheckState, Deed, Stamp};

/// Notes that are kept: more than anybody writes in one incident.
const NOTES: usize = 500;
/// Steps that are kept: more than the checklist has.
const STEPS: usize = 500;
/// Characters of a note, or of a reason.
const CHARS: usize = 2_000;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When it was written.
    pub at: Stamp,
    /// The text.
    pub text: String,
    /// The step of the checklist that it is about.
    pub step: Option<String>,
}

/// A step that was done by hand or skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticked {
    /// Which of the two.
    pub state: CheckState,
    /// When.
    pub at: Stamp,
    /// Why, or what was found.
    pub reason: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// The notes, oldest first.
    pub notes: VecDeque<Note>,
    /// The steps, by their ids.
    pub steps: BTreeMap<String, Ticked>,
}

fn bounded(text: String) -> String {
    if text.chars().count() <= CHARS { text } else { text.chars().take(CHARS).collect() }
}

impl Operator {
    /// Takes a deed in.
    pub(super) fn take(&mut self, at: Stamp, deed: Deed) {
        match deed {
            Deed::Note { text, step } => {
                if self.notes.len() == NOTES {
                    self.notes.pop_front();
                }
                self.notes.push_back(Note { at, text: bounded(text), step });
            }
            Deed::Step { step, state: Some(state @ (CheckState::Done | CheckState::Skipped)), reason } => {
                if self.steps.len() < STEPS || self.steps.contains_key(&step) {
                    self.steps.insert(step, Ticked { state, at, reason: reason.map(bounded) });
                }
            }
            // What evidence says cannot be said by hand.
            Deed::Step { step, .. } => {
                self.steps.remove(&step);
            }
        }
    }

    /// The notes about a step.
    pub fn about<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a Note> {
        self.notes.iter().filter(move |note| note.step.as_deref() == Some(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_can_say_is_said_by_hand() {
        let mut operator = Operator::default();
        let step = |state| Deed::Step { step: "a".to_owned(), state, reason: Some("x".repeat(10_000)) };
        operator.take(Stamp::default(), step(Some(CheckState::Skipped)));
        let reason = operator.steps["a"].reason.as_ref().map(String::len);
        assert_eq!((operator.steps["a"].state, reason), (CheckState::Skipped, Some(CHARS)));
        operator.take(Stamp::default(), step(Some(CheckState::Pass)));
        assert!(operator.steps.is_empty());
        for _ in 0..10_000 {
            operator.take(Stamp::default(), Deed::Note { text: "n".to_owned(), step: None });
        }
        assert_eq!(operator.notes.len(), NOTES);
    }
}
