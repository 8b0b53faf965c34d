//! pm2 keeps what node applications print below its home: `logs/NAME-error.log`, `logs/NAME-out.log`
//! (<https://pm2.keymetrics.io/docs/usage/log-management/>).

use std::path::{Path, PathBuf};

use super::{Named, Settings};
use crate::model::{LogPlace, Order as _};

/// Logs that are taken, the latest written first.
const LATEST: usize = 8;

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    // Its title tells its home: `PM2 v5.3.0: God Daemon (/root/.pm2)`.
    let home = settings.service.members.iter().find_map(|member| {
        let title = member.argv.first().filter(|title| title.starts_with("PM2"))?;
        Some(title.rsplit_once('(')?.1.strip_suffix(')')?.to_owned())
    });
    let Some(logs) = home.map(|home| Path::new(&home).join("logs")) else { return Vec::new() };
    let names = settings.root.list(&logs).unwrap_or_default();
    let mut found: Vec<(i64, PathBuf)> = names
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "log"))
        .filter(|name| ["-error", "-out"].iter().any(|part| name.to_string_lossy().contains(part)))
        .filter_map(|name| Some((settings.root.stat(&logs.join(&name)).ok()?.modified, logs.join(name))))
        .collect();
    found.order_by_key(|(modified, path)| (std::cmp::Reverse(*modified), path.clone()));
    let why = || "kept by pm2, which supervises it".to_owned();
    found.into_iter().take(LATEST).map(|(_, path)| Named { place: LogPlace::File(path), why: why() }).collect()
}
