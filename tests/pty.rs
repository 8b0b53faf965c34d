//! The console on a real pseudo-terminal: it starts, answers keys, and gives the terminal back on every way out.

#[path = "pty/ssh.rs"]
mod ssh;
#[path = "pty/ways.rs"]
mod ways;

use std::{
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use why502::shell::{Recording, fold};

/// So many looks in a row at which it is still in the same write: a frame that gets through is gone by then.
const STUCK_LOOKS: u32 = 200;
/// How long anything may take here; far more than it needs, for the sake of a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program on a terminal.
struct Console {
    screen: Arc<Mutex<vt100::Parser>>,
    /// All that was written to it.
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Nobody reads on: the reader lets go of its end of the terminal after what it is waiting for.
    hung_up: Arc<AtomicBool>,
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn std::io::Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
}

impl Console {
    fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::run(Self::command(args, environment))
    }

    /// The program with nothing of the environment of these tests but this.
    fn command(args: &[&str], environment: &[(&str, &str)]) -> CommandBuilder {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_why502"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        // What a person sees; a backtrace would push the message out of view.
        command.env("RUST_BACKTRACE", "0");
        // Whatever starts these tests: the recording is kept below a home of their own, or nowhere.
        for name in [
            "HOME",
            "XDG_STATE_HOME",
            "XDG_CONFIG_HOME",
            "SUDO_UID",
            "DOAS_USER",
            "VISUAL",
            "EDITOR",
            "TMUX",
            "STY",
            "COLORTERM",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        for (name, value) in environment {
            command.env(name, value);
        }
        command
    }

    /// A program on a terminal of its own.
    fn run(command: CommandBuilder) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::default()));
        let hung_up = Arc::<AtomicBool>::default();
        let mut output = pair.master.try_clone_reader().expect("reader");
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (theirs, all, until) = (Arc::clone(&screen), Arc::clone(&written), Arc::clone(&hung_up));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                all.lock().expect("not poisoned").extend_from_slice(&bytes[..count]);
                theirs.lock().expect("not poisoned").process(&bytes[..count]);
                if until.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().expect("writer");
        Self { screen, bytes: written, hung_up, master: Some(pair.master), keys: Some(keys), child }
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
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
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

/// The one recording below this home.
fn recording(home: &Path) -> PathBuf {
    let dir = home.join(".local/state/why502");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&dir).expect("the directory").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "w502"));
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn it_is_recorded_privately_and_survives_a_kill() {
    let home = tempfile::tempdir().expect("temporary directory");
    let path = home.path().to_str().expect("UTF-8");
    let (mut console, _root) = started(&[("HOME", path)]);
    console.wait_for("where it is recorded", |screen| screen.contents().contains("recorded privately"));
    console.press("masked dev\r");
    let file = recording(home.path());
    let has_note = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("asked dev"));
    let end = Instant::now() + PATIENCE;
    while !has_note() {
        assert!(Instant::now() < end, "the note does not reach the disk");
        std::thread::yield_now();
    }
    console.signal(nix::sys::signal::Signal::SIGKILL);
    console.ended();
    let recording = Recording::read(&file).expect("a recording");
    assert!(recording.damaged.is_empty() && recording.seen.len() > 3, "{:?}", recording.damaged);
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    // It is gone on with: the note is there again, and so is one of this run.
    let root = empty_root();
    let mut console = Console::start(&["--resume", "--root", root.path().to_str().expect("UTF-8")], &[("HOME", path)]);
    console.wait_for("first frame", |screen| screen.contents().contains("CHECKLIST"));
    console.press("8");
    console.wait_for("the note of the run before", |screen| screen.contents().contains("asked dev"));
    console.press("mand ops\rq");
    assert_eq!(console.ended(), 0);
    let resumed = self::recording(home.path());
    assert_eq!(resumed, file);
    let state = fold(Recording::read(&file).expect("a recording")).expect("the catalogue is whole");
    let notes: Vec<&str> = state.scene.operator.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["asked dev", "and ops"]);
}

