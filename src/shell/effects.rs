//! Carries out what concerns the collectors. What concerns the terminal is the run loop's.

use super::collect::Collectors;
use crate::{app::Effect, model::Observation};

/// Carries out an effect that the collectors serve; others are left alone.
pub fn collecting(effect: &Effect, collectors: &Collectors) {
    match effect {
        Effect::Probe(plan) => collectors.probe(plan.clone()),
        Effect::Follow(sources) => collectors.follow(sources.clone()),
        Effect::Find(wish) => collectors.find(wish.clone()),
        Effect::Journal(units) => collectors.journal(units.clone()),
        Effect::Heal => collectors.heal(),
        Effect::Vantage(seen) => collectors.tell(Observation::Vantage(seen.clone())),
        Effect::ReadVantage(path) => collectors.read_vantage(path),
        Effect::Copy(_)
        | Effect::Keep(_)
        | Effect::Hand(_)
        | Effect::Edit { .. }
        | Effect::LookBack(_)
        | Effect::Speed(_)
        | Effect::Mouse(_)
        | Effect::Redraw
        | Effect::Suspend
        | Effect::Quit(_) => {}
    }
}
