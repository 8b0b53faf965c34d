//! Logs of applications of which nobody runs who would tell where they are: the folders that packages of distributions and guides use for
//! application servers. Only what was written just now is one of the incident.
//!
//! To add a folder: its line in [`FOLDERS`].

use std::{
    cmp::Reverse,
    path::{Path, PathBuf},
};

use super::settings::Named;
use crate::{
    model::{LogPlace, Order as _},
    sys::{FileKind, Root},
};

/// Debian's uwsgi, supervisord's (supervisord.conf, `childlogdir`), and what the guides of gunicorn, Puma and Unicorn have.
const FOLDERS: &[&str] =
    &["/var/log/gunicorn", "/var/log/uwsgi", "/var/log/uwsgi/app", "/var/log/puma", "/var/log/unicorn", "/var/log/supervisor"];
/// Logs that are taken, the newest.
const LOGS: usize = 3;
/// Seconds within which one must have been written: an application that cannot start says so at each try.
const FRESH_S: i64 = 600;

/// Those that were written just now.
pub(super) fn logs(root: &Root, now_s: i64) -> Vec<Named> {
    let of = |folder: &&str| {
        let folder = Path::new(folder);
        let names = root.list(folder).unwrap_or_default();
        names.into_iter().map(|name| folder.join(name)).collect::<Vec<PathBuf>>()
    };
    let is_log = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".log") && !name.contains("access")
    };
    let written = |path: PathBuf| {
        let info = root.stat(&path).ok()?;
        (info.kind == FileKind::RegularFile && info.modified >= now_s - FRESH_S).then_some((info.modified, path))
    };
    let mut found: Vec<(i64, PathBuf)> = FOLDERS.iter().flat_map(of).filter(is_log).filter_map(written).collect();
    found.order_by_key(|(modified, path)| (Reverse(*modified), path.clone()));
    let why = "a usual place of logs of application servers";
    found.into_iter().take(LOGS).map(|(_, path)| Named { place: LogPlace::File(path), why: why.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use super::*;

    #[test]
    fn what_was_written_just_now_is_taken_and_nothing_else() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |path: &str| dir.path().join(path);
        for folder in ["var/log/gunicorn", "var/log/uwsgi/app"] {
            fs::create_dir_all(at(folder)).expect("directory");
        }
        for file in ["gunicorn/error.log", "gunicorn/access.log", "gunicorn/error.log.1.gz", "uwsgi/app/shop.log"] {
            fs::write(at("var/log").join(file), "x\n").expect("file");
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
        let now = i64::try_from(now).expect("a time");
        let found = |now| {
            let mut found: Vec<_> = logs(&Root::below(dir.path()), now).into_iter().map(|named| named.place).collect();
            found.sort_by_key(|place| format!("{place:?}"));
            found
        };
        let place = |path: &str| LogPlace::File(path.into());
        assert_eq!(found(now), [place("/var/log/gunicorn/error.log"), place("/var/log/uwsgi/app/shop.log")]);
        assert_eq!(found(now + 2 * FRESH_S), []);
    }
}
