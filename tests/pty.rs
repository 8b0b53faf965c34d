//! The console on a real pseudo-terminal: it starts, answers keys, and gives the terminal back on every way out.

use std::{
    io::{Read as _, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// So many looks in a row at which it is still in the same write: a frame that gets through is gone by then.
const STUCK_LOOKS: u32 = 200;
/// How long anything may take here; far more than it needs, for the sake of a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program on a terminal.
struct Console {
    screen: Arc<Mutex<vt100::Parser>>,
    /// Nobody reads on: the reader lets go of its end of the terminal after what it is waiting for.
    hung_up: Arc<AtomicBool>,
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn std::io::Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
}

impl Console {
    fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_why502"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        // What a person sees; a backtrace would push the message out of view.
        command.env("RUST_BACKTRACE", "0");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::default()));
        let hung_up = Arc::<AtomicBool>::default();
        let mut output = pair.master.try_clone_reader().expect("reader");
        let (theirs, until) = (Arc::clone(&screen), Arc::clone(&hung_up));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                theirs.lock().expect("not poisoned").process(&bytes[..count]);
                if until.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().expect("writer");
        Self { screen, hung_up, master: Some(pair.master), keys: Some(keys), child }
    }

    fn text(&self) -> String {
        self.screen.lock().expect("not poisoned").screen().contents()
    }

    fn wait_for(&self, what: &str, seen: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !seen(self.screen.lock().expect("not poisoned").screen()) {
            assert!(Instant::now() < end, "no {what} within {PATIENCE:?}; the screen shows:\n{}", self.text());
            std::thread::yield_now();
        }
    }

    fn press(&mut self, keys: &str) {
        let writer = self.keys.as_mut().expect("terminal is there");
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("keys arrive");
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.child.process_id().expect("it runs")).expect("a pid");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("signalled");
    }

    /// Waits until it is stopped: state T of proc_pid_stat(5).
    fn wait_until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.child.process_id().expect("it runs"));
        let state = || std::fs::read_to_string(&stat).ok()?.rsplit_once(") ")?.1.chars().next();
        let end = Instant::now() + PATIENCE;
        while state() != Some('T') {
            assert!(Instant::now() < end, "it is not stopped after {PATIENCE:?}: {:?}", state());
            std::thread::yield_now();
        }
    }

    /// Whether a thread of it is in write(2) to standard output (proc(5), /proc/PID/task/TID/syscall).
    fn writes_to_the_terminal(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.process_id().expect("it runs"))).expect("its threads");
        let calls = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("syscall")).ok());
        calls.into_iter().any(|call| call.starts_with("1 0x1 "))
    }

    /// Waits for the end, and gives the exit code.
    fn ended(&mut self) -> u32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it still runs after {PATIENCE:?}; the screen shows:\n{}", self.text());
            std::thread::yield_now();
        }
    }

    fn assert_restored(&self) {
        self.wait_for("restored terminal", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
        });
    }
}

/// A host without any gateway, so that the test does not depend on what runs here.
fn empty_root() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    std::fs::create_dir_all(dir.path().join("proc/net")).expect("directory");
    dir
}

fn started(environment: &[(&str, &str)]) -> (Console, tempfile::TempDir) {
    let root = empty_root();
    let console = Console::start(&["--root", root.path().to_str().expect("UTF-8")], environment);
    console.wait_for("first frame", |screen| screen.alternate_screen() && screen.contents().contains("CHECKLIST"));
    (console, root)
}

#[test]
fn it_starts_says_what_it_found_helps_and_quits() {
    let (mut console, _root) = started(&[]);
    console.wait_for("verdict", |screen| screen.contents().contains("no gateway"));
    console.press("?");
    console.wait_for("help", |screen| screen.contents().contains("KEYS"));
    console.press("\u{1b}");
    // Only then the next key: Esc and a letter at once are Alt with that letter.
    console.wait_for("panes again", |screen| screen.contents().contains("CHECKLIST"));
    console.press("q");
    assert_eq!(console.ended(), 0);
    console.assert_restored();
}

#[test]
fn ctrl_c_and_the_signals_give_the_terminal_back() {
    use nix::sys::signal::Signal;
    let (mut console, _root) = started(&[]);
    console.press("\u{3}");
    assert_eq!(console.ended(), 0);
    console.assert_restored();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        let (mut console, _root) = started(&[]);
        console.signal(signal);
        console.ended();
        console.assert_restored();
    }
}

#[test]
fn it_goes_when_the_terminal_goes() {
    let (mut console, _root) = started(&[]);
    // The last ones to hold the terminal are these three; the reader goes with the next second of the clock on the screen.
    console.hung_up.store(true, Ordering::SeqCst);
    console.keys = None;
    console.master = None;
    console.ended();
}

#[test]
fn a_terminal_that_takes_nothing_does_not_hold_it() {
    let (mut console, _root) = started(&[]);
    // Nobody reads any more: the kernel's buffer fills up with frames, and a write waits.
    console.hung_up.store(true, Ordering::SeqCst);
    let end = Instant::now() + PATIENCE;
    let mut stuck = 0;
    while stuck < STUCK_LOOKS {
        assert!(Instant::now() < end, "the terminal still takes frames");
        console.press("?");
        std::thread::yield_now();
        stuck = if console.writes_to_the_terminal() { stuck + 1 } else { 0 };
    }
    console.signal(nix::sys::signal::Signal::SIGTERM);
    console.ended();
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_told() {
    let (mut console, _root) = started(&[("WHY502_TEST_PANIC", "1")]);
    console.press("j");
    assert_eq!(console.ended(), 3);
    console.assert_restored();
    console.wait_for("message", |screen| screen.contents().contains("panicked"));
}

#[test]
fn it_stops_and_comes_back() {
    let (mut console, _root) = started(&[]);
    console.press("\u{1a}");
    console.wait_until_stopped();
    console.assert_restored();
    console.signal(nix::sys::signal::Signal::SIGCONT);
    console.wait_for("screen again", |screen| screen.alternate_screen() && screen.contents().contains("CHECKLIST"));
    console.press("q");
    assert_eq!(console.ended(), 0);
    console.assert_restored();
}

fn nonzero(number: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(number).expect("not 0")
}

#[test]
fn a_recording_is_shown_anywhere() {
    let record = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/nginx-app-dead.jsonl");
    let mut console = Console::start(&["replay", "--speed", "1000", record], &[]);
    console.wait_for("recorded host", |screen| screen.contents().contains("why502 gw1"));
    console.wait_for("recorded verdict", |screen| screen.contents().contains("upstream-down"));
    console.press("q");
    assert_eq!(console.ended(), 0);
    console.assert_restored();
}

#[test]
fn any_size_will_do() {
    let (mut console, _root) = started(&[]);
    for (rows, cols) in [(1, 1), (10, 40), (2, 200), (60, 10), (45, 160), (24, 80)] {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        console.screen.lock().expect("not poisoned").screen_mut().set_size(nonzero(rows), nonzero(cols));
        console.master.as_ref().expect("terminal is there").resize(size).expect("resized");
    }
    // A key that comes together with the signal of a new size is read with the next key only (crossterm 0.29, its mio source).
    console.wait_for("panes at the last size", |screen| screen.contents().contains("CHECKLIST"));
    console.press("?");
    console.wait_for("help", |screen| screen.contents().contains("KEYS"));
    console.press("qq");
    console.ended();
    console.assert_restored();
}
