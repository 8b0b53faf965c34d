//! What the broker does: a closed set, each with the program that it starts and the way in which that is ended. Without a broker the
//! same is started by this process.

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::{
    net::unix::pipe,
    process::{Child, Command as Runner},
};

use super::{BROKER, Leash};
use crate::{
    model::Address,
    sys::{
        AdminQuestion, CONFIG_TEST_MODE, JournalQuery, PROBE_AS_MODE, Way, editor, journal, packet_filters, peek::Peek, services,
    },
};

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sys) enum Task {
    /// A probe in a process of its own: its job comes as input, its report is the output.
    Probe,
    /// A gateway's own test of its configuration: its job comes as input, what it says as errors.
    ConfigTest,
    /// Entries of systemd's journal, below this place.
    Journal(PathBuf, JournalQuery),
    /// The rules of a packet filter, as the tool of this number lists them.
    Filter(usize),
    /// What systemctl shows of these units; of none: of those that have failed.
    Units(Vec<String>),
    /// The operator's editor, on this file and line.
    Edit(PathBuf, u32),
    /// A question to a gateway, in the namespaces of this process where it is one of others. The answer is the output.
    Ask(Address, AdminQuestion, Option<Way>),
    /// The listening sockets of the network namespace of a process, as JSON.
    Listening(Way),
    /// A look at another process.
    Peek(Peek),
    /// Any program, for tests of what is done with its words.
    #[cfg(test)]
    Any(PathBuf, Vec<String>),
}

/// How a program is ended that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Kill,
    /// With all of its process group: in a container it is not the test itself, but the one that waits for it.
    KillGroup,
    /// As by a terminal that has gone: it may have something to save.
    HangUp,
}

impl Task {
    /// The program. An error: there is none, or the task is none of a program.
    fn command(&self) -> io::Result<Command> {
        let ourselves = |mode: &str| {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(mode).env_clear();
            Ok(command)
        };
        match self {
            Self::Probe => ourselves(PROBE_AS_MODE),
            Self::ConfigTest => {
                let mut command = ourselves(CONFIG_TEST_MODE)?;
                command.process_group(0);
                Ok(command)
            }
            Self::Journal(place, query) => journal::command(place, query),
            Self::Filter(tool) => packet_filters::command(*tool),
            Self::Units(units) => services::command(units),
            Self::Edit(file, line) => editor::command(file, *line),
            Self::Ask(..) | Self::Listening(_) | Self::Peek(_) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(test)]
            Self::Any(program, arguments) => {
                let mut command = Command::new(program);
                command.args(arguments).env_clear();
                Ok(command)
            }
        }
    }

    fn ending(&self) -> Ending {
        match self {
            Self::ConfigTest => Ending::KillGroup,
            Self::Edit(..) => Ending::HangUp,
            _ => Ending::Kill,
        }
    }

    /// Which of input, output and errors are pipes to whoever asks. The editor gets the terminal, the rest nothing.
    fn pipes(&self) -> [bool; 3] {
        match self {
            Self::Probe => [true, true, false],
            Self::ConfigTest => [true, false, true],
            Self::Journal(..) => [false, true, true],
            Self::Edit(..) => [false; 3],
            _ => [false, true, false],
        }
    }
}

/// A program that runs as a child of this process. It is ended when this is dropped.
#[derive(Debug)]
pub(in crate::sys) struct Program {
    child: Child,
    ending: Ending,
}

impl Program {
    /// Starts the program of a task with these for input, output and errors; nothing in the place of those that are missing.
    pub(super) fn start(task: &Task, streams: [Option<OwnedFd>; 3]) -> io::Result<Self> {
        let mut command = task.command()?;
        let [input, output, errors] = streams.map(|stream| stream.map_or_else(Stdio::null, Stdio::from));
        command.stdin(input).stdout(output).stderr(errors);
        let ending = task.ending();
        let name = command.get_program().to_string_lossy().into_owned();
        let mut runner = Runner::from(command);
        runner.kill_on_drop(ending != Ending::HangUp);
        let child = runner.spawn().map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        Ok(Self { child, ending })
    }

