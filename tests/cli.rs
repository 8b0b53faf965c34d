//! The command line: what it answers to bad input, and its exit status by the contract.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs the program with this on its standard input.
fn given(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It may have ended without reading.
    let _ = child.stdin.take().expect("standard input").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn why502(args: &[&str]) -> (i32, String, String) {
    let output = given(args, b"");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("an exit status, not a signal"), text(&output.stdout), text(&output.stderr))
}

/// A tree in which nothing is installed, so that the test does not depend on what runs here.
fn empty_root() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::create_dir_all(dir.path().join("proc/net")).expect("directory");
    dir
}

/// A tree in which nginx is installed with this configuration, and does not run.
fn nginx_root(conf: &[u8]) -> tempfile::TempDir {
    let dir = empty_root();
    for (path, bytes) in [
        ("etc/nginx/nginx.conf", conf),
        (
            "usr/sbin/nginx",
            b"nginx version: nginx/1.22.1\n\0configure arguments: --conf-path=/etc/nginx/nginx.conf --pid-path=/run/nginx.pid\0",
        ),
        ("etc/passwd", b""),
        ("proc/1/stat", b"1 (init) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0"),
        ("proc/1/status", b"Name:\tinit\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n"),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("folder")).expect("directory");
        fs::write(path, bytes).expect("file");
    }
    dir
}

fn root_of(dir: &tempfile::TempDir) -> &str {
    dir.path().to_str().expect("UTF-8")
}

#[test]
fn bad_usage_is_unknown_and_says_what_would_be_good() {
    let root = empty_root();
    let fifo = root.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("fifo");
    let fifo = fifo.to_str().expect("UTF-8");
    for (args, word) in [
        (&["check", "ftp://a/"][..], "use http or https"),
        (&["check", "http://user:secret@a/"], "leave them out"),
        (&["check", "--within", "soon"], "10s"),
        (&["check", "--bogus"], "--bogus"),
        (&["check", "--root", "/no/such/directory"], "no directory"),
        (&["check", "--config", "/no/such/file"], "No such file"),
        (&["check", "--config", "/"], "is a directory"),
        (&["check", "--config", fifo], "is a FIFO"),
        (&["check", "--record", "/no/such/directory/record"], "cannot record"),
        (&["replay", "/etc/passwd"], "is no recording"),
        (&["report", "/no/such/record"], "No such file"),
        (&["explain", "/no/such/excerpt"], "No such file"),
        (&["demo", "no-such-fault"], "no-such-fault"),
        (&[], "why502 check"),
    ] {
        let (status, out, err) = why502(args);
        assert_eq!((status, out.as_str()), (3, ""), "{args:?}: {err}");
        assert!(err.contains(word), "{args:?}: {err}");
        assert!(!err.contains("panicked"), "{args:?}: {err}");
    }
}

#[test]
fn without_a_gateway_nothing_can_be_told() {
    let root = empty_root();
    let (status, out, _) = why502(&["check", "--root", root_of(&root)]);
    assert_eq!(status, 3, "{out}");
    let first = out.lines().next().expect("a line");
    assert!(first.starts_with("UNKNOWN - no gateway runs here") && first.contains(" | "), "{first}");
    let (status, out, _) = why502(&["check", "--json", "--root", root_of(&root)]);
    let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &said["verdict"], &said["schema"]), (3, &"unknown".into(), &"why502/1".into()));
}

#[test]
fn an_installed_gateway_that_does_not_run_is_down_whatever_its_configuration_holds() {
    let mut long = b"events {}\nhttp { server { listen 80; # ".to_vec();
    long.extend(std::iter::repeat_n(b'x', 10 << 20));
    let loops = b"events {}\ninclude /etc/nginx/nginx.conf;\n".to_vec();
    let binary: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (what, conf) in
        [("sound", b"events {}\nhttp {}\n".to_vec()), ("a long line", long), ("an include loop", loops), ("binary", binary)]
    {
        let root = nginx_root(&conf);
        let (status, out, err) = why502(&["check", "--root", root_of(&root)]);
        assert_eq!(status, 2, "{what}: {out}{err}");
        let named = out.contains("gateway-down") || out.contains("gateway-config-invalid");
        assert!(out.starts_with("CRITICAL - ") && named, "{what}: {out}");
        assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{what}: control characters");
    }
}

