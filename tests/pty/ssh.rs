//! Over a real sshd on loopback, which is killed in the middle: the console goes with it, or stays with the tmux that holds it; the recording
//! is whole in any case, and can be gone on with.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

use super::*;

const SSHD: &str = "/usr/sbin/sshd";
const PROGRAM: &str = env!("CARGO_BIN_EXE_why502");

/// An sshd of its own, with a host and a key that nobody else has.
struct Server {
    dir: tempfile::TempDir,
    port: u16,
    daemon: std::process::Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket(), "kill-server"]).stderr(Stdio::null()).status();
        kill_below(self.daemon.id());
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Server {
    /// `None`: there is no sshd, ssh or tmux here.
    fn start() -> Option<Self> {
        let there = |program: &str| Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        if !(Path::new(SSHD).exists() && there("ssh") && there("tmux")) {
            assert!(std::env::var_os("CI").is_none(), "sshd, ssh and tmux are needed");
            return None;
        }
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "key"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
            assert!(made.expect("ssh-keygen").success());
        }
        // sshd(8): the directory that it locks its unprivileged child into, which its unit makes otherwise.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nPrintMotd no\n",
            at("host"),
            at("key.pub")
        );
        std::fs::write(dir.path().join("sshd_config"), settings).expect("written");
        let daemon =
            Command::new(SSHD).args(["-D", "-e", "-f", &at("sshd_config")]).stderr(Stdio::null()).spawn().expect("sshd starts");
        let server = Self { dir, port, daemon };
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "sshd does not listen");
            std::thread::yield_now();
        }
        Some(server)
    }

    fn home(&self) -> &Path {
        self.dir.path()
    }

    fn socket(&self) -> String {
        format!("why502-test-{}", self.port)
    }

    /// A person who logs in and runs this.
    fn login(&self, command: &str) -> Console {
        let mut ssh = CommandBuilder::new("ssh");
        let key = self.dir.path().join("key").display().to_string();
        let known = format!("UserKnownHostsFile={}", self.dir.path().join("known").display());
        let user = Command::new("id").arg("-un").output().expect("id").stdout;
        let user = String::from_utf8(user).expect("UTF-8");
        ssh.args(["-tt", "-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", &known, "-o", "IdentitiesOnly=yes", "-q"]);
        ssh.args(["-i", &key, "-p", &self.port.to_string(), "-l", user.trim(), "127.0.0.1"]);
        let home = self.home().display();
        ssh.arg(format!("env -u XDG_STATE_HOME -u TMUX HOME={home} TERM=xterm-256color LC_ALL=C.UTF-8 {command}"));
        ssh.env("TERM", "xterm-256color");
        Console::run(ssh)
    }

    /// The connection is gone, without a word to anybody: its processes here are killed, and not what they started.
    fn cut(&self) {
        for pid in below(self.daemon.id()).into_iter().filter(|pid| name_of(*pid).starts_with("sshd")) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// The processes with their parents (proc_pid_stat(5)).
fn processes() -> Vec<(i32, i32)> {
    let numbers = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?))
    };
    numbers.filter_map(parent).collect()
}

/// What was started by a process, and by those.
fn below(pid: u32) -> Vec<i32> {
    let all = processes();
    let mut found = vec![i32::try_from(pid).expect("a pid")];
    let mut next = 0;
    while next < found.len() {
        let of = found[next];
        found.extend(all.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

fn kill_below(pid: u32) {
    for pid in below(pid) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

fn name_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// Processes of the program that were told to look at this root.
fn running(root: &str) -> usize {
    let ours = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.starts_with(PROGRAM) && line.contains(root)
    };
    processes().into_iter().filter(|(pid, _)| ours(*pid)).count()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not after {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Waits until the console stands there and a note that is typed has reached the disk; gives the recording.
fn noted(console: &mut Console, home: &Path, note: &str) -> PathBuf {
    console.wait_for("where it is recorded", |screen| screen.contents().contains("recorded privately"));
    console.press(&format!("m{note}\r"));
    let file = recording(home);
    wait_until("the note is on the disk", || std::fs::read_to_string(&file).is_ok_and(|text| text.contains(note)));
    file
}

fn whole(file: &Path, notes: &[&str]) {
    let read = Recording::read(file).expect("a recording");
    assert!(read.damaged.is_empty(), "{:?}", read.damaged);
    let state = fold(read).expect("the catalogue is whole");
    let known: Vec<&str> = state.scene.operator.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(known, notes);
}

#[test]
fn it_goes_when_the_connection_is_cut_and_what_was_seen_is_there() {
    let Some(server) = Server::start() else { return };
    let root = empty_root();
    let root = root.path().to_str().expect("UTF-8");
    let mut console = server.login(&format!("{PROGRAM} --root {root}"));
    let file = noted(&mut console, server.home(), "asked dev");
    assert_eq!(running(root), 1);
    server.cut();
    console.ended();
    wait_until("nothing is left running", || running(root) == 0);
    whole(&file, &["asked dev"]);
    // Whoever comes back goes on with it.
    let mut console = server.login(&format!("{PROGRAM} --resume --root {root}"));
    console.wait_for("first frame", |screen| screen.contents().contains("CHECKLIST"));
    console.press("8");
    console.wait_for("the note of before", |screen| screen.contents().contains("asked dev"));
    console.press("q");
    console.ended();
    wait_until("nothing is left running", || running(root) == 0);
    whole(&file, &["asked dev"]);
}

#[test]
fn tmux_keeps_it_through_a_cut_and_it_goes_with_tmux() {
    let Some(server) = Server::start() else { return };
    let root = empty_root();
    let root = root.path().to_str().expect("UTF-8");
    let tmux = format!("tmux -L {} -f /dev/null", server.socket());
    let mut console = server.login(&format!("{tmux} new-session -s incident '{PROGRAM} --root {root}'"));
    let file = noted(&mut console, server.home(), "asked dev");
    server.cut();
    console.ended();
    assert_eq!(running(root), 1, "it is held by tmux");
    let mut again = server.login(&format!("{tmux} attach"));
    again.wait_for("the screen as it was left", |screen| {
        let text = screen.contents();
        text.contains("CHECKLIST") && text.contains("CAUSES") && text.contains("why502")
    });
    again.press("mback again\r");
    wait_until("the note is on the disk", || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("back again")));
    let ended = Command::new("tmux").args(["-L", &server.socket(), "kill-server"]).status();
    assert!(ended.expect("tmux").success());
    wait_until("nothing is left running", || running(root) == 0);
    whole(&file, &["asked dev", "back again"]);
}
