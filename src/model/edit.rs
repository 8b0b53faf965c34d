//! Edits of a gateway's configuration files, and the way back.
//!
//! A collector that keeps the texts as it found them says of each save what became of the file: the lines that differ from the
//! save before, and how the text that was found at the start is had again. Nothing here writes; the way back is a command for a person.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Command, text::is_invisible};

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFate {
    /// Its bytes are others.
    Changed,
    /// It belongs to the configuration, and did not before.
    Added,
    /// It belonged to the configuration, and is not there any more.
    Removed,
    /// It is there, and belongs to the configuration no more: nothing includes it.
    LeftOut,
}

/// One file of one save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEdit {
    /// Whose configuration: its kind, and its main file.
    pub kind: String,
    /// See `kind`.
    pub config: PathBuf,
    /// The file, as the gateway names it.
    pub file: PathBuf,
    /// What became of it.
    pub fate: FileFate,
    /// When it was modified, in seconds since the Unix epoch. `None`: it is gone.
    pub modified: Option<i64>,
    /// What differs from the text before, as the lines of a unified diff without its head. Foreign text.
    #[serde(default)]
    pub diff: Vec<String>,
    /// Lines of the diff that were left out, because it is too long.
    #[serde(default)]
    pub left_out: u32,
    /// Why there is no diff although the file changed: it holds a key, it is too large.
    #[serde(default)]
    pub opaque: Option<String>,
    /// How the text that was found at the start is had again.
    pub back: WayBack,
}

/// How a file becomes again what it was when this run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayBack {
    /// It is what it was.
    AsFound,
    /// Another file has those very bytes: a backup that an editor or a package manager made.
    Copy {
        /// That file.
        from: PathBuf,
        /// The file itself, behind all symlinks.
        to: PathBuf,
    },
    /// These changes are taken back by `patch -R`, which refuses when the file is another one by then.
    Patch {
        /// The lines of a unified diff from what was found to what is there, without its head.
        diff: Vec<String>,
        /// Whether the characters of `diff` are single bytes, because the file is no UTF-8.
        #[serde(default)]
        bytes: bool,
        /// The file itself, behind all symlinks.
        to: PathBuf,
    },
    /// The text is written anew.
    Write {
        /// The whole text.
        text: String,
        /// Whether its characters are single bytes, because the file is no UTF-8.
        #[serde(default)]
        bytes: bool,
        /// The file itself, behind all symlinks.
        to: PathBuf,
        /// Permission bits, owner and group, where the file has to be made anew.
        #[serde(default)]
        made: Option<(u32, u32, u32)>,
    },
    /// It was not there.
    Remove {
        /// The name.
        file: PathBuf,
    },
    /// It was a symlink.
    Link {
        /// What it pointed to.
        target: PathBuf,
        /// Its name.
        file: PathBuf,
    },
    /// There is none that a line could hold.
    None {
        /// Why.
        why: String,
    },
}

/// Bytes of a command that restores a text, at most: terminals take some 70,000 by OSC 52, and a person wants to see what it does.
const COMMAND_BYTES: usize = 16 << 10;

impl WayBack {
    /// The command for a POSIX shell, on one line without control characters.
    pub fn command(&self) -> Option<String> {
        let words = |words: &[&str]| Command::new(words.iter().copied()).map(|command| command.to_string());
        let path = |path: &Path| path.to_str().map(str::to_owned);
        let command = match self {
            Self::AsFound | Self::None { .. } => return None,
            Self::Copy { from, to } => words(&["cp", "--", &path(from)?, &path(to)?])?,
            Self::Patch { diff, bytes, to } => {
                // No name in the head: the file is named as an argument, whatever the patch says.
                let text = format!("--- a\n+++ b\n{}\n", diff.join("\n"));
                let to = words(&["patch", "-R", "--no-backup-if-mismatch", &path(to)?])?;
                format!("printf '%b' {} | {to}", quoted(&text, *bytes))
            }
            Self::Write { text, bytes, to, made } => {
                let to = path(to)?;
                let name = words(&[&to])?;
                let write = format!("printf '%b' {} > {name}", quoted(text, *bytes));
                match made {
                    None => write,
                    Some((mode, uid, gid)) => {
                        let own = words(&["chown", &format!("{uid}:{gid}"), &to])?;
                        let open = words(&["chmod", &format!("{mode:o}"), &to])?;
                        // Nobody else may read it before its rights are what they were.
                        format!("(umask 077 && {write}) && {own} && {open}")
                    }
                }
            }
            Self::Remove { file } => words(&["rm", "--", &path(file)?])?,
            Self::Link { target, file } => words(&["ln", "-sfn", "--", &path(target)?, &path(file)?])?,
        };
        (command.len() <= COMMAND_BYTES).then_some(command)
    }
}

