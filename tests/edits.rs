//! Somebody mends a real gateway's configuration while the console looks on: each save is noticed once, with what it means, what the
//! gateway's own test says and what is there; the missing reload is told, the reload is seen, and the way back leads back.
//!
//! Each gateway runs in namespaces of its own. Needs root, `unshare` and the gateways (tests/run installs them); with CI=true
//! a missing one is a failure.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long anything may take here; far more than it needs, for the sake of a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether these can be had here.
fn possible(programs: &[&str]) -> bool {
    let there = |name: &&str| ["/usr/sbin", "/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
    let all = rustix::process::geteuid().is_root() && programs.iter().all(there);
    assert!(all || std::env::var("CI").as_deref() != Ok("true"), "root and {programs:?} are needed");
    all
}

/// A host of its own with a gateway and an application on port 8081, and the console before it.
struct Bench {
    dir: tempfile::TempDir,
    screen: Arc<Mutex<vt100::Parser>>,
    /// What was written to the terminal last.
    raw: Arc<Mutex<Vec<u8>>>,
    keys: Box<dyn std::io::Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Bench {
    /// `files` with `DIR` for the directory, the first of which is edited; `start`: the command that starts the gateway.
    fn new(files: &[(&str, &str)], start: &str) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let here = dir.path().display().to_string();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            fs::write(path, text.replace("DIR", &here)).expect("write");
        }
        let old = std::time::SystemTime::now() - Duration::from_hours(1);
        for (name, _) in files {
            fs::File::options()
                .write(true)
                .open(dir.path().join(name))
                .and_then(|file| file.set_modified(old))
                .expect("an old file");
        }
        let fifo = dir.path().join("hands");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
        // What a person does in another window comes by the pipe.
        let script = format!(
            "export HOME={here} XDG_DATA_HOME={here} XDG_CONFIG_HOME={here}\n\
             ip link set lo up\n\
             mount -t tmpfs none /run; mount -t tmpfs none /var/log\n\
             (cd {here} && exec python3 -m http.server --bind 127.0.0.1 8081 >/dev/null 2>&1) &\n\
             ({start}) >{here}/start.log 2>&1 </dev/null || exit 1\n\
             while read -r line <{here}/hands; do eval \"$line\" >{here}/hands.log 2>&1; done &\n\
             exec {}",
            env!("CARGO_BIN_EXE_why502")
        )
        .replace("DIR", &here);
        let pair = native_pty_system()
            .openpty(PtySize { rows: 45, cols: 160, pixel_width: 0, pixel_height: 0 })
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new("unshare");
        command.args(["--pid", "--mount", "--net", "--fork", "--mount-proc", "--kill-child", "bash", "-c", &script]);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("RUST_BACKTRACE", "0");
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let size = |number: u16| std::num::NonZero::new(number).expect("not zero");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(45), size(160), 0)));
        let mut output = pair.master.try_clone_reader().expect("reader");
        let raw = Arc::<Mutex<Vec<u8>>>::default();
        let (theirs, written) = (Arc::clone(&screen), Arc::clone(&raw));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let mut written = written.lock().expect("not poisoned");
                written.extend(&bytes[..count]);
                let more = written.len().saturating_sub(1 << 20);
                written.drain(..more);
                drop(written);
                theirs.lock().expect("not poisoned").process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().expect("writer");
        let mut bench = Self { dir, screen, raw, keys, child, _master: pair.master };
        bench.wait_for("CHECKLIST");
        bench.press("wz");
        bench.wait_for("runs what is on disk");
        // Its texts are kept from here on.
        bench.wait_until("its own test", |_, bench| {
            bench.press("\r");
            let passed = bench.wait_a_moment("its own test passes");
            bench.press("\u{1b}");
            passed
        });
        bench
    }

    fn text(&self) -> String {
        self.screen.lock().expect("not poisoned").screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("keys arrive");
    }

    fn wait_until(&mut self, what: &str, seen: impl Fn(&str, &mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if seen(&text, self) {
                return;
            }
            assert!(Instant::now() < end, "no {what:?} within {PATIENCE:?}; the screen shows:\n{}", self.text());
            std::thread::yield_now();
        }
    }

    /// Whether this is on the screen within a second.
    fn wait_a_moment(&self, what: &str) -> bool {
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            if squeezed(&self.text()).contains(what) {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    fn wait_for(&mut self, what: &str) {
        self.wait_until(what, |text, _| squeezed(text).contains(what));
    }

    /// A command of a person, in the directory of the configuration.
    fn sh(&self, command: &str) {
        let done = Command::new("bash").args(["-ec", command]).current_dir(self.dir.path()).stdin(Stdio::null()).output();
        let done = done.expect("a shell");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The same within the host's namespaces.
    fn hands(&self, command: &str) {
        let command = command.replace("DIR", &self.dir.path().display().to_string());
        fs::write(self.dir.path().join("hands"), format!("{command}\n")).expect("the pipe is read");
    }

    /// What was put on the terminal's clipboard last (xterm's control sequences, OSC 52).
    fn copied(&self) -> String {
        let raw = String::from_utf8_lossy(&self.raw.lock().expect("not poisoned")).into_owned();
        let code = raw.rsplit_once("\u{1b}]52;c;").expect("something was copied").1;
        let code: String = code.chars().take_while(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c)).collect();
        let mut child = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("base64");
        child.stdin.take().expect("piped").write_all(code.as_bytes()).expect("written");
        String::from_utf8(child.wait_with_output().expect("decoded").stdout).expect("a text")
    }

    /// This is the number of edits that were noticed, and stays it for two rounds of looking.
    fn edits(&mut self, count: usize) {
        let word = format!(" {count} edit");
        self.wait_for(&word);
        assert!(!self.wait_a_moment(&format!(" {} edit", count + 1)), "noticed twice:\n{}", self.text());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // `--kill-child` takes the namespace's processes along.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The screen's words with one blank between them, so that a line's end does not matter.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const NGINX: &[(&str, &str)] = &[
    (
        "conf.d/shop.conf",
        "server {\n    listen 127.0.0.1:80;\n    server_name shop.test;\n    location /api {\n        proxy_pass http://127.0.0.1:8080;\n    }\n}\n",
    ),
    (
        "nginx.conf",
        "user root; pid DIR/nginx.pid; error_log DIR/error.log;\nevents {}\nhttp {\n    access_log DIR/access.log;\n\
         \x20   proxy_read_timeout 60s;\n    include DIR/conf.d/*.conf;\n}\n",
    ),
];

#[test]
fn nginx_through_every_editor() {
    if !possible(&["nginx", "vim", "git", "patch", "python3", "unshare"]) {
        return;
    }
    let mut bench = Bench::new(NGINX, "/usr/sbin/nginx -c DIR/nginx.conf");
    let found = fs::read(bench.path("conf.d/shop.conf")).expect("read");
    // vim, which moves the old file aside and writes a new one, or keeps the inode.
    bench.sh("vim -u NONE -es -c 'set backup backupcopy=no' -c '%s/:8080/:8081/' -c wq conf.d/shop.conf </dev/null || true");
    bench.wait_for("shop.test/api now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080");
    bench.wait_for("test ok");
    bench.wait_for("127.0.0.1:8081 answers 404");
    bench.wait_for("NOT RELOADED");
    bench.edits(1);
    bench.hands("/usr/sbin/nginx -c DIR/nginx.conf -s reload");
    bench.wait_for("nginx reloaded: what is on disk was taken");
    bench.wait_for("runs what is on disk");
    bench.sh("rm -f conf.d/shop.conf~; vim -u NONE -es -c 'set nobackup nowritebackup backupcopy=yes' -c '%s/:8081/:8082/' -c wq conf.d/shop.conf </dev/null || true");
    bench.wait_for("nothing listens on 127.0.0.1:8082");
    bench.edits(2);
    bench.sh("sed -i s/:8082/:8083/ conf.d/shop.conf");
    bench.wait_for("now goes to 127.0.0.1:8083");
    bench.edits(3);
    bench.sh("sed s/:8083/:8084/ conf.d/shop.conf > t; cp t conf.d/shop.conf");
    bench.wait_for("now goes to 127.0.0.1:8084");
    bench.edits(4);
    // In place, and slowly: it is empty in between, as with an editor on a slow disk.
    bench.sh("sed s/:8084/:8085/ conf.d/shop.conf > t; cat t > conf.d/shop.conf");
    bench.wait_for("now goes to 127.0.0.1:8085");
    bench.edits(5);
    // An error points to its line, and no reload is advised.
    bench.sh("sed -i 's/8085;/8085/' conf.d/shop.conf");
    bench.wait_for("test FAILS at shop.conf:6");
    bench.edits(6);
    // A deployment by git.
    bench.sh(
        "git init -q . && git config user.email a@b.c && git config user.name n && sed -i s/8085/8086\\;/ conf.d/shop.conf && git add conf.d \
         && git commit -qm one",
    );
    bench.wait_for("now goes to 127.0.0.1:8086");
    bench.edits(7);
    bench.sh("sed -i s/:8086/:8087/ conf.d/shop.conf");
    bench.wait_for("now goes to 127.0.0.1:8087");
    bench.sh("git checkout -q conf.d/shop.conf");
    bench.wait_for("now goes to 127.0.0.1:8086 instead of 127.0.0.1:8087");
    bench.edits(9);
    // A new file by the pattern, and one that goes.
    bench.sh("echo 'proxy_connect_timeout 3s;' > conf.d/new.conf");
    bench.wait_for("proxy_connect_timeout of shop.test/api: 60s \u{2192} 3s");
    bench.edits(10);
    bench.sh("rm conf.d/new.conf");
    bench.wait_for("proxy_connect_timeout of shop.test/api: 3s \u{2192} 60s");
    bench.edits(11);
    // The way back: what the person copies from the row of the file's last edit.
    bench.sh("sed -i s/:8086/:8088/ conf.d/shop.conf");
    bench.wait_for("now goes to 127.0.0.1:8088");
    bench.edits(12);
    bench.press("gjy");
    bench.wait_for("the command that restores the text copied");
    let command = bench.copied();
    assert!(
        command.ends_with(&format!("| patch -R --no-backup-if-mismatch {}/conf.d/shop.conf", bench.dir.path().display())),
        "{command}"
    );
    bench.sh(&command);
    assert_eq!(fs::read(bench.path("conf.d/shop.conf")).expect("read"), found, "{command}");
    bench.wait_for("now goes to 127.0.0.1:8080 instead of 127.0.0.1:8088");
    // What was loaded in the meantime is not what was found.
    bench.wait_for("NOT RELOADED");
    bench.hands("/usr/sbin/nginx -c DIR/nginx.conf -s reload");
    bench.wait_for("runs what is on disk");
}

#[test]
fn apache_is_seen_to_be_reloaded_and_htaccess_needs_none() {
    if !possible(&["apache2", "python3", "unshare"]) {
        return;
    }
    let files = &[
        (
            "shop.conf",
            "<VirtualHost *:80>\n    ServerName shop.test\n    DocumentRoot DIR/www\n    <Directory DIR/www>\n        AllowOverride All\n    </Directory>\n    ProxyPass /api http://127.0.0.1:8080\n</VirtualHost>\n",
        ),
        (
            "apache.conf",
            "ServerRoot DIR\nPidFile DIR/apache.pid\nListen 127.0.0.1:80\nServerName gw1\nErrorLog DIR/error.log\n\
             LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
             LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so\n\
             LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\nLoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n\
             Include DIR/shop.conf\n",
        ),
        ("www/.htaccess", "# nothing\n"),
    ];
    let mut bench = Bench::new(files, "/usr/sbin/apache2 -f DIR/apache.conf");
    bench.sh("sed -i s/:8080/:8081/ shop.conf");
    bench.wait_for("shop.test/api now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080");
    bench.wait_for("127.0.0.1:8081 answers");
    bench.wait_for("NOT RELOADED");
    bench.hands("/usr/sbin/apache2 -f DIR/apache.conf -k graceful");
    bench.wait_for("apache reloaded: what is on disk was taken");
    bench.wait_for("runs what is on disk");
    bench.sh("printf 'RewriteEngine on\\nRewriteRule ^old/(.*) http://127.0.0.1:8082/$1 [P]\\n' > www/.htaccess");
    bench.wait_for("in force at once");
    bench.edits(2);
    bench.wait_for("runs what is on disk");
}

#[test]
fn haproxy_is_seen_to_be_reloaded() {
    if !possible(&["haproxy", "python3", "unshare"]) {
        return;
    }
    let files = &[(
        "haproxy.cfg",
        "global\n    log stdout local0\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 60s\n\
         frontend web\n    bind 127.0.0.1:80\n    default_backend app\nbackend app\n    server a 127.0.0.1:8080\n",
    )];
    let mut bench = Bench::new(files, "haproxy -D -W -f DIR/haproxy.cfg -p DIR/haproxy.pid");
    bench.sh("sed -i 's/:8080/:8081/; s/server 60s/server 5s/' haproxy.cfg");
    bench.wait_for("server a of pool app is now 127.0.0.1:8081 instead of 127.0.0.1:8080");
    bench.wait_for("127.0.0.1:8081 answers 200");
    bench.wait_for("60s \u{2192} 5s");
    bench.wait_for("NOT RELOADED");
    bench.edits(1);
    bench.hands("kill -USR2 $(head -n 1 DIR/haproxy.pid)");
    bench.wait_for("haproxy reloaded: what is on disk was taken");
    bench.wait_for("runs what is on disk");
}

#[test]
fn caddy_is_seen_to_be_reloaded() {
    if !possible(&["caddy", "python3", "unshare"]) {
        return;
    }
    let files = &[("Caddyfile", "http://shop.test {\n    reverse_proxy /api/* 127.0.0.1:8080\n}\n")];
    let mut bench = Bench::new(files, "caddy start --config DIR/Caddyfile --adapter caddyfile");
    bench.sh("sed -i s/:8080/:8081/ Caddyfile");
    bench.wait_for("shop.test/api/* now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080");
    bench.wait_for("127.0.0.1:8081 answers");
    bench.wait_for("NOT RELOADED");
    bench.edits(1);
    bench.hands("caddy reload --config DIR/Caddyfile --adapter caddyfile");
    bench.wait_for("caddy reloaded: what is on disk was taken");
    bench.wait_for("runs what is on disk");
}
