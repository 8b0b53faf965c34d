//! The texts of configuration files as they were found, and as they were after each save: what a diff and a way back are made of.
//!
//! They are kept in memory alone, and bounded. Of what holds a private key, and of what is no text, only a hash is kept: that it changed
//! is told, what stands in it never. An edit is a change of bytes: a file that was touched, or replaced by an equal one, is none,
//! so that an editor's temporary files, its rename, and its writing in place are one edit, told once.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    model::{ConfigEdit, FileFate, Gateway, WayBack, edit},
    sys::{FileInfo, FileKind, Root},
};

/// Bytes of a file whose text is kept: maps and lists of addresses that programs write are larger, and nobody reads their diff.
const TEXT_BYTES: u64 = 256 << 10;
/// Bytes of all texts together, as found: the console is to stay within 20 MB.
const ALL_BYTES: usize = 4 << 20;
/// Bytes of a file that is hashed.
const HASHED_BYTES: u64 = 4 << 20;
/// Lines of a diff that are told.
const DIFF_LINES: usize = 400;
/// Bytes of a diff that are told.
const DIFF_BYTES: usize = 32 << 10;
/// Bytes of a text that is written anew by a shown command.
const WRITTEN_BYTES: usize = 6 << 10;
/// Files of one configuration that are compared.
const FILES: usize = 2_000;
/// Symlinks that are followed for one name (path_resolution(7)).
const SYMLINKS: usize = 40;
/// What editors, people and package managers put behind a file's name when they keep the old one.
const BACKUPS: &[&str] =
    &["~", ".bak", ".orig", ".old", ".save", ".backup", ".dpkg-old", ".dpkg-dist", ".ucf-old", ".rpmsave", ".rpmnew"];
/// Where patch(1) lies.
const PATCH: &[&str] = &["/usr/bin/patch", "/bin/patch"];

/// Why there is no diff of what was saved between the look at a configuration and the first look at its text.
const MISSED: &str = "it was saved when this began to look, and what it was before was not kept";

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Text(Arc<[u8]>),
    /// Why its text is not kept, and the hash of its bytes.
    Hash(&'static str, u64),
}

/// A file at one moment.
#[derive(Debug, Clone)]
struct Kept {
    info: FileInfo,
    /// What its name points to, where it is a symlink.
    link: Option<PathBuf>,
    content: Content,
}

/// A file, as it was found, and as it is. `None`: it did not, or does not, belong to the configuration.
#[derive(Debug, Default)]
struct History {
    found: Option<Kept>,
    now: Option<Kept>,
}

/// The texts of all gateways on this host.
#[derive(Debug, Default)]
pub struct Texts {
    of: BTreeMap<(String, PathBuf), BTreeMap<PathBuf, History>>,
    bytes: usize,
}

impl Texts {
    /// Reads what changed since the last call, and tells of it. What is seen of a gateway for the first time is as found, unless it was saved
    /// after the gateway's files were looked at.
    pub fn compare(&mut self, root: &Root, gateways: &[Gateway]) -> Vec<ConfigEdit> {
        let mut edits = Vec::new();
        for gateway in gateways {
            let key = (gateway.kind.clone(), gateway.config.clone());
            let known = self.of.contains_key(&key);
            let mut files = self.of.remove(&key).unwrap_or_default();
            let listed: BTreeSet<&PathBuf> = names(gateway).take(FILES).collect();
            let looked_at: BTreeMap<&PathBuf, Option<i64>> =
                if known { BTreeMap::new() } else { gateway.files.iter().map(|(path, modified)| (path, *modified)).collect() };
            for path in &listed {
                let history = files.entry((*path).clone()).or_default();
                let Some(fresh) = self.read(root, path, history.now.as_ref()) else { continue };
                let mut before = history.now.replace(fresh);
                let Some(now) = &history.now else { continue };
                if !known {
                    let as_found = Kept { content: Content::Hash(MISSED, 0), ..now.clone() };
                    let missed = looked_at.get(*path).copied().flatten().is_some_and(|modified| modified != now.info.modified);
                    history.found = if missed { Some(as_found) } else { history.now.clone() };
                    if !missed {
                        continue;
                    }
                    before.clone_from(&history.found);
                }
                if before.as_ref().is_some_and(|before| before.content == now.content && before.link == now.link) {
                    continue;
                }
                let fate = if before.is_some() { FileFate::Changed } else { FileFate::Added };
                edits.push(tell(root, gateway, path, fate, before.as_ref(), history));
            }
            for (path, history) in files.iter_mut().filter(|(_, history)| history.now.is_some()) {
                let there = match root.stat(path) {
                    Ok(_) if listed.contains(path) => continue,
                    Ok(_) => true,
                    Err(error) if error.not_found() => false,
                    // Whether it is there can't be told now.
                    Err(_) => continue,
                };
                // A file that is cut short by an error names fewer files than it means to.
                if there && !gateway.problems.is_empty() {
                    continue;
                }
                let before = history.now.take();
                let fate = if there { FileFate::LeftOut } else { FileFate::Removed };
                edits.push(tell(root, gateway, path, fate, before.as_ref(), history));
            }
            // What came and went again is forgotten.
            files.retain(|_, history| history.found.is_some() || history.now.is_some());
            self.of.insert(key, files);
        }
        edits
    }

