//! What becomes of a log while it is followed: by logrotate itself, in its modes, and by hands. Each line that is written has to
//! be told exactly once, soon.
//!
//! It goes through the whole collector, with real files on a real file system; nothing here sleeps for luck.

#![expect(clippy::print_stderr, reason = "the figures of a run are told with --nocapture")]

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use why502::{
    model::{Asked, LogFormat, LogSource, Observation, SourceKind, Stage},
    sys::{Clock, OUTBOX_CAPACITY, Outbox, Root, Stamped, Sys},
    watch::logs,
};

/// Longer than anything that is waited for, on a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(20);
/// How soon what is written has to be told. The target is 1 s; a machine that builds at the same time gets some more.
const SOON: Duration = Duration::from_secs(3);

/// A log that is followed, and all that was told of it.
struct Followed {
    /// What was told: line to count.
    told: BTreeMap<String, u32>,
    /// What was written.
    written: Vec<String>,
    blind: Option<String>,
    seen: mpsc::Receiver<Stamped>,
    number: usize,
    slowest: Duration,
    cancel: CancellationToken,
    _sources: watch::Sender<Asked<Vec<LogSource>>>,
}

impl Followed {
    /// Follows the log at this path, once its first look is done.
    async fn begin(path: PathBuf) -> Self {
        let (sender, seen) = mpsc::channel(OUTBOX_CAPACITY);
        let outbox = Outbox::new("logs", Clock::system(), sender);
        // The lines of an error log that nobody knows: each is its own group.
        let source = LogSource { path, kind: SourceKind::Error, format: LogFormat::Plain };
        let (sources, list) = watch::channel(Asked { number: 1, what: vec![source] });
        let cancel = CancellationToken::new();
        tokio::spawn(logs::run(Sys::new(Root::host(), false), list, outbox, cancel.clone()));
        let (told, written) = (BTreeMap::new(), Vec::new());
        let mut followed = Self { told, written, blind: None, seen, number: 0, slowest: Duration::ZERO, cancel, _sources: sources };
        while followed.take().await != (Observation::Answered { stage: Stage::Logs, asked: 1 }) {}
        followed
    }

    async fn take(&mut self) -> Observation {
        let next = tokio::time::timeout(DEADLINE, self.seen.recv()).await;
        let Ok(Some(Stamped { observation, .. })) = next else {
            panic!("not told: {:?}; told: {:?}; blind: {:?}", self.missing(), self.told, self.blind)
        };
        match &observation {
            Observation::Log(batch) => {
                assert_eq!(batch.dropped, 0, "{batch:#?}");
                for count in &batch.counts {
                    *self.told.entry(count.first.clone()).or_default() += count.count;
                }
            }
            Observation::Blind(spot) => self.blind = Some(spot.reason.clone()),
            Observation::Seen { .. } => self.blind = None,
            _ => {}
        }
        observation
    }

    fn missing(&self) -> Vec<&String> {
        self.written.iter().filter(|line| !self.told.contains_key(*line)).collect()
    }

    /// A line like no other. Numbers would make it like the others.
    fn line(&mut self) -> String {
        self.number += 1;
        let letter = |digit: usize| char::from(b'a' + u8::try_from(digit % 26).expect("below 26"));
        let line = format!("line {}{}{} is whole", letter(self.number / 676), letter(self.number / 26), letter(self.number));
        self.written.push(line.clone());
        line
    }

    /// Writes so many lines.
    fn write(&mut self, mut file: &File, lines: usize) {
        let text: String = (0..lines).map(|_| self.line() + "\n").collect();
        file.write_all(text.as_bytes()).expect("write");
    }

    /// Waits until all that was written was told, and nothing twice.
    async fn all(&mut self, step: &str) {
        let began = Instant::now();
        while !self.missing().is_empty() {
            self.take().await;
        }
        let took = began.elapsed();
        self.slowest = self.slowest.max(took);
        assert!(took < SOON, "{step}: told after {took:?}");
        let twice: Vec<_> = self.told.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{step}: told more than once: {twice:?}");
        let strange: Vec<_> = self.told.keys().filter(|line| !self.written.contains(line)).collect();
        assert!(strange.is_empty(), "{step}: never written: {strange:?}");
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// As a gateway opens its log.
fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).expect("open")
}

