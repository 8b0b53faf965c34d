//! Writing a recording, on a thread of its own: a slow, hanging or full disk never holds anything up.
//!
//! Lines reach the kernel within [`LINGER`], whole or not at all; what comes within it wakes the thread once. Where somebody is awake once
//! a second anyway, lines wait for that moment ([`Recorder::beat`]). A recording that reaches its bound loses what lies between its
//! beginning and its end, except what happens seldom: the first minutes and the last hours are what an incident is told by.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    FORMAT, Header, RecordError,
    bounds::{self, BOUNDS, Bounds},
    conceal, merge,
    pace::Pace,
    place::Shelf,
};
use crate::{
    model::{BlindSpot, Observation, Stamp, secrets::Mask},
    sys::Stamped,
};

/// Observations that wait for the disk at most.
pub(super) const WAITING: usize = 1024;
/// Bytes of log lines among them at most: what a disk that hangs may cost of memory.
const WAITING_BYTES: usize = 8 << 20;
/// How long a line waits at most before it is given to the kernel: what a SIGKILL costs.
const LINGER: Duration = Duration::from_millis(200);
/// Bytes that are given to the kernel at once.
const PIECE: usize = 64 << 10;
/// How long the end of a run waits for a disk that takes nothing more.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a disk that took nothing is left alone.
const AGAIN: Duration = Duration::from_secs(2);

/// By what addresses are hidden, once that is asked for.
type Hiding = Arc<OnceLock<Arc<Mask>>>;

/// Keeps what is observed.
#[derive(Debug)]
pub struct Recorder {
    lines: Option<SyncSender<Stamped>>,
    pace: Arc<Pace>,
    told: Mutex<Receiver<Observation>>,
    finished: Mutex<Receiver<()>>,
    writer: Option<JoinHandle<()>>,
    mask: Hiding,
}

