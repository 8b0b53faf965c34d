//! Layer 0: plain data that everything else speaks in.
//!
//! Collectors emit [`Observation`]s, `diagnose/` turns what was observed into [`Fact`]s and [`Cause`]s, screens and
//! reports show them. Nothing here reads a clock, a file or a socket, and nothing here imports another module of ours:
//! a recording is these types as JSON, one line each, so a field that changes its meaning breaks old recordings.
//!
//! To add a kind of observation: a variant of [`Observation`] with its own file here, and its fold in
//! `diagnose/scene.rs`. Give every new field `#[serde(default)]`, so that older recordings still load.

mod answers;
mod app;
mod blind;
mod change;
mod command;
mod config_test;
pub mod document;
pub mod edit;
mod fact;
mod flaw;
mod gateway;
mod health_check;
mod host;
mod instance;
mod life;
mod live;
mod log;
pub mod logline;
mod observation;
mod onset;
mod operator;
mod order;
mod outcome;
mod path_match;
mod probe;
mod resolution;
mod reuse;
pub mod secrets;
mod service;
mod settings;
mod share;
mod shared;
mod source;
mod stamp;
mod target;
pub mod text;
mod trust;
mod upkeep;
mod vantage;
mod verdict;
mod view;
mod workers;

pub use answers::{ANSWERS, ANSWERS_SINCE, ANSWERS_WHILE, ANSWERS_WITHOUT, TURNS};
pub use app::{AppSetting, AppSettings, AppTime, COMMAND_LINE, DEFAULT};
pub use blind::BlindSpot;
pub use change::{Change, ChangeKind, Changes, ChangesLooked};
pub use command::{Advice, Command};
pub use config_test::{ConfigTest, KnownTest, TESTED_EARLIER};
pub use document::{Block, Check, Document, Item};
pub use edit::{ConfigEdit, FileFate, WayBack};
pub use fact::{Fact, Subject};
pub use flaw::{Flaw, HAPROXY_LINES};
pub use gateway::{
    CACHE, CACHE_STALE, Gateway, LACKS, LACKS_CURE, LEFT_OUT, Listen, PICKED, Place, Pool, Role, Route, RunState, SENDS_PROXY,
    Server, Setting, Site,
};
pub use health_check::{
    HEALTH_CHECK, HEALTH_CHECK_BODY, HEALTH_CHECK_EXPECTS, HEALTH_CHECK_HEADER, HEALTH_CHECK_HOST, HEALTH_CHECK_PORT, expects,
};
pub use host::{Abroad, HostLoad, Identity, Listener, ListenerTable, NetLoss, Pressure, ProcessInfo, Queue, Redirect};
pub use instance::{Inside, OldWorker};
pub use life::{ServiceExit, ServiceLife};
pub use live::{Health, LiveCheck, LiveLimit, LiveServer, LiveState};
pub use log::{LogBatch, LogCount, LogFormat, LogSource, SourceKind};
pub use logline::{
    ATTEMPTS, AccessCut, AccessCutter, AccessFormat, AccessLine, AccessTime, COMBINED, JournalEntry, JournalExport, NginxErrorLine,
    journal_json, request_line,
};
pub use observation::{Observation, RunInfo, Stage};
pub use onset::{LogOnset, OnsetMeasure};
pub use operator::Deed;
pub use order::Order;
pub use outcome::{Garbage, NameFault, Outcome, Phase, TlsFault};
pub use path_match::{PathMatch, RouteChoice};
pub use probe::{HttpRequest, Phases, ProbeJob, ProbePlan, ProbeReport, Siblings};
pub use resolution::{OwnResolvers, Resolution};
pub use reuse::Reuse;
pub use service::{FileUse, PlaceUse, ServiceLoad, ServicePlace, StuckProcess, UserTasks};
pub use settings::Settings;
pub use share::Share;
pub use shared::Shared;
pub use source::{Asked, FoundLog, JOURNAL_PREFIX, LogOwner, LogPlace, OwnerRole, SourceWish};
pub use stamp::{Stamp, clock as clock_of, rfc3339};
pub use target::{Address, Protocol};
pub use trust::{TlsVersion, TrustSettings, Verifier};
pub use upkeep::{ClockJob, Rotation, Updates, Upkeep};
pub use vantage::{ELSEWHERE, Vantage};
pub use verdict::{
    Cause, CheckState, Confidence, Configured, Evidence, Finding, Hop, HopState, RuledOut, StepState, Symptom, Verdict,
};
pub use view::{
    CertView, HostsLine, Icmp, IcmpMeaning, KeepaliveView, KernelRoute, NamesView, Neighbour, PathPart, PathView, PeerSeen,
    PortUse, REWRITE, ReachView, RoundTrips, RuleHit, SentAgain, ServerAnswer, ServerOf, TlsMisfit, TlsView, TrustFault,
    TrustFinding, TrustVerdict, View,
};
pub use workers::Workers;
