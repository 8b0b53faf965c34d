//! What a machine of the lab can't be brought to, by trees of other hosts (`--root`): files below /proc and /sys that are cut, garbled or
//! missing, and those of old kernels.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// A tree of a host, written by the test.
struct Tree(tempfile::TempDir);

impl Tree {
    /// With a gateway of this name, whose user is this one of its passwd and whose configuration is this.
    fn with(release: &str, gateway: &str, user: &str, config: (&str, &str)) -> Self {
        let tree = Self(tempfile::tempdir().expect("directory"));
        tree.write("etc/os-release", release);
        tree.write("etc/passwd", &format!("root:x:0:0:root:/root:/bin/sh\n{user}:/sbin/nologin\n"));
        tree.write(&format!("usr/sbin/{gateway}"), "");
        tree.write(config.0, config.1);
        tree
    }

    /// With nginx before an application on port 8000, as the distribution's package has it.
    fn new(release: &str) -> Self {
        let config = (
            "etc/nginx/nginx.conf",
            "user nginx;\nerror_log /var/log/nginx/error.log;\npid /run/nginx.pid;\nevents {}\nhttp {\n  access_log /var/log/nginx/access.log;\n  \
             server { listen 80 default_server; location / { proxy_pass http://127.0.0.1:8000; } }\n}\n",
        );
        Self::with(release, "nginx", "nginx:x:990:990::/var/lib/nginx", config)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let at = self.0.path().join(path);
        fs::create_dir_all(at.parent().expect("parent")).expect("directories");
        fs::write(at, text).expect("file");
        self
    }

    /// A process of it.
    fn process(&self, pid: u32, name: &str, title: &str, uid: u32, unit: &str) -> &Self {
        self.write(&format!("proc/{pid}/stat"), &format!("{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 9 0 0 0 20 0 1 0 500 0 100 0"));
        self.write(
            &format!("proc/{pid}/status"),
            &format!("Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t0\nGroups:\t0 \n"),
        );
        self.write(&format!("proc/{pid}/cmdline"), &format!("{title}\0"));
        self.write(&format!("proc/{pid}/cgroup"), &format!("0::/system.slice/{unit}\n"))
    }

    fn check(&self) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
        command.args(["check", "--json", "--within", "10s", "--root"]).arg(self.0.path()).stdin(Stdio::null());
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)))
    }
}

const RHEL: &str = "NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\n";
const ALPINE: &str = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.3\n";