#[test]
fn every_way_out_leaves_a_whole_record() {
    use nix::sys::signal::Signal;
    /// A way to end it: its name, what it needs in the environment, and the deed.
    type End = (&'static str, &'static [(&'static str, &'static str)], fn(&mut Console));
    let ends: [End; 7] = [
        ("q", &[], |console| console.press("q")),
        ("Ctrl-C", &[], |console| console.press("\u{3}")),
        ("TERM", &[], |console| console.signal(Signal::SIGTERM)),
        ("HUP", &[], |console| console.signal(Signal::SIGHUP)),
        ("QUIT", &[], |console| console.signal(Signal::SIGQUIT)),
        ("a panic", &[("WHY502_TEST_PANIC", "1")], |console| console.press("j")),
        ("the end of the terminal", &[], |console| {
            console.hung_up.store(true, Ordering::SeqCst);
            console.keys = None;
            console.master = None;
        }),
    ];
    for (what, environment, end) in ends {
        let home = tempfile::tempdir().expect("temporary directory");
        let mut all = vec![("HOME", home.path().to_str().expect("UTF-8"))];
        all.extend(environment);
        let (mut console, _root) = started(&all);
        console.wait_for("where it is recorded", |screen| screen.contents().contains("recorded privately"));
        end(&mut console);
        console.ended();
        let recording = Recording::read(&recording(home.path())).expect("a recording");
        // How much was seen by then hangs on who was quicker.
        assert!(recording.damaged.is_empty() && !recording.seen.is_empty(), "{what}: {:?}", recording.damaged);
    }
}

#[test]
fn without_a_home_or_when_told_so_nothing_is_recorded() {
    let (mut console, _root) = started(&[]);
    console.wait_for("why not", |screen| screen.contents().contains("not recorded: there is no HOME"));
    console.press("q");
    console.ended();
    let home = tempfile::tempdir().expect("temporary directory");
    let root = empty_root();
    let arguments = ["--no-record", "--root", root.path().to_str().expect("UTF-8")];
    let mut console = Console::start(&arguments, &[("HOME", home.path().to_str().expect("UTF-8"))]);
    console.wait_for("first frame", |screen| screen.contents().contains("CHECKLIST"));
    console.press("q");
    assert_eq!(console.ended(), 0);
    assert_eq!(std::fs::read_dir(home.path()).expect("a directory").count(), 0);
}

/// An editor that shows what it was given, reads a line from the terminal, and puts it at the end of the file.
const EDITOR: &str =
    "#!/bin/sh\nprintf 'EDITING %s\\n' \"$*\"\nread line\neval last=\\${$#}\nprintf '# %s\\n' \"$line\" >>\"$last\"\n";

#[test]
fn the_editor_has_the_terminal_and_gives_it_back() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let editor = dir.path().join("vi");
    std::fs::write(&editor, EDITOR).expect("written");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut console = Console::start(&["demo"], &[("EDITOR", editor.to_str().expect("UTF-8"))]);
    console.wait_for("verdict", |screen| screen.contents().contains("upstream-down"));
    console.press("2e");
    console.wait_for("the editor", |screen| !screen.alternate_screen() && screen.contents().contains("EDITING +"));
    console.assert_restored();
    // Ctrl-C and Ctrl-\ are the editor's; what is typed is a line and not keys of ours.
    console.signal(nix::sys::signal::Signal::SIGINT);
    console.signal(nix::sys::signal::Signal::SIGQUIT);
    console.press("q was here\r");
    console.wait_for("the console again", |screen| screen.alternate_screen() && screen.contents().contains("CONFIG"));
    console.wait_for("the edit", |screen| screen.contents().contains("1 edit") || screen.contents().contains("reload missing"));
    console.press("q");
    assert_eq!(console.ended(), 0);
    console.assert_restored();
}

#[test]
fn an_editor_that_cannot_be_started_is_told_and_one_that_runs_goes_with_us() {
    let mut console = Console::start(&["demo"], &[("EDITOR", "/nonexistent/vi")]);
    console.wait_for("verdict", |screen| screen.contents().contains("upstream-down"));
    console.press("2e");
    console.wait_for("why not", |screen| screen.alternate_screen() && screen.contents().contains("the editor cannot be started"));
    console.press("q");
    assert_eq!(console.ended(), 0);
    let dir = tempfile::tempdir().expect("temporary directory");
    let (editor, pid) = (dir.path().join("vi"), dir.path().join("pid"));
    std::fs::write(&editor, format!("#!/bin/sh\necho $$ >{}\nexec sleep 1000\n", pid.display())).expect("written");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut console = Console::start(&["demo"], &[("EDITOR", editor.to_str().expect("UTF-8"))]);
    console.wait_for("verdict", |screen| screen.contents().contains("upstream-down"));
    console.press("2e");
    let number = || std::fs::read_to_string(&pid).ok()?.trim().parse::<i32>().ok();
    let end = Instant::now() + PATIENCE;
    while number().is_none() {
        assert!(Instant::now() < end, "the editor does not start");
        std::thread::yield_now();
    }
    console.signal(nix::sys::signal::Signal::SIGTERM);
    console.ended();
    let editor = nix::unistd::Pid::from_raw(number().expect("a pid"));
    let end = Instant::now() + PATIENCE;
    while nix::sys::signal::kill(editor, None).is_ok() {
        assert!(Instant::now() < end, "the editor still runs");
        std::thread::yield_now();
    }
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
