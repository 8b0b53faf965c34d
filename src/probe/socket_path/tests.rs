use std::os::unix::{
    fs::{PermissionsExt as _, symlink},
    net::UnixListener,
};

use super::*;

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

/// A root with `/run/app/app.sock` and names for our own ids.
fn tree() -> (tempfile::TempDir, Root, UnixListener) {
    let dir = tempfile::tempdir().expect("directory");
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("run/app")).expect("run");
    std::fs::create_dir_all(at("etc")).expect("etc");
    std::fs::create_dir_all(at("var")).expect("var");
    let (uid, gid, _) = sys::ourselves();
    std::fs::write(at("etc/passwd"), format!("app:x:{uid}:{gid}::/:/bin/sh\n")).expect("passwd");
    std::fs::write(at("etc/group"), format!("appgroup:x:{gid}:\n")).expect("group");
    symlink("/run", at("var/run")).expect("symlink");
    let listener = UnixListener::bind(at("run/app/app.sock")).expect("bind");
    for path in [".", "run", "run/app"] {
        set(&at(path), 0o755);
    }
    set(&at("run/app/app.sock"), 0o777);
    let root = Root::below(dir.path());
    (dir, root, listener)
}

/// Somebody who is neither the owner nor in the group, unless `group`.
fn stranger(group: bool) -> Identity {
    let (_, gid, _) = sys::ourselves();
    Identity { name: "www-data".to_owned(), uid: 54321, gid: 54321, groups: if group { vec![gid] } else { Vec::new() } }
}

fn walk(root: &Root, who: &Identity, path: &str) -> (Outcome, String) {
    let (outcome, text, _) = super::walk(root, who, Path::new(path));
    (outcome, text)
}

#[test]
fn each_part_of_the_way_is_told_up_to_the_one_that_denies() {
    let (dir, root, _listener) = tree();
    let way = |path: &str| super::walk(&root, &stranger(false), Path::new(path)).2.lines();
    let all = ["drwxr-xr-x app:appgroup /", "drwxr-xr-x app:appgroup /run", "drwxr-xr-x app:appgroup /run/app"];
    assert_eq!(way("/run/app/app.sock"), [&all[..], &["srwxrwxrwx app:appgroup /run/app/app.sock"]].concat());
    set(&dir.path().join("run/app"), 0o750);
    let denied = [all[0], all[1], "drwxr-x--- app:appgroup /run/app  <- www-data lacks x"];
    assert_eq!(way("/run/app/app.sock"), denied);
    // What is not there is no part of the way; what leads to it is.
    assert_eq!(way("/run/gone/app.sock"), all[..2]);
    assert_eq!(way("@abstract"), [""; 0]);
}

#[test]
fn each_component_can_be_the_one_that_denies() {
    let (dir, root, _listener) = tree();
    let socket = "/run/app/app.sock";
    assert_eq!(walk(&root, &stranger(false), socket).0, Outcome::Open);

    set(&dir.path().join("run/app"), 0o750);
    let (outcome, text) = walk(&root, &stranger(false), socket);
    assert_eq!((outcome, &*text), (Outcome::Denied, "www-data lacks x on /run/app (drwxr-x--- app:appgroup)"));
    assert_eq!(walk(&root, &stranger(true), socket).0, Outcome::Open, "a supplementary group opens it");

    set(&dir.path().join("run/app"), 0o755);
    set(&dir.path().join("run/app/app.sock"), 0o660);
    let (outcome, text) = walk(&root, &stranger(false), socket);
    assert_eq!((outcome, &*text), (Outcome::Denied, "www-data lacks w on /run/app/app.sock (srw-rw---- app:appgroup)"));
    assert_eq!(walk(&root, &stranger(true), socket).0, Outcome::Open);
    let root_user = Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: Vec::new() };
    assert_eq!(walk(&root, &root_user, socket).0, Outcome::Open, "root passes");
}

#[test]
fn the_owners_bits_hold_for_the_owner_even_if_others_may_more() {
    let (dir, root, _listener) = tree();
    set(&dir.path().join("run/app/app.sock"), 0o077);
    let (_, gid, _) = sys::ourselves();
    let uid = root.stat(Path::new("/run/app/app.sock")).expect("stat").uid;
    if uid != 0 {
        let owner = Identity { name: "app".to_owned(), uid, gid, groups: Vec::new() };
        assert_eq!(walk(&root, &owner, "/run/app/app.sock").0, Outcome::Denied);
    }
    set(&dir.path().join("run/app/app.sock"), 0o707);
    assert_eq!(walk(&root, &stranger(true), "/run/app/app.sock").0, Outcome::Denied, "and the group's for its members");
}

#[test]
fn what_is_missing_or_no_socket_is_named() {
    let (dir, root, _listener) = tree();
    let who = stranger(false);
    assert_eq!(walk(&root, &who, "/run/php/fpm.sock"), (Outcome::NotFound, "/run/php does not exist".to_owned()));
    assert_eq!(walk(&root, &who, "/run/app/other.sock"), (Outcome::NotFound, "/run/app/other.sock does not exist".to_owned()));
    assert_eq!(walk(&root, &who, "/run/app"), (Outcome::Refused, "/run/app is a directory".to_owned()));
    std::fs::write(dir.path().join("run/app/file"), "").expect("file");
    assert_eq!(walk(&root, &who, "/run/app/file"), (Outcome::Refused, "/run/app/file is no socket".to_owned()));
    assert_eq!(walk(&root, &who, "/run/app/file/x").0, Outcome::NotFound);
    assert_eq!(walk(&root, &who, "@app").0, Outcome::Open);
}

#[test]
fn symlinks_are_followed_inside_the_root_and_not_for_ever() {
    let (dir, root, _listener) = tree();
    assert_eq!(walk(&root, &stranger(false), "/var/run/app/app.sock").0, Outcome::Open);
    assert_eq!(walk(&root, &stranger(false), "/var/run/../run/./app/app.sock").0, Outcome::Open);
    set(&dir.path().join("run/app"), 0o700);
    let (outcome, text) = walk(&root, &stranger(false), "/var/run/app/app.sock");
    assert!(outcome == Outcome::Denied && text.contains("on /run/app (drwx------"), "{text}");
    symlink("/loop", dir.path().join("loop")).expect("symlink");
    assert_eq!(walk(&root, &stranger(false), "/loop/app.sock").0.name(), "os-error");
}
