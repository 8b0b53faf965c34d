//! Running a helper program of the host for its answer: by its full path, with fixed arguments, a clean environment, no shell, and an
//! answer that is bounded. It is killed when whoever waits for it gives up.
//!
//! What must not be here: which programs those are, and what they say.

use std::io;

use tokio::io::AsyncReadExt as _;

use super::broker::{self, Task};

/// What makes an answer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// What was said counts, whatever the program ends with, and as far as it is read: it is not waited for.
    AsFarAsRead,
    /// All of it, from a program that ended well. More than is read is [`io::ErrorKind::FileTooLarge`], a failure
    /// [`io::ErrorKind::PermissionDenied`].
    All,
}

/// What the program of a task says on its standard output, `limit` bytes at most. Its complaints go nowhere.
pub(super) async fn answer(task: Task, limit: u64, whole: Whole) -> io::Result<String> {
    let mut started = broker::start(task)?;
    let out = started.output()?;
    let mut bytes = Vec::new();
    out.take(limit.saturating_add(1)).read_to_end(&mut bytes).await?;
    let more = bytes.len() as u64 > limit;
    match whole {
        Whole::AsFarAsRead => {
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            // It has ended, or says more than anybody reads.
            drop(started);
        }
        Whole::All if more => return Err(io::ErrorKind::FileTooLarge.into()),
        Whole::All => {
            if started.running.ended().await? != Some(0) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(program: &str, arguments: &[&str]) -> Task {
        Task::Any(program.into(), arguments.iter().map(|argument| (*argument).to_owned()).collect())
    }

    #[tokio::test]
    async fn what_is_said_without_end_is_cut_or_refused() {
        let yes = || any("/usr/bin/yes", &["a"]);
        assert_eq!(answer(yes(), 5, Whole::AsFarAsRead).await.expect("cut"), "a\na\na");
        let error = answer(yes(), 5, Whole::All).await.expect_err("too much");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[tokio::test]
    async fn nothing_of_our_environment_goes_along_and_a_failure_is_told() {
        assert_eq!(answer(any("/usr/bin/env", &[]), 1 << 10, Whole::All).await.expect("said"), "");
        let nowhere = || any("/bin/ls", &["/nowhere"]);
        let error = answer(nowhere(), 1 << 10, Whole::All).await.expect_err("failed");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(answer(nowhere(), 1 << 10, Whole::AsFarAsRead).await.expect("nothing"), "");
    }
}
