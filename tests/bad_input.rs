//! What hosts hold that no program should have to read: it is said, bounded, and over soon. By the real program, on real files.
//!
//! What needs other processes runs in namespaces of its own, for which it needs root.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use why502::model::{Gateway, Observation};

/// How long a look may take at most, whatever is found: of a debug build, on a machine that has other work.
const SOON: Duration = Duration::from_secs(9);
/// The most memory that a look may take, in KB.
const PEAK_KB: u64 = 160 << 10;

/// What one look found.
struct Look {
    status: i32,
    out: String,
    err: String,
    gateways: Vec<Gateway>,
    peak_kb: u64,
}

impl Look {
    /// All that is wrong with the configurations, and all that could not be seen of them.
    fn complaints(&self) -> String {
        let of = |gateway: &Gateway| {
            let problems = gateway.problems.iter().map(|(at, what)| format!("{at}: {what}"));
            let blind = gateway.blind.iter().map(|spot| format!("{}: {}; {}", spot.source, spot.reason, spot.remedy));
            problems.chain(blind).collect::<Vec<_>>()
        };
        self.gateways.iter().flat_map(of).collect::<Vec<_>>().join("\n")
    }
}

/// A check that sends nothing, of the configuration in this folder.
fn look(dir: &Path, kind: &str, config: &str) -> Look {
    let record = dir.join("record.jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
    command.args(["check", "--json", "--no-probe", "--within", "7s", "--gateway", kind, "--config"]).arg(dir.join(config));
    command.arg("--record").arg(&record).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kb = 0;
    let mut out = child.stdout.take().expect("stdout");
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = std::io::Read::read_to_string(&mut out, &mut text);
        let _ = sender.send(text);
    });
    let out = loop {
        match ended.recv_timeout(Duration::from_millis(5)) {
            Ok(text) => break text,
            Err(_) => assert!(began.elapsed() < SOON, "it hangs at {config}"),
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak_kb = peak_kb.max(peak.unwrap_or(0));
    };
    let output = child.wait_with_output().expect("it ends");
    let gateways = fs::read_to_string(&record).expect("a recording").lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let seen = message.as_object()?.values().find(|value| value.get("gateways").is_some())?.clone();
        match serde_json::from_value(seen).ok()? {
            Observation::Gateways(gateways) => Some(gateways),
            _ => None,
        }
    });
    Look {
        status: output.status.code().expect("no signal"),
        out,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        gateways: gateways.unwrap_or_default(),
        peak_kb,
    }
}

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("folder")).expect("directory");
    fs::write(path, text).expect("file");
}

/// Files that are none, under names that an include takes in; the endings are those of the kind.
fn odd_files(parts: &Path, ending: &str) -> UnixListener {
    fs::create_dir_all(parts).expect("directory");
    let at = |name: &str| parts.join(format!("{name}.{ending}"));
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("fifo");
    symlink("/dev/zero", at("device")).expect("link");
    symlink(at("dangling-to"), at("dangling")).expect("link");
    symlink(at("round"), at("round")).expect("link");
    fs::write(at("binary"), b"\x7fELF\0\0\0\0").expect("file");
    fs::create_dir(at("folder")).expect("directory");
    UnixListener::bind(at("socket")).expect("socket")
}

#[test]
fn what_is_no_file_is_said_and_holds_nobody_up() {
    for (kind, config, ending, main, site) in [
        (
            "nginx",
            "nginx.conf",
            "conf",
            "events {}\nhttp {\n include PARTS/*.conf;\n}\n",
            "server { listen 127.0.0.1:8099; location / { proxy_pass http://127.0.0.1:9; } }\n",
        ),
        (
            "apache",
            "apache2.conf",
            "conf",
            "ServerRoot DIR\nListen 127.0.0.1:8099\nInclude PARTS/*.conf\n",
            "ProxyPass / http://127.0.0.1:9/\n",
        ),
        ("caddy", "Caddyfile", "caddy", "import PARTS/*.caddy\n", "http://a.test:8099 {\n reverse_proxy 127.0.0.1:9\n}\n"),
    ] {
        let dir = tempfile::tempdir().expect("directory");
        let parts = dir.path().join("parts");
        let _socket = odd_files(&parts, ending);
        let main = main.replace("PARTS", parts.to_str().expect("UTF-8")).replace("DIR", dir.path().to_str().expect("UTF-8"));
        write(dir.path(), config, &main);
        write(&parts, &format!("good.{ending}"), site);
        let look = look(dir.path(), kind, config);
        assert!((0..=3).contains(&look.status) && !look.err.contains("panicked"), "{kind}: {} {}", look.status, look.err);
        let told = look.complaints();
        for word in ["fifo", "device", "socket", "binary"] {
            assert!(told.contains(&format!("{word}.{ending}")), "{kind}: {word}: {told}");
        }
        let at: BTreeSet<String> = look.gateways.iter().flat_map(Gateway::routes).map(|(_, route)| route.at.to_string()).collect();
        assert_eq!(at.len(), 1, "{kind}: what is a file is read: {at:?} {told}");
    }
}

