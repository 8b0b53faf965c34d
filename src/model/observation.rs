//! The one stream: what collectors emit, what is recorded, what everything is a fold over.

use serde::{Deserialize, Serialize};

use super::{
    AppSettings, BlindSpot, Changes, ConfigEdit, Deed, FoundLog, Gateway, HostLoad, ListenerTable, LiveState, LogBatch, LogOnset,
    ProbeReport, ServiceLife, ServiceLoad, Upkeep, Vantage, Workers,
};

/// Where and how this run was started: the first message of every recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of this program.
    pub version: String,
    /// Host name.
    pub host: String,
    /// The URL that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether probes are made at all.
    pub probing: bool,
    /// As whom we run.
    pub user: String,
    /// Whether all that is known is an excerpt of logs: nothing was looked at, and now is when it ends.
    #[serde(default)]
    pub excerpt: bool,
    /// Whether what is looked at is a tree of files of a host that does not run here: a copy, an image. Now is when its logs end.
    #[serde(default)]
    pub copied: bool,
}

/// A part of the first pass; what is not done has not been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Gateways were looked for.
    Gateways,
    /// Listening sockets were read.
    Listeners,
    /// The logs' ends were read.
    Logs,
    /// It was looked which logs matter, by what runs.
    Sources,
    /// The journal's past was read.
    Journal,
    /// Load was sampled.
    Load,
    /// Gateways and the applications behind them were looked at twice, which is what rates take.
    Services,
    /// Gateways that run were asked about themselves, or offer no way to.
    Live,
    /// Application servers were asked about their workers, or offer no way to.
    Workers,
    /// Gateways tested their configuration themselves, or it is known why not.
    ConfigTest,
    /// It was looked what was changed lately.
    Changes,
    /// Managers of services were asked about those that matter.
    Life,
    /// A round of all planned probes is complete.
    Probes {
        /// Which plan: the number given with it.
        plan: u64,
        /// Rounds of this plan that are complete.
        round: u32,
    },
}

/// One thing seen. Collectors never fail upwards: a failure is an outcome or a blind spot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// The run begins.
    Run(RunInfo),
    /// All gateways on this host, anew each time something about them changes. Empty: none was found.
    Gateways(Vec<Gateway>),
    /// Files of gateways' configurations were saved, made or removed: told before the gateways as they are then.
    Edited(Vec<ConfigEdit>),
    /// What a gateway says of itself, anew.
    Live(Box<LiveState>),
    /// The workers of all application servers that tell of them, anew.
    Workers(Vec<Workers>),
    /// All listening sockets, anew.
    Listeners(ListenerTable),
    /// A probe's result.
    Probe(Box<ProbeReport>),
    /// All logs that were found by what runs, anew each time that changes.
    Sources(Vec<FoundLog>),
    /// What the applications behind gateways are set to, anew each time that changes.
    Apps(Vec<AppSettings>),
    /// Log lines.
    Log(LogBatch),
    /// Since when what fails at the end of a log fails. Told again where older files know more.
    Onset(LogOnset),
    /// Load.
    Load(Box<HostLoad>),
    /// What was changed lately, anew each time something is added.
    Changes(Box<Changes>),
    /// The services that matter, as their managers tell them, anew each time that changes.
    Life(Vec<ServiceLife>),
    /// How loaded the gateways and the applications behind them are, all of them anew.
    Services(Vec<ServiceLoad>),
    /// Somebody elsewhere looked, too.
    Vantage(Box<Vantage>),
    /// What the host does against the next outage, anew.
    Upkeep(Box<Upkeep>),
    /// Something could not be looked at.
    Blind(BlindSpot),
    /// A blind spot of this source is gone.
    Seen {
        /// [`BlindSpot::source`].
        source: String,
    },
    /// So many observations of this collector did not fit the channel.
    Dropped {
        /// The collector.
        collector: String,
        /// How many.
        count: u64,
    },
    /// A part of the first pass is complete.
    Done(Stage),
    /// What was asked for by this number, or by one before it, was looked at for the first time.
    Answered {
        /// The part of the first pass.
        stage: Stage,
        /// [`Asked::number`](super::Asked).
        asked: u64,
    },
    /// The operator did something by hand.
    Operator(Deed),
    /// The run ended here: its last conclusions were drawn at this time.
    End,
}
