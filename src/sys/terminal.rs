//! The terminal that standard output is, opened a second time.
//!
//! What must not be here: modes and sequences (`shell/`).

use std::{fs::File, io};

use rustix::fs::{Mode, OFlags};

/// Writes to the terminal of standard output that never wait for it: by an open file description of its own, because `O_NONBLOCK` on the
/// one that is shared would hold for the shell and for every other program on it, too (open(2)). `None`: it is no terminal, or is not
/// ours to open (after su(1), it is that of another user).
pub fn terminal_again() -> Option<File> {
    again(io::stdout())
}

fn again(out: impl rustix::fd::AsFd) -> Option<File> {
    let name = rustix::termios::ttyname(&out, Vec::new()).ok()?;
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(name, flags, Mode::empty()).ok()?);
    // A name of another mount of devpts, in a container, is another terminal.
    let device = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let same = device(rustix::fs::fstat(&file).ok()?) == device(rustix::fs::fstat(&out).ok()?);
    same.then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_terminal_is_not_opened() {
        let file = tempfile::tempfile().expect("file");
        assert!(again(&file).is_none());
    }
}
