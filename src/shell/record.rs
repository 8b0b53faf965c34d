//! A recording: what collectors emitted, one JSON object a line, before any signature was applied. So facts are derived anew
//! when it is read, and a new signature makes old recordings better.
//!
//! The first line tells the format; each other one is a stamp and an observation. Appending only, so that what was written
//! before a crash, a kill or a full disk can be read.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    model::{BlindSpot, Observation, Stamp},
    sys::Stamped,
};

/// What the first line says.
const FORMAT: &str = "why502-record/1";
/// Lines that wait for the disk at most.
const WAITING: usize = 4096;
/// How long the writer waits for another line before it gives the disk what it has.
const LINGER: Duration = Duration::from_millis(200);
/// How long the end of a run waits for the disk.
const FAREWELL: Duration = Duration::from_millis(500);
/// Bytes of one line of a recording that is read: the largest message, a gateway with thousands of sites, is far below.
const LINE_BYTES: u64 = 64 << 20;

/// Why a recording cannot be made or read.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file cannot be made.
    #[error("cannot record to {path}: {source}; name a file that does not exist yet, in a directory that you may write to")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no recording.
    #[error("{path} is no recording of why502: its first line does not say {FORMAT}")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line<O> {
    at: Stamp,
    seen: O,
}

/// Writes a recording, on a thread of its own: a slow or full disk never holds anything up.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    lines: Option<SyncSender<Vec<u8>>>,
    failed: Receiver<io::Error>,
    finished: Receiver<()>,
    writer: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Begins a recording in a new file that only its owner may read.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let wrong = |source| RecordError::Create { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(wrong)?;
        Self::to(path, file).map_err(wrong)
    }

    /// Writes to this file.
    fn to(path: &Path, file: File) -> io::Result<Self> {
        let mut out = BufWriter::new(file);
        writeln!(out, "{}", serde_json::to_string(&Header { format: FORMAT.to_owned() })?)?;
        let (lines, waiting) = sync_channel(WAITING);
        let (fail, failed) = sync_channel(1);
        let (finish, finished) = sync_channel(1);
        let writer = std::thread::spawn(move || {
            if let Err(error) = out.flush().and_then(|()| write_all(out, &waiting)) {
                let _ = fail.try_send(error);
            }
            let _ = finish.try_send(());
        });
        Ok(Self { path: path.to_owned(), lines: Some(lines), failed, finished, writer: Some(writer) })
    }

    /// Keeps one observation. What comes back is what the person must be told: lines that were lost, a disk that is full.
    pub fn keep(&mut self, stamped: &Stamped) -> Option<Observation> {
        let Ok(mut line) = serde_json::to_vec(&Line { at: stamped.at, seen: &stamped.observation }) else { return None };
        line.push(b'\n');
        match self.lines.as_ref()?.try_send(line) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => Some(Observation::Dropped { collector: "recording".to_owned(), count: 1 }),
            Err(TrySendError::Disconnected(_)) => {
                self.lines = None;
                let why = self.failed.try_recv().map_or_else(|_| "its writer ended".to_owned(), |error| error.to_string());
                Some(Observation::Blind(BlindSpot {
                    source: format!("recording {}", self.path.display()),
                    reason: format!("{why}; what was written before is whole"),
                    remedy: "free space, then start again with another --record".to_owned(),
                }))
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.lines = None;
        // A disk that hangs must not keep the process; the thread is left to the end of the process then.
        if self.finished.recv_timeout(FAREWELL).is_ok()
            && let Some(writer) = self.writer.take()
        {
            let _ = writer.join();
        }
    }
}

