//! What stat tells of a file (stat(2)).

use rustix::fs::{self, FileType};
use serde::{Deserialize, Serialize};

/// What stat tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// What it is.
    #[serde(with = "kind")]
    pub kind: FileType,
    /// Size in bytes.
    pub size: u64,
    /// Modification, in seconds since the Unix epoch.
    pub modified: i64,
    /// Nanoseconds of the modification: tells two writes of one second apart.
    pub modified_ns: u32,
    /// Change of the inode: what was moved or copied with its times kept is told by this, in seconds since the Unix epoch.
    pub changed: i64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// It has no name any more: it was deleted while it is open.
    pub deleted: bool,
    /// Device and inode: the file's identity across renames.
    pub id: (u64, u64),
}

/// The type of a file, as the number that the kernel has for it (inode(7)).
mod kind {
    use rustix::fs::FileType;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(kind: &FileType, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(kind.as_raw_mode())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<FileType, D::Error> {
        u32::deserialize(from).map(FileType::from_raw_mode)
    }
}

impl FileInfo {
    /// The modification in nanoseconds since the Unix epoch: orders what was written within one second.
    pub fn modified_order(&self) -> Option<u64> {
        u64::try_from(self.modified).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::from(self.modified_ns))
    }
}

impl From<fs::Stat> for FileInfo {
    fn from(stat: fs::Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
            modified_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            changed: stat.st_ctime,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            deleted: stat.st_nlink == 0,
            id: (stat.st_dev, stat.st_ino),
        }
    }
}