    /// Waits until it has ended, with its status. `None`: by a signal.
    pub(super) async fn ended(&mut self) -> io::Result<Option<i32>> {
        Ok(self.child.wait().await?.code())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has no number any more once it was waited for.
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) else { return };
        let _ = match self.ending {
            // The runtime does that.
            Ending::Kill => Ok(()),
            Ending::KillGroup => rustix::process::kill_process_group(pid, Signal::KILL),
            Ending::HangUp => rustix::process::kill_process(pid, Signal::HUP),
        };
    }
}

/// A task under way. It is ended when this is dropped.
#[derive(Debug)]
pub(in crate::sys) enum Running {
    /// Here.
    Here(Box<Program>),
    /// At the broker's.
    There(Leash),
}

impl Running {
    /// Waits until it has ended, with its status. `None`: by a signal.
    pub(in crate::sys) async fn ended(&mut self) -> io::Result<Option<i32>> {
        match self {
            Self::Here(program) => program.ended().await,
            Self::There(leash) => leash.ended().await,
        }
    }
}

/// A task that was started, with our ends of its pipes.
#[derive(Debug)]
pub(in crate::sys) struct Started {
    pub(in crate::sys) running: Running,
    input: Option<pipe::Sender>,
    output: Option<pipe::Receiver>,
    errors: Option<pipe::Receiver>,
}

impl Started {
    /// Where it reads.
    pub(in crate::sys) fn input(&mut self) -> io::Result<pipe::Sender> {
        self.input.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// What it says.
    pub(in crate::sys) fn output(&mut self) -> io::Result<pipe::Receiver> {
        self.output.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// What it complains about.
    pub(in crate::sys) fn errors(&mut self) -> io::Result<pipe::Receiver> {
        self.errors.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// Starts a task: by the broker where there is one, else here.
pub(in crate::sys) fn start(task: Task) -> io::Result<Started> {
    let wanted = task.pipes();
    let (mut theirs, mut input, mut output, mut errors) = ([None, None, None], None, None, None);
    if wanted[0] {
        let (read, write) = io::pipe()?;
        (theirs[0], input) = (Some(OwnedFd::from(read)), Some(pipe::Sender::from_owned_fd(write.into())?));
    }
    for (number, ours) in [(1, &mut output), (2, &mut errors)] {
        if wanted[number] {
            let (read, write) = io::pipe()?;
            (theirs[number], *ours) = (Some(OwnedFd::from(write)), Some(pipe::Receiver::from_owned_fd(read.into())?));
        }
    }
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let terminal = matches!(task, Task::Edit(..)).then(|| [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
    let running = if let Some(broker) = BROKER.get() {
        let lent = |number: usize| theirs[number].as_ref().map(OwnedFd::as_fd);
        let streams: [Option<BorrowedFd<'_>>; 3] = terminal.map_or_else(|| [lent(0), lent(1), lent(2)], |all| all.map(Some));
        Running::There(Leash::new(broker.hand(task, streams)?)?)
    } else {
        if let Some(terminal) = terminal {
            for (place, stream) in theirs.iter_mut().zip(terminal) {
                *place = Some(stream.try_clone_to_owned()?);
            }
        }
        Running::Here(Box::new(Program::start(&task, theirs)?))
    };
    Ok(Started { running, input, output, errors })
}

/// The first of these files that is there.
pub(in crate::sys) fn first_of<P: AsRef<Path>>(programs: impl IntoIterator<Item = P>) -> io::Result<PathBuf> {
    let there = |path: &P| rustix::fs::stat(path.as_ref()).is_ok();
    let found = programs.into_iter().find(there).map(|path| path.as_ref().to_owned());
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}
