use proptest::prelude::*;

use super::*;

/// Runs a command in a POSIX shell, as somebody who pastes it does.
fn run(command: &str) {
    let done = std::process::Command::new("sh").args(["-c", command]).output().expect("a shell");
    assert!(done.status.success(), "{command}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// So many lines: `a0`, `a1`.
fn lines(word: &str, count: usize) -> String {
    let mut all: Vec<String> = (0..count).map(|n| format!("{word}{n}")).collect();
    all.push(String::new());
    all.join("\n")
}

/// Whether the way back from `new` gives `old` again, to the byte, by both commands.
fn there_and_back(old: &[u8], new: &[u8]) {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("it's a; file.conf");
    let ((old_text, bytes), (new_text, new_bytes)) = (decode(old), decode(new));
    std::fs::write(&file, new).expect("write");
    if bytes == new_bytes {
        let back = WayBack::Patch { diff: unified(&old_text, &new_text), bytes, to: file.clone() };
        let command = back.command().expect("command");
        assert!(!command.chars().any(char::is_control), "{command:?}");
        run(&command);
        assert_eq!(std::fs::read(&file).expect("read"), old, "{command}");
    }
    std::fs::write(&file, new).expect("write");
    let back = WayBack::Write { text: old_text, bytes, to: file.clone(), made: None };
    run(&back.command().expect("command"));
    assert_eq!(std::fs::read(&file).expect("read"), old);
}

#[test]
fn the_way_back_restores_every_byte() {
    let old =
        b"server {\n\tlisten 80;\n    location / {\n        proxy_pass http://127.0.0.1:8080; # it's \\ 100% \"here\"\n    }\n}\n";
    let new = String::from_utf8_lossy(old).replace("8080", "8081").into_bytes();
    there_and_back(old, &new);
    // Without a newline at the end, with CRLF, with escapes that must not be taken as such, with Latin-1, with nothing at all.
    there_and_back(b"a\nb", b"a\nc");
    there_and_back(b"a\nb\n", b"a\nb");
    there_and_back(b"a\r\nb\r\n", b"a\r\nc\r\n");
    there_and_back(b"\\n \\0101 \\c %s !x `id` $(id)\n", b"x\n");
    there_and_back(b"caf\xe9 \x01\n", b"caf\xe9 1\n");
    there_and_back("bidi \u{202e} é\n".as_bytes(), b"1\n");
    there_and_back(b"a\n", b"");
    let long = lines("line ", 400);
    there_and_back(long.as_bytes(), long.replace("line 7\n", "").replace("line 390", "line x").as_bytes());
}

#[test]
fn a_removed_file_comes_back_with_its_rights_and_a_new_one_goes() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("new");
    let info = std::fs::metadata(dir.path()).expect("stat");
    let owner = (std::os::unix::fs::MetadataExt::uid(&info), std::os::unix::fs::MetadataExt::gid(&info));
    let back = WayBack::Write { text: "a\n".to_owned(), bytes: false, to: file.clone(), made: Some((0o640, owner.0, owner.1)) };
    run(&back.command().expect("command"));
    assert_eq!(std::fs::read(&file).expect("read"), b"a\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("stat").permissions());
    assert_eq!(mode & 0o777, 0o640);
    run(&WayBack::Remove { file: file.clone() }.command().expect("command"));
    assert!(!file.exists());
    run(&WayBack::Link { target: "../there".into(), file: file.clone() }.command().expect("command"));
    assert_eq!(std::fs::read_link(&file).expect("link"), Path::new("../there"));
}

#[test]
fn a_diff_says_what_diff_says() {
    assert_eq!(unified("a\nb\nc\n", "a\nB\nc\n"), ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]);
    assert_eq!(unified("", "a\n"), ["@@ -0,0 +1 @@", "+a"]);
    assert_eq!(unified("a\n", "a\n"), Vec::<String>::new());
    let (many, others) = (lines("a", 3000), lines("b", 3000));
    let diff = unified(&format!("x\n{many}y\n"), &format!("x\n{others}y\n"));
    assert_eq!((diff.len(), diff[0].as_str()), (6003, "@@ -1,3002 +1,3002 @@"));
}

#[test]
fn what_no_terminal_could_show_makes_no_command() {
    assert_eq!(WayBack::Remove { file: "/etc/a\nb".into() }.command(), None);
    let long = WayBack::Write { text: "x".repeat(COMMAND_BYTES), bytes: false, to: "/etc/a".into(), made: None };
    assert_eq!(long.command(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_come_back(old in proptest::collection::vec(1_u8..=255, 1..60), new in proptest::collection::vec(1_u8..=255, 1..60)) {
        there_and_back(&old, &new);
    }

    #[test]
    fn lines_come_back(old in "([ab]{0,2}\n){0,12}[ab]?", new in "([ab]{0,2}\n){0,12}[ab]?") {
        if old != new && !new.is_empty() && !old.is_empty() {
            there_and_back(old.as_bytes(), new.as_bytes());
        }
    }
}
