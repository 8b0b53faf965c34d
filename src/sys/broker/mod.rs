//! The broker: this program executed once more, before the first thread, which keeps the rights that it was started with while the
//! process that reads foreign bytes gives them up ([`confine`](mod@super::confine)). As in OpenSSH, what it does for that process is a
//! closed set of typed requests, [`Task`]; what programs and gateways say goes past it, through pipes that the asking process has made.
//!
//! One message to it is one task, as JSON with the ends of those pipes (unix(7), SCM_RIGHTS), on a socket of whole messages. The first
//! descriptor is a task's own *leash*: a word comes back on it when the task has ended, and when it is let go the task is ended. So
//! whatever happens to this process, nothing that was started for it stays, and the broker goes with its socket. What a look at another
//! process shows comes back on the leash itself: the number of the error, or 0, with what was opened, and the text.
//!
//! What must not be here: a parser of what a program, gateway or file says; a request that names a program or its options.
//!
//! To add a task: a variant of [`Task`] and its arm in `Task::command`, or in `serve::carry_out` where it starts no program.

mod serve;
mod task;

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt as _, net::UnixStream};

use super::peek::{Peek, Seen};

pub use serve::serve as serve_broker;
pub(super) use task::{Running, Task, first_of, start};

/// The hidden mode of this program that is the broker.
pub const BROKER_MODE: &str = "__broker";

/// Bytes of a request: names of units, with room. A job of a probe or a test goes through a pipe.
const REQUEST_BYTES: usize = 64 << 10;
/// Descriptors that come with a request: the leash, and the three that every program has.
const DESCRIPTORS: usize = 4;
/// Bytes of the word that comes back.
const WORD_BYTES: u64 = 4 << 10;
/// How long a look at another process may take: one that hangs is waited for no longer by whoever asks.
const PEEK: Duration = Duration::from_secs(2);
/// Bytes of what it shows that are taken at a time.
const PIECE_BYTES: usize = 16 << 10;
/// What is said where it has gone.
const GONE: &str = "the process that keeps the rights has ended";
/// How long the end of the run waits for the broker's: it only ends what it has started.
const FAREWELL: Duration = Duration::from_millis(500);

/// The broker of this process, if it has one.
static BROKER: OnceLock<Broker> = OnceLock::new();

/// This process's end.
#[derive(Debug)]
struct Broker {
    control: OwnedFd,
    process: Mutex<Child>,
}

/// What is asked of it.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    task: Task,
    /// Which of input, output and errors come with it.
    pipes: [bool; 3],
}

/// What comes back when a task has ended.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// It ended with this status. `None`: by a signal.
    Ended(Option<i32>),
    /// It could not be carried out: the number of the error, or that of its kind, and its words.
    Failed(Option<i32>, String),
}

impl From<io::Error> for Word {
    fn from(error: io::Error) -> Self {
        // What has no number keeps its kind by one.
        let number = match error.kind() {
            io::ErrorKind::NotFound => Some(Errno::NOENT),
            io::ErrorKind::PermissionDenied => Some(Errno::ACCESS),
            io::ErrorKind::TimedOut => Some(Errno::TIMEDOUT),
            io::ErrorKind::InvalidInput => Some(Errno::INVAL),
            _ => None,
        };
        Self::Failed(error.raw_os_error().or_else(|| number.map(Errno::raw_os_error)), error.to_string())
    }
}

/// Starts the broker. Only for a process with one thread, and before it gives up anything. An error: all is done in this process, as
/// far as its rights go.
pub fn begin() -> io::Result<()> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // Its own output goes nowhere: who reads ours waits for the end of all that hold it.
    let process = Command::new(std::env::current_exe()?)
        .arg(BROKER_MODE)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let broker = Broker { control: ours, process: Mutex::new(process) };
    BROKER.set(broker).map_err(|_| io::Error::other("it has begun already"))
}

/// Whether there is one.
pub fn brokered() -> bool {
    BROKER.get().is_some()
}

