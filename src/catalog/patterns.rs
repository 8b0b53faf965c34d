//! The patterns of one file of signatures, put to a line together.
//!
//! Not `regex`'s set: that keeps automata for finding where a match begins, which nobody asks here. And a bound as in `.{0,400}` is
//! four hundred states in each, to say no more than "near the beginning": it is left out of the automaton, and what that lets through
//! is put to the pattern itself. All patterns for lines of no known program take one megabyte that way, instead of six.

use std::sync::{Mutex, PoisonError};

use regex_automata::{
    Input, MatchKind, PatternSet,
    hybrid::dfa::{Cache, Config, DFA},
    nfa::thompson::{self, WhichCaptures},
};
use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Repetition},
};

/// Bytes that the compiled patterns of one file may take: room for ten times the largest of ours.
const NFA_BYTES: usize = 8 << 20;
/// Bytes of states that a set keeps while it matches, or as many as it cannot do without: a group is classified once, so speed is not
/// what it is for.
const CACHE_BYTES: usize = 128 << 10;
/// Repetitions up to so many are counted by the automaton: the digits of a port, of a status, of a process.
const COUNTED: u32 = 12;

/// Patterns, by their places.
#[derive(Debug)]
pub(super) struct Patterns {
    dfa: DFA,
    cache: Mutex<Cache>,
    /// Whether a bound was left out of the pattern.
    wider: Vec<bool>,
}

impl Patterns {
    /// `None`: one is no pattern, or they are too much together.
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (mut all, mut wider) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
            let mut left_out = false;
            all.push(without_bounds(hir, &mut left_out));
            wider.push(left_out);
        }
        let nfa = thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_BYTES));
        let nfa = thompson::Compiler::new().configure(nfa).build_many_from_hir(&all).ok()?;
        let states = Config::new().match_kind(MatchKind::All).cache_capacity(CACHE_BYTES).skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(states).build_from_nfa(nfa).ok()?;
        let cache = Mutex::new(dfa.create_cache());
        Some(Self { dfa, cache, wider })
    }

    /// The place of the first pattern that matches. `exact` tells it of one pattern by itself.
    pub(super) fn first(&self, text: &[u8], exact: impl Fn(usize) -> bool) -> Option<usize> {
        let mut matching = PatternSet::new(self.dfa.pattern_len());
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            // A lazy DFA fails where it was told to give up or to quit at some byte, which this one was not.
            self.dfa.try_which_overlapping_matches(&mut cache, &Input::new(text), &mut matching).ok()?;
        }
        matching.iter().map(|pattern| pattern.as_usize()).find(|at| !self.wider[*at] || exact(*at))
    }
}

/// The same without names of groups, and without bounds above [`COUNTED`]: it matches whatever the pattern matches, and more.
fn without_bounds(hir: Hir, left_out: &mut bool) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Capture(group) => without_bounds(*group.sub, left_out),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(|part| without_bounds(part, left_out)).collect()),
        HirKind::Alternation(ways) => Hir::alternation(ways.into_iter().map(|way| without_bounds(way, left_out)).collect()),
        HirKind::Repetition(Repetition { min, max, greedy, sub }) => {
            let beyond = max.unwrap_or(min) > COUNTED;
            *left_out |= beyond;
            let (min, max) = if beyond { (min.min(COUNTED), None) } else { (min, max) };
            Hir::repetition(Repetition { min, max, greedy, sub: Box::new(without_bounds(*sub, left_out)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::bytes::RegexBuilder;

    use super::*;

    #[test]
    fn a_bound_holds_though_the_automaton_does_not_know_it() {
        let texts = ["^.{0,20}?refused", "refused", r"^(?P<a>\d{40})$", r"^\d{3}$"];
        let patterns = Patterns::new(texts).expect("sound");
        let exact = |text: &[u8]| {
            let text = text.to_vec();
            move |at: usize| RegexBuilder::new(texts[at]).unicode(false).build().expect("sound").is_match(&text)
        };
        let first = |text: &str| patterns.first(text.as_bytes(), exact(text.as_bytes()));
        assert_eq!(first("connect: refused"), Some(0));
        assert_eq!(first(&format!("{}refused", "x".repeat(20))), Some(0));
        assert_eq!(first(&format!("{}refused", "x".repeat(21))), Some(1));
        assert_eq!((first(&"7".repeat(40)), first(&"7".repeat(39)), first(&"7".repeat(41))), (Some(2), None, None));
        assert_eq!((first("502"), first("5020"), first("")), (Some(3), None, None));
        assert!(patterns.dfa.get_nfa().states().len() < 200, "{:?}", patterns.dfa.get_nfa());
        assert!(Patterns::new(["(open"]).is_none());
    }
}
