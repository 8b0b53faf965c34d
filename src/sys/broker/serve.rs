//! The broker's own process: one thread, which waits for requests and for the ends of what it has started.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
    sync::Arc,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest, unix::AsyncFd},
    net::{UnixStream, unix::pipe},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
};

use super::{DESCRIPTORS, REQUEST_BYTES, Request, Task, Word, task::Program};
use crate::sys::{
    admin,
    peek::{Peek, Seen},
    sockets,
};

/// Tasks under way at once, at most: each takes some descriptors, of which a process has 1,024 as a rule. Further requests wait.
const TASKS: usize = 128;

/// Serves requests from standard input until that ends.
pub fn serve() -> ExitCode {
    // From the terminal come signals for all who have it; this one goes when whoever asks it has gone, and does not stop, for it may be
    // asked by one that was continued alone. They are caught rather than ignored: what is ignored stays so for the programs that are
    // started (signal(7)).
    let serve = async {
        use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU] {
            // The registration holds for the life of the process.
            drop(signal(SignalKind::from_raw(number as i32))?);
        }
        requests().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        let served = runtime.block_on(serve);
        // What hangs in a system call is not waited for. All programs that are still there are ended.
        runtime.shutdown_background();
        served
    });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe to call; the descriptor is owned here and lives as long as the registration"
)]
async fn requests() -> io::Result<()> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::io::ioctl_fionbio(&control, true)?;
    let control = AsyncFd::with_interest(control, Interest::READABLE)?;
    let room = Arc::new(Semaphore::new(TASKS));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
        let Some((request, descriptors)) = next(&control).await? else { return Ok(()) };
        tokio::spawn(async move {
            carry_out(request, descriptors).await;
            drop(place);
        });
    }
}

/// The next request that makes sense. `None`: nobody asks any more.
async fn next(control: &AsyncFd<OwnedFd>) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; REQUEST_BYTES];
    loop {
        let mut ready = control.readable().await?;
        let received = ready.try_io(|control| receive(control.get_ref(), &mut bytes));
        // It was no message after all.
        let Ok(received) = received else { continue };
        let (length, descriptors) = received?;
        if length == 0 {
            return Ok(None);
        }
        if let Ok(request) = serde_json::from_slice(bytes.get(..length).unwrap_or_default()) {
            return Ok(Some((request, descriptors)));
        }
    }
}

/// One message with its descriptors.
fn receive(control: &OwnedFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(control, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for one in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = one {
            descriptors.extend(rights);
        }
    }
    Ok((message.bytes, descriptors))
}

/// Carries out one task, until it has ended or is let go.
async fn carry_out(request: Request, descriptors: Vec<OwnedFd>) {
    let mut descriptors = descriptors.into_iter();
    let leash = descriptors.next().map(std::os::unix::net::UnixStream::from);
    let Some(Ok(mut leash)) = leash.map(|leash| leash.set_nonblocking(true).and_then(|()| UnixStream::from_std(leash))) else {
        return;
    };
    let streams = request.pipes.map(|there| if there { descriptors.next() } else { None });
    if let Task::Peek(peek) = request.task {
        let [dir, ..] = streams;
        // Who has gone meanwhile wants to see nothing.
        let _ = show(look(peek, dir).await, leash).await;
        return;
    }
    let ended = async {
        match request.task {
            Task::Ask(at, question, way) => {
                let mut answer = output(streams)?;
                // What came is handed on as it came: it means something to whoever asked.
                let bytes = admin::exchange(way.as_ref(), &at, &question).await?;
                answer.write_all(&bytes).await?;
                Ok(Some(0))
            }
            Task::Listening(way) => {
                let mut answer = output(streams)?;
                let found = sockets::entered(&way).await.map_err(io::Error::other)?;
                answer.write_all(&serde_json::to_vec(&found)?).await?;
                Ok(Some(0))
            }
            task => Program::start(&task, streams)?.ended().await,
        }
    };
    let mut nothing = [0];
    let word = tokio::select! {
        // Nobody says anything on it: whatever comes is its end. What was begun is ended by being dropped.
        _ = leash.read(&mut nothing) => return,
        ended = ended => ended.map_or_else(Word::from, Word::Ended),
    };
    if let Ok(text) = serde_json::to_vec(&word) {
        // Who has gone meanwhile wants no word.
        let _ = leash.write_all(&text).await;
    }
}

/// Looks at a process: here at once, where nothing of it can wait for a file system.
async fn look(peek: Peek, dir: Option<OwnedFd>) -> io::Result<Seen> {
    let hangs = peek.may_hang();
    let look = move || peek.look(dir.as_ref().map(OwnedFd::as_fd));
    if hangs { tokio::task::spawn_blocking(look).await.unwrap_or_else(|broke| Err(io::Error::other(broke))) } else { look() }
}

/// Gives what was seen to whoever asked.
async fn show(seen: io::Result<Seen>, mut leash: UnixStream) -> io::Result<()> {
    let (number, seen) = match seen {
        Ok(seen) => (0, seen),
        Err(error) => {
            let number = error.raw_os_error().and_then(|number| u8::try_from(number).ok()).filter(|number| *number > 0);
            (number.unwrap_or(u8::MAX), Seen::default())
        }
    };
    let bytes = [&[number], &seen.text[..]].concat();
    let first = || {
        let opened = seen.opened.as_ref().map(OwnedFd::as_fd);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if opened.is_some() && !ancillary.push(SendAncillaryMessage::ScmRights(opened.as_slice())) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(sendmsg(&leash, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    };
    let sent = leash.async_io(Interest::WRITABLE, first).await?;
    leash.write_all(bytes.get(sent..).unwrap_or_default()).await
}

/// The pipe for an answer.
fn output([_, output, _]: [Option<OwnedFd>; 3]) -> io::Result<pipe::Sender> {
    pipe::Sender::from_owned_fd(output.ok_or(io::ErrorKind::InvalidInput)?)
}
