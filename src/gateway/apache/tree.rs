//! Directives, known or not, with their places; and what is wrong with them, bounded.

use std::{path::PathBuf, sync::Arc};

use compact_str::CompactString;

use super::lines::words;
use crate::model::{Place, Setting};

/// Sections within sections at most, over all includes: real ones have five, and a recursion must end.
pub const DEPTH: usize = 48;
/// Problems of one configuration that are kept: a file that is no configuration has as many as it has lines.
pub const PROBLEMS: usize = 100;
/// Directives of one configuration at most, all includes together: 200 bytes each, and 20,000 vhosts have 8 each.
pub const DIRECTIVES: usize = 400_000;

/// A directive with its parameters, and its section's content.
#[derive(Debug, Clone)]
pub struct Directive {
    /// Its name in lower case, without the `<` of a section: names are compared without case.
    pub name: CompactString,
    /// What follows the name, with quotes, without the `>` of a section.
    pub text: CompactString,
    /// What stands in its section. `None`: it is none.
    pub block: Option<Box<[Directive]>>,
    /// Its file.
    pub file: Arc<PathBuf>,
    /// Its line, from 1.
    pub line: u32,
}

impl Directive {
    /// Where it begins.
    pub fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), line: self.line }
    }

    /// Its parameters.
    pub fn args(&self) -> Vec<String> {
        words(&self.text)
    }

    /// Its first parameter; empty where it has none.
    pub fn first(&self) -> String {
        super::lines::word(&self.text).0.into_owned()
    }

    /// The content of its section; empty where it is none.
    pub fn children(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// Whether it is a flag that is on.
    pub fn on(&self) -> bool {
        self.first().eq_ignore_ascii_case("on")
    }

    /// Its parameters as a setting.
    pub fn setting(&self) -> Setting {
        Setting { value: self.text.clone(), at: Some(self.place()) }
    }
}

/// What is wrong, and where; bounded.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<(Place, String)>);

impl Problems {
    /// Notes a problem, unless there are enough.
    pub fn add(&mut self, place: Place, what: impl Into<String>) {
        let problem = (place, what.into());
        // A file that is included twice has its problems once.
        if self.0.len() < PROBLEMS && !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }
}
