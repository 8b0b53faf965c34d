//! What is read out of a gateway's binary, without running it: searched once for each file.

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use memchr::memmem;

use crate::sys::Root;

/// Binaries of one kind that are remembered.
const REMEMBERED: usize = 16;

/// Device, inode and time of modification.
type Identity = ((u64, u64), i64);

/// Remembers what was found in each binary.
#[derive(Debug)]
pub struct Remembered<T>(Mutex<BTreeMap<Identity, Option<T>>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Remembered<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<T: Clone> Remembered<T> {
    /// What `find` finds in the binary at a path, which is asked once. Its outer `None`: the binary could not be read, which may
    /// change; its inner one: the binary says nothing.
    pub fn of(&self, root: &Root, path: &Path, find: impl FnOnce() -> Option<Option<T>>) -> Option<T> {
        let info = root.stat(path).ok()?;
        let key = (info.id, info.modified);
        if let Some(known) = self.0.lock().ok()?.get(&key) {
            return known.clone();
        }
        let found = find()?;
        let mut known = self.0.lock().ok()?;
        if known.len() >= REMEMBERED {
            known.pop_first();
        }
        known.insert(key, found.clone());
        found
    }
}

/// The C string after a text, of so many bytes at most.
pub fn string_after(bytes: &[u8], text: &[u8], limit: usize) -> Option<String> {
    let rest = &bytes[memmem::find(bytes, text)? + text.len()..];
    let rest = &rest[..rest.len().min(limit)];
    let end = rest.iter().position(|byte| matches!(byte, 0 | b'\n')).unwrap_or(rest.len());
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}