#[test]
fn includes_that_go_round_come_to_an_end() {
    let dir = tempfile::tempdir().expect("directory");
    write(dir.path(), "nginx.conf", "events {}\nhttp { include a.conf; }\n");
    write(dir.path(), "a.conf", "include b.conf;\n");
    write(
        dir.path(),
        "b.conf",
        "include a.conf;\nserver { listen 127.0.0.1:8099; location / { proxy_pass http://127.0.0.1:9; } }\n",
    );
    let found = look(dir.path(), "nginx", "nginx.conf");
    assert!(found.complaints().contains("includes itself"), "{}", found.complaints());
    assert_eq!(found.gateways.iter().flat_map(Gateway::routes).count(), 1);

    // Each includes the next twice: 2^40 files, if somebody counted.
    for number in 0..40 {
        let next = format!("include n{}.conf;\n", number + 1);
        write(dir.path(), &format!("n{number}.conf"), &next.repeat(2));
    }
    write(dir.path(), "n40.conf", "# the end\n");
    write(dir.path(), "wide.conf", "events {}\nhttp { include n0.conf; }\n");
    let found = look(dir.path(), "nginx", "wide.conf");
    assert!(!found.complaints().is_empty() && found.peak_kb < PEAK_KB, "{} KB: {}", found.peak_kb, found.complaints());
}

#[test]
fn a_configuration_of_100_mb_is_read_as_far_as_is_bounded() {
    let dir = tempfile::tempdir().expect("directory");
    let mut file = fs::File::create(dir.path().join("nginx.conf")).expect("file");
    file.write_all(b"events {}\nhttp {\n").expect("text");
    let site = " server { listen 127.0.0.1:8099; server_name shop.example.com; location / { proxy_pass http://127.0.0.1:9; } }\n";
    let block = site.repeat(10_000);
    for _ in 0..100_000_000 / block.len() {
        file.write_all(block.as_bytes()).expect("text");
    }
    file.write_all(b"}\n").expect("text");
    drop(file);
    let found = look(dir.path(), "nginx", "nginx.conf");
    let told = found.complaints();
    // A slow machine gives up after its five seconds, and says so.
    let slow = found.out.contains("could not be read within");
    assert!(slow || told.contains("larger than") || told.contains("more than"), "{told}");
    assert!(found.peak_kb < PEAK_KB * 2, "{} KB", found.peak_kb);
    assert!(!found.out.is_empty() && !found.err.contains("panicked"), "{}", found.err);
}

/// Whether we are root. In CI we must be: a test that does nothing there looks green and is worth nothing.
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var("CI").as_deref() != Ok("true"), "this needs root");
    root
}

/// Runs a script in namespaces of its own, where `$W` is the program; gives what it wrote.
fn alone(script: &str) -> (String, Duration) {
    // The target directory may be closed to others; the copy is not.
    let dir = tempfile::tempdir().expect("directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    let program = dir.path().join("why502");
    fs::copy(env!("CARGO_BIN_EXE_why502"), &program).expect("copy");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--mount", "--net", "--fork", "--mount-proc", "--kill-child", "bash", "-ec", script]);
    command.env("W", &program).env("D", dir.path()).stdin(Stdio::null());
    let began = Instant::now();
    let output = command.output().expect("unshare");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!text.contains("panicked"), "{text}");
    (text, began.elapsed())
}

