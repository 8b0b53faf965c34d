//! The zone of time stamps that have none.

use std::path::Path;

use jiff::tz::TimeZone;

use super::Root;

/// Bytes of a TZif file that are read: the largest in the IANA database has some 4 kB.
const ZONE_BYTES: u64 = 256 << 10;

/// The zone in which the daemons of this root write local time: `/etc/localtime` (localtime(5)), UTC where it is missing,
/// as in glibc. `TZ` of our own environment is the operator's, not the gateway's, and so is not asked.
pub fn zone(root: &Root) -> TimeZone {
    let bytes = root.read_at_most(Path::new("/etc/localtime"), ZONE_BYTES).map(|(bytes, _)| bytes);
    bytes.ok().and_then(|bytes| TimeZone::tzif("localtime", &bytes).ok()).unwrap_or(TimeZone::UTC)
}

/// The operator's own zone: `TZ` (tzset(3)), else the host's. jiff's look for the name of the host's zone goes through the whole
/// database of zones, some hundred directories, before the first frame.
pub fn operators_zone() -> TimeZone {
    if std::env::var_os("TZ").is_some_and(|zone| !zone.is_empty()) { TimeZone::system() } else { zone(&Root::host()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_without_zone_is_in_utc() {
        let dir = tempfile::tempdir().expect("directory");
        let root = Root::below(dir.path());
        assert_eq!(zone(&root), TimeZone::UTC);
        std::fs::create_dir(dir.path().join("etc")).expect("directory");
        std::fs::write(dir.path().join("etc/localtime"), "garbage").expect("file");
        assert_eq!(zone(&root), TimeZone::UTC);
    }
}
