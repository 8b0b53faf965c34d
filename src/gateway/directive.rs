//! A directive with its parameters and its block: what nginx's configuration and a Caddyfile are both made of.

use std::{path::PathBuf, sync::Arc};

use compact_str::CompactString;

use crate::model::Place;

/// A directive. There may be hundreds of thousands: their words are nearly all short, and take no room of their own.
#[derive(Debug, Clone)]
pub struct Directive {
    /// Its name; of a Caddyfile's site: its first address.
    pub name: CompactString,
    /// Its parameters.
    pub args: Box<[CompactString]>,
    /// What stands in its block.
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

    /// A parameter.
    pub fn arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).map(CompactString::as_str)
    }

    /// Its block; empty where it has none.
    pub fn children(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// Its line as written, but for quotes.
    pub fn words(&self) -> String {
        std::iter::once(&self.name).chain(&self.args).map(CompactString::as_str).collect::<Vec<_>>().join(" ")
    }
}
