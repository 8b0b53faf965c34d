//! What the program gives up, and what it can still do: by the running program, and by the function that it calls.
//!
//! Most of it needs root, as there is little to give up without. In CI that must be so.

use std::{
    fs,
    io::{BufRead as _, BufReader, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};
use why502::sys::{Keep, confine};

/// How long anything may take here; far more than it needs, for the sake of a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// CAP_DAC_READ_SEARCH, CAP_NET_RAW, CAP_SYSLOG (linux/capability.h).
const KEPT: u64 = 1 << 2 | 1 << 13 | 1 << 34;

/// Whether we are root.
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var("CI").as_deref() != Ok("true"), "this needs root");
    root
}

/// The program as plain lines, which probes nothing of this host.
struct Console {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Console {
    fn start(home: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
        command.args(["--linear", "--no-probe"]).args(arguments).env_clear().env("HOME", home).envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("output"));
        let mut console = Self { child, lines };
        console.wait_for("plain lines");
        console
    }

    /// Reads until a line holds this.
    fn wait_for(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(self.lines.read_line(&mut line).expect("a line") > 0, "it ended before it said {what}");
        }
    }

    fn say(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().expect("input");
        input.write_all(word.as_bytes()).and_then(|()| input.flush()).expect("it reads");
    }

    /// The process that keeps the rights.
    fn broker(&self) -> u32 {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its children");
        let is = |child: &u32| fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.ends_with(b"\0__broker\0"));
        children.split_whitespace().filter_map(|child| child.parse().ok()).find(is).expect("a broker")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A field of a status file (proc_pid_status(5)).
fn field(status: &str, key: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.expect("the field").trim_start_matches(':').trim().to_owned()
}

/// Whether a process is there, and has not ended.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !field(&status, "State").starts_with('Z'))
}

#[test]
fn the_console_runs_with_three_capabilities_and_gets_no_more() {
    if !root() {
        return;
    }
    let home = tempfile::tempdir().expect("directory");
    let console = Console::start(home.path(), &["--no-record"], &[]);
    let threads = fs::read_dir(format!("/proc/{}/task", console.child.id())).expect("its threads");
    let mut seen = 0;
    for thread in threads {
        // One that ends meanwhile has nothing to hide.
        let Ok(status) = fs::read_to_string(thread.expect("a thread").path().join("status")) else { continue };
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(u64::from_str_radix(&field(&status, set), 16).expect("hexadecimal"), KEPT, "{set}:\n{status}");
        }
        assert_eq!((field(&status, "CapInh"), field(&status, "NoNewPrivs")), ("0".repeat(16), "1".to_owned()));
        seen += 1;
    }
    assert!(seen > 1, "the program has threads");
}

#[test]
fn where_memory_runs_out_it_dies_first_and_not_what_the_broker_starts() {
    let home = tempfile::tempdir().expect("directory");
    let console = Console::start(home.path(), &["--no-record"], &[]);
    let score = |pid: u32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("its score").trim().to_owned();
    assert_eq!(score(console.child.id()), "1000");
    assert_eq!(score(console.broker()), score(std::process::id()));
}

#[test]
fn the_broker_goes_with_the_console_whatever_becomes_of_it() {
    let home = tempfile::tempdir().expect("directory");
    let mut console = Console::start(home.path(), &["--no-record"], &[]);
    let broker = console.broker();
    console.say("quit\n");
    console.child.wait().expect("it ends");
    assert!(!runs(broker), "it has gone before the console");

    let mut console = Console::start(home.path(), &["--no-record"], &[]);
    let broker = console.broker();
    console.child.kill().expect("killed");
    console.child.wait().expect("it ends");
    let end = Instant::now() + PATIENCE;
    while runs(broker) {
        assert!(Instant::now() < end, "the broker still runs");
        std::thread::yield_now();
    }
}

#[test]
fn the_recording_is_written_and_the_editor_may_write() {
    let (home, dir) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    let (config, editor) = (dir.path().join("nginx.conf"), dir.path().join("editor"));
    fs::write(&config, "events {}\nhttp { server { listen 127.0.0.1:1; location / { proxy_pass http://127.0.0.1:2; } } }\n")
        .expect("file");
    fs::write(&editor, "#!/bin/sh\neval last=\\${$#}\necho '# edited' >>\"$last\"\n").expect("file");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("mode");
    let named = config.to_str().expect("UTF-8");
    let mut console = Console::start(home.path(), &["--gateway", "nginx", "--config", named], &[("EDITOR", &editor)]);
    console.wait_for("verdict");
    console.say("sites\nconfig\nedit\n");
    let end = Instant::now() + PATIENCE;
    while !fs::read_to_string(&config).expect("file").contains("# edited") {
        assert!(Instant::now() < end, "the editor has written nothing");
        std::thread::yield_now();
    }
    console.say("quit\n");
    console.child.wait().expect("it ends");
    let kept = fs::read_dir(home.path().join(".local/state/why502")).expect("recordings").count();
    assert_eq!(kept, 1);
}

