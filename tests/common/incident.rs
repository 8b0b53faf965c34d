//! States as a person meets them, made by feeding messages to `update`, as the console does.

use std::sync::{Arc, OnceLock};

use why502::{
    app::{Event, Msg, Options, State, update},
    catalog::Catalog,
    model::{
        Address, BlindSpot, FileUse, Gateway, HostLoad, Identity, Listen, Listener, ListenerTable, LogBatch, LogCount, LogFormat,
        LogSource, NetLoss, Observation, Outcome, OwnerRole, Phases, Place, PlaceUse, Pool, Pressure, ProbeJob, ProbeReport,
        ProcessInfo, Protocol, Queue, Resolution, Role, Route, RouteChoice, RunInfo, RunState, Server, ServiceLoad, ServicePlace,
        Site, SourceKind, Stage, Stamp, Subject,
    },
    sys::Stamped,
};

/// 2026-11-20 02:26:58 UTC: when the run begins.
const BEGIN_MS: i64 = 1_795_141_618_000;
/// When the outage began: 02:17:41.
pub const ONSET_S: i64 = BEGIN_MS / 1000 - 557;

/// The address that the gateway connects to.
pub const UPSTREAM: &str = "127.0.0.1:8000";

/// A state that is fed.
pub struct Incident {
    /// The state.
    pub state: State,
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// What was observed, as collectors would have sent it.
    pub seen: Vec<Stamped>,
}

impl Incident {
    /// The first frame: nothing is known, not even the catalogue.
    pub fn first_frame() -> Self {
        let mut incident = Self { state: State::new(Options::default(), "checklist"), at_ms: 0, seen: Vec::new() };
        incident.feed(Msg::Tick);
        incident
    }

    /// A run whose catalogue is there, and nothing else.
    pub fn begun(probing: bool, user: &str) -> Self {
        let mut incident = Self::first_frame();
        incident.feed(Msg::Catalog(catalog()));
        let run = RunInfo {
            version: "0.1.0".into(),
            host: "gw1.fra".into(),
            url: None,
            probing,
            user: user.into(),
            excerpt: false,
            copied: false,
        };
        incident.observe(Observation::Run(run));
        incident
    }

    /// nginx before an application that is down, seen after a few rounds of probes.
    pub fn broken() -> Self {
        let mut incident = Self::begun(true, "root");
        incident.observe(Observation::Gateways(vec![nginx()]));
        incident.observe(Observation::Listeners(listeners(false)));
        incident.observe(Observation::Load(Box::new(load())));
        incident.observe(Observation::Services(vec![service(OwnerRole::Gateway)]));
        incident.observe(Observation::Log(error_log(1204, true)));
        incident.observe(Observation::Log(access_log(502, 1198)));
        incident.done(&[Stage::Gateways, Stage::Listeners, Stage::Load, Stage::Logs]);
        incident.rounds(8, |job| if job.probe == "gateway" { Outcome::Status(502) } else { Outcome::Refused });
        incident
    }

    /// The same host on a good day, with an old outage in its log.
    pub fn healthy() -> Self {
        let mut incident = Self::begun(true, "root");
        incident.observe(Observation::Gateways(vec![nginx()]));
        incident.observe(Observation::Listeners(listeners(true)));
        incident.observe(Observation::Load(Box::new(load())));
        incident.observe(Observation::Services(vec![service(OwnerRole::Gateway), service(OwnerRole::Upstream)]));
        incident.observe(Observation::Log(error_log(12, false)));
        incident.observe(Observation::Log(access_log(200, 3411)));
        incident.done(&[Stage::Gateways, Stage::Listeners, Stage::Load, Stage::Logs]);
        incident.rounds(6, |_| Outcome::Status(200));
        incident
    }

    /// An operator without rights, who may see nothing but what anybody may.
    pub fn blind() -> Self {
        let mut incident = Self::begun(true, "jo");
        let blind = |source: &str, reason: &str, remedy: &str| BlindSpot {
            source: source.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        };
        let gateway = Gateway { logs: Vec::new(), identity: None, ..nginx() };
        incident.observe(Observation::Gateways(vec![gateway]));
        incident.observe(Observation::Listeners(ListenerTable { owners_complete: false, overflows: None, ..listeners(false) }));
        incident.observe(Observation::Load(Box::default()));
        let spots = [
            blind(
                "/var/log/nginx/error.log",
                "permission denied (owner root, group adm, mode 640)",
                "add yourself to group adm: sudo usermod -aG adm jo",
            ),
            blind("owners of sockets", "only root may see those of other users", "run it with sudo"),
            blind("/proc/811/environ", "permission denied", "run it with sudo"),
        ];
        for spot in spots {
            incident.observe(Observation::Blind(spot));
        }
        incident.done(&[Stage::Gateways, Stage::Listeners, Stage::Load, Stage::Logs]);
        incident.rounds(3, |job| {
            if job.probe == "gateway" { Outcome::Status(502) } else { Outcome::Skipped("setuid needs root".into()) }
        });
        incident
    }