/// A tree whose files are cut, garbled, or those of an old kernel, never more than a blind spot.
#[test]
fn a_proc_of_garbage_or_of_an_old_kernel_is_survived() {
    let garbled: &[(&str, &str)] = &[
        ("proc/stat", "cpu 18446744073709551615 -1 x\nprocs_running \nbtime 99999999999999999999\n"),
        ("proc/meminfo", "MemTotal: kB\nMemFree: -3 kB\nSwapTotal: 99999999999999999999999 kB\n"),
        ("proc/loadavg", "nan inf"),
        ("proc/vmstat", "oom_kill\npswpin 3"),
        ("proc/pressure/cpu", "some avg10=9e99 avg60= total=\n"),
        ("proc/pressure/memory", ""),
        ("proc/net/snmp", "Tcp: RtoAlgorithm\nTcp: \n"),
        ("proc/net/netstat", "TcpExt: ListenOverflows\n"),
        ("proc/net/sockstat", "TCP: inuse"),
        ("proc/net/tcp", "  sl  local_address\n   0: 0100007F:1F40 00000000:0000 0A\n   1: zz\n"),
        ("proc/net/route", "Iface\neth0\n"),
        ("proc/net/unix", "garbage\n"),
        ("proc/sys/fs/file-nr", "1"),
        ("proc/sys/net/ipv4/tcp_mem", "1 2"),
        ("proc/mountinfo", "1 2 3"),
        ("proc/812/stat", "812 (a) b\u{1b}[2J) c"),
        ("proc/813/stat", "813 (\u{1b}]0;owned\u{7} (x) ) S 1 1 1 0 -1 0 0 0 0 0 9 0 0 0 20 0 1 0 500 0 100 0"),
        ("proc/813/status", "Uid:\t1\n"),
        ("proc/813/limits", "Max open files  x\nMax processes"),
        ("proc/813/cgroup", ":::::\n0::\n"),
        ("sys/fs/cgroup/cgroup.controllers", "\u{0}\u{1}"),
        ("var/log/supervisor/supervisord.log", "\u{1b}[2J INFO spawned: 'x\nINFO exited"),
        ("var/log/wtmp", "short"),
        ("var/log/dpkg.log", "2026-13-41 99:99:99 upgrade x\n"),
    ];
    let tree = Tree::new(ALPINE);
    tree.process(811, "nginx", "nginx: master process /usr/sbin/nginx", 0, "");
    for (path, text) in garbled {
        tree.write(path, text);
    }
    let report = tree.check();
    assert!(report["verdict"].is_string());
    let whole = report.to_string();
    assert!(!whole.contains('\u{1b}'), "{whole}");
    // Linux 4.4: no pressure, no unified hierarchy, no list of children, no oom_kill in vmstat.
    let old = Tree::new(RHEL);
    old.write("proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\ncpu0 1\nbtime 1700000000\nprocs_running 1\nprocs_blocked 0\n");
    old.write("proc/meminfo", "MemTotal:        1000000 kB\nMemFree:          500000 kB\nBuffers:  1 kB\nCached: 2 kB\n");
    old.write("proc/loadavg", "0.10 0.10 0.10 1/100 999\n");
    old.write("proc/vmstat", "pswpin 0\npswpout 0\n");
    old.process(811, "nginx", "nginx: master process /usr/sbin/nginx", 0, "nginx.service");
    old.write("proc/811/cgroup", "4:memory:/system.slice\n1:name=systemd:/system.slice/nginx.service\n");
    let report = old.check();
    assert!(report["verdict"].is_string() && !report.to_string().contains("panicked"));
    assert!(Path::new(old.0.path()).exists());
}

/// What the logs of a copied host end with. All of it is composed, in the shape that these programs write (Red Hat Enterprise Linux 9,
/// Alpine 3.20).
struct Copy(Tree);

/// The second of the outage: months before any day on which the tests run, or after it.
const AT: &str = "20/Nov/2025:02:17";

/// Lines of an access log, one a second: requests that were answered so, with so many bytes.
fn requests(status: u16, bytes: u32) -> String {
    let line = |second: usize| {
        format!("203.0.113.{second} - - [{AT}:{second:02} +0000] \"GET /cart HTTP/1.1\" {status} {bytes} \"-\" \"Mozilla/5.0\"\n")
    };
    (10..50).map(line).collect()
}

impl Copy {
    /// Requests that are answered so, one a second, and what nginx said of each.
    fn new(release: &str, status: u16, complaint: &str) -> Self {
        let tree = Tree::new(release);
        tree.process(811, "nginx", "nginx: master process /usr/sbin/nginx", 0, "nginx.service");
        tree.write("var/log/nginx/access.log", &requests(status, 157));
        let said = |second: usize| {
            format!(
                "2025/11/20 02:17:{second:02} [error] 812#812: *{second} {complaint}, client: 203.0.113.{second}, server: _, request: \"GET /cart \
                 HTTP/1.1\", upstream: \"http://127.0.0.1:8000/cart\", host: \"shop.example.com\"\n"
            )
        };
        let all = if complaint.is_empty() { String::new() } else { (10..50).map(said).collect() };
        tree.write("var/log/nginx/error.log", &all);
        Self(tree)
    }