/// The directory of its own leads elsewhere by now: by that nobody gets it to write there.
#[test]
fn the_console_writes_nowhere_but_in_its_own_directory() {
    let (home, other) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    let own = home.path().join(".local/state/why502");
    let mut console = Console::start(home.path(), &[], &[]);
    console.wait_for("verdict");
    console.say("export\n");
    console.wait_for("status.txt");
    let papers = |dir: &Path| {
        fs::read_dir(dir)
            .expect("a directory")
            .filter(|entry| {
                let name = entry.as_ref().expect("an entry").file_name();
                !name.to_string_lossy().ends_with(".w502")
            })
            .count()
    };
    assert!(papers(&own) > 0, "its own");
    fs::rename(&own, home.path().join("moved")).expect("moved");
    std::os::unix::fs::symlink(other.path(), &own).expect("a link");
    console.say("export\n");
    console.wait_for("not exported");
    assert_eq!(papers(other.path()), 0);
}

/// Runs this in a thread that has given up what the program gives up, with a directory in which it may write.
fn confined(keep: Keep, work: impl FnOnce(&Path) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let own = tempfile::tempdir().expect("directory");
        let confined = confine(keep, Some(&[own.path().to_owned()])).expect("nothing is missing");
        if confined.writing {
            work(own.path());
        } else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "this needs a kernel with Landlock");
        }
    });
    thread.join().expect("all as expected");
}

#[test]
fn nothing_is_written_but_its_own() {
    let other = tempfile::tempdir().expect("directory");
    let (there, mut held) = (other.path().join("there"), tempfile::tempfile().expect("file"));
    fs::write(&there, "as it was").expect("file");
    for keep in [Keep::Files, Keep::Host, Keep::HostAndForeignFiles] {
        let (other, there, mut held) = (other.path().to_owned(), there.clone(), held.try_clone().expect("descriptor"));
        confined(keep, move |own| {
            fs::write(own.join("a"), "a").expect("its own");
            fs::rename(own.join("a"), own.join("b")).expect("its own");
            fs::create_dir(own.join("c")).expect("its own");
            fs::remove_file(own.join("b")).expect("its own");
            fs::write("/dev/null", "a").expect("nowhere");
            held.write_all(b"a").expect("what was open before");
            assert_eq!(fs::read_to_string(&there).expect("it may read"), "as it was");
            let refused = [
                fs::write(&there, "a"),
                fs::write(other.join("new"), "a"),
                fs::remove_file(&there),
                fs::create_dir(other.join("dir")),
                fs::rename(&there, own.join("taken")),
                fs::hard_link(&there, own.join("linked")),
                std::os::unix::fs::symlink(&there, other.join("link")),
                fs::write("/proc/self/oom_score_adj", "0"),
                fs::OpenOptions::new().append(true).open(&there).map(drop),
            ];
            for (number, refused) in refused.into_iter().enumerate() {
                assert!(refused.is_err(), "number {number}");
            }
            // What it starts is no better, nor what that starts.
            let shell = format!("echo a >{0}/by-shell; (echo a >{0}/by-its-shell)", other.display());
            let _ = Command::new("/bin/sh").args(["-c", &shell]).stderr(Stdio::null()).status();
            assert_eq!(fs::read_dir(&other).expect("it may read").count(), 1);
        });
    }
    held.flush().expect("it is open");
    assert_eq!(fs::read_to_string(&there).expect("file"), "as it was");
}

#[test]
fn what_may_not_write_looks_into_no_other_process() {
    let other = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
    let pid = other.id();
    confined(Keep::HostAndForeignFiles, move |_| {
        for entry in ["exe", "root", "cwd", "ns/net"] {
            assert!(fs::read_link(format!("/proc/{pid}/{entry}")).is_err(), "{entry}");
        }
        assert!(fs::read(format!("/proc/{pid}/environ")).is_err());
    });
    let mut other = other;
    other.kill().and_then(|()| other.wait()).expect("killed");
}

#[test]
fn a_program_that_is_started_gains_nothing() {
    if !root() {
        return;
    }
    confined(Keep::Host, |_| {
        let status = Command::new("/bin/cat").arg("/proc/self/status").output().expect("it runs");
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        // Root's programs get all that is bounded (capabilities(7)), and no more.
        let effective = u64::from_str_radix(&field(&status, "CapEff"), 16).expect("hexadecimal");
        assert_eq!(effective & !KEPT, 0, "{status}");
    });
}

/// A broker without a program that it serves.
struct Broker {
    process: Child,
    control: OwnedFd,
}

