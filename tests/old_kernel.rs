//! The oldest kernel that is promised, 4.4: every system call that came later answers ENOSYS, as there, and the program finds the
//! same cause. And an empty root: no libc, no terminfo, no certificates, no files of the system's own.
//!
//! Needs root, `unshare`, python3 and nginx (tests/run installs them); with CI=true a missing one is a failure.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Whether these can be had here.
fn possible(programs: &[&str]) -> bool {
    let there = |name: &&str| ["/usr/sbin", "/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
    let all = rustix::process::geteuid().is_root() && programs.iter().all(there);
    assert!(all || std::env::var("CI").as_deref() != Ok("true"), "root and {programs:?} are needed");
    all
}

/// Installs a filter by which each call from 326 on does not exist, then runs what follows. Linux 4.4 ends with mlock2, 325
/// (arch/x86/entry/syscalls/syscall_64.tbl); the filter is that of seccomp(2): load the number, compare, return.
const AS_ON_4_4: &str = r"
import ctypes, os, struct, sys
code = b''.join(struct.pack('HBBI', *one) for one in [
    (0x20, 0, 0, 0),            # number of the call
    (0x35, 0, 1, 326),          # at least 326
    (0x06, 0, 0, 0x00050026),   # SECCOMP_RET_ERRNO | ENOSYS
    (0x06, 0, 0, 0x7fff0000),   # SECCOMP_RET_ALLOW
])
buffer = ctypes.create_string_buffer(code)
program = struct.pack('HxxxxxxQ', 4, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.create_string_buffer(program)) != 0:
    sys.exit('prctl: ' + os.strerror(ctypes.get_errno()))
try:
    os.pidfd_open(os.getpid())
    sys.exit('the filter does not hold')
except OSError:
    pass
os.execv(sys.argv[1], sys.argv[1:])
";

/// A host of its own in which nginx passes requests to nobody; runs this there, in a directory with `filter.py`.
fn on_a_broken_host(command: &str) -> Value {
    let dir = tempfile::tempdir().expect("directory");
    let here = dir.path().display().to_string();
    fs::write(dir.path().join("filter.py"), AS_ON_4_4).expect("file");
    let conf = format!(
        "user root; pid {here}/nginx.pid; error_log {here}/error.log;\nevents {{}}\nhttp {{\n    access_log {here}/access.log;\n    server {{\n        \
         listen 127.0.0.1:80;\n        server_name shop.test;\n        location / {{ proxy_pass http://127.0.0.1:8080; }}\n    }}\n}}\n"
    );
    fs::write(dir.path().join("nginx.conf"), conf).expect("file");
    let script = format!(
        "export HOME={here}\nip link set lo up\nmount -t tmpfs none /run; mount -t tmpfs none /var/log\n\
         # The kernel's log is the machine's, and other tests kill for memory.\n\
         mount --bind /dev/null /dev/kmsg\n\
         /usr/sbin/nginx -c {here}/nginx.conf || exit 1\ncd {here}\n{}",
        command.replace("WHY502", env!("CARGO_BIN_EXE_why502"))
    );
    let output = Command::new("unshare")
        .args(["--pid", "--mount", "--net", "--fork", "--mount-proc", "--kill-child", "bash", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let said = serde_json::from_slice(&output.stdout);
    said.unwrap_or_else(|e| panic!("{e}: {}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// The first cause with its confidence and what speaks for it.
fn first(said: &Value) -> (Value, Value, Vec<String>) {
    let cause = &said["causes"][0];
    let evidence = cause["for"].as_array().into_iter().flatten().map(|one| one["source"].to_string());
    // The directory is another each time.
    let evidence = evidence.map(|source| source.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    (cause["id"].clone(), cause["confidence"].clone(), evidence)
}

#[test]
fn on_linux_4_4_the_same_is_found() {
    if !possible(&["unshare", "python3", "nginx"]) {
        return;
    }
    let now = on_a_broken_host("exec WHY502 check --json");
    let then = on_a_broken_host("exec python3 filter.py WHY502 check --json");
    assert_eq!(first(&now).0, "upstream-down");
    assert_eq!(first(&now), first(&then));
    assert_eq!(now["verdict"], then["verdict"]);
    let blind = |said: &Value| {
        said["blind_spots"].as_array().map(|all| all.iter().map(|one| one["source"].to_string()).collect::<Vec<_>>())
    };
    // What an old kernel can't tell is said, and is not more than the throw-away view in which a configuration is tested.
    let more: Vec<_> =
        blind(&then).into_iter().flatten().filter(|source| !blind(&now).unwrap_or_default().contains(source)).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn in_an_empty_root_names_resolve_and_requests_are_made() {
    if !possible(&["unshare", "dnsmasq", "nginx"]) {
        return;
    }
    // nginx refuses what it passes on, and answers: that it does is what is asked for here, by name.
    let said = on_a_broken_host(
        "mkdir -p root/etc && cp WHY502 root/why502 && echo 'nameserver 127.0.0.1' >root/etc/resolv.conf\n\
         dnsmasq --no-resolv --no-hosts --listen-address=127.0.0.1 --bind-interfaces --address=/shop.test/127.0.0.1 --pid-file=dns.pid --user=root\n\
         exec chroot root /why502 check http://shop.test/ --json",
    );
    let client =
        said["hops"].as_array().expect("hops").iter().find(|hop| hop["name"] == "client").expect("the client's way").clone();
    assert!(client["outcome"].as_str().expect("text").contains("502"), "{client}");
}

#[test]
fn in_a_root_with_nothing_else_it_starts() {
    if !possible(&["unshare"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    fs::copy(env!("CARGO_BIN_EXE_why502"), dir.path().join("why502")).expect("copied");
    let output =
        Command::new("/usr/sbin/chroot").arg(dir.path()).args(["/why502", "explain", "--json", "-"]).stdin(Stdio::null()).output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new("/usr/sbin/chroot")
        .arg(dir.path())
        .args(["/why502", "causes", "upstream-down"])
        .env_clear()
        .output()
        .expect("it starts");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("upstream-down: "));
}