#[test]
fn an_excerpt_is_explained_anywhere_and_twice_the_same() {
    let line = "2026/11/20 23:36:36 [error] 174#174: *13 upstream sent too big header while reading response header from upstream, client: \
                127.0.0.1, server: lab.test, request: \"GET /bighdr HTTP/1.1\", upstream: \"http://127.0.0.1:9005/bighdr\", host: \"a\"\n";
    let explain = |text: &str| {
        let output = given(&["explain", "--json"], text.as_bytes());
        assert_eq!(output.status.code(), Some(0));
        output.stdout
    };
    let bytes = explain(&format!("$ tail error.log\n{line}{line}"));
    assert_eq!(bytes, explain(&format!("$ tail error.log\n{line}{line}")));
    let said: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(said["causes"][0]["id"], "response-header-too-big");
    assert_eq!(said["causes"][0]["subject"], "127.0.0.1:9005");
    assert_ne!(said["causes"][0]["confidence"], "confirmed", "an excerpt proves nothing that holds now");
    for noise in ["", "\n\n", "hello\n", "2026/11/20 23:36:30 [notice] 155#155: start worker process 174\n", "\u{1b}[2J\0\u{9b}31m"]
    {
        let said: serde_json::Value = serde_json::from_slice(&explain(noise)).expect("JSON");
        assert_eq!(said["causes"], serde_json::json!([]), "{noise:?}");
    }
    // An answer is seen, and why is not; a number that is no status is neither.
    for (shown, verdict) in [
        ("< HTTP/2 502\n< server: nginx\n<title>502 Bad Gateway</title>\n", "unknown"),
        ("(4f7c1f6e) Method completed with status: 502\n", "unknown"),
        ("10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] \"GET /502 HTTP/1.1\" 200 502 \"-\" \"curl\"\n", "ok"),
        ("    error_page 502 503 504 /50x.html;\n", "ok"),
        ("yesterday we saw 502 Bad Gateway for two minutes\n", "ok"),
    ] {
        let said: serde_json::Value = serde_json::from_slice(&explain(shown)).expect("JSON");
        assert_eq!((&said["verdict"], &said["causes"]), (&verdict.into(), &serde_json::json!([])), "{shown:?}");
    }
    let consequence = line.replace(
        "upstream sent too big header while reading response header from upstream",
        "no live upstreams while connecting to upstream",
    );
    let said: serde_json::Value = serde_json::from_slice(&explain(&consequence)).expect("JSON");
    assert_eq!(said["verdict"], "unknown", "a consequence names no root, and is not ok");
    let [suspect] = said["causes"].as_array().expect("causes").as_slice() else { panic!("{said}") };
    assert_eq!((&suspect["id"], &suspect["confidence"]), (&"upstream-down".into(), &"possible".into()), "what to look for first");
    assert!(suspect["summary"].as_str().expect("words").contains("perhaps"), "{suspect}");
}

#[test]
fn a_recording_becomes_a_report_and_damage_costs_only_what_is_damaged() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/nginx-app-dead.jsonl");
    let (status, whole, _) = why502(&["report", corpus.to_str().expect("UTF-8")]);
    assert_eq!(status, 0);
    assert!(whole.starts_with("CRITICAL - upstream-down 127.0.0.1:8000"), "{whole}");
    let dir = tempfile::tempdir().expect("temporary directory");
    let cut = dir.path().join("cut");
    let text = fs::read_to_string(&corpus).expect("corpus");
    fs::write(&cut, &text[..text.len() - 20]).expect("file");
    let (status, out, _) = why502(&["report", cut.to_str().expect("UTF-8")]);
    assert_eq!(status, 0);
    assert!(out.starts_with("CRITICAL - upstream-down 127.0.0.1:8000") && out.contains("1 lines are damaged"), "{out}");
}

#[test]
fn a_closed_pipe_is_success() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_why502")).arg("--help").stdout(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    assert!(child.wait().expect("end").success());
}

#[test]
fn a_user_that_is_out_of_processes_is_told_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = empty_root();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    // Where another user may reach it.
    let program = root.path().join("why502");
    fs::copy(env!("CARGO_BIN_EXE_why502"), &program).expect("copy");
    // The limit does not hold for root (setrlimit(2), RLIMIT_NPROC).
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65533", "--regid", "65533", "--clear-groups", "prlimit", "--nproc=2"]);
        command
    } else {
        let mut command = Command::new("prlimit");
        command.arg("--nproc=1");
        command
    };
    let output = command.arg(&program).args(["check", "--root", root_of(&root)]).output().expect("it runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("ulimit -u") && !err.contains("panicked"), "{err}");
}

