//! What was seen from elsewhere, as files or standard input give it.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    model::{BlindSpot, ELSEWHERE, Observation, Vantage},
    sys::{self, Root},
};

/// Bytes of one: a check's JSON is some tens of kilobytes.
const BYTES: u64 = 4 << 20;

/// All of them as observations. `-`: standard input.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Observation>> {
    paths.iter().map(|path| one(path)).collect()
}

/// How long a file may take that a person at the console named.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a file holds that a person at the console named, or why it tells nothing. `~/` is the home directory, as in a shell.
pub async fn named(path: String) -> Observation {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(path.strip_prefix("~/")?));
    let place = home().unwrap_or_else(|| PathBuf::from(&path));
    let read =
        sys::blocking(PATIENCE, move || if place.as_os_str() == "-" { Err(anyhow::anyhow!("it is no file")) } else { one(&place) });
    let reason = match read.await {
        Some(Ok(seen)) => return seen,
        Some(Err(error)) => format!("{error:#}"),
        None => "it could not be read in time".to_owned(),
    };
    Observation::Blind(BlindSpot {
        source: format!("{ELSEWHERE}, {path}"),
        reason,
        remedy: "keep what `ssh HOST why502 check URL --json` prints in a file and name that, or paste it".to_owned(),
    })
}

fn one(path: &Path) -> anyhow::Result<Observation> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(BYTES).read_to_string(&mut text)
    } else {
        Root::host().open(path)?.take(BYTES).read_to_string(&mut text)
    };
    read.with_context(|| format!("--vantage {}", path.display()))?;
    let seen = Vantage::parse(&text);
    let seen = seen.with_context(|| format!("--vantage {}: it is not what why502 check --json prints", path.display()))?;
    Ok(Observation::Vantage(Box::new(seen)))
}