    /// A file as it is. `None`: it is as it was, or it cannot be read now.
    fn read(&mut self, root: &Root, path: &Path, before: Option<&Kept>) -> Option<Kept> {
        let info = root.stat(path).ok()?;
        let link = root.readlink(path).ok();
        if info.kind != FileKind::RegularFile || before.is_some_and(|before| before.info == info && before.link == link) {
            return None;
        }
        let (bytes, more) = root.read_at_most(path, HASHED_BYTES).ok()?;
        let hash = || {
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            hasher.write_u64(info.size);
            hasher.finish()
        };
        let full = self.bytes + bytes.len() > ALL_BYTES && !matches!(before, Some(Kept { content: Content::Text(_), .. }));
        let content = if memchr::memmem::find(&bytes, b"-----BEGIN ").is_some() {
            Content::Hash("it holds a key or a certificate", hash())
        } else if memchr::memchr(0, &bytes).is_some() {
            Content::Hash("it is no text", hash())
        } else if more || bytes.len() as u64 > TEXT_BYTES || full {
            Content::Hash("it is too large to be kept", hash())
        } else {
            match before {
                Some(Kept { content: Content::Text(known), .. }) if **known == *bytes => Content::Text(Arc::clone(known)),
                _ => {
                    if before.is_none() {
                        self.bytes += bytes.len();
                    }
                    Content::Text(bytes.into())
                }
            }
        };
        Some(Kept { info, link, content })
    }

    /// The directories in which a change of these files is told: those of their names and, behind symlinks, of the files
    /// themselves; and those that are named as such.
    pub fn directories(root: &Root, gateways: &[Gateway], watch: &[PathBuf]) -> BTreeSet<PathBuf> {
        let mut out = BTreeSet::new();
        let mut add = |dir: Option<&Path>| {
            if let Some(dir) = dir
                && !out.contains(dir)
            {
                out.insert(dir.to_owned());
            }
        };
        for path in watch {
            let directory = root.stat(path).is_ok_and(|info| info.kind == FileKind::Directory);
            add(if directory { Some(path) } else { path.parent() });
        }
        for path in gateways.iter().flat_map(names).take(FILES) {
            add(path.parent());
            if root.readlink(path).is_ok() {
                add(real(root, path).parent());
            }
        }
        out
    }
}

/// All files that are compared.
fn names(gateway: &Gateway) -> impl Iterator<Item = &PathBuf> {
    gateway.files.iter().map(|(path, _)| path).chain(&gateway.per_request)
}

