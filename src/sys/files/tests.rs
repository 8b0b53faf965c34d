use std::os::unix::fs::symlink;

use super::*;

fn tree() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("temporary directory");
    std::fs::create_dir_all(dir.path().join("etc/app")).expect("directory");
    std::fs::write(dir.path().join("etc/app/conf"), "inside").expect("file");
    std::fs::write(dir.path().join("etc/passwd"), "tree's own").expect("file");
    let root = Root::below(dir.path());
    (dir, root)
}

#[test]
fn no_link_leads_out_of_the_root() {
    let (dir, root) = tree();
    symlink("/etc/passwd", dir.path().join("absolute")).expect("symlink");
    symlink("../../../../../../etc/passwd", dir.path().join("etc/app/dots")).expect("symlink");
    symlink("/etc/app", dir.path().join("dir")).expect("symlink");
    assert_eq!(root.text("/absolute").expect("absolute link"), "tree's own");
    assert_eq!(root.text("/etc/app/dots").expect("dotted link"), "tree's own");
    assert_eq!(root.text("/dir/../../../etc/passwd").expect("dots after a link"), "tree's own");
    assert_eq!(root.text("/dir/conf").expect("through a linked directory"), "inside");
    assert_eq!(root.readlink(Path::new("/absolute")).expect("link text"), Path::new("/etc/passwd"));
    assert_eq!(root.lstat(Path::new("/absolute")).expect("link").kind, FileType::Symlink);
    assert_eq!(root.stat(Path::new("/dir")).expect("linked directory").kind, FileType::Directory);
    assert_eq!(root.list(Path::new("/dir")).expect("names"), ["conf", "dots"]);
}

#[test]
fn loops_fifos_and_directories_are_errors_at_once() {
    let (dir, root) = tree();
    symlink("/b", dir.path().join("a")).expect("symlink");
    symlink("/a", dir.path().join("b")).expect("symlink");
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("fifo");
    assert_eq!(root.open(Path::new("/a")).expect_err("loop").source.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    assert!(root.open(Path::new("/fifo")).expect_err("fifo").to_string().contains("is a FIFO"));
    assert!(Root::host().open(&dir.path().join("fifo")).expect_err("fifo").to_string().contains("is a FIFO"));
    assert!(root.open(Path::new("/etc")).expect_err("directory").to_string().contains("is a directory"));
    assert!(root.open(Path::new("/none")).expect_err("nothing").not_found());
    assert!(root.stat(Path::new("/none/x")).expect_err("nothing").not_found());
}

#[test]
fn a_large_file_is_cut_and_says_so() {
    let (dir, root) = tree();
    std::fs::write(dir.path().join("big"), vec![b'x'; 100]).expect("file");
    assert_eq!(root.read_at_most(Path::new("/big"), 10).expect("read"), (vec![b'x'; 10], true));
    assert_eq!(root.read_at_most(Path::new("/big"), 100).expect("read"), (vec![b'x'; 100], false));
}

#[test]
fn the_root_of_a_process_is_never_left_and_shows_what_proc_tells_of_it() {
    let (me, host) = (std::process::id(), Root::host());
    let (dir, _) = tree();
    let inside = |path: &Path| PathBuf::from(format!("/proc/{me}/root{}", path.display()));
    assert_eq!(host.text(inside(&dir.path().join("etc/app/conf"))).expect("by the process"), "inside");
    // A link that a container's owner made leads to our own output otherwise.
    symlink("/proc/self/fd/0", dir.path().join("stdout")).expect("symlink");
    symlink(format!("/proc/{me}/cwd"), dir.path().join("cwd")).expect("symlink");
    assert!(host.open(&inside(&dir.path().join("stdout"))).is_err());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let of = |pids: &[u32]| {
        let proc = fs::open(format!("/proc/{me}"), flags, Mode::empty()).expect("our directory");
        Root::of_process(me, proc, pids.iter().copied().collect())
    };
    assert!(of(&[me]).text(format!("/proc/{me}/cmdline")).is_ok_and(|text| !text.is_empty()));
    assert!(of(&[]).elsewhere(Path::new(&format!("/proc/{me}/environ"))).is_none());
    assert!(of(&[me]).elsewhere(Path::new("/proc/1/environ")).is_none());
    for hostile in [
        format!("/proc/{me}/root/etc"),
        format!("/proc/{me}/cwd/x"),
        format!("/proc/{me}/fd/3"),
        format!("/proc/{me}/../1/environ"),
    ] {
        assert!(of(&[me]).elsewhere(Path::new(&hostile)).is_none(), "{hostile}");
    }
}

#[test]
fn the_tree_of_a_process_that_ended_is_gone() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = fs::open(format!("/proc/{}", child.id()), flags, Mode::empty()).expect("its directory");
    let root = Root::of_process(child.id(), dir, BTreeSet::new());
    assert!(root.stat(Path::new("/etc")).is_ok());
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert!(root.stat(Path::new("/etc")).is_err());
}
