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
    sys::{Keep, Operator, begin_broker, confine, die_first, processes_are_hidden, within},
};

/// How long a home may take to show the directory of recordings. Nothing is exported to one that hangs.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why something was not given up.
static NOT: OnceLock<String> = OnceLock::new();

/// Gives up what the mode does not need. Whatever of it is not to be had, the run goes on.
pub fn begin(cli: &Cli) {
    let confined = match &cli.command {
        None => on_host(&[cli.record.as_deref(), cli.resume.as_ref().and_then(Option::as_deref)], Own::OrAbove),
        Some(Command::Check(check)) => on_host(&[check.record.as_deref(), check.textfile.as_deref()], Own::AsItIs),
        // It starts a gateway, and breaks it: on a stage of its own, for nobody but whoever looks.
        Some(Command::Demo(_)) => return,
        Some(Command::Replay(_)) => confine(Keep::Files, Some(own(Own::OrAbove).as_slice())).map(drop),
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

/// A run on this host. `named`: what it writes that is named on the command line, and may be anybody's.
fn on_host(named: &[Option<&Path>], dir: Own) -> io::Result<()> {
    begin_broker()?;
    die_first();
    let foreign = Operator::here().is_ok_and(|operator| operator.other.is_some());
    let named: Vec<PathBuf> = named.iter().flatten().map(|file| parent(file)).collect();
    let keep = if foreign || !named.is_empty() { Keep::HostAndForeignFiles } else { Keep::Host };
    if processes_are_hidden() {
        return confine(keep, None).map(drop);
    }
    let writes: Vec<PathBuf> = named.into_iter().chain(own(dir)).collect();
    confine(keep, Some(&writes)).map(drop)
}

/// The directory in which a file is, or is to be.
fn parent(file: &Path) -> PathBuf {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// What becomes of the directory of what is kept for the operator, where it is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// Nothing: without it nothing is kept.
    AsItIs,
    /// The nearest above it stands for it: it is made when something is recorded or exported.
    OrAbove,
}

/// The directory of what is kept for the operator.
fn own(missing: Own) -> Option<PathBuf> {
    // This thread keeps what is given up after it: it looks for one directory, and ends.
    let look = move || {
        let dir = Keeper::of_operator().ok()?.dir();
        let above = if missing == Own::AsItIs { 1 } else { usize::MAX };
        dir.ancestors().take(above).find(|dir| dir.is_dir()).map(Path::to_owned)
    };
    within(PATIENCE, look).ok().flatten().flatten()
}
