//! What needs another user's rights: one closed set of typed, read-only, asynchronous requests.
//!
//! Each request and reply is owned data (or an open descriptor), so that this set can be served by another process
//! without a change above this file. Today it is served here, off the async threads, each request under a deadline.
//!
//! To add a right: a variant of [`Request`] and of [`Reply`], its arm in [`serve`], and a typed method on [`Rights`].

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::{
    CONFIG_TEST_MODE, ConfigTestJob, ConfigTested, FileError, JournalQuery, JournalStream, Root, journal,
    processes::{self, SocketOwners},
    written::{self, WrittenFiles},
};
use crate::model::{ProbeJob, ProbeReport, ProcessInfo};

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
    /// All processes.
    Processes,
    /// Which process holds which socket.
    SocketOwners,
    /// The files that processes have open for writing.
    Written(Vec<u32>),
    /// A file, opened for reading.
    Open(PathBuf),
}

/// The answers.
#[derive(Debug)]
enum Reply {
    Processes(Vec<ProcessInfo>),
    SocketOwners(SocketOwners),
    Written(Vec<WrittenFiles>),
    Open(File),
}

/// Where the requests go.
#[derive(Debug, Clone)]
pub struct Rights {
    root: Root,
    program: Arc<Option<PathBuf>>,
    /// All processes as they were last looked at, and when: all who look share it.
    known: Arc<Mutex<Option<Known>>>,
}

/// What is known of the processes, and since when.
type Known = (Instant, Arc<Vec<ProcessInfo>>);

impl Rights {
    /// Served by this process, with its own rights.
    pub fn in_process(root: Root) -> Self {
        Self { root, program: Arc::new(std::env::current_exe().ok()), known: Arc::default() }
    }

    /// All processes. Those that may not be looked into have fewer fields.
    pub async fn processes(&self) -> Result<Vec<ProcessInfo>, Refusal> {
        match self.ask("listing processes", Request::Processes).await? {
            Reply::Processes(list) => {
                if let Ok(mut known) = self.known.lock() {
                    *known = Some((Instant::now(), Arc::new(list.clone())));
                }
                Ok(list)
            }
            Reply::SocketOwners(_) | Reply::Written(_) | Reply::Open(_) => Err(Refusal::Confused("listing processes")),
        }
    }

    /// Which process holds which socket, as far as may be seen.
    pub async fn socket_owners(&self) -> Result<SocketOwners, Refusal> {
        match self.ask("listing sockets", Request::SocketOwners).await? {
            Reply::SocketOwners(owners) => Ok(owners),
            Reply::Processes(_) | Reply::Written(_) | Reply::Open(_) => Err(Refusal::Confused("listing sockets")),
        }
    }

    /// All processes, as they were at most so long ago: who only wants to know what belongs together need not look again.
    pub async fn recent_processes(&self, age: Duration) -> Result<Arc<Vec<ProcessInfo>>, Refusal> {
        let known = self.known.lock().ok().and_then(|known| known.clone());
        match known {
            Some((at, list)) if at.elapsed() <= age => Ok(list),
            Some(_) | None => self.processes().await.map(Arc::new),
        }
    }

    /// The files that these processes have open for writing, in their order; those that have ended are left out.
    pub async fn written(&self, pids: Vec<u32>) -> Result<Vec<WrittenFiles>, Refusal> {
        match self.ask("listing open files", Request::Written(pids)).await? {
            Reply::Written(files) => Ok(files),
            Reply::Processes(_) | Reply::SocketOwners(_) | Reply::Open(_) => Err(Refusal::Confused("listing open files")),
        }
    }

    /// Entries of systemd's journal, by a program of the host that ends when the reply is dropped.
    pub fn journal(&self, query: &JournalQuery) -> Result<JournalStream, Refusal> {
        journal::start(&self.root, query)
    }

