//! May the gateway's user reach a unix socket? Walks its path component by component, by mode bits alone.
//!
//! Pure reading: nothing is connected, so it is made with `--no-probe` and below another root, too. A component with a POSIX
//! ACL is not judged, because its mode bits then mean something else (acl(5)): the real connection tells.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{Probe, report};
use crate::{
    model::{Address, Identity, Outcome, ProbeJob, ProbeReport},
    sys::{self, FileError, FileInfo, FileKind, Root, Stopwatch, Sys, Users},
};

/// Symlinks followed at most (path_resolution(7)).
const SYMLINKS: usize = 40;
/// Permission bits of one class: search on a directory, write on a socket (unix(7): connecting needs write).
const SEARCH: u32 = 0o1;
const WRITE: u32 = 0o2;

/// The probe.
#[derive(Debug)]
pub(super) struct SocketPath;

impl Probe for SocketPath {
    fn id(&self) -> &'static str {
        "socket-path"
    }

    fn title(&self) -> &'static str {
        "the way to the upstream's socket"
    }

    fn emits(&self) -> &'static [&'static str] {
        &["open", "not-found", "denied", "refused", "os-error", "skipped"]
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        false
    }

    fn only_reads(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job))
    }
}

async fn run(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let watch = Stopwatch::start();
    let Address::Unix(path) = &job.address else {
        return report(job, Outcome::Skipped("the address is no path".to_owned()));
    };
    let (root, path, identity) = (sys.root.clone(), path.clone(), job.identity.clone());
    let walk = move || {
        let identity = identity.unwrap_or_else(|| {
            let (uid, gid, groups) = sys::ourselves();
            Identity { name: Users::read(&root).name(uid), uid, gid, groups }
        });
        Walk::new(&root, &identity).to(&path)
    };
    let walked = sys::blocking(Duration::from_millis(job.total_ms), walk).await;
    let (outcome, detail) = walked.unwrap_or_else(|| {
        let why = format!("the file system did not answer within {} ms", job.total_ms);
        (Outcome::Skipped(why.clone()), why)
    });
    let mut report = report(job, outcome);
    report.detail = detail;
    report.phases.total = watch.ms();
    // The walk is computed for the gateway's user, whoever we are.
    report.as_gateway = job.identity.is_some();
    report
}

/// A walk as somebody.
struct Walk<'a> {
    root: &'a Root,
    who: &'a Identity,
    /// Where mode bits said no, but an ACL may say yes.
    unsure: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, who: &'a Identity) -> Self {
        Self { root, who, unsure: Vec::new() }
    }

    /// Walks to the socket: what came of it, and the sentence about it.
    fn to(mut self, path: &Path) -> (Outcome, String) {
        if path.as_os_str().as_encoded_bytes().starts_with(b"@") {
            return (Outcome::Open, "an abstract socket has no path and no permissions".to_owned());
        }
        match self.walk(path) {
            Err(end) => end,
            Ok(()) if self.unsure.is_empty() => (Outcome::Open, format!("{} may open {}", self.who.name, path.display())),
            Ok(()) => {
                let why = format!("an ACL decides on {}", self.unsure.join(", "));
                (Outcome::Skipped(why.clone()), why)
            }
        }
    }

    fn walk(&mut self, path: &Path) -> Result<(), (Outcome, String)> {
        let mut here = PathBuf::from("/");
        let mut rest = names(path);
        let mut links = 0;
        self.check(&here, SEARCH)?;
        while let Some(name) = rest.pop() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            let info = self.stat(&next)?;
            match info.kind {
                FileKind::Symlink => {
                    links += 1;
                    if links > SYMLINKS {
                        return Err((
                            Outcome::Os(rustix::io::Errno::LOOP.raw_os_error()),
                            format!("{}: too many symlinks", path.display()),
                        ));
                    }
                    let target = self.root.readlink(&next).map_err(|error| unseen(&error))?;
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    rest.extend(names(&target));
                }
                FileKind::Directory if rest.is_empty() => {
                    return Err((Outcome::Refused, format!("{} is a directory", next.display())));
                }
                FileKind::Directory => {
                    here = next;
                    self.check(&here, SEARCH)?;
                }
                FileKind::Socket if rest.is_empty() => return self.check(&next, WRITE),
                FileKind::Socket
                | FileKind::RegularFile
                | FileKind::Fifo
                | FileKind::CharacterDevice
                | FileKind::BlockDevice
                | FileKind::Unknown => {
                    if rest.is_empty() {
                        return Err((Outcome::Refused, format!("{} is no socket", next.display())));
                    }
                    return Err((Outcome::NotFound, format!("{} is no directory", next.display())));
                }
            }
        }
        Err((Outcome::Refused, format!("{} is a directory", here.display())))
    }

    /// Whether the user has this right on it.
    fn check(&mut self, path: &Path, right: u32) -> Result<(), (Outcome, String)> {
        let info = self.stat(path)?;
        // CAP_DAC_OVERRIDE (capabilities(7)).
        if self.who.uid == 0 {
            return Ok(());
        }
        // Exactly one class holds, the first that fits, even when a later one would allow more (path_resolution(7)).
        let shift = if info.uid == self.who.uid {
            6
        } else if info.gid == self.who.gid || self.who.groups.contains(&info.gid) {
            3
        } else {
            0
        };
        if info.mode >> shift & right != 0 {
            return Ok(());
        }
        if self.root.has_acl(path) {
            self.unsure.push(path.display().to_string());
            return Ok(());
        }
        let (letter, kind) = if right == SEARCH { ('x', 'd') } else { ('w', 's') };
        let owner = format!("{}:{}", Users::read(self.root).name(info.uid), group_name(self.root, info.gid));
        let text = format!("{} lacks {letter} on {} ({kind}{} {owner})", self.who.name, path.display(), mode(info.mode));
        Err((Outcome::Denied, text))
    }

    fn stat(&self, path: &Path) -> Result<FileInfo, (Outcome, String)> {
        self.root.lstat(path).map_err(|error| {
            if error.not_found() { (Outcome::NotFound, format!("{} does not exist", path.display())) } else { unseen(&error) }
        })
    }
}

/// We may not look ourselves: nothing is known of the user's rights.
fn unseen(error: &FileError) -> (Outcome, String) {
    (Outcome::Skipped(error.to_string()), error.to_string())
}

/// The names of a path, last first.
fn names(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// `rwxr-x---`.
fn mode(bits: u32) -> String {
    let letter = |index: u32| if bits >> (8 - index) & 1 == 1 { ['r', 'w', 'x'][index as usize % 3] } else { '-' };
    (0..9).map(letter).collect()
}

/// The name of a group in the root's own group file, or its number.
fn group_name(root: &Root, gid: u32) -> String {
    let text = root.text("/etc/group").unwrap_or_default();
    let names: BTreeMap<u32, &str> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?)).and_then(|(name, gid)| Some((gid.parse().ok()?, name)))
        })
        .collect();
    names.get(&gid).map_or_else(|| gid.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests;