/// Has the broker go on, where it was stopped along with this process: whoever continued that may not have continued its group.
pub fn go_on() {
    let process = BROKER.get().map(|broker| broker.process.lock().unwrap_or_else(PoisonError::into_inner).id());
    let pid = process.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    // It is a child that nobody has waited for: its number is nobody else's, and one that has ended needs nothing.
    let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::CONT));
}

/// Lets the broker go, with all that it has started, and waits until it has gone.
pub fn end() {
    let Some(broker) = BROKER.get() else { return };
    // It may have gone already. The other direction stays open: by its end it is known that the broker has gone.
    let _ = rustix::net::shutdown(&broker.control, Shutdown::Write);
    let mut gone = [PollFd::new(&broker.control, PollFlags::empty())];
    let within = Timespec { tv_sec: 0, tv_nsec: i64::from(FAREWELL.subsec_nanos()) };
    if matches!(poll(&mut gone, Some(&within)), Ok(1..)) {
        let mut process = broker.process.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = process.wait();
    }
}

impl Broker {
    /// Hands a task over; what comes back is its leash.
    fn hand(&self, task: Task, pipes: [Option<BorrowedFd<'_>>; 3]) -> io::Result<std::os::unix::net::UnixStream> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let request = serde_json::to_vec(&Request { task, pipes: pipes.map(|pipe| pipe.is_some()) })?;
        if request.len() > REQUEST_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(theirs.as_fd()).chain(pipes.into_iter().flatten()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Never waited for: a broker that takes nothing is as good as none. MSG_NOSIGNAL: nor is one that has gone the end of us.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.control, &[IoSlice::new(&request)], &mut control, flags)?;
        Ok(ours)
    }
}

/// Has the broker look at a process. `dir`: what comes along. It is waited for, so this is for whoever is aside.
pub(super) fn peek(peek: Peek, dir: Option<BorrowedFd<'_>>) -> io::Result<Seen> {
    let gone = || io::Error::new(io::ErrorKind::BrokenPipe, GONE);
    let leash = BROKER.get().ok_or_else(gone)?.hand(Task::Peek(peek), [dir, None, None])?;
    leash.set_read_timeout(Some(PEEK))?;
    let (mut told, mut opened) = (Vec::new(), None);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = match recvmsg(&leash, &mut [IoSliceMut::new(&mut piece)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message.bytes,
            Err(Errno::INTR) => continue,
            // socket(7): what SO_RCVTIMEO ends.
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        };
        for one in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = one {
                opened = opened.or(rights.last());
            }
        }
        if length == 0 {
            break;
        }
        told.extend_from_slice(piece.get(..length).unwrap_or_default());
    }
    match told.first() {
        Some(0) => Ok(Seen { text: told.split_off(1), opened }),
        Some(error) => Err(io::Error::from_raw_os_error(i32::from(*error))),
        None => Err(gone()),
    }
}

/// Holds a task that the broker carries out: it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Leash(UnixStream);

impl Leash {
    fn new(leash: std::os::unix::net::UnixStream) -> io::Result<Self> {
        leash.set_nonblocking(true)?;
        UnixStream::from_std(leash).map(Self)
    }

    /// Waits until the task has ended. `None`: by a signal.
    async fn ended(&mut self) -> io::Result<Option<i32>> {
        let mut text = Vec::new();
        (&mut self.0).take(WORD_BYTES).read_to_end(&mut text).await?;
        match serde_json::from_slice(&text) {
            Ok(Word::Ended(status)) => Ok(status),
            Ok(Word::Failed(number, why)) => {
                let known = number.map(io::Error::from_raw_os_error);
                // Its number is all there is to it, or there are more words than the number has.
                Err(match known {
                    Some(error) if error.to_string() == why => error,
                    Some(error) => io::Error::new(error.kind(), why),
                    None => io::Error::other(why),
                })
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::BrokenPipe, GONE)),
        }
    }
}