    /// A regular file, opened for reading.
    pub async fn open(&self, path: &Path) -> Result<File, Refusal> {
        match self.ask("opening a file", Request::Open(path.to_owned())).await? {
            Reply::Open(file) => Ok(file),
            Reply::Processes(_) | Reply::SocketOwners(_) | Reply::Written(_) => Err(Refusal::Confused("opening a file")),
        }
    }

    /// Makes a probe as the user that the job names, in a process of its own that drops its rights before anything else.
    pub async fn probe_as(&self, job: &ProbeJob) -> Result<ProbeReport, Refusal> {
        const OPERATION: &str = "probing as the gateway's user";
        let os = |source| Refusal::Os { operation: OPERATION, source };
        let program = self.program.as_ref().clone().ok_or_else(|| os(std::io::ErrorKind::NotFound.into()))?;
        let deadline = Duration::from_millis(job.total_ms) + PROBE_GRACE;
        let exchange = async {
            let mut child = tokio::process::Command::new(program)
                .arg(PROBE_AS_MODE)
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .map_err(os)?;
            let request = serde_json::to_vec(job).map_err(|e| os(e.into()))?;
            let (mut stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or(Refusal::Confused(OPERATION))?;
            stdin.write_all(&request).await.map_err(os)?;
            drop(stdin);
            let mut answer = Vec::new();
            stdout.take(PROBE_ANSWER_BYTES).read_to_end(&mut answer).await.map_err(os)?;
            // The exit status adds nothing to the answer, but the child must not stay a zombie.
            let _ = child.wait().await;
            serde_json::from_slice(&answer).map_err(|_| Refusal::Confused(OPERATION))
        };
        tokio::time::timeout(deadline, exchange).await.map_err(|_| Refusal::Slow(OPERATION))?
    }

    /// Makes a gateway's own test of its configuration, in a process of its own that can change nothing.
    pub async fn config_test(&self, job: &ConfigTestJob) -> Result<ConfigTested, Refusal> {
        const OPERATION: &str = "the gateway's own test";
        let os = |source| Refusal::Os { operation: OPERATION, source };
        let program = self.program.as_ref().clone().ok_or_else(|| os(std::io::ErrorKind::NotFound.into()))?;
        let exchange = async {
            let mut child = tokio::process::Command::new(program)
                .arg(CONFIG_TEST_MODE)
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(os)?;
            let request = serde_json::to_vec(job).map_err(|e| os(e.into()))?;
            let (mut stdin, stderr) = child.stdin.take().zip(child.stderr.take()).ok_or(Refusal::Confused(OPERATION))?;
            stdin.write_all(&request).await.map_err(os)?;
            drop(stdin);
            let mut said = Vec::new();
            // What comes beyond the bound has no reader, and the test ends by SIGPIPE: its first words are what counts.
            stderr.take(TEST_BYTES).read_to_end(&mut said).await.map_err(os)?;
            let status = child.wait().await.map_err(os)?;
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(ConfigTested { code, said: String::from_utf8_lossy(&said).into_owned() })
        };
        tokio::time::timeout(DEADLINE, exchange).await.map_err(|_| Refusal::Slow(OPERATION))?
    }

    async fn ask(&self, operation: &'static str, request: Request) -> Result<Reply, Refusal> {
        let root = self.root.clone();
        let served = tokio::task::spawn_blocking(move || serve(&root, request));
        match tokio::time::timeout(DEADLINE, served).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(join)) => Err(Refusal::Os { operation, source: std::io::Error::other(join) }),
            Err(_) => Err(Refusal::Slow(operation)),
        }
    }
}

/// Serves one request with the rights of this process.
fn serve(root: &Root, request: Request) -> Result<Reply, Refusal> {
    match request {
        Request::Processes => Ok(Reply::Processes(processes::all(root)?)),
        Request::SocketOwners => Ok(Reply::SocketOwners(processes::socket_owners(root)?)),
        Request::Written(pids) => Ok(Reply::Written(written::of(root, &pids))),
        Request::Open(path) => Ok(Reply::Open(root.open(&path)?)),
    }
}