    /// The same with Apache httpd, which says this of each request.
    fn of_apache(status: u16, complaint: &str) -> Self {
        let config = (
            "etc/httpd/conf/httpd.conf",
            "ServerRoot /etc/httpd\nListen 80\nUser apache\nGroup apache\nErrorLog /var/log/httpd/error_log\n\
             LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\"\" combined\n\
             CustomLog /var/log/httpd/access_log combined\nProxyPass / http://127.0.0.1:8000/\n",
        );
        let tree = Tree::with(RHEL, "httpd", "apache:x:48:48::/usr/share/httpd", config);
        tree.process(811, "httpd", "/usr/sbin/httpd -DFOREGROUND", 0, "httpd.service");
        tree.write("var/log/httpd/access_log", &requests(status, 299));
        let said =
            |second: usize| format!("[Thu Nov 20 02:17:{second}.123456 2025] [proxy:error] [pid 812:tid 8{second}] {complaint}\n");
        tree.write("var/log/httpd/error_log", &(10..50).map(said).collect::<String>());
        Self(tree)
    }

    fn messages(self, lines: &[&str]) -> Self {
        let line = |text: &&str| format!("Nov 20 02:17:{text}\n");
        self.0.write("var/log/messages", &lines.iter().map(line).collect::<String>());
        self
    }

    fn with(self, path: &str, text: &str) -> Self {
        self.0.write(path, text);
        self
    }

    fn found(&self) -> (String, Vec<String>) {
        let report = self.0.check();
        let ids = report["causes"].as_array().expect("causes").iter();
        let ids = ids.map(|cause| cause["id"].as_str().expect("id").to_owned()).collect();
        (report["verdict"].as_str().expect("verdict").to_owned(), ids)
    }

    fn is(&self, cause: &str) {
        let (verdict, ids) = self.found();
        assert_eq!((verdict.as_str(), ids.first().map(String::as_str)), ("critical", Some(cause)), "{ids:?}");
    }
}

const REFUSED: &str = "connect() failed (111: Connection refused) while connecting to upstream";
const DENIED: &str = "connect() to 127.0.0.1:8000 failed (13: Permission denied) while connecting to upstream";
const SLOW: &str = "upstream timed out (110: Connection timed out) while reading response header from upstream";
const LATE: &str = "upstream timed out (110: Connection timed out) while connecting to upstream";

/// SELinux's denial stands in the audit daemon's log alone.
#[test]
fn a_copied_red_hat_tells_what_selinux_denied() {
    let avc = |second: u32| {
        format!(
            "type=AVC msg=audit(17636050{second}.123:45{second}): avc:  denied  {{ name_connect }} for  pid=812 comm=\"nginx\" dest=8000 \
             scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:soundd_port_t:s0 tclass=tcp_socket permissive=0\n"
        )
    };
    let denials: String = (41..79).map(avc).collect();
    Copy::new(RHEL, 502, DENIED).with("var/log/audit/audit.log", &denials).is("mac-denied");
    let denied = "(13)Permission denied: AH00957: http: attempt to connect to 127.0.0.1:8000 (127.0.0.1:8000) failed";
    let denials = denials.replace("comm=\"nginx\"", "comm=\"httpd\"");
    Copy::of_apache(503, denied).with("var/log/audit/audit.log", &denials).is("mac-denied");
}

#[test]
fn a_copied_host_tells_who_was_killed_for_memory() {
    let lines = [
        "08 gw1 kernel: gunicorn invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0",
        "08 gw1 kernel: Out of memory: Killed process 911 (gunicorn) total-vm:2317736kB, anon-rss:1799860kB, file-rss:0kB, \
         shmem-rss:0kB, UID:990 pgtables:3740kB oom_score_adj:0",
        "09 gw1 systemd[1]: app.service: A process of this unit has been killed by the OOM killer.",
        "09 gw1 systemd[1]: app.service: Failed with result 'oom-kill'.",
    ];
    let unit = "[Service]\nExecStart=/usr/bin/gunicorn --bind 127.0.0.1:8000 app:app\n";
    let red_hat = Copy::new(RHEL, 502, REFUSED).messages(&lines);
    red_hat.with("etc/systemd/system/app.service", unit).is("upstream-oom-killed");
    // busybox writes facility and level, too.
    let lines = ["08 gw1 kern.err kernel: [93841.123456] Out of memory: Killed process 911 (gunicorn) total-vm:2317736kB, \
                  anon-rss:1799860kB, file-rss:0kB, shmem-rss:0kB, UID:990 pgtables:3740kB oom_score_adj:0"];
    Copy::new(ALPINE, 502, REFUSED).messages(&lines).is("upstream-oom-killed");
}

