//! The way to a unix socket, part by part, as somebody goes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The parts of a path that were looked at, from the root on, through symlinks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathView {
    /// As whom the way was gone.
    pub who: String,
    /// The parts. The last is the socket, or where the way ends.
    pub parts: Vec<PathPart>,
    /// The right that the last part does not give: `x` on a directory, `w` on the socket. `None`: all give what is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<char>,
}

/// A directory on the way, or the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPart {
    /// Where.
    pub path: PathBuf,
    /// Kind and permission bits as ls(1) writes them.
    pub mode: String,
    /// `user:group`, by name where there is one.
    pub owner: String,
    /// The entry of its access control list that decides for who goes (acl(5)), where it has a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    /// Its label of a security module (`security.selinux`), where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl PathView {
    /// For a person, line by line. Foreign text: sanitise before showing.
    pub fn lines(&self) -> Vec<String> {
        let width = self.parts.iter().map(|part| part.owner.chars().count()).max().unwrap_or_default();
        let line = |(index, part): (usize, &PathPart)| {
            let mut line = format!("{} {:width$} {}", part.mode, part.owner, part.path.display());
            line.extend(part.acl.iter().map(|entry| format!(", its list says {entry}")));
            line.extend(part.label.iter().map(|label| format!(", label {label}")));
            let last = index + 1 == self.parts.len();
            line.extend(self.lacks.filter(|_| last).map(|right| format!("  <- {} lacks {right}", self.who)));
            line
        };
        self.parts.iter().enumerate().map(line).collect()
    }
}
