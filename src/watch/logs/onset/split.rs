//! The moment at which a row of ticks changes from well to sick: the likeliest one, by cumulated log-likelihood ratios
//! (CUSUM; Page 1954), taken backwards from the end, which is known to be sick.
//!
//! A log of requests is judged by the share of those that failed (each one a Bernoulli trial), a log that has only failures
//! by their number in time (a Poisson process: silence is health). Either way one stray failure before the outage, or one
//! request that was served in the middle of it, moves nothing.

use super::judge::{Class, Mark};

/// How much likelier than the best moment's neighbours it has to be for them to be left out of the uncertainty: 10 to 1.
const DOUBT: f64 = 2.3;
/// How much likelier it has to be that something was well before the best moment: 3,000 to 1.
const PROOF: f64 = 8.0;
/// How much has to speak for health in a pause between two outages: 20 to 1.
const RELIEF: f64 = 3.0;
/// What share or rate there was before, as a part of what there is now, until there is a better figure.
const BEFORE: f64 = 0.05;
/// Outages rarely begin with all they have: what is tried for sickness is this part of the share that there is now,
const BEGIN_SHARE: f64 = 0.5;
/// and of the rate, which follows the hour of the day and comes in bursts. With [`BEFORE`], what is below a fifth of the share,
/// or a twentieth of the rate, speaks for health.
const BEGIN_RATE: f64 = 0.16;
/// Shares are kept this far from 0 and 1: one line must not decide alone.
const LEAST_SHARE: f64 = 0.001;
/// The least rate before, as a part of that after.
const LEAST_RATE: f64 = 1e-4;

/// By what a log shows that something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The share of failed requests, 0 to 1.
    Share,
    /// Failures per second.
    Rate,
}

/// What stands in one second of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The second since the Unix epoch.
    pub second: i64,
    /// Lines that tell of a failure.
    pub sick: u32,
    /// Lines that tell of success.
    pub well: u32,
}

/// Puts lines together by their seconds, in their order; a line without stamp belongs to the one before.
pub fn ticks(marks: &[Mark]) -> Vec<Tick> {
    let mut ticks: Vec<Tick> = Vec::new();
    for mark in marks {
        add(&mut ticks, *mark);
    }
    ticks
}

/// Takes one more line.
pub fn add(ticks: &mut Vec<Tick>, mark: Mark) {
    let last = ticks.last().map(|tick| tick.second);
    let Some(second) = mark.second.or(last) else { return };
    if last != Some(second) {
        ticks.push(Tick { second, sick: 0, well: 0 });
    }
    if let Some(tick) = ticks.last_mut() {
        match mark.class {
            Class::Sick => tick.sick = tick.sick.saturating_add(1),
            Class::Well => tick.well = tick.well.saturating_add(1),
            Class::Neither => {}
        }
    }
}

/// How it is in a row of ticks. `None`: they tell nothing.
pub fn level(ticks: &[Tick], measure: Measure) -> Option<f64> {
    let sick: f64 = ticks.iter().map(|tick| f64::from(tick.sick)).sum();
    let well: f64 = ticks.iter().map(|tick| f64::from(tick.well)).sum();
    match measure {
        Measure::Share => (sick + well > 0.0).then(|| sick / (sick + well)),
        Measure::Rate => {
            let (first, last) = (ticks.first()?.second, ticks.last()?.second);
            Some(sick / (last.saturating_sub(first).max(0) as f64).max(1.0))
        }
    }
}

/// Where it began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// Index of the first tick of the outage.
    pub at: usize,
    /// Its second.
    pub second: i64,
    /// How far it may be off, in seconds.
    pub spread: i64,
    /// Whether something was well before it; else the row may just not go back far enough.
    pub proven: bool,
    /// How it was before, where something is known of it.
    pub before: Option<f64>,
    /// How it was from then on.
    pub after: f64,
}

