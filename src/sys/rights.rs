//! What needs another user's rights: one closed set of typed, read-only, asynchronous requests.
//!
//! Each request and reply is owned data (or an open descriptor), so that this set can be served by another process
//! without a change above this file. What starts a program, enters namespaces or speaks to a gateway's own socket is a task of the
//! broker's ([`broker`]); what is only read is read here, off the async threads. Each request has a deadline.
//!
//! To add a right: a variant of [`Request`] and of [`Reply`], its arm in [`serve`], and a typed method on [`Rights`].

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

use super::{
    AdminQuestion, ConfigTestJob, ConfigTested, Editor, FileError, FilterRules, JournalQuery, JournalStream, Root, Way, admin,
    aside::aside,
    broker::{self, Task},
    journal, packet_filters,
    processes::{self, SocketOwners},
    services,
    waits::{self, Wait},
    written::{self, WrittenFiles},
};
use crate::model::{Address, ProbeJob, ProbeReport, ProcessInfo, Redirect, ServiceLife};

/// How long a request may take. A stuck file system or process costs this much of one collector's time, and nobody else's.
const DEADLINE: Duration = Duration::from_secs(3);
/// How much longer than its own deadline a probe in another process may take: fork, exec, and the way back.
const PROBE_GRACE: Duration = Duration::from_secs(1);
/// Bytes that a probe in another process may answer.
const PROBE_ANSWER_BYTES: u64 = 256 << 10;
/// Bytes that a gateway's own test may say.
const TEST_BYTES: u64 = 64 << 10;
/// The hidden mode of this program that makes one probe as another user.
pub const PROBE_AS_MODE: &str = "__probe-as";

/// A probe for a process of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Errand {
    /// The probe, with the user who makes it.
    #[serde(flatten)]
    pub job: ProbeJob,
    /// The way into the namespaces of its address. `None`: it is made in ours.
    #[serde(default)]
    pub way: Option<Way>,
    /// Whether it is made with the rights of whoever started this program, rather than as a user.
    #[serde(default)]
    pub ourselves: bool,
}