    /// Logs of more kinds than fit, faster than they can be taken.
    pub fn flooded() -> Self {
        let mut incident = Self::broken();
        let now = incident.now_s();
        let counts = (0..300_u32).map(|n| {
            let line = format!("2026/11/20 02:27:3{} [error] 811#811: *{n} open() \"/srv/shop/static/{n}.js\" failed (2: No such file or directory)", n % 10);
            LogCount { later: Vec::new(), second: Some(now - i64::from(n % 10)), key: format!("[error] open() \"/srv/shop/static/{n}.js\" failed (2: No such file or directory)"), count: 1000 + n, first: line, last: None }
        });
        let batch = LogBatch { counts: counts.collect(), dropped: 1_234_567, lookback: false, ..error_log(0, true) };
        incident.observe(Observation::Log(batch));
        incident.observe(Observation::Dropped { collector: "logs".into(), count: 42 });
        incident.feed(Msg::Tick);
        incident
    }

    /// Feeds one observation.
    pub fn observe(&mut self, observation: Observation) {
        self.feed(Msg::Observed(observation));
    }

    /// Feeds one message, 100 ms after the one before.
    pub fn feed(&mut self, msg: Msg) {
        self.at_ms += 100;
        let at = Stamp { run_ms: self.at_ms, wall_ms: BEGIN_MS + i64::try_from(self.at_ms).expect("a short run") };
        if let Msg::Observed(observation) = &msg {
            self.seen.push(Stamped { at, observation: observation.clone() });
        }
        update(&mut self.state, Event { at, msg });
    }

    fn now_s(&self) -> i64 {
        self.state.now.wall_s()
    }

    /// These parts of the first pass are complete.
    pub fn done(&mut self, stages: &[Stage]) {
        for stage in stages {
            self.observe(Observation::Done(*stage));
        }
    }

    /// So many rounds of the plan that is in force, 2 s each.
    pub fn rounds(&mut self, rounds: u32, outcome: impl Fn(&ProbeJob) -> Outcome) {
        for round in 1..=rounds {
            let plan = self.state.plan.clone();
            for job in plan.jobs {
                // Another view of the same request gets what the request gets.
                let view = ["client", "no-cache", "as-browser", "http2", "other-family"].contains(&job.probe.as_str());
                let asked = if view { ProbeJob { probe: "gateway".into(), ..job.clone() } } else { job.clone() };
                self.observe(Observation::Probe(Box::new(report(&job, outcome(&asked)))));
            }
            self.observe(Observation::Done(Stage::Probes { plan: plan.number, round }));
            self.at_ms += 1_800;
            self.feed(Msg::Tick);
        }
    }
}

/// The catalogue, compiled once for all tests.
pub fn catalog() -> Arc<Catalog> {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    CATALOG.get_or_init(|| Arc::new(Catalog::embedded().expect("the embedded catalogue is whole"))).clone()
}

/// What a probe of this job tells that ended so.
pub fn report(job: &ProbeJob, outcome: Outcome) -> ProbeReport {
    let phases = match outcome {
        Outcome::Status(_) => Phases { connect: Some(0.1), first_byte: Some(2.6), total: 3.1, ..Phases::default() },
        _ => Phases { total: 0.2, ..Phases::default() },
    };
    let answered = matches!(outcome, Outcome::Status(_));
    ProbeReport {
        job: job.clone(),
        phases,
        detail: if answered { "HTTP/1.1 502 Bad Gateway".into() } else { "connect: Connection refused (os error 111)".into() },
        emitter: answered.then(|| "nginx".into()),
        peer: None,
        own_page: answered,
        flaws: Vec::new(),
        head_bytes: answered.then_some(155),
        as_gateway: job.identity.is_some() && !matches!(outcome, Outcome::Skipped(_)),
        retry_after_s: None,
        proxy_fault: None,
        view: None,
        outcome,
    }
}

