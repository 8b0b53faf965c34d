//! A recording: what collectors emitted, one JSON object a line, before any signature was applied. So facts are derived anew
//! when it is read, and a new signature makes old recordings better.
//!
//! The first line tells the format; each other one is a stamp and an observation. Lines are appended whole, so that what was written
//! before a crash, a kill or a full disk can be read. Secrets are taken out before anything is written (`conceal.rs`), and no
//! recording grows beyond a bound (`write.rs`). `place.rs` says where one is kept that nobody named a place for.

mod bounds;
mod conceal;
mod merge;
mod pace;
mod place;
mod read;
mod write;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Stamp;

pub use place::{Keeper, newest};
pub use read::{Recording, end_of};
pub use write::Recorder;

/// What the first line says.
const FORMAT: &str = "why502-record/1";

/// Why a recording cannot be made or read.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file cannot be made.
    #[error("cannot record to {path}: {source}; name a file that does not exist yet, in a directory that you may write to")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be gone on with.
    #[error("cannot go on with {path}: {source}")]
    Resume {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no recording.
    #[error("{path} is no recording of why502: its first line does not say {FORMAT}")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line<O> {
    at: Stamp,
    seen: O,
}

#[cfg(test)]
mod tests;
