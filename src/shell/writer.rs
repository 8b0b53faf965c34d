//! What goes to the terminal goes through a thread of its own: a link that is stuck blocks that thread, and nothing else.
//!
//! One frame at most is under way. While it is, nothing new is drawn, so memory does not grow, and when the link comes back
//! the next frame shows the newest state.
//!
//! A short frame on a terminal that takes it at once goes straight to it: on a healthy host that is one a second, and another thread need
//! not be woken for each.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

/// How often it is looked whether the last frame of a run is out.
const GLANCE: Duration = Duration::from_millis(5);

/// Bytes of a frame that may go straight to the terminal: a screen of most. What of it finds no room there is for the thread.
const SHORT: usize = 16 << 10;

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    busy: AtomicBool,
    /// Pieces that the thread has been given and that are not out.
    under_way: AtomicUsize,
    /// Somebody wanted to draw meanwhile, and is to be told when the frame is out.
    wanted: AtomicBool,
    broken: AtomicBool,
    /// Bytes that are out.
    sent: AtomicU64,
}

/// The terminal, as ratatui's backend sees it: collects a frame, and hands it on when it is flushed.
pub struct FrameWriter {
    frame: Vec<u8>,
    frames: SyncSender<Vec<u8>>,
    /// The same terminal, by a way that never waits for it.
    at_once: Option<Box<dyn Write + Send>>,
    shared: Arc<Shared>,
}

/// Tells how the terminal is, and takes what is no frame.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
    frames: SyncSender<Vec<u8>>,
}

impl Link {
    /// Whether the last frame is out. Where it is not, who made this link is told when it is.
    pub fn idle(&self) -> bool {
        // Said before it is looked, as the thread looks after it has said that it is out: one of both sees the other.
        self.shared.wanted.store(true, Ordering::SeqCst);
        let idle = !self.shared.busy.load(Ordering::SeqCst);
        if idle {
            self.shared.wanted.store(false, Ordering::SeqCst);
        }
        idle
    }

    /// Whether the terminal is gone.
    pub fn broken(&self) -> bool {
        self.shared.broken.load(Ordering::Acquire)
    }

    /// Bytes that went out since the beginning.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Writes this between two frames. `false`: there is no room for it now.
    pub fn between_frames(&self, bytes: Vec<u8>) -> bool {
        self.shared.under_way.fetch_add(1, Ordering::SeqCst);
        let given = self.frames.try_send(bytes).is_ok();
        if !given {
            self.shared.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        given
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
    /// Writes to `out` on a thread of its own; `done` is called there after a frame during which somebody asked whether it is
    /// out, and when the terminal is gone: a frame that nobody waits for wakes nobody.
    pub fn new(out: impl Write + Send + 'static, done: impl Fn() + Send + 'static) -> (Self, Link) {
        let shared = Arc::<Shared>::default();
        let (frames, waiting) = sync_channel(1);
        let theirs = Arc::clone(&shared);
        thread::spawn(move || write_frames(out, &waiting, &theirs, done));
        let link = Link { shared: Arc::clone(&shared), frames: frames.clone() };
        (Self { frame: Vec::new(), frames, at_once: None, shared }, link)
    }

    /// Gives short frames to `out`, which is the same terminal and answers [`io::ErrorKind::WouldBlock`] rather than to wait.
    pub fn straight(self, out: Option<impl Write + Send + 'static>) -> Self {
        Self { at_once: out.map(|out| Box::new(out) as Box<dyn Write + Send>), ..self }
    }

    /// Gives the terminal what it takes of a short frame now; the rest is for the thread.
    fn give_at_once(&mut self) {
        let Some(out) = &mut self.at_once else { return };
        // What the thread has comes first.
        if self.frame.len() > SHORT || self.shared.under_way.load(Ordering::SeqCst) > 0 {
            return;
        }
        match out.write(&self.frame) {
            Ok(taken) => {
                self.frame.drain(..taken);
                self.shared.sent.fetch_add(taken as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The thread finds out what is wrong.
            Err(_) => self.at_once = None,
        }
    }
}

impl std::fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameWriter").field("frame", &self.frame.len()).field("shared", &self.shared).finish_non_exhaustive()
    }
}

fn write_frames(mut out: impl Write, frames: &Receiver<Vec<u8>>, shared: &Shared, done: impl Fn()) {
    while let Ok(frame) = frames.recv() {
        let written = out.write_all(&frame).and_then(|()| out.flush());
        shared.sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
        shared.busy.store(false, Ordering::SeqCst);
        if written.is_err() {
            shared.broken.store(true, Ordering::Release);
        }
        if shared.wanted.swap(false, Ordering::SeqCst) || written.is_err() {
            done();
        }
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
        self.give_at_once();
        if self.frame.is_empty() {
            return Ok(());
        }
        self.shared.busy.store(true, Ordering::Release);
        self.shared.under_way.fetch_add(1, Ordering::SeqCst);
        match self.frames.try_send(std::mem::take(&mut self.frame)) {
            Ok(()) => Ok(()),
            // Flushed twice while one frame is under way: it stays in the buffer for the next flush.
            Err(TrySendError::Full(frame)) => {
                self.shared.under_way.fetch_sub(1, Ordering::SeqCst);
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
        while !link.between_frames(b"again".to_vec()) {
            thread::yield_now();
        }
        let_one.send(()).expect("thread lives");
        while seen.lock().expect("not poisoned").as_slice() != b"onecopiedagain" {
            thread::yield_now();
        }
        assert!(done.try_recv().is_err(), "the first of them was done before the second, and nobody had asked");
        drop(let_one);
        writer.write_all(b"two").expect("buffered");
        writer.flush().expect("handed on");
        done.recv().expect("second frame");
        assert!(link.broken());
        writer.write_all(b"three").expect("buffered");
        assert!(writer.flush().is_err());
    }

    /// A terminal that takes so many bytes at once, and no more until it is given more room.
    struct Narrow(usize, Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            self.1.lock().expect("not poisoned").extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_short_frame_goes_straight_and_the_rest_of_it_by_the_thread() {
        let (let_one, gate) = channel();
        let seen = Arc::default();
        let (writer, link) = FrameWriter::new(Stuck(gate, Arc::clone(&seen)), || {});
        let mut writer = writer.straight(Some(Narrow(10, Arc::clone(&seen))));
        let mut frame = |text: &[u8]| {
            writer.write_all(text).expect("buffered");
            writer.flush().expect("handed on");
        };
        frame(b"short");
        assert!(link.idle() && link.sent() == 5, "no thread had to write");
        frame(b"what is longer");
        assert!(!link.idle());
        assert_eq!(seen.lock().expect("not poisoned").as_slice(), b"shortwhat ");
        let_one.send(()).expect("thread lives");
        while !link.idle() {
            thread::yield_now();
        }
        assert_eq!((seen.lock().expect("not poisoned").as_slice(), link.sent()), (&b"shortwhat is longer"[..], 19));
        // What the thread still has comes before what follows.
        assert!(link.between_frames(b"copied".to_vec()));
        frame(b"next");
        (0..2).for_each(|_| let_one.send(()).expect("thread lives"));
        while link.sent() < 29 {
            // It may have found no room before.
            frame(b"");
        }
        assert!(seen.lock().expect("not poisoned").ends_with(b"copiednext"));
    }
}
