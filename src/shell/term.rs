//! The terminal taken over and given back, on every way out.
//!
//! Restoring is idempotent and needs nothing but the terminal itself, so the panic hook, the end of the run and a signal can
//! all do it, in any order.

use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use crossterm::{
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute,
    style::Print,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};

/// How long the end waits for a terminal that takes nothing: a slow line needs this much for a screen.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the last screen is to stay when the terminal is given back.
static KEEP: AtomicBool = AtomicBool::new(false);

/// Whether the mouse is ours, too.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// Presses and the wheel, with places of any size (xterm's "ctlseqs", modes 1000 and 1006). Not crossterm's own: it asks for every move of
/// the mouse as well, which nobody here looks at.
const MOUSE_ON: &str = "\u{1b}[?1000h\u{1b}[?1006h";
const MOUSE_OFF: &str = "\u{1b}[?1006l\u{1b}[?1000l";

/// What takes the mouse, or gives it back. It is given back with the terminal in any case.
pub fn mouse(on: bool) -> &'static str {
    MOUSE.store(on, Ordering::SeqCst);
    if on { MOUSE_ON } else { MOUSE_OFF }
}

/// The terminal is ours as long as this lives.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        // From here on the guard restores, whatever fails.
        let guard = Self(());
        execute!(io::stdout(), EnterAlternateScreen, Hide, EnableBracketedPaste)?;
        if MOUSE.load(Ordering::SeqCst) {
            execute!(io::stdout(), Print(MOUSE_ON))?;
        }
        Ok(guard)
    }

    /// Leaves the last screen on the terminal when it is given back.
    pub fn keep_screen() {
        KEEP.store(true, Ordering::SeqCst);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, once.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let write = || {
        let mut out = io::stdout();
        if MOUSE.load(Ordering::SeqCst) {
            let _ = execute!(out, Print(MOUSE_OFF));
        }
        // A terminal that is gone cannot be restored, and need not be.
        let _ = if KEEP.load(Ordering::SeqCst) {
            execute!(out, DisableBracketedPaste, Show)
        } else {
            execute!(out, DisableBracketedPaste, LeaveAlternateScreen, Show)
        };
    };
    // A link that is stuck takes nothing any more, and must not hold the end up.
    let (done, written) = sync_channel(1);
    let aside = thread::Builder::new().spawn(move || {
        write();
        let _ = done.send(());
    });
    match aside {
        Ok(_) => drop(written.recv_timeout(PATIENCE)),
        Err(_no_thread) => write(),
    }
    let _ = disable_raw_mode();
}

/// Restores the terminal before a panic of the thread that draws is told. A collector that panics is caught and becomes a
/// blind spot; its message would only spoil the screen.
pub fn install_panic_hook() {
    let drawing = std::thread::current().id();
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == drawing {
            restore();
            tell(info);
        } else if !TAKEN.load(Ordering::SeqCst) {
            tell(info);
        }
    }));
}