/// The file that a name means at last, behind symlinks of its last component.
fn real(root: &Root, path: &Path) -> PathBuf {
    let mut here = path.to_owned();
    for _ in 0..SYMLINKS {
        let Ok(target) = root.readlink(&here) else { break };
        here = here.parent().unwrap_or(Path::new("/")).join(target);
    }
    // `/etc/nginx/sites-enabled/../sites-available/shop` as a person would write it. Where a directory before `..` is itself a
    // symlink that is another file, so it has to be the same one.
    let mut plain = PathBuf::new();
    for part in here.components() {
        if part.as_os_str() == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    let id = |path: &Path| root.stat(path).ok().map(|info| info.id);
    if id(&plain) == id(&here) { plain } else { here }
}

fn tell(root: &Root, gateway: &Gateway, path: &Path, fate: FileFate, before: Option<&Kept>, history: &History) -> ConfigEdit {
    let now = history.now.as_ref();
    let mut opaque = None;
    let mut diff = match (before.map(|kept| &kept.content), now.map(|kept| &kept.content)) {
        // It is there as it was, though nothing includes it.
        (Some(_), None) if fate == FileFate::LeftOut => Vec::new(),
        (Some(Content::Hash(why, _)), _) | (_, Some(Content::Hash(why, _))) => {
            opaque = Some((*why).to_owned());
            Vec::new()
        }
        (old, new) => {
            let text = |content: Option<&Content>| match content {
                Some(Content::Text(bytes)) => edit::decode(bytes).0,
                Some(Content::Hash(..)) | None => String::new(),
            };
            edit::unified(&text(old), &text(new))
        }
    };
    let left_out = bound(&mut diff);
    ConfigEdit {
        kind: gateway.kind.clone(),
        config: gateway.config.clone(),
        file: path.to_owned(),
        fate,
        modified: now.map(|kept| kept.info.modified),
        diff,
        left_out,
        opaque,
        back: back(root, path, fate, history),
    }
}

/// Cuts a diff to what is told; how many lines were left out.
fn bound(diff: &mut Vec<String>) -> u32 {
    let mut bytes = 0;
    let within = diff.iter().take(DIFF_LINES).take_while(|line| {
        bytes += line.len() + 1;
        bytes <= DIFF_BYTES
    });
    let keep = within.count();
    let left_out = diff.len() - keep;
    diff.truncate(keep);
    u32::try_from(left_out).unwrap_or(u32::MAX)
}

/// How the file becomes again what was found.
fn back(root: &Root, path: &Path, fate: FileFate, history: &History) -> WayBack {
    let none = |why: &str| WayBack::None { why: why.to_owned() };
    if fate == FileFate::LeftOut {
        return none("the file is as it was; the edit of the one that included it is to be taken back");
    }
    let Some(found) = &history.found else {
        return if history.now.is_some() { WayBack::Remove { file: path.to_owned() } } else { WayBack::AsFound };
    };
    if let Some(now) = &history.now
        && now.content == found.content
        && now.link == found.link
    {
        return WayBack::AsFound;
    }
    if let Some(target) = &found.link
        && history.now.as_ref().is_none_or(|now| now.link != found.link)
    {
        // `sed -i` puts a file where a symlink was; what it pointed to is still there.
        let before = path.parent().unwrap_or(Path::new("/")).join(target);
        return if same_bytes(root, &before, &found.content) {
            WayBack::Link { target: target.clone(), file: path.to_owned() }
        } else {
            none("it was a symlink, and what it pointed to has changed, too")
        };
    }
    let Content::Text(text) = &found.content else {
        return none("its text was not kept");
    };
    let to = real(root, path);
    if let Some(from) = backup(root, &to, &found.content) {
        return WayBack::Copy { from, to };
    }
    let (old, bytes) = edit::decode(text);
    let made = (found.info.mode, found.info.uid, found.info.gid);
    let Some(now) = &history.now else {
        return if text.len() <= WRITTEN_BYTES {
            WayBack::Write { text: old, bytes, to, made: Some(made) }
        } else {
            none("the text is too long for one line: take it from a backup")
        };
    };
    if let Content::Text(now) = &now.content {
        let (new, as_bytes) = edit::decode(now);
        let mut diff = edit::unified(&old, &new);
        if has_patch(root) && bytes == as_bytes && !old.is_empty() && !new.is_empty() && bound(&mut diff) == 0 {
            return WayBack::Patch { diff, bytes, to };
        }
    }
    if text.len() <= WRITTEN_BYTES {
        WayBack::Write { text: old, bytes, to, made: None }
    } else {
        none("the change is too long for one line: take the text from a backup")
    }
}

/// Whether a file holds these very bytes.
fn same_bytes(root: &Root, path: &Path, content: &Content) -> bool {
    let Content::Text(text) = content else { return false };
    let same_size = root.stat(path).is_ok_and(|info| info.size == text.len() as u64);
    same_size && root.read_at_most(path, TEXT_BYTES).is_ok_and(|(bytes, more)| !more && *bytes == **text)
}

/// A file beside this one that holds these bytes.
fn backup(root: &Root, path: &Path, content: &Content) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let beside = BACKUPS.iter().map(|end| path.with_file_name(format!("{name}{end}")));
    beside.into_iter().find(|other| same_bytes(root, other, content))
}

/// Whether GNU patch is there: that of busybox knows fewer options.
fn has_patch(root: &Root) -> bool {
    let busybox = |path: &Path| root.readlink(path).is_ok_and(|target| target.to_string_lossy().contains("busybox"));
    PATCH.iter().map(Path::new).any(|path| root.stat(path).is_ok() && !busybox(path))
}

#[cfg(test)]
mod tests;