/// A gateway for one network namespace; `$D` holds its files.
const NGINX: &str = r"
ip link set lo up
cat > $D/nginx.conf <<END
worker_processes 1; error_log $D/error.log; pid $D/nginx.pid; events {}
http { access_log off; server { listen 127.0.0.1:8099; location / { proxy_pass http://127.0.0.1:9; } } }
END
";

#[test]
fn a_gateway_that_dies_while_it_is_looked_at_costs_a_look_and_no_more() {
    if !root() {
        return;
    }
    let script = format!(
        "{NGINX}
        (while :; do nginx -c $D/nginx.conf -g 'daemon off;' & sleep 0.03; kill -9 $! || true; pkill -9 -P $! || true; done) 2> /dev/null &
        for n in 1 2 3 4 5 6; do code=0; timeout 15 $W check --json --within 3s > $D/out || code=$?; echo code $code; done"
    );
    let (text, took) = alone(&script);
    let codes: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("code ")).collect();
    assert!(codes.len() == 6 && codes.iter().all(|code| ["0", "1", "2", "3"].contains(code)), "{text}");
    assert!(took < SOON * 6, "{took:?}");
}

#[test]
fn what_hidepid_hides_is_a_blind_spot_with_its_remedy() {
    if !root() {
        return;
    }
    let script = format!(
        "{NGINX}
        nginx -c $D/nginx.conf; sleep 0.3; mount -o remount,hidepid=2 /proc
        code=0; timeout 15 setpriv --reuid 65534 --regid 65534 --clear-groups $W check --json --within 5s > $D/out || code=$?
        echo code $code; cat $D/out"
    );
    let (text, took) = alone(&script);
    assert!(text.starts_with("code ") && took < SOON * 2, "{took:?}: {text}");
    let report: serde_json::Value = serde_json::from_str(text.split_once('\n').expect("a report").1).expect("JSON");
    let spots = report["blind_spots"].as_array().expect("blind spots");
    let hidden = |spot: &&serde_json::Value| spot.to_string().contains("processes are hidden");
    let spot = spots.iter().find(hidden).unwrap_or_else(|| panic!("{spots:?}"));
    assert!(!spot["remedy"].as_str().unwrap_or_default().is_empty(), "{spot}");
}

#[test]
fn a_folder_that_may_not_be_read_is_a_blind_spot_with_the_command_that_opens_it() {
    if !root() {
        return;
    }
    let script = format!(
        "{NGINX}
        mkdir -m 700 $D/secret; echo 'server {{ listen 127.0.0.1:8098; }}' > $D/secret/a.conf
        echo \"events {{}} http {{ include $D/secret/*.conf; server {{ listen 127.0.0.1:8099; location / {{ proxy_pass http://127.0.0.1:9; }} }} }}\" > $D/nginx.conf
        timeout 15 setpriv --reuid 65534 --regid 65534 --clear-groups $W check --json --no-probe --gateway nginx --config $D/nginx.conf || true"
    );
    let (text, _) = alone(&script);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let spots = report["blind_spots"].as_array().expect("blind spots");
    let spot = spots.iter().find(|spot| spot["source"].as_str().is_some_and(|source| source.contains("/secret")));
    let spot = spot.unwrap_or_else(|| panic!("{spots:?}"));
    assert!(spot["remedy"].as_str().is_some_and(|remedy| remedy.contains("setfacl -m u:nobody:rx")), "{spot}");
}

/// A file system whose server answers nothing: FUSE (fuse(4)) with nobody behind it. Whoever asks it anything waits until he is killed.
const HANGING: &str = r"
mkdir $D/hang; exec 7<>/dev/fuse
mount -i -t fuse hang $D/hang -o fd=7,rootmode=40000,user_id=0,group_id=0
";

/// Whether such a file system can be had here.
fn fuse() -> bool {
    Path::new("/dev/fuse").exists() && root()
}

#[test]
fn a_file_system_that_answers_nothing_holds_neither_the_verdict_up_nor_the_exit() {
    if !fuse() {
        return;
    }
    // Logs and document root lie there. nginx itself would hang, so it runs before that is written.
    let script = format!(
        "{NGINX}
        nginx -c $D/nginx.conf; sleep 0.2
        {HANGING}
        sed -i \"s|error_log .*; pid|error_log $D/error.log; pid|; s|access_log off;|access_log $D/hang/access.log; root $D/hang/www;|\" $D/nginx.conf
        code=0; timeout -k 1 25 $W check --json --within 10s http://127.0.0.1:8099/ 7<&- > $D/out || code=$?
        echo code $code; cat $D/out"
    );
    let (text, _) = alone(&script);
    let (code, report) = text.split_once('\n').unwrap_or_else(|| panic!("{text}"));
    assert_eq!(code, "code 2", "{text}");
    let report: serde_json::Value = serde_json::from_str(report).expect("JSON");
    let causes = report["causes"].as_array().expect("causes");
    assert_eq!(causes.first().map(|cause| &cause["id"]), Some(&"upstream-down".into()), "{report}");
}

#[test]
fn a_configuration_on_a_file_system_that_answers_nothing_is_a_blind_spot() {
    if !fuse() {
        return;
    }
    let script = format!(
        "{NGINX}
        {HANGING}
        code=0; timeout -k 1 25 $W check --json --within 8s --gateway nginx --config $D/hang/nginx.conf 7<&- > $D/out || code=$?
        echo code $code
        sed -i \"s|http {{|http {{ include $D/hang/*.conf;|\" $D/nginx.conf
        code=0; timeout -k 1 25 $W check --json --within 8s --gateway nginx --config $D/nginx.conf 7<&- > $D/out || code=$?
        echo code $code; cat $D/out"
    );
    let (text, _) = alone(&script);
    // Whoever is ended by timeout(1) has 124.
    let codes: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("code ")).collect();
    assert_eq!(codes, ["3", "3"], "{text}");
    let report: serde_json::Value = serde_json::from_str(&text[text.find('{').expect("a report")..]).expect("JSON");
    let spots = report["blind_spots"].as_array().expect("blind spots");
    assert!(spots.iter().any(|spot| spot.to_string().contains("could not be read within 5 s")), "{spots:?}");
}

#[test]
fn who_has_the_number_of_a_gateway_that_died_is_no_gateway() {
    if !root() {
        return;
    }
    let script = format!(
        "{NGINX}
        nginx -c $D/nginx.conf; until [ -s $D/nginx.pid ]; do :; done; read -r old < $D/nginx.pid
        kill -9 $old; while [ -e /proc/$old ]; do :; done; echo $old > $D/nginx.pid
        # As long as a worker is in the session of that number, the kernel gives it to nobody.
        pkill -9 -s $old || true; while pgrep -s $old > /dev/null; do :; done
        for n in $(seq 200); do echo $((old - 1)) > /proc/sys/kernel/ns_last_pid; sleep 600 & [ $! != $old ] || break; done
        [ $! = $old ] || echo the number was not to be had
        until [ \"$(cat /proc/$!/comm)\" = sleep ]; do :; done
        timeout 15 $W check --json --no-probe --within 5s --gateway nginx --config $D/nginx.conf || true"
    );
    let (text, _) = alone(&script);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(report["causes"][0]["id"], "gateway-down", "{text}");
}

#[test]
fn ten_thousand_processes_are_looked_through_in_time() {
    const PROCESSES: u32 = 10_000;
    let dir = tempfile::tempdir().expect("directory");
    let own = fs::read_to_string("/proc/self/stat").expect("stat");
    let tail: Vec<&str> = own.rsplit_once(')').expect("a name").1.split(' ').skip(3).collect();
    let process = |pid: u32, parent: u32, name: &str, argv: &str| {
        let at = |file: &str| format!("proc/{pid}/{file}");
        write(dir.path(), &at("stat"), &format!("{pid} ({name}) S {parent} {}", tail.join(" ")));
        write(
            dir.path(),
            &at("status"),
            &format!("Name:\t{name}\nState:\tS (sleeping)\nUid:\t33\t33\t33\t33\nGid:\t33\t33\t33\t33\nGroups:\t33\n"),
        );
        write(dir.path(), &at("cmdline"), argv);
    };
    process(1, 0, "init", "/sbin/init\0");
    for pid in 100..100 + PROCESSES {
        process(pid, 1, "php-cgi", "/usr/bin/php-cgi\0-b\x00127.0.0.1:9000\0");
    }
    process(90_000, 1, "nginx", "nginx: master process /usr/sbin/nginx -c /etc/nginx/nginx.conf\0");
    process(90_001, 90_000, "nginx", "nginx: worker process\0");
    write(dir.path(), "proc/stat", "btime 1790000000\n");
    write(dir.path(), "usr/sbin/nginx", "binary");
    write(dir.path(), "etc/nginx/nginx.conf", "events {} http { server { location / { proxy_pass http://127.0.0.1:9; } } }");
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_why502"))
        .args(["check", "--json", "--within", "7s", "--root"])
        .arg(dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // A machine that is too slow for it says so, and takes nothing for absent.
    let late = report["blind_spots"].as_array().expect("blind spots").iter().any(|spot| spot["source"] == "process list");
    assert!(report["target"]["gateway"] == "nginx" || late, "{report}");
    assert!(!report["causes"].to_string().contains("gateway-down"), "{report}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}
