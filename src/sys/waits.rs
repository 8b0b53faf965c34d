//! What a process waits for: the system call of /proc/PID/syscall (proc(5)), which tells a worker that waits for a connection from
//! one that has a request. It is given to whoever may trace the process.

use std::path::PathBuf;

use super::Root;

/// What a process does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It waits for a connection: accept(2), accept4(2).
    Accept,
    /// It waits for one of several descriptors: select(2), poll(2), epoll_wait(2).
    Select,
    /// Something else: it computes, sleeps, reads, or waits for a lock.
    Other,
}

/// Numbers of system calls on this architecture (asm/unistd.h): accept, accept4.
#[cfg(target_arch = "x86_64")]
const ACCEPT: &[u32] = &[43, 288];
#[cfg(not(target_arch = "x86_64"))]
const ACCEPT: &[u32] = &[202, 242];
/// poll, select, epoll_wait, pselect6, ppoll, epoll_pwait, epoll_pwait2; the generic table has no old ones.
#[cfg(target_arch = "x86_64")]
const SELECT: &[u32] = &[7, 23, 232, 270, 271, 281, 441];
#[cfg(not(target_arch = "x86_64"))]
const SELECT: &[u32] = &[72, 73, 22, 441];

/// Of each process, in their order. `None`: it has ended, or may not be seen.
pub(super) fn of(root: &Root, pids: &[u32]) -> Vec<Option<Wait>> {
    let one = |pid: &u32| Some(wait(&root.text(PathBuf::from(format!("/proc/{pid}/syscall"))).ok()?));
    pids.iter().map(one).collect()
}

/// `43 0x9 ...`, `running`, `-1 0x7ffd 0x7f3d` where it waits outside of a system call.
pub(super) fn wait(text: &str) -> Wait {
    match text.split_ascii_whitespace().next().and_then(|number| number.parse::<u32>().ok()) {
        Some(number) if ACCEPT.contains(&number) => Wait::Accept,
        Some(number) if SELECT.contains(&number) => Wait::Select,
        Some(_) | None => Wait::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_accepts_is_told_from_one_that_computes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let tid = std::fs::read_link("/proc/thread-self").expect("thread");
            tell.send(tid.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).expect("id")).expect("told");
            listener.accept().map(|_| ())
        });
        let tid = told.recv().expect("its id");
        // It is about to accept; how soon is the scheduler's business.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while of(&Root::host(), &[tid]) != [Some(Wait::Accept)] {
            assert!(std::time::Instant::now() < deadline, "it never accepts");
            std::thread::yield_now();
        }
        std::net::TcpStream::connect(at).expect("connect");
        thread.join().expect("thread").expect("accept");
        assert_eq!(of(&Root::host(), &[u32::MAX]), [None]);
        assert_eq!((wait("running\n"), wait("-1 0x0 0x0"), wait("")), (Wait::Other, Wait::Other, Wait::Other));
    }
}
