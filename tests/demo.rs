//! The demo from end to end: each fault leads `check` to its cause, is healed, and is seen healed; and nothing of it is left,
//! however its starter ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;
use why502::demo::{FAULTS, by_id};

/// How long anything may take; far more than it needs, for the sake of a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);
const PROGRAM: &str = env!("CARGO_BIN_EXE_why502");

/// One demo at a time: the healthy application of another is a candidate for the one that is missing here.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(PAUSE);
    }
}

/// A demo without a console.
struct Demo {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    url: String,
    config: PathBuf,
}

impl Demo {
    fn start(fault: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        let mut child = command
            .args(["demo", fault, "--serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stdin = child.stdin.take();
        let mut demo = Self { child, stdin, lines, url: String::new(), config: PathBuf::new() };
        demo.url = demo.told("url ");
        demo.config = demo.told("config ").into();
        demo.told("pid ");
        demo
    }

    #[track_caller]
    fn told(&self, what: &str) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line within the time");
        line.strip_prefix(what).unwrap_or_else(|| panic!("{what:?} was expected: {line}")).to_owned()
    }

    fn dir(&self) -> &Path {
        self.config.parent().expect("a directory")
    }

    fn check(&self) -> Value {
        let out = Command::new(PROGRAM)
            .args(["check", "--json", "--within", "10s", "--config"])
            .arg(&self.config)
            .output()
            .expect("the program runs");
        serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stdout)))
    }

    fn heal(&mut self) {
        self.stdin.as_mut().expect("open").write_all(b"heal\n").expect("it listens");
        self.told("healed");
    }

    /// What the gateway's own program says: whether it is content, and its words.
    fn nginx(&self, words: &[&str]) -> (bool, String) {
        let out = Command::new(self.dir().join("nginx")).args(words).arg("-c").arg(&self.config).output().expect("it runs");
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    }

    fn error_log(&self) -> String {
        fs::read_to_string(self.dir().join("logs/error.log")).expect("error log")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Processes that have to do with a directory, by their command lines and working directories.
fn processes_of(dir: &Path) -> Vec<String> {
    let shown = dir.display().to_string();
    let pids = fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|pid| {
            let proc = Path::new("/proc").join(&pid);
            let line = fs::read(proc.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let within = |link: &str| fs::read_link(proc.join(link)).is_ok_and(|to| to.display().to_string().starts_with(&shown));
            (line.contains(&shown) || within("exe") || within("cwd")).then(|| format!("{pid} {line}"))
        })
        .collect()
}

#[track_caller]
fn assert_gone(dir: &Path) {
    until("no process of the demo is left", || processes_of(dir).is_empty());
    until("its directory is removed", || !dir.exists());
}

#[test]
fn each_fault_leads_to_its_cause_and_is_seen_healed() {
    let _turn = alone();
    for fault in FAULTS {
        let mut demo = Demo::start(fault.id);
        let report = demo.check();
        let first = &report["causes"][0];
        let right = first["id"].as_str().is_some_and(|id| fault.causes.contains(&id));
        assert!(right, "{}: {:?} was expected first:\n{report:#}", fault.id, fault.causes);
        assert_ne!(report["verdict"], "ok", "{}:\n{report:#}", fault.id);
        if let Some(confidence) = fault.confidence {
            assert_eq!(first["confidence"], confidence, "{}:\n{report:#}", fault.id);
        }
        demo.heal();
        // Only the gateway's own test takes back what its log says of the edit, and only root can have it made.
        if fault.id == "config-invalid" && !nix::unistd::geteuid().is_root() {
            continue;
        }
        let mut last = Value::Null;
        until(&format!("{} is seen healed", fault.id), || {
            last = demo.check();
            last["verdict"] == "ok"
        });
        assert_eq!(last["causes"], Value::Array(Vec::new()), "{}:\n{last:#}", fault.id);
        let dir = demo.dir().to_owned();
        drop(demo);
        assert_gone(&dir);
    }
}

#[test]
fn the_fix_can_be_practised_by_hand() {
    let _turn = alone();
    let demo = Demo::start("tls-to-plain");
    let broken = fs::read_to_string(&demo.config).expect("configuration");
    let (content, words) = demo.nginx(&["-t"]);
    assert!(content && words.contains("syntax is ok") && words.contains("test is successful"), "{words}");

    // A slip of the pen: the test says where, and a reload changes nothing but the log.
    fs::write(&demo.config, broken.replace("proxy_connect_timeout 2s;", "proxy_connect_timeout 2s")).expect("edit");
    let (content, words) = demo.nginx(&["-t"]);
    let place = format!("in {}:", demo.config.display());
    assert!(!content && words.contains("nginx: [emerg] ") && words.contains(&place) && words.contains("test failed"), "{words}");
    assert!(demo.nginx(&["-s", "reload"]).0);
    until("the reload is refused in the log", || {
        demo.error_log().lines().any(|line| line.contains("[emerg]") && line.contains(&place))
    });
    assert_eq!(demo.check()["causes"][0]["id"], "protocol-mismatch");

    // The right edit.
    fs::write(&demo.config, broken.replace("https://shop", "http://shop")).expect("edit");
    assert!(demo.nginx(&["-t"]).0 && demo.nginx(&["-s", "reload"]).0);
    until("it serves", || demo.check()["verdict"] == "ok");
    assert!(demo.url.starts_with("http://127.0.0.1:"), "{}", demo.url);
}

#[test]
fn nothing_is_left_when_the_starter_is_killed() {
    let _turn = alone();
    // One of them with requests under way, one with a unix socket.
    for fault in ["app-hanging", "queue-full", "app-stopped"] {
        let mut demo = Demo::start(fault);
        let dir = demo.dir().to_owned();
        assert!(processes_of(&dir).len() >= 3, "{:?}", processes_of(&dir));
        // The gateway's own worker may be killed too, and comes back, and goes with the rest.
        demo.child.kill().expect("SIGKILL");
        demo.child.wait().expect("killed");
        assert_gone(&dir);
    }
}

#[test]
fn a_worker_that_dies_is_replaced_and_told_of() {
    let _turn = alone();
    let demo = Demo::start("header-too-big");
    let worker = processes_of(demo.dir()).into_iter().find(|line| line.contains("nginx: worker process")).expect("a worker");
    let pid: i32 = worker.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("killed");
    until("the master tells", || demo.error_log().contains(&format!("worker process {pid} exited on signal 9")));
    until("another serves", || demo.check()["symptom"]["status"] == 502);
}

#[test]
fn the_table_is_listed_and_other_names_are_refused() {
    let out = Command::new(PROGRAM).args(["demo", "--list"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    for fault in FAULTS {
        assert!(text.lines().any(|line| line.starts_with(fault.id) && line.contains(fault.what)), "{}: {text}", fault.id);
    }
    assert!(out.status.success() && by_id("app-stopped").is_some());
    let out = Command::new(PROGRAM).args(["demo", "no-such-fault"]).output().expect("it runs");
    assert_eq!(out.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--list"));
}

fn nonzero(number: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(number).expect("not 0")
}

/// The console on a pseudo-terminal.
struct Console {
    screen: Arc<Mutex<vt100::Parser>>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
    keys: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
}

impl Console {
    fn start(fault: &str) -> Self {
        let (rows, cols) = (45, 160);
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("a terminal");
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["demo", fault]);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(nonzero(rows), nonzero(cols), 0)));
        let mut output = pair.master.try_clone_reader().expect("reader");
        let theirs = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                theirs.lock().expect("not poisoned").process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().expect("writer");
        Self { screen, _master: pair.master, keys, child }
    }

    fn text(&self) -> String {
        self.screen.lock().expect("not poisoned").screen().contents()
    }

    #[track_caller]
    fn shows(&self, word: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text().contains(word) {
            assert!(Instant::now() < end, "no {word:?} on the screen within {PATIENCE:?}:\n{}", self.text());
            std::thread::park_timeout(PAUSE);
        }
    }

    /// The demo's directory, as its gateway's process tells.
    fn dir(&self) -> PathBuf {
        let name = format!("why502-demo-{}-", self.child.process_id().expect("it runs"));
        let parents = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
        let entries = parents.iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).find(|path| path.display().to_string().contains(&name)).expect("a directory")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_key_heals_and_the_console_shows_it() {
    let _turn = alone();
    // The second is healed by an edit of the configuration, after which the same request goes to another server.
    for (fault, cause, deed) in [
        ("app-stopped", "upstream-down", "it starts the application"),
        ("app-moved", "upstream-wrong-address", "it writes the new port into nginx.conf and reloads"),
    ] {
        let mut console = Console::start(fault);
        console.shows(cause);
        // The log tells of it before the first of our own requests is answered.
        console.shows("edge 502");
        let dir = console.dir();
        console.keys.write_all(b"H").and_then(|()| console.keys.flush()).expect("a key");
        console.shows(&format!("the demo heals itself: {deed}"));
        console.shows("served again since");
        console.shows("recovered at");
        assert!(console.text().contains("edge 200"), "{}", console.text());
        console.keys.write_all(b"q").and_then(|()| console.keys.flush()).expect("a key");
        until("it ends", || console.child.try_wait().expect("its status").is_some());
        assert_gone(&dir);
    }
}

#[test]
fn nothing_is_left_when_the_console_is_killed() {
    let _turn = alone();
    let mut console = Console::start("app-crashing");
    console.shows("upstream-crashing");
    let dir = console.dir();
    let pid = i32::try_from(console.child.process_id().expect("it runs")).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("killed");
    until("it ends", || console.child.try_wait().expect("its status").is_some());
    assert_gone(&dir);
}

#[test]
fn check_waits_until_all_is_well_and_leaves_metrics() {
    let _alone = alone();
    let mut demo = Demo::start("app-stopped");
    let dir = tempfile::tempdir().expect("temporary directory");
    let metrics = dir.path().join("why502.prom");
    let mut check = Command::new(PROGRAM);
    check.args(["check", "--json", "--until-healthy", "60s", "--config"]).arg(&demo.config).arg("--textfile").arg(&metrics);
    let mut check = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let mut first = String::new();
    let mut told = BufReader::new(check.stderr.take().expect("piped"));
    told.read_line(&mut first).expect("a line");
    assert!(first.starts_with("why502: 2") && first.contains(" CRITICAL - upstream-down"), "{first}");
    demo.heal();
    let out = check.wait_with_output().expect("it ends");
    let result: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((out.status.code(), result["verdict"].as_str()), (Some(0), Some("ok")));
    let metrics = fs::read_to_string(metrics).expect("metrics");
    assert!(metrics.contains("\nwhy502_status 0\n"), "{metrics}");
    assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 1, "no draft is left");
}