/// Why a request was not answered.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The file could not be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system said no.
    #[error("{operation}: {source}")]
    Os {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{0}: no answer within {limit} s", limit = DEADLINE.as_secs())]
    Slow(&'static str),
    /// It answered something else than was asked.
    #[error("{0}: an answer that makes no sense")]
    Confused(&'static str),
}

/// What can be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Request {
    /// All processes; those that were known before need not be read whole again. Which scan this is.
    Processes {
        #[serde(skip)]
        before: Processes,
        scan: u32,
    },
    /// These processes and their children.
    Family(Vec<u32>),
    /// Which process holds which socket.
    SocketOwners,
    /// The files that processes have open for writing.
    Written(Vec<u32>),
    /// What processes wait for.
    Waits(Vec<u32>),
    /// A file, opened for reading.
    Open(PathBuf),
}

/// The answers.
#[derive(Debug)]
enum Reply {
    Processes(Vec<ProcessInfo>),
    SocketOwners(SocketOwners),
    Written(Vec<WrittenFiles>),
    Waits(Vec<Option<Wait>>),
    Open(File),
}

/// Where the requests go.
#[derive(Debug, Clone)]
pub struct Rights {
    root: Root,
    /// All processes as they were last looked at, and when: all who look share it.
    known: Arc<Mutex<Option<Known>>>,
    /// Scans of all processes so far.
    scans: Arc<AtomicU32>,
    /// The way into other namespaces, where what is asked for is asked for there.
    way: Option<Way>,
}

/// All processes, by their ids. Shared: of a host with 10,000 of them one copy has some 8 MB.
pub type Processes = Arc<Vec<ProcessInfo>>;

const LISTING: &str = "listing processes";
/// Share of a processor that scans of all processes may take: one that took its time, because they are many or the host has nothing to
/// spare, is followed by the next so much later, in times of itself...
const SCAN_SHARE: u32 = 100;
/// ...but a list is never older than this.
const OLDEST: Duration = Duration::from_secs(30);
/// The design's promise.
const CADENCE: Duration = Duration::from_secs(10);

/// What is known of the processes.
#[derive(Debug, Clone)]
struct Known {
    /// When the scan began.
    at: Instant,
    /// How long it took.
    took: Duration,
    list: Processes,
}

impl Known {
    /// Whether it may stand for the processes as they are, for somebody who wants to know of them as they were so long ago at most.
    fn will_do(&self, age: Duration) -> bool {
        // Who asks for a younger one than the cadence gives has a reason.
        self.at.elapsed() <= if age < CADENCE { age } else { age.max((self.took * SCAN_SHARE).min(OLDEST)) }
    }
}

impl Rights {
    /// Served by this process, with its own rights.
    pub fn in_process(root: Root) -> Self {
        Self { root, known: Arc::default(), scans: Arc::default(), way: None }
    }

    /// The same rights for what is asked for in other namespaces, below this root.
    pub(super) fn inside(&self, root: Root, way: Way) -> Self {
        Self { root, way: Some(way), ..self.clone() }
    }

    /// All processes. Those that may not be looked into have fewer fields.
    pub async fn processes(&self) -> Result<Processes, Refusal> {
        let asked = Instant::now();
        let known = self.known().await?;
        match &*known {
            Some(known) if known.at >= asked => Ok(Processes::clone(&known.list)),
            Some(_) | None => self.scan(known).await,
        }
    }

    /// What is known of the processes. One scan at a time: all who look do so on the same beat, and one look is enough for all.
    async fn known(&self) -> Result<OwnedMutexGuard<Option<Known>>, Refusal> {
        let known = Arc::clone(&self.known).lock_owned();
        tokio::time::timeout(DEADLINE, known).await.map_err(|_| Refusal::Slow(LISTING))
    }

    /// Lists them. A scan that takes too long for who asked goes on, and is there for who asks next: given up and begun again, it would
    /// never end on a host of many.
    async fn scan(&self, mut known: OwnedMutexGuard<Option<Known>>) -> Result<Processes, Refusal> {
        let (root, scan, at) = (self.root.clone(), self.scans.fetch_add(1, Ordering::Relaxed), Instant::now());
        let work = tokio::spawn(async move {
            // Taken out of there: what nobody else holds is brought up to date where it stands.
            let before = known.take().map(|known| known.list).unwrap_or_default();
            match aside(move || serve(&root, Request::Processes { before, scan })).await? {
                Ok(Reply::Processes(list)) => {
                    let list = Processes::new(list);
                    *known = Some(Known { at, took: at.elapsed(), list: Processes::clone(&list) });
                    Some(Ok(list))
                }
                Ok(_) => Some(Err(Refusal::Confused(LISTING))),
                Err(refusal) => Some(Err(refusal)),
            }
        });
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(Ok(Some(listed))) => listed,
            Ok(Ok(None) | Err(_)) => {
                Err(Refusal::Os { operation: LISTING, source: std::io::Error::other("the call itself broke") })
            }
            Err(_) => Err(Refusal::Slow(LISTING)),
        }
    }

    /// These processes with their children, as far as the kernel lists those (proc(5), CONFIG_PROC_CHILDREN): what a reload replaces,
    /// without a look at all others.
    pub async fn family(&self, pids: Vec<u32>) -> Result<Vec<ProcessInfo>, Refusal> {
        match self.ask(LISTING, Request::Family(pids)).await? {
            Reply::Processes(list) => Ok(list),
            Reply::SocketOwners(_) | Reply::Written(_) | Reply::Waits(_) | Reply::Open(_) => Err(Refusal::Confused(LISTING)),
        }
    }

    /// Which process holds which socket, as far as may be seen.
    pub async fn socket_owners(&self) -> Result<SocketOwners, Refusal> {
        match self.ask("listing sockets", Request::SocketOwners).await? {
            Reply::SocketOwners(owners) => Ok(owners),
            Reply::Processes(_) | Reply::Written(_) | Reply::Waits(_) | Reply::Open(_) => Err(Refusal::Confused("listing sockets")),
        }
    }

    /// All processes, as they were at most so long ago (on a host of many, [`OLDEST`]): what belongs together need not be looked at again.
    pub async fn recent_processes(&self, age: Duration) -> Result<Processes, Refusal> {
        let known = self.known().await?;
        match &*known {
            Some(known) if known.will_do(age) => Ok(Processes::clone(&known.list)),
            Some(_) | None => self.scan(known).await,
        }
    }

    /// The files that these processes have open for writing, in their order; those that have ended are left out.
    pub async fn written(&self, pids: Vec<u32>) -> Result<Vec<WrittenFiles>, Refusal> {
        match self.ask("listing open files", Request::Written(pids)).await? {
            Reply::Written(files) => Ok(files),
            Reply::Processes(_) | Reply::SocketOwners(_) | Reply::Waits(_) | Reply::Open(_) => {
                Err(Refusal::Confused("listing open files"))
            }
        }
    }

    /// What these processes wait for, in their order. `None`: it has ended, or may not be seen.
    pub async fn waits(&self, pids: Vec<u32>) -> Result<Vec<Option<Wait>>, Refusal> {
        match self.ask("looking at workers", Request::Waits(pids)).await? {
            Reply::Waits(waits) => Ok(waits),
            Reply::Processes(_) | Reply::SocketOwners(_) | Reply::Written(_) | Reply::Open(_) => {
                Err(Refusal::Confused("looking at workers"))
            }
        }
    }

    /// Entries of systemd's journal, by a program of the host that ends when the reply is dropped.
    pub fn journal(&self, query: &JournalQuery) -> Result<JournalStream, Refusal> {
        journal::start(&self.root, query)
    }

    /// These units, and services that have failed, as systemd tells them.
    pub async fn services(&self, units: &[String]) -> Result<Vec<ServiceLife>, Refusal> {
        const OPERATION: &str = "asking systemd";
        let told = tokio::time::timeout(DEADLINE, services::ask(&self.root, units)).await;
        told.map_err(|_| Refusal::Slow(OPERATION))?.map_err(|source| Refusal::Os { operation: OPERATION, source })
    }

    /// The rules of the host's packet filters, as their own tools list them.
    pub async fn packet_filters(&self) -> Result<Vec<FilterRules>, Refusal> {
        const OPERATION: &str = "reading the packet filter";
        let listed = tokio::time::timeout(DEADLINE, packet_filters::read(&self.root)).await;
        listed.map_err(|_| Refusal::Slow(OPERATION))?.map_err(|source| Refusal::Os { operation: OPERATION, source })
    }

    /// Where those rules send connections of this host's own to its own addresses.
    pub async fn redirects(&self) -> Result<Vec<Redirect>, Refusal> {
        self.packet_filters().await.map(|listings| packet_filters::redirects(&listings))
    }

    /// A regular file, opened for reading.
    pub async fn open(&self, path: &Path) -> Result<File, Refusal> {
        match self.ask("opening a file", Request::Open(path.to_owned())).await? {
            Reply::Open(file) => Ok(file),
            Reply::Processes(_) | Reply::SocketOwners(_) | Reply::Written(_) | Reply::Waits(_) => {
                Err(Refusal::Confused("opening a file"))
            }
        }
    }

    /// Makes a probe as the user that the job names, in a process of its own that drops its rights before anything else; first it
    /// enters the namespaces of its address, where a way into them is given.
    pub async fn probe_as(&self, job: &ProbeJob, way: Option<Way>) -> Result<ProbeReport, Refusal> {
        Self::probe(Errand { job: job.clone(), way, ourselves: false }).await
    }

    /// Makes a probe with the rights that this program was started with, where this process has given them up. `None`: it has not.
    pub async fn probe_as_started(&self, job: &ProbeJob) -> Option<Result<ProbeReport, Refusal>> {
        let gave_up = self.root.is_host() && broker::brokered() && rustix::process::geteuid().is_root();
        if !gave_up {
            return None;
        }
        Some(Self::probe(Errand { job: job.clone(), way: None, ourselves: true }).await)
    }

    async fn probe(errand: Errand) -> Result<ProbeReport, Refusal> {
        const OPERATION: &str = "probing as the gateway's user";
        let os = |source| Refusal::Os { operation: OPERATION, source };
        let deadline = Duration::from_millis(errand.job.total_ms) + PROBE_GRACE;
        let exchange = async {
            let request = serde_json::to_vec(&errand).map_err(|e| os(e.into()))?;
            let mut started = broker::start(Task::Probe).map_err(os)?;
            let (mut input, output) = (started.input().map_err(os)?, started.output().map_err(os)?);
            input.write_all(&request).await.map_err(os)?;
            drop(input);
            let mut answer = Vec::new();
            output.take(PROBE_ANSWER_BYTES).read_to_end(&mut answer).await.map_err(os)?;
            // The exit status adds nothing to the answer, but the child must not stay a zombie.
            let _ = started.running.ended().await;
            serde_json::from_slice(&answer).map_err(|_| Refusal::Confused(OPERATION))
        };
        tokio::time::timeout(deadline, exchange).await.map_err(|_| Refusal::Slow(OPERATION))?
    }

    /// Makes a gateway's own test of its configuration, in a process of its own that can change nothing.
    pub async fn config_test(&self, job: &ConfigTestJob) -> Result<ConfigTested, Refusal> {
        const OPERATION: &str = "the gateway's own test";
        let os = |source| Refusal::Os { operation: OPERATION, source };
        let exchange = async {
            let job = ConfigTestJob { way: self.way.clone(), ..job.clone() };
            let request = serde_json::to_vec(&job).map_err(|e| os(e.into()))?;
            let mut started = broker::start(Task::ConfigTest).map_err(os)?;
            let (mut input, errors) = (started.input().map_err(os)?, started.errors().map_err(os)?);
            input.write_all(&request).await.map_err(os)?;
            drop(input);
            let mut said = Vec::new();
            // What comes beyond the bound has no reader, and the test ends by SIGPIPE: its first words are what counts.
            errors.take(TEST_BYTES).read_to_end(&mut said).await.map_err(os)?;
            let status = started.running.ended().await.map_err(os)?;
            let code = status.and_then(|code| u8::try_from(code).ok());
            Ok(ConfigTested { code, said: String::from_utf8_lossy(&said).into_owned() })
        };
        tokio::time::timeout(DEADLINE, exchange).await.map_err(|_| Refusal::Slow(OPERATION))?
    }

    /// The operator's own editor on this file and line, on our terminal.
    pub fn edit(&self, file: &Path, line: u32) -> Result<Editor, Refusal> {
        Editor::start(file, line).map_err(|source| Refusal::Os { operation: "opening the editor", source })
    }

    /// What a gateway answers to a question about itself, by its own socket or page: as it came, within bounds.
    pub async fn ask_gateway(&self, at: &Address, question: &AdminQuestion) -> Result<Vec<u8>, Refusal> {
        const OPERATION: &str = "asking the gateway itself";
        admin::ask(&self.root, self.way.as_ref(), at, question).await.map_err(|source| Refusal::Os { operation: OPERATION, source })
    }

    async fn ask(&self, operation: &'static str, request: Request) -> Result<Reply, Refusal> {
        let root = self.root.clone();
        let served = aside(move || serve(&root, request));
        match tokio::time::timeout(DEADLINE, served).await {
            Ok(Some(reply)) => reply,
            Ok(None) => Err(Refusal::Os { operation, source: std::io::Error::other("the call itself broke") }),
            Err(_) => Err(Refusal::Slow(operation)),
        }
    }
}

/// Serves one request with the rights of this process.
fn serve(root: &Root, request: Request) -> Result<Reply, Refusal> {
    match request {
        Request::Processes { before, scan } => {
            let now_s = super::Clock::system().now().wall_s();
            Ok(Reply::Processes(processes::again(root, before, scan, now_s)?))
        }
        Request::Family(pids) => Ok(Reply::Processes(processes::family(root, &pids)?)),
        Request::SocketOwners => Ok(Reply::SocketOwners(processes::socket_owners(root)?)),
        Request::Written(pids) => Ok(Reply::Written(written::of(root, &pids))),
        Request::Waits(pids) => Ok(Reply::Waits(waits::of(root, &pids))),
        Request::Open(path) => Ok(Reply::Open(root.open(&path)?)),
    }
}