impl Broker {
    fn start() -> Self {
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("sockets");
        let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
        let process = command.arg("__broker").stdin(Stdio::from(theirs)).spawn().expect("it starts");
        Self { process, control }
    }

    /// Asks for something; what comes back is its leash.
    fn ask(&self, request: &str) -> UnixStream {
        let (leash, its) = UnixStream::pair().expect("sockets");
        leash.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [its.as_fd()];
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let bytes = [IoSlice::new(request.as_bytes())];
        sendmsg(&self.control, &bytes, &mut ancillary, SendFlags::NOSIGNAL).expect("it reads");
        leash
    }

    /// What a look at a process shows: what came, and the descriptor with it.
    fn look(&self, peek: &str) -> (Vec<u8>, Option<OwnedFd>) {
        let mut leash = self.ask(&format!(r#"{{"task":{{"Peek":{peek}}},"pipes":[false,false,false]}}"#));
        let mut piece = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let came = recvmsg(&leash, &mut [IoSliceMut::new(&mut piece)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).expect("an answer");
        let opened = ancillary.drain().find_map(|one| match one {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        let mut told = piece[..came.bytes].to_vec();
        leash.read_to_end(&mut told).expect("an end");
        (told, opened)
    }

    fn end(mut self) {
        drop(self.control);
        assert!(self.process.wait().expect("it ends").success());
    }
}

#[test]
fn the_broker_shows_of_a_process_what_is_asked_for_and_no_more() {
    let mut other = Command::new("/bin/sleep").arg("60").env("SECRET", "x").stdin(Stdio::null()).spawn().expect("a process");
    let pid = other.id();
    let broker = Broker::start();
    let exe = fs::canonicalize("/bin/sleep").expect("its program");
    let (links, _) = broker.look(&format!(r#"{{"Links":[[{pid},["Exe",{{"d":0}},{{"d":9999}}]]]}}"#));
    let none = u8::try_from(rustix::io::Errno::NOENT.raw_os_error()).expect("small");
    let expected = [&[0, 0][..], exe.as_os_str().as_encoded_bytes(), &[0, 0], b"/dev/null", &[0, none, 0]].concat();
    assert_eq!(String::from_utf8_lossy(&links), String::from_utf8_lossy(&expected));
    let (told, environment) = broker.look(&format!(r#"{{"Open":[{pid},"Environ"]}}"#));
    let mut text = String::new();
    fs::File::from(environment.expect("a descriptor")).read_to_string(&mut text).expect("it may be read");
    assert!(told == [0] && text.split('\0').any(|one| one == "SECRET=x"), "{text:?}");
    // To read, and nothing else.
    let (_, input) = broker.look(&format!(r#"{{"Open":[{pid},{{"d":0}}]}}"#));
    assert!(fs::File::from(input.expect("a descriptor")).write_all(b"x").is_err());
    // A process that has ended, and what is no entry.
    assert_eq!(broker.look(r#"{"Open":[4294967295,"Exe"]}"#).0, [none]);
    for nothing in [format!(r#"{{"Open":[{pid},"Mem"]}}"#), format!(r#"{{"Text":[{pid},{{"d":"../mem"}}]}}"#)] {
        assert_eq!(broker.look(&nothing).0, b"", "{nothing}");
    }
    broker.end();
    other.kill().and_then(|()| other.wait()).expect("killed");
}

/// What is no request is answered by nothing, and changes nothing for who asks next.
#[test]
fn the_broker_answers_no_nonsense() {
    let broker = Broker::start();
    for nonsense in [
        &b"{"[..],
        b"\0\0\0\0",
        br#"{"task":"Probe","pipes":[true,true,false]}"#,
        br#"{"task":{"Any":["/bin/sh",["-c","touch /tmp/x"]]},"pipes":[false,false,false]}"#,
        br#"{"task":{"Filter":99},"pipes":[false,true,false]}"#,
    ] {
        send(&broker.control, nonsense, SendFlags::NOSIGNAL).expect("it reads");
    }
    // It is there all the same, and answers the next one.
    let leash = broker.ask(r#"{"task":{"Filter":99},"pipes":[false,false,false]}"#);
    let mut word = String::new();
    BufReader::new(leash).read_line(&mut word).expect("a word");
    assert!(word.contains("Failed"), "{word}");
    broker.end();
}

/// The tests that the threat model names are there.
#[test]
fn each_threat_has_a_test_that_exists() {
    let text = include_str!("../assets/docs/threat-model.md");
    let named: Vec<&str> = text.split('`').filter(|word| word.matches("::").count() >= 1 && !word.contains(' ')).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let (file, test) = name.rsplit_once("::").expect("a place and a test");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is = source.contains(&format!("fn {test}(")) || source.contains(&format!("name = \"{test}\""));
        assert!(is, "{file} has no test {test}");
    }
}