fn place(line: u32) -> Place {
    Place { file: std::path::PathBuf::from("/etc/nginx/conf.d/shop.conf").into(), line }
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// nginx with one site and one upstream.
pub fn nginx() -> Gateway {
    let server =
        Server { name: None, address: address(UPSTREAM), role: Role::Primary, names: Resolution::default(), at: place(14) };
    let route = Route { takes: None, servers: vec![server], header_limit: Some(4096), ..Route::new(Protocol::Http, place(14)) };
    let listen = Listen { address: address("0.0.0.0:80"), tls: false, proxy_protocol: false, default: false, at: place(3) };
    let log = |path: &str, kind, format| LogSource { path: path.into(), kind, format };
    Gateway {
        kind: "nginx".into(),
        version: Some("1.22.1".into()),
        state: RunState::Running { pid: 811, since: Some(BEGIN_MS / 1000 - 40_000), workers_since: Some(BEGIN_MS / 1000 - 4_000) },
        binary: Some("/usr/sbin/nginx".into()),
        identity: Some(Identity { name: "www-data".into(), uid: 33, gid: 33, groups: vec![33] }),
        config: "/etc/nginx/nginx.conf".into(),
        files: vec![("/etc/nginx/nginx.conf".into(), None), ("/etc/nginx/conf.d/shop.conf".into(), None)],
        problems: Vec::new(),
        test: None,
        tested: None,
        per_request: Vec::new(),
        draining: Vec::new(),
        generation: None,
        sites: vec![Site {
            names: vec!["shop.example.com".into()],
            listens: vec![listen],
            routes: vec![route],
            choice: RouteChoice::Location,
            at: place(1),
        }]
        .into(),
        pools: Vec::<Pool>::new().into(),
        logs: vec![
            log("/var/log/nginx/error.log", SourceKind::Error, LogFormat::NginxError),
            log("/var/log/nginx/access.log", SourceKind::Access, LogFormat::NginxAccess(String::new())),
        ],
        settings: std::collections::BTreeMap::new(),
        resolvers: Vec::new(),
        unit: Some("nginx.service".into()),
        commands: [("test", &["nginx", "-t"][..]), ("reload", &["systemctl", "reload", "nginx"])]
            .map(|(name, words)| (name.to_owned(), words.iter().map(ToString::to_string).collect()))
            .into(),
        blind: Vec::new(),
        inside: None,
    }
}

/// Who listens on the host; `app`: the application too.
pub fn listeners(app: bool) -> ListenerTable {
    let owner = |pid, name: &str| ProcessInfo {
        pid,
        ppid: 1,
        name: name.into(),
        argv: vec![name.into()],
        exe: None,
        identity: Identity { name: "root".into(), uid: 0, gid: 0, groups: Vec::new() },
        started: None,
        start_ticks: None,
        state: 'S',
        cgroup: None,
        cwd: None,
        net_ns: None,
        threads: 1,
    };
    let listener = |at: &str, pid, name: &str| Listener {
        address: address(at),
        owner: Some(owner(pid, name)),
        queue: Some(Queue { waiting: 0, limit: 511 }),
    };
    let mut listeners = vec![listener("0.0.0.0:80", 811, "nginx"), listener("0.0.0.0:22", 500, "sshd")];
    if app {
        listeners.push(listener(UPSTREAM, 3121, "gunicorn"));
    }
    ListenerTable { listeners, owners_complete: true, overflows: Some(0), ..ListenerTable::default() }
}

/// Load of a host that is well, but for a nearly full file system.
pub fn load() -> HostLoad {
    HostLoad {
        cores: Some(4),
        cpu: Some(12.0),
        steal: Some(0.0),
        load: Some([0.4, 0.5, 0.6]),
        runnable: Some(1),
        mem_total: Some(8 << 30),
        mem_available: Some(5 << 30),
        swap_total: Some(0),
        swap_used: Some(0),
        psi_cpu: Some(Pressure { some: 0.0, full: 0.0 }),
        psi_mem: Some(Pressure { some: 0.2, full: 0.0 }),
        psi_io: None,
        oom_kills: Some(1),
        disks: vec![("/".into(), 61.0, Some(9.0)), ("/var/log".into(), 93.4, Some(2.0))],
        files: Some((2114, 65_536)),
        conntrack: None,
        self_cpu: Some(0.4),
        self_rss: Some(21 << 20),
        tasks: Some((212, 32_768)),
        blocked: Some(0),
        tcp_mem: Some((26, 94_000)),
        swapping: Some(0.0),
        net: Some(NetLoss { retransmitted: Some(0.1), ..NetLoss::default() }),
        self_wakeups: Some(6.0),
        pace_ms: Some(2_000),
    }
}

/// How loaded the gateway or the application is, on a quiet day.
pub fn service(role: OwnerRole) -> ServiceLoad {
    let (name, pid, serves, memory) = match role {
        OwnerRole::Gateway => ("nginx", 811, "nginx", 14 << 20),
        OwnerRole::Upstream => ("gunicorn", 4242, UPSTREAM, 212 << 20),
    };
    ServiceLoad {
        role,
        serves: vec![Subject(serves.into())],
        name: name.into(),
        pid,
        unit: Some(format!("{name}.service")),
        cgroup: Some(format!("/sys/fs/cgroup/system.slice/{name}.service")),
        processes: 5,
        workers: 4,
        cpu: Some(1.5),
        memory: Some(memory),
        memory_limit: (role == OwnerRole::Upstream).then_some((memory, 512 << 20)),
        oom_kills: Some(0),
        oom_kills_seen: Some(0),
        files: Some(FileUse { pid, open: 24, limit: 1024 }),
        places: vec![ServicePlace {
            path: format!("/var/log/{name}/error.log").into(),
            how: PlaceUse::Open,
            mount: "/var/log".into(),
            kind: "ext4".into(),
            used: Some(93.4),
            free: Some(4 << 30),
            inodes: Some(2.0),
            read_only: false,
        }],
        ..ServiceLoad::default()
    }
}

/// Lines of the error log: the outage that goes on, or one of yesterday.
pub fn error_log(count: u32, now: bool) -> LogBatch {
    let line = |second: i64, text: &str| {
        format!(
            "2026/11/20 {} [error] 811#811: *99121 {text}, client: 203.0.113.9, server: shop.example.com, request: \"GET / HTTP/1.1\", upstream: \"http://{UPSTREAM}/\", host: \"shop.example.com\"",
            why502::model::clock_of(second)
        )
    };
    let refused = "connect() failed (111: Connection refused) while connecting to upstream";
    let closed = "upstream prematurely closed connection while reading response header from upstream";
    let onset = if now { ONSET_S } else { ONSET_S - 86_400 };
    let last = if now { BEGIN_MS / 1000 } else { onset + 60 };
    // The first line, then one count a minute.
    let group = |from: i64, to: i64, count: u32, text: &str| {
        let minutes = u32::try_from((to - from + 59) / 60).expect("a short outage").max(1);
        let later = (1..=minutes).map(|minute| {
            (to.min(from + i64::from(minute) * 60), (count - 1) / minutes + if minute == 1 { (count - 1) % minutes } else { 0 })
        });
        let counts = std::iter::once((from, 1)).chain(later);
        let count = |(second, count)| LogCount {
            later: Vec::new(),
            second: Some(second),
            key: format!("[error] {text}, server: shop.example.com, upstream: \"http://{UPSTREAM}\""),
            count,
            first: line(second, text),
            last: None,
        };
        counts.map(count).collect::<Vec<_>>()
    };
    let counts = if count == 0 {
        Vec::new()
    } else {
        group(onset, last, count, refused).into_iter().chain(group(onset - 3, onset, 38, closed)).collect()
    };
    LogBatch {
        source: "/var/log/nginx/error.log".into(),
        kind: SourceKind::Error,
        format: LogFormat::NginxError,
        counts,
        lookback: true,
        dropped: 0,
    }
}

fn access_log(status: u16, count: u32) -> LogBatch {
    let second = BEGIN_MS / 1000;
    let line = format!("203.0.113.9 - - [20/Nov/2026:02:26:58 +0000] \"GET / HTTP/1.1\" {status} 157 \"-\" \"Mozilla/5.0\"");
    let count = LogCount {
        later: Vec::new(),
        second: Some(second),
        key: format!("{status} GET up={UPSTREAM} ups={status}"),
        count,
        first: line,
        last: None,
    };
    LogBatch {
        source: "/var/log/nginx/access.log".into(),
        kind: SourceKind::Access,
        format: LogFormat::NginxAccess(String::new()),
        counts: vec![count],
        lookback: false,
        dropped: 0,
    }
}
