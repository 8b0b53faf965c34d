//! Starts the collectors of a run and carries to them what `update` wants.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{confined, knowledge};
use crate::{
    app::Options,
    catalog::Catalog,
    cli::Target,
    diagnose::Scene,
    gateway,
    model::{Asked, BlindSpot, KnownTest, LogSource, Observation, ProbePlan, RunInfo, SourceKind, SourceWish, Subject},
    probe,
    sys::{Bell, Clock, FileKind, Inbox, OUTBOX_CAPACITY, Outbox, Root, Sys, Users},
    watch as watching,
};

/// How long the others wait at most for the first look at the gateways: all that follows needs what it finds, and beside a dozen threads
/// it would have a sixth of two processors. Tens of thousands of sites take about so long.
const HEAD_START: Duration = Duration::from_millis(300);

/// The collectors of a run. Dropping it ends them.
#[derive(Debug)]
pub struct Collectors {
    /// What they saw.
    pub seen: Inbox,
    /// The knowledge, when it is ready.
    pub catalog: tokio::sync::oneshot::Receiver<Arc<Catalog>>,
    /// Where to ask for the demo's healing. `None`: there is no demo.
    pub heal: Option<mpsc::Sender<()>>,
    plans: watch::Sender<ProbePlan>,
    wishes: watch::Sender<Asked<SourceWish>>,
    sources: watch::Sender<Asked<Vec<LogSource>>>,
    units: watch::Sender<Asked<Vec<(String, SourceKind)>>>,
    /// What a person brings, as if a collector had seen it: so it is recorded, too.
    brought: Option<Outbox>,
    /// Whether they are to work; they begin when this is set.
    pub begin: watch::Sender<bool>,
    cancel: CancellationToken,
}