#[test]
fn a_copied_host_tells_what_systemd_gave_up() {
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push("05 gw1 systemd[1]: app.service: Main process exited, code=exited, status=1/FAILURE");
        lines.push("05 gw1 systemd[1]: app.service: Failed with result 'exit-code'.");
        lines.push("06 gw1 systemd[1]: app.service: Scheduled restart job, restart counter is at 5.");
    }
    lines.push("07 gw1 systemd[1]: app.service: Start request repeated too quickly.");
    lines.push("07 gw1 systemd[1]: Failed to start app.service - The shop.");
    let unit = "[Service]\nExecStart=/usr/bin/gunicorn --bind 127.0.0.1:8000 app:app\n";
    Copy::new(RHEL, 502, REFUSED).messages(&lines).with("etc/systemd/system/app.service", unit).is("upstream-crashing");
}

#[test]
fn a_copied_host_tells_of_a_full_connection_table() {
    let lines = ["12 gw1 kernel: nf_conntrack: nf_conntrack: table full, dropping packet"; 9];
    let copy = Copy::new(RHEL, 504, LATE).messages(&lines);
    copy.with("proc/sys/net/netfilter/nf_conntrack_count", "65536\n")
        .with("proc/sys/net/netfilter/nf_conntrack_max", "65536\n")
        .is("conntrack-full");
}

#[test]
fn a_copied_host_tells_of_a_storm_of_swapping() {
    let storm = [
        (
            "proc/meminfo",
            "MemTotal: 4000000 kB\nMemFree: 40000 kB\nMemAvailable: 60000 kB\nSwapTotal: 2000000 kB\nSwapFree: 0 kB\n",
        ),
        (
            "proc/pressure/memory",
            "some avg10=92.11 avg60=80.00 avg300=40.00 total=9\nfull avg10=81.70 avg60=70.00 avg300=30.00 total=8\n",
        ),
        (
            "proc/pressure/io",
            "some avg10=88.00 avg60=70.00 avg300=30.00 total=9\nfull avg10=70.00 avg60=60.00 avg300=20.00 total=9\n",
        ),
        ("proc/pressure/cpu", "some avg10=12.00 avg60=9.00 avg300=5.00 total=9\n"),
        ("proc/loadavg", "31.00 22.00 9.00 2/400 999\n"),
    ];
    let slow = "(70007)The timeout specified has expired: [client 203.0.113.9:50000] AH01102: error reading status line from remote server \
                127.0.0.1:8000";
    for copy in [Copy::new(RHEL, 504, SLOW), Copy::of_apache(502, slow)] {
        storm.iter().fold(copy, |copy, (path, text)| copy.with(path, text)).is("host-memory-exhausted");
    }
}

/// A copy in which all was served says nothing of an outage, whatever else its kernel killed and denied.
#[test]
fn a_copied_host_that_served_has_no_cause() {
    let lines = [
        "08 gw1 kernel: Out of memory: Killed process 4711 (updatedb) total-vm:2317736kB, anon-rss:1799860kB, file-rss:0kB, \
         shmem-rss:0kB, UID:0 pgtables:3740kB oom_score_adj:0",
        "20 gw1 systemd[1]: dnf-makecache.service: Failed with result 'exit-code'.",
    ];
    let avc = "type=AVC msg=audit(1763605045.123:45): avc:  denied  { read } for  pid=77 comm=\"postfix\" name=\"x\" \
               scontext=system_u:system_r:postfix_t:s0 tcontext=system_u:object_r:tmp_t:s0 tclass=file permissive=0\n";
    let copy = Copy::new(RHEL, 200, "").messages(&lines).with("var/log/audit/audit.log", avc);
    let (verdict, ids) = copy.found();
    // Nothing was tried: that is not the same as well.
    assert_eq!((verdict.as_str(), ids), ("unknown", Vec::new()));
}