#[test]
fn the_man_page_and_the_completions_know_every_command_option_and_key() {
    let (status, page, _) = why502(&["generate", "man"]);
    assert_eq!(status, 0);
    let page = page.replace(r"\-", "-").replace(r"\fB", "").replace(r"\fI", "").replace(r"\fR", "").replace(r"\*(Aq", "'");
    let mut options = 0;
    for command in ["check", "explain", "demo", "replay", "report", "causes", "generate"] {
        assert!(page.contains(&format!("why502 {command}")), "{command}");
        let (_, help, _) = why502(&[command, "--help"]);
        let long =
            help.split_whitespace().filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches([',', ':', '.', ';']));
        for option in long.filter(|option| !matches!(*option, "--" | "--help")) {
            options += 1;
            assert!(page.contains(option), "{command} {option}");
        }
    }
    assert!(options > 20, "{options} options were found in the help");
    for binding in why502::ui::keymap::keys() {
        assert!(page.contains(binding.what), "{}", binding.label);
    }
    for shell in ["bash", "zsh", "fish"] {
        let (status, script, _) = why502(&["generate", "completions", shell]);
        assert!(status == 0 && script.contains("vantage") && script.contains("explain"), "{shell}");
    }
    let (_, script, _) = why502(&["generate", "completions", "bash"]);
    let asked = format!("{script}\nCOMP_WORDS=(why502 ca); COMP_CWORD=1; _why502 why502 ca why502; echo \"${{COMPREPLY[@]}}\"");
    let answered = Command::new("bash").args(["--norc", "-c", &asked]).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&answered.stdout).trim(), "causes");
}

/// Files of a team's own in a configuration directory.
fn own_files() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("temporary directory");
    for (name, text) in [
        (
            "signatures/shop.toml",
            "dialects = [\"python\"]\n[[signature]]\nid = \"shop-licence\"\norigin = \"our wiki\"\nabout = \"upstream\"\nrank = \"root\"\n\
             pattern = 'LicenceExpired'\nexplain = \"the shop's licence has expired\"\ncauses = [\"upstream-app-error\"]\n",
        ),
        (
            "causes/shop.toml",
            "section = \"the shop\"\n[[cause]]\nid = \"shop-licence\"\nabout = \"upstream\"\ntitle = \"the shop's licence\"\nwhat = \"It is paid each November.\"\n\
             summary = [\"The shop's licence has expired\"]\nfor = [{ fact = \"log:shop-licence\", weight = 0.9 }]\n\
             fix = [{ text = \"Call the seller\" }]\nverify = [{ text = \"Open the shop\" }]\n",
        ),
        ("playbook/shop.toml", "[[step]]\nid = \"licence\"\nphase = \"server status\"\nquestion = \"Is it paid?\"\n"),
    ] {
        let path = home.path().join("why502").join(name);
        fs::create_dir_all(path.parent().expect("folder")).expect("directory");
        fs::write(path, text).expect("file");
    }
    home
}

#[test]
fn a_team_adds_knowledge_of_its_own_and_an_error_in_it_stops_nothing() {
    let home = own_files();
    let run = |args: &[&str], input: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
        command.args(args).env("XDG_CONFIG_HOME", home.path()).env_remove("SUDO_UID").env_remove("DOAS_USER");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let _ = child.stdin.take().expect("standard input").write_all(input);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().expect("an exit status"), text(&output.stdout), text(&output.stderr))
    };
    let (status, page, error) = run(&["causes", "shop-licence"], b"");
    assert_eq!(status, 0, "{error}");
    assert!(page.contains("It is paid each November.") && page.contains("the shop's licence has expired"), "{page}");
    assert!(error.contains("playbook/shop.toml: line 1: missing field `title`"), "{error}");
    let trace = b"Traceback (most recent call last):\n  File \"/srv/app/site.py\", line 9, in page\n    raise LicenceExpired(\"since Friday\")\nsite.LicenceExpired: since Friday\n";
    let (status, json, _) = run(&["explain", "--json", "-"], trace);
    let said: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((status, &said["causes"][0]["id"]), (0, &"shop-licence".into()), "{json}");
    let blind = &said["blind_spots"][0];
    assert!(blind["source"].as_str().expect("text").ends_with("why502/playbook/shop.toml"), "{blind}");
    assert_eq!(blind["reason"], "line 1: missing field `title`");
    assert!(blind["remedy"].as_str().expect("text").starts_with("mend it"), "{blind}");
}
