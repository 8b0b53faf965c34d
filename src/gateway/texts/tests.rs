use std::{fs, os::unix::fs::symlink, process::Command};

use super::*;
use crate::model::RunState;

/// A tree with a configuration of two files, one of them behind a symlink.
struct Tree {
    dir: tempfile::TempDir,
    texts: Texts,
    files: Vec<&'static str>,
}

const SHOP: &str = "server {\n    location / {\n        proxy_pass http://127.0.0.1:8080;\n    }\n}\n";

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        fs::create_dir_all(dir.path().join("etc/sites-available")).expect("directory");
        fs::create_dir_all(dir.path().join("etc/sites-enabled")).expect("directory");
        fs::create_dir_all(dir.path().join("usr/bin")).expect("directory");
        fs::write(dir.path().join("usr/bin/patch"), "").expect("write");
        fs::write(dir.path().join("etc/main.conf"), "include sites-enabled/*;\n").expect("write");
        fs::write(dir.path().join("etc/sites-available/shop"), SHOP).expect("write");
        symlink("../sites-available/shop", dir.path().join("etc/sites-enabled/shop")).expect("symlink");
        let mut tree = Self { dir, texts: Texts::default(), files: vec!["/etc/main.conf", "/etc/sites-enabled/shop"] };
        assert_eq!(tree.look(), []);
        tree
    }

    fn look(&mut self) -> Vec<ConfigEdit> {
        let state = RunState::Stopped { why_expected: String::new() };
        let gateway = Gateway {
            files: self.files.iter().map(|file| (file.into(), None)).collect(),
            ..Gateway::new("nginx", "/etc/main.conf", state)
        };
        self.texts.compare(&Root::below(self.dir.path()), &[gateway])
    }

    /// Runs a command of a person in `/etc` of the tree.
    fn sh(&self, command: &str) {
        let done = Command::new("sh").args(["-ec", command]).current_dir(self.dir.path().join("etc")).output().expect("a shell");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// One edit of one file.
    fn one(&mut self) -> ConfigEdit {
        let mut edits = self.look();
        assert_eq!(edits.len(), 1, "{edits:#?}");
        assert_eq!(self.look(), [], "told once");
        edits.remove(0)
    }

    /// Runs the way back in the tree, and sees that the text is the one that was found.
    fn restore(&mut self, back: &WayBack) {
        let command = back.command().expect("a command");
        // The paths are those below the tree's root.
        let here = command.replace("/etc/", &format!("{}/etc/", self.dir.path().display()));
        self.sh(&here);
        assert_eq!(fs::read_to_string(self.dir.path().join("etc/sites-enabled/shop")).expect("read"), SHOP, "{command}");
        assert!(self.look().iter().all(|edit| edit.back == WayBack::AsFound));
    }
}

#[test]
fn every_editor_makes_one_edit_with_a_way_back() {
    let ways = [
        // In place: cat, nano, ed.
        "sed s/8080/8081/ sites-available/shop > t; cat t > sites-available/shop; rm t",
        // Another file is renamed over it: vim with `backupcopy=no`, sed -i, git checkout.
        "sed s/8080/8081/ sites-available/shop > sites-available/.t; mv sites-available/.t sites-available/shop",
        "sed -i s/8080/8081/ sites-available/shop",
        "sed s/8080/8081/ sites-available/shop > t; cp t sites-available/shop; rm t",
        // The old one is moved aside and another is written: vim with a backup, emacs.
        "cp -a sites-available/shop sites-available/shop~; sed -i s/8080/8081/ sites-available/shop",
        // Through the symlink.
        "sed -i --follow-symlinks s/8080/8081/ sites-enabled/shop",
        // The symlink becomes a file.
        "sed -i s/8080/8081/ sites-enabled/shop",
    ];
    for way in ways {
        let mut tree = Tree::new();
        tree.sh(way);
        let edit = tree.one();
        assert_eq!((edit.file.as_path(), edit.fate), (Path::new("/etc/sites-enabled/shop"), FileFate::Changed), "{way}");
        let diff: Vec<&str> = edit.diff.iter().map(|line| line.trim_end()).filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(
            diff,
            ["@@ -1,5 +1,5 @@", "-        proxy_pass http://127.0.0.1:8080;", "+        proxy_pass http://127.0.0.1:8081;"],
            "{way}"
        );
        match way {
            way if way.contains("shop~") => assert!(matches!(edit.back, WayBack::Copy { .. }), "{:?}", edit.back),
            "sed -i s/8080/8081/ sites-enabled/shop" => assert!(matches!(edit.back, WayBack::Link { .. }), "{:?}", edit.back),
            _ => assert!(matches!(edit.back, WayBack::Patch { .. }), "{:?}", edit.back),
        }
        tree.restore(&edit.back);
    }
}

