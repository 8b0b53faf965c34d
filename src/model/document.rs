//! A document for hand-over, before it is Markdown, HTML or lines on the screen: what stands in it, and not how it looks. Its texts
//! are foreign until they are rendered: each renderer makes them harmless in its own way, after [`safe`].

use super::{secrets, text::printable};

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading; 1 is the title.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// Names with their values.
    Fields(Vec<(String, String)>),
    /// Sentences, each with the sign of what it is for the document, `for` or `not looked at`, and the place where it was seen; both may
    /// be empty.
    List(Vec<Item>),
    /// What to do, in order: sentence and command.
    Steps(Vec<(String, Option<String>)>),
    /// A table; each row with whether it is the one that matters.
    Table(Vec<String>, Vec<(bool, Vec<String>)>),
    /// The checklist.
    Checks(Vec<Check>),
    /// A command, or lines as they stand.
    Code(String),
    /// Counts over time, oldest first: what they are, and from when until when.
    Chart {
        /// What is counted.
        title: String,
        /// The counts.
        counts: Vec<u64>,
        /// Where they begin.
        from: String,
        /// Where they end.
        to: String,
    },
}

/// A sentence of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// `for`, `against`, `explains`; empty: none.
    pub sign: String,
    /// The sentence.
    pub text: String,
    /// Where it was seen; empty: nowhere.
    pub source: String,
}

impl Item {
    /// A sentence.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// A step of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether it is settled.
    pub settled: bool,
    /// Whether it failed.
    pub failed: bool,
    /// What was to be looked at.
    pub title: String,
    /// Its state in a word or two.
    pub word: String,
    /// The proof, or the reason.
    pub text: String,
    /// What the operator noted about it.
    pub notes: Vec<String>,
}

/// A document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// Its title, in plain words.
    pub title: String,
    /// Its parts.
    pub blocks: Vec<Block>,
}

impl Document {
    /// One with this title.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        Self { blocks: vec![Block::Heading(1, title.clone())], title }
    }

    /// Adds a heading of the second level.
    pub fn section(&mut self, title: &str) {
        self.blocks.push(Block::Heading(2, title.to_owned()));
    }

    /// Adds a section with sentences, unless there are none.
    pub fn list(&mut self, title: &str, items: impl IntoIterator<Item = Item>) {
        let items: Vec<Item> = items.into_iter().collect();
        if !items.is_empty() {
            self.section(title);
            self.blocks.push(Block::List(items));
        }
    }
}

/// A text as it may stand in a document that leaves the host: without secrets, and without what a terminal or a browser would obey.
pub fn safe(text: &str) -> String {
    let concealed = secrets::text(text);
    printable(concealed.as_deref().unwrap_or(text))
}
