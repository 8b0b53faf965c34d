//! As whom this process acts, and how it becomes somebody with fewer rights.

use std::io;

use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid, setuid};

use crate::model::Identity;

/// Supplementary groups of a gateway's user, at most. Linux itself takes 65,536 (NGROUPS_MAX); a user in more than this is
/// no gateway's.
const GROUPS: usize = 1024;

/// Our own effective user id, group id, and supplementary groups.
pub fn ourselves() -> (u32, u32, Vec<u32>) {
    let groups = rustix::process::getgroups().unwrap_or_default();
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw(), groups.into_iter().map(rustix::process::Gid::as_raw).collect())
}

/// As whom a process acts, by its status file (proc_pid_status(5)): the effective ids, and the user's number for a name.
pub fn acting(status: &str) -> Option<Identity> {
    let ids = |key: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    let (uid, gid) = (*ids("Uid:").get(1)?, *ids("Gid:").get(1)?);
    Some(Identity { name: uid.to_string(), uid, gid, groups: ids("Groups:") })
}

/// Whether we already act as this user. Supplementary groups count too: a private socket may be reached only by them.
/// Root passes with any groups (capabilities(7): CAP_DAC_OVERRIDE).
pub fn is_ours(identity: &Identity) -> bool {
    let (uid, gid, groups) = ourselves();
    let within = |group: &u32| *group == gid || groups.contains(group);
    uid == identity.uid && (uid == 0 || (gid == identity.gid && identity.groups.iter().all(within)))
}

/// Whether a process of ours could become somebody else.
pub fn can_assume() -> bool {
    rustix::process::geteuid().is_root()
}

/// Becomes this user for good. Only for a process with one thread: these calls are made before any runtime starts.
///
/// The order matters: groups can be set only while root, and the user is given up last. Setting real, effective and saved
/// ids leaves no way back, and going from root to another user clears all capabilities (capabilities(7)); that is
/// checked rather than believed.
pub fn assume(identity: &Identity) -> io::Result<()> {
    if identity.groups.len() > GROUPS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many groups"));
    }
    rustix::thread::set_no_new_privs(true)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let (users, group_ids) = (getresuid()?, getresgid()?);
    let gone = [users.real, users.effective, users.saved].iter().all(|id| *id == uid)
        && [group_ids.real, group_ids.effective, group_ids.saved].iter().all(|id| *id == gid);
    if !gone || (!uid.is_root() && setuid(Uid::from_raw(0)).is_ok()) {
        return Err(io::Error::other("the rights of root could not be given up"));
    }
    Ok(())
}

/// Lets the kernel kill this process when the one that started it ends: a probe must not outlive the run that wanted it.
pub fn die_with_parent() -> io::Result<()> {
    // Any parent will do, process 1 of a container included; it only must not go away while this is asked for.
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_ourselves_and_nobody_else() {
        let (uid, gid, groups) = ourselves();
        let mut identity = Identity { name: "us".to_owned(), uid, gid, groups };
        assert!(is_ours(&identity));
        identity.uid += 1;
        assert!(!is_ours(&identity));
    }
}