impl Collectors {
    /// Makes all collectors ready on this runtime; they start by `begin`. `stays`: until a person leaves, so that others who do so are to be heeded. `known`:
    /// tests of configurations that an earlier run made, where they may be used.
    pub fn start(on: &Handle, sys: &Sys, target: &Target, stays: bool, known: Option<Vec<KnownTest>>) -> Self {
        let (sender, seen) = mpsc::channel(OUTBOX_CAPACITY);
        // A screen goes on with its clock; where nothing else wakes who waits, each observation has to.
        let bell = stays.then(Bell::default);
        let seen = Inbox::new(seen, bell.clone());
        let (plans, plans_in) = watch::channel(ProbePlan::default());
        let (wishes, wishes_in) = watch::channel(Asked::default());
        let (changes_in, life_in) = (wishes.subscribe(), wishes.subscribe());
        let served_in = wishes.subscribe();
        let (sources, sources_in) = watch::channel(Asked::default());
        let (units, units_in) = watch::channel(Asked::default());
        let cancel = CancellationToken::new();
        let begin = watch::Sender::new(false);
        let mut begun = begin.subscribe();
        let outbox = Outbox::new("run", sys.clock, sender).ringing(bell);
        // Where nobody stays, nobody brings anything, and the end of all collectors is to be heard.
        let brought = stays.then(|| outbox.named("a person"));
        let (ready, catalog) = tokio::sync::oneshot::channel();
        let info = run_info(sys, target);
        let overrides = gateway::Overrides {
            kind: target.gateway.clone(),
            config: target.config.clone(),
            logs: target.log.clone(),
            access_logs: target.access_log.clone(),
            upstreams: target.upstream.clone(),
            known_tests: known,
        };
        let rate = target.rate.map_or_else(Default::default, |rate| probe::schedule::Rate::requests(f64::from(rate)));
        let (sys, stop) = (sys.clone(), cancel.clone());
        on.spawn(async move {
            if begun.wait_for(|begun| *begun).await.is_err() {
                return;
            }
            outbox.tell(Observation::Run(info)).await;
            if let Some(spot) = confined::not_given_up() {
                outbox.tell(Observation::Blind(spot)).await;
            }
            let mut tasks = JoinSet::new();
            let mut names = std::collections::BTreeMap::new();
            let mut spawn = |name: &'static str, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
                names.insert(tasks.spawn(task).id(), name);
            };
            let given = |name| (sys.clone(), outbox.named(name), stop.clone());
            let (s, o, c) = given("gateways");
            let (looking, looked) = tokio::sync::oneshot::channel();
            spawn("gateways", Box::pin(gateway::run(s, overrides, stays, looking, plans_in.clone(), o, c)));
            let (s, o, c) = given("listeners");
            spawn("listeners", Box::pin(watching::listeners::run(s, plans_in.clone(), o, c)));
            // Its sender only goes.
            let _ = tokio::time::timeout(HEAD_START, looked).await;
            // Hundreds of patterns take their time to compile: never on the way to the first frame.
            let own = outbox.named("knowledge");
            tokio::spawn(async move {
                let Ok(Ok((known, unused))) = tokio::task::spawn_blocking(knowledge::catalog).await else { return };
                let _ = ready.send(Arc::new(known));
                for spot in unused {
                    own.tell(Observation::Blind(spot)).await;
                }
            });
            let (s, o, c) = given("services");
            spawn("services", Box::pin(watching::services::run(s, wishes_in.clone(), plans_in.clone(), o, c)));
            let (s, o, c) = given("log sources");
            spawn("log sources", Box::pin(watching::sources::run(s, wishes_in, o, c)));
            let (s, o, c) = given("workers");
            spawn("workers", Box::pin(watching::workers::run(s, served_in, o, c)));
            let (s, o, c) = given("journal");
            spawn("journal", Box::pin(watching::journal::run(s, units_in, o, c)));
            let (s, o, c) = given("logs");
            spawn("logs", Box::pin(watching::logs::run(s, sources_in, o, c)));
            let (s, o, c) = given("changes");
            spawn("changes", Box::pin(watching::changes::run(s, changes_in, o, c)));
            let (s, o, c) = given("services");
            spawn("services", Box::pin(watching::life::run(s, life_in, o, c)));
            let (s, o, c) = given("kernel log");
            spawn("kernel log", Box::pin(watching::kernel::run(s, o, c)));
            let (s, o, c) = given("load");
            spawn("load", Box::pin(watching::load::run(s, plans_in.clone(), o, c)));
            let (s, o, c) = given("upkeep");
            spawn("upkeep", Box::pin(watching::upkeep::run(s, o, c)));
            let (count, others) = watch::channel(0);
            if stays && sys.probing {
                let (_, o, c) = given("other consoles");
                spawn("other consoles", Box::pin(watching::instances::run(count, o, c)));
            }
            let (s, o, c) = given("probes");
            spawn("probes", Box::pin(probe::schedule::run(rate, s, plans_in, others, o, c)));
            while let Some(ended) = tasks.join_next_with_id().await {
                // A collector that panics blinds us in one eye; it must not take the console with it.
                if let Err(error) = ended
                    && error.is_panic()
                {
                    let source = names.get(&error.id()).copied().unwrap_or("a collector").to_owned();
                    let reason = "it failed by a defect of this program".to_owned();
                    let remedy = "check this part by hand, and report the defect".to_owned();
                    outbox.tell(Observation::Blind(BlindSpot { source, reason, remedy })).await;
                }
            }
        });
        Self { seen, catalog, heal: None, plans, wishes, sources, units, brought, begin, cancel }
    }

    /// Heal the demo. Asked twice at once, it is done once.
    pub fn heal(&self) {
        if let Some(heal) = &self.heal {
            let _ = heal.try_send(());
        }
    }

    /// Takes in what a person brings.
    pub fn tell(&self, observation: Observation) {
        if let Some(outbox) = self.brought.clone() {
            tokio::spawn(async move { outbox.tell(observation).await });
        }
    }

    /// Reads what somebody elsewhere saw.
    pub fn read_vantage(&self, path: &str) {
        if let Some(outbox) = self.brought.clone() {
            let path = path.to_owned();
            tokio::spawn(async move { outbox.tell(super::vantage::named(path).await).await });
        }
    }

    /// Ends what is under way and has told nothing yet, so that it is told as pending.
    pub fn end_unheard(&self, scene: &Scene) {
        let heard: BTreeSet<(&str, &Subject)> =
            scene.probes.iter().map(|history| (history.last.job.probe.as_str(), &history.last.job.subject)).collect();
        self.plans.send_modify(|plan| {
            let unheard = plan.jobs.iter().filter(|job| !heard.contains(&(job.probe.as_str(), &job.subject)));
            plan.cut = unheard.map(|job| job.subject.clone()).collect();
        });
    }

    /// Probe by this plan from now on.
    pub fn probe(&self, plan: ProbePlan) {
        self.plans.send_replace(plan);
    }

    /// Look for the logs that matter by these from now on.
    pub fn find(&self, wish: Asked<SourceWish>) {
        self.wishes.send_replace(wish);
    }

    /// Follow the journal of these units from now on.
    pub fn journal(&self, units: Asked<Vec<(String, SourceKind)>>) {
        self.units.send_replace(units);
    }

    /// Follow these logs from now on.
    pub fn follow(&self, sources: Asked<Vec<LogSource>>) {
        self.sources.send_replace(sources);
    }
}

