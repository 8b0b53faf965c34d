//! What this process gives up for good before its first thread starts, because it reads what strangers write: log lines, answers,
//! configurations, recordings. What still needs rights is the broker's ([`broker`](super::broker)).
//!
//! - No program that it executes may gain rights (prctl(2), PR_SET_NO_NEW_PRIVS).
//! - Of root's capabilities those stay by which it reads and listens ([`Keep`]); they are taken from the bounding set as well.
//! - It may write below the given directories and on terminals, and nowhere else, where the kernel has Landlock (landlock(7), Linux
//!   5.13). That holds for root, too. It may then look into no other process, either: where a gateway's program, files and sockets are
//!   is looked at by the broker ([`peek`](super::peek)). Only where /proc shows no process but to those who may trace it (proc(5),
//!   hidepid) neither is given up, for then it is the whole of a process that would not be seen.
//!
//! What must not be here: an end of the program where something of this is not to be had. It is told, and the run goes on.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use landlock::{ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus};
use rustix::{
    io::Errno,
    thread::{CapabilitySet, CapabilitySets},
};

use super::aside::within;

/// How long the file system of a directory may take to show it. On one that hangs nothing can be written anyway.
const PATIENCE: Duration = Duration::from_millis(500);
/// What of Landlock is used, as of Linux 6.2: what came since is about networks, signals and the settings of devices, of which a terminal
/// is one.
const LANDLOCK: ABI = ABI::V3;
/// Terminals, and what swallows everything.
const DEVICES: [&str; 3] = ["/dev/tty", "/dev/pts", "/dev/null"];

/// Which of root's capabilities (capabilities(7)) stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// To read files that are named on the command line, whoever owns them: CAP_DAC_READ_SEARCH.
    Files,
    /// To read the host besides: the kernel's log (CAP_SYSLOG), raw answers of the network (CAP_NET_RAW).
    Host,
    /// To write files that belong to somebody else besides: CAP_DAC_OVERRIDE, CAP_CHOWN. Under sudo the recording is the operator's.
    HostAndForeignFiles,
}

impl Keep {
    fn set(self) -> CapabilitySet {
        let host = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::SYSLOG | CapabilitySet::NET_RAW;
        match self {
            Self::Files => CapabilitySet::DAC_READ_SEARCH,
            Self::Host => host,
            Self::HostAndForeignFiles => host | CapabilitySet::DAC_OVERRIDE | CapabilitySet::CHOWN,
        }
    }
}

/// What was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// Whether writing is denied by the kernel. `false`: it has no Landlock, or none that is switched on.
    pub writing: bool,
}

/// Gives up all but this. `writes`: the directories and files in which it may write; `None`: anywhere, as its user may, for what has to
/// trace other processes itself (CAP_SYS_PTRACE). Only for a process with one thread: all this is a thread's own, and those that it starts
/// get it from it.
pub fn confine(keep: Keep, writes: Option<&[PathBuf]>) -> io::Result<Confined> {
    let traces = if writes.is_none() { CapabilitySet::SYS_PTRACE } else { CapabilitySet::empty() };
    rustix::thread::set_no_new_privs(true)?;
    capabilities(keep.set() | traces)?;
    let writing = match writes {
        Some(writes) => landlock(writes).map_err(io::Error::other)?,
        None => false,
    };
    Ok(Confined { writing })
}

/// The value of oom_score_adj (proc_pid_oom_score_adj(5)) with which a process is killed for want of memory before all others, also
/// before an application that holds nearly all of it.
const DIES_FIRST: &str = "1000";

/// Has the kernel kill this process rather than the application where memory runs out. Not what the broker starts: an editor with
/// something unsaved is the operator's.
pub fn die_first() {
    // Without /proc there is nothing to write to, and nothing to be said: what is looked at comes from there.
    let _ = std::fs::write("/proc/self/oom_score_adj", DIES_FIRST);
}

/// Keeps those of our capabilities that are among these.
fn capabilities(kept: CapabilitySet) -> io::Result<()> {
    let have = rustix::thread::capabilities(None)?;
    if have.permitted.is_empty() {
        return Ok(());
    }
    // The bounding set first: to take from it is a right itself (CAP_SETPCAP).
    if have.effective.contains(CapabilitySet::SETPCAP) {
        for one in CapabilitySet::all().difference(kept).iter() {
            match rustix::thread::remove_capability_from_bounding_set(one) {
                // An older kernel does not know it.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    match rustix::thread::clear_ambient_capability_set() {
        // Linux 4.3 brought them.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let left = have.permitted & kept;
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// Denies all writing but below these. `false`: this kernel cannot.
fn landlock(writes: &[PathBuf]) -> Result<bool, landlock::RulesetError> {
    let all = AccessFs::from_write(LANDLOCK);
    let file = AccessFs::WriteFile | AccessFs::Truncate;
    let mut rules = Ruleset::default().handle_access(all)?.create()?;
    let devices = DEVICES.map(PathBuf::from);
    for path in devices.iter().chain(terminal().as_ref()) {
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, file))?;
        }
    }
    for path in writes {
        let Some((opened, directory)) = shown(path) else { continue };
        let access: BitFlags<AccessFs> = if directory { all } else { file };
        rules = rules.add_rule(PathBeneath::new(opened, access))?;
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// The terminal of standard output: on a serial line it is none of those that are always there.
fn terminal() -> Option<PathBuf> {
    let name = rustix::termios::ttyname(io::stdout(), Vec::new()).ok()?;
    Some(PathBuf::from(name.into_string().ok()?))
}

/// A path as it is now, and whether it is a directory. `None`: there is none, or it is on a file system that does not answer.
fn shown(path: &Path) -> Option<(PathFd, bool)> {
    let path = path.to_owned();
    // This thread keeps what is given up after it: it does nothing but open one path, and ends.
    let look = move || {
        let directory = std::fs::metadata(&path).is_ok_and(|info| info.is_dir());
        PathFd::new(&path).ok().map(|opened| (opened, directory))
    };
    within(PATIENCE, look).ok().flatten().flatten()
}
