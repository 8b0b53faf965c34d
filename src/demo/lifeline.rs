//! The pipe that children hang on: its end is the starter's end, however that came.
//!
//! Only the starter holds the writing end (std opens pipes close-on-exec, so no child inherits it), and nothing is ever
//! written to it. A signal on the parent's death (prctl(2) PR_SET_PDEATHSIG) would do less: it goes when a child changes its
//! user.

use std::{
    io::{self, PipeReader, PipeWriter, Read, pipe},
    process::Stdio,
    thread,
};

use tokio::sync::oneshot;

/// The starter's end. The children go when it is dropped.
#[derive(Debug)]
pub(super) struct Lifeline {
    reader: PipeReader,
    _writer: PipeWriter,
}

impl Lifeline {
    /// A new one.
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { reader, _writer: writer })
    }

    /// The standard input of a child.
    pub(super) fn stdin(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.reader.try_clone()?))
    }
}

/// Comes true when this stream has ended. Blocks a thread of its own, which the end of the process takes along.
pub(super) fn end_of(mut stream: impl Read + Send + 'static) -> oneshot::Receiver<()> {
    let (told, end) = oneshot::channel();
    thread::spawn(move || {
        let mut rest = [0; 64];
        // An error is an end too; nothing is ever sent.
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
        let _ = told.send(());
    });
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_seen_when_the_starter_lets_go_and_not_before() {
        let line = Lifeline::new().expect("pipe");
        let mut end = end_of(line.reader.try_clone().expect("reader"));
        assert!(end.try_recv().is_err());
        drop(line);
        tokio::time::timeout(std::time::Duration::from_secs(5), end).await.expect("in time").expect("told");
    }
}
