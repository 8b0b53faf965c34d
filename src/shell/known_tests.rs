//! The gateways' own tests that passed in an earlier `check` of the same person: a monitor that runs it every minute need not have the
//! same configuration tested every minute. In a small private file beside the recordings, and only where that directory is there already:
//! `check` leaves nothing on a host where nobody has asked for it (DESIGN, promise 4).
//!
//! What must not be here: whether such a test still holds (`gateway/`), and anything of a test that failed: what mended it may stand
//! nowhere.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::fs::{self, FileType, Mode, OFlags};

use super::record::Keeper;
use crate::model::{Gateway, KnownTest};

/// The file.
const NAME: &str = "config-tests.json";
/// Bytes of it that are read.
const BYTES: u64 = 64 << 10;
/// Tests that are kept: gateways of one host, with room.
const TESTS: usize = 32;
/// How long a home may take. On one that hangs nothing is known, and nothing kept.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is known. Whatever is wrong with the file, it is not known.
pub fn read() -> Vec<KnownTest> {
    aside(|| read_from(&Keeper::of_operator().map_err(io::Error::other)?)).unwrap_or_default()
}

/// Keeps those that were made now, with those that are known and were not made again.
pub fn keep(known: Vec<KnownTest>, gateways: &[Gateway], at: i64) {
    let fresh =
        gateways.iter().filter_map(|gateway| Some(KnownTest { config: gateway.config.clone(), fingerprint: gateway.tested?, at }));
    let fresh: Vec<KnownTest> = fresh.collect();
    if fresh.is_empty() {
        return;
    }
    // Without it the next run makes the test itself.
    let _ = aside(move || write_to(&Keeper::of_operator().map_err(io::Error::other)?, known, fresh));
}

/// Runs what a home on a dead server would hold up.
fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let (done, answer) = mpsc::channel();
    thread::Builder::new().spawn(move || done.send(work()))?;
    answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn read_from(keeper: &Keeper) -> io::Result<Vec<KnownTest>> {
    // A link, or a pipe that nobody writes to, is none of ours.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = fs::open(keeper.dir().join(NAME), flags, Mode::empty())?;
    if FileType::from_raw_mode(fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = Vec::new();
    File::from(file).take(BYTES).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn write_to(keeper: &Keeper, known: Vec<KnownTest>, mut tests: Vec<KnownTest>) -> io::Result<()> {
    if FileType::from_raw_mode(fs::stat(keeper.dir())?.st_mode) != FileType::Directory {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let again: Vec<KnownTest> = known.into_iter().filter(|old| tests.iter().all(|new| new.config != old.config)).collect();
    tests.extend(again);
    tests.truncate(TESTS);
    let shelf = keeper.shelf(NAME).map_err(io::Error::other)?;
    // Another that runs now does the same: who is last is right, too.
    shelf.draft()?.write_all(&serde_json::to_vec(&tests)?)?;
    shelf.replace()
}
