//! A probe as another user, by the real program: who the peer sees, and what that user may not reach.
//!
//! Needs root, as the program itself does for this; without, there is nothing to test.

use std::{
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use why502::{
    model::{Address, HttpRequest, Identity, Outcome, ProbeJob, ProbeReport, Protocol, Subject},
    sys::{Errand, PROBE_AS_MODE, Way},
};

/// `nobody` on every distribution.
const NOBODY: u32 = 65_534;
/// A group that only the identity of the job has.
const GROUP: u32 = 54_321;

fn job(socket: &Path, groups: Vec<u32>) -> ProbeJob {
    let address = Address::Unix(socket.to_owned());
    let request = HttpRequest {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        query: None,
        host: "a".to_owned(),
        headers: Vec::new(),
        params: Vec::new(),
    };
    ProbeJob {
        request: Some(request),
        identity: Some(Identity { name: "nobody".to_owned(), uid: NOBODY, gid: NOBODY, groups }),
        ..ProbeJob::new("upstream", Subject(address.to_string()), address, Protocol::Http, (1000, 2000))
    }
}

/// Whether we are root. In CI we must be: a test that does nothing there looks green and is worth nothing.
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var("CI").as_deref() != Ok("true"), "this needs root");
    root
}

/// What the child writes when it is given these bytes.
fn child(input: &[u8]) -> (bool, Vec<u8>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
    answer(command.arg(PROBE_AS_MODE), input)
}

/// What a command writes when it is given these bytes.
fn answer(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    // A child that has read enough may have closed its end.
    let _ = child.stdin.take().expect("stdin").write_all(input);
    let mut out = Vec::new();
    child.stdout.take().expect("stdout").read_to_end(&mut out).expect("output");
    (child.wait().expect("end").success(), out)
}

fn report(job: &ProbeJob) -> ProbeReport {
    let (success, out) = child(&serde_json::to_vec(job).expect("job"));
    assert!(success, "{}", String::from_utf8_lossy(&out));
    serde_json::from_slice(&out).expect("a report")
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

#[test]
fn the_gateways_user_is_denied_where_root_is_not() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    set(dir.path(), 0o755);
    let private = dir.path().join("app");
    std::fs::create_dir(&private).expect("directory");
    std::os::unix::fs::chown(&private, Some(0), Some(GROUP)).expect("chown");
    let socket = private.join("app.sock");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let listener = {
        let _in = runtime.enter();
        tokio::net::UnixListener::bind(&socket).expect("bind")
    };
    set(&socket, 0o666);
    let (seen, peers) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let who = stream.peer_cred().expect("credentials");
            seen.send((who.uid(), who.gid())).expect("the test waits");
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });

    set(&private, 0o750);
    let denied = report(&job(&socket, vec![NOBODY]));
    assert_eq!(denied.outcome, Outcome::Denied);
    assert!(denied.as_gateway);
    assert!(peers.try_recv().is_err(), "nobody got through");

    let member = report(&job(&socket, vec![NOBODY, GROUP]));
    assert_eq!(member.outcome, Outcome::Status(200), "the supplementary group opens the directory");
    assert_eq!(peers.recv().expect("a peer"), (NOBODY, NOBODY), "the application sees the gateway's user");

    set(&private, 0o755);
    assert_eq!(report(&job(&socket, vec![])).outcome, Outcome::Status(200));
}

#[test]
fn a_parent_that_is_process_1_is_as_good_as_any() {
    if !root() {
        return;
    }
    // As in a container, where the program itself is the first process.
    let line = format!("{} {PROBE_AS_MODE}; true", env!("CARGO_BIN_EXE_why502"));
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--pid", "--fork", "--kill-child", "/bin/sh", "-c", &line]);
    let (_, out) = answer(&mut command, &serde_json::to_vec(&job(Path::new("/none"), vec![])).expect("job"));
    let report: ProbeReport = serde_json::from_slice(&out).expect("a report, not silence");
    assert_eq!(report.outcome, Outcome::NotFound);
}

#[test]
fn a_child_that_is_asked_nonsense_says_nothing() {
    for input in [&b""[..], b"{", b"[]", &vec![b' '; 1 << 20]] {
        assert_eq!(child(input), (false, Vec::new()));
    }
    let mut nobodys = job(Path::new("/none"), vec![]);
    nobodys.identity = None;
    assert_eq!(child(&serde_json::to_vec(&nobodys).expect("job")), (false, Vec::new()), "never as root");
}

/// A process in a network namespace of its own, whose loopback is up, with the way to it.
struct Elsewhere(std::process::Child, Way);

impl Elsewhere {
    fn new() -> Self {
        let up = "ip link set lo up && exec sleep 60";
        let child = Command::new("unshare").args(["--net", "sh", "-c", up]).spawn().expect("unshare(1)");
        let pid = child.id();
        let ready = || std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !ready() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its status");
        let started = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).and_then(|at| at.parse().ok());
        Self(child, Way { pid, started: started.expect("its start"), net: true, files: false })
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_address_in_another_network_is_tried_there() {
    if !root() {
        return;
    }
    let there = Elsewhere::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let at = Address::Tcp(listener.local_addr().expect("address"));
    let tried = |address: Address, way: Option<Way>| {
        let bare = ProbeJob::new("upstream", Subject(address.to_string()), address, Protocol::Stream, (1000, 2000));
        let identity = Identity { name: "nobody".to_owned(), uid: NOBODY, gid: NOBODY, groups: Vec::new() };
        let errand = Errand { job: ProbeJob { identity: Some(identity), ..bare }, way, ourselves: false };
        let (ended, said) = child(&serde_json::to_vec(&errand).expect("JSON"));
        assert!(ended);
        let report: ProbeReport = serde_json::from_slice(&said).expect("a report");
        assert_eq!(report.job, errand.job);
        report.outcome
    };
    assert_eq!(tried(at.clone(), None), Outcome::Open);
    let inside = at.inside(Some("netns blue"));
    assert_eq!(tried(inside.clone(), Some(there.1.clone())), Outcome::Refused);
    // Its number may be another process's by now: then nothing is said of the address.
    let gone = Way { started: there.1.started + 1, ..there.1.clone() };
    assert!(matches!(tried(inside, Some(gone)), Outcome::Skipped(_)));
}
