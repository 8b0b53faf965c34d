//! What each run mode gives up before its first thread starts, and where it may still write.

use std::{
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use super::record::Keeper;
use crate::{
    cli::{Cli, Command},
    model::BlindSpot,
    sys::{Keep, Operator, begin_broker, confine, die_first, within},
};

/// How long a home may take to show the directory of recordings. Nothing is exported to one that hangs.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why something was not given up.
static NOT: OnceLock<String> = OnceLock::new();

/// Gives up what the mode does not need. Whatever of it is not to be had, the run goes on.
pub fn begin(cli: &Cli) {
    let confined = match &cli.command {
        None => on_host(cli.record.is_some() || cli.resume.is_some()),
        Some(Command::Check(check)) => on_host(check.record.is_some() || check.textfile.is_some()),
        // It starts a gateway, and breaks it: on a stage of its own, for nobody but whoever looks.
        Some(Command::Demo(_)) => return,
        Some(Command::Replay(_)) => confine(Keep::Files, Some(own().as_slice())).map(drop),
        Some(Command::Explain(_) | Command::Report(_) | Command::Causes(_) | Command::Generate(_)) => {
            confine(Keep::Files, Some(&[])).map(drop)
        }
    };
    if let Err(error) = confined {
        // It is done once.
        let _ = NOT.set(error.to_string());
    }
}

/// What is to be said of rights that were not given up.
pub fn not_given_up() -> Option<BlindSpot> {
    let why = NOT.get()?;
    Some(BlindSpot {
        source: "the rights of this program".to_owned(),
        reason: format!("they could not be parted: {why}; it runs with all that it was started with"),
        remedy: "start it as a user that may read the logs, rather than as root".to_owned(),
    })
}

/// A run on this host. `named`: it writes a file that is named on the command line, and may be anybody's.
fn on_host(named: bool) -> io::Result<()> {
    begin_broker()?;
    die_first();
    let foreign = Operator::here().is_ok_and(|operator| operator.other.is_some());
    confine(if foreign || named { Keep::HostAndForeignFiles } else { Keep::Host }, None).map(drop)
}

/// The directory of what is kept for the operator, or the nearest above it: exports are written there.
fn own() -> Option<PathBuf> {
    // This thread keeps what is given up after it: it looks for one directory, and ends.
    let look = move || {
        let dir = Keeper::of_operator().ok().map(|keeper| keeper.dir());
        dir.and_then(|dir| dir.ancestors().find(|dir| dir.is_dir()).map(Path::to_owned))
    };
    within(PATIENCE, look).ok().flatten().flatten()
}
