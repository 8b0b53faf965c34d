use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

async fn told(subscription: &Subscription, what: &str) {
    tokio::time::timeout(LIMIT, subscription.changed()).await.unwrap_or_else(|_| panic!("not told: {what}"));
}

fn id(file: &File) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    let meta = file.metadata().expect("metadata");
    (meta.dev(), meta.ino())
}

#[tokio::test]
async fn a_file_is_watched_through_its_renaming_and_a_name_through_everything() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("log");
    let mut writer = File::create(&path).expect("create");
    let watcher = Watcher::new();
    let mut subscription = watcher.subscribe();
    let open = OpenFile::new(File::open(&path).expect("open"));
    let files = vec![(id(&writer), open)];
    assert!(
        subscription.watch(vec![path.clone()], files, false).await.all,
        "a temporary directory is on a file system of this host"
    );
    writer.write_all(b"1\n").expect("write");
    told(&subscription, "a write").await;
    fs::rename(&path, dir.path().join("log.1")).expect("rename");
    told(&subscription, "a renaming").await;
    tokio::time::sleep(PAUSE_LAST * 2).await;
    let _ = tokio::time::timeout(PAUSE_LAST, subscription.changed()).await;
    writer.write_all(b"2\n").expect("write");
    told(&subscription, "a write to the renamed file").await;
    File::create(&path).expect("create");
    told(&subscription, "a creation").await;
}

#[tokio::test]
async fn a_busy_neighbour_wakes_nobody() {
    let dir = tempfile::tempdir().expect("directory");
    let (path, other) = (dir.path().join("log"), dir.path().join("other"));
    let writer = File::create(&path).expect("create");
    let watcher = Watcher::new();
    let mut subscription = watcher.subscribe();
    let files = vec![(id(&writer), OpenFile::new(File::open(&path).expect("open")))];
    subscription.watch(vec![path.clone()], files, false).await;
    for _ in 0..20 {
        OpenOptions::new().append(true).create(true).open(&other).and_then(|mut file| file.write_all(b"x")).expect("write");
    }
    fs::remove_file(&other).expect("remove");
    assert!(tokio::time::timeout(Duration::from_millis(100), subscription.changed()).await.is_err());
}

#[tokio::test]
async fn a_name_whose_directory_does_not_exist_yet() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("a/b/log");
    let watcher = Watcher::new();
    let mut subscription = watcher.subscribe();
    assert!(subscription.watch(vec![path.clone()], Vec::new(), false).await.all);
    fs::create_dir(dir.path().join("a")).expect("create");
    told(&subscription, "the upper directory").await;
    assert!(subscription.watch(vec![path.clone()], Vec::new(), true).await.all);
    fs::create_dir(dir.path().join("a/b")).expect("create");
    told(&subscription, "the directory").await;
    assert!(subscription.watch(vec![path.clone()], Vec::new(), true).await.all);
    File::create(&path).expect("create");
    told(&subscription, "the file").await;
}

#[test]
fn only_file_systems_of_this_host_are_trusted() {
    assert!(telling(0xEF53_i64) && telling(0x9123_683E_u32) && telling(i128::from(-1_859_950_530_i32)));
    for (name, kind) in [("nfs", 0x6969_i64), ("overlay", 0x794C_7630), ("fuse", 0x6573_5546), ("9p", 0x0102_1997)] {
        assert!(!telling(kind), "{name}");
    }
}
