//! The reader of keys, which lets go of the terminal while an editor has it.
//!
//! crossterm's reader is asked only on a thread of its own, only when the kernel says that there is something to read, and never for
//! long: at the end of a terminal it reads nothing again and again until its time is up (crossterm 0.29, event/source/unix/tty.rs), and
//! a thread that draws must not be caught in that. Nor does it sleep while it waits: it asks for whole milliseconds, which are none in
//! the last of them, so that each key would cost a processor as long as it is let look.

use std::{
    io,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crossterm::event::{self, Event as TerminalEvent, KeyEventKind};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::{mpsc, watch};

use super::Input;

/// Events that wait to be taken in: more than a hand types, less than a flood.
const EVENTS: usize = 256;
/// How long crossterm is let look for more of what was typed together. (It looks for nothing at all when it is given no time.)
const GLANCE: Duration = Duration::from_micros(50);
/// Looks at most, where one was held up: it may have been given back before it had looked.
const GLANCES: u32 = 20;

/// A thread that reads the terminal until this is dropped or the terminal goes.
#[derive(Debug)]
struct Reader {
    events: mpsc::Receiver<TerminalEvent>,
    /// Its other end is told when this one is closed.
    stop: UnixStream,
}

impl Reader {
    fn start() -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let (send, events) = mpsc::channel(EVENTS);
        // What went wrong with a terminal ends it: there is nothing else to be done about it.
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || drop(read(&stopped, &send)))?;
        Ok(Self { events, stop })
    }

    /// Comes back when nobody reads the terminal any more: a key that is read here is one that an editor misses.
    async fn stop(self) {
        let Self { mut events, stop } = self;
        drop(stop);
        while events.recv().await.is_some() {}
    }
}

/// Hands on what the terminal sends, until `stopped` is closed at its other end, the terminal goes, or nobody listens.
fn read(stopped: &UnixStream, send: &mpsc::Sender<TerminalEvent>) -> io::Result<()> {
    let terminal = io::stdin();
    loop {
        let mut both = [PollFd::new(&terminal, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut both, None) {
            Err(rustix::io::Errno::INTR) => continue,
            done => done?,
        };
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        if !both[1].revents().is_empty() || both[0].revents().intersects(gone) {
            return Ok(());
        }
        while more()? {
            if send.blocking_send(event::read()?).is_err() {
                return Ok(());
            }
        }
    }
}

/// Whether crossterm has an event, of those that it read together or that the terminal still has.
fn more() -> io::Result<bool> {
    for _ in 0..GLANCES {
        let began = Instant::now();
        if event::poll(GLANCE)? {
            return Ok(true);
        }
        // It looked for all of its time, and no other thread had the processor meanwhile.
        if began.elapsed() < GLANCE * 5 / 4 {
            break;
        }
    }
    Ok(false)
}

/// The keys, and whatever else a terminal sends.
#[derive(Debug)]
pub struct Keys {
    /// `None`: an editor has the terminal.
    reader: Option<Reader>,
    listening: watch::Receiver<bool>,
    let_go: mpsc::Sender<()>,
}

impl Keys {
    /// Reads as long as `listening` says so; what is said on `let_go`: nobody reads any more.
    pub fn start(listening: watch::Receiver<bool>, let_go: mpsc::Sender<()>) -> io::Result<Self> {
        Ok(Self { reader: Some(Reader::start()?), listening, let_go })
    }

    /// The next input. `None`: nothing comes any more.
    pub async fn next(&mut self) -> Option<Input> {
        loop {
            let reader = &mut self.reader;
            let event = async {
                match reader {
                    Some(reader) => reader.events.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // First: who is not to listen any more does not begin to wait once again.
                biased;
                changed = self.listening.changed() => {
                    changed.ok()?;
                    if *self.listening.borrow_and_update() {
                        // Without it nobody could leave.
                        self.reader = Some(Reader::start().ok()?);
                    } else {
                        if let Some(reader) = self.reader.take() {
                            reader.stop().await;
                        }
                        let _ = self.let_go.send(()).await;
                    }
                }
                event = event => match event {
                    Some(TerminalEvent::Key(key)) if key.kind != KeyEventKind::Release => return Some(Input::Key(key)),
                    Some(TerminalEvent::Paste(text)) => return Some(Input::Paste(text)),
                    Some(TerminalEvent::Mouse(event)) => return Some(Input::Mouse(event)),
                    // The size comes by its signal.
                    Some(_) => {}
                    // When the keys end, the terminal has gone.
                    None => return Some(Input::End),
                },
            }
        }
    }
}
