//! Layer 0: plain data that everything else speaks in.
//!
//! Collectors emit [`Observation`]s, `diagnose/` turns what was observed into [`Fact`]s and [`Cause`]s, screens and
//! reports show them. Nothing here reads a clock, a file or a socket, and nothing here imports another module of ours:
//! a recording is these types as JSON, one line each, so a field that changes its meaning breaks old recordings.
//!
//! To add a kind of observation: a variant of [`Observation`] with its own file here, and its fold in
//! `diagnose/scene.rs`. Give every new field `#[serde(default)]`, so that older recordings still load.

mod blind;
mod command;
mod fact;
mod gateway;
mod host;
mod log;
pub mod logline;
mod observation;
mod onset;
mod outcome;
mod probe;
mod source;
mod stamp;
mod target;
pub mod text;
mod verdict;

pub use blind::BlindSpot;
pub use command::{Advice, Command};
pub use fact::{Fact, Subject};
pub use gateway::{ConfigTest, Gateway, Listen, Place, Pool, Role, Route, RunState, Server, Setting, Site};
pub use host::{HostLoad, Identity, Listener, ListenerTable, Pressure, ProcessInfo, Queue};
pub use log::{LogBatch, LogCount, LogFormat, LogSource, SourceKind};
pub use logline::{
    ATTEMPTS, AccessCut, AccessCutter, AccessFormat, AccessLine, AccessTime, COMBINED, JournalEntry, JournalExport, NginxErrorLine,
    journal_json, request_line,
};
pub use observation::{Observation, RunInfo, Stage};
pub use onset::{LogOnset, OnsetMeasure};
pub use outcome::{Garbage, NameFault, Outcome, Phase, TlsFault};
pub use probe::{HttpRequest, Phases, ProbeJob, ProbePlan, ProbeReport};
pub use source::{FoundLog, JOURNAL_PREFIX, LogOwner, LogPlace, OwnerRole, SourceWish};
pub use stamp::{Stamp, clock as clock_of, rfc3339};
pub use target::{Address, Protocol};
pub use verdict::{Cause, CheckState, Confidence, Evidence, Finding, Hop, HopState, RuledOut, StepState, Symptom, Verdict};
