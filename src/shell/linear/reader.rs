//! Lines of standard input, one at a time: the next is read only when it is asked for, so that an editor that was started by one has the
//! terminal to itself.

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
};

use tokio::sync::{mpsc, watch};

use crate::shell::Input;

/// Bytes of a line that are taken: more than any command has.
const LINE_BYTES: usize = 4096;

/// The lines that a person types.
#[derive(Debug)]
pub struct Lines {
    ask: SyncSender<()>,
    typed: mpsc::Receiver<Option<String>>,
    /// Whether this program listens, and not an editor.
    listening: watch::Receiver<bool>,
    /// Where it is said that nobody reads any more.
    let_go: mpsc::Sender<()>,
    asked: bool,
}

impl Lines {
    /// Those of standard input, read as long as `listening` says so; what is said on `let_go`: nobody reads any more.
    pub fn start(listening: watch::Receiver<bool>, let_go: mpsc::Sender<()>) -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let (send, typed) = mpsc::channel(1);
        // It may wait for a line for ever; the end of the process takes it along.
        std::thread::Builder::new().spawn(move || {
            while asked.recv().is_ok() {
                let line = line(&mut io::stdin().lock()).ok().flatten();
                let end = line.is_none();
                if send.blocking_send(line).is_err() || end {
                    return;
                }
            }
        })?;
        Ok(Self { ask, typed, listening, let_go, asked: false })
    }

    /// The next one. `None`: the input has ended.
    pub async fn next(&mut self) -> Option<Input> {
        loop {
            while !*self.listening.borrow_and_update() {
                // An editor is asked for by a line, and the next one is not read before it has gone. Whatever else asks: a read(2) that
                // has begun cannot be taken back, and an editor that never came would be worse than one that misses a line.
                let _ = self.let_go.send(()).await;
                self.listening.changed().await.ok()?;
            }
            if !self.asked {
                self.ask.try_send(()).ok()?;
                self.asked = true;
            }
            tokio::select! {
                biased;
                line = self.typed.recv() => {
                    self.asked = false;
                    return line.flatten().map(Input::Line);
                }
                changed = self.listening.changed() => changed.ok()?,
            }
        }
    }
}

/// A line without its end; what is too long is cut. `None`: the input has ended.
fn line(input: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let piece = input.fill_buf()?;
        if piece.is_empty() {
            return Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned()));
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(piece.len());
        let room = LINE_BYTES.saturating_sub(bytes.len()).min(taken);
        bytes.extend_from_slice(&piece[..room]);
        let used = end.map_or(taken, |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_whole_or_cut_and_the_next_begins_behind_it() {
        let long = "x".repeat(3 * LINE_BYTES);
        let text = format!("causes\r\n{long}\né\nend");
        let mut input = io::BufReader::with_capacity(7, text.as_bytes());
        let mut next = || line(&mut input).expect("memory");
        assert_eq!(next().as_deref().map(str::trim), Some("causes"));
        assert_eq!(next().map(|line| line.len()), Some(LINE_BYTES));
        assert_eq!(next().as_deref(), Some("é"));
        assert_eq!(next().as_deref(), Some("end"));
        assert_eq!(next(), None);
    }
}
