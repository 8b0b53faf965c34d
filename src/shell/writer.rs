//! What goes to the terminal goes through a thread of its own: a link that is stuck blocks that thread, and nothing else.
//!
//! One frame at most is under way. While it is, nothing new is drawn, so memory does not grow, and when the link comes back
//! the next frame shows the newest state.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

/// How often it is looked whether the last frame of a run is out.
const GLANCE: Duration = Duration::from_millis(5);

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    busy: AtomicBool,
    broken: AtomicBool,
}

/// The terminal, as ratatui's backend sees it: collects a frame, and hands it on when it is flushed.
#[derive(Debug)]
pub struct FrameWriter {
    frame: Vec<u8>,
    frames: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

/// Tells how the terminal is, and takes what is no frame.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
    frames: SyncSender<Vec<u8>>,
}

impl Link {
    /// Whether the last frame is out.
    pub fn idle(&self) -> bool {
        !self.shared.busy.load(Ordering::Acquire)
    }

    /// Whether the terminal is gone.
    pub fn broken(&self) -> bool {
        self.shared.broken.load(Ordering::Acquire)
    }

    /// Writes this between two frames. `false`: there is no room for it now.
    pub fn between_frames(&self, bytes: Vec<u8>) -> bool {
        self.frames.try_send(bytes).is_ok()
    }

    /// Waits until the frame that is under way is out, but no longer than this.
    pub async fn settled(&self, within: Duration) {
        let wait = async {
            while !self.idle() && !self.broken() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        // What is not out by then is stuck.
        let _ = tokio::time::timeout(within, wait).await;
    }
}

impl FrameWriter {
    /// Writes to `out` on a thread of its own; `done` is called there after each frame.
    pub fn new(out: impl Write + Send + 'static, done: impl Fn() + Send + 'static) -> (Self, Link) {
        let shared = Arc::<Shared>::default();
        let (frames, waiting) = sync_channel(1);
        let theirs = Arc::clone(&shared);
        thread::spawn(move || write_frames(out, &waiting, &theirs, done));
        let link = Link { shared: Arc::clone(&shared), frames: frames.clone() };
        (Self { frame: Vec::new(), frames, shared }, link)
    }
}

fn write_frames(mut out: impl Write, frames: &Receiver<Vec<u8>>, shared: &Shared, done: impl Fn()) {
    while let Ok(frame) = frames.recv() {
        let written = out.write_all(&frame).and_then(|()| out.flush());
        shared.busy.store(false, Ordering::Release);
        if written.is_err() {
            shared.broken.store(true, Ordering::Release);
        }
        done();
        if written.is_err() {
            return;
        }
    }
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        if self.shared.broken.load(Ordering::Acquire) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.shared.busy.store(true, Ordering::Release);
        match self.frames.try_send(std::mem::take(&mut self.frame)) {
            Ok(()) => Ok(()),
            // Flushed twice while one frame is under way: it stays in the buffer for the next flush.
            Err(TrySendError::Full(frame)) => {
                self.frame = frame;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// A terminal that takes a frame only when it is let.
    struct Stuck(Receiver<()>, Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.1.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_link_blocks_nobody_and_loses_nothing_that_was_flushed() {
        let (let_one, gate) = channel();
        let (told, done) = channel();
        let seen = Arc::default();
        let (mut writer, link) = FrameWriter::new(Stuck(gate, Arc::clone(&seen)), move || told.send(()).expect("test listens"));
        writer.write_all(b"one").expect("buffered");
        writer.flush().expect("handed on");
        assert!(!link.idle() && !link.broken());
        let_one.send(()).expect("thread lives");
        done.recv().expect("first frame");
        assert!(link.idle());
        assert_eq!(seen.lock().expect("not poisoned").as_slice(), b"one");
        assert!(link.between_frames(b"copied".to_vec()), "there is room");
        let_one.send(()).expect("thread lives");
        done.recv().expect("what is no frame");
        assert_eq!(seen.lock().expect("not poisoned").as_slice(), b"onecopied");
        drop(let_one);
        writer.write_all(b"two").expect("buffered");
        writer.flush().expect("handed on");
        done.recv().expect("second frame");
        assert!(link.broken());
        writer.write_all(b"three").expect("buffered");
        assert!(writer.flush().is_err());
    }
}
