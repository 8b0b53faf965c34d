//! A gateway's own test, by the real program and a real nginx: what it says, and that it leaves no trace.
//!
//! Needs root and nginx, as the program itself does for this; without, there is nothing to test.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use why502::sys::{CONFIG_TEST_MODE, ConfigTestJob, NOT_MADE};

const NGINX: &str = "/usr/sbin/nginx";

fn possible() -> bool {
    rustix::process::geteuid().is_root() && Path::new(NGINX).exists()
}

/// A prefix with configuration, logs, pid file, caches and a socket all in one place.
fn prefix(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    let at = dir.path().display();
    fs::create_dir(dir.path().join("cache")).expect("directory");
    fs::write(dir.path().join("access.log"), "").expect("log");
    // Sparse: to copy it would take more than the throw-away files hold.
    fs::File::options().write(true).open(dir.path().join("access.log")).expect("log").set_len(1 << 40).expect("a large log");
    let text = format!(
        "user root root; pid {at}/nginx.pid; error_log {at}/error.log;\n\
         events {{}}\n\
         http {{\n\
         client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
         proxy_cache_path {at}/cache/pages levels=1:2 keys_zone=pages:1m;\n\
         server {{ listen unix:{at}/gw.sock; listen 192.0.2.7:80; access_log {at}/access.log; {more} }}\n\
         }}\n"
    );
    fs::write(dir.path().join("nginx.conf"), text).expect("configuration");
    dir
}

/// Everything below a directory, with what a change would change.
fn traces(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, i64, u32, u32)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let info = fs::symlink_metadata(&path).expect("metadata");
        if info.is_dir() {
            todo.extend(fs::read_dir(&path).expect("directory").map(|entry| entry.expect("entry").path()));
        }
        found.insert(path, (info.ino(), info.size().cast_signed(), info.mtime_nsec(), info.ctime_nsec(), info.mode(), info.uid()));
    }
    found
}

fn job(dir: &Path, dirs: &[&str]) -> ConfigTestJob {
    ConfigTestJob {
        program: NGINX.into(),
        args: ["-t", "-c", &dir.join("nginx.conf").display().to_string()].map(str::to_owned).into(),
        files: vec![dir.join("access.log"), "/var/log/nginx/error.log".into(), "/dev/null".into(), "/nowhere/at/all".into()],
        dirs: dirs.iter().map(|name| dir.join(name)).collect(),
        offline: true,
        ..ConfigTestJob::default()
    }
}

/// Exit status and standard error.
fn test(job: &ConfigTestJob) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_why502"))
        .arg(CONFIG_TEST_MODE)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("stdin").write_all(&serde_json::to_vec(job).expect("job")).expect("written");
    let mut said = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
    (child.wait().expect("end").code(), said)
}

#[test]
fn a_test_passes_and_leaves_no_trace() {
    if !possible() {
        return;
    }
    let dir = prefix("");
    let before = traces(dir.path());
    let (code, said) = test(&job(dir.path(), &["", "cache"]));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(traces(dir.path()), before);
}

#[test]
fn what_is_not_covered_is_read_only() {
    if !possible() {
        return;
    }
    let dir = prefix("");
    let before = traces(dir.path());
    let (code, said) = test(&job(dir.path(), &[]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("(30: Read-only file system)"), "{said}");
    assert_eq!(traces(dir.path()), before);
}

#[test]
fn an_error_is_said_and_leaves_no_trace() {
    if !possible() {
        return;
    }
    let dir = prefix("add_header X $nothing_of_this_name;");
    let before = traces(dir.path());
    let (code, said) = test(&job(dir.path(), &["", "cache"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("unknown \"nothing_of_this_name\" variable"), "{said}");
    assert_eq!(traces(dir.path()), before);
}

#[test]
fn without_rights_it_is_not_made_at_all() {
    if !possible() {
        return;
    }
    let dir = prefix("");
    let request = dir.path().join("job");
    fs::write(&request, serde_json::to_vec(&job(dir.path(), &[""])).expect("job")).expect("file");
    let program = dir.path().join("why502");
    fs::copy(env!("CARGO_BIN_EXE_why502"), &program).expect("copy");
    for path in [dir.path(), &program] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    }
    let before = traces(dir.path());
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
        .arg(&program)
        .arg(CONFIG_TEST_MODE)
        .stdin(fs::File::open(&request).expect("job"))
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(i32::from(NOT_MADE)), "{output:?}");
    assert_eq!(traces(dir.path()), before);
}

#[test]
fn a_job_that_makes_no_sense_is_not_made() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_why502"))
        .arg(CONFIG_TEST_MODE)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("stdin").write_all(b"{\"program\": 7").expect("written");
    assert_eq!(child.wait().expect("end").code(), Some(i32::from(NOT_MADE)));
}