/// Rotates by logrotate with these lines in its configuration.
fn logrotate(log: &Path, mode: &str) {
    let dir = log.parent().expect("a directory");
    let config = dir.join("logrotate.conf");
    fs::write(&config, format!("{} {{\nrotate 9\nmissingok\n{mode}\n}}\n", log.display())).expect("write");
    // Its owner alone may write to it, or logrotate refuses it.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("mode");
    let ran = Command::new("/usr/sbin/logrotate").arg("--force").arg("--state").arg(dir.join("state")).arg(&config).output();
    let ran = ran.expect("logrotate is installed");
    assert!(ran.status.success(), "{ran:?}");
}

/// Whether logrotate is there. In CI it must be: a test that does nothing there looks green and is worth nothing.
fn installed() -> bool {
    let there = Path::new("/usr/sbin/logrotate").exists();
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "this needs logrotate");
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn logrotate_in_each_of_its_modes() {
    if !installed() {
        return;
    }
    // Two rotations of one day must not have one name.
    let dated = "dateext\ndateformat -%Y%m%d-%s";
    for mode in [
        "create",
        "nocreate",
        "create\ncompress",
        "create\ncompress\ndelaycompress",
        &format!("create\n{dated}"),
        &format!("create\ncompress\n{dated}"),
        "create\nolddir old",
        "create\nextension .log",
    ] {
        let dir = tempfile::tempdir().expect("directory");
        fs::create_dir(dir.path().join("old")).expect("directory");
        let path = dir.path().join("error.log");
        let mut writer = open(&path);
        writer.write_all(b"line of before\n").expect("write");
        let mut followed = Followed::begin(path.clone()).await;
        followed.written.push("line of before".to_owned());
        for round in 0..3 {
            let step = format!("{} (round {round})", mode.replace('\n', ", "));
            followed.write(&writer, 3);
            // Some rotations come before those lines were told.
            if round != 1 {
                followed.all(&format!("{step}, before")).await;
            }
            logrotate(&path, mode);
            // The gateway writes to the old file until it is told to reopen its logs.
            followed.write(&writer, 2);
            followed.all(&format!("{step}, late lines")).await;
            let old = std::mem::replace(&mut writer, open(&path));
            followed.write(&writer, 2);
            // A worker that ends its requests first.
            followed.write(&old, 1);
            followed.write(&writer, 1);
            followed.all(&format!("{step}, after")).await;
            if mode.contains(dated) {
                // The next name is another one when another second has begun.
                tokio::time::sleep(Duration::from_millis(1100)).await;
            }
        }
        eprintln!("{}: slowest {:?}", mode.replace('\n', ", "), followed.slowest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logrotate_that_copies_and_truncates() {
    if !installed() {
        return;
    }
    for mode in ["copytruncate", "copytruncate\ndelaycompress\ncompress"] {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("error.log");
        let writer = open(&path);
        let mut followed = Followed::begin(path.clone()).await;
        for round in 0..6 {
            let step = format!("{} (round {round})", mode.replace('\n', ", "));
            followed.write(&writer, 4);
            followed.all(&format!("{step}, before")).await;
            followed.write(&writer, 4);
            // Not waited for: what is cut off before it was read stands in the copy.
            logrotate(&path, mode);
            followed.write(&writer, 3);
            followed.all(&format!("{step}, after")).await;
        }
        eprintln!("{}: slowest {:?}", mode.replace('\n', ", "), followed.slowest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_hands_do() {
    let dir = tempfile::tempdir().expect("directory");
    let at = |name: &str| dir.path().join(name);
    let mut writer = open(&at("log"));
    let mut followed = Followed::begin(at("log")).await;

    followed.write(&writer, 2);
    followed.all("lines").await;

    File::options().write(true).open(at("log")).and_then(|file| file.set_len(0)).expect("truncate");
    followed.write(&writer, 2);
    followed.all("truncated").await;

    // Regrown far beyond our place before anybody looks, in one write.
    let text: String = (0..50).map(|_| followed.line() + "\n").collect();
    fs::write(at("log"), text).expect("write");
    followed.all("truncated and regrown").await;

    fs::remove_file(at("log")).expect("remove");
    followed.write(&writer, 2);
    followed.all("deleted, still written to").await;
    let old = std::mem::replace(&mut writer, open(&at("log")));
    followed.write(&writer, 2);
    followed.write(&old, 1);
    followed.all("created again").await;

    // An editor writes a new file and moves it over the old one.
    let text = followed.line() + "\n";
    fs::write(at("log.new"), text).expect("write");
    fs::rename(at("log.new"), at("log")).expect("rename");
    followed.all("moved over").await;

    // Moved to another directory, where it is written to; nothing comes to its place for a while.
    fs::create_dir(at("archive")).expect("directory");
    writer = open(&at("log"));
    fs::rename(at("log"), at("archive/log")).expect("rename");
    followed.write(&writer, 2);
    followed.all("moved away").await;
    writer = open(&at("log"));
    followed.write(&writer, 1);
    followed.all("and created").await;

    // A line in pieces.
    let line = followed.line() + "\n";
    let (front, back) = line.split_at(7);
    writer.write_all(front.as_bytes()).expect("write");
    followed.write(&old, 0);
    writer.write_all(back.as_bytes()).expect("write");
    followed.all("in pieces").await;
    eprintln!("by hand: slowest {:?}", followed.slowest);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appended_line_is_told_at_once() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("log");
    let writer = open(&path);
    let mut followed = Followed::begin(path).await;
    let mut took: Vec<Duration> = Vec::new();
    for step in 0..100_u64 {
        // Some alone, some soon after one another, none in step with anything.
        tokio::time::sleep(Duration::from_millis(7 + step * 37 % 113)).await;
        followed.write(&writer, 1);
        let began = Instant::now();
        followed.all("a line").await;
        took.push(began.elapsed());
    }
    took.sort();
    eprintln!("from the write to the message: median {:?}, 90th {:?}, 99th {:?}", took[50], took[90], took[98]);
    assert!(took[50] < Duration::from_millis(50), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_swapped_on_the_way() {
    let dir = tempfile::tempdir().expect("directory");
    let at = |name: &str| dir.path().join(name);
    for release in ["1", "2"] {
        fs::create_dir_all(at(&format!("releases/{release}/log"))).expect("directory");
    }
    let swap = |target: &str, link: &str| {
        symlink(target, at("link")).expect("symlink");
        fs::rename(at("link"), at(link)).expect("rename");
    };
    // As deployments do: the directory is a link; and the file in it, by day.
    swap("releases/1", "current");
    swap("monday.log", "releases/1/log/app.log");
    let mut followed = Followed::begin(at("current/log/app.log")).await;
    assert_eq!(followed.blind.as_deref(), Some("it does not exist"));
    let monday = open(&at("releases/1/log/monday.log"));
    followed.write(&monday, 2);
    followed.all("where a link leads").await;
    let tuesday = open(&at("releases/1/log/tuesday.log"));
    followed.write(&tuesday, 1);
    swap("tuesday.log", "releases/1/log/app.log");
    followed.write(&monday, 1);
    followed.write(&tuesday, 1);
    followed.all("another file").await;
    let next = open(&at("releases/2/log/app.log"));
    followed.write(&next, 1);
    swap("releases/2", "current");
    followed.write(&tuesday, 1);
    followed.write(&next, 1);
    followed.all("another directory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_comes_late_with_its_directory() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("var/log/app/error.log");
    let mut followed = Followed::begin(path.clone()).await;
    assert_eq!(followed.blind.as_deref(), Some("it does not exist"));
    fs::create_dir_all(path.parent().expect("a directory")).expect("directory");
    let writer = open(&path);
    followed.write(&writer, 3);
    followed.all("late").await;
    assert_eq!(followed.blind, None);
    // The whole directory goes and comes again.
    fs::remove_dir_all(dir.path().join("var")).expect("remove");
    followed.write(&writer, 1);
    followed.all("deleted with its directory").await;
    fs::create_dir_all(path.parent().expect("a directory")).expect("directory");
    let writer = open(&path);
    followed.write(&writer, 2);
    followed.all("created with its directory").await;
}

/// In mount and user namespaces of its own, by the next test.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run where it may mount by `a_file_system_that_tells_nothing`"]
async fn in_an_overlay() {
    let dir = tempfile::tempdir().expect("directory");
    let at = |name: &str| dir.path().join(name);
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(at(name)).expect("directory");
    }
    fs::write(at("lower/log"), "line of the image\n").expect("write");
    let options = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", dir.path().display());
    let mounted = Command::new("mount").args(["-t", "overlay", "-o", &options, "overlay"]).arg(at("merged")).status();
    assert!(mounted.expect("mount runs").success(), "no overlay can be mounted");
    let mut followed = Followed::begin(at("merged/log")).await;
    followed.written.push("line of the image".to_owned());
    followed.all("the image's").await;
    // The first write makes a copy of it (the kernel's documentation of overlayfs, "non-standard behavior").
    let writer = open(&at("merged/log"));
    followed.write(&writer, 2);
    followed.all("a copy").await;
    followed.write(&writer, 1);
    followed.all("the copy again").await;
    fs::rename(at("merged/log"), at("merged/log.1")).expect("rename");
    followed.write(&writer, 1);
    let next = open(&at("merged/log"));
    followed.write(&next, 1);
    followed.all("rotated").await;
    // Behind the back of the mount: nobody tells of it.
    let behind = open(&at("upper/log"));
    followed.write(&behind, 1);
    followed.all("from elsewhere").await;
    eprintln!("overlay: slowest {:?}", followed.slowest);
}

#[test]
fn a_file_system_that_tells_nothing() {
    let own = std::env::current_exe().expect("a program");
    let spaces = ["--user", "--map-root-user", "--mount", "--propagation", "private"];
    let ran = Command::new("unshare").args(spaces).arg(own).args(["--ignored", "--exact", "in_an_overlay", "--nocapture"]).output();
    let Ok(ran) = ran else { return };
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    eprintln!("{err}");
    // Containers and hardened hosts allow no namespaces, old kernels no overlays in them.
    let not_here = err.contains("unshare") || err.contains("no overlay can be mounted");
    assert!(out.contains("1 passed") || not_here, "{out}\n{err}");
}

/// Root may read everything: this runs as nobody, by the next test.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run as another user by `a_right_that_is_given`"]
async fn as_nobody() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("logs/error.log");
    fs::create_dir(dir.path().join("logs")).expect("directory");
    let writer = open(&path);
    let mode = |path: &Path, bits| fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("mode");
    mode(&path, 0o200);
    let mut followed = Followed::begin(path.clone()).await;
    assert!(
        followed.blind.as_deref().is_some_and(|reason| reason.starts_with("may not read it: mode 0200")),
        "{:?}",
        followed.blind
    );
    followed.write(&writer, 1);
    mode(&path, 0o600);
    followed.all("the file may be read").await;
    // Its directory may not be entered: the file that is open is read on.
    mode(&dir.path().join("logs"), 0);
    followed.write(&writer, 1);
    followed.all("the directory may not be entered").await;
    mode(&dir.path().join("logs"), 0o700);
    fs::rename(&path, dir.path().join("logs/error.log.1")).expect("rename");
    let writer = open(&path);
    followed.write(&writer, 1);
    followed.all("it may again").await;
}

#[test]
fn a_right_that_is_given() {
    let own = std::env::current_exe().expect("a program");
    // Where builds lie in a private directory, another user can't run them.
    let dir = tempfile::Builder::new().prefix("rotation").tempdir().expect("directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("mode");
    let copy = dir.path().join("rotation");
    fs::copy(own, &copy).expect("copy");
    let args = ["--ignored", "--exact", "as_nobody", "--nocapture"];
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let ran = Command::new("setpriv").args(nobody).arg(&copy).args(args).env("TMPDIR", dir.path()).output();
    let Ok(ran) = ran else { return };
    let said = String::from_utf8_lossy(&ran.stderr);
    if said.contains("setpriv: set") {
        // Only root may become nobody; whoever else runs this needs not.
        let ran = Command::new(&copy).args(args).env("TMPDIR", dir.path()).output().expect("run");
        assert!(ran.status.success(), "{ran:?}");
        return;
    }
    assert!(ran.status.success(), "{}\n{said}", String::from_utf8_lossy(&ran.stdout));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "{ran:?}");
}
