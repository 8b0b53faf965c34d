//! The files that a log was rotated to, by their names: `error.log.1`, `error.log.2.gz`, `error.log-20261120.gz`,
//! `error-20261120.log`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    model::Order as _,
    sys::{FileKind, Root, blocking},
};

/// How long listing them may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    /// Not at all.
    Plain,
    /// By gzip.
    Gzip,
    /// In a way that is not read here: the program that unpacks it.
    Other(&'static str),
}

/// The files that a log was rotated to and that have something in them, newest first.
pub(super) async fn rotated(root: &Root, log: &Path) -> Vec<(PathBuf, Packed)> {
    let (root, log) = (root.clone(), log.to_owned());
    let listed = blocking(DEADLINE, move || {
        let names = root.list(log.parent()?).ok()?;
        let mut files: Vec<((i64, u32), PathBuf, Packed)> = names
            .iter()
            .filter_map(|name| {
                let packed = packing(log.file_name()?.to_str()?, name.to_str()?)?;
                let file = log.with_file_name(name);
                let info = root.stat(&file).ok().filter(|info| info.kind == FileKind::RegularFile && info.size > 0)?;
                Some(((info.modified, info.modified_ns), file, packed))
            })
            .collect();
        files.order_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
        Some(files.into_iter().map(|(_, file, packed)| (file, packed)).collect())
    });
    listed.await.flatten().unwrap_or_default()
}

/// The newest of them that are not packed, at most `limit`.
pub(super) async fn rotated_files(root: &Root, log: &Path, limit: usize) -> Vec<PathBuf> {
    let all = rotated(root, log).await;
    all.into_iter().filter(|(_, packed)| *packed == Packed::Plain).map(|(path, _)| path).take(limit).collect()
}

/// Whether a name is one to which logrotate (its options `dateext`, `extension`, `compress`), cronolog or rotatelogs rotate
/// the log of this name: the same with a number or a date behind or in it.
fn packing(log: &str, name: &str) -> Option<Packed> {
    const PACKERS: [(&str, Packed); 5] = [
        (".gz", Packed::Gzip),
        (".bz2", Packed::Other("bzcat")),
        (".xz", Packed::Other("xzcat")),
        (".zst", Packed::Other("zstdcat")),
        (".lz4", Packed::Other("lz4cat")),
    ];
    let packer = PACKERS.iter().find_map(|(end, packed)| Some((name.strip_suffix(end)?, *packed)));
    let (name, packed) = packer.unwrap_or((name, Packed::Plain));
    let (stem, extension) = log.rsplit_once('.').map_or((log, ""), |(stem, extension)| (stem, extension));
    let behind = name.strip_prefix(log);
    let within = || name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.');
    let number = behind.or_else(within)?;
    let sensible = number.starts_with(['.', '-', '_'])
        && number.bytes().any(|byte| byte.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || b".-_".contains(&byte));
    sensible.then_some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_rotated_files() {
        for (name, packed) in [
            ("error.log.1", Some(Packed::Plain)),
            ("error.log.2.gz", Some(Packed::Gzip)),
            ("error.log-20261120", Some(Packed::Plain)),
            ("error.log-20261120.gz", Some(Packed::Gzip)),
            ("error-20261120.log.gz", Some(Packed::Gzip)),
            ("error.1.log", Some(Packed::Plain)),
            ("error.log-20261120-1795217794.xz", Some(Packed::Other("xzcat"))),
            ("error.log", None),
            ("error.log.offset", None),
            ("error.log.gz", None),
            ("error.logger.1", None),
            ("other_error.log.1", None),
            ("error.log.1.bak", None),
        ] {
            assert_eq!(packing("error.log", name), packed, "{name}");
        }
    }
}
