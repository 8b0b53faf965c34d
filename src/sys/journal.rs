//! systemd's journal, by its own reader: journalctl knows compression, sealing, several files and rotation, and stays right when the
//! format changes.

use std::{io, path::Path, process::Command};

use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use super::{
    Refusal, Root,
    broker::{self, Running, Task},
};

/// Where the program is: never looked for in a PATH that somebody else made.
const PROGRAMS: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];
/// Where journals are (systemd-journald.service(8)): on disk, or until the next start.
pub const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// Bytes of what it complains about that are kept.
const COMPLAINT_BYTES: u64 = 4 << 10;
/// What is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Units that are asked for at once, at most.
pub const JOURNAL_UNITS: usize = 32;

/// What is read of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalQuery {
    /// Units: `app.service`. Names that are no unit's are left out.
    pub units: Vec<String>,
    /// Entries of the past, at most.
    pub lines: u32,
    /// Whether it goes on with what comes.
    pub follow: bool,
}

/// The journal's entries, as bytes of the export format (<https://systemd.io/JOURNAL_EXPORT_FORMATS>). The program ends when
/// this is dropped; when we are killed it ends by the pipe that hangs up.
#[derive(Debug)]
pub struct JournalStream {
    running: Running,
    out: pipe::Receiver,
    complaints: pipe::Receiver,
}

/// Whether a directory of journals is there, or one that may not be looked into. Where none is, no journal is kept, and there is
/// nothing to be said about it.
pub fn has_journal(root: &Root) -> bool {
    JOURNALS.iter().any(|dir| root.list(Path::new(dir)).map_or_else(|error| error.denied(), |names| !names.is_empty()))
}

/// Whether a name can be a unit's (systemd.unit(5)): nothing that journalctl would take for an option or a pattern.
pub(super) fn is_unit(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    !name.starts_with('-') && name.contains('.') && name.len() <= 255 && name.chars().all(plain)
}

/// The arguments.
fn arguments(place: &Path, query: &JournalQuery) -> Vec<String> {
    let mut arguments: Vec<String> = ["--output=export", "--no-pager"].map(str::to_owned).to_vec();
    arguments.push(format!("--lines={}", query.lines));
    if query.follow {
        arguments.push("--follow".to_owned());
    }
    if place != Path::new("/") {
        arguments.push(format!("--root={}", place.display()));
    }
    arguments.extend(query.units.iter().filter(|unit| is_unit(unit)).take(JOURNAL_UNITS).map(|unit| format!("--unit={unit}")));
    arguments
}

/// Starts the program.
pub(super) fn start(root: &Root, query: &JournalQuery) -> Result<JournalStream, Refusal> {
    let os = |source| Refusal::Os { operation: "reading the journal", source };
    broker::first_of(PROGRAMS).map_err(os)?;
    let mut started = broker::start(Task::Journal(root.place().to_owned(), query.clone())).map_err(os)?;
    let (out, complaints) = (started.output().map_err(os)?, started.errors().map_err(os)?);
    Ok(JournalStream { running: started.running, out, complaints })
}

/// The program with its arguments, for the journal below this place.
pub(super) fn command(place: &Path, query: &JournalQuery) -> io::Result<Command> {
    let mut command = Command::new(broker::first_of(PROGRAMS)?);
    command.args(arguments(place, query)).env_clear();
    Ok(command)
}

impl JournalStream {
    /// The next bytes; none: it ended.
    pub async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; PIECE_BYTES];
        let count = self.out.read(&mut bytes).await?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// What it complained about, after it ended.
    pub async fn complaint(self) -> String {
        let mut text = Vec::new();
        // What can't be read of a complaint is none.
        let _ = self.complaints.take(COMPLAINT_BYTES).read_to_end(&mut text).await;
        // It has ended, or is ended by the drop; its status adds nothing to its words.
        drop(self.running);
        String::from_utf8_lossy(&text).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_name_is_never_an_option() {
        let query = JournalQuery {
            units: ["app.service", "--vacuum-size=1.service", "a*.service", "x.service y", "app@1:2.service", "plain"]
                .map(str::to_owned)
                .to_vec(),
            lines: 10,
            follow: true,
        };
        let arguments = arguments(Path::new("/"), &query);
        let units: Vec<_> = arguments.iter().filter(|argument| argument.starts_with("--unit")).collect();
        assert_eq!(units, ["--unit=app.service", "--unit=app@1:2.service"]);
        assert!(arguments.iter().all(|argument| !argument.starts_with("--vacuum")));
    }

    #[test]
    fn an_empty_directory_is_no_journal() {
        let dir = tempfile::tempdir().expect("directory");
        let root = Root::below(dir.path());
        assert!(!has_journal(&root));
        std::fs::create_dir_all(dir.path().join("var/log/journal")).expect("directory");
        assert!(!has_journal(&root));
        std::fs::create_dir_all(dir.path().join("run/log/journal/abc")).expect("directory");
        assert!(has_journal(&root));
    }
}
