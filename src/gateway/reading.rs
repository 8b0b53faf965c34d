//! One file of a configuration, read as far as is bounded, and what is to be said of it whatever gateway it is for.

use std::path::Path;

use crate::{
    model::BlindSpot,
    sys::{FileError, Root},
};

/// Bytes at the begin of a file in which a NUL says that it is no text.
const BINARY_LOOK: usize = 8 << 10;

/// A file as read.
#[derive(Debug)]
pub struct Part {
    /// Its bytes, up to the bound.
    pub bytes: Vec<u8>,
    /// What is wrong with the file as a whole.
    pub complaints: Vec<String>,
    /// Whether it is text.
    pub text: bool,
}

/// Reads a regular file, up to so many bytes.
pub fn part(root: &Root, path: &Path, most: u64) -> Result<Part, FileError> {
    let (bytes, more) = root.read_at_most(path, most)?;
    let text = memchr::memchr(0, &bytes[..bytes.len().min(BINARY_LOOK)]).is_none();
    let larger = more.then(|| format!("larger than {} MB: only its begin was read", most >> 20));
    let binary = (!text).then(|| "is no text: it holds NUL bytes".to_owned());
    Ok(Part { bytes, complaints: larger.into_iter().chain(binary).collect(), text })
}

/// The blind spot of a file that is beyond what is read of one configuration.
pub fn too_much(path: &Path, files: usize, bytes: u64) -> BlindSpot {
    BlindSpot {
        source: path.display().to_string(),
        reason: format!("the configuration is larger than {files} files or {} MB; the rest was not read", bytes >> 20),
        remedy: "name the part that matters with --config".to_owned(),
    }
}
