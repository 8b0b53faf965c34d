//! Carries out what concerns the collectors. What concerns the terminal is the run loop's.

use super::collect::Collectors;
use crate::app::Effect;

/// Carries out an effect that the collectors serve; others are left alone.
pub fn collecting(effect: &Effect, collectors: &Collectors) {
    match effect {
        Effect::Probe(plan) => collectors.probe(plan.clone()),
        Effect::Follow(sources) => collectors.follow(sources.clone()),
        Effect::Find(wish) => collectors.find(wish.clone()),
        Effect::Journal(units) => collectors.journal(units.clone()),
        Effect::Heal => collectors.heal(),
        Effect::Copy(_) | Effect::Redraw | Effect::Suspend | Effect::Quit(_) => {}
    }
}
