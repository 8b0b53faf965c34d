//! systemd's journal, by its own reader: journalctl knows compression, sealing, several files and rotation, and stays right when the
//! format changes.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStdout, Command},
};

use super::{Refusal, Root};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    child: Child,
    out: ChildStdout,
}

/// Whether a directory of journals is there, or one that may not be looked into. Where none is, no journal is kept, and there is
/// nothing to be said about it.
pub fn has_journal(root: &Root) -> bool {
    JOURNALS.iter().any(|dir| root.list(Path::new(dir)).map_or_else(|error| error.denied(), |names| !names.is_empty()))
}

/// Whether a name can be a unit's (systemd.unit(5)): nothing that journalctl would take for an option or a pattern.
fn is_unit(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    !name.starts_with('-') && name.contains('.') && name.len() <= 255 && name.chars().all(plain)
}

/// The arguments.
fn arguments(root: &Root, query: &JournalQuery) -> Vec<String> {
    let mut arguments: Vec<String> = ["--output=export", "--no-pager"].map(str::to_owned).to_vec();
    arguments.push(format!("--lines={}", query.lines));
    if query.follow {
        arguments.push("--follow".to_owned());
    }
    if !root.is_host() {
        arguments.push(format!("--root={}", root.place().display()));
    }
    arguments.extend(query.units.iter().filter(|unit| is_unit(unit)).take(JOURNAL_UNITS).map(|unit| format!("--unit={unit}")));
    arguments
}

/// Starts the program.
pub(super) fn start(root: &Root, query: &JournalQuery) -> Result<JournalStream, Refusal> {
    let os = |source| Refusal::Os { operation: "reading the journal", source };
    let program = PROGRAMS.iter().map(PathBuf::from).find(|path| Root::host().stat(path).is_ok());
    let program = program.ok_or_else(|| os(io::ErrorKind::NotFound.into()))?;
    let mut child = Command::new(program)
        .args(arguments(root, query))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(os)?;
    let out = child.stdout.take().ok_or(Refusal::Confused("reading the journal"))?;
    Ok(JournalStream { child, out })
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
    pub async fn complaint(mut self) -> String {
        let mut text = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            // What can't be read of a complaint is none.
            let _ = stderr.take(COMPLAINT_BYTES).read_to_end(&mut text).await;
        }
        // It has ended, or is ended by the drop; its status adds nothing to its words.
        let _ = self.child.start_kill();
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
        let arguments = arguments(&Root::host(), &query);
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
