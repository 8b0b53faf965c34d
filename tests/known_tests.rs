//! A monitor runs `check` every minute: nginx tests the same configuration once, and again when something that it reads has changed.
//!
//! Needs root, `unshare`, strace and nginx (tests/run installs them); with CI=true a missing one is a failure.

use std::{fs, path::Path, process::Command};

fn possible(programs: &[&str]) -> bool {
    let there = |name: &&str| ["/usr/sbin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
    let missing: Vec<_> = programs.iter().filter(|name| !there(name)).collect();
    let all = missing.is_empty() && rustix::process::geteuid().is_root();
    assert!(all || std::env::var_os("CI").is_none(), "this needs root and {missing:?}");
    all
}

/// Runs this on a host of its own with a healthy nginx; `check NAME` runs `why502 check` and notes how often it started nginx.
fn on_a_healthy_host(script: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("directory");
    let here = dir.path().display().to_string();
    let conf = format!(
        "user root; pid {here}/run/nginx.pid; error_log {here}/log/error.log;\nevents {{}}\nhttp {{\n    access_log {here}/log/access.log;\n    \
         include {here}/etc/*.conf;\n}}\n"
    );
    for part in ["run", "log", "etc", "home"] {
        fs::create_dir(dir.path().join(part)).expect("directory");
    }
    fs::write(dir.path().join("nginx.conf"), conf).expect("file");
    let site = "server { listen 127.0.0.1:80; location / { return 200 ok; } }\n";
    fs::write(dir.path().join("etc/site.conf"), site).expect("file");
    // As if nobody had changed anything for a day: what was written a moment ago may be written again without a trace.
    let script = format!(
        "export HOME={here}/home\nip link set lo up\nmount -t tmpfs none /run\n\
         find {here}/etc {here}/nginx.conf -exec touch -d '1 day ago' {{}} +\n\
         rested() {{ while [ $(($(date +%s) - $(stat -c %Z {here}/nginx.conf {here}/etc {here}/etc/* | sort -n | tail -1))) -lt 3 ]; do sleep 0.1; done; }}\n\
         check() {{\n\
           rested\n\
           strace -f --seccomp-bpf -qq -s 200 -e trace=execve -o {here}/calls {} check --json >{here}/said 2>{here}/errors\n\
           echo $(grep -c '\"-t\"' {here}/calls) $(grep -o '\"verdict\":\"[a-z]*\"' {here}/said)\n\
         }}\n\
         cd {here}\n/usr/sbin/nginx -c {here}/nginx.conf || exit 1\n{script}",
        env!("CARGO_BIN_EXE_why502")
    );
    let output = Command::new("unshare")
        .args(["--pid", "--mount", "--net", "--fork", "--mount-proc", "--kill-child", "bash", "-c", &script])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

#[test]
fn nginx_tests_the_same_configuration_once() {
    if !possible(&["unshare", "strace", "nginx"]) {
        return;
    }
    let said = on_a_healthy_host(
        "check\ncheck\n[ -z \"$(find home -mindepth 1)\" ] || exit 1\nmkdir -p home/.local/state/why502\n\
         check\ncheck\necho '# more' >>etc/site.conf\ncheck\ncheck\n\
         echo 'server { listen 127.0.0.1:81; location / { return 200 ok; } }' >etc/other.conf\ncheck\n\
         unset HOME\ncheck\ncheck\n",
    );
    let made: Vec<bool> = said.iter().map(|line| !line.starts_with('0')).collect();
    // Without a place for it each time, and nothing is left; first, again; edited, again; another file of the pattern; without a home.
    assert_eq!(made, [true, true, true, false, true, false, true, true, true], "{said:?}");
}