/// Writes lines until nobody sends any more; gives the disk what there is whenever it pauses.
fn write_all(mut out: BufWriter<File>, lines: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut dirty = false;
    loop {
        match lines.recv_timeout(LINGER) {
            Ok(line) => {
                out.write_all(&line)?;
                dirty = true;
            }
            Err(RecvTimeoutError::Timeout) => {
                if std::mem::take(&mut dirty) {
                    out.flush()?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return out.flush(),
        }
    }
}

/// A recording, read.
#[derive(Debug)]
pub struct Recording {
    /// What was observed, in order.
    pub seen: Vec<Stamped>,
    /// Lines that could not be understood, with their numbers from 1 and why: damaged, cut off, or of a newer version.
    pub damaged: Vec<(usize, String)>,
}

impl Recording {
    /// Reads a recording. A damaged line costs that line only.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let wrong = |source| RecordError::Read { path: path.to_owned(), source };
        let foreign = || RecordError::Foreign { path: path.to_owned() };
        let file = crate::sys::Root::host().open(path).map_err(|e| wrong(e.source))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        next_line(&mut reader, &mut line).map_err(wrong)?;
        let header: Header = serde_json::from_slice(&line).map_err(|_| foreign())?;
        if header.format != FORMAT {
            return Err(foreign());
        }
        let (mut seen, mut damaged) = (Vec::new(), Vec::new());
        let mut number = 1;
        while next_line(&mut reader, &mut line).map_err(wrong)? {
            number += 1;
            match serde_json::from_slice::<Line<Observation>>(&line) {
                Ok(line) => seen.push(Stamped { at: line.at, observation: line.seen }),
                Err(error) => damaged.push((number, error.to_string())),
            }
        }
        Ok(Self { seen, damaged })
    }
}

impl Recording {
    /// The stamp of its first observation.
    pub fn begin(&self) -> Stamp {
        self.seen.first().map(|stamped| stamped.at).unwrap_or_default()
    }

    /// What of it was lost, as a blind spot.
    pub fn damage(&self) -> Option<Stamped> {
        let (number, why) = self.damaged.first()?;
        let reason = format!("{} lines are damaged, the first is line {number}: {why}", self.damaged.len());
        let remedy = "the others are shown; a recording that was cut off ends early".to_owned();
        let spot = BlindSpot { source: "recording".to_owned(), reason, remedy };
        Some(Stamped { at: self.begin(), observation: Observation::Blind(spot) })
    }
}

/// Reads the next line, without its end; `false`: there is none. A line that is too long is cut, and so damaged.
fn next_line(reader: &mut BufReader<File>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = io::Read::take(&mut *reader, LINE_BYTES).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == LINE_BYTES {
        reader.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stage;

    fn stamped(run_ms: u64) -> Stamped {
        Stamped { at: Stamp { run_ms, wall_ms: 1_700_000_000_000 }, observation: Observation::Done(Stage::Load) }
    }

    #[test]
    fn what_was_kept_is_read_back_and_damage_costs_one_line() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("incident");
        let mut recorder = Recorder::create(&path).expect("new file");
        for run_ms in 0..3 {
            assert_eq!(recorder.keep(&stamped(run_ms)), None);
        }
        drop(recorder);
        let mut text = std::fs::read_to_string(&path).expect("recording");
        text.insert_str(text.find('\n').expect("header") + 1, "{\"at\":garbage\n");
        text.push_str("{\"at\":{\"run_ms\":9,\"wall_ms\":");
        std::fs::write(&path, &text).expect("damage");
        let recording = Recording::read(&path).expect("readable");
        assert_eq!(recording.seen, [stamped(0), stamped(1), stamped(2)]);
        assert_eq!(recording.damaged.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 6]);
    }

    #[test]
    fn a_recording_is_private_and_never_overwrites() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("incident");
        drop(Recorder::create(&path).expect("new file"));
        assert_eq!(std::fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        assert!(Recorder::create(&path).expect_err("it is there").to_string().contains("does not exist yet"));
    }

    #[test]
    fn a_full_disk_is_told_once() {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let mut recorder = Recorder::to(Path::new("/dev/full"), full).expect("nothing is written yet");
        let told: Vec<Observation> = (0..100_000).filter_map(|run_ms| recorder.keep(&stamped(run_ms))).collect();
        let blind = told.iter().filter(|observation| matches!(observation, Observation::Blind(_))).count();
        assert_eq!(blind, 1, "{told:?}");
    }

    #[test]
    fn what_is_no_recording_is_said_to_be_none() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("other");
        for text in ["", "\n", "hello\n", "{\"format\":\"other/1\"}\n", "\0\0\0"] {
            std::fs::write(&path, text).expect("file");
            assert!(Recording::read(&path).expect_err(text).to_string().contains("is no recording"), "{text:?}");
        }
        assert!(Recording::read(dir.path()).is_err());
    }
}