#[test]
fn the_way_back_leads_over_several_saves_to_what_was_found() {
    let mut tree = Tree::new();
    tree.sh("sed -i s/8080/8081/ sites-available/shop");
    tree.one();
    tree.sh("sed -i s/8081/8082/ sites-available/shop");
    let edit = tree.one();
    assert!(edit.diff.contains(&"-        proxy_pass http://127.0.0.1:8081;".to_owned()), "{:?}", edit.diff);
    tree.restore(&edit.back);
}

#[test]
fn what_only_looks_like_an_edit_is_none() {
    let mut tree = Tree::new();
    for way in [
        "touch main.conf",
        "cp main.conf t; mv t main.conf",
        "chmod 600 main.conf",
        "echo x > .main.conf.swp",
        "ln -s gone .#main.conf",
    ] {
        tree.sh(way);
        assert_eq!(tree.look(), [], "{way}");
    }
}

#[test]
fn a_file_that_comes_or_goes_is_told() {
    let mut tree = Tree::new();
    tree.sh("echo 'server {}' > sites-enabled/new");
    tree.files.push("/etc/sites-enabled/new");
    let edit = tree.one();
    assert_eq!(
        (edit.fate, edit.diff.as_slice()),
        (FileFate::Added, ["@@ -0,0 +1 @@".to_owned(), "+server {}".to_owned()].as_slice())
    );
    assert_eq!(edit.back, WayBack::Remove { file: "/etc/sites-enabled/new".into() });
    tree.sh("rm sites-enabled/new sites-enabled/shop");
    tree.files.truncate(1);
    let edits = tree.look();
    assert_eq!(
        edits.iter().map(|edit| (edit.fate, edit.back == WayBack::AsFound)).collect::<Vec<_>>(),
        [(FileFate::Removed, true), (FileFate::Removed, false)]
    );
    assert!(matches!(&edits[1].back, WayBack::Link { target, .. } if target == Path::new("../sites-available/shop")));
    tree.files.push("/etc/sites-enabled/shop");
    tree.restore(&edits[1].back);
}

#[test]
fn a_file_that_nothing_includes_any_more_is_not_gone() {
    let mut tree = Tree::new();
    tree.files.truncate(1);
    let edit = tree.one();
    assert_eq!((edit.fate, edit.diff.len()), (FileFate::LeftOut, 0));
}

#[test]
fn a_key_is_never_kept_nor_shown() {
    let mut tree = Tree::new();
    tree.sh("printf -- '-----BEGIN PRIVATE KEY-----\\nabc\\n' > key.pem");
    tree.files.push("/etc/key.pem");
    tree.one();
    tree.sh("printf -- '-----BEGIN PRIVATE KEY-----\\nxyz\\n' > key.pem");
    let edit = tree.one();
    assert_eq!((edit.fate, edit.diff.len()), (FileFate::Changed, 0));
    assert!(edit.opaque.is_some_and(|why| why.contains("key")));
    assert!(!format!("{:?}", tree.texts).contains("120, 121, 122"), "its bytes are not in memory");
}

#[test]
fn without_patch_or_with_long_texts_the_way_back_is_still_whole_or_not_offered() {
    let mut tree = Tree::new();
    tree.sh("rm ../usr/bin/patch; sed -i s/8080/8081/ sites-available/shop");
    let edit = tree.one();
    assert!(matches!(edit.back, WayBack::Write { .. }), "{:?}", edit.back);
    tree.restore(&edit.back);
    tree.sh("seq 1 100000 | sed 's/^/# /' > main.conf");
    let edit = tree.one();
    assert!(matches!(edit.opaque.as_deref(), Some("it is too large to be kept")), "{:?}", edit.opaque);
}

#[test]
fn what_was_saved_before_its_text_was_read_is_an_edit_without_a_diff() {
    let tree = Tree::new();
    let file = tree.dir.path().join("etc/main.conf");
    let saved = fs::metadata(&file).expect("a file").modified().expect("a time");
    let saved = i64::try_from(saved.duration_since(std::time::UNIX_EPOCH).expect("later").as_secs()).expect("a second");
    let state = RunState::Stopped { why_expected: String::new() };
    let mut gateway = Gateway::new("nginx", "/etc/main.conf", state);
    gateway.files = vec![("/etc/main.conf".into(), Some(saved - 1)), ("/etc/sites-enabled/shop".into(), None)];
    let mut texts = Texts::default();
    let root = Root::below(tree.dir.path());
    let edits = texts.compare(&root, std::slice::from_ref(&gateway));
    assert_eq!(
        edits.iter().map(|edit| (edit.fate, edit.opaque.as_deref())).collect::<Vec<_>>(),
        [(FileFate::Changed, Some(MISSED))]
    );
    assert!(matches!(&edits[0].back, WayBack::None { .. }), "{:?}", edits[0].back);
    assert_eq!(texts.compare(&root, &[gateway]), [], "told once");
}
