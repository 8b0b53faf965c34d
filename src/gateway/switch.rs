//! A file whose coming and going makes a gateway answer by itself, asked for with each request: the switch of a maintenance page.

use std::path::{Path, PathBuf};

use crate::{
    model::{ANSWERS_SINCE, ANSWERS_WHILE, ANSWERS_WITHOUT, Place, Setting, Settings},
    sys::{FileKind, Root},
};

/// A test of a file, as it comes out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The file.
    pub path: PathBuf,
    /// Whether the test holds.
    pub holds: bool,
    /// Whether it holds because the file is there; else because it is not.
    there: bool,
    /// When what is there was made or came there, in seconds since the Unix epoch.
    since: Option<i64>,
}

impl Switch {
    /// `-f`, `-d` and `-e`, with `!` before it for the contrary. `None`: it is another test.
    pub fn of(test: &str, root: &Root, path: &Path) -> Option<Self> {
        let (negated, test) = test.strip_prefix('!').map_or((false, test), |test| (true, test));
        let found = root.stat(path).ok();
        let kind = found.as_ref().map(|info| info.kind);
        let there = match test {
            "-f" => kind == Some(FileKind::RegularFile),
            "-d" => kind == Some(FileKind::Directory),
            "-e" => kind.is_some(),
            _ => return None,
        };
        // What was moved there keeps its time of modification.
        let since = found.map(|info| info.changed.max(info.modified));
        Some(Self { path: path.to_owned(), holds: there != negated, there, since })
    }

    /// As a route has it.
    pub fn note(&self, at: &Place, settings: &mut Settings) {
        let key = if self.there { ANSWERS_WHILE } else { ANSWERS_WITHOUT };
        let value = self.path.display().to_string();
        settings.insert(key, Setting { value: value.into(), at: Some(at.clone()) });
        if let Some(since) = self.since.filter(|_| self.there) {
            settings.insert(ANSWERS_SINCE, Setting { value: since.to_string().into(), at: None });
        }
    }
}