/// Finds the begin of the last outage in a row of ticks whose end is sick. `now`: how it is at the end. `patience`: as many
/// seconds of health part two outages. `None`: there is no failure in it.
pub fn split(ticks: &[Tick], measure: Measure, now: f64, patience: i64) -> Option<Split> {
    let first = once(ticks, measure, now, now * BEFORE, patience)?;
    // With the figures of the two sides themselves it is found more exactly.
    let before = first.before.unwrap_or(now * BEFORE);
    let second = once(ticks, measure, first.after, before, patience)?;
    Some(if first.proven && !second.proven { first } else { second })
}

fn once(ticks: &[Tick], measure: Measure, after: f64, before: f64, patience: i64) -> Option<Split> {
    let gain = gains(measure, after, before);
    let mut sum = 0.0_f64;
    let mut best: Option<(f64, usize)> = None;
    let mut sums = vec![f64::NEG_INFINITY; ticks.len()];
    let mut later = ticks.last()?.second;
    let mut proven = false;
    for (at, tick) in ticks.iter().enumerate().rev() {
        // Stamps that go backwards are of the same moment.
        let second = tick.second.min(later);
        sum -= gain.silence * (later - second) as f64;
        later = second;
        if let Some((most, index)) = best
            && ticks[index].second - second >= patience
            && most - sum >= RELIEF
        {
            proven = true;
            break;
        }
        sum += gain.sick * f64::from(tick.sick) + gain.well * f64::from(tick.well);
        sums[at] = sum;
        if tick.sick > 0 && best.is_none_or(|(most, _)| sum >= most) {
            best = Some((sum, at));
        }
    }
    let (most, at) = best?;
    let second = ticks[at].second;
    proven |= most - sum >= PROOF;
    let close = ticks.iter().zip(&sums).filter(|(tick, sum)| tick.sick > 0 && **sum >= most - DOUBT);
    let mut spread = close.map(|(tick, _)| (tick.second - second).abs()).max().unwrap_or(0);
    let (front, back) = (ticks.get(..at).unwrap_or_default(), ticks.get(at..).unwrap_or_default());
    let after = level(back, measure)?;
    spread = spread.max(match measure {
        // It began after the last request that was served.
        Measure::Share => front.iter().rev().find(|tick| tick.well > 0).map_or(0, |tick| second - tick.second),
        // It began before the first request that failed: as long as the next one took.
        Measure::Rate => seconds(1.0 / after.max(f64::MIN_POSITIVE)),
    });
    let before = match measure {
        Measure::Share => level(front, measure),
        Measure::Rate => front.first().map(|first| {
            let sick: f64 = front.iter().map(|tick| f64::from(tick.sick)).sum();
            sick / ((second - first.second) as f64).max(1.0)
        }),
    };
    Some(Split { at, second, spread: spread.max(1), proven, before, after })
}

/// What each thing that is seen says for sickness, in nats.
struct Gains {
    sick: f64,
    well: f64,
    silence: f64,
}

fn gains(measure: Measure, after: f64, before: f64) -> Gains {
    match measure {
        Measure::Share => {
            let after = (after * BEGIN_SHARE).clamp(2.0 * LEAST_SHARE, 1.0 - LEAST_SHARE);
            let before = before.clamp(LEAST_SHARE, (after / 10.0).max(LEAST_SHARE));
            Gains { sick: (after / before).ln(), well: ((1.0 - after) / (1.0 - before)).ln(), silence: 0.0 }
        }
        Measure::Rate => {
            let after = (after * BEGIN_RATE).max(f64::MIN_POSITIVE);
            let before = before.clamp(after * LEAST_RATE, after / 20.0);
            Gains { sick: (after / before).ln(), well: 0.0, silence: after - before }
        }
    }
}

/// Whole seconds, rounded up, within a day.
#[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 86,400")]
pub fn seconds(value: f64) -> i64 {
    value.ceil().clamp(0.0, 86_400.0) as i64
}
