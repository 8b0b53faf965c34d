//! What is handed over: the report of an incident, the ticket for the hosting provider, a line for the chat. Pure: the same state
//! gives the same document. How it looks is for `report/` (Markdown, HTML) and `ui/` (the preview).
//!
//! To add a paper: a variant of [`Paper`], its file here, and its arm in [`document`].

mod incident;
mod status;
mod ticket;

use super::State;
use crate::{
    diagnose::{Moment, MomentKind},
    model::{Block, Document, Gateway, Order as _, Verdict, text::duration},
};

pub use incident::incident;
pub use status::status;
pub use ticket::ticket;

/// A kind of paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    /// All that is known and was done.
    Report,
    /// What the hosting provider needs to look on its side.
    Ticket,
    /// One line for the chat.
    Status,
}

impl Paper {
    /// All of them, in the order in which one goes through them.
    pub const ALL: [Self; 3] = [Self::Report, Self::Ticket, Self::Status];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Ticket => "ticket for the provider",
            Self::Status => "status line",
        }
    }

    /// The next one, around.
    pub fn next(self) -> Self {
        match self {
            Self::Report => Self::Ticket,
            Self::Ticket => Self::Status,
            Self::Status => Self::Report,
        }
    }
}

/// The document. `took_ms`: how long it was looked; `None`: it is still being looked.
pub fn document(state: &State, paper: Paper, took_ms: Option<u64>) -> Document {
    let mut document = match paper {
        Paper::Report => incident(state, took_ms),
        Paper::Ticket => ticket(state),
        // Its addresses are hidden already.
        Paper::Status => return Document { title: "Status".to_owned(), blocks: vec![Block::Text(status(state))] },
    };
    if let Some(mask) = &state.options.mask {
        mask.document(&mut document);
    }
    document
}

/// `OK`, as a monitoring plugin says it.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "OK",
        Verdict::Warning => "WARNING",
        Verdict::Critical => "CRITICAL",
        Verdict::Unknown => "UNKNOWN",
    }
}

/// The gateway that it is about: the first that runs, else the first.
pub fn gateway(state: &State) -> Option<&Gateway> {
    let gateways = &state.shown().0.gateways;
    gateways.iter().find(|gateway| gateway.running()).or_else(|| gateways.first())
}

/// Moments that a report lists, the nearest to the first failure.
const MOMENTS: usize = 12;

/// What happened around the first failure, oldest first; what a host was made with is no news. Empty: nothing fails.
pub fn around(state: &State) -> Vec<&Moment> {
    let assessment = state.shown().1;
    // What a log tells of a host on which nothing fails is of scanners, of clients that left, or over.
    if assessment.verdict == Verdict::Ok && assessment.recovery.is_none() {
        return Vec::new();
    }
    let moments = &assessment.moments;
    let told = |moment: &&Moment| !moment.first && moment.before.is_some() && !moment.kind.is_ours();
    let mut near: Vec<&Moment> = moments.iter().filter(told).collect();
    near.order_by_key(|moment| (moment.kind != MomentKind::Onset, !moment.suspect, moment.before.map_or(i64::MAX, i64::abs)));
    near.truncate(MOMENTS);
    near.order_by_key(|moment| moment.at);
    if near.len() > 1 { near } else { Vec::new() }
}

/// How far a moment is from the first failure: `2m39s before`.
pub fn distance(moment: &Moment) -> String {
    match moment.before {
        None => String::new(),
        Some(0) => "the same second".to_owned(),
        Some(before @ 1..) => format!("{} before", duration(before)),
        Some(after) => format!("{} after", duration(-after)),
    }
}
