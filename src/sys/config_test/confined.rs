//! The test of a gateway whose files are not this host's: its binary is a stranger's, and gets no more than it has where it runs.
//!
//! It becomes process 1 of a process id namespace of its own, so that it sees and signals nobody; it has no capability that the
//! gateway does not have (capabilities(7), the bounding set holds for root, too) and can gain none; /proc is an empty directory but
//! for the descriptors that logs are linked to. All that is on top of what every test gets: read-only mounts and an own network.

use std::{
    fs, io,
    path::Path,
    process::{Command, ExitCode},
};

use nix::sched::{CloneFlags, unshare};
use rustix::thread::CapabilitySet;

use super::{SCRATCH, mount_scratch};

/// The capabilities that a process has in effect, by its status file (proc_pid_status(5)). An error: they are not known, and then no
/// more is known of what to give up.
pub(super) fn capabilities(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse().map_err(io::Error::other)?;
    // What a younger kernel has besides could not be given up.
    if last >= CapabilitySet::all().bits().count_ones() {
        return Err(io::Error::other("this kernel has capabilities that are not known here"));
    }
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let line = line.ok_or_else(|| io::Error::other("its capabilities are not told"))?;
    u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)
}

/// What no test of this host's gateway needs, and by which it could get out of the view that it is given, or at another process.
pub(super) const OF_THE_HOST: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::SYS_MODULE)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::SYS_TIME)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON);

/// Gives up all that is not among these, for what is executed from here on.
pub(super) fn bound(kept: u64) -> io::Result<()> {
    for one in CapabilitySet::all().iter().filter(|one| kept & one.bits() == 0) {
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // An older kernel does not know it.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Covers /proc: with the descriptors alone to which images link their logs.
fn cover_proc() -> io::Result<()> {
    let proc = Path::new("/proc");
    mount_scratch(proc, SCRATCH)?;
    for dir in ["self/fd", "1/fd"] {
        fs::create_dir_all(proc.join(dir))?;
        for number in ["0", "1", "2"] {
            fs::write(proc.join(dir).join(number), "")?;
            rustix::fs::chmod(proc.join(dir).join(number), rustix::fs::Mode::from_raw_mode(0o666))?;
        }
    }
    Ok(())
}

/// What is done while there are rights to it: the last step before the gateway's own user.
pub(super) fn prepare(kept: u64) -> io::Result<()> {
    cover_proc()?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    bound(kept)
}

/// Runs the test as the first process of its namespace.
pub(super) fn run(command: &mut Command) -> io::Result<ExitCode> {
    let status = command.spawn()?.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map(ExitCode::from).ok_or_else(|| io::Error::other("it was ended before it was done"))
}