/// How long a file system may take to say whether a file can be read.
const ANSWERS: Duration = Duration::from_secs(1);

impl Drop for Collectors {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// The host as the command line names it.
pub fn sys(target: &Target) -> anyhow::Result<Sys> {
    let root = match &target.root {
        None => Root::host(),
        Some(dir) => {
            let root = Root::below(dir);
            if root.stat(std::path::Path::new("/")).is_err() {
                anyhow::bail!("--root {}: it is no directory that can be read", dir.display());
            }
            root
        }
    };
    if let Some(config) = target.config.clone() {
        // HAProxy loads whole directories (management guide, 3: -f).
        let directories = target.gateway.as_deref() == Some("haproxy");
        readable(&root, config, directories)?;
    }
    Ok(Sys::new(root, !target.no_probe))
}

/// Whoever names a file wants to hear that it cannot be read, and not what follows from that. On a file system that does not answer
/// that is left to those who read it.
fn readable(root: &Root, config: PathBuf, directories: bool) -> anyhow::Result<()> {
    let (told, answer) = std::sync::mpsc::channel();
    let root = root.clone();
    std::thread::spawn(move || {
        let directory = root.stat(&config).is_ok_and(|info| info.kind == FileKind::Directory);
        let opened = if directory && directories { Ok(()) } else { root.open(&config).map(drop) };
        // Nobody waits for one that comes late.
        let _ = told.send(opened);
    });
    match answer.recv_timeout(ANSWERS) {
        Ok(opened) => opened.map_err(|error| anyhow::anyhow!("--config: {error}")),
        Err(_) => Ok(()),
    }
}

/// The clock of a run: of a tree whose host does not run here it shows when its logs end.
pub fn clock(clock: Clock, sys: &Sys, target: &Target) -> Clock {
    if !sys.root.is_copy() {
        return clock;
    }
    let named: Vec<PathBuf> = target.log.iter().chain(&target.access_log).cloned().collect();
    let (root, today) = (sys.root.clone(), clock.now().wall_s());
    let (told, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(watching::ends::newest(&root, &named, today)));
    // A tree on a dead server has no end that could be waited for.
    let newest = answer.recv_timeout(ANSWERS).ok().flatten();
    newest.map_or(clock, |second| clock.showing(second.saturating_mul(1_000)))
}

/// What `update` needs to know of the command line.
pub fn options(target: &Target) -> Options {
    Options { url: target.url.clone(), via: target.via.clone(), upstreams: target.upstream.clone(), ..Options::default() }
}

fn run_info(sys: &Sys, target: &Target) -> RunInfo {
    let host = sys.root.text("/proc/sys/kernel/hostname").map(|text| text.trim().to_owned());
    RunInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host.unwrap_or_else(|_| "?".to_owned()),
        url: target.url.as_ref().map(ToString::to_string),
        probing: sys.probing,
        excerpt: false,
        copied: sys.root.is_copy(),
        user: Users::read(&sys.root).name(rustix::process::geteuid().as_raw()),
    }
}