/// A text as an argument of `printf '%b'` (POSIX printf: backslash escapes, `\0` with up to three octal digits), in single quotes:
/// what a terminal could not show faithfully, or a shell's line editor would act on, is an escape.
fn quoted(text: &str, bytes: bool) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4 + 2);
    out.push('\'');
    let mut buffer = [0_u8; 4];
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("'\\''"),
            c if bytes && !c.is_ascii() => out.push_str(&format!("\\0{:03o}", u32::from(c) & 0xFF)),
            c if c.is_control() || is_invisible(c) => {
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("\\0{byte:03o}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Bytes as a text, and whether its characters are single bytes: what is no UTF-8 is taken as Latin-1, which has a character for each
/// byte, so that nothing of it is lost.
pub fn decode(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (bytes.iter().map(|byte| char::from(*byte)).collect(), true),
    }
}

/// Lines of context around a change, as diff(1) -u has them.
const CONTEXT: usize = 3;
/// Lines that differ on both sides, at most, for which the smallest difference is looked for: beyond it, all of them are told as
/// replaced.
const COMPARED: usize = 2_000;

/// The lines of a unified diff of two texts, without its head (diff(1), "Detailed Unified"); empty: they are equal.
pub fn unified(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let algorithm = similar::Algorithm::Myers;
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_mid, new_mid) = (same..old.len() - tail, same..new.len() - tail);
    let ops = if old_mid.len().max(new_mid.len()) <= COMPARED {
        similar::capture_diff(algorithm, &old[..], 0..old.len(), &new[..], 0..new.len())
    } else {
        let equal = |old_index, new_index, len| similar::DiffOp::Equal { old_index, new_index, len };
        let replaced = similar::DiffOp::Replace {
            old_index: old_mid.start,
            old_len: old_mid.len(),
            new_index: new_mid.start,
            new_len: new_mid.len(),
        };
        let all = [equal(0, 0, same), replaced, equal(old_mid.end, new_mid.end, tail)];
        all.into_iter().filter(|op| !(op.old_range().is_empty() && op.new_range().is_empty())).collect()
    };
    let mut out = Vec::new();
    for group in similar::group_diff_ops(ops, CONTEXT) {
        // A group begins with context, or with the file; of insertions and deletions only the lengths are to be trusted.
        let (from_old, from_new) = match group.first() {
            Some(similar::DiffOp::Equal { old_index, new_index, .. }) => (*old_index, *new_index),
            Some(_) => (0, 0),
            None => continue,
        };
        let range = |from: usize, len: usize| match len {
            // An empty range is told by the line before it.
            0 => format!("{from},0"),
            1 => format!("{}", from + 1),
            len => format!("{},{len}", from + 1),
        };
        let was = range(from_old, group.iter().map(|op| op.old_range().len()).sum());
        let is = range(from_new, group.iter().map(|op| op.new_range().len()).sum());
        if group.iter().all(|op| matches!(op, similar::DiffOp::Equal { .. })) {
            continue;
        }
        out.push(format!("@@ -{was} +{is} @@"));
        let mut put = |sign: char, line: &str| {
            out.push(format!("{sign}{}", line.strip_suffix('\n').unwrap_or(line)));
            if !line.ends_with('\n') {
                out.push("\\ No newline at end of file".to_owned());
            }
        };
        for op in group {
            if let similar::DiffOp::Equal { .. } = op {
                old[op.old_range()].iter().for_each(|line| put(' ', line));
            } else {
                old[op.old_range()].iter().for_each(|line| put('-', line));
                new[op.new_range()].iter().for_each(|line| put('+', line));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