impl Recorder {
    /// Begins a recording in a new file that only its owner may read.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let wrong = |source| RecordError::Create { path: path.to_owned(), source };
        let shelf = Shelf::of(path).map_err(wrong)?;
        let file = shelf.create().map_err(wrong)?;
        Writer::begin(shelf, file, BOUNDS).and_then(|writer| Self::run(move || Some(writer))).map_err(wrong)
    }

    /// Goes on with a recording.
    pub fn resume(path: &Path) -> Result<Self, RecordError> {
        let wrong = |source| RecordError::Resume { path: path.to_owned(), source };
        let shelf = Shelf::of(path).map_err(wrong)?;
        let file = shelf.open().map_err(wrong)?;
        let length = file.metadata().map_err(wrong)?.len();
        // What was cut off stays a line of its own.
        let writer = Writer { length, piece: vec![b'\n'], ..Writer::new(shelf, file, BOUNDS) };
        Self::run(move || Some(writer)).map_err(wrong)
    }

    /// Begins a recording where nobody named a place, as far as there is one. Making the file may hang on a dead file system, so it
    /// is made on the writer's own thread; what came of it is told.
    pub fn by_default(
        shelf: impl FnOnce() -> Result<Shelf, String> + Send + 'static,
    ) -> io::Result<(Self, oneshot::Receiver<Result<PathBuf, String>>)> {
        let (tell, told) = oneshot::channel();
        let recorder = Self::run(move || {
            let begun = shelf().and_then(|shelf| {
                let path = shelf.path.clone();
                let file = shelf.create();
                let writer = file.and_then(|file| Writer::begin(shelf, file, BOUNDS));
                writer.map(|writer| (path.clone(), writer)).map_err(|error| format!("{}: {error}", path.display()))
            });
            let (said, writer) = match begun {
                Ok((path, writer)) => (Ok(path), Some(writer)),
                Err(why) => (Err(why), None),
            };
            // Whoever has left by then needs no answer.
            let _ = tell.send(said);
            writer
        })?;
        Ok((recorder, told))
    }

    fn run(begin: impl FnOnce() -> Option<Writer> + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let (tell, told) = sync_channel(8);
        let (finish, finished) = sync_channel(1);
        let pace = Arc::<Pace>::default();
        // The file is made on its disk, too.
        pace.gives(true);
        let theirs = Arc::clone(&pace);
        let mask = Hiding::default();
        let hiding = Hiding::clone(&mask);
        let writer = thread::Builder::new().spawn(move || {
            if let Some(mut writer) = begin() {
                theirs.gives(false);
                writer.mask = hiding;
                writer.write(&waiting, &theirs, &tell);
            }
            let _ = finish.try_send(());
        })?;
        Ok(Self { lines: Some(lines), pace, told: Mutex::new(told), finished: Mutex::new(finished), writer: Some(writer), mask })
    }

    /// Replaces addresses and names of hosts in all that is kept from now on.
    pub fn hide(&self, mask: Arc<Mask>) {
        // Once: two placeholders for one address would make two of it.
        let _ = self.mask.set(mask);
    }

    /// Keeps one observation. What comes back is what the person must be told: lines that were lost, a disk that is full.
    pub fn keep(&self, stamped: &Stamped) -> Option<Observation> {
        let (lines, bytes) = (self.lines.as_ref()?, merge::bytes(&stamped.observation));
        if bytes > 0 && self.pace.bytes.load(Ordering::Relaxed) + bytes > WAITING_BYTES {
            return Some(dropped(1));
        }
        // Before it is there to be taken out again.
        self.pace.bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = lines.try_send(stamped.clone());
        if sent.is_err() {
            self.pace.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        if self.pace.sent() {
            self.hurry();
        }
        match sent {
            Err(TrySendError::Full(_)) => Some(dropped(1)),
            // A writer that ended has told why.
            Ok(()) | Err(TrySendError::Disconnected(_)) => self.told.lock().ok()?.try_recv().ok(),
        }
    }

    /// Has what there is written. Who calls this once does so every second from then on.
    pub fn beat(&self) {
        if self.pace.beat() {
            self.hurry();
        }
    }

    /// Has the writer look now rather than when its time is over.
    fn hurry(&self) {
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.lines = None;
        self.hurry();
        let Ok(finished) = self.finished.lock() else { return };
        // A disk that hangs must not keep the process; the thread is left to the end of the process then. A slow one may take its time.
        let mut taken = self.pace.taken();
        while let Err(RecvTimeoutError::Timeout) = finished.recv_timeout(FAREWELL) {
            if self.pace.hangs(taken) {
                return;
            }
            taken = self.pace.taken();
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn dropped(count: u64) -> Observation {
    Observation::Dropped { collector: "recording".to_owned(), count }
}

/// The thread's side.
pub(super) struct Writer {
    shelf: Shelf,
    file: File,
    bounds: Bounds,
    /// Bytes of whole lines in the file.
    pub(super) length: u64,
    /// Lines that are still to be given to the kernel.
    piece: Vec<u8>,
    pieces: u64,
    /// Lines that found no room, and when that was last tried.
    lost: u64,
    stuck: Option<Instant>,
    last: Stamp,
    /// By what addresses are hidden.
    mask: Hiding,
}

impl Writer {
    fn new(shelf: Shelf, file: File, bounds: Bounds) -> Self {
        let last = Stamp::default();
        Self { shelf, file, bounds, length: 0, piece: Vec::new(), pieces: 0, lost: 0, stuck: None, last, mask: Hiding::default() }
    }

    /// Writes the first line.
    pub(super) fn begin(shelf: Shelf, file: File, bounds: Bounds) -> io::Result<Self> {
        let mut writer = Self::new(shelf, file, bounds);
        writer.piece = header()?;
        writer.give()?;
        Ok(writer)
    }

    /// Writes lines until nobody sends any more.
    fn write(&mut self, lines: &Receiver<Stamped>, pace: &Pace, tell: &SyncSender<Observation>) {
        let mut ends = false;
        let mut together = Vec::new();
        while !ends {
            match lines.try_recv() {
                Ok(first) => {
                    together.push(first);
                    if pace.lingers() {
                        // Woken before: by many lines, or by the end.
                        thread::park_timeout(LINGER);
                    }
                }
                Err(TryRecvError::Empty) => {
                    // Nothing to write: nothing to wake up for. What came since is told by a token (std::thread::park).
                    if pace.sleeps() {
                        thread::park();
                    }
                    continue;
                }
                Err(TryRecvError::Disconnected) => break,
            }
            pace.looks();
            while together.len() < WAITING {
                match lines.try_recv() {
                    Ok(more) => together.push(more),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        ends = true;
                        break;
                    }
                }
            }
            let bytes: usize = together.iter().map(|stamped| merge::bytes(&stamped.observation)).sum();
            pace.bytes.fetch_sub(bytes, Ordering::Relaxed);
            // What is recorded of one pass is told as it came.
            if pace.paced() {
                together = merge::floods(together).collect();
            }
            for stamped in together.drain(..) {
                self.take(stamped);
                pace.took();
                if self.piece.len() >= PIECE {
                    self.give_on(pace, tell);
                }
            }
            self.give_on(pace, tell);
        }
        // What a recording that goes on begins with.
        self.give_on(pace, tell);
    }

    fn give_on(&mut self, pace: &Pace, tell: &SyncSender<Observation>) {
        pace.gives(true);
        for said in self.flush() {
            // Nobody who listens is no reason to stop.
            let _ = tell.try_send(said);
        }
        pace.gives(false);
    }

    /// Takes a line in.
    pub(super) fn take(&mut self, stamped: Stamped) {
        self.last = stamped.at;
        if let Ok(line) = conceal::line(stamped, self.mask.get().map(AsRef::as_ref)) {
            self.piece.extend_from_slice(&line);
            self.piece.push(b'\n');
            self.pieces += 1;
        }
    }

    /// Gives the kernel what there is. Gives what is to be told.
    pub(super) fn flush(&mut self) -> Vec<Observation> {
        if self.piece.is_empty() {
            return Vec::new();
        }
        if self.stuck.is_some_and(|at| at.elapsed() < AGAIN) {
            self.lose();
            return Vec::new();
        }
        let source = format!("recording {}", self.shelf.path.display());
        if self.lost > 0 {
            // What is missing is told in the recording itself, before what follows.
            if let Ok(mut line) = conceal::line(Stamped { at: self.last, observation: dropped(self.lost) }, None) {
                line.push(b'\n');
                line.append(&mut self.piece);
                self.piece = line;
            }
        }
        let mut told = Vec::new();
        match self.give() {
            Ok(()) => {
                self.lost = 0;
                if self.stuck.take().is_some() {
                    told.push(Observation::Seen { source });
                }
            }
            Err(error) => {
                let first = self.stuck.replace(Instant::now()).is_none();
                self.lose();
                if first {
                    told.push(Observation::Blind(BlindSpot {
                        source,
                        reason: format!("{error}; what was written before is whole, and it goes on when there is room again"),
                        remedy: "free space, or record elsewhere with --record".to_owned(),
                    }));
                }
                return told;
            }
        }
        if self.length > self.bounds.most
            && let Err(error) = self.shrink()
        {
            told.push(Observation::Blind(BlindSpot {
                source: format!("recording {}", self.shelf.path.display()),
                reason: format!("it has reached its bound and cannot be made smaller: {error}"),
                remedy: "start again; what was written before is whole".to_owned(),
            }));
            // It must not grow beyond its bound: nothing is taken any more.
            self.bounds = Bounds { most: u64::MAX, ..self.bounds };
            self.stuck = Instant::now().checked_add(Duration::from_hours(24 * 365));
        }
        told
    }

    fn lose(&mut self) {
        self.lost += std::mem::take(&mut self.pieces);
        self.piece.clear();
    }

    /// Gives the kernel the piece, whole or not at all.
    fn give(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.piece) {
            // A disk that is full may have taken a part.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += self.piece.len() as u64;
        self.piece.clear();
        self.pieces = 0;
        Ok(())
    }

    /// Takes out what lies between beginning and end, except what happens seldom.
    fn shrink(&mut self) -> io::Result<()> {
        let draft = self.shelf.draft()?;
        let written = bounds::shorten(self.shelf.read()?, draft.try_clone()?, self.length, &self.bounds, |gone| {
            let mut told = conceal::line(Stamped { at: self.last, observation: dropped(gone) }, None)?;
            told.push(b'\n');
            Ok(told)
        })?;
        self.shelf.replace()?;
        (self.file, self.length) = (draft, written);
        Ok(())
    }
}

fn header() -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Header { format: FORMAT.to_owned() })?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
impl Writer {
    /// Writes to another file from now on.
    pub(super) fn stand_in(&mut self, path: &str) {
        self.file = std::fs::OpenOptions::new().write(true).open(path).expect("a file to write to");
    }
}
